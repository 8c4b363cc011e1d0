//! Many terminals that update at once through one server: how long it takes, and how much memory.

use std::{
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use flows::{
    Tdes,
    tms_download::{
        Fetch, Next, length_for,
        messages::{Data, Done, Inventory, Plan, Report},
    },
    tms_session::SealPad,
};
use serde_json::json;
use sha2::{Digest, Sha256};
use tokio::sync::Barrier;

use super::{
    fleet::{Managed, ManagedFleet},
    memory::Memory,
    pad::Pad,
    session,
    shop::{MODELS, Shop},
};
use crate::{
    children::Children,
    estate::Estate,
    line::Line,
    measure::{Rate, Shares},
    report::processors,
    table::Part,
};

/// What one terminal did.
struct Updated {
    bytes: u64,
    time: Duration,
}

/// Lets so many terminals update at once: all are connected before the first begins.
pub(crate) async fn update(
    estate: &Estate,
    children: &Children,
    shop: &Shop,
    terminals: usize,
) -> Result<Part> {
    let models = MODELS.map(|(model, _)| model);
    let fleet = ManagedFleet::register(estate, "UP", &models, terminals).await?;
    let (server, hsm) = (children.server_pid(), children.hsm_pid());
    for pid in [server, hsm] {
        Memory::begin_anew(pid);
    }
    let before = [server, hsm].map(Memory::of);
    let shares = Shares::now(children);
    let address = children.terminal_port()?;
    let start = Arc::new(Barrier::new(terminals + 1));
    let tasks: Vec<_> = fleet
        .0
        .iter()
        .map(|terminal| tokio::spawn(one(Arc::clone(terminal), address, Arc::clone(&start))))
        .collect();
    start.wait().await;
    let connected = Memory::of(server);
    let began = Instant::now();
    let (mut bytes, mut slowest, mut failures) = (0, Duration::ZERO, Vec::new());
    for task in tasks {
        match task.await? {
            Ok(updated) => {
                bytes += updated.bytes;
                slowest = slowest.max(updated.time);
            }
            Err(error) => failures.push(format!("{error:#}")),
        }
    }
    let time = began.elapsed();
    let shares = shares.since(children);
    let after = [server, hsm].map(Memory::of);
    let installed = shop.installed(estate).await?;

    let count = u64::try_from(terminals)?;
    let grown = |n: usize| {
        let (before, after) = (before.get(n).copied(), after.get(n).copied());
        after.unwrap_or_default().peak.saturating_sub(before.unwrap_or_default().now)
    };
    let (server_each, hsm_each) = (grown(0) / count.max(1), grown(1) / count.max(1));
    let rate = |done| Rate { done, time }.per_second();
    let [server_before, hsm_before] = before;
    let [server_after, hsm_after] = after;
    let mut notes = vec![
        format!(
            "estate-update: {terminals} terminals at once, packages of {} KiB, each: handshake, inventory, plan, pieces \
             of 32 KiB, SHA-256, report",
            MODELS.map(|(_, kib)| kib.to_string()).join(", ")
        ),
        format!(
            "in {:.1} s: {} MB, {:.1} terminals and {:.2} MB a second on {} processors; the slowest took {:.1} s; \
             {installed} installed as the server counts, {} failed",
            time.as_secs_f64(),
            bytes / 1_000_000,
            rate(count),
            rate(bytes) / 1e6,
            processors(),
            slowest.as_secs_f64(),
            failures.len(),
        ),
        format!(
            "server's memory: {} before, {} with all connected, {} at its peak: {server_each} bytes a terminal",
            mib(server_before.now),
            mib(connected.now),
            mib(server_after.peak),
        ),
        format!(
            "HSM's memory: {} before, {} at its peak: {hsm_each} bytes a terminal",
            mib(hsm_before.now),
            mib(hsm_after.peak),
        ),
        format!(
            "of the processor time the terminals took {} %, the server {} %, the HSM {} %; others took {} % of the \
             processors",
            percent(shares.terminals, shares.ours()),
            percent(shares.server, shares.ours()),
            percent(shares.hsm, shares.ours()),
            shares.others(),
        ),
    ];
    notes.extend(failures.first().map(|first| format!("the first failure: {first}")));
    let details = json!({ "estate_update": {
        "terminals": terminals,
        "seconds": time.as_secs_f64(),
        "slowest_seconds": slowest.as_secs_f64(),
        "bytes": bytes,
        "installed": installed,
        "failures": failures.len(),
        "server_bytes": { "before": server_before.now, "connected": connected.now, "peak": server_after.peak,
            "a_terminal": server_each },
        "hsm_bytes": { "before": hsm_before.now, "peak": hsm_after.peak, "a_terminal": hsm_each },
    }});
    Ok(Part { title: "estate-update", lines: Vec::new(), notes, details })
}

/// One terminal, from its first contact to its report.
async fn one(terminal: Arc<Managed>, address: SocketAddr, start: Arc<Barrier>) -> Result<Updated> {
    let connected = Line::connect(address).await;
    // Also one that has no connection: the others wait for it.
    start.wait().await;
    let began = Instant::now();
    let (mut line, mut pad) = (connected?, Pad::new(&terminal));
    session::open(&mut line, &mut pad).await?;
    let inventory = Inventory { installed: Vec::new(), status: None }.to_payload()?;
    let plan = Plan::from_payload::<Tdes>(&session::ask(&mut line, &mut pad, &inventory).await?)?;
    let [entry] = plan.entries.as_slice() else {
        bail!("{} packages are planned for {}, not one", plan.entries.len(), terminal.sn)
    };
    let mut fetch = Fetch::new(&entry.manifest, 0);
    let mut hash = Sha256::new();
    loop {
        match fetch.next::<Tdes>(length_for(None), pad.tms_blocks_left()) {
            Next::Get(get) => {
                let answer = session::ask(&mut line, &mut pad, &get.to_payload()?).await?;
                hash.update(fetch.on_data(Data::from_payload::<Tdes>(&answer)?)?);
            }
            Next::NeedsNewSession => session::open(&mut line, &mut pad).await.map(drop)?,
            Next::Complete => break,
        }
    }
    ensure!(hash.finalize()[..] == entry.manifest.sha256, "{} got other bytes", terminal.sn);
    let installed = vec![entry.manifest.id.clone()];
    let report = Report { installed, good: true, status: None, refusals: Vec::new() };
    Done::from_payload::<Tdes>(&session::ask(&mut line, &mut pad, &report.to_payload()?).await?)
        .context("a report is answered by DONE")?;
    Ok(Updated { bytes: fetch.have(), time: began.elapsed() })
}

fn percent(part: u64, whole: u64) -> u64 {
    (100 * part).checked_div(whole).unwrap_or_default()
}

fn mib(bytes: u64) -> String {
    let tenths = bytes * 10 / (1 << 20);
    format!("{}.{} MiB", tenths / 10, tenths % 10)
}
