//! Known answers of every algorithm the HSM uses, before anything is served (R44). The values are worked ones of the
//! project's own vectors (`vectors/tdes-suite.json`) and of NIST, named at each.

use keyblock::{Kbpk, Version};
use paycrypto::{
    AesKey, TdesKey,
    derive::derive_dik2,
    digest,
    gcm::GcmKey,
    keys::{Dwk, Mak, SessionKey},
    operator::Verifier,
    seal::{self, Direction},
};
use pinblock::{Format, Format4Key, Pan, Pin};

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
    check("retail MAC", retail_mac() == Some(true))?;
    check("sealed messages", sealed_message() == Some(true))?;
    check("operator proof", operator_proof() == Some(true))?;
    check("PIN blocks", pin_blocks() == Some(true))?;
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

/// `vectors/tdes-suite.json`, flow_f: the MAC of SIGN_IN_CONFIRM.
fn retail_mac() -> Option<bool> {
    const MAK: [u8; 16] =
        [0xE2, 0x31, 0xBA, 0x9E, 0x04, 0x6A, 0xCF, 0x24, 0x07, 0x38, 0xAC, 0x87, 0xE7, 0x1C, 0x78, 0xDA];
    const CONFIRMED: [u8; 16] =
        [0x4F, 0x4B, 0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x07, 0x08, 0x6E, 0x9D, 0x2E, 0x22, 0x2B, 0x82];
    let mak = TdesKey::from_bytes(&MAK).and_then(Mak::from_key).ok()?;
    Some(mak.mac(&CONFIRMED).ok()? == [0x79, 0x4A, 0xAF, 0x69, 0x2B, 0x52, 0xB1, 0xDB])
}

/// `vectors/tdes-suite.json`, flow_e: the session's DWK.
const DWK: [u8; 24] = [
    0x29, 0xAD, 0xB1, 0x06, 0x92, 0x60, 0x3D, 0xE2, 0xE1, 0xF1, 0xDB, 0xB2, 0x60, 0x2F, 0x7C, 0x79, 0x5A,
    0xD5, 0xE2, 0xFC, 0x0C, 0x37, 0x1A, 0x53,
];

/// `vectors/tdes-suite.json`, flow_e: TAC_1, and a sealed message that must open, and not as another number.
fn sealed_message() -> Option<bool> {
    const SESSION: [u8; 24] = [
        0xD0, 0xAB, 0x15, 0x04, 0xC2, 0xAD, 0xE6, 0x9C, 0x8F, 0x96, 0xDB, 0x79, 0xF7, 0xD3, 0xC3, 0xEF, 0xC5,
        0xA3, 0x0B, 0xD1, 0xEE, 0x1D, 0xCD, 0x5A,
    ];
    const SEALED: [u8; 56] = [
        0x00, 0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x07, 0x26, 0x0C, 0xD0, 0xE5, 0x5D, 0x0E, 0xAA, 0x0C, 0x05,
        0x18, 0xB3, 0x3E, 0xA7, 0x0F, 0x76, 0x42, 0x0D, 0xA3, 0xB2, 0x7F, 0x79, 0x40, 0x19, 0xC5, 0xBC, 0xA3,
        0x5D, 0x6D, 0x1D, 0x46, 0x6E, 0xBA, 0x45, 0x4E, 0xA0, 0xC8, 0x45, 0x6F, 0x4C, 0x5E, 0x00, 0xC5, 0xA5,
        0xA7, 0x46, 0x55, 0xB1, 0x69,
    ];
    let dwk = TdesKey::from_bytes(&DWK).and_then(Dwk::from_key).ok()?;
    let key = TdesKey::from_bytes(&SESSION).and_then(SessionKey::from_key).ok()?;
    let tac_1 = dwk.mac(&T_DATA) == [0xDE, 0x45, 0xD4, 0x6C];
    let opened = seal::open(&key, &dwk, Direction::FromTerminal, 0, &SEALED).ok()?;
    let other = seal::open(&key, &dwk, Direction::FromTerminal, 1, &SEALED).is_err();
    Some(tac_1 && opened.starts_with(&[0x01, 0x37, 0xDF, 0x41]) && other)
}

const T_DATA: [u8; 10] = [0x5E, 0xAD, 0xBE, 0xEF, 0x26, 0x11, 0x20, 0x12, 0x34, 0x56];

/// `vectors/tdes-suite.json`, flow_e: the operator's proof. P, 600 000 rounds from his password, was worked out with
/// Python's `hashlib`: deriving it here would double the time of a start.
fn operator_proof() -> Option<bool> {
    const P: [u8; 32] = [
        0x6A, 0xE2, 0x72, 0x05, 0x48, 0xC0, 0xBC, 0xA5, 0x1E, 0x2C, 0x1D, 0xE2, 0x43, 0x7E, 0xBA, 0x2C, 0x40,
        0x75, 0x9A, 0xAD, 0x53, 0xD1, 0x54, 0x60, 0x39, 0x87, 0xC6, 0xE0, 0x88, 0x23, 0x6B, 0x1A,
    ];
    const S_DATA: [u8; 10] = [0xCA, 0xFE, 0xF0, 0x0D, 0x26, 0x11, 0x20, 0x12, 0x34, 0x57];
    const PROOF: [u8; 32] = [
        0x3A, 0xDA, 0x77, 0x9F, 0x4D, 0x4D, 0xA1, 0x9E, 0xE2, 0x03, 0x59, 0xAF, 0x36, 0xFA, 0x20, 0x4A, 0x5E,
        0xFB, 0xB4, 0xAE, 0x41, 0xD6, 0xCE, 0x7A, 0x72, 0x8F, 0x2D, 0x54, 0x72, 0xA2, 0x18, 0xF9,
    ];
    let dwk = TdesKey::from_bytes(&DWK).and_then(Dwk::from_key).ok()?;
    Some(Verifier::from_bytes(&P).proves(&dwk, &T_DATA, &S_DATA, &PROOF))
}

/// `vectors/external/pinblock_psec.json` (psec, MIT): a block of format 0 and one of format 4 that must open, and not for
/// another PAN.
fn pin_blocks() -> Option<bool> {
    const FORMAT_0: [u8; 8] = [0x04, 0x12, 0x61, 0xAA, 0xAA, 0xED, 0xCB, 0xA9];
    const KEY: [u8; 16] =
        [0xC1, 0xD0, 0xF8, 0xFB, 0x49, 0x58, 0x67, 0x0D, 0xBA, 0x40, 0xAB, 0x1F, 0x37, 0x52, 0xEF, 0x0D];
    const FORMAT_4: [u8; 16] =
        [0xCC, 0x17, 0xF6, 0x55, 0x86, 0xBF, 0xD0, 0x95, 0x30, 0x10, 0x22, 0x6C, 0x4F, 0xC5, 0xB3, 0xCA];
    let pin = Pin::new("1234").ok()?;
    let (pan, other) = (Pan::new("5555555551234567").ok()?, Pan::new("5555555551234575").ok()?);
    let opened = pinblock::decode(Format::Iso0, &FORMAT_0, Some(&pan)).ok()?;
    let format_0 = opened.matches(&pin) && pinblock::decode(Format::Iso0, &FORMAT_0, Some(&other)).is_err();
    let key = Format4Key::new(&KEY).ok()?;
    let (pan, other) = (Pan::new("432198765432109870").ok()?, Pan::new("432198765432109871").ok()?);
    let opened = pinblock::decode_format4(&FORMAT_4, &pan, &key).ok()?;
    let format_4 = opened.matches(&pin) && pinblock::decode_format4(&FORMAT_4, &other, &key).is_err();
    Some(format_0 && format_4)
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
