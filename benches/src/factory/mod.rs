//! One production order, from its factory to its buyer's KMS: collected by a simulator, dispatched and imported by the
//! program itself, whose dispatch is killed in the middle and begun again.

mod houses;
mod rows;
mod simulator;

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use serde_json::json;

use self::{houses::Houses, simulator::Simulator};
use crate::{
    managed::Memory,
    measure::Rate,
    rsa,
    table::{Aim, Line, Part},
};

/// The dispatch is killed so long after it began, each time from where the last one got to.
const KILLED_AFTER: [Duration; 3] =
    [Duration::from_millis(700), Duration::from_secs(2), Duration::from_secs(5)];
/// The smallest order of which the kills leave something.
const WORTH_KILLING: usize = 20_000;
const MIB: u64 = 1 << 20;

/// Runs an order of so many terminals through both houses.
pub(crate) fn run(terminals: usize, time: Duration) -> Result<Part> {
    let folder = tempfile::tempdir()?;
    crate::say("a vendor's MTMS and a buyer's KMS");
    let houses = Houses::make(folder.path())?;
    let serials = simulator::serials(terminals);
    houses.order(&serials)?;

    crate::say(&format!("{terminals} terminals, collected by a simulator"));
    let mut simulator = Simulator::new(&houses.vendor)?;
    let collected = simulator.collect(&serials)?;

    crate::say("dispatch and import");
    let began = Instant::now();
    let mut killed = 0;
    if terminals >= WORTH_KILLING {
        for after in KILLED_AFTER {
            killed += u32::from(houses.dispatch_killed(after)?);
        }
    }
    let dispatch = houses.dispatch()?;
    let dispatched = Rate { done: u64::try_from(terminals)?, time: began.elapsed() };

    let report = houses.report()?;
    ensure!(report["accepted"] == json!(terminals), "not all were accepted: {report}");
    let known = houses.known()?;
    ensure!(known == u64::try_from(terminals)?, "the KMS knows {known} of {terminals} terminals");

    crate::say("what the machine could do at most");
    let bare_rsa = rsa::bare(time)?;
    let bare_rows = rows::bare(folder.path(), time)?;
    let lines = vec![
        Line::new(
            "factory.collected",
            ("terminals taken by the MTMS in uploads of 1000, each opened and checked", collected),
            ("RSA-2048 OAEP decryptions by aws-lc-rs, one thread a processor", bare_rsa),
            Aim::None,
        ),
        Line::new(
            "factory.dispatched",
            ("terminals dispatched and imported, with the kills", dispatched),
            ("the same", bare_rsa),
            Aim::None,
        ),
        Line::new(
            "factory.dispatched.rows",
            ("the same", dispatched),
            ("rows of the same size in a bare SQLite, 1000 to a commit", bare_rows),
            Aim::None,
        ),
    ];
    let memory = houses.memory(dispatch);
    let notes = vec![
        format!(
            "the dispatch was killed {killed} times (SIGKILL) and begun again; the KMS knows each terminal once"
        ),
        format!(
            "most memory held, MiB: dispatch {}, MTMS {}, its HSM {}, KMS {}, its HSM {}",
            memory[0].peak / MIB,
            memory[1].peak / MIB,
            memory[2].peak / MIB,
            memory[3].peak / MIB,
            memory[4].peak / MIB
        ),
        "the simulator's own work (making TKs, encrypting, signing) is not counted in what the MTMS took"
            .to_owned(),
    ];
    let peaks: Vec<_> = memory.iter().map(|memory| memory.peak).collect();
    let details = json!({ "factory": { "terminals": terminals, "killed": killed, "peak_bytes": peaks } });
    houses.stop().context("the servers did not end")?;
    Ok(Part { title: "factory", lines, notes, details })
}

/// Peaks of the five processes: dispatch, MTMS and its HSM, KMS and its HSM.
type Peaks = [Memory; 5];
