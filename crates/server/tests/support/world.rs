//! A database, a configuration, and servers on them.

use std::{
    fs,
    net::SocketAddr,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use hsm::Hsm;
use keyferry_server::{Config, Running, StartError, start};
use rusqlite::Connection;
use serde_json::{Value, json};
use store::{
    Event, NewAcquirer, NewCertificate, NewWorkKey, SqliteOptions, SqliteStore, Store, WorkKeyState,
    verify_audit_file,
};
use tokio::runtime::Runtime;

use super::{
    audit,
    estate::{ACQUIRER, ESTATE},
    https::{self, Answer, CMS},
    kms_ec::KMS_EC,
    package::{entry, package, signed},
    raw::Raw,
    rks_ec::{self, RKS_EC},
    switch::Switch,
};

/// What tests set otherwise than most.
#[derive(Clone)]
pub(crate) struct Options {
    pub(crate) acquirer: &'static str,
    pub(crate) slots: [u8; 2],
    pub(crate) replace_active: bool,
    pub(crate) idle_seconds: u64,
    pub(crate) max_connections: usize,
    pub(crate) max_connections_per_address: usize,
    pub(crate) tls: bool,
    /// `[rks]`, if there is one: slots, whether working keys come along, keys per message.
    pub(crate) rks: Option<(Vec<u8>, bool, usize)>,
    /// Whether the configuration says that it is for production.
    pub(crate) production: bool,
    /// Whether keys of suite 02 come from KLDs, under an exchange key of their own, and its root is believed.
    pub(crate) suite_02: bool,
    /// One more root that is believed, and one more revocation list, as the configuration writes them.
    pub(crate) root: &'static str,
    pub(crate) crl: &'static str,
    /// More sections of the configuration.
    pub(crate) more: String,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            acquirer: ACQUIRER,
            slots: [0, 9],
            replace_active: true,
            idle_seconds: 20,
            max_connections: 4096,
            max_connections_per_address: 0,
            tls: false,
            rks: Some((vec![0, 1, 5], false, 8)),
            production: true,
            suite_02: false,
            root: "",
            crl: "",
            more: String::new(),
        }
    }
}

/// A folder with one database. Any number of servers may run on it.
pub(crate) struct World {
    folder: tempfile::TempDir,
}

/// A running server in a runtime of its own, so that it can be killed.
pub(crate) struct Server {
    runtime: Option<Runtime>,
    running: Option<Running>,
    pub(crate) terminals: SocketAddr,
    pub(crate) https: SocketAddr,
    pub(crate) posp: Option<SocketAddr>,
    pub(crate) store: Arc<SqliteStore>,
}

impl World {
    pub(crate) fn new() -> World {
        let world = World { folder: tempfile::tempdir().unwrap() };
        world.write("root.pem", &ESTATE.root.pem());
        world.write("crl.pem", &ESTATE.crl(1, &[]));
        world.write("tls.pem", &ESTATE.tls.pem());
        world.write("tls.key", &ESTATE.tls_key.pem());
        let combined = json!({ "name": "KLD-7", "for": "exchange", "kcv": "000000", "block": ESTATE.rks.exchange_block });
        world.write("exchange.json", &combined.to_string());
        let runtime = Runtime::new().unwrap();
        runtime.block_on(fill(&world.database()));
        world
    }

    /// A world, a server on it, and these terminals collected over its HTTPS.
    pub(crate) fn with(terminals: &[&Raw]) -> (World, Server) {
        World::with_options(terminals, &Options::default())
    }

    pub(crate) fn with_options(terminals: &[&Raw], options: &Options) -> (World, Server) {
        let world = World::new();
        let server = world.start(options);
        server.collect(terminals);
        (world, server)
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn database(&self) -> PathBuf {
        self.folder.path().join("keyferry.db")
    }

    /// Writes a file of the world, readable by the owner only. The file is replaced, so that a change is seen.
    pub(crate) fn write(&self, name: &str, content: &str) {
        let (path, next) = (self.folder.path().join(name), self.folder.path().join("next"));
        fs::write(&next, content).unwrap();
        fs::set_permissions(&next, fs::Permissions::from_mode(0o600)).unwrap();
        fs::rename(&next, &path).unwrap();
    }

    pub(crate) fn start(&self, options: &Options) -> Server {
        self.start_with_hsm(options, &ESTATE.socket())
    }

    /// With another way to the HSM.
    pub(crate) fn start_with_hsm(&self, options: &Options, socket: &Path) -> Server {
        self.try_start_with_hsm(options, socket).unwrap()
    }

    /// A server that may not start.
    pub(crate) fn try_start(&self, options: &Options) -> Result<Server, StartError> {
        self.try_start_with_hsm(options, &ESTATE.socket())
    }

    /// With an HSM that can be started anew behind the server's back.
    pub(crate) fn start_switched(&self, options: &Options) -> (Server, Switch) {
        let switch = Switch::new();
        let over = switch.clone();
        (self.try_start_over(options, async move || over).unwrap(), switch)
    }

    fn try_start_with_hsm(&self, options: &Options, socket: &Path) -> Result<Server, StartError> {
        self.try_start_over(options, async || hsm::Client::connect(socket).await.unwrap())
    }

    fn try_start_over<H: Hsm + Clone>(
        &self,
        options: &Options,
        hsm: impl AsyncFnOnce() -> H,
    ) -> Result<Server, StartError> {
        let path = self.folder.path().join("keyferry.toml");
        fs::write(&path, configuration(options)).unwrap();
        if options.suite_02 {
            self.write("root-02.pem", &KMS_EC.root.pem());
            self.write("crl-02.pem", &KMS_EC.crl(1, &[]));
            self.write(
                "exchange-aes.json",
                &json!({ "name": rks_ec::EXCHANGE, "for": "exchange-aes", "kcv": "0000000000",
                "block": RKS_EC.exchange_block })
                .to_string(),
            );
        }
        self.start_as_written(hsm)
    }

    /// By the configuration that is there.
    pub(crate) fn try_start_as_written(&self) -> Result<Server, StartError> {
        self.start_as_written(async || hsm::Client::connect(&ESTATE.socket()).await.unwrap())
    }

    fn start_as_written<H: Hsm + Clone>(&self, hsm: impl AsyncFnOnce() -> H) -> Result<Server, StartError> {
        let config = Config::read(&self.folder.path().join("keyferry.toml")).unwrap();
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let store = Arc::new(SqliteStore::open(&self.database(), SqliteOptions::default()).unwrap());
        let running = runtime.block_on(async { start(&config, Arc::clone(&store), hsm().await).await })?;
        let (terminals, https, posp) = (running.terminal_port, running.https, running.posp);
        Ok(Server { runtime: Some(runtime), running: Some(running), terminals, https, posp, store })
    }

    /// All events so far.
    pub(crate) fn audit(&self) -> Vec<audit::Event> {
        audit::read(&self.database())
    }

    /// The events of a kind about a subject.
    pub(crate) fn events(&self, kind: &str, subject: &str) -> Vec<audit::Event> {
        self.audit().into_iter().filter(|event| event.kind == kind && event.subject == subject).collect()
    }

    /// The audit chain is whole.
    pub(crate) fn assert_audit_good(&self) {
        let verdict = verify_audit_file(&self.database()).unwrap();
        assert_eq!(verdict.broken_at, None, "{verdict}");
    }

    /// The database, written by hand.
    pub(crate) fn sql(&self) -> Connection {
        Connection::open(self.database()).unwrap()
    }

    /// Check values of a slot's keys in this state, hex, oldest first.
    pub(crate) fn keys(&self, sn: &str, slot: u8, state: &str) -> Vec<String> {
        let sql = self.sql();
        let mut rows = sql
            .prepare("SELECT hex(kcv) FROM tmks WHERE sn = ?1 AND slot = ?2 AND state = ?3 ORDER BY id")
            .unwrap();
        let found = rows.query_map((sn, slot, state), |row| row.get(0)).unwrap();
        found.map(Result::unwrap).collect()
    }

    /// Rows of a table.
    pub(crate) fn count(&self, table: &str) -> i64 {
        self.sql().query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0)).unwrap()
    }
}

impl Server {
    /// Runs something in the server's runtime.
    pub(crate) fn block_on<T>(&self, work: impl Future<Output = T>) -> T {
        self.runtime.as_ref().unwrap().block_on(work)
    }

    /// Uploads these terminals in one package of the operator's.
    pub(crate) fn collect(&self, terminals: &[&Raw]) {
        if terminals.is_empty() {
            return;
        }
        let entries: Vec<_> = terminals.iter().map(|terminal| entry(terminal)).collect();
        self.collect_raw(&signed(&ESTATE.operator, &package(&entries)));
    }

    /// Uploads a package whose terminals must all be taken.
    pub(crate) fn collect_raw(&self, cms: &[u8]) {
        for result in results(&self.upload(cms)) {
            assert_eq!(result["ok"], json!(true), "{result}");
        }
    }

    pub(crate) fn upload(&self, cms: &[u8]) -> Answer {
        https::post(self.https, "/v1/collections", CMS, cms)
    }

    pub(crate) fn approve(&self, cms: &[u8]) -> Answer {
        https::post(self.https, "/v1/approvals", CMS, cms)
    }

    /// Stops as an operator would.
    pub(crate) fn stop(mut self) {
        let (runtime, running) = (self.runtime.take().unwrap(), self.running.take().unwrap());
        runtime.block_on(running.stop());
    }

    /// Ends it in the middle of whatever it does.
    pub(crate) fn kill(mut self) {
        self.runtime.take().unwrap().shutdown_timeout(Duration::from_secs(5));
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// The results of an upload that was taken.
pub(crate) fn results(answer: &Answer) -> Vec<Value> {
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json["results"].as_array().unwrap().clone()
}

async fn fill(database: &Path) {
    let store = SqliteStore::open(database, SqliteOptions::default()).unwrap();
    let event = |kind: &'static str| Event::new(0, kind, "test", ACQUIRER, json!({}));
    for id in [ACQUIRER, "ACQ-2"] {
        let acquirer = NewAcquirer { id: id.into(), name: format!("Acquirer {id}") };
        store.put_acquirer(acquirer, event("acquirer.entered")).await.unwrap();
    }
    let certificate = &ESTATE.work.certificate;
    let kept = NewCertificate {
        role: "kms-work".into(),
        sha256: certificate.sha256_hex(),
        der: certificate.der().to_vec(),
    };
    store.put_certificate(kept, event("certificate.kept")).await.unwrap();
    let key = NewWorkKey {
        certificate_sha256: certificate.sha256_hex(),
        private_block: ESTATE.work.private_block.clone(),
        spki: certificate.spki_der().to_vec(),
        state: WorkKeyState::Active,
        suite: wire::Suite::TDES,
        intermediates: vec![],
    };
    store.put_work_key(key, event("work-key.installed")).await.unwrap();
    ESTATE.rks.install(&store, event).await;
}

fn configuration(options: &Options) -> String {
    let Options {
        acquirer,
        slots: [first, last],
        replace_active,
        idle_seconds,
        tls,
        production,
        root,
        crl,
        more,
        ..
    } = options;
    let (most, most_per_address) = (options.max_connections, options.max_connections_per_address);
    let socket = ESTATE.socket();
    let aes = if options.suite_02 { ", KLD-7-aes = \"exchange-aes.json\"" } else { "" };
    let rks = options.rks.as_ref().map_or(String::new(), |(slots, working_keys, keys_per_message)| {
        format!(
            "[rks]\nslots = {slots:?}\nworking_keys = {working_keys}\nkeys_per_message = {keys_per_message}\n\
             exchange_keys = {{ KLD-7 = \"exchange.json\"{aes} }}\n"
        )
    });
    let (root_02, crl_02) = if options.suite_02 {
        (
            r#", { certificate = "root-02.pem", roles = ["operator", "administrator", "kms-work", "mtms", "device"] }"#,
            r#", "crl-02.pem""#,
        )
    } else {
        ("", "")
    };
    format!(
        r#"
[acquirer]
id = "{acquirer}"
name = "Test acquirer"
slots = [{first}, {last}]
replace_active = {replace_active}

[terminal_port]
listen = "127.0.0.1:0"
tls = {tls}
max_connections = {most}
max_connections_per_address = {most_per_address}
idle_seconds = {idle_seconds}

[https]
listen = "127.0.0.1:0"
certificate = "tls.pem"
key = "tls.key"
max_body_mib = 1

[hsm]
socket = {socket:?}
folder = "hsm"
start = false

[store]
path = "keyferry.db"

[trust]
production = {production}
roots = [{{ certificate = "root.pem", roles = ["operator", "administrator", "kms-work", "mtms"] }}{root_02}{root}]
crls = ["crl.pem"{crl_02}{crl}]

{rks}
{more}"#
    )
}
