//! Both roles in memory, step by step. The cryptography is a toy (`fake`): the real one is tested where it lives.

mod attacks;
mod codes;
mod fake;
mod order;
mod refusals;
mod vectors;

use fake::{Kms, Pad, device, slot};

use super::{
    kms::{Confirm, ExpectHello},
    terminal::Start,
};
use crate::{HasCode, ProtocolError};

#[test]
fn terminal_gets_the_key_that_the_kms_holds() {
    let (mut pad, mut kms) = (Pad::new(), Kms::new());

    let (hello, terminal) = Start::new(device(), slot()).begin(&mut pad).unwrap();
    let asked = ExpectHello::new().on_frame(&hello).unwrap();
    assert_eq!((asked.device(), asked.slot()), (&device(), slot()));

    let (challenge, server) = kms.challenge(asked);
    let (reply, terminal) = terminal.on_frame(&mut pad, &challenge).unwrap();
    let proven = server.on_frame(&reply).unwrap();
    let (key, server) = kms.deliver(proven).unwrap();

    assert_eq!(pad.disk, None);
    let (confirm, terminal) = terminal.on_frame(&mut pad, &key).unwrap();
    assert_eq!(pad.disk, Some(kms.tmk), "the key is on disk before KEY_CONFIRM leaves");

    let Confirm::Opened(confirmed) = server.on_frame(&confirm).unwrap().compare() else {
        panic!("check value is right")
    };
    assert_eq!(confirmed.kcvs(), [kms.kcv()]);
    let finished = terminal.on_frame(&mut pad, &confirmed.done().unwrap()).unwrap();
    assert_eq!((finished.slot(), finished.kcv()), (slot(), kms.kcv()));
    assert_eq!(pad.calls, ["start", "challenge", "key", "done"]);
}

#[test]
fn roles_have_the_same_context_at_every_side() {
    let (mut pad, mut kms) = (Pad::new(), Kms::new());
    let (hello, terminal) = Start::new(device(), slot()).begin(&mut pad).unwrap();
    let (challenge, server) = kms.challenge(ExpectHello::new().on_frame(&hello).unwrap());
    let (reply, _) = terminal.on_frame(&mut pad, &challenge).unwrap();
    let reply = server.on_frame(&reply).unwrap();
    assert_eq!(Some(reply.context()), pad.context());
    assert_eq!((reply.device(), reply.slot(), reply.rnd2()), (&device(), slot(), kms.rnd2));
}

/// The code and text that a fault sends, read back from its frame.
fn answered(fault: &super::Fault) -> wire::ErrorMessage {
    let message = fault.answer().expect("this fault is answered").message().unwrap();
    assert_eq!(message.kind, wire::MessageType::Error);
    wire::ErrorMessage::read(&message.fields)
}

#[track_caller]
fn assert_protocol(fault: &super::Fault, expected: &ProtocolError) {
    assert_eq!(fault.reason.protocol(), Some(expected));
}
