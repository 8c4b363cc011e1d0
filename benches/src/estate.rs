//! An acquirer in a temporary folder: root, operator, work key, TLS certificate, configuration, database.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    sync::LazyLock,
    time::{SystemTime, UNIX_EPOCH},
};

use anyhow::{Context, Result, anyhow};
use hsm::{
    Client, Hsm, KeyBlock,
    commands::{MakeTlsKey, MakeWorkKey},
};
use hsm_soft::Offline;
use paycrypto::rsa::PrivateKey;
use pki::{
    Certificate, Name, Role, Scheme, SignError, Signer,
    issue::{self, Issuer, Validity},
};
use serde_json::json;
use store::{
    Event, NewAcquirer, NewCertificate, NewWorkKey, SqliteOptions, SqliteStore, Store, WorkKeyState,
};
use wire::Suite;

use crate::{
    ec::{EcEstate, ExchangeKeyEc},
    rks::{ExchangeKey, RksKeys},
    settings::settings,
    zones::ZoneMaster,
};

pub(crate) const ACQUIRER: &str = "ACQ-1";
/// Slots that terminals may fill, from 0.
pub(crate) const SLOTS: u8 = 10;
/// Bits of every RSA key.
pub(crate) const BITS: u32 = 2048;
const DAYS: u32 = 30;

/// What every measurement works with.
pub(crate) struct Estate {
    pub(crate) hsm: Client,
    /// The server's own database, opened by this process too.
    pub(crate) store: SqliteStore,
    pub(crate) folder: PathBuf,
    pub(crate) root: Certificate,
    root_key: Key,
    pub(crate) operator: Certificate,
    pub(crate) operator_key: Key,
    /// The other card of a package of suite 02, and its key.
    pub(crate) administrator: (Certificate, Key),
    /// Keys of suite 02.
    pub(crate) ec: EcEstate,
    pub(crate) work: Certificate,
    pub(crate) work_block: KeyBlock,
    pub(crate) rks: RksKeys,
    pub(crate) exchange: ExchangeKey,
    pub(crate) zone_master: ZoneMaster,
}

/// Keys that people type in, before the HSM runs.
pub(crate) struct Typed {
    exchange: ExchangeKey,
    exchange_ec: ExchangeKeyEc,
    zone_master: ZoneMaster,
}

impl Typed {
    pub(crate) fn enter(hsm: &Offline) -> Result<Typed> {
        Ok(Typed {
            exchange: ExchangeKey::enter(hsm)?,
            exchange_ec: ExchangeKeyEc::enter(hsm)?,
            zone_master: ZoneMaster::enter(hsm)?,
        })
    }
}

/// A private key that signs.
pub(crate) struct Key(PrivateKey);

impl Key {
    pub(crate) fn new(key: PrivateKey) -> Key {
        Key(key)
    }
}

impl Signer for Key {
    fn spki_der(&self) -> &[u8] {
        self.0.spki_der()
    }

    fn sign(&self, _: Scheme, message: &[u8]) -> Result<Vec<u8>, SignError> {
        self.0.sign_pkcs1_sha256(message).map_err(|e| SignError::new(e.to_string()))
    }
}

impl Estate {
    /// Makes it all; the HSM runs already, the server does not yet.
    pub(crate) async fn make(folder: &Path, typed: Typed) -> Result<Estate> {
        let Typed { exchange, exchange_ec, zone_master } = typed;
        let hsm = Client::connect(socket(folder)).await?;
        let (root_key, operator_key) = (Key(PrivateKey::generate(BITS)?), Key(PrivateKey::generate(BITS)?));
        let validity = validity();
        let root = issue::root(&name("Benchmark root")?, &root_key, validity, 1)?;
        let issuer = Issuer::new(&root, &root_key)?;
        let operator = name("Olga Operator")?;
        let operator = issue::leaf(&issuer, Role::Operator, &operator, operator_key.spki_der(), validity)?;

        let administrator_key = Key(PrivateKey::generate(BITS)?);
        let administrator = name("Adam Administrator")?;
        let spki = administrator_key.spki_der();
        let administrator = issue::leaf(&issuer, Role::Administrator, &administrator, spki, validity)?;

        let owner = ACQUIRER.to_owned();
        let work_key =
            hsm.call(MakeWorkKey { bits: BITS, subject: "KMS work".into(), owner: owner.clone() }).await?;
        let work = issue::leaf(&issuer, Role::KmsWork, &name("KMS work")?, &work_key.public, validity)?;
        let tls_key = hsm.call(MakeTlsKey { bits: BITS, subject: "KMS".into(), owner }).await?;
        let names = ["127.0.0.1".parse().map_err(|_| anyhow!("an address is a name"))?];
        let tls = issue::tls_server(&issuer, &name("KMS")?, &tls_key.public, validity, &names)?;
        let list = issue::build_crl(&issuer, 1, now() - 60, now() + 86_400, &[])?;

        private(&folder.join("root.pem"), &root.pem())?;
        private(&folder.join("crl.pem"), &list.pem())?;
        private(&folder.join("tls.pem"), &tls.pem())?;
        private(&folder.join("tls.key"), tls_key.private.as_str())?;
        private(&configuration(folder), &settings())?;
        let store = SqliteStore::open(&folder.join("keyferry.db"), SqliteOptions::default())?;
        fill(&store, &work, work_key.private.as_str()).await?;
        let rks = RksKeys::make(&hsm, &issuer, validity, &exchange).await?;
        rks.install(&store).await?;
        let ec = EcEstate::make(&hsm, &exchange_ec).await?;
        ec.install(folder, &store).await?;
        let work_block = work_key.private;
        Ok(Estate {
            hsm,
            store,
            folder: folder.to_owned(),
            root,
            root_key,
            operator,
            operator_key,
            administrator: (administrator, administrator_key),
            ec,
            work,
            work_block,
            rks,
            exchange,
            zone_master,
        })
    }

    /// The root, ready to issue.
    pub(crate) fn issuer(&self) -> Result<Issuer<'_>> {
        Ok(Issuer::new(&self.root, &self.root_key)?)
    }
}

/// Of every certificate: none outlives its issuer by the second in which it was made.
pub(crate) fn validity() -> Validity {
    static VALIDITY: LazyLock<Validity> = LazyLock::new(|| Validity::days(now() - 3600, DAYS));
    *VALIDITY
}

pub(crate) fn hsm_folder(folder: &Path) -> PathBuf {
    folder.join("hsm")
}

pub(crate) fn socket(folder: &Path) -> PathBuf {
    folder.join("hsm.socket")
}

pub(crate) fn configuration(folder: &Path) -> PathBuf {
    folder.join("keyferry.toml")
}

/// An event of now.
pub(crate) fn event(kind: &'static str, subject: &str) -> Event {
    Event::new(now() * 1000, kind, "benchmark", subject, json!({ "place": "SN-000001/07", "kcv": "742BB1" }))
}

/// Seconds since 1970.
pub(crate) fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}

async fn fill(store: &SqliteStore, work: &Certificate, private_block: &str) -> Result<()> {
    let acquirer = NewAcquirer { id: ACQUIRER.into(), name: "Benchmark".into() };
    store.put_acquirer(acquirer, event("acquirer.entered", ACQUIRER)).await?;
    let (sha256, der) = (work.sha256_hex(), work.der().to_vec());
    let certificate = NewCertificate { role: "kms-work".into(), sha256: sha256.clone(), der };
    store.put_certificate(certificate, event("certificate.kept", ACQUIRER)).await?;
    let key = NewWorkKey {
        certificate_sha256: sha256,
        private_block: private_block.to_owned(),
        spki: work.spki_der().to_vec(),
        intermediates: Vec::new(),
        state: WorkKeyState::Active,
        suite: Suite::TDES,
    };
    Ok(store.put_work_key(key, event("work-key.installed", ACQUIRER)).await?)
}

pub(crate) fn name(common_name: &str) -> Result<Name> {
    Ok(Name::new(common_name, Some("Benchmark"))?)
}

pub(crate) fn private(path: &Path, content: &str) -> Result<()> {
    fs::write(path, content).with_context(|| format!("cannot write {}", path.display()))?;
    Ok(fs::set_permissions(path, fs::Permissions::from_mode(0o600))?)
}
