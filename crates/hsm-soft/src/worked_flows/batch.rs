//! A batch and its receipt as other people's programs make them (`vectors/external/batch_python.json`, which says by
//! what): the blocks open, the check values and both MACs are the same.

use hsm::{
    KeyBlock, Refusal,
    commands::{
        BatchText, CheckBatchMac, ImportTk, MacBatch, Reply, Request, TkCheckValues, TkSource, TkValues,
    },
};
use serde_json::Value;

use super::{OWNER, unhex};
use crate::{Duty, SoftHsm, create, lmk::Binding, purpose::Purpose};

const VENDOR: &str = "VENDOR";

#[test]
fn a_batch_of_other_peoples_programs_is_taken_in_both_suites() {
    let folder = tempfile::tempdir().unwrap();
    create(folder.path(), "only for this test").unwrap();
    let hsm = SoftHsm::open(folder.path(), "only for this test", vec![]).unwrap().on_duty(Duty::Laboratory);
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../vectors/external/batch_python.json");
    let vectors: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let cases = vectors["cases"].as_array().unwrap();
    assert_eq!(cases.len(), 2, "one of each suite");
    for case in cases {
        let text = |name: &str| case[name].as_str().unwrap();
        let purposes = match case["suite"].as_u64() {
            Some(1) => [Purpose::BatchProtect, Purpose::BatchMac],
            _ => [Purpose::BatchProtectAes, Purpose::BatchMacAes],
        };
        let bound = Binding { place: Some("partner/VENDOR"), owner: OWNER, tk_hash: None };
        let [pk, mak] = [(purposes[0], "pk"), (purposes[1], "mak")]
            .map(|(purpose, name)| hsm.lmk.wrap(purpose, bound, &unhex(text(name))).unwrap());

        let batch: Value = serde_json::from_str(text("batch")).unwrap();
        let terminals = batch["terminals"].as_array().unwrap();
        let keys = case["keys"].as_array().unwrap();
        assert_eq!(terminals.len(), keys.len());
        for (terminal, keys) in terminals.iter().zip(keys) {
            let field = |of: &Value, name: &str| of[name].as_str().unwrap().to_owned();
            let pin_pad = || field(keys, "pin_pad");
            let import = ImportTk {
                tek: field(terminal, "tek"),
                auk: field(terminal, "auk"),
                pin_pad: pin_pad(),
                owner: OWNER.into(),
                pk: pk.clone(),
                partner: VENDOR.into(),
            };
            let Reply::ImportTk(held) = hsm.handle(Request::ImportTk(import)).unwrap() else {
                panic!("another reply")
            };
            let ask =
                TkCheckValues { tk: TkSource::Held(held.blocks), pin_pad: pin_pad(), owner: OWNER.into() };
            let values = hsm.handle(Request::TkCheckValues(ask)).unwrap();
            let [tek, auk] = ["tek_kcv", "auk_kcv"].map(|name| unhex(&field(keys, name)));
            assert!(matches!(values, Reply::TkCheckValues(found) if found == TkValues { tek, auk }));
        }

        for (what, name, mac) in
            [(BatchText::Batch, "batch", "batch_mac"), (BatchText::Receipt, "receipt", "receipt_mac")]
        {
            let made = Request::MacBatch(MacBatch {
                mak: mak.clone(),
                partner: VENDOR.into(),
                owner: OWNER.into(),
                what,
                text: text(name).as_bytes().to_vec(),
            });
            let made = hsm.handle(made).unwrap();
            assert!(matches!(made, Reply::MacBatch(made) if made == unhex(text(mac))), "{name}");
            assert!(checked(&hsm, &mak, what, text(name), &unhex(text(mac))).is_ok(), "{name}");
            let changed = text(name).replacen("SN-1001", "SN-1003", 1);
            let refusal = checked(&hsm, &mak, what, &changed, &unhex(text(mac)));
            assert_eq!(refusal.err(), Some(Refusal::BatchMac), "{name}");
        }
    }
}

fn checked(hsm: &SoftHsm, mak: &KeyBlock, what: BatchText, text: &str, mac: &[u8]) -> Result<Reply, Refusal> {
    hsm.handle(Request::CheckBatchMac(CheckBatchMac {
        mak: mak.clone(),
        partner: VENDOR.into(),
        owner: OWNER.into(),
        what,
        text: text.as_bytes().to_vec(),
        mac: mac.to_vec(),
    }))
}
