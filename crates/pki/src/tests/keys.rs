//! Keys and signatures that this suite does not use, wherever in a chain they stand.

use x509_cert::ext::pkix::KeyUsages;

use super::support::*;
use crate::issue::{self, Issuer, Template, ca_usage};
use crate::*;

/// An operator's certificate for this key, signed by the root whatever the key is.
fn leaf_with(spki: &[u8]) -> Certificate {
    let mut template = Template::new(root().subject(), &name("Weak leaf"), spki, years(1)).unwrap();
    template.not_a_ca().unwrap();
    template.key_usage(KeyUsages::DigitalSignature).unwrap();
    template.extended_key_usage(true, vec![Role::Operator.oid()]).unwrap();
    template.sign(key(Who::Root)).unwrap()
}

fn defect(refusal: CertificateRefusal) -> KeyDefect {
    match refusal {
        CertificateRefusal::WeakKey { defect, .. } => defect,
        other => panic!("{other}"),
    }
}

#[test]
fn a_leaf_with_a_key_of_1024_bits_is_refused() {
    let leaf = leaf_with(OpensslKey::rsa("1024").spki_der());
    assert_eq!(defect(refusal(&leaf, Role::Operator)), KeyDefect::Size { bits: 1024 });
}

#[test]
fn a_leaf_with_a_key_of_2047_bits_is_refused() {
    let leaf = leaf_with(OpensslKey::rsa("2047").spki_der());
    assert_eq!(defect(refusal(&leaf, Role::Operator)), KeyDefect::Size { bits: 2047 });
}

#[test]
fn a_leaf_with_a_key_beyond_4096_bits_is_refused() {
    // No such key need exist: an odd number of 4 104 bits is enough.
    let mut modulus = vec![0xFF; 513];
    modulus.insert(0, 0);
    let leaf = leaf_with(&spki(&modulus, &[1, 0, 1]));
    assert_eq!(defect(refusal(&leaf, Role::Operator)), KeyDefect::Size { bits: 4104 });
}

#[test]
fn a_leaf_with_the_exponent_3_is_refused() {
    let leaf = leaf_with(OpensslKey::rsa("-3 2048").spki_der());
    assert_eq!(defect(refusal(&leaf, Role::Operator)), KeyDefect::Exponent);
}

#[test]
fn a_leaf_with_an_elliptic_key_is_refused() {
    let leaf = leaf_with(OpensslKey::ec().spki_der());
    assert_eq!(defect(refusal(&leaf, Role::Operator)), KeyDefect::NotRsa);
}

/// SubjectPublicKeyInfo of these INTEGER values.
fn spki(modulus: &[u8], exponent: &[u8]) -> Vec<u8> {
    use crate::tlv::{BIT_STRING, INTEGER, SEQUENCE, encode};
    let key = encode(SEQUENCE, &[&encode(INTEGER, &[modulus]), &encode(INTEGER, &[exponent])]);
    encode(SEQUENCE, &[crate::key::RSA_ENCRYPTION, &encode(BIT_STRING, &[&[0], &key])])
}

#[test]
fn sizes_and_exponents_are_accepted_at_their_limits_and_refused_one_past_them() {
    let modulus = |bytes: usize, top: u8, low: u8| {
        let mut modulus = vec![0xA5; bytes];
        modulus[0] = top;
        modulus[bytes - 1] = low;
        if top >= 0x80 {
            modulus.insert(0, 0);
        }
        modulus
    };
    let ok = [1, 0, 1];
    let read = |modulus: &[u8], exponent: &[u8]| {
        PublicKey::from_spki(&spki(modulus, exponent)).map(|key| key.bits())
    };
    assert_eq!(read(&modulus(256, 0x80, 1), &ok), Ok(2048));
    assert_eq!(read(&modulus(512, 0xFF, 1), &ok), Ok(4096));
    assert_eq!(read(&modulus(256, 0x7F, 1), &ok), Err(KeyDefect::Size { bits: 2047 }));
    assert_eq!(read(&modulus(513, 0x01, 1), &ok), Err(KeyDefect::Size { bits: 4097 }));
    assert_eq!(read(&modulus(256, 0x80, 2), &ok), Err(KeyDefect::EvenModulus));
    let good = modulus(256, 0x80, 1);
    assert_eq!(read(&good, &[1, 0, 0]), Err(KeyDefect::Exponent), "even");
    assert_eq!(read(&good, &[0, 0xFF, 0xFF]), Err(KeyDefect::Exponent), "65535");
    assert_eq!(read(&good, &[1]), Err(KeyDefect::Exponent), "1");
    assert_eq!(read(&good, &[1, 0xFF, 0xFF, 0xFF, 0xFF]), Ok(2048), "2^33 - 1");
    assert_eq!(read(&good, &[2, 0, 0, 0, 1]), Err(KeyDefect::Exponent), "2^33 + 1");
    assert_eq!(read(&good, &[1, 0, 0, 0, 0, 0, 0, 0, 1]), Err(KeyDefect::Exponent), "nine bytes");
    assert_eq!(read(&good, &[0, 1, 0, 1]), Err(KeyDefect::Malformed), "not minimal");
    assert_eq!(read(&[0x80; 256], &ok), Err(KeyDefect::Malformed), "negative");
}

#[test]
fn an_intermediate_with_a_weak_key_is_refused() {
    let weak = OpensslKey::rsa("1024");
    let mut ca = Template::new(root().subject(), &name("Weak CA"), weak.spki_der(), years(5)).unwrap();
    ca.ca(0).unwrap();
    ca.key_usage(ca_usage()).unwrap();
    let ca = ca.sign(key(Who::Root)).unwrap();
    let mut leaf = Template::new(ca.subject(), &name("L"), key(Who::Leaf).spki_der(), years(1)).unwrap();
    leaf.not_a_ca().unwrap();
    let leaf = leaf.sign(&weak).unwrap();
    let refused = verify_chain(&leaf, &[ca], &trust(), Role::Operator, NOW, &CrlSet::new()).unwrap_err();
    assert_eq!(defect(refused), KeyDefect::Size { bits: 1024 });
}

#[test]
fn a_trusted_root_with_a_weak_key_is_refused_all_the_same() {
    for (arguments, expected) in [("1024", KeyDefect::Size { bits: 1024 }), ("-3 2048", KeyDefect::Exponent)]
    {
        let weak = OpensslKey::rsa(arguments);
        let mut root =
            Template::new(&name("Weak root"), &name("Weak root"), weak.spki_der(), years(10)).unwrap();
        root.ca(0).unwrap();
        root.key_usage(ca_usage()).unwrap();
        let root = root.sign(&weak).unwrap();
        let mut leaf =
            Template::new(root.subject(), &name("L"), key(Who::Leaf).spki_der(), years(1)).unwrap();
        leaf.not_a_ca().unwrap();
        let leaf = leaf.sign(&weak).unwrap();
        let mut trust = TrustList::new();
        trust.add(root, &Role::ALL);
        let refused = verify_chain(&leaf, &[], &trust, Role::Operator, NOW, &CrlSet::new()).unwrap_err();
        assert_eq!(defect(refused), expected);
    }
}

#[test]
fn no_certificate_is_issued_for_a_weak_key() {
    let root = root();
    let issuer = Issuer::new(&root, key(Who::Root)).unwrap();
    let weak = OpensslKey::rsa("1024");
    let result = issue::leaf(&issuer, Role::Operator, &name("L"), weak.spki_der(), years(1));
    assert!(matches!(result, Err(Error::Key { defect: KeyDefect::Size { bits: 1024 }, .. })));
    assert!(matches!(issue::root(&name("R"), &weak, years(1), 0), Err(Error::Key { .. })));
    assert!(matches!(csr::build(&name("R"), &weak), Err(Error::Key { .. })));
}

/// The estate's root, and certificates of the leaf's key that `openssl` signed by other algorithms.
#[test]
fn a_signature_other_than_pkcs1_with_sha256_is_refused() {
    let shell = Shell::new();
    shell.write_key("root.key", key(Who::Root));
    shell.write_key("leaf.key", key(Who::Leaf));
    shell.write("root.pem", root().pem());
    shell.write("ext", "basicConstraints=critical,CA:FALSE\nkeyUsage=critical,digitalSignature\n");
    shell.openssl("req -new -key leaf.key -subj /CN=L -out leaf.csr");
    for algorithm in ["-sha1", "-sha384", "-sha256 -sigopt rsa_padding_mode:pss"] {
        shell.openssl(&format!(
            "x509 -req -in leaf.csr -CA root.pem -CAkey root.key -CAcreateserial -extfile ext -days 3000 {algorithm} -out leaf.pem"
        ));
        let leaf = Certificate::from_pem(std::str::from_utf8(&shell.read("leaf.pem")).unwrap()).unwrap();
        assert!(
            matches!(refusal(&leaf, Role::Operator), CertificateRefusal::Algorithm { .. }),
            "{algorithm}"
        );
    }
}

#[test]
fn signatures_of_both_schemes_verify_and_neither_passes_for_the_other() {
    let key = key(Who::Leaf);
    let message = b"KF package";
    for (scheme, other) in
        [(Scheme::Pkcs1Sha256, Scheme::PssSha256), (Scheme::PssSha256, Scheme::Pkcs1Sha256)]
    {
        let mut signature = key.sign(scheme, message).unwrap();
        verify_signature(key.spki_der(), scheme, message, &signature).unwrap();
        let bad = Err(Error::BadSignature { what: "the message" });
        assert_eq!(verify_signature(key.spki_der(), other, message, &signature), bad);
        assert_eq!(verify_signature(key.spki_der(), scheme, b"KF Package", &signature), bad);
        assert_eq!(verify_signature(key.spki_der(), scheme, message, &[]), bad);
        signature[100] ^= 1;
        assert_eq!(verify_signature(key.spki_der(), scheme, message, &signature), bad);
    }
    assert!(matches!(
        verify_signature(b"", Scheme::PssSha256, message, b""),
        Err(Error::Key { defect: KeyDefect::Malformed, .. })
    ));
}
