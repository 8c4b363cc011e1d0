use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, bail};
use clap::{Args, Subcommand};
use hsm::{KeyBlock, commands::ZoneAlgorithm};
use hsm_soft::{
    Offline,
    agreement::{self, Agreed, AgreedKeys, Parties, Travelling},
};
use pki::{Certificate, Role, TrustList, Verified};
use serde_json::{Value, json};
use server::Config;
use station::{
    CardSource, Checks,
    agreement::{Agreement, AgreementCards, MAX_AGREEMENT, Offer as Parts},
};
use store::{Event, SqliteStore, Store as _, WorkKeyState};

use super::{
    component::{CombinedKey, Kind},
    kms::Estate,
    suite::SuiteName,
};
use crate::{files, secret::Source, time};

/// The keys between an MTMS and a KMS, agreed by certificate.
#[derive(Subcommand)]
pub(crate) enum Agree {
    /// At the vendor: make PK and MAK for one acquirer and an agreement for its KMS, signed by two people.
    Offer(Offer),
    /// At the acquirer: take PK and MAK from a vendor's agreement.
    Accept(Accept),
}

/// Where the HSM's passphrase comes from, and where the keys go.
#[derive(Args)]
struct Common {
    #[command(flatten)]
    estate: Estate,
    /// The other side: at the vendor the acquirer's name, at the acquirer the vendor's.
    #[arg(long)]
    partner: String,
    /// Where PK goes: a JSON file with its key block, which opens in this HSM only.
    #[arg(long)]
    pk: PathBuf,
    /// Where MAK goes.
    #[arg(long)]
    mak: PathBuf,
    /// Read the HSM's passphrase from this file (mode 0600), first line.
    #[arg(long, value_name = "FILE")]
    passphrase_file: Option<PathBuf>,
}

/// Make PK and MAK for one acquirer.
#[derive(Args)]
pub(crate) struct Offer {
    #[command(flatten)]
    common: Common,
    /// The KMS's work certificate, PEM; behind it in the same file those between it and its root, nearest first. Its key
    /// decides the suite.
    #[arg(long)]
    kms_certificate: PathBuf,
    /// The MTMS's card (role mtms): a file or a pkcs11: URI.
    #[arg(long)]
    card: CardSource,
    /// An administrator's card: another person's.
    #[arg(long)]
    administrator: CardSource,
    /// Read the MTMS card's PIN from this file (mode 0600).
    #[arg(long, value_name = "FILE")]
    card_pin_file: Option<PathBuf>,
    /// Read the administrator card's PIN from this file (mode 0600).
    #[arg(long, value_name = "FILE")]
    administrator_pin_file: Option<PathBuf>,
    /// Where the agreement goes. It may be sent in any way: it opens in that KMS's HSM only.
    #[arg(long)]
    out: PathBuf,
}

/// Take PK and MAK from an agreement.
#[derive(Args)]
pub(crate) struct Accept {
    #[command(flatten)]
    common: Common,
    /// The agreement's file.
    #[arg(long)]
    agreement: PathBuf,
    /// The vendor's own root, PEM, as the two houses compared it; else the `root` of its entry in `[[partners]]`. Whatever an
    /// agreement says, it is believed to be this vendor's under this root alone.
    #[arg(long, value_name = "FILE")]
    vendor_root: Option<PathBuf>,
}

impl Agree {
    pub(crate) fn run(self) -> Result<()> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        match self {
            Self::Offer(offer) => runtime.block_on(offer.run()),
            Self::Accept(accept) => runtime.block_on(accept.run()),
        }
    }
}

impl Offer {
    async fn run(self) -> Result<()> {
        let (config, store) = self.common.estate.open()?;
        self.common.none_there(&[&self.out])?;
        let text = fs::read_to_string(&self.kms_certificate)
            .with_context(|| format!("cannot read {}", self.kms_certificate.display()))?;
        let chain = Certificate::all_from_pem(&text)?;
        let Some((leaf, intermediates)) = chain.split_first() else {
            bail!("{} holds no certificate", self.kms_certificate.display());
        };
        server::check_chain(&config, leaf, intermediates, Role::KmsWork)
            .context("that is no work certificate of a KMS that this MTMS believes")?;
        let (suite, sha256) = (SuiteName::of_key(leaf.spki_der())?, leaf.sha256_hex());
        let parties = Parties { vendor: config.acquirer.id.clone(), buyer: self.common.partner.clone() };

        // The HSM's part comes first and its keys are gone before a card's module is loaded: that is other people's code.
        let offline = self.common.open(&config)?;
        let (keys, travelling) = agreement::offer(&offline, &parties, algorithm(suite), leaf.spki_der())?;
        drop(offline);
        let (pk_kcv, mak_kcv) = (hex(&keys.pk.kcv), hex(&keys.mak.kcv));
        let agreement = Agreement::of(&Parts {
            vendor: &parties.vendor,
            buyer: &parties.buyer,
            suite: suite.suite().byte(),
            kms_certificate_sha256: &sha256,
            sealed: &travelling.sealed,
            pk: &travelling.pk,
            mak: &travelling.mak,
            pk_kcv: &pk_kcv,
            mak_kcv: &mak_kcv,
        });

        // The PINs are their yes: what it is said to stands above the question.
        say!("vendor       {}", parties.vendor);
        say!("buyer        {}", parties.buyer);
        say!("suite        {suite}");
        say!("for the KMS  {}, certificate {sha256}", leaf.subject());
        let cards = AgreementCards::open(
            self.card.insert()?,
            &Source::file(self.card_pin_file).read("MTMS card PIN")?,
            self.administrator.insert()?,
            &Source::file(self.administrator_pin_file).read("administrator card PIN")?,
            &checks(&config)?,
        )?;
        let signed = agreement.sign(&cards)?;
        let detail = json!({ "partner": parties.buyer, "suite": suite.suite().byte(), "pk_kcv": pk_kcv,
                             "mak_kcv": mak_kcv, "kms_certificate": sha256 });
        self.common.keep(&store, ("batch-keys.offered", detail), suite, &keys).await?;
        files::write_bytes(&self.out, &signed, 0o644)?;
        say!("agreement    {}: take it to the acquirer, who accepts it:", self.out.display());
        say!(
            "  keyferry hsm agree accept --partner {} --vendor-root … --agreement … --pk … --mak …",
            parties.vendor
        );
        self.common.advise(&pk_kcv, &mak_kcv);
        Ok(())
    }
}

impl Accept {
    async fn run(self) -> Result<()> {
        let (config, store) = self.common.estate.open()?;
        self.common.none_there(&[])?;
        let vendor_root = self.vendor_root(&config)?;
        let (agreement, [mtms, administrator]) = Agreement::open(&self.read()?, &checks(&config)?)?;
        let parties = Parties { vendor: agreement.vendor.clone(), buyer: agreement.buyer.clone() };
        if parties.buyer != config.acquirer.id {
            bail!("the agreement is for the acquirer {}; this is {}", parties.buyer, config.acquirer.id);
        }
        if parties.vendor != self.common.partner {
            bail!("the agreement is of the vendor {}, not of {}", parties.vendor, self.common.partner);
        }
        agreement.is_under(&vendor_root, &mtms)?;
        let suite = suite_of(agreement.suite)?;
        let sha256 = &agreement.kms_certificate_sha256;
        let work_key = store.work_key(sha256).await?.filter(|key| key.suite == suite.suite());
        let Some(work_key) = work_key else {
            bail!(
                "the agreement is for another KMS: its certificate {sha256} is no work certificate of suite {suite} here; \
                 give the vendor the present one"
            );
        };
        if work_key.state != WorkKeyState::Active {
            bail!(
                "the agreement is for a work key that is no longer active here ({sha256}): have the vendor make another, for \
                 the present work certificate"
            );
        }
        let travelling =
            Travelling { sealed: agreement.sealed()?, pk: agreement.pk.clone(), mak: agreement.mak.clone() };
        let offline = self.common.open(&config)?;
        let work_key = KeyBlock::from_text(work_key.private_block);
        let keys = agreement::accept(&offline, &parties, algorithm(suite), &work_key, &travelling)?;
        drop(offline);
        let (pk_kcv, mak_kcv) = (hex(&keys.pk.kcv), hex(&keys.mak.kcv));
        if (&pk_kcv, &mak_kcv) != (&agreement.pk_kcv, &agreement.mak_kcv) {
            bail!(
                "the keys' check values are not those that were signed: ask the vendor for another agreement"
            );
        }
        let subject = |verified: &Verified| verified.certificate().subject().to_string();
        say!("vendor       {}", parties.vendor);
        say!("its root     {}, SHA-256 {}", vendor_root.subject(), vendor_root.sha256_hex());
        say!("suite        {suite}");
        say!("signed by    {}", subject(&mtms));
        say!("         and {}", subject(&administrator));
        let detail = json!({ "partner": parties.vendor, "suite": suite.suite().byte(), "pk_kcv": pk_kcv,
                             "mak_kcv": mak_kcv, "kms_certificate": sha256, "mtms": subject(&mtms),
                             "administrator": subject(&administrator),
                             "vendor_root": vendor_root.sha256_hex() });
        self.common.keep(&store, ("batch-keys.agreed", detail), suite, &keys).await?;
        self.common.advise(&pk_kcv, &mak_kcv);
        Ok(())
    }

    /// The root that the vendor is known by: as the command names it, or its entry in `[[partners]]`; where both do, both the same.
    fn vendor_root(&self, config: &Config) -> Result<Certificate> {
        let own = |partner: &&server::config::Partner| partner.name == self.common.partner;
        let entered = config.partners.iter().filter(own).filter_map(|partner| partner.root.as_ref());
        let mut named = self.vendor_root.iter().cloned().chain(entered.map(|root| config.path(root)));
        let Some(first) = named.next() else {
            bail!(
                "whose agreement is it? Any vendor that is believed could write {0} into one: name {0}'s own root by \
                 --vendor-root, or as the root of its [[partners]]",
                self.common.partner
            );
        };
        let root = certificate(&first)?;
        for other in named {
            if certificate(&other)?.sha256_hex() != root.sha256_hex() {
                bail!(
                    "{} and {} are two roots of {}: one of them is not the vendor's",
                    first.display(),
                    other.display(),
                    self.common.partner
                );
            }
        }
        Ok(root)
    }

    fn read(&self) -> Result<Vec<u8>> {
        let cannot = || format!("cannot read {}", self.agreement.display());
        let length = fs::metadata(&self.agreement).with_context(cannot)?.len();
        if usize::try_from(length).is_ok_and(|length| length <= MAX_AGREEMENT) {
            return fs::read(&self.agreement).with_context(cannot);
        }
        bail!("{} is no agreement: {length} bytes are too many", self.agreement.display())
    }
}

impl Common {
    /// Nothing is made that could not be written.
    fn none_there(&self, more: &[&PathBuf]) -> Result<()> {
        for path in [&self.pk, &self.mak].into_iter().chain(more.iter().copied()) {
            if path.exists() {
                bail!("{} is there already: nothing was done; keys are never written over", path.display());
            }
        }
        Ok(())
    }

    /// Protects this process first: from here on it holds keys.
    fn open(&self, config: &Config) -> Result<Offline> {
        let passphrase = Source::file(self.passphrase_file.clone()).read("HSM passphrase")?;
        for warning in hsm_soft::protect()? {
            complain!("keyferry hsm: warning: {warning}");
        }
        Ok(Offline::open(&config.path(&config.hsm.folder), &passphrase)?)
    }

    /// Tells the audit, then writes both keys.
    async fn keep(
        &self,
        store: &SqliteStore,
        (kind, detail): (&'static str, Value),
        suite: SuiteName,
        keys: &AgreedKeys,
    ) -> Result<()> {
        store
            .audit_append(Event::new(time::now_ms(), kind, "keyferry hsm", self.partner.as_str(), detail))
            .await?;
        let (pk, mak) = match suite {
            SuiteName::Tdes => (Kind::Protect, Kind::BatchMac),
            SuiteName::EcAes => (Kind::ProtectAes, Kind::BatchMacAes),
        };
        self.write(&self.pk, pk, &keys.pk)?;
        self.write(&self.mak, mak, &keys.mak)
    }

    fn write(&self, path: &Path, kind: Kind, key: &Agreed) -> Result<()> {
        let combined = CombinedKey {
            name: self.partner.clone(),
            kind,
            pin_pad: None,
            slot: None,
            partner: Some(self.partner.clone()),
            kcv: hex(&key.kcv),
            block: key.block.as_str().to_owned(),
        };
        files::write(path, &serde_json::to_string_pretty(&combined)?, 0o600)
    }

    fn advise(&self, pk_kcv: &str, mak_kcv: &str) {
        say!("PK           {}, check value {pk_kcv}", self.pk.display());
        say!("MAK          {}, check value {mak_kcv}", self.mak.display());
        say!(
            "compare the check values with the other side, then name both files in {}:",
            self.estate.config.display()
        );
        say!("  [[partners]]");
        say!("  name = \"{}\"", self.partner);
        say!("  pk = \"{}\"", self.seen_from_config(&self.pk).display());
        say!("  mak = \"{}\"", self.seen_from_config(&self.mak).display());
    }

    /// A path as the configuration has it, whose paths begin at its own folder.
    fn seen_from_config(&self, path: &Path) -> PathBuf {
        let whole = |path: &Path| std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        let (config, path) = (whole(&self.estate.config), whole(path));
        let within = config.parent().and_then(|folder| path.strip_prefix(folder).ok()).map(Path::to_owned);
        within.unwrap_or(path)
    }
}

/// The one certificate of a PEM file.
fn certificate(path: &Path) -> Result<Certificate> {
    let text = fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    Certificate::from_pem(&text).with_context(|| path.display().to_string())
}

/// What an agreement's signers are believed by: those roots that may name an MTMS. For an agreement, and for nothing else,
/// such a root also names the administrator who signs with it.
fn checks(config: &Config) -> Result<Checks> {
    let server::Believed { roots, crls, policy } = server::believed(config)?;
    let mut trust = TrustList::new();
    for root in roots.roots().filter(|root| roots.allows(root, Role::Mtms)) {
        trust.add(root.clone(), &[Role::Mtms, Role::Administrator]);
    }
    let mut checks = Checks::new(trust, crls);
    checks.policy = policy;
    Ok(checks)
}

fn algorithm(suite: SuiteName) -> ZoneAlgorithm {
    match suite {
        SuiteName::Tdes => ZoneAlgorithm::Tdes,
        SuiteName::EcAes => ZoneAlgorithm::Aes,
    }
}

fn suite_of(number: u8) -> Result<SuiteName> {
    let known = [SuiteName::Tdes, SuiteName::EcAes].into_iter().find(|suite| suite.suite().byte() == number);
    known.with_context(|| format!("suite {number} is not known here"))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02X}")).collect()
}
