//! Key blocks, of every flow, in front of the product's terminal: cut apart, bound to something else, changed by a byte.

use keyblock::{Algorithm, Exportability, Header, KeyVersion, Mode, Usage, Version};

use super::forge::{Block, CARRIERS, Carrier, SN, Victim};
use crate::support::line::End;

const SERVER_NOT_PROVEN: End = End::Code(0x0005);
const KEY_REFUSED: End = End::Code(0x0007);

/// Whether a terminal refuses a block in this place so: one that the server proves itself with is no key yet, and in
/// flow B a block that says to be a DIK2 needs a factor to be looked at.
fn is_refused(carrier: Carrier, end: Result<(), End>) -> bool {
    match carrier {
        Carrier::CToken | Carrier::EDwk => end == Err(SERVER_NOT_PROVEN),
        Carrier::BTmk => end == Err(KEY_REFUSED) || end == Err(SERVER_NOT_PROVEN),
        _ => end == Err(KEY_REFUSED),
    }
}

/// Every carrier gets every forgery, refuses it alike, and then takes the right block: nothing was refused for another
/// reason.
fn each_is_refused(forgeries: impl Fn(Carrier, &Block) -> Vec<(String, String)>) {
    let mut victim = Victim::new();
    for carrier in CARRIERS {
        let count = std::cell::Cell::new(usize::MAX);
        let mut number = 0;
        while number < count.get() {
            let what = std::cell::RefCell::new(String::new());
            let end = victim.deliver(carrier, &|block| {
                let mut all = forgeries(carrier, block);
                count.set(all.len());
                let (named, text) = all.swap_remove(number);
                *what.borrow_mut() = named;
                text
            });
            assert!(is_refused(carrier, end), "{carrier:?}: {}: {end:?}", what.borrow());
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

/// Attack 4: whoever holds the right keys, but has one thing of the block for something else.
#[test]
fn misplace() {
    each_is_refused(|carrier, block| {
        let index = &block.header.optional("10").unwrap()[SN.len() + 1..];
        let context = block.header.optional("11").unwrap();
        let mut other_context = context.to_owned();
        other_context.replace_range(31.., if context.ends_with('0') { "1" } else { "0" });
        let mut all = vec![
            ("serial", with_optional(block, "10", &format!("SN-1002/{index}"))),
            ("longer serial", with_optional(block, "10", &format!("{SN}0/{index}"))),
            ("context", with_optional(block, "11", &other_context)),
            ("shorter context", with_optional(block, "11", &context[..30])),
            ("no context", changed(block, |header| drop(header.optional.pop()))),
            ("no place", changed(block, |header| drop(header.optional.remove(0)))),
            ("order", changed(block, |header| header.optional.swap(0, 1))),
            ("algorithm", changed(block, |header| header.algorithm = Algorithm::AES)),
            ("key version", changed(block, |header| header.key_version = KeyVersion::parse("01").unwrap())),
            ("version A", changed(block, |header| header.version = Version::A)),
            ("version C", changed(block, |header| header.version = Version::C)),
        ];
        // In B and C it is the block that says which slot.
        if !matches!(carrier, Carrier::BTmk | Carrier::CTmk) {
            all.push(("slot", with_optional(block, "10", &format!("{SN}/42"))));
        }
        all.push(("one more block", {
            let header = block.header.clone().with_optional("12", "00").unwrap();
            Block { header, ..block.clone() }.wrap()
        }));
        for usage in ["K1", "P0", "M3", "D0", "10", "11", "12", "K0", "B0", "M1"] {
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
        all.into_iter().map(|(what, text)| (what.to_owned(), text)).collect()
    });
}

/// Attack 17: one byte of the header, to another that a header may have there, without the key.
#[test]
fn header_flip() {
    each_is_refused(|_, block| {
        let text = block.wrap();
        let (_, length) = Header::parse(&text).unwrap();
        let flipped = |at: usize| {
            let mut bytes = text.clone().into_bytes();
            bytes[at] = match bytes[at] {
                b'9' => b'8',
                b'A' => b'B',
                b'N' => b'E',
                digit @ b'0'..=b'8' => digit + 1,
                other => other ^ 1,
            };
            (format!("byte {at}"), String::from_utf8(bytes).unwrap())
        };
        (0..length).map(flipped).collect()
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
            hex.chunks(16).map(|part| String::from_utf8(part.to_vec()).unwrap()).collect()
        };
        let joined = |parts: &[String]| {
            let rest = parts.concat();
            format!("B{:04}{}{rest}", length + rest.len(), &text[5..length])
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
