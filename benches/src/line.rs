//! Frames over a TCP connection, as cheap as can be: the same for terminals and for the bare peer.

use std::net::SocketAddr;

use anyhow::{Context, Result, ensure};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

/// Bytes of a frame's length field.
const HEADER: usize = 2;

/// Whether one connection serves one exchange after another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Keep {
    No,
    Yes,
}

/// Bytes of the frames of an exchange, length fields included: a question and its answer, in turn.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Sizes(pub(crate) Vec<usize>);

impl Sizes {
    pub(crate) fn text(&self) -> String {
        self.0.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
    }

    pub(crate) fn from_text(text: &str) -> Result<Sizes> {
        let sizes = text.split(',').map(str::parse).collect::<Result<Vec<usize>, _>>()?;
        ensure!(sizes.len().is_multiple_of(2), "each question has its answer, and these are {}", sizes.len());
        Ok(Sizes(sizes))
    }

    /// Frames of the questions with nothing in them.
    pub(crate) fn questions(&self) -> Result<Vec<Vec<u8>>> {
        self.0.iter().step_by(2).map(|size| empty_frame(*size)).collect()
    }

    /// Frames of the answers with nothing in them.
    pub(crate) fn answers(&self) -> Result<Vec<Vec<u8>>> {
        self.0.iter().skip(1).step_by(2).map(|size| empty_frame(*size)).collect()
    }
}

/// A frame of this size with nothing in it.
fn empty_frame(size: usize) -> Result<Vec<u8>> {
    let payload = size.checked_sub(HEADER).context("a frame has a length field")?;
    let mut frame = u16::try_from(payload)?.to_be_bytes().to_vec();
    frame.resize(size, 0);
    Ok(frame)
}

/// One connection.
pub(crate) struct Line {
    stream: TcpStream,
    buffer: Vec<u8>,
    /// Bytes of the frame last given out: they go when the next one is asked for.
    given: usize,
}

impl Line {
    pub(crate) async fn connect(address: SocketAddr) -> Result<Line> {
        Line::over(TcpStream::connect(address).await?)
    }

    /// The connection kept from the last exchange, or a new one.
    pub(crate) async fn kept(kept: &mut Option<Line>, address: SocketAddr) -> Result<Line> {
        match kept.take() {
            Some(line) => Ok(line),
            None => Line::connect(address).await,
        }
    }

    pub(crate) fn over(stream: TcpStream) -> Result<Line> {
        stream.set_nodelay(true)?;
        Ok(Line { stream, buffer: Vec::with_capacity(1024), given: 0 })
    }

    pub(crate) async fn send(&mut self, frame: &[u8]) -> Result<()> {
        Ok(self.stream.write_all(frame).await?)
    }

    /// The next frame, or `None` when the peer has closed.
    pub(crate) async fn receive(&mut self) -> Result<Option<&[u8]>> {
        self.buffer.drain(..self.given);
        self.given = 0;
        loop {
            if let Some(header) = self.buffer.first_chunk::<HEADER>() {
                let size = HEADER + usize::from(u16::from_be_bytes(*header));
                if self.buffer.len() >= size {
                    self.given = size;
                    return Ok(self.buffer.get(..size));
                }
            }
            if self.stream.read_buf(&mut self.buffer).await? == 0 {
                return Ok(None);
            }
        }
    }

    /// The next frame, which must come.
    pub(crate) async fn expect(&mut self) -> Result<&[u8]> {
        self.receive().await?.context("the peer closed the connection")
    }
}
