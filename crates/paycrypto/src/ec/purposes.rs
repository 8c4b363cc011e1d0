//! The keys of a [`Schedule`](super::Schedule), each with the one use that it has.

use zeroize::Zeroizing;

use super::aead::GcmKey;
use super::{MAC, Secret32, TranscriptHash};
use crate::operator::{SESSION_DATA, VERIFIER, Verifier};
use crate::{Error, digest, mac};

/// Nonce of the one message under K(factor).
const FACTOR_NONCE: [u8; 12] = [0; 12];

macro_rules! purposes {
    ($($(#[$doc:meta])* $name:ident;)*) => {$(
        $(#[$doc])*
        pub struct $name(Secret32);

        impl $name {
            pub(super) fn new(key: Secret32) -> Self {
                Self(key)
            }
        }

        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(stringify!($name))
            }
        }
    )*};
}

purposes! {
    /// K(server): makes and checks MAC_S.
    ServerConfirm;
    /// K(terminal): makes and checks MAC_T.
    TerminalConfirm;
    /// K(receipt t): makes and checks the terminal's receipt.
    ReceiptTerminal;
    /// K(receipt s): makes and checks the server's receipt.
    ReceiptServer;
    /// K(kbpk): protects the key blocks of one run ([`super::blocks`]).
    Kbpk;
    /// K(factor): seals the diversification factor, once.
    FactorKey;
    /// K(operator): binds an operator's proof to its session.
    Operator;
}

impl Kbpk {
    pub(super) fn expose(&self) -> &[u8] {
        self.0.as_slice()
    }
}

macro_rules! confirmations {
    ($($name:ident),*) => {$(
        impl $name {
            /// The confirmation (DF15): `th` is over all frames up to the one that carries it, that one without DF15.
            pub fn confirm(&self, th: &TranscriptHash) -> [u8; MAC] {
                *digest::hmac_sha256(self.0.as_slice(), th)
            }

            /// Whether `confirmation` is the right one, in constant time.
            pub fn confirms(&self, th: &TranscriptHash, confirmation: &[u8]) -> bool {
                mac::matches(&self.confirm(th), confirmation)
            }
        }
    )*};
}

confirmations!(ServerConfirm, TerminalConfirm);

/// A key that a receipt names: where it was loaded, and its check value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LoadedKey {
    /// Index of its slot.
    pub index: u8,
    /// Check value.
    pub kcv: [u8; 5],
}

macro_rules! receipts {
    ($($name:ident),*) => {$(
        impl $name {
            /// The receipt (DF17) for these keys, in the order loaded. The terminal's `th` is over all frames before
            /// KEY_CONFIRM; the server's in DONE over all before DONE, with KEY_CONFIRM whole. In flow E the server
            /// also says with no keys that it is the one that TMS_KEY came from.
            pub fn receipt(&self, th: &TranscriptHash, loaded: &[LoadedKey]) -> [u8; MAC] {
                let mut text = th.to_vec();
                for key in loaded {
                    text.push(key.index);
                    text.extend_from_slice(&key.kcv);
                }
                *digest::hmac_sha256(self.0.as_slice(), &text)
            }

            /// Whether `receipt` is the right one, in constant time.
            pub fn acknowledges(&self, th: &TranscriptHash, loaded: &[LoadedKey], receipt: &[u8]) -> bool {
                mac::matches(&self.receipt(th, loaded), receipt)
            }
        }
    )*};
}

receipts!(ReceiptTerminal, ReceiptServer);

impl FactorKey {
    /// DF19: AES-256-GCM with a nonce of zeros and nothing associated. The key is used up, so that the nonce is not used
    /// again.
    ///
    /// # Errors
    /// [`Error::Seal`].
    pub fn seal(self, factor: &[u8]) -> Result<Vec<u8>, Error> {
        GcmKey::new(&self.0)?.seal(FACTOR_NONCE, &[], factor)
    }

    /// The factor in a DF19.
    ///
    /// # Errors
    /// [`Error::Open`], whatever is wrong.
    pub fn open(&self, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, Error> {
        GcmKey::new(&self.0).map_err(|_| Error::Open)?.open(FACTOR_NONCE, &[], sealed)
    }
}

impl Operator {
    /// An operator's proof (DF3E): HMAC-SHA-256(P ‖ K(operator), T_DATA ‖ S_DATA), as in suite 01 with K(operator) in
    /// place of DWK.
    pub fn proof(
        &self,
        operator: &Verifier,
        t_data: &[u8; SESSION_DATA],
        s_data: &[u8; SESSION_DATA],
    ) -> [u8; VERIFIER] {
        let mut key = Zeroizing::new(Vec::with_capacity(VERIFIER + self.0.len()));
        key.extend_from_slice(operator.expose());
        key.extend_from_slice(self.0.as_slice());
        *digest::hmac_sha256(&key, &[*t_data, *s_data].concat())
    }

    /// Whether `proof` is this operator's for this session, in constant time.
    pub fn proves(
        &self,
        operator: &Verifier,
        t_data: &[u8; SESSION_DATA],
        s_data: &[u8; SESSION_DATA],
        proof: &[u8],
    ) -> bool {
        mac::matches(&self.proof(operator, t_data, s_data), proof)
    }
}
