//! Chapters B, C and D of the story.

use std::path::Path;

use anyhow::Result;
use serde_json::Value;

use super::{
    cable::{Eavesdropper, IDENTITY, Kld, fetch, in_mid_flow},
    estate::Estate,
    report::Row,
    story::Story,
    terminals::Terminal,
    tool::{keyferry, run},
};

/// The slot that the KLD fills, and those that the remote key server fills.
const BY_CABLE: u8 = 5;
const BY_RKS: [u8; 2] = [6, 7];

impl Story<'_> {
    /// B: a KLD loads by cable under two cards. C: with the identity it injected, the device fetches the rest itself.
    pub(super) fn cable_and_identity(&mut self, folder: &Path) -> Result<()> {
        self.report.chapter("A key loading device comes with a cable");
        let kld = Kld::make(folder, &mut self.estate)?;
        self.report
            .tell("it was certified, and two people agreed a key between it and the KMS by components");
        self.estate.stop_server()?;
        self.estate.start_server()?;
        kld.find(&self.estate)?;

        let root = self.estate.path("ca/root.pem");
        let make = |sn: &str, root: &Path, estate: &Estate| {
            let terminal = Terminal::make(&folder.join("terminals"), sn, root)?;
            terminal.certify(estate).map(|()| terminal)
        };
        let terminal = make("CABLE-1", &root, &self.estate)?;
        kld.open_run(&self.estate, &["CABLE-1", "CABLE-2"], BY_CABLE, IDENTITY)?;
        let listening = terminal.listen()?;
        let wire = Eavesdropper::before(&listening.address)?;
        let loaded = kld.load(&self.estate, &format!("CABLE-1@{}", wire.address))?;
        self.report.check(
            "loaded-by-cable",
            loaded.ok,
            &format!(
                "CABLE-1 got a TMK in slot {BY_CABLE} and its identity key: {}",
                said(loaded.ok, &loaded.error)
            ),
        );
        let refused = wire.replay(&listening.address)?;
        self.report.attack(
            "replay",
            "replayed-cable-refused",
            refused == Some(0x0005),
            &format!("what the KLD had said, said again by somebody else: {}", code(refused)),
        );
        drop(listening);

        let unlisted = make("CABLE-9", &root, &self.estate)?;
        let listening = unlisted.listen()?;
        let refused = kld.load(&self.estate, &listening.address)?;
        self.report.attack(
            "false-terminal",
            "unlisted-serial-refused",
            !refused.ok,
            "a terminal that the run does not list gets nothing",
        );
        drop(listening);

        let foreign = make("CABLE-2", &folder.join("stranger/root.pem"), &self.estate)?;
        let listening = foreign.listen()?;
        let refused = kld.load(&self.estate, &format!("CABLE-2@{}", listening.address))?;
        drop(listening);
        let empty = no_slots(&foreign.status()?);
        self.report.attack(
            "foreign-kld",
            "foreign-kld-refused",
            !refused.ok && empty,
            "a terminal of another acquirer believes this KLD nothing",
        );
        let closed = kld.close_run(&self.estate)?;
        let at_kms = self.active("CABLE-1", BY_CABLE)?;
        let agree = at_kms.is_some() && at_kms == terminal.kcv(BY_CABLE)?;
        self.report.check(
            "report-reached-the-kms",
            agree,
            &format!(
                "the run was closed; by its report the KMS knows the same key: {}",
                said(closed.ok, &closed.error)
            ),
        );
        self.note(&terminal, BY_CABLE)?;
        self.identity(&terminal, &unlisted)
    }

    fn identity(&mut self, terminal: &Terminal, stranger: &Terminal) -> Result<()> {
        self.report.chapter("The device fetches more keys by its identity (remote key server)");
        let port = self.estate.terminal_port.clone();
        let fetched = fetch(terminal.folder(), &port, &BY_RKS)?;
        let mut agree = fetched.ok;
        for slot in BY_RKS {
            let at_kms = self.active(&terminal.sn, slot)?;
            agree &= at_kms.is_some() && at_kms == terminal.kcv(slot)?;
            self.note(terminal, slot)?;
        }
        self.report.check(
            "keys-by-identity",
            agree,
            &format!(
                "slots {BY_RKS:?} filled, no transport key needed: {}",
                said(fetched.ok, &fetched.error)
            ),
        );
        let refused = fetch(stranger.folder(), &port, &BY_RKS)?;
        self.report.attack(
            "bad-factor",
            "no-identity-no-key",
            !refused.ok,
            &format!("a terminal without identity: {}", refused.error),
        );
        Ok(())
    }

    /// D: the terminal decides when it is safe.
    pub(super) fn tamper(&mut self, folder: &Path) -> Result<()> {
        self.report.chapter("The terminal decides when it is safe");
        let terminal = Terminal::make(&folder.join("terminals"), "SAFE-1", &self.estate.path("ca/root.pem"))?;
        terminal.certify(&self.estate)?;
        let station = self.estate.other_station("safe", &[])?;
        let collect = |story: &Story<'_>, address: &str| {
            let mut command = story.estate.station_collect(&station)?;
            run(command.args(["--terminal", address]))
        };

        terminal.sense("celsius", "70")?;
        let listening = terminal.listen()?;
        let hot = collect(self, &listening.address)?;
        terminal.sense("celsius", "23")?;
        let first = collect(self, &listening.address)?;
        let detail =
            "in a hot car it makes no transport key and wipes nothing; when it has cooled down it does";
        self.report.attack("unsafe-terminal", "hot-terminal-makes-no-key", !hot.ok && first.ok, detail);
        let again = collect(self, &listening.address)?;
        let same = fingerprint(&again.json) == fingerprint(&first.json) && fingerprint(&first.json).is_some();
        self.report.check(
            "asked-twice-same-answer",
            same,
            "asked again, it gives the same answer, not another key",
        );
        drop(listening);

        let port = self.estate.terminal_port.clone();
        let loaded = terminal.download(&port, 0, None)?.ok;
        let listening = terminal.listen()?;
        let late = collect(self, &listening.address)?;
        let detail = "deployed with its TMK, it makes and gives no transport key any more";
        self.report.attack("late-collecting", "deployed-terminal-not-collected", loaded && !late.ok, detail);

        drop(listening);
        let opened = terminal.clone();
        let port = in_mid_flow(&port, move || {
            // A lid that was open for a moment was open: the board counts openings.
            let _ = opened.sense("lid", "open").and_then(|()| opened.sense("lid", "closed"));
        })?;
        let refused = terminal.download(&port, 1, None)?;
        let status = terminal.status()?;
        let wiped = status["life_cycle"] == "tampered" && no_slots(&status);
        let detail =
            format!("its lid opened in the middle of a download: every key is wiped; {}", refused.error);
        self.report.attack("unsafe-terminal", "opened-lid-wipes-every-key", !refused.ok && wiped, &detail);
        self.repair(&terminal)
    }

    fn repair(&mut self, terminal: &Terminal) -> Result<()> {
        let card = self.estate.path("cards/repair.pem");
        let pin = self.estate.secret("operator-pin");
        let mut make =
            keyferry(["ca", "card", "--role", "repair-authorisation", "--subject", "Repair shop", "--ca"])?;
        make.arg(self.estate.path("ca")).arg("--ca-passphrase-file").arg(self.estate.secret("ca-passphrase"));
        run(make.arg("--pin-file").arg(&pin).arg("--out").arg(&card))?.good()?;
        let listening = terminal.listen()?;
        let mut repair =
            keyferry(["station", "repair", "--sn", &terminal.sn, "--terminal", &listening.address])?;
        repair.arg("--config").arg(self.estate.path("station.toml")).arg("--card").arg(&card);
        let repaired = run(repair.arg("--pin-file").arg(&pin))?;
        drop(listening);
        let status = terminal.status()?;
        self.report.check(
            "repaired-under-authorisation",
            repaired.ok && status["life_cycle"] == "repair",
            &format!(
                "the vendor's authorisation, for this serial and once, brings it to repair {}",
                repaired.error
            ),
        );
        let refusals = status.pointer("/refusals/records").and_then(Value::as_array).map_or(0, Vec::len);
        let detail =
            format!("it kept {refusals} records of what it refused and why, each chained to the one before");
        self.report.check("refusals-are-told", refusals > 0, &detail);
        Ok(())
    }

    /// A line of the table at the end.
    fn note(&mut self, terminal: &Terminal, slot: u8) -> Result<()> {
        let none = || "none".to_owned();
        let kcv_terminal = terminal.kcv(slot)?.unwrap_or_else(none);
        let kcv_kms = self.active(&terminal.sn, slot)?.unwrap_or_else(none);
        self.report.row(Row { sn: terminal.sn.clone(), slot, kcv_terminal, kcv_kms, ms: None });
        Ok(())
    }
}

fn no_slots(status: &Value) -> bool {
    status["slots"].as_array().is_none_or(Vec::is_empty)
}

fn fingerprint(collected: &Value) -> Option<&str> {
    collected.pointer("/collected/0/fingerprint").and_then(Value::as_str)
}

fn said(ok: bool, error: &str) -> &str {
    if ok { "done" } else { error }
}

fn code(code: Option<u16>) -> String {
    code.map_or_else(|| "it was taken!".into(), |code| format!("refused with {code:04X}"))
}
