//! The product's own terminal, listening.

use std::{
    net::{SocketAddr, TcpListener},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
};

use pki::Certificate;
use terminal::{NewTerminal, Terminal, TrustedRoot, listen};
use wire::{Device, Serial};

use crate::estate::ESTATE;

/// The product's terminal, listening until it is taken back.
pub(crate) struct Listening {
    pub(crate) address: SocketAddr,
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Terminal>,
}

/// A terminal of this acquirer, in production.
pub(crate) fn new_terminal(sn: &str, pin_pad: Option<&str>) -> Terminal {
    believing(sn, pin_pad, ESTATE.root.clone())
}

/// A terminal that believes this root.
pub(crate) fn believing(sn: &str, pin_pad: Option<&str>, root: Certificate) -> Terminal {
    let device =
        Device::new(Serial::parse(sn).unwrap(), pin_pad.map(|sn| Serial::parse(sn).unwrap())).unwrap();
    let new = NewTerminal {
        pin_pad: device.external_pin_pad().cloned(),
        roots: vec![TrustedRoot::of_acquirer(root)],
        ..NewTerminal::named(device.sn().clone())
    };
    Terminal::in_memory(new).unwrap()
}

impl Listening {
    pub(crate) fn start(mut terminal: Terminal) -> Listening {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = thread::spawn(move || {
            listen::serve(&listener, &mut terminal, &|| stopped.load(Ordering::Relaxed), &mut |_| {})
                .unwrap();
            terminal
        });
        Listening { address, stop, thread }
    }

    pub(crate) fn take(self) -> Terminal {
        // What the KLD said last may still be on its way: the terminal reads until the KLD closes.
        thread::sleep(std::time::Duration::from_millis(50));
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().unwrap()
    }
}
