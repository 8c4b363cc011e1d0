//! TCP: connections one after another.
//!
//! Who waits is served when the one before is done. One that says nothing does not keep the next waiting for ever: while
//! somebody waits, a connection that begins no flow for [`GIVES_WAY`] is told that the terminal is busy, and closed. A flow
//! that has begun has the wire's limits, and all of them.

use std::cell::RefCell;
use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use wire::{ErrorCode, error_frame};

use super::conversation::{AnyStream, End, converse};
use super::{Event, Flows, POLL, Watch};
use crate::{Link, LinkLimits, PinPad, Terminal};

/// How long a connection may begin nothing while another one waits.
const GIVES_WAY: Duration = Duration::from_secs(3);

/// Serves these flows on a listener.
pub(crate) fn serve_flows<P: PinPad>(
    listener: &TcpListener,
    flows: Flows,
    limits: LinkLimits,
    terminal: &mut Terminal<P>,
    stop: &dyn Fn() -> bool,
    on_event: &mut dyn FnMut(&Event),
) -> io::Result<()> {
    listener.set_nonblocking(true)?;
    let callers = Callers { listener, next: RefCell::new(None) };
    let mut watch = Watch::default();
    while !stop() {
        watch.look(terminal, on_event);
        let Some((stream, peer)) = callers.next()? else {
            std::thread::sleep(POLL);
            continue;
        };
        on_event(&Event::Connected { peer });
        let mut link = match over(stream) {
            Ok(stream) => Link::with_limits(stream, limits),
            Err(error) => {
                on_event(&Event::LinkFailed { reason: error.to_string() });
                continue;
            }
        };
        let yields = |silent: Duration| silent >= GIVES_WAY && callers.somebody_waits();
        match converse(&mut link, flows, terminal, (stop, &yields), on_event) {
            End::Stopped if !stop() => {
                on_event(&Event::LinkFailed { reason: "it said nothing, and another one waits".to_owned() });
                link.end_with(&error_frame(ErrorCode::Busy, ErrorCode::Busy.text()));
            }
            End::Over => link.linger(),
            End::Stopped | End::Gone => {}
        }
    }
    Ok(())
}

fn over(stream: TcpStream) -> io::Result<AnyStream> {
    // Some systems hand the listener's mode on.
    stream.set_nonblocking(false)?;
    stream.set_nodelay(true)?;
    Ok(Box::new(stream))
}

/// Who calls, and who was seen to wait. All others wait in the system's queue.
struct Callers<'a> {
    listener: &'a TcpListener,
    next: RefCell<Option<(TcpStream, SocketAddr)>>,
}

impl Callers<'_> {
    fn next(&self) -> io::Result<Option<(TcpStream, SocketAddr)>> {
        match self.next.take() {
            Some(caller) => Ok(Some(caller)),
            None => self.accept(),
        }
    }

    fn somebody_waits(&self) -> bool {
        let mut next = self.next.borrow_mut();
        if next.is_none() {
            // A listener that fails is told of when it is asked for the next caller.
            *next = self.accept().unwrap_or_default();
        }
        next.is_some()
    }

    fn accept(&self) -> io::Result<Option<(TcpStream, SocketAddr)>> {
        match self.listener.accept() {
            Ok(caller) => Ok(Some(caller)),
            Err(error) if is_passing(&error) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// Whether accepting may go on: nobody was there, or the caller was gone again.
fn is_passing(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionReset, Interrupted, WouldBlock};
    matches!(error.kind(), WouldBlock | Interrupted | ConnectionAborted | ConnectionReset)
}
