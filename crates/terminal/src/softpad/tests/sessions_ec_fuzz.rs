//! Sessions with the TMS and sign-ins of suite 02 under frames that nobody would send: nothing panics, and what is changed
//! on the way is taken at no step.

use flows::sign_in::SignInPad;
use flows::sign_in::messages::{Mac, Nonce};
use flows::suite::Receipt;
use flows::tms_session::{PadOpening, SealPad, TmsPad};
use flows::{EcAes, Loaded};
use paycrypto::ec::keys::{Dmk, Tmk};
use proptest::prelude::*;
use wire::Frame;

use crate::testing::peers::{frame, tlv};
use crate::testing::session_peers::working_keys_of;
use crate::testing::session_peers_ec::{EcHost, EcTms, hello, sign_in};
use crate::testing::{estate, slot};
use crate::{PinPad, TransactionPad};

const DMK: [u8; 32] = [0x5D; 32];

fn tmk(byte: u8) -> Tmk {
    Tmk::from_bytes(&std::array::from_fn(|at| byte.wrapping_mul(17) ^ u8::try_from(at * 13).unwrap()))
}

/// A frame with some bytes changed; whether it is another one.
fn changed(frame: &Frame, changes: &[(usize, u8)]) -> (Frame, bool) {
    let mut payload = frame.payload().to_vec();
    for (at, byte) in changes {
        let at = at % payload.len();
        payload[at] ^= byte;
    }
    let other = payload != frame.payload();
    (Frame::from_payload(&payload).unwrap(), other)
}

fn changes() -> impl Strategy<Value = Vec<(usize, u8)>> {
    proptest::collection::vec((any::<usize>(), any::<u8>()), 1..4)
}

fn payload() -> impl Strategy<Value = Frame> {
    proptest::collection::vec(any::<u8>(), 2..200).prop_map(|payload| Frame::from_payload(&payload).unwrap())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn nothing_that_was_changed_is_taken_in_a_session_with_the_tms(
        any in payload(),
        changes in changes(),
        step in 0..8_usize,
    ) {
        let (mut terminal, _) = estate().full_terminal();
        let pad = terminal.pad_mut();
        pad.give_ec_dmk(Dmk::from_bytes(&DMK));
        let mut tms = EcTms::new(&DMK);
        let PadOpening { t_data, opening } = TmsPad::<EcAes>::tms_begin(pad, None).unwrap();
        let said = hello(&t_data.bytes(), &opening.point, &opening.nonce, Some(3));
        let challenge = tms.challenge(&said);
        // Each message once as it should be, or with some bytes changed, or anything at all.
        let meddled = |at: usize, right: &Frame| match step {
            _ if step == at => changed(right, &changes),
            _ if step == at + 4 => (any.clone(), true),
            _ => (right.clone(), false),
        };
        let (sent, other) = meddled(0, &challenge);
        let proven = TmsPad::<EcAes>::tms_prove(pad, &said, &sent, None);
        prop_assert_eq!(proven.is_err(), other);
        let Ok(proven) = proven else { return Ok(()) };
        let proof = tms.proof(&proven.proof.0, &[]);
        let (own, other) = meddled(1, &proof);
        let block = tms.tmk_block(&tmk(1), "SN-1001/03", 1);
        let key = tms.key(Some(&block));
        let (sent, other_key) = meddled(2, &key);
        let loaded = TmsPad::<EcAes>::tms_keys(pad, &own, &sent);
        prop_assert_eq!(loaded.is_err(), other || other_key);
        prop_assert_eq!(pad.slots().len(), usize::from(loaded.is_ok()));
        let Ok(loaded) = loaded else { return Ok(()) };
        let Loaded { confirmation: Receipt(receipt), .. } = loaded.unwrap();
        let confirm = tms.confirm(&receipt, 3, &tmk(1));
        let (sent, other) = meddled(3, &tms.done(3, &tmk(1)));
        prop_assert_eq!(TmsPad::<EcAes>::tms_done(pad, &confirm, &sent).is_err(), other);
        prop_assert_eq!(pad.slots()[0].done, !other);
    }

    #[test]
    fn nothing_that_was_not_sealed_opens(garbage in proptest::collection::vec(any::<u8>(), 0..100)) {
        let (mut terminal, _) = estate().full_terminal();
        let pad = terminal.pad_mut();
        pad.give_ec_dmk(Dmk::from_bytes(&DMK));
        let mut tms = EcTms::new(&DMK);
        let PadOpening { t_data, opening } = TmsPad::<EcAes>::tms_begin(pad, None).unwrap();
        let said = hello(&t_data.bytes(), &opening.point, &opening.nonce, None);
        let challenge = tms.challenge(&said);
        let proven = TmsPad::<EcAes>::tms_prove(pad, &said, &challenge, None).unwrap();
        let proof = tms.proof(&proven.proof.0, &[]);
        TmsPad::<EcAes>::tms_keys(pad, &proof, &tms.key(None)).unwrap();
        prop_assert!(pad.tms_open(&garbage).is_err());
        prop_assert!(pad.tms_seal(&garbage).is_err(), "it ended the session");
    }

    #[test]
    fn nothing_that_was_changed_is_taken_in_a_sign_in(
        any in payload(),
        changes in changes(),
        step in 0..6_usize,
    ) {
        let (mut terminal, _) = estate().full_terminal();
        let pad = terminal.pad_mut();
        pad.give_ec_tmk(slot(3), tmk(1));
        let host = EcHost::new(&tmk(1));
        let (Nonce(nonce), kcv) = SignInPad::<EcAes>::sign_in_begin(pad, slot(3), 0).unwrap();
        let said = sign_in(3, &nonce, kcv.as_bytes());
        let meddled = |at: usize, right: &Frame| match step {
            _ if step == at => changed(right, &changes),
            _ if step == at + 3 => (any.clone(), true),
            _ => (right.clone(), false),
        };
        let blocks = host.blocks(&said, "SN-1001/03");
        let (own, other) = meddled(0, &said);
        let (sent, other_keys) = meddled(1, &working_keys_of(&blocks.each_ref().map(String::as_str)));
        let opened = SignInPad::<EcAes>::sign_in_keys(pad, &own, &sent);
        prop_assert_eq!(opened.is_err(), other || other_keys);
        let Ok(Mac(mac)) = opened else { return Ok(()) };
        prop_assert_eq!(mac, host.confirmed(&nonce));
        let confirm = frame(0x43, &[tlv(0xDF52, &mac)]);
        let (sent, other) = meddled(2, &host.done(&nonce));
        prop_assert_eq!(SignInPad::<EcAes>::sign_in_done(pad, &confirm, &sent).is_err(), other);
        prop_assert_eq!(pad.mac(slot(3), b"data").is_err(), other);
    }
}
