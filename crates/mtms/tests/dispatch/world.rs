//! A vendor's database with an order and collected terminals, and the bank's own server.

use std::{
    collections::BTreeMap,
    fs,
    sync::{Arc, LazyLock},
};

use hsm::Client;
use keyferry_mtms::{DispatchSettings, Dispatched, Error, Kms, Mtms, Partner, Quiet, Report, SigningCard};
use paycrypto::{rsa::PublicKey, tk::CheckedTk};
use pki::{CrlSet, Role, TrustList, verify_chain};
use serde_json::json;
use server::{Config, Running};
use sha2::{Digest as _, Sha256};
use station::{Card as _, FileCard, Server, ServerSettings};
use store::{
    Approval, ApprovalOutcome, CollectedTerminal, CollectedTk, CollectionImport, Event, ImportOutcome,
    NewAcquirer, NewCertificate, NewOrder, NewWorkKey, OrderStore as _, PerTerminal, Person, SqliteOptions,
    SqliteStore, Store as _, WorkKeyState,
};
use tokio::runtime::Runtime;
use wire::{Device, Serial, Suite};

use super::sites::{BANK, PIN, SITES, Site, VENDOR, now};

pub(crate) const ORDER: &str = "PO-1";
pub(crate) const MODEL: &str = "M1";

/// Both ends. The bank's server runs while `bank` is there.
pub(crate) struct World {
    folder: tempfile::TempDir,
    pub(crate) runtime: Runtime,
    pub(crate) store: Arc<SqliteStore>,
    bank: Option<Running>,
    url: String,
    /// TEK and AUK of each terminal, newest last.
    pub(crate) tks: BTreeMap<String, Vec<CheckedTk>>,
}

pub(crate) fn serial(sn: &str) -> Serial {
    Serial::parse(sn).unwrap()
}

/// `SN-001`, …
pub(crate) fn serials(count: usize) -> Vec<String> {
    (1..=count).map(|n| format!("SN-{n:03}")).collect()
}

fn event(kind: &'static str) -> Event {
    Event::new(now() * 1000, kind, "test", "test", json!({}))
}

fn person(subject: &str) -> Person {
    Person { subject: subject.into(), certificate_serial: subject.into() }
}

async fn make_store(path: &std::path::Path, site: &Site) -> SqliteStore {
    let store = SqliteStore::open(path, SqliteOptions::default()).unwrap();
    let acquirer = NewAcquirer { id: site.name.into(), name: site.name.into() };
    store.put_acquirer(acquirer, event("acquirer.added")).await.unwrap();
    let (certificate, role) = (&site.certificate, site.certificate.role().unwrap().word());
    let (sha256, der) = (certificate.sha256_hex(), certificate.der().to_vec());
    let kept = NewCertificate { role: role.into(), sha256: sha256.clone(), der };
    store.put_certificate(kept, event("certificate.added")).await.unwrap();
    let key = NewWorkKey {
        certificate_sha256: sha256,
        private_block: site.work_block().into(),
        spki: certificate.spki_der().to_vec(),
        state: WorkKeyState::Active,
        suite: Suite::TDES,
        intermediates: vec![],
    };
    store.put_work_key(key, event("work-key.installed")).await.unwrap();
    store
}

/// An order as both ends enter it.
pub(crate) fn order(name: &str, vendor: &str, buyer: &str, listed: &[String]) -> NewOrder {
    NewOrder {
        order: name.into(),
        vendor: vendor.into(),
        buyer: buyer.into(),
        model: MODEL.into(),
        serials: Some(listed.iter().map(|sn| serial(sn)).collect()),
        package: format!("{name} {vendor} {buyer}").into_bytes(),
        asked_by: person("Olga"),
        approved_by: person("Adam"),
    }
}

impl World {
    /// An order of these many serials at both ends; the bank's server runs. Nothing is collected yet.
    pub(crate) fn new(count: usize) -> World {
        // Made outside of any runtime: it has its own.
        LazyLock::force(&SITES);
        let folder = tempfile::tempdir().unwrap();
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let listed = serials(count);
        let store = runtime.block_on(async {
            let bank = make_store(&folder.path().join("bank.db"), &SITES.bank).await;
            bank.put_order(order(ORDER, VENDOR, BANK, &listed), event("order.added")).await.unwrap();
            let store = make_store(&folder.path().join("vendor.db"), &SITES.vendor).await;
            store.put_order(order(ORDER, VENDOR, BANK, &listed), event("order.added")).await.unwrap();
            store
        });
        let mut world = World {
            folder,
            runtime,
            store: Arc::new(store),
            bank: None,
            url: String::new(),
            tks: BTreeMap::new(),
        };
        world.write_bank();
        world.start_bank();
        world
    }

    /// The same, with all of them collected.
    pub(crate) fn collected(count: usize) -> World {
        let mut world = World::new(count);
        world.collect(&serials(count), false);
        world
    }

    /// Terminals come with new TKs, as a station's package that was checked before.
    pub(crate) fn collect(&mut self, sns: &[String], replaces: bool) {
        let devices: Vec<_> = sns.iter().map(|sn| Device::new(serial(sn), None).unwrap()).collect();
        self.collect_devices(&devices, replaces);
    }

    pub(crate) fn collect_devices(&mut self, devices: &[Device], replaces: bool) {
        let work = PublicKey::from_spki(SITES.vendor.certificate.spki_der()).unwrap();
        let mut terminals = Vec::new();
        for device in devices {
            let sn = device.sn();
            let tk = CheckedTk::generate().unwrap();
            let ctk_pu = work.oaep_encrypt(&tk.to_clear()).unwrap();
            terminals.push(CollectedTerminal {
                device: device.clone(),
                vendor: Some(VENDOR.into()),
                model: Some(MODEL.into()),
                fingerprint: wire::fingerprint(sn, &ctk_pu),
                tk: CollectedTk::Ciphertext(ctk_pu),
                work_certificate_sha256: SITES.vendor.certificate.sha256_hex(),
                replaces,
                refused: None,
            });
            self.tks.entry(sn.to_string()).or_default().push(tk);
        }
        let package = format!("{} {:?}", self.tks.values().map(Vec::len).sum::<usize>(), devices);
        let import = CollectionImport {
            digest: Sha256::digest(&package).into(),
            package: package.into_bytes(),
            signer: person("Olga"),
            second_signer: None,
            acquirer: VENDOR.into(),
            station: "station-1".into(),
            collected_at: now() * 1000,
            terminals,
        };
        let outcome =
            self.runtime.block_on(self.store.import_collection(import, event("collection.received")));
        let ImportOutcome::Stored(results) = outcome.unwrap() else { panic!("taken before") };
        let good =
            |one: &PerTerminal| matches!(one, PerTerminal::Stored | PerTerminal::AwaitsApproval { .. });
        assert!(results.iter().all(good), "{results:?}");
    }

    /// A second person approves every replacement that waits in a database.
    pub(crate) fn approve(&self, store: &SqliteStore) -> usize {
        self.runtime.block_on(async {
            let waiting = store.replacements_waiting().await.unwrap();
            for one in &waiting {
                let fingerprint = one.fingerprint.clone();
                let approval = Approval { id: one.id, fingerprint, approver: person("Adam") };
                let done = store.approve_replacement(approval, event("replacement.approved")).await.unwrap();
                assert!(matches!(done, ApprovalOutcome::Approved { .. }), "{done:?}");
            }
            waiting.len()
        })
    }

    fn write_bank(&self) {
        let agreed = |key: &hsm_soft::agreement::Agreed, kind: &str| json!({ "name": "K", "for": kind, "partner": VENDOR, "kcv": "000000", "block": key.block.as_str() });
        let write = |name: &str, text: String| fs::write(self.folder.path().join(name), text).unwrap();
        write("pk.json", agreed(&SITES.at_bank.pk, "protect").to_string());
        write("mak.json", agreed(&SITES.at_bank.mak, "batch-mac").to_string());
        let (bank, vendor) = (&SITES.bank, &SITES.vendor);
        let text = format!(
            r#"
[acquirer]
id = "{BANK}"
name = "Bank"
[terminal_port]
listen = "127.0.0.1:0"
[https]
listen = "127.0.0.1:0"
certificate = {:?}
key = {:?}
[hsm]
socket = {:?}
folder = "hsm"
start = false
[store]
path = "bank.db"
[trust]
roots = [
    {{ certificate = {:?}, roles = ["kms-work", "operator", "administrator"] }},
    {{ certificate = {:?}, roles = ["mtms"] }},
]
crls = [{:?}, {:?}]
[[partners]]
name = "{VENDOR}"
pk = "pk.json"
mak = "mak.json"
"#,
            bank.path("tls.pem"),
            bank.path("tls.key-block"),
            bank.socket(),
            bank.path("ca/root.pem"),
            vendor.path("ca/root.pem"),
            bank.path("ca/crl.pem"),
            vendor.path("ca/crl.pem"),
        );
        write("bank.toml", text);
    }

    pub(crate) fn start_bank(&mut self) {
        let config = Config::read(&self.folder.path().join("bank.toml")).unwrap();
        let store = Arc::new(self.bank_store());
        let running = self.runtime.block_on(async {
            let hsm = Client::connect(&SITES.bank.socket()).await.unwrap();
            server::start(&config, store, hsm).await.unwrap()
        });
        self.url = format!("https://{}", running.https);
        self.bank = Some(running);
    }

    pub(crate) fn stop_bank(&mut self) {
        if let Some(running) = self.bank.take() {
            self.runtime.block_on(running.stop());
        }
    }

    /// The bank's database, beside its server.
    pub(crate) fn bank_store(&self) -> SqliteStore {
        SqliteStore::open(&self.folder.path().join("bank.db"), SqliteOptions::default()).unwrap()
    }

    /// The bank's KMS as it is reached now.
    pub(crate) fn kms(&self) -> Arc<dyn Kms> {
        let root = fs::read(SITES.bank.path("ca/root.pem")).unwrap();
        Arc::new(Server::new(&ServerSettings::new(&self.url, root)).unwrap())
    }

    pub(crate) fn partner(&self) -> Partner {
        self.partner_at(self.kms())
    }

    pub(crate) fn partner_at(&self, kms: Arc<dyn Kms>) -> Partner {
        let (pk, mak) = (SITES.at_vendor.pk.block.clone(), SITES.at_vendor.mak.block.clone());
        Partner { name: BANK.into(), pk, mak, suite: Suite::TDES, kms }
    }

    pub(crate) fn mtms(&self) -> Mtms<SqliteStore, Client> {
        let hsm = self.runtime.block_on(Client::connect(&SITES.vendor.socket())).unwrap();
        Mtms::new(Arc::clone(&self.store), hsm, VENDOR)
    }

    pub(crate) fn dispatch(&self) -> Result<Dispatched, Error> {
        self.dispatch_to(&self.partner(), 1000)
    }

    pub(crate) fn dispatch_to(&self, partner: &Partner, batch_size: usize) -> Result<Dispatched, Error> {
        self.dispatch_order(ORDER, partner, batch_size)
    }

    pub(crate) fn dispatch_order(
        &self,
        order: &str,
        partner: &Partner,
        batch_size: usize,
    ) -> Result<Dispatched, Error> {
        self.dispatch_with("mtms", order, partner, batch_size)
    }

    /// With one of the vendor's cards.
    pub(crate) fn dispatch_with(
        &self,
        card_name: &str,
        order: &str,
        partner: &Partner,
        batch_size: usize,
    ) -> Result<Dispatched, Error> {
        let how = DispatchSettings { batch_size, tries: 1, ..DispatchSettings::default() };
        let (mtms, card) = (self.mtms(), card(card_name).unwrap());
        let partner = std::slice::from_ref(partner);
        self.runtime.block_on(mtms.dispatch(order, partner, &card, &how, &Quiet))
    }

    /// Two dispatches of the same order, side by side.
    pub(crate) fn dispatch_twice_at_once(&self, batch_size: usize) -> [Result<Dispatched, Error>; 2] {
        let how = DispatchSettings { batch_size, tries: 1, ..DispatchSettings::default() };
        let (one, two, card, partners) = (self.mtms(), self.mtms(), card("mtms").unwrap(), [self.partner()]);
        let (one, two) = self.runtime.block_on(futures_util::future::join(
            one.dispatch(ORDER, &partners, &card, &how, &Quiet),
            two.dispatch(ORDER, &partners, &card, &how, &Quiet),
        ));
        [one, two]
    }

    pub(crate) fn report(&self) -> Report {
        self.runtime.block_on(self.mtms().report(ORDER)).unwrap()
    }

    /// What the bank has of a terminal: its fingerprint and generation.
    pub(crate) fn at_bank(&self, sn: &str) -> Option<(String, i64)> {
        let terminal = self.runtime.block_on(self.bank_store().terminal(&serial(sn))).unwrap()?;
        Some((terminal.fingerprint, terminal.tk_generation))
    }

    /// Events of a kind in the vendor's audit.
    pub(crate) fn events(&self, kind: &str) -> usize {
        count_events(&self.folder.path().join("vendor.db"), kind)
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// Whether the bank has exactly these, each once, and each with the key that the terminal has.
    pub(crate) fn assert_at_bank(&self, sns: &[String]) {
        let bank = self.bank_store();
        let found = self.runtime.block_on(bank.terminals(None, 1000)).unwrap();
        let found: Vec<_> = found.iter().map(|terminal| terminal.sn.to_string()).collect();
        assert_eq!(found, sns);
        let stored = count_events(&self.folder.path().join("bank.db"), "batch.terminal");
        assert!(stored >= sns.len(), "{stored} events");
    }
}

fn count_events(database: &std::path::Path, kind: &str) -> usize {
    let store = SqliteStore::open(database, SqliteOptions::default()).unwrap();
    let runtime = Runtime::new().unwrap();
    let (mut next, mut count) = (1, 0);
    loop {
        let page = runtime.block_on(store.audit_page(next, 1000)).unwrap();
        let Some(last) = page.last() else { return count };
        next = last.seq + 1;
        count += page.iter().filter(|row| row.kind == kind).count();
    }
}

/// The vendor's card of this name, opened as one that signs batches.
pub(crate) fn card(name: &str) -> Result<SigningCard, Error> {
    let card = FileCard::insert(&SITES.vendor.path(&format!("{name}.pem"))).unwrap();
    let mut trust = TrustList::new();
    let root = pki::Certificate::from_pem(&fs::read_to_string(SITES.vendor.path("ca/root.pem")).unwrap());
    trust.add(root.unwrap(), &[Role::Mtms, Role::Operator]);
    let role = card.certificate().role().unwrap();
    let verified =
        verify_chain(card.certificate(), card.chain(), &trust, role, now(), &CrlSet::new()).unwrap();
    SigningCard::open(Box::new(card), PIN, &verified)
}
