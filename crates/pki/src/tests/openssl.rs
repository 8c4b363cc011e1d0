//! The real `openssl` agrees with what is issued here, and what it issues is read here.

use super::support::*;
use crate::issue::{self, Issuer, Revoked, build_crl};
use crate::*;

fn text(shell: &Shell, file: &str) -> String {
    String::from_utf8(shell.read(file)).unwrap()
}

/// A folder with `root.pem`, `intermediate.pem`, `leaf.pem` (under the root) and `deep.pem`.
fn folder(role: Role) -> Shell {
    let shell = Shell::new();
    shell.write("root.pem", root().pem());
    shell.write("intermediate.pem", intermediate().pem());
    shell.write("leaf.pem", leaf(role).pem());
    shell.write("deep.pem", deep_leaf(role).pem());
    shell
}

#[test]
fn openssl_verify_accepts_every_role_under_root_and_intermediate() {
    for role in Role::SUITE_01 {
        let shell = folder(role);
        shell.openssl(&format!("verify -x509_strict -attime {NOW} -CAfile root.pem leaf.pem"));
        shell.openssl(&format!(
            "verify -x509_strict -attime {NOW} -CAfile root.pem -untrusted intermediate.pem deep.pem"
        ));
        shell.try_openssl(&format!("verify -attime {NOW} -CAfile root.pem deep.pem")).unwrap_err();
    }
}

#[test]
fn openssl_verify_refuses_at_the_same_seconds() {
    let shell = folder(Role::Operator);
    let leaf = Certificate::from_pem(&text(&shell, "leaf.pem")).unwrap();
    let at = |time: i64| shell.try_openssl(&format!("verify -attime {time} -CAfile root.pem leaf.pem"));
    at(leaf.not_before()).unwrap();
    at(leaf.not_before() - 1).unwrap_err();
    at(leaf.not_after() - 1).unwrap();
    at(leaf.not_after() + 1).unwrap_err();
}

#[test]
fn openssl_x509_shows_the_profile_of_a_leaf() {
    for role in Role::SUITE_01 {
        let shell = folder(role);
        let shown = shell.openssl("x509 -in leaf.pem -noout -text");
        let usage = match role {
            Role::KmsWork | Role::RksWork => "Key Encipherment",
            Role::Downloader => "Digital Signature, Key Encipherment",
            _ => "Digital Signature",
        };
        let expected = [
            "Version: 3 (0x2)".to_owned(),
            "Signature Algorithm: sha256WithRSAEncryption".to_owned(),
            "X509v3 Basic Constraints: critical\n                CA:FALSE\n".to_owned(),
            format!("X509v3 Key Usage: critical\n                {usage}\n"),
            format!("X509v3 Extended Key Usage: critical\n                {}\n", role.oid()),
            "X509v3 Subject Key Identifier:".to_owned(),
            "X509v3 Authority Key Identifier:".to_owned(),
        ];
        for expected in expected {
            assert!(shown.contains(&expected), "{role}: {expected:?} is not in\n{shown}");
        }
    }
}

#[test]
fn openssl_x509_shows_the_profile_of_a_ca() {
    let shell = folder(Role::Operator);
    for (file, path_len) in [("root.pem", 2), ("intermediate.pem", 0)] {
        let shown = shell.openssl(&format!("x509 -in {file} -noout -text"));
        let constraints =
            format!("X509v3 Basic Constraints: critical\n                CA:TRUE, pathlen:{path_len}\n");
        assert!(shown.contains(&constraints), "{shown}");
        assert!(
            shown.contains("X509v3 Key Usage: critical\n                Certificate Sign, CRL Sign\n"),
            "{shown}"
        );
        assert!(!shown.contains("Extended Key Usage"));
    }
}

#[test]
fn openssl_x509_shows_the_same_serial_names_and_fingerprint() {
    let shell = folder(Role::Mtms);
    let leaf = Certificate::from_pem(&text(&shell, "leaf.pem")).unwrap();
    let shown = shell.openssl("x509 -in leaf.pem -noout -serial -subject -fingerprint -sha256");
    assert!(shown.contains(&format!("serial={}\n", leaf.serial_hex())), "{shown}");
    assert!(shown.contains("subject=O = Keyferry tests, CN = Leaf\n"), "{shown}");
    let fingerprint = shown.rsplit('=').next().unwrap().trim().replace(':', "").to_lowercase();
    assert_eq!(fingerprint, leaf.sha256_hex());
}

#[test]
fn openssl_verifies_a_tls_server_for_its_names() {
    let shell = folder(Role::Mtms);
    let root = root();
    let issuer = Issuer::new(&root, key(Who::Root)).unwrap();
    let names: Vec<_> =
        ["kms.example", "127.0.0.1", "::1"].iter().map(|name| name.parse().unwrap()).collect();
    let server =
        issue::tls_server(&issuer, &name("TLS"), key(Who::Leaf).spki_der(), years(1), &names).unwrap();
    shell.write("tls.pem", server.pem());
    let verify = |arguments: &str| {
        shell.try_openssl(&format!(
            "verify -x509_strict -attime {NOW} -purpose sslserver -CAfile root.pem {arguments} tls.pem"
        ))
    };
    verify("-verify_hostname kms.example").unwrap();
    verify("-verify_ip 127.0.0.1").unwrap();
    verify("-verify_ip ::1").unwrap();
    verify("-verify_hostname other.example").unwrap_err();
    let shown = shell.openssl("x509 -in tls.pem -noout -text");
    assert!(shown.contains("X509v3 Extended Key Usage: \n                TLS Web Server"), "{shown}");
    assert!(shown.contains("critical\n                Digital Signature, Key Encipherment\n"), "{shown}");
}

#[test]
fn openssl_verifies_a_tls_client_as_nothing_else() {
    let shell = folder(Role::Mtms);
    let root = root();
    let issuer = Issuer::new(&root, key(Who::Root)).unwrap();
    let client = issue::tls_client(&issuer, &name("posp-1"), key(Who::Leaf).spki_der(), years(1)).unwrap();
    shell.write("client.pem", client.pem());
    let verify = |purpose: &str| {
        let options = format!("-x509_strict -attime {NOW} -purpose {purpose} -CAfile root.pem");
        shell.try_openssl(&format!("verify {options} client.pem"))
    };
    verify("sslclient").unwrap();
    verify("sslserver").unwrap_err();
    let shown = shell.openssl("x509 -in client.pem -noout -text");
    assert!(shown.contains("X509v3 Extended Key Usage: \n                TLS Web Client"), "{shown}");
    assert!(shown.contains("critical\n                Digital Signature\n"), "{shown}");
}

#[test]
fn openssl_checks_our_revocation_list_and_finds_the_revoked() {
    let shell = folder(Role::Operator);
    let (root, leaf) = (root(), Certificate::from_pem(&text(&shell, "leaf.pem")).unwrap());
    let issuer = Issuer::new(&root, key(Who::Root)).unwrap();
    let entry =
        Revoked { serial: leaf.serial().to_vec(), when: NOW - 5, reason: RevocationReason::KeyCompromise };
    shell.write("empty.crl", build_crl(&issuer, 1, NOW - DAY, NOW + DAY, &[]).unwrap().pem());
    shell.write("full.crl", build_crl(&issuer, 2, NOW - DAY, NOW + DAY, &[entry]).unwrap().pem());

    let verify = |crl: &str| {
        shell.try_openssl(&format!(
            "verify -x509_strict -attime {NOW} -crl_check -CAfile root.pem -CRLfile {crl} leaf.pem"
        ))
    };
    verify("empty.crl").unwrap();
    let refused = verify("full.crl").unwrap_err();
    assert!(refused.contains("certificate revoked"), "{refused}");

    let shown = shell.openssl("crl -in full.crl -noout -text -CAfile root.pem");
    for expected in ["verify OK", "Version 2", "X509v3 CRL Number: \n                2\n", "Key Compromise"] {
        assert!(shown.contains(expected), "{expected:?} is not in\n{shown}");
    }
    assert!(shown.contains(&leaf.serial_hex()), "{shown}");
}

#[test]
fn openssl_verifies_our_request() {
    let shell = Shell::new();
    shell.write("request.pem", csr::to_pem(&csr::build(&name("Card 7"), key(Who::Leaf)).unwrap()));
    let shown = shell.openssl("req -in request.pem -verify -noout -subject");
    assert!(shown.contains("verify OK"), "{shown}");
    assert!(shown.contains("O = Keyferry tests, CN = Card 7"), "{shown}");
}

#[test]
fn we_read_the_request_of_openssl() {
    let shell = Shell::new();
    shell.write_key("key.pem", key(Who::Leaf));
    shell.openssl("req -new -key key.pem -subj /O=Bank/CN=Card -addext keyUsage=digitalSignature -out r.pem");
    let request = csr::parse_and_verify(&csr::from_pem(&text(&shell, "r.pem")).unwrap()).unwrap();
    assert_eq!(request.subject.common_name(), Some("Card"));
    assert_eq!(request.spki, key(Who::Leaf).spki_der());
}

/// A root, an intermediate and an operator's certificate made by `openssl`.
fn foreign_estate() -> Shell {
    let shell = Shell::new();
    shell.write_key("root.key", key(Who::Root));
    shell.write_key("ca.key", key(Who::Intermediate));
    shell.write_key("leaf.key", key(Who::Leaf));
    let ids = "subjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid\n";
    let ca = "basicConstraints=critical,CA:TRUE,pathlen:";
    let sign = "keyUsage=critical,keyCertSign,cRLSign\n";
    shell.write("ca.ext", format!("{ca}0\n{sign}{ids}"));
    let leaf = "basicConstraints=critical,CA:FALSE\nkeyUsage=critical,digitalSignature\n";
    shell.write("leaf.ext", format!("{leaf}extendedKeyUsage=critical,{}\n{ids}", Role::Operator.oid()));
    shell.openssl(
        "req -x509 -new -key root.key -subj /CN=Foreign -days 3650 -out root.pem \
         -addext basicConstraints=critical,CA:TRUE,pathlen:1 -addext keyUsage=critical,keyCertSign,cRLSign",
    );
    shell.openssl("req -new -key ca.key -subj /CN=CA -out ca.csr");
    shell.openssl("req -new -key leaf.key -subj /CN=Card -out leaf.csr");
    let issue = "x509 -req -sha256 -CAcreateserial -days 3000";
    shell.openssl(&format!("{issue} -in ca.csr -CA root.pem -CAkey root.key -extfile ca.ext -out ca.pem"));
    shell.openssl(&format!("{issue} -in leaf.csr -CA ca.pem -CAkey ca.key -extfile leaf.ext -out leaf.pem"));
    shell
}

#[test]
fn we_verify_a_chain_made_by_openssl() {
    let shell = foreign_estate();
    let read = |file| Certificate::from_pem(&text(&shell, file)).unwrap();
    let (root, ca, leaf) = (read("root.pem"), read("ca.pem"), read("leaf.pem"));
    let at = leaf.not_before();
    let mut trust = TrustList::new();
    trust.add(root, &[Role::Operator]);
    verify_chain(&leaf, std::slice::from_ref(&ca), &trust, Role::Operator, at, &CrlSet::new()).unwrap();
    let refused = verify_chain(&leaf, &[ca], &trust, Role::Administrator, at, &CrlSet::new()).unwrap_err();
    assert!(matches!(refused, CertificateRefusal::WrongRole { found: Role::Operator, .. }));
}

#[test]
fn we_believe_the_revocation_list_of_openssl() {
    let shell = foreign_estate();
    shell.write("index.txt", "");
    shell.write("crlnumber", "0A\n");
    shell.write(
        "ca.cnf",
        "[ca]\ndefault_ca=here\n[here]\ndatabase=index.txt\ncrlnumber=crlnumber\ndefault_md=sha256\n\
         default_crl_days=30\ncrl_extensions=crl\n[crl]\nauthorityKeyIdentifier=keyid\n",
    );
    let ca = "ca -config ca.cnf -cert ca.pem -keyfile ca.key";
    shell.openssl(&format!("{ca} -revoke leaf.pem -crl_reason keyCompromise"));
    shell.openssl(&format!("{ca} -gencrl -out ca.crl"));
    let read = |file| Certificate::from_pem(&text(&shell, file)).unwrap();
    let mut crls = CrlSet::new();
    crls.add_pem(&text(&shell, "ca.crl")).unwrap();
    let crl = crls.iter().next().unwrap();
    assert_eq!((crl.number(), crl.len()), (10, 1));
    let mut trust = TrustList::new();
    trust.add(read("root.pem"), &[Role::Operator]);
    let at = crl.this_update();
    let refused =
        verify_chain(&read("leaf.pem"), &[read("ca.pem")], &trust, Role::Operator, at, &crls).unwrap_err();
    assert!(matches!(refused, CertificateRefusal::Revoked { .. }));
}

#[test]
fn lists_of_openssl_that_are_not_whole_or_of_version_1_are_malformed() {
    let shell = foreign_estate();
    shell.write("index.txt", "");
    let list = |extensions: &str| {
        shell.write(
            "ca.cnf",
            format!(
                "[ca]\ndefault_ca=here\n[here]\ndatabase=index.txt\ndefault_md=sha256\n\
                 default_crl_days=30\n{extensions}"
            ),
        );
        shell.openssl("ca -config ca.cnf -cert ca.pem -keyfile ca.key -gencrl -out ca.crl");
        Crl::from_pem(&text(&shell, "ca.crl"))
    };
    assert!(list("crl_extensions=crl\n[crl]\nauthorityKeyIdentifier=keyid\n").is_ok());
    let partition =
        list("crl_extensions=crl\n[crl]\nissuingDistributionPoint=critical,@idp\n[idp]\nonlyuser=TRUE\n");
    assert!(matches!(partition, Err(Error::Malformed { ref why, .. }) if why.contains("2.5.29.28")));
    assert!(matches!(list(""), Err(Error::Malformed { ref why, .. }) if why.contains("version 2")));
}

#[test]
fn certificates_of_version_1_or_with_a_negative_serial_number_are_malformed() {
    let shell = foreign_estate();
    let issue = "x509 -req -sha256 -in leaf.csr -CA ca.pem -CAkey ca.key -out odd.pem";
    let read = || Certificate::from_pem(&text(&shell, "odd.pem"));
    shell.openssl(&format!("{issue} -set_serial 5"));
    assert!(matches!(read(), Err(Error::Malformed { ref why, .. }) if why.contains("version 3")));
    shell.openssl(&format!("{issue} -extfile leaf.ext -set_serial 5"));
    read().unwrap();
    for serial in ["0", "-5"] {
        shell.openssl(&format!("{issue} -extfile leaf.ext -set_serial {serial}"));
        assert!(
            matches!(read(), Err(Error::Malformed { ref why, .. }) if why.contains("positive")),
            "{serial}"
        );
    }
}
