//! What the HSM's process has in memory after a batch: neither PK nor MAK nor any transport key of it.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
#![cfg(target_os = "linux")]

mod memory;

use hsm::{
    Hsm, KeyBlock,
    commands::{
        BatchText, CheckBatchMac, ImportTk, MacBatch, MakeWorkKey, TkCheckValues, TkSource, TranslateTk,
        ZoneAlgorithm,
    },
};
use keyferry_hsm_soft::{
    Offline,
    components::{self, Ceremony, Component, Target},
};
use memory::{PASSPHRASE, Process, connect};
use paycrypto::{AesKey, TdesKey, blocks, ec, keys::Pk, rsa::PublicKey, tk::CheckedTk};
use zeroize::Zeroizing;

const OWNER: &str = "ACQ";
const PARTNER: &str = "VENDOR";
const PAD: &str = "SN-1001";
const PLACE: &str = "SN-1001/00";

/// A key that two people typed.
fn typed<const KCV: usize>(
    hsm: &Offline,
    target: Target,
    parts: [(Vec<u8>, [u8; KCV]); 2],
    expected: [u8; KCV],
) -> KeyBlock {
    let (name, owner, session) = ("VENDOR-KEYS".into(), OWNER.into(), "S1".into());
    let ceremony = Ceremony { name, owner, session, of: 2, target };
    let blocks: Vec<_> = (1..)
        .zip(["Ada", "Grace"])
        .zip(parts)
        .map(|((part, person), (clear, check_value))| {
            let clear = Zeroizing::new(clear);
            let component = Component { part, person: person.into(), clear, check_value };
            components::enter(hsm, &ceremony, &component).unwrap()
        })
        .collect();
    components::combine(hsm, &ceremony, &blocks, expected).unwrap().block
}

fn xor(one: &[u8], other: &[u8]) -> Vec<u8> {
    one.iter().zip(other).map(|(a, b)| a ^ b).collect()
}

fn tdes(hsm: &Offline, target: Target) -> (KeyBlock, Vec<u8>) {
    let [one, other] = [(); 2].map(|()| TdesKey::generate24().unwrap());
    let mut key = xor(one.expose(), other.expose());
    paycrypto::hygiene::set_odd_parity(&mut key);
    let kcv = TdesKey::from_bytes(&key).unwrap().kcv();
    let parts = [&one, &other].map(|part| (part.expose().to_vec(), part.kcv()));
    (typed(hsm, target, parts, kcv), key)
}

fn aes(hsm: &Offline, target: Target) -> (KeyBlock, Vec<u8>) {
    let [one, other] = [(); 2].map(|()| AesKey::generate32().unwrap());
    let key = xor(one.expose(), other.expose());
    let kcv = AesKey::from_bytes(&key).unwrap().kcv();
    let parts = [&one, &other].map(|part| (part.expose().to_vec(), part.kcv()));
    (typed(hsm, target, parts, kcv), key)
}

fn targets(algorithm: ZoneAlgorithm) -> [Target; 2] {
    let partner = || PARTNER.to_owned();
    [
        Target::BatchProtect { partner: partner(), algorithm },
        Target::BatchMac { partner: partner(), algorithm },
    ]
}

#[tokio::test]
async fn r18_pk_mak_and_the_transport_keys_of_a_batch_are_gone_when_it_is_done() {
    let folder = tempfile::tempdir().unwrap();
    let process = Process::start(folder.path());
    let hsm = connect(&folder.path().join("hsm.sock")).await;
    let offline = Offline::open(&folder.path().join("hsm"), PASSPHRASE).unwrap();
    let mut known: Vec<(&str, Vec<u8>)> = Vec::new();

    // Suite 01: one TK as it was collected, one from a batch.
    let [pk, mak] = targets(ZoneAlgorithm::Tdes).map(|target| tdes(&offline, target));
    let make = MakeWorkKey { bits: 2048, subject: "work".into(), owner: OWNER.into() };
    let work = hsm.call(make).await.unwrap();
    let tk = CheckedTk::generate().unwrap();
    let ctk_pu = PublicKey::from_spki(&work.public).unwrap().oaep_encrypt(&tk.to_clear()).unwrap();
    let collected = TkSource::Collected { work_key: work.private.clone(), ctk_pu };
    batch(&hsm, &pk.0, &mak.0, Some(collected), &[]).await;
    known.extend([("TEK", tk.tek().expose().to_vec()), ("AUK", tk.auk().expose().to_vec())]);
    let tk = CheckedTk::generate().unwrap();
    let under = Pk::from_key(TdesKey::from_bytes(&pk.1).unwrap()).unwrap();
    let came = [
        blocks::wrap_outside(&under, tk.tek(), PLACE).unwrap(),
        blocks::wrap_outside(&under, tk.auk(), PLACE).unwrap(),
    ];
    batch(&hsm, &pk.0, &mak.0, None, &came).await;
    known.extend([
        ("TEK that came", tk.tek().expose().to_vec()),
        ("AUK that came", tk.auk().expose().to_vec()),
    ]);
    known.extend([("PK", pk.1), ("MAK", mak.1)]);

    // Suite 02: one that came.
    let [pk, mak] = targets(ZoneAlgorithm::Aes).map(|target| aes(&offline, target));
    let tk = ec::Tk::generate().unwrap();
    let under = ec::keys::Pk::from_bytes(pk.1.as_slice().try_into().unwrap());
    let came = [
        ec::blocks::wrap_outside(&under, tk.tek(), PLACE).unwrap(),
        ec::blocks::wrap_outside(&under, tk.auk(), PLACE).unwrap(),
    ];
    batch(&hsm, &pk.0, &mak.0, None, &came).await;
    known.extend([
        ("TEK of suite 02", tk.tek().expose().to_vec()),
        ("AUK of suite 02", tk.auk().expose().to_vec()),
    ]);
    known.extend([("PK of suite 02", pk.1), ("MAK of suite 02", mak.1)]);

    // What it does hold is found: a part of its modulus. So the search works.
    assert!(!process.find(&work.public[100..124]).is_empty(), "the search finds nothing at all");
    for (name, key) in known {
        // Half a key is as bad as a whole one.
        let places = process.find(&key[..16]);
        assert!(places.is_empty(), "{name} is still there: {places:#?}");
    }
}

/// Takes TKs in or hands one on, asks their check values, and makes and checks both MACs.
async fn batch(hsm: &impl Hsm, pk: &KeyBlock, mak: &KeyBlock, tk: Option<TkSource>, came: &[String]) {
    let (pin_pad, owner, partner) = (|| PAD.to_owned(), || OWNER.to_owned(), || PARTNER.to_owned());
    let tk = match tk {
        Some(tk) => tk,
        None => {
            let (tek, auk, pk) = (came[0].clone(), came[1].clone(), pk.clone());
            let import = ImportTk { tek, auk, pin_pad: pin_pad(), owner: owner(), pk, partner: partner() };
            TkSource::Held(hsm.call(import).await.unwrap().blocks)
        }
    };
    let pk = pk.clone();
    let translate =
        TranslateTk { tk: tk.clone(), pin_pad: pin_pad(), owner: owner(), pk, partner: partner() };
    hsm.call(translate).await.unwrap();
    hsm.call(TkCheckValues { tk, pin_pad: pin_pad(), owner: owner() }).await.unwrap();
    for what in [BatchText::Batch, BatchText::Receipt] {
        let (mak, text) = (mak.clone(), b"{\"order\":\"PO-1\"}".to_vec());
        let make =
            MacBatch { mak: mak.clone(), partner: partner(), owner: owner(), what, text: text.clone() };
        let mac = hsm.call(make).await.unwrap();
        let check = CheckBatchMac { mak, partner: partner(), owner: owner(), what, text, mac };
        hsm.call(check).await.unwrap();
    }
}
