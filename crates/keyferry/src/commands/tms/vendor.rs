use std::{fs, path::PathBuf};

use anyhow::{Context as _, Result};
use clap::{Args, Subcommand};
use pki::Certificate;
use serde_json::{Value, json};
use store::{TmsStore as _, Vendor as Record};
use wire::{ModelId, VendorId};

use super::{super::kms::Estate, event};
use crate::{show, time};

/// Vendors.
#[derive(Subcommand)]
pub(crate) enum Vendor {
    /// Enter a vendor, or change one.
    Set(Box<Set>),
    /// List vendors.
    List(Estate),
}

/// Enter a vendor.
#[derive(Args)]
pub(crate) struct Set {
    #[command(flatten)]
    estate: Estate,
    /// Vendor id (DF30), up to 8 characters.
    id: VendorId,
    /// Full name, for people.
    #[arg(long)]
    name: String,
    /// A model of this vendor's (DF31); may be repeated. Without it any model is known.
    #[arg(long = "model", value_name = "MODEL")]
    models: Vec<ModelId>,
    /// The root that certifies who signs the vendor's packages, PEM; may be repeated.
    #[arg(long = "root", value_name = "FILE", required = true)]
    roots: Vec<PathBuf>,
    #[command(flatten)]
    repository: Repository,
    /// Terminals of this vendor get only packages that the acquirer approved too.
    #[arg(long)]
    approval_required: bool,
    /// An operator must prove who he is before a terminal of this vendor gets anything.
    #[arg(long)]
    operator_required: bool,
}

/// Where the vendor's packages are.
#[derive(Args)]
#[group(required = true, multiple = true)]
struct Repository {
    /// In this folder.
    #[arg(long, value_name = "FOLDER", conflicts_with_all = ["url", "database"])]
    folder: Option<PathBuf>,
    /// At this HTTP or HTTPS address, which answers range requests.
    #[arg(long, value_name = "URL", conflicts_with = "database")]
    url: Option<String>,
    /// In this server's database; `tms package publish --content` puts them there.
    #[arg(long)]
    database: bool,
    /// The root of the address's TLS certificate, PEM; else public ones are not believed either.
    #[arg(long, value_name = "FILE", requires = "url", conflicts_with_all = ["folder", "database"])]
    url_root: Option<PathBuf>,
    /// MiB of the address's content kept in memory at most.
    #[arg(long, value_name = "MIB", requires = "url", conflicts_with_all = ["folder", "database"])]
    cache_mib: Option<u32>,
    /// Seconds that the address may take to answer.
    #[arg(long, value_name = "SECONDS", requires = "url", conflicts_with_all = ["folder", "database"])]
    timeout: Option<u32>,
}

impl Vendor {
    pub(super) async fn run(self) -> Result<()> {
        match self {
            Self::Set(set) => set.run().await,
            Self::List(estate) => list(&estate).await,
        }
    }
}

impl Set {
    async fn run(self) -> Result<()> {
        let (_, store) = self.estate.open()?;
        let mut roots = Vec::new();
        for path in &self.roots {
            let text = fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
            roots.push(
                Certificate::from_pem(&text).with_context(|| path.display().to_string())?.der().to_vec(),
            );
        }
        let repository = self.repository.settings()?;
        let detail = json!({ "repository": repository, "models": self.models.iter().map(ModelId::as_str).collect::<Vec<_>>(),
                             "approval_required": self.approval_required,
                             "operator_required": self.operator_required });
        let vendor = Record {
            id: self.id.to_string(),
            name: self.name,
            models: self.models.iter().map(ToString::to_string).collect(),
            roots,
            repository: repository.to_string(),
            approval_required: self.approval_required,
            operator_required: self.operator_required,
            created_at: time::now_ms(),
        };
        store.put_vendor(vendor, event("tms.vendor-set", self.id.as_str(), detail)).await?;
        say!("vendor {} is known; a running server notices by itself", self.id);
        Ok(())
    }
}

impl Repository {
    /// As the server reads it.
    fn settings(&self) -> Result<Value> {
        let absolute = |path: &PathBuf| {
            fs::canonicalize(path).with_context(|| format!("cannot find {}", path.display()))
        };
        Ok(match (&self.folder, &self.url) {
            (Some(folder), _) => json!({ "kind": "folder", "path": absolute(folder)? }),
            (None, Some(url)) => {
                let mut settings = json!({ "kind": "http", "url": url });
                if let Some(root) = &self.url_root {
                    settings["ca"] = json!(absolute(root)?);
                }
                if let Some(mib) = self.cache_mib {
                    settings["cache_mib"] = json!(mib);
                }
                if let Some(seconds) = self.timeout {
                    settings["timeout_seconds"] = json!(seconds);
                }
                settings
            }
            (None, None) => json!({ "kind": "database" }),
        })
    }
}

async fn list(estate: &Estate) -> Result<()> {
    let (_, store) = estate.open()?;
    let row = |vendor: &Record| {
        let repository: Value = serde_json::from_str(&vendor.repository).unwrap_or_default();
        let of = |name: &str| repository.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
        let models = if vendor.models.is_empty() { "any".into() } else { vendor.models.join(" ") };
        let mut demands = vec!["signature"];
        demands.extend(vendor.approval_required.then_some("approval"));
        demands.extend(vendor.operator_required.then_some("operator"));
        let place = [of("kind"), of("path"), of("url")].join(" ").trim().to_owned();
        vec![vendor.id.clone(), vendor.name.clone(), models, place, demands.join(", ")]
    };
    let rows: Vec<_> = store.vendors().await?.iter().map(row).collect();
    show::table(&["vendor", "name", "models", "repository", "demands"], &rows);
    Ok(())
}
