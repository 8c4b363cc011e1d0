//! The audit changed behind the store's back, with every trigger gone: found, and told where
//! (4-requirements.md R32).

use super::*;

const EVENTS: usize = 9;

/// Runs `sql` on a chain of [`EVENTS`] as whoever owns the file can, and gives the break that is found, by the
/// running store and by the check of the file alone.
async fn broken_by(sql: &str) -> Option<(i64, AuditFault)> {
    let bench = bench();
    bench.append(EVENTS).await;
    let whole = bench.store.audit_verify().await.unwrap();
    assert_eq!((whole.events, whole.broken_at), (EVENTS as u64, None));
    let raw = bench.raw();
    without_triggers(&raw);
    raw.execute_batch(sql).unwrap();
    let verdict = bench.store.audit_verify().await.unwrap();
    assert_eq!(verify_audit_file(&bench.path).unwrap(), verdict);
    verdict.broken_at.map(|broken| (broken.seq, broken.why))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_of_any_column_of_any_row_is_found_there() {
    for seq in [1, 5, EVENTS as i64] {
        for column in ["at = at + 1", "kind = 'logout'", "actor = 'x'", "subject = 'SN-2'", "detail = '{}'"] {
            let broken = broken_by(&format!("UPDATE audit SET {column} WHERE seq = {seq}")).await;
            assert_eq!(broken, Some((seq, AuditFault::Changed)), "{column}");
        }
        let broken = broken_by(&format!("UPDATE audit SET hash = randomblob(32) WHERE seq = {seq}")).await;
        assert_eq!(broken, Some((seq, AuditFault::Changed)));
        let broken =
            broken_by(&format!("UPDATE audit SET prev_hash = randomblob(32) WHERE seq = {seq}")).await;
        assert_eq!(broken, Some((seq, AuditFault::NotLinked)));
    }
}

/// The list of columns above is the table's: a column added later needs its line, and its place in the hash.
#[tokio::test(flavor = "multi_thread")]
async fn the_columns_are_those_that_the_tests_change() {
    let bench = bench();
    let columns: Vec<String> = bench
        .raw()
        .prepare("SELECT name FROM pragma_table_info('audit')")
        .unwrap()
        .query_map([], |row| row.get(0))
        .unwrap()
        .collect::<Result<_, _>>()
        .unwrap();
    assert_eq!(columns, ["seq", "at", "kind", "actor", "subject", "detail", "prev_hash", "hash"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_number_is_found() {
    let broken = broken_by("UPDATE audit SET seq = 100 WHERE seq = 9").await;
    assert_eq!(broken, Some((9, AuditFault::Missing { found: 100 })));
    let broken = broken_by("UPDATE audit SET seq = -1 WHERE seq = 1").await;
    assert_eq!(broken, Some((1, AuditFault::Missing { found: -1 })));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_cut_out_of_the_middle_is_found() {
    let broken = broken_by("DELETE FROM audit WHERE seq = 4").await;
    assert_eq!(broken, Some((4, AuditFault::Missing { found: 5 })));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cut_that_is_closed_up_is_found() {
    // Closing the gap by renumbering does not help: the numbers are hashed and the links are gone.
    let broken = broken_by(
        "DELETE FROM audit WHERE seq = 4;
         UPDATE audit SET seq = seq - 1 + 1000 WHERE seq > 4;
         UPDATE audit SET seq = seq - 1000 WHERE seq > 1000;
         UPDATE audit_end SET seq = 8",
    )
    .await;
    assert_eq!(broken, Some((4, AuditFault::NotLinked)));
}

#[tokio::test(flavor = "multi_thread")]
async fn two_rows_that_changed_places_are_found() {
    let broken = broken_by(
        "UPDATE audit SET seq = 1000 WHERE seq = 3;
         UPDATE audit SET seq = 3 WHERE seq = 4;
         UPDATE audit SET seq = 4 WHERE seq = 1000",
    )
    .await;
    assert_eq!(broken, Some((3, AuditFault::NotLinked)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tail_cut_off_is_found() {
    let broken = broken_by("DELETE FROM audit WHERE seq > 6").await;
    assert_eq!(broken, Some((7, AuditFault::Cut { last: 9 })));
    let broken = broken_by("DELETE FROM audit").await;
    assert_eq!(broken, Some((1, AuditFault::Cut { last: 9 })));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_record_of_the_end_is_found() {
    let broken = broken_by("UPDATE audit_end SET seq = 7").await;
    assert_eq!(broken, Some((8, AuditFault::PastTheEnd)));
    let broken = broken_by("UPDATE audit_end SET hash = randomblob(32)").await;
    assert_eq!(broken, Some((9, AuditFault::OtherEnd)));
    let broken = broken_by("DELETE FROM audit_end").await;
    assert_eq!(broken, Some((10, AuditFault::NoEnd)));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unreadable_row_is_found_there() {
    let broken =
        broken_by("PRAGMA ignore_check_constraints = ON; UPDATE audit SET prev_hash = x'00' WHERE seq = 6")
            .await;
    assert!(matches!(broken, Some((6, AuditFault::Unreadable(_)))), "{broken:?}");
    let broken = broken_by("UPDATE audit SET actor = cast(x'ff' AS TEXT) WHERE seq = 2").await;
    assert!(matches!(broken, Some((2, AuditFault::Unreadable(_)))), "{broken:?}");
}

/// Each byte of the stored texts counts: a change of one bit anywhere in them is found.
#[tokio::test(flavor = "multi_thread")]
async fn a_change_of_one_character_of_a_detail_is_found() {
    let broken = broken_by("UPDATE audit SET detail = replace(detail, 'test', 'tesu') WHERE seq = 5").await;
    assert_eq!(broken, Some((5, AuditFault::Changed)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_whose_audit_lost_its_tail_does_not_grow_on() {
    let Bench { store, path, _folder } = bench();
    for _ in 0..3 {
        store.audit_append(event("login")).await.unwrap();
    }
    drop(store);
    let raw = Connection::open(&path).unwrap();
    without_triggers(&raw);
    raw.execute_batch("DELETE FROM audit WHERE seq = 3").unwrap();
    drop(raw);
    let error = SqliteStore::open(&path, SqliteOptions::default()).err();
    assert!(matches!(&error, Some(StoreError::Damaged(why)) if why.contains("audit")), "{error:?}");
}
