//! What came out, as a table or as JSON.

use std::fmt::Write as _;

use serde_json::{Value, json};

use crate::{
    arguments::Arguments,
    line::Sizes,
    measure::{Rate, Shares},
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
    /// Of the downloads with a connection each.
    pub(crate) shares: Shares,
    /// Of the bare exchanges with a connection each.
    pub(crate) shares_bare: Shares,
}

/// One line: something beside the most that it could be.
struct Line {
    name: &'static str,
    what: &'static str,
    rate: Rate,
    against: &'static str,
    limit: Rate,
    /// Only where there is one: the other lines help to understand these.
    aim: Option<f64>,
}

impl Line {
    fn ratio(&self) -> f64 {
        let limit = self.limit.per_second();
        if limit > 0.0 { self.rate.per_second() / limit } else { 0.0 }
    }
}

impl Report {
    pub(crate) fn new(arguments: &Arguments, sizes: Sizes) -> Report {
        let none = Rate::default();
        Report {
            arguments: arguments.clone(),
            sizes,
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
            shares: Shares::default(),
            shares_bare: Shares::default(),
        }
    }

    fn lines(&self) -> [Line; 8] {
        let line = |name, what, rate, against, limit, aim| Line { name, what, rate, against, limit, aim };
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
        ]
    }

    pub(crate) fn table(&self) -> String {
        let mut text = format!(
            "\n{:<29} {:>8}   {:<41} {:>8}   {:>5}  aim\n",
            "what", "a second", "beside", "a second", "ratio"
        );
        for line in self.lines() {
            let aim = line.aim.map_or_else(|| "-".to_owned(), |aim| format!("{aim:.1}"));
            // Writing to a String cannot fail.
            let _ = writeln!(
                text,
                "{:<29} {:>8.0}   {:<41} {:>8.0}   {:>5.2}  {aim}",
                line.what,
                line.rate.per_second(),
                line.against,
                line.limit.per_second(),
                line.ratio(),
            );
        }
        let Arguments { concurrency, seconds, turns, terminals, .. } = self.arguments;
        let _ = writeln!(
            text,
            "\n{concurrency} at once, {seconds} s each in {turns} turns, {terminals} terminals; frames of {} bytes",
            self.sizes.text()
        );
        let _ = writeln!(text, "{} processors; {}", processors(), self.busy());
        let (each, bare) = self.microseconds();
        let _ = writeln!(
            text,
            "processor time: {each} µs a download, {bare} µs a bare exchange (a connection each, both sides of it)"
        );
        text
    }

    /// Of processor time, for a download and for a bare exchange.
    fn microseconds(&self) -> (u64, u64) {
        let each = self.shares.microseconds_each(self.downloads.done);
        (each, self.shares_bare.microseconds_each(self.bare.done))
    }

    fn busy(&self) -> String {
        let shares = self.shares;
        let Shares { terminals, server, hsm, machine, capacity, .. } = shares;
        let percent = |part: u64, whole: u64| (100 * part).checked_div(whole).unwrap_or_default();
        let ours = shares.ours();
        format!(
            "during downloads the terminals took {} %, the server {} %, the HSM {} % of the time spent on them, and \
             others {} % of the processors",
            percent(terminals, ours),
            percent(server, ours),
            percent(hsm, ours),
            percent(machine.saturating_sub(ours), capacity),
        )
    }

    pub(crate) fn json(&self) -> Value {
        let lines = self.lines().map(|line| {
            json!({
                "name": line.name,
                "what": line.what,
                "per_second": line.rate.per_second(),
                "against": line.against,
                "against_per_second": line.limit.per_second(),
                "ratio": line.ratio(),
                "aim": line.aim,
            })
        });
        let Shares { terminals, server, hsm, machine, capacity, .. } = self.shares;
        let (each, bare) = self.microseconds();
        json!({
            "microseconds_a_download": each,
            "microseconds_a_bare_exchange": bare,
            "lines": lines,
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

fn processors() -> usize {
    std::thread::available_parallelism().map_or(1, Into::into)
}
