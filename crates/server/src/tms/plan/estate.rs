//! Estates for tests: the least that a plan needs, to be changed by struct update.

use store::{
    Counts, Deployment, DeploymentState, Offer, OfferState, Package, Requirement, StopRule, StoredSignature,
    Target,
};
use wire::Serial;

use super::{Planned, PlannedEntry, TerminalView};

pub(crate) const VENDOR: &str = "VND";
pub(crate) const MODEL: &str = "M-1";

/// A terminal with what it has.
#[derive(Debug)]
pub(crate) struct Terminal {
    pub(crate) sn: Serial,
    pub(crate) model: &'static str,
    pub(crate) groups: Vec<String>,
    pub(crate) installed: Vec<(String, String, u8)>,
    pub(crate) offers: Vec<Offer>,
}

impl Terminal {
    pub(crate) fn with(installed: &[(&str, &str)]) -> Terminal {
        let one = |(name, version): &(&str, &str)| ((*name).to_owned(), (*version).to_owned(), 1);
        let installed = installed.iter().map(one).collect();
        Terminal { sn: "SN-1001".parse().unwrap(), model: MODEL, groups: vec![], installed, offers: vec![] }
    }

    pub(crate) fn named(sn: &str) -> Terminal {
        Terminal { sn: sn.parse().unwrap(), ..Terminal::with(&[]) }
    }

    pub(crate) fn view(&self) -> TerminalView<'_> {
        TerminalView {
            sn: &self.sn,
            vendor: VENDOR,
            model: self.model,
            groups: &self.groups,
            installed: &self.installed,
            offers: &self.offers,
        }
    }

    /// As if it had installed what is planned.
    pub(crate) fn install(&mut self, planned: &Planned, packages: &[Package]) {
        for entry in &planned.entries {
            let package = packages.iter().find(|package| package.id == entry.package).unwrap();
            self.installed.retain(|(name, _, _)| *name != package.name);
            self.installed.push((package.name.clone(), package.version.clone(), package.kind));
        }
    }
}

pub(crate) fn package(id: i64, name: &str, version: &str) -> Package {
    let signature =
        StoredSignature { certificate: vec![1; 900], intermediates: vec![], signature: vec![2; 256] };
    Package {
        id,
        vendor: VENDOR.into(),
        name: name.into(),
        version: version.into(),
        kind: 1,
        models: vec![],
        size: 1,
        sha256: [0; 32],
        signature,
        approval: None,
        requires: vec![],
        path: "file".into(),
        published_at: 0,
        withdrawn_at: None,
    }
}

pub(crate) fn requiring(package: Package, requires: &[(&str, &str)]) -> Package {
    let one =
        |(name, version): &(&str, &str)| Requirement { name: (*name).into(), version: (*version).into() };
    Package { requires: requires.iter().map(one).collect(), ..package }
}

/// A deployment of this package for all terminals, at once.
pub(crate) fn deployment(id: i64, package: i64) -> Deployment {
    Deployment {
        id,
        vendor: VENDOR.into(),
        package,
        target: Target { models: vec![], groups: vec![], serials: vec![], installed: None },
        from: 0,
        until: None,
        window: None,
        stages: vec![],
        stage: 0,
        stop_at: StopRule { failures_percent: 100, at_least: 0 },
        allow_downgrade: false,
        state: DeploymentState::Running,
        counts: Counts { offered: 0, installed: 0, failed: 0 },
        created_at: 0,
        created_by: "test".into(),
    }
}

pub(crate) fn offer(deployment: i64, package: i64, state: OfferState) -> Offer {
    Offer { deployment, package, state, at: 0 }
}

pub(crate) fn planned(entries: &[(i64, i64)], more: bool) -> Planned {
    let entry =
        |(deployment, package): &(i64, i64)| PlannedEntry { deployment: *deployment, package: *package };
    Planned { entries: entries.iter().map(entry).collect(), more }
}
