//! CMAC (NIST SP 800-38B), ISO 9797-1 algorithms 1 and 3, X9.9, and psec's tables.

use paycrypto::mac::{self, Padding};
use paycrypto::{AesKey, Error, SingleDesKey, TdesKey};

use crate::support::{AnyDes, bytes, hex, rows, text, unhex, vectors};
use crate::with_key;

fn padding(number: u64) -> Padding {
    match number {
        1 => Padding::One,
        2 => Padding::Two,
        3 => Padding::Three,
        other => panic!("no padding {other}"),
    }
}

#[test]
fn cmac_of_nist_800_38b() {
    let file = vectors("external/cmac_nist.json");
    let mut run = 0;
    for (name, table) in file["files"].as_object().unwrap() {
        for row in rows(table) {
            let message = bytes(row, "MESSAGE");
            let made = if name.ends_with("3des") {
                let key: Vec<u8> = ["KEY1", "KEY2", "KEY3"].iter().flat_map(|k| bytes(row, k)).collect();
                hex(&mac::cmac_tdes(&TdesKey::from_bytes(&key).unwrap(), &message))
            } else {
                hex(&mac::cmac_aes(&AesKey::from_bytes(&bytes(row, "KEY")).unwrap(), &message))
            };
            assert_eq!(made, text(row, "OUTPUT").to_uppercase(), "{name} {row}");
            run += 1;
        }
    }
    assert_eq!(run, 20);
}

/// ISO/IEC 9797-1 annex B and the origins named in each row.
#[test]
fn iso_9797_1_rows() {
    let file = vectors("external/mac_iso9797.json");
    let mut run = 0;
    for row in rows(&file["cases"]) {
        let (key, message) = (AnyDes::new(&bytes(row, "key")), bytes(row, "msg"));
        let padding = padding(row["padding"].as_u64().unwrap());
        let algorithm = text(row, "alg");
        let made = if algorithm.starts_with("ISO9797-1 alg 3") {
            with_key!(&key, key => mac::iso9797_alg3(key, padding, &message)).unwrap().to_vec()
        } else if algorithm.starts_with("ISO9797-1 alg 1") {
            with_key!(&key, key => mac::iso9797_alg1(key, padding, &message)).unwrap().to_vec()
        } else {
            assert!(algorithm.starts_with("X9.9"), "{algorithm}");
            with_key!(&key, key => mac::x9_9(key, &message)).to_vec()
        };
        let wanted = text(row, "mac");
        assert_eq!(hex(&made[..wanted.len() / 2]), wanted, "{row}");
        run += 1;
    }
    assert_eq!(run, 16);
}

/// psec pads to any block length; this crate to DES's 8, so the rows with 4 do not apply.
#[test]
fn psec_paddings() {
    let file = vectors("external/mac_psec.json");
    let mut run = 0;
    for number in 1..=3 {
        for row in rows(&file["tables"][format!("test_pad_iso_{number}")]["rows"]) {
            if row["block_len"].as_u64() == Some(4) {
                continue;
            }
            let made = padding(number).pad(&bytes(row, "data")).unwrap();
            assert_eq!(hex(&made), text(row, "result"), "method {number} {row}");
            run += 1;
        }
    }
    assert_eq!(run, 14);
}

#[test]
fn no_data_pads_to_what_the_standard_says() {
    assert_eq!(Padding::One.pad(&[]).unwrap(), [0; 8]);
    assert_eq!(Padding::Two.pad(&[]).unwrap(), [0x80, 0, 0, 0, 0, 0, 0, 0]);
    assert_eq!(Padding::Three.pad(&[]).unwrap(), [0; 16]);
}

/// Keys of the table's `call` texts.
#[test]
fn psec_macs() {
    let file = vectors("external/mac_psec.json");
    let retail = TdesKey::from_bytes(b"AAAAAAAABBBBBBBB").unwrap();
    let cbc = TdesKey::from_bytes(&unhex("AAAAAAAAAAAAAAAABBBBBBBBBBBBBBBB")).unwrap();
    for row in rows(&file["tables"]["test_generate_retail_mac"]["rows"]) {
        let padding = padding(row["padding"].as_u64().unwrap());
        let made = hex(&mac::iso9797_alg3(&retail, padding, b"hello world").unwrap());
        let wanted = text(row, "result");
        assert_eq!(&made[..wanted.len()], wanted, "{row}");
    }
    for row in rows(&file["tables"]["test_generate_cbc_mac"]["rows"]) {
        let padding = padding(row["padding"].as_u64().unwrap());
        let made = hex(&mac::iso9797_alg1(&cbc, padding, b"hello world").unwrap());
        let wanted = text(row, "result");
        assert_eq!(&made[..wanted.len()], wanted, "{row}");
    }
}

#[test]
fn x9_9_is_algorithm_1_with_padding_1_cut_to_four_bytes() {
    let keys = [
        AnyDes::new(&unhex("0123456789ABCDEF")),
        AnyDes::new(&unhex("0123456789ABCDEFFEDCBA9876543210")),
        AnyDes::Tdes(TdesKey::generate24().unwrap()),
    ];
    for key in &keys {
        for len in 0..=25 {
            let data = vec![0x5C; len];
            let whole = with_key!(key, key => mac::iso9797_alg1(key, Padding::One, &data)).unwrap();
            assert_eq!(with_key!(key, key => mac::x9_9(key, &data)), whole[..4]);
        }
    }
}

#[test]
fn algorithm_3_refuses_a_single_des_key_by_name() {
    let key = SingleDesKey::from_bytes(&[0x23; 8]).unwrap();
    assert_eq!(mac::iso9797_alg3(&key, Padding::One, b"data"), Err(Error::MacKeyLength));
}

#[test]
fn algorithm_3_with_three_parts_ends_with_the_third() {
    let (two, three) =
        ("0123456789ABCDEFFEDCBA9876543210", "0123456789ABCDEFFEDCBA98765432100123456789ABCDEF");
    let mac_of = |key: &str| {
        mac::iso9797_alg3(&TdesKey::from_bytes(&unhex(key)).unwrap(), Padding::Two, b"data").unwrap()
    };
    assert_eq!(mac_of(two), mac_of(three), "K3 = K1 is the two-part key");
    assert_ne!(mac_of(two), mac_of("0123456789ABCDEFFEDCBA98765432101123456789ABCDEF"));
}

#[test]
fn macs_compare_whole() {
    assert!(mac::matches(&[1, 2, 3], &[1, 2, 3]));
    assert!(!mac::matches(&[1, 2, 3], &[1, 2, 4]));
    assert!(!mac::matches(&[1, 2, 3], &[1, 2]), "a cut MAC is no MAC");
    assert!(!mac::matches(&[1, 2, 3], &[]));
}
