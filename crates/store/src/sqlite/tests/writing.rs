//! The writer: groups, failures inside them, disks that refuse.

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn a_failing_act_does_not_spoil_the_others_of_its_group() {
    let bench = bench();
    bench.put_acquirer("taken").await.unwrap();
    let mut tasks = Vec::new();
    for n in 0..60 {
        let store = bench.store.clone();
        tasks.push(tokio::spawn(async move {
            let id = if n % 3 == 0 { "taken".into() } else { format!("acq-{n:02}") };
            store.put_acquirer(NewAcquirer { id, name: String::new() }, event("acquirer")).await
        }));
    }
    let mut good = 0;
    for task in tasks {
        match task.await.unwrap() {
            Ok(()) => good += 1,
            Err(e) => assert_eq!(e, StoreError::AlreadyThere { what: "acquirer", id: "taken".into() }),
        }
    }
    assert_eq!((good, bench.acquirers().await.len()), (40, 41));
    let verdict = bench.store.audit_verify().await.unwrap();
    assert_eq!((verdict.events, verdict.broken_at), (41, None));
}

/// Acts that are queued while the writer is held up are committed together: one write-ahead transaction.
#[tokio::test(flavor = "multi_thread")]
async fn queued_acts_share_one_commit() {
    let bench = bench();
    let (hold, held) = std::sync::mpsc::channel::<()>();
    let holder = bench.store.clone();
    let (begin, begun) = std::sync::mpsc::channel::<()>();
    let holding = tokio::spawn(async move {
        holder
            .act(move |_| {
                let _ = begin.send(());
                held.recv().map_err(|e| StoreError::Database(e.to_string()))
            })
            .await
    });
    // The held group has begun, so that none of the others is in it.
    begun.recv().unwrap();
    let (tx_counts, counts) = std::sync::mpsc::channel();
    let mut tasks = Vec::new();
    for _ in 0..20 {
        let (store, counts) = (bench.store.clone(), tx_counts.clone());
        tasks.push(tokio::spawn(async move {
            store
                .act(move |tx| {
                    let end: i64 = tx
                        .connection()
                        .query_row("SELECT seq FROM audit_end", [], |row| row.get(0))
                        .map_err(|e| StoreError::Database(e.to_string()))?;
                    let seq = tx.append(&event("grouped"))?;
                    counts.send((end, seq)).map_err(|e| StoreError::Database(e.to_string()))
                })
                .await
        }));
    }
    while bench.store.shared.writer.waiting() < tasks.len() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    hold.send(()).unwrap();
    holding.await.unwrap().unwrap();
    for task in tasks {
        task.await.unwrap().unwrap();
    }
    drop(tx_counts);
    let seen: Vec<(i64, i64)> = counts.iter().collect();
    // The recorded end moves once for a commit, so all saw the same one while their own numbers went up.
    assert_eq!(seen.len(), 20);
    assert!(seen.iter().all(|(end, _)| *end == 0), "{seen:?}");
    assert_eq!(seen.iter().map(|(_, seq)| *seq).collect::<Vec<_>>(), (1..=20).collect::<Vec<_>>());
}

/// A group that runs again leaves nothing of its first run.
#[tokio::test(flavor = "multi_thread")]
async fn a_group_with_a_failing_and_a_panicking_act_commits_the_others_once() {
    let bench = bench();
    let (hold, held) = std::sync::mpsc::channel::<()>();
    let holder = bench.store.clone();
    let holding = tokio::spawn(async move {
        // It may be of the group that runs again: then the channel is closed, and holds nobody up.
        holder
            .act(move |_| {
                let _ = held.recv();
                Ok(())
            })
            .await
    });
    let mut tasks = Vec::new();
    for n in 0..12 {
        let store = bench.store.clone();
        tasks.push(tokio::spawn(async move {
            store
                .act(move |tx| {
                    let seq = tx.append(&event("grouped"))?;
                    match n % 4 {
                        2 => Err(StoreError::Rule("refused after writing".into())),
                        3 => panic!("a mistake in an act"),
                        _ => Ok(seq),
                    }
                })
                .await
        }));
    }
    tokio::time::sleep(Duration::from_millis(100)).await;
    drop(hold);
    holding.await.unwrap().unwrap();
    let mut numbers = Vec::new();
    for (n, task) in tasks.into_iter().enumerate() {
        match (n % 4, task.await.unwrap()) {
            (2, Err(StoreError::Rule(_))) | (3, Err(StoreError::ActPanicked)) => {}
            (0 | 1, Ok(seq)) => numbers.push(seq),
            (_, other) => panic!("{n}: {other:?}"),
        }
    }
    numbers.sort_unstable();
    assert_eq!(numbers, (1..=6).collect::<Vec<_>>());
    let verdict = bench.store.audit_verify().await.unwrap();
    assert_eq!((verdict.events, verdict.broken_at), (6, None));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_panicking_act_is_undone_and_the_writer_goes_on() {
    let bench = bench();
    let outcome: Result<(), _> = bench
        .store
        .act(|tx| {
            tx.append(&event("before the panic"))?;
            panic!("a mistake in an act");
        })
        .await;
    assert_eq!(outcome, Err(StoreError::ActPanicked));
    bench.append(1).await;
    let rows = bench.store.audit_page(1, 10).await.unwrap();
    assert_eq!(rows.iter().map(|r| (r.seq, &*r.kind)).collect::<Vec<_>>(), [(1, "login")]);
    assert_eq!(bench.store.audit_verify().await.unwrap().broken_at, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_that_goes_away_does_not_undo_its_act() {
    let bench = bench();
    {
        let mut act = Box::pin(bench.put_acquirer("acq"));
        // Polled once, it is in the queue; then dropped.
        std::future::poll_fn(|cx| {
            let _ = act.as_mut().poll(cx);
            std::task::Poll::Ready(())
        })
        .await;
    }
    bench.append(1).await;
    assert_eq!(bench.acquirers().await, ["acq"]);
}

/// A full disk, by SQLite's own limit on pages: the error is the real SQLITE_FULL.
#[tokio::test(flavor = "multi_thread")]
async fn r30_a_full_disk_is_named_nothing_happened_and_it_works_again_with_room() {
    let bench = bench();
    bench.put_acquirer("first").await.unwrap();
    let pages: i64 = bench.raw().query_row("PRAGMA page_count", [], |row| row.get(0)).unwrap();
    bench.writer_pragma("max_page_count", pages + 2).await;

    let large = || Event { detail: json!("x".repeat(60_000)), ..event("large") };
    let act = bench.store.put_acquirer(NewAcquirer { id: "second".into(), name: "S".into() }, large()).await;
    assert_eq!(act, Err(StoreError::DiskFull));
    assert_eq!(bench.acquirers().await, ["first"]);
    let verdict = bench.store.audit_verify().await.unwrap();
    assert_eq!((verdict.events, verdict.broken_at), (1, None));

    bench.writer_pragma("max_page_count", 1_000_000).await;
    let act = bench.store.put_acquirer(NewAcquirer { id: "second".into(), name: "S".into() }, large()).await;
    assert_eq!(act, Ok(()));
    assert_eq!(bench.acquirers().await, ["first", "second"]);
    let verdict = bench.store.audit_verify().await.unwrap();
    assert_eq!((verdict.events, verdict.broken_at), (2, None));
}

/// The error is the real SQLITE_READONLY; a pragma makes it, so that the test also works for root.
#[tokio::test(flavor = "multi_thread")]
async fn r30_a_read_only_store_is_named_and_still_read() {
    let bench = bench();
    bench.put_acquirer("first").await.unwrap();
    bench.writer_pragma("query_only", 1).await;
    assert_eq!(bench.put_acquirer("second").await, Err(StoreError::ReadOnly));
    assert_eq!(bench.acquirers().await, ["first"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn r30_a_store_that_someone_else_writes_to_is_busy_and_is_read_meanwhile() {
    let bench = bench();
    bench.put_acquirer("first").await.unwrap();
    let other = bench.raw();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    assert_eq!(bench.put_acquirer("second").await, Err(StoreError::Busy));
    assert_eq!(bench.acquirers().await, ["first"]);
    other.execute_batch("ROLLBACK").unwrap();
    assert_eq!(bench.put_acquirer("second").await, Ok(()));
}

#[tokio::test(flavor = "multi_thread")]
async fn two_openers_of_one_file_keep_one_chain() {
    let bench = bench();
    let second = SqliteStore::open(&bench.path, SqliteOptions::default()).unwrap();
    for _ in 0..10 {
        bench.append(1).await;
        second.audit_append(event("other process")).await.unwrap();
    }
    let verdict = second.audit_verify().await.unwrap();
    assert_eq!((verdict.events, verdict.broken_at), (20, None));
}

#[tokio::test(flavor = "multi_thread")]
async fn closing_finishes_what_is_queued() {
    let Bench { store, path, _folder } = bench();
    for n in 0..50 {
        let mut act = Box::pin(
            store.put_acquirer(NewAcquirer { id: format!("{n:02}"), name: String::new() }, event("acquirer")),
        );
        std::future::poll_fn(|cx| {
            let _ = act.as_mut().poll(cx);
            std::task::Poll::Ready(())
        })
        .await;
    }
    drop(store);
    assert_eq!(verify_audit_file(&path).unwrap().events, 50);
}

/// The layout's own rules, for the day a later version of an act is wrong.
#[tokio::test(flavor = "multi_thread")]
async fn the_layout_refuses_what_no_act_may_do() {
    let bench = bench();
    bench.append(3).await;
    for (sql, rule) in [
        ("UPDATE audit SET actor = 'x' WHERE seq = 2", "append-only"),
        ("DELETE FROM audit WHERE seq = 3", "append-only"),
        ("INSERT OR REPLACE INTO audit SELECT * FROM audit WHERE seq = 2", "append-only"),
        ("INSERT INTO audit SELECT 9, at, kind, actor, subject, detail, prev_hash, hash FROM audit LIMIT 1", "append-only"),
        ("UPDATE audit_end SET seq = 1", "only grows"),
        ("DELETE FROM audit_end", "only grows"),
        ("INSERT INTO tmks (sn, slot, state, key_serial, block, kcv, tk_generation, created_at, changed_at, sent_count)
          VALUES ('SN-1', 0, 'active', 'SN-1', '', x'000000', 1, 0, 0, 0)", "starts as pending"),
        ("INSERT INTO tmks (sn, slot, state, key_serial, block, kcv, tk_generation, created_at, changed_at, sent_count)
          VALUES ('SN-1', 0, 'pending', 'SN-1', '', x'000000', 1, 0, 0, 0)", "FOREIGN KEY"),
    ] {
        let outcome = bench
            .store
            .act(move |tx| tx.connection().execute(sql, []).map_err(|e| error::name(&e)))
            .await;
        match outcome {
            Err(StoreError::Rule(why)) => assert!(why.contains(rule), "{sql}: {why}"),
            other => panic!("{sql}: {other:?}"),
        }
    }
    assert_eq!(bench.store.audit_verify().await.unwrap().broken_at, None);
}

/// What a HELLO asks must not walk a table, however large the estate.
#[tokio::test(flavor = "multi_thread")]
async fn reads_and_acts_on_one_slot_use_an_index() {
    let bench = bench();
    let raw = bench.raw();
    for condition in [
        "slot = 0 AND state = 'pending'",
        "slot = 0 AND state = 'active'",
        "slot = 0 AND state = 'retired'",
        "state = 'pending'",
    ] {
        let sql = format!("EXPLAIN QUERY PLAN SELECT block FROM tmks WHERE sn = 'SN-1' AND {condition}");
        let plan: String = raw.query_row(&sql, [], |row| row.get("detail")).unwrap();
        assert!(plan.starts_with("SEARCH tmks USING INDEX"), "{condition}: {plan}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_statement_is_prepared_once_whatever_is_bound() {
    let bench = bench();
    bench.append(3).await;
    let reader = open::reader(&bench.path).unwrap();
    let mut statement = reader.prepare("SELECT seq FROM audit ORDER BY seq LIMIT ?1").unwrap();
    for limit in 1..=3_i64 {
        let found = statement.query_map([limit], |row| row.get::<_, i64>(0)).unwrap().count();
        assert_eq!(found as i64, limit);
    }
    assert_eq!(statement.get_status(rusqlite::StatementStatus::RePrepare), 0);
}
