//! Many at once, at a server of either suite.

use std::{
    net::{SocketAddr, TcpStream},
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use crate::support::{
    line::{End, Line, connect},
    world::Options,
};

/// Connections that one address may have open.
pub(crate) const CAP: usize = 1000;
/// Connections that are attempted.
const ATTEMPTS: usize = 100_000;

const BUSY: End = End::Code(0x000B);

/// Only one such crowd at a time: both ends of its connections are in this process.
static CROWD: Mutex<()> = Mutex::new(());

/// A server with these caps, on which nobody is timed out meanwhile.
pub(crate) fn options() -> Options {
    Options {
        max_connections: 2 * CAP,
        max_connections_per_address: CAP,
        idle_seconds: 120,
        ..Options::default()
    }
}

/// A file of /proc/self: resident memory, kB.
fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

/// Attack 22: connections that never get further than these bytes. A hundred thousand are attempted; no more than the cap
/// stay open, the rest is told to come later, and memory stays bounded. One address has its own cap, so that honest
/// terminals of others are served meanwhile; when the crowd has gone, those of this one are again.
pub(crate) fn half_open(address: SocketAddr, half: &[u8], honest: impl Fn(&mut Line) -> Result<(), End>) {
    let _alone = CROWD.lock().unwrap_or_else(PoisonError::into_inner);
    let before = resident();
    let started = Instant::now();
    let (mut held, mut refused) = (Vec::new(), 0);
    for number in 0..ATTEMPTS {
        let mut line = connect(address);
        line.try_send(half);
        held.push(line);
        // Those past the cap are closed by the server; what is kept here does not matter to it.
        if held.len() > 2 * CAP {
            refused += usize::from(held.pop().unwrap().end() == BUSY);
        }
        if number % 10_000 == 9_999 {
            // What other tests have open at the same time is far less than the rest.
            let open = std::fs::read_dir("/proc/self/fd").unwrap().count();
            assert!(open < held.len() + CAP + 2_000, "{open} open after {number}");
            honest(&mut from_another(address)).unwrap();
        }
    }
    assert_eq!(refused, ATTEMPTS - 2 * CAP, "every one past the cap is told that the server is busy");
    let busy = held.split_off(CAP);
    assert!(busy.into_iter().all(|mut line| line.end() == BUSY));
    assert!(resident() < before + 200_000, "{before} kB before, {} kB now", resident());
    honest(&mut from_another(address)).unwrap();
    drop(held);
    let free = Instant::now() + Duration::from_secs(10);
    while honest(&mut connect(address)).is_err() {
        assert!(Instant::now() < free, "places come free");
        thread::sleep(Duration::from_millis(20));
    }
    assert!(started.elapsed() < Duration::from_secs(120), "before they would have timed out");
}

/// A connection from another address of this machine.
pub(crate) fn from_another(address: SocketAddr) -> Line {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let stream: TcpStream = runtime.block_on(async {
        let socket = tokio::net::TcpSocket::new_v4().unwrap();
        socket.bind(([127, 0, 0, 2], 0).into()).unwrap();
        socket.connect(address).await.unwrap().into_std().unwrap()
    });
    stream.set_nonblocking(false).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    Line::over(stream)
}

/// Runs this for every number below, on so many threads.
pub(crate) fn each(numbers: usize, threads: usize, act: impl Fn(usize) + Sync) {
    let next = AtomicUsize::new(0);
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= numbers {
                        return;
                    }
                    act(number);
                }
            });
        }
    });
}
