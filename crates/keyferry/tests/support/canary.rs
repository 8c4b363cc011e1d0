//! Every key of an estate that can be known: by who has the HSM's passphrase, and listened on the line.

use std::path::Path;

use keyblock::Kbpk;

use super::{lmk::Secrets, records, scan};

/// Longer is a private key, whose public half may be anywhere.
const LONGEST: usize = 64;

/// A key and where it came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Known {
    pub(crate) what: String,
    pub(crate) key: Vec<u8>,
}

/// What the database's blocks hold.
pub(crate) fn in_database(database: &Path, secrets: &Secrets) -> Vec<Known> {
    let mut known = Vec::new();
    for (place, text) in records::texts(database) {
        let key = secrets.open_block(&text).filter(|key| key.len() <= LONGEST);
        known.extend(key.map(|key| Known { what: format!("{} in {place}", &text[5..7]), key }));
    }
    known.dedup();
    known
}

/// What the blocks hold that were said on a line, as far as known keys open them, and those that they held.
pub(crate) fn on_the_line(said: &[Vec<u8>], known: &mut Vec<Known>) {
    let mut blocks: Vec<_> = said.iter().flat_map(|said| blocks_in(said)).collect();
    let mut at = 0;
    while let Some(under) = known.get(at).cloned() {
        at += 1;
        let Ok(under_key) = Kbpk::new(keyblock::Version::B, &under.key) else { continue };
        blocks.retain(|block| {
            let opened = under_key.unwrap(block).ok();
            if let Some(opened) = &opened {
                let what = format!("{} on the line under {}", &block[5..7], under.what);
                known.push(Known { what, key: opened.key.to_vec() });
            }
            opened.is_none()
        });
    }
}

/// Whatever looks like a block of version B.
fn blocks_in(said: &[u8]) -> Vec<String> {
    let starts = said.iter().enumerate().filter(|(_, byte)| **byte == b'B').map(|(at, _)| at);
    starts
        .filter_map(|at| {
            let length = std::str::from_utf8(said.get(at + 1..at + 5)?).ok()?.parse::<usize>().ok()?;
            let block = std::str::from_utf8(said.get(at..at + length)?).ok()?;
            (length > 16).then(|| block.to_owned())
        })
        .collect()
}

/// What to look for.
pub(crate) fn needles(known: &[Known]) -> Vec<scan::Needle> {
    let long = known.iter().filter(|known| known.key.len() >= 8);
    long.flat_map(|known| scan::key(&known.what, &known.key)).collect()
}
