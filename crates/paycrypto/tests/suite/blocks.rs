//! The table of 2-wire.md section 4: each key under each key that may protect it, header as written there.

use keyblock::{Exportability, Header, Kbpk, KeyVersion, Version};
use paycrypto::blocks::{self, BlockKey, BlockRefusal, Protects, WrapError};
use paycrypto::hygiene::PoorKey;
use paycrypto::keys::{Dik2, Dmk, Dwk, Mak, Pik, RksTk, Rnd1, SessionKey, Tdk, Tek, Tmk};
use paycrypto::{TdesKey, TdesLength};

const PLACE: &str = "SN-1001/03";
const CONTEXT: [u8; 16] = *b"0123456789abcdef";

/// Wraps and opens, and compares the header with the table's line.
fn line<K: BlockKey, U: Protects<K>>(under: &U, key: &K, usage: &str, mode: &str) {
    let block = blocks::wrap(under, key, PLACE, &CONTEXT).unwrap();
    let (header, _) = Header::parse(&block).unwrap();
    assert_eq!(header.version, Version::B);
    assert_eq!((header.usage.as_str(), header.algorithm.as_str(), header.mode.as_str()), (usage, "T", mode));
    assert_eq!(header.key_version, KeyVersion::UNUSED);
    assert_eq!(header.exportability, Exportability::NOT_EXPORTABLE);
    let texts: Vec<(&str, &str)> = header.optional.iter().map(|o| (o.id(), o.text())).collect();
    assert_eq!(texts, [("10", PLACE), ("11", "30313233343536373839616263646566")]);
    let opened: K = blocks::unwrap(under, &block, PLACE, &CONTEXT).unwrap();
    assert_eq!(opened.key().expose(), key.key().expose());
}

#[test]
fn every_line_of_the_table() {
    let tek = Tek::generate().unwrap();
    let tmk = Tmk::generate().unwrap();
    let rnd1 = Rnd1::generate().unwrap();
    let dmk = Dmk::generate().unwrap();
    let dwk = Dwk::generate().unwrap();
    line(&tek, &tmk, "K1", "B");
    line(&rnd1, &tmk, "K1", "B");
    line(&dwk, &tmk, "K1", "B");
    line(&tmk, &Pik::generate().unwrap(), "P0", "E");
    line(&tmk, &Mak::generate().unwrap(), "M3", "C");
    line(&tmk, &Tdk::generate().unwrap(), "D0", "E");
    let tk = RksTk::generate().unwrap();
    line(&tk, &tmk, "K1", "B");
    line(&tk, &Pik::generate().unwrap(), "P0", "E");
    line(&tk, &Mak::generate().unwrap(), "M3", "C");
    line(&tk, &Tdk::generate().unwrap(), "D0", "E");
    line(&dmk, &dwk, "K1", "B");
    line(&dwk, &SessionKey::generate().unwrap(), "D0", "B");
    line(&rnd1, &dmk, "11", "N");
    line(&rnd1, &Dik2::generate().unwrap(), "12", "N");
}

#[test]
fn both_lengths_of_a_pik_travel_in_blocks_of_one_length() {
    let tmk = Tmk::generate().unwrap();
    let lengths = Pik::LENGTHS.iter().map(|length| {
        let key = match length {
            TdesLength::Double => TdesKey::generate16().unwrap(),
            TdesLength::Triple => TdesKey::generate24().unwrap(),
        };
        let pik = Pik::from_key(key).unwrap();
        line(&tmk, &pik, "P0", "E");
        blocks::wrap(&tmk, &pik, PLACE, &CONTEXT).unwrap().len()
    });
    let lengths: Vec<usize> = lengths.collect();
    assert_eq!(lengths, [152, 152]);
}

#[test]
fn every_length_of_place_travels() {
    let (tek, tmk) = (Tek::generate().unwrap(), Tmk::generate().unwrap());
    for len in 1..=32 {
        let place = format!("{}/99", "S".repeat(len));
        let block = blocks::wrap_tmk(&tek, &tmk, &place, &CONTEXT).unwrap();
        assert_eq!(block.contains("PB"), !(59 + len).is_multiple_of(8), "PB where the standard needs it");
        let opened = blocks::unwrap_tmk(&tek, &block, &place, &CONTEXT).unwrap();
        assert_eq!(opened.expose(), tmk.expose());
    }
}

#[test]
fn a_place_that_is_none_is_not_wrapped() {
    let (tek, tmk) = (Tek::generate().unwrap(), Tmk::generate().unwrap());
    let long = format!("{}/03", "S".repeat(33));
    for place in ["", "/", "/03", "SN-1001", "SN-1001/", "SN-1001/3", "SN-1001/003", "SN-1001/0x", "SN 1/03"]
        .into_iter()
        .chain(["SN/1/03", "S\u{e9}/03", "SN-1001/٣٣", "SN-1001/+3", "SN-1001/03\n", &long])
    {
        let refused = blocks::wrap_tmk(&tek, &tmk, place, &CONTEXT);
        assert_eq!(refused, Err(WrapError::Place), "{place:?}");
    }
}

/// Makes a block of `Made` and opens it as `Asked`, under one key.
fn taken_for<Made: BlockKey, Asked: BlockKey, U: Protects<Made> + Protects<Asked>>(
    under: &U,
    made: &Made,
) -> Option<BlockRefusal> {
    let block = blocks::wrap(under, made, PLACE, &CONTEXT).unwrap();
    blocks::unwrap::<Asked, U>(under, &block, PLACE, &CONTEXT).err()
}

/// Where one key protects several, its blocks tell them apart.
#[test]
fn no_key_under_rnd1_or_tk_is_taken_for_another() {
    macro_rules! each_as_each {
        ($under:expr; $($made:ty),+) => {each_as_each!(@ $under; [$($made),+] [$($made),+])};
        (@ $under:expr; [$($made:ty),+] $asked:tt) => {$(each_as_each!(@@ $under; $made; $asked);)+};
        (@@ $under:expr; $made:ty; [$($asked:ty),+]) => {$(
            let refused = taken_for::<$made, $asked, _>($under, &<$made>::generate().unwrap());
            let same = stringify!($made) == stringify!($asked);
            let expected = (!same).then_some(BlockRefusal::Usage);
            assert_eq!(refused, expected, "{} as {}", stringify!($made), stringify!($asked));
        )+};
    }
    let (rnd1, tk) = (Rnd1::generate().unwrap(), RksTk::generate().unwrap());
    each_as_each!(&rnd1; Tmk, Dmk, Dik2);
    each_as_each!(&tk; Tmk, Pik, Mak, Tdk);
}

/// A key of the right usage and the wrong length, or a poor one, is refused though its block is authentic.
#[test]
fn authentic_blocks_of_flows_b_and_c_with_a_bad_key_are_refused() {
    fn refusal<K: BlockKey, U: Protects<K>>(under: &U, key: &[u8]) -> Option<BlockRefusal> {
        let rule = K::RULE;
        let header =
            Header::new(Version::B, rule.usage, rule.algorithm, rule.mode, Exportability::NOT_EXPORTABLE)
                .with_optional("10", PLACE)
                .and_then(|header| header.with_optional("11", "30313233343536373839616263646566"))
                .unwrap();
        let kbpk = Kbpk::new(Version::B, under.protection_key().expose()).unwrap();
        blocks::unwrap::<K, U>(under, &kbpk.wrap(&header, key).unwrap(), PLACE, &CONTEXT).err()
    }
    let (rnd1, tk) = (Rnd1::generate().unwrap(), RksTk::generate().unwrap());
    let double = TdesKey::generate16().unwrap();
    let equal = [0x23; 24];
    for short in [
        refusal::<Tmk, _>(&rnd1, double.expose()),
        refusal::<Dmk, _>(&rnd1, double.expose()),
        refusal::<Dik2, _>(&rnd1, double.expose()),
        refusal::<Tmk, _>(&tk, double.expose()),
        refusal::<Mak, _>(&tk, TdesKey::generate24().unwrap().expose()),
    ] {
        assert_eq!(short, Some(BlockRefusal::Length));
    }
    for poor in [
        refusal::<Tmk, _>(&rnd1, &equal),
        refusal::<Dmk, _>(&rnd1, &equal),
        refusal::<Dik2, _>(&rnd1, &equal),
        refusal::<Tmk, _>(&tk, &equal),
        refusal::<Pik, _>(&tk, &equal),
        refusal::<Mak, _>(&tk, &equal[..16]),
    ] {
        assert_eq!(poor, Some(BlockRefusal::WeakKey(PoorKey::EqualParts)));
    }
}
