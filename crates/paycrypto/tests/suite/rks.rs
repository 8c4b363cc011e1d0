//! Token and proof of flow C: the worked values, and what each side refuses.

use keyblock::{Algorithm, Exportability, Header, Kbpk, Mode, Usage, Version};
use paycrypto::Error;
use paycrypto::blocks::{self, BlockRefusal};
use paycrypto::digest::sha256;
use paycrypto::hygiene::PoorKey;
use paycrypto::keys::{Dik2, Tmk};
use paycrypto::rks::{AtTk1, PART, PROOF, ProofDefect, TOKEN};

use crate::support::{array, bytes, flow, hex, tdes, text, unhex};

const PLACE: &str = "N7-00012345/00";

fn token() -> AtTk1 {
    let c = flow("flow_c");
    AtTk1::from_parts(&array(&c, "at"), &array(&c, "tk1"))
}

fn dik2() -> Dik2 {
    Dik2::from_key(tdes(&flow("flow_c"), "dik2")).unwrap()
}

#[test]
fn worked_block_opens_to_at_and_tk1() {
    let c = flow("flow_c");
    let (block, context) = (text(&c, "at_tk1_key_block_under_dik2"), array(&c, "context"));
    let opened = blocks::unwrap_token(&dik2(), block, PLACE, &context).unwrap();
    assert_eq!(hex(opened.at()), text(&c, "at"));
    assert_eq!(hex(opened.tk1()), text(&c, "tk1"));
    assert_eq!(opened.to_clear().len(), TOKEN);

    let made = blocks::wrap_token(&dik2(), &opened, PLACE, &context).unwrap();
    assert_eq!(made.len(), block.len());
    assert_eq!(made[..80], block[..80], "the header is the worked one, PB's padding included");
    assert_ne!(made, block, "the padding is random");
    assert_eq!(blocks::unwrap_token(&dik2(), &made, PLACE, &context).unwrap().at(), opened.at());
}

#[test]
fn worked_proof_is_made_and_taken() {
    let c = flow("flow_c");
    let proof = token().prove_with(&array(&c, "tk2")).unwrap();
    assert_eq!(hex(proof.clear()), [text(&c, "at"), text(&c, "tk2"), text(&c, "tk_sha2")].concat());
    assert_eq!(proof.clear().len(), PROOF);
    assert_eq!(hex(token().check(proof.clear()).unwrap().expose()), text(&c, "tk"));
    assert_eq!(hex(proof.into_tk().expose()), text(&c, "tk"));
}

#[test]
fn proofs_of_one_token_differ_and_are_taken() {
    let token = AtTk1::generate().unwrap();
    let (first, second) = (token.prove().unwrap(), token.prove().unwrap());
    assert_ne!(first.tk.expose(), second.tk.expose());
    for proof in [first, second] {
        assert_eq!(token.check(proof.clear()).unwrap().expose(), proof.tk.expose());
    }
    assert_ne!(AtTk1::generate().unwrap().at(), token.at());
}

#[test]
fn every_changed_bit_of_a_proof_is_refused_by_name() {
    let token = token();
    let proof = token.prove().unwrap();
    for bit in 0..8 * PROOF {
        let mut changed = proof.clear().to_vec();
        changed[bit / 8] ^= 1 << (bit % 8);
        let expected = if bit < 8 * PART { ProofDefect::At } else { ProofDefect::Hash };
        assert_eq!(token.check(&changed).err(), Some(expected), "bit {bit}");
    }
}

#[test]
fn proof_has_80_bytes() {
    let proof = token().prove().unwrap();
    let longer = [proof.clear(), &[0]].concat();
    for wrong in [&[][..], &proof.clear()[..PART], &proof.clear()[..PROOF - 1], &longer] {
        assert_eq!(token().check(wrong).err(), Some(ProofDefect::Length), "{} bytes", wrong.len());
    }
}

#[test]
fn proof_of_another_run_is_refused() {
    let (old, new) = (AtTk1::generate().unwrap(), AtTk1::generate().unwrap());
    assert_eq!(new.check(old.prove().unwrap().clear()).err(), Some(ProofDefect::At));
    // With the right AT and the wrong TK1: whoever knows AT alone proves nothing.
    let half = AtTk1::from_parts(new.at(), old.tk1());
    assert_eq!(new.check(half.prove().unwrap().clear()).err(), Some(ProofDefect::Hash));
}

/// Both sides choose a part of TK, and neither can make it poor.
#[test]
fn tk2_that_makes_a_poor_tk_is_refused_by_both_sides() {
    let token = token();
    for (tk, poor) in
        [("0101010101010101".repeat(3), PoorKey::Weak), ("0123456789ABCDEF".repeat(3), PoorKey::EqualParts)]
    {
        let tk: [u8; PART] = unhex(&tk).try_into().unwrap();
        let tk2: [u8; PART] = std::array::from_fn(|at| tk[at] ^ token.tk1()[at]);
        assert_eq!(token.prove_with(&tk2).err(), Some(Error::Poor(poor)));
        let proof = [token.at().as_slice(), &tk2, &sha256(&tk)].concat();
        assert_eq!(token.check(&proof).err(), Some(ProofDefect::PoorTk(poor)));
    }
}

#[test]
fn token_has_48_bytes() {
    let context = array(&flow("flow_c"), "context");
    let header = Header::new(
        Version::B,
        Usage::parse("10").unwrap(),
        Algorithm::TDES,
        Mode::NO_RESTRICTION,
        Exportability::NOT_EXPORTABLE,
    )
    .with_optional("10", PLACE)
    .and_then(|header| header.with_optional("11", hex(&context)))
    .unwrap();
    for (length, good) in [(1, false), (24, false), (47, false), (48, true), (49, false), (72, false)] {
        let block = Kbpk::new(Version::B, dik2().expose()).unwrap().wrap(&header, &vec![7; length]).unwrap();
        let refused = blocks::unwrap_token(&dik2(), &block, PLACE, &context).err();
        assert_eq!(refused, (!good).then_some(BlockRefusal::Length), "{length} bytes");
    }
}

#[test]
fn token_of_another_place_time_or_key_is_refused() {
    let context = array(&flow("flow_c"), "context");
    let block = blocks::wrap_token(&dik2(), &token(), PLACE, &context).unwrap();
    let refusal = |dik2: &Dik2, place, context| blocks::unwrap_token(dik2, &block, place, context).err();
    assert_eq!(refusal(&dik2(), "N7-00012346/00", &context), Some(BlockRefusal::Place));
    assert_eq!(refusal(&dik2(), "N7-00012345/01", &context), Some(BlockRefusal::Place));
    assert_eq!(refusal(&dik2(), PLACE, &[0; 16]), Some(BlockRefusal::Context));
    assert_eq!(refusal(&Dik2::generate().unwrap(), PLACE, &context), Some(BlockRefusal::Mac));
}

#[test]
fn no_other_block_is_a_token_and_a_token_is_no_other_key() {
    let context = array(&flow("flow_c"), "context");
    let token_block = blocks::wrap_token(&dik2(), &token(), PLACE, &context).unwrap();
    // The holder of a key with the same bytes, in the role of a TEK.
    let tek = paycrypto::keys::Tek::from_key(tdes(&flow("flow_c"), "dik2")).unwrap();
    let as_tmk = blocks::unwrap_tmk(&tek, &token_block, PLACE, &context).err();
    assert_eq!(as_tmk, Some(BlockRefusal::Usage));
    let tmk_block = blocks::wrap_tmk(&tek, &Tmk::generate().unwrap(), PLACE, &context).unwrap();
    let as_token = blocks::unwrap_token(&dik2(), &tmk_block, PLACE, &context).err();
    assert_eq!(as_token, Some(BlockRefusal::Usage));
}

#[test]
fn debug_shows_neither_token_nor_proof() {
    let c = flow("flow_c");
    let shown = format!("{:?} {:?}", token(), token().prove_with(&array(&c, "tk2")).unwrap()).to_uppercase();
    for secret in ["at", "tk1", "tk2", "tk"] {
        let first = bytes(&c, secret)[0];
        assert!(!shown.contains(text(&c, secret)) && !shown.contains(&format!("[{first}, ")), "{shown}");
    }
}
