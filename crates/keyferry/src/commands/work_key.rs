//! Work keys: the pair that others encrypt to, of the KMS or a vendor's MTMS (flow A) or of the remote key server (flow C).
//! All are made, checked and installed alike.

use std::{fs, path::PathBuf};

use anyhow::{Context as _, Result, bail};
use clap::Args;
use hsm::{
    Client, Hsm as _, KeyBlock,
    commands::{CheckWorkKey, EcKeyKind, MakeEcKey, MakeRksKey, MakeWorkKey, WorkKeyOf},
};
use pki::{Certificate, Role, csr};
use serde_json::json;
use server::Config;
use store::{
    DeviceStore as _, Event, NewCertificate, NewRksWorkKey, NewWorkKey, SqliteStore, Store as _, WorkKeyState,
};

use super::{
    kms::{Estate, connect_hsm},
    suite::SuiteName,
};
use crate::{files::write, time};

/// Make a new work key in the HSM and a request for its certificate.
#[derive(Args)]
pub(crate) struct WorkKeyRequest {
    #[command(flatten)]
    estate: Estate,
    /// The suite that it serves: 2 has a P-256 key, 1 an RSA key.
    #[arg(long, default_value_t = SuiteName::EcAes)]
    suite: SuiteName,
    /// RSA bits with --suite 1: 2048, 3072 or 4096.
    #[arg(long, default_value_t = 2048)]
    bits: u32,
    /// Where the request goes (PKCS #10, PEM).
    #[arg(long)]
    out: PathBuf,
    /// Where the private key's block goes; it opens in this estate's HSM only. `keyferry hsm backup` backs it up.
    #[arg(long)]
    key_block: PathBuf,
    /// The HSM reads its passphrase from this file, where no HSM is running.
    #[arg(long, value_name = "FILE")]
    passphrase_file: Option<PathBuf>,
}

/// Install the certificate of a new work key. What was encrypted to the old one still opens.
#[derive(Args)]
pub(crate) struct WorkKeyInstall {
    #[command(flatten)]
    estate: Estate,
    /// The certificate, PEM; behind it in the same file those between it and its root, nearest first.
    #[arg(long)]
    certificate: PathBuf,
    /// The private key's block that `work-key-request` wrote.
    #[arg(long)]
    key_block: PathBuf,
    /// The HSM reads its passphrase from this file, where no HSM is running.
    #[arg(long, value_name = "FILE")]
    passphrase_file: Option<PathBuf>,
}

/// Whose work key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Of {
    Kms,
    Rks,
    /// Of a vendor: its HSM holds it as the KMS's is held, and its certificate has the role of an MTMS.
    Mtms,
}

impl Of {
    /// In suite 02 the remote key server signs; what devices encrypt to is made anew each time.
    fn role(self, suite: SuiteName) -> Role {
        match (self, suite) {
            (Self::Kms, _) => Role::KmsWork,
            (Self::Mtms, _) => Role::Mtms,
            (Self::Rks, SuiteName::Tdes) => Role::RksWork,
            (Self::Rks, SuiteName::EcAes) => Role::RksSigning,
        }
    }

    fn hsm(self, suite: SuiteName) -> WorkKeyOf {
        match (self, suite) {
            (Self::Kms | Self::Mtms, SuiteName::Tdes) => WorkKeyOf::Kms,
            (Self::Rks, SuiteName::Tdes) => WorkKeyOf::Rks,
            (of, SuiteName::EcAes) => WorkKeyOf::Ec(of.ec_key()),
        }
    }

    fn ec_key(self) -> EcKeyKind {
        match self {
            Self::Kms | Self::Mtms => EcKeyKind::KmsAgreement,
            Self::Rks => EcKeyKind::RksSigning,
        }
    }

    /// The command's name, and the actor in the audit.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Kms => "kms",
            Self::Rks => "rks",
            Self::Mtms => "mtms",
        }
    }
}

impl WorkKeyRequest {
    pub(crate) async fn run(self, of: Of) -> Result<()> {
        let config = Config::read(&self.estate.config)?;
        let (_child, hsm) = connect_hsm(&config, self.passphrase_file.as_ref()).await?;
        let owner = config.acquirer.id.clone();
        let subject = format!("{owner} {} work key", of.word().to_uppercase());
        let made = match (self.suite, of) {
            (SuiteName::EcAes, of) => hsm.call(MakeEcKey { kind: of.ec_key(), subject, owner }).await?,
            (SuiteName::Tdes, Of::Kms | Of::Mtms) => {
                hsm.call(MakeWorkKey { bits: self.bits, subject, owner }).await?
            }
            (SuiteName::Tdes, Of::Rks) => hsm.call(MakeRksKey { bits: self.bits, subject, owner }).await?,
        };
        write(&self.key_block, made.private.as_str(), 0o600)?;
        write(&self.out, &csr::to_pem(&made.request), 0o644)?;
        let (out, block, role) = (self.out.display(), self.key_block.display(), of.role(self.suite).word());
        say!("request written to {out}; next:");
        say!("  keyferry hsm backup --key-block {block} …");
        say!("  keyferry ca issue --role {role} --request {out} --out {role}.pem");
        say!("  keyferry {} work-key-install --certificate {role}.pem --key-block {block}", of.word());
        Ok(())
    }
}

impl WorkKeyInstall {
    pub(crate) async fn run(self, of: Of) -> Result<()> {
        let (config, store) = self.estate.open()?;
        let read = |path: &PathBuf| {
            fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))
        };
        let chain = Certificate::all_from_pem(&read(&self.certificate)?)?;
        let Some((leaf, intermediates)) = chain.split_first() else {
            bail!("{} holds no certificate", self.certificate.display());
        };
        let block = read(&self.key_block)?.trim().to_owned();
        let (_child, hsm) = connect_hsm(&config, self.passphrase_file.as_ref()).await?;
        let new = NewKey { of, certificate: leaf, intermediates, private_block: &block };
        new.install(&config, &store, &hsm, &format!("keyferry {}", of.word())).await?;
        say!("work key {} is active: from now on terminals get its certificate", leaf.sha256_hex());
        Ok(())
    }
}

/// A work key with its certificate, to be installed.
pub(crate) struct NewKey<'a> {
    pub(crate) of: Of,
    pub(crate) certificate: &'a Certificate,
    /// Between it and its root, nearest first.
    pub(crate) intermediates: &'a [Certificate],
    /// The private key's block.
    pub(crate) private_block: &'a str,
}

impl NewKey<'_> {
    /// Checks that key and certificate are what they should be and belong together, and puts them into the store, active
    /// from now on.
    pub(crate) async fn install(
        &self,
        config: &Config,
        store: &SqliteStore,
        hsm: &Client,
        actor: &str,
    ) -> Result<()> {
        let suite = self.check(config, hsm).await?;
        self.keep(store, suite, actor).await
    }

    /// By the server's own roots and lists, and by the HSM. For whomever it is, the certificate is checked for the role and
    /// the use that the key has.
    async fn check(&self, config: &Config, hsm: &Client) -> Result<SuiteName> {
        let suite = SuiteName::of_key(self.certificate.spki_der())?;
        let role = self.of.role(suite);
        let verified = server::check_chain(config, self.certificate, self.intermediates, role)?;
        if self.of == Of::Mtms && suite == SuiteName::EcAes {
            // The role's other certificates sign batches: terminals could not encrypt to one.
            verified.agreement_point().context("this is the certificate that signs batches")?;
        }
        let work_key = KeyBlock::from_text(self.private_block.to_owned());
        let (public, owner) = (self.certificate.spki_der().to_vec(), config.acquirer.id.clone());
        let check = CheckWorkKey { work_key, public, owner, of: self.of.hsm(suite) };
        hsm.call(check).await.context("certificate and key block do not belong together here")?;
        Ok(suite)
    }

    async fn keep(&self, store: &SqliteStore, suite: SuiteName, actor: &str) -> Result<()> {
        let (certificate, suite) = (self.certificate, suite.suite());
        let (sha256, role) = (certificate.sha256_hex(), certificate.role().map_or("none", Role::word));
        let detail = json!({ "subject": certificate.subject().to_string(), "serial": certificate.serial_hex(),
                             "role": role, "intermediates": self.intermediates.len() });
        let event = |kind| Event::new(time::now_ms(), kind, actor, sha256.as_str(), detail.clone());
        let kept =
            NewCertificate { role: role.into(), sha256: sha256.clone(), der: certificate.der().to_vec() };
        store.put_certificate(kept, event("certificate.added")).await?;
        let (private_block, spki) = (self.private_block.to_owned(), certificate.spki_der().to_vec());
        let intermediates = self.intermediates.iter().flat_map(|c| c.der().to_vec()).collect();
        match self.of {
            Of::Kms | Of::Mtms => {
                let state = WorkKeyState::Active;
                let certificate_sha256 = sha256.clone();
                let key = NewWorkKey { certificate_sha256, private_block, spki, intermediates, state, suite };
                store.put_work_key(key, event("work-key.installed")).await?;
            }
            Of::Rks => {
                let certificate_sha256 = sha256.clone();
                let key = NewRksWorkKey { certificate_sha256, private_block, spki, intermediates, suite };
                store.put_rks_work_key(key, event("rks.work-key-installed")).await?;
            }
        }
        Ok(())
    }
}
