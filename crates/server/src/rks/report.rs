//! What a KLD's report says, and what is wrong with it on its face.

use hsm::{KeyBlock, commands::Held};
use serde::Deserialize;
use store::{Refusal, ReportedKey, suite_of};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};
use wire::{Device, Kcv, Serial, Slot, Suite};

use crate::{clock::now_ms, kms::package::UploadRefusal};

/// Terminals in one report at most.
const MAX_TERMINALS: usize = 20_000;
/// How far a KLD's clock may be ahead of ours, in milliseconds.
const CLOCKS_DIFFER: i64 = 3_600_000;

/// The content of a report. What it says beyond this (what was missing, whom the KLD refused) stays in the package.
#[derive(Debug, Deserialize)]
pub(super) struct Report {
    pub(super) version: u32,
    pub(super) kld: String,
    pub(super) run: String,
    pub(super) opened_at: String,
    pub(super) closed_at: String,
    /// The exchange key's name where it is not the KLD's own.
    pub(super) exchange_key: Option<String>,
    pub(super) terminals: Vec<Entry>,
    #[serde(default)]
    pub(super) compromised: Vec<Compromised>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Entry {
    pub(super) sn: String,
    pub(super) pin_pad_sn: Option<String>,
    pub(super) ok: bool,
    pub(super) code: Option<String>,
    #[serde(default)]
    pub(super) keys: Vec<Key>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Key {
    pub(super) kind: Kind,
    pub(super) slot: Option<u8>,
    /// The DIK1's label.
    pub(super) label: Option<String>,
    pub(super) kcv: String,
    /// The load counter of a TMK of suite 02.
    pub(super) load_counter: Option<u64>,
    pub(super) block: Option<String>,
    pub(super) factor: Option<String>,
    /// Nobody knows whether the terminal has it.
    #[serde(default)]
    pub(super) unconfirmed: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Kind {
    Tmk,
    Dmk,
    Dik2,
}

/// A serial, bare or with the key that went to it.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(super) enum Compromised {
    Serial(String),
    Key { sn: String },
}

impl Report {
    /// Checks what concerns the report as a whole, and gives when the run was opened and closed, Unix milliseconds.
    pub(super) fn check(&self) -> Result<(i64, i64), UploadRefusal> {
        let bad = |text: String| Err(UploadRefusal::Content(text));
        if self.version != 1 {
            return bad(format!("version {} is not known; this server knows version 1", self.version));
        }
        for (what, name) in [("kld", &self.kld), ("run", &self.run)] {
            if name.is_empty() || name.len() > store::limits::NAME {
                return bad(format!("{what} must have 1 to {} bytes", store::limits::NAME));
            }
        }
        if self.terminals.len() > MAX_TERMINALS || self.compromised.len() > MAX_TERMINALS {
            return bad(format!("a report has at most {MAX_TERMINALS} terminals"));
        }
        match (unix_ms(&self.opened_at), unix_ms(&self.closed_at)) {
            // A later run is believed over an earlier one, so no run may be later than now.
            (Some(_), Some(closed)) if closed > now_ms() + CLOCKS_DIFFER => {
                bad("the run closed in the future: is the KLD's clock right?".into())
            }
            (Some(opened), Some(closed)) if opened <= closed => Ok((opened, closed)),
            (Some(_), Some(_)) => bad("the run closed before it opened".into()),
            _ => bad("opened_at and closed_at must be RFC 3339 times".into()),
        }
    }

    pub(super) fn compromised(&self) -> Result<Vec<Serial>, UploadRefusal> {
        let mut serials = Vec::new();
        for entry in &self.compromised {
            let (Compromised::Serial(sn) | Compromised::Key { sn }) = entry;
            let sn = Serial::parse(sn)
                .map_err(|_| UploadRefusal::Content("compromised names what is no serial".into()))?;
            if !serials.contains(&sn) {
                serials.push(sn);
            }
        }
        Ok(serials)
    }
}

impl Entry {
    pub(super) fn device(&self) -> Result<Device, Refusal> {
        let malformed = |what: &str| refusal("malformed", what);
        let sn = Serial::parse(&self.sn).map_err(|_| malformed("sn is no serial"))?;
        let pin_pad = self.pin_pad_sn.as_deref().map(Serial::parse).transpose();
        let pin_pad = pin_pad.map_err(|_| malformed("pin_pad_sn is no serial"))?;
        Device::new(sn, pin_pad).map_err(|_| malformed("pin_pad_sn equals sn; leave it out when built in"))
    }

    /// Why nothing was loaded; a terminal that has only some of its keys has those.
    pub(super) fn failed(&self) -> Option<String> {
        let loaded = self.keys.iter().any(|key| !key.unconfirmed);
        let code = || self.code.as_deref().unwrap_or("failed").chars().take(64).collect();
        (!self.ok && !loaded).then(code)
    }
}

impl Key {
    /// A key that the HSM took, with its check value and the one that the report tells.
    pub(super) fn taken(
        &self,
        what: Held,
        block: KeyBlock,
        (found, told): (Kcv, Kcv),
    ) -> Result<ReportedKey, Refusal> {
        if found != told {
            return Err(refusal("wrong-check-value", "a key has another check value than the report says"));
        }
        let (block, kcv) = (block.into(), found);
        let malformed = |text| Err(refusal("malformed", text));
        match what {
            Held::Tmk { slot } => match (Slot::new(slot), suite_of(kcv), self.load_counter) {
                (Ok(slot), Suite::TDES, None) => {
                    Ok(ReportedKey::Tmk { slot, block, kcv, load_counter: None })
                }
                (Ok(slot), Suite::EC_AES, Some(counter)) if counter > 0 => {
                    Ok(ReportedKey::Tmk { slot, block, kcv, load_counter: Some(counter) })
                }
                (Ok(_), ..) => malformed("a TMK of suite 02, and no other, has a load_counter, 1 or above"),
                (Err(_), ..) => malformed("a TMK's slot is 0 to 99"),
            },
            Held::Dmk => Ok(ReportedKey::Dmk { block, kcv }),
            Held::Factor => malformed("a factor is no key"),
        }
    }

    /// What it is, its block under the exchange key, its check value.
    pub(super) fn read(&self) -> Result<(Held, &str, Kcv), Refusal> {
        let malformed = |what: &str| refusal("malformed", what);
        let kcv: Kcv = self.kcv.parse().map_err(|_| malformed("kcv is no check value"))?;
        let (what, block) = match (self.kind, self.slot) {
            (Kind::Tmk, Some(slot)) => (Held::Tmk { slot }, &self.block),
            (Kind::Tmk, None) => return Err(malformed("a TMK has a slot")),
            (Kind::Dmk, _) => (Held::Dmk, &self.block),
            (Kind::Dik2, _) => (Held::Factor, &self.factor),
        };
        let block = block.as_deref().ok_or_else(|| malformed("a key has no block under the exchange key"))?;
        Ok((what, block, kcv))
    }
}

/// Unix milliseconds of an RFC 3339 time.
pub(crate) fn unix_ms(text: &str) -> Option<i64> {
    let at = OffsetDateTime::parse(text, &Rfc3339).ok()?;
    Some(at.unix_timestamp() * 1000 + i64::from(at.millisecond()))
}

pub(super) fn refusal(code: &str, text: &str) -> Refusal {
    Refusal { code: code.to_owned(), text: text.chars().take(256).collect() }
}
