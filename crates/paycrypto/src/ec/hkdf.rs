//! HKDF with SHA-256 (RFC 5869), for keys of at most 32 bytes: every output here is the first block of the expansion.
//!
//! By hand over aws-lc's HMAC, because its own HKDF keeps a PRK that it does not wipe and, from an extraction, extracts
//! again at each expansion.

use aws_lc_rs::hmac::{self, HMAC_SHA256};
use zeroize::Zeroizing;

use crate::digest::SHA256;

/// Number of the only block (RFC 5869 section 2.3).
const FIRST_BLOCK: [u8; 1] = [1];

/// A pseudorandom key. aws-lc wipes it when it is dropped.
pub(super) struct Prk(hmac::Key);

impl Prk {
    /// HKDF-Extract: `ikm` is the concatenation of its parts.
    pub(super) fn extract_bytes(salt: &[u8], ikm: &[&[u8]]) -> Zeroizing<[u8; SHA256]> {
        mac(&hmac::Key::new(HMAC_SHA256, salt), ikm)
    }

    /// A key that is uniform already.
    pub(super) fn of(key: &[u8; SHA256]) -> Self {
        Self(hmac::Key::new(HMAC_SHA256, key))
    }

    /// HKDF-Expand to `N` bytes: `info` is the concatenation of its parts.
    pub(super) fn expand<const N: usize>(&self, info: &[&[u8]]) -> Zeroizing<[u8; N]> {
        const { assert!(N <= SHA256, "one block and no more") };
        let mut parts = info.to_vec();
        parts.push(&FIRST_BLOCK);
        let block = mac(&self.0, &parts);
        let mut out = Zeroizing::new([0; N]);
        for (to, from) in out.iter_mut().zip(block.iter()) {
            *to = *from;
        }
        out
    }
}

/// HMAC over parts, wiped when dropped.
fn mac(key: &hmac::Key, parts: &[&[u8]]) -> Zeroizing<[u8; SHA256]> {
    let mut context = hmac::Context::with_key(key);
    for part in parts {
        context.update(part);
    }
    let tag = context.sign();
    let mut out = Zeroizing::new([0; SHA256]);
    for (to, from) in out.iter_mut().zip(tag.as_ref()) {
        *to = *from;
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unhex(text: &str) -> Vec<u8> {
        (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
    }

    /// RFC 5869 appendix A.1 to A.3 (test cases 1, 2 and 3); of the output key the first block.
    #[test]
    fn test_cases_of_rfc_5869() {
        let count = |from: u8, to: u8| (from..=to).collect::<Vec<u8>>();
        type Case = (Vec<u8>, Vec<u8>, Vec<u8>, &'static str);
        let cases: [Case; 3] = [
            (
                vec![0x0B; 22],
                count(0, 0x0C),
                count(0xF0, 0xF9),
                "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf",
            ),
            (
                count(0, 0x4F),
                count(0x60, 0xAF),
                count(0xB0, 0xFF),
                "b11e398dc80327a1c8e7f78c596a49344f012eda2d4efad8a050cc4c19afa97c",
            ),
            (
                vec![0x0B; 22],
                vec![],
                vec![],
                "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d",
            ),
        ];
        for (ikm, salt, info, okm) in cases {
            let okm = unhex(okm);
            let (left, right) = ikm.split_at(7);
            let prk = Prk::of(&Prk::extract_bytes(&salt, &[left, right]));
            assert_eq!(prk.expand::<32>(&[&info]).as_slice(), okm);
            let (left, right) = info.split_at(info.len() / 2);
            assert_eq!(prk.expand::<12>(&[left, right]).as_slice(), &okm[..12], "parts are one text");
        }
    }
}
