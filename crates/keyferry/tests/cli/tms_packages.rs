//! `keyferry tms vendor` and `keyferry tms package`: signing, approving, publishing, withdrawing.

use std::{fs, net::TcpListener, path::Path, time::Instant};

use serde_json::Value;

use crate::support::{
    ceremony::random,
    estate::Estate,
    folders::edit,
    kld::{VENDOR, signing_card},
    records,
    tms::Package,
    tool::{Ran, keyferry, run},
};

fn packages(estate: &Estate) -> String {
    run(&mut estate.tms(&["package", "list", VENDOR])).good()
}

/// Changes one member of a JSON file.
fn change(path: &Path, name: &str, value: Value) {
    let mut document: Value = serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap();
    document[name] = value;
    fs::write(path, document.to_string()).unwrap();
}

#[test]
fn a_package_is_signed_published_listed_and_withdrawn() {
    let estate = Estate::loaded();
    estate.folder_vendor();
    let vendors = run(&mut estate.tms(&["vendor", "list"])).good();
    for wanted in [VENDOR, "A vendor", "SIM-1", "folder", "site", "signature"] {
        assert!(vendors.contains(wanted), "{wanted} is not in {vendors}");
    }
    let manifest = estate.signed("pay-app", "1.2.0", 3000, &["--model", "SIM-1"]);
    let said = estate.publish(&manifest, &[]).good();
    assert!(said.contains("pay-app 1.2.0") && said.contains("is published"), "{said}");
    let said = estate.publish(&manifest, &[]).good();
    assert!(said.contains("was published before; nothing was changed"), "{said}");
    let listed = packages(&estate);
    for wanted in ["pay-app", "1.2.0", "application", "3000", "signed"] {
        assert!(listed.contains(wanted), "{wanted} is not in {listed}");
    }
    let withdraw = |package: &str| run(&mut estate.tms(&["package", "withdraw", VENDOR, package]));
    withdraw("pay-app@9.9.9").refused_with("vendor KF has no package pay-app 9.9.9");
    assert!(withdraw("pay-app@1.2.0").good().contains("terminals that have it keep it"));
    withdraw("pay-app@1.2.0").refused_with("pay-app 1.2.0 was withdrawn before");
    assert!(packages(&estate).contains("withdrawn 20"));
    estate.deploy("pay-app@1.2.0", &[]).refused_with("no package");
    let kinds = records::events(&estate.path("keyferry.db"));
    for kind in ["tms.vendor-set", "tms.package-published", "tms.package-withdrawn"] {
        assert_eq!(kinds.iter().filter(|known| *known == kind).count(), 1, "{kind}");
    }
    estate.verify_audit().good();
}

#[test]
fn a_vendor_is_entered_whole_or_not_at_all() {
    let estate = Estate::loaded();
    let site = estate.beside("site").to_str().unwrap().to_owned();
    let none = estate.beside("none").to_str().unwrap().to_owned();
    for (arguments, code, said) in [
        (vec![], 2, "--folder"),
        (vec!["--folder", &site, "--database"], 2, "cannot be used with"),
        (vec!["--folder", &site, "--cache-mib", "8"], 2, "--url"),
        (vec!["--folder", &none], 1, "cannot find"),
        (vec!["--database", "--model", "no such model"], 2, "--model"),
    ] {
        let ran = estate.set_vendor(&arguments);
        assert_eq!(ran.code, Some(code), "{arguments:?}: {ran:?}");
        assert!(ran.err.contains(said), "{arguments:?}: {}", ran.err);
    }
    let long =
        run(estate.tms(&["vendor", "set", "TOOLONGVENDOR", "--name", "x", "--database"]).arg("--root=x"));
    assert!(long.code == Some(2) && long.err.contains("TOOLONGVENDOR"), "{long:?}");
    let mut set = keyferry(["tms", "vendor", "set", VENDOR, "--name", "x", "--database", "--config"]);
    set.arg(estate.path("keyferry.toml")).arg("--root");
    run(set.arg(estate.path("station.toml"))).refused_with("station.toml");
    assert_eq!(records::number(&estate.path("keyferry.db"), "SELECT count(*) FROM vendors"), 0);
    // Entered again, it is changed.
    estate.set_vendor(&["--database"]).good();
    estate.set_vendor(&["--database", "--approval-required", "--operator-required"]).good();
    let vendors = run(&mut estate.tms(&["vendor", "list"])).good();
    assert!(vendors.contains("signature, approval, operator"), "{vendors}");
}

#[test]
fn what_cannot_be_published_is_refused_by_name() {
    let estate = Estate::loaded();
    let manifest = estate.signed("pay-app", "1.0.0", 2000, &[]);
    estate.publish(&manifest, &[]).refused_with("vendor KF is not known");
    estate.folder_vendor();
    let good = fs::read_to_string(&manifest).unwrap();
    let publish = |name: &str, value: Value| {
        fs::write(&manifest, &good).unwrap();
        change(&manifest, name, value);
        estate.publish(&manifest, &[]).refused()
    };
    let not_signed = "the vendor's signature is not over this package's name, version, kind, size and hash";
    for (name, value, wanted) in [
        ("version", "1.0.1".into(), not_signed),
        ("name", "pay-ap".into(), not_signed),
        ("kind", "data-file".into(), not_signed),
        ("sha256", "00".repeat(32).into(), not_signed),
        ("size", 2001.into(), not_signed),
        ("size", 0.into(), "size must be 1 to"),
        ("models", ["OTHER"].to_vec().into(), "\"OTHER\" is no model of this vendor"),
        ("path", "../pay-app".into(), "path must be a relative path"),
        ("path", "elsewhere".into(), "elsewhere: the repository has no such file"),
        ("emperor", true.into(), "emperor"),
        ("signature", "!".into(), "not a manifest"),
    ] {
        let said = publish(name, value);
        assert!(said.contains(wanted), "{name}: {said}");
    }
    fs::write(&manifest, &good).unwrap();
    // The file in the repository is another one, or is cut off.
    let content = estate.content("pay-app", "1.0.0");
    let bytes = fs::read(&content).unwrap();
    fs::write(&content, random(2000)).unwrap();
    estate.publish(&manifest, &[]).refused_with("it is not the file that was signed");
    fs::write(&content, &bytes[..1999]).unwrap();
    estate.publish(&manifest, &[]).refused_with("the file has 1999 bytes; the manifest says 2000");
    fs::write(&content, &bytes).unwrap();
    // Signed by somebody else's card: another root's, or the acquirer's.
    for card in ["approver", "stranger"] {
        if card == "stranger" {
            let mut root = keyferry([
                "ca",
                "root",
                "--subject",
                "Vendor root",
                "--suite",
                "1",
                "--bits",
                "2048",
                "--ca",
            ]);
            root.arg(estate.beside("other")).arg("--ca-passphrase-file").arg(estate.secret("ca-passphrase"));
            run(&mut root).good();
            signing_card(&estate, &estate.beside("other"), card);
        }
        let package = Package { name: "pay-app", version: "1.0.0", kind: "application" };
        let card = estate.beside(&format!("{card}.pem"));
        fs::remove_file(&manifest).unwrap();
        estate.sign_file(&content, package, &["--card", card.to_str().unwrap()]).1.good();
        estate.publish(&manifest, &[]).refused_with("the vendor's certificate is refused");
    }
    assert_eq!(records::number(&estate.path("keyferry.db"), "SELECT count(*) FROM packages"), 0);
    // The same version with other content.
    fs::write(&manifest, &good).unwrap();
    estate.publish(&manifest, &[]).good();
    fs::remove_file(&manifest).unwrap();
    let other = estate.signed("pay-app", "1.0.0", 2000, &[]);
    estate.publish(&other, &[]).refused_with("publish it under a new version");
    assert_eq!(records::number(&estate.path("keyferry.db"), "SELECT count(*) FROM packages"), 1);
}

#[test]
fn what_cannot_be_signed_leaves_no_file() {
    let estate = Estate::loaded();
    let content = estate.content("pay-app", "1.0.0");
    fs::write(&content, "content").unwrap();
    let empty = estate.content("empty", "1.0.0");
    fs::write(&empty, "").unwrap();
    let operator = estate.path("cards/operator.pem").to_str().unwrap().to_owned();
    let app = Package { name: "pay-app", version: "1.0.0", kind: "application" };
    let missing = estate.beside("none");
    let cases: [(_, Package<'_>, &[&str], i32, &str); 8] = [
        (&content, Package { version: "1.0", ..app }, &[], 2, "--package-version"),
        (&content, Package { kind: "poem", ..app }, &[], 2, "application, parameters or data-file"),
        (&content, Package { name: "", ..app }, &[], 2, "--name"),
        (&content, app, &["--requires", "libpay"], 2, "NAME@RANGE"),
        (&content, app, &["--requires", "libpay@soon"], 2, "--requires"),
        (&content, app, &["--path", "/etc/passwd"], 1, "path must be a relative path"),
        (&content, app, &["--card", &operator], 1, "is no card of the role package-signing"),
        (&missing, app, &[], 1, "cannot read"),
    ];
    for (content, package, further, code, wanted) in cases {
        let (out, ran): (_, Ran) = estate.sign_file(content, package, further);
        assert_eq!(ran.code, Some(code), "{wanted}: {ran:?}");
        assert!(ran.err.contains(wanted), "{wanted}: {}", ran.err);
        assert!(!out.exists(), "{wanted}");
    }
    let (out, ran) = estate.sign_file(&empty, Package { name: "empty", ..app }, &[]);
    ran.refused_with("size must be 1 to");
    assert!(!out.exists());
    edit(&estate.secret("operator-pin"), &[("operator-k3nb", "operator-k3nc")]);
    let (out, ran) = estate.sign_file(&content, app, &[]);
    ran.refused_with("the PIN or passphrase is wrong");
    assert!(!out.exists());
}

#[test]
fn an_approval_is_for_one_package_and_by_the_acquirer() {
    let estate = Estate::loaded();
    let site = estate.beside("site").to_str().unwrap().to_owned();
    estate.set_vendor(&["--folder", &site, "--approval-required"]).good();
    let (one, other) = (estate.signed("one", "1.0.0", 500, &[]), estate.signed("other", "1.0.0", 500, &[]));
    estate.publish(&one, &[]).refused_with("packages of this vendor need the acquirer's approval");
    let approval = |manifest: &Path, card: &str| {
        let (path, ran) = estate.approve(manifest, card);
        ran.good();
        path.to_str().unwrap().to_owned()
    };
    let by_vendor = approval(&one, "signer.pem");
    estate.publish(&one, &["--approval", &by_vendor]).refused_with("the acquirer's certificate is refused");
    fs::remove_file(&by_vendor).unwrap();
    let of_other = approval(&other, "approver.pem");
    estate.publish(&one, &["--approval", &of_other]).refused_with("the approval is for another package");
    // Nor does it help to leave out which package it is for.
    let mut stripped: Value = serde_json::from_str(&fs::read_to_string(&of_other).unwrap()).unwrap();
    stripped.as_object_mut().unwrap().remove("manifest_sha256");
    fs::write(estate.beside("stripped"), stripped.to_string()).unwrap();
    let stripped = estate.beside("stripped").to_str().unwrap().to_owned();
    estate.publish(&one, &["--approval", &stripped]).refused_with("the acquirer's signature is not over");
    let good = approval(&one, "approver.pem");
    estate.publish(&one, &["--approval", &good]).good();
    assert!(packages(&estate).contains("approved"));
}

#[test]
fn the_database_is_a_repository_too() {
    let estate = Estate::loaded();
    estate.set_vendor(&["--database"]).good();
    // More than one chunk, and not a whole number of them.
    let manifest = estate.signed("pay-app", "1.0.0", 600_001, &[]);
    estate.publish(&manifest, &[]).refused_with("the repository has no such file");
    let content = estate.content("pay-app", "1.0.0").to_str().unwrap().to_owned();
    let other = estate.content("other", "1.0.0");
    fs::write(&other, random(600_001)).unwrap();
    estate
        .publish(&manifest, &["--content", other.to_str().unwrap()])
        .refused_with("is not the content that was signed");
    estate.publish(&manifest, &["--content", &content]).good();
    fs::remove_file(&content).unwrap();
    let said = estate.publish(&manifest, &[]).good();
    assert!(said.contains("was published before"), "the database has the content: {said}");
    assert!(records::events(&estate.path("keyferry.db")).contains(&"tms.file-stored".to_owned()));
}

#[test]
fn a_dead_http_repository_is_named_and_not_waited_for() {
    let estate = Estate::loaded();
    let manifest = estate.signed("pay-app", "1.0.0", 500, &[]);
    // Nobody listens there; then somebody who never answers.
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    estate.set_vendor(&["--url", &format!("http://{free}/"), "--timeout", "1"]).good();
    let said = estate.publish(&manifest, &[]).refused();
    assert!(said.contains("pay-app-1.0.0: the repository cannot be read"), "{said}");
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", silent.local_addr().unwrap());
    estate.set_vendor(&["--url", &url, "--timeout", "1"]).good();
    let began = Instant::now();
    let said = estate.publish(&manifest, &[]).refused();
    assert!(said.contains("pay-app-1.0.0: the repository cannot be read"), "{said}");
    assert!(began.elapsed().as_secs() < 30, "it waited {:?}", began.elapsed());
}
