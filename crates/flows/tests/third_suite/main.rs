//! Another suite means other files, not other roles: a suite that the product does not have, with parts as large as
//! ML-KEM-768 makes them, runs through every role of every flow as it stands.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails, as it should")]

mod pad;
mod suite;

use keyferry_flows::{
    Chain, Suite as _,
    collect::{CollectKey, Collected, station, terminal as collected},
    local_load::{kld, terminal as loaded},
    rks_load::{device, rks},
    sign_in::{host, messages::Mac, terminal as sign_in},
    suite::{Confirmation, Receipt, asked},
    tmk_download::{kms, terminal as download},
    tms_session::{
        messages::{Identification, Transaction},
        terminal as session, tms,
    },
};
use wire::{Device, ErrorCode, Frame, SData, Serial, Slot};

use pad::{Pad, half};
use suite::{CIPHERTEXT, Encapsulate, Encapsulated, KEY, Later, ProvenBlock, kcv, toy};

const BLOCK: &str = "a key block";

fn the_device() -> Device {
    Device::built_in(Serial::parse("SN-1").unwrap())
}

fn slot() -> Slot {
    Slot::new(3).unwrap()
}

fn chain() -> Chain {
    Chain { leaf: vec![0x30, 0], intermediates: Vec::new() }
}

fn answer(said: &[u8]) -> Encapsulated {
    Encapsulated { ciphertext: vec![8; CIPHERTEXT], proof: Confirmation(toy("server", said)) }
}

/// Downloads; what the KMS answers is changed on its way by `change`.
fn downloaded(change: impl Fn(&mut Encapsulated)) -> Result<Pad, ErrorCode> {
    let mut pad = Pad::default();
    let (hello, terminal) = download::Start::<Later>::of(the_device(), slot()).begin(&mut pad).unwrap();
    assert_eq!(asked(&hello), Later::ID);
    let server = kms::ExpectHello::new().on_frame_of::<Later>(&hello).unwrap();
    assert_eq!(server.opening(), &Encapsulate(vec![7; KEY]));
    let mut challenge = answer(server.said().bytes());
    change(&mut challenge);
    let (challenge, server) = server.answer(challenge).unwrap();
    let (reply, terminal) = terminal.on_frame(&mut pad, &challenge).map_err(|fault| fault.code)?;
    let reply = server.on_frame(&reply).unwrap();
    assert_eq!(reply.reply().0, toy("terminal", reply.said_before().bytes()));
    let (key, server) = reply.deliver(BLOCK, kcv()).unwrap();
    let (confirm, terminal) = terminal.on_frame(&mut pad, &key).unwrap();
    let told = server.on_frame(&confirm).unwrap();
    assert_eq!(told.told().0, toy("receipt t", told.said_before().bytes()));
    let done = Receipt(toy("receipt s", told.said().bytes()));
    terminal.on_frame(&mut pad, &told.acknowledged(done).done().unwrap()).unwrap();
    Ok(pad)
}

#[test]
fn a_later_suite_downloads_by_the_roles_as_they_are() {
    assert_eq!(downloaded(|_| ()).unwrap().kept, 1);
    let refused = downloaded(|challenge| challenge.proof.0[0] ^= 1).unwrap_err();
    assert_eq!(refused, ErrorCode::ServerAuthenticationFailed);
}

#[test]
fn a_later_suite_is_collected_by_the_roles_as_they_are() {
    let key = CollectKey::from(chain());
    let nonce = Encapsulate(vec![7; KEY]);
    let (collect, at_station) = station::Start::<Later>::of(key, nonce, CIPHERTEXT).begin().unwrap();
    let ask = collected::Ask::<Later>::read(&collect).unwrap();
    let answer = Collected::<Later> {
        device: the_device(),
        vendor: None,
        model: None,
        ctk_pu: vec![8; CIPHERTEXT],
        maker: Confirmation(toy("terminal", ask.frame().bytes())),
        refusals: Vec::new(),
    };
    let frame = ask.answer(&answer).unwrap();
    assert_eq!(at_station.on_frame(&frame).unwrap(), answer);
}

#[test]
fn a_later_suite_loads_by_cable_by_the_roles_as_they_are() {
    let mut pad = Pad::default();
    let (connect, loader) = kld::Start::<Later>::of(chain(), Encapsulate(vec![7; KEY])).begin().unwrap();
    let heard = loaded::Connect::<Later>::read_of(&connect).unwrap();
    let (accept, terminal) = heard.accept(&mut pad, &the_device(), &()).unwrap();
    let accepted = loader.on_frame(&accept).unwrap();
    assert_eq!(accepted.answer().proof.0, toy("terminal", connect.bytes()));
    let proof = Confirmation(toy("server", accepted.said().bytes()));
    let (key, loader) = accepted.give(&ProvenBlock { block: BLOCK.into(), proof }, kcv()).unwrap();
    let (confirm, terminal) = terminal.on_frame(&mut pad, &key).unwrap();
    let told = loader.on_frame(&confirm).unwrap();
    assert_eq!(told.told().0, toy("receipt t", told.said_before().bytes()));
    let done = Receipt(toy("receipt s", told.said().bytes()));
    terminal.on_frame(&mut pad, &told.acknowledged(done).done().unwrap()).unwrap();
    assert_eq!(pad.kept, 1);
}

#[test]
fn a_later_suite_fetches_keys_by_identity_by_the_roles_as_they_are() {
    let mut pad = Pad::default();
    let (auth, terminal) = device::Start::<Later>::of(the_device(), slot()).begin(&mut pad).unwrap();
    let server = rks::ExpectAuth::new().on_frame_of::<Later>(&auth).unwrap();
    let opening = answer(server.said().bytes());
    let (cert, server) = server.answer(chain(), opening).unwrap();
    let (factor, terminal) = terminal.on_frame(&mut pad, &cert).unwrap().factor(&mut pad, &()).unwrap();
    let server = server.on_frame(&factor).unwrap();
    assert_eq!(server.factor(), &Encapsulate(vec![9; KEY]));
    let token = Confirmation(toy("server", server.said().bytes()));
    let (token, server) = server.answer(&token).unwrap();
    let (proof, terminal) = terminal.on_frame(&mut pad, &token).unwrap();
    let proof = server.on_frame(&proof).unwrap();
    assert_eq!(proof.proof().0, toy("terminal", proof.said_before().bytes()));
    let (keys, server) = proof.deliver(&[(BLOCK.into(), kcv())], false).unwrap();
    let (confirm, terminal) = terminal.on_frame(&mut pad, &keys).unwrap();
    let told = server.on_frame(&confirm).unwrap();
    let done = Receipt(toy("receipt s", told.said().bytes()));
    terminal.on_frame(&mut pad, &told.acknowledged(done).done().unwrap()).unwrap();
    assert_eq!(pad.kept, 1);
}

#[test]
fn a_later_suite_opens_a_session_of_the_tms_by_the_roles_as_they_are() {
    let mut pad = Pad::default();
    let who = Identification {
        vendor: "VENDOR".parse().unwrap(),
        model: "MODEL".parse().unwrap(),
        device: the_device(),
    };
    let transaction = Transaction::KeyDownload { slot: slot() };
    let (hello, terminal) = session::Start::<Later>::of(who, transaction, None).begin(&mut pad).unwrap();
    let server = tms::ExpectHello::new().on_frame_of::<Later>(&hello).unwrap();
    let opening = answer(hello.bytes());
    let (challenge, server) = server.answer(opening, &SData::new([0; 4], None), false).unwrap();
    let (proof, terminal) = terminal.on_frame(&mut pad, &challenge, None).unwrap();
    let proof = server.on_frame(&proof).unwrap();
    assert_eq!(proof.proof().unwrap().0, toy("terminal", proof.said_before().bytes()));
    let heard = Receipt(toy("heard", proof.said().bytes()));
    let (key, server) = proof.load_key(heard, BLOCK, kcv()).unwrap();
    let session::Keyed::Key { confirm, expect } = terminal.on_frame(&mut pad, &key).unwrap() else {
        panic!("a key was wanted")
    };
    let told = server.on_frame(&confirm).unwrap();
    let done = Receipt(toy("receipt s", told.said().bytes()));
    expect.on_frame(&mut pad, &told.acknowledged(done).done().unwrap()).unwrap();
    assert_eq!(pad.kept, 1);
}

#[test]
fn a_later_suite_signs_in_by_the_roles_as_they_are() {
    let mut pad = Pad::default();
    let (said, terminal) = sign_in::Start::<Later>::of(the_device(), slot(), 0).begin(&mut pad).unwrap();
    let server = host::ExpectSignIn::new().on_frame_of::<Later>(&said).unwrap();
    let (keys, server) = server.deliver(&[BLOCK.into(), BLOCK.into()]).unwrap();
    let (confirm, terminal) = terminal.on_frame(&mut pad, &keys).unwrap();
    let confirm = server.on_frame(&confirm).unwrap();
    assert_eq!(confirm.mac(), Mac(half(toy("OK", &pad.said))));
    let done = confirm.done(Mac(half(toy("DONE", &pad.said)))).unwrap();
    terminal.on_frame(&mut pad, &done).unwrap();
    assert_eq!(pad.kept, 1);
}

#[test]
fn no_suite_reads_the_messages_of_another() {
    let mut pad = Pad::default();
    let (hello, _) = download::Start::<Later>::of(the_device(), slot()).begin(&mut pad).unwrap();
    let refused = |frame: &Frame| {
        kms::ExpectHello::new().on_frame(frame).is_err()
            && kms::ExpectHello::new().on_frame_of::<keyferry_flows::EcAes>(frame).is_err()
    };
    assert!(refused(&hello));
}
