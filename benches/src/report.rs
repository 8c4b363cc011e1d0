//! What came out of the key downloads: flows A and C.

use serde_json::{Value, json};

use crate::{
    arguments::Arguments,
    line::Sizes,
    measure::{Rate, Shares, microseconds_each},
    table::{Aim, Line, Part},
};

/// All that was measured.
pub(crate) struct Report {
    arguments: Arguments,
    sizes: Sizes,
    pub(crate) downloads: Rate,
    pub(crate) bare: Rate,
    pub(crate) downloads_kept: Rate,
    pub(crate) bare_kept: Rate,
    pub(crate) appends: Rate,
    pub(crate) pairs: Rate,
    pub(crate) commits: Rate,
    pub(crate) rsa: Rate,
    pub(crate) opened: Rate,
    pub(crate) uploads: Rate,
    /// Downloads by flow C, a connection each.
    pub(crate) rks: Rate,
    /// Downloads by flow C, connections kept.
    pub(crate) rks_kept: Rate,
    /// Of the downloads with a connection each.
    pub(crate) shares: Shares,
    /// Of the bare exchanges with a connection each.
    pub(crate) shares_bare: Shares,
    /// Of the bare private operations.
    pub(crate) shares_rsa: Shares,
    /// Of the downloads by flow C with a connection each.
    pub(crate) shares_rks: Shares,
}

/// Microseconds of processor time for a download by flow C, and for two bare private operations.
struct RksTimes {
    devices: u64,
    server: u64,
    hsm: u64,
    pair: u64,
}

impl Report {
    pub(crate) fn new(arguments: &Arguments, sizes: &Sizes) -> Report {
        let none = Rate::default();
        Report {
            arguments: arguments.clone(),
            sizes: sizes.clone(),
            downloads: none,
            bare: none,
            downloads_kept: none,
            bare_kept: none,
            appends: none,
            pairs: none,
            commits: none,
            rsa: none,
            opened: none,
            uploads: none,
            rks: none,
            rks_kept: none,
            shares: Shares::default(),
            shares_bare: Shares::default(),
            shares_rsa: Shares::default(),
            shares_rks: Shares::default(),
        }
    }

    /// Everything, to be shown.
    pub(crate) fn part(&self) -> Part {
        Part { title: "keys", lines: self.lines().into(), notes: self.notes(), details: self.details() }
    }

    fn lines(&self) -> [Line; 10] {
        let line = |name: &str, what: &str, rate, against: &str, limit, aim: Option<f64>| {
            Line::new(name, (what, rate), (against, limit), aim.map_or(Aim::None, Aim::Ratio))
        };
        let (each, kept) = ("downloads, a connection each", "downloads, connections kept");
        [
            line(
                "exchange",
                each,
                self.downloads,
                "the six messages bare, a connection each",
                self.bare,
                Some(0.4),
            ),
            line(
                "exchange-kept",
                kept,
                self.downloads_kept,
                "the six messages bare, connections kept",
                self.bare_kept,
                None,
            ),
            line(
                "durable",
                each,
                self.downloads,
                "durable audit events, as many at once",
                self.appends,
                Some(0.3),
            ),
            line(
                "durable-pairs",
                each,
                self.downloads,
                "key made + confirmed, as many at once",
                self.pairs,
                None,
            ),
            line(
                "durable-kept",
                kept,
                self.downloads_kept,
                "durable audit events, as many at once",
                self.appends,
                None,
            ),
            line("durable-single", each, self.downloads, "commits one after the other", self.commits, None),
            line(
                "rsa",
                "TKs opened by the HSM",
                self.opened,
                "RSA-2048 private operations",
                self.rsa,
                Some(0.9),
            ),
            line(
                "rsa-upload",
                "terminals taken in uploads",
                self.uploads,
                "RSA-2048 private operations",
                self.rsa,
                None,
            ),
            line(
                "rks",
                "flow C, a connection each",
                self.rks,
                "pairs of RSA-2048 private operations",
                self.rsa.half(),
                Some(0.85),
            ),
            line(
                "rks-kept",
                "flow C, connections kept",
                self.rks_kept,
                "pairs of RSA-2048 private operations",
                self.rsa.half(),
                None,
            ),
        ]
    }

    fn notes(&self) -> Vec<String> {
        let Arguments { concurrency, seconds, turns, terminals, .. } = self.arguments;
        let (each, bare) = self.microseconds();
        let RksTimes { devices, server, hsm, pair } = self.rks_times();
        vec![
            format!(
                "{concurrency} at once, {seconds} s each in {turns} turns, {terminals} terminals; frames of {} bytes",
                self.sizes.text()
            ),
            format!("{} processors; {}", processors(), self.busy()),
            format!(
                "processor time: {each} µs a download, {bare} µs a bare exchange (a connection each, both sides of it)"
            ),
            format!(
                "processor time of flow C: {hsm} µs in the HSM, {server} µs in the server, {devices} µs in the device; \
                 two bare private operations take {pair} µs"
            ),
        ]
    }

    /// Of processor time, for a download and for a bare exchange.
    fn microseconds(&self) -> (u64, u64) {
        let each = self.shares.microseconds_each(self.downloads.done);
        (each, self.shares_bare.microseconds_each(self.bare.done))
    }

    fn rks_times(&self) -> RksTimes {
        let each = |ticks| microseconds_each(ticks, self.rks.done);
        let Shares { terminals, server, hsm, .. } = self.shares_rks;
        let pair = self.shares_rsa.microseconds_each(self.rsa.done / 2);
        RksTimes { devices: each(terminals), server: each(server), hsm: each(hsm), pair }
    }

    fn busy(&self) -> String {
        let shares = self.shares;
        let Shares { terminals, server, hsm, .. } = shares;
        let percent = |part: u64, whole: u64| (100 * part).checked_div(whole).unwrap_or_default();
        let ours = shares.ours();
        format!(
            "during downloads the terminals took {} %, the server {} %, the HSM {} % of the time spent on them, and \
             others {} % of the processors",
            percent(terminals, ours),
            percent(server, ours),
            percent(hsm, ours),
            shares.others(),
        )
    }

    fn details(&self) -> Value {
        let Shares { terminals, server, hsm, machine, capacity, .. } = self.shares;
        let (each, bare) = self.microseconds();
        let rks = self.rks_times();
        json!({
            "microseconds_a_download": each,
            "microseconds_a_bare_exchange": bare,
            "microseconds_of_flow_c": {
                "devices": rks.devices,
                "server": rks.server,
                "hsm": rks.hsm,
                "two_bare_private_operations": rks.pair,
            },
            "concurrency": self.arguments.concurrency,
            "seconds": self.arguments.seconds,
            "turns": self.arguments.turns,
            "terminals": self.arguments.terminals,
            "frame_bytes": self.sizes.0,
            "processors": processors(),
            "ticks_during_downloads": {
                "terminals": terminals,
                "server": server,
                "hsm": hsm,
                "machine": machine,
                "capacity": capacity,
            },
        })
    }
}

pub(crate) fn processors() -> usize {
    std::thread::available_parallelism().map_or(1, Into::into)
}
