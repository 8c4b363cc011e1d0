//! What an exchange is measured against: the same messages, of the same sizes, with nothing behind them.

use std::{net::SocketAddr, time::Duration};

use anyhow::Result;
use store::{SqliteStore, Store};
use tokio::net::TcpListener;

use crate::{
    children::Peer,
    estate::event,
    line::{Keep, Line, Sizes},
    measure::{Rate, Work, repeat},
};

/// The last answers of every download are sent after a durable act each: the key made, the key confirmed.
const COMMITS: usize = 2;

/// Answers each frame with the next of its own, for ever; with a store, after as many commits as a download takes.
pub(crate) async fn serve(listener: TcpListener, sizes: &Sizes, store: Option<SqliteStore>) -> Result<()> {
    let answers: &'static [Vec<u8>] = Vec::leak(sizes.answers()?);
    loop {
        let (stream, _) = listener.accept().await?;
        let store = store.clone();
        tokio::spawn(async move {
            let mut line = Line::over(stream)?;
            loop {
                for (at, answer) in answers.iter().enumerate() {
                    if line.receive().await?.is_none() {
                        return Ok::<(), anyhow::Error>(());
                    }
                    if let Some(store) = &store
                        && at + COMMITS >= answers.len()
                    {
                        store.audit_append(event("benchmark", "SN-000001")).await?;
                    }
                    line.send(answer).await?;
                }
            }
        });
    }
}

/// Exchanges a second with the bare peer.
pub(crate) async fn exchange(peer: &Peer, concurrency: usize, time: Duration, keep: Keep) -> Result<Rate> {
    let (address, asked) = (peer.address, peer.sizes.questions()?);
    let worker = || Exchange { address, keep, line: None, asked: asked.clone() };
    repeat((0..concurrency).map(|_| worker()).collect(), time).await
}

struct Exchange {
    address: SocketAddr,
    keep: Keep,
    line: Option<Line>,
    asked: Vec<Vec<u8>>,
}

impl Work for Exchange {
    async fn once(&mut self) -> Result<()> {
        let mut line = Line::kept(&mut self.line, self.address).await?;
        for frame in &self.asked {
            line.send(frame).await?;
            line.expect().await?;
        }
        self.line = (self.keep == Keep::Yes).then_some(line);
        Ok(())
    }
}
