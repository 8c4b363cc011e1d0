//! A connection to a terminal port.

use std::{
    io::{self, Read, Write},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

use super::tlv::{self, Message};

/// How a conversation ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// ERROR with this code, then the end of the stream.
    Code(u16),
    /// The end of the stream, and nothing else.
    Closed,
}

/// One connection. Keeps every byte that came.
pub(crate) struct Line<S = TcpStream> {
    stream: S,
    received: Vec<u8>,
}

pub(crate) fn connect(address: SocketAddr) -> Line {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    stream.set_nodelay(true).unwrap();
    Line::over(stream)
}

impl<S: Read + Write> Line<S> {
    pub(crate) fn over(stream: S) -> Line<S> {
        Line { stream, received: Vec::new() }
    }

    pub(crate) fn send(&mut self, frame: &[u8]) {
        self.stream.write_all(frame).unwrap();
        self.stream.flush().unwrap();
    }

    /// Sends to a peer that may have closed already.
    pub(crate) fn try_send(&mut self, frame: &[u8]) {
        let _ = self.stream.write_all(frame).and_then(|()| self.stream.flush());
    }

    /// The next message, or nothing when the peer has closed.
    pub(crate) fn receive(&mut self) -> Option<Message> {
        let mut head = [0; 2];
        if !self.fill(&mut head) {
            return None;
        }
        let mut frame = head.to_vec();
        frame.resize(2 + usize::from(u16::from_be_bytes(head)), 0);
        assert!(self.fill(&mut frame[2..]), "the peer closed inside a frame");
        Some(Message::read(&frame))
    }

    /// The next message, which must be of this type; or how the peer ended it.
    pub(crate) fn expect(&mut self, kind: u8) -> Result<Message, End> {
        let Some(message) = self.receive() else { return Err(End::Closed) };
        if message.kind == tlv::ERROR {
            let code = message.get(tlv::ERROR_CODE);
            let code = u16::from_be_bytes(code.try_into().unwrap());
            assert!(self.receive().is_none(), "something came after ERROR");
            return Err(End::Code(code));
        }
        assert_eq!(message.kind, kind, "{message:02X?}");
        Ok(message)
    }

    /// How the peer ends the conversation, which it must do now.
    pub(crate) fn end(&mut self) -> End {
        self.expect(tlv::ERROR).unwrap_err()
    }

    /// Every byte that came.
    pub(crate) fn received(&self) -> &[u8] {
        &self.received
    }

    /// False at the end of the stream.
    fn fill(&mut self, buffer: &mut [u8]) -> bool {
        match self.stream.read_exact(buffer) {
            Ok(()) => {
                self.received.extend_from_slice(buffer);
                true
            }
            Err(error) => {
                let over = matches!(
                    error.kind(),
                    io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe
                );
                assert!(over, "reading failed: {error}");
                false
            }
        }
    }
}
