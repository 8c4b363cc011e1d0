use std::{
    net::{SocketAddr, TcpListener},
    path::PathBuf,
    str::FromStr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use anyhow::{Context, Result};
use clap::Args;
use serde_json::{Value, json};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use terminal::{
    Terminal as Device,
    listen::{self, LineAddress, LinePort},
};

/// How long a terminal on a line is there for after it was collected.
const LINGERS: Duration = Duration::from_secs(3);
/// One second for each bit a second of a line: COLLECTED and another COLLECT have about this many bytes.
const BOTH_MESSAGES: Duration = Duration::from_secs(4096);

/// Listen for stations and key loading devices until it is stopped: collecting, loading by cable, repair.
#[derive(Args)]
pub(crate) struct Listen {
    /// The terminal's folder.
    folder: PathBuf,
    /// Where to listen: ADDRESS:PORT, serial:/dev/ttyS0?baud=115200, or pty:PATH to make a pseudo-terminal with a symbolic
    /// link there.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:7802")]
    listen: At,
    /// One JSON object a line.
    #[arg(long)]
    json: bool,
}

/// Where a terminal listens.
#[derive(Debug, Clone)]
pub(super) enum At {
    Network(SocketAddr),
    Line(LineAddress),
}

impl FromStr for At {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if LineAddress::is_meant(text) {
            return text.parse().map(Self::Line).map_err(|error: listen::NotALine| error.to_string());
        }
        let no_address = || "write ADDRESS:PORT, serial:/dev/ttyS0?baud=115200 or pty:PATH".to_owned();
        text.parse().map(Self::Network).map_err(|_| no_address())
    }
}

/// It, open.
pub(super) enum Open {
    Network(TcpListener),
    Line(LinePort),
}

impl At {
    /// Opens it, and gives the address that others find it at.
    pub(super) fn open(&self) -> Result<(Open, String)> {
        match self {
            Self::Network(address) => {
                let listener =
                    TcpListener::bind(address).with_context(|| format!("cannot listen on {address}"))?;
                let bound = listener.local_addr()?.to_string();
                Ok((Open::Network(listener), bound))
            }
            Self::Line(address) => {
                let port = LinePort::open(address).with_context(|| format!("cannot listen on {address}"))?;
                Ok((Open::Line(port), address.to_string()))
            }
        }
    }
}

impl At {
    /// How long a terminal that is to be collected once stays after COLLECTED has left: on a line the answer is still on its
    /// way, and may be asked for again.
    pub(super) fn lingers(&self) -> Duration {
        match self {
            Self::Network(_) => Duration::ZERO,
            Self::Line(LineAddress::Serial(line)) => LINGERS + BOTH_MESSAGES * 10 / line.baud.max(1),
            Self::Line(LineAddress::Pty(_)) => LINGERS,
        }
    }
}

/// A flag that is up when the program is told to end: what it made is then taken down in order.
pub(super) fn told_to_end() -> Result<Arc<AtomicBool>> {
    let told = Arc::new(AtomicBool::new(false));
    for signal in [SIGHUP, SIGINT, SIGTERM] {
        signal_hook::flag::register(signal, Arc::clone(&told))?;
    }
    Ok(told)
}

impl Listen {
    pub(crate) fn run(self) -> Result<()> {
        let mut device = Device::open(&self.folder)?;
        let told = told_to_end()?;
        let (open, address) = self.listen.open()?;
        self.tell(
            &json!({ "listening": address, "sn": device.device().sn().as_str() }),
            &format!("terminal {} listens on {address}", device.device().sn()),
        );
        let stop = || told.load(Ordering::Relaxed);
        let mut show = |event: &listen::Event| self.show(event);
        match open {
            Open::Network(listener) => listen::serve(&listener, &mut device, &stop, &mut show)?,
            Open::Line(mut port) => listen::serve_line(&mut port, &mut device, &stop, &mut show)?,
        }
        Ok(())
    }

    fn show(&self, event: &listen::Event) {
        use listen::Event;
        match event {
            Event::Connected { peer } => {
                self.tell(&json!({ "connected": peer.to_string() }), &format!("{peer} connected"));
            }
            Event::Collected { fingerprint, again, .. } => self.tell(
                &json!({ "fingerprint": fingerprint, "again": again }),
                &format!("collected, fingerprint {fingerprint}; station and KMS must show the same"),
            ),
            Event::Loaded { kcv } => {
                self.tell(
                    &json!({ "loaded": kcv.to_string() }),
                    &format!("a key was loaded, check value {kcv}"),
                );
            }
            Event::DeviceKeyAsked => {
                let text = "a station has the request for this PIN pad's device certificate";
                self.tell(&json!({ "device_key_asked": true }), text);
            }
            Event::DeviceCertified => {
                self.tell(&json!({ "device_certified": true }), "the device certificate is installed");
            }
            Event::Challenged => {
                self.tell(&json!({ "challenged": true }), "a station has the challenge for a repair");
            }
            Event::Repaired => {
                self.tell(&json!({ "repaired": true }), "in repair: every key is wiped");
            }
            Event::Tampered { why } => {
                self.tell(&json!({ "tampered": why }), &format!("TAMPERED: {why}; keys are wiped"));
            }
            Event::Refused { code, reason } => self.tell(
                &json!({ "refused": reason, "code": code.to_string() }),
                &format!("refused ({code}): {reason}"),
            ),
            Event::PeerError { message } => {
                self.tell(
                    &json!({ "peer_refused": message.to_string() }),
                    &format!("the peer refused: {message}"),
                );
            }
            Event::LinkFailed { reason } => {
                self.tell(&json!({ "line_failed": reason }), &format!("the line failed: {reason}"));
            }
            Event::LineGone { line } => {
                self.tell(
                    &json!({ "line_gone": line }),
                    &format!("{line} is gone; waiting for it to come back"),
                );
            }
            Event::LineBack { line } => {
                self.tell(&json!({ "line_back": line }), &format!("{line} is back"));
            }
            _ => {}
        }
    }

    fn tell(&self, json: &Value, text: &str) {
        if self.json { say!("{json}") } else { say!("{text}") }
    }
}
