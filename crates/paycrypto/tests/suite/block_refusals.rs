//! What the strict receiver of a TMK refuses, by name (2-wire.md section 4).

use keyblock::{Algorithm, Error as E, Exportability, Header, Kbpk, KeyVersion, Mode, Usage, Version};
use paycrypto::blocks::{self, BlockRefusal};
use paycrypto::hygiene::PoorKey;
use paycrypto::keys::{Tek, Tmk};
use paycrypto::{TdesKey, blocks::unwrap_tmk};
use proptest::prelude::*;

use crate::support::{array, flow, tdes, text, unhex};

const PLACE: &str = "SN-1001/03";
const CONTEXT: [u8; 16] = [0xC7; 16];
const CONTEXT_TEXT: &str = "C7C7C7C7C7C7C7C7C7C7C7C7C7C7C7C7";

fn header() -> Header {
    Header::new(
        Version::B,
        Usage::KEY_BLOCK_PROTECTION,
        Algorithm::TDES,
        Mode::BOTH,
        Exportability::NOT_EXPORTABLE,
    )
}

fn with(header: Header, optional: &[(&str, &str)]) -> Header {
    optional.iter().fold(header, |header, (id, text)| header.with_optional(id, *text).unwrap())
}

fn good_header() -> Header {
    with(header(), &[("10", PLACE), ("11", CONTEXT_TEXT)])
}

/// The refusal of a block that TEK's true holder made with this header around this key.
fn refusal_of(header: &Header, key: &[u8]) -> Option<BlockRefusal> {
    let tek = Tek::generate().unwrap();
    let block = Kbpk::new(header.version, tek.expose()).unwrap().wrap(header, key).unwrap();
    unwrap_tmk(&tek, &block, PLACE, &CONTEXT).err()
}

fn good_key() -> Vec<u8> {
    TdesKey::generate24().unwrap().expose().to_vec()
}

#[test]
fn a_right_block_by_the_same_maker_opens() {
    assert_eq!(refusal_of(&good_header(), &good_key()), None);
}

/// Each defect in a block that is authentic: TEK's holder made it.
#[test]
fn authentic_blocks_with_one_wrong_field_are_refused_by_its_name() {
    let changed = |change: &dyn Fn(&mut Header)| {
        let mut header = good_header();
        change(&mut header);
        refusal_of(&header, &good_key())
    };
    use BlockRefusal as R;
    assert_eq!(changed(&|h| h.version = Version::D), Some(R::Version));
    for usage in ["K0", "P0", "D0", "M3", "B0", "11", "12", "10"] {
        assert_eq!(changed(&|h| h.usage = Usage::parse(usage).unwrap()), Some(R::Usage), "{usage}");
    }
    for algorithm in ["A", "D", "R", "E", "H", "0"] {
        let wrong = Algorithm::parse(algorithm).unwrap();
        assert_eq!(changed(&|h| h.algorithm = wrong), Some(R::Algorithm), "{algorithm}");
    }
    for mode in ["E", "D", "N", "C", "X"] {
        assert_eq!(changed(&|h| h.mode = Mode::parse(mode).unwrap()), Some(R::Mode), "{mode}");
    }
    for version in ["01", "c1", "99"] {
        let wrong = KeyVersion::parse(version).unwrap();
        assert_eq!(changed(&|h| h.key_version = wrong), Some(R::KeyVersion), "{version}");
    }
    for wrong in [Exportability::EXPORTABLE, Exportability::SENSITIVE] {
        assert_eq!(changed(&|h| h.exportability = wrong), Some(R::Exportability), "{wrong}");
    }
    assert_eq!(changed(&|h| h.key_context = keyblock::KeyContext::Exchange), Some(R::KeyContext));
}

#[test]
fn blocks_of_the_old_versions_are_refused() {
    let tek = Tek::generate().unwrap();
    for version in [Version::A, Version::C] {
        let mut header = good_header();
        header.version = version;
        let block = Kbpk::new(version, tek.expose()).unwrap().wrap_legacy(&header, &good_key()).unwrap();
        let refused = unwrap_tmk(&tek, &block, PLACE, &CONTEXT).err();
        assert_eq!(refused, Some(BlockRefusal::Version), "{version}");
    }
}

#[test]
fn any_other_set_or_order_of_optional_blocks_is_refused() {
    for optional in [
        &[] as &[(&str, &str)],
        &[("10", PLACE)],
        &[("11", CONTEXT_TEXT)],
        &[("11", CONTEXT_TEXT), ("10", PLACE)],
        &[("10", PLACE), ("11", CONTEXT_TEXT), ("12", "0000000000000001")],
        &[("10", PLACE), ("11", CONTEXT_TEXT), ("KS", "FFFF9876543210E00008")],
        &[("TS", "2026-11-20T00:00:00Z"), ("10", PLACE), ("11", CONTEXT_TEXT)],
        &[("10", PLACE), ("TS", "20261120"), ("11", CONTEXT_TEXT)],
        &[("10", PLACE), ("12", CONTEXT_TEXT)],
    ] {
        let refused = refusal_of(&with(header(), optional), &good_key());
        assert_eq!(refused, Some(BlockRefusal::OptionalBlocks), "{optional:?}");
    }
}

#[test]
fn another_place_is_refused() {
    for place in ["SN-1001/04", "SN-1002/03", "SN-1001/3", "sn-1001/03", "SN-1001/03 ", "", "SN-1001/030"] {
        let header = with(header(), &[("10", place), ("11", CONTEXT_TEXT)]);
        assert_eq!(refusal_of(&header, &good_key()), Some(BlockRefusal::Place), "{place:?}");
    }
}

#[test]
fn another_context_is_refused() {
    let longer = format!("{CONTEXT_TEXT}00");
    let lower = CONTEXT_TEXT.to_lowercase();
    for context in [&CONTEXT_TEXT[..30], &longer, &lower, "", "D7C7C7C7C7C7C7C7C7C7C7C7C7C7C7C7"] {
        let header = with(header(), &[("10", PLACE), ("11", context)]);
        assert_eq!(refusal_of(&header, &good_key()), Some(BlockRefusal::Context), "{context:?}");
    }
}

#[test]
fn keys_of_another_length_are_refused() {
    for len in [1, 8, 16, 23, 25, 32, 48] {
        let refused = refusal_of(&good_header(), &good_key().repeat(2)[..len]);
        assert_eq!(refused, Some(BlockRefusal::Length), "{len}");
    }
}

#[test]
fn weak_keys_are_refused_on_receiving() {
    let good = good_key();
    for (key, poor) in [
        (vec![0; 24], PoorKey::Weak),
        ([unhex("FEFEFEFEFEFEFEFE").as_slice(), &good[8..]].concat(), PoorKey::Weak),
        ([&good[..16], unhex("01FE01FE01FE01FE").as_slice()].concat(), PoorKey::SemiWeak),
        ([&good[..16], &good[..8]].concat(), PoorKey::EqualParts),
        ([&good[..8], &good[..16]].concat(), PoorKey::EqualParts),
    ] {
        assert_eq!(refusal_of(&good_header(), &key), Some(BlockRefusal::WeakKey(poor)));
    }
}

/// The reason for a change of the worked block's character `index`, by what stands there.
fn expected(index: usize) -> &'static [BlockRefusal] {
    use BlockRefusal as R;
    match index {
        0 => &[R::Version],
        // A length that is not the text's, or no digits.
        1..=4 => &[R::Malformed(E::LengthDigits), R::Malformed(E::LengthMismatch { stated: 0, actual: 0 })],
        5..=6 => &[R::Usage],
        7 => &[R::Algorithm],
        8 => &[R::Mode],
        9..=10 => &[R::KeyVersion],
        11 => &[R::Exportability],
        12..=13 => &[R::OptionalBlocks],
        14 => &[R::KeyContext],
        15 => &[R::Malformed(E::Reserved)],
        // 10 0E, 11 24: identifier and length.
        16..=19 | 30..=33 => &[R::OptionalBlocks],
        // Another text, or one that is not printable and so no optional block's.
        20..=29 => &[R::Place, R::OptionalBlocks],
        34..=65 => &[R::Context, R::OptionalBlocks],
        // PB 06 00: identifier and length; its text is covered by the MAC.
        66..=69 => &[R::OptionalBlocks],
        70..=71 => &[R::OptionalBlocks, R::Mac],
        72..=135 => &[R::Mac, R::Malformed(E::CiphertextHex)],
        _ => &[R::Mac, R::Malformed(E::MacHex)],
    }
}

/// Same variant; what a length error says in numbers is keyblock's business.
fn same_reason(found: BlockRefusal, wanted: BlockRefusal) -> bool {
    matches!(
        (found, wanted),
        (
            BlockRefusal::Malformed(E::LengthMismatch { .. }),
            BlockRefusal::Malformed(E::LengthMismatch { .. })
        )
    ) || found == wanted
}

#[test]
fn one_character_changed_anywhere_is_refused_by_name() {
    let a = flow("flow_a");
    let tek = Tek::from_key(tdes(&a, "tek")).unwrap();
    let (block, context) = (text(&a, "tmk_key_block_under_tek"), array(&a, "context"));
    assert!(unwrap_tmk(&tek, block, PLACE, &context).is_ok());
    for index in 0..block.len() {
        for character in ["0", "1", "9", "A", "F", "K", "Z", "a", "f", " ", "/", "~", "\n", "\0"] {
            if block[index..=index] == *character {
                continue;
            }
            let changed = format!("{}{character}{}", &block[..index], &block[index + 1..]);
            let refused =
                unwrap_tmk(&tek, &changed, PLACE, &context).expect_err("changed blocks are refused");
            let named = expected(index).iter().any(|wanted| same_reason(refused, *wanted));
            assert!(named, "character {index} to {character:?}: {refused:?}");
        }
        let not_ascii = format!("{}\u{e9}{}", &block[..index], &block[index + 1..]);
        assert!(unwrap_tmk(&tek, &not_ascii, PLACE, &context).is_err(), "character {index}");
    }
}

#[test]
fn one_character_of_the_receivers_place_or_bit_of_its_context_changed() {
    let a = flow("flow_a");
    let tek = Tek::from_key(tdes(&a, "tek")).unwrap();
    let (block, context) = (text(&a, "tmk_key_block_under_tek"), array(&a, "context"));
    for index in 0..PLACE.len() {
        let mut place = PLACE.as_bytes().to_vec();
        place[index] ^= 1;
        let refused = unwrap_tmk(&tek, block, &String::from_utf8(place).unwrap(), &context).err();
        assert_eq!(refused, Some(BlockRefusal::Place), "character {index}");
    }
    for bit in 0..128 {
        let mut other: [u8; 16] = context;
        other[bit / 8] ^= 1 << (bit % 8);
        let refused = unwrap_tmk(&tek, block, PLACE, &other).err();
        assert_eq!(refused, Some(BlockRefusal::Context), "bit {bit}");
    }
}

#[test]
fn another_protection_key_or_a_cut_block_does_not_open() {
    let (tek, tmk) = (Tek::generate().unwrap(), Tmk::generate().unwrap());
    let block = blocks::wrap_tmk(&tek, &tmk, PLACE, &CONTEXT).unwrap();
    let other = Tek::generate().unwrap();
    assert_eq!(unwrap_tmk(&other, &block, PLACE, &CONTEXT).err(), Some(BlockRefusal::Mac));
    for len in 0..block.len() {
        assert!(unwrap_tmk(&tek, &block[..len], PLACE, &CONTEXT).is_err(), "{len} characters");
    }
    for after in ["0", "\n", " ", "00000000"] {
        let refused = unwrap_tmk(&tek, &format!("{block}{after}"), PLACE, &CONTEXT).err();
        assert!(matches!(refused, Some(BlockRefusal::Malformed(E::LengthMismatch { .. }))), "{refused:?}");
    }
}

/// `PB` only where the standard needs it and only as long as it needs it.
#[test]
fn padding_that_is_not_needed_is_refused() {
    let (tek, tmk) = (Tek::generate().unwrap(), Tmk::generate().unwrap());
    let block = blocks::wrap_tmk(&tek, &tmk, PLACE, &CONTEXT).unwrap();
    let longer = block.replacen("PB0600", "PB0E0000000000", 1).replacen("B0152", "B0160", 1);
    assert_eq!(unwrap_tmk(&tek, &longer, PLACE, &CONTEXT).err(), Some(BlockRefusal::OptionalBlocks));

    let even = "SN-10/03"; // 56 + 8 characters: no padding needed
    let block = blocks::wrap_tmk(&tek, &tmk, even, &CONTEXT).unwrap();
    assert_eq!(&block[12..14], "02");
    let padded = format!("B0152{}03{}PB080000{}", &block[5..12], &block[14..64], &block[64..]);
    assert_eq!(unwrap_tmk(&tek, &padded, even, &CONTEXT).err(), Some(BlockRefusal::OptionalBlocks));
}

/// An extended length says the same in more characters; exactly one form is taken.
#[test]
fn an_optional_block_in_extended_form_is_refused() {
    let (tek, tmk) = (Tek::generate().unwrap(), Tmk::generate().unwrap());
    let block = blocks::wrap_tmk(&tek, &tmk, PLACE, &CONTEXT).unwrap();
    let extended = block.replacen("100E", "1000020014", 1).replacen("B0152", "B0158", 1);
    let refused = unwrap_tmk(&tek, &extended, PLACE, &CONTEXT).err();
    assert_eq!(refused, Some(BlockRefusal::OptionalBlocks));
}

proptest! {
    /// Nothing from outside panics, and nothing but the block itself opens.
    #[test]
    fn any_text_is_refused(text in "\\PC{0,200}") {
        let tek = Tek::from_key(TdesKey::from_bytes(&unhex("3D4E36AFAEF475537445E34C3EB22D266235F13E9F980294")).unwrap()).unwrap();
        prop_assert!(unwrap_tmk(&tek, &text, PLACE, &CONTEXT).is_err());
    }

    #[test]
    fn any_piece_put_in_is_refused(at in 0_usize..152, cut in 0_usize..20, piece in "[0-9A-FPBK]{0,24}") {
        let a = flow("flow_a");
        let tek = Tek::from_key(tdes(&a, "tek")).unwrap();
        let block = text(&a, "tmk_key_block_under_tek");
        let changed = format!("{}{piece}{}", &block[..at], &block[(at + cut).min(block.len())..]);
        prop_assume!(changed != block);
        prop_assert!(unwrap_tmk(&tek, &changed, PLACE, &array(&a, "context")).is_err());
    }
}
