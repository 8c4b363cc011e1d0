//! What a terminal shows of itself: nothing secret.

use std::fmt::Write as _;

use serde::{Deserialize, Serialize};

use crate::device::DeviceState;
use crate::{Collector, LifeCycle, PinPad, Settings};

/// A terminal's status. With serde it becomes JSON with these names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// Its serial.
    pub sn: String,
    /// The serial of its external PIN pad.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pin_pad: Option<String>,
    /// Vendor id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vendor: Option<String>,
    /// Model id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// Where it is in its life.
    pub life_cycle: LifeCycle,
    /// What was collected from it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub collected: Option<CollectedStatus>,
    /// The slots that hold a key, lowest first.
    pub slots: Vec<SlotReport>,
    /// What production decided.
    pub settings: Settings,
    /// The latest time that it knew, unix seconds: no certificate that ended before is believed.
    pub last_known_time: i64,
}

/// What was collected.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CollectedStatus {
    /// The fingerprint that station and KMS show too: 20 hex digits.
    pub fingerprint: String,
    /// For whom.
    pub by: Collector,
    /// Digest of the certificate or bare key that the latch compares, lower-case hex.
    pub latch: String,
}

/// A slot that holds a key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SlotReport {
    /// Its index, 0 to 99.
    pub slot: u8,
    /// Check value of its key, 6 hex digits.
    pub kcv: String,
    /// Whether DONE arrived for it.
    pub done: bool,
    /// Check value of the key before it, which stays until the new one has worked once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub previous_kcv: Option<String>,
}

impl Status {
    pub(crate) fn of(device: &DeviceState, pad: &impl PinPad) -> Status {
        let text = |value: &dyn std::fmt::Display| value.to_string();
        Status {
            sn: device.device.sn().to_string(),
            pin_pad: device.device.external_pin_pad().map(|serial| text(serial)),
            vendor: device.vendor.as_ref().map(|vendor| text(vendor)),
            model: device.model.as_ref().map(|model| text(model)),
            life_cycle: pad.life_cycle(),
            collected: pad.latch().map(|latch| CollectedStatus {
                fingerprint: wire::fingerprint(device.device.sn(), &latch.ctk_pu),
                by: latch.collector,
                latch: latch.digest.iter().fold(String::new(), |mut hex, byte| {
                    let _ = write!(hex, "{byte:02x}"); // writing to a String cannot fail
                    hex
                }),
            }),
            slots: pad
                .slots()
                .into_iter()
                .map(|status| SlotReport {
                    slot: status.slot.index(),
                    kcv: status.kcv.to_string(),
                    done: status.done,
                    previous_kcv: status.previous.map(|kcv| kcv.to_string()),
                })
                .collect(),
            settings: device.settings,
            last_known_time: device.last_known_time(),
        }
    }
}
