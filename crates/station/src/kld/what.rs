//! What a run loads into each terminal.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use wire::{Serial, Slot};

use super::KldError;

/// One key that each terminal of a run gets. Written `tmk:SLOT`, `dmk`, `dik2` or `dik2:LABEL`, the label being that of
/// the DIK1 to derive from.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase", deny_unknown_fields)]
pub enum What {
    /// A terminal master key.
    Tmk {
        /// Its slot, 0–99.
        slot: u8,
    },
    /// The device master key of flow E.
    Dmk,
    /// The device identity key of flow C, with its factor.
    Dik2 {
        /// Which DIK1 it is derived from; the only one there is where none is named.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        label: Option<String>,
    },
}

impl What {
    /// `tmk`, `dmk` or `dik2`: as a report says it.
    pub fn kind(&self) -> &'static str {
        match self {
            What::Tmk { .. } => "tmk",
            What::Dmk => "dmk",
            What::Dik2 { .. } => "dik2",
        }
    }

    /// The slot of a TMK.
    pub fn slot(&self) -> Option<u8> {
        match self {
            What::Tmk { slot } => Some(*slot),
            What::Dmk | What::Dik2 { .. } => None,
        }
    }

    /// Whether both would go to the same place.
    fn same_place(&self, other: &What) -> bool {
        (self.kind(), self.slot()) == (other.kind(), other.slot())
    }
}

impl FromStr for What {
    type Err = KldError;

    fn from_str(text: &str) -> Result<What, KldError> {
        let bad = || KldError::What { text: crate::text::printable(text) };
        match text.split_once(':') {
            Some(("tmk", slot)) => {
                let slot = slot.parse().ok().and_then(|slot| Slot::new(slot).ok()).ok_or_else(bad)?;
                Ok(What::Tmk { slot: slot.index() })
            }
            Some(("dik2", label)) if Serial::parse(label).is_ok() => {
                Ok(What::Dik2 { label: Some(label.to_owned()) })
            }
            None if text == "dmk" => Ok(What::Dmk),
            None if text == "dik2" => Ok(What::Dik2 { label: None }),
            _ => Err(bad()),
        }
    }
}

impl fmt::Display for What {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            What::Tmk { slot } => write!(f, "tmk:{slot:02}"),
            What::Dmk => f.write_str("dmk"),
            What::Dik2 { label: Some(label) } => write!(f, "dik2:{label}"),
            What::Dik2 { label: None } => f.write_str("dik2"),
        }
    }
}

/// Refuses an empty list, and two keys for one place.
pub(super) fn check(what: &[What]) -> Result<(), KldError> {
    if what.is_empty() {
        return Err(KldError::NothingToLoad);
    }
    for (index, one) in what.iter().enumerate() {
        if what.iter().skip(index + 1).any(|other| one.same_place(other)) {
            return Err(KldError::PlaceTwice { what: one.to_string() });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_loaded_is_read_as_it_is_written() {
        for (text, what) in [
            ("tmk:00", What::Tmk { slot: 0 }),
            ("tmk:99", What::Tmk { slot: 99 }),
            ("dmk", What::Dmk),
            ("dik2", What::Dik2 { label: None }),
            ("dik2:B042", What::Dik2 { label: Some("B042".to_owned()) }),
        ] {
            assert_eq!(text.parse::<What>().unwrap(), what);
            assert_eq!(what.to_string(), text);
        }
        assert_eq!("tmk:7".parse::<What>().unwrap().to_string(), "tmk:07");
        for text in ["", "tmk", "tmk:", "tmk:100", "tmk:-1", "dmk:1", "dik2:", "dik2:a b", "DMK", "pik:1"] {
            assert!(matches!(text.parse::<What>(), Err(KldError::What { .. })), "{text:?}");
        }
    }

    #[test]
    fn a_place_is_filled_once() {
        let parse = |list: &[&str]| list.iter().map(|text| text.parse().unwrap()).collect::<Vec<What>>();
        check(&parse(&["tmk:0", "tmk:1", "dmk", "dik2"])).unwrap();
        for list in [&["tmk:1", "dmk", "tmk:01"][..], &["dik2:A", "dik2:B"], &["dmk", "dmk"]] {
            assert!(matches!(check(&parse(list)), Err(KldError::PlaceTwice { .. })), "{list:?}");
        }
        assert!(matches!(check(&[]), Err(KldError::NothingToLoad)));
    }
}
