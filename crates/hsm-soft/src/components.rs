//! Keys from components: 2 or 3 people each type one, and nobody has the key (R6 and R7 of 4-requirements.md).
//!
//! A component is typed at the HSM's own terminal and leaves as a key block under the LMK, which says which part of
//! which key it is, of which session, and who typed it. When all are there they are combined by exclusive or.

use hsm::{KeyBlock, commands::HeldKey};
use keyblock::KeyVersion;
use paycrypto::{
    TdesKey,
    hygiene::{KeyQuality, PoorKey, same_without_parity, set_odd_parity},
};
use zeroize::Zeroizing;

use crate::{
    HsmSoftError, Offline,
    lmk::{Binding, COMPONENT, NAME},
    purpose::Purpose,
    soft_hsm::{check_name, place},
};

/// Bytes of a component, and of the key.
pub const COMPONENT_LEN: usize = 24;
/// The fewest and the most components of a key.
pub const PARTS: std::ops::RangeInclusive<u8> = 2..=3;
/// The most characters of a person's name.
const MAX_PERSON: usize = 64;

/// Which key the components make.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// An exchange key, for blocks between KLD and KMS.
    Exchange,
    /// The TMK of a slot.
    Tmk {
        /// The PIN pad it will belong to.
        pin_pad: String,
        /// The slot, 0–99.
        slot: u8,
    },
    /// The DMK of a PIN pad.
    Dmk {
        /// The PIN pad it will belong to.
        pin_pad: String,
    },
}

/// What one key's components have in common.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ceremony {
    /// The key's name: 1–32 of `A-Z a-z 0-9 - . _`.
    pub name: String,
    /// The acquirer it will belong to.
    pub owner: String,
    /// Which entering this is, so that components of two are never mixed: characters as for the name.
    pub session: String,
    /// How many components there are.
    pub of: u8,
    /// What the key will be.
    pub target: Target,
}

/// One person's component.
pub struct Component {
    /// Which: 1 to the number of parts.
    pub part: u8,
    /// Who types it: 1–64 printable ASCII characters without `|`.
    pub person: String,
    /// As typed, 24 bytes.
    pub clear: Zeroizing<Vec<u8>>,
    /// The check value on the person's sheet.
    pub check_value: [u8; 3],
}

/// Why a component is refused, or a set of them. Never says anything of the key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ComponentRefusal {
    /// A key has 2 or 3 components, and parts are counted from 1.
    #[error("part {part} of {of}: a key has 2 or 3 components, counted from 1")]
    Part {
        /// Which.
        part: u8,
        /// Of how many.
        of: u8,
    },
    /// The name of the person is missing or has characters that are not allowed.
    #[error("a person's name has 1 to {MAX_PERSON} printable ASCII characters without |")]
    Person,
    /// A component has 24 bytes.
    #[error("a component of {found} bytes; it has {COMPONENT_LEN}: check the sheet")]
    Length {
        /// Bytes typed.
        found: usize,
    },
    /// A byte has even parity: mistyped.
    #[error("the component's parity is wrong: mistyped; check the sheet")]
    Parity,
    /// The check value on the sheet is not the component's: mistyped.
    #[error("the component's check value is another: mistyped; check the sheet")]
    CheckValue,
    /// The component has weak or equal parts.
    #[error("the component is refused: {0}")]
    Poor(PoorKey),
    /// A component is missing.
    #[error("part {part} of {of} is missing")]
    Missing {
        /// Which.
        part: u8,
        /// Of how many.
        of: u8,
    },
    /// A part is there twice.
    #[error("part {part} is there twice")]
    PartTwice {
        /// Which.
        part: u8,
    },
    /// One person typed two components.
    #[error("{person} typed two components: each must come from another person")]
    SamePerson {
        /// Who.
        person: String,
    },
    /// A component belongs to another key or another session.
    #[error("a component is of another key or session: {found}")]
    OtherKey {
        /// What it says of itself.
        found: String,
    },
    /// Two components are the same key.
    #[error("two components are equal: make new ones")]
    EqualComponents,
    /// The combined key has weak or equal parts.
    #[error("the combined key is refused: {0}")]
    PoorKey(PoorKey),
    /// The combined key's check value is not the one expected.
    #[error("the combined key's check value is another: a component is not of this key")]
    KeyCheckValue,
}

/// Takes one component and gives it as a block.
///
/// # Errors
/// [`HsmSoftError::Component`]; [`HsmSoftError::Refused`] for names out of range.
pub fn enter(hsm: &Offline, ceremony: &Ceremony, component: &Component) -> Result<KeyBlock, HsmSoftError> {
    ceremony.check()?;
    let (part, of) = (component.part, ceremony.of);
    if !(1..=of).contains(&part) {
        return Err(ComponentRefusal::Part { part, of }.into());
    }
    check_person(&component.person)?;
    let clear = &component.clear;
    if clear.len() != COMPONENT_LEN {
        return Err(ComponentRefusal::Length { found: clear.len() }.into());
    }
    let quality = KeyQuality::of(clear);
    if !quality.odd_parity {
        return Err(ComponentRefusal::Parity.into());
    }
    quality.refuse_poor().map_err(ComponentRefusal::Poor)?;
    if key(clear)?.kcv() != component.check_value {
        return Err(ComponentRefusal::CheckValue.into());
    }
    let note = ceremony.note(part, &component.person)?;
    let version = KeyVersion::parse(&format!("c{part}")).map_err(|_| ComponentRefusal::Part { part, of })?;
    let notes = [(NAME, ceremony.name.as_str()), (COMPONENT, note.as_str())];
    Ok(hsm.lmk.wrap_noted(Purpose::Component, bound(&ceremony.owner), version, &notes, clear)?)
}

/// Combines all components of a key; the result must have the check value that the people expect.
///
/// # Errors
/// [`HsmSoftError::Component`]; [`HsmSoftError::Refused`] for blocks that do not open.
pub fn combine(
    hsm: &Offline,
    ceremony: &Ceremony,
    components: &[KeyBlock],
    check_value: [u8; 3],
) -> Result<HeldKey, HsmSoftError> {
    ceremony.check()?;
    let parts = components
        .iter()
        .map(|block| Part::open(hsm, ceremony, block))
        .collect::<Result<Vec<_>, HsmSoftError>>()?;
    check_set(&parts, ceremony.of)?;
    let mut clear = Zeroizing::new([0; COMPONENT_LEN]);
    for part in &parts {
        clear.iter_mut().zip(part.clear.iter()).for_each(|(to, from)| *to ^= from);
    }
    set_odd_parity(&mut *clear);
    KeyQuality::of(&*clear).refuse_poor().map_err(ComponentRefusal::PoorKey)?;
    let kcv = key(&*clear)?.kcv();
    if kcv != check_value {
        return Err(ComponentRefusal::KeyCheckValue.into());
    }
    let (purpose, place) = ceremony.target.rule()?;
    let bound = Binding { place: place.as_deref(), ..bound(&ceremony.owner) };
    let notes = [(NAME, ceremony.name.as_str())];
    let block = hsm.lmk.wrap_noted(purpose, bound, KeyVersion::UNUSED, &notes, &*clear)?;
    Ok(HeldKey { block, kcv })
}

/// A component, opened.
struct Part {
    part: u8,
    person: String,
    clear: Zeroizing<Vec<u8>>,
}

impl Part {
    fn open(hsm: &Offline, ceremony: &Ceremony, block: &KeyBlock) -> Result<Self, HsmSoftError> {
        let opened = hsm.lmk.open("the component", block, Purpose::Component, bound(&ceremony.owner))?;
        let (name, note) =
            (opened.note(NAME).unwrap_or_default(), opened.note(COMPONENT).unwrap_or_default());
        let other = || ComponentRefusal::OtherKey { found: format!("{name}, {note}") };
        let person = note.rsplit('|').next().unwrap_or_default().to_owned();
        let part: u8 = note.split('/').next().and_then(|part| part.parse().ok()).ok_or_else(other)?;
        // Everything else that it says must be what this ceremony would have said.
        if name != ceremony.name || note != ceremony.note(part, &person)? {
            return Err(other().into());
        }
        Ok(Self { part, person, clear: opened.key })
    }
}

fn check_set(parts: &[Part], of: u8) -> Result<(), ComponentRefusal> {
    for (index, part) in parts.iter().enumerate() {
        for other in parts.iter().skip(index + 1) {
            if part.part == other.part {
                return Err(ComponentRefusal::PartTwice { part: part.part });
            }
            if part.person.trim().eq_ignore_ascii_case(other.person.trim()) {
                return Err(ComponentRefusal::SamePerson { person: part.person.clone() });
            }
            if same_without_parity(&part.clear, &other.clear) {
                return Err(ComponentRefusal::EqualComponents);
            }
        }
    }
    match (1..=of).find(|wanted| parts.iter().all(|part| part.part != *wanted)) {
        Some(part) => Err(ComponentRefusal::Missing { part, of }),
        None => Ok(()),
    }
}

impl Ceremony {
    fn check(&self) -> Result<(), HsmSoftError> {
        check_name("a key's name", &self.name)?;
        check_name("a session", &self.session)?;
        if !PARTS.contains(&self.of) {
            return Err(ComponentRefusal::Part { part: 1, of: self.of }.into());
        }
        Ok(())
    }

    /// What a component's block says: `part/of|session|target|person`.
    fn note(&self, part: u8, person: &str) -> Result<String, HsmSoftError> {
        let (purpose, place) = self.target.rule()?;
        let place = place.as_deref().unwrap_or("-");
        Ok(format!("{part}/{}|{}|{} {place}|{person}", self.of, self.session, purpose.rule().text))
    }
}

impl Target {
    fn rule(&self) -> Result<(Purpose, Option<String>), HsmSoftError> {
        Ok(match self {
            Self::Exchange => (Purpose::Exchange, None),
            Self::Tmk { pin_pad, slot } => (Purpose::Tmk, Some(place(pin_pad, *slot)?)),
            Self::Dmk { pin_pad } => (Purpose::Dmk, Some(place(pin_pad, 0)?)),
        })
    }
}

fn check_person(person: &str) -> Result<(), ComponentRefusal> {
    let printable = |c: char| (c.is_ascii_graphic() || c == ' ') && c != '|';
    let good = !person.trim().is_empty() && person.len() <= MAX_PERSON && person.chars().all(printable);
    if good { Ok(()) } else { Err(ComponentRefusal::Person) }
}

fn key(clear: &[u8]) -> Result<TdesKey, HsmSoftError> {
    TdesKey::from_bytes(clear).map_err(|_| HsmSoftError::Internal("component length"))
}

fn bound(owner: &str) -> Binding<'_> {
    Binding { place: None, owner, tk_hash: None }
}
