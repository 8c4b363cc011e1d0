//! Known answers of every algorithm the HSM uses, before anything is served (R44). The values are worked ones of the
//! project's own vectors (`vectors/tdes-suite.json`) and of NIST, named at each.

use keyblock::{Kbpk, Version};
use paycrypto::{TdesKey, digest};

use crate::HsmSoftError;

/// Runs all.
///
/// # Errors
/// [`HsmSoftError::SelfTest`] naming the first that fails.
pub(crate) fn run() -> Result<(), HsmSoftError> {
    check("SHA-256", sha_256())?;
    check("TDES", tdes() == Some(true))?;
    check("AES key block", aes_key_block() == Some(true))?;
    check("RSA OAEP", rsa_oaep() == Some(true))?;
    Ok(())
}

fn check(name: &'static str, good: bool) -> Result<(), HsmSoftError> {
    if good { Ok(()) } else { Err(HsmSoftError::SelfTest(name)) }
}

/// FIPS 180-4, the digest of "abc": its first bytes.
fn sha_256() -> bool {
    digest::sha256(b"abc").starts_with(&[0xBA, 0x78, 0x16, 0xBF, 0x8F, 0x01, 0xCF, 0xEA])
}

/// `vectors/tdes-suite.json`, flow_a: Crnd1 = E(AUK, Rnd1).
fn tdes() -> Option<bool> {
    const AUK: [u8; 24] = [
        0x9D, 0x00, 0x64, 0xF7, 0xEB, 0xED, 0xD4, 0xA3, 0xF5, 0x25, 0x38, 0x38, 0x82, 0xC9, 0xE2, 0x4E, 0x28,
        0x1D, 0xD7, 0xC3, 0xE8, 0xDF, 0xB6, 0x88,
    ];
    let key = TdesKey::from_bytes(&AUK).ok()?;
    Some(key.encrypt_block([1, 2, 3, 4, 5, 6, 7, 8]) == [0x04, 0x60, 0x26, 0xBD, 0xE3, 0x3F, 0x81, 0xC5])
}

/// `vectors/external/tr31_psec.json` (psec, MIT; origin TR-31:2018 A.7.4): a version D block that must open, and must
/// not open with one character changed.
fn aes_key_block() -> Option<bool> {
    const KBPK: [u8; 32] = [
        0x88, 0xE1, 0xAB, 0x2A, 0x2E, 0x3D, 0xD3, 0x8C, 0x1F, 0xA0, 0x39, 0xA5, 0x36, 0x50, 0x0C, 0xC8, 0xA8,
        0x7A, 0xB9, 0xD6, 0x2D, 0xC9, 0x2C, 0x01, 0x05, 0x8F, 0xA7, 0x9F, 0x44, 0x65, 0x7D, 0xE6,
    ];
    const BLOCK: &str = "D0112P0AE00E0000B82679114F470F540165EDFBF7E250FCEA43F810D215F8D207E2E417C07156A2\
                         7E8E31DA05F7425509593D03A457DC34";
    let kbpk = Kbpk::new(Version::D, &KBPK).ok()?;
    let opened = kbpk.unwrap(BLOCK).ok()?;
    let changed = BLOCK.replacen("B826", "B827", 1);
    Some(opened.key.starts_with(&[0x3F, 0x41, 0x9E, 0x1C]) && kbpk.unwrap(&changed).is_err())
}

/// A message encrypted to a fresh key opens, and not after one bit was changed.
fn rsa_oaep() -> Option<bool> {
    use paycrypto::rsa::{PrivateKey, PublicKey};
    let private = PrivateKey::generate(2048).ok()?;
    let public = PublicKey::from_spki(private.spki_der()).ok()?;
    let mut ciphertext = public.oaep_encrypt(b"self-test").ok()?;
    let opened = private.oaep_decrypt(&ciphertext).ok()?;
    *ciphertext.last_mut()? ^= 1;
    Some(&*opened == b"self-test" && private.oaep_decrypt(&ciphertext).is_err())
}

#[cfg(test)]
mod tests {
    #[test]
    fn r44_every_known_answer_holds() {
        super::run().unwrap();
    }
}
