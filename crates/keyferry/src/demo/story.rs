//! The story, chapter by chapter.

use std::{
    collections::BTreeMap,
    fs,
    path::Path,
    sync::atomic::{AtomicUsize, Ordering},
};

use anyhow::{Context, Result, bail};
use serde_json::Value;
use station::Error;
use store::{Store as _, verify_audit_file};
use wire::{Serial, Slot};

use super::{
    estate::Estate,
    forgery,
    report::{Report, Row},
    terminals::{Terminal, Waiting, each},
    tokens::{CardKind, Reader},
    tool::{Said, keyferry, run},
};
use crate::commands::suite::SuiteName;

/// Tells the whole story in `folder` with so many terminals.
pub(super) fn tell(
    folder: &Path,
    count: usize,
    suite: SuiteName,
    cards: CardKind,
    report: &mut Report,
) -> Result<()> {
    let reader = (cards == CardKind::Softhsm).then(|| Reader::make(folder)).transpose()?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    report.chapter(&format!("An acquirer sets up, in suite {suite}"));
    let mut estate = Estate::init(folder, suite)?;
    report.tell("root, work key in the HSM, operator and administrator card, database: keyferry init");
    let tokens = reader.map(|reader| reader.make_cards(&mut estate)).transpose()?;
    if tokens.is_some() {
        report.tell("both cards are PKCS #11 tokens now, which made their keys: keyferry ca card --token");
    }
    estate.start_server()?;
    report.check("server-and-hsm-serve", true, "the server and its HSM serve, each in a process of its own");

    let mut story = Story { estate, report, runtime, ms: BTreeMap::new() };
    let terminals = story.make_terminals(folder, count)?;
    let (known, stranger) = terminals.split_at(count);
    let shown = story.collect(known)?;
    story.upload(folder, &shown)?;
    if let Some(tokens) = &tokens {
        story.take_a_card_out(folder, tokens)?;
    }
    story.first_slot(known)?;
    story.cut_line(known)?;
    story.refuse_stranger(stranger)?;
    story.downgrade(known)?;
    story.substitute(folder)?;
    story.kill_and_restart(known)?;
    story.compare(known)?;
    story.cable_and_identity(folder)?;
    story.tamper(folder)?;
    story.factory(folder)?;
    let shops = story.keep_current(folder)?;
    story.pins(folder, &shops)?;
    story.close()
}

pub(super) struct Story<'a> {
    pub(super) estate: Estate,
    pub(super) report: &'a mut Report,
    pub(super) runtime: tokio::runtime::Runtime,
    /// Milliseconds of each download, by serial and slot.
    ms: BTreeMap<(String, u8), f64>,
}

/// Fingerprints by serial, as the terminals displayed them.
type Shown = BTreeMap<String, String>;

impl Story<'_> {
    /// `count` terminals that will be collected, and one that will not.
    fn make_terminals(&mut self, folder: &Path, count: usize) -> Result<Vec<Terminal>> {
        self.report.chapter(&format!("{count} terminals at the factory"));
        let root = self.estate.path("ca/root.pem");
        let serials: Vec<_> = (1..=count + 1).map(|n| format!("DEMO-{n:04}")).collect();
        let made = each(&serials, |sn| Terminal::make(&folder.join("terminals"), sn, &root));
        let terminals = made.into_iter().collect::<Result<Vec<_>>>()?;
        for terminal in &terminals {
            terminal.certify(&self.estate)?;
        }
        self.report.tell(match self.estate.suite {
            SuiteName::Tdes => "each has the acquirer's root burnt in, and no key yet",
            SuiteName::EcAes => {
                "each has the acquirer's root burnt in; its PIN pad made a device key, which the CA certified"
            }
        });
        Ok(terminals)
    }

    /// Collects under two cards; the package stays at the station for now.
    fn collect(&mut self, terminals: &[Terminal]) -> Result<Shown> {
        self.report.chapter("The operator collects their transport keys");
        let waiting = each(terminals, Terminal::wait).into_iter().collect::<Result<Vec<Waiting>>>()?;
        let addresses: Vec<_> = waiting.iter().map(|terminal| terminal.address.clone()).collect();
        let list = self.estate.path("terminals.list");
        fs::write(&list, addresses.join("\n"))?;

        let [operator, administrator] =
            ["operator", "administrator"].map(|role| self.estate.card_in_config(role));
        let same = self.estate.other_station("one-card", &[(administrator.as_str(), operator.as_str())])?;
        let mut one_card = self.estate.station_collect(&same)?;
        one_card.arg("--terminals-file").arg(&list).arg("--offline");
        let refused = run(&mut one_card)?;
        self.report.attack(
            "one-card",
            "one-card-refused",
            !refused.ok,
            &format!("with one card: {}", refused.error),
        );

        let mut station = self.estate.station_collect(&self.estate.path("station.toml"))?;
        let collected = run(station.arg("--terminals-file").arg(&list).arg("--offline"))?.good()?;
        let at_station = fingerprints(collected.get("collected"));
        let mut shown = Shown::new();
        for (terminal, waiting) in terminals.iter().zip(waiting) {
            shown.insert(terminal.sn.clone(), waiting.fingerprint()?);
        }
        self.report.check(
            "collected-under-two-cards",
            at_station.len() == terminals.len(),
            &format!(
                "{} of {} collected with both cards, signed by the operator",
                at_station.len(),
                terminals.len()
            ),
        );
        let agree = at_station == shown;
        self.report.check(
            "fingerprints-agree-at-station",
            agree,
            "terminals and station show the same fingerprints",
        );
        Ok(shown)
    }

    /// Forgeries first, then the true package, twice.
    fn upload(&mut self, folder: &Path, shown: &Shown) -> Result<()> {
        self.report.chapter("The station uploads to the KMS");
        let package = self.estate.waiting_package()?;
        let forged = forgery::sign_by_stranger(&package, folder, self.estate.suite)?;
        self.refuse_package("forged-signature-refused", "another CA's operator signed it", &forged)?;
        let changed = forgery::change_one_byte(&package, self.estate.suite)?;
        self.refuse_package("changed-byte-refused", "one byte of it was changed", &changed)?;

        let mut upload = keyferry(["station", "upload", "--json", "--config"])?;
        upload.arg(self.estate.path("station.toml"));
        upload.arg("--station-passphrase-file").arg(self.estate.secret("station-passphrase"));
        let said = run(&mut upload)?;
        let taken =
            said.json.pointer("/0/outcome/taken").and_then(Value::as_array).cloned().unwrap_or_default();
        let good = |result: &&Value| result["ok"] == true && result["fingerprint_agrees"] == true;
        let stored = taken.iter().filter(good).count();
        self.report.check(
            "package-taken",
            said.ok && stored == shown.len(),
            &format!("the KMS took {stored} of {} and shows the same fingerprints", shown.len()),
        );

        let again = self.estate.kms()?.offer(&package);
        let detail = format!("the same package again: {}", refusal(&again));
        self.report.attack(
            "old-package",
            "same-package-again-refused",
            matches!(again, Err(Error::Conflict { .. })),
            &detail,
        );
        Ok(())
    }

    fn refuse_package(&mut self, name: &'static str, what: &str, package: &[u8]) -> Result<()> {
        let offered = self.estate.kms()?.offer(package);
        let known =
            self.runtime.block_on(async { self.estate.store()?.overview().await.context("overview") })?;
        let refused = matches!(offered, Err(Error::Forbidden { .. })) && known.terminals == 0;
        self.report.attack("forged-upload", name, refused, &format!("{what}: {}", refusal(&offered)));
        Ok(())
    }

    fn first_slot(&mut self, terminals: &[Terminal]) -> Result<()> {
        self.report.chapter("Each terminal downloads its TMK into slot 0");
        // The last one is kept back for the next chapter.
        let (_, first) = terminals.split_last().context("no terminals")?;
        let port = self.estate.terminal_port.clone();
        let said = each(first, |terminal| terminal.download(&port, 0, None));
        let done = self.count(first, 0, said);
        self.report.check(
            "first-slot-downloaded",
            done == first.len(),
            &match self.estate.suite {
                SuiteName::Tdes => {
                    format!("{done} of {} downloaded, each proved to the other by AUK, TMK under TEK", first.len())
                }
                SuiteName::EcAes => format!(
                    "{done} of {} downloaded: ephemeral keys, each proved to the other by TK, receipts both ways",
                    first.len()
                ),
            },
        );
        Ok(())
    }

    fn cut_line(&mut self, terminals: &[Terminal]) -> Result<()> {
        self.report.chapter("A line is cut in the middle");
        let Some(terminal) = terminals.last() else { bail!("no terminals") };
        let port = self.estate.terminal_port.clone();
        let cut = terminal.download(&port, 0, Some("key"))?;
        let pending = self.pending(&terminal.sn, 0)?.context("no pending key after the cut")?;
        self.report.tell(&format!("{}: {}", terminal.sn, cut.error));
        let again = terminal.download(&port, 0, None)?;
        let kcv = again.json.get("kcv").and_then(Value::as_str).unwrap_or_default().to_owned();
        let done = self.count(std::slice::from_ref(terminal), 0, vec![Ok(again)]);
        self.report.attack(
            "cut-line",
            "cut-line-gets-the-same-key",
            !cut.ok && done == 1 && kcv == pending,
            &format!("it asked again and got the same pending key, {kcv}"),
        );
        Ok(())
    }

    fn refuse_stranger(&mut self, stranger: &[Terminal]) -> Result<()> {
        self.report.chapter("A terminal that nobody listed");
        let [stranger] = stranger else { bail!("one stranger is wanted") };
        let waiting = stranger.wait()?;
        let config = self.estate.other_station("drawer", &[])?;
        let mut collect = self.estate.station_collect(&config)?;
        run(collect.args(["--terminal", &waiting.address, "--offline"]))?.good()?;
        waiting.fingerprint()?;
        self.report.tell(&format!("{} was collected, but its package never left the drawer", stranger.sn));
        let refused = stranger.download(&self.estate.terminal_port, 0, None)?;
        self.report.attack(
            "false-terminal",
            "unlisted-terminal-refused",
            !refused.ok,
            &format!("its download: {}", refused.error),
        );
        Ok(())
    }

    /// SIGKILL while half of the terminals download into slot 1.
    fn kill_and_restart(&mut self, terminals: &[Terminal]) -> Result<()> {
        self.report.chapter("The server is killed in the middle of the second slot (SIGKILL)");
        let port = self.estate.terminal_port.clone();
        let finished = AtomicUsize::new(0);
        let half = terminals.len() / 2;
        let estate = std::sync::Mutex::new(&mut self.estate);
        let said = each(terminals, |terminal| {
            let said = terminal.download(&port, 1, None);
            if finished.fetch_add(1, Ordering::Relaxed) == half
                && let Ok(mut estate) = estate.lock()
            {
                estate.kill_server()?;
            }
            said
        });
        let before: Vec<_> = said.iter().map(|said| said.as_ref().is_ok_and(|said| said.ok)).collect();
        let done = self.count(terminals, 1, said);
        self.report.tell(&format!("{done} had finished, {} were cut off", terminals.len() - done));
        self.estate.start_server()?;
        let port = self.estate.terminal_port.clone();
        self.report.tell("the server was started again; it needed no repair");

        let mut lost = 0;
        for (terminal, _) in terminals.iter().zip(&before).filter(|(_, before)| **before) {
            let kept = self.active(&terminal.sn, 1)?;
            lost += usize::from(kept.is_none() || kept != terminal.kcv(1)?);
        }
        let left: Vec<_> =
            terminals.iter().zip(&before).filter(|(_, before)| !**before).map(|(t, _)| t.clone()).collect();
        let said = each(&left, |terminal| terminal.download(&port, 1, None));
        let finished = self.count(&left, 1, said);
        self.report.attack(
            "kill-between",
            "killed-server-loses-nothing",
            lost == 0 && finished == left.len(),
            &format!("all {done} finished keys were still there, and the other {finished} finished now"),
        );
        Ok(())
    }

    fn compare(&mut self, terminals: &[Terminal]) -> Result<()> {
        self.report.chapter("Both ends are compared");
        let mut agree = true;
        let mut seen = std::collections::BTreeSet::new();
        for terminal in terminals {
            for slot in [0, 1] {
                let kcv_terminal = terminal.kcv(slot)?.unwrap_or_else(|| "none".into());
                let kcv_kms = self.active(&terminal.sn, slot)?.unwrap_or_else(|| "none".into());
                agree &= kcv_terminal == kcv_kms && kcv_terminal != "none";
                seen.insert(kcv_terminal.clone());
                let ms = self.ms.get(&(terminal.sn.clone(), slot)).copied();
                self.report.row(Row { sn: terminal.sn.clone(), slot, kcv_terminal, kcv_kms, ms });
            }
        }
        self.report.check(
            "check-values-agree",
            agree,
            &format!("{} keys: the same check value at terminal and KMS", 2 * terminals.len()),
        );
        Ok(())
    }

    fn close(mut self) -> Result<()> {
        self.report.chapter("The day's end");
        let stopped = self.estate.stop_server()?;
        self.estate.keep_ports()?;
        self.report.check("server-stops-in-order", stopped, "the server stopped when it was asked to");
        let verdict = verify_audit_file(&self.estate.path("keyferry.db"))?;
        let detail = match &verdict.broken_at {
            None => format!("the audit's chain of {} events is unbroken", verdict.events),
            Some(broken) => format!("the audit is broken at event {}: {}", broken.seq, broken.why),
        };
        self.report.check("audit-chain-unbroken", verdict.broken_at.is_none(), &detail);
        Ok(())
    }

    /// Counts downloads that worked and notes how long they took.
    fn count(&mut self, terminals: &[Terminal], slot: u8, said: Vec<Result<Said>>) -> usize {
        let mut done = 0;
        for (terminal, said) in terminals.iter().zip(said) {
            if let Ok(said) = said
                && said.ok
            {
                done += 1;
                let ms = said.json.get("ms").and_then(Value::as_f64).unwrap_or_default();
                self.ms.insert((terminal.sn.clone(), slot), ms);
            }
        }
        done
    }

    fn pending(&self, sn: &str, slot: u8) -> Result<Option<String>> {
        Ok(self.slot(sn, slot)?.pending.map(|key| key.kcv.to_string()))
    }

    pub(super) fn active(&self, sn: &str, slot: u8) -> Result<Option<String>> {
        Ok(self.slot(sn, slot)?.active.map(|key| key.kcv.to_string()))
    }

    fn slot(&self, sn: &str, slot: u8) -> Result<store::SlotRecord> {
        let store = self.estate.store()?;
        Ok(self.runtime.block_on(store.slot(&Serial::parse(sn)?, Slot::new(slot)?))?)
    }
}

fn refusal(offered: &Result<(), Error>) -> String {
    offered.as_ref().err().map_or_else(|| "it was taken!".into(), ToString::to_string)
}

fn fingerprints(collected: Option<&Value>) -> Shown {
    let collected = collected.and_then(Value::as_array).cloned().unwrap_or_default();
    let text =
        |entry: &Value, name: &str| entry.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    collected.iter().map(|entry| (text(entry, "sn"), text(entry, "fingerprint"))).collect()
}
