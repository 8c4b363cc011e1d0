//! SHA-256 and HMAC-SHA-256.

use aws_lc_rs::{digest, hmac};
use zeroize::Zeroizing;

/// Length of a SHA-256 value in bytes.
pub const SHA256: usize = 32;

/// SHA-256 (FIPS 180-4).
pub fn sha256(data: &[u8]) -> [u8; SHA256] {
    take(digest::digest(&digest::SHA256, data).as_ref())
}

/// HMAC with SHA-256 (FIPS 198-1). Keys of any length. The value may itself be secret, so it is wiped.
pub fn hmac_sha256(key: &[u8], data: &[u8]) -> Zeroizing<[u8; SHA256]> {
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), data);
    Zeroizing::new(take(tag.as_ref()))
}

/// Checks an HMAC-SHA-256 value in constant time.
pub fn hmac_sha256_matches(key: &[u8], data: &[u8], tag: &[u8]) -> bool {
    hmac::verify(&hmac::Key::new(hmac::HMAC_SHA256, key), data, tag).is_ok()
}

/// The library's output has this length by its algorithm; copying what is there cannot fail.
fn take(bytes: &[u8]) -> [u8; SHA256] {
    let mut out = [0; SHA256];
    for (to, from) in out.iter_mut().zip(bytes) {
        *to = *from;
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|b| format!("{b:02x}")).collect()
    }

    /// FIPS 180-4 example "abc".
    #[test]
    fn sha256_of_abc() {
        assert_eq!(hex(&sha256(b"abc")), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    }

    /// RFC 4231 test case 2.
    #[test]
    fn hmac_of_rfc_4231_case_2() {
        let tag = hmac_sha256(b"Jefe", b"what do ya want for nothing?");
        assert_eq!(hex(tag.as_slice()), "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
        assert!(hmac_sha256_matches(b"Jefe", b"what do ya want for nothing?", tag.as_slice()));
        assert!(!hmac_sha256_matches(b"Jeff", b"what do ya want for nothing?", tag.as_slice()));
        assert!(!hmac_sha256_matches(b"Jefe", b"what do ya want for nothing?", &tag[..31]));
    }
}
