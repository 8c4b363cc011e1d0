//! What an exchange is measured against: the same messages, of the same sizes, with nothing behind them.

use std::{net::SocketAddr, time::Duration};

use anyhow::Result;
use tokio::net::TcpListener;

use crate::{
    children::Peer,
    line::{Keep, Line, Sizes},
    measure::{Rate, Work, repeat},
};

/// Answers each frame with the next of its own, for ever.
pub(crate) async fn serve(listener: TcpListener, sizes: &Sizes) -> Result<()> {
    let answers: &'static [Vec<u8>] = Vec::leak(sizes.answers()?);
    loop {
        let (stream, _) = listener.accept().await?;
        tokio::spawn(async move {
            let mut line = Line::over(stream)?;
            loop {
                for answer in answers {
                    if line.receive().await?.is_none() {
                        return Ok::<(), anyhow::Error>(());
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
