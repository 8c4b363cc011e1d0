//! The file of an estate: JSON lines, one terminal each, read with bounded memory.

use std::{
    collections::BTreeSet,
    io::{self, BufRead},
};

use serde::Deserialize;
use sha2::{Digest, Sha256};
use store::limits::{IDENTITY, KEY_BLOCK};
use wire::{Device, Kcv, ModelId, Serial, Slot, VendorId};

use super::report::Why;

/// Longest line, bytes: 100 slots and a DMK under blocks of usual length fit several times.
pub const MAX_LINE: usize = 64 * 1024;

/// One terminal of the file, its form checked and nothing else.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) device: Device,
    pub(super) vendor: Option<String>,
    pub(super) model: Option<String>,
    pub(super) terminal_id: Option<String>,
    pub(super) merchant_id: Option<String>,
    pub(super) tmks: Vec<(Slot, GivenKey)>,
    pub(super) dmk: Option<GivenKey>,
}

/// A key as the file gives it.
#[derive(Debug)]
pub(super) struct GivenKey {
    /// X9.143 block under the zone master key.
    pub(super) block: String,
    /// Its check value, if the file tells it.
    pub(super) kcv: Option<Kcv>,
}

/// One line of the file: its number, the serial if it can be read, and what it says.
#[derive(Debug)]
pub(super) struct Line {
    pub(super) number: u64,
    pub(super) sn: Option<Serial>,
    pub(super) entry: Result<Entry, Why>,
    /// Bytes that it takes.
    pub(super) length: usize,
}

/// Reads lines and hashes what it reads.
pub(super) struct Lines<'a, R> {
    file: &'a mut R,
    hash: Sha256,
    number: u64,
}

impl<'a, R: BufRead> Lines<'a, R> {
    pub(super) fn new(file: &'a mut R) -> Self {
        Lines { file, hash: Sha256::new(), number: 0 }
    }

    /// Lines read so far, empty ones included.
    pub(super) fn number(&self) -> u64 {
        self.number
    }

    /// The next line that is not empty; nothing at the end.
    pub(super) fn next(&mut self) -> io::Result<Option<Line>> {
        loop {
            let Some((text, too_long)) = self.raw()? else { return Ok(None) };
            self.number += 1;
            let (number, length) = (self.number, text.len());
            if too_long {
                let entry = Err(Why::LineTooLong { max: MAX_LINE });
                return Ok(Some(Line { number, sn: None, entry, length: 0 }));
            }
            if text.trim_ascii().is_empty() {
                continue;
            }
            let (sn, entry) = read(&text);
            return Ok(Some(Line { number, sn, entry, length }));
        }
    }

    /// SHA-256 of everything read.
    pub(super) fn sha256(self) -> [u8; 32] {
        self.hash.finalize().into()
    }

    /// A line's bytes without its end, and whether there were more than may be: those are passed over.
    fn raw(&mut self) -> io::Result<Option<(Vec<u8>, bool)>> {
        let (mut line, mut too_long, mut any) = (Vec::new(), false, false);
        loop {
            let buffer = match self.file.fill_buf() {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                buffer => buffer?,
            };
            if buffer.is_empty() {
                return Ok(any.then_some((line, too_long)));
            }
            any = true;
            let end = buffer.iter().position(|byte| *byte == b'\n');
            let (part, used) = match end {
                Some(end) => (buffer.get(..end).unwrap_or_default(), end + 1),
                None => (buffer, buffer.len()),
            };
            too_long |= line.len() + part.len() > MAX_LINE;
            if too_long {
                line = Vec::new();
            } else {
                line.extend_from_slice(part);
            }
            self.hash.update(buffer.get(..used).unwrap_or_default());
            self.file.consume(used);
            if end.is_some() {
                return Ok(Some((line, too_long)));
            }
        }
    }
}

/// The line's JSON. No other names: one that is spelt wrongly must not be passed over.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawLine {
    sn: String,
    pin_pad: Option<String>,
    vendor: Option<String>,
    model: Option<String>,
    terminal_id: Option<String>,
    merchant_id: Option<String>,
    #[serde(default)]
    tmks: Vec<RawTmk>,
    dmk: Option<RawKey>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawTmk {
    slot: u8,
    block: String,
    kcv: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawKey {
    block: String,
    kcv: Option<String>,
}

fn read(text: &[u8]) -> (Option<Serial>, Result<Entry, Why>) {
    let raw: RawLine = match serde_json::from_slice(text) {
        Ok(raw) => raw,
        // The library's own words could repeat a part of the line, which holds key blocks.
        Err(error) => {
            let what = match error.classify() {
                serde_json::error::Category::Data => "not of the form {sn, …, tmks, dmk}",
                serde_json::error::Category::Eof => "cut off",
                serde_json::error::Category::Syntax | serde_json::error::Category::Io => "no JSON",
            };
            return (None, Err(Why::Form { what, column: error.column() }));
        }
    };
    let sn = match Serial::parse(&raw.sn) {
        Ok(sn) => sn,
        Err(defect) => return (None, Err(value("sn", &defect))),
    };
    (Some(sn.clone()), entry(sn, raw))
}

fn entry(sn: Serial, raw: RawLine) -> Result<Entry, Why> {
    let pin_pad = raw.pin_pad.as_deref().map(Serial::parse).transpose().map_err(|e| value("pin_pad", &e))?;
    let device = Device::new(sn, pin_pad).map_err(|e| value("pin_pad", &e))?;
    let vendor = raw.vendor.as_deref().map(VendorId::parse).transpose().map_err(|e| value("vendor", &e))?;
    let model = raw.model.as_deref().map(ModelId::parse).transpose().map_err(|e| value("model", &e))?;
    name("terminal_id", raw.terminal_id.as_deref())?;
    name("merchant_id", raw.merchant_id.as_deref())?;
    if raw.merchant_id.is_some() && raw.terminal_id.is_none() {
        return Err(value("merchant_id", &"it needs a terminal_id beside it"));
    }
    let mut slots = BTreeSet::new();
    let tmks = raw.tmks.into_iter().map(|RawTmk { slot, block, kcv }| {
        let index = Slot::new(slot).map_err(|e| value("slot", &e))?;
        if !slots.insert(slot) {
            return Err(Why::SlotTwice { slot });
        }
        Ok((index, key(block, kcv.as_deref())?))
    });
    Ok(Entry {
        device,
        vendor: vendor.map(|vendor| vendor.to_string()),
        model: model.map(|model| model.to_string()),
        terminal_id: raw.terminal_id,
        merchant_id: raw.merchant_id,
        tmks: tmks.collect::<Result<_, _>>()?,
        dmk: raw.dmk.map(|RawKey { block, kcv }| key(block, kcv.as_deref())).transpose()?,
    })
}

fn key(block: String, kcv: Option<&str>) -> Result<GivenKey, Why> {
    let kcv = match kcv.map(str::parse::<Kcv>).transpose().map_err(|e| value("kcv", &e))? {
        Some(Kcv::Aes(_)) => return Err(value("kcv", &"a TDES key's check value has 6 hex digits")),
        kcv => kcv,
    };
    if block.len() > KEY_BLOCK {
        return Err(value("block", &format!("it has more than {KEY_BLOCK} characters")));
    }
    Ok(GivenKey { block, kcv })
}

/// A terminal id or merchant id, as the store takes it.
fn name(field: &'static str, name: Option<&str>) -> Result<(), Why> {
    match name {
        Some(name) if name.is_empty() || name.len() > IDENTITY => {
            Err(value(field, &format!("it has {} bytes, 1 to {IDENTITY} are allowed", name.len())))
        }
        Some(name) if name.chars().any(char::is_control) => Err(value(field, &"it has a control character")),
        _ => Ok(()),
    }
}

fn value(field: &'static str, defect: &dyn std::fmt::Display) -> Why {
    Why::Value { field, defect: defect.to_string() }
}
