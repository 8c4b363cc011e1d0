//! Production orders from the command line, at a KMS: two cards enter and close them; whoever may read looks at them.

use std::fs;

use crate::support::{
    ceremony::Agreed,
    estate::{ACQUIRER, Estate},
    server::Server,
    tool::{Ran, keyferry, run},
};

/// `keyferry kms order …` that both cards sign.
fn signed(estate: &Estate, words: &[&str]) -> Ran {
    let mut command = keyferry(["kms", "order"]);
    command.args(words).arg("--config").arg(estate.path("station.toml"));
    command.arg("--operator-pin-file").arg(estate.secret("operator-pin"));
    run(command.arg("--administrator-pin-file").arg(estate.secret("administrator-pin")))
}

/// `keyferry kms order …` that only looks.
fn read(estate: &Estate, words: &[&str]) -> Ran {
    run(keyferry(["kms", "order"]).args(words).arg("--config").arg(estate.path("keyferry.toml")))
}

/// An estate with a vendor VENDOR, whose keys two people typed.
fn with_vendor() -> Estate {
    let estate = Estate::new();
    let file = |name, kind| {
        let agreed = Agreed::new(name, kind).with("VENDOR");
        agreed.type_in(&estate, &estate.path("hsm"), "ours")
    };
    let (pk, mak) = (file("PK", "protect"), file("MAK", "batch-mac"));
    let section = format!("\n[[partners]]\nname = \"VENDOR\"\npk = {pk:?}\nmak = {mak:?}\n");
    let config = estate.path("keyferry.toml");
    fs::write(&config, fs::read_to_string(&config).unwrap() + &section).unwrap();
    estate
}

fn add<'a>(order: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    [&["add", order, "--vendor", "VENDOR", "--buyer", ACQUIRER, "--model", "M1"], more].concat()
}

#[test]
fn an_order_is_entered_listed_shown_and_closed() {
    let estate = with_vendor();
    let server = Server::start(&estate);
    let list = estate.folder().join("serials");
    fs::write(&list, "# lot 7\nSN-1\nSN-2\n\nSN-3\n").unwrap();
    let list = list.to_str().unwrap().to_owned();

    let said = signed(&estate, &add("PO-1", &["--serials", &list])).good();
    assert!(said.contains("terminals  3") && said.contains("order PO-1 is open; it lists 3"), "{said}");
    // The same again changes nothing, and one without a list is as good at a KMS.
    assert!(signed(&estate, &add("PO-1", &["--serials", &list])).good().contains("open already"));
    assert!(signed(&estate, &add("PO-2", &[])).good().contains("any terminal"));

    let table = read(&estate, &["list"]).good();
    assert!(table.contains("PO-1") && table.contains("no list") && table.contains("open"), "{table}");
    let listed = read(&estate, &["list", "--json", "--after", "PO-1"]).json();
    assert_eq!((listed[0]["order"].as_str(), listed[0]["listed"].as_u64()), (Some("PO-2"), None));
    let shown = read(&estate, &["show", "PO-1", "--json"]).json();
    assert_eq!((&shown["vendor"], &shown["listed"]), (&"VENDOR".into(), &3.into()));
    assert!(shown["asked_by"].as_str().unwrap().contains("operator"), "{shown}");
    let shown = read(&estate, &["show", "PO-1", "--serials"]).good();
    assert!(shown.contains("SN-2") && shown.contains("not received"), "{shown}");
    read(&estate, &["show", "PO-9"]).refused_with("no order PO-9");

    assert!(signed(&estate, &["close", "PO-1"]).good().contains("closed"));
    signed(&estate, &["close", "PO-1"]).refused_with("no order PO-1 is open");
    assert!(read(&estate, &["show", "PO-1"]).good().contains("closed 20"));
    assert!(server.stop().success());
}

#[test]
fn what_is_no_order_of_this_server_is_refused_by_name() {
    let estate = with_vendor();
    let server = Server::start(&estate);
    let list = estate.folder().join("serials");
    let path = list.to_str().unwrap().to_owned();
    fs::write(&list, "SN-1\nSN-2\nSN-1\n").unwrap();
    signed(&estate, &add("PO-1", &["--serials", &path])).refused_with("line 3: SN-1 stands on line 1");
    fs::write(&list, "SN-1\n").unwrap();
    signed(&estate, &add("PO 1", &["--serials", &path])).refused_with("order must be");
    let other = ["add", "PO-1", "--vendor", "STRANGER", "--buyer", ACQUIRER, "--model", "M1"];
    signed(&estate, &other).refused_with("[[partners]]");
    let other = ["add", "PO-1", "--vendor", "VENDOR", "--buyer", "SOMEBODY", "--model", "M1"];
    signed(&estate, &other).refused_with("buyer");
    signed(&estate, &add("PO-1", &["--serials", &path])).good();
    signed(&estate, &add("PO-2", &["--serials", &path])).refused_with("SN-1");
    assert!(server.stop().success());
}
