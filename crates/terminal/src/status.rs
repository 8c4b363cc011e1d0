//! What a terminal shows of itself: nothing secret.

use std::fmt::Write as _;

use serde::{Deserialize, Serialize};

use crate::device::DeviceState;
use crate::pad::PlaceStatus;
use crate::refusals::RefusalLog;
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
    /// The transport key that it holds now, if one is whole.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transport_key: Option<TransportKeyReport>,
    /// The slots that hold a key, lowest first.
    pub slots: Vec<SlotReport>,
    /// DIK2, if it is there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dik2: Option<PlaceReport>,
    /// DMK, if it is there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dmk: Option<PlaceReport>,
    /// How many PINs it would encrypt now: at most 120, and 120 an hour on average.
    #[serde(default)]
    pub pins_left: u32,
    /// What it refused, and why.
    #[serde(default)]
    pub refusals: RefusalsReport,
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

/// A transport key, by its check values.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TransportKeyReport {
    /// 1 or 2.
    pub suite: u8,
    /// Check value of TEK, 6 hex digits; 10 in suite 02.
    pub tek_kcv: String,
    /// Check value of AUK.
    pub auk_kcv: String,
}

/// A slot that holds a key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SlotReport {
    /// Its index, 0 to 99.
    pub slot: u8,
    /// Check value of its key, 6 hex digits; 10 in suite 02.
    pub kcv: String,
    /// Whether DONE arrived for it.
    pub done: bool,
    /// Check value of the key before it, which stays until the new one has worked once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub previous_kcv: Option<String>,
    /// Check value of its PIK, once a sign-in or the RKS brought one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pik_kcv: Option<String>,
    /// Check value of its MAK.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mak_kcv: Option<String>,
    /// Check value of its TDK.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tdk_kcv: Option<String>,
}

/// A place of its own that holds a key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlaceReport {
    /// Check value of its key, 6 hex digits; 10 in suite 02.
    pub kcv: String,
    /// Whether DONE arrived for it.
    pub done: bool,
}

/// The log of refusals: a chain of which the newest records are kept.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefusalsReport {
    /// How many there ever were.
    pub total: u64,
    /// How many of them the server knows.
    pub reported: u64,
    /// The hash that the oldest record here is chained to, lower-case hex.
    pub before: String,
    /// The kept records, oldest first.
    pub records: Vec<RefusalReport>,
}

/// A refusal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefusalReport {
    /// Which check refused.
    pub check: String,
    /// What it read.
    pub reading: String,
    /// When, unix seconds.
    pub when: i64,
    /// Its hash, lower-case hex.
    pub hash: String,
    /// The device key's signature, raw r ‖ s, lower-case hex.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signature: Option<String>,
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
                latch: hex(&latch.digest),
            }),
            transport_key: pad.tk_check_values().map(|check| TransportKeyReport {
                suite: pad.tk_suite().byte(),
                tek_kcv: check.tek.to_string(),
                auk_kcv: check.auk.to_string(),
            }),
            slots: pad
                .slots()
                .into_iter()
                .map(|status| SlotReport {
                    slot: status.slot.index(),
                    kcv: status.kcv.to_string(),
                    done: status.done,
                    previous_kcv: status.previous.map(|kcv| kcv.to_string()),
                    pik_kcv: status.working.pik.map(|kcv| kcv.to_string()),
                    mak_kcv: status.working.mak.map(|kcv| kcv.to_string()),
                    tdk_kcv: status.working.tdk.map(|kcv| kcv.to_string()),
                })
                .collect(),
            dik2: pad.identity().map(place),
            dmk: pad.dmk().map(place),
            pins_left: pad.pins_left(),
            refusals: refusals(pad.refusals()),
            settings: device.settings.clone(),
            last_known_time: device.last_known_time(),
        }
    }
}

fn place(status: PlaceStatus) -> PlaceReport {
    PlaceReport { kcv: status.kcv.to_string(), done: status.done }
}

fn refusals(log: &RefusalLog) -> RefusalsReport {
    RefusalsReport {
        total: log.total(),
        reported: log.reported(),
        before: hex(&log.before()),
        records: log
            .records()
            .map(|record| RefusalReport {
                check: record.check.clone(),
                reading: record.reading.clone(),
                when: record.when,
                hash: hex(&record.hash),
                signature: record.signature.map(|signature| hex(&signature)),
            })
            .collect(),
    }
}

/// Lower-case hex.
fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
        let _ = write!(text, "{byte:02x}"); // writing to a String cannot fail
        text
    })
}
