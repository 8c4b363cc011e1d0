//! The worked values of `vectors/tdes-suite.json`, flow by flow.

use paycrypto::blocks::{self, BlockRefusal};
use paycrypto::derive::derive_dik2;
use paycrypto::digest::sha256;
use paycrypto::hygiene::PoorKey;
use paycrypto::keys::{Dik2, Dmk, Dwk, Mak, Pik, Rnd1, Tmk};
use paycrypto::mac::{self, Padding};
use paycrypto::rsa::PublicKey;
use paycrypto::tk::UncheckedTk;
use paycrypto::{Error, TdesKey};

use crate::support::{array, bytes, flow, hex, tdes, test_key, text, unhex};

/// The texts of the first field (DF40) of a TLV list, and the list's other end.
fn df40(fields: &[u8]) -> String {
    let [0xDF, 0x40, 0x81, len, rest @ ..] = fields else { panic!("DF40 with a length of 81 xx") };
    String::from_utf8(rest[..usize::from(*len)].to_vec()).unwrap()
}

fn frame(payload: &[u8]) -> Vec<u8> {
    [u16::try_from(payload.len()).unwrap().to_be_bytes().as_slice(), payload].concat()
}

#[test]
fn flow_a_from_ctk_pu_to_tmk() {
    let a = flow("flow_a");
    let clear = test_key().oaep_decrypt(&bytes(&a, "ctk_pu")).unwrap();
    assert_eq!(clear.len(), 80);
    let tk = UncheckedTk::new(clear).check().unwrap();
    assert_eq!(hex(tk.tek().expose()), text(&a, "tek"));
    assert_eq!(hex(tk.auk().expose()), text(&a, "auk"));
    assert_eq!(hex(&tk.sha256()), text(&a, "tk_sha256"));

    assert_eq!(hex(&tk.auk().answer(array(&a, "rnd1"))), text(&a, "crnd1"));
    assert_eq!(hex(&tk.auk().answer(array(&a, "rnd2"))), text(&a, "crnd2"));
    assert!(tk.auk().answers(array(&a, "rnd2"), &bytes(&a, "crnd2")));
    assert!(!tk.auk().answers(array(&a, "rnd1"), &bytes(&a, "crnd2")), "a reflected answer");
    assert!(!tk.auk().answers(array(&a, "rnd2"), &bytes(&a, "crnd2")[..7]));

    let said: Vec<u8> = ["hello", "challenge", "reply"].iter().flat_map(|m| frame(&bytes(&a, m))).collect();
    let context: [u8; 16] = sha256(&said)[..16].try_into().unwrap();
    assert_eq!(hex(&context), text(&a, "context"));
    let (block, place) = (text(&a, "tmk_key_block_under_tek"), text(&a, "place"));
    let tmk = blocks::unwrap_tmk(tk.tek(), block, place, &context).unwrap();
    assert_eq!(hex(tmk.expose()), text(&a, "tmk"));
    assert_eq!(hex(&tmk.kcv()), text(&a, "tmk_kcv"));

    let made = blocks::wrap_tmk(tk.tek(), &tmk, place, &context).unwrap();
    assert_eq!(made.len(), block.len());
    assert_eq!(made[..72], block[..72], "the header is the worked one, PB too");
    assert_ne!(made, block, "the padding is random");
    let again = blocks::unwrap_tmk(tk.tek(), &made, place, &context).unwrap();
    assert_eq!(again.expose(), tmk.expose());
}

#[test]
fn flow_b_opens_rnd1_and_recovers_what_was_signed() {
    let b = flow("flow_b");
    let key = test_key();
    let rnds = key.oaep_decrypt(&bytes(&b, "c_rnd1_rnd2")).unwrap();
    assert_eq!(hex(&rnds), [text(&b, "rnd1"), text(&b, "rnd2")].concat());

    let public = PublicKey::from_spki(key.spki_der()).unwrap();
    let recovered = public.type1_recover(&bytes(&b, "c_ctmk_rnd2")).unwrap();
    assert_eq!(hex(&recovered), text(&b, "signed_fields"));
    let signed = key.type1_sign(&recovered).unwrap();
    assert_eq!(hex(&signed), text(&b, "c_ctmk_rnd2"), "type 1 is deterministic");

    let rnd1 = Rnd1::from_key(TdesKey::from_bytes(&rnds[..24]).unwrap()).unwrap();
    let (place, context) = (text(&b, "place"), array(&b, "context"));
    let block = df40(&recovered);
    let tmk: Tmk = blocks::unwrap(&rnd1, &block, place, &context).unwrap();
    assert_eq!(hex(tmk.expose()), text(&b, "tmk"));
    let made = blocks::wrap(&rnd1, &tmk, place, &context).unwrap();
    assert_eq!(
        (made.len(), &made[..72]),
        (block.len(), &block[..72]),
        "the header is the worked one, PB too"
    );
    assert_eq!(blocks::unwrap::<Tmk, _>(&rnd1, &made, place, &context).unwrap().expose(), tmk.expose());
    let said: Vec<u8> = ["connect", "accept"].iter().flat_map(|m| frame(&bytes(&b, m))).collect();
    assert_eq!(sha256(&said)[..16], context);
}

#[test]
fn flow_b_with_dik2() {
    let b = flow("flow_b");
    let (dik2, context) = (&b["with_dik2"], array(&b, "context"));
    let key = test_key();
    let public = PublicKey::from_spki(key.spki_der()).unwrap();
    let recovered = public.type1_recover(&bytes(dik2, "c_ctmk_rnd2")).unwrap();
    assert_eq!(hex(&recovered), text(dik2, "signed_fields"));
    assert_eq!(hex(&key.type1_sign(&recovered).unwrap()), text(dik2, "c_ctmk_rnd2"));
    let rnd1 = Rnd1::from_key(tdes(&b, "rnd1")).unwrap();
    let block = df40(&recovered);
    let opened: Dik2 = blocks::unwrap(&rnd1, &block, text(dik2, "place"), &context).unwrap();
    assert_eq!(hex(opened.expose()), text(dik2, "dik2"));
    let as_tmk: Result<Tmk, _> = blocks::unwrap(&rnd1, &block, text(dik2, "place"), &context);
    assert_eq!(as_tmk.err(), Some(BlockRefusal::Usage), "a DIK2 is no TMK");
    let as_dmk: Result<Dmk, _> = blocks::unwrap(&rnd1, &block, text(dik2, "place"), &context);
    assert_eq!(as_dmk.err(), Some(BlockRefusal::Usage), "a DIK2 is no DMK");
}

#[test]
fn flow_c_derives_dik2_and_opens_both_ciphertexts() {
    let c = flow("flow_c");
    let factor = bytes(&c, "factor");
    let dik2 = derive_dik2(&tdes(&c, "dik1"), text(&c, "dsn"), &factor).unwrap();
    assert_eq!(hex(dik2.expose()), text(&c, "dik2"));
    let other = derive_dik2(&tdes(&c, "dik1"), "N7-00012346", &factor).unwrap();
    assert_ne!(other.expose(), dik2.expose(), "another device, another key");
    let other = derive_dik2(&tdes(&c, "dik1"), text(&c, "dsn"), b"another factor").unwrap();
    assert_ne!(other.expose(), dik2.expose(), "another factor, another key");

    let key = test_key();
    assert_eq!(key.oaep_decrypt(&bytes(&c, "factor_ciphertext")).unwrap().as_slice(), factor);
    let proof = key.oaep_decrypt(&bytes(&c, "proof_ciphertext")).unwrap();
    assert_eq!(hex(&proof), [text(&c, "at"), text(&c, "tk2"), text(&c, "tk_sha2")].concat());
    assert_eq!(hex(&sha256(&bytes(&c, "tk"))), text(&c, "tk_sha2"));
}

#[test]
fn flow_c_derives_nothing_from_a_poor_key() {
    let poor = TdesKey::from_bytes(&unhex("0123456789ABCDEF").repeat(3)).unwrap();
    assert_eq!(derive_dik2(&poor, "N7", b"f").err(), Some(Error::Poor(PoorKey::EqualParts)));
    let weak = TdesKey::from_bytes(&[0; 16]).unwrap();
    assert_eq!(derive_dik2(&weak, "N7", b"f").err(), Some(Error::Poor(PoorKey::Weak)));
}

#[test]
fn flow_e_dwk_macs_and_the_seal_tag() {
    let e = flow("flow_e");
    let dmk = Dmk::from_key(tdes(&e, "dmk")).unwrap();
    let context = array(&e, "context_of_dwk");
    let block = text(&e, "dwk_key_block_under_dmk");
    let dwk: Dwk = blocks::unwrap(&dmk, block, "SN-1001/00", &context).unwrap();
    assert_eq!(hex(dwk.expose()), text(&e, "dwk"));
    assert_eq!(sha256(&frame(&bytes(&e, "hello")))[..16], context);
    assert_eq!(hex(&dwk.mac(&bytes(&e, "t_data"))), text(&e, "tac_1"));
    assert_eq!(hex(&dwk.mac(&bytes(&e, "s_data"))), text(&e, "sac_1"));

    let sealed = &e["sealed"];
    let message = bytes(sealed, "message");
    let [0x01, 0x3F, 0xDF, 0x4A, len, df4a @ ..] = message.as_slice() else { panic!("SEALED with DF4A") };
    assert_eq!(usize::from(*len), df4a.len());
    let (body, tag) = df4a.split_at(df4a.len() - 8);
    let (iv, ciphertext) = body.split_at(8);
    assert_eq!(iv, bytes(sealed, "iv"));
    let length = u32::try_from(ciphertext.len()).unwrap().to_be_bytes();
    let covered = [&[0], [0; 4].as_slice(), &length[1..], iv, ciphertext].concat();
    assert_eq!(mac::iso9797_alg1(dwk.key(), Padding::Two, &covered).unwrap(), tag);

    let inner = Padding::Two.pad(&bytes(sealed, "inner_payload")).unwrap();
    let session_key = tdes(&e, "session_key");
    assert_eq!(session_key.encrypt_cbc(&array(sealed, "iv"), &inner).unwrap(), ciphertext);
}

#[test]
fn flow_f_working_keys_and_macs() {
    let f = flow("flow_f");
    let tmk = Tmk::from_key(tdes(&f, "tmk")).unwrap();
    let place = "SN-1001/03";
    let context = array(&f, "context");
    let pik_block = text(&f, "pik_key_block_under_tmk");
    let pik: Pik = blocks::unwrap(&tmk, pik_block, place, &context).unwrap();
    assert_eq!(hex(pik.expose()), text(&f, "pik"));
    assert_eq!(hex(&pik.kcv()), text(&f, "pik_kcv"));

    let said = [frame(&bytes(&f, "sign_in")), pik_block.as_bytes().to_vec()].concat();
    assert_eq!(hex(&sha256(&said)[..16]), text(&f, "context_of_mak"));
    let mak_block = text(&f, "mak_key_block_under_tmk");
    let mak: Mak = blocks::unwrap(&tmk, mak_block, place, &array(&f, "context_of_mak")).unwrap();
    assert_eq!(hex(mak.expose()), text(&f, "mak"));
    assert_eq!(hex(&mak.kcv()), text(&f, "mak_kcv"));
    let made = blocks::wrap(&tmk, &mak, place, &array(&f, "context_of_mak")).unwrap();
    assert_eq!(made.len(), mak_block.len(), "a 16-byte key's block is as long as a 24-byte key's");

    let rnd1 = bytes(&f, "rnd1");
    let confirmed = [b"OK", rnd1.as_slice(), &pik.kcv(), &mak.kcv()].concat();
    assert_eq!(hex(&mak.mac(&confirmed).unwrap()), text(&f, "confirm_mac"));
    assert_eq!(hex(&mak.mac(&[b"DONE", rnd1.as_slice()].concat()).unwrap()), text(&f, "done_mac"));
}
