//! `keyferry ca`, with openssl as the judge.

use std::{
    fs,
    path::{Path, PathBuf},
};

use crate::support::{
    estate::{Estate, SECRETS},
    folders::{mode, snapshot, write_secret},
    tool::{Ran, keyferry, openssl, run, text},
};

/// A key and a request for it, made by openssl.
fn request(folder: &Path, name: &str, bits: &str) -> PathBuf {
    let path = folder.join(format!("{name}.csr"));
    let (subject, key) = (format!("/CN={name}"), text(&folder.join(format!("{name}.key"))));
    let new = format!("rsa:{bits}");
    openssl([
        "req",
        "-new",
        "-newkey",
        &new,
        "-nodes",
        "-sha256",
        "-subj",
        &subject,
        "-keyout",
        &key,
        "-out",
        &text(&path),
    ])
    .good();
    path
}

fn issue(estate: &Estate, request: &Path, role: &str, out: &Path) -> Ran {
    run(estate.ca(&["issue", "--role", role]).arg("--request").arg(request).arg("--out").arg(out))
}

/// The serial number that a command printed.
fn serial(said: &str) -> String {
    said.lines().find_map(|line| line.strip_prefix("serial ")).unwrap().to_owned()
}

fn verify(estate: &Estate, certificate: &Path) -> Ran {
    let (root, crl) = (text(&estate.path("ca/root.pem")), text(&estate.path("ca/crl.pem")));
    openssl(["verify", "-CAfile", &root, "-crl_check", "-CRLfile", &crl, &text(certificate)])
}

#[test]
fn every_role_is_issued_as_openssl_sees_it_and_revoked_when_it_is() {
    let estate = Estate::new();
    let roles = [
        "kms-work",
        "downloader",
        "rks-work",
        "operator",
        "administrator",
        "mtms",
        "package-signing",
        "repair-authorisation",
    ];
    let mut serials = Vec::new();
    for (number, role) in roles.into_iter().enumerate() {
        let request = request(estate.folder(), role, "2048");
        let out = estate.folder().join(format!("{role}.pem"));
        let said = issue(&estate, &request, role, &out).good();
        assert!(said.contains(&format!("CN={role}")), "{said}");
        verify(&estate, &out).good();
        let shown = openssl(["x509", "-noout", "-text", "-in", &text(&out)]).good();
        let usage = format!("1.3.6.1.4.1.32473.4711.{}", number + 1);
        assert!(shown.contains(&usage), "{usage} is not in {shown}");
        assert!(shown.contains("X509v3 Extended Key Usage: critical"), "{shown}");
        let theirs = openssl(["x509", "-noout", "-serial", "-in", &text(&out)]).good();
        assert_eq!(theirs.trim_end().strip_prefix("serial="), Some(serial(&said).as_str()));
        serials.push((serial(&said), out));
    }
    let listed = run(keyferry(["ca", "list", "--ca"]).arg(estate.path("ca"))).good();
    assert!(serials.iter().all(|(serial, _)| listed.contains(serial)), "{listed}");

    let (revoked, kept) = (&serials[0], &serials[1]);
    let said = run(&mut estate.ca(&["revoke", "--serial", &revoked.0, "--reason", "superseded"])).good();
    assert!(said.contains("revocation list number 2 written"), "{said}");
    assert!(verify(&estate, &revoked.1).err.contains("certificate revoked"));
    verify(&estate, &kept.1).good();
    let list = run(keyferry(["ca", "list", "--ca"]).arg(estate.path("ca"))).good();
    let line = list.lines().find(|line| line.contains(&revoked.0)).unwrap();
    assert!(line.contains("revoked 20"), "{line}");
    let crl = openssl(["crl", "-noout", "-text", "-in", &text(&estate.path("ca/crl.pem"))]).good();
    assert!(crl.contains("Superseded") && crl.contains(&revoked.0), "{crl}");
}

#[test]
fn revocation_lists_are_numbered_upwards() {
    let estate = Estate::new();
    let number = || {
        let crl = text(&estate.path("ca/crl.pem"));
        openssl(["crl", "-noout", "-crlnumber", "-in", &crl]).good().trim_end().to_owned()
    };
    let first = number();
    let said = run(&mut estate.ca(&["crl", "--days", "7"])).good();
    assert!(said.contains("revocation list number 2, 0 revoked, good until "), "{said}");
    assert_ne!(number(), first);
    for days in ["0", "-1", "4294967296"] {
        assert_eq!(run(&mut estate.ca(&["crl", &format!("--days={days}")])).code, Some(2), "{days}");
    }
    run(&mut estate.ca(&["crl", "--days", "4294967295"]))
        .refused_with("is no time that a certificate can hold");
    assert!(number().ends_with("02"), "{}", number());
}

#[test]
fn two_roots_do_not_vouch_for_each_other() {
    let estate = Estate::new();
    let other = estate.folder().join("other");
    let root = |folder: &Path| {
        let mut command =
            keyferry(["ca", "root", "--subject", "Other root", "--suite", "1", "--bits", "2048", "--ca"]);
        run(command.arg(folder).arg("--ca-passphrase-file").arg(estate.secret("ca-passphrase")))
    };
    root(&other).good();
    assert_eq!(mode(&other.join("root.key.pem")), 0o600);
    let key = fs::read_to_string(other.join("root.key.pem")).unwrap();
    assert!(key.starts_with("-----BEGIN ENCRYPTED PRIVATE KEY-----"));
    let request = request(estate.folder(), "work", "2048");
    let out = estate.folder().join("work.pem");
    issue(&estate, &request, "kms-work", &out).good();
    let (ours, theirs) = (text(&estate.path("ca/root.pem")), text(&other.join("root.pem")));
    openssl(["verify", "-CAfile", &ours, &text(&out)]).good();
    assert_ne!(openssl(["verify", "-CAfile", &theirs, &text(&out)]).code, Some(0));
    // A root is never made over another one.
    let before = snapshot(&other);
    root(&other).refused_with("exists already; nothing was changed");
    assert_eq!(snapshot(&other), before);
}

#[test]
fn what_the_ca_does_not_do_changes_nothing() {
    let estate = Estate::new();
    let request = request(estate.folder(), "work", "2048");
    let out = estate.folder().join("out.pem");
    let before = snapshot(&estate.path("ca"));

    let unknown = issue(&estate, &request, "emperor", &out);
    assert_eq!(unknown.code, Some(2));
    assert!(unknown.err.contains("roles are kms-work, downloader"), "{}", unknown.err);
    run(&mut estate.ca(&["revoke", "--serial", "0123456789ABCDEF"]))
        .refused_with("issued no certificate with the serial");
    let reason = run(&mut estate.ca(&["revoke", "--serial", "01", "--reason", "whim"]));
    assert_eq!(reason.code, Some(2));

    // A request that was changed after it was signed, one with a short key, and what is none.
    let mut der = estate.folder().join("der.csr");
    openssl(["req", "-in", &text(&request), "-outform", "DER", "-out", &text(&der)]).good();
    let mut bytes = fs::read(&der).unwrap();
    let at = bytes.windows(4).position(|window| window == b"work").unwrap();
    bytes[at] = b'W';
    fs::write(&der, bytes).unwrap();
    issue(&estate, &der, "kms-work", &out).refused();
    der = self::request(estate.folder(), "short", "1024");
    issue(&estate, &der, "kms-work", &out).refused_with("1024");
    fs::write(&der, "-----BEGIN NOTHING-----").unwrap();
    issue(&estate, &der, "kms-work", &out).refused();
    issue(&estate, &estate.path("no-such.csr"), "kms-work", &out).refused_with("no-such.csr");

    write_secret(&estate.secret("ca-passphrase"), "not the passphrase");
    issue(&estate, &request, "kms-work", &out).refused_with("the PIN or passphrase is wrong");
    run(&mut estate.ca(&["crl"])).refused_with("the PIN or passphrase is wrong");
    assert_eq!(snapshot(&estate.path("ca")), before);
    assert!(!out.exists());
}

#[test]
fn one_key_has_one_use() {
    let estate = Estate::new();
    let request = request(estate.folder(), "work", "2048");
    issue(&estate, &request, "kms-work", &estate.folder().join("1.pem")).good();
    let out = estate.folder().join("2.pem");
    issue(&estate, &request, "operator", &out).refused_with("this key has the kms-work certificate");
    assert!(!out.exists());
}

#[test]
fn a_certificate_whose_file_is_there_already_is_not_issued() {
    let estate = Estate::new();
    let request = request(estate.folder(), "work", "2048");
    let out = estate.folder().join("taken.pem");
    fs::write(&out, "mine").unwrap();
    let ran = issue(&estate, &request, "kms-work", &out);
    let said = ran.refused();
    assert!(said.contains("taken.pem"), "{said}");
    assert_eq!(fs::read(&out).unwrap(), b"mine", "never overwritten");
    let list = run(keyferry(["ca", "list", "--ca"]).arg(estate.path("ca"))).good();
    assert!(!list.contains("CN=work"), "nothing was issued for nobody: {list}");
}

#[test]
fn a_changed_log_is_found_before_anything_is_signed() {
    let estate = Estate::new();
    let log = estate.path("ca/log");
    let good = fs::read_to_string(&log).unwrap();
    fs::write(&log, good.replacen("operator", "Operator", 1)).unwrap();
    run(&mut estate.ca(&["crl"])).refused_with("compare with a backup");
    run(keyferry(["ca", "list", "--ca"]).arg(estate.path("ca"))).refused_with("compare with a backup");
    fs::write(&log, good).unwrap();
    run(&mut estate.ca(&["crl"])).good();
}

#[test]
fn a_card_is_an_encrypted_key_with_its_certificate() {
    let estate = Estate::new();
    for (name, role) in [("operator", "operator-pin"), ("administrator", "administrator-pin")] {
        let card = text(&estate.path(&format!("cards/{name}.pem")));
        let pin = format!("file:{}", text(&estate.secret(role)));
        let key = openssl(["pkey", "-in", &card, "-passin", &pin, "-pubout"]).good();
        let certified = openssl(["x509", "-in", &card, "-noout", "-pubkey"]).good();
        assert_eq!(key, certified);
        assert_ne!(openssl(["pkey", "-in", &card, "-passin", "pass:wrong-pin", "-noout"]).code, Some(0));
        assert!(!fs::read_to_string(&card).unwrap().contains(SECRETS[2].1));
    }
    let mut card = estate.ca(&["card", "--subject", "X", "--role", "kms-work"]);
    card.arg("--pin-file").arg(estate.secret("operator-pin")).arg("--out").arg(estate.folder().join("x.pem"));
    run(&mut card).refused_with(
        "cards are for people who sign: operator, administrator, package-signing, repair-authorisation",
    );
    let mut card = estate.ca(&["card", "--subject", "X", "--role", "operator"]);
    card.arg("--pin-file")
        .arg(estate.secret("operator-pin"))
        .arg("--out")
        .arg(estate.path("cards/operator.pem"));
    run(&mut card).refused_with("exists; nothing was changed");
}

#[test]
fn a_tls_client_is_certified_by_its_common_name() {
    let estate = Estate::new();
    let request = request(estate.folder(), "posp-1", "2048");
    let certificate = estate.path("posp.pem");
    let tls = |arguments: &[&str]| {
        run(estate
            .ca(&[&["tls"], arguments].concat())
            .arg("--request")
            .arg(&request)
            .arg("--out")
            .arg(&certificate))
    };
    tls(&["--client"]).good();
    let root = text(&estate.path("ca/root.pem"));
    openssl(["verify", "-purpose", "sslclient", "-CAfile", &root, &text(&certificate)]).good();
    assert_ne!(
        openssl(["verify", "-purpose", "sslserver", "-CAfile", &root, &text(&certificate)]).code,
        Some(0)
    );
    fs::remove_file(&certificate).unwrap();
    // Neither server nor client, and both.
    assert_eq!(tls(&[]).code, Some(2));
    assert_eq!(tls(&["--client", "--server-name", "localhost"]).code, Some(2));
    assert!(!certificate.exists());
}
