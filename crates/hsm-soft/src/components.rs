//! Keys from components: 2 or 3 people each type one, and nobody has the key (R6 and R7 of 4-requirements.md).
//!
//! A TDES key has components of 24 bytes and check values of 3, an AES key 32 and 5.
//!
//! A component is typed at the HSM's own terminal and leaves as a key block under the LMK, which says which part of
//! which key it is, of which session, and who typed it. When all are there they are combined by exclusive or.

use hsm::{KeyBlock, commands::ZoneAlgorithm};
use keyblock::KeyVersion;
use paycrypto::{
    AesKey, TdesKey,
    hygiene::{KeyQuality, PoorKey, refuse_repeated, same_without_parity, set_odd_parity},
};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use crate::{
    HsmSoftError, Offline,
    acts::place_of_partner,
    lmk::{Binding, COMPONENT, NAME},
    purpose::Purpose,
    soft_hsm::{check_name, place},
};

/// Bytes of a component of a TDES key, and of the key.
pub const COMPONENT_LEN: usize = 24;
/// Bytes of a component of an AES key, and of the key.
pub const AES_COMPONENT_LEN: usize = 32;
/// The fewest and the most components of a key.
pub const PARTS: std::ops::RangeInclusive<u8> = 2..=3;
/// The most characters of a person's name.
const MAX_PERSON: usize = 64;

/// Which key the components make.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// A TDES exchange key, for blocks of suite 01's keys between KLD and KMS.
    Exchange,
    /// An AES-256 exchange key, for blocks of suite 02's keys between KLD and KMS.
    ExchangeAes,
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
    /// A zone master key, for blocks between this system and an issuer or a former system.
    ZoneMaster {
        /// Its cipher: TDES with 24 bytes, or AES-256.
        algorithm: ZoneAlgorithm,
    },
    /// PK, which protects TKs between an MTMS and a KMS.
    BatchProtect {
        /// The other side's name.
        partner: String,
        /// Its cipher, and that of the TKs it protects.
        algorithm: ZoneAlgorithm,
    },
    /// MAK, which authenticates batches and receipts between an MTMS and a KMS.
    BatchMac {
        /// The other side's name.
        partner: String,
        /// Its cipher.
        algorithm: ZoneAlgorithm,
    },
}

impl Target {
    /// The key's cipher.
    #[must_use]
    pub fn algorithm(&self) -> ZoneAlgorithm {
        match self {
            Self::ZoneMaster { algorithm }
            | Self::BatchProtect { algorithm, .. }
            | Self::BatchMac { algorithm, .. } => *algorithm,
            Self::ExchangeAes => ZoneAlgorithm::Aes,
            Self::Exchange | Self::Tmk { .. } | Self::Dmk { .. } => ZoneAlgorithm::Tdes,
        }
    }

    /// Bytes of a component, and of the key.
    #[must_use]
    pub fn component_len(&self) -> usize {
        match self.algorithm() {
            ZoneAlgorithm::Tdes => COMPONENT_LEN,
            ZoneAlgorithm::Aes => AES_COMPONENT_LEN,
        }
    }
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

/// One person's component, with a check value of `KCV` bytes: 3 for a TDES key, 5 for an AES key.
pub struct Component<const KCV: usize = 3> {
    /// Which: 1 to the number of parts.
    pub part: u8,
    /// Who types it: 1–64 printable ASCII characters without `|`.
    pub person: String,
    /// As typed, [`Target::component_len`] bytes.
    pub clear: Zeroizing<Vec<u8>>,
    /// The check value on the person's sheet.
    pub check_value: [u8; KCV],
}

/// The key that components made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Combined<const KCV: usize = 3> {
    /// The key under this HSM's LMK.
    pub block: KeyBlock,
    /// Its check value.
    pub kcv: [u8; KCV],
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
    /// A component is as long as its key.
    #[error("a component of {found} bytes; it has {wanted}: check the sheet")]
    Length {
        /// Bytes typed.
        found: usize,
        /// Bytes of this key's components.
        wanted: usize,
    },
    /// A byte has even parity: mistyped.
    #[error("the component's parity is wrong: mistyped; check the sheet")]
    Parity,
    /// A check value has the length of its key's cipher.
    #[error("a check value of {found} bytes; a TDES key's has 3, an AES key's 5")]
    CheckValueLength {
        /// Bytes given.
        found: usize,
    },
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
pub fn enter<const KCV: usize>(
    hsm: &Offline,
    ceremony: &Ceremony,
    component: &Component<KCV>,
) -> Result<KeyBlock, HsmSoftError> {
    ceremony.check()?;
    let (part, of) = (component.part, ceremony.of);
    if !(1..=of).contains(&part) {
        return Err(ComponentRefusal::Part { part, of }.into());
    }
    check_person(&component.person)?;
    let clear = &component.clear;
    let wanted = ceremony.target.component_len();
    if clear.len() != wanted {
        return Err(ComponentRefusal::Length { found: clear.len(), wanted }.into());
    }
    match ceremony.target.algorithm() {
        ZoneAlgorithm::Tdes => {
            let quality = KeyQuality::of(clear);
            if !quality.odd_parity {
                return Err(ComponentRefusal::Parity.into());
            }
            quality.refuse_poor().map_err(ComponentRefusal::Poor)?;
        }
        ZoneAlgorithm::Aes => refuse_repeated(clear).map_err(ComponentRefusal::Poor)?,
    }
    if check_value::<KCV>(ceremony.target.algorithm(), clear)? != component.check_value {
        return Err(ComponentRefusal::CheckValue.into());
    }
    let note = ceremony.note(part, &component.person)?;
    let version = KeyVersion::parse(&format!("c{part}")).map_err(|_| ComponentRefusal::Part { part, of })?;
    let notes = [(NAME, ceremony.name.as_str()), (COMPONENT, note.as_str())];
    let purpose = ceremony.component_purpose();
    Ok(hsm.lmk.wrap_noted(purpose, bound(&ceremony.owner), version, &notes, clear)?)
}

/// Combines all components of a key; the result must have the check value that the people expect.
///
/// # Errors
/// [`HsmSoftError::Component`]; [`HsmSoftError::Refused`] for blocks that do not open.
pub fn combine<const KCV: usize>(
    hsm: &Offline,
    ceremony: &Ceremony,
    components: &[KeyBlock],
    expected: [u8; KCV],
) -> Result<Combined<KCV>, HsmSoftError> {
    ceremony.check()?;
    let parts = components
        .iter()
        .map(|block| Part::open(hsm, ceremony, block))
        .collect::<Result<Vec<_>, HsmSoftError>>()?;
    let algorithm = ceremony.target.algorithm();
    check_set(&parts, ceremony.of, algorithm)?;
    let mut clear = Zeroizing::new(vec![0; ceremony.target.component_len()]);
    for part in &parts {
        clear.iter_mut().zip(part.clear.iter()).for_each(|(to, from)| *to ^= from);
    }
    match algorithm {
        ZoneAlgorithm::Tdes => {
            set_odd_parity(&mut clear);
            KeyQuality::of(&clear).refuse_poor().map_err(ComponentRefusal::PoorKey)?;
        }
        ZoneAlgorithm::Aes => refuse_repeated(&clear).map_err(ComponentRefusal::PoorKey)?,
    }
    let kcv = check_value::<KCV>(algorithm, &clear)?;
    if kcv != expected {
        return Err(ComponentRefusal::KeyCheckValue.into());
    }
    let (purpose, place) = ceremony.target.rule()?;
    let bound = Binding { place: place.as_deref(), ..bound(&ceremony.owner) };
    let notes = [(NAME, ceremony.name.as_str())];
    let block = hsm.lmk.wrap_noted(purpose, bound, KeyVersion::UNUSED, &notes, &clear)?;
    Ok(Combined { block, kcv })
}

/// A component, opened.
struct Part {
    part: u8,
    person: String,
    clear: Zeroizing<Vec<u8>>,
}

impl Part {
    fn open(hsm: &Offline, ceremony: &Ceremony, block: &KeyBlock) -> Result<Self, HsmSoftError> {
        let opened =
            hsm.lmk.open("the component", block, ceremony.component_purpose(), bound(&ceremony.owner))?;
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

fn check_set(parts: &[Part], of: u8, algorithm: ZoneAlgorithm) -> Result<(), ComponentRefusal> {
    for (index, part) in parts.iter().enumerate() {
        for other in parts.iter().skip(index + 1) {
            if part.part == other.part {
                return Err(ComponentRefusal::PartTwice { part: part.part });
            }
            if part.person.trim().eq_ignore_ascii_case(other.person.trim()) {
                return Err(ComponentRefusal::SamePerson { person: part.person.clone() });
            }
            let equal = match algorithm {
                ZoneAlgorithm::Tdes => same_without_parity(&part.clear, &other.clear),
                ZoneAlgorithm::Aes => bool::from(part.clear.ct_eq(&other.clear)),
            };
            if equal {
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

    fn component_purpose(&self) -> Purpose {
        match self.target.algorithm() {
            ZoneAlgorithm::Tdes => Purpose::Component,
            ZoneAlgorithm::Aes => Purpose::ComponentAes,
        }
    }

    /// What a component's block says: `part/of|session|target|person`.
    fn note(&self, part: u8, person: &str) -> Result<String, HsmSoftError> {
        let (purpose, place) = self.target.rule()?;
        let place = place.as_deref().unwrap_or("-");
        Ok(format!("{part}/{}|{}|{} {place}|{person}", self.of, self.session, purpose.rule().text))
    }
}

impl Target {
    pub(crate) fn rule(&self) -> Result<(Purpose, Option<String>), HsmSoftError> {
        Ok(match self {
            Self::Exchange => (Purpose::Exchange, None),
            Self::ExchangeAes => (Purpose::ExchangeAes, None),
            Self::Tmk { pin_pad, slot } => (Purpose::Tmk, Some(place(pin_pad, *slot)?)),
            Self::Dmk { pin_pad } => (Purpose::Dmk, Some(place(pin_pad, 0)?)),
            Self::ZoneMaster { algorithm: ZoneAlgorithm::Tdes } => (Purpose::ZoneMasterTdes, None),
            Self::ZoneMaster { algorithm: ZoneAlgorithm::Aes } => (Purpose::ZoneMasterAes, None),
            Self::BatchProtect { partner, algorithm } => {
                let purpose = match algorithm {
                    ZoneAlgorithm::Tdes => Purpose::BatchProtect,
                    ZoneAlgorithm::Aes => Purpose::BatchProtectAes,
                };
                (purpose, Some(place_of_partner(partner)?))
            }
            Self::BatchMac { partner, algorithm } => {
                let purpose = match algorithm {
                    ZoneAlgorithm::Tdes => Purpose::BatchMac,
                    ZoneAlgorithm::Aes => Purpose::BatchMacAes,
                };
                (purpose, Some(place_of_partner(partner)?))
            }
        })
    }
}

fn check_person(person: &str) -> Result<(), ComponentRefusal> {
    let printable = |c: char| (c.is_ascii_graphic() || c == ' ') && c != '|';
    let good = !person.trim().is_empty() && person.len() <= MAX_PERSON && person.chars().all(printable);
    if good { Ok(()) } else { Err(ComponentRefusal::Person) }
}

/// The check value of a component or a key, where its cipher has one of `KCV` bytes.
fn check_value<const KCV: usize>(algorithm: ZoneAlgorithm, clear: &[u8]) -> Result<[u8; KCV], HsmSoftError> {
    let length = |_| HsmSoftError::Internal("component length");
    let kcv = match algorithm {
        ZoneAlgorithm::Tdes => TdesKey::from_bytes(clear).map_err(length)?.kcv().to_vec(),
        ZoneAlgorithm::Aes => AesKey::from_bytes(clear).map_err(length)?.kcv().to_vec(),
    };
    kcv.try_into().map_err(|_| ComponentRefusal::CheckValueLength { found: KCV }.into())
}

fn bound(owner: &str) -> Binding<'_> {
    Binding { place: None, owner, tk_hash: None }
}
