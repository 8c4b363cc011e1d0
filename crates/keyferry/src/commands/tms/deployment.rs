use std::{path::PathBuf, str::FromStr};

use anyhow::{Context as _, Result, bail};
use clap::{Args, Subcommand};
use serde_json::json;
use store::{
    Deployment as Record, DeploymentState, NewDeployment, SqliteStore, Stage, StopRule, Target,
    TmsStore as _, Window,
};
use wire::{PackageName, PackageVersion, Serial, VendorId};

use super::{super::kms::Estate, event, group::serials};
use crate::{show, time};

/// Deployments: which package version for which terminals.
#[derive(Subcommand)]
pub(crate) enum Deployment {
    /// Start one.
    New(Box<New>),
    /// List them.
    List(List),
    /// Offer nothing more for now.
    Pause(One),
    /// Go on after a pause, or after the automatic stop.
    Resume(One),
    /// Go to the next stage now, without waiting for the successes of this one.
    Advance(One),
    /// End one for good. What terminals have installed stays.
    Cancel(One),
}

/// Start a deployment.
#[derive(Args)]
pub(crate) struct New {
    #[command(flatten)]
    estate: Estate,
    /// The package's vendor.
    #[arg(long)]
    vendor: VendorId,
    /// The package, NAME@VERSION.
    #[arg(long, value_name = "NAME@VERSION")]
    package: PackageRef,
    /// For terminals of this model only; may be repeated.
    #[arg(long = "model", value_name = "MODEL")]
    models: Vec<String>,
    /// For terminals of this group only; may be repeated.
    #[arg(long = "group", value_name = "GROUP")]
    groups: Vec<String>,
    /// For this terminal; may be repeated.
    #[arg(long = "sn", value_name = "SERIAL")]
    serials: Vec<Serial>,
    /// For the terminals in this file, one serial a line.
    #[arg(long, value_name = "FILE")]
    serials_file: Option<PathBuf>,
    /// For terminals whose installed version is in this range, as in ">=1.2, <2".
    #[arg(long, value_name = "RANGE")]
    installed: Option<semver::VersionReq>,
    /// From when, RFC 3339; at once if left out.
    #[arg(long, value_name = "TIME", value_parser = instant)]
    from: Option<i64>,
    /// Until when, RFC 3339.
    #[arg(long, value_name = "TIME", value_parser = instant)]
    until: Option<i64>,
    /// Daily window, as in 02:00-05:00; it may pass midnight.
    #[arg(long, value_name = "HH:MM-HH:MM")]
    window: Option<Daily>,
    /// Minutes by which the terminals' local time is ahead of UTC.
    #[arg(long, requires = "window", default_value_t = 0, allow_negative_numbers = true,
          value_parser = clap::value_parser!(i16).range(-720..=840))]
    utc_offset: i16,
    /// A stage, PERCENT or PERCENT:SUCCESSES before the next; may be repeated, the first is the canary. At the end comes
    /// 100 by itself.
    #[arg(long = "stage", value_name = "PERCENT[:SUCCESSES]")]
    stages: Vec<Step>,
    /// Stop when more than this percentage of reports tell of a failure.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u8).range(0..=100))]
    stop_at_percent: u8,
    /// … but not before so many reports.
    #[arg(long, default_value_t = 3)]
    stop_at_least: u32,
    /// Let terminals go back to this version from a newer one.
    #[arg(long)]
    allow_downgrade: bool,
}

/// List deployments.
#[derive(Args)]
pub(crate) struct List {
    #[command(flatten)]
    estate: Estate,
    /// Of this vendor only.
    #[arg(long)]
    vendor: Option<VendorId>,
    /// As JSON.
    #[arg(long)]
    json: bool,
}

/// One deployment.
#[derive(Args)]
pub(crate) struct One {
    #[command(flatten)]
    estate: Estate,
    /// Its number.
    id: i64,
}

impl Deployment {
    pub(super) async fn run(self) -> Result<()> {
        use DeploymentState::{Cancelled, Paused, Running, Stopped};
        match self {
            Self::New(new) => new.run().await,
            Self::List(list) => list.run().await,
            Self::Pause(one) => one.set(&[Running], Paused, "tms.deployment-paused").await,
            Self::Resume(one) => one.set(&[Paused, Stopped], Running, "tms.deployment-resumed").await,
            Self::Advance(one) => one.advance().await,
            Self::Cancel(one) => {
                one.set(&[Running, Paused, Stopped], Cancelled, "tms.deployment-cancelled").await
            }
        }
    }
}

impl New {
    async fn run(mut self) -> Result<()> {
        if let Some(path) = &self.serials_file {
            self.serials.extend(serials(path)?);
        }
        let now = time::now_ms();
        let from = self.from.unwrap_or(now);
        // It would be listed as running and never reach anybody.
        if self.until.is_some_and(|until| until <= from.max(now)) {
            bail!("--until must be later than now and than --from");
        }
        let (_, store) = self.estate.open()?;
        let PackageRef { name, version } = &self.package;
        let found = store.find_package(self.vendor.as_str(), name.as_str(), &version.to_string()).await?;
        let Some(package) = found else {
            bail!("vendor {} has no package {name} {version}; publish it first", self.vendor);
        };
        let mut stages: Vec<Stage> = self.stages.iter().map(|step| step.0).collect();
        if stages.last().is_none_or(|stage| stage.percent < 100) {
            stages.push(Stage { percent: 100, successes: 0 });
        }
        let rising = stages.windows(2).all(|pair| matches!(pair, [a, b] if a.percent < b.percent));
        if !rising {
            bail!("each --stage must have a higher percentage than the one before");
        }
        let target = Target {
            models: self.models,
            groups: self.groups,
            serials: self.serials.iter().map(ToString::to_string).collect(),
            installed: self.installed.as_ref().map(ToString::to_string),
        };
        let detail = json!({ "vendor": self.vendor.as_str(), "package": name.as_str(),
            "version": version.to_string(), "models": target.models, "groups": target.groups,
            "serials": target.serials.len(), "installed": target.installed,
            "stages": stages.iter().map(|stage| stage.percent).collect::<Vec<_>>(),
            "allow_downgrade": self.allow_downgrade });
        let new = NewDeployment {
            vendor: self.vendor.to_string(),
            package: package.id,
            target,
            from,
            until: self.until,
            window: self.window.map(|Daily { start, end }| Window {
                start_minute: start,
                end_minute: end,
                utc_offset_minutes: self.utc_offset,
            }),
            stages,
            stop_at: StopRule { failures_percent: self.stop_at_percent, at_least: self.stop_at_least },
            allow_downgrade: self.allow_downgrade,
        };
        let id = store.put_deployment(new, event("tms.deployment-new", self.vendor.as_str(), detail)).await?;
        say!("deployment {id}: {name} {version}; watch it with `keyferry tms deployment list`");
        Ok(())
    }
}

impl List {
    async fn run(self) -> Result<()> {
        let (_, store) = self.estate.open()?;
        let mut rows = Vec::new();
        for deployment in store.deployments(self.vendor.as_ref().map(VendorId::as_str)).await? {
            let package = store.package(deployment.package).await?;
            let package = package.map_or_else(String::new, |p| format!("{}@{}", p.name, p.version));
            if self.json {
                say!("{}", as_json(&deployment, &package));
            } else {
                rows.push(row(&deployment, package));
            }
        }
        if !self.json {
            let head = ["no", "package", "state", "stage", "offered", "installed", "failed", "from"];
            show::table(&head, &rows);
        }
        Ok(())
    }
}

fn percent(deployment: &Record) -> u8 {
    let stage = usize::try_from(deployment.stage).ok().and_then(|stage| deployment.stages.get(stage));
    stage.map_or(100, |stage| stage.percent)
}

fn state(deployment: &Record) -> String {
    format!("{:?}", deployment.state).to_lowercase()
}

fn row(deployment: &Record, package: String) -> Vec<String> {
    vec![
        deployment.id.to_string(),
        package,
        state(deployment),
        format!("{} %", percent(deployment)),
        deployment.counts.offered.to_string(),
        deployment.counts.installed.to_string(),
        deployment.counts.failed.to_string(),
        time::text(deployment.from / 1000),
    ]
}

fn as_json(deployment: &Record, package: &str) -> serde_json::Value {
    json!({ "id": deployment.id, "vendor": deployment.vendor, "package": package, "state": state(deployment),
            "percent": percent(deployment), "offered": deployment.counts.offered,
            "installed": deployment.counts.installed, "failed": deployment.counts.failed })
}

impl One {
    async fn advance(self) -> Result<()> {
        let (_, store) = self.estate.open()?;
        let deployment = self.find(&store).await?;
        let next = deployment.stage.saturating_add(1);
        let Some(stage) = usize::try_from(next).ok().and_then(|next| deployment.stages.get(next)) else {
            bail!("deployment {} is in its last stage: it reaches every terminal that it names", self.id);
        };
        let detail = json!({ "vendor": deployment.vendor, "stage": next, "percent": stage.percent });
        let event = event("tms.deployment-advanced", self.id.to_string(), detail);
        if !store.set_stage(self.id, deployment.stage, next, event).await? {
            bail!("deployment {} is {} or has gone on meanwhile; look again", self.id, state(&deployment));
        }
        say!("deployment {} reaches {} % now", self.id, stage.percent);
        Ok(())
    }

    async fn find(&self, store: &SqliteStore) -> Result<Record> {
        match store.deployment(self.id).await? {
            Some(deployment) => Ok(deployment),
            None => bail!("there is no deployment {}; `keyferry tms deployment list` shows them", self.id),
        }
    }

    async fn set(self, from: &[DeploymentState], to: DeploymentState, kind: &'static str) -> Result<()> {
        let (_, store) = self.estate.open()?;
        let deployment = self.find(&store).await?;
        let event = event(kind, self.id.to_string(), json!({ "vendor": deployment.vendor }));
        if !store.set_deployment_state(self.id, from, to, event).await? {
            bail!("deployment {} is {}; this cannot be done with it", self.id, state(&deployment));
        }
        say!("deployment {} is {}", self.id, format!("{to:?}").to_lowercase());
        Ok(())
    }
}

/// NAME@VERSION.
#[derive(Debug, Clone)]
pub(super) struct PackageRef {
    pub(super) name: PackageName,
    pub(super) version: PackageVersion,
}

impl FromStr for PackageRef {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self> {
        let (name, version) = text.rsplit_once('@').context("write NAME@VERSION, as in pay-app@1.2.0")?;
        Ok(Self { name: PackageName::parse(name)?, version: PackageVersion::parse(version)? })
    }
}

/// PERCENT or PERCENT:SUCCESSES.
#[derive(Debug, Clone)]
struct Step(Stage);

impl FromStr for Step {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self> {
        let (percent, successes) = text.split_once(':').unwrap_or((text, "1"));
        let percent = percent.parse().ok().filter(|percent| (1..=100).contains(percent));
        let percent = percent.context("a stage's percentage is 1 to 100")?;
        Ok(Self(Stage { percent, successes: successes.parse().context("successes are a number")? }))
    }
}

/// A daily window in minutes since midnight.
#[derive(Debug, Clone, Copy)]
struct Daily {
    start: u16,
    end: u16,
}

impl FromStr for Daily {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self> {
        let minute = |text: &str| {
            let (hour, minute) = text.split_once(':')?;
            let (hour, minute) = (hour.parse::<u16>().ok()?, minute.parse::<u16>().ok()?);
            (hour < 24 && minute < 60).then_some(hour * 60 + minute)
        };
        let parsed = text.split_once('-').and_then(|(start, end)| Some((minute(start)?, minute(end)?)));
        match parsed {
            Some((start, end)) if start != end => Ok(Self { start, end }),
            _ => bail!("write HH:MM-HH:MM with different times, as in 02:00-05:00"),
        }
    }
}

/// RFC 3339 as Unix milliseconds.
fn instant(text: &str) -> Result<i64, String> {
    time::parse(text)
        .map(|seconds| seconds.saturating_mul(1000))
        .ok_or_else(|| "write the time as RFC 3339, as in 2026-12-01T02:00:00Z".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_people_write_is_read_or_refused_with_an_example() {
        let daily: Daily = "22:30-05:00".parse().unwrap();
        assert_eq!((daily.start, daily.end), (1350, 300));
        for bad in ["", "02:00", "02:00-02:00", "24:00-01:00", "1:60-02:00", "a:b-c:d"] {
            assert!(bad.parse::<Daily>().is_err(), "{bad}");
        }
        let step: Step = "5:20".parse().unwrap();
        assert_eq!((step.0.percent, step.0.successes), (5, 20));
        for bad in ["0", "101", "x", "5:x", ""] {
            assert!(bad.parse::<Step>().is_err(), "{bad}");
        }
        let package: PackageRef = "pay@home@1.2.0-rc.1".parse().unwrap();
        assert_eq!((package.name.as_str(), package.version.to_string().as_str()), ("pay@home", "1.2.0-rc.1"));
        assert!("pay".parse::<PackageRef>().is_err() && "pay@1".parse::<PackageRef>().is_err());
        assert_eq!(instant("2026-12-01T02:00:00Z"), Ok(1_796_090_400_000));
        assert!(instant("tomorrow").is_err());
    }
}
