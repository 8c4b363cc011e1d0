//! Chapter: somebody takes the administrator card out in the middle of a collection.

use std::{fs, net::TcpListener, path::Path, process::Stdio};

use anyhow::{Context as _, Result};
use serde_json::Value;
use station::Journal;

use super::{
    story::Story,
    terminals::Terminal,
    tokens::Tokens,
    tool::{keyferry, run, said},
};

impl Story<'_> {
    /// Two terminals: one has been collected, the other is being asked, and then a card goes. Nothing is packed until both
    /// cards are there again.
    pub(super) fn take_a_card_out(&mut self, folder: &Path, tokens: &Tokens) -> Result<()> {
        self.report.chapter("The administrator takes the card out in the middle of a collection");
        let root = self.estate.path("ca/root.pem");
        let [first, second] = ["DEMO-CARD-1", "DEMO-CARD-2"];
        let make = |sn| Terminal::make(&folder.join("terminals"), sn, &root);
        let (first, second) = (make(first)?, make(second)?);
        first.certify(&self.estate)?;
        second.certify(&self.estate)?;
        // One after the other: when the second is being asked, the first one's answer is kept.
        let config = self.estate.other_station("interrupted", &[("parallel = 16", "parallel = 1")])?;
        let journal = self.estate.path("station/interrupted");

        // The second terminal's line is one that takes what the station says, and is silent.
        let silent = TcpListener::bind("127.0.0.1:0")?;
        let waiting = first.wait()?;
        let list = self.estate.path("interrupted.list");
        fs::write(&list, format!("{}\n{}", waiting.address, silent.local_addr()?))?;
        let mut collect = self.estate.station_collect(&config)?;
        collect.arg("--terminals-file").arg(&list).arg("--offline");
        let station = collect.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
        let (asked, _) = silent.accept().context("the second terminal was not asked")?;
        waiting.fingerprint()?;
        let card = tokens.take_out("administrator")?;
        let ended = said(&station.wait_with_output()?);
        // Only now: the station did not wait for this line.
        drop(asked);
        let why = ended.json["error"].as_str().unwrap_or_default();
        self.report.check(
            "card-taken-out-stops-collection",
            !ended.ok && why.contains("KF-administrator"),
            &format!("it stopped while a terminal was being asked: {why}"),
        );
        let (unpacked, packed) = self.kept(&journal)?;
        self.report.check(
            "nothing-packed-without-both-cards",
            (unpacked, packed) == (1, 0),
            &format!("{unpacked} terminal had answered and is in the journal; {packed} packages were made"),
        );
        let waiting = second.wait()?;
        let mut alone = self.estate.station_collect(&config)?;
        let refused = run(alone.args(["--terminal", &waiting.address, "--offline"]))?;
        self.report.check(
            "no-collection-with-one-token",
            !refused.ok,
            &format!("with the operator card alone: {}", refused.error),
        );

        card.put_back()?;
        let mut rest = self.estate.station_collect(&config)?;
        run(rest.args(["--terminal", &waiting.address, "--offline"]))?.good()?;
        waiting.fingerprint()?;
        let mut upload = keyferry(["station", "upload", "--json", "--config"])?;
        upload.arg(&config).arg("--station-passphrase-file").arg(self.estate.secret("station-passphrase"));
        let uploads = run(&mut upload)?.good()?;
        let taken = taken(&uploads);
        self.report.check(
            "put-back-and-finished",
            taken == 2,
            &format!("with both cards again the rest was collected, and the KMS took {taken} of 2"),
        );
        Ok(())
    }

    /// How many terminals wait in a journal for a package, and how many packages wait for the server.
    fn kept(&self, journal: &Path) -> Result<(usize, usize)> {
        let passphrase = fs::read_to_string(self.estate.secret("station-passphrase"))?;
        let journal = Journal::open(journal, passphrase.trim_end())?;
        let unpacked = journal.unpacked().iter().map(|run| run.terminals.len()).sum();
        Ok((unpacked, journal.waiting().len()))
    }
}

/// Terminals that the KMS took, over all packages of an upload.
fn taken(uploads: &Value) -> usize {
    let packages = uploads.as_array().map(Vec::as_slice).unwrap_or_default();
    let results = packages.iter().filter_map(|package| package.pointer("/outcome/taken")?.as_array());
    results.flatten().filter(|result| result["ok"] == true && result["fingerprint_agrees"] == true).count()
}
