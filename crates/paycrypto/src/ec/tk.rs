//! TK of this suite: TEK ‖ AUK, and how it travels when it is collected (3-hardened.md, flow A, collecting).

use zeroize::Zeroizing;

use super::hpke::{self, OVERHEAD};
use super::keys::{Auk, Tek};
use super::{AgreementKey, PublicPoint};
use crate::{Error, digest, hygiene, mac};

/// Bytes of TEK ‖ AUK.
const CLEAR: usize = Tek::LENGTH + Auk::LENGTH;

/// Bytes of DF09: encapsulated key, TEK ‖ AUK encrypted, tag.
pub const TK_CIPHERTEXT: usize = CLEAR + OVERHEAD;

/// In front of what HPKE is bound to.
const LABEL: &[u8] = b"KF2 tk";

/// The pair that a terminal's PIN pad makes. TEK and AUK are never equal.
#[derive(Debug)]
pub struct Tk {
    tek: Tek,
    auk: Auk,
}

impl Tk {
    /// Makes both keys.
    ///
    /// # Errors
    /// [`Error::RandomStuck`], [`Error::RandomUnavailable`]; [`Error::RandomPoor`] when both come out the same.
    pub fn generate() -> Result<Self, Error> {
        Self::from_keys(Tek::generate()?, Auk::generate()?).map_err(|error| match error {
            Error::EqualKeys => Error::RandomPoor,
            other => other,
        })
    }

    /// Joins the two keys that were kept apart.
    ///
    /// # Errors
    /// [`Error::EqualKeys`]; [`Error::Poor`] for a key that is one part repeated, zeros among them.
    pub fn from_keys(tek: Tek, auk: Auk) -> Result<Self, Error> {
        if mac::matches(tek.expose(), auk.expose()) {
            return Err(Error::EqualKeys);
        }
        hygiene::refuse_repeated(tek.expose())?;
        hygiene::refuse_repeated(auk.expose())?;
        Ok(Self { tek, auk })
    }

    /// TEK.
    pub fn tek(&self) -> &Tek {
        &self.tek
    }

    /// AUK.
    pub fn auk(&self) -> &Auk {
        &self.auk
    }

    /// DF09: TEK ‖ AUK for the holder of `recipient`, bound to this collecting.
    ///
    /// # Errors
    /// As [`hpke::seal`].
    pub fn seal(&self, recipient: &PublicPoint, info: &CollectInfo) -> Result<Vec<u8>, Error> {
        let mut clear = Zeroizing::new([0; CLEAR]);
        for (to, from) in clear.iter_mut().zip(self.tek.expose().iter().chain(self.auk.expose())) {
            *to = *from;
        }
        hpke::seal(recipient, &info.text(), &[], &*clear)
    }

    /// Opens a DF09 that must belong to this collecting.
    ///
    /// # Errors
    /// [`Error::Open`] when it does not open or holds anything but two different keys.
    pub fn open(recipient: &AgreementKey, info: &CollectInfo, df09: &[u8]) -> Result<Self, Error> {
        if df09.len() != TK_CIPHERTEXT {
            return Err(Error::Open);
        }
        let clear = hpke::open(recipient, &info.text(), &[], df09)?;
        let (tek, auk) = clear.split_first_chunk::<{ Tek::LENGTH }>().ok_or(Error::Open)?;
        let auk = auk.try_into().map_err(|_| Error::Open)?;
        Self::from_keys(Tek::from_bytes(tek), Auk::from_bytes(auk)).map_err(|_| Error::Open)
    }
}

/// What a DF09 is bound to: the COLLECT that asked, whose TK it is, and which generation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CollectInfo([u8; digest::SHA256]);

impl CollectInfo {
    /// SHA-256(COLLECT frame ‖ SN ‖ 0 ‖ PIN pad serial ‖ 0 ‖ DF18). `collect` has its length in front; a built-in PIN
    /// pad's serial is SN.
    pub fn new(collect: &[u8], sn: &str, pin_pad: &str, generation: u64) -> Self {
        let parts: [&[u8]; 6] =
            [collect, sn.as_bytes(), &[0], pin_pad.as_bytes(), &[0], &generation.to_be_bytes()];
        Self(digest::sha256(&parts.concat()))
    }

    /// The digest.
    pub fn as_bytes(&self) -> &[u8; digest::SHA256] {
        &self.0
    }

    /// HPKE's info.
    fn text(&self) -> Vec<u8> {
        [LABEL, &self.0].concat()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hygiene::PoorKey;

    #[test]
    fn r6_parts_that_are_equal_repeated_or_zero_make_no_tk() {
        let random = Tk::generate().unwrap();
        let (tek, auk) = (*random.tek().expose(), *random.auk().expose());
        let mut halves = tek;
        halves.copy_within(..16, 16);
        let made = |tek: &[u8; 32], auk: &[u8; 32]| Tk::from_keys(Tek::from_bytes(tek), Auk::from_bytes(auk));
        assert!(made(&tek, &auk).is_ok());
        assert!(matches!(made(&tek, &tek), Err(Error::EqualKeys)));
        for poor in [[0; 32], halves] {
            assert!(matches!(made(&poor, &auk), Err(Error::Poor(PoorKey::Repeated))));
            assert!(matches!(made(&tek, &poor), Err(Error::Poor(PoorKey::Repeated))));
        }
    }
}
