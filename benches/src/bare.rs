//! What a download is measured against: the same six messages, of the same sizes, with nothing behind them.

use std::{net::SocketAddr, time::Duration};

use anyhow::Result;
use tokio::net::TcpListener;

use crate::{
    children::Children,
    line::{Keep, Line, Sizes},
    measure::{Rate, Work, repeat},
};

/// Answers each frame with the next of its own, for ever.
pub(crate) async fn serve(listener: TcpListener, sizes: Sizes) -> Result<()> {
    let [_, challenge, _, key, _, done] = sizes.0;
    let answers = [challenge, key, done].map(Sizes::empty_frame);
    let answers = answers.into_iter().collect::<Result<Vec<_>>>()?;
    let answers: &'static [Vec<u8>] = Vec::leak(answers);
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
pub(crate) async fn exchange(
    children: &Children,
    sizes: Sizes,
    concurrency: usize,
    time: Duration,
    keep: Keep,
) -> Result<Rate> {
    let address = children.bare_port()?;
    let [hello, _, reply, _, confirm, _] = sizes.0;
    let asked = [hello, reply, confirm].map(Sizes::empty_frame);
    let asked: Vec<_> = asked.into_iter().collect::<Result<_>>()?;
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
