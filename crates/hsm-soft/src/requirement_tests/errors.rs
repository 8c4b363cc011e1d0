//! R29: a refusal says nothing that depends on a secret. Each of these is one answer, whatever is wrong.

use std::collections::HashSet;

use hsm::commands::{
    OpenCollected, PinFormat, PinRefusal, PinTranslation, Reply, Request, SealRksToken, TranslatePins,
};

use crate::{
    policy_tests::{OWNER, PAD, Room},
    purpose::Purpose,
};

/// Bytes that look random, another for each number.
fn noise(number: u32, length: usize) -> Vec<u8> {
    let blocks = (0_u32..)
        .flat_map(|block| paycrypto::digest::sha256(&[number, block].map(u32::to_be_bytes).concat()));
    blocks.take(length).collect()
}

/// What a PIK opens to no PIN: of a TDES key a control field that no format has, and noise behind it; of an AES key noise,
/// which is a PIN once in some ten million times.
fn bad_block(room: &Room, number: u32, length: usize) -> Vec<u8> {
    let noise = noise(number, length);
    match <[u8; 8]>::try_from(noise.as_slice()) {
        Ok([first, rest @ ..]) => {
            let mut clear = [0x90 | (first & 0x0F); 8];
            clear[1..].copy_from_slice(&rest);
            room.tek.encrypt_block(clear).to_vec()
        }
        Err(_) => noise,
    }
}

#[test]
fn r29_whatever_a_pin_block_holds_its_refusal_is_one() {
    let room = Room::new();
    let place = Some("SN-1/03");
    for (from, pik, length) in [
        (PinFormat::Iso0, Purpose::Pik, 8),
        (PinFormat::Iso3, Purpose::Pik, 8),
        (PinFormat::Iso4, Purpose::PikAes, 16),
    ] {
        let item = |block: Vec<u8>| PinTranslation {
            pin_pad: PAD.into(),
            slot: 3,
            pik: room.block(pik, place),
            zone: "name".into(),
            zone_key: room.block(Purpose::ZonePinAes, None),
            from,
            to: PinFormat::Iso4,
            block: block.into(),
            pan: "4012345678909".to_owned().into(),
        };
        let items = (0..200).map(|number| item(bad_block(&room, number, length))).collect();
        let command = TranslatePins { owner: OWNER.into(), items };
        let Reply::TranslatePins(outcomes) = room.hsm.handle(Request::TranslatePins(command)).unwrap() else {
            panic!("another reply")
        };
        assert!(outcomes.iter().all(|outcome| *outcome == Err(PinRefusal::Block)), "{from:?}");
    }
}

/// A device of flow C gets a token of one form; a collected key's refusal is one for all that does not open.
#[test]
fn r29_whatever_an_rsa_ciphertext_holds_its_answer_is_one() {
    let room = Room::new();
    let (mut lengths, mut refusals) = (HashSet::new(), HashSet::new());
    for number in 0..200 {
        let df20 = noise(number, 256);
        let (ctk_pu, seal) = (df20.clone(), SealRksToken { df20, ..room.seal_rks_token() });
        let Reply::SealRksToken(token) = room.hsm.handle(Request::SealRksToken(seal)).unwrap() else {
            panic!("another reply")
        };
        lengths.insert((token.df21.len(), token.ticket.len()));
        let work_key = room.block(Purpose::KmsWork, None);
        let open = OpenCollected { work_key, ctk_pu, pin_pad: PAD.into(), owner: OWNER.into() };
        refusals.insert(room.hsm.handle(Request::OpenCollected(open)).unwrap_err().to_string());
    }
    assert_eq!((lengths.len(), refusals.len()), (1, 1), "{refusals:?}");
    // The same as for one that opens.
    let good = SealRksToken { df20: room.encrypt(b"factor"), ..room.seal_rks_token() };
    let Reply::SealRksToken(token) = room.hsm.handle(Request::SealRksToken(good)).unwrap() else {
        panic!("another reply")
    };
    assert!(lengths.contains(&(token.df21.len(), token.ticket.len())));
}
