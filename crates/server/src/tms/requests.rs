//! What a terminal asks for in a session: what it is to load, and the bytes of it.

use flows::{
    ProtocolError,
    tms_download::{Get, Inventory, Plan, Reason},
};
use hsm::Hsm;
use serde_json::json;
use store::{Package, Store, StoredSignature, TmsTerminal};
use tokio::sync::OwnedSemaphorePermit;
use wire::{Malformed, PackageId, PackageKind, PackageSignature, PlanEntry, Tag};

use super::{
    estate::VendorEstate,
    plan::{self, PlannedEntry, TerminalView},
    repository::RepositoryError,
    sealed::{Loading, SealedEnd, Sealing},
    status,
};
use crate::{
    clock::now_ms,
    kms::{Kms, event},
};

/// Name, version and kind of installed packages, as the store keeps them.
pub(super) type Installed = Vec<(String, String, u8)>;

impl<S: Store, H: Hsm> Kms<S, H> {
    /// Notes what is installed, and plans what is to be loaded. What is offered for the first time is written before the
    /// plan leaves.
    pub(super) async fn answer_inventory(
        &self,
        sealing: &mut Sealing,
        inventory: Inventory,
    ) -> Result<Vec<u8>, SealedEnd> {
        let status = clean(inventory.status.as_deref())?;
        let now = now_ms();
        let estate = self.vendor_estate(sealing).await?;
        let mut terminal = self.terminal_of(sealing).await?;
        terminal.installed = names(&inventory.installed);
        self.note_installed(sealing, &mut terminal, &estate, status, now).await?;
        let view = view(sealing, &terminal);
        let planned = plan::plan(&view, &estate.packages, &estate.deployments, now);
        self.offer_packages(&terminal, &estate, &planned.entries).await?;
        sealing.loading = None;
        let entries = planned.entries.iter().filter_map(|entry| estate.package(entry.package));
        let entries = entries.map(plan_entry).collect::<Result<Vec<_>, _>>()?;
        Ok(inventory.answer(&Plan::fitting(entries, planned.more))?)
    }

    /// Writes which deployments reach this terminal for the first time. One that is reached by what its package requires
    /// is reached: the offer is of the deployment's own package.
    async fn offer_packages(
        &self,
        terminal: &TmsTerminal,
        estate: &VendorEstate,
        entries: &[PlannedEntry],
    ) -> Result<(), SealedEnd> {
        let mut new: Vec<(i64, i64)> = Vec::new();
        for entry in entries {
            let known = terminal.offers.iter().any(|offer| offer.deployment == entry.deployment);
            if let Some(deployment) = estate.deployment(entry.deployment)
                && !known
                && !new.iter().any(|(listed, _)| *listed == deployment.id)
            {
                new.push((deployment.id, deployment.package));
            }
        }
        if new.is_empty() {
            return Ok(());
        }
        let packages: Vec<_> = new
            .iter()
            .filter_map(|(deployment, package)| {
                let package = estate.package(*package)?;
                Some(json!({ "deployment": deployment, "name": package.name, "version": package.version }))
            })
            .collect();
        let detail = json!({ "packages": packages });
        let event = event("tms.offered", "server", terminal.sn.as_str(), detail);
        Ok(self.store.offer(&terminal.sn, new, event).await?)
    }

    /// Reads a piece of a package that the terminal may load. Nothing is written. The answer's place is given up when it
    /// is sealed.
    pub(super) async fn answer_get(
        &self,
        sealing: &mut Sealing,
        get: Get,
    ) -> Result<(Vec<u8>, OwnedSemaphorePermit), SealedEnd> {
        let estate = self.vendor_estate(sealing).await?;
        let version = get.version.to_string();
        let Some(package) = estate.find(get.name.as_str(), &version) else {
            return Err(get.not_offered().into());
        };
        let loading = Loading { package: package.id, version: estate.version };
        if sealing.loading != Some(loading) {
            let terminal = self.terminal_of(sealing).await?;
            let view = view(sealing, &terminal);
            if !plan::may_load(&view, &estate.packages, &estate.deployments, package.id) {
                return Err(get.not_offered().into());
            }
            sealing.loading = Some(loading);
        }
        let length = get.length(package.size)?;
        let length = usize::try_from(length).map_err(|_| internal("a piece has more bytes than memory"))?;
        let repository = estate.repository.as_ref().map_err(|error| unread(package, error))?;
        let place = estate.place().await.map_err(|error| unread(package, &error))?;
        let read = repository.read(&package.path, get.offset, length).await;
        let bytes = read.map_err(|error| unread(package, &error))?;
        Ok((get.answer(package.size, bytes.to_vec())?, place))
    }

    pub(super) async fn vendor_estate(
        &self,
        sealing: &Sealing,
    ) -> Result<std::sync::Arc<VendorEstate>, SealedEnd> {
        let estate = self.tms.estate.vendor(&self.store, &sealing.vendor).await?;
        estate.ok_or_else(|| internal("the terminal's vendor is gone"))
    }

    pub(super) async fn terminal_of(&self, sealing: &Sealing) -> Result<TmsTerminal, SealedEnd> {
        let terminal = self.store.tms_terminal(&sealing.sn).await?;
        terminal.ok_or_else(|| internal("the terminal is gone"))
    }
}

pub(super) fn view<'a>(sealing: &'a Sealing, terminal: &'a TmsTerminal) -> TerminalView<'a> {
    TerminalView {
        sn: &terminal.sn,
        vendor: &sealing.vendor,
        model: sealing.model.as_str(),
        groups: &terminal.groups,
        installed: &terminal.installed,
        offers: &terminal.offers,
    }
}

/// A status as it may be kept.
pub(super) fn clean(status: Option<&str>) -> Result<Option<String>, SealedEnd> {
    status.map(status::clean).transpose().map_err(|_| {
        let malformed = Malformed::FieldValue { tag: Tag::STATUS };
        Reason::from(ProtocolError::from(malformed)).into()
    })
}

pub(super) fn names(installed: &[PackageId]) -> Installed {
    installed.iter().map(|id| (id.name.as_str().to_owned(), id.version.to_string(), id.kind.byte())).collect()
}

fn plan_entry(package: &Package) -> Result<PlanEntry, SealedEnd> {
    let malformed = |error: Malformed| internal(&format!("a package in the store is none: {error}"));
    let id = PackageId {
        name: package.name.parse().map_err(malformed)?,
        version: package.version.parse().map_err(malformed)?,
        kind: PackageKind::from_byte(package.kind).map_err(malformed)?,
    };
    Ok(PlanEntry {
        manifest: wire::Manifest { id, size: package.size, sha256: package.sha256 },
        signature: signature(&package.signature),
        approval: package.approval.as_ref().map(signature),
    })
}

fn signature(stored: &StoredSignature) -> PackageSignature {
    PackageSignature {
        certificate: stored.certificate.clone(),
        intermediates: stored.intermediates.clone(),
        signature: stored.signature.clone(),
    }
}

/// Why a piece could not be read: the terminal is told to come again where that may help.
fn unread(package: &Package, error: &RepositoryError) -> SealedEnd {
    let (vendor, name, version) = (&package.vendor, &package.name, &package.version);
    match error {
        RepositoryError::Busy => {
            tracing::debug!(vendor, name, version, "the vendor's repository has enough to do");
            Reason::Busy { why: error.to_string() }.into()
        }
        RepositoryError::Unavailable { .. } => {
            tracing::warn!(vendor, name, version, %error, "a package cannot be read");
            Reason::Busy { why: error.to_string() }.into()
        }
        RepositoryError::Missing | RepositoryError::Changed => {
            internal(&format!("{name} {version} of {vendor}: {error}"))
        }
    }
}

pub(super) fn internal(why: &str) -> SealedEnd {
    Reason::Internal { why: why.to_owned() }.into()
}
