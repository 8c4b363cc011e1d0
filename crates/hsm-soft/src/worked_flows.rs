//! Flows B, C, E and F against the worked values of the wire (`vectors/tdes-suite.json`): the HSM's side of each. And a
//! batch of an MTMS.

mod batch;
mod sessions;
mod suite_02;

use std::path::Path;

use hsm::{
    KeyBlock, Refusal,
    commands::{
        HeldKey, Load, LoadTerminal, ReleaseRksKeys, Reply, Request, RksKeyKind, RksWanted, SealRksToken,
        TokenDoubt,
    },
};
use keyblock::{Header, Kbpk, Version};
use paycrypto::{
    TdesKey, blocks, digest,
    keys::{Dik2, RksTk, Rnd1, Tmk},
    rks::AtTk1,
    rsa::{PrivateKey, PublicKey},
};
use serde_json::Value;

use crate::{Duty, SoftHsm, create, lmk::Binding, purpose::Purpose, rks_tickets::Token};

const OWNER: &str = "ACQ";

/// The worked values, and an HSM that holds their RSA key as `pair`.
struct Worked {
    flow: Value,
    key: PrivateKey,
    hsm: SoftHsm,
    pair: KeyBlock,
    _folder: tempfile::TempDir,
}

impl Worked {
    fn new(flow: &str, pair: Purpose) -> Self {
        let root = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."));
        let vectors = std::fs::read_to_string(root.join("vectors/tdes-suite.json")).unwrap();
        let flow = serde_json::from_str::<Value>(&vectors).unwrap()[flow].take();
        // The worked values' key as PKCS #8.
        let key = std::fs::read(root.join("crates/paycrypto/tests/vectors/rsa_test_key.p8")).unwrap();
        let folder = tempfile::tempdir().unwrap();
        create(folder.path(), "only for this test").unwrap();
        let hsm =
            SoftHsm::open(folder.path(), "only for this test", vec![]).unwrap().on_duty(Duty::Laboratory);
        let pair = hsm.lmk.wrap(pair, bound(None), &key).unwrap();
        Self { flow, key: PrivateKey::from_pkcs8(&key).unwrap(), hsm, pair, _folder: folder }
    }

    fn text(&self, name: &str) -> &str {
        self.flow[name].as_str().unwrap()
    }

    fn bytes(&self, name: &str) -> Vec<u8> {
        unhex(self.text(name))
    }

    fn tdes(&self, name: &str) -> TdesKey {
        TdesKey::from_bytes(&self.bytes(name)).unwrap()
    }

    fn held(&self, purpose: Purpose, place: Option<&str>, key: &TdesKey) -> HeldKey {
        let block = self.hsm.lmk.wrap(purpose, bound(place), key.expose()).unwrap();
        HeldKey { block, kcv: key.kcv() }
    }
}

fn bound(place: Option<&str>) -> Binding<'_> {
    Binding { place, owner: OWNER, tk_hash: None }
}

fn unhex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}

fn load(worked: &Worked, load: Load) -> hsm::commands::Loaded {
    let frames: Vec<u8> = ["connect", "accept"]
        .into_iter()
        .flat_map(|name| {
            let payload = worked.bytes(name);
            [u16::try_from(payload.len()).unwrap().to_be_bytes().as_slice(), &payload].concat()
        })
        .collect();
    let context: [u8; 16] = digest::sha256(&frames)[..16].try_into().unwrap();
    assert_eq!(context.to_vec(), worked.bytes("context"));
    let command = LoadTerminal {
        work_key: worked.pair.clone(),
        c_rnd1_rnd2: worked.bytes("c_rnd1_rnd2"),
        pin_pad: "SN-1001".into(),
        owner: OWNER.into(),
        context,
        load,
        escrow_under: None,
    };
    match worked.hsm.handle(Request::LoadTerminal(command)).unwrap() {
        Reply::LoadTerminal(loaded) => loaded,
        other => panic!("{other:?}"),
    }
}

/// What was signed, with the block's ciphertext and MAC, which are random, cut out; and the block.
fn signed(worked: &Worked, c_ctmk_rnd2: &[u8]) -> (Vec<u8>, String) {
    let public = PublicKey::from_spki(worked.key.spki_der()).unwrap();
    let fields = public.type1_recover(c_ctmk_rnd2).unwrap();
    assert_eq!(fields[..3], [0xDF, 0x40, 0x81]);
    let length = usize::from(fields[3]);
    let block = String::from_utf8(fields[4..4 + length].to_vec()).unwrap();
    let header = Header::parse(&block).unwrap().1;
    let cut = [&fields[..4 + header], &fields[4 + length..]].concat();
    (cut, block)
}

#[test]
fn flow_b_loads_the_worked_tmk() {
    let worked = Worked::new("flow_b", Purpose::KldWork);
    let tmk = worked.held(Purpose::Tmk, Some(worked.text("place")), &worked.tdes("tmk"));
    let loaded = load(&worked, Load::Tmk { slot: 3, held: Some(tmk.block), avoid: vec![] });
    assert_eq!(loaded.kcv, tmk.kcv);
    let (fields, block) = signed(&worked, &loaded.c_ctmk_rnd2);
    assert_eq!(fields, signed(&worked, &worked.bytes("c_ctmk_rnd2")).0, "but for the random padding");
    let rnd1 = Rnd1::from_key(worked.tdes("rnd1")).unwrap();
    let context = worked.bytes("context").try_into().unwrap();
    let opened: Tmk = blocks::unwrap(&rnd1, &block, worked.text("place"), &context).unwrap();
    assert_eq!(opened.expose(), worked.bytes("tmk"));
}

#[test]
fn flow_b_loads_the_worked_dik2_with_its_factor() {
    let worked = Worked::new("flow_b", Purpose::KldWork);
    let c = Worked::new("flow_c", Purpose::RksWork);
    let dik1 = worked.held(Purpose::Dik1, None, &c.tdes("dik1")).block;
    let (dsn, factor) = (c.text("dsn").into(), Some(c.bytes("factor")));
    let loaded = load(&worked, Load::Dik2 { dik1, dsn, factor });
    let (fields, block) = signed(&worked, &loaded.c_ctmk_rnd2);
    let with_dik2 = worked.flow["with_dik2"].clone();
    let text = |name: &str| with_dik2[name].as_str().unwrap();
    assert_eq!(fields, signed(&worked, &unhex(text("c_ctmk_rnd2"))).0, "but for the random padding");
    let rnd1 = Rnd1::from_key(worked.tdes("rnd1")).unwrap();
    let context = worked.bytes("context").try_into().unwrap();
    let opened: Dik2 = blocks::unwrap(&rnd1, &block, text("place"), &context).unwrap();
    assert_eq!(opened.expose(), unhex(text("dik2")));
}

#[test]
fn flow_c_seals_a_token_for_the_worked_device() {
    let worked = Worked::new("flow_c", Purpose::RksWork);
    let command = SealRksToken {
        work_key: worked.pair.clone(),
        df20: worked.bytes("factor_ciphertext"),
        dik1: Some(worked.held(Purpose::Dik1, None, &worked.tdes("dik1")).block),
        dsn: worked.text("dsn").into(),
        pin_pad: worked.text("dsn").into(),
        owner: OWNER.into(),
        factor_digest: Some(digest::sha256(&worked.bytes("factor"))),
        context: worked.bytes("context").try_into().unwrap(),
    };
    let seal = |command: &SealRksToken| match worked.hsm.handle(Request::SealRksToken(command.clone())) {
        Ok(Reply::SealRksToken(token)) => token,
        other => panic!("{other:?}"),
    };
    let token = seal(&command);
    assert_eq!(token.doubt, None);
    let example = worked.text("at_tk1_key_block_under_dik2");
    assert_eq!(token.df21.len(), example.len());
    let header = Header::parse(example).unwrap().1;
    assert_eq!(token.df21[..header], example[..header]);
    let dik2 = Dik2::from_key(worked.tdes("dik2")).unwrap();
    let place = format!("{}/00", worked.text("dsn"));
    blocks::unwrap_token(&dik2, &token.df21, &place, &command.context).unwrap();
    let stranger = seal(&SealRksToken { dik1: None, ..command });
    assert_eq!(stranger.doubt, Some(TokenDoubt::Stranger));
    assert_eq!(stranger.df21[..header], example[..header], "alike in form");
}

#[test]
fn flow_c_takes_the_worked_proof_and_gives_keys_under_the_worked_tk() {
    let worked = Worked::new("flow_c", Purpose::RksWork);
    let pad = worked.text("dsn");
    let part = |name: &str| <[u8; 24]>::try_from(worked.bytes(name)).unwrap();
    let token = |counts| Token { at_tk1: AtTk1::from_parts(&part("at"), &part("tk1")), counts };
    let wanted = |slot| RksWanted { slot, kind: RksKeyKind::Tmk, pending: None, avoid: vec![] };
    let command = ReleaseRksKeys {
        work_key: worked.pair.clone(),
        df22: worked.bytes("proof_ciphertext"),
        ticket: worked.hsm.rks_tickets.issue(pad, OWNER, &token(true)).unwrap(),
        owner: OWNER.into(),
        pin_pad: pad.into(),
        wanted: vec![wanted(1), wanted(2)],
        transcript: b"frames".to_vec(),
    };
    // The same proof to a token that does not count is worth nothing, were AT and TK1 ever guessed.
    let ticket = worked.hsm.rks_tickets.issue(pad, OWNER, &token(false)).unwrap();
    let outcome = worked.hsm.handle(Request::ReleaseRksKeys(ReleaseRksKeys { ticket, ..command.clone() }));
    assert!(matches!(outcome, Err(Refusal::DeviceNotProven { .. })), "{outcome:?}");
    let keys = match worked.hsm.handle(Request::ReleaseRksKeys(command)).unwrap() {
        Reply::ReleaseRksKeys(keys) => keys,
        other => panic!("{other:?}"),
    };
    let tk = RksTk::from_key(worked.tdes("tk")).unwrap();
    let mut said = b"frames".to_vec();
    for (slot, key) in (1..).zip(&keys) {
        let context = digest::sha256(&said)[..16].try_into().unwrap();
        let opened: Tmk = blocks::unwrap(&tk, &key.under_tk, &format!("{pad}/{slot:02}"), &context).unwrap();
        assert_eq!(opened.kcv(), key.kcv);
        said.extend_from_slice(key.under_tk.as_bytes());
    }
    // TK of the worked values, seen by the block library alone.
    Kbpk::new(Version::B, &worked.bytes("tk")).unwrap().unwrap(&keys[0].under_tk).unwrap();
}
