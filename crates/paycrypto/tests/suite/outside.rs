//! Key blocks outside of a flow (2-wire.md sections 4 and 6): place only.

use keyblock::{Exportability, Header, KeyVersion, Version};
use paycrypto::blocks::{self, BlockKey, BlockRefusal, ProtectsOutside, WrapError};
use paycrypto::keys::{Auk, Pk, Tek, Tmk};

const PLACE: &str = "SN-1001/00";

fn line<K: BlockKey, U: ProtectsOutside<K>>(under: &U, key: &K, usage: &str, mode: &str) {
    let block = blocks::wrap_outside(under, key, PLACE).unwrap();
    let (header, _) = Header::parse(&block).unwrap();
    assert_eq!(header.version, Version::B);
    assert_eq!((header.usage.as_str(), header.algorithm.as_str(), header.mode.as_str()), (usage, "T", mode));
    assert_eq!(header.key_version, KeyVersion::UNUSED);
    assert_eq!(header.exportability, Exportability::NOT_EXPORTABLE);
    let texts: Vec<(&str, &str)> = header.optional.iter().map(|o| (o.id(), o.text())).collect();
    assert_eq!(texts, [("10", PLACE)]);
    let opened: K = blocks::unwrap_outside(under, &block, PLACE).unwrap();
    assert_eq!(opened.key().expose(), key.key().expose());
}

#[test]
fn tek_and_auk_travel_under_pk() {
    let pk = Pk::generate().unwrap();
    line(&pk, &Tek::generate().unwrap(), "K1", "B");
    line(&pk, &Auk::generate().unwrap(), "D0", "B");
}

#[test]
fn tek_is_no_auk() {
    let pk = Pk::generate().unwrap();
    let block = blocks::wrap_outside(&pk, &Tek::generate().unwrap(), PLACE).unwrap();
    let as_auk: Result<Auk, _> = blocks::unwrap_outside(&pk, &block, PLACE);
    assert_eq!(as_auk.err(), Some(BlockRefusal::Usage));
}

#[test]
fn another_place_or_key_is_refused() {
    let pk = Pk::generate().unwrap();
    let block = blocks::wrap_outside(&pk, &Tek::generate().unwrap(), PLACE).unwrap();
    let refusal = |pk: &Pk, place| blocks::unwrap_outside::<Tek, _>(pk, &block, place).err();
    assert_eq!(refusal(&pk, "SN-1002/00"), Some(BlockRefusal::Place));
    assert_eq!(refusal(&pk, "SN-1001/01"), Some(BlockRefusal::Place));
    assert_eq!(refusal(&Pk::generate().unwrap(), PLACE), Some(BlockRefusal::Mac));
    assert_eq!(refusal(&pk, PLACE), None);
    for place in ["", "SN-1001", "SN 1/00"] {
        let refused = blocks::wrap_outside(&pk, &Tek::generate().unwrap(), place).err();
        assert_eq!(refused, Some(WrapError::Place), "{place:?}");
    }
}

/// A block from inside a flow is none outside, and the reverse: neither can be carried over.
#[test]
fn context_belongs_inside_a_flow_and_only_there() {
    let key = paycrypto::TdesKey::generate24().unwrap();
    let again = || paycrypto::TdesKey::from_bytes(key.expose()).unwrap();
    let (pk, tek) = (Pk::from_key(again()).unwrap(), Tek::from_key(again()).unwrap());
    let inside = blocks::wrap_tmk(&tek, &Tmk::generate().unwrap(), PLACE, &[1; 16]).unwrap();
    // TMK and TEK have one usage, algorithm and mode.
    let carried_out: Result<Tek, _> = blocks::unwrap_outside(&pk, &inside, PLACE);
    assert_eq!(carried_out.err(), Some(BlockRefusal::OptionalBlocks));
    let outside = blocks::wrap_outside(&pk, &Tek::generate().unwrap(), PLACE).unwrap();
    let carried_in = blocks::unwrap_tmk(&tek, &outside, PLACE, &[1; 16]);
    assert_eq!(carried_in.err(), Some(BlockRefusal::OptionalBlocks));
}

#[test]
fn every_length_of_place_travels_and_has_only_the_padding_that_it_needs() {
    let (pk, tek) = (Pk::generate().unwrap(), Tek::generate().unwrap());
    for len in 1..=32 {
        let place = format!("{}/00", "S".repeat(len));
        let block = blocks::wrap_outside(&pk, &tek, &place).unwrap();
        assert_eq!(block.contains("PB"), !(23 + len).is_multiple_of(8), "{len}");
        let opened: Tek = blocks::unwrap_outside(&pk, &block, &place).unwrap();
        assert_eq!(opened.expose(), tek.expose());
    }
}
