//! The list of terminals that a run allows.

use std::collections::HashSet;

use serde::{Deserialize, Serialize};
use wire::{Device, Serial};

use super::KldError;

/// The most terminals of one run.
pub const MAX_LISTED: usize = 10_000;

/// A terminal as a list, a journal and a report name it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Listed {
    /// Its serial.
    pub sn: String,
    /// Its external PIN pad's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pin_pad_sn: Option<String>,
}

impl Listed {
    /// The serial that keys belong to.
    pub fn pin_pad(&self) -> &str {
        self.pin_pad_sn.as_deref().unwrap_or(&self.sn)
    }
}

impl From<&Device> for Listed {
    fn from(device: &Device) -> Listed {
        Listed { sn: device.sn().to_string(), pin_pad_sn: device.external_pin_pad().map(ToString::to_string) }
    }
}

impl std::fmt::Display for Listed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.sn)?;
        self.pin_pad_sn.iter().try_for_each(|pin_pad| write!(f, " with PIN pad {pin_pad}"))
    }
}

/// Reads a list: a terminal's serial on each line, the serial of an external PIN pad behind it. Blank lines and such
/// with `#` before them are skipped.
///
/// # Errors
/// [`KldError::ListLine`], [`KldError::ListedTwice`] for a serial of terminal or PIN pad, [`KldError::EmptyList`],
/// [`KldError::LongList`].
pub fn read(text: &str) -> Result<Vec<Listed>, KldError> {
    let mut listed = Vec::new();
    let mut seen = HashSet::new();
    for (number, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let device = device(line)
            .ok_or_else(|| KldError::ListLine { number: number + 1, line: crate::text::printable(line) })?;
        for serial in [Some(device.sn()), device.external_pin_pad()].into_iter().flatten() {
            if !seen.insert(serial.to_string()) {
                return Err(KldError::ListedTwice { sn: serial.clone() });
            }
        }
        listed.push(Listed::from(&device));
        if listed.len() > MAX_LISTED {
            return Err(KldError::LongList { max: MAX_LISTED });
        }
    }
    if listed.is_empty() { Err(KldError::EmptyList) } else { Ok(listed) }
}

fn device(line: &str) -> Option<Device> {
    let mut words = line.split_whitespace();
    let sn = Serial::parse(words.next()?).ok()?;
    let pin_pad = words.next().map(Serial::parse).transpose().ok()?;
    match words.next() {
        None => Device::new(sn, pin_pad).ok(),
        Some(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_names_terminals_and_external_pin_pads() {
        let list = read("# batch 42\n\nSN-1\n  SN-2   PP-2 \r\nSN-3").unwrap();
        let named: Vec<_> = list.iter().map(|listed| (listed.sn.as_str(), listed.pin_pad())).collect();
        assert_eq!(named, [("SN-1", "SN-1"), ("SN-2", "PP-2"), ("SN-3", "SN-3")]);
    }

    #[test]
    fn what_is_no_list_is_refused_with_its_line() {
        for line in ["SN 1 2", "SN/1", "SN-1 SN-1", "a\u{e9}"] {
            let refused = read(&format!("SN-0\n{line}"));
            assert!(matches!(refused, Err(KldError::ListLine { number: 2, .. })), "{line:?}: {refused:?}");
        }
        for text in ["SN-1\nSN-1", "SN-1\nSN-2 SN-1", "SN-1 PP\nSN-2 PP"] {
            assert!(matches!(read(text), Err(KldError::ListedTwice { .. })), "{text:?}");
        }
        assert!(matches!(read("# nothing\n"), Err(KldError::EmptyList)));
        let long: String = (0..=MAX_LISTED).map(|number| format!("SN-{number}\n")).collect();
        assert!(matches!(read(&long), Err(KldError::LongList { .. })));
    }
}
