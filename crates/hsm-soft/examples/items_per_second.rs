//! How many PIN blocks, MACs, handshakes and sealed frames the software HSM does in a second, without its socket.
//!
//! `cargo run --release -p keyferry-hsm-soft --example items_per_second`

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a measurement fails by panicking and prints"
)]

use std::time::{Duration, Instant};

use hsm::{
    KeyBlock, Refusal,
    commands::{
        AnswerTms, Held, HeldKey, ImportLoaded, Imported, MacItem, MakeWorkingKeys, MakeZoneKey,
        OpenTmsSession, PikLength, PinFormat, PinTranslation, Reply, Request, SealTms, TerminalMacs,
        TranslatePins, ZoneAlgorithm,
    },
};
use keyblock::{Algorithm, Exportability, Header, Kbpk, Mode, Usage, Version};
use keyferry_hsm_soft::{
    Duty, Offline, SoftHsm,
    components::{self, Ceremony, Component, Target},
    create,
};
use paycrypto::{
    TdesKey, blocks, digest,
    keys::{Dmk, Dwk, Pik, Tmk},
};
use pinblock::{Format, Pan, Pin};
use zeroize::Zeroizing;

const PASSPHRASE: &str = "only for measuring";
const OWNER: &str = "ACQ";
const ZONE: &str = "ISSUER-1";
const PAN: &str = "4012345678909";
/// Terminals whose keys are taken in turn.
const TERMINALS: usize = 256;
/// For how long each is measured.
const MEASURED: Duration = Duration::from_secs(2);

fn main() {
    let folder = tempfile::tempdir().unwrap();
    create(folder.path(), PASSPHRASE).unwrap();
    let offline = Offline::open(folder.path(), PASSPHRASE).unwrap();
    let (master, _) = enter(&offline, Target::ZoneMaster { algorithm: ZoneAlgorithm::Tdes });
    let exchange = enter(&offline, Target::Exchange);
    let hsm = SoftHsm::open(folder.path(), PASSPHRASE, vec![]).unwrap().on_duty(Duty::Laboratory);
    let make =
        MakeZoneKey { under: master, owner: OWNER.into(), zone: ZONE.into(), algorithm: ZoneAlgorithm::Tdes };
    let Ok(Reply::MakeZoneKey(zone)) = hsm.handle(Request::MakeZoneKey(make)) else { panic!("no zone key") };
    let terminals: Vec<_> = (0..TERMINALS).map(|number| Terminal::new(&hsm, &exchange, number)).collect();

    let pins: Vec<_> = terminals.iter().map(|terminal| terminal.translation(&zone.key.block)).collect();
    for batch in [1, 16, 256] {
        let pins = pins[..batch].to_vec();
        let translate = TranslatePins { owner: OWNER.into(), items: pins };
        measure("PIN translations", batch, || {
            let Ok(Reply::TranslatePins(done)) = hsm.handle(Request::TranslatePins(translate.clone())) else {
                panic!("refused")
            };
            assert!(done.iter().all(Result::is_ok));
        });
    }
    for batch in [1, 16, 256] {
        let items = terminals[..batch].iter().map(Terminal::mac).collect();
        let macs = TerminalMacs { owner: OWNER.into(), items };
        measure("MACs over 200 bytes", batch, || {
            let Ok(Reply::TerminalMacs(done)) = hsm.handle(Request::TerminalMacs(macs.clone())) else {
                panic!("refused")
            };
            assert!(done.iter().all(Result::is_ok));
        });
    }
    sessions(&hsm, &exchange);
}

/// Handshakes of flow E, and sealed frames as long as a terminal asks for.
fn sessions(hsm: &SoftHsm, exchange: &(KeyBlock, TdesKey)) {
    let dmk = Dmk::generate().unwrap();
    let held = import(hsm, exchange, "SN-1", Held::Dmk, dmk.expose()).unwrap();
    let hello = AnswerTms {
        dmk: Some(held.block),
        pin_pad: "SN-1".into(),
        owner: OWNER.into(),
        t_data: [1; 10],
        when: [0; 6],
        hello: b"frame".to_vec(),
    };
    let open = || {
        let Ok(Reply::AnswerTms(answer)) = hsm.handle(Request::AnswerTms(hello.clone())) else {
            panic!("refused")
        };
        let context = digest::sha256(b"frame")[..16].try_into().unwrap();
        let dwk: Dwk = blocks::unwrap(&dmk, &answer.dwk_1, "SN-1/00", &context).unwrap();
        let proof = OpenTmsSession {
            ticket: answer.ticket,
            pin_pad: "SN-1".into(),
            owner: OWNER.into(),
            sac_1: dwk.mac(&answer.s_data),
            operator: None,
            transcript: b"frames".to_vec(),
            tmk: None,
        };
        let Ok(Reply::OpenTmsSession(session)) = hsm.handle(Request::OpenTmsSession(proof)) else {
            panic!("refused")
        };
        session.session
    };
    measure("handshakes of flow E", 1, || drop(open()));
    let session = open();
    measure("sealed frames of 32 KiB", 1, || {
        let seal = SealTms {
            session: session.clone(),
            pin_pad: "SN-1".into(),
            owner: OWNER.into(),
            counter: 0,
            payload: vec![7; 32 * 1024],
        };
        hsm.handle(Request::SealTms(seal)).unwrap();
    });
}

fn measure(what: &str, batch: usize, mut once: impl FnMut()) {
    let (start, mut batches) = (Instant::now(), 0_u32);
    while start.elapsed() < MEASURED {
        once();
        batches += 1;
    }
    let items = f64::from(batches) * f64::from(u16::try_from(batch).unwrap());
    println!("{what}, {batch} a command: {:.0} a second", items / start.elapsed().as_secs_f64());
}

/// A terminal that has signed in.
struct Terminal {
    pin_pad: String,
    pik: Pik,
    pik_block: KeyBlock,
    mak_block: KeyBlock,
}

impl Terminal {
    fn new(hsm: &SoftHsm, exchange: &(KeyBlock, TdesKey), number: usize) -> Self {
        let pin_pad = format!("SN-{number:04}");
        let place = format!("{pin_pad}/00");
        let tmk = Tmk::generate().unwrap();
        let held = import(hsm, exchange, &pin_pad, Held::Tmk { slot: 0 }, tmk.expose()).unwrap();
        let sign_in = MakeWorkingKeys {
            tmk: held.block,
            pin_pad: pin_pad.clone(),
            owner: OWNER.into(),
            slot: 0,
            transcript: b"frame".to_vec(),
            pik: PikLength::Triple,
            tdk: false,
            avoid: vec![],
        };
        let Ok(Reply::MakeWorkingKeys(keys)) = hsm.handle(Request::MakeWorkingKeys(sign_in)) else {
            panic!("no working keys")
        };
        let context = digest::sha256(b"frame")[..16].try_into().unwrap();
        let pik = blocks::unwrap(&tmk, &keys[0].under_tk, &place, &context).unwrap();
        Self { pin_pad, pik, pik_block: keys[0].block.clone(), mak_block: keys[1].block.clone() }
    }

    fn translation(&self, zone_key: &KeyBlock) -> PinTranslation {
        let clear = pinblock::encode(Format::Iso0, &Pin::new("1234").unwrap(), Some(&Pan::new(PAN).unwrap()))
            .unwrap();
        PinTranslation {
            pin_pad: self.pin_pad.clone(),
            slot: 0,
            pik: self.pik_block.clone(),
            zone: ZONE.into(),
            zone_key: zone_key.clone(),
            from: PinFormat::Iso0,
            to: PinFormat::Iso0,
            block: self.pik.key().encrypt_block(*clear.expose()).to_vec().into(),
            pan: PAN.to_owned().into(),
        }
    }

    fn mac(&self) -> MacItem {
        MacItem {
            pin_pad: self.pin_pad.clone(),
            slot: 0,
            mak: self.mak_block.clone(),
            data: vec![7; 200].into(),
            mac: None,
        }
    }
}

fn import(
    hsm: &SoftHsm,
    (under, key): &(KeyBlock, TdesKey),
    pin_pad: &str,
    what: Held,
    clear: &[u8],
) -> Result<HeldKey, Refusal> {
    let (usage, mode) = match what {
        Held::Tmk { .. } => (Usage::KEY_BLOCK_PROTECTION, Mode::BOTH),
        Held::Dmk | Held::Factor => (Usage::from_ascii(*b"11").unwrap(), Mode::NO_RESTRICTION),
    };
    let header = Header::new(Version::B, usage, Algorithm::TDES, mode, Exportability::NOT_EXPORTABLE)
        .with_optional("10", format!("{pin_pad}/00"))
        .unwrap();
    let block = Kbpk::new(Version::B, key.expose()).unwrap().wrap(&header, clear).unwrap();
    let (under, owner) = (under.clone(), OWNER.into());
    let import = ImportLoaded { under, block, pin_pad: pin_pad.into(), what, owner };
    match hsm.handle(Request::ImportLoaded(import))? {
        Reply::ImportLoaded(Imported::Key(key)) => Ok(key),
        other => panic!("{other:?}"),
    }
}

/// Two people enter a key.
fn enter(hsm: &Offline, target: Target) -> (KeyBlock, TdesKey) {
    let ceremony = Ceremony { name: "K".into(), owner: OWNER.into(), session: "S".into(), of: 2, target };
    let typed = [(); 2].map(|()| TdesKey::generate24().unwrap());
    let blocks: Vec<_> = (1..)
        .zip(["Ada", "Grace"])
        .zip(&typed)
        .map(|((part, person), key)| {
            let clear = Zeroizing::new(key.expose().to_vec());
            let component = Component { part, person: person.into(), clear, check_value: key.kcv() };
            components::enter(hsm, &ceremony, &component).unwrap()
        })
        .collect();
    let sum: Vec<u8> = typed[0].expose().iter().zip(typed[1].expose()).map(|(a, b)| a ^ b).collect();
    let key = TdesKey::from_bytes(&sum).unwrap();
    let block = components::combine(hsm, &ceremony, &blocks, key.kcv()).unwrap().block;
    (block, key)
}
