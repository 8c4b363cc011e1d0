//! What the demo says: a story for people, or one JSON document.

use std::time::Instant;

use serde_json::{Value, json};

use crate::show;

/// Collects checks and rows; prints the story as it goes, unless JSON was asked for.
pub(super) struct Report {
    json: bool,
    began: Instant,
    checks: Vec<Check>,
    rows: Vec<Row>,
}

struct Check {
    name: &'static str,
    ok: bool,
    detail: String,
    /// The attack that was tried, as `docs/security.md` calls it.
    attack: Option<&'static str>,
    /// The suite does not stop it: people see it.
    seen: bool,
}

/// One key of one terminal, as both ends have it.
pub(super) struct Row {
    pub(super) sn: String,
    pub(super) slot: u8,
    pub(super) kcv_terminal: String,
    pub(super) kcv_kms: String,
    /// How long its download took, where it was measured.
    pub(super) ms: Option<f64>,
}

/// Rows of the table that people are shown; JSON has all.
const ROWS_SHOWN: usize = 60;

impl Report {
    pub(super) fn new(json: bool) -> Self {
        Self { json, began: Instant::now(), checks: Vec::new(), rows: Vec::new() }
    }

    /// A new part of the story.
    pub(super) fn chapter(&self, title: &str) {
        self.say(&format!("\n{title}"));
    }

    /// A line of the story.
    pub(super) fn tell(&self, text: &str) {
        self.say(&format!("  {text}"));
    }

    /// Something that must hold.
    pub(super) fn check(&mut self, name: &'static str, ok: bool, detail: &str) {
        self.say(&format!("  [{}] {detail}", if ok { "ok" } else { "FAILED" }));
        self.checks.push(Check { name, ok, detail: detail.to_owned(), attack: None, seen: false });
    }

    /// An attack, by the name that `docs/security.md` has for it, which must fail; `detail` says how it did.
    pub(super) fn attack(&mut self, attack: &'static str, name: &'static str, ok: bool, detail: &str) {
        self.check(name, ok, detail);
        if let Some(check) = self.checks.last_mut() {
            check.attack = Some(attack);
        }
    }

    /// An attack that the suite cannot stop, and how people see that it happened.
    pub(super) fn seen(&mut self, attack: &'static str, name: &'static str, ok: bool, detail: &str) {
        self.attack(attack, name, ok, detail);
        if let Some(check) = self.checks.last_mut() {
            check.seen = true;
        }
    }

    pub(super) fn row(&mut self, row: Row) {
        self.rows.push(row);
    }

    /// Prints table and verdict, or the document. True when everything held.
    pub(super) fn finish(self) -> bool {
        let ok = !self.checks.is_empty() && self.checks.iter().all(|check| check.ok);
        let seconds = self.began.elapsed().as_secs_f64();
        if self.json {
            say!("{}", self.document(ok, seconds));
            return ok;
        }
        say!("\nEvery key, at both ends");
        let row = |row: &Row| {
            let ms = row.ms.map_or_else(String::new, |ms| format!("{ms:.1}"));
            vec![
                row.sn.clone(),
                format!("{:02}", row.slot),
                row.kcv_terminal.clone(),
                row.kcv_kms.clone(),
                ms,
            ]
        };
        let shown: Vec<_> = self.rows.iter().take(ROWS_SHOWN).map(row).collect();
        show::table(&["terminal", "slot", "KCV at the terminal", "KCV at the KMS", "ms"], &shown);
        if self.rows.len() > ROWS_SHOWN {
            say!("  … and {} more; --json has them all", self.rows.len() - ROWS_SHOWN);
        }
        self.show_attacks();
        let held = self.checks.iter().filter(|check| check.ok).count();
        say!("\n{held} of {} checks hold, in {seconds:.1} s", self.checks.len());
        for check in self.checks.iter().filter(|check| !check.ok) {
            say!("FAILED {}: {}", check.name, check.detail);
        }
        if ok {
            say!("Everything held: no key was lost, none was seen, and nobody got one who should not.");
        }
        ok
    }

    fn show_attacks(&self) {
        say!("\nAttacks tried, and how each failed");
        let tried = self.checks.iter().filter_map(|check| Some((check.attack?, check)));
        let rows: Vec<_> = tried
            .map(|(attack, check)| {
                let result = match (check.ok, check.seen) {
                    (true, false) => "failed",
                    (true, true) => "WAS SEEN",
                    (false, _) => "SUCCEEDED",
                };
                vec![attack.to_owned(), result.to_owned(), check.detail.clone()]
            })
            .collect();
        show::table(&["attack", "it", "how"], &rows);
        say!("  docs/security.md has the whole list of attacks, each with its test.");
    }

    fn document(&self, ok: bool, seconds: f64) -> Value {
        json!({
            "ok": ok,
            "version": env!("CARGO_PKG_VERSION"),
            "seconds": seconds,
            "checks": self.checks.iter().map(|check| {
                json!({ "name": check.name, "ok": check.ok, "detail": check.detail, "attack": check.attack })
            }).collect::<Vec<_>>(),
            "keys": self.rows.iter().map(|row| {
                json!({ "terminal": row.sn, "slot": row.slot, "kcv_terminal": row.kcv_terminal,
                        "kcv_kms": row.kcv_kms, "ms": row.ms })
            }).collect::<Vec<_>>(),
        })
    }

    fn say(&self, text: &str) {
        if !self.json {
            say!("{text}");
        }
    }
}
