//! TMS_DATA through the whole server, beside the bare cipher over as many bytes.

use std::{
    net::SocketAddr,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, anyhow};
use flows::{
    Tdes,
    tms_download::messages::{Data, Get, Inventory, Plan},
    tms_session::SealPad,
};
use hsm::{
    Client, Hsm,
    commands::{AnswerTms, OpenTmsSession, SealTms, TmsSession},
};
use paycrypto::{
    TdesKey, blocks,
    keys::Dwk,
    mac::{Padding, iso9797_alg1},
};
use store::DeviceStore;
use wire::{PackageName, PackageVersion, SData, TData};

use super::{
    fleet::{Managed, ManagedFleet},
    pad::Pad,
    session,
    shop::{BULK, BULK_BYTES, RELEASE, package_of},
};
use crate::{
    children::Children,
    estate::{ACQUIRER, Estate},
    line::Line,
    measure::{Rate, Shares, Work, repeat},
    report::processors,
    table::{self, Aim},
};

/// What a terminal asks for at a time: the most that it may.
const PIECE: u32 = 32_768;
/// Blocks that a question and an answer take at most, with room for an ERROR.
const BLOCKS_A_PIECE: u64 = 4_200;

/// What was measured, in bytes of packages.
#[derive(Default)]
pub(crate) struct SealedFrames {
    through_server: Rate,
    hsm: Rate,
    one_pass: Rate,
    two_passes: Rate,
    shares: Shares,
}

impl SealedFrames {
    /// One turn.
    pub(crate) async fn turn(
        &mut self,
        estate: &Estate,
        children: &Children,
        fleet: &ManagedFleet,
        connections: usize,
        slice: Duration,
    ) -> Result<()> {
        let address = children.terminal_port()?;
        let before = Shares::now(children);
        let loading = |terminal| Loading::new(terminal, address);
        let loading = fleet.0.iter().take(connections).map(loading).collect::<Result<Vec<_>>>()?;
        self.through_server.add(bytes(repeat(loading, slice).await?));
        self.shares.add(before.since(children));
        let mut sealing = Vec::new();
        for terminal in fleet.0.iter().take(connections) {
            sealing.push(Sealing::open(estate, terminal).await?);
        }
        self.hsm.add(bytes(repeat(sealing, slice).await?));
        self.one_pass.add(passes(slice, false)?);
        self.two_passes.add(passes(slice, true)?);
        Ok(())
    }

    pub(crate) fn lines(&self) -> Vec<table::Line> {
        let line = |name: &str, what: &str, rate, against: &str, limit| {
            table::Line::new(name, (what, rate), (against, limit), Aim::None).bytes()
        };
        let (server, hsm) = ("TMS_DATA through the server", "the HSM's SealTms over its socket");
        let (one, two) = ("TDES-CBC alone, all processors", "TDES-CBC and CBC-MAC, all processors");
        vec![
            line("tms-data-two-passes", server, self.through_server, two, self.two_passes),
            line("tms-data-one-pass", server, self.through_server, one, self.one_pass),
            line("tms-data-hsm", server, self.through_server, hsm, self.hsm),
            line("tms-seal-two-passes", hsm, self.hsm, two, self.two_passes),
            line("tms-seal-one-pass", hsm, self.hsm, one, self.one_pass),
        ]
    }

    pub(crate) fn notes(&self, connections: usize) -> Vec<String> {
        let Shares { terminals, server, hsm, .. } = self.shares;
        let pieces = self.through_server.done / u64::from(PIECE);
        let each = |ticks| crate::measure::microseconds_each(ticks, pieces);
        vec![format!(
            "sealed frames: {connections} terminals at once, pieces of {PIECE} bytes, a new session for each {} MiB; \
             processor time of a piece: {} µs in the HSM, {} µs in the server, {} µs in the terminal, which opens the \
             first answer of each session only. Others took {} % of the processors",
            BULK_BYTES >> 20,
            each(hsm),
            each(server),
            each(terminals),
            self.shares.others(),
        )]
    }
}

/// Pieces as bytes.
fn bytes(rate: Rate) -> Rate {
    Rate { done: rate.done * u64::from(PIECE), ..rate }
}

/// A terminal that loads the large package, again and again, a session each time.
struct Loading {
    pad: Pad,
    address: SocketAddr,
    line: Option<Line>,
    name: PackageName,
    version: PackageVersion,
    offset: u64,
}

impl Loading {
    fn new(terminal: &std::sync::Arc<Managed>, address: SocketAddr) -> Result<Loading> {
        let (name, version) = (package_of(BULK).parse()?, RELEASE.parse()?);
        Ok(Loading { pad: Pad::new(terminal), address, line: None, name, version, offset: 0 })
    }

    fn get(&self) -> Result<Vec<u8>> {
        let get = Get {
            name: self.name.clone(),
            version: self.version.clone(),
            offset: self.offset,
            wanted: PIECE,
        };
        Ok(get.to_payload()?)
    }
}

impl Work for Loading {
    async fn once(&mut self) -> Result<()> {
        let mut line = Line::kept(&mut self.line, self.address).await?;
        let end = u64::try_from(BULK_BYTES)?;
        if self.offset >= end || self.pad.tms_blocks_left() < BLOCKS_A_PIECE {
            self.offset = 0;
            session::open(&mut line, &mut self.pad).await?;
            let inventory = Inventory { installed: Vec::new(), status: None }.to_payload()?;
            let plan =
                Plan::from_payload::<Tdes>(&session::ask(&mut line, &mut self.pad, &inventory).await?)?;
            let planned = plan.entries.first().context("the package is offered")?;
            anyhow::ensure!(planned.manifest.size == end, "another package is offered");
        }
        let get = self.get()?;
        if self.offset == 0 {
            let data = Data::from_payload::<Tdes>(&session::ask(&mut line, &mut self.pad, &get).await?)?;
            anyhow::ensure!(data.data.len() == usize::try_from(PIECE)?, "a piece has another length");
        } else {
            session::ask_unopened(&mut line, &mut self.pad, &get).await?;
        }
        self.offset += u64::from(PIECE);
        self.line = Some(line);
        Ok(())
    }
}

/// The HSM's command alone, in a session of one terminal.
struct Sealing {
    hsm: Client,
    command: SealTms,
}

impl Sealing {
    /// Opens a session by the HSM's commands, this side being server and terminal.
    async fn open(estate: &Estate, terminal: &Managed) -> Result<Sealing> {
        let (pin_pad, owner) = (terminal.sn.to_string(), ACQUIRER.to_owned());
        let known = estate.store.device(&terminal.sn).await?.context("the terminal is known")?;
        let dmk = known.dmk.context("its DMK is known")?.block;
        let mut bytes = [0; 4];
        paycrypto::random::fill(&mut bytes)?;
        let t_data = TData::new(bytes, None);
        // Whatever the frames say, the HSM only hashes them.
        let hello = vec![0, 2, 1, 0x31];
        let asked = AnswerTms {
            dmk: Some(hsm::KeyBlock::from_text(dmk)),
            pin_pad: pin_pad.clone(),
            owner: owner.clone(),
            t_data: t_data.bytes(),
            when: [0; 6],
            hello: hello.clone(),
        };
        let answer = estate.hsm.call(asked).await?;
        let context = *paycrypto::digest::sha256(&hello).first_chunk().context("a digest has 32 bytes")?;
        let dwk: Dwk = blocks::unwrap(&terminal.dmk, &answer.dwk_1, &format!("{pin_pad}/00"), &context)?;
        let s_data = SData::from_bytes(answer.s_data)?;
        let open = OpenTmsSession {
            ticket: answer.ticket,
            pin_pad: pin_pad.clone(),
            owner: owner.clone(),
            sac_1: dwk.mac(&s_data.bytes()),
            operator: None,
            transcript: hello,
            tmk: None,
        };
        let TmsSession { session, .. } = estate.hsm.call(open).await?;
        let payload = vec![0x5A; usize::try_from(PIECE)?];
        Ok(Sealing {
            hsm: estate.hsm.clone(),
            command: SealTms { session, pin_pad, owner, counter: 0, payload },
        })
    }
}

impl Work for Sealing {
    async fn once(&mut self) -> Result<()> {
        self.command.counter += 1;
        self.hsm.call(self.command.clone()).await?;
        Ok(())
    }
}

/// Bytes that all processors encrypt with nothing around it: one pass, or the two of a sealed frame.
fn passes(time: Duration, with_mac: bool) -> Result<Rate> {
    let [key, dwk] = [TdesKey::generate24()?, TdesKey::generate24()?];
    let clear = vec![0x5A; usize::try_from(PIECE)?];
    let started = Instant::now();
    let done: Result<u64> = thread::scope(|scope| {
        let all: Vec<_> = (0..processors())
            .map(|_| {
                scope.spawn(|| {
                    let mut done = 0_u64;
                    while started.elapsed() < time {
                        let encrypted = key.encrypt_cbc(&[0; 8], &clear)?;
                        if with_mac {
                            std::hint::black_box(iso9797_alg1(&dwk, Padding::Two, &encrypted)?);
                        }
                        std::hint::black_box(encrypted);
                        done += 1;
                    }
                    Ok(done)
                })
            })
            .collect();
        all.into_iter().map(|thread| thread.join().map_err(|_| anyhow!("a thread panicked"))?).sum()
    });
    Ok(bytes(Rate { done: done?, time: started.elapsed() }))
}
