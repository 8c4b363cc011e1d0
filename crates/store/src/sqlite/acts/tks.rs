//! A TK's change of form: from ciphertext to blocks.

use rusqlite::{OptionalExtension, params};
use wire::Serial;

use super::super::error::Db;
use super::super::writer::Tx;
use super::at_most;
use crate::{Event, StoreError, TkOutcome, limits};

pub(in crate::sqlite) fn set_blocks(
    tx: &Tx<'_>,
    sn: &Serial,
    tk_generation: i64,
    tek: &str,
    auk: &str,
    event: &Event,
) -> Result<TkOutcome, StoreError> {
    at_most("TEK's block", tek.len(), limits::KEY_BLOCK)?;
    at_most("AUK's block", auk.len(), limits::KEY_BLOCK)?;
    let (generation, has_blocks): (i64, bool) = tx
        .prepare("SELECT tk_generation, tek IS NOT NULL FROM terminals WHERE sn = ?1")?
        .query_row([sn.as_str()], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()
        .db()?
        .ok_or_else(|| StoreError::NoSuchTerminal(sn.clone()))?;
    if generation != tk_generation {
        return Ok(TkOutcome::StaleTk);
    }
    if has_blocks {
        return Ok(TkOutcome::AlreadyBlocks);
    }
    tx.prepare(
        "UPDATE terminals SET ctk_pu = NULL, work_certificate_sha256 = NULL, tek = ?2, auk = ?3, changed_at = ?4
         WHERE sn = ?1",
    )?
    .execute(params![sn.as_str(), tek, auk, event.at])
    .db()?;
    tx.append(event)?;
    Ok(TkOutcome::Stored)
}
