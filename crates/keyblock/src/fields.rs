//! The fields of the fixed header (X9.143 6.2, table 1), each a type of its own.

use core::fmt;

use crate::Error;

/// The key block version: which cipher protects the block, and how the key is bound to the header.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Version {
    /// Key variant binding with TDES, 2005. Deprecated: the MAC has 32 bits.
    A,
    /// Key derivation binding with TDES.
    B,
    /// Key variant binding with TDES, 2010. Deprecated: the MAC has 32 bits.
    C,
    /// Key derivation binding with AES-CBC.
    D,
    /// Key derivation binding with AES-CTR (ISO 20038).
    E,
}

impl Version {
    /// All versions, in order.
    pub const ALL: [Version; 5] = [Version::A, Version::B, Version::C, Version::D, Version::E];

    /// The version of this letter.
    ///
    /// # Errors
    /// [`Error::UnknownVersion`] for anything but one letter from `A` to `E`.
    pub fn parse(text: &str) -> Result<Self, Error> {
        match text.as_bytes() {
            [letter] => Self::from_letter(*letter),
            _ => Err(Error::UnknownVersion),
        }
    }

    pub(crate) fn from_letter(letter: u8) -> Result<Self, Error> {
        match letter {
            b'A' => Ok(Version::A),
            b'B' => Ok(Version::B),
            b'C' => Ok(Version::C),
            b'D' => Ok(Version::D),
            b'E' => Ok(Version::E),
            _ => Err(Error::UnknownVersion),
        }
    }

    /// The version's letter.
    #[must_use]
    pub const fn letter(self) -> char {
        match self {
            Version::A => 'A',
            Version::B => 'B',
            Version::C => 'C',
            Version::D => 'D',
            Version::E => 'E',
        }
    }

    /// Whether new blocks of this version are made only on explicit request (A and C).
    #[must_use]
    pub const fn is_legacy(self) -> bool {
        matches!(self, Version::A | Version::C)
    }

    /// Bytes of the cipher's block: 8 for TDES, 16 for AES. Headers are padded to a multiple of as many characters.
    #[must_use]
    pub const fn cipher_block(self) -> usize {
        match self {
            Version::A | Version::B | Version::C => 8,
            Version::D | Version::E => 16,
        }
    }

    /// Characters of the MAC at the block's end.
    #[must_use]
    pub const fn mac_characters(self) -> usize {
        match self {
            Version::A | Version::C => 8,
            Version::B => 16,
            Version::D | Version::E => 32,
        }
    }

    pub(crate) const fn kbpk_lengths(self) -> &'static str {
        match self {
            Version::A | Version::C => "8, 16 or 24 bytes",
            Version::B => "16 or 24 bytes",
            Version::D | Version::E => "16, 24 or 32 bytes",
        }
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.letter())
    }
}

const fn is_upper_or_digit(character: u8) -> bool {
    character.is_ascii_uppercase() || character.is_ascii_digit()
}

const fn is_alphanumeric(character: u8) -> bool {
    character.is_ascii_alphanumeric()
}

/// One header field of `$length` characters, checked when made, compared and shown as text.
macro_rules! field {
    ($(#[$doc:meta])* $name:ident, $length:literal, $error:ident, $allowed:ident, { $($(#[$const_doc:meta])* $constant:ident = $code:literal;)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name([u8; $length]);

        impl $name {
            $($(#[$const_doc])* pub const $constant: $name = $name(*$code);)*

            /// Makes the field from its characters; usable in constants.
            ///
            /// # Errors
            #[doc = concat!("[`Error::", stringify!($error), "`] for characters that this field cannot have.")]
            pub const fn from_ascii(code: [u8; $length]) -> Result<Self, Error> {
                let mut at = 0;
                while at < $length {
                    if !$allowed(code[at]) {
                        return Err(Error::$error);
                    }
                    at += 1;
                }
                Ok($name(code))
            }

            /// Makes the field from text of exactly its length.
            ///
            /// # Errors
            #[doc = concat!("[`Error::", stringify!($error), "`] for another length or other characters.")]
            pub fn parse(text: &str) -> Result<Self, Error> {
                let code: [u8; $length] = text.as_bytes().try_into().map_err(|_| Error::$error)?;
                Self::from_ascii(code)
            }

            /// The field as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                // Only ASCII gets in, so this never falls back.
                core::str::from_utf8(&self.0).unwrap_or_default()
            }

            /// The field's characters.
            #[must_use]
            pub const fn as_bytes(&self) -> &[u8; $length] {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self.as_str())
            }
        }

        impl core::str::FromStr for $name {
            type Err = Error;

            fn from_str(text: &str) -> Result<Self, Error> {
                Self::parse(text)
            }
        }
    };
}

field! {
    /// Key usage, two upper-case letters or digits (X9.143 6.3.1). Two digits are proprietary usages.
    Usage, 2, Usage, is_upper_or_digit, {
        /// `B0`, base derivation key (DUKPT).
        BASE_DERIVATION = b"B0";
        /// `B1`, initial DUKPT key.
        DUKPT_INITIAL = b"B1";
        /// `C0`, card verification key.
        CARD_VERIFICATION = b"C0";
        /// `D0`, symmetric key for data encryption.
        DATA_ENCRYPTION = b"D0";
        /// `K0`, key encryption or wrapping.
        KEY_ENCRYPTION = b"K0";
        /// `K1`, key block protection key.
        KEY_BLOCK_PROTECTION = b"K1";
        /// `M1`, ISO 9797-1 MAC algorithm 1.
        MAC_ALGORITHM_1 = b"M1";
        /// `M3`, ISO 9797-1 MAC algorithm 3.
        MAC_ALGORITHM_3 = b"M3";
        /// `M6`, ISO 9797-1 MAC algorithm 5 (CMAC).
        MAC_CMAC = b"M6";
        /// `M7`, HMAC.
        HMAC = b"M7";
        /// `P0`, PIN encryption.
        PIN_ENCRYPTION = b"P0";
        /// `S0`, asymmetric key pair for digital signature.
        SIGNATURE = b"S0";
        /// `S2`, asymmetric key pair, no designation.
        ASYMMETRIC = b"S2";
    }
}

field! {
    /// Algorithm that the key is used with, one upper-case letter or digit (X9.143 6.3.2).
    Algorithm, 1, Algorithm, is_upper_or_digit, {
        /// `A`, AES.
        AES = b"A";
        /// `D`, single DES.
        DES = b"D";
        /// `E`, elliptic curve.
        ELLIPTIC_CURVE = b"E";
        /// `H`, HMAC.
        HMAC = b"H";
        /// `R`, RSA.
        RSA = b"R";
        /// `T`, triple DES.
        TDES = b"T";
    }
}

field! {
    /// Mode of use, one upper-case letter or digit (X9.143 6.3.3).
    Mode, 1, Mode, is_upper_or_digit, {
        /// `B`, both encrypt and decrypt (or wrap and unwrap).
        BOTH = b"B";
        /// `C`, both generate and verify a MAC.
        GENERATE_AND_VERIFY = b"C";
        /// `D`, decrypt or unwrap only.
        DECRYPT = b"D";
        /// `E`, encrypt or wrap only.
        ENCRYPT = b"E";
        /// `G`, generate a MAC only.
        GENERATE = b"G";
        /// `N`, no special restriction.
        NO_RESTRICTION = b"N";
        /// `S`, signature only.
        SIGN = b"S";
        /// `T`, both sign and decrypt.
        SIGN_AND_DECRYPT = b"T";
        /// `V`, verify only.
        VERIFY = b"V";
        /// `X`, derive other keys only.
        DERIVE = b"X";
    }
}

field! {
    /// Key version number, two letters or digits; `00` says that it is not used, `c1`…`c9` number a component
    /// (X9.143 6.3.4).
    KeyVersion, 2, KeyVersion, is_alphanumeric, {
        /// `00`, not used.
        UNUSED = b"00";
    }
}

field! {
    /// Exportability, one upper-case letter or digit (X9.143 6.3.5).
    Exportability, 1, Exportability, is_upper_or_digit, {
        /// `E`, under a trusted key, in a trusted form.
        EXPORTABLE = b"E";
        /// `N`, not exportable.
        NOT_EXPORTABLE = b"N";
        /// `S`, sensitive: exportable under a key in a form that may be less trusted.
        SENSITIVE = b"S";
    }
}

/// Where the block may be used (X9.143 6.2, table 1; older blocks have a reserved `0` there).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum KeyContext {
    /// `0`: what the wrapping key says.
    #[default]
    Unspecified,
    /// `1`: storage only.
    Storage,
    /// `2`: exchange only.
    Exchange,
}

impl KeyContext {
    pub(crate) fn from_digit(digit: u8) -> Result<Self, Error> {
        match digit {
            b'0' => Ok(KeyContext::Unspecified),
            b'1' => Ok(KeyContext::Storage),
            b'2' => Ok(KeyContext::Exchange),
            _ => Err(Error::KeyContext),
        }
    }

    /// The context's digit.
    #[must_use]
    pub const fn digit(self) -> char {
        match self {
            KeyContext::Unspecified => '0',
            KeyContext::Storage => '1',
            KeyContext::Exchange => '2',
        }
    }
}
