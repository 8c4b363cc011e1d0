//! The repository's external vectors, all that the calculator can reach, asked as JSON.

mod support;

use serde_json::{Value, json};
use support::{ask, text, vectors};

#[test]
fn check_values_kcv_json() {
    let file = vectors("kcv.json");
    let cases = file["cases"].as_array().expect("cases");
    assert_eq!(cases.len(), 10);
    for case in cases {
        let algorithm = match text(case, "alg") {
            name if name.starts_with("AES-CMAC") => "aes",
            name if name.starts_with("AES-ECB") => "aes-legacy",
            _ => "tdes",
        };
        let answer = ask(&json!({"op": "kcv", "algorithm": algorithm, "key": text(case, "key")}));
        assert_eq!(answer["kcv"], case["kcv"], "{case}");
    }
}

#[test]
fn macs_mac_iso9797_json() {
    let file = vectors("mac_iso9797.json");
    let cases = file["cases"].as_array().expect("cases");
    assert_eq!(cases.len(), 16);
    for case in cases {
        let algorithm = match text(case, "alg") {
            name if name.starts_with("X9.9") => "x9.9",
            name if name.starts_with("ISO9797-1 alg 1") => "iso9797-1-alg1",
            _ => "iso9797-1-alg3",
        };
        let answer = mac(algorithm, Some(&case["padding"]), text(case, "key"), text(case, "msg"));
        let whole = if algorithm == "x9.9" { 8 } else { 16 };
        assert_eq!(answer.len(), whole, "{case}");
        assert!(answer.starts_with(text(case, "mac")), "{case}: {answer}");
    }
}

/// psec's retail MAC takes two keys of 16 equal bytes each, so each is single DES; its CBC-MAC one of 16 bytes.
#[test]
fn macs_mac_psec_json() {
    let file = vectors("mac_psec.json");
    let data = hex(b"hello world");
    let tables = [
        ("test_generate_retail_mac", "iso9797-1-alg3", format!("{}{}", "41".repeat(8), "42".repeat(8))),
        ("test_generate_cbc_mac", "iso9797-1-alg1", "AAAAAAAAAAAAAAAABBBBBBBBBBBBBBBB".to_owned()),
    ];
    for (table, algorithm, key) in tables {
        let rows = file["tables"][table]["rows"].as_array().expect("rows");
        assert_eq!(rows.len(), 9);
        for row in rows {
            let answer = mac(algorithm, Some(&row["padding"]), &key, &data);
            assert!(answer.starts_with(text(row, "result")), "{table} {row}: {answer}");
        }
    }
}

#[test]
fn cmacs_cmac_nist_json() {
    let file = vectors("cmac_nist.json");
    let mut count = 0;
    for (name, rows) in file["files"].as_object().expect("files") {
        for row in rows.as_array().expect("rows") {
            let (algorithm, key) = if name.ends_with("3des") {
                let key = ["KEY1", "KEY2", "KEY3"].map(|part| text(row, part)).concat();
                ("cmac-tdes", key)
            } else {
                ("cmac-aes", text(row, "KEY").to_owned())
            };
            let answer = mac(algorithm, None, &key, text(row, "MESSAGE"));
            assert_eq!(answer, text(row, "OUTPUT").to_uppercase(), "{name} {row}");
            // A padding is passed over.
            assert_eq!(mac(algorithm, Some(&json!(3)), &key, text(row, "MESSAGE")), answer);
            count += 1;
        }
    }
    assert_eq!(count, 20);
}

/// A block in ECB is the MAC of algorithm 1 over it; the last block in CBC is the MAC over the data with the IV XORed
/// into its first block. So NIST's rows can be asked as MACs.
#[test]
fn tdes_cavp_tdes_json() {
    let file = vectors("cavp_tdes.json");
    let mut count = 0;
    for mode in ["ecb", "cbc"] {
        for (name, rows) in file[mode].as_object().expect("files") {
            for row in rows.as_array().expect("rows") {
                let key = match row["KEYs"].as_str() {
                    Some(key) => key.repeat(3),
                    None => ["KEY1", "KEY2", "KEY3"].map(|part| text(row, part)).concat(),
                };
                let (plain, cipher) = (text(row, "PLAINTEXT"), text(row, "CIPHERTEXT").to_uppercase());
                if mode == "ecb" {
                    for at in (0..plain.len()).step_by(16) {
                        let answer = mac("iso9797-1-alg1", Some(&json!(1)), &key, &plain[at..at + 16]);
                        assert_eq!(answer, cipher[at..at + 16], "{name} {row}");
                    }
                } else {
                    let data = format!("{}{}", xor(&plain[..16], text(row, "IV")), &plain[16..]);
                    let answer = mac("iso9797-1-alg1", Some(&json!(1)), &key, &data);
                    assert_eq!(answer, cipher[cipher.len() - 16..], "{name} {row}");
                }
                count += 1;
            }
        }
    }
    assert_eq!(count, 96);
}

#[test]
fn key_blocks_tr31_psec_json() {
    let file = vectors("tr31_psec.json");
    let rows = file["tables"]["test_kb_known_values"]["rows"].as_array().expect("rows");
    assert_eq!(rows.len(), 18);
    for row in rows {
        let opened = ask(&json!({"op": "keyblock.unwrap", "kbpk": row["kbpk"], "block": row["kb"]}));
        assert_eq!((&opened["ok"], &opened["key"]), (&json!(true), &row["key"]), "{row}");
        let wrapped = ask(&json!({"op": "keyblock.wrap", "kbpk": row["kbpk"], "key": row["key"],
            "header": opened["header"], "optional": opened["optional"]}));
        assert_eq!(wrapped["ok"], true, "{wrapped}");
        let again = ask(&json!({"op": "keyblock.unwrap", "kbpk": row["kbpk"], "block": wrapped["block"]}));
        assert_eq!(again, opened, "{row}");
    }
    for row in file["tables"]["test_kb_unwrap_exceptions"]["rows"].as_array().expect("rows") {
        let length = usize::try_from(row["kbpk_len"].as_u64().expect("a number")).expect("small");
        let answer = ask(&json!({"op": "keyblock.unwrap", "kbpk": "45".repeat(length), "block": row["kb"]}));
        assert_eq!(answer["ok"], false, "{row}");
        assert_ne!(answer["error"]["code"], "fields", "{row}");
    }
}

fn mac(algorithm: &str, padding: Option<&Value>, key: &str, data: &str) -> String {
    let mut request = json!({"op": "mac", "algorithm": algorithm, "key": key, "data": data});
    if let Some(padding) = padding {
        request["padding"] = padding.clone();
    }
    text(&ask(&request), "mac").to_owned()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02X}")).collect()
}

fn xor(a: &str, b: &str) -> String {
    let number = |text: &str| u64::from_str_radix(text, 16).unwrap_or_default();
    format!("{:016X}", number(a) ^ number(b))
}
