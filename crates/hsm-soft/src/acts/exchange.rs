//! Key blocks between KLD and KMS: X9.143 under a key that both sides agreed by components. A TDES exchange key carries
//! TDES keys in version B, an AES exchange key those of suite 02 in version D: neither carries the other's (R7).
//!
//! | key | usage | mode | optional block |
//! |---|---|---|---|
//! | TMK | `K1` | `B` | `10`, its place |
//! | DMK | `11` | `N` | `10`, its place |
//! | factor of a DIK2 | `13` | `N` | `10`, its place |
//! | DIK1 | `B3` | `X` | `LB`, its label |
//!
//! All with algorithm `T` or `A`, key version `00`, exportability `N`. Exactly this is taken back.

use hsm::{KeyBlock, Refusal, commands::Held};
use keyblock::{Algorithm, Exportability, Header, Kbpk, KeyContext, KeyVersion, Mode, Usage, Version};
use paycrypto::{AesKey, TdesKey};
use zeroize::Zeroizing;

use crate::{SoftHsm, lmk::Binding, purpose, purpose::Purpose, soft_hsm::place};

/// A TDES key's length where one must be long: 24 bytes.
pub(super) const TRIPLE: usize = 24;
/// The longest factor (2-wire.md section 2, DF23).
pub(super) const MAX_FACTOR: usize = 32;

const PLACE: &str = "10";
const LABEL: &str = "LB";

/// The cipher of an exchange key, and of every key that it carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cipher {
    /// Suite 01.
    Tdes,
    /// Suite 02.
    Aes,
}

impl Cipher {
    /// For a command that takes keys of both suites.
    pub(super) const BOTH: [Self; 2] = [Self::Tdes, Self::Aes];

    /// The purpose of a key that travels.
    pub(super) fn held(self, what: Held) -> Purpose {
        match (self, what) {
            (Self::Tdes, Held::Tmk { .. }) => Purpose::Tmk,
            (Self::Tdes, Held::Dmk) => Purpose::Dmk,
            (Self::Tdes, Held::Factor) => Purpose::Factor,
            (Self::Aes, Held::Tmk { .. }) => Purpose::TmkAes,
            (Self::Aes, Held::Dmk) => Purpose::DmkAes,
            (Self::Aes, Held::Factor) => Purpose::FactorAes,
        }
    }

    /// The purpose of a DIK1.
    pub(super) fn dik1(self) -> Purpose {
        match self {
            Self::Tdes => Purpose::Dik1,
            Self::Aes => Purpose::Dik1Aes,
        }
    }

    fn exchange(self) -> Purpose {
        match self {
            Self::Tdes => Purpose::Exchange,
            Self::Aes => Purpose::ExchangeAes,
        }
    }

    fn version(self) -> Version {
        match self {
            Self::Tdes => Version::B,
            Self::Aes => Version::D,
        }
    }

    fn algorithm(self) -> Algorithm {
        match self {
            Self::Tdes => Algorithm::TDES,
            Self::Aes => Algorithm::AES,
        }
    }
}

/// An exchange key, ready for use.
pub(super) struct Exchange {
    kbpk: Kbpk,
    cipher: Cipher,
}

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

    fn header(&self, cipher: Cipher) -> Result<Header, Refusal> {
        let (version, algorithm) = (cipher.version(), cipher.algorithm());
        Header::new(version, self.usage, algorithm, self.mode, Exportability::NOT_EXPORTABLE)
            .with_optional(self.id, self.text)
            .map_err(|e| Refusal::NotMade { why: e.to_string() })
    }
}

impl Exchange {
    /// Opens an exchange key of one of these ciphers.
    pub(super) fn open(
        hsm: &SoftHsm,
        under: &KeyBlock,
        owner: &str,
        ciphers: &[Cipher],
    ) -> Result<Self, Refusal> {
        let bound = Binding { place: None, owner, tk_hash: None };
        let purposes: Vec<_> = ciphers.iter().map(|cipher| cipher.exchange()).collect();
        let (purpose, opened) = hsm.lmk.open_one_of("the exchange key", under, &purposes, bound)?;
        let poor = |e: &dyn std::fmt::Display| Refusal::WrongUse {
            what: "the exchange key".into(),
            found: e.to_string(),
        };
        let cipher = if purpose == Purpose::ExchangeAes { Cipher::Aes } else { Cipher::Tdes };
        if cipher == Cipher::Tdes {
            TdesKey::from_bytes_strict(&opened.key).map_err(|e| poor(&e))?;
        }
        let kbpk = Kbpk::new(cipher.version(), &opened.key).map_err(|e| poor(&e))?;
        Ok(Self { kbpk, cipher })
    }

    /// The cipher of the keys that it carries.
    pub(super) fn cipher(&self) -> Cipher {
        self.cipher
    }

    pub(super) fn wrap(&self, travels: &Travels<'_>, key: &[u8]) -> Result<String, Refusal> {
        self.kbpk
            .wrap(&travels.header(self.cipher)?, key)
            .map_err(|e| Refusal::NotMade { why: e.to_string() })
    }

    /// Opens a block that must say exactly what `travels` says.
    pub(super) fn unwrap(&self, travels: &Travels<'_>, block: &str) -> Result<Zeroizing<Vec<u8>>, Refusal> {
        let opened = self.kbpk.unwrap(block).map_err(|e| refused(&e))?;
        let (found, wanted) = (&opened.header, travels.header(self.cipher)?);
        let wrong = [
            (found.usage != wanted.usage, "it is another key: its usage is not the one asked for"),
            (found.algorithm != wanted.algorithm, "its algorithm is not the exchange key's own"),
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

/// What is wrong with a block to import.
pub(super) fn refused(defect: &dyn std::fmt::Display) -> Refusal {
    Refusal::Import { defect: defect.to_string() }
}

/// Refuses to give away a poor key, however it came under the LMK. A factor is no key.
pub(super) fn check_leaving(purpose: Purpose, key: &[u8]) -> Result<(), Refusal> {
    if purpose.rule().algorithm != Algorithm::TDES || purpose == Purpose::Factor {
        return Ok(());
    }
    let checked = TdesKey::from_bytes_strict(key).map(drop);
    checked.map_err(|e| Refusal::WrongUse { what: "the key to export".into(), found: e.to_string() })
}

/// Checks a TDES key that came from elsewhere: 24 bytes, good parts. Gives its check value.
pub(super) fn check_triple(key: &[u8]) -> Result<[u8; 3], Refusal> {
    if key.len() != TRIPLE {
        return Err(refused(&format!("a key of {} bytes; such a key has {TRIPLE}", key.len())));
    }
    TdesKey::from_bytes_strict(key).map(|key| key.kcv()).map_err(|e| refused(&e))
}

/// Checks a key of suite 02 that came from elsewhere. Gives its check value.
pub(super) fn check_aes(key: &[u8], length: usize) -> Result<[u8; 5], Refusal> {
    if key.len() != length {
        return Err(refused(&format!("a key of {} bytes; such a key has {length}", key.len())));
    }
    AesKey::from_bytes_strict(key).map(|key| key.kcv()).map_err(|e| refused(&e))
}

/// Checks a factor that came from elsewhere.
pub(super) fn check_factor(factor: &[u8]) -> Result<(), Refusal> {
    if (1..=MAX_FACTOR).contains(&factor.len()) {
        return Ok(());
    }
    Err(refused(&format!("a factor of {} bytes; factors have 1 to {MAX_FACTOR}", factor.len())))
}
