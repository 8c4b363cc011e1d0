//! What suite 02 refuses of keys and points, and how its schedule keeps purposes apart.

use std::collections::BTreeSet;

use paycrypto::Error;
use paycrypto::ec::keys::{Auk, Dik2, Dmk, Tek, Tmk};
use paycrypto::ec::{
    AgreementKey, FactorKey, LoadedKey, Nonces, PublicPoint, Schedule, SharedSecret, SigningKey,
    StaticSecret, Tk, VerifyingKey, blocks,
};
use paycrypto::operator::Verifier;

use crate::support::{own, unhex};

/// The order of P-256 (SP 800-186 section 3.2.1.3).
const ORDER: &str = "FFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551";

#[test]
fn private_keys_are_from_1_to_the_order_less_1() {
    let order: [u8; 32] = unhex(ORDER).try_into().unwrap();
    let (mut one, mut last) = ([0; 32], order);
    one[31] = 1;
    last[31] -= 1;
    for good in [one, last] {
        let key = AgreementKey::from_scalar(&good).unwrap();
        assert_eq!(*key.expose().unwrap(), good);
        assert_eq!(*SigningKey::from_scalar(&good).unwrap().expose().unwrap(), good);
    }
    for bad in [[0; 32], order, [0xFF; 32]] {
        assert_eq!(AgreementKey::from_scalar(&bad).err(), Some(Error::Scalar));
        assert_eq!(SigningKey::from_scalar(&bad).err(), Some(Error::Scalar));
    }
}

#[test]
fn made_keys_differ_and_come_back() {
    let (a, b) = (AgreementKey::generate().unwrap(), AgreementKey::generate().unwrap());
    assert_ne!(a.public(), b.public());
    let again = AgreementKey::from_scalar(&a.expose().unwrap()).unwrap();
    assert_eq!(again.public(), a.public());
    assert_eq!(PublicPoint::from_spki(&a.spki_der()).unwrap().as_bytes(), a.public());
    let signing = SigningKey::generate().unwrap();
    let again = SigningKey::from_scalar(&signing.expose().unwrap()).unwrap();
    assert_eq!(again.spki_der(), signing.spki_der());
}

#[test]
fn a_point_is_uncompressed_and_on_the_curve() {
    let good = *AgreementKey::generate().unwrap().public();
    assert_eq!(PublicPoint::from_bytes(&good).unwrap().as_bytes(), &good);
    let mut off = good;
    off[64] ^= 1;
    let zeros = [&[4][..], &[0; 64]].concat();
    let compressed = [&[2 + (good[64] & 1)][..], &good[1..33]].concat();
    let hybrid = [&[6 + (good[64] & 1)][..], &good[1..]].concat();
    let spki = own("ec_p256.spki");
    let too_large = [&[4][..], &[0xFF; 64]].concat();
    for bad in [&off[..], &zeros, &compressed, &hybrid, &spki, &too_large, &[0], &[], &good[..64]] {
        assert_eq!(PublicPoint::from_bytes(bad).err(), Some(Error::Point), "{bad:02X?}");
    }
    assert_eq!(PublicPoint::from_bytes(&[&good[..], &[0]].concat()).err(), Some(Error::Point));
    assert!(PublicPoint::from_spki(&spki).is_ok());
    assert!(VerifyingKey::from_spki(&spki).is_ok());
    let rsa = own("rsa_1024.spki");
    for bad in [&rsa[..], &good, &spki[..90], &[&spki[..], &[0]].concat()] {
        assert_eq!(PublicPoint::from_spki(bad).err(), Some(Error::Point));
        assert!(VerifyingKey::from_spki(bad).is_err());
    }
}

#[test]
fn a_signature_is_of_one_key_one_message_and_64_bytes() {
    let key = SigningKey::generate().unwrap();
    let public = VerifyingKey::from_spki(&key.spki_der()).unwrap();
    let signature = key.sign(b"message").unwrap();
    assert!(public.verifies(b"message", &signature));
    assert!(!public.verifies(b"Message", &signature));
    let stranger = VerifyingKey::from_spki(&SigningKey::generate().unwrap().spki_der()).unwrap();
    assert!(!stranger.verifies(b"message", &signature));
    let th = [9; 32];
    let signature = key.sign_transcript(&th).unwrap();
    assert!(public.verifies_transcript(&th, &signature));
    assert!(!public.verifies_transcript(&[8; 32], &signature));
    for bad in [&[0; 64][..], &[0xFF; 64], &signature[..63], &[], &[&signature[..], &[0]].concat()] {
        assert!(!public.verifies_transcript(&th, bad));
    }
}

fn z() -> SharedSecret {
    let mut scalar = [0; 32];
    scalar[31] = 7;
    let key = AgreementKey::from_scalar(&scalar).unwrap();
    key.agree(&PublicPoint::from_bytes(key.public()).unwrap()).unwrap()
}

/// Bytes that begin with this one and do not repeat.
fn bytes(first: u8) -> [u8; 32] {
    std::array::from_fn(|at| first.wrapping_add(u8::try_from(at).unwrap()))
}

fn tk(tek: u8, auk: u8) -> Tk {
    Tk::from_keys(Tek::from_bytes(&bytes(tek)), Auk::from_bytes(&bytes(auk))).unwrap()
}

/// MACs of one text under every key that makes MACs, so that equal keys show.
fn traces(schedule: &Schedule) -> Vec<Vec<u8>> {
    let (th, operator) = ([0; 32], Verifier::from_bytes(&[0; 32]));
    vec![
        schedule.server_confirm().confirm(&th).to_vec(),
        schedule.terminal_confirm().confirm(&th).to_vec(),
        schedule.receipt_terminal().receipt(&th, &[]).to_vec(),
        schedule.receipt_server().receipt(&th, &[]).to_vec(),
        schedule.frame_terminal().sealing(0).unwrap().seal(&[0; 32]).unwrap(),
        schedule.frame_server().sealing(0).unwrap().seal(&[0; 32]).unwrap(),
        schedule.operator().proof(&operator, &[0; 10], &[0; 10]).to_vec(),
    ]
}

#[test]
fn every_purpose_flow_nonce_secret_and_transcript_has_keys_of_its_own() {
    let (a, b) = ([1; 32], [2; 32]);
    let nonces = Nonces { opener: &a, answerer: &b };
    let swapped = Nonces { opener: &b, answerer: &a };
    // One text for DIK2 and DMK, so that only the flow's letter keeps them apart.
    let (dik2, dmk) = (Dik2::from_bytes(&[3; 32]), Dmk::from_bytes(&[3; 32]));
    let (one, other) = (tk(3, 4), tk(4, 3));
    let th = [5; 32];
    let another_z = SharedSecret::from_bytes(&[8; 32]);
    assert_eq!(SharedSecret::from_bytes(z().expose()).expose(), z().expose());
    let mut seen = BTreeSet::new();
    for schedule in [
        Schedule::new(&StaticSecret::TmkDownload(&one), &z(), &nonces, &th),
        Schedule::new(&StaticSecret::TmkDownload(&other), &z(), &nonces, &th),
        Schedule::new(&StaticSecret::TmkDownload(&one), &z(), &swapped, &th),
        Schedule::new(&StaticSecret::TmkDownload(&one), &z(), &nonces, &[6; 32]),
        Schedule::new(&StaticSecret::LocalLoad, &z(), &nonces, &th),
        Schedule::new(&StaticSecret::LocalLoad, &another_z, &nonces, &th),
        Schedule::new(&StaticSecret::RksLoad(&dik2), &z(), &nonces, &th),
        Schedule::new(&StaticSecret::TmsSession(&dmk), &z(), &nonces, &th),
    ] {
        for trace in traces(&schedule) {
            assert!(seen.insert(trace), "{schedule:?}");
        }
    }
    assert_eq!(seen.len(), 56);
}

#[test]
fn a_receipt_counts_every_key_and_their_order() {
    let (a, b) = ([1; 32], [2; 32]);
    let nonces = Nonces { opener: &a, answerer: &b };
    let schedule = Schedule::new(&StaticSecret::LocalLoad, &z(), &nonces, &[5; 32]);
    let keys = [LoadedKey { index: 1, kcv: [1; 5] }, LoadedKey { index: 2, kcv: [2; 5] }];
    let receipt = schedule.receipt_terminal().receipt(&[0; 32], &keys);
    assert!(schedule.receipt_terminal().acknowledges(&[0; 32], &keys, &receipt));
    assert!(!schedule.receipt_terminal().acknowledges(&[1; 32], &keys, &receipt));
    let turned = [keys[1], keys[0]];
    assert!(!schedule.receipt_terminal().acknowledges(&[0; 32], &turned, &receipt));
    assert!(!schedule.receipt_terminal().acknowledges(&[0; 32], &keys[..1], &receipt));
    assert!(!schedule.receipt_server().acknowledges(&[0; 32], &keys, &receipt), "a key for each direction");
}

#[test]
fn an_operators_proof_is_bound_to_the_session() {
    let (a, b) = ([1; 32], [2; 32]);
    let dmk = Dmk::generate().unwrap();
    let session = |th| {
        Schedule::new(&StaticSecret::TmsSession(&dmk), &z(), &Nonces { opener: &a, answerer: &b }, &th)
            .operator()
    };
    let operator = Verifier::from_bytes(&[6; 32]);
    let proof = session([0; 32]).proof(&operator, &[1; 10], &[2; 10]);
    assert!(session([0; 32]).proves(&operator, &[1; 10], &[2; 10], &proof));
    assert!(!session([1; 32]).proves(&operator, &[1; 10], &[2; 10], &proof));
    assert!(!session([0; 32]).proves(&operator, &[2; 10], &[1; 10], &proof));
    let stranger = Verifier::from_bytes(&[7; 32]);
    assert!(!session([0; 32]).proves(&stranger, &[1; 10], &[2; 10], &proof));
}

#[test]
fn tek_and_auk_are_two_keys() {
    let equal = Tk::from_keys(Tek::from_bytes(&[1; 32]), Auk::from_bytes(&[1; 32]));
    assert_eq!(equal.err(), Some(Error::EqualKeys));
    let (a, b) = (Tk::generate().unwrap(), Tk::generate().unwrap());
    assert_ne!(a.tek().expose(), b.tek().expose());
}

#[test]
fn nothing_shows_key_bytes() {
    let (a, b) = ([1; 32], [2; 32]);
    let nonces = Nonces { opener: &a, answerer: &b };
    let schedule = Schedule::new(&StaticSecret::LocalLoad, &z(), &nonces, &[5; 32]);
    let key = SigningKey::generate().unwrap();
    let shown = [
        format!("{:?}", z()),
        format!("{schedule:?}"),
        format!("{:?} {:?}", schedule.kbpk(), schedule.operator()),
        format!("{:?}", schedule.frame_server().sealing(4).unwrap()),
        format!("{:?}", FactorKey::derive(&z(), &nonces, &[5; 32])),
        format!("{key:?} {:?}", AgreementKey::generate().unwrap()),
        format!("{:?} {:?}", tk(1, 2), Tmk::generate().unwrap()),
        format!("{:?}", blocks::LoadCounter::NONE),
    ];
    assert_eq!(
        shown.join(" | "),
        "SharedSecret | Schedule(B) | Kbpk Operator | FrameSealer { next: 4, .. } | FactorKey | \
         SigningKey AgreementKey | Tk { tek: Tek, auk: Auk } Tmk | LoadCounter(0)"
    );
}
