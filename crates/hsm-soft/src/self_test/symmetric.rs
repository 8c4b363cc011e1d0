//! Known answers of the ciphers and MACs, and of what is built of them alone.

use keyblock::{Kbpk, Version};
use paycrypto::{
    AesKey, SingleDesKey, TdesKey,
    gcm::GcmKey,
    keys::Mak,
    mac::{self, Padding},
};
use pinblock::{Format, Format4Key, Pan, Pin};

use super::{KnownAnswer, unhex};

pub(super) const TESTS: &[KnownAnswer] = &[
    KnownAnswer { name: "TDES", answer: tdes, known: "046026BDE33F81C50102030405060708" },
    KnownAnswer { name: "CBC-MAC", answer: cbc_mac, known: "70A30640" },
    KnownAnswer { name: "retail MAC", answer: retail_mac, known: "794AAF692B52B1DB" },
    KnownAnswer { name: "TDES-CMAC", answer: tdes_cmac, known: "8E8F293136283797" },
    KnownAnswer { name: "AES-128", answer: aes_128, known: "69C4E0D86A7B0430D8CDB78070B4C55A" },
    KnownAnswer { name: "AES-256", answer: aes_256, known: "8EA2B7CA516745BFEAFC49904B496089" },
    KnownAnswer { name: "AES-CMAC", answer: aes_cmac, known: "070A16B46B4D4144F79BDD9DD04A287C" },
    KnownAnswer { name: "AES-GCM", answer: aes_gcm, known: "00000000000000000000000000000000" },
    KnownAnswer { name: "key block, version B", answer: block_b, known: AT_TK1 },
    KnownAnswer { name: "key block, version D", answer: block_d, known: "3F419E1CB7079442AA37474C2EFBF8B8" },
    KnownAnswer { name: "PIN block, format 0", answer: format_0, known: "31323334" },
    KnownAnswer { name: "PIN block, format 4", answer: format_4, known: "31323334" },
];

/// `vectors/tdes-suite.json`, flow_a: Crnd1 = E(AUK, Rnd1), and back.
fn tdes() -> Option<Vec<u8>> {
    const AUK: &str = "9D0064F7EBEDD4A3F525383882C9E24E281DD7C3E8DFB688";
    let key = TdesKey::from_bytes(&unhex(AUK)?).ok()?;
    let encrypted = key.encrypt_block([1, 2, 3, 4, 5, 6, 7, 8]);
    Some([encrypted, key.decrypt_block(encrypted)].concat())
}

/// ISO/IEC 9797-1 annex B, algorithm 1, padding method 1, shortened to 4 bytes: what X9.9 is with a single key.
fn cbc_mac() -> Option<Vec<u8>> {
    const MESSAGE: &[u8] = b"Now is the time for all ";
    let key = SingleDesKey::from_bytes(&unhex("0123456789ABCDEF")?).ok()?;
    let left = mac::iso9797_alg1(&key, Padding::One, MESSAGE).ok()?;
    left.starts_with(&mac::x9_9(&key, MESSAGE)).then(|| mac::x9_9(&key, MESSAGE).to_vec())
}

/// `vectors/tdes-suite.json`, flow_f: the MAC of SIGN_IN_CONFIRM.
fn retail_mac() -> Option<Vec<u8>> {
    const MAK: &str = "E231BA9E046ACF240738AC87E71C78DA";
    const CONFIRMED: &str = "4F4B01020304050607086E9D2E222B82";
    let mak = TdesKey::from_bytes(&unhex(MAK)?).and_then(Mak::from_key).ok()?;
    mak.mac(&unhex(CONFIRMED)?).ok().map(Vec::from)
}

/// SP 800-38B, TDES, three keys, one block (`vectors/external/cmac_nist.json`).
fn tdes_cmac() -> Option<Vec<u8>> {
    let key = TdesKey::from_bytes(&unhex("8AA83BF8CBDA10620BC1BF19FBB6CD58BC313D4A371CA8B5")?).ok()?;
    Some(mac::cmac_tdes(&key, &unhex("6BC1BEE22E409F96")?).to_vec())
}

/// FIPS 197 appendix C.1.
fn aes_128() -> Option<Vec<u8>> {
    aes(16)
}

/// FIPS 197 appendix C.3.
fn aes_256() -> Option<Vec<u8>> {
    aes(32)
}

/// 00112233…FF under the key 000102….
fn aes(length: u8) -> Option<Vec<u8>> {
    let key = AesKey::from_bytes(&(0..length).collect::<Vec<u8>>()).ok()?;
    let clear = unhex("00112233445566778899AABBCCDDEEFF")?.try_into().ok()?;
    let encrypted = key.encrypt_block(clear);
    (key.decrypt_block(encrypted) == clear).then(|| encrypted.to_vec())
}

/// SP 800-38B, AES-128, one block (RFC 4493 section 4, example 2).
fn aes_cmac() -> Option<Vec<u8>> {
    let key = AesKey::from_bytes(&unhex("2B7E151628AED2A6ABF7158809CF4F3C")?).ok()?;
    Some(mac::cmac_aes(&key, &unhex("6BC1BEE22E409F96E93D7E117393172A")?).to_vec())
}

/// Test case 14 of the GCM specification (McGrew and Viega): key, nonce and plaintext of zeros.
fn aes_gcm() -> Option<Vec<u8>> {
    let sealed =
        unhex("000000000000000000000000CEA7403D4D606B6E074EC5D3BAF39D18D0D1C8A799996BF0265B98B5D48AB919")?;
    let key = GcmKey::new(&AesKey::from_bytes(&[0; 32]).ok()?).ok()?;
    let opened = key.open(b"", &sealed).ok()?;
    key.open(b"x", &sealed).is_err().then(|| opened.to_vec())
}

/// `vectors/tdes-suite.json`, flow_c: AT ‖ TK1.
const AT_TK1: &str = "\
    E21BA510ED93D38CBCE85B192B6A40F1FC437110828BAB9C\
    A1DA1EB9280173F158ED3776890F5486A4890CE1C88C72B3";

/// `vectors/tdes-suite.json`, flow_c: AT ‖ TK1 under DIK2. Not with one character changed.
fn block_b() -> Option<Vec<u8>> {
    const DIK2: &str = "0FE2096FE1FC3C8A77927F1C054A17B812FBABD93301F342";
    const BLOCK: &str = "B020810TN00N03001012N7-00012345/00112400112233445566778899AABBCCDDEEFFPB0A000000\
                         61BB151685F6D07915ABDDAD5EE93D9CE22281897E41B6279583911C77BAABE7E9205FBB83FDA5F2288D56A942\
                         0F86734FBA3F8B69A451DA23AFA2080DB44B9E";
    block(Version::B, DIK2, BLOCK, ("0001234", "0001235"))
}

/// `vectors/external/tr31_psec.json` (psec, MIT; origin TR-31:2018 A.7.4). Not with one character changed.
fn block_d() -> Option<Vec<u8>> {
    const KBPK: &str = "88E1AB2A2E3DD38C1FA039A536500CC8A87AB9D62DC92C01058FA79F44657DE6";
    const BLOCK: &str = "D0112P0AE00E0000B82679114F470F540165EDFBF7E250FCEA43F810D215F8D207E2E417C07156A2\
                         7E8E31DA05F7425509593D03A457DC34";
    block(Version::D, KBPK, BLOCK, ("B826", "B827"))
}

fn block(version: Version, kbpk: &str, text: &str, (from, to): (&str, &str)) -> Option<Vec<u8>> {
    let kbpk = Kbpk::new(version, &unhex(kbpk)?).ok()?;
    let opened = kbpk.unwrap(text).ok()?;
    kbpk.unwrap(&text.replacen(from, to, 1)).is_err().then(|| opened.key.to_vec())
}

/// `vectors/external/pinblock_psec.json` (psec, MIT). Not for another PAN.
fn format_0() -> Option<Vec<u8>> {
    let block = unhex("041261AAAAEDCBA9")?.try_into().ok()?;
    let (pan, other) = (Pan::new("5555555551234567").ok()?, Pan::new("5555555551234575").ok()?);
    let opened = pinblock::decode(Format::Iso0, &block, Some(&pan)).ok()?;
    pinblock::decode(Format::Iso0, &block, Some(&other)).is_err().then(|| digits(&opened))
}

/// As [`format_0`], under an AES key.
fn format_4() -> Option<Vec<u8>> {
    let key = Format4Key::new(&unhex("C1D0F8FB4958670DBA40AB1F3752EF0D")?).ok()?;
    let block = unhex("CC17F65586BFD0953010226C4FC5B3CA")?.try_into().ok()?;
    let (pan, other) = (Pan::new("432198765432109870").ok()?, Pan::new("432198765432109871").ok()?);
    let opened = pinblock::decode_format4(&block, &pan, &key).ok()?;
    pinblock::decode_format4(&block, &other, &key).is_err().then(|| digits(&opened))
}

/// A PIN of the vectors, in ASCII.
fn digits(pin: &Pin) -> Vec<u8> {
    pin.expose().as_bytes().to_vec()
}
