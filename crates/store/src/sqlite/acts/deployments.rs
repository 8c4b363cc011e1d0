//! Deployments: started, held up, ended. How many terminals they reached is kept by [`offers`](super::offers).

use rusqlite::{OptionalExtension, params};
use serde_json::json;

use super::super::error::Db;
use super::super::writer::Tx;
use super::{at_most, to_json, vendors, with_facts};
use crate::{DeploymentState, Event, NewDeployment, StoreError, Window, limits};

const MINUTES_OF_A_DAY: u16 = 24 * 60;

pub(in crate::sqlite) fn put(
    tx: &Tx<'_>,
    deployment: &NewDeployment,
    event: &Event,
) -> Result<i64, StoreError> {
    at_most("who starts a deployment", event.actor.len(), limits::EVENT_TEXT)?;
    check(deployment)?;
    let target = to_json("a deployment's target", &deployment.target, limits::JSON)?;
    let stages = to_json("a deployment's stages", &deployment.stages, limits::JSON)?;
    let window = deployment
        .window
        .map(|window| to_json("a deployment's window", &window, limits::JSON))
        .transpose()?;
    vendors::known(tx, &deployment.vendor)?;
    let id: Option<i64> = tx
        .prepare(
            "INSERT INTO deployments (vendor, package, target, starts_at, ends_at, time_window, stages, stage,
                failures_percent, at_least, allow_downgrade, state, created_at, created_by)
             SELECT vendor, id, ?3, ?4, ?5, ?6, ?7, 0, ?8, ?9, ?10, 'running', ?11, ?12
             FROM packages WHERE vendor = ?1 AND id = ?2 AND withdrawn_at IS NULL RETURNING id",
        )?
        .query_row(
            params![
                deployment.vendor,
                deployment.package,
                target,
                deployment.from,
                deployment.until,
                window,
                stages,
                deployment.stop_at.failures_percent,
                deployment.stop_at.at_least,
                deployment.allow_downgrade,
                event.at,
                event.actor
            ],
            |row| row.get(0),
        )
        .optional()
        .db()?;
    let id = id.ok_or(StoreError::NoSuchPackage(deployment.package))?;
    tx.append(&with_facts(event, json!({ "deployment": id, "package": deployment.package })))?;
    Ok(id)
}

/// Refuses numbers that no plan could follow.
fn check(deployment: &NewDeployment) -> Result<(), StoreError> {
    if deployment.stop_at.failures_percent > 100 {
        return Err(StoreError::Invalid("a deployment stops at 0 to 100 percent of failures"));
    }
    if deployment.stages.iter().any(|stage| stage.percent > 100) {
        return Err(StoreError::Invalid("a stage of a deployment has 0 to 100 percent of its terminals"));
    }
    let in_a_day = |window: Window| window.start_minute.max(window.end_minute) < MINUTES_OF_A_DAY;
    if deployment.window.is_some_and(|window| !in_a_day(window)) {
        return Err(StoreError::Invalid(
            "a deployment's window is told in minutes after midnight, 0 to 1439",
        ));
    }
    Ok(())
}

pub(in crate::sqlite) fn set_state(
    tx: &Tx<'_>,
    id: i64,
    from: &[DeploymentState],
    to: DeploymentState,
    event: &Event,
) -> Result<bool, StoreError> {
    let now: Option<String> = tx
        .prepare("SELECT state FROM deployments WHERE id = ?1")?
        .query_row([id], |row| row.get(0))
        .optional()
        .db()?;
    let Some(was) = from.iter().map(|state| state_text(*state)).find(|from| now.as_deref() == Some(*from))
    else {
        return Ok(false);
    };
    let ended = [DeploymentState::Cancelled, DeploymentState::Finished].map(state_text).contains(&was);
    if ended || was == state_text(to) {
        return Ok(false);
    }
    tx.prepare("UPDATE deployments SET state = ?2 WHERE id = ?1")?
        .execute(params![id, state_text(to)])
        .db()?;
    tx.append(&with_facts(event, json!({ "deployment": id, "from": was, "to": state_text(to) })))?;
    Ok(true)
}

pub(in crate::sqlite) fn set_stage(
    tx: &Tx<'_>,
    id: i64,
    from: u32,
    to: u32,
    event: &Event,
) -> Result<bool, StoreError> {
    let changed = tx
        .prepare("UPDATE deployments SET stage = ?3 WHERE id = ?1 AND stage = ?2 AND state = 'running'")?
        .execute(params![id, from, to])
        .db()?;
    if changed == 0 {
        return Ok(false);
    }
    tx.append(&with_facts(event, json!({ "deployment": id, "from": from, "to": to })))?;
    Ok(true)
}

fn state_text(state: DeploymentState) -> &'static str {
    match state {
        DeploymentState::Running => "running",
        DeploymentState::Paused => "paused",
        DeploymentState::Stopped => "stopped",
        DeploymentState::Cancelled => "cancelled",
        DeploymentState::Finished => "finished",
    }
}
