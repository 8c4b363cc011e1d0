//! TDES modes (NIST CAVP) and check values (`external/kcv.json`).

use paycrypto::{AesKey, Error, SingleDesKey, TdesKey};
use serde_json::Value;

use crate::support::{AnyDes, bytes, hex, rows, text, vectors};
use crate::with_key;

/// The row's key: KEY1‖KEY2‖KEY3, or KEYs three times.
fn key_of(row: &Value) -> Vec<u8> {
    let names = if row.get("KEYs").is_some() { ["KEYs"; 3] } else { ["KEY1", "KEY2", "KEY3"] };
    names.iter().flat_map(|name| bytes(row, name)).collect()
}

/// The same key in every shorter spelling that means the same: 16 bytes if K3 = K1, 8 bytes if all are equal.
fn spellings(full: &[u8]) -> Vec<AnyDes> {
    let mut keys = vec![AnyDes::new(full)];
    if full[..8] == full[16..] {
        keys.push(AnyDes::new(&full[..16]));
    }
    if full[..8] == full[8..16] && full[..8] == full[16..] {
        keys.push(AnyDes::new(&full[..8]));
    }
    keys
}

/// NIST CAVP CAVS 11.1: MMT1 (K1 = K2 = K3), MMT2, MMT3 and the known-answer tests, weak keys among them.
#[test]
fn cavp_ecb() {
    let file = vectors("external/cavp_tdes.json");
    let mut rows_run = 0;
    for (table, rows_of) in file["ecb"].as_object().unwrap() {
        for row in rows(rows_of) {
            let (plain, cipher) = (bytes(row, "PLAINTEXT"), bytes(row, "CIPHERTEXT"));
            for key in spellings(&key_of(row)) {
                let made = with_key!(&key, key => key.encrypt_ecb(&plain)).unwrap();
                assert_eq!(hex(&made), hex(&cipher), "{table} {row}");
                let back = with_key!(&key, key => key.decrypt_ecb(&cipher)).unwrap();
                assert_eq!(hex(&back), hex(&plain), "{table} {row}");
            }
            rows_run += 1;
        }
    }
    assert_eq!(rows_run, 48);
}

#[test]
fn cavp_cbc() {
    let file = vectors("external/cavp_tdes.json");
    let mut rows_run = 0;
    for (table, rows_of) in file["cbc"].as_object().unwrap() {
        for row in rows(rows_of) {
            let (plain, cipher) = (bytes(row, "PLAINTEXT"), bytes(row, "CIPHERTEXT"));
            let iv: [u8; 8] = bytes(row, "IV").try_into().unwrap();
            for key in spellings(&key_of(row)) {
                let made = with_key!(&key, key => key.encrypt_cbc(&iv, &plain)).unwrap();
                assert_eq!(hex(&made), hex(&cipher), "{table} {row}");
                let back = with_key!(&key, key => key.decrypt_cbc(&iv, &cipher)).unwrap();
                assert_eq!(hex(&back), hex(&plain), "{table} {row}");
            }
            rows_run += 1;
        }
    }
    assert_eq!(rows_run, 48);
}

#[test]
fn check_values() {
    let file = vectors("external/kcv.json");
    let mut run = 0;
    for row in rows(&file["cases"]) {
        let (key, kcv) = (bytes(row, "key"), text(row, "kcv"));
        let algorithm = text(row, "alg");
        let made = if algorithm.contains("legacy") {
            hex(&AesKey::from_bytes(&key).unwrap().kcv_legacy())
        } else if algorithm.starts_with("AES-CMAC") {
            hex(&AesKey::from_bytes(&key).unwrap().kcv())
        } else {
            hex(&with_key!(AnyDes::new(&key), key => key.kcv()))
        };
        assert_eq!(made, kcv, "{row}");
        run += 1;
    }
    assert_eq!(run, 10);
}

/// FIPS 197 appendix C: AES-128, -192 and -256.
#[test]
fn aes_blocks() {
    let plain: [u8; 16] = std::array::from_fn(|index| u8::try_from(index * 0x11).unwrap());
    for (len, cipher) in [
        (16, "69C4E0D86A7B0430D8CDB78070B4C55A"),
        (24, "DDA97CA4864CDFE06EAF70A0EC0D7191"),
        (32, "8EA2B7CA516745BFEAFC49904B496089"),
    ] {
        let key: Vec<u8> = (0..len).collect();
        let key = AesKey::from_bytes(&key).unwrap();
        assert_eq!(hex(&key.encrypt_block(plain)), cipher);
    }
}

#[test]
fn wrong_key_lengths_are_refused_by_name() {
    for found in (0..=40).filter(|len| *len != 8) {
        let refused = SingleDesKey::from_bytes(&vec![1; found]).err();
        assert_eq!(refused, Some(Error::KeyLength { algorithm: "DES", allowed: "8", found }));
    }
    for found in (0..=40).filter(|len| ![16, 24].contains(len)) {
        let refused = TdesKey::from_bytes(&vec![1; found]).err();
        assert_eq!(refused, Some(Error::KeyLength { algorithm: "TDES", allowed: "16 or 24", found }));
    }
    for found in (0..=40).filter(|len| ![16, 24, 32].contains(len)) {
        let refused = AesKey::from_bytes(&vec![1; found]).err();
        assert_eq!(refused, Some(Error::KeyLength { algorithm: "AES", allowed: "16, 24 or 32", found }));
    }
}

#[test]
fn data_that_is_not_whole_blocks_is_refused_by_name() {
    let key = TdesKey::generate24().unwrap();
    for found in [1, 7, 9, 15, 17] {
        let data = vec![0; found];
        let refused = Some(Error::NotWholeBlocks { block: 8, found });
        assert_eq!(key.encrypt_ecb(&data).err(), refused);
        assert_eq!(key.decrypt_ecb(&data).err(), refused);
        assert_eq!(key.encrypt_cbc(&[0; 8], &data).err(), refused);
        assert_eq!(key.decrypt_cbc(&[0; 8], &data).err(), refused);
    }
    assert!(key.encrypt_ecb(&[]).unwrap().is_empty());
    assert!(key.decrypt_cbc(&[0; 8], &[]).unwrap().is_empty());
}

#[test]
fn debug_shows_no_key() {
    let key = TdesKey::from_bytes(&[0xA7; 16]).unwrap();
    let shown = format!("{key:?} {:?}", AesKey::from_bytes(&[0xA7; 32]).unwrap());
    assert_eq!(shown, "TdesKey(16 bytes) AesKey(32 bytes)");
}
