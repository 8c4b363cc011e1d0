//! Key blocks, of every flow, in front of the product's terminal: cut apart, bound to something else.

use keyblock::{Algorithm, Exportability, Header, KeyVersion, Mode, Usage, Version};

use super::{
    block::Block,
    peer::{SN, held},
    victim::{CARRIERS, Carrier, Victim},
};
use crate::support::line::End;

const MALFORMED: End = End::Code(0x0002);
const KEY_REFUSED: End = End::Code(0x0007);

/// Whether a terminal refuses a block in this place so: in flow B one that says to be a DIK2 needs a factor, and no other
/// has one.
fn is_refused(carrier: Carrier, what: &str, end: Result<(), End>) -> bool {
    let by_kld = matches!(carrier, Carrier::BTmk | Carrier::BDmk | Carrier::BDik2);
    end == Err(KEY_REFUSED) || (by_kld && what == "usage" && end == Err(MALFORMED))
}

/// Every carrier gets every forgery, refuses it alike, and then takes the right block: nothing was refused for another
/// reason.
pub(crate) fn each_is_refused(forgeries: impl Fn(Carrier, &Block) -> Vec<(String, String)>) {
    let mut victim = Victim::new();
    for carrier in CARRIERS {
        let count = std::cell::Cell::new(usize::MAX);
        let mut number = 0;
        while number < count.get() {
            let what = std::cell::RefCell::new(String::new());
            let before = held(&victim.terminal);
            let end = victim.deliver(carrier, &|block| {
                let mut all = forgeries(carrier, block);
                count.set(all.len());
                let (named, text) = all.swap_remove(number);
                *what.borrow_mut() = named;
                text
            });
            let what = what.borrow();
            assert!(is_refused(carrier, &what, end), "{carrier:?}: {what}: {end:?}");
            assert_eq!(held(&victim.terminal), before);
            number += 1;
        }
        assert!(number > 0 && number < usize::MAX);
        assert_eq!(victim.deliver(carrier, &Block::wrap), Ok(()), "{carrier:?}: the right block");
    }
}

fn changed(block: &Block, change: impl FnOnce(&mut Header)) -> String {
    let mut block = block.clone();
    change(&mut block.header);
    block.wrap()
}

fn with_optional(block: &Block, id: &str, text: &str) -> String {
    changed(block, |header| {
        let mut bare = Header { optional: Vec::new(), ..header.clone() };
        for old in &header.optional {
            let kept = if old.id() == id { text } else { old.text() };
            bare = bare.with_optional(old.id(), kept).unwrap();
        }
        *header = bare;
    })
}

/// The load counter of a TMK, at the one that is stored, below it, and further above than is taken.
fn other_counters(block: &Block) -> Vec<(&'static str, String)> {
    let Some(text) = block.header.optional("12") else { return Vec::new() };
    let stored = u64::from_str_radix(text, 16).unwrap() - 1;
    let with = |text: &str| with_optional(block, "12", text);
    vec![
        ("the stored counter", with(&format!("{stored:016X}"))),
        ("counter 0", with(&format!("{:016X}", 0))),
        ("counter too high", with(&format!("{:016X}", stored + 65_537))),
        ("the highest counter", with(&"F".repeat(16))),
        ("a short counter", with(&text[1..])),
        ("a long counter", with(&format!("0{text}"))),
        ("no number", with(&format!("G{}", &text[1..]))),
        ("no counter", changed(block, |header| drop(header.optional.pop()))),
    ]
}

/// Attack 4: whoever holds the right keys, but has one thing of the block for something else.
#[test]
fn misplace() {
    each_is_refused(|carrier, block| {
        let index = &block.header.optional("10").unwrap()[SN.len() + 1..];
        let context = block.header.optional("11").unwrap();
        let mut other_context = context.to_owned();
        other_context.replace_range(31.., if context.ends_with('0') { "1" } else { "0" });
        let without = |id: &str| {
            changed(block, |header| {
                let at = header.optional.iter().position(|old| old.id() == id).unwrap();
                header.optional.remove(at);
            })
        };
        let mut all = vec![
            ("serial", with_optional(block, "10", &format!("SN-1002/{index}"))),
            ("longer serial", with_optional(block, "10", &format!("{SN}0/{index}"))),
            ("context", with_optional(block, "11", &other_context)),
            ("shorter context", with_optional(block, "11", &context[..30])),
            ("no context", without("11")),
            ("no place", without("10")),
            ("order", changed(block, |header| header.optional.swap(0, 1))),
            ("algorithm", changed(block, |header| header.algorithm = Algorithm::TDES)),
            ("key version", changed(block, |header| header.key_version = KeyVersion::parse("01").unwrap())),
            ("version B", changed(block, |header| header.version = Version::B)),
            ("version A", changed(block, |header| header.version = Version::A)),
        ];
        all.extend(other_counters(block));
        // In B and C it is the block that says which slot.
        if !matches!(carrier, Carrier::BTmk | Carrier::CTmk) {
            all.push(("slot", with_optional(block, "10", &format!("{SN}/42"))));
        }
        if block.header.optional("12").is_none() {
            all.push(("a counter where none is", {
                let header = block.header.clone().with_optional("12", "0000000000000001").unwrap();
                Block { header, ..block.clone() }.wrap()
            }));
        }
        all.push(("one more block", {
            let header = block.header.clone().with_optional("13", "00").unwrap();
            Block { header, ..block.clone() }.wrap()
        }));
        for usage in ["K1", "P0", "M6", "M3", "D0", "10", "11", "12", "K0", "B0", "B3"] {
            let usage = Usage::parse(usage).unwrap();
            if usage != block.header.usage {
                all.push(("usage", changed(block, |header| header.usage = usage)));
            }
        }
        for mode in ["B", "E", "D", "N", "C", "X", "G", "V"] {
            let mode = Mode::parse(mode).unwrap();
            if mode != block.header.mode {
                all.push(("mode", changed(block, |header| header.mode = mode)));
            }
        }
        for letter in ["E", "S"] {
            let exportability = Exportability::parse(letter).unwrap();
            all.push(("exportability", changed(block, |header| header.exportability = exportability)));
        }
        for length in [8, 16, 24, 32] {
            if length != block.key.len() {
                let key = block.key.iter().copied().cycle().take(length).collect();
                all.push(("length of the key", Block { key, ..block.clone() }.wrap()));
            }
        }
        all.into_iter().map(|(what, text)| (what.to_owned(), text)).collect()
    });
}

/// Attack 2: blocks of the ciphertext swapped, repeated and cut; and the tag.
#[test]
fn splice() {
    each_is_refused(|_, block| {
        let text = block.wrap();
        let other = Block { key: block.key.iter().map(|byte| byte ^ 0x42).collect(), ..block.clone() }.wrap();
        let (_, length) = Header::parse(&text).unwrap();
        let parts = |text: &str| -> Vec<String> {
            let hex = &text.as_bytes()[length..];
            hex.chunks(32).map(|part| String::from_utf8(part.to_vec()).unwrap()).collect()
        };
        let joined = |parts: &[String]| {
            let rest = parts.concat();
            format!("D{:04}{}{rest}", length + rest.len(), &text[5..length])
        };
        let (own, foreign) = (parts(&text), parts(&other));
        let mut all = Vec::new();
        for first in 0..own.len() {
            for second in first + 1..own.len() {
                let mut swapped = own.clone();
                swapped.swap(first, second);
                all.push((format!("{first} and {second} swapped"), joined(&swapped)));
            }
            let mut repeated = own.clone();
            repeated.insert(first, own[first].clone());
            all.push((format!("{first} repeated"), joined(&repeated)));
            let mut cut = own.clone();
            cut.remove(first);
            all.push((format!("{first} cut"), joined(&cut)));
            let mut spliced = own.clone();
            spliced[first].clone_from(&foreign[first]);
            all.push((format!("{first} of another key"), joined(&spliced)));
        }
        all
    });
}
