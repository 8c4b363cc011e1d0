//! Numbers for a status page.

use rusqlite::Connection;

use super::super::error::Db;
use crate::{Overview, StoreError};

/// One statement, so that the numbers belong together.
pub(in crate::sqlite) fn overview(db: &Connection) -> Result<Overview, StoreError> {
    db.prepare_cached(
        "WITH tks AS (SELECT count(*) AS n, count(ctk_pu) AS sealed, count(tek) AS blocks FROM terminals),
              keys AS (SELECT count(*) FILTER (WHERE state = 'pending') AS pending,
                              count(*) FILTER (WHERE state = 'active') AS active,
                              count(*) FILTER (WHERE state = 'retired') AS retired FROM tmks)
         SELECT (SELECT count(*) FROM acquirers), tks.n, tks.sealed, tks.blocks,
                keys.pending, keys.active, keys.retired, (SELECT count(*) FROM collections
                    WHERE id NOT IN (SELECT id FROM kld_reports UNION ALL SELECT id FROM estate_imports)),
                (SELECT count(*) FROM replacements WHERE state = 'waiting'), (SELECT seq FROM audit_end)
         FROM tks, keys",
    )
    .and_then(|mut s| {
        s.query_row([], |row| {
            let count = |column| row.get(column).map(i64::unsigned_abs);
            Ok(Overview {
                acquirers: count(0)?,
                terminals: count(1)?,
                tks_as_ciphertext: count(2)?,
                tks_as_blocks: count(3)?,
                pending_keys: count(4)?,
                active_keys: count(5)?,
                retired_keys: count(6)?,
                collections: count(7)?,
                replacements_waiting: count(8)?,
                events: count(9)?,
            })
        })
    })
    .db()
}
