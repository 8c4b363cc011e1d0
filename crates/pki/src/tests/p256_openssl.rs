//! Suite 02 with the real `openssl` as judge.

use super::p256_support::*;
use super::support::*;
use crate::issue::{self, Issuer, Revoked, build_crl};
use crate::*;

fn text(shell: &Shell, file: &str) -> String {
    String::from_utf8(shell.read(file)).unwrap()
}

#[test]
fn openssl_verifies_every_role_and_shows_its_profile() {
    let root = ec_root();
    for role in ec_roles() {
        let shell = Shell::new();
        shell.write("root.pem", root.pem());
        shell.write("leaf.pem", ec_leaf(role).pem());
        shell.openssl(&format!("verify -x509_strict -attime {NOW} -CAfile root.pem leaf.pem"));
        let shown = shell.openssl("x509 -in leaf.pem -noout -text");
        let usage = if role == Role::KmsWork { "Key Agreement" } else { "Digital Signature" };
        for expected in [
            "Signature Algorithm: ecdsa-with-SHA256".to_owned(),
            "ASN1 OID: prime256v1".to_owned(),
            format!("X509v3 Key Usage: critical\n                {usage}\n"),
            format!("X509v3 Extended Key Usage: critical\n                {}\n", role.oid()),
        ] {
            assert!(shown.contains(&expected), "{role}: {expected:?} is not in\n{shown}");
        }
    }
    let shell = Shell::new();
    shell.write("leaf.pem", ec_leaf(Role::Device).pem());
    let shown = shell.openssl("x509 -in leaf.pem -noout -subject");
    assert!(shown.contains("CN = Terminal, serialNumber = SN-1001"), "{shown}");
}

#[test]
fn openssl_verifies_a_chain_over_an_intermediate_and_a_tls_server() {
    let ca = ec_intermediate();
    let issuer = Issuer::new(&ca, ec(Who::Intermediate)).unwrap();
    let spki = ec(Who::Leaf).spki_der();
    let names = ["kms.example".parse().unwrap()];
    let shell = Shell::new();
    shell.write("root.pem", ec_root().pem());
    shell.write("ca.pem", ca.pem());
    let leaf = issue::leaf(&issuer, Role::Device, &subject(Role::Device), spki, years(1)).unwrap();
    shell.write("leaf.pem", leaf.pem());
    shell.write("tls.pem", issue::tls_server(&issuer, &name("TLS"), spki, years(1), &names).unwrap().pem());
    let verify = format!("verify -x509_strict -attime {NOW} -CAfile root.pem -untrusted ca.pem");
    shell.openssl(&format!("{verify} leaf.pem"));
    shell.openssl(&format!("{verify} -purpose sslserver -verify_hostname kms.example tls.pem"));
    let shown = shell.openssl("x509 -in tls.pem -noout -text");
    assert!(shown.contains("X509v3 Key Usage: critical\n                Digital Signature\n"), "{shown}");
}

#[test]
fn openssl_verifies_our_request_and_our_revocation_list() {
    let (root, leaf) = (ec_root(), ec_leaf(Role::Device));
    let shell = Shell::new();
    let request = csr::build(&subject(Role::Device), ec(Who::Leaf)).unwrap();
    shell.write("request.pem", csr::to_pem(&request));
    let shown = shell.openssl("req -in request.pem -verify -noout -subject");
    assert!(shown.contains("verify OK") && shown.contains("serialNumber = SN-1001"), "{shown}");

    let issuer = Issuer::new(&root, ec(Who::Root)).unwrap();
    let entry =
        Revoked { serial: leaf.serial().to_vec(), when: NOW - 5, reason: RevocationReason::KeyCompromise };
    shell.write("root.pem", root.pem());
    shell.write("leaf.pem", leaf.pem());
    shell.write("empty.crl", build_crl(&issuer, 1, NOW - DAY, NOW + DAY, &[]).unwrap().pem());
    shell.write("full.crl", build_crl(&issuer, 2, NOW - DAY, NOW + DAY, &[entry]).unwrap().pem());
    let verify = |crl: &str| {
        let options = format!("-x509_strict -attime {NOW} -crl_check -CAfile root.pem -CRLfile {crl}");
        shell.try_openssl(&format!("verify {options} leaf.pem"))
    };
    verify("empty.crl").unwrap();
    assert!(verify("full.crl").unwrap_err().contains("certificate revoked"));
}

#[test]
fn openssl_verifies_our_signature_in_its_own_form() {
    let shell = Shell::new();
    let raw = ec(Who::Leaf).sign(Scheme::EcdsaP256Sha256, b"transcript").unwrap();
    shell.write("message", "transcript");
    shell.write("signature", crate::p256::to_der(&raw).unwrap());
    shell.write("key.pem", ec(Who::Leaf).pem());
    shell.openssl("pkey -in key.pem -pubout -out public.pem");
    shell.openssl("dgst -sha256 -verify public.pem -signature signature message");
}

#[test]
fn we_verify_requests_and_chains_that_openssl_made() {
    let shell = Shell::new();
    for (file, who) in [("root.key", Who::Root), ("ca.key", Who::Intermediate), ("device.key", Who::Leaf)] {
        shell.write(file, ec(who).pem());
    }
    let ids = "subjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid\n";
    let sign = "keyUsage=critical,keyCertSign,cRLSign\n";
    shell.write("ca.ext", format!("basicConstraints=critical,CA:TRUE,pathlen:0\n{sign}{ids}"));
    let oid = Role::Device.oid();
    let leaf = "basicConstraints=critical,CA:FALSE\nkeyUsage=critical,digitalSignature\n";
    shell.write("device.ext", format!("{leaf}extendedKeyUsage=critical,{oid}\n{ids}"));
    shell.openssl(
        "req -x509 -new -sha256 -key root.key -subj /CN=Foreign -days 3650 -out root.pem \
         -addext basicConstraints=critical,CA:TRUE,pathlen:1 -addext keyUsage=critical,keyCertSign,cRLSign",
    );
    shell.openssl("req -new -sha256 -key ca.key -subj /CN=CA -out ca.csr");
    shell.openssl("req -new -sha256 -key device.key -subj /CN=T/serialNumber=PP-7 -out device.csr");
    let request = csr::parse_and_verify(&csr::from_pem(&text(&shell, "device.csr")).unwrap()).unwrap();
    assert_eq!(request.subject.serial_number(), Some("PP-7"));

    let issue = "x509 -req -CAcreateserial -days 3000";
    let by_root = "-CA root.pem -CAkey root.key";
    shell.openssl(&format!("{issue} -sha256 -in ca.csr {by_root} -extfile ca.ext -out ca.pem"));
    let by_ca = "-CA ca.pem -CAkey ca.key -extfile device.ext";
    shell.openssl(&format!("{issue} -sha256 -in device.csr {by_ca} -out device.pem"));
    let read = |file| Certificate::from_pem(&text(&shell, file)).unwrap();
    let (root, ca, device) = (read("root.pem"), read("ca.pem"), read("device.pem"));
    let mut trust = TrustList::new();
    trust.add(root, &[Role::Device]);
    let check = |leaf: &Certificate| {
        let above = std::slice::from_ref(&ca);
        verify_chain(leaf, above, &trust, Role::Device, leaf.not_before(), &CrlSet::new())
    };
    assert_eq!(check(&device).unwrap().serial_number(), Some("PP-7"));
    // ECDSA, but not with SHA-256.
    shell.openssl(&format!("{issue} -sha384 -in device.csr {by_ca} -out other.pem"));
    assert!(matches!(check(&read("other.pem")), Err(CertificateRefusal::Algorithm { .. })));
}
