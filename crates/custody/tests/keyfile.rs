//! Key files: what opens them, what does not, and that `openssl` agrees.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod common;

use common::{PIN, files, mode, openssl};
use keyferry_custody::keyfile::KeyKind;
use keyferry_custody::{Error, keyfile};
use pki::{KeyDefect, Scheme, Signer as _, verify_signature};

#[test]
fn a_key_opens_with_its_pin_and_signs_by_both_schemes() {
    let (made, pem) = keyfile::generate(KeyKind::Rsa(2048), PIN).unwrap();
    let opened = keyfile::open(&pem, PIN).unwrap();
    assert_eq!(made.spki_der(), opened.spki_der());
    for scheme in [Scheme::Pkcs1Sha256, Scheme::PssSha256] {
        let signature = opened.sign(scheme, b"message").unwrap();
        verify_signature(made.spki_der(), scheme, b"message", &signature).unwrap();
    }
}

#[test]
fn a_wrong_pin_is_named() {
    let (_, pem) = keyfile::generate(KeyKind::Rsa(2048), PIN).unwrap();
    for wrong in ["", "271829", "27182", "2718281", "271828 "] {
        assert!(matches!(keyfile::open(&pem, wrong), Err(Error::WrongPin)), "{wrong:?}");
    }
}

#[test]
fn a_pin_of_five_characters_is_too_short_and_of_six_is_not() {
    assert!(matches!(keyfile::generate(KeyKind::Rsa(2048), "12345"), Err(Error::ShortPin { min: 6 })));
    let (_, pem) = keyfile::generate(KeyKind::Rsa(2048), "123456").unwrap();
    assert!(matches!(keyfile::change_pin(&pem, "123456", "short"), Err(Error::ShortPin { .. })));
}

#[test]
fn only_three_sizes_are_made() {
    for bits in [0, 1024, 2047, 2056, 8192] {
        assert!(
            matches!(keyfile::generate(KeyKind::Rsa(bits), PIN), Err(Error::KeySize { bits: b }) if b == bits)
        );
    }
}

#[test]
fn a_changed_pin_opens_the_same_key_and_the_old_one_does_not() {
    let (made, pem) = keyfile::generate(KeyKind::Rsa(2048), PIN).unwrap();
    let changed = keyfile::change_pin(&pem, PIN, "another pin").unwrap();
    assert_eq!(keyfile::open(&changed, "another pin").unwrap().spki_der(), made.spki_der());
    assert!(matches!(keyfile::open(&changed, PIN), Err(Error::WrongPin)));
    assert!(matches!(keyfile::change_pin(&pem, "wrong pin", "another pin"), Err(Error::WrongPin)));
}

#[test]
fn the_same_key_under_the_same_pin_never_looks_the_same() {
    let (_, pem) = keyfile::generate(KeyKind::Rsa(2048), PIN).unwrap();
    assert_ne!(keyfile::change_pin(&pem, PIN, PIN).unwrap(), keyfile::change_pin(&pem, PIN, PIN).unwrap());
}

#[test]
fn the_file_is_for_its_owner_alone_and_replaces_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("key.pem");
    let (_, pem) = keyfile::generate(KeyKind::Rsa(2048), PIN).unwrap();
    keyfile::write(&path, &pem).unwrap();
    assert_eq!(mode(&path), 0o600);
    assert_eq!(keyfile::read(&path).unwrap(), pem);
    assert!(matches!(keyfile::write(&path, &pem), Err(Error::Exists { .. })));
    assert_eq!(files(dir.path()), ["key.pem"], "nothing is left beside it");
}

#[test]
fn a_key_in_clear_is_neither_written_nor_read() {
    let dir = tempfile::tempdir().unwrap();
    openssl(dir.path(), "genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out clear.pem").unwrap();
    let clear = std::fs::read_to_string(dir.path().join("clear.pem")).unwrap();
    assert!(matches!(keyfile::open(&clear, PIN), Err(Error::KeyFile(_))));
    let path = dir.path().join("never.pem");
    assert!(matches!(keyfile::write(&path, &clear), Err(Error::KeyFile(_))));
    assert!(!path.exists());
}

#[test]
fn openssl_opens_our_key_with_the_pin_and_with_no_other() {
    let dir = tempfile::tempdir().unwrap();
    let (made, pem) = keyfile::generate(KeyKind::Rsa(2048), PIN).unwrap();
    keyfile::write(&dir.path().join("key.pem"), &pem).unwrap();
    for command in ["pkey", "pkcs8"] {
        openssl(dir.path(), &format!("{command} -in key.pem -passin pass:{PIN} -out clear.pem")).unwrap();
        openssl(dir.path(), "pkey -in clear.pem -pubout -outform DER -out spki.der").unwrap();
        assert_eq!(std::fs::read(dir.path().join("spki.der")).unwrap(), made.spki_der());
        openssl(dir.path(), &format!("{command} -in key.pem -passin pass:000000")).unwrap_err();
    }
    let shown = openssl(dir.path(), "asn1parse -in key.pem").unwrap();
    assert!(shown.contains("PBES2") && shown.contains("scrypt") && shown.contains("aes-256-cbc"), "{shown}");
}

#[test]
fn we_open_the_keys_of_openssl_under_scrypt_and_pbkdf2() {
    let dir = tempfile::tempdir().unwrap();
    openssl(dir.path(), "genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out clear.pem").unwrap();
    openssl(dir.path(), "pkey -in clear.pem -pubout -outform DER -out spki.der").unwrap();
    let spki = std::fs::read(dir.path().join("spki.der")).unwrap();
    for kind in ["-scrypt", "-v2 aes-256-cbc -v2prf hmacWithSHA256"] {
        openssl(dir.path(), &format!("pkcs8 -topk8 -in clear.pem -passout pass:{PIN} {kind} -out key.pem"))
            .unwrap();
        let pem = keyfile::read(&dir.path().join("key.pem")).unwrap();
        assert_eq!(keyfile::open(&pem, PIN).unwrap().spki_der(), spki, "{kind}");
        assert!(matches!(keyfile::open(&pem, "000000"), Err(Error::WrongPin)), "{kind}");
    }
}

#[test]
fn weak_encryption_and_unbearable_cost_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    openssl(dir.path(), "genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out clear.pem").unwrap();
    for kind in [
        "-v1 PBE-SHA1-3DES",
        "-scrypt -scrypt_N 16384 -scrypt_r 8 -scrypt_p 17",
        "-v2 aes-256-cbc -v2prf hmacWithSHA256 -iter 10000001",
    ] {
        let made = openssl(
            dir.path(),
            &format!("pkcs8 -topk8 -in clear.pem -passout pass:{PIN} {kind} -out key.pem"),
        );
        made.unwrap();
        let pem = keyfile::read(&dir.path().join("key.pem")).unwrap();
        assert!(matches!(keyfile::open(&pem, PIN), Err(Error::KeyFile(_))), "{kind}");
    }
}

#[test]
fn a_weak_key_of_openssl_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    openssl(dir.path(), "genrsa -3 -out clear.pem 2048").unwrap();
    openssl(dir.path(), &format!("pkcs8 -topk8 -scrypt -in clear.pem -passout pass:{PIN} -out key.pem"))
        .unwrap();
    let pem = keyfile::read(&dir.path().join("key.pem")).unwrap();
    match keyfile::open(&pem, PIN) {
        Err(Error::Pki(pki::Error::Key { defect: KeyDefect::Exponent, .. }) | Error::KeyFile(_)) => {}
        other => panic!("{other:?}"),
    }
}

#[test]
fn garbage_is_an_error() {
    let (_, pem) = keyfile::generate(KeyKind::Rsa(2048), PIN).unwrap();
    let half = &pem[..pem.len() / 2];
    for text in ["", "-----BEGIN ENCRYPTED PRIVATE KEY-----", half, &"x".repeat(100_000)] {
        assert!(matches!(keyfile::open(text, PIN), Err(Error::KeyFile(_))));
    }
}

#[test]
fn nothing_shows_the_key_or_the_pin() {
    let (signer, pem) = keyfile::generate(KeyKind::Rsa(2048), PIN).unwrap();
    assert_eq!(format!("{signer:?}"), "SoftSigner(..)");
    let error = keyfile::open(&pem, "314159").unwrap_err();
    assert!(!format!("{error} {error:?}").contains("314159"));
}

#[test]
fn a_file_beyond_the_limit_is_not_read() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("long");
    let limit = usize::try_from(keyfile::MAX_KEY_FILE_LEN).unwrap();
    std::fs::write(&path, "x".repeat(limit)).unwrap();
    assert_eq!(keyfile::read(&path).unwrap().len(), limit);
    std::fs::write(&path, "x".repeat(limit + 1)).unwrap();
    assert!(matches!(keyfile::read(&path), Err(Error::TooLong { .. })));
}
