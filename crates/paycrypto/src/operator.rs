//! Operators' passwords and proofs in flow E (2-wire.md section 7).
//!
//! A server keeps no password: it keeps P, a slow hash of it, and that only sealed by the HSM. P itself proves an
//! operator, so it is handled as a key.

use std::num::NonZeroU32;

use aws_lc_rs::pbkdf2;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use crate::digest::{self, SHA256};
use crate::keys::Dwk;

/// Bytes of P and of a proof.
pub const VERIFIER: usize = SHA256;

/// Bytes of T_DATA and of S_DATA.
pub const SESSION_DATA: usize = 10;

/// PBKDF2's number of iterations.
const ITERATIONS: NonZeroU32 = NonZeroU32::new(600_000).unwrap();

/// In front of the operator's id in the salt.
const SALT: &[u8] = b"KF operator";

/// P = PBKDF2-HMAC-SHA-256(password, `"KF operator" ‖ id`, 600 000, 32).
pub struct Verifier(Box<Bytes>);

/// On the heap, so that moving a verifier leaves no copy behind.
#[derive(Zeroize, ZeroizeOnDrop)]
struct Bytes([u8; VERIFIER]);

impl std::fmt::Debug for Verifier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Verifier")
    }
}

impl Verifier {
    /// Derives P. Slow by design: some tenths of a second.
    pub fn derive(id: &str, password: &[u8]) -> Self {
        let salt = [SALT, id.as_bytes()].concat();
        let mut bytes = Box::new(Bytes([0; VERIFIER]));
        pbkdf2::derive(pbkdf2::PBKDF2_HMAC_SHA256, ITERATIONS, &salt, password, &mut bytes.0);
        Self(bytes)
    }

    /// Takes a P that was kept. The caller wipes its copy.
    pub fn from_bytes(bytes: &[u8; VERIFIER]) -> Self {
        let mut kept = Box::new(Bytes([0; VERIFIER]));
        kept.0.copy_from_slice(bytes);
        Self(kept)
    }

    /// P in clear, for sealing it. The caller wipes every copy that it makes.
    pub fn expose(&self) -> &[u8; VERIFIER] {
        &self.0.0
    }

    /// The proof for one session: HMAC-SHA-256(P ‖ DWK, T_DATA ‖ S_DATA).
    pub fn proof(
        &self,
        dwk: &Dwk,
        t_data: &[u8; SESSION_DATA],
        s_data: &[u8; SESSION_DATA],
    ) -> [u8; VERIFIER] {
        *digest::hmac_sha256(&self.key(dwk), &[*t_data, *s_data].concat())
    }

    /// Whether `proof` is this operator's for that session, in constant time.
    pub fn proves(
        &self,
        dwk: &Dwk,
        t_data: &[u8; SESSION_DATA],
        s_data: &[u8; SESSION_DATA],
        proof: &[u8],
    ) -> bool {
        digest::hmac_sha256_matches(&self.key(dwk), &[*t_data, *s_data].concat(), proof)
    }

    fn key(&self, dwk: &Dwk) -> Zeroizing<Vec<u8>> {
        let mut key = Zeroizing::new(Vec::with_capacity(VERIFIER + dwk.expose().len()));
        key.extend_from_slice(self.expose());
        key.extend_from_slice(dwk.expose());
        key
    }
}
