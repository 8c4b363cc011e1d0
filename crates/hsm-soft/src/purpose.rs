//! What a key under the LMK is for: the policy, as a table.
//!
//! Each purpose has its X9.143 usage, algorithm and mode of use, and a text of its own in optional block `21`, since
//! two purposes may share a usage. A key is made with one purpose and opens for no other (R8).

use keyblock::{Algorithm, Header, Mode, Usage};

/// The optional block that holds the purpose's text.
pub(crate) const PURPOSE: &str = "21";

/// The one thing a key under the LMK may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// Pr: opens collected transport keys.
    KmsWork,
    /// A server's TLS key: signs handshakes.
    TlsServer,
    /// TEK: wraps a TMK on its way.
    Tek,
    /// AUK: answers and checks challenges.
    Auk,
    /// TMK: is wrapped under TEK.
    Tmk,
}

/// One row of the table.
pub(crate) struct Rule {
    pub(crate) text: &'static str,
    pub(crate) usage: Usage,
    pub(crate) algorithm: Algorithm,
    pub(crate) mode: Mode,
}

/// X9.143 table 2: asymmetric key for key agreement or key wrapping.
const KEY_WRAPPING_PAIR: &[u8; 2] = b"K3";

impl Purpose {
    /// Every purpose, for tests that try each as every other.
    #[cfg(test)]
    pub(crate) const ALL: [Self; 5] = [Self::KmsWork, Self::TlsServer, Self::Tek, Self::Auk, Self::Tmk];

    pub(crate) fn rule(self) -> Rule {
        let rule = |text, usage, algorithm, mode| Rule { text, usage, algorithm, mode };
        match self {
            Self::KmsWork => {
                let usage = const {
                    match Usage::from_ascii(*KEY_WRAPPING_PAIR) {
                        Ok(usage) => usage,
                        Err(_) => Usage::ASYMMETRIC,
                    }
                };
                rule("KMS-WORK", usage, Algorithm::RSA, Mode::DECRYPT)
            }
            Self::TlsServer => rule("TLS-SERVER", Usage::SIGNATURE, Algorithm::RSA, Mode::SIGN),
            Self::Tek => rule("TEK", Usage::KEY_BLOCK_PROTECTION, Algorithm::TDES, Mode::ENCRYPT),
            Self::Auk => rule("AUK", Usage::DATA_ENCRYPTION, Algorithm::TDES, Mode::ENCRYPT),
            Self::Tmk => rule("TMK", Usage::KEY_BLOCK_PROTECTION, Algorithm::TDES, Mode::BOTH),
        }
    }

    /// Whether a header, authentic by now, is of this purpose.
    pub(crate) fn is_of(self, header: &Header) -> bool {
        let rule = self.rule();
        header.optional(PURPOSE) == Some(rule.text)
            && header.usage == rule.usage
            && header.algorithm == rule.algorithm
            && header.mode == rule.mode
    }
}
