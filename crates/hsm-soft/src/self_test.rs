//! Known answers of every algorithm the HSM uses, before anything is served (R44). The values are worked ones of the
//! project's own vectors (`vectors/tdes-suite.json`) and of NIST, named at each.

use keyblock::{Kbpk, Version};
use paycrypto::{AesKey, TdesKey, derive::derive_dik2, digest, gcm::GcmKey};

use crate::HsmSoftError;

/// Runs all.
///
/// # Errors
/// [`HsmSoftError::SelfTest`] naming the first that fails.
pub(crate) fn run() -> Result<(), HsmSoftError> {
    check("SHA-256", sha_256())?;
    check("TDES", tdes() == Some(true))?;
    check("AES key block", aes_key_block() == Some(true))?;
    check("TDES key block", tdes_key_block() == Some(true))?;
    check("HMAC-SHA-256", hmac())?;
    check("AES-GCM", aes_gcm() == Some(true))?;
    check("DIK2", dik2() == Some(true))?;
    check("RSA", rsa() == Some(true))?;
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

/// `vectors/tdes-suite.json`, flow_c: AT ‖ TK1 under DIK2, and the derivation of that DIK2.
const DIK2: [u8; 24] = [
    0x0F, 0xE2, 0x09, 0x6F, 0xE1, 0xFC, 0x3C, 0x8A, 0x77, 0x92, 0x7F, 0x1C, 0x05, 0x4A, 0x17, 0xB8, 0x12,
    0xFB, 0xAB, 0xD9, 0x33, 0x01, 0xF3, 0x42,
];

fn tdes_key_block() -> Option<bool> {
    const BLOCK: &str = "B020810TN00N03001012N7-00012345/00112400112233445566778899AABBCCDDEEFFPB0A000000\
                         61BB151685F6D07915ABDDAD5EE93D9CE22281897E41B6279583911C77BAABE7E9205FBB83FDA5F2288D56A942\
                         0F86734FBA3F8B69A451DA23AFA2080DB44B9E";
    let kbpk = Kbpk::new(Version::B, &DIK2).ok()?;
    let opened = kbpk.unwrap(BLOCK).ok()?;
    let changed = BLOCK.replacen("0001234", "0001235", 1);
    Some(opened.key.starts_with(&[0xE2, 0x1B, 0xA5, 0x10]) && kbpk.unwrap(&changed).is_err())
}

fn dik2() -> Option<bool> {
    const DIK1: [u8; 24] = [
        0xF6, 0x6E, 0x0F, 0xCF, 0xFC, 0x6B, 0xDB, 0x24, 0xD8, 0x3A, 0xBE, 0x4A, 0xE5, 0x27, 0x51, 0x82, 0xF8,
        0x9D, 0x68, 0x7A, 0x2A, 0x6C, 0xC9, 0x04,
    ];
    let dik1 = TdesKey::from_bytes(&DIK1).ok()?;
    let derived = derive_dik2(&dik1, "N7-00012345", b"KLD-7/20261120/B042").ok()?;
    Some(derived.expose() == DIK2)
}

/// RFC 4231, test case 2: its first bytes.
fn hmac() -> bool {
    digest::hmac_sha256(b"Jefe", b"what do ya want for nothing?").starts_with(&[0x5B, 0xDC, 0xC1, 0x46])
}

/// Test case 14 of the GCM specification (McGrew and Viega): key, nonce and plaintext of zeros.
fn aes_gcm() -> Option<bool> {
    let sealed = [
        [0; 12].as_slice(),
        &0xcea7_403d_4d60_6b6e_074e_c5d3_baf3_9d18_u128.to_be_bytes(),
        &0xd0d1_c8a7_9999_6bf0_265b_98b5_d48a_b919_u128.to_be_bytes(),
    ]
    .concat();
    let key = GcmKey::new(&AesKey::from_bytes(&[0; 32]).ok()?).ok()?;
    Some(key.open(b"", &sealed).ok()?.as_slice() == [0; 16] && key.open(b"x", &sealed).is_err())
}

/// With a fresh key: what was encrypted opens, and not after one bit was changed; what was signed with recovery is
/// recovered, and not after one bit was changed.
fn rsa() -> Option<bool> {
    use paycrypto::rsa::{PrivateKey, PublicKey};
    let private = PrivateKey::generate(2048).ok()?;
    let public = PublicKey::from_spki(private.spki_der()).ok()?;
    let mut ciphertext = public.oaep_encrypt(b"self-test").ok()?;
    let opened = private.oaep_decrypt(&ciphertext).ok()?;
    *ciphertext.last_mut()? ^= 1;
    let oaep = &*opened == b"self-test" && private.oaep_decrypt(&ciphertext).is_err();
    let mut signature = private.type1_sign(b"self-test").ok()?;
    let recovered = public.type1_recover(&signature).ok()?;
    *signature.last_mut()? ^= 1;
    Some(oaep && recovered == b"self-test" && public.type1_recover(&signature).is_err())
}

#[cfg(test)]
mod tests {
    #[test]
    fn r44_every_known_answer_holds() {
        super::run().unwrap();
    }
}
