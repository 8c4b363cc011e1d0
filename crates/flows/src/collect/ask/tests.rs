//! Both roles in memory.

use std::{vec, vec::Vec};

use wire::{Device, ErrorCode, Fields, Frame, Malformed, MessageType, Serial, Suite, Tag};

use super::{
    CollectAsk,
    server::{Asked, ExpectAsk, ExpectCollected},
    terminal::{ExpectDone, Offered, Start},
};
use crate::{
    RefusalRecord,
    collect::{CollectKey, Collected, Fault, Reason, terminal::Ask},
    testing::{
        State, assert_malformed, der, every_message_in_every_state, every_reason_has_its_code, why, with,
    },
};

fn device(sn: &str) -> Device {
    Device::built_in(Serial::parse(sn).unwrap())
}

fn key() -> CollectKey {
    CollectKey::Certificate { leaf: der(70), intermediates: vec![der(5)] }
}

fn collected() -> Collected {
    let record = RefusalRecord { check: "lid".into(), reading: "open".into(), when: None };
    Collected {
        device: device("SN-1001"),
        vendor: None,
        model: None,
        ctk_pu: vec![7; 256],
        maker: (),
        refusals: vec![record.fields()],
    }
}

fn until_collect() -> (Offered, ExpectCollected, [Frame; 2]) {
    let (ask, terminal) = Start::new(device("SN-1001")).begin().unwrap();
    let asked = ExpectAsk::new().on_frame(&ask).unwrap();
    let (collect, server) = asked.collect(key(), 256).unwrap();
    (terminal.on_frame(&collect).unwrap(), server, [ask, collect])
}

fn until_done() -> (ExpectDone, Vec<Frame>) {
    let (offered, _, [ask, collect]) = until_collect();
    let (answer, terminal) = offered.answer(&collected()).unwrap();
    (terminal, [ask, collect, answer, crate::Done.write().unwrap()].into())
}

#[test]
fn terminal_that_asks_is_collected() {
    let (ask, terminal) = Start::new(device("SN-1001")).begin().unwrap();
    // Worked out by hand from sections 1 to 3.
    assert_eq!(ask.payload(), b"\x01\x53\xDF\x01\x01\x01\xDF\x02\x07SN-1001");
    let asked = ExpectAsk::new().on_frame(&ask).unwrap();
    assert_eq!((asked.device(), asked.suite()), (&device("SN-1001"), Suite::TDES));
    let (collect, server) = asked.collect(key(), 256).unwrap();
    let offered = terminal.on_frame(&collect).unwrap();
    assert_eq!((offered.ask().key(), offered.ask().suite()), (&key(), Suite::TDES));
    assert_eq!(
        offered.ask().digest(),
        <Ask>::read(&collect).unwrap().digest(),
        "the latch sees no difference"
    );
    let (answer, terminal) = offered.answer(&collected()).unwrap();
    let received = server.on_frame(&answer).unwrap();
    assert_eq!(received.collected(), &collected());
    let (done, kept) = received.done().unwrap();
    assert_eq!(kept, collected());
    terminal.on_frame(&done).unwrap();
}

#[test]
fn latch_gives_the_same_bytes_again() {
    let (offered, _, _) = until_collect();
    let kept = collected().write().unwrap();
    let (again, terminal) = offered.answer_again(kept.clone()).unwrap();
    assert_eq!(again, kept);
    terminal.on_frame(&crate::Done.write().unwrap()).unwrap();
    let (offered, ..) = until_collect();
    let other = Frame::new(MessageType::Done, &Fields::new()).unwrap();
    assert_eq!(offered.answer_again(other).unwrap_err().code, ErrorCode::Internal);
}

fn ask(suite: Suite) -> Asked {
    let frame = CollectAsk { suite, device: device("SN-1001") }.write().unwrap();
    ExpectAsk::new().on_frame(&frame).unwrap()
}

#[test]
fn without_a_window_there_is_0006_and_for_another_suite_the_same() {
    let fault = ask(Suite::TDES).no_window();
    assert_eq!(fault.reason, Reason::NoWindow { sn: "SN-1001".parse().unwrap() });
    assert_eq!(fault.code, ErrorCode::TerminalAuthenticationFailed);
    let other_suite = ask(Suite::EC_AES).collect(key(), 256).unwrap_err();
    assert_eq!(other_suite.answer(), fault.answer());
}

#[test]
fn collected_of_another_device_is_0006() {
    let external = Device::new("SN-1001".parse().unwrap(), Some("PP-7".parse().unwrap())).unwrap();
    for other in [device("SN-1002"), external] {
        let (offered, server, _) = until_collect();
        let (answer, _) = offered.answer(&Collected { device: other, ..collected() }).unwrap();
        let fault = server.on_frame(&answer).unwrap_err();
        assert_eq!(fault.reason, Reason::OtherDevice { asked: "SN-1001".parse().unwrap() });
        assert_eq!(fault.code, ErrorCode::TerminalAuthenticationFailed);
    }
}

#[test]
fn ctk_pu_has_the_length_of_the_modulus_and_opens() {
    let (offered, server, _) = until_collect();
    let (answer, _) = offered.answer(&Collected { ctk_pu: vec![7; 384], ..collected() }).unwrap();
    let fault = server.on_frame(&answer).unwrap_err();
    assert_eq!(fault.reason, Reason::CtkPuLength { expected: 256, found: 384 });
    let (offered, server, _) = until_collect();
    let (answer, _) = offered.answer(&collected()).unwrap();
    let fault = server.on_frame(&answer).unwrap().refused("the TK's hash is wrong".into());
    assert_eq!(fault.code, ErrorCode::Malformed);
    assert!(ask(Suite::TDES).collect(key(), 255).is_err());
}

#[test]
fn refusal_of_the_terminal_reaches_the_server_with_its_records() {
    let (_, server, _) = until_collect();
    let fault = Fault::from(Reason::NotPermitted { why: "lid".into() });
    let error = fault.answer_with_refusals("lid is open", &collected().refusals).unwrap();
    let heard = server.on_frame(&error).unwrap_err();
    let peer = heard.peer_error().unwrap();
    assert_eq!((peer.text.as_str(), &peer.refusals), ("lid is open", &collected().refusals));
    assert_eq!((heard.code, heard.answer()), (ErrorCode::NotPermittedNow, None));
}

#[test]
fn ask_needs_suite_and_serial() {
    let ask_with = |tag, value: Option<&[u8]>| {
        let good: [(Tag, &[u8]); 2] = [(Tag::SUITE, &[1]), (Tag::SERIAL, b"SN-1001")];
        ExpectAsk::new().on_frame(&with(MessageType::CollectAsk, &good, tag, value))
    };
    for tag in [Tag::SUITE, Tag::SERIAL] {
        assert_malformed(ask_with(tag, None), Malformed::MissingField { tag });
    }
    assert_malformed(ask_with(Tag::PIN_PAD_SERIAL, Some(b"SN-1001")), Malformed::PinPadEqualsTerminal);
    assert_eq!(ask_with(Tag::PIN_PAD_SERIAL, Some(b"PP")).unwrap().device().pin_pad().as_str(), "PP");
}

#[test]
fn every_message_is_taken_in_its_state_and_refused_in_every_other() {
    let states = [
        State {
            name: "terminal ExpectCollect",
            expected: MessageType::Collect,
            take: |frame| Start::new(device("SN-1001")).begin().unwrap().1.on_frame(frame).map(drop),
        },
        State {
            name: "terminal ExpectDone",
            expected: MessageType::Done,
            take: |frame| until_done().0.on_frame(frame),
        },
        State {
            name: "server ExpectAsk",
            expected: MessageType::CollectAsk,
            take: |frame| ExpectAsk::new().on_frame(frame).map(drop),
        },
        State {
            name: "server ExpectCollected",
            expected: MessageType::Collected,
            take: |frame| until_collect().1.on_frame(frame).map(drop),
        },
    ];
    every_message_in_every_state(&states, &until_done().1);
}

#[test]
fn reasons_of_the_server_have_their_codes() {
    every_reason_has_its_code::<Reason>([
        (Reason::NoWindow { sn: "SN".parse().unwrap() }, ErrorCode::TerminalAuthenticationFailed),
        (Reason::OtherDevice { asked: "SN".parse().unwrap() }, ErrorCode::TerminalAuthenticationFailed),
        (Reason::CtkPuRefused { why: why() }, ErrorCode::Malformed),
    ]);
}
