//! Somebody on the line who holds no key.

use wire::{ErrorCode, Frame, Malformed, Tag};

use super::{
    assert_protocol,
    fake::{Kms, Pad, device, slot, xor},
};
use crate::tmk_download::{
    Fault, PadRefusal, Reason,
    kms::{ExpectHello, ExpectReply},
    messages::{TkChallenge, TkHello, TkKey, TkReply},
    terminal::{ExpectChallenge, ExpectKey, Start},
};

fn hello(pad: &mut Pad) -> (Frame, ExpectChallenge) {
    Start::new(device(), slot()).begin(pad).unwrap()
}

fn challenge(kms: &mut Kms, hello: &Frame) -> (Frame, ExpectReply) {
    let hello = ExpectHello::new().on_frame(hello).unwrap();
    kms.challenge(hello)
}

/// Runs both roles up to the point where TK_KEY is to come; gives all frames so far.
fn until_key(pad: &mut Pad, kms: &mut Kms) -> (ExpectKey, Frame, [Frame; 3]) {
    let (hello, terminal) = hello(pad);
    let (challenge, server) = challenge(kms, &hello);
    let (reply, terminal) = terminal.on_frame(pad, &challenge).unwrap();
    let (key, _) = kms.deliver(server.on_frame(&reply).unwrap()).unwrap();
    (terminal, key, [hello, challenge, reply])
}

#[track_caller]
fn assert_key_refused(result: Result<(Frame, crate::tmk_download::terminal::ExpectDone), Fault>, why: &str) {
    let fault = result.unwrap_err();
    assert_eq!(fault.reason, Reason::Pad(PadRefusal::KeyRefused { why: why.into() }));
    assert_eq!(fault.code, ErrorCode::KeyRefused);
}

#[test]
fn challenge_reflected_to_the_terminal_is_refused() {
    // The attacker has Rnd1 and wants E(AUK, Rnd1). It lets the terminal begin anew and gives it the old Rnd1 as Rnd2.
    let mut pad = Pad::new();
    let (first, _) = hello(&mut pad);
    let rnd1 = <TkHello>::read(&first).unwrap().opening.0;
    let (_, terminal) = hello(&mut pad);
    let reflected = TkChallenge { crnd1: [0; 8], rnd2: rnd1 }.write().unwrap();
    let fault = terminal.on_frame(&mut pad, &reflected).unwrap_err();
    assert_protocol(&fault, &Malformed::TopBit { tag: Tag::RND2 }.into());
    assert_eq!(fault.code, ErrorCode::Malformed);
    assert_eq!(pad.calls, ["start", "start"], "the PIN pad was asked for no answer");
}

#[test]
fn challenge_reflected_to_the_kms_is_refused() {
    // The attacker was given Rnd2 and wants E(AUK, Rnd2). It says hello again with that as Rnd1.
    let mut kms = Kms::new();
    let (frame, _) = challenge(&mut kms, &hello(&mut Pad::new()).0);
    let rnd1 = TkChallenge::read(&frame).unwrap().rnd2;
    let mut hello = wire::Fields::new();
    hello.push(Tag::SUITE, &[wire::Suite::TDES.byte()]).unwrap();
    hello.push_device(&device()).unwrap();
    hello.push(Tag::SLOT, &[slot().index()]).unwrap();
    hello.push(Tag::RND1, &rnd1).unwrap();
    let hello = wire::Frame::new(wire::MessageType::TkHello, &hello).unwrap();
    let fault = ExpectHello::new().on_frame(&hello).unwrap_err();
    assert_protocol(&fault, &Malformed::TopBit { tag: Tag::RND1 }.into());
    assert_eq!(fault.code, ErrorCode::Malformed);
}

#[test]
fn replayed_challenge_proves_nothing() {
    let (mut pad, mut kms) = (Pad::new(), Kms::new());
    let (_, _, [_, old, _]) = until_key(&mut pad, &mut kms);
    let (_, terminal) = hello(&mut pad);
    let fault = terminal.on_frame(&mut pad, &old).unwrap_err();
    assert_eq!(fault.reason, Reason::Pad(PadRefusal::ServerNotProven));
    assert_eq!(fault.code, ErrorCode::ServerAuthenticationFailed);
}

#[test]
fn replayed_hello_and_reply_get_no_key() {
    let mut kms = Kms::new();
    let (_, _, [old_hello, _, old_reply]) = until_key(&mut Pad::new(), &mut kms);
    let (_, server) = challenge(&mut kms, &old_hello);
    let fault = kms.deliver(server.on_frame(&old_reply).unwrap()).unwrap_err();
    assert_eq!((fault.code, fault.reason), (ErrorCode::TerminalAuthenticationFailed, Reason::WrongCrnd2));
}

#[test]
fn replayed_key_is_refused() {
    let (mut pad, mut kms) = (Pad::new(), Kms::new());
    let (_, old_key, _) = until_key(&mut pad, &mut kms);
    let (terminal, _, _) = until_key(&mut pad, &mut kms);
    assert_key_refused(terminal.on_frame(&mut pad, &old_key), "context");
    assert_eq!(pad.disk, None);
}

#[test]
fn key_for_another_place_is_refused() {
    let (mut pad, mut kms) = (Pad::new(), Kms::new());
    let (terminal, key, _) = until_key(&mut pad, &mut kms);
    let block = TkKey::read::<crate::Tdes>(&key).unwrap().block.replace("/03", "/04");
    assert_key_refused(
        terminal.on_frame(&mut pad, &TkKey { block }.write::<crate::Tdes>().unwrap()),
        "place",
    );
}

#[test]
fn hello_changed_on_the_way_makes_a_key_that_the_terminal_refuses() {
    // The attacker turns the slot: both sides authenticate, and the transcripts differ.
    let (mut pad, mut kms) = (Pad::new(), Kms::new());
    let (sent, terminal) = hello(&mut pad);
    let mut changed = <TkHello>::read(&sent).unwrap();
    changed.suite = wire::Suite::TDES;
    changed.slot = wire::Slot::new(4).unwrap();
    let (challenge, server) = challenge(&mut kms, &changed.write().unwrap());
    let (reply, terminal) = terminal.on_frame(&mut pad, &challenge).unwrap();
    let (key, _) = kms.deliver(server.on_frame(&reply).unwrap()).unwrap();
    let right_place = TkKey::read::<crate::Tdes>(&key).unwrap().block.replace("/04", "/03");
    assert_key_refused(
        terminal.on_frame(&mut pad, &TkKey { block: right_place }.write::<crate::Tdes>().unwrap()),
        "context",
    );
}

#[test]
fn field_that_nobody_reads_still_changes_the_context() {
    // Skipped does not mean unprotected: the bytes are in the digest.
    let (mut pad, mut kms) = (Pad::new(), Kms::new());
    let (sent, terminal) = hello(&mut pad);
    let more = Frame::from_payload(&[sent.payload(), &[0xDF, 0x7F, 0]].concat()).unwrap();
    let (challenge, server) = challenge(&mut kms, &more);
    let (reply, terminal) = terminal.on_frame(&mut pad, &challenge).unwrap();
    let (key, _) = kms.deliver(server.on_frame(&reply).unwrap()).unwrap();
    assert_key_refused(terminal.on_frame(&mut pad, &key), "context");
}

#[test]
fn stranger_is_led_through_the_same_steps_with_frames_of_the_same_form() {
    let mut kms = Kms::new();
    let known = ExpectHello::new().on_frame(&hello(&mut Pad::new()).0).unwrap();
    let unknown = ExpectHello::new().on_frame(&hello(&mut Pad::new()).0).unwrap();
    let (right, _) = kms.challenge(known);
    let (made_up, server) = unknown.challenge([0x5A; 8], [0xC3; 8]).unwrap();
    assert_eq!(right.bytes().len(), made_up.bytes().len());
    let reply = server.on_frame(&TkReply { crnd2: xor([0xC3; 8]) }.write().unwrap()).unwrap();
    let fault = reply.wrong_crnd2();
    let unknown = Fault::from(Reason::UnknownTerminal { sn: device().sn().clone() });
    let pair =
        Fault::from(Reason::WrongPinPad { sn: device().sn().clone(), pin_pad: device().pin_pad().clone() });
    assert_eq!(fault.answer(), unknown.answer());
    assert_eq!(fault.answer(), pair.answer());
}
