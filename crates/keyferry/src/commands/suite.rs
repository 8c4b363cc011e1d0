//! Which suite a command is for.

use clap::ValueEnum;
use pki::KeyFamily;
use wire::Suite;

/// A suite as people name it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum SuiteName {
    /// TDES and RSA, for terminals that have nothing else.
    #[value(name = "1", alias = "01")]
    Tdes,
    /// EC and AES.
    #[value(name = "2", alias = "02")]
    EcAes,
}

impl SuiteName {
    /// DF01.
    pub(crate) fn suite(self) -> Suite {
        match self {
            Self::Tdes => Suite::TDES,
            Self::EcAes => Suite::EC_AES,
        }
    }

    /// The keys of its certificates.
    pub(crate) fn keys(self) -> KeyFamily {
        match self {
            Self::Tdes => KeyFamily::Rsa,
            Self::EcAes => KeyFamily::P256,
        }
    }

    /// The suite whose certificates have keys like this one, which is SubjectPublicKeyInfo in DER.
    pub(crate) fn of_key(spki: &[u8]) -> Result<Self, pki::KeyDefect> {
        Ok(match KeyFamily::of(spki)? {
            KeyFamily::Rsa => Self::Tdes,
            KeyFamily::P256 => Self::EcAes,
        })
    }
}

impl std::fmt::Display for SuiteName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Tdes => "1",
            Self::EcAes => "2",
        })
    }
}
