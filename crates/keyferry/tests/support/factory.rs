//! A vendor with an MTMS and an acquirer with a KMS, in suite 01: each believes the other's CA, and PK and MAK are agreed.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::LazyLock,
    time::{SystemTime, UNIX_EPOCH},
};

use paycrypto::{rsa::PublicKey, tk::CheckedTk};
use rusqlite::Connection;
use store::{
    CollectedTerminal, CollectedTk, CollectionImport, Event, ImportOutcome, PerTerminal, Person,
    SqliteOptions, SqliteStore, Store as _,
};
use wire::{Device, Serial};

use super::{
    estate::{ACQUIRER, Estate},
    folders::write_secret,
    server::Server,
    tool::{Ran, keyferry, run},
};

/// The vendor's name.
pub(crate) const VENDOR: &str = "FACTORY";
/// What it makes.
pub(crate) const MODEL: &str = "SIM-1";
/// The PIN of the card that signs batches.
const MTMS_PIN: (&str, &str) = ("mtms-pin", "mtms-b6sc-pin-t4hw");

/// Both sides.
pub(crate) struct Factory {
    pub(crate) vendor: Estate,
    pub(crate) bank: Estate,
}

static MADE: LazyLock<[PathBuf; 2]> = LazyLock::new(|| {
    let factory = Factory { vendor: make_vendor("1"), bank: Estate::new() };
    factory.believe_each_other();
    factory.agree();
    [factory.vendor.keep("vendor-"), factory.bank.keep("bank-")]
});

impl Factory {
    pub(crate) fn new() -> Factory {
        let [vendor, bank] = MADE.each_ref().map(|template| Estate::copy_of(template));
        Factory { vendor, bank }
    }

    fn believe_each_other(&self) {
        for (site, other, roles) in
            [(&self.vendor, &self.bank, "\"kms-work\""), (&self.bank, &self.vendor, "\"mtms\"")]
        {
            fs::create_dir(site.path("partners")).unwrap();
            for file in ["root.pem", "crl.pem"] {
                fs::copy(other.path("ca").join(file), site.path("partners").join(file)).unwrap();
            }
            let list = "crls = [\"ca/crl.pem\"]";
            change(site, list, "crls = [\"ca/crl.pem\", \"partners/crl.pem\"]");
            let root = format!("[[trust.roots]]\ncertificate = \"partners/root.pem\"\nroles = [{roles}]\n\n");
            change(site, "[[trust.roots]]", &format!("{root}[[trust.roots]]"));
        }
    }

    fn agree(&self) {
        let agreement = self.vendor.path("partners/agreement.cms");
        let act = |site: &Estate, act: &str, partner: &str| -> Command {
            let mut command = site.configured(&["hsm", "agree", act, "--partner", partner]);
            command.arg("--passphrase-file").arg(site.secret("hsm-passphrase"));
            command.arg("--pk").arg(site.path("partners/pk.json"));
            command.arg("--mak").arg(site.path("partners/mak.json"));
            command
        };
        let mut offer = act(&self.vendor, "offer", ACQUIRER);
        offer.arg("--kms-certificate").arg(self.bank.path("work-certificate.pem"));
        for (card, option) in [("mtms", "--card"), ("administrator", "--administrator")] {
            offer.arg(option).arg(self.vendor.path(&format!("cards/{card}.pem")));
            offer.arg(format!("{option}-pin-file")).arg(self.vendor.secret(&format!("{card}-pin")));
        }
        run(offer.arg("--out").arg(&agreement)).good();
        let mut accept = act(&self.bank, "accept", VENDOR);
        accept.arg("--vendor-root").arg(self.vendor.path("ca/root.pem"));
        run(accept.arg("--agreement").arg(&agreement)).good();
        let keys = "pk = \"partners/pk.json\"\nmak = \"partners/mak.json\"\n";
        let reached = "url = \"https://127.0.0.1:1\"\ntls_root = \"partners/root.pem\"\n";
        for (site, name, more) in [(&self.vendor, ACQUIRER, reached), (&self.bank, VENDOR, "")] {
            change(site, "[log]", &format!("[[partners]]\nname = \"{name}\"\n{keys}{more}\n[log]"));
        }
    }

    /// Starts the bank's server, and tells the vendor where it is.
    pub(crate) fn start_bank(&self) -> Server {
        let server = Server::start(&self.bank);
        let path = self.vendor.path("keyferry.toml");
        let text = fs::read_to_string(&path).unwrap();
        let url = format!("url = \"https://{}\"", server.https);
        let lines = text.lines().map(|line| if line.starts_with("url = ") { url.as_str() } else { line });
        fs::write(&path, lines.collect::<Vec<_>>().join("\n")).unwrap();
        server
    }

    /// Enters an order at both ends, whose servers run, under two cards each.
    pub(crate) fn order(&self, name: &str, serials: &[String]) {
        let list = self.vendor.path("order.list");
        fs::write(&list, serials.join("\n")).unwrap();
        for (site, end) in [(&self.vendor, "mtms"), (&self.bank, "kms")] {
            let mut add = keyferry([end, "order", "add", name, "--vendor", VENDOR, "--buyer", ACQUIRER]);
            add.args(["--model", MODEL, "--serials"]).arg(&list);
            add.arg("--config").arg(site.path("station.toml"));
            for card in ["operator", "administrator"] {
                add.arg(format!("--{card}-pin-file")).arg(site.secret(&format!("{card}-pin")));
            }
            run(&mut add).good();
        }
    }

    /// `keyferry kms order …` at the bank, under both cards.
    pub(crate) fn at_bank(&self, act: &[&str]) -> Command {
        let mut command = keyferry(["kms", "order"]);
        command.args(act).arg("--config").arg(self.bank.path("station.toml"));
        for card in ["operator", "administrator"] {
            command.arg(format!("--{card}-pin-file")).arg(self.bank.secret(&format!("{card}-pin")));
        }
        command
    }

    /// Puts collected TKs into the vendor's database, past the terminals: hundreds of processes show nothing more.
    pub(crate) fn collect(&self, serials: &[String]) {
        let pem = fs::read_to_string(self.vendor.path("work-certificate.pem")).unwrap();
        let certificate = pki::Certificate::from_pem(&pem).unwrap();
        let work = PublicKey::from_spki(certificate.spki_der()).unwrap();
        let terminal = |sn: &String| {
            let sn = Serial::parse(sn).unwrap();
            let ctk_pu = work.oaep_encrypt(&CheckedTk::generate().unwrap().to_clear()).unwrap();
            CollectedTerminal {
                fingerprint: wire::fingerprint(&sn, &ctk_pu),
                device: Device::new(sn, None).unwrap(),
                vendor: Some(VENDOR.into()),
                model: Some(MODEL.into()),
                tk: CollectedTk::Ciphertext(ctk_pu),
                work_certificate_sha256: certificate.sha256_hex(),
                replaces: false,
                refused: None,
            }
        };
        let at = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis().try_into().unwrap();
        let import = CollectionImport {
            digest: [7; 32],
            package: b"a package of this test's".to_vec(),
            signer: Person { subject: "CN=Olga".into(), certificate_serial: "01".into() },
            second_signer: None,
            acquirer: VENDOR.into(),
            station: "station-1".into(),
            collected_at: at,
            terminals: serials.iter().map(terminal).collect(),
        };
        let store = SqliteStore::open(&self.vendor.path("keyferry.db"), SqliteOptions::default()).unwrap();
        let event = Event::new(at, "collection.received", "test", "test", serde_json::json!({}));
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let outcome = runtime.block_on(store.import_collection(import, event)).unwrap();
        let ImportOutcome::Stored(results) = outcome else { panic!("taken before") };
        assert!(results.iter().all(|one| *one == PerTerminal::Stored));
    }

    /// `keyferry mtms dispatch`, ready to be run.
    pub(crate) fn dispatch(&self, order: &str, more: &[&str]) -> Command {
        let mut command = self.vendor.configured(&["mtms", "dispatch", order]);
        command.arg("--card").arg(self.vendor.path("cards/mtms.pem"));
        command.arg("--card-pin-file").arg(self.vendor.secret(MTMS_PIN.0)).args(more);
        command
    }

    /// `keyferry mtms report --json`.
    pub(crate) fn report(&self, order: &str) -> Ran {
        run(&mut self.vendor.configured(&["mtms", "report", order, "--json"]))
    }
}

/// `keyferry mtms init`.
pub(crate) fn make_vendor(suite: &str) -> Estate {
    let vendor = Estate::empty();
    write_secret(&vendor.secret(MTMS_PIN.0), &format!("{}\n", MTMS_PIN.1));
    let mut init = keyferry(["mtms", "init", "--suite", suite, "--vendor", VENDOR, "--name", "Test Factory"]);
    init.args(["--terminal-port", "127.0.0.1:0", "--https", "127.0.0.1:0", "--secrets"]);
    run(init.arg(vendor.secrets()).arg(vendor.path(""))).good();
    vendor
}

/// How often each serial was taken from a batch, by the bank's audit; a refusal counts as none.
pub(crate) fn taken(database: &Path) -> std::collections::BTreeMap<String, u32> {
    let connection = Connection::open(database).unwrap();
    let mut rows =
        connection.prepare("SELECT subject, detail FROM audit WHERE kind = 'batch.terminal'").unwrap();
    let mut counts = std::collections::BTreeMap::new();
    let found = rows.query_map([], |row| Ok((row.get(0)?, row.get(1)?)));
    for row in found.unwrap() {
        let (sn, detail): (String, String) = row.unwrap();
        let stored = detail.contains("\"stored\"");
        *counts.entry(sn).or_default() += u32::from(stored);
    }
    counts
}

/// Changes an estate's configuration.
#[track_caller]
fn change(site: &Estate, from: &str, to: &str) {
    let path = site.path("keyferry.toml");
    let text = fs::read_to_string(&path).unwrap();
    assert!(text.contains(from), "no {from:?} in {text}");
    fs::write(&path, text.replacen(from, to, 1)).unwrap();
}
