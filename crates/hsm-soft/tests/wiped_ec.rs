//! What the HSM's process has in memory after a run of suite 02: neither the keys it gave, nor what they were derived
//! from. Forward secrecy is worth nothing where Z stays behind.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
#![cfg(target_os = "linux")]

mod memory;

use hsm::{
    Hsm,
    commands::{
        Acknowledge, AnswerFactor, AnswerHello, BeginRks, EcKeyKind, HelloFlow, HelloSecret, Hole, LoadEc,
        LoadTerminalEc, MakeDik1Ec, MakeEcKey, OpenCollectedEc, OpenLoading, Peer, ReleaseRksKeysEc,
        ReleaseTmkEc, RksKeyKind, RksWantedEc,
    },
};
use memory::{Process, connect};
use paycrypto::{
    digest,
    ec::{
        AgreementKey, CollectInfo, FactorKey, LoadedKey, Nonces, PublicPoint, Schedule, StaticSecret, Tk,
        blocks::{self, LoadCounter},
        keys::{Dik2, Mak},
    },
};

const OWNER: &str = "ACQ";
const PAD: &str = "SN-1001";
const FACTOR: &[u8] = b"KLD-7/20261120/B042";
/// Frames that say nothing but how they begin.
const SAID: &[u8] = b"frames of this run";

/// A terminal's side of one run.
struct Side {
    key: AgreementKey,
    nonce: [u8; 32],
}

impl Side {
    fn new(nonce: u8) -> Self {
        Self { key: AgreementKey::generate().unwrap(), nonce: [nonce; 32] }
    }

    fn peer(&self) -> Peer {
        Peer { point: self.key.public().to_vec(), nonce: self.nonce }
    }

    fn frame(&self) -> Vec<u8> {
        frame(self.key.public(), &self.nonce)
    }

    /// Z, in a place of this process.
    fn z(&self, point: &[u8]) -> paycrypto::ec::SharedSecret {
        self.key.agree(&PublicPoint::from_bytes(point).unwrap()).unwrap()
    }
}

#[tokio::test]
async fn r18_tk_tmk_z_and_the_run_are_gone_after_a_download() {
    let folder = tempfile::tempdir().unwrap();
    let process = Process::start(folder.path());
    let hsm = connect(&folder.path().join("hsm.sock")).await;
    let (owner, pin_pad) = (|| OWNER.to_owned(), || PAD.to_owned());
    let make = MakeEcKey { kind: EcKeyKind::KmsAgreement, subject: "KMS".into(), owner: owner() };
    let kms = hsm.call(make).await.unwrap();
    let tk = Tk::generate().unwrap();
    let info = CollectInfo::new(&[0, 0], PAD, PAD, 1);
    let collected = OpenCollectedEc {
        work_key: kms.private,
        collect: vec![0, 0],
        sn: pin_pad(),
        pin_pad: pin_pad(),
        generation: 1,
        df09: tk.seal(&PublicPoint::from_spki(&kms.public).unwrap(), &info).unwrap(),
        owner: owner(),
    };
    let blocks = hsm.call(collected).await.unwrap();

    let side = Side::new(1);
    let hello = AnswerHello {
        secret: HelloSecret::Tk(blocks),
        flow: HelloFlow::Download,
        pin_pad: pin_pad(),
        owner: owner(),
        hello: side.frame(),
        peer: side.peer(),
        hole: hole(),
    };
    let answer = hsm.call(hello).await.unwrap();
    let z = side.z(&answer.point);
    let th12 = th(b'A', &[side.frame(), frame(&answer.point, &answer.nonce)].concat());
    let nonces = Nonces { opener: &side.nonce, answerer: &answer.nonce };
    let run = Schedule::new(&StaticSecret::TmkDownload(&tk), &z, &nonces, &th12);
    let release = ReleaseTmkEc {
        ticket: answer.ticket,
        confirmation: run.terminal_confirm().confirm(&th(b'A', SAID)),
        said: SAID.to_vec(),
        transcript: SAID.to_vec(),
        pin_pad: pin_pad(),
        owner: owner(),
        slot: 3,
        counter: 1,
        pending: None,
        avoid: vec![],
    };
    let released = hsm.call(release).await.unwrap();
    let key = &released.keys[0];
    let opened =
        blocks::unwrap_tmk(&run.kbpk(), &key.wrapped, "SN-1001/03", &context(SAID), LoadCounter::NONE);
    let tmk = opened.unwrap().0;
    let loaded = [LoadedKey { index: 3, kcv: key.kcv }];
    let receipt = run.receipt_terminal().receipt(&th(b'A', SAID), &loaded);
    let done = Acknowledge {
        ticket: released.ticket,
        said_before_confirm: SAID.to_vec(),
        said_before_done: [SAID, &[0xDF, 0x17, 0x20], &receipt].concat(),
        receipt,
        pin_pad: pin_pad(),
        owner: owner(),
    };
    hsm.call(done).await.unwrap();

    gone(
        &process,
        &[
            ("TEK", tk.tek().expose()),
            ("AUK", tk.auk().expose()),
            ("Z", z.expose()),
            ("PRK", &run.keep()[1..33]),
            ("TMK", tmk.expose()),
        ],
    );
}

#[tokio::test]
async fn r18_dik2_z_and_the_keys_are_gone_after_loading_and_download_from_the_rks() {
    let folder = tempfile::tempdir().unwrap();
    let process = Process::start(folder.path());
    let hsm = connect(&folder.path().join("hsm.sock")).await;
    let (owner, pin_pad) = (|| OWNER.to_owned(), || PAD.to_owned());
    let make = |kind| hsm.call(MakeEcKey { kind, subject: "suite 02".into(), owner: owner() });
    let (kld, rks) = (make(EcKeyKind::KldSigning).await.unwrap(), make(EcKeyKind::RksSigning).await.unwrap());
    let dik1 = hsm.call(MakeDik1Ec { owner: owner(), label: "batch".into() }).await.unwrap().block;

    // Flow B: DIK2 goes into the device.
    let side = Side::new(1);
    let opened = hsm.call(OpenLoading { owner: owner() }).await.unwrap();
    let connect = frame(&opened.point, &opened.nonce);
    let load = LoadTerminalEc {
        ticket: opened.ticket,
        work_key: kld.private,
        pin_pad: pin_pad(),
        owner: owner(),
        peer: side.peer(),
        connect: connect.clone(),
        accept: side.frame(),
        accept_bare: side.frame(),
        load: LoadEc::Dik2 { dik1: dik1.clone(), dsn: pin_pad(), factor: Some(FACTOR.to_vec()) },
        escrow_under: None,
    };
    let loaded = hsm.call(load).await.unwrap();
    let z_b = side.z(&opened.point);
    let said = [connect, side.frame()].concat();
    let nonces = Nonces { opener: &opened.nonce, answerer: &side.nonce };
    let run_b = Schedule::new(&StaticSecret::LocalLoad, &z_b, &nonces, &th(b'B', &said));
    let dik2: Dik2 = blocks::unwrap(&run_b.kbpk(), &loaded.wrapped, "SN-1001/00", &context(&said)).unwrap();

    // Flow C: the device gets a key.
    let side = Side::new(2);
    let begin = BeginRks {
        work_key: rks.private,
        owner: owner(),
        pin_pad: pin_pad(),
        auth: side.frame(),
        peer: side.peer(),
        hole: hole(),
    };
    let begun = hsm.call(begin).await.unwrap();
    let z_c = side.z(&begun.point);
    let th12 = th(b'C', &[side.frame(), frame(&begun.point, &begun.nonce)].concat());
    let nonces = Nonces { opener: &side.nonce, answerer: &begun.nonce };
    let factor = AnswerFactor {
        ticket: begun.ticket,
        df19: FactorKey::derive(&z_c, &nonces, &th12).seal(FACTOR).unwrap(),
        dik1: Some(dik1),
        dsn: pin_pad(),
        pin_pad: pin_pad(),
        owner: owner(),
        factor_digest: Some(digest::sha256(FACTOR)),
        said: SAID.to_vec(),
    };
    let answer = hsm.call(factor).await.unwrap();
    let run_c = Schedule::new(&StaticSecret::RksLoad(&dik2), &z_c, &nonces, &th12);
    let wanted = RksWantedEc { slot: 3, kind: RksKeyKind::Mak, counter: None, pending: None, avoid: vec![] };
    let release = ReleaseRksKeysEc {
        ticket: answer.ticket,
        confirmation: run_c.terminal_confirm().confirm(&th(b'C', SAID)),
        said: SAID.to_vec(),
        transcript: SAID.to_vec(),
        pin_pad: pin_pad(),
        owner: owner(),
        wanted: vec![wanted],
    };
    let released = hsm.call(release).await.unwrap();
    let wrapped = &released.keys[0].wrapped;
    let mak: Mak = blocks::unwrap(&run_c.kbpk(), wrapped, "SN-1001/03", &context(SAID)).unwrap();

    gone(
        &process,
        &[
            ("DIK2", dik2.expose()),
            ("Z of flow B", z_b.expose()),
            ("PRK of flow B", &run_b.keep()[1..33]),
            ("Z of flow C", z_c.expose()),
            ("PRK of flow C", &run_c.keep()[1..33]),
            ("MAK", mak.expose()),
        ],
    );
}

/// Looks for each secret; half a key is as bad as a whole one.
fn gone(process: &Process, secrets: &[(&str, &[u8])]) {
    // What it was told and need not hide is found. So the search works.
    assert!(!process.find(SAID).is_empty(), "the search finds nothing at all");
    for (name, secret) in secrets {
        let places = process.find(&secret[..16]);
        assert!(places.is_empty(), "{name} is still there: {places:#?}");
    }
}

fn hole() -> Hole {
    Hole { before: vec![0, 105, 1, 2], after: vec![] }
}

fn frame(point: &[u8], nonce: &[u8; 32]) -> Vec<u8> {
    [&[0, 105, 1, 2, 0xDF, 0x13, 0x41], point, &[0xDF, 0x14, 0x20], nonce].concat()
}

fn th(letter: u8, frames: &[u8]) -> [u8; 32] {
    digest::sha256(&[b"KF2", [letter].as_slice(), frames].concat())
}

fn context(said: &[u8]) -> [u8; 16] {
    digest::sha256(said)[..16].try_into().unwrap()
}
