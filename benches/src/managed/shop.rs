//! The vendor, whose packages lie in a folder.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use anyhow::Result;
use base64ct::{Base64, Encoding};
use paycrypto::{digest::sha256, random, rsa::PrivateKey};
use pki::{
    Certificate, Role,
    issue::{self, Issuer},
};
use serde_json::json;
use server::tms::{Manifest, publish};
use store::{NewDeployment, StopRule, Target, TmsStore, Vendor};

use crate::estate::{self, BITS, Estate, Key, event, name, validity};

pub(super) const VENDOR: &str = "VND";
/// The model whose terminals load the large package, again and again.
pub(crate) const BULK: &str = "BULK";
/// Bytes of the large package: two fit into one session.
pub(super) const BULK_BYTES: usize = 4 << 20;
/// The models of the terminals that update at once, and the KiB of each one's package.
pub(crate) const MODELS: [(&str, usize); 3] = [("M-64", 64), ("M-128", 128), ("M-256", 256)];
/// The version of every package.
pub(super) const RELEASE: &str = "1.0.0";

/// The vendor and what it has published.
pub(crate) struct Shop {
    folder: PathBuf,
    signer: Certificate,
    signer_key: PrivateKey,
}

impl Shop {
    /// Enters the vendor, publishes a package for each model, and deploys each to its model's terminals.
    pub(crate) async fn open(estate: &Estate) -> Result<Shop> {
        let (root_key, signer_key) = (Key::new(PrivateKey::generate(BITS)?), PrivateKey::generate(BITS)?);
        let root = issue::root(&name("Benchmark vendor root")?, &root_key, validity(), 1)?;
        let issuer = Issuer::new(&root, &root_key)?;
        let subject = name("Benchmark vendor packages")?;
        let signer = issue::leaf(&issuer, Role::PackageSigning, &subject, signer_key.spki_der(), validity())?;
        let folder = estate.folder.join("vendor");
        fs::create_dir(&folder)?;
        estate.store.put_vendor(vendor(&root, &folder), event("tms.vendor-entered", VENDOR)).await?;
        let shop = Shop { folder, signer, signer_key };
        shop.roll_out(estate, BULK, BULK_BYTES).await?;
        for (model, kib) in MODELS {
            shop.roll_out(estate, model, kib << 10).await?;
        }
        Ok(shop)
    }

    async fn roll_out(&self, estate: &Estate, model: &str, bytes: usize) -> Result<()> {
        let package = self.publish(estate, &package_of(model), bytes).await?;
        let target = Target { models: vec![model.to_owned()], ..Target::default() };
        let deployment = NewDeployment {
            vendor: VENDOR.into(),
            package,
            target,
            from: 0,
            until: None,
            window: None,
            stages: Vec::new(),
            stop_at: StopRule { failures_percent: 100, at_least: 1 },
            allow_downgrade: false,
        };
        estate.store.put_deployment(deployment, event("tms.deployed", VENDOR)).await?;
        Ok(())
    }

    /// Publishes a file of so many random bytes, signed by the vendor.
    async fn publish(&self, estate: &Estate, package: &str, bytes: usize) -> Result<i64> {
        let mut content = vec![0; bytes];
        random::fill(&mut content)?;
        let path = format!("{package}.bin");
        fs::write(self.folder.join(&path), &content)?;
        let mut manifest = json!({ "vendor": VENDOR, "name": package, "version": RELEASE, "kind": "application",
            "size": bytes, "sha256": hex(&sha256(&content)), "path": path,
            "certificate": Base64::encode_string(self.signer.der()), "signature": "" });
        let signed = Manifest::from_json(&manifest.to_string())?.signed_bytes();
        manifest["signature"] = json!(Base64::encode_string(&self.signer_key.sign_pss_sha256(&signed)?));
        let manifest = Manifest::from_json(&manifest.to_string())?;
        let config = server::Config::read(&estate::configuration(&estate.folder))?;
        Ok(publish(&config, &Arc::new(estate.store.clone()), &manifest, None, "benchmark").await?.id)
    }

    /// Terminals that have installed a package of [`MODELS`], as the store counts them.
    pub(super) async fn installed(&self, estate: &Estate) -> Result<u64> {
        let mut installed = 0;
        for deployment in estate.store.deployments(Some(VENDOR)).await? {
            if deployment.target.models != [BULK] {
                installed += deployment.counts.installed;
            }
        }
        Ok(installed)
    }
}

/// The package of a model's terminals.
pub(super) fn package_of(model: &str) -> String {
    format!("app-{model}")
}

fn vendor(root: &Certificate, folder: &Path) -> Vendor {
    Vendor {
        id: VENDOR.into(),
        name: "The vendor".into(),
        models: MODELS.iter().map(|(model, _)| *model).chain([BULK]).map(str::to_owned).collect(),
        roots: vec![root.der().to_vec()],
        repository: json!({ "kind": "folder", "path": folder }).to_string(),
        approval_required: false,
        operator_required: false,
        created_at: 0,
    }
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02X}")).collect()
}
