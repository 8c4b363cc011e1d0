//! A file of an earlier version, with data in it.

use wire::Suite;

use super::*;
use crate::{
    DeviceStore, HostStore, KeySuite, LoadedKey, NewCertificate, NewRksWorkKey, NewWorkKey, PutPending,
    PutWorking, SuiteStore, TkRecord, WorkKeyState, WorkingKind, WorkingOutcome,
};

/// The second layout has two more columns with defaults.
const OLD_WORK_KEYS: &str = "INSERT INTO work_keys
    (certificate_sha256, private_block, spki, state, created_at) VALUES";

const FIRST_DATA: &str = "
INSERT INTO acquirers VALUES ('acq', 'First', 1);
INSERT INTO certificates VALUES ('ab', 'kms-work', x'3001', 1), ('cd', 'kms-work', x'3002', 2);
INSERT INTO work_keys VALUES ('ab', 'D0016OLD', x'3003', 'opening-only', 1), ('cd', 'D0016NEW', x'3004', 'active', 2);
INSERT INTO collections VALUES (1, zeroblob(32), x'30', 'CN=Olga', '0A', 'acq', 'bench', 1, 2);
INSERT INTO terminals VALUES
    ('SN-1', 'SN-1', 'acq', NULL, NULL, 1, NULL, NULL, 'TEK', 'AUK', 2, '00', 1, 1, 2),
    ('SN-2', 'PP-2', 'acq', 'KF', 'M', 1, x'0102', 'ab', NULL, NULL, 1, '01', 1, 1, 2);
INSERT INTO tmks VALUES (1, 'SN-1', 3, 'pending', 'SN-1', 'D0096ONE', x'000001', 2, 1, 1, 1);
UPDATE tmks SET state = 'active' WHERE id = 1;
INSERT INTO tmks VALUES (2, 'SN-1', 3, 'pending', 'SN-1', 'D0096TWO', x'000002', 2, 1, 1, 1);
";

#[tokio::test(flavor = "multi_thread")]
async fn a_file_of_the_first_layout_keeps_its_data_and_takes_what_is_new() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.sqlite");
    open::earlier_layout(&path, 1).execute_batch(FIRST_DATA).unwrap();
    for _ in 0..2 {
        let store = SqliteStore::open(&path, SqliteOptions::default()).unwrap();
        let first = store.terminal(&"SN-1".parse().unwrap()).await.unwrap().unwrap();
        assert_eq!(
            (first.tk_generation, first.tk),
            (2, TkRecord::Blocks { tek: "TEK".into(), auk: "AUK".into() })
        );
        let second = store.terminal(&"SN-2".parse().unwrap()).await.unwrap().unwrap();
        assert_eq!(second.key_serial().as_str(), "PP-2");
        let slot = store.slot(&first.sn, Slot::new(3).unwrap()).await.unwrap();
        assert_eq!((slot.active.unwrap().id, slot.pending.unwrap().id), (1, 2));
        let active = store.active_work_key(Suite::TDES).await.unwrap().unwrap();
        assert_eq!((active.certificate_sha256.as_str(), active.state), ("cd", WorkKeyState::Active));
        assert_eq!(store.work_key("ab").await.unwrap().unwrap().private_block, "D0016OLD");
        assert_eq!(store.overview().await.unwrap().collections, 1);
    }
    let store = SqliteStore::open(&path, SqliteOptions::default()).unwrap();
    let certificate =
        |sha256: &str| NewCertificate { role: "work".into(), sha256: sha256.into(), der: vec![1] };
    for sha256 in ["e1", "e2"] {
        store.put_certificate(certificate(sha256), event("certificate")).await.unwrap();
    }
    let key = NewRksWorkKey {
        certificate_sha256: "e1".into(),
        private_block: "D0016RKS".into(),
        spki: vec![2],
        intermediates: vec![],
        suite: Suite::TDES,
    };
    store.put_rks_work_key(key, event("work-key")).await.unwrap();
    let key = NewWorkKey {
        certificate_sha256: "e2".into(),
        private_block: "D0016KMS".into(),
        spki: vec![2],
        state: WorkKeyState::Active,
        suite: Suite::TDES,
        intermediates: vec![],
    };
    store.put_work_key(key, event("work-key")).await.unwrap();
    assert_eq!(store.work_key("cd").await.unwrap().unwrap().state, WorkKeyState::OpeningOnly);
    assert_eq!(store.active_rks_work_key(Suite::TDES).await.unwrap().unwrap().key.certificate_sha256, "e1");
    store.confirm(2, event("tmk.confirmed")).await.unwrap();
    let put = PutPending {
        sn: "SN-1".parse().unwrap(),
        slot: Slot::new(3).unwrap(),
        tk_generation: 2,
        block: "D".into(),
        kcv: [0, 0, 3].into(),
        load_counter: None,
    };
    assert!(
        matches!(store.put_pending(put, event("tmk.made")).await, Ok(PendingOutcome::Stored(key)) if key.id == 3)
    );
}

/// What flows A to D left: a device with a DIK2 and one with a DMK, working keys in use and waiting, and one that is gone.
const SECOND_DATA: &str = "
INSERT INTO collections VALUES (2, x'0101010101010101010101010101010101010101010101010101010101010101', x'30', 'CN=Olga',
    '0A', 'acq', 'KLD-7', 1, 2);
INSERT INTO kld_reports VALUES (2, zeroblob(32), 'KLD-7', 'run-1', 1, 2);
INSERT INTO dik1s VALUES ('batch', 'acq', NULL, NULL, 'D0096DIK1', x'000007', 1);
INSERT INTO devices VALUES
    ('SN-1', 'SN-1', 'batch', x'000008', zeroblob(32), 'D0064FACTOR', NULL, NULL, 2, 9, 1, 3, 4),
    ('SN-2', 'PP-2', NULL, NULL, NULL, NULL, 'D0096DMK', x'000009', 2, 9, 0, 3, 4);
INSERT INTO working_keys VALUES (3, 'SN-2', 5, 'pik', 'pending', 'D0080PIK', x'00000A', 6, 6);
UPDATE working_keys SET state = 'active', changed_at = 8 WHERE id = 3;
INSERT INTO working_keys VALUES (4, 'SN-2', 5, 'mak', 'pending', 'D0080MAK', x'00000B', 7, 7);
INSERT INTO working_keys VALUES (41, 'SN-2', 6, 'mak', 'pending', 'D0080OLD', x'00000C', 7, 7);
DELETE FROM working_keys WHERE id = 41;
INSERT INTO refusals VALUES (1, 'SN-1', 'lid', 'open', NULL, 5, 'rks');
";

#[tokio::test(flavor = "multi_thread")]
async fn a_file_of_the_second_layout_keeps_its_devices_and_working_keys() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.sqlite");
    let old = open::earlier_layout(&path, 2);
    old.execute_batch(FIRST_DATA.replace("INSERT INTO work_keys VALUES", OLD_WORK_KEYS).as_str()).unwrap();
    old.execute_batch(SECOND_DATA).unwrap();
    drop(old);
    let (first, second): (Serial, Serial) = ("SN-1".parse().unwrap(), "SN-2".parse().unwrap());
    let (slot, other_slot) = (Slot::new(5).unwrap(), Slot::new(6).unwrap());
    for _ in 0..2 {
        let store = SqliteStore::open(&path, SqliteOptions::default()).unwrap();
        let device = store.device(&first).await.unwrap().unwrap();
        let identity = device.identity.unwrap();
        assert_eq!((identity.dik1.as_str(), identity.kcv, device.dmk), ("batch", [0, 0, 8].into(), None));
        assert_eq!((device.kld.as_str(), device.run.as_str(), device.compromised), ("KLD-7", "run-1", true));
        let device = store.device(&second).await.unwrap().unwrap();
        assert_eq!((device.dmk.unwrap().block.as_str(), device.loaded_at), ("D0096DMK", 9));
        let mak = store.working_slot(&second, slot, WorkingKind::Mak).await.unwrap();
        assert_eq!((mak.active, mak.pending.map(|key| key.id)), (None, Some(4)));
        let found = store.active_working(vec![(second.clone(), slot, WorkingKind::Pik)]).await.unwrap();
        let pik = found[0].as_ref().unwrap();
        assert_eq!((pik.key.id, pik.key_serial.as_str(), pik.activated_at, pik.uses), (3, "PP-2", 8, 0));
        assert_eq!(store.refusals(None, 10).await.unwrap().len(), 1);
        assert_eq!(store.overview().await.unwrap().collections, 1);
    }
    // The id of a key that is gone is not used again, though no row bears it.
    let store = SqliteStore::open(&path, SqliteOptions::default()).unwrap();
    let put = PutWorking {
        sn: second.clone(),
        slot: other_slot,
        kind: WorkingKind::Mak,
        block: "D".into(),
        kcv: [0, 0, 13].into(),
    };
    let stored = store.put_working_pending(put, event("working-key.made")).await.unwrap();
    assert!(matches!(stored, WorkingOutcome::Stored(key) if key.id == 42));
    assert_eq!(
        store.confirm_loaded(vec![LoadedKey::Working(4)], event("confirmed")).await,
        Ok(ConfirmOutcome::Activated)
    );
    drop(store);
    let raw = Connection::open(&path).unwrap();
    let broken: i64 =
        raw.query_row("SELECT count(*) FROM pragma_foreign_key_check", [], |row| row.get(0)).unwrap();
    let left: i64 = raw
        .query_row(
            "SELECT count(*) FROM sqlite_sequence WHERE name LIKE 'working_keys%' OR name LIKE 'devices%'",
            [],
            |row| row.get(0),
        )
        .unwrap();
    assert_eq!((broken, left), (0, 1));
}

/// What flows E and F left: a sign-in that waits, a zone, and a replacement that waits for a second person.
const THIRD_DATA: &str = "
INSERT INTO acquirers VALUES ('acq', 'First', 1);
INSERT INTO certificates VALUES ('ab', 'kms-work', x'3001', 1);
INSERT INTO work_keys (certificate_sha256, private_block, spki, state, created_at)
    VALUES ('ab', 'D0016OLD', x'3003', 'active', 1);
INSERT INTO collections VALUES (1, zeroblob(32), x'30', 'CN=Olga', '0A', 'acq', 'bench', 1, 2);
INSERT INTO terminals VALUES
    ('SN-1', 'SN-1', 'acq', NULL, NULL, 1, NULL, NULL, 'TEK', 'AUK', 2, '00', 1, 1, 2),
    ('SN-2', 'PP-2', 'acq', NULL, NULL, 1, NULL, NULL, NULL, NULL, 1, '', 1, 1, 2);
INSERT INTO tmks VALUES (1, 'SN-1', 3, 'pending', 'SN-1', 'D0096ONE', x'000001', 2, 1, 5, 1);
UPDATE tmks SET state = 'active' WHERE id = 1;
INSERT INTO tmks VALUES (2, 'SN-1', 4, 'pending', 'SN-1', 'D0096TWO', x'000002', 2, 1, 1, 1);
INSERT INTO estate_imports VALUES (1, 'legacy');
INSERT INTO devices VALUES ('SN-2', 'PP-2', NULL, NULL, NULL, NULL, 'D0096DMK', x'000009', NULL, 1, 9, 0, 3, 4);
INSERT INTO working_keys VALUES (5, 'SN-1', 3, 'pik', 'pending', 'SN-1', 'D0080PIK', x'00000A', 0, 6, 6);
INSERT INTO sign_ins VALUES ('SN-1', 3, 1, x'0102030405060708', 6);
INSERT INTO replacements VALUES
    (6, 'SN-1', 'SN-1', NULL, NULL, 1, x'0A', 'ab', 'AA', 1, 'waiting', NULL, NULL, NULL),
    (9, 'SN-2', 'PP-2', NULL, NULL, 1, x'0B', 'ab', 'BB', 1, 'waiting', NULL, NULL, NULL);
DELETE FROM replacements WHERE id = 9;
";

/// Everything of it is of suite 01, and stays usable as such.
#[tokio::test(flavor = "multi_thread")]
async fn a_file_of_the_third_layout_is_on_suite_01() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.sqlite");
    open::earlier_layout(&path, 3).execute_batch(THIRD_DATA).unwrap();
    let (first, second): (Serial, Serial) = ("SN-1".parse().unwrap(), "SN-2".parse().unwrap());
    let slot = Slot::new(3).unwrap();
    for _ in 0..2 {
        let store = SqliteStore::open(&path, SqliteOptions::default()).unwrap();
        let keys = async |sn: &Serial| {
            let records = store.suite_records(sn).await.unwrap();
            let told = |key: &KeySuite| (key.key.to_string(), key.proved, key.in_use, key.since);
            records.keys.iter().map(told).collect::<Vec<_>>()
        };
        let on_01 = |key: &str, since| (key.to_owned(), Suite::TDES, Suite::TDES, since);
        // A key that is only pending has proved nothing.
        assert_eq!(keys(&first).await, [on_01("slot/03", 5), on_01("tk", 2)]);
        assert_eq!(keys(&second).await, [on_01("dmk", 9)]);
        assert_eq!(store.estate_suites(Suite::EC_AES, None, 10).await.unwrap().len(), 2);
        let work = store.active_work_key(Suite::TDES).await.unwrap().unwrap();
        assert_eq!((work.suite, work.intermediates), (Suite::TDES, vec![]));
        assert_eq!(store.active_work_key(Suite::EC_AES).await.unwrap(), None);
        let waits = store.pending_sign_in(&first, slot).await.unwrap().unwrap();
        assert_eq!((waits.rnd1, waits.keys.len()), (vec![1, 2, 3, 4, 5, 6, 7, 8], 1));
        assert_eq!(store.slot(&first, slot).await.unwrap().load_counter, 0);
        assert_eq!(store.replacements_waiting().await.unwrap().len(), 1);
    }
    let store = SqliteStore::open(&path, SqliteOptions::default()).unwrap();
    let approver = crate::Person { subject: "CN=Adam".into(), certificate_serial: "0B".into() };
    let approval = crate::Approval { id: 6, fingerprint: "AA".into(), approver };
    let approved = store.approve_replacement(approval, event("tk.replaced")).await.unwrap();
    assert!(matches!(approved, crate::ApprovalOutcome::Approved { tk_generation: 3, .. }), "{approved:?}");
    let terminal = store.terminal(&first).await.unwrap().unwrap();
    let work_certificate_sha256 = "ab".to_owned();
    assert_eq!(terminal.tk, TkRecord::Ciphertext { ctk_pu: vec![0x0A], work_certificate_sha256 });
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

/// What the layout itself refuses of suites: nothing goes down or back, whatever the program does.
#[test]
fn the_layouts_own_rules_of_suites_hold() {
    let Bench { store, path, _folder } = bench();
    let raw = Connection::open(&path).unwrap();
    raw.execute_batch("PRAGMA foreign_keys = OFF").unwrap();
    raw.execute_batch(
        "INSERT INTO key_suites VALUES ('SN', 'tk', 2, 2, 5);
         INSERT INTO load_counters VALUES ('SN', 3, 7);
         INSERT INTO ceremonies VALUES (zeroblob(32), 'bench', 'A', '1', NULL, 1, 9);
         INSERT INTO device_certificates VALUES ('k1', 'c1', 'SN', 'SN', x'30', 4, 1, 1);
         INSERT INTO certificates VALUES ('ab', 'kms-work', x'3001', 1), ('cd', 'kms-work', x'3002', 1);
         INSERT INTO work_keys (certificate_sha256, private_block, spki, state, created_at, suite)
            VALUES ('ab', 'D', x'30', 'active', 1, 2);
         INSERT INTO replacements (id, sn, key_serial, suite, tek, auk, device_generation, work_certificate_sha256,
            fingerprint, collection, state) VALUES (1, 'SN', 'SN', 2, 'T', 'A', 4, 'ab', 'F', 1, 'waiting');",
    )
    .unwrap();
    let allowance = |suite: u8, until: i64, digest: u8| {
        format!(
            "INSERT INTO suite_allowances (digest, sn, suite, reason, asked_by, asked_by_serial, approved_by,
                approved_by_serial, allowed_at, until)
             VALUES (x'{}', 'SN', {suite}, 'why', 'A', '1', 'B', '2', 1, {until});",
            format!("{digest:02x}").repeat(32)
        )
    };
    let refused = |sql: &str, why: &str| {
        let error = raw.execute_batch(sql).unwrap_err().to_string();
        assert!(error.contains(why), "{sql}: {error}");
    };
    refused("UPDATE key_suites SET suite = 1, in_use = 1", "while an allowance runs");
    refused("UPDATE key_suites SET key = 'dmk'", "only rises");
    refused("DELETE FROM key_suites", "only rises");
    refused("UPDATE key_suites SET in_use = 1, since = 6", "while an allowance runs");
    refused("UPDATE key_suites SET in_use = 3", "CHECK");
    refused("INSERT INTO key_suites VALUES ('SN', 'slot/3', 1, 1, 1)", "CHECK");
    refused("UPDATE load_counters SET counter = 7", "only rises");
    refused("UPDATE load_counters SET counter = 6", "only rises");
    refused("DELETE FROM load_counters", "only rises");
    refused("UPDATE ceremonies SET expires_at = 99", "never altered");
    refused("INSERT INTO ceremonies VALUES (x'00', 'bench', 'A', '1', NULL, 1, 9)", "CHECK");
    refused("UPDATE device_certificates SET key_serial = 'OTHER', generation = 5", "stays in its PIN pad");
    refused("UPDATE device_certificates SET generation = 4", "only rises");
    refused("INSERT INTO device_certificates VALUES ('k2', 'c2', 'SN', 'SN', x'30', 4, 1, 1)", "only rises");
    refused("UPDATE work_keys SET suite = 1", "keeps its suite");
    refused(
        "INSERT INTO work_keys (certificate_sha256, private_block, spki, state, created_at, suite)
         VALUES ('cd', 'D', x'30', 'active', 1, 2)",
        "UNIQUE",
    );
    refused("UPDATE replacements SET tek = 'OTHER'", "never altered");
    refused("UPDATE replacements SET state = 'approved', suite = 1", "never altered");
    refused(&allowance(1, 10, 1).replace("'B', '2'", "'A', '2'"), "CHECK");
    refused(&allowance(1, 10, 1).replace("'why'", "''"), "CHECK");

    raw.execute_batch(&allowance(1, 10, 1)).unwrap();
    refused(&allowance(1, 20, 2), "UNIQUE");
    refused("UPDATE suite_allowances SET until = 99, ended_at = 3", "never altered");
    refused("UPDATE suite_allowances SET reason = 'other'", "never altered");
    refused("DELETE FROM suite_allowances", "not deleted");
    refused("UPDATE key_suites SET suite = 1, in_use = 1, since = 9", "only rises");
    raw.execute_batch("UPDATE key_suites SET in_use = 1, since = 9").unwrap();
    refused("UPDATE key_suites SET in_use = 1, since = 10", "while an allowance runs");
    raw.execute_batch("UPDATE suite_allowances SET ended_at = 9").unwrap();
    refused("UPDATE key_suites SET in_use = 1, since = 9", "while an allowance runs");
    refused("UPDATE suite_allowances SET ended_at = NULL", "never altered");
    raw.execute_batch("UPDATE key_suites SET in_use = 2, since = 11").unwrap();
    drop(store);
}

/// What the layout itself refuses, whatever a later version of this program does.
#[test]
fn the_layouts_own_rules_hold() {
    let Bench { store, path, _folder } = bench();
    let raw = Connection::open(&path).unwrap();
    raw.execute_batch("PRAGMA foreign_keys = OFF").unwrap();
    raw.execute_batch(
        "INSERT INTO collection_windows (request_digest, sn, asked_by, asked_by_serial, opened_by,
            opened_by_serial, opened_at, expires_at) VALUES (zeroblob(32), 'SN', 'A', '1', 'B', '2', 1, 9);
         UPDATE collection_windows SET used_at = 2, fingerprint = '0';
         INSERT INTO dik1s VALUES ('d', 'acq', NULL, NULL, 'D', x'01', 1);
         INSERT INTO vendors VALUES ('V', 'V', '[]', '{}', 0, 0, 1, 1);
         INSERT INTO packages (id, vendor, name, version, kind, models, size, sha256, certificate, intermediates,
            signature, requires, path, published_at, withdrawn_at)
            VALUES (1, 'V', 'app', '1.0.0', 1, '[]', 9, zeroblob(32), x'', x'', x'', '[]', 'p', 1, 5);
         INSERT INTO files VALUES ('V', 'p', 9, zeroblob(32), 1);
         INSERT INTO deployments (id, vendor, package, target, starts_at, stages, stage, failures_percent, at_least,
            allow_downgrade, state, created_at, created_by)
            VALUES (1, 'V', 1, '{}', 1, '[]', 0, 10, 5, 0, 'cancelled', 1, 'A');
         INSERT INTO zone_keys VALUES (1, 'Z', 'active', 'tdes', 'D', x'01', 1, 1);
         UPDATE zone_keys SET state = 'retired';",
    )
    .unwrap();
    for (refused, why) in [
        ("UPDATE collection_windows SET used_at = 3", "used once"),
        (
            "INSERT INTO collection_windows (request_digest, sn, asked_by, asked_by_serial, opened_by,
                opened_by_serial, opened_at, expires_at) VALUES (zeroblob(32), 'S2', 'A', '1', 'A', '2', 1, 9)",
            "CHECK",
        ),
        ("UPDATE dik1s SET block = 'E'", "never changed"),
        (
            "INSERT INTO devices (sn, key_serial, dik1, report, loaded_at, created_at, changed_at)
             VALUES ('SN', 'SN', 'd', 1, 1, 1, 1)",
            "CHECK",
        ),
        (
            "INSERT INTO working_keys (sn, slot, kind, state, key_serial, block, kcv, created_at, changed_at)
             VALUES ('SN', 1, 'pik', 'active', 'SN', 'D', x'01', 1, 1)",
            "starts as pending",
        ),
        (
            "INSERT INTO devices (sn, key_serial, dmk, dmk_kcv, report, import, loaded_at, created_at, changed_at)
             VALUES ('SN', 'SN', 'D', x'01', 1, 1, 1, 1, 1)",
            "CHECK",
        ),
        ("UPDATE estate_version SET version = version", "only rises"),
        ("UPDATE packages SET sha256 = randomblob(32)", "keeps its content"),
        ("UPDATE packages SET withdrawn_at = NULL", "for good"),
        ("UPDATE files SET size = 8", "never changed"),
        ("UPDATE deployments SET package = 2", "make another"),
        ("UPDATE deployments SET state = 'running'", "stays so"),
        ("UPDATE deployments SET installed = 1", "CHECK"),
        ("UPDATE zone_keys SET state = 'active'", "active to retired"),
    ] {
        let error = raw.execute_batch(refused).unwrap_err().to_string();
        assert!(error.contains(why), "{refused}: {error}");
    }
    drop(store);
}
