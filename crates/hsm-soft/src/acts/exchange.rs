//! Key blocks between KLD and KMS: X9.143 version B under a key that both sides agreed by components.
//!
//! | key | usage | mode | optional block |
//! |---|---|---|---|
//! | TMK | `K1` | `B` | `10`, its place |
//! | DMK | `11` | `N` | `10`, its place |
//! | factor of a DIK2 | `13` | `N` | `10`, its place |
//! | DIK1 | `B3` | `X` | `LB`, its label |
//!
//! All with algorithm `T`, key version `00`, exportability `N`. Exactly this is taken back.

use hsm::{KeyBlock, Refusal, commands::Held};
use keyblock::{Algorithm, Exportability, Header, Kbpk, KeyContext, KeyVersion, Mode, Usage, Version};
use paycrypto::TdesKey;
use zeroize::Zeroizing;

use crate::{SoftHsm, lmk::Binding, purpose, purpose::Purpose, soft_hsm::place};

/// A TDES key's length where one must be long: 24 bytes.
pub(super) const TRIPLE: usize = 24;
/// The longest factor (2-wire.md section 2, DF23).
pub(super) const MAX_FACTOR: usize = 32;

const PLACE: &str = "10";
const LABEL: &str = "LB";

/// An exchange key, ready for use.
pub(super) struct Exchange(Kbpk);

/// One line of the table, and the text of its optional block.
pub(super) struct Travels<'a> {
    usage: Usage,
    mode: Mode,
    id: &'static str,
    text: &'a str,
}

impl<'a> Travels<'a> {
    pub(super) fn held(what: Held, place: &'a str) -> Self {
        let (usage, mode) = match what {
            Held::Tmk { .. } => (Usage::KEY_BLOCK_PROTECTION, Mode::BOTH),
            Held::Dmk => (purpose::DMK, Mode::NO_RESTRICTION),
            Held::Factor => (purpose::FACTOR, Mode::NO_RESTRICTION),
        };
        Self { usage, mode, id: PLACE, text: place }
    }

    pub(super) fn dik1(label: &'a str) -> Self {
        Self { usage: purpose::DERIVATION, mode: Mode::DERIVE, id: LABEL, text: label }
    }

    fn header(&self) -> Result<Header, Refusal> {
        Header::new(Version::B, self.usage, Algorithm::TDES, self.mode, Exportability::NOT_EXPORTABLE)
            .with_optional(self.id, self.text)
            .map_err(|e| Refusal::NotMade { why: e.to_string() })
    }
}

impl Exchange {
    pub(super) fn open(hsm: &SoftHsm, under: &KeyBlock, owner: &str) -> Result<Self, Refusal> {
        let bound = Binding { place: None, owner, tk_hash: None };
        let opened = hsm.lmk.open("the exchange key", under, Purpose::Exchange, bound)?;
        let poor = |e: &dyn std::fmt::Display| Refusal::WrongUse {
            what: "the exchange key".into(),
            found: e.to_string(),
        };
        let key = TdesKey::from_bytes_strict(&opened.key).map_err(|e| poor(&e))?;
        Kbpk::new(Version::B, key.expose()).map(Self).map_err(|e| poor(&e))
    }

    pub(super) fn wrap(&self, travels: &Travels<'_>, key: &[u8]) -> Result<String, Refusal> {
        self.0.wrap(&travels.header()?, key).map_err(|e| Refusal::NotMade { why: e.to_string() })
    }

    /// Opens a block that must say exactly what `travels` says.
    pub(super) fn unwrap(&self, travels: &Travels<'_>, block: &str) -> Result<Zeroizing<Vec<u8>>, Refusal> {
        let opened = self.0.unwrap(block).map_err(|e| refused(&e))?;
        let (found, wanted) = (&opened.header, travels.header()?);
        let wrong = [
            (found.usage != wanted.usage, "it is another key: its usage is not the one asked for"),
            (found.algorithm != wanted.algorithm, "its algorithm is not T"),
            (found.mode != wanted.mode, "its mode of use is not the one of this key"),
            (found.key_version != KeyVersion::UNUSED, "its key version is not 00"),
            (found.exportability != Exportability::NOT_EXPORTABLE, "its exportability is not N"),
            (found.key_context != KeyContext::Unspecified, "its key context is not 0"),
            (found.optional != wanted.optional, "it belongs to another place or has another label"),
        ];
        match wrong.into_iter().find(|(wrong, _)| *wrong) {
            Some((_, why)) => Err(refused(&why)),
            None => Ok(opened.key),
        }
    }
}

/// The place of a key that travels.
pub(super) fn place_of(what: Held, pin_pad: &str) -> Result<String, Refusal> {
    match what {
        Held::Tmk { slot } => place(pin_pad, slot),
        Held::Dmk | Held::Factor => place(pin_pad, 0),
    }
}

/// The purpose of a key that travels.
pub(super) fn purpose_of(what: Held) -> Purpose {
    match what {
        Held::Tmk { .. } => Purpose::Tmk,
        Held::Dmk => Purpose::Dmk,
        Held::Factor => Purpose::Factor,
    }
}

/// What is wrong with a block to import.
pub(super) fn refused(defect: &dyn std::fmt::Display) -> Refusal {
    Refusal::Import { defect: defect.to_string() }
}

/// Checks a TDES key that came from elsewhere: 24 bytes, good parts. Gives its check value.
pub(super) fn check_triple(key: &[u8]) -> Result<[u8; 3], Refusal> {
    if key.len() != TRIPLE {
        return Err(refused(&format!("a key of {} bytes; such a key has {TRIPLE}", key.len())));
    }
    TdesKey::from_bytes_strict(key).map(|key| key.kcv()).map_err(|e| refused(&e))
}

/// Checks a factor that came from elsewhere.
pub(super) fn check_factor(factor: &[u8]) -> Result<(), Refusal> {
    if (1..=MAX_FACTOR).contains(&factor.len()) {
        return Ok(());
    }
    Err(refused(&format!("a factor of {} bytes; factors have 1 to {MAX_FACTOR}", factor.len())))
}
