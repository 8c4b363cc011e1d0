//! A terminal of the product's, and the other side of its line in the tester's hands.

use std::{
    net::TcpListener,
    os::unix::net::UnixStream,
    sync::atomic::{AtomicBool, Ordering},
    thread,
};

use terminal::{Terminal, listen};
use wire::Slot;

use crate::support::line::{Line, connect};

/// Lets a terminal act over a stream, and plays the other side of it.
pub(crate) fn against<T: Send, R>(
    act: impl FnOnce(UnixStream) -> T + Send,
    play: impl FnOnce(&mut Line<UnixStream>) -> R,
) -> (T, R) {
    let (near, far) = UnixStream::pair().unwrap();
    far.set_read_timeout(Some(std::time::Duration::from_secs(20))).unwrap();
    thread::scope(|scope| {
        let acting = scope.spawn(move || act(near));
        let mut line = Line::over(far);
        let played = play(&mut line);
        drop(line);
        (acting.join().unwrap(), played)
    })
}

/// Lets the terminal listen while somebody visits it.
pub(crate) fn visited<R>(terminal: &mut Terminal, visit: impl FnOnce(&mut Line) -> R) -> R {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        let serving = scope.spawn(|| {
            let stopped = || stop.load(Ordering::Relaxed);
            listen::serve(&listener, terminal, &stopped, &mut |_| {}).unwrap();
        });
        let mut line = connect(address);
        let visited = visit(&mut line);
        stop.store(true, Ordering::Relaxed);
        drop(line);
        serving.join().unwrap();
        visited
    })
}

pub(crate) fn slot(index: u8) -> Slot {
    Slot::new(index).unwrap()
}
