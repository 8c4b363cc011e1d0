//! The local master key (LMK): AES-256, in generations, and the key blocks under it.
//!
//! A block under the LMK is X9.143 version D, exportability `E` (towards the LMK's next generation only, by
//! [`Lmk::rewrap`]), with these optional blocks of the project:
//!
//! | block | holds |
//! |---|---|
//! | `10` | place, `serial/slot`; absent from keys that belong to no PIN pad |
//! | `20` | owner: the acquirer |
//! | `21` | purpose |
//! | `22` | generation of the LMK |
//! | `23` | SHA-256 of the TK that a TEK or an AUK is a part of |
//! | `24` | name: of a DIK1, of a key agreed by components, of a zone, of an operator |
//! | `25` | of a component: which, of how many, of which key; in a text of its own |

use hsm::{KeyBlock, Refusal};
use keyblock::{Exportability, Header, Kbpk, KeyVersion, Version};
use paycrypto::{
    AesKey,
    hygiene::{PoorKey, refuse_repeated},
};
use zeroize::Zeroizing;

use crate::{
    HsmSoftError,
    purpose::{PURPOSE, Purpose},
};

pub(crate) const PLACE: &str = "10";
pub(crate) const OWNER: &str = "20";
pub(crate) const GENERATION: &str = "22";
pub(crate) const TK_HASH: &str = "23";
pub(crate) const NAME: &str = "24";
pub(crate) const COMPONENT: &str = "25";

/// Bytes of an LMK.
pub(crate) const LMK_LEN: usize = 32;

/// What a block is bound to besides its purpose.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Binding<'a> {
    /// `serial/slot`, where the key belongs to a PIN pad.
    pub(crate) place: Option<&'a str>,
    pub(crate) owner: &'a str,
    /// SHA-256 of the TK, upper-case hex.
    pub(crate) tk_hash: Option<&'a str>,
}

/// A key that opened, with what the caller has not named beforehand.
pub(crate) struct Opened {
    pub(crate) key: Zeroizing<Vec<u8>>,
    pub(crate) tk_hash: Option<String>,
    header: Header,
}

impl Opened {
    /// One of the block's own texts, authentic.
    pub(crate) fn note(&self, id: &str) -> Option<&str> {
        self.header.optional(id)
    }
}

/// All generations of the LMK, ready for use; the last is the present one.
pub(crate) struct Lmk {
    generations: Vec<Kbpk>,
    check: String,
}

impl Lmk {
    pub(crate) fn new(keys: &[Zeroizing<[u8; LMK_LEN]>]) -> Result<Self, HsmSoftError> {
        let bad = |_| HsmSoftError::Internal("LMK length");
        let generations = keys
            .iter()
            .map(|key| Kbpk::new(Version::D, &**key))
            .collect::<Result<Vec<_>, _>>()
            .map_err(bad)?;
        let present = keys.last().ok_or(HsmSoftError::Internal("no LMK"))?;
        let check = AesKey::from_bytes(&**present).map_err(|_| HsmSoftError::Internal("LMK length"))?.kcv();
        Ok(Self { generations, check: crate::hex(&check) })
    }

    /// The present generation, from 1.
    pub(crate) fn generation(&self) -> usize {
        self.generations.len()
    }

    /// The present generation's check value, 10 hex digits.
    pub(crate) fn check(&self) -> &str {
        &self.check
    }

    /// Puts a key under the present generation.
    pub(crate) fn wrap(&self, purpose: Purpose, bound: Binding<'_>, key: &[u8]) -> Result<KeyBlock, Refusal> {
        self.wrap_noted(purpose, bound, KeyVersion::UNUSED, &[], key)
    }

    /// As [`Lmk::wrap`], with a key version and texts of the block's own ([`NAME`], [`COMPONENT`]).
    pub(crate) fn wrap_noted(
        &self,
        purpose: Purpose,
        bound: Binding<'_>,
        key_version: KeyVersion,
        notes: &[(&str, &str)],
        key: &[u8],
    ) -> Result<KeyBlock, Refusal> {
        let rule = purpose.rule();
        let mut bare =
            Header::new(Version::D, rule.usage, rule.algorithm, rule.mode, Exportability::EXPORTABLE);
        bare.key_version = key_version;
        let generation = self.generation().to_string();
        let texts = [
            (PLACE, bound.place),
            (OWNER, Some(bound.owner)),
            (PURPOSE, Some(rule.text)),
            (GENERATION, Some(&generation)),
            (TK_HASH, bound.tk_hash),
        ];
        let header = texts
            .into_iter()
            .filter_map(|(id, text)| Some((id, text?)))
            .chain(notes.iter().copied())
            .try_fold(bare, |header, (id, text)| header.with_optional(id, text))
            .map_err(not_made)?;
        self.seal(&header, key)
    }

    /// Opens a block that must have this purpose and these bindings. A `bound.tk_hash` of `None` asks for none.
    pub(crate) fn open(
        &self,
        what: &'static str,
        block: &KeyBlock,
        purpose: Purpose,
        bound: Binding<'_>,
    ) -> Result<Opened, Refusal> {
        self.open_one_of(what, block, &[purpose], bound).map(|(_, opened)| opened)
    }

    /// As [`Lmk::open`], for a key that may be of any of some purposes; gives which it is.
    pub(crate) fn open_one_of(
        &self,
        what: &'static str,
        block: &KeyBlock,
        purposes: &[Purpose],
        bound: Binding<'_>,
    ) -> Result<(Purpose, Opened), Refusal> {
        let (header, key, _) = self.unseal(what, block)?;
        let Some(purpose) = purposes.iter().find(|purpose| purpose.is_of(&header)) else {
            let found = header.optional(PURPOSE).unwrap_or("no key of this HSM").to_owned();
            return Err(Refusal::WrongUse { what: what.into(), found });
        };
        let found = header.optional(PLACE);
        if found != bound.place {
            let shown = |place: Option<&str>| place.unwrap_or("none").to_owned();
            return Err(Refusal::WrongPlace {
                what: what.into(),
                wanted: shown(bound.place),
                found: shown(found),
            });
        }
        let found = header.optional(OWNER).unwrap_or_default();
        if found != bound.owner {
            return Err(Refusal::WrongOwner {
                what: what.into(),
                wanted: bound.owner.into(),
                found: found.into(),
            });
        }
        if purpose.is_aes_key() {
            let poor = |e: PoorKey| Refusal::WrongUse { what: what.into(), found: e.to_string() };
            refuse_repeated(&key).map_err(poor)?;
        }
        let tk_hash = header.optional(TK_HASH).map(str::to_owned);
        Ok((*purpose, Opened { key, tk_hash, header }))
    }

    /// Moves a block of any earlier generation to the present one; all else in it stays.
    pub(crate) fn rewrap(&self, block: &KeyBlock) -> Result<KeyBlock, Refusal> {
        let (mut header, key, generation) = self.unseal("the block", block)?;
        if generation == self.generation() {
            return Ok(block.clone());
        }
        let present = self.generation().to_string();
        let moved = std::mem::take(&mut header.optional).into_iter().map(|optional| {
            let text = if optional.id() == GENERATION { &present } else { optional.text() };
            (optional.id().to_owned(), text.to_owned())
        });
        let header = moved
            .into_iter()
            .try_fold(header, |h, (id, text)| h.with_optional(&id, text))
            .map_err(not_made)?;
        self.seal(&header, &key)
    }

    fn seal(&self, header: &Header, key: &[u8]) -> Result<KeyBlock, Refusal> {
        let present =
            self.generations.last().ok_or_else(|| Refusal::OutOfService { why: "no LMK".into() })?;
        present.wrap(header, key).map(KeyBlock::from_text).map_err(not_made)
    }

    fn unseal(&self, what: &str, block: &KeyBlock) -> Result<(Header, Zeroizing<Vec<u8>>, usize), Refusal> {
        let unknown = || Refusal::UnknownKey { what: what.into() };
        // The generation is believed for choosing the key only; the MAC covers it.
        let (header, _) = Header::parse(block.as_str()).map_err(|_| unknown())?;
        let generation: usize =
            header.optional(GENERATION).and_then(|text| text.parse().ok()).ok_or_else(unknown)?;
        let kbpk = generation.checked_sub(1).and_then(|at| self.generations.get(at)).ok_or_else(unknown)?;
        let opened = kbpk.unwrap(block.as_str()).map_err(|_| unknown())?;
        if opened.header.exportability != Exportability::EXPORTABLE {
            return Err(unknown());
        }
        Ok((opened.header, opened.key, generation))
    }
}

fn not_made(error: keyblock::Error) -> Refusal {
    Refusal::NotMade { why: error.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lmk(generations: u8) -> Lmk {
        let keys: Vec<_> = (1..=generations).map(|n| Zeroizing::new([n; LMK_LEN])).collect();
        Lmk::new(&keys).unwrap()
    }

    /// Twenty-four bytes of which no part is another.
    const KEY: [u8; 24] =
        [7, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23];

    const HERE: Binding<'_> = Binding { place: Some("SN-1/00"), owner: "ACQ", tk_hash: None };

    #[test]
    fn a_key_opens_for_its_own_purpose_only() {
        let lmk = lmk(1);
        for made in Purpose::ALL {
            let block = lmk.wrap(made, HERE, &KEY).unwrap();
            for asked in Purpose::ALL {
                let opened = lmk.open("key", &block, asked, HERE);
                match opened {
                    Ok(opened) if made == asked => assert_eq!(&*opened.key, &KEY),
                    Err(Refusal::WrongUse { .. }) if made != asked => {}
                    _ => panic!("{made:?} as {asked:?}"),
                }
            }
        }
    }

    #[test]
    fn another_place_or_owner_is_refused() {
        let lmk = lmk(1);
        let block = lmk.wrap(Purpose::Tmk, HERE, &[7; 24]).unwrap();
        for place in [Some("SN-1/01"), Some("SN-2/00"), None] {
            let refused = lmk.open("TMK", &block, Purpose::Tmk, Binding { place, ..HERE });
            assert!(matches!(refused, Err(Refusal::WrongPlace { .. })));
        }
        let refused = lmk.open("TMK", &block, Purpose::Tmk, Binding { owner: "OTHER", ..HERE });
        assert!(matches!(refused, Err(Refusal::WrongOwner { .. })));
    }

    #[test]
    fn another_lmk_or_one_changed_character_is_refused() {
        let block = lmk(1).wrap(Purpose::Tmk, HERE, &[7; 24]).unwrap();
        let other = Lmk::new(&[Zeroizing::new([9; LMK_LEN])]).unwrap();
        assert!(matches!(other.open("TMK", &block, Purpose::Tmk, HERE), Err(Refusal::UnknownKey { .. })));
        for at in 0..block.as_str().len() {
            let mut text = block.as_str().to_owned().into_bytes();
            text[at] = if text[at] == b'0' { b'1' } else { b'0' };
            let changed = KeyBlock::from_text(String::from_utf8(text).unwrap());
            assert!(lmk(1).open("TMK", &changed, Purpose::Tmk, HERE).is_err(), "character {at}");
        }
    }

    #[test]
    fn a_new_generation_opens_old_blocks_and_moves_them() {
        let old = lmk(1).wrap(Purpose::Tmk, HERE, &[7; 24]).unwrap();
        let lmk = lmk(2);
        assert_eq!(&*lmk.open("TMK", &old, Purpose::Tmk, HERE).unwrap().key, &[7; 24]);
        let moved = lmk.rewrap(&old).unwrap();
        assert_ne!(moved, old);
        assert_eq!(&*lmk.open("TMK", &moved, Purpose::Tmk, HERE).unwrap().key, &[7; 24]);
        assert_eq!(lmk.rewrap(&moved).unwrap(), moved);
        assert!(super::tests::lmk(1).open("TMK", &moved, Purpose::Tmk, HERE).is_err(), "no way back");
    }

    #[test]
    fn a_block_keeps_its_own_texts_and_key_version_when_it_is_moved() {
        let bound = Binding { place: None, owner: "ACQ", tk_hash: None };
        let version = KeyVersion::parse("c2").unwrap();
        let notes = [(NAME, "KLD-7"), (COMPONENT, "2/3|S1|EXCHANGE -|Ada")];
        let old = lmk(1).wrap_noted(Purpose::Component, bound, version, &notes, &[7; 24]).unwrap();
        let lmk = lmk(2);
        let moved = lmk.open("c", &lmk.rewrap(&old).unwrap(), Purpose::Component, bound).unwrap();
        assert_eq!(moved.note(NAME), Some("KLD-7"));
        assert_eq!(moved.note(COMPONENT), Some("2/3|S1|EXCHANGE -|Ada"));
        assert_eq!(moved.header.key_version, version);
    }
}
