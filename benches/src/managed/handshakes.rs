//! Handshakes of flow E beside the bare exchange of the same frames.

use std::{net::SocketAddr, time::Duration};

use anyhow::{Context, Result};

use super::{fleet::ManagedFleet, pad::Pad, session};
use crate::{
    bare,
    children::{Children, Peer},
    line::{Keep, Line, Sizes},
    measure::{Rate, Shares, Work, repeat},
    table::{self, Aim},
};

/// How long the server holds back the two answers of a handshake at least, together (2-wire.md section 8).
const GRID_MS: usize = 6;

/// What was measured.
pub(crate) struct Handshakes {
    address: SocketAddr,
    peer: Peer,
    each: Pair,
    kept: Pair,
}

#[derive(Default)]
struct Pair {
    real: Rate,
    bare: Rate,
    shares: Shares,
    shares_bare: Shares,
}

impl Handshakes {
    /// Finds out how long the frames are.
    pub(crate) async fn new(children: &mut Children, fleet: &ManagedFleet) -> Result<Handshakes> {
        let address = children.terminal_port()?;
        let mut pad = Pad::new(fleet.0.first().context("there are terminals")?);
        let sizes = session::open(&mut Line::connect(address).await?, &mut pad).await?;
        let peer = children.start_peer(Sizes(sizes.into()))?;
        Ok(Handshakes { address, peer, each: Pair::default(), kept: Pair::default() })
    }

    /// One turn.
    pub(crate) async fn turn(
        &mut self,
        children: &Children,
        fleet: &ManagedFleet,
        concurrency: usize,
        slice: Duration,
    ) -> Result<()> {
        for (pair, keep) in [(&mut self.each, Keep::No), (&mut self.kept, Keep::Yes)] {
            let before = Shares::now(children);
            let worker = |start: usize| Opening {
                pads: fleet.0.iter().skip(start).step_by(concurrency).map(Pad::new).collect(),
                next: 0,
                address: self.address,
                keep,
                line: None,
            };
            pair.real.add(repeat((0..concurrency).map(worker).collect(), slice).await?);
            pair.shares.add(before.since(children));
            let before = Shares::now(children);
            pair.bare.add(bare::exchange(&self.peer, concurrency, slice, keep).await?);
            pair.shares_bare.add(before.since(children));
        }
        Ok(())
    }

    pub(crate) fn lines(&self) -> Vec<table::Line> {
        let line = |name: &str, how: &str, pair: &Pair| {
            let (what, against) =
                (format!("handshakes of E, {how}"), format!("the four messages bare, {how}"));
            table::Line::new(name, (what, pair.real), (against, pair.bare), Aim::None)
        };
        vec![
            line("tms-handshake", "a connection each", &self.each),
            line("tms-handshake-kept", "connections kept", &self.kept),
        ]
    }

    pub(crate) fn notes(&self, concurrency: usize) -> Vec<String> {
        let Pair { real, bare, shares, shares_bare } = &self.each;
        let each = |ticks| crate::measure::microseconds_each(ticks, real.done);
        vec![format!(
            "{concurrency} at once; frames of {} bytes; processor time of a handshake: {} µs in the server, {} µs in the \
             HSM, {} µs in the terminal; a bare exchange, both sides: {} µs. Two answers leave on a grid of 3 ms, so that \
             {concurrency} at once make at most {} a second. Others took {} % of the processors",
            self.peer.sizes.text(),
            each(shares.server),
            each(shares.hsm),
            each(shares.terminals),
            shares_bare.microseconds_each(bare.done),
            concurrency * 1000 / GRID_MS,
            shares.others(),
        )]
    }
}

struct Opening {
    pads: Vec<Pad>,
    next: usize,
    address: SocketAddr,
    keep: Keep,
    line: Option<Line>,
}

impl Work for Opening {
    async fn once(&mut self) -> Result<()> {
        self.next = (self.next + 1) % self.pads.len().max(1);
        let pad = self.pads.get_mut(self.next).context("each connection has a terminal")?;
        let mut line = Line::kept(&mut self.line, self.address).await?;
        session::open(&mut line, pad).await?;
        self.line = (self.keep == Keep::Yes).then_some(line);
        Ok(())
    }
}
