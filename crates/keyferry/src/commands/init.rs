use std::{fs, net::SocketAddr, path::PathBuf, process::ExitCode};

use anyhow::{Context, Result, bail};
use clap::Args;
use custody::{
    ca::{Ca, NewCa},
    keyfile::KeyKind,
};
use hsm::{
    Client, Hsm as _,
    commands::{EcKeyKind, MakeEcKey, MakeTlsKey, MakeWorkKey},
};
use hsm_soft::Duty;
use pki::{Name, Role, csr, issue::ServerName};
use serde_json::json;
use server::Config;
use station::Journal;
use store::{Event, NewAcquirer, SqliteOptions, SqliteStore, Store as _};

use super::{
    suite::SuiteName,
    work_key::{NewKey, Of},
};
use crate::{
    files::write,
    hsm_child::{self, HsmChild},
    secret::Source,
    time,
};

/// Make a new estate: configuration, CA, HSM, work key, database, first operator and administrator card.
#[derive(Args)]
pub(crate) struct Init {
    /// The acquirer's short name, 1–32 of A-Z a-z 0-9 - . _
    #[arg(long, default_value = "ACQUIRER")]
    acquirer: String,
    /// The acquirer's full name.
    #[arg(long, default_value = "Acquirer")]
    name: String,
    #[command(flatten)]
    site: Site,
}

/// What every new installation is told.
#[derive(Args)]
pub(crate) struct Site {
    /// The folder to make.
    pub(crate) folder: PathBuf,
    /// Where terminals will connect.
    #[arg(long, default_value = "127.0.0.1:7801")]
    pub(crate) terminal_port: SocketAddr,
    /// Where stations will connect.
    #[arg(long, default_value = "127.0.0.1:7443")]
    pub(crate) https: SocketAddr,
    /// Further host name or address for the server's TLS certificate; 127.0.0.1 and localhost are always in it.
    #[arg(long = "server-name", value_name = "NAME")]
    pub(crate) server_names: Vec<String>,
    /// The suite that the estate starts with: 2 is EC and AES, 1 is TDES and RSA, for terminals that have nothing else.
    #[arg(long, default_value_t = SuiteName::EcAes)]
    pub(crate) suite: SuiteName,
    /// For trials: the root is marked so, and the server believes roots for trials alone. Without it, none of them.
    #[arg(long)]
    pub(crate) trial: bool,
    /// Name of the first operator.
    #[arg(long, default_value = "First operator")]
    pub(crate) operator: String,
    /// Name of the first administrator.
    #[arg(long, default_value = "First administrator")]
    pub(crate) administrator: String,
    /// Folder with the secrets in files of mode 0600: hsm-passphrase, ca-passphrase, operator-pin, administrator-pin,
    /// station-passphrase, and for an MTMS mtms-pin. Without it each is asked for.
    #[arg(long, value_name = "FOLDER")]
    pub(crate) secrets: Option<PathBuf>,
}

/// An installation to be made: an acquirer's KMS, or a vendor's MTMS.
pub(crate) struct Installation<'a> {
    /// Whose work key it has: a KMS's or an MTMS's.
    pub(crate) of: Of,
    /// The owner's short name.
    pub(crate) owner: &'a str,
    /// The owner's full name.
    pub(crate) name: &'a str,
    pub(crate) site: &'a Site,
}

/// RSA bits of work and TLS keys.
const WORK_KEY_BITS: u32 = 2048;
/// What the acquirer's root may issue. In suite 02 that is device certificates too; vendors have roots of their own.
const OF_THE_ROOT_01: [Role; 5] =
    [Role::KmsWork, Role::RksWork, Role::Operator, Role::Administrator, Role::PackageSigning];
const OF_THE_ROOT_02: [Role; 6] = [
    Role::KmsWork,
    Role::RksSigning,
    Role::Operator,
    Role::Administrator,
    Role::PackageSigning,
    Role::Device,
];
/// What a vendor's root may issue to its MTMS's installation.
const OF_A_VENDOR_01: [Role; 3] = [Role::Mtms, Role::Operator, Role::Administrator];
const OF_A_VENDOR_02: [Role; 4] = [Role::Mtms, Role::Operator, Role::Administrator, Role::Device];
const WORK_CERTIFICATE_DAYS: u32 = 2 * 365;
const CARD_DAYS: u32 = 365;
const TLS_DAYS: u32 = 397;

impl Init {
    pub(crate) fn run(self) -> Result<ExitCode> {
        let (owner, name) = (self.acquirer.as_str(), self.name.as_str());
        Installation { of: Of::Kms, owner, name, site: &self.site }.run()?;
        let folder = self.site.folder.display();
        say!("\nNext:");
        say!("  keyferry server --config {folder}/keyferry.toml");
        say!("  keyferry terminal new T1 --sn SN-1001 --root {folder}/ca/root.pem");
        if self.site.suite == SuiteName::EcAes {
            say!("  keyferry terminal device-request T1 --out T1.csr");
            say!(
                "  keyferry ca issue --ca {folder}/ca --role device --pin-pad SN-1001 --request T1.csr --out T1.pem"
            );
            say!("  keyferry terminal device-install T1 --certificate T1.pem");
        }
        say!("  keyferry terminal collect T1");
        say!("  keyferry station collect --config {folder}/station.toml --terminal 127.0.0.1:7802");
        say!("  keyferry terminal download T1 --slot 0");
        Ok(ExitCode::SUCCESS)
    }
}

impl Installation<'_> {
    /// Makes it, and says so.
    pub(crate) fn run(&self) -> Result<()> {
        tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(self.make())?;
        say!("A new estate is in {}.", self.site.folder.display());
        if pki::ARC_IS_EXAMPLE {
            say!(
                "Its certificates use RFC 5612's example number for roles: fit for trials, not for a release."
            );
        }
        Ok(())
    }

    /// Makes everything; the folder is not touched when something is in it.
    async fn make(&self) -> Result<()> {
        let folder = &self.site.folder;
        if fs::read_dir(folder).is_ok_and(|mut entries| entries.next().is_some()) {
            bail!("{} is not empty; nothing was changed. Name a new folder", folder.display());
        }
        if wire::Serial::parse(self.owner).is_err() {
            let option = if self.of == Of::Mtms { "--vendor" } else { "--acquirer" };
            bail!("{option} must be 1 to 32 of A-Z a-z 0-9 - . _");
        }
        let names = self.server_names()?;
        fs::create_dir_all(folder)?;
        self.fill(&names)
            .await
            .with_context(|| format!("{} is half made; remove it before you try again", folder.display()))
    }

    /// Makes everything in a folder that is empty.
    async fn fill(&self, names: &[ServerName]) -> Result<()> {
        let folder = &self.site.folder;
        hsm_child::create(&folder.join("hsm"), &self.secret("hsm-passphrase")).await?;
        let now = time::now_seconds();
        let passphrase = self.secret("ca-passphrase").choose("CA passphrase")?;
        let root = Name::new(&format!("{} root", self.owner), Some(self.name))?;
        let mut ca = Ca::create(
            &folder.join("ca"),
            &NewCa {
                for_trials: self.site.trial,
                ..NewCa::new(root, KeyKind::usual(self.site.suite.keys()))
            },
            &passphrase,
            now,
        )?;
        for (who, role) in self.cards() {
            let pin =
                self.secret(&format!("{}-pin", role.word())).choose(&format!("{} card PIN", role.word()))?;
            let name = Name::new(&who, Some(self.name))?;
            let path = folder.join("cards").join(format!("{}.pem", role.word()));
            super::ca::make_card(&mut ca, &path, &name, role, None, CARD_DAYS, &pin)?;
        }
        let socket = folder.join("run/hsm.sock");
        super::server::make_private_folder(&socket)?;
        let duty = if self.of == Of::Mtms { Duty::Mtms } else { Duty::Server };
        let (at, passphrase) = (folder.join("hsm"), self.secret("hsm-passphrase"));
        let hsm = HsmChild::start_on_duty(duty, &at, &socket, &passphrase).await?;
        self.make_tls(&mut ca, &hsm.client, names).await?;
        let station = include_str!("station.toml.in").replace("@HTTPS@", &self.site.https.to_string());
        write(&folder.join("station.toml"), &station, 0o644)?;
        let passphrase = self.secret("station-passphrase").choose("station passphrase")?;
        Journal::create(&folder.join("station/journal"), &passphrase)?;
        write(&folder.join("keyferry.toml"), &self.config(), 0o644)?;
        // By the finished configuration, as a renewed one will be installed.
        self.make_work_key(&mut ca, &hsm.client).await
    }

    /// Whose cards are made.
    fn cards(&self) -> Vec<(String, Role)> {
        let people = [(&self.site.operator, Role::Operator), (&self.site.administrator, Role::Administrator)];
        let mut cards: Vec<_> = people.into_iter().map(|(who, role)| (who.clone(), role)).collect();
        if self.of == Of::Mtms {
            cards.push((format!("{} batches", self.owner), Role::Mtms));
        }
        cards
    }

    /// What the TLS certificate is for.
    fn server_names(&self) -> Result<Vec<ServerName>> {
        let always = ["127.0.0.1", "localhost"].into_iter();
        let names = always.chain(self.site.server_names.iter().map(String::as_str));
        names.map(|name| name.parse().with_context(|| format!("--server-name {name}"))).collect()
    }

    async fn make_tls(&self, ca: &mut Ca, hsm: &Client, names: &[ServerName]) -> Result<()> {
        let subject = format!("{} server", self.owner);
        let command =
            MakeTlsKey { bits: WORK_KEY_BITS, subject: subject.clone(), owner: self.owner.to_owned() };
        let made = hsm.call(command).await?;
        let subject = Name::new(&subject, Some(self.name))?;
        let certificate = ca.tls_server(&subject, &made.public, names, TLS_DAYS, time::now_seconds())?;
        let folder = self.site.folder.join("tls");
        fs::create_dir_all(&folder)?;
        write(&folder.join("server.pem"), &certificate.pem(), 0o644)?;
        write(&folder.join("server.key-block"), made.private.as_str(), 0o600)
    }

    async fn make_work_key(&self, ca: &mut Ca, hsm: &Client) -> Result<()> {
        let path = self.site.folder.join("keyferry.db");
        let store = SqliteStore::open(&path, SqliteOptions::default()).context("cannot make the store")?;
        let event =
            |kind, subject: &str, detail| Event::new(time::now_ms(), kind, "keyferry init", subject, detail);
        let acquirer = NewAcquirer { id: self.owner.to_owned(), name: self.name.to_owned() };
        store.put_acquirer(acquirer, event("acquirer.added", self.owner, json!({}))).await?;
        let subject = format!("{} {} work key", self.owner, self.of.word().to_uppercase());
        let owner = self.owner.to_owned();
        let made = match self.site.suite {
            SuiteName::Tdes => hsm.call(MakeWorkKey { bits: WORK_KEY_BITS, subject, owner }).await?,
            SuiteName::EcAes => hsm.call(MakeEcKey { kind: EcKeyKind::KmsAgreement, subject, owner }).await?,
        };
        let request = csr::parse_and_verify(&made.request)?;
        let now = time::now_seconds();
        let certificate = match self.of {
            Of::Mtms => ca.issue_mtms_agreement(&request, WORK_CERTIFICATE_DAYS, now)?,
            _ => ca.issue(&request, Role::KmsWork, WORK_CERTIFICATE_DAYS, now)?,
        };
        write(&self.site.folder.join("work-certificate.pem"), &certificate.pem(), 0o644)?;
        let config = Config::read(&self.site.folder.join("keyferry.toml"))?;
        let private_block = made.private.as_str();
        let new = NewKey { of: self.of, certificate: &certificate, intermediates: &[], private_block };
        new.install(&config, &store, hsm, "keyferry init").await
    }

    fn secret(&self, name: &str) -> Source {
        Source::file(self.site.secrets.as_ref().map(|folder| folder.join(name)))
    }

    /// What the root may issue, as the configuration has it.
    fn roles(&self) -> String {
        let wanted = match (self.of, self.site.suite) {
            (Of::Mtms, SuiteName::Tdes) => &OF_A_VENDOR_01[..],
            (Of::Mtms, SuiteName::EcAes) => &OF_A_VENDOR_02,
            (_, SuiteName::Tdes) => &OF_THE_ROOT_01,
            (_, SuiteName::EcAes) => &OF_THE_ROOT_02,
        };
        let words: Vec<_> = wanted.iter().map(|role| format!("\"{}\"", role.word())).collect();
        format!("[{}]", words.join(", "))
    }

    fn config(&self) -> String {
        let duties = match self.of {
            Of::Mtms => include_str!("mtms/duties.toml.in"),
            _ => include_str!("duties.toml.in"),
        };
        include_str!("keyferry.toml.in")
            .replace("@DUTIES@", duties.trim_end())
            .replace("@ACQUIRER@", self.owner)
            .replace("@ROLES@", &self.roles())
            .replace("@PRODUCTION@", if self.site.trial { "false" } else { "true" })
            .replace("@NAME@", &self.name.replace('\\', "\\\\").replace('"', "\\\""))
            .replace("@TERMINAL_PORT@", &self.site.terminal_port.to_string())
            .replace("@HTTPS@", &self.site.https.to_string())
    }
}
