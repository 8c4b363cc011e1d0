//! How many working keys a second the SQLite store finds for PIN translation, beside bare reads of the same rows, and
//! how many terminals it shows to terminal management.
//!
//! ```text
//! cargo run --release -p keyferry-store --example working_reads [seconds] [terminals]
//! ```

use std::path::Path;
use std::time::{Duration, Instant};

use keyferry_store::{
    EstateImport, Event, HostStore, ImportedTerminal, NewAcquirer, NewWorking, SignInKeys, SignInOutcome,
    SqliteOptions, SqliteStore, Store, TmsStore, WorkingKind,
};
use serde_json::json;
use wire::{Device, Kcv, Serial, Slot};

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Keys in one read: a batch of the host interface.
const BATCH: usize = 256;

/// Terminals that sign in at once, so that their acts share commits.
const AT_ONCE: usize = 256;

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let mut words = std::env::args().skip(1);
    let seconds: u64 = words.next().map_or(Ok(3), |w| w.parse())?;
    let count: usize = words.next().map_or(Ok(5_000), |w| w.parse())?;
    let span = Duration::from_secs(seconds);
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("store.sqlite");
    let store = SqliteStore::open(&path, SqliteOptions::default())?;
    let terminals = estate(&store, count).await?;

    let bare = bare_reads(&path, &terminals, span)?;
    println!("bare reads, one key each                {bare:>10.0} keys/s");
    for batch in [1, BATCH] {
        let rate = store_reads(&store, &terminals, batch, span).await?;
        println!(
            "active_working, {batch:>3} keys each          {rate:>10.0} keys/s {:>6.2} × bare",
            rate / bare
        );
    }

    let mut serials = terminals.iter().cycle();
    let rate = repeat(span, async || {
        let sn = serials.next().ok_or("no terminals")?;
        store.tms_terminal(sn).await?.ok_or("the terminal is gone")?;
        Ok(())
    })
    .await?;
    println!("tms_terminal                            {rate:>10.0} /s     {:>6.2} × bare", rate / bare);
    let rate = repeat(span, async || store.estate_version().await.map(|_| ()).map_err(Failure::from)).await?;
    println!("estate_version                          {rate:>10.0} /s     {:>6.2} × bare", rate / bare);
    Ok(())
}

/// What one connection manages with a prepared statement, key by key.
fn bare_reads(path: &Path, terminals: &[Serial], span: Duration) -> Result<f64, Failure> {
    let db = rusqlite::Connection::open(path)?;
    let mut statement = db.prepare(
        "SELECT id, block, kcv, created_at, key_serial, changed_at, uses FROM working_keys
         WHERE sn = ?1 AND slot = ?2 AND kind = ?3 AND state = 'active'",
    )?;
    let mut serials = terminals.iter().cycle();
    let started = Instant::now();
    let mut done = 0_u32;
    while started.elapsed() < span {
        for _ in 0..BATCH {
            let sn = serials.next().ok_or("no terminals")?;
            let found: (i64, String, Vec<u8>, i64, String, i64, i64) =
                statement.query_row(rusqlite::params![sn.as_str(), 0, "pik"], |row| {
                    Ok((
                        row.get(0)?,
                        row.get(1)?,
                        row.get(2)?,
                        row.get(3)?,
                        row.get(4)?,
                        row.get(5)?,
                        row.get(6)?,
                    ))
                })?;
            std::hint::black_box(found);
            done += 1;
        }
    }
    Ok(f64::from(done) / started.elapsed().as_secs_f64())
}

async fn store_reads(
    store: &SqliteStore,
    terminals: &[Serial],
    batch: usize,
    span: Duration,
) -> Result<f64, Failure> {
    let slot = Slot::new(0)?;
    let mut serials = terminals.iter().cycle();
    let rate = repeat(span, async || {
        let wanted = serials.by_ref().take(batch).map(|sn| (sn.clone(), slot, WorkingKind::Pik)).collect();
        let found = store.active_working(wanted).await?;
        if found.iter().all(Option::is_some) { Ok(()) } else { Err("a key is gone".into()) }
    })
    .await?;
    Ok(rate * f64::from(u32::try_from(batch)?))
}

/// How often an act is done in a second, one after another.
async fn repeat(span: Duration, mut act: impl AsyncFnMut() -> Result<(), Failure>) -> Result<f64, Failure> {
    let started = Instant::now();
    let mut done = 0_u32;
    while started.elapsed() < span {
        act().await?;
        done += 1;
    }
    Ok(f64::from(done) / started.elapsed().as_secs_f64())
}

/// Terminals that have moved in with a TMK and signed in.
async fn estate(store: &SqliteStore, count: usize) -> Result<Vec<Serial>, Failure> {
    let serials = (0..count).map(|n| Serial::parse(&format!("SN-{n:06}"))).collect::<Result<Vec<_>, _>>()?;
    store.put_acquirer(NewAcquirer { id: "acq".into(), name: "Acquirer".into() }, event("acquirer")).await?;
    let slot = Slot::new(0)?;
    for part in serials.chunks(1_000) {
        let terminals = part.iter().map(|sn| ImportedTerminal {
            device: Device::built_in(sn.clone()),
            vendor: Some("ACME".into()),
            model: Some("T-1".into()),
            tmks: vec![(slot, "D".repeat(144), Kcv::Tdes([1, 2, 3]))],
            dmk: None,
            terminal_id: None,
            merchant_id: None,
        });
        let import = EstateImport {
            digest: [1; 32],
            source: "benchmark".into(),
            acquirer: "acq".into(),
            terminals: terminals.collect(),
        };
        store.import_estate(import, event("estate.imported")).await?;
    }
    for part in serials.chunks(AT_ONCE) {
        let mut tasks = Vec::new();
        for sn in part {
            tasks.push(tokio::spawn(sign_in(store.clone(), sn.clone(), slot)));
        }
        for task in tasks {
            task.await??;
        }
    }
    Ok(serials)
}

async fn sign_in(store: SqliteStore, sn: Serial, slot: Slot) -> Result<(), Failure> {
    let tmk = store.slot(&sn, slot).await?.active.ok_or("the TMK is gone")?.id;
    let new = |kind| NewWorking { kind, block: "D".repeat(144), kcv: Kcv::Tdes([4, 5, 6]) };
    let keys = vec![new(WorkingKind::Pik), new(WorkingKind::Mak)];
    let keys = SignInKeys { sn: sn.clone(), slot, tmk, rnd1: vec![1; 8], keys };
    match store.begin_sign_in(keys, event("sign-in.answered")).await? {
        SignInOutcome::Stored(ids) => {
            store.confirm_sign_in(&sn, slot, ids, event("sign-in.confirmed")).await?;
            Ok(())
        }
        SignInOutcome::Gone => Err("the TMK is gone".into()),
    }
}

fn event(kind: &'static str) -> Event {
    Event::new(1_700_000_000_000, kind, "server", "benchmark", json!({}))
}
