//! What the HSM's process has in memory after flows E and F of suite 02: none of the keys it worked with (R1, R18).
//!
//! As `wiped.rs`: the HSM runs in a process of its own, as in service; this one plays the terminal, knows the keys, and
//! looks for them in the other's memory.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
#![cfg(target_os = "linux")]

mod memory;

use std::path::Path;

use hsm::{
    Client, Hsm, KeyBlock,
    commands::{
        AnswerHello, Held, HelloFlow, HelloSecret, Hole, ImportLoaded, ImportZoneKey, Imported, MacItem,
        MakeWorkingKeysEc, OpenTmsEc, OpenTmsSessionEc, Peer, PinFormat, PinTranslation, SealTmsEc,
        TerminalMacs, TmkWantedEc, TranslatePins,
    },
};
use keyblock::{Algorithm, Exportability, Header, Kbpk, Mode, Usage, Version};
use keyferry_hsm_soft::{
    Offline,
    components::{self, Ceremony, Component, Target},
};
use memory::{PASSPHRASE, Process, connect};
use paycrypto::{
    AesKey, digest,
    ec::{
        AgreementKey, Nonces, PublicPoint, Schedule, SharedSecret, StaticSecret,
        blocks::{self, LoadCounter},
        keys::{Dmk, Mak, Pik, Tmk},
    },
};
use pinblock::{Format4Key, Pan, Pin};
use zeroize::Zeroizing;

const OWNER: &str = "ACQ";
const PAD: &str = "SN-1001";
const PLACE: &str = "SN-1001/03";
const SIGN_IN: &[u8] = b"a sign-in of suite 02";

/// A terminal's key and nonce for one run.
struct Run {
    key: AgreementKey,
    nonce: [u8; 32],
}

/// A run that both sides have the keys of.
struct Agreed {
    schedule: Schedule,
    z: SharedSecret,
    ticket: Vec<u8>,
    /// The first three frames, the third without and with its confirmation.
    said: Vec<u8>,
    transcript: Vec<u8>,
    confirmation: [u8; 32],
}

impl Run {
    fn new() -> Self {
        Self { key: AgreementKey::generate().unwrap(), nonce: [0x22; 32] }
    }

    fn fields(point: &[u8], nonce: &[u8]) -> Vec<u8> {
        [&[0xDF, 0x13, 0x41], point, &[0xDF, 0x14, 0x20], nonce].concat()
    }

    /// TMS_HELLO to TMS_PROOF, with nothing in them but what matters here.
    async fn agree(&self, hsm: &Client, held: KeyBlock, dmk: &Dmk) -> Agreed {
        let fields = Self::fields(self.key.public(), &self.nonce);
        let hello = [&[0, 105, 1, 0x31], fields.as_slice()].concat();
        let command = AnswerHello {
            secret: HelloSecret::Dmk(held),
            flow: HelloFlow::Tms,
            pin_pad: PAD.into(),
            owner: OWNER.into(),
            hello: hello.clone(),
            peer: Peer { point: self.key.public().to_vec(), nonce: self.nonce },
            hole: Hole { before: vec![0, 105, 1, 0x32], after: vec![] },
        };
        let answer = hsm.call(command).await.unwrap();
        let bare = [&[0, 105, 1, 0x32], Self::fields(&answer.point, &answer.nonce).as_slice()].concat();
        let th = |frames: &[&[u8]]| digest::sha256(&[b"KF2E", frames.concat().as_slice()].concat());
        let z = self.key.agree(&PublicPoint::from_bytes(&answer.point).unwrap()).unwrap();
        let nonces = Nonces { opener: &self.nonce, answerer: &answer.nonce };
        let th12 = th(&[&hello, &bare]);
        let schedule = Schedule::new(&StaticSecret::TmsSession(dmk), &z, &nonces, &th12);
        let field = [&[0xDF, 0x15, 0x20], answer.confirmation.as_slice()].concat();
        let challenge = [&[0, 140, 1, 0x32], &bare[4..], &field].concat();
        let said = [hello.as_slice(), &challenge, &[0, 2, 1, 0x33]].concat();
        let confirmation = schedule.terminal_confirm().confirm(&th(&[&said]));
        let proof = [&[0, 37, 1, 0x33, 0xDF, 0x15, 0x20], confirmation.as_slice()].concat();
        let transcript = [hello, challenge, proof].concat();
        Agreed { schedule, z, ticket: answer.ticket, said, transcript, confirmation }
    }
}

async fn imported(hsm: &Client, import: ImportLoaded) -> KeyBlock {
    let imported = hsm.call(import).await.unwrap();
    if let Imported::KeyEc(held) = imported { Some(held.block) } else { None }.unwrap()
}

fn context(said: &[u8]) -> [u8; 16] {
    digest::sha256(said)[..16].try_into().unwrap()
}

#[tokio::test]
async fn r18_no_key_of_a_session_or_a_sign_in_is_left_when_the_commands_are_done() {
    let folder = tempfile::tempdir().unwrap();
    let process = Process::start(folder.path());
    let hsm = connect(&folder.path().join("hsm.sock")).await;
    let (owner, pin_pad) = (|| OWNER.to_owned(), || PAD.to_owned());
    let (under, exchange) = entered(&folder.path().join("hsm"), Target::ExchangeAes);

    // TMK and DMK come from a KLD.
    let (tmk, dmk) = (Tmk::generate().unwrap(), Dmk::generate().unwrap());
    let import = |what, usage, mode, place: &str, key: &[u8]| {
        let usage = Usage::parse(usage).unwrap();
        let header = Header::new(Version::D, usage, Algorithm::AES, mode, Exportability::NOT_EXPORTABLE);
        let header = header.with_optional("10", place).unwrap();
        let block = Kbpk::new(Version::D, exchange.expose()).unwrap().wrap(&header, key).unwrap();
        ImportLoaded { under: under.clone(), block, pin_pad: pin_pad(), what, owner: owner() }
    };
    let held = Held::Tmk { slot: 3 };
    let tmk_block = imported(&hsm, import(held, "K1", Mode::BOTH, PLACE, tmk.expose())).await;
    let dmk_import = import(Held::Dmk, "11", Mode::NO_RESTRICTION, "SN-1001/00", dmk.expose());
    let dmk_block = imported(&hsm, dmk_import).await;

    // E: a session, another TMK, a message each way.
    let e = Run::new().agree(&hsm, dmk_block, &dmk).await;
    let open = OpenTmsSessionEc {
        ticket: e.ticket.clone(),
        confirmation: e.confirmation,
        said: e.said.clone(),
        transcript: e.transcript.clone(),
        pin_pad: pin_pad(),
        owner: owner(),
        t_data: [1; 10],
        s_data: [0x81; 10],
        operator: None,
        tmk: Some(TmkWantedEc { slot: 3, counter: 1, pending: None, avoid: vec![] }),
    };
    let session = hsm.call(open).await.unwrap();
    let second = session.tmk.unwrap();
    let stored = LoadCounter::NONE;
    let opened =
        blocks::unwrap_tmk(&e.schedule.kbpk(), &second.wrapped, PLACE, &context(&e.transcript), stored);
    let second: Tmk = opened.unwrap().0;
    let sealed = e.schedule.frame_terminal().sealing(0).unwrap().seal(b"an inventory").unwrap();
    let session = session.session;
    let up = OpenTmsEc { session: session.clone(), pin_pad: pin_pad(), owner: owner(), counter: 0, sealed };
    hsm.call(up).await.unwrap();
    let payload = b"a plan".to_vec();
    hsm.call(SealTmsEc { session, pin_pad: pin_pad(), owner: owner(), counter: 0, payload }).await.unwrap();

    // F: working keys, a MAC, a PIN for an issuer.
    let sign_in = MakeWorkingKeysEc {
        tmk: tmk_block,
        pin_pad: pin_pad(),
        owner: owner(),
        slot: 3,
        transcript: SIGN_IN.to_vec(),
        tdk: false,
        avoid: vec![],
    };
    let keys = hsm.call(sign_in.clone()).await.unwrap();
    let pik: Pik = blocks::unwrap(&tmk, &keys[0].wrapped, PLACE, &context(SIGN_IN)).unwrap();
    let said = [SIGN_IN, keys[0].wrapped.as_bytes()].concat();
    let mak: Mak = blocks::unwrap(&tmk, &keys[1].wrapped, PLACE, &context(&said)).unwrap();
    let data = b"0200 a purchase".to_vec().into();
    let item = MacItem { pin_pad: pin_pad(), slot: 3, mak: keys[1].block.clone(), data, mac: None };
    hsm.call(TerminalMacs { owner: owner(), items: vec![item] }).await.unwrap();
    let (zone_key, zone) = zone_key(&hsm, &folder.path().join("hsm")).await;
    let (pan, pin) = (Pan::new("4012345678909").unwrap(), Pin::new("739105286431").unwrap());
    let pin_block = pinblock::encode_format4(&pin, &pan, &Format4Key::new(pik.expose()).unwrap()).unwrap();
    let item = PinTranslation {
        pin_pad: pin_pad(),
        slot: 3,
        pik: keys[0].block.clone(),
        zone: "ISSUER-2".into(),
        zone_key,
        from: PinFormat::Iso4,
        to: PinFormat::Iso4,
        block: pin_block.to_vec().into(),
        pan: "4012345678909".to_owned().into(),
    };
    let translated = hsm.call(TranslatePins { owner: owner(), items: vec![item; 256] }).await.unwrap();
    assert!(translated.iter().all(Result::is_ok));

    // What it was told last and need not hide is found. So the search works.
    hsm.call(sign_in).await.unwrap();
    assert!(!process.find(SIGN_IN).is_empty(), "the search finds nothing at all");
    // A schedule's PRK stands behind the flow's letter.
    let prk = e.schedule.keep();
    for (name, secret) in [
        ("Z", &e.z.expose()[..16]),
        ("PRK", &prk[1..17]),
        ("DMK", &dmk.expose()[..16]),
        ("TMK", tmk.expose()),
        ("the TMK of flow E", second.expose()),
        ("PIK", pik.expose()),
        ("MAK", mak.expose()),
        ("exchange key", &exchange.expose()[..16]),
        ("zone key", &zone.expose()[..16]),
        ("PIN", b"739105286431"),
        ("PIN's digits", &[7, 3, 9, 1, 0, 5, 2, 8, 6, 4, 3, 1]),
    ] {
        let places = process.find(secret);
        assert!(places.is_empty(), "{name} is still there: {places:#?}");
    }
}

/// An issuer's AES key, under the LMK and in clear.
async fn zone_key(hsm: &Client, folder: &Path) -> (KeyBlock, AesKey) {
    let algorithm = hsm::commands::ZoneAlgorithm::Aes;
    let (under, master) = entered(folder, Target::ZoneMaster { algorithm });
    let zone = AesKey::generate32().unwrap();
    let header = Header::new(
        Version::D,
        Usage::PIN_ENCRYPTION,
        Algorithm::AES,
        Mode::ENCRYPT,
        Exportability::NOT_EXPORTABLE,
    );
    let block = Kbpk::new(Version::D, master.expose()).unwrap().wrap(&header, zone.expose()).unwrap();
    let import = ImportZoneKey { under, block, owner: OWNER.into(), zone: "ISSUER-2".into() };
    (hsm.call(import).await.unwrap().block, zone)
}

/// Two people enter an AES key, in this process.
fn entered(folder: &Path, target: Target) -> (KeyBlock, AesKey) {
    let hsm = Offline::open(folder, PASSPHRASE).unwrap();
    let ceremony =
        Ceremony { name: "KLD-7".into(), owner: OWNER.into(), session: "S1".into(), of: 2, target };
    let typed = [(); 2].map(|()| AesKey::generate32().unwrap());
    let blocks: Vec<_> = (1..)
        .zip(["Ada", "Grace"])
        .zip(&typed)
        .map(|((part, person), key)| {
            let clear = Zeroizing::new(key.expose().to_vec());
            let component = Component { part, person: person.into(), clear, check_value: key.kcv() };
            components::enter(&hsm, &ceremony, &component).unwrap()
        })
        .collect();
    let sum: Vec<u8> = typed[0].expose().iter().zip(typed[1].expose()).map(|(a, b)| a ^ b).collect();
    let key = AesKey::from_bytes(&sum).unwrap();
    (components::combine(&hsm, &ceremony, &blocks, key.kcv()).unwrap().block, key)
}
