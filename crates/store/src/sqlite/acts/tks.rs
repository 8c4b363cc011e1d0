//! A TK's change of form, from ciphertext to blocks, and which TKs were seen.

use rusqlite::{OptionalExtension, params};
use wire::Serial;

use super::super::error::Db;
use super::super::rows;
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

/// The terminal that has or had the TK with this digest, or that it waits or waited for.
pub(super) fn seen(tx: &Tx<'_>, digest: &[u8; 32]) -> Result<Option<Serial>, StoreError> {
    tx.prepare("SELECT sn FROM seen_tks WHERE digest = ?1")?
        .query_row([digest], |row| rows::serial(row, 0))
        .optional()
        .db()
}

/// Keeps for good that a TK is this terminal's; it was looked at before that it is no other's.
pub(super) fn keep_seen(tx: &Tx<'_>, digest: &[u8; 32], sn: &Serial) -> Result<(), StoreError> {
    if seen(tx, digest)?.as_ref() == Some(sn) {
        return Ok(());
    }
    tx.prepare("INSERT INTO seen_tks (digest, sn) VALUES (?1, ?2)")?
        .execute(params![digest, sn.as_str()])
        .db()
        .map(|_| ())
}
