//! A new work key: `work-key-request`, `ca issue`, `work-key-install`, for the KMS, for the remote key server and for an
//! MTMS.

use std::{fs, path::PathBuf};

use crate::support::{
    estate::Estate,
    factory::{Factory, make_vendor},
    folders::{edit, mode, snapshot},
    records,
    server::Server,
    station,
    tool::{Ran, run},
};

struct Request {
    csr: PathBuf,
    block: PathBuf,
    certificate: PathBuf,
}

fn request(estate: &Estate, name: &str) -> (Request, Ran) {
    request_of("kms", estate, name)
}

fn request_of(of: &str, estate: &Estate, name: &str) -> (Request, Ran) {
    let file = |end: &str| estate.folder().join(format!("{name}.{end}"));
    let request = Request { csr: file("csr"), block: file("key-block"), certificate: file("pem") };
    let mut command = estate.configured(&[of, "work-key-request", "--suite", "1"]);
    command.arg("--out").arg(&request.csr).arg("--key-block").arg(&request.block);
    let ran = run(command.arg("--passphrase-file").arg(estate.secret("hsm-passphrase")));
    (request, ran)
}

fn issue(estate: &Estate, request: &Request, role: &str) {
    let mut command = estate.ca(&["issue", "--role", role]);
    command.arg("--request").arg(&request.csr).arg("--out").arg(&request.certificate);
    run(&mut command).good();
}

fn install(estate: &Estate, request: &Request) -> Ran {
    install_of("kms", estate, request)
}

fn install_of(of: &str, estate: &Estate, request: &Request) -> Ran {
    let mut command = estate.configured(&[of, "work-key-install"]);
    command.arg("--certificate").arg(&request.certificate).arg("--key-block").arg(&request.block);
    run(command.arg("--passphrase-file").arg(estate.secret("hsm-passphrase")))
}

#[test]
fn terminals_collected_under_the_old_key_still_download_and_new_ones_use_the_new() {
    let estate = Estate::collected();
    let server = Server::start(&estate);
    // One downloads before, one only after.
    let before = estate.terminal("SN-1").key(&server.terminals, 0);
    let (new, ran) = request(&estate, "new");
    ran.good();
    assert_eq!(mode(&new.block), 0o600);
    issue(&estate, &new, "kms-work");
    assert!(install(&estate, &new).good().contains("is active: from now on terminals get its certificate"));
    assert!(server.stop().success());

    let server = Server::start(&estate);
    assert_eq!(estate.terminal("SN-1").kcv(0), Some(before));
    for sn in ["SN-1", "SN-2"] {
        estate.terminal(sn).key(&server.terminals, 1);
    }
    // The station is given the new certificate.
    fs::remove_file(estate.path("work-certificate.pem")).unwrap();
    fs::copy(&new.certificate, estate.path("work-certificate.pem")).unwrap();
    let terminal = estate.make_terminal("SN-9");
    station::collect(&estate, &[&terminal], &[]).ran.good();
    let sql = "SELECT count(*) FROM terminals t JOIN work_keys w ON w.certificate_sha256 = t.work_certificate_sha256 \
               WHERE t.sn = 'SN-9' AND w.state = 'active'";
    assert_eq!(records::number(&estate.path("keyferry.db"), sql), 1);
    terminal.key(&server.terminals, 0);
    // One that was latched under the old certificate gives its key to no other.
    let latched = station::collect(&estate, &[&estate.terminal("SN-3")], &["--offline"]);
    assert_eq!(latched.ran.code, Some(1));
    assert!(latched.ran.out.contains("0008"), "{}", latched.ran.out);
    estate.terminal("SN-3").key(&server.terminals, 0);
}

#[test]
fn a_work_key_that_does_not_fit_is_not_installed() {
    let estate = Estate::new();
    let (operator, ran) = request(&estate, "operator");
    ran.good();
    issue(&estate, &operator, "operator");
    let active = || {
        records::string(
            &estate.path("keyferry.db"),
            "SELECT certificate_sha256 FROM work_keys WHERE state = 'active'",
        )
    };
    let first = active();
    install(&estate, &operator).refused_with("the certificate is refused");
    // Another root's.
    let (foreign, ran) = request(&estate, "foreign");
    ran.good();
    let mut root = crate::support::tool::keyferry([
        "ca",
        "root",
        "--subject",
        "CLI root",
        "--suite",
        "1",
        "--bits",
        "2048",
        "--ca",
    ]);
    root.arg(estate.folder().join("other")).arg("--ca-passphrase-file").arg(estate.secret("ca-passphrase"));
    run(&mut root).good();
    let mut command = crate::support::tool::keyferry(["ca", "issue", "--role", "kms-work", "--ca"]);
    command
        .arg(estate.folder().join("other"))
        .arg("--ca-passphrase-file")
        .arg(estate.secret("ca-passphrase"));
    run(command.arg("--request").arg(&foreign.csr).arg("--out").arg(&foreign.certificate)).good();
    install(&estate, &foreign).refused_with("the certificate is refused");
    assert_eq!(active(), first);
    assert_eq!(records::number(&estate.path("keyferry.db"), "SELECT count(*) FROM work_keys"), 1);
}

#[test]
fn a_key_block_of_another_key_is_not_installed() {
    let estate = Estate::new();
    let (one, ran) = request(&estate, "one");
    ran.good();
    let (other, ran) = request(&estate, "other");
    ran.good();
    issue(&estate, &one, "kms-work");
    let mixed = Request { block: other.block, ..one };
    install(&estate, &mixed).refused_with("certificate and key block do not belong together here");
    assert_eq!(records::number(&estate.path("keyferry.db"), "SELECT count(*) FROM work_keys"), 1);
}

#[test]
fn a_work_key_of_the_remote_key_server_must_fit_too() {
    let estate = Estate::new();
    let request = |name| {
        let (request, ran) = request_of("rks", &estate, name);
        ran.good();
        request
    };
    let (one, other) = (request("one"), request("other"));
    issue(&estate, &one, "rks-work");
    let mixed = Request { block: other.block, csr: one.csr.clone(), certificate: one.certificate.clone() };
    install_of("rks", &estate, &mixed).refused_with("certificate and key block do not belong together here");
    // One made for the KMS is not taken for it, though a certificate says so.
    let (kms, ran) = request_of("kms", &estate, "kms");
    ran.good();
    issue(&estate, &kms, "rks-work");
    install_of("rks", &estate, &kms).refused_with("certificate and key block do not belong together here");
    let active = "SELECT count(*) FROM work_keys WHERE role = 'rks-work' AND state = 'active'";
    assert_eq!(records::number(&estate.path("keyferry.db"), active), 0);
    assert!(install_of("rks", &estate, &one).good().contains("is active"));
    assert_eq!(records::number(&estate.path("keyferry.db"), active), 1);
}

#[test]
fn a_request_overwrites_nothing_and_needs_the_hsm() {
    let estate = Estate::new();
    let (_, ran) = request(&estate, "new");
    ran.good();
    let before = snapshot(estate.folder());
    let (_, again) = request(&estate, "new");
    again.refused_with("new.key-block");
    edit(&estate.secret("hsm-passphrase"), &[("hsm-zcq4", "hsm-zcq5")]);
    let (wrong, ran) = request(&estate, "wrong");
    ran.refused_with("wrong passphrase");
    assert!(!wrong.csr.exists() && !wrong.block.exists());
    edit(&estate.secret("hsm-passphrase"), &[("hsm-zcq5", "hsm-zcq4")]);
    assert_eq!(snapshot(estate.folder()), before);
}

#[test]
fn the_records_can_be_listed() {
    let estate = Estate::collected();
    let server = Server::start(&estate);
    let key = estate.terminal("SN-2").key(&server.terminals, 3);
    let kms = |arguments: &[&str]| run(&mut estate.configured(&[&["kms"], arguments].concat()));
    let overview = kms(&["overview"]).good();
    let count = |what: &str| {
        let line = overview.lines().find(|line| line.trim_start().starts_with(what)).unwrap();
        line.split_whitespace().last().unwrap().to_owned()
    };
    assert_eq!(
        (count("terminals"), count("active TMKs"), count("pending TMKs")),
        ("4".into(), "1".into(), "0".into())
    );
    let all = kms(&["terminals"]).good();
    assert!(["SN-1", "SN-2", "SN-3", "SN-4"].iter().all(|sn| all.contains(sn)), "{all}");
    let page = kms(&["terminals", "--after", "SN-2", "--limit", "1"]).good();
    assert!(page.contains("SN-3") && !page.contains("SN-4") && !page.contains("SN-2"), "{page}");
    let one = kms(&["terminal", "SN-2"]).good();
    assert!(
        one.lines().any(|line| line.contains("03") && line.contains("active") && line.contains(&key)),
        "{one}"
    );
    kms(&["terminal", "SN-77"]).refused_with("no terminal SN-77 is known; collect it first");
}

#[test]
fn a_new_work_key_of_an_mtms_has_the_role_of_one() {
    let factory = Factory::new();
    let vendor = &factory.vendor;
    let (new, ran) = request_of("mtms", vendor, "new");
    assert!(ran.good().contains("keyferry ca issue --role mtms --request"));
    issue(vendor, &new, "kms-work");
    let refused = install_of("mtms", vendor, &new).refused();
    assert!(refused.contains("kms-work"), "{refused}");
    let (new, _) = request_of("mtms", vendor, "second");
    issue(vendor, &new, "mtms");
    assert!(install_of("mtms", vendor, &new).good().contains("is active"));
    // Nor is it a work key of a KMS's: its root may name none.
    install_of("kms", vendor, &new).refused();
}

/// In suite 02 the role has a certificate for signatures too, which no terminal could encrypt to.
#[test]
fn the_certificate_that_signs_batches_is_no_work_certificate() {
    let vendor = make_vendor("2");
    let (certificate, block) = (vendor.folder().join("card.pem"), vendor.folder().join("any.key-block"));
    let card = fs::read_to_string(vendor.path("cards/mtms.pem")).unwrap();
    fs::write(&certificate, &card[card.find("-----BEGIN CERTIFICATE-----").unwrap()..]).unwrap();
    fs::write(&block, "none").unwrap();
    let request = Request { csr: PathBuf::new(), block, certificate };
    install_of("mtms", &vendor, &request).refused_with("this is the certificate that signs batches");
}
