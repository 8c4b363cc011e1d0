//! Deployments.

use rusqlite::{Connection, OptionalExtension, Row};

use super::super::error::Db;
use super::super::rows;
use crate::{Counts, Deployment, DeploymentState, StopRule, StoreError, limits};

const DEPLOYMENT: &str = "SELECT id, vendor, package, target, starts_at, ends_at, time_window, stages, stage,
    failures_percent, at_least, allow_downgrade, state, offered, installed, failed, created_at, created_by
 FROM deployments";

pub(in crate::sqlite) fn deployment(db: &Connection, id: i64) -> Result<Option<Deployment>, StoreError> {
    db.prepare_cached(&format!("{DEPLOYMENT} WHERE id = ?1"))
        .and_then(|mut s| s.query_row([id], deployment_row).optional())
        .db()
}

pub(in crate::sqlite) fn deployments(
    db: &Connection,
    vendor: Option<&str>,
) -> Result<Vec<Deployment>, StoreError> {
    let page = limits::PAGE;
    match vendor {
        Some(vendor) => db
            .prepare_cached(&format!("{DEPLOYMENT} WHERE vendor = ?1 ORDER BY id DESC LIMIT {page}"))
            .and_then(|mut s| s.query_map([vendor], deployment_row)?.collect()),
        None => db
            .prepare_cached(&format!("{DEPLOYMENT} ORDER BY id DESC LIMIT {page}"))
            .and_then(|mut s| s.query_map([], deployment_row)?.collect()),
    }
    .db()
}

pub(in crate::sqlite) fn running(db: &Connection, vendor: &str) -> Result<Vec<Deployment>, StoreError> {
    db.prepare_cached(&format!("{DEPLOYMENT} WHERE vendor = ?1 AND state = 'running' ORDER BY id"))
        .and_then(|mut s| s.query_map([vendor], deployment_row)?.collect())
        .db()
}

pub(in crate::sqlite) fn over(db: &Connection, now: i64) -> Result<Vec<Deployment>, StoreError> {
    let page = limits::PAGE;
    db.prepare_cached(&format!(
        "{DEPLOYMENT} WHERE ends_at <= ?1 AND ends_at IS NOT NULL AND state IN ('running', 'paused')
         ORDER BY ends_at LIMIT {page}"
    ))
    .and_then(|mut s| s.query_map([now], deployment_row)?.collect())
    .db()
}

fn deployment_row(row: &Row<'_>) -> rusqlite::Result<Deployment> {
    Ok(Deployment {
        id: row.get(0)?,
        vendor: row.get(1)?,
        package: row.get(2)?,
        target: rows::json(row, 3)?,
        from: row.get(4)?,
        until: row.get(5)?,
        window: rows::json_or_null(row, 6)?,
        stages: rows::json(row, 7)?,
        stage: row.get(8)?,
        stop_at: StopRule { failures_percent: row.get(9)?, at_least: row.get(10)? },
        allow_downgrade: row.get(11)?,
        state: state(row.get_ref(12)?.as_str()?),
        counts: Counts {
            offered: rows::count(row, 13)?,
            installed: rows::count(row, 14)?,
            failed: rows::count(row, 15)?,
        },
        created_at: row.get(16)?,
        created_by: row.get(17)?,
    })
}

fn state(text: &str) -> DeploymentState {
    match text {
        "running" => DeploymentState::Running,
        "paused" => DeploymentState::Paused,
        "stopped" => DeploymentState::Stopped,
        "finished" => DeploymentState::Finished,
        _ => DeploymentState::Cancelled,
    }
}
