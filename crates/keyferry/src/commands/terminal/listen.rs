use std::{
    net::{SocketAddr, TcpListener},
    path::PathBuf,
};

use anyhow::{Context, Result};
use clap::Args;
use serde_json::{Value, json};
use terminal::{Terminal as Device, listen};

/// Listen for stations and key loading devices until it is stopped: collecting, loading by cable, repair.
#[derive(Args)]
pub(crate) struct Listen {
    /// The terminal's folder.
    folder: PathBuf,
    /// Where to listen.
    #[arg(long, default_value = "127.0.0.1:7802")]
    listen: SocketAddr,
    /// One JSON object a line.
    #[arg(long)]
    json: bool,
}

impl Listen {
    pub(crate) fn run(self) -> Result<()> {
        let mut device = Device::open(&self.folder)?;
        let listener =
            TcpListener::bind(self.listen).with_context(|| format!("cannot listen on {}", self.listen))?;
        let address = listener.local_addr()?;
        self.tell(
            &json!({ "listening": address.to_string(), "sn": device.device().sn().as_str() }),
            &format!("terminal {} listens on {address}", device.device().sn()),
        );
        Ok(listen::serve(&listener, &mut device, &|| false, &mut |event| self.show(event))?)
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
            _ => {}
        }
    }

    fn tell(&self, json: &Value, text: &str) {
        if self.json { say!("{json}") } else { say!("{text}") }
    }
}
