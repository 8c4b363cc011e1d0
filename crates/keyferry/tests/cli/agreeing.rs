//! PK and MAK from a vendor's installation to an acquirer's, as files and cards of two houses.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::Value;
use tempfile::TempDir;

use crate::support::{
    estate::{SECRETS, init_of},
    folders::{edit, write_secret},
    tool::{Ran, keyferry, run},
};

const MTMS_PIN: &str = "mtms-r4sd-pin-k8ct";

/// An acquirer CLI and a vendor VENDOR, each with a root of its own, that believe each other for what they need.
struct Houses {
    folder: TempDir,
}

impl Houses {
    fn new(suite: &str) -> Houses {
        let folder = tempfile::Builder::new().prefix("kf").tempdir().unwrap();
        let secrets = folder.path().join("secrets");
        fs::create_dir(&secrets).unwrap();
        for (name, secret) in SECRETS.into_iter().chain([("mtms-pin", MTMS_PIN)]) {
            write_secret(&secrets.join(name), &format!("{secret}\n"));
        }
        let houses = Houses { folder };
        run(&mut init_of(suite, &houses.path("kms"), &secrets)).good();
        let mut mtms = keyferry(["mtms", "init", "--suite", suite, "--vendor", "VENDOR"]);
        mtms.args(["--terminal-port", "127.0.0.1:0", "--https", "127.0.0.1:0", "--secrets"]).arg(&secrets);
        run(mtms.arg(houses.path("mtms"))).good();
        houses.believe("kms", "mtms", "mtms");
        houses.believe("mtms", "kms", "kms-work");
        houses
    }

    /// One house believes the other's root for a role.
    fn believe(&self, house: &str, other: &str, role: &str) {
        let config = self.path(&format!("{house}/keyferry.toml"));
        edit(
            &config,
            &[("crls = [\"ca/crl.pem\"]", &format!("crls = [\"ca/crl.pem\", \"../{other}/ca/crl.pem\"]"))],
        );
        let root =
            format!("\n[[trust.roots]]\ncertificate = \"../{other}/ca/root.pem\"\nroles = [\"{role}\"]\n");
        fs::write(&config, fs::read_to_string(&config).unwrap() + &root).unwrap();
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn secret(&self, name: &str) -> PathBuf {
        self.path("secrets").join(name)
    }

    fn agree(&self, act: &str, house: &str, partner: &str, keys: &str) -> Command {
        let mut command = keyferry(["hsm", "agree", act, "--partner", partner, "--config"]);
        command.arg(self.path(house).join("keyferry.toml"));
        command.arg("--passphrase-file").arg(self.secret("hsm-passphrase"));
        command.arg("--pk").arg(self.path(&format!("{keys}-pk.json")));
        command.arg("--mak").arg(self.path(&format!("{keys}-mak.json")));
        command
    }

    fn offer(&self, keys: &str, certificate: &Path) -> Ran {
        self.offer_with(keys, certificate, "mtms/cards/mtms.pem", "mtms/cards/administrator.pem")
    }

    fn offer_with(&self, keys: &str, certificate: &Path, card: &str, administrator: &str) -> Ran {
        let pin = |card: &str| {
            let name = Path::new(card).file_stem().unwrap().to_str().unwrap().to_owned();
            self.secret(&format!("{name}-pin"))
        };
        let mut offer = self.agree("offer", "mtms", "CLI", keys);
        offer.arg("--kms-certificate").arg(certificate);
        offer.arg("--card").arg(self.path(card)).arg("--card-pin-file").arg(pin(card));
        offer.arg("--administrator").arg(self.path(administrator));
        offer.arg("--administrator-pin-file").arg(pin(administrator));
        run(offer.arg("--out").arg(self.path(&format!("{keys}.agreement"))))
    }

    fn accept(&self, keys: &str, agreement: &str) -> Ran {
        self.accept_of("VENDOR", keys, agreement)
    }

    fn accept_of(&self, vendor: &str, keys: &str, agreement: &str) -> Ran {
        let mut accept = self.agree("accept", "kms", vendor, keys);
        run(accept.arg("--agreement").arg(self.path(agreement)))
    }

    fn key(&self, name: &str) -> Value {
        serde_json::from_str(&fs::read_to_string(self.path(name)).unwrap()).unwrap()
    }

    fn work_certificate(&self) -> PathBuf {
        self.path("kms/work-certificate.pem")
    }
}

#[test]
fn vendor_and_acquirer_agree_on_the_same_two_keys_in_both_suites() {
    for (suite, digits, kinds) in
        [("1", 6, ["protect", "batch-mac"]), ("2", 10, ["protect-aes", "batch-mac-aes"])]
    {
        let houses = Houses::new(suite);
        let offered = houses.offer("here", &houses.work_certificate()).good();
        let accepted = houses.accept("there", "here.agreement").good();
        for (which, kind) in [("pk", kinds[0]), ("mak", kinds[1])] {
            let [here, there] = ["here", "there"].map(|side| houses.key(&format!("{side}-{which}.json")));
            let kcv = here["kcv"].as_str().unwrap();
            assert_eq!((kcv.len(), here["kcv"] == there["kcv"]), (digits, true), "{here} {there}");
            assert_eq!((&here["for"], &there["for"]), (&kind.into(), &kind.into()));
            assert_eq!((&here["partner"], &there["partner"]), (&"CLI".into(), &"VENDOR".into()));
            assert_ne!(here["block"], there["block"], "each under its own LMK");
            assert!(offered.contains(kcv) && accepted.contains(kcv), "{offered}\n{accepted}");
        }
        assert!(accepted.contains("VENDOR batches"), "who signed is shown: {accepted}");
        for (house, event) in [("mtms", "batch-keys.offered"), ("kms", "batch-keys.agreed")] {
            let mut audit = keyferry(["audit", "show", "--last", "1", "--store"]);
            let told = run(audit.arg(self_path(&houses, house))).good();
            assert!(told.contains(event), "{event} is in the audit");
        }
        // Nothing is written over.
        houses.accept("there", "here.agreement").refused_with("is there already");
    }
}

fn self_path(houses: &Houses, house: &str) -> PathBuf {
    houses.path(&format!("{house}/keyferry.db"))
}

#[test]
fn an_agreement_for_another_kms_vendor_or_acquirer_is_refused() {
    let houses = Houses::new("2");
    houses.offer("here", &houses.work_certificate()).good();
    houses.accept_of("OTHER-VENDOR", "there", "here.agreement").refused_with("is of the vendor VENDOR");
    // The acquirer's next work key: the agreement was for the one before, which still opens it.
    let (request, block) = (houses.path("next.csr"), houses.path("next.key-block"));
    let mut make = keyferry(["kms", "work-key-request", "--suite", "2", "--config"]);
    make.arg(houses.path("kms/keyferry.toml")).arg("--out").arg(&request).arg("--key-block").arg(&block);
    run(make.arg("--passphrase-file").arg(houses.secret("hsm-passphrase"))).good();
    let certificate = houses.path("next.pem");
    let mut issue = keyferry(["ca", "issue", "--role", "kms-work", "--ca"]);
    issue.arg(houses.path("kms/ca")).arg("--ca-passphrase-file").arg(houses.secret("ca-passphrase"));
    run(issue.arg("--request").arg(&request).arg("--out").arg(&certificate)).good();
    // A certificate of the same house that this KMS has not installed is another KMS's.
    houses.offer("next", &certificate).good();
    houses.accept("there", "next.agreement").refused_with("is for another KMS");
    // What is no KMS's work certificate is offered nothing.
    houses
        .offer("wrong", &houses.path("mtms/work-certificate.pem"))
        .refused_with("no work certificate of a KMS");
    assert!(!houses.path("wrong-pk.json").exists() && !houses.path("there-pk.json").exists());
}

#[test]
fn r12_an_agreement_needs_the_mtms_and_an_administrator_of_the_vendor() {
    let houses = Houses::new("1");
    let work = houses.work_certificate();
    let card = "mtms/cards/mtms.pem";
    let administrator = "mtms/cards/administrator.pem";
    houses.offer_with("a", &work, card, card).refused_with("the same");
    houses.offer_with("b", &work, administrator, administrator).refused_with("the same");
    houses.offer_with("c", &work, card, "mtms/cards/operator.pem").refused_with("administrator");
    houses.offer_with("d", &work, "mtms/cards/operator.pem", administrator).refused_with("mtms");
    for keys in ["a", "b", "c", "d"] {
        assert!(!houses.path(&format!("{keys}-pk.json")).exists(), "nothing is written");
        assert!(!houses.path(&format!("{keys}.agreement")).exists());
    }
}

#[test]
fn a_changed_or_revoked_agreement_is_refused_and_nothing_is_written() {
    let houses = Houses::new("1");
    houses.offer("here", &houses.work_certificate()).good();
    let good = fs::read(houses.path("here.agreement")).unwrap();
    for at in [good.len() / 3, good.len() / 2, good.len() - 1] {
        let mut changed = good.clone();
        changed[at] ^= 1;
        fs::write(houses.path("changed.agreement"), &changed).unwrap();
        houses.accept("there", "changed.agreement").refused();
    }
    // The vendor revokes its card; the acquirer has the new list.
    let serial = fs::read_to_string(houses.path("mtms/cards/mtms.pem")).unwrap();
    let serial = pki::Certificate::all_from_pem(&serial).unwrap()[0].serial_hex();
    let mut revoke = keyferry(["ca", "revoke", "--serial", &serial, "--ca"]);
    revoke.arg(houses.path("mtms/ca")).arg("--ca-passphrase-file").arg(houses.secret("ca-passphrase"));
    run(&mut revoke).good();
    houses.accept("there", "here.agreement").refused_with("revoked");
    assert!(!houses.path("there-pk.json").exists() && !houses.path("there-mak.json").exists());
}
