//! What a terminal gets now: a pure function of the estate and the clock, so that a night in a year's time can be tried
//! today.
//!
//! 1. For each package name one deployment *speaks*: of those that are for this terminal, the one with the newest
//!    version. Its window only says when; outside of it no other deployment steps in, so that a terminal never swings
//!    between two versions of a package.
//! 2. What the terminal has already, and what would be older than what it has, is not sent; the latter unless the
//!    deployment allows it.
//! 3. A package whose requirements are not installed waits. What it requires comes first, `more` says that the terminal
//!    is to ask again, and then the package itself comes.
//! 4. What failed on this terminal is not sent to it again by the same deployment: a broken package must not be loaded
//!    night after night. A new deployment is a new try.

mod reach;

use std::{
    cmp::{Ordering, Reverse},
    collections::{BTreeMap, BTreeSet},
};

use semver::{Version, VersionReq};
use store::{Deployment, DeploymentState, Offer, OfferState, Package, StoredSignature};
use wire::Serial;

pub use reach::{bucket, in_window, is_reached, percent};

/// Packages in one plan at most; a terminal that needs more asks again.
pub const MAX_ENTRIES: usize = 16;
/// Bytes of the entries of one plan at most: a sealed message holds 65 500 (2-wire.md section 7).
pub const MAX_PLAN_BYTES: usize = 60_000;
/// How long a chain of requirements may be.
pub const MAX_DEPTH: usize = 8;
/// Packages looked at for their requirements in one plan, at most: chains of many branches must not hold a server up.
const MAX_STEPS: usize = 1_000;
/// What an entry has beside its name, certificates and signatures, at most.
const ENTRY_OVERHEAD: usize = 192;

/// A terminal as the plan sees it.
#[derive(Debug, Clone, Copy)]
pub struct TerminalView<'a> {
    /// Its serial.
    pub sn: &'a Serial,
    /// Its vendor's id.
    pub vendor: &'a str,
    /// Its model's id.
    pub model: &'a str,
    /// The groups that it is in.
    pub groups: &'a [String],
    /// Names and versions of what is installed.
    pub installed: &'a [(String, String, u8)],
    /// What it was offered, and what became of that.
    pub offers: &'a [Offer],
}

/// What a terminal is to load.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Planned {
    /// In the order in which it is to be loaded; a name comes once.
    pub entries: Vec<PlannedEntry>,
    /// Whether there is more to come when these are installed.
    pub more: bool,
}

/// One package of a plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PlannedEntry {
    /// The deployment that it comes by.
    pub deployment: i64,
    /// The package.
    pub package: i64,
}

/// What `terminal` is to load at `now` (Unix milliseconds). The order of `packages` and `deployments` does not matter.
#[must_use]
pub fn plan(
    terminal: &TerminalView<'_>,
    packages: &[Package],
    deployments: &[Deployment],
    now: i64,
) -> Planned {
    let mut planner = Planner::new(terminal, packages);
    planner.hear(deployments, now);
    planner.run()
}

/// Whether a terminal may load a package: a running deployment that it was offered is of this package, or of one that
/// requires it. Windows and versions do not matter here: what was begun may be brought to its end.
#[must_use]
pub fn may_load(
    terminal: &TerminalView<'_>,
    packages: &[Package],
    deployments: &[Deployment],
    package: i64,
) -> bool {
    let planner = Planner::new(terminal, packages);
    let offered = |deployment: &&Deployment| {
        deployment.state == DeploymentState::Running
            && deployment.vendor == terminal.vendor
            && terminal
                .offers
                .iter()
                .any(|offer| offer.deployment == deployment.id && offer.state != OfferState::Failed)
    };
    deployments.iter().filter(offered).any(|deployment| planner.leads_to(deployment.package, package))
}

/// Whether a package is this one, or required by it, or by what it requires.
pub(super) fn leads_to(terminal: &TerminalView<'_>, packages: &[Package], first: i64, wanted: i64) -> bool {
    Planner::new(terminal, packages).leads_to(first, wanted)
}

/// The deployment that speaks for a name.
#[derive(Clone, Copy)]
struct Claim<'a> {
    deployment: &'a Deployment,
    package: &'a Package,
    open: bool,
}

struct Planner<'a> {
    terminal: &'a TerminalView<'a>,
    /// By id; what is withdrawn, of another vendor or not for the model is not here.
    packages: BTreeMap<i64, (&'a Package, Version)>,
    /// By name; nothing where the terminal told a version that is none.
    installed: BTreeMap<&'a str, Option<Version>>,
    claims: BTreeMap<&'a str, Claim<'a>>,
    planned: Planned,
    steps: usize,
}

impl<'a> Planner<'a> {
    fn new(terminal: &'a TerminalView<'a>, packages: &'a [Package]) -> Self {
        let suits = |package: &Package| {
            package.vendor == terminal.vendor
                && package.withdrawn_at.is_none()
                && (package.models.is_empty() || package.models.iter().any(|model| model == terminal.model))
        };
        let packages = packages
            .iter()
            .filter(|package| suits(package))
            .filter_map(|package| Some((package.id, (package, Version::parse(&package.version).ok()?))))
            .collect();
        let mut installed = BTreeMap::new();
        for (name, version, _) in terminal.installed {
            let version = Version::parse(version).ok();
            let known: &mut Option<Version> = installed.entry(name.as_str()).or_default();
            if version > *known {
                *known = version;
            }
        }
        let (claims, planned) = (BTreeMap::new(), Planned::default());
        Self { terminal, packages, installed, claims, planned, steps: 0 }
    }

    /// Finds who speaks for each name.
    fn hear(&mut self, deployments: &'a [Deployment], now: i64) {
        for deployment in deployments {
            let Some((package, version)) = self.packages.get(&deployment.package) else { continue };
            if !self.is_for(deployment, version, package, now) {
                continue;
            }
            let open = deployment.window.as_ref().is_none_or(|window| in_window(window, now));
            let claim = Claim { deployment, package, open };
            let name = package.name.as_str();
            if self.claims.get(name).is_none_or(|other| self.rank(&claim) > self.rank(other)) {
                self.claims.insert(name, claim);
            }
        }
    }

    /// The newest version; of two deployments of one version the one that can act now, then the earlier one.
    fn rank(&self, claim: &Claim<'_>) -> (Option<&Version>, bool, bool, Reverse<i64>) {
        let version = self.packages.get(&claim.package.id).map(|(_, version)| version);
        (version, claim.open, claim.deployment.allow_downgrade, Reverse(claim.deployment.id))
    }

    fn is_for(&self, deployment: &Deployment, version: &Version, package: &Package, now: i64) -> bool {
        let (terminal, target) = (self.terminal, &deployment.target);
        let listed = |list: &[String], value: &str| list.is_empty() || list.iter().any(|one| one == value);
        deployment.state == DeploymentState::Running
            && deployment.vendor == terminal.vendor
            && deployment.from <= now
            && deployment.until.is_none_or(|until| now < until)
            && listed(&target.models, terminal.model)
            && listed(&target.serials, terminal.sn.as_str())
            && (target.groups.is_empty() || target.groups.iter().any(|group| terminal.groups.contains(group)))
            && self.has_version_for(target.installed.as_deref(), version, package)
            && is_reached(deployment, terminal.sn)
            && !self.failed(deployment.id)
    }

    /// Whether what is installed is what the deployment is for. A terminal that has the deployed version is still its
    /// own: otherwise an older deployment would speak for it next.
    fn has_version_for(&self, wanted: Option<&str>, deployed: &Version, package: &Package) -> bool {
        let Some(wanted) = wanted else { return true };
        let Ok(wanted) = VersionReq::parse(wanted) else { return false };
        match self.installed.get(package.name.as_str()) {
            Some(Some(version)) => wanted.matches(version) || version.cmp_precedence(deployed).is_eq(),
            Some(None) | None => false,
        }
    }

    fn failed(&self, deployment: i64) -> bool {
        let failed = |offer: &Offer| offer.deployment == deployment && offer.state == OfferState::Failed;
        self.terminal.offers.iter().any(failed)
    }

    /// Whether this version is to go onto what the terminal has.
    fn improves(&self, name: &str, version: &Version, allow_downgrade: bool) -> bool {
        match self.installed.get(name) {
            None => true,
            // Nobody can say whether it would be older.
            Some(None) => false,
            Some(Some(installed)) => match version.cmp_precedence(installed) {
                Ordering::Greater => true,
                Ordering::Equal => false,
                Ordering::Less => allow_downgrade,
            },
        }
    }

    fn run(mut self) -> Planned {
        let claims: Vec<_> = self.claims.values().copied().collect();
        for claim in claims {
            if claim.open && self.is_wanted(&claim) {
                self.resolve(claim.deployment, claim.package, &mut Vec::new());
            }
        }
        self.cut();
        self.planned
    }

    fn is_wanted(&self, claim: &Claim<'_>) -> bool {
        self.packages.get(&claim.package.id).is_some_and(|(package, version)| {
            self.improves(&package.name, version, claim.deployment.allow_downgrade)
        })
    }

    /// Plans a package, or what it requires first; false, and nothing planned, where it cannot be had.
    fn resolve(&mut self, deployment: &'a Deployment, package: &'a Package, path: &mut Vec<i64>) -> bool {
        self.steps += 1;
        if path.contains(&package.id) || path.len() >= MAX_DEPTH || self.steps > MAX_STEPS {
            return false;
        }
        let Some(missing) = self.missing(deployment, package) else { return false };
        if missing.is_empty() {
            return self.add(deployment, package);
        }
        let before = (self.planned.entries.len(), self.planned.more);
        path.push(package.id);
        let all = missing.into_iter().all(|(deployment, package)| self.resolve(deployment, package, path));
        path.pop();
        if all {
            self.planned.more = true;
        } else {
            self.planned.entries.truncate(before.0);
            self.planned.more = before.1;
        }
        all
    }

    /// What of a package's requirements is not installed, and who brings it. Nothing where one cannot be had.
    fn missing(
        &self,
        deployment: &'a Deployment,
        package: &'a Package,
    ) -> Option<Vec<(&'a Deployment, &'a Package)>> {
        let mut missing = Vec::new();
        for requirement in &package.requires {
            let wanted = VersionReq::parse(&requirement.version).ok()?;
            let name = requirement.name.as_str();
            match self.installed.get(name) {
                Some(Some(version)) if wanted.matches(version) => {}
                _ => missing.push(self.provider(deployment, name, &wanted)?),
            }
        }
        Some(missing)
    }

    /// Who brings a required package: the deployment that speaks for its name, or else the one that requires it.
    fn provider(
        &self,
        deployment: &'a Deployment,
        name: &str,
        wanted: &VersionReq,
    ) -> Option<(&'a Deployment, &'a Package)> {
        if let Some(claim) = self.claims.get(name) {
            let (_, version) = self.packages.get(&claim.package.id)?;
            let serves = claim.open && wanted.matches(version) && self.is_wanted(claim);
            return serves.then_some((claim.deployment, claim.package));
        }
        let newest = self
            .packages
            .values()
            .filter(|(package, version)| {
                package.name == name
                    && wanted.matches(version)
                    && self.improves(name, version, deployment.allow_downgrade)
            })
            .max_by_key(|(package, version)| (version, Reverse(package.id)))?;
        Some((deployment, newest.0))
    }

    fn leads_to(&self, first: i64, wanted: i64) -> bool {
        let (mut seen, mut next) = (BTreeSet::new(), vec![first]);
        while let Some(id) = next.pop() {
            let Some((package, _)) = self.packages.get(&id) else { continue };
            if id == wanted {
                return true;
            }
            if !seen.insert(id) || seen.len() > MAX_STEPS {
                continue;
            }
            for requirement in &package.requires {
                let Ok(range) = VersionReq::parse(&requirement.version) else { continue };
                let serves = |(package, version): &&(&Package, Version)| {
                    package.name == requirement.name && range.matches(version)
                };
                next.extend(self.packages.values().filter(serves).map(|(package, _)| package.id));
            }
        }
        false
    }

    /// Adds a package, unless another version of it is planned for somebody else who requires it.
    fn add(&mut self, deployment: &Deployment, package: &Package) -> bool {
        let planned = |entry: &PlannedEntry| {
            let found = self.packages.get(&entry.package)?;
            (found.0.name == package.name).then_some(entry.package)
        };
        match self.planned.entries.iter().find_map(planned) {
            Some(same) => same == package.id,
            None => {
                let entry = PlannedEntry { deployment: deployment.id, package: package.id };
                self.planned.entries.push(entry);
                true
            }
        }
    }

    /// What does not fit into one message comes when the rest is installed: no entry requires another one.
    fn cut(&mut self) {
        let mut bytes = 0;
        let fits = |entry: &&PlannedEntry| {
            bytes += self.packages.get(&entry.package).map_or(0, |(package, _)| {
                entry_bytes(&package.name, &package.signature, package.approval.as_ref())
            });
            bytes <= MAX_PLAN_BYTES
        };
        let fitting = self.planned.entries.iter().take(MAX_ENTRIES).take_while(fits).count();
        if fitting < self.planned.entries.len() {
            self.planned.entries.truncate(fitting);
            self.planned.more = true;
        }
    }
}

/// How long a package's entry is in a plan, at most.
#[must_use]
pub fn entry_bytes(name: &str, signature: &StoredSignature, approval: Option<&StoredSignature>) -> usize {
    let bytes = |one: &StoredSignature| {
        ENTRY_OVERHEAD + one.certificate.len() + one.intermediates.len() + one.signature.len()
    };
    name.len() + bytes(signature) + approval.map_or(0, bytes)
}

#[cfg(test)]
pub(crate) mod estate;
#[cfg(test)]
mod property_tests;
#[cfg(test)]
mod tests;
