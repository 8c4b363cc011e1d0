//! Batches: answers in order, and one bad item does not spoil the others.

use base64ct::{Base64, Encoding};
use paycrypto::TdesKey;
use pinblock::Format;
use serde_json::{Value, json};

use crate::{
    setting::{PAN, SLOT, Setting, signed_in},
    support::{
        posp::{bytes_of, item},
        raw::Raw,
    },
};

const ZONE: &str = "issuer-1";

fn results(answer: &crate::support::https::Answer) -> Vec<Value> {
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json["results"].as_array().unwrap().clone()
}

#[test]
fn translations_come_in_order_and_a_bad_one_spoils_no_other() {
    let mut setting = Setting::new();
    let second = Raw::with_pin_pad("SN-2", "PP-2");
    setting.server.collect(&[&second]);
    let other = signed_in(&setting.server, &second);
    let pins: Vec<_> = (0..50).map(|n| format!("{:04}", 1111 + n)).collect();
    let mut items = Vec::new();
    for (n, pin) in pins.iter().enumerate() {
        let (sn, working) = if n % 2 == 0 { ("SN-1", &setting.working) } else { ("SN-2", &other) };
        items.push(item(sn, SLOT, PAN, (0, 0), &working.pin_block(Format::Iso0, pin, PAN), ZONE));
    }
    items[7]["pin_block"] = "0011223344556677".into();
    items[8]["zone"] = "nowhere".into();
    items[9]["sn"] = "SN-9".into();
    items[10]["pan"] = "12".into();
    items[11]["to"] = 1.into();
    items[12]["slot"] = 100.into();
    items[13]["pin_block"] = "00".into();
    items[14].as_object_mut().unwrap().remove("sn");
    let answers = results(&setting.posp.post("/v1/pin/translate/batch", &json!({ "items": items })));
    let refused = [
        "pin-block",
        "unknown-zone",
        "no-working-key",
        "pan",
        "format-not-allowed",
        "malformed",
        "pin-block",
        "malformed",
    ];
    let zone = TdesKey::from_bytes(&setting.zone.key).unwrap();
    assert_eq!(answers.len(), pins.len());
    for (n, (answer, pin)) in answers.iter().zip(&pins).enumerate() {
        if let Some(code) = n.checked_sub(7).and_then(|n| refused.get(n)) {
            assert_eq!((&answer["ok"], &answer["code"]), (&json!(false), &json!(code)), "{n}");
            assert!(answer["text"].is_string() && answer.get("pin_block").is_none(), "{answer}");
        } else {
            assert_eq!(answer["ok"], json!(true), "{n}: {answer}");
            // Format 0 is the same block each time: what the issuer would make itself.
            let expected = {
                let (pin, pan) = (pinblock::Pin::new(pin).unwrap(), pinblock::Pan::new(PAN).unwrap());
                let clear = pinblock::encode(Format::Iso0, &pin, Some(&pan)).unwrap();
                zone.encrypt_block(*clear.expose()).to_vec()
            };
            assert_eq!(bytes_of(&answer["pin_block"]), expected, "{n}");
        }
    }
}

#[test]
fn a_batch_has_1_to_1024_items() {
    let mut setting = Setting::new();
    let block = setting.working.pin_block(Format::Iso0, "1234", PAN);
    let one = item("SN-1", SLOT, PAN, (0, 0), &block, ZONE);
    for (count, status) in [(0, 400), (1, 200), (1024, 200), (1025, 400)] {
        let answer = setting.posp.post("/v1/pin/translate/batch", &json!({ "items": vec![&one; count] }));
        assert_eq!(answer.status, status, "{count}: {}", answer.code());
        if status == 200 {
            let answers = results(&answer);
            assert_eq!(answers.len(), count);
            assert!(answers.iter().all(|answer| answer["ok"] == json!(true)));
        }
    }
}

#[test]
fn macs_are_made_and_checked_in_batches() {
    let mut setting = Setting::new();
    let data: Vec<_> = (1..20_u8).map(|n| vec![n; usize::from(n)]).collect();
    let mut items: Vec<_> = data
        .iter()
        .map(|data| json!({ "sn": "SN-1", "slot": SLOT, "data": Base64::encode_string(data) }))
        .collect();
    items[3]["slot"] = 2.into();
    let made = results(&setting.posp.post("/v1/mac/generate/batch", &json!({ "items": items })));
    for (n, (answer, data)) in made.iter().zip(&data).enumerate() {
        if n == 3 {
            assert_eq!(answer["code"], "no-working-key");
        } else {
            assert_eq!(bytes_of(&answer["mac"]), setting.working.mac(data));
        }
    }
    items[3]["slot"] = SLOT.into();
    for (item, answer) in items.iter_mut().zip(&made) {
        item["mac"] = answer.get("mac").cloned().unwrap_or("0000000000000000".into());
    }
    items[5]["mac"] = "xx".into();
    let checked = results(&setting.posp.post("/v1/mac/verify/batch", &json!({ "items": items })));
    for (n, answer) in checked.iter().enumerate() {
        let expected = match n {
            3 => json!("wrong-mac"),
            5 => json!("malformed"),
            _ => Value::Null,
        };
        assert_eq!((&answer["ok"], &answer["code"]), (&json!(expected.is_null()), &expected), "{n}");
    }
}

/// They are one command to the HSM, which has its own limit.
#[test]
fn all_data_of_one_request_have_512_kib() {
    let mut setting = Setting::new();
    let item = json!({ "sn": "SN-1", "slot": SLOT, "data": Base64::encode_string(&[7; 64 * 1024]) });
    for (count, status) in [(8, 200), (9, 400)] {
        let answer = setting.posp.post("/v1/mac/generate/batch", &json!({ "items": vec![&item; count] }));
        assert_eq!(answer.status, status, "{}", answer.code());
    }
}
