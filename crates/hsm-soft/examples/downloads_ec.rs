//! How many downloads of suite 02 the software HSM answers in a second, without its socket, and that a stranger costs it
//! what a terminal does.
//!
//! `cargo run --release -p keyferry-hsm-soft --example downloads_ec`

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a measurement fails by panicking and prints"
)]

use std::time::{Duration, Instant};

use hsm::commands::{
    AnswerHello, EcKeyKind, HelloFlow, HelloSecret, Hole, MakeEcKey, OpenCollectedEc, Peer, ReleaseTmkEc,
    Reply, Request,
};
use keyferry_hsm_soft::{Duty, SoftHsm, create};
use paycrypto::{
    digest,
    ec::{AgreementKey, CollectInfo, Nonces, PublicPoint, Schedule, StaticSecret, Tk},
};

const PASSPHRASE: &str = "only for measuring";
const OWNER: &str = "ACQ";
const PAD: &str = "SN-1";
/// COLLECT, of which only the digest counts.
const COLLECT: &[u8] = &[0, 0];
/// Frames up to the terminal's proof, of which only the digest counts.
const SAID: &[u8] = b"frames";
const NONCE: [u8; 32] = [5; 32];
/// Runs of each kind, in turn.
const RUNS: u32 = 5_000;

fn main() {
    let folder = tempfile::tempdir().unwrap();
    create(folder.path(), PASSPHRASE).unwrap();
    let hsm = SoftHsm::open(folder.path(), PASSPHRASE, vec![]).unwrap().on_duty(Duty::Laboratory);
    let tk = Tk::generate().unwrap();
    let terminal = collected(&hsm, &tk);
    let side = AgreementKey::generate().unwrap();

    let (mut known, mut strange, mut released) = (Duration::ZERO, Duration::ZERO, Duration::ZERO);
    let mut stranger = || {
        let ask = Request::AnswerHello(hello(&side, HelloSecret::Stranger));
        let start = Instant::now();
        hsm.handle(ask).unwrap();
        strange += start.elapsed();
    };
    for number in 0..RUNS {
        // Before and behind the terminal in turn: what was done just before is in the caches.
        if number % 2 == 0 {
            stranger();
        }
        let ask = hello(&side, terminal.clone());
        let request = Request::AnswerHello(ask.clone());
        let start = Instant::now();
        let Ok(Reply::AnswerHello(answer)) = hsm.handle(request) else { panic!("refused") };
        known += start.elapsed();
        if number % 2 == 1 {
            stranger();
        }

        let challenge = [[0, 105, 1, 2].as_slice(), &fields(&answer.point, &answer.nonce)].concat();
        let z = side.agree(&PublicPoint::from_bytes(&answer.point).unwrap()).unwrap();
        let nonces = Nonces { opener: &NONCE, answerer: &answer.nonce };
        let run = Schedule::new(&StaticSecret::TmkDownload(&tk), &z, &nonces, &th(&[&ask.hello, &challenge]));
        let release = Request::ReleaseTmkEc(ReleaseTmkEc {
            ticket: answer.ticket,
            confirmation: run.terminal_confirm().confirm(&th(&[SAID])),
            said: SAID.to_vec(),
            transcript: SAID.to_vec(),
            pin_pad: PAD.into(),
            owner: OWNER.into(),
            slot: 3,
            counter: 1,
            pending: None,
            avoid: vec![],
        });
        let start = Instant::now();
        hsm.handle(release).unwrap();
        released += start.elapsed();
    }
    for (what, taken) in
        [("answers to a terminal", known), ("answers to a stranger", strange), ("TMKs released", released)]
    {
        let each = taken.as_secs_f64() / f64::from(RUNS);
        println!("{what}: {:.1} microseconds each, {:.0} a second", each * 1e6, 1.0 / each);
    }
}

/// The terminal's TK, as it comes in.
fn collected(hsm: &SoftHsm, tk: &Tk) -> HelloSecret {
    let (kind, subject) = (EcKeyKind::KmsAgreement, "measured".into());
    let make = Request::MakeEcKey(MakeEcKey { kind, subject, owner: OWNER.into() });
    let Ok(Reply::MakeEcKey(work)) = hsm.handle(make) else { panic!("no key") };
    let info = CollectInfo::new(COLLECT, PAD, PAD, 1);
    let collected = OpenCollectedEc {
        work_key: work.private,
        collect: COLLECT.to_vec(),
        sn: PAD.into(),
        pin_pad: PAD.into(),
        generation: 1,
        df09: tk.seal(&PublicPoint::from_spki(&work.public).unwrap(), &info).unwrap(),
        owner: OWNER.into(),
    };
    match hsm.handle(Request::OpenCollectedEc(collected)) {
        Ok(Reply::OpenCollectedEc(blocks)) => HelloSecret::Tk(blocks),
        other => panic!("{other:?}"),
    }
}

fn hello(side: &AgreementKey, secret: HelloSecret) -> AnswerHello {
    AnswerHello {
        secret,
        flow: HelloFlow::Download,
        pin_pad: PAD.into(),
        owner: OWNER.into(),
        hello: [[0, 105, 1, 1].as_slice(), &fields(side.public(), &NONCE)].concat(),
        peer: Peer { point: side.public().to_vec(), nonce: NONCE },
        hole: Hole { before: vec![0, 105, 1, 2], after: vec![] },
    }
}

/// DF13 and DF14.
fn fields(point: &[u8], nonce: &[u8; 32]) -> Vec<u8> {
    [&[0xDF, 0x13, 0x41], point, &[0xDF, 0x14, 0x20], nonce].concat()
}

fn th(frames: &[&[u8]]) -> [u8; 32] {
    digest::sha256(&[b"KF2A".as_slice(), &frames.concat()].concat())
}
