//! A file of an earlier version, with data in it.

use super::*;
use crate::{DeviceStore, NewCertificate, NewRksWorkKey, NewWorkKey, PutPending, TkRecord, WorkKeyState};

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
    open::first_layout(&path).execute_batch(FIRST_DATA).unwrap();
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
        let active = store.active_work_key().await.unwrap().unwrap();
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
    };
    store.put_rks_work_key(key, event("work-key")).await.unwrap();
    let key = NewWorkKey {
        certificate_sha256: "e2".into(),
        private_block: "D0016KMS".into(),
        spki: vec![2],
        state: WorkKeyState::Active,
    };
    store.put_work_key(key, event("work-key")).await.unwrap();
    assert_eq!(store.work_key("cd").await.unwrap().unwrap().state, WorkKeyState::OpeningOnly);
    assert_eq!(store.active_rks_work_key().await.unwrap().unwrap().key.certificate_sha256, "e1");
    store.confirm(2, event("tmk.confirmed")).await.unwrap();
    let put = PutPending {
        sn: "SN-1".parse().unwrap(),
        slot: Slot::new(3).unwrap(),
        tk_generation: 2,
        block: "D".into(),
        kcv: [0, 0, 3].into(),
    };
    assert!(
        matches!(store.put_pending(put, event("tmk.made")).await, Ok(PendingOutcome::Stored(key)) if key.id == 3)
    );
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
         INSERT INTO dik1s VALUES ('d', 'acq', NULL, NULL, 'D', x'01', 1);",
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
            "INSERT INTO working_keys (sn, slot, kind, state, block, kcv, created_at, changed_at)
             VALUES ('SN', 1, 'pik', 'active', 'D', x'01', 1, 1)",
            "starts as pending",
        ),
    ] {
        let error = raw.execute_batch(refused).unwrap_err().to_string();
        assert!(error.contains(why), "{refused}: {error}");
    }
    drop(store);
}
