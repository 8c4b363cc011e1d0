//! A line on which a sealed message is said twice: what somebody who replays can do without any key.

use std::{
    io::{Read as _, Write as _},
    net::{TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

use anyhow::Result;
use wire::{FrameDecoder, MessageType};

/// Stands between a terminal and its server, for each connection, and says the terminal's second sealed message twice.
pub(super) struct Stutter {
    pub(super) address: String,
    done: Arc<AtomicBool>,
}

impl Stutter {
    pub(super) fn before(server: &str) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?.to_string();
        let (server, done) = (server.to_owned(), Arc::new(AtomicBool::new(false)));
        let told = Arc::clone(&done);
        thread::spawn(move || {
            while let Ok((terminal, _)) = listener.accept() {
                let (server, told) = (server.clone(), Arc::clone(&told));
                thread::spawn(move || connect(terminal, &server, &told));
            }
        });
        Ok(Self { address, done })
    }

    /// Whether it came to that.
    pub(super) fn said_twice(&self) -> bool {
        self.done.load(Ordering::Relaxed)
    }
}

fn connect(terminal: TcpStream, server: &str, told: &AtomicBool) -> Option<()> {
    let server = TcpStream::connect(server).ok()?;
    let (mut back, mut to_terminal) = (server.try_clone().ok()?, terminal.try_clone().ok()?);
    thread::spawn(move || {
        // Ends with either side.
        let _ = std::io::copy(&mut back, &mut to_terminal);
        let _ = to_terminal.shutdown(std::net::Shutdown::Both);
    });
    pass(terminal, &server, told);
    let _ = server.shutdown(std::net::Shutdown::Write);
    Some(())
}

fn pass(mut terminal: TcpStream, mut server: &TcpStream, told: &AtomicBool) -> Option<()> {
    let (mut decoder, mut buffer, mut sealed) = (FrameDecoder::new(), [0; 4096], 0);
    loop {
        let read = terminal.read(&mut buffer).ok().filter(|read| *read > 0)?;
        decoder.push(buffer.get(..read)?).ok()?;
        while let Some(frame) = decoder.next().ok()? {
            server.write_all(frame.bytes()).ok()?;
            if frame.kind().ok() == Some(MessageType::Sealed) {
                sealed += 1;
                if sealed == 2 {
                    server.write_all(frame.bytes()).ok()?;
                    told.store(true, Ordering::Relaxed);
                }
            }
        }
    }
}
