//! What terminals and POSPs ask of an estate must not walk a table, however large it is.

use super::*;

/// The conditions of the statements that sign-ins, PIN translations and sessions run.
const HOT: &[&str] = &[
    "SELECT block FROM working_keys WHERE sn = 'S' AND slot = 0 AND kind = 'pik' AND state = 'active'",
    "SELECT id FROM working_keys WHERE sn = 'S' AND slot = 0 AND state = 'pending' ORDER BY id",
    "UPDATE working_keys SET uses = uses + 1 WHERE id = 1",
    "DELETE FROM working_keys WHERE id = 1 AND state = 'active'",
    "DELETE FROM working_keys WHERE sn = 'S' AND slot = 0 AND state = 'active'",
    "DELETE FROM working_keys WHERE sn = ?1 AND (?2 IS NULL OR slot = ?2) AND state = 'pending'",
    "DELETE FROM sign_ins WHERE sn = ?1 AND (?2 IS NULL OR slot = ?2)",
    "SELECT w.id FROM sign_ins s JOIN working_keys w ON w.sn = s.sn AND w.slot = s.slot AND w.state = 'pending'
     JOIN tmks t ON t.id = s.tmk AND t.state IN ('pending', 'active') WHERE s.sn = 'S' AND s.slot = 0 ORDER BY w.id",
    "SELECT block FROM zone_keys WHERE zone = 'Z' AND state = 'active'",
    "SELECT sn FROM identities WHERE terminal_id = 'T'",
    "SELECT sn FROM identities WHERE merchant_id = 'M' AND sn > 'S' ORDER BY sn LIMIT 9",
    "SELECT dmk FROM devices WHERE sn = 'S'",
    "SELECT sealed FROM operators WHERE id = 'O'",
    "SELECT id FROM packages WHERE vendor = 'V' AND name = 'n' AND version = '1.0.0'",
    "SELECT id FROM deployments WHERE vendor = 'V' AND state = 'running' ORDER BY id",
    "SELECT id FROM deployments WHERE ends_at <= 1 AND ends_at IS NOT NULL AND state IN ('running', 'paused')
     ORDER BY ends_at LIMIT 1000",
    "SELECT state FROM offers WHERE sn = 'S' ORDER BY deployment DESC LIMIT 256",
    "SELECT name FROM terminal_groups WHERE sn = 'S' ORDER BY name",
    "SELECT suite FROM key_suites WHERE sn = 'S' AND key = 'tk'",
    "SELECT key, suite FROM key_suites WHERE sn = 'S' ORDER BY key",
    "SELECT id FROM suite_allowances WHERE sn = 'S' AND ended_at IS NULL",
    "SELECT c.counter FROM terminals t JOIN load_counters c ON c.key_serial = t.key_serial
     WHERE t.sn = 'S' AND c.slot = 3",
    "SELECT station FROM ceremonies WHERE nonce = zeroblob(32)",
    "SELECT nonce FROM ceremonies WHERE collection_window = 1",
    "SELECT key_serial FROM device_certificates WHERE spki_sha256 = 'K'",
    "SELECT max(generation) FROM device_certificates WHERE key_serial = 'P'",
    "SELECT max(device_generation) FROM replacements WHERE sn = 'S' AND key_serial = 'P' AND state = 'waiting'",
    "SELECT key_serial FROM replacements WHERE device_spki_sha256 = 'K' AND key_serial <> 'P' AND state = 'waiting'",
    "SELECT tk_digest FROM replacements WHERE sn = 'S' AND state = 'waiting'",
    "SELECT sn FROM seen_tks WHERE digest = zeroblob(32)",
    "SELECT o.name FROM order_serials s JOIN orders o ON o.id = s.order_id WHERE s.sn = 'S' AND o.closed_at IS NULL",
    "SELECT 1 FROM order_serials WHERE order_id = (SELECT id FROM orders WHERE name = 'O') AND sn = 'S'",
    "SELECT t.sn FROM (SELECT sn AS listed FROM order_serials
         WHERE order_id = (SELECT id FROM orders WHERE name = 'O') AND sn > 'S') s
     JOIN terminals t ON t.sn = s.listed
     WHERE (t.ctk_pu IS NOT NULL OR t.tek IS NOT NULL)
        AND NOT EXISTS (SELECT 1 FROM batch_items i WHERE i.sn = t.sn AND i.tk_generation = t.tk_generation)
     ORDER BY s.listed LIMIT 9",
    "SELECT s.sn, (SELECT max(i.tk_generation) FROM batch_items i JOIN batches b ON b.id = i.batch
         WHERE i.sn = s.sn AND b.order_id = s.order_id)
     FROM order_serials s LEFT JOIN terminals t ON t.sn = s.sn
     WHERE s.order_id = (SELECT id FROM orders WHERE name = 'O') AND s.sn > 'S' ORDER BY s.sn LIMIT 9",
    "SELECT id FROM batches WHERE order_id = 1 AND answered_at IS NULL AND id > 0 ORDER BY id LIMIT 9",
    "SELECT id FROM batches WHERE order_id = 1 AND id > 0 ORDER BY id LIMIT 9",
    "SELECT i.batch FROM batch_items i JOIN batches b ON b.id = i.batch
     LEFT JOIN batch_results r ON r.batch = i.batch AND r.position = i.position WHERE i.sn = 'S' AND i.tk_generation = 1",
    "SELECT id FROM received_batches WHERE content_digest = zeroblob(32)",
    "SELECT sn FROM received_items WHERE batch = 1 ORDER BY position",
    "SELECT i.batch FROM received_items i JOIN received_batches r ON r.id = i.batch WHERE i.sn = 'S' ORDER BY i.batch",
    "SELECT data FROM file_chunks WHERE vendor = 'V' AND path = 'p' AND position = 0",
];

#[tokio::test(flavor = "multi_thread")]
async fn what_terminals_and_posps_ask_uses_an_index() {
    let bench = bench();
    let raw = bench.raw();
    for sql in HOT {
        let mut explained = raw.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
        let places = explained.parameter_count();
        let plan: Vec<String> = explained
            .query_map(rusqlite::params_from_iter(vec![rusqlite::types::Null; places]), |row| {
                row.get("detail")
            })
            .unwrap()
            .collect::<Result<_, _>>()
            .unwrap();
        let walks = |step: &&String| step.starts_with("SCAN");
        assert_eq!(plan.iter().find(walks), None, "{sql}: {plan:?}");
    }
}
