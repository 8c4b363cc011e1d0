use std::{
    fs::File,
    io::Read as _,
    path::{Path, PathBuf},
    sync::Arc,
};

use anyhow::{Context as _, Result, bail};
use clap::{Args, Subcommand};
use serde_json::json;
use server::tms::{Approval, Manifest, publish};
use store::{SqliteStore, TmsStore as _, limits::FILE_CHUNK};
use wire::{PackageKind, VendorId};

use super::{
    super::kms::Estate,
    ACTOR,
    deployment::PackageRef,
    event,
    sign::{Approve, Sign, measure, read_manifest},
};
use crate::{show, time};

/// Packages: applications, parameters, data files.
#[derive(Subcommand)]
pub(crate) enum Package {
    Sign(Box<Sign>),
    Approve(Approve),
    /// Check a signed package and its content in the vendor's repository, and take it in.
    Publish(Publish),
    /// List packages.
    List(List),
    /// Offer a package to nobody any more.
    Withdraw(Withdraw),
}

/// Publish a package.
#[derive(Args)]
pub(crate) struct Publish {
    #[command(flatten)]
    estate: Estate,
    /// The file that the vendor made.
    manifest: PathBuf,
    /// The acquirer's approval.
    #[arg(long, value_name = "FILE")]
    approval: Option<PathBuf>,
    /// The content, where the vendor's repository is this server's database.
    #[arg(long, value_name = "FILE")]
    content: Option<PathBuf>,
}

/// List packages.
#[derive(Args)]
pub(crate) struct List {
    #[command(flatten)]
    estate: Estate,
    /// The vendor.
    vendor: VendorId,
}

/// Withdraw a package.
#[derive(Args)]
pub(crate) struct Withdraw {
    #[command(flatten)]
    estate: Estate,
    /// The vendor.
    vendor: VendorId,
    /// The package.
    package: PackageRef,
}

impl Package {
    pub(super) async fn run(self) -> Result<()> {
        match self {
            Self::Sign(sign) => sign.run(),
            Self::Approve(approve) => approve.run(),
            Self::Publish(publish) => publish.run().await,
            Self::List(list) => list.run().await,
            Self::Withdraw(withdraw) => withdraw.run().await,
        }
    }
}

impl Publish {
    async fn run(self) -> Result<()> {
        let (config, store) = self.estate.open()?;
        let store = Arc::new(store);
        let manifest = read_manifest(&self.manifest)?;
        let read = |path: &PathBuf| {
            let text =
                std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
            Approval::from_json(&text, &manifest).with_context(|| path.display().to_string())
        };
        let approval = self.approval.as_ref().map(read).transpose()?;
        if let Some(content) = &self.content {
            put_content(&store, &manifest, content).await?;
        }
        let published = publish(&config, &store, &manifest, approval.as_ref(), ACTOR).await?;
        let (id, vendor) = (manifest.package().id, &manifest.vendor);
        if published.already_there {
            say!("{id} of {vendor} was published before; nothing was changed");
        } else {
            say!("{id} of {vendor} is published; deploy it with `keyferry tms deployment new`");
        }
        Ok(())
    }
}

/// Puts a file into the database's repository, a chunk at a time.
async fn put_content(store: &SqliteStore, file: &Manifest, path: &Path) -> Result<()> {
    let (size, sha256) = measure(path)?;
    if (size, sha256) != (file.size, file.sha256) {
        bail!("{} is not the content that was signed", path.display());
    }
    let mut content = File::open(path)?;
    for index in 0_u32.. {
        let mut chunk = Vec::with_capacity(FILE_CHUNK);
        content.by_ref().take(FILE_CHUNK as u64).read_to_end(&mut chunk)?;
        if chunk.is_empty() {
            break;
        }
        store.put_file_chunk(file.vendor.as_str(), &file.path, index, chunk).await?;
    }
    let detail = json!({ "path": file.path, "size": size });
    let event = event("tms.file-stored", file.vendor.as_str(), detail);
    Ok(store.finish_file(file.vendor.as_str(), &file.path, size, sha256, event).await?)
}

impl List {
    async fn run(self) -> Result<()> {
        let (_, store) = self.estate.open()?;
        let kind =
            |byte| PackageKind::from_byte(byte).map_or_else(|_| "unknown".into(), |kind| kind.to_string());
        let packages = store.packages(self.vendor.as_str()).await?;
        let rows: Vec<_> = packages
            .iter()
            .map(|package| {
                let state = match package.withdrawn_at {
                    Some(at) => format!("withdrawn {}", time::text(at / 1000)),
                    None if package.approval.is_some() => "approved".into(),
                    None => "signed".into(),
                };
                vec![
                    package.name.clone(),
                    package.version.clone(),
                    kind(package.kind),
                    package.size.to_string(),
                    time::text(package.published_at / 1000),
                    state,
                ]
            })
            .collect();
        show::table(&["package", "version", "kind", "bytes", "published", "state"], &rows);
        Ok(())
    }
}

impl Withdraw {
    async fn run(self) -> Result<()> {
        let (_, store) = self.estate.open()?;
        let PackageRef { name, version } = &self.package;
        let found = store.find_package(self.vendor.as_str(), name.as_str(), &version.to_string()).await?;
        let Some(package) = found else {
            bail!("vendor {} has no package {name} {version}", self.vendor);
        };
        let detail = json!({ "vendor": self.vendor.as_str(), "version": package.version });
        if !store.withdraw_package(package.id, event("tms.package-withdrawn", name.as_str(), detail)).await? {
            bail!("{name} {version} was withdrawn before");
        }
        say!("{name} {version} is offered to nobody any more; terminals that have it keep it");
        Ok(())
    }
}
