//! Attacks on the collecting of keys that need more than a changed byte.

use std::{
    fs,
    io::{Read as _, Write as _},
    net::TcpStream,
    path::Path,
    time::Duration,
};

use anyhow::{Context as _, Result, bail};
use serde_json::Value;
use wire::{ErrorMessage, Fields, Frame, FrameDecoder, MessageType, Suite, Tag};

use super::{
    story::Story,
    terminals::Terminal,
    tool::{good, keyferry, run},
};
use crate::commands::suite::SuiteName;

/// A terminal on its way to its shop.
const VICTIM: &str = "VICTIM-1";

impl Story<'_> {
    /// Somebody puts a PIN pad of his own in a terminal's place, before both genuine cards.
    pub(super) fn substitute(&mut self, folder: &Path) -> Result<()> {
        self.report.chapter("Somebody brings a PIN pad of his own, under a true terminal's serial");
        let root = self.estate.path("ca/root.pem");
        let victim = Terminal::make(&folder.join("terminals"), VICTIM, &root)?;
        victim.certify(&self.estate)?;
        let forged = Terminal::make(&folder.join("forger"), VICTIM, &root)?;
        match self.estate.suite {
            SuiteName::EcAes => self.substitute_02(folder, &forged),
            SuiteName::Tdes => self.substitute_01(&victim, &forged),
        }
    }

    /// The forger certifies its device key himself; nobody else would.
    fn substitute_02(&mut self, folder: &Path, forged: &Terminal) -> Result<()> {
        let (ca, secret) = (folder.join("forger/ca"), self.estate.secret("ca-passphrase"));
        let mut root =
            keyferry(["ca", "root", "--subject", "DEMO root", "--organisation", "Demo Bank", "--ca"])?;
        good(root.arg(&ca).arg("--ca-passphrase-file").arg(&secret))?;
        forged.certify_under(&ca, &secret)?;
        let collected = self.collect_one(forged, "forged")?;
        self.report.attack(
            "substitute-tk",
            "substituted-key-refused",
            !collected.ok,
            &format!("a PIN pad whose device certificate nobody here issued: {}", why(&collected)),
        );
        Ok(())
    }

    /// Nothing tells the two apart but what they display.
    fn substitute_01(&mut self, victim: &Terminal, forged: &Terminal) -> Result<()> {
        let config = self.estate.path("station.toml");
        let waiting = forged.wait()?;
        let mut collect = self.estate.station_collect(&config)?;
        let taken = run(collect.args(["--terminal", &waiting.address]))?.good()?;
        drop(waiting);
        let at_kms = taken.pointer("/collected/0/fingerprint").and_then(Value::as_str).unwrap_or_default();
        let true_one = self.collect_one(victim, "true")?.good()?;
        let displayed =
            true_one.pointer("/collected/0/fingerprint").and_then(Value::as_str).unwrap_or_default();
        let refused = victim.download(&self.estate.terminal_port, 0, None)?;
        self.report.seen(
            "substitute-tk",
            "substituted-key-seen",
            !at_kms.is_empty() && at_kms != displayed && !refused.ok,
            &format!("suite 1 cannot tell: the KMS shows {at_kms}, the true terminal displays {displayed}"),
        );
        Ok(())
    }

    /// Collects one terminal into a drawer.
    fn collect_one(&mut self, terminal: &Terminal, drawer: &str) -> Result<super::tool::Said> {
        let config = self.estate.other_station(drawer, &[])?;
        let waiting = terminal.wait()?;
        let mut collect = self.estate.station_collect(&config)?;
        run(collect.args(["--terminal", &waiting.address, "--offline"]))
    }

    /// A terminal of suite 02 is asked for, and given out to be, of suite 01.
    pub(super) fn downgrade(&mut self, terminals: &[Terminal]) -> Result<()> {
        let (SuiteName::EcAes, [terminal, ..]) = (self.estate.suite, terminals) else { return Ok(()) };
        let code = ask_in_suite_01(&self.estate.terminal_port, &terminal.sn)?;
        self.report.attack(
            "downgrade",
            "lower-suite-refused",
            code == 0x0006,
            &format!("{} is called for in suite 1: answered like a stranger, {code:04X}", terminal.sn),
        );
        Ok(())
    }
}

/// Why the station refused its one terminal.
fn why(collected: &super::tool::Said) -> &str {
    let refused = collected.json.pointer("/failed/0").and_then(Value::as_str);
    refused.unwrap_or(collected.error.as_str())
}

/// Says TK_HELLO of suite 01 for a serial, and TK_REPLY by chance; gives the code of the ERROR that ends it.
fn ask_in_suite_01(server: &str, sn: &str) -> Result<u16> {
    let mut random = [0; 16];
    fs::File::open("/dev/urandom")?.read_exact(&mut random)?;
    let (rnd1, crnd2) = random.split_at_mut(8);
    if let Some(first) = rnd1.first_mut() {
        *first &= 0x7F;
    }
    let mut hello = Fields::new();
    hello.push(Tag::SUITE, &[Suite::TDES.byte()])?;
    hello.push(Tag::SERIAL, sn.as_bytes())?;
    hello.push(Tag::SLOT, &[0])?;
    hello.push(Tag::RND1, rnd1)?;
    let mut reply = Fields::new();
    reply.push(Tag::CRND2, crnd2)?;
    let mut line = TcpStream::connect(server)?;
    line.set_read_timeout(Some(Duration::from_secs(10)))?;
    line.write_all(Frame::new(MessageType::TkHello, &hello)?.bytes())?;
    let challenge = receive(&mut line)?;
    if challenge.kind()? != MessageType::TkChallenge {
        bail!("the server told a stranger something: {}", challenge.kind()?);
    }
    line.write_all(Frame::new(MessageType::TkReply, &reply)?.bytes())?;
    let refused = receive(&mut line)?.message()?;
    Ok(ErrorMessage::read(&refused.fields).code)
}

fn receive(line: &mut TcpStream) -> Result<Frame> {
    let mut decoder = FrameDecoder::new();
    let mut buffer = [0; 1024];
    loop {
        let read = line.read(&mut buffer).context("the server said nothing")?;
        if read == 0 {
            bail!("the server closed the line");
        }
        decoder.push(buffer.get(..read).unwrap_or_default())?;
        if let Some(frame) = decoder.next()? {
            return Ok(frame);
        }
    }
}
