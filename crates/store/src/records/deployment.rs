//! Deployments: which package for which terminals, and what came of it (flow E).

use serde::{Deserialize, Serialize};
use wire::Serial;

/// Which terminals of a vendor a deployment is for: those that every list that is not empty names.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Target {
    /// Model ids (DF31); empty: any.
    pub models: Vec<String>,
    /// Groups, one of which a terminal is in; empty: any or none.
    pub groups: Vec<String>,
    /// Serials (DF02); empty: any.
    pub serials: Vec<String>,
    /// Requirement of semantic versions on the version that is installed now.
    pub installed: Option<String>,
}

/// A daily window of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Window {
    /// Minutes after midnight, 0–1439.
    pub start_minute: u16,
    /// Minutes after midnight, 0–1439; before the start: the window passes midnight.
    pub end_minute: u16,
    /// Minutes that local time is ahead of UTC.
    pub utc_offset_minutes: i16,
}

/// One step of a deployment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stage {
    /// How many of the target's terminals are offered the package, in percent.
    pub percent: u8,
    /// How many of them must have installed it before the next stage.
    pub successes: u32,
}

/// When a deployment stops by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StopRule {
    /// It stops when more than this many percent of the reports are failures.
    pub failures_percent: u8,
    /// But not before this many reports.
    pub at_least: u32,
}

/// Where a deployment stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DeploymentState {
    /// Terminals are offered its package.
    Running,
    /// A person holds it up; it may go on.
    Paused,
    /// It stopped by itself because of failures; a person may let it go on.
    Stopped,
    /// A person ended it, for good.
    Cancelled,
    /// It has done what it was for, for good.
    Finished,
}

/// How many terminals a deployment has reached. A terminal counts once, with its latest report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Were offered its package.
    pub offered: u64,
    /// Of these, have installed it.
    pub installed: u64,
    /// Of these, failed to.
    pub failed: u64,
}

/// A deployment to be started. It is made by its event's actor, and runs from stage 0.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewDeployment {
    /// The vendor's id.
    pub vendor: String,
    /// [`Package::id`](crate::Package::id).
    pub package: i64,
    /// Which terminals.
    pub target: Target,
    /// From when, Unix milliseconds.
    pub from: i64,
    /// Until when, Unix milliseconds.
    pub until: Option<i64>,
    /// At which time of day.
    pub window: Option<Window>,
    /// Its steps; none: everywhere at once.
    pub stages: Vec<Stage>,
    /// When it stops by itself.
    pub stop_at: StopRule,
    /// Whether it may put an older version in place of a newer one.
    pub allow_downgrade: bool,
}

/// A deployment as kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deployment {
    /// Unique in the store, never used again.
    pub id: i64,
    /// The vendor's id.
    pub vendor: String,
    /// [`Package::id`](crate::Package::id).
    pub package: i64,
    /// Which terminals.
    pub target: Target,
    /// From when, Unix milliseconds.
    pub from: i64,
    /// Until when, Unix milliseconds.
    pub until: Option<i64>,
    /// At which time of day.
    pub window: Option<Window>,
    /// Its steps; none: everywhere at once.
    pub stages: Vec<Stage>,
    /// Which of them it is at, from 0.
    pub stage: u32,
    /// When it stops by itself.
    pub stop_at: StopRule,
    /// Whether it may put an older version in place of a newer one.
    pub allow_downgrade: bool,
    /// Where it stands.
    pub state: DeploymentState,
    /// How many terminals it has reached.
    pub counts: Counts,
    /// When it was made, Unix milliseconds.
    pub created_at: i64,
    /// Who made it.
    pub created_by: String,
}

/// How it stands between a deployment and a terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum OfferState {
    /// The package was in a plan.
    Offered,
    /// The terminal reported it installed.
    Installed,
    /// The terminal reported that it failed.
    Failed,
}

/// What a terminal was offered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Offer {
    /// [`Deployment::id`].
    pub deployment: i64,
    /// [`Package::id`](crate::Package::id).
    pub package: i64,
    /// What came of it.
    pub state: OfferState,
    /// Since when, Unix milliseconds.
    pub at: i64,
}

/// A terminal as terminal management knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TmsTerminal {
    /// Its serial.
    pub sn: Serial,
    /// Name, version and kind of what it told to be installed.
    pub installed: Vec<(String, String, u8)>,
    /// The status that it told last (DF2D), JSON.
    pub status: Option<String>,
    /// When it last told its inventory, Unix milliseconds.
    pub seen_at: Option<i64>,
    /// The groups that it is in, by name.
    pub groups: Vec<String>,
    /// What it was offered, newest deployment first, at most
    /// [`limits::OFFERS_SHOWN`](crate::limits::OFFERS_SHOWN).
    pub offers: Vec<Offer>,
}

/// What a terminal reported after its work (TMS_REPORT).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TmsReport {
    /// Its serial.
    pub sn: Serial,
    /// Name, version and kind of what is installed now.
    pub installed: Vec<(String, String, u8)>,
    /// Whether it says that all went well (DF3C).
    pub good: bool,
    /// Its status (DF2D), JSON.
    pub status: Option<String>,
    /// What came of each deployment; one that the terminal was not offered is passed over.
    pub results: Vec<(i64, OfferState)>,
    /// When, Unix milliseconds.
    pub at: i64,
}

/// A person who works at terminals.
#[derive(Clone, PartialEq, Eq)]
pub struct Operator {
    /// Operator id (DF3D).
    pub id: String,
    /// What proves the password, sealed by the HSM.
    pub sealed: Vec<u8>,
    /// Wrong proofs since the last right one.
    pub failures: u32,
    /// No proof counts until a person unlocks.
    pub locked: bool,
}

impl std::fmt::Debug for Operator {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Operator")
            .field("id", &self.id)
            .field("failures", &self.failures)
            .field("locked", &self.locked)
            .finish_non_exhaustive()
    }
}
