//! What the store makes durable in a second, on the server's own database file.

use std::time::Duration;

use anyhow::{Result, bail};
use store::{PendingOutcome, PutPending, SqliteStore, Store};
use wire::{Kcv, Serial, Slot};

use crate::{
    estate::{Estate, SLOTS, event},
    measure::{Rate, Work, repeat},
};

/// As long as a TMK's block under the LMK.
const BLOCK: usize = 256;

/// Audit events a second, so many at once: the smallest act that is durable when it answers.
pub(crate) async fn appends(estate: &Estate, concurrency: usize, time: Duration) -> Result<Rate> {
    let worker = |_| Append { store: estate.store.clone() };
    repeat((0..concurrency).map(worker).collect(), time).await
}

/// The same, one after the other: each is a commit of its own.
pub(crate) async fn single_commits(estate: &Estate, time: Duration) -> Result<Rate> {
    appends(estate, 1, time).await
}

/// Pairs of acts a second as a download needs them, so many at once: a key made pending, then confirmed.
pub(crate) async fn pairs(
    estate: &Estate,
    serials: impl Iterator<Item = &Serial>,
    concurrency: usize,
    time: Duration,
) -> Result<Rate> {
    let serials: Vec<_> = serials.cloned().collect();
    let worker = |start| Pair {
        store: estate.store.clone(),
        serials: serials.iter().skip(start).step_by(concurrency).cloned().collect(),
        count: 0,
    };
    repeat((0..concurrency).map(worker).collect(), time).await
}

struct Append {
    store: SqliteStore,
}

impl Work for Append {
    async fn once(&mut self) -> Result<()> {
        self.store.audit_append(event("benchmark", "SN-000001")).await?;
        Ok(())
    }
}

struct Pair {
    store: SqliteStore,
    serials: Vec<Serial>,
    count: usize,
}

impl Work for Pair {
    async fn once(&mut self) -> Result<()> {
        let count = self.count;
        self.count += 1;
        let Some(sn) = self.serials.get(count % self.serials.len().max(1)) else {
            bail!("each task has a terminal")
        };
        let slot = (count / self.serials.len().max(1)) % usize::from(SLOTS);
        let mut kcv = [0; 3];
        paycrypto::random::fill(&mut kcv)?;
        let put = PutPending {
            sn: sn.clone(),
            slot: Slot::new(u8::try_from(slot)?)?,
            tk_generation: 1,
            block: "0".repeat(BLOCK),
            kcv: Kcv::Tdes(kcv),
            load_counter: None,
        };
        match self.store.put_pending(put, event("tmk.made", sn.as_str())).await? {
            PendingOutcome::Stored(key) => {
                self.store.confirm(key.id, event("tmk.confirmed", sn.as_str())).await?;
                Ok(())
            }
            // One check value in sixteen million is taken.
            PendingOutcome::SameCheckValue => Ok(()),
            other => bail!("not stored: {other:?}"),
        }
    }
}
