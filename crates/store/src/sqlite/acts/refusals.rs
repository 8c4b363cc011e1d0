//! What terminals tell of their refusals.

use rusqlite::params;
use serde_json::json;
use wire::Serial;

use super::super::error::Db;
use super::super::writer::Tx;
use super::{at_most, with_facts};
use crate::{Event, NewRefusal, StoreError, limits};

pub(in crate::sqlite) fn put(
    tx: &Tx<'_>,
    sn: &Serial,
    source: &str,
    refusals: &[NewRefusal],
    event: &Event,
) -> Result<u64, StoreError> {
    let mut new: u64 = 0;
    for refusal in refusals {
        at_most("a refusal's check", refusal.check.len(), limits::NAME)?;
        at_most("a refusal's reading", refusal.reading.len(), limits::EVENT_TEXT)?;
        // Without a time two refusals cannot be told from one that came twice: then both are kept.
        let entered = tx
            .prepare(
                "INSERT INTO refusals (sn, \"check\", reading, occurred_at, received_at, source)
                 SELECT ?1, ?2, ?3, ?4, ?5, ?6 WHERE NOT EXISTS (SELECT 1 FROM refusals
                    WHERE sn = ?1 AND \"check\" = ?2 AND reading = ?3 AND occurred_at = ?4)",
            )?
            .execute(params![
                sn.as_str(),
                refusal.check,
                refusal.reading,
                refusal.occurred_at,
                event.at,
                source
            ])
            .db()?;
        new += entered as u64;
    }
    if new == 0 {
        return Ok(0);
    }
    tx.prepare(
        "DELETE FROM refusals WHERE sn = ?1 AND id <=
            (SELECT id FROM refusals WHERE sn = ?1 ORDER BY id DESC LIMIT 1 OFFSET ?2)",
    )?
    .execute(params![sn.as_str(), limits::REFUSALS_KEPT])
    .db()?;
    tx.append(&with_facts(event, json!({ "new": new })))?;
    Ok(new)
}
