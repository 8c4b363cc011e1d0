//! Sealed messages and operators' proofs of flow E, track data of flow F.

use paycrypto::keys::{Dwk, Pik, SessionKey, Tdk};
use paycrypto::operator::Verifier;
use paycrypto::seal::{self, Direction, INNER_MAX, NotAuthentic, SEALED_MAX};
use paycrypto::{AesKey, Error, blocks, keys::AesPik};
use proptest::prelude::*;

use crate::support::{array, bytes, flow, hex, tdes, text};

/// The worked values' session.
fn keys() -> (SessionKey, Dwk) {
    let e = flow("flow_e");
    (SessionKey::from_key(tdes(&e, "session_key")).unwrap(), Dwk::from_key(tdes(&e, "dwk")).unwrap())
}

/// The worked message's DF4A value.
fn worked() -> Vec<u8> {
    let e = flow("flow_e");
    let message = bytes(&e["sealed"], "message");
    assert_eq!(message[..5], [0x01, 0x3F, 0xDF, 0x4A, 0x38]);
    message[5..].to_vec()
}

/// `vectors/tdes-suite.json`, flow_e.sealed.
#[test]
fn the_worked_message_is_sealed_and_opened() {
    let e = flow("flow_e");
    let (session, dwk) = keys();
    let (iv, inner) = (array(&e["sealed"], "iv"), bytes(&e["sealed"], "inner_payload"));
    let sealed = seal::seal_with_iv(&session, &dwk, Direction::FromTerminal, 0, &iv, &inner).unwrap();
    assert_eq!(hex(&sealed), hex(&worked()));
    let opened = seal::open(&session, &dwk, Direction::FromTerminal, 0, &sealed).unwrap();
    assert_eq!(opened.as_slice(), inner);
}

#[test]
fn a_message_turned_around_is_refused() {
    let (session, dwk) = keys();
    let opened = seal::open(&session, &dwk, Direction::FromTms, 0, &worked());
    assert_eq!(opened.err(), Some(NotAuthentic));
}

#[test]
fn a_message_out_of_its_place_is_refused() {
    let (session, dwk) = keys();
    for counter in [1, 0x0100_0000, u32::MAX] {
        let opened = seal::open(&session, &dwk, Direction::FromTerminal, counter, &worked());
        assert_eq!(opened.err(), Some(NotAuthentic), "{counter}");
    }
}

#[test]
fn a_message_under_another_key_is_refused() {
    let (session, dwk) = keys();
    let other = Dwk::generate().unwrap();
    assert!(seal::open(&session, &other, Direction::FromTerminal, 0, &worked()).is_err());
    // The tag does not cover the session key, but padding and meaning come out wrong: never the right text.
    let other = SessionKey::generate().unwrap();
    let inner = bytes(&flow("flow_e")["sealed"], "inner_payload");
    let opened = seal::open(&other, &dwk, Direction::FromTerminal, 0, &worked());
    assert!(opened.is_err() || opened.is_ok_and(|opened| opened.as_slice() != inner));
}

#[test]
fn every_changed_bit_is_refused() {
    let (session, dwk) = keys();
    let sealed = worked();
    for index in 0..sealed.len() {
        for bit in 0..8 {
            let mut changed = sealed.clone();
            changed[index] ^= 1 << bit;
            let opened = seal::open(&session, &dwk, Direction::FromTerminal, 0, &changed);
            assert_eq!(opened.err(), Some(NotAuthentic), "byte {index} bit {bit}");
        }
    }
}

#[test]
fn every_other_length_is_refused() {
    let (session, dwk) = keys();
    let sealed = [worked(), vec![0; 8]].concat();
    for len in (0..sealed.len()).chain([sealed.len()]).filter(|len| *len != worked().len()) {
        let opened = seal::open(&session, &dwk, Direction::FromTerminal, 0, &sealed[..len]);
        assert_eq!(opened.err(), Some(NotAuthentic), "{len} bytes");
    }
}

#[test]
fn a_right_tag_over_wrong_padding_is_refused() {
    let (session, dwk) = keys();
    for last in [[0; 8], [1, 2, 3, 4, 5, 6, 7, 8], [0, 0, 0, 0, 0, 0, 0, 1]] {
        let iv = [7; 8];
        let plain = [[0x80, 0, 0, 0, 0, 0, 0, 0], last].concat();
        let ciphertext = session.key().encrypt_cbc(&iv, &plain).unwrap();
        let header = [1, 0, 0, 0, 9, 0, 0, 16];
        let covered = [header.as_slice(), &iv, &ciphertext].concat();
        let padding = paycrypto::mac::Padding::Two;
        let tag = paycrypto::mac::iso9797_alg1(dwk.key(), padding, &covered).unwrap();
        let sealed = [iv.as_slice(), &ciphertext, &tag].concat();
        let opened = seal::open(&session, &dwk, Direction::FromTms, 9, &sealed);
        assert_eq!(opened.err(), Some(NotAuthentic), "{last:?}");
    }
}

#[test]
fn a_payload_is_at_most_65500_bytes() {
    let (session, dwk) = keys();
    let most = vec![0; INNER_MAX];
    let sealed = seal::seal(&session, &dwk, Direction::FromTms, 3, &most).unwrap();
    assert_eq!(sealed.len(), SEALED_MAX);
    let opened = seal::open(&session, &dwk, Direction::FromTms, 3, &sealed).unwrap();
    assert!(opened.as_slice() == most);
    let more = vec![0; INNER_MAX + 1];
    let refused = seal::seal(&session, &dwk, Direction::FromTms, 3, &more);
    assert_eq!(refused.err(), Some(Error::MessageTooLong));
}

#[test]
fn two_seals_of_one_message_have_different_ivs() {
    let (session, dwk) = keys();
    let one = seal::seal(&session, &dwk, Direction::FromTms, 0, b"once").unwrap();
    let two = seal::seal(&session, &dwk, Direction::FromTms, 0, b"once").unwrap();
    assert_ne!(one[..8], two[..8]);
}

proptest! {
    /// What is sealed opens to the same bytes, and is what the primitives one after another give.
    #[test]
    fn seals_as_cbc_then_mac(
        inner in proptest::collection::vec(any::<u8>(), 0..300), counter: u32, iv: [u8; 8], from_tms: bool,
    ) {
        use paycrypto::mac::{Padding, iso9797_alg1};
        let (session, dwk) = keys();
        let direction = if from_tms { Direction::FromTms } else { Direction::FromTerminal };
        let sealed = seal::seal_with_iv(&session, &dwk, direction, counter, &iv, &inner).unwrap();
        let ciphertext = session.key().encrypt_cbc(&iv, &Padding::Two.pad(&inner).unwrap()).unwrap();
        let length = u32::try_from(ciphertext.len()).unwrap().to_be_bytes();
        let covered =
            [&[u8::from(from_tms)], counter.to_be_bytes().as_slice(), &length[1..], &iv, &ciphertext].concat();
        let tag = iso9797_alg1(dwk.key(), Padding::Two, &covered).unwrap();
        prop_assert_eq!(&sealed, &[iv.as_slice(), &ciphertext, &tag].concat());
        let opened = seal::open(&session, &dwk, direction, counter, &sealed).unwrap();
        prop_assert_eq!(opened.as_slice(), inner);
    }
}

/// `vectors/tdes-suite.json`, flow_e.operator.
#[test]
fn the_worked_operator_proves_himself_in_his_session_only() {
    let e = flow("flow_e");
    let (_, dwk) = keys();
    let (t_data, s_data) = (array(&e, "t_data"), array(&e, "s_data"));
    let operator = &e["operator"];
    let verifier = Verifier::derive(text(operator, "id"), text(operator, "password").as_bytes());
    let proof = verifier.proof(&dwk, &t_data, &s_data);
    assert_eq!(hex(&proof), text(operator, "proof"));

    let kept = Verifier::from_bytes(verifier.expose());
    assert!(kept.proves(&dwk, &t_data, &s_data, &proof));
    assert!(!kept.proves(&dwk, &t_data, &s_data, &proof[..31]), "a short proof");
    assert!(!kept.proves(&dwk, &s_data, &t_data, &proof), "another session's data");
    let other = Dwk::generate().unwrap();
    assert!(!kept.proves(&other, &t_data, &s_data, &proof), "another session's key");
    let namesake = Verifier::derive("op8", text(operator, "password").as_bytes());
    assert!(!namesake.proves(&dwk, &t_data, &s_data, &proof), "another operator of the same password");
    assert_eq!(format!("{kept:?}"), "Verifier");
}

/// `vectors/tdes-suite.json`, flow_e.tac_1 and sac_1; flow_f.confirm_mac.
#[test]
fn macs_are_verified_whole() {
    let e = flow("flow_e");
    let (_, dwk) = keys();
    assert!(dwk.verifies(&bytes(&e, "t_data"), &bytes(&e, "tac_1")));
    assert!(dwk.verifies(&bytes(&e, "s_data"), &bytes(&e, "sac_1")));
    assert!(!dwk.verifies(&bytes(&e, "t_data"), &bytes(&e, "sac_1")), "reflected");
    assert!(!dwk.verifies(&bytes(&e, "t_data"), &bytes(&e, "tac_1")[..3]), "cut");

    let f = flow("flow_f");
    let mak = paycrypto::keys::Mak::from_key(tdes(&f, "mak")).unwrap();
    let done = [b"DONE", bytes(&f, "rnd1").as_slice()].concat();
    assert!(mak.verifies(&done, &bytes(&f, "done_mac")));
    assert!(!mak.verifies(&done, &bytes(&f, "confirm_mac")));
    assert!(!mak.verifies(&done, &bytes(&f, "done_mac")[..4]), "cut");
}

/// `vectors/tdes-suite.json`, flow_f.context, context_of_mak; flow_e.context_of_dwk.
#[test]
fn a_context_is_over_the_frames_and_the_blocks_before() {
    let frame = |message: Vec<u8>| {
        [u16::try_from(message.len()).unwrap().to_be_bytes().as_slice(), &message].concat()
    };
    let (e, f) = (flow("flow_e"), flow("flow_f"));
    let hello = frame(bytes(&e, "hello"));
    assert_eq!(hex(&blocks::context_after(&hello, &[])), text(&e, "context_of_dwk"));
    let said = frame(bytes(&f, "sign_in"));
    assert_eq!(hex(&blocks::context_after(&said, &[])), text(&f, "context"));
    let pik = text(&f, "pik_key_block_under_tmk");
    assert_eq!(hex(&blocks::context_after(&said, &[pik])), text(&f, "context_of_mak"));
}

#[test]
fn pin_blocks_are_one_block_of_the_cipher() {
    let pik = Pik::from_key(tdes(&flow("flow_f"), "pik")).unwrap();
    let clear = [0x04, 0x12, 0x34, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF];
    let block = pik.encrypt_block(&clear);
    assert_eq!(block, pik.key().encrypt_block(clear));
    assert_eq!(*pik.decrypt_block(&block), clear);

    // FIPS 197 appendix C.3.
    let key: [u8; 32] = std::array::from_fn(|index| u8::try_from(index).unwrap());
    let zone = AesPik::from_key(AesKey::from_bytes(&key).unwrap());
    let ciphertext = bytes(&serde_json::json!({ "block": "8EA2B7CA516745BFEAFC49904B496089" }), "block");
    let clear = zone.key().decrypt_block(ciphertext.try_into().unwrap());
    assert_eq!(hex(&clear), "00112233445566778899AABBCCDDEEFF");
}

#[test]
fn track_data_comes_back_and_hides_what_repeats() {
    let tdk = Tdk::generate().unwrap();
    let track = b";4111111111111111=2912101000000000?";
    let (one, two) = (tdk.encrypt_track(track).unwrap(), tdk.encrypt_track(track).unwrap());
    assert_ne!(one[8..16], two[8..16]);
    assert_eq!(tdk.decrypt_track(&one).unwrap().as_slice(), track);
    for len in [0, 7, 8, 15, one.len() - 1] {
        assert_eq!(tdk.decrypt_track(&one[..len]).err(), Some(Error::Open), "{len} bytes");
    }
}
