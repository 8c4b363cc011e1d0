//! Frames over a byte stream, with the wire's limits of time.

use std::{future::Future, io, time::Duration};

use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    time::{Instant, timeout, timeout_at},
};
use wire::{ErrorCode, Frame, FrameDecoder, Malformed};

const READ_BYTES: usize = 4096;

/// A connection that frames come and go on.
pub(crate) struct Link<S> {
    stream: S,
    decoder: FrameDecoder,
    buffer: Box<[u8; READ_BYTES]>,
    idle: Duration,
    message: Duration,
}

/// Why no frame came.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LinkError {
    /// The peer closed between two messages.
    #[error("the peer closed the connection")]
    Closed,
    /// The peer closed, or the line broke, in the middle of a message.
    #[error("the connection broke: {0}")]
    Broken(#[from] io::Error),
    /// No byte for too long, or a message took too long.
    #[error("the peer was silent for too long")]
    Silent,
    /// What came is no frame.
    #[error("{0}")]
    Malformed(#[from] Malformed),
}

impl<S: AsyncRead + AsyncWrite + Unpin> Link<S> {
    pub(crate) fn new(stream: S, idle: Duration, message: Duration) -> Self {
        Self { stream, decoder: FrameDecoder::new(), buffer: Box::new([0; READ_BYTES]), idle, message }
    }

    /// The next frame. Dropping the future loses nothing that has come.
    pub(crate) async fn receive(&mut self) -> Result<Frame, LinkError> {
        let until = Instant::now() + self.message;
        loop {
            if let Some(frame) = self.decoder.next()? {
                return Ok(frame);
            }
            let read = in_time(self.idle, until, self.stream.read(&mut self.buffer[..])).await?;
            match self.buffer.get(..read) {
                Some([]) | None if !self.decoder.is_inside_frame() => return Err(LinkError::Closed),
                Some([]) | None => return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into()),
                Some(bytes) => self.decoder.push(bytes)?,
            }
        }
    }

    /// Sends one frame.
    pub(crate) async fn send(&mut self, frame: &Frame) -> Result<(), LinkError> {
        let until = Instant::now() + self.message;
        let stream = &mut self.stream;
        let sending = async {
            stream.write_all(frame.bytes()).await?;
            stream.flush().await
        };
        in_time(self.idle, until, sending).await
    }

    /// Says why, as far as the peer may know, and closes.
    pub(crate) async fn end_with(&mut self, code: ErrorCode) {
        // The peer may be gone already: then there is nobody to tell.
        let _ = self.send(&wire::error_frame(code, code.text())).await;
        let _ = timeout(self.idle, self.stream.shutdown()).await;
    }
}

async fn in_time<T>(
    idle: Duration,
    until: Instant,
    work: impl Future<Output = io::Result<T>>,
) -> Result<T, LinkError> {
    let until = until.min(Instant::now() + idle);
    Ok(timeout_at(until, work).await.map_err(|_| LinkError::Silent)??)
}
