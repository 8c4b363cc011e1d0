//! Roles: what the key in a certificate may be used for (2-wire.md section 5,
//! 3-hardened.md).

use const_oid::ObjectIdentifier;
use x509_cert::der::flagset::FlagSet;
use x509_cert::ext::pkix::KeyUsages;

use crate::key::KeyFamily;

/// The arc under which each role has its extended key usage.
pub const ARC: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.32473.4711");

/// Whether [`ARC`] is still under RFC 5612's example enterprise number, to be replaced by the project's own
/// before a first release. The CA's tools say so while it is.
pub const ARC_IS_EXAMPLE: bool = true;

/// The extension that marks a root as one for trials: not critical, its value NULL. What is made for trials and what
/// is made for production never believe each other ([`crate::Certificate::must_be_for`]).
pub const TRIAL_MARK: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.32473.4711.0");

/// The role of a certificate; the number is the last arc of its extended key usage (2-wire.md section 5).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Role {
    /// KMS work key: terminals encrypt their TK to it.
    KmsWork = 1,
    /// Key loading device: decrypts Rnd1 and signs keys with message recovery.
    Downloader = 2,
    /// RKS work key: terminals encrypt their factor and TK2 to it.
    RksWork = 3,
    /// Operator card: signs collected packages.
    Operator = 4,
    /// Administrator card: the second card that a station needs.
    Administrator = 5,
    /// The vendor's material tracking system: collects TKs, signs batches.
    Mtms = 6,
    /// Signs packages for download to terminals.
    PackageSigning = 7,
    /// Signs repair authorisations.
    RepairAuthorisation = 8,
    /// Device key: made in a PIN pad at production, signs for it (3-hardened.md).
    Device = 9,
    /// RKS signing key: signs the RKS's side of flow C (3-hardened.md).
    RksSigning = 10,
}

impl Role {
    /// Every role, in the order of their numbers.
    pub const ALL: [Self; 10] = [
        Self::KmsWork,
        Self::Downloader,
        Self::RksWork,
        Self::Operator,
        Self::Administrator,
        Self::Mtms,
        Self::PackageSigning,
        Self::RepairAuthorisation,
        Self::Device,
        Self::RksSigning,
    ];

    /// Those of suite 01, whose chains are RSA (2-wire.md section 5). The others are of suite 02 alone.
    pub const SUITE_01: [Self; 8] = [
        Self::KmsWork,
        Self::Downloader,
        Self::RksWork,
        Self::Operator,
        Self::Administrator,
        Self::Mtms,
        Self::PackageSigning,
        Self::RepairAuthorisation,
    ];

    /// The number of the role, the last arc of its object identifier.
    #[must_use]
    pub const fn number(self) -> u8 {
        self as u8
    }

    /// The role with this number.
    #[must_use]
    pub fn from_number(number: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.number() == number)
    }

    /// The role's extended key usage.
    #[must_use]
    pub const fn oid(self) -> ObjectIdentifier {
        ObjectIdentifier::new_unwrap(match self {
            Self::KmsWork => "1.3.6.1.4.1.32473.4711.1",
            Self::Downloader => "1.3.6.1.4.1.32473.4711.2",
            Self::RksWork => "1.3.6.1.4.1.32473.4711.3",
            Self::Operator => "1.3.6.1.4.1.32473.4711.4",
            Self::Administrator => "1.3.6.1.4.1.32473.4711.5",
            Self::Mtms => "1.3.6.1.4.1.32473.4711.6",
            Self::PackageSigning => "1.3.6.1.4.1.32473.4711.7",
            Self::RepairAuthorisation => "1.3.6.1.4.1.32473.4711.8",
            Self::Device => "1.3.6.1.4.1.32473.4711.9",
            Self::RksSigning => "1.3.6.1.4.1.32473.4711.10",
        })
    }

    /// The role with this extended key usage.
    #[must_use]
    pub fn from_oid(oid: &ObjectIdentifier) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.oid() == *oid)
    }

    /// The word by which configuration files and commands name the role.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::KmsWork => "kms-work",
            Self::Downloader => "downloader",
            Self::RksWork => "rks-work",
            Self::Operator => "operator",
            Self::Administrator => "administrator",
            Self::Mtms => "mtms",
            Self::PackageSigning => "package-signing",
            Self::RepairAuthorisation => "repair-authorisation",
            Self::Device => "device",
            Self::RksSigning => "rks-signing",
        }
    }

    /// Whether certificates of this role have keys of this family.
    #[must_use]
    pub fn has_keys_of(self, family: KeyFamily) -> bool {
        !self.key_usages(family).is_empty()
    }

    /// The family of the chains of this role where no suite says it: RSA, but for the roles that suite 02 alone has.
    pub(crate) fn family_or(self, family: KeyFamily) -> KeyFamily {
        if self.has_keys_of(KeyFamily::Rsa) { family } else { KeyFamily::P256 }
    }

    /// The key usages that a certificate of this role may have, each no more and no less; none where the role has no
    /// keys of this family. The first is the usual one.
    ///
    /// RSA: 2-wire.md section 5. P-256: a key is for signatures or for key agreement and never for both (3-hardened.md,
    /// "Primitives"); the MTMS, which collects TKs and signs batches, has a certificate for each. The RKS's work key is
    /// RSA alone: in suite 02 the RKS signs and agrees on ephemeral keys.
    pub(crate) fn key_usages(self, family: KeyFamily) -> Vec<FlagSet<KeyUsages>> {
        const SIGNING: KeyUsages = KeyUsages::DigitalSignature;
        const AGREEMENT: KeyUsages = KeyUsages::KeyAgreement;
        match (family, self) {
            (KeyFamily::Rsa, Self::Device | Self::RksSigning) | (KeyFamily::P256, Self::RksWork) => vec![],
            (KeyFamily::Rsa, Self::KmsWork | Self::RksWork) => vec![KeyUsages::KeyEncipherment.into()],
            (KeyFamily::Rsa, Self::Downloader) => vec![KeyUsages::KeyEncipherment | SIGNING],
            (KeyFamily::P256, Self::KmsWork) => vec![AGREEMENT.into()],
            (KeyFamily::P256, Self::Mtms) => vec![SIGNING.into(), AGREEMENT.into()],
            (KeyFamily::Rsa | KeyFamily::P256, _) => vec![SIGNING.into()],
        }
    }
}

impl std::fmt::Display for Role {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.word())
    }
}

impl std::str::FromStr for Role {
    type Err = crate::Error;

    /// Reads the word of [`Role::word`].
    fn from_str(word: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|role| role.word() == word).ok_or_else(|| {
            let words: Vec<_> = Self::ALL.iter().map(|role| role.word()).collect();
            crate::Error::Request(format!("{word:?} is no role; use one of {}", words.join(", ")))
        })
    }
}
