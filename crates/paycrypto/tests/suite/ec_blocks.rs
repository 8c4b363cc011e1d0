//! Key blocks of suite 02: the table, and everything that a strict receiver refuses.

use keyblock::{Algorithm, Exportability, Header, Mode, Usage, Version};
use paycrypto::blocks::{BlockRefusal, WrapError};
use paycrypto::ec::blocks::{self, BlockKey, LoadCounter, Protects};
use paycrypto::ec::keys::{Dik2, Dmk, Mak, Pik, Tdk, Tmk};
use paycrypto::ec::{AgreementKey, Kbpk, Nonces, PublicPoint, Schedule, StaticSecret};
use paycrypto::hygiene::PoorKey;

const PLACE: &str = "SN-1001/03";
const CONTEXT: [u8; 16] = [0x5A; 16];

fn kbpk(th: u8) -> Kbpk {
    let mut scalar = [0; 32];
    scalar[31] = 7;
    let key = AgreementKey::from_scalar(&scalar).unwrap();
    let z = key.agree(&PublicPoint::from_bytes(key.public()).unwrap()).unwrap();
    let nonces = Nonces { opener: &[1; 32], answerer: &[2; 32] };
    Schedule::new(&StaticSecret::LocalLoad, &z, &nonces, &[th; 32]).kbpk()
}

fn counter(value: u64) -> LoadCounter {
    LoadCounter::new(value)
}

/// The block under `under` opens as itself, under its own key only, and starts as the table says.
fn line<K: BlockKey, U: Protects<K>>(
    under: &U,
    other: &U,
    key: &K,
    starts: &str,
    kcv: impl Fn(&K) -> [u8; 5],
) {
    let block = blocks::wrap(under, key, PLACE, &CONTEXT).unwrap();
    let header = format!("D0{}{starts}00N0300", &block[2..5]);
    assert!(block.starts_with(&header), "{} is not {header}", &block[..16]);
    let opened: K = blocks::unwrap(under, &block, PLACE, &CONTEXT).unwrap();
    assert_eq!(kcv(&opened), kcv(key));
    let refused = |opened: Result<K, _>, why| assert_eq!(opened.err(), Some(why));
    refused(blocks::unwrap(other, &block, PLACE, &CONTEXT), BlockRefusal::Mac);
    refused(blocks::unwrap(under, &block, "SN-1001/04", &CONTEXT), BlockRefusal::Place);
    refused(blocks::unwrap(under, &block, "SN-1002/03", &CONTEXT), BlockRefusal::Place);
    refused(blocks::unwrap(under, &block, PLACE, &[0x5B; 16]), BlockRefusal::Context);
}

#[test]
fn every_line_of_the_table() {
    let (one, two) = (kbpk(1), kbpk(2));
    let (tmk, other) = (Tmk::generate().unwrap(), Tmk::generate().unwrap());
    line(&one, &two, &Pik::generate().unwrap(), "P0AE", Pik::kcv);
    line(&one, &two, &Mak::generate().unwrap(), "M6AC", Mak::kcv);
    line(&one, &two, &Tdk::generate().unwrap(), "D0AE", Tdk::kcv);
    line(&one, &two, &Dmk::generate().unwrap(), "11AN", Dmk::kcv);
    line(&one, &two, &Dik2::generate().unwrap(), "12AN", Dik2::kcv);
    line(&tmk, &other, &Pik::generate().unwrap(), "P0AE", Pik::kcv);
    line(&tmk, &other, &Mak::generate().unwrap(), "M6AC", Mak::kcv);
    line(&tmk, &other, &Tdk::generate().unwrap(), "D0AE", Tdk::kcv);
}

#[test]
fn a_key_is_not_taken_for_another() {
    let kbpk = kbpk(1);
    let block = blocks::wrap(&kbpk, &Pik::generate().unwrap(), PLACE, &CONTEXT).unwrap();
    let as_mak: Result<Mak, _> = blocks::unwrap(&kbpk, &block, PLACE, &CONTEXT);
    assert_eq!(as_mak.err(), Some(BlockRefusal::Usage));
    let as_tmk = blocks::unwrap_tmk(&kbpk, &block, PLACE, &CONTEXT, LoadCounter::NONE);
    assert_eq!(as_tmk.err(), Some(BlockRefusal::Usage));
    let dmk = blocks::wrap(&kbpk, &Dmk::generate().unwrap(), PLACE, &CONTEXT).unwrap();
    let as_dik2: Result<Dik2, _> = blocks::unwrap(&kbpk, &dmk, PLACE, &CONTEXT);
    assert_eq!(as_dik2.err(), Some(BlockRefusal::Usage));
}

#[test]
fn a_tmk_is_taken_with_a_higher_counter_at_most_65_536_above() {
    let (kbpk, tmk) = (kbpk(1), Tmk::generate().unwrap());
    let taken = |sent: u64, stored: u64| {
        let block = blocks::wrap_tmk(&kbpk, &tmk, PLACE, &CONTEXT, counter(sent)).unwrap();
        blocks::unwrap_tmk(&kbpk, &block, PLACE, &CONTEXT, counter(stored)).map(|(_, counter)| counter)
    };
    for (sent, stored) in
        [(1, 0), (8, 7), (65_536, 0), (u64::MAX, u64::MAX - 1), (u64::MAX, u64::MAX - 65_536)]
    {
        assert_eq!(taken(sent, stored), Ok(counter(sent)), "{sent} after {stored}");
    }
    for (sent, stored) in [(0, 0), (7, 7), (6, 7), (65_537, 0), (u64::MAX, 0), (0, u64::MAX)] {
        assert_eq!(taken(sent, stored), Err(BlockRefusal::LoadCounter), "{sent} after {stored}");
    }
    assert_eq!(LoadCounter::NONE.next(), Some(counter(1)));
    assert_eq!(counter(u64::MAX).next(), None);
}

/// A block of a TMK whose header `change` made wrong, under the right key.
fn odd(change: impl FnOnce(Header) -> Header, key: &[u8]) -> String {
    let kbpk = Tmk::from_bytes(&[9; 16]); // any key that can be spelled out
    let header = Header::new(
        Version::D,
        Usage::PIN_ENCRYPTION,
        Algorithm::AES,
        Mode::ENCRYPT,
        Exportability::NOT_EXPORTABLE,
    );
    keyblock::Kbpk::new(Version::D, kbpk.expose()).unwrap().wrap(&change(header), key).unwrap()
}

fn placed(header: Header) -> Header {
    header.with_optional("10", PLACE).unwrap().with_optional("11", "5A".repeat(16)).unwrap()
}

fn refusal(block: &str) -> Option<BlockRefusal> {
    blocks::unwrap::<Pik, _>(&Tmk::from_bytes(&[9; 16]), block, PLACE, &CONTEXT).err()
}

#[test]
fn every_header_that_is_not_the_tables_is_refused_by_name() {
    use BlockRefusal as R;
    let key = *b"no part repeated";
    assert_eq!(refusal(&odd(placed, &key)), None);
    assert_eq!(refusal(&odd(placed, &[1; 16])), Some(R::WeakKey(PoorKey::Repeated)));
    let with = |change: fn(&mut Header)| {
        odd(
            |mut header| {
                change(&mut header);
                placed(header)
            },
            &key,
        )
    };
    assert_eq!(refusal(&with(|h| h.usage = Usage::DATA_ENCRYPTION)), Some(R::Usage));
    assert_eq!(refusal(&with(|h| h.algorithm = Algorithm::TDES)), Some(R::Algorithm));
    assert_eq!(refusal(&with(|h| h.mode = Mode::BOTH)), Some(R::Mode));
    assert_eq!(refusal(&with(|h| h.exportability = Exportability::EXPORTABLE)), Some(R::Exportability));
    assert_eq!(refusal(&odd(|header| header, &key)), Some(R::OptionalBlocks));
    let only = |header: Header| header.with_optional("10", PLACE).unwrap();
    assert_eq!(refusal(&odd(only, &key)), Some(R::OptionalBlocks));
    let counted = |header| placed(header).with_optional("12", "0000000000000001").unwrap();
    assert_eq!(refusal(&odd(counted, &key)), Some(R::OptionalBlocks), "only a TMK has 12");
    let turned = |header: Header| {
        header.with_optional("11", "5A".repeat(16)).unwrap().with_optional("10", PLACE).unwrap()
    };
    assert_eq!(refusal(&odd(turned, &key)), Some(R::OptionalBlocks));
    let lower = |header: Header| {
        header.with_optional("10", PLACE).unwrap().with_optional("11", "5a".repeat(16)).unwrap()
    };
    assert_eq!(refusal(&odd(lower, &key)), Some(R::Context));
    for length in [15, 17, 24, 32] {
        assert_eq!(refusal(&odd(placed, &vec![1; length])), Some(R::Length), "{length} bytes");
    }
    let block = odd(placed, &key).replacen('D', "B", 1);
    assert_eq!(refusal(&block), Some(R::Version));
    assert!(matches!(refusal("D"), Some(R::Malformed(_))));
}

#[test]
fn a_counter_that_is_not_16_upper_case_digits_is_refused() {
    for text in ["1", "000000000000000a", "+000000000000001", "00000000000000001", "000000000000000G"] {
        let block = odd(
            |mut header| {
                (header.usage, header.mode) = (Usage::KEY_BLOCK_PROTECTION, Mode::BOTH);
                placed(header).with_optional("12", text).unwrap()
            },
            &[1; 16],
        );
        // Under whichever key: the header is looked at first.
        let refused = blocks::unwrap_tmk(&kbpk(1), &block, PLACE, &CONTEXT, LoadCounter::NONE);
        assert_eq!(refused.err(), Some(BlockRefusal::OptionalBlocks), "{text}");
    }
}

#[test]
fn a_changed_byte_anywhere_is_refused() {
    let kbpk = kbpk(1);
    let tmk = Tmk::generate().unwrap();
    let block = blocks::wrap_tmk(&kbpk, &tmk, PLACE, &CONTEXT, counter(7)).unwrap();
    for index in 0..block.len() {
        let mut changed = block.clone().into_bytes();
        changed[index] = if changed[index] == b'0' { b'1' } else { b'0' };
        let changed = String::from_utf8(changed).unwrap();
        let opened = blocks::unwrap_tmk(&kbpk, &changed, PLACE, &CONTEXT, counter(6));
        assert!(opened.is_err(), "character {index}");
    }
}

#[test]
fn no_block_is_made_for_what_is_no_place() {
    for place in ["", "SN-1001", "SN-1001/3", "SN 1/03", "/03"] {
        let made = blocks::wrap(&kbpk(1), &Pik::generate().unwrap(), place, &CONTEXT);
        assert_eq!(made.err(), Some(WrapError::Place), "{place}");
    }
}
