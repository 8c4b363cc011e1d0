//! Signed packages to and from the real `openssl`.

use super::support::*;
use crate::cms::{CmsRefusal, open, sign};
use crate::*;

const CONTENT: &[u8] = b"{\"version\":1}\nwith line ends\r\nof both kinds\0and a zero";

fn folder() -> Shell {
    let shell = Shell::new();
    shell.write("root.pem", root().pem());
    shell.write("intermediate.pem", intermediate().pem());
    shell.write("leaf.pem", deep_leaf(Role::Operator).pem());
    shell.write_key("leaf.key", key(Who::Leaf));
    shell.write("content", CONTENT);
    shell
}

#[test]
fn openssl_cms_verifies_our_package() {
    let shell = folder();
    let leaf = deep_leaf(Role::Operator);
    for extra in [vec![intermediate()], vec![intermediate(), root()]] {
        shell.write("package.der", sign(CONTENT, key(Who::Leaf), &leaf, &extra, NOW).unwrap());
        shell.openssl(&format!(
            "cms -verify -binary -purpose any -CAfile root.pem -attime {NOW} -inform DER -in package.der -out out"
        ));
        assert_eq!(shell.read("out"), CONTENT);
    }
}

#[test]
fn openssl_cms_refuses_our_package_changed_by_one_byte() {
    let shell = folder();
    let mut der = sign(CONTENT, key(Who::Leaf), &leaf(Role::Operator), &[], NOW).unwrap();
    let verify = "cms -verify -binary -purpose any -CAfile root.pem -inform DER -in package.der -out out";
    let verify = format!("{verify} -attime {NOW}");
    shell.write("package.der", &der);
    shell.openssl(&verify);
    let at = der.windows(CONTENT.len()).position(|window| window == CONTENT).unwrap();
    der[at] ^= 1;
    shell.write("package.der", &der);
    shell.try_openssl(&verify).unwrap_err();
    assert_eq!(open(&der).unwrap_err(), CmsRefusal::Digest);
}

#[test]
fn openssl_cms_shows_the_three_signed_attributes_in_order() {
    let shell = folder();
    shell.write("package.der", sign(CONTENT, key(Who::Leaf), &leaf(Role::Operator), &[], NOW).unwrap());
    let shown = shell.openssl("cms -cmsout -print -noout -inform DER -in package.der");
    let place = |word: &str| shown.find(word).unwrap_or_else(|| panic!("no {word} in\n{shown}"));
    assert!(place("contentType (1.2.840.113549.1.9.3)") < place("signingTime (1.2.840.113549.1.9.5)"));
    assert!(place("signingTime (1.2.840.113549.1.9.5)") < place("messageDigest (1.2.840.113549.1.9.4)"));
}

#[test]
fn we_open_the_package_of_openssl() {
    let shell = folder();
    // By issuer and serial number, and by key identifier; with its S/MIME capabilities and without.
    for arguments in ["", "-keyid", "-nosmimecap", "-certfile intermediate.pem"] {
        shell.openssl(&format!(
            "cms -sign -binary -nodetach -md sha256 -signer leaf.pem -inkey leaf.key {arguments} \
             -in content -outform DER -out package.der"
        ));
        let package = open(&shell.read("package.der")).unwrap();
        let signer = package.only_signer().unwrap();
        assert_eq!(package.content, CONTENT, "{arguments}");
        assert_eq!(signer.certificate.subject(), deep_leaf(Role::Operator).subject());
        assert!(signer.signing_time > 1_700_000_000);
        let chain =
            if signer.intermediates.is_empty() { &[intermediate()] } else { &signer.intermediates[..] };
        verify_chain(&signer.certificate, chain, &trust(), Role::Operator, NOW, &CrlSet::new()).unwrap();
    }
}

#[test]
fn we_refuse_packages_of_openssl_in_other_shapes() {
    let shell = folder();
    let refused = |arguments: &str| {
        shell.openssl(&format!(
            "cms -sign -binary -signer leaf.pem -inkey leaf.key -in content -outform DER -out package.der \
             {arguments}"
        ));
        open(&shell.read("package.der")).unwrap_err()
    };
    assert_eq!(refused("-md sha256"), CmsRefusal::Detached);
    assert_eq!(refused("-md sha1 -nodetach"), CmsRefusal::Algorithm);
    assert_eq!(refused("-md sha512 -nodetach"), CmsRefusal::Algorithm);
    assert_eq!(refused("-md sha256 -nodetach -noattr"), CmsRefusal::SignedAttribute("contentType"));
    assert_eq!(refused("-md sha256 -nodetach -nocerts"), CmsRefusal::NoSignerCertificate);
    assert_eq!(refused("-md sha256 -nodetach -keyopt rsa_padding_mode:pss"), CmsRefusal::Algorithm);
    assert!(matches!(refused("-md sha256 -nodetach -stream"), CmsRefusal::Malformed(_)));
}

#[test]
fn a_card_of_another_role_opens_but_is_refused_by_the_chain() {
    let package =
        open(&sign(CONTENT, key(Who::Leaf), &leaf(Role::Administrator), &[], NOW).unwrap()).unwrap();
    let signer = package.only_signer().unwrap();
    assert!(matches!(
        refusal(&signer.certificate, Role::Operator),
        CertificateRefusal::WrongRole { found: Role::Administrator, .. }
    ));
}

#[test]
fn a_weak_signers_key_is_named() {
    let shell = Shell::new();
    shell.openssl("genrsa -out key.pem 1024");
    shell.openssl("req -x509 -new -key key.pem -subj /CN=Weak -days 30 -out cert.pem");
    shell.write("content", CONTENT);
    shell.openssl(
        "cms -sign -binary -nodetach -md sha256 -signer cert.pem -inkey key.pem -in content -outform DER -out p",
    );
    let refused = open(&shell.read("p")).unwrap_err();
    assert_eq!(refused, CmsRefusal::WeakKey(KeyDefect::Size { bits: 1024 }));
}
