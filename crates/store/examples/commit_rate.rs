//! How many durable acts a second the SQLite store makes, beside bare commits of the same disk.
//!
//! ```text
//! cargo run --release -p keyferry-store --example commit_rate [seconds] [concurrency]
//! ```

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use keyferry_store::{
    CollectedTerminal, CollectedTk, CollectionImport, Event, NewAcquirer, NewCertificate, NewWorkKey,
    PendingOutcome, Person, PutPending, SqliteOptions, SqliteStore, Store, WorkKeyState,
};
use serde_json::json;
use wire::{Device, Kcv, Serial, Slot, Suite};

type Failure = Box<dyn std::error::Error + Send + Sync>;

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let mut words = std::env::args().skip(1);
    let seconds: u64 = words.next().map_or(Ok(3), |w| w.parse())?;
    let concurrency: usize = words.next().map_or(Ok(64), |w| w.parse())?;
    let span = Duration::from_secs(seconds);
    let folder = tempfile::tempdir()?;

    let bare = bare_commits(&folder.path().join("bare.sqlite"), span)?;
    println!("bare commits, one row each, one after another   {bare:>10.0} /s");

    let store = SqliteStore::open(&folder.path().join("store.sqlite"), SqliteOptions::default())?;
    let terminals = estate(&store, concurrency).await?;

    let rate = run(&store, &terminals, span, |store, _, n| async move {
        store.audit_append(event("benchmark", n)).await.map(|_| ()).map_err(Failure::from)
    })
    .await?;
    println!("audit_append, {concurrency} at a time {rate:>32.0} /s   {:>6.2} × bare", rate / bare);

    let rate = run(&store, &terminals, span, one_download).await?;
    println!(
        "put_pending + confirm, {concurrency} at a time {rate:>23.0} pairs/s {:>4.2} × bare",
        rate / bare
    );

    let rate = run(&store, &terminals, span, |store, sn, _| async move {
        store.terminal(&sn).await?.ok_or("the terminal is gone")?;
        Ok(())
    })
    .await?;
    println!("terminal, {concurrency} at a time {rate:>36.0} /s");

    let rate = run(&store, &terminals, span, |store, sn, _| async move {
        store.slot(&sn, Slot::new(7)?).await.map(|_| ()).map_err(Failure::from)
    })
    .await?;
    println!("slot, {concurrency} at a time {rate:>40.0} /s");

    let started = Instant::now();
    let verdict = store.audit_verify().await?;
    let rate = verdict.events as f64 / started.elapsed().as_secs_f64();
    println!("audit_verify {rate:>43.0} events/s   ({verdict})");
    Ok(())
}

/// What one connection manages without grouping: a row and a commit, again and again.
fn bare_commits(path: &Path, span: Duration) -> Result<f64, Failure> {
    let db = rusqlite::Connection::open(path)?;
    db.execute_batch(
        "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; CREATE TABLE t (n INTEGER PRIMARY KEY, x TEXT)",
    )?;
    let started = Instant::now();
    let mut done = 0_u64;
    while started.elapsed() < span {
        db.prepare_cached("INSERT INTO t (x) VALUES ('a row of no great length')")?.execute([])?;
        done += 1;
    }
    Ok(done as f64 / started.elapsed().as_secs_f64())
}

/// Repeats an act on `terminals.len()` tasks and gives the number of them a second.
async fn run<F, Fut>(
    store: &SqliteStore,
    terminals: &[Serial],
    span: Duration,
    act: F,
) -> Result<f64, Failure>
where
    F: Fn(SqliteStore, Serial, u64) -> Fut + Copy + Send + 'static,
    Fut: Future<Output = Result<(), Failure>> + Send,
{
    let done = Arc::new(AtomicU64::new(0));
    let started = Instant::now();
    let mut tasks = Vec::new();
    for sn in terminals {
        let (store, sn, done) = (store.clone(), sn.clone(), Arc::clone(&done));
        tasks.push(tokio::spawn(async move {
            while started.elapsed() < span {
                let n = done.fetch_add(1, Ordering::Relaxed);
                act(store.clone(), sn.clone(), n).await?;
                tokio::task::yield_now().await;
            }
            Ok::<(), Failure>(())
        }));
    }
    for task in tasks {
        task.await??;
    }
    Ok(done.load(Ordering::Relaxed) as f64 / started.elapsed().as_secs_f64())
}

/// As the server does it: a pending key before TK_KEY leaves, a confirmation before DONE leaves.
async fn one_download(store: SqliteStore, sn: Serial, n: u64) -> Result<(), Failure> {
    let [.., a, b, c, d, e] = n.to_be_bytes();
    let put = PutPending {
        sn,
        // Over all slots, so that few keys lie in each, as in life.
        slot: Slot::new((n % 100) as u8)?,
        tk_generation: 1,
        block: "D0144K1TB00E0300".repeat(9),
        kcv: Kcv::Aes([a, b, c, d, e]),
        load_counter: Some(n + 1),
    };
    match store.put_pending(put, event("tmk.pending", n)).await? {
        PendingOutcome::Stored(key) => {
            store.confirm(key.id, event("tmk.confirmed", n)).await?;
            Ok(())
        }
        other => Err(format!("not stored: {other:?}").into()),
    }
}

fn event(kind: &'static str, n: u64) -> Event {
    Event::new(1_700_000_000_000, kind, "SN-1001", "SN-1001", json!({ "slot": 3, "kcv": "742BB1", "n": n }))
}

async fn estate(store: &SqliteStore, count: usize) -> Result<Vec<Serial>, Failure> {
    let serials = (0..count).map(|n| Serial::parse(&format!("SN-{n:06}"))).collect::<Result<Vec<_>, _>>()?;
    store
        .put_acquirer(NewAcquirer { id: "acq".into(), name: "Acquirer".into() }, event("acquirer", 0))
        .await?;
    let sha256 = "ab".repeat(32);
    let certificate = NewCertificate { role: "kms-work".into(), sha256: sha256.clone(), der: vec![0x30, 0] };
    store.put_certificate(certificate, event("certificate", 0)).await?;
    let key = NewWorkKey {
        certificate_sha256: sha256.clone(),
        private_block: "D".into(),
        spki: vec![0x30, 0],
        state: WorkKeyState::Active,
        suite: Suite::TDES,
        intermediates: vec![],
    };
    store.put_work_key(key, event("work-key", 0)).await?;
    let terminals = serials
        .iter()
        .map(|sn| CollectedTerminal {
            device: Device::built_in(sn.clone()),
            vendor: None,
            model: None,
            // A TK is one terminal's.
            tk: CollectedTk::Ciphertext(sn.as_str().bytes().cycle().take(256).collect()),
            work_certificate_sha256: sha256.clone(),
            fingerprint: "0123456789ABCDEF0123".into(),
            replaces: false,
            refused: None,
        })
        .collect();
    let import = CollectionImport {
        digest: [1; 32],
        package: vec![0x30, 0],
        second_signer: None,
        signer: Person { subject: "CN=Operator".into(), certificate_serial: "01".into() },
        acquirer: "acq".into(),
        station: "station".into(),
        collected_at: 1_700_000_000_000,
        terminals,
    };
    store.import_collection(import, event("collection", 0)).await?;
    Ok(serials)
}
