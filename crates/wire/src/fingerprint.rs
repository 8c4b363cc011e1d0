//! Fingerprints of collected transport keys.

use alloc::string::String;

use sha2::{Digest, Sha256};

use crate::{Serial, hex};

/// Bytes of the digest that a fingerprint shows: 20 hex digits.
const SHOWN: usize = 10;

/// The fingerprint of a collected TK: 20 upper-case hex digits of SHA-256(SN ‖ Ctk_Pu) (2-wire.md section 4, flow A).
/// Terminal, station and KMS show the same, so that people can see that nothing replaced it.
pub fn fingerprint(sn: &Serial, ctk_pu: &[u8]) -> String {
    let digest = Sha256::new().chain_update(sn.as_bytes()).chain_update(ctk_pu).finalize();
    let mut text = String::with_capacity(2 * SHOWN);
    for byte in digest.iter().take(SHOWN) {
        // Writing into a `String` cannot fail.
        let _ = hex::write(&mut text, &[*byte]);
    }
    text
}
