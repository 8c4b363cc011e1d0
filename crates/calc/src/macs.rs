//! Message authentication codes.

use core::fmt;

use paycrypto::DesKey;
use paycrypto::mac::{Padding, cmac_aes, cmac_tdes, iso9797_alg1, iso9797_alg3, x9_9};

use crate::keys::{DesFamily, aes_key};
use crate::{Error, Remarks, to_hex};

/// The MAC algorithms of the calculator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MacAlgorithm {
    /// `x9.9`: DES or TDES chaining, zero padding (method 1), left 4 bytes.
    X99,
    /// `iso9797-1-alg1`: CBC-MAC with DES or TDES by the key's length, 8 bytes.
    Iso9797Alg1,
    /// `iso9797-1-alg3`: retail MAC, key of 16 bytes (or 24: K3 in the last step), 8 bytes.
    Iso9797Alg3,
    /// `cmac-tdes`: CMAC with TDES, 8 bytes; it has no padding to choose.
    CmacTdes,
    /// `cmac-aes`: CMAC with AES, 16 bytes; it has no padding to choose.
    CmacAes,
}

impl MacAlgorithm {
    const ALL: [Self; 5] = [Self::X99, Self::Iso9797Alg1, Self::Iso9797Alg3, Self::CmacTdes, Self::CmacAes];

    /// The algorithm of this name.
    ///
    /// # Errors
    /// [`Error::Algorithm`] for any other.
    pub fn parse(name: &str) -> Result<Self, Error> {
        let known = "x9.9, iso9797-1-alg1, iso9797-1-alg3, cmac-tdes or cmac-aes";
        Self::ALL.into_iter().find(|algorithm| algorithm.name() == name).ok_or(Error::Algorithm { known })
    }

    /// The algorithm's name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::X99 => "x9.9",
            Self::Iso9797Alg1 => "iso9797-1-alg1",
            Self::Iso9797Alg3 => "iso9797-1-alg3",
            Self::CmacTdes => "cmac-tdes",
            Self::CmacAes => "cmac-aes",
        }
    }

    /// The padding method of this number, 1 by default. CMAC passes over it.
    ///
    /// # Errors
    /// [`Error::Padding`] for a number that the algorithm does not have: `x9.9` has 1 only.
    pub fn padding(self, number: Option<u64>) -> Result<Padding, Error> {
        let algorithm = self.name();
        match (self, number.unwrap_or(1)) {
            (Self::CmacTdes | Self::CmacAes, _) | (_, 1) => Ok(Padding::One),
            (Self::X99, _) => Err(Error::Padding { algorithm, allowed: "1 only" }),
            (_, 2) => Ok(Padding::Two),
            (_, 3) => Ok(Padding::Three),
            _ => Err(Error::Padding { algorithm, allowed: "1, 2 or 3" }),
        }
    }
}

/// A MAC and what is to be said of its key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MacValue {
    /// 4 bytes for X9.9, 8 for the others over DES and TDES, 16 for AES.
    pub value: Vec<u8>,
    /// What is to be said of the key.
    pub remarks: Remarks,
}

/// The MAC over `data`, whole except for X9.9. `padding` comes from [`MacAlgorithm::padding`].
///
/// # Errors
/// [`Error::Key`] for a length that the algorithm does not have.
pub fn mac(algorithm: MacAlgorithm, padding: Padding, key: &[u8], data: &[u8]) -> Result<MacValue, Error> {
    let (value, remarks) = if algorithm == MacAlgorithm::CmacAes {
        (cmac_aes(&aes_key(key)?, data).to_vec(), Remarks::NONE)
    } else {
        let value = match DesFamily::from_bytes(key)? {
            DesFamily::Single(key) => des_mac(algorithm, padding, &key, data)?,
            DesFamily::Triple(key) => des_mac(algorithm, padding, &key, data)?,
        };
        (value, Remarks::of_des(key))
    };
    Ok(MacValue { value, remarks })
}

fn des_mac(
    algorithm: MacAlgorithm,
    padding: Padding,
    key: &impl DesKey,
    data: &[u8],
) -> Result<Vec<u8>, Error> {
    Ok(match algorithm {
        MacAlgorithm::X99 => x9_9(key, data).to_vec(),
        MacAlgorithm::Iso9797Alg1 => iso9797_alg1(key, padding, data)?.to_vec(),
        MacAlgorithm::Iso9797Alg3 => iso9797_alg3(key, padding, data)?.to_vec(),
        MacAlgorithm::CmacTdes => cmac_tdes(key, data).to_vec(),
        MacAlgorithm::CmacAes => return Err(Error::Internal),
    })
}

impl fmt::Display for MacValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", *to_hex(&self.value), self.remarks)
    }
}
