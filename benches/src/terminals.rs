//! Terminals as cheap as can be: they keep their keys ready and check only what they need to answer, so that the
//! server is what is measured. All frames and keys are real.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use keyblock::{Kbpk, Version};
use paycrypto::{TdesKey, rsa::PublicKey, tk::CheckedTk};
use wire::{Fields, MessageType, Serial, Tag};

use crate::{
    children::Children,
    estate::{Estate, SLOTS},
    line::{Keep, Line, Sizes},
    measure::{Rate, Work, repeat},
    messages::{answer, frame},
    upload::{self, Package},
};

/// Terminals that the server knows.
pub(crate) struct Fleet {
    terminals: Arc<[Terminal]>,
    address: SocketAddr,
}

/// One terminal with its TK.
pub(crate) struct Terminal {
    pub(crate) sn: Serial,
    tk: CheckedTk,
    /// TEK, ready to open blocks.
    tek: Kbpk,
    downloads: AtomicU64,
}

impl Terminal {
    pub(crate) fn new(sn: &str) -> Result<Terminal> {
        let tk = CheckedTk::generate()?;
        let tek = Kbpk::new(Version::B, tk.tek().expose())?;
        Ok(Terminal { sn: Serial::parse(sn)?, tk, tek, downloads: AtomicU64::new(0) })
    }

    /// `Ctk_Pu`.
    pub(crate) fn ciphertext(&self, work: &PublicKey) -> Result<Vec<u8>> {
        Ok(work.oaep_encrypt(&self.tk.to_clear())?)
    }

    /// Fetches a TMK for the next of its slots, and gives the sizes of the frames.
    async fn download(&self, line: &mut Line) -> Result<[usize; 6]> {
        let count = self.downloads.fetch_add(1, Ordering::Relaxed);
        let slot = u8::try_from(count % u64::from(SLOTS))?;
        let mut rnd1 = count.to_be_bytes();
        rnd1[0] &= 0x7F;
        let hello = frame(MessageType::TkHello, |fields| {
            fields.push(Tag::SUITE, &[1])?;
            fields.push(Tag::SERIAL, self.sn.as_str().as_bytes())?;
            fields.push(Tag::SLOT, &[slot])?;
            fields.push(Tag::RND1, &rnd1)
        })?;
        line.send(hello.bytes()).await?;
        let (rnd2, challenge_size): ([u8; 8], _) = {
            let (challenge, size) = answer(line, &self.sn, MessageType::TkChallenge).await?;
            let crnd1 = challenge.get(Tag::CRND1).context("TK_CHALLENGE has a Crnd1")?;
            ensure!(self.tk.auk().answers(rnd1, crnd1), "the server does not hold AUK");
            (challenge.get(Tag::RND2).context("TK_CHALLENGE has a Rnd2")?.try_into()?, size)
        };
        let crnd2 = self.tk.auk().answer(rnd2);
        let reply = frame(MessageType::TkReply, |fields| fields.push(Tag::CRND2, &crnd2))?;
        line.send(reply.bytes()).await?;
        let (key, key_size) = answer(line, &self.sn, MessageType::TkKey).await?;
        let block = std::str::from_utf8(key.get(Tag::KEY_BLOCK).context("TK_KEY has a block")?)?;
        let kcv = TdesKey::from_bytes(&self.tek.unwrap(block)?.key)?.kcv();
        let confirm = frame(MessageType::KeyConfirm, |fields| {
            let mut entry = Fields::new();
            entry.push(Tag::KCV, &kcv)?;
            fields.push_template(Tag::KEY_ENTRY, entry)
        })?;
        line.send(confirm.bytes()).await?;
        let (_, done_size) = answer(line, &self.sn, MessageType::Done).await?;
        Ok([
            hello.bytes().len(),
            challenge_size,
            reply.bytes().len(),
            key_size,
            confirm.bytes().len(),
            done_size,
        ])
    }
}

impl Fleet {
    /// Makes terminals and has the server take them, as a station would.
    pub(crate) async fn collect(estate: &Estate, children: &Children, count: usize) -> Result<Fleet> {
        let terminals =
            (0..count).map(|n| Terminal::new(&format!("SN-{n:06}"))).collect::<Result<Vec<_>>>()?;
        for some in terminals.chunks(upload::PER_PACKAGE) {
            upload::send(estate, children, Package::of(estate, some)?).await?;
        }
        Ok(Fleet { terminals: terminals.into(), address: children.terminal_port()? })
    }

    pub(crate) fn serials(&self) -> impl Iterator<Item = &Serial> {
        self.terminals.iter().map(|terminal| &terminal.sn)
    }

    /// Lets each terminal download once, so that TEK and AUK are key blocks from now on.
    pub(crate) async fn first_downloads(&self, concurrency: usize) -> Result<Sizes> {
        let mut tasks = Vec::new();
        for start in 0..concurrency {
            let (terminals, address) = (Arc::clone(&self.terminals), self.address);
            tasks.push(tokio::spawn(async move {
                let mut sizes = None;
                for terminal in terminals.iter().skip(start).step_by(concurrency) {
                    sizes = Some(terminal.download(&mut Line::connect(address).await?).await?);
                }
                sizes.context("no terminals")
            }));
        }
        let mut sizes = None;
        for task in tasks {
            sizes = Some(task.await??);
        }
        sizes.map(|sizes| Sizes(sizes.into())).context("no terminals")
    }

    /// Downloads a second, each connection with terminals of its own.
    pub(crate) async fn download(&self, concurrency: usize, time: Duration, keep: Keep) -> Result<Rate> {
        let worker = |start| Downloads {
            terminals: Arc::clone(&self.terminals),
            address: self.address,
            keep,
            line: None,
            at: start,
            start,
            step: concurrency,
        };
        repeat((0..concurrency).map(worker).collect(), time).await
    }
}

struct Downloads {
    terminals: Arc<[Terminal]>,
    address: SocketAddr,
    keep: Keep,
    line: Option<Line>,
    at: usize,
    start: usize,
    step: usize,
}

impl Work for Downloads {
    async fn once(&mut self) -> Result<()> {
        let terminal = match self.terminals.get(self.at) {
            Some(terminal) => terminal,
            None => {
                self.at = self.start;
                self.terminals.get(self.start).context("each connection has a terminal")?
            }
        };
        self.at += self.step;
        let mut line = Line::kept(&mut self.line, self.address).await?;
        terminal.download(&mut line).await?;
        self.line = (self.keep == Keep::Yes).then_some(line);
        Ok(())
    }
}
