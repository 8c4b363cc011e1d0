//! Orders and batches: a file of the layout before them, and what the layout itself refuses.

use super::*;
use crate::{Approval, ApprovalOutcome, OrderStore, Person, TkRecord};

/// What suite 02 left: a replacement of each suite that waits, one that was decided, and one that is gone.
const FOURTH_DATA: &str = "
INSERT INTO acquirers VALUES ('acq', 'First', 1);
INSERT INTO certificates VALUES ('ab', 'kms-work', x'3001', 1), ('cd', 'kms-work', x'3002', 1);
INSERT INTO work_keys (certificate_sha256, private_block, spki, state, created_at, suite)
    VALUES ('ab', 'D0016OLD', x'3003', 'active', 1, 1), ('cd', 'D0016EC', x'3004', 'active', 1, 2);
INSERT INTO collections (id, digest, package, signer, signer_serial, acquirer, station, collected_at, uploaded_at)
    VALUES (1, zeroblob(32), x'30', 'CN=Olga', '0A', 'acq', 'bench', 1, 2);
INSERT INTO terminals (sn, key_serial, acquirer, suite, ctk_pu, work_certificate_sha256, tek, auk, tk_generation,
    fingerprint, collection, created_at, changed_at, device_generation)
    VALUES ('SN-1', 'SN-1', 'acq', 1, x'0102', 'ab', NULL, NULL, 2, '01', 1, 1, 2, NULL),
           ('SN-2', 'SN-2', 'acq', 2, NULL, NULL, 'TEK', 'AUK', 1, '02', 1, 1, 2, 4);
INSERT INTO replacements (id, sn, key_serial, suite, ctk_pu, tek, auk, device_generation, work_certificate_sha256,
    fingerprint, collection, state)
    VALUES (3, 'SN-1', 'SN-1', 1, x'0A', NULL, NULL, NULL, 'ab', 'AA', 1, 'waiting'),
           (5, 'SN-2', 'SN-2', 2, NULL, 'TEK2', 'AUK2', 6, 'cd', 'BB', 1, 'waiting'),
           (6, 'SN-2', 'SN-2', 2, NULL, 'TEK3', 'AUK3', 5, 'cd', 'CC', 1, 'overtaken'),
           (7, 'SN-1', 'SN-1', 1, x'616263', NULL, NULL, NULL, 'ab', 'EE', 1, 'rejected'),
           (8, 'SN-2', 'SN-2', 1, x'0102', NULL, NULL, NULL, 'ab', 'FF', 1, 'rejected'),
           (9, 'SN-1', 'SN-1', 1, x'0B', NULL, NULL, NULL, 'ab', 'DD', 1, 'rejected');
DELETE FROM replacements WHERE id = 9;
";

#[tokio::test(flavor = "multi_thread")]
async fn a_file_of_the_fourth_layout_keeps_its_replacements() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.sqlite");
    open::earlier_layout(&path, 4).execute_batch(FOURTH_DATA).unwrap();
    for _ in 0..2 {
        let store = SqliteStore::open(&path, SqliteOptions::default()).unwrap();
        let waiting = store.replacements_waiting().await.unwrap();
        assert_eq!(waiting.iter().map(|r| r.id).collect::<Vec<_>>(), [3, 5]);
        assert!(store.orders(None, 9).await.unwrap().is_empty());
        // A certificate that is on record stays so; of what was blocks already nobody wrote it down.
        let under: Vec<Option<String>> = store
            .readers()
            .short(|db| {
                let mut rows = db.prepare("SELECT collected_under FROM terminals ORDER BY sn").unwrap();
                Ok(rows.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect())
            })
            .unwrap();
        assert_eq!(under, [Some("ab".to_owned()), None]);
        // Each TK whose ciphertext is there: the present one, which stays the first one's, and those that waited.
        let seen: Vec<(String, i64, String)> = store
            .readers()
            .short(|db| {
                let sql =
                    "SELECT s.sn, s.digest = coalesce(t.tk_digest, x''), lower(hex(s.digest)) FROM seen_tks s
                    JOIN terminals t ON t.sn = s.sn ORDER BY s.digest";
                let mut rows = db.prepare(sql).unwrap();
                let row = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?, row.get(2)?));
                Ok(rows.query_map([], row).unwrap().map(Result::unwrap).collect())
            })
            .unwrap();
        // `printf '\x0a' | sha256sum`, and of 0102; the last is FIPS 180-4's example "abc".
        let known = [
            ("01ba4719c80b6fe911b091a7c05124b64eeece964e09c058ef8f9805daca546b", 0),
            ("a12871fee210fb8619291eaea194581cbd2531e4b23759d225f6806923f63222", 1),
            ("ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad", 0),
        ];
        assert_eq!(seen, known.map(|(digest, present)| ("SN-1".to_owned(), present, digest.to_owned())));
        let history = store.serial_history(&"SN-2".parse().unwrap()).await.unwrap();
        let states: Vec<_> = history.collections.iter().map(|c| c.state.as_str()).collect();
        assert_eq!(states, ["waiting", "overtaken", "rejected", "in-force"]);
    }
    let store = SqliteStore::open(&path, SqliteOptions::default()).unwrap();
    let approver = Person { subject: "CN=Adam".into(), certificate_serial: "0B".into() };
    let approval =
        |id, fingerprint: &str| Approval { id, fingerprint: fingerprint.into(), approver: approver.clone() };
    for (id, fingerprint, generation) in [(3, "AA", 3), (5, "BB", 2)] {
        let done = store.approve_replacement(approval(id, fingerprint), event("tk.replaced")).await.unwrap();
        assert!(
            matches!(done, ApprovalOutcome::Approved { tk_generation, .. } if tk_generation == generation)
        );
    }
    let first = store.terminal(&"SN-1".parse().unwrap()).await.unwrap().unwrap();
    assert_eq!(
        first.tk,
        TkRecord::Ciphertext { ctk_pu: vec![0x0A], work_certificate_sha256: "ab".to_owned() }
    );
    drop(store);
    let raw = Connection::open(&path).unwrap();
    let broken: i64 =
        raw.query_row("SELECT count(*) FROM pragma_foreign_key_check", [], |row| row.get(0)).unwrap();
    let last: i64 = raw
        .query_row("SELECT seq FROM sqlite_sequence WHERE name = 'replacements'", [], |row| row.get(0))
        .unwrap();
    // The id of a replacement that is gone is not used again.
    assert_eq!((broken, last), (0, 9));
}

/// What the layout itself refuses of orders and batches, whatever the program does.
#[test]
fn the_layouts_own_rules_of_orders_and_batches_hold() {
    let Bench { store, path, _folder } = bench();
    let raw = Connection::open(&path).unwrap();
    raw.execute_batch("PRAGMA foreign_keys = OFF; PRAGMA recursive_triggers = ON").unwrap();
    let order = |id: u8, approver: &str| {
        format!(
            "INSERT INTO orders VALUES ({id}, 'PO-{id}', 'V', 'B', 'M', 1, zeroblob(32), x'30', 'A', '1', '{approver}',
                '{approver}2', 1, NULL);"
        )
    };
    raw.execute_batch(&format!(
        "INSERT INTO order_serials VALUES (1, 'SN');
         {}
         INSERT INTO batches (id, order_id, digest, package, terminals, created_at)
            VALUES (1, 1, zeroblob(32), x'30', 1, 1);
         INSERT INTO batch_items VALUES (1, 0, 'SN', 1);
         INSERT INTO batch_results VALUES (1, 0, 1, 'stored', '', NULL);
         INSERT INTO received_batches VALUES (1, 1, zeroblob(32), 'V', 1, 1);
         INSERT INTO received_items VALUES (1, 0, 'SN', 1, 'stored', '', NULL);
         INSERT INTO past_tks VALUES ('SN', 1, 'F', 1, 1);",
        order(1, "B")
    ))
    .unwrap();
    let refused = |sql: &str, why: &str| {
        let error = raw.execute_batch(sql).unwrap_err().to_string();
        assert!(error.contains(why), "{sql}: {error}");
    };
    refused(&order(2, "A"), "CHECK");
    refused("INSERT INTO order_serials VALUES (1, 'SN-2')", "complete when");
    refused("INSERT INTO order_serials VALUES (2, 'SN')", "one open order");
    refused("UPDATE order_serials SET sn = 'SN-2'", "never altered");
    refused("DELETE FROM order_serials", "never altered");
    for column in [
        "buyer = 'X'",
        "vendor = 'X'",
        "model = 'X'",
        "name = 'X'",
        "listed = 2",
        "serials_digest = randomblob(32)",
    ] {
        refused(&format!("UPDATE orders SET closed_at = 2, {column}"), "closed once");
    }
    refused("DELETE FROM orders", "not deleted");
    refused("UPDATE batches SET package = x'31', answered_at = 2, receipt = x'00'", "answered once");
    refused("UPDATE batches SET answered_at = 2", "CHECK");
    refused("DELETE FROM batches", "never deleted");
    refused("UPDATE batch_items SET tk_generation = 2", "never altered");
    refused("UPDATE batch_items SET sn = 'SN-2'", "never altered");
    refused("DELETE FROM batch_items", "never altered");
    refused("INSERT INTO batch_items VALUES (2, 0, 'SN', 1)", "one KMS, once");
    refused("INSERT OR REPLACE INTO batch_items VALUES (2, 0, 'SN', 1)", "one KMS, once");
    refused("INSERT OR REPLACE INTO batch_items VALUES (1, 0, 'SN-2', 1)", "one KMS, once");
    refused("UPDATE batch_results SET ok = 0", "never altered");
    refused("DELETE FROM batch_results", "never altered");
    refused("INSERT OR REPLACE INTO batch_results VALUES (1, 0, 0, 'x', '', NULL)", "never altered");
    refused("UPDATE received_batches SET accepted = 0", "never altered");
    refused("DELETE FROM received_batches", "never altered");
    refused("UPDATE received_items SET code = 'x'", "never altered");
    refused("DELETE FROM received_items", "never altered");
    refused("INSERT OR REPLACE INTO received_items VALUES (1, 0, 'SN', 0, 'x', '', NULL)", "never altered");
    refused("UPDATE past_tks SET fingerprint = 'X'", "stays on record");
    refused("DELETE FROM past_tks", "stays on record");
    raw.execute_batch("INSERT INTO seen_tks VALUES (zeroblob(32), 'SN')").unwrap();
    refused("INSERT INTO seen_tks VALUES (zeroblob(32), 'S2')", "one terminal's, once");
    refused("INSERT OR REPLACE INTO seen_tks VALUES (zeroblob(32), 'S2')", "one terminal's, once");
    refused("INSERT INTO seen_tks VALUES (x'01', 'SN')", "CHECK");
    refused("UPDATE seen_tks SET sn = 'S2'", "stays on record");
    refused("DELETE FROM seen_tks", "stays on record");

    raw.execute_batch("UPDATE batches SET answered_at = 2, receipt = x'00', accepted = 1").unwrap();
    refused("UPDATE batches SET receipt = x'01'", "answered once");
    raw.execute_batch("UPDATE orders SET closed_at = 2").unwrap();
    refused("UPDATE orders SET closed_at = NULL", "closed once");
    refused("UPDATE orders SET closed_at = 3", "closed once");
    // Closed, it leaves its serials to the next one.
    raw.execute_batch("INSERT INTO order_serials VALUES (2, 'SN')").unwrap();
    drop(store);
}
