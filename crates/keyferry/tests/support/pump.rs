//! What stands between a terminal and its server: a serial line, or somebody who writes down what is said.

use std::{
    fs::File,
    io::{Read, Write},
    net::{Shutdown, TcpListener, TcpStream},
    path::PathBuf,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};

/// A pseudo-terminal with a server behind it. Who closes the line, as its DTR tells a modem, hangs up.
pub(crate) struct SerialLine {
    pub(crate) path: PathBuf,
    over: Arc<AtomicBool>,
}

impl SerialLine {
    /// A line of so many bits a second: ten to a byte.
    pub(crate) fn to(server: &str, baud: u32) -> SerialLine {
        let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
        let master = openpt(flags).unwrap();
        grantpt(&master).unwrap();
        unlockpt(&master).unwrap();
        let path: PathBuf = ptsname(&master, Vec::new()).unwrap().into_string().unwrap().into();
        let over = Arc::new(AtomicBool::new(false));
        let (master, server, ends) = (File::from(master), server.to_owned(), Arc::clone(&over));
        thread::spawn(move || {
            while !ends.load(Ordering::Relaxed) {
                call(&master, &server, baud);
                // Nobody has the line open.
                thread::sleep(Duration::from_millis(2));
            }
        });
        SerialLine { path, over }
    }
}

impl Drop for SerialLine {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
    }
}

/// What a terminal says while it has the line open; the server may hang up in between.
fn call(mut line: &File, server: &str, baud: u32) {
    let mut connection: Option<TcpStream> = None;
    let mut buffer = [0; 64];
    while let Ok(read @ 1..) = line.read(&mut buffer) {
        takes(read, baud);
        let said = connection.as_mut().is_some_and(|stream| stream.write_all(&buffer[..read]).is_ok());
        if !said {
            let mut stream = TcpStream::connect(server).unwrap();
            let (from_server, to_line) = (stream.try_clone().unwrap(), line.try_clone().unwrap());
            thread::spawn(move || answer(from_server, to_line, baud));
            stream.write_all(&buffer[..read]).unwrap();
            connection = Some(stream);
        }
    }
    if let Some(stream) = connection {
        // The server may have done so before.
        let _ = stream.shutdown(Shutdown::Both);
    }
}

fn answer(mut server: TcpStream, mut line: File, baud: u32) {
    let mut buffer = [0; 64];
    while let Ok(read @ 1..) = server.read(&mut buffer) {
        takes(read, baud);
        if line.write_all(&buffer[..read]).is_err() {
            break;
        }
    }
    // What is said from here on finds nobody, and begins a new connection.
    let _ = server.shutdown(Shutdown::Both);
}

/// The time that bytes take on the line.
fn takes(bytes: usize, baud: u32) {
    let bits = u32::try_from(bytes).unwrap() * 10;
    thread::sleep(Duration::from_secs(1) * bits / baud);
}

/// A line on which everything is written down.
pub(crate) struct Tap {
    pub(crate) address: String,
    heard: Arc<Mutex<Vec<Vec<u8>>>>,
}

impl Tap {
    pub(crate) fn before(server: &str) -> Tap {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let heard: Arc<Mutex<Vec<Vec<u8>>>> = Arc::default();
        let (server, notes) = (server.to_owned(), Arc::clone(&heard));
        thread::spawn(move || {
            while let Ok((terminal, _)) = listener.accept() {
                let server = TcpStream::connect(&server).unwrap();
                let ends = (terminal.try_clone().unwrap(), server.try_clone().unwrap());
                thread::spawn(move || pass(terminal, server, None));
                let notes = Arc::clone(&notes);
                thread::spawn(move || pass(ends.1, ends.0, Some(&notes)));
            }
        });
        Tap { address, heard }
    }

    /// What the server said in each connection that has ended.
    pub(crate) fn answers(&self) -> Vec<Vec<u8>> {
        self.heard.lock().unwrap().clone()
    }
}

fn pass(mut from: TcpStream, mut to: TcpStream, notes: Option<&Mutex<Vec<Vec<u8>>>>) {
    let (mut buffer, mut all, began) = ([0; 4096], Vec::new(), Instant::now());
    while let Ok(read @ 1..) = from.read(&mut buffer) {
        all.extend_from_slice(&buffer[..read]);
        if to.write_all(&buffer[..read]).is_err() || began.elapsed() > Duration::from_secs(90) {
            break;
        }
    }
    if let Some(notes) = notes {
        notes.lock().unwrap().push(all);
    }
    // The other side may be gone already.
    let _ = to.shutdown(Shutdown::Write);
}
