//! Many that fetch keys at once, each connection with terminals of its own.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use anyhow::{Context, Result};

use crate::{
    line::{Keep, Line, Sizes},
    measure::{Rate, Work, repeat},
};

/// Something that fetches a key over a connection.
pub(super) trait Fetches: Send + Sync + 'static {
    /// A whole download; gives the sizes of its frames.
    fn fetch(&self, line: &mut Line) -> impl Future<Output = Result<Vec<usize>>> + Send;

    /// As far as the message in which the server proves itself, and no further. The proof is not looked at: a stranger
    /// gets one that proves nothing.
    fn first_proof(&self, line: &mut Line) -> impl Future<Output = Result<()>> + Send;
}

/// All of a kind.
pub(super) struct Fleet<T> {
    pub(super) all: Arc<[T]>,
    pub(super) address: SocketAddr,
}

impl<T: Fetches> Fleet<T> {
    pub(super) fn new(all: Vec<T>, address: SocketAddr) -> Fleet<T> {
        Fleet { all: all.into(), address }
    }

    /// One download, for the sizes of its frames.
    pub(super) async fn sizes(&self) -> Result<Sizes> {
        let one = self.all.first().context("there are terminals")?;
        Ok(Sizes(one.fetch(&mut Line::connect(self.address).await?).await?))
    }

    /// Downloads a second.
    pub(super) async fn download(&self, concurrency: usize, time: Duration, keep: Keep) -> Result<Rate> {
        let worker = |start| Downloads {
            all: Arc::clone(&self.all),
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

struct Downloads<T> {
    all: Arc<[T]>,
    address: SocketAddr,
    keep: Keep,
    line: Option<Line>,
    at: usize,
    start: usize,
    step: usize,
}

impl<T: Fetches> Work for Downloads<T> {
    async fn once(&mut self) -> Result<()> {
        if self.at >= self.all.len() {
            self.at = self.start;
        }
        let one = self.all.get(self.at).context("each connection has a terminal")?;
        self.at += self.step;
        let mut line = Line::kept(&mut self.line, self.address).await?;
        one.fetch(&mut line).await?;
        self.line = (self.keep == Keep::Yes).then_some(line);
        Ok(())
    }
}
