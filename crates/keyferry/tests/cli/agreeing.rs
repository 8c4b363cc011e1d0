//! PK and MAK from a vendor's installation to an acquirer's, as files and cards of two houses.

use std::{fs, path::Path};

use serde_json::Value;

use crate::support::{
    ceremony::Agreed,
    estate::Estate,
    houses::Houses,
    tool::{keyferry, run},
};

fn key(house: &Estate, name: &str) -> Value {
    serde_json::from_str(&fs::read_to_string(house.path(name)).unwrap()).unwrap()
}

#[test]
fn vendor_and_acquirer_agree_on_the_same_two_keys_in_both_suites() {
    for (suite, digits, kinds) in
        [("1", 6, ["protect", "batch-mac"]), ("2", 10, ["protect-aes", "batch-mac-aes"])]
    {
        let houses = Houses::new(suite);
        let offered = houses.offer("agreed", &houses.work_certificate()).good();
        let accepted = houses.accept("agreed", "agreed.agreement").good();
        for (which, kind) in [("pk", kinds[0]), ("mak", kinds[1])] {
            let here = key(&houses.mtms, &format!("agreed-{which}.json"));
            let there = key(&houses.kms, &format!("agreed-{which}.json"));
            let kcv = here["kcv"].as_str().unwrap();
            assert_eq!((kcv.len(), here["kcv"] == there["kcv"]), (digits, true), "{here} {there}");
            assert_eq!((&here["for"], &there["for"]), (&kind.into(), &kind.into()));
            assert_eq!((&here["partner"], &there["partner"]), (&"CLI".into(), &"VENDOR".into()));
            assert_ne!(here["block"], there["block"], "each under its own LMK");
            assert!(offered.contains(kcv) && accepted.contains(kcv), "{offered}\n{accepted}");
        }
        assert!(accepted.contains("VENDOR batches"), "who signed is shown: {accepted}");
        // As the configuration, whose paths begin at its folder, has to name them.
        for said in [&offered, &accepted] {
            assert!(said.contains("  pk = \"agreed-pk.json\"\n  mak = \"agreed-mak.json\"\n"), "{said}");
        }
        for (house, event) in [(&houses.mtms, "batch-keys.offered"), (&houses.kms, "batch-keys.agreed")] {
            let mut audit = keyferry(["audit", "show", "--last", "1", "--store"]);
            let told = run(audit.arg(house.path("keyferry.db"))).good();
            assert!(told.contains(event), "{event} is in the audit");
        }
        // Nothing is written over.
        houses.accept("agreed", "agreed.agreement").refused_with("is there already");
    }
}

#[test]
fn an_agreement_for_another_kms_vendor_or_acquirer_is_refused() {
    let houses = Houses::new("2");
    houses.offer("here", &houses.work_certificate()).good();
    houses.accept_of("OTHER-VENDOR", "there", "here.agreement").refused_with("is of the vendor VENDOR");
    // The acquirer's next work key: the agreement was for the one before, which still opens it.
    let (request, block) = (houses.kms.path("next.csr"), houses.kms.path("next.key-block"));
    let mut make = keyferry(["kms", "work-key-request", "--suite", "2", "--config"]);
    make.arg(houses.kms.path("keyferry.toml")).arg("--out").arg(&request).arg("--key-block").arg(&block);
    run(make.arg("--passphrase-file").arg(houses.kms.secret("hsm-passphrase"))).good();
    let certificate = houses.kms.path("next.pem");
    let mut issue = keyferry(["ca", "issue", "--role", "kms-work", "--ca"]);
    issue.arg(houses.kms.path("ca")).arg("--ca-passphrase-file").arg(houses.kms.secret("ca-passphrase"));
    run(issue.arg("--request").arg(&request).arg("--out").arg(&certificate)).good();
    // A certificate of the same house that this KMS has not installed is another KMS's.
    houses.offer("next", &certificate).good();
    houses.accept("there", "next.agreement").refused_with("is for another KMS");
    // Once it is installed, the agreement for the one before is out of date.
    let mut install = keyferry(["kms", "work-key-install", "--config"]);
    install.arg(houses.kms.path("keyferry.toml")).arg("--certificate").arg(&certificate);
    install.arg("--passphrase-file").arg(houses.kms.secret("hsm-passphrase"));
    run(install.arg("--key-block").arg(&block)).good();
    houses.accept("there", "here.agreement").refused_with("no longer active");
    // What is no KMS's work certificate is offered nothing.
    houses
        .offer("wrong", &houses.mtms.path("work-certificate.pem"))
        .refused_with("no work certificate of a KMS");
    assert!(!houses.mtms.path("wrong-pk.json").exists() && !houses.kms.path("there-pk.json").exists());
}

/// Two people of one vendor can sign an agreement that says another's name: what it says decides nothing.
#[test]
fn an_agreement_is_a_vendors_under_that_vendors_root_alone() {
    let houses = Houses::new("2");
    houses.offer("here", &houses.work_certificate()).good();
    let (own, other) = (houses.mtms.path("ca/root.pem"), houses.kms.path("ca/root.pem"));
    let sha256 = |root: &Path| {
        let pem = fs::read_to_string(root).unwrap();
        pki::Certificate::from_pem(&pem).unwrap().sha256_hex()
    };
    let accept = |root: Option<&Path>| houses.accept_under(root, "VENDOR", "there", "here.agreement");
    accept(None).refused_with("--vendor-root");
    // Its own root is believed here; the one that the vendor is said to have is another.
    let refused = accept(Some(&other)).refused();
    assert!(refused.contains(&sha256(&own)) && refused.contains(&sha256(&other)), "{refused}");
    assert!(!houses.kms.path("there-pk.json").exists(), "nothing is written");
    // As [[partners]] name it, before there are keys: and never two.
    let config = houses.kms.path("keyferry.toml");
    let partner = format!(
        "\n[[partners]]\nname = \"VENDOR\"\npk = \"there-pk.json\"\nmak = \"there-mak.json\"\nroot = {own:?}\n"
    );
    fs::write(&config, fs::read_to_string(&config).unwrap() + &partner).unwrap();
    accept(Some(&other)).refused_with("two roots of VENDOR");
    let accepted = accept(None).good();
    assert!(accepted.contains(&sha256(&own)), "whose root it is, is shown: {accepted}");
}

#[test]
fn r12_an_agreement_needs_the_mtms_and_an_administrator_of_the_vendor() {
    let houses = Houses::new("1");
    let work = houses.work_certificate();
    let (card, administrator) = ("mtms", "administrator");
    houses.offer_with("a", &work, card, card).refused_with("the same");
    houses.offer_with("b", &work, administrator, administrator).refused_with("the same");
    houses.offer_with("c", &work, card, "operator").refused_with("administrator");
    houses.offer_with("d", &work, "operator", administrator).refused_with("mtms");
    for keys in ["a", "b", "c", "d"] {
        assert!(!houses.mtms.path(&format!("{keys}-pk.json")).exists(), "nothing is written");
        assert!(!houses.agreement(&format!("{keys}.agreement")).exists());
    }
}

#[test]
fn a_changed_or_revoked_agreement_is_refused_and_nothing_is_written() {
    let houses = Houses::new("1");
    houses.offer("here", &houses.work_certificate()).good();
    let good = fs::read(houses.agreement("here.agreement")).unwrap();
    for at in [good.len() / 3, good.len() / 2, good.len() - 1] {
        let mut changed = good.clone();
        changed[at] ^= 1;
        fs::write(houses.agreement("changed.agreement"), &changed).unwrap();
        houses.accept("there", "changed.agreement").refused();
    }
    // The vendor revokes its card; the acquirer has the new list.
    let serial = fs::read_to_string(houses.mtms.path("cards/mtms.pem")).unwrap();
    let serial = pki::Certificate::all_from_pem(&serial).unwrap()[0].serial_hex();
    let mut revoke = keyferry(["ca", "revoke", "--serial", &serial, "--ca"]);
    revoke.arg(houses.mtms.path("ca")).arg("--ca-passphrase-file").arg(houses.mtms.secret("ca-passphrase"));
    run(&mut revoke).good();
    houses.accept("there", "here.agreement").refused_with("revoked");
    assert!(!houses.kms.path("there-pk.json").exists() && !houses.kms.path("there-mak.json").exists());
}

#[test]
fn r12_people_type_pk_and_mak_of_either_suite_for_one_partner() {
    let estate = Estate::empty();
    let hsm = estate.path("hsm");
    let mut create = keyferry(["hsm", "create", "--folder"]);
    run(create.arg(&hsm).arg("--passphrase-file").arg(estate.secret("hsm-passphrase"))).good();
    for kind in ["protect", "protect-aes", "batch-mac", "batch-mac-aes"] {
        let typed = Agreed::new("VENDOR-KEYS", kind).with("VENDOR").type_in(&estate, &hsm, kind);
        let typed: Value = serde_json::from_str(&fs::read_to_string(typed).unwrap()).unwrap();
        assert_eq!((&typed["for"], &typed["partner"]), (&kind.into(), &"VENDOR".into()));
    }
    // Of nobody in particular there is no such key, and of a partner no other.
    let nobody = Agreed::new("NOBODYS-KEYS", "protect");
    let out = nobody.paper(&estate, "x", "block");
    nobody.enter(&estate, &hsm, 1, &nobody.components[0], &out).refused_with("--partner");
    let other = Agreed::new("EXCHANGE", "exchange").with("VENDOR");
    other.enter(&estate, &hsm, 1, &other.components[0], &out).refused_with("--partner");
}
