//! The configuration file: `keyferry.toml`, written with comments by `keyferry init`.

use std::{
    collections::BTreeMap,
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
};

use hsm::commands::MAX_RKS_KEYS;
use serde::Deserialize;
use wire::{Serial, Slot, limits};

pub use crate::host::settings::{Host, Posp};

/// The largest upload in MiB: a CMS package of 16 MiB is the longest that is opened.
const MAX_BODY_MIB: usize = 16;
/// Answers of the TMS that may be sealed at once.
const MAX_ANSWERS: usize = 1024;

/// Everything an operator sets. Unknown names are errors: a setting that is misspelt must not be silently ignored.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The acquirer this server works for.
    pub acquirer: Acquirer,
    /// Where terminals connect.
    pub terminal_port: TerminalPort,
    /// Where stations and people connect.
    pub https: Https,
    /// The HSM.
    pub hsm: Hsm,
    /// The database.
    pub store: Store,
    /// Who is believed.
    pub trust: Trust,
    /// The remote key server; without it devices and KLDs are not served.
    pub rks: Option<Rks>,
    /// Terminal management; without it terminals get neither packages nor keys over it.
    pub tms: Option<Tms>,
    /// Whether this server is a vendor's MTMS: then it collects what orders list, and gives out no TMK.
    pub mtms: Option<Mtms>,
    /// The other side of orders: acquirers that buy, at an MTMS; vendors, at a KMS.
    #[serde(default)]
    pub partners: Vec<Partner>,
    /// Sign-in and working keys.
    #[serde(default)]
    pub host: Host,
    /// Where POSPs connect; without it none is served.
    pub posp: Option<Posp>,
    /// What is logged.
    #[serde(default)]
    pub log: Log,
    /// The folder of the configuration file; relative paths start here.
    #[serde(skip)]
    folder: PathBuf,
}

/// `[acquirer]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Acquirer {
    /// Short name, 1–32 of `A-Z a-z 0-9 - . _`; bound into every key as its owner.
    pub id: String,
    /// Full name, for people.
    pub name: String,
    /// Slots that terminals may fill, first and last.
    #[serde(default = "default_slots")]
    pub slots: [u8; 2],
    /// Whether a terminal may replace a TMK that is active by a new one.
    #[serde(default = "yes")]
    pub replace_active: bool,
}

/// `[terminal_port]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TerminalPort {
    /// Address and port; 7801 is the protocol's default.
    pub listen: SocketAddr,
    /// TLS 1.3 in front of the protocol, with the certificate of `[https]`.
    #[serde(default)]
    pub tls: bool,
    /// Connections at once, over all addresses.
    #[serde(default = "default_connections")]
    pub max_connections: usize,
    /// Connections at once from one address; 0 sets no limit (terminals behind one gateway share an address).
    #[serde(default)]
    pub max_connections_per_address: usize,
    /// Seconds without a byte after which a connection is closed, 1–300.
    #[serde(default = "default_idle")]
    pub idle_seconds: u64,
}

/// `[https]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Https {
    /// Address and port.
    pub listen: SocketAddr,
    /// Certificate chain, PEM.
    pub certificate: PathBuf,
    /// Its private key: a key block of the HSM's (`keyferry init` makes one) or PKCS #8 in PEM. Readable by the owner
    /// only.
    pub key: PathBuf,
    /// The largest upload in MiB.
    #[serde(default = "default_body")]
    pub max_body_mib: usize,
}

/// `[hsm]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Hsm {
    /// The Unix socket.
    pub socket: PathBuf,
    /// The software HSM's folder.
    pub folder: PathBuf,
    /// Whether the server starts the software HSM as its child; otherwise it must be running.
    #[serde(default = "yes")]
    pub start: bool,
}

/// `[store]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Store {
    /// The SQLite file.
    pub path: PathBuf,
}

/// `[trust]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Trust {
    /// Root certificates with the roles that each may issue.
    pub roots: Vec<TrustRoot>,
    /// Revocation lists, PEM or DER; read again when they change.
    #[serde(default)]
    pub crls: Vec<PathBuf>,
    /// Whether this is an estate for production, which believes no root made for trials; else one for trials, which
    /// believes no other. That holds for terminals' vendors and POSPs too.
    #[serde(default = "yes")]
    pub production: bool,
    /// Whether a certificate whose issuer has no revocation list here is refused.
    #[serde(default = "yes")]
    pub crl_required: bool,
}

/// One of `[[trust.roots]]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrustRoot {
    /// The root, PEM.
    pub certificate: PathBuf,
    /// Roles it may issue, by name: `operator`, `administrator`, `kms-work`, …
    pub roles: Vec<String>,
}

/// `[rks]`
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rks {
    /// Slots whose TMKs devices get, each at most once. A device gets those from the one on that it asks for.
    #[serde(default)]
    pub slots: Vec<u8>,
    /// Whether PIK and MAK come with each TMK.
    #[serde(default)]
    pub working_keys: bool,
    /// Keys in one message at most, 1–64; a device that gets more runs the flow again. A slot's keys stay together.
    #[serde(default = "default_keys_per_message")]
    pub keys_per_message: usize,
    /// Keys that were agreed with KLDs by components: the name that a report gives, and the file with the key's block.
    #[serde(default)]
    pub exchange_keys: BTreeMap<String, PathBuf>,
}

/// `[tms]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tms {
    /// Whether a terminal whose date is off by more than 24 hours is refused.
    #[serde(default)]
    pub check_date: bool,
    /// Whether an operator must prove who he is at every terminal; a vendor may ask for it for its own.
    #[serde(default)]
    pub operator_required: bool,
    /// Answers to terminals that are read and sealed at once, 1–1024, those with pieces of files for each vendor: each
    /// takes some 200 KiB of memory meanwhile.
    #[serde(default = "default_answers")]
    pub answers_at_once: usize,
}

/// `[mtms]`: nothing is to be set yet.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mtms {}

/// One of `[[partners]]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Partner {
    /// What orders call it, 1–32 of `A-Z a-z 0-9 - . _`; PK and MAK are bound to it. A partner with keys of both suites
    /// stands here twice.
    pub name: String,
    /// PK, which protects transport keys between the two: the file that `keyferry hsm component combine` or
    /// `keyferry hsm agree` wrote.
    pub pk: PathBuf,
    /// MAK, which authenticates batches and receipts.
    pub mak: PathBuf,
    /// The root above the cards that sign this vendor's batches, PEM; without it a card of role `mtms` under any root
    /// that is believed may. At a KMS only.
    pub root: Option<PathBuf>,
    /// Where the acquirer's KMS is, `https://host:port`; at an MTMS only.
    pub url: Option<String>,
    /// The CA of that server's TLS certificate, PEM; nothing else is trusted. At an MTMS only.
    pub tls_root: Option<PathBuf>,
}

/// `[log]`
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Log {
    /// `error`, `warn`, `info` (the default), `debug` or `trace`.
    pub level: Option<String>,
    /// One JSON object a line instead of text.
    #[serde(default)]
    pub json: bool,
}

/// Why a configuration cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read {path}: {source}; `keyferry init` writes one")]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The file is not what it should be.
    #[error("{path}: {message}")]
    Syntax {
        /// The file.
        path: PathBuf,
        /// Where, and what is wrong.
        message: String,
    },
    /// A value is out of its range.
    #[error("{path}: {name} {problem}")]
    Value {
        /// The file.
        path: PathBuf,
        /// The setting.
        name: &'static str,
        /// What its range is.
        problem: &'static str,
    },
}

impl Config {
    /// Reads and checks a configuration file.
    ///
    /// # Errors
    /// [`ConfigError`], naming the file and the setting.
    pub fn read(path: &Path) -> Result<Self, ConfigError> {
        let text =
            fs::read_to_string(path).map_err(|source| ConfigError::Read { path: path.into(), source })?;
        let mut config: Self = toml::from_str(&text)
            .map_err(|e| ConfigError::Syntax { path: path.into(), message: e.to_string() })?;
        config.folder = path.parent().map(Path::to_path_buf).unwrap_or_default();
        config.check().map_err(|(name, problem)| ConfigError::Value { path: path.into(), name, problem })?;
        Ok(config)
    }

    /// A path of the file, relative to the file's folder.
    #[must_use]
    pub fn path(&self, path: &Path) -> PathBuf {
        self.folder.join(path)
    }

    fn check(&self) -> Result<(), (&'static str, &'static str)> {
        if Serial::parse(&self.acquirer.id).is_err() {
            return Err(("acquirer.id", "must be 1 to 32 of A-Z a-z 0-9 - . _"));
        }
        let [first, last] = self.acquirer.slots;
        if first > last || Slot::new(last).is_err() {
            return Err(("acquirer.slots", "must be [first, last] within 0 to 99"));
        }
        if self.terminal_port.max_connections == 0 {
            return Err(("terminal_port.max_connections", "must be at least 1"));
        }
        if !(1..=300).contains(&self.terminal_port.idle_seconds) {
            return Err(("terminal_port.idle_seconds", "must be 1 to 300"));
        }
        if let Some(rks) = &self.rks {
            let distinct = rks.slots.iter().all(|slot| rks.slots.iter().filter(|s| *s == slot).count() == 1);
            if !distinct || rks.slots.iter().any(|slot| Slot::new(*slot).is_err()) {
                return Err(("rks.slots", "must be different slots within 0 to 99"));
            }
            if !(1..=MAX_RKS_KEYS).contains(&rks.keys_per_message) {
                return Err(("rks.keys_per_message", "must be 1 to 64"));
            }
        }
        if let Some(tms) = &self.tms
            && !(1..=MAX_ANSWERS).contains(&tms.answers_at_once)
        {
            return Err(("tms.answers_at_once", "must be 1 to 1024"));
        }
        let name_is_bad = |partner: &Partner| Serial::parse(&partner.name).is_err();
        if self.partners.iter().any(name_is_bad) {
            return Err(("partners.name", "must be 1 to 32 of A-Z a-z 0-9 - . _"));
        }
        if self.mtms.is_some() && (self.rks.is_some() || self.tms.is_some() || self.posp.is_some()) {
            return Err((
                "mtms",
                "stands alone: an MTMS has no [rks], [tms] or [posp], since it gives nobody a key",
            ));
        }
        self.host.check()?;
        self.posp.as_ref().map_or(Ok(()), Posp::check)?;
        if !(1..=MAX_BODY_MIB).contains(&self.https.max_body_mib) {
            return Err(("https.max_body_mib", "must be 1 to 16"));
        }
        if self.trust.roots.is_empty() {
            return Err(("trust.roots", "must name at least one root certificate"));
        }
        Ok(())
    }
}

fn yes() -> bool {
    true
}

fn default_slots() -> [u8; 2] {
    [0, 9]
}

fn default_connections() -> usize {
    4096
}

fn default_idle() -> u64 {
    limits::IDLE_SECONDS
}

fn default_keys_per_message() -> usize {
    8
}

fn default_answers() -> usize {
    32
}

fn default_body() -> usize {
    MAX_BODY_MIB
}
