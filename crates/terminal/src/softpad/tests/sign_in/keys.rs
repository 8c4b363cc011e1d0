//! WORKING_KEYS: what the PIN pad does not take.

use super::*;

/// What the pad says to these blocks. They are tried once, and the keys in use stay.
fn answer_keys(make: impl FnOnce(&Host, &Frame) -> Vec<String>) -> PadRefusal {
    let (mut terminal, _, host) = loaded();
    let pad = terminal.pad_mut();
    signed_in(pad, &host, 0).unwrap();
    let next = Host::new(&host.tmk);
    let sign_in = begin(pad, 0).unwrap();
    let blocks = make(&next, &sign_in);
    let blocks: Vec<&str> = blocks.iter().map(String::as_str).collect();
    let refusal = pad.sign_in_keys(&sign_in, &working_keys_of(&blocks)).unwrap_err();
    assert!(is_0008(pad.sign_in_keys(&sign_in, &next.working_keys(&sign_in, PLACE))));
    assert_works_with(pad, &host);
    if matches!(refusal, PadRefusal::KeyRefused { .. }) {
        assert_eq!(pad.refusals().newest().unwrap().check, "WORKING_KEYS 0007");
    }
    refusal
}

/// A block with any header and key, as no honest host makes it.
fn block_of(host: &Host, usage: &str, mode: &str, key: &[u8], sign_in: &Frame, before: &[&str]) -> String {
    use keyblock::{Algorithm, Exportability, Header, Kbpk, Mode, Usage, Version};
    let context: String = context(sign_in.bytes(), before).iter().map(|byte| format!("{byte:02X}")).collect();
    let header = Header::new(
        Version::B,
        Usage::from_ascii(usage.as_bytes().try_into().unwrap()).unwrap(),
        Algorithm::TDES,
        Mode::from_ascii(mode.as_bytes().try_into().unwrap()).unwrap(),
        Exportability::NOT_EXPORTABLE,
    )
    .with_optional("10", PLACE)
    .and_then(|header| header.with_optional("11", context))
    .unwrap();
    Kbpk::new(Version::B, host.tmk.expose()).unwrap().wrap(&header, key).unwrap()
}

/// PIK, MAK, TDK of these keys in good blocks.
fn good_blocks(host: &Host, sign_in: &Frame) -> Vec<String> {
    let pik = host.block(&host.pik, PLACE, sign_in, &[]);
    let mak = host.block(&host.mak, PLACE, sign_in, &[&pik]);
    let tdk = host.block(host.tdk.as_ref().unwrap(), PLACE, sign_in, &[&pik, &mak]);
    vec![pik, mak, tdk]
}

#[test]
fn a_block_in_another_order_or_of_another_use_is_0007() {
    for (at, with) in [(0, 1), (1, 2), (0, 2)] {
        let refusal = answer_keys(|host, sign_in| {
            let mut blocks = good_blocks(host, sign_in);
            blocks.swap(at, with);
            blocks
        });
        assert_eq!(refusal, block_refused(BlockRefusal::Usage), "{at} {with}");
    }
    // Also where every context is right for its place.
    let refusal = answer_keys(|host, sign_in| {
        let mak = host.block(&host.mak, PLACE, sign_in, &[]);
        let pik = host.block(&host.pik, PLACE, sign_in, &[&mak]);
        vec![mak, pik]
    });
    assert_eq!(refusal, block_refused(BlockRefusal::Usage));
}

#[test]
fn a_block_for_another_place_is_0007() {
    for place in ["SN-1001/04", "SN-1002/03"] {
        for at in 0..3 {
            let refusal = answer_keys(|host, sign_in| {
                let places: Vec<&str> = (0..3).map(|n| if n == at { place } else { PLACE }).collect();
                let pik = host.block(&host.pik, places[0], sign_in, &[]);
                let mak = host.block(&host.mak, places[1], sign_in, &[&pik]);
                let tdk = host.block(host.tdk.as_ref().unwrap(), places[2], sign_in, &[&pik, &mak]);
                vec![pik, mak, tdk]
            });
            assert_eq!(refusal, block_refused(BlockRefusal::Place), "{place} {at}");
        }
    }
}

#[test]
fn a_replayed_working_keys_is_0007() {
    let (mut terminal, _, host) = loaded();
    let pad = terminal.pad_mut();
    let before = begin(pad, 0).unwrap();
    let old = host.working_keys(&before, PLACE);
    let now = begin(pad, 0).unwrap();
    assert_eq!(pad.sign_in_keys(&now, &old).unwrap_err(), block_refused(BlockRefusal::Context));
}

#[test]
fn blocks_of_two_answers_are_0007() {
    let refusal = answer_keys(|host, sign_in| {
        let first = good_blocks(host, sign_in);
        let second = good_blocks(&Host::new(&host.tmk), sign_in);
        vec![first[0].clone(), second[1].clone()]
    });
    assert_eq!(refusal, block_refused(BlockRefusal::Context));
}

#[test]
fn keys_under_another_tmk_are_0007() {
    let refusal = answer_keys(|_, sign_in| good_blocks(&Host::new(&Tmk::generate().unwrap()), sign_in));
    assert_eq!(refusal, block_refused(BlockRefusal::Mac));
}

#[test]
fn keys_under_the_older_tmk_do_not_answer_for_the_newer() {
    let (mut terminal, _, old) = loaded();
    load(&mut terminal, &Tmk::generate().unwrap(), PLACE, None).unwrap();
    let pad = terminal.pad_mut();
    let sign_in = begin(pad, 0).unwrap();
    let refusal = pad.sign_in_keys(&sign_in, &old.working_keys(&sign_in, PLACE)).unwrap_err();
    assert_eq!(refusal, block_refused(BlockRefusal::Mac));
}

#[test]
fn poor_keys_are_0007() {
    let cases = [
        ([[0x13; 8], [0x13; 8]].concat(), PoorKey::EqualParts),
        ([[0x01; 8], [0x25; 8]].concat(), PoorKey::Weak),
        ([[0x13; 8], [0x25; 8], [0x13; 8]].concat(), PoorKey::EqualParts),
    ];
    for (key, poor) in cases {
        let refusal = answer_keys(|host, sign_in| {
            let pik = block_of(host, "P0", "E", &key, sign_in, &[]);
            let mak = host.block(&host.mak, PLACE, sign_in, &[&pik]);
            vec![pik, mak]
        });
        assert_eq!(refusal, block_refused(BlockRefusal::WeakKey(poor)));
    }
}

#[test]
fn one_key_for_two_uses_is_0007_by_name() {
    let twin = |refusal: PadRefusal, a: &str, b: &str| {
        assert_eq!(refusal, refused(&format!("the {a} is the same key as the {b}")));
    };
    let double = || TdesKey::generate16().unwrap();
    let again = |key: &TdesKey| TdesKey::from_bytes(key.expose()).unwrap();
    let refusal = answer_keys(|host, sign_in| {
        let key = double();
        let (pik, mak) = (Pik::from_key(again(&key)).unwrap(), Mak::from_key(key).unwrap());
        good_blocks(&Host { pik, mak, ..Host::new(&host.tmk) }, sign_in)
    });
    twin(refusal, "PIK", "MAK");
    let refusal = answer_keys(|host, sign_in| {
        let key = double();
        let (tdk, mak) = (Some(Tdk::from_key(again(&key)).unwrap()), Mak::from_key(key).unwrap());
        good_blocks(&Host { tdk, mak, ..Host::new(&host.tmk) }, sign_in)
    });
    twin(refusal, "MAK", "TDK");
    // A PIK that begins with the MAK, and one that is the TMK itself.
    let refusal = answer_keys(|host, sign_in| {
        let key = TdesKey::generate24().unwrap();
        let mak = Mak::from_key(TdesKey::from_bytes(&key.expose()[..16]).unwrap()).unwrap();
        let pik = Pik::from_key(key).unwrap();
        good_blocks(&Host { pik, mak, ..Host::new(&host.tmk) }, sign_in)
    });
    twin(refusal, "PIK", "MAK");
    let refusal = answer_keys(|host, sign_in| {
        let pik = Pik::from_key(again(host.tmk.key())).unwrap();
        good_blocks(&Host { pik, ..Host::new(&host.tmk) }, sign_in)
    });
    twin(refusal, "PIK", "TMK");
}

#[test]
fn a_key_that_was_another_ones_in_the_sign_in_before_is_0007() {
    let (mut terminal, _, host) = loaded();
    let pad = terminal.pad_mut();
    signed_in(pad, &host, 0).unwrap();
    let pik = Pik::from_key(TdesKey::from_bytes(host.mak.expose()).unwrap()).unwrap();
    let next = Host { pik, ..Host::new(&host.tmk) };
    let refusal = confirmed(pad, &next, 0).unwrap_err();
    assert_eq!(refusal, refused("the PIK is the same key as the MAK"));
}

#[test]
fn equal_check_values_are_0007() {
    // Two keys with one check value take 2^24 tries to find; the check is on its own.
    use crate::softpad::separation::KeyUse;
    use crate::softpad::sign_in::refuse_equal_kcvs;
    let kcv = |last| Kcv::Tdes([1, 2, last]);
    let named = [KeyUse::Pik, KeyUse::Mak, KeyUse::Tdk];
    refuse_equal_kcvs(&named, &[kcv(1), kcv(2), kcv(3)]).unwrap();
    for (kcvs, a, b) in [([1, 1, 3], "PIK", "MAK"), ([1, 2, 1], "PIK", "TDK"), ([1, 2, 2], "MAK", "TDK")] {
        let refusal = refuse_equal_kcvs(&named, &kcvs.map(kcv)).unwrap_err();
        assert_eq!(refusal, refused(&format!("the {a} and the {b} have the same check value")));
    }
}

#[test]
fn one_block_or_four_are_0002() {
    for count in [1, 4] {
        let refusal = answer_keys(|host, sign_in| {
            let mut blocks = good_blocks(host, sign_in);
            blocks.push(blocks[2].clone());
            blocks.truncate(count);
            blocks
        });
        assert!(matches!(refusal, PadRefusal::Malformed(_)), "{count}: {refusal}");
    }
}

#[test]
fn a_pik_of_16_bytes_is_taken_and_a_mak_of_24_is_0007() {
    let (mut terminal, _, host) = loaded();
    let pik = Pik::from_key(TdesKey::generate16().unwrap()).unwrap();
    let host = Host { pik, ..host };
    signed_in(terminal.pad_mut(), &host, 0).unwrap();
    let refusal = answer_keys(|host, sign_in| {
        let pik = host.block(&host.pik, PLACE, sign_in, &[]);
        let mak = block_of(host, "M3", "C", &[7; 24], sign_in, &[&pik]);
        vec![pik, mak]
    });
    assert_eq!(refusal, block_refused(BlockRefusal::Length));
}
