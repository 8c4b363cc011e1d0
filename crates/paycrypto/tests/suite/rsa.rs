//! RSA: keys refused by name, one error for every OAEP failure, signatures, type 1.

use std::thread;

use aws_lc_rs::rsa::{OAEP_SHA1_MGF1SHA1, OaepPublicEncryptingKey, PublicEncryptingKey};
use aws_lc_rs::signature::{
    RSA_PKCS1_2048_8192_SHA256, RSA_PSS_2048_8192_SHA256, UnparsedPublicKey, VerificationAlgorithm,
};
use paycrypto::rsa::{PrivateKey, PublicKey, RsaError, Type1Defect};

use crate::support::{bytes, own, test_key, vectors};

fn test_public_key() -> PublicKey {
    PublicKey::from_spki(test_key().spki_der()).unwrap()
}

/// Where `part` stands in `whole`.
fn contains(whole: &[u8], part: &[u8]) -> bool {
    whole.windows(part.len()).any(|window| window == part)
}

#[test]
fn the_test_key_is_the_one_of_the_worked_values() {
    let key = vectors("tdes-suite.json")["rsa_test_key"].take();
    let pkcs8 = own("rsa_test_key.p8");
    for part in ["n", "d", "p", "q"] {
        assert!(contains(&pkcs8, &bytes(&key, part)), "{part}");
    }
    assert_eq!(key["e"], "10001");
    assert_eq!(test_key().bits(), 2048);
    assert_eq!(test_key().to_pkcs8().as_slice(), pkcs8, "a key comes out as it went in");
    assert!(contains(test_key().spki_der(), &bytes(&key, "n")));
}

#[test]
fn weak_rsa_keys_are_refused_by_name_at_import_and_at_parsing() {
    let private = |name: &str| PrivateKey::from_pkcs8(&own(name)).err();
    let public = |name: &str| PublicKey::from_spki(&own(name)).err();
    assert_eq!(private("rsa_1024.p8"), Some(RsaError::Bits { bits: 1024 }));
    assert_eq!(public("rsa_1024.spki"), Some(RsaError::Bits { bits: 1024 }));
    assert_eq!(public("rsa_2040.spki"), Some(RsaError::Bits { bits: 2040 }));
    assert_eq!(public("rsa_4104.spki"), Some(RsaError::Bits { bits: 4104 }));
    assert_eq!(private("rsa_e3.p8"), Some(RsaError::WeakExponent { exponent: 3 }));
    assert_eq!(public("rsa_e3.spki"), Some(RsaError::WeakExponent { exponent: 3 }));
    assert_eq!(public("rsa_e257.spki"), Some(RsaError::WeakExponent { exponent: 257 }));
}

#[test]
fn other_keys_and_other_forms_are_malformed() {
    let malformed = Some(RsaError::Malformed);
    assert_eq!(PublicKey::from_spki(&own("ec_p256.spki")).err(), malformed);
    assert_eq!(PublicKey::from_spki(&own("rsa_pss.spki")).err(), malformed);
    assert_eq!(PublicKey::from_spki(&own("rsa_test_key.p8")).err(), malformed);
    assert_eq!(PrivateKey::from_pkcs8(test_key().spki_der()).err(), malformed);
    for spki in [test_key().spki_der().to_vec(), Vec::new()] {
        assert_eq!(PublicKey::from_spki(&[spki.as_slice(), &[0]].concat()).err(), malformed, "one byte more");
    }
    let pkcs8 = own("rsa_test_key.p8");
    assert_eq!(PrivateKey::from_pkcs8(&[pkcs8.as_slice(), &[0]].concat()).err(), malformed, "one byte more");
    for len in (0..pkcs8.len()).step_by(7) {
        assert_eq!(PrivateKey::from_pkcs8(&pkcs8[..len]).err(), malformed, "{len} bytes");
    }
    for len in 0..test_key().spki_der().len() {
        assert_eq!(PublicKey::from_spki(&test_key().spki_der()[..len]).err(), malformed, "{len} bytes");
    }
}

#[test]
fn an_even_exponent_or_modulus_is_refused() {
    let spki = test_key().spki_der().to_vec();
    let mut even_exponent = spki.clone();
    *even_exponent.last_mut().unwrap() = 0;
    assert_eq!(PublicKey::from_spki(&even_exponent).err(), Some(RsaError::Malformed));
    let mut even_modulus = spki;
    let last = even_modulus.len() - 6; // before the 02 03 01 00 01 of the exponent
    even_modulus[last] ^= 1;
    assert_eq!(PublicKey::from_spki(&even_modulus).err(), Some(RsaError::Malformed));
}

#[test]
fn a_private_key_whose_parts_do_not_fit_is_refused() {
    let key = vectors("tdes-suite.json")["rsa_test_key"].take();
    let pkcs8 = own("rsa_test_key.p8");
    for part in ["n", "d", "p", "q"] {
        let part_bytes = bytes(&key, part);
        let at = pkcs8.windows(part_bytes.len()).position(|window| window == part_bytes).unwrap();
        let mut changed = pkcs8.clone();
        changed[at + 40] ^= 0x10;
        assert_eq!(PrivateKey::from_pkcs8(&changed).err(), Some(RsaError::Malformed), "{part}");
    }
}

#[test]
fn keys_are_made_of_the_three_sizes_only_and_survive_export() {
    for bits in [0, 512, 1024, 2047, 2049, 8192] {
        assert_eq!(PrivateKey::generate(bits).err(), Some(RsaError::CannotGenerate { bits }));
    }
    let key = PrivateKey::generate(2048).unwrap();
    assert_eq!(key.bits(), 2048);
    let again = PrivateKey::from_pkcs8(&key.to_pkcs8()).unwrap();
    assert_eq!(again.spki_der(), key.spki_der());
    let sealed = PublicKey::from_spki(key.spki_der()).unwrap().oaep_encrypt(b"to itself").unwrap();
    assert_eq!(again.oaep_decrypt(&sealed).unwrap().as_slice(), b"to itself");
    assert_eq!(format!("{key:?}"), "PrivateKey(2048 bits)");
}

#[test]
fn oaep_carries_every_length_up_to_the_modulus_less_66() {
    let (private, public) = (test_key(), test_public_key());
    for len in [0, 1, 32, 80, 189, 190] {
        let message = vec![0xA5; len];
        let sealed = public.oaep_encrypt(&message).unwrap();
        assert_eq!(sealed.len(), 256);
        assert_eq!(private.oaep_decrypt(&sealed).unwrap().as_slice(), message);
    }
    assert_eq!(public.oaep_encrypt(&[0; 191]), Err(RsaError::Encrypt { len: 191 }));
    assert_ne!(public.oaep_encrypt(b"same").unwrap(), public.oaep_encrypt(b"same").unwrap());
}

#[test]
fn every_oaep_failure_is_the_same_error() {
    let (private, public) = (test_key(), test_public_key());
    let good = public.oaep_encrypt(&[0x5A; 80]).unwrap();
    let mut failures: Vec<Vec<u8>> = Vec::new();
    for index in 0..good.len() {
        let mut changed = good.clone();
        changed[index] ^= 1;
        failures.push(changed);
    }
    failures.extend([
        Vec::new(),
        vec![0; 256],
        vec![0xFF; 256],
        good[..255].to_vec(),
        [good.as_slice(), &[0]].concat(),
        [&[0], good.as_slice()].concat(),
    ]);
    // Another hash, another key, another padding.
    let parsed = PublicEncryptingKey::from_der(public.spki_der()).unwrap();
    let mut sha1 = vec![0; 256];
    OaepPublicEncryptingKey::new(parsed)
        .unwrap()
        .encrypt(&OAEP_SHA1_MGF1SHA1, &[0x5A; 80], &mut sha1, None)
        .unwrap();
    failures.push(sha1);
    let stranger = PrivateKey::generate(2048).unwrap();
    failures.push(PublicKey::from_spki(stranger.spki_der()).unwrap().oaep_encrypt(&[0x5A; 80]).unwrap());
    failures.push(private.type1_sign(&[0x5A; 80]).unwrap());
    for ciphertext in failures {
        assert_eq!(private.oaep_decrypt(&ciphertext).err(), Some(RsaError::Decrypt));
    }
}

fn verifies(algorithm: &'static dyn VerificationAlgorithm, message: &[u8], signature: &[u8]) -> bool {
    // aws-lc-rs takes SubjectPublicKeyInfo and PKCS #1 alike.
    UnparsedPublicKey::new(algorithm, test_key().spki_der()).verify(message, signature).is_ok()
}

#[test]
fn signatures_verify_under_their_own_scheme_only() {
    let key = test_key();
    let pkcs1 = key.sign_pkcs1_sha256(b"message").unwrap();
    let pss = key.sign_pss_sha256(b"message").unwrap();
    assert!(verifies(&RSA_PKCS1_2048_8192_SHA256, b"message", &pkcs1));
    assert!(verifies(&RSA_PSS_2048_8192_SHA256, b"message", &pss));
    assert!(!verifies(&RSA_PKCS1_2048_8192_SHA256, b"message", &pss));
    assert!(!verifies(&RSA_PSS_2048_8192_SHA256, b"message", &pkcs1));
    assert!(!verifies(&RSA_PKCS1_2048_8192_SHA256, b"messagf", &pkcs1));
    assert_eq!(key.sign_pkcs1_sha256(b"message").unwrap(), pkcs1);
    assert_ne!(key.sign_pss_sha256(b"message").unwrap(), pss, "PSS is salted");
}

#[test]
fn type_1_carries_every_length_up_to_the_modulus_less_11() {
    let (private, public) = (test_key(), test_public_key());
    for len in [0, 1, 167, 244, 245] {
        let message: Vec<u8> = (0..len).map(|index| u8::try_from(index).unwrap()).collect();
        let signature = private.type1_sign(&message).unwrap();
        assert_eq!(public.type1_recover(&signature).unwrap(), message, "{len} bytes");
    }
    assert_eq!(private.type1_sign(&[0; 246]), Err(RsaError::Type1TooLong { len: 246 }));
    assert_eq!(private.type1_sign(&[0; 4096]), Err(RsaError::Type1TooLong { len: 4096 }));
}

#[test]
fn type_1_refuses_changed_cut_and_foreign_signatures() {
    let (private, public) = (test_key(), test_public_key());
    let good = private.type1_sign(b"fields").unwrap();
    for index in 0..good.len() {
        let mut changed = good.clone();
        changed[index] ^= 1;
        assert!(matches!(public.type1_recover(&changed), Err(RsaError::Type1(_))), "byte {index}");
    }
    for found in [0, 1, 255, 257] {
        let cut = [good.as_slice(), &[0]].concat()[..found].to_vec();
        let refused = Err(RsaError::Type1(Type1Defect::Length { expected: 256, found }));
        assert_eq!(public.type1_recover(&cut), refused);
    }
    assert_eq!(public.type1_recover(&[0xFF; 256]), Err(RsaError::Type1(Type1Defect::Range)));
    assert_eq!(public.type1_recover(&[0; 256]), Err(RsaError::Type1(Type1Defect::BlockType)));
    let stranger = PublicKey::from_spki(PrivateKey::generate(2048).unwrap().spki_der()).unwrap();
    assert!(matches!(stranger.type1_recover(&good), Err(RsaError::Type1(_))));
}

/// A signature with a digest is type 1 too: what it recovers to is its DigestInfo, never the message.
#[test]
fn a_signature_with_a_digest_recovers_to_its_digest_info() {
    let signature = test_key().sign_pkcs1_sha256(b"message").unwrap();
    let recovered = test_public_key().type1_recover(&signature).unwrap();
    assert_eq!(recovered.len(), 51);
    assert!(recovered.ends_with(&paycrypto::digest::sha256(b"message")));
}

#[test]
fn one_prepared_key_serves_many_threads() {
    let (private, public) = (test_key(), test_public_key());
    thread::scope(|scope| {
        for number in 0..4_u8 {
            let (private, public) = (&private, &public);
            scope.spawn(move || {
                for round in 0..20 {
                    let message = [number, round];
                    let sealed = public.oaep_encrypt(&message).unwrap();
                    assert_eq!(private.oaep_decrypt(&sealed).unwrap().as_slice(), message);
                    let signed = private.type1_sign(&message).unwrap();
                    assert_eq!(public.type1_recover(&signed).unwrap(), message);
                }
            });
        }
    });
}
