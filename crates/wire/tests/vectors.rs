//! The worked values of `vectors/tdes-suite.json` and `vectors/ec-suite.json`, which are the project's own files,
//! written with 2-wire.md and 3-hardened.md.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails, as it should")]

use keyferry_wire::{
    Device, Fields, Frame, Kcv, MessageType, Place, Proof, Serial, Slot, Suite, Tag, fingerprint,
};
use serde_json::Value;

fn vectors() -> Value {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../vectors/tdes-suite.json");
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap()
}

fn hex(value: &Value) -> Vec<u8> {
    let digits = text(value);
    (0..digits.len()).step_by(2).map(|at| u8::from_str_radix(&digits[at..at + 2], 16).unwrap()).collect()
}

#[test]
fn tlv_is_written_and_read_as_worked_out() {
    let tlv = &vectors()["tlv"];
    let mut fields = Fields::new();
    for field in tlv["fields"].as_array().unwrap() {
        let tag = Tag::new(u16::from_str_radix(text(&field[0]), 16).unwrap()).unwrap();
        fields.push(tag, &hex(&field[1])).unwrap();
    }
    assert_eq!(fields.len(), 2);
    assert_eq!(fields.encode().unwrap(), hex(&tlv["encoded"]));
    assert_eq!(Fields::parse(&hex(&tlv["encoded"])).unwrap(), fields);
}

#[test]
fn fingerprint_of_a_ctk_pu_of_zeros() {
    let flow = &vectors()["flow_a"];
    assert_eq!(text(&flow["fingerprint_of"]), "SN-1001 with a Ctk_Pu of 256 zero bytes");
    assert_eq!(fingerprint(&Serial::parse("SN-1001").unwrap(), &[0; 256]), text(&flow["fingerprint"]));
}

#[test]
fn place_and_check_value_have_the_worked_texts() {
    let flow = &vectors()["flow_a"];
    let place: Place = text(&flow["place"]).parse().unwrap();
    assert_eq!(place, Place::new(Serial::parse("SN-1001").unwrap(), Slot::new(3).unwrap()));
    assert_eq!(place.to_string(), text(&flow["place"]));
    let kcv: Kcv = text(&flow["tmk_kcv"]).parse().unwrap();
    assert_eq!(kcv.to_string(), text(&flow["tmk_kcv"]));
}

#[test]
fn tk_hello_is_read() {
    let message = Frame::from_payload(&hex(&vectors()["flow_a"]["hello"])).unwrap().message().unwrap();
    assert_eq!(message.kind, MessageType::TkHello);
    assert_eq!(message.fields.suite(), Ok(Suite::TDES));
    assert_eq!(message.fields.device(), Ok(Device::built_in(Serial::parse("SN-1001").unwrap())));
    assert_eq!(message.fields.slot(), Slot::new(3));
    assert_eq!(message.fields.exactly(Tag::RND1), Ok([1, 2, 3, 4, 5, 6, 7, 8]));
}

#[test]
fn every_message_of_the_vectors_is_written_as_it_was_read() {
    let vectors = vectors();
    let mut seen = 0;
    for (flow, names) in [
        ("flow_a", &["hello", "challenge", "reply"][..]),
        ("flow_b", &["connect", "accept"]),
        ("flow_e", &["hello"]),
        ("flow_f", &["sign_in"]),
    ] {
        for name in names {
            let payload = hex(&vectors[flow][name]);
            let frame = Frame::from_payload(&payload).unwrap();
            let message = frame.message().unwrap();
            assert_eq!(Frame::new(message.kind, &message.fields).unwrap(), frame, "{flow} {name}");
            seen += 1;
        }
    }
    assert_eq!(seen, 7);
}

/// `vectors/ec-suite.json`: every message is in the suite's order, is written as it was read, and is taken without its
/// proof as the file has it.
#[test]
fn messages_of_suite_02_are_in_order_and_lose_their_proof_exactly() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../vectors/ec-suite.json");
    let vectors: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let frame = |payload: &Value| Frame::from_payload(&hex(payload)).unwrap();
    let download = &vectors["download"];
    for name in ["m1", "m2", "m3", "m4", "m5"] {
        let frame = frame(&download[name]);
        let message = frame.ordered_message().unwrap();
        assert_eq!(Frame::new(message.kind, &message.fields).unwrap(), frame, "{name}");
    }
    let hello = frame(&download["m1"]).message().unwrap();
    assert_eq!(hello.fields.suite(), Ok(Suite::EC_AES));
    assert_eq!(hello.fields.exactly::<65>(Tag::EPHEMERAL_KEY).unwrap()[0], 4);
    assert!(hello.fields.exactly::<32>(Tag::NONCE).is_ok());
    // DF15 ends TK_CHALLENGE: tag, length and 32 bytes fewer.
    let (whole, without) =
        (frame(&download["m2"]), frame(&download["m2"]).without(Proof::Confirmation).unwrap());
    assert_eq!(without.payload(), &whole.payload()[..whole.payload().len() - 35]);

    let collect = &vectors["collect"];
    let without = frame(&collect["collected_without_df16"]);
    let collected = without.ordered_message().unwrap();
    assert_eq!(collected.fields.exactly::<8>(Tag::COUNTER), Ok([0, 0, 0, 0, 0, 0, 0, 5]));
    let mut fields = Fields::new();
    let before = [Tag::SERIAL, Tag::CTK_PU];
    let after = [Tag::COUNTER, Tag::DEVICE_CERTIFICATE];
    let copy = |fields: &mut Fields, tag| fields.push(tag, collected.fields.required(tag).unwrap()).unwrap();
    before.into_iter().for_each(|tag| copy(&mut fields, tag));
    fields.push(Tag::TRANSCRIPT_SIGNATURE, &hex(&collect["df16"])).unwrap();
    after.into_iter().for_each(|tag| copy(&mut fields, tag));
    let signed = Frame::new(MessageType::Collected, &fields).unwrap();
    assert_eq!(signed.without(Proof::Signature), Ok(without));
}
