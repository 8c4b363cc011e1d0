//! Who filled a place first, and so may fill it again (1-systems.md, "What must hold everywhere").

use paycrypto::digest::hmac_sha256;
use subtle::ConstantTimeEq;
use wire::Suite;
use zeroize::Zeroizing;

use super::codec::{Reader, Writer};

/// Bytes of an owner's identifier.
pub(super) const OWNER_ID: usize = 16;
/// Bytes of the key that owner identifiers are made with.
pub(super) const OWNER_KEY: usize = 32;

/// Which secret an owner is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum OwnerKind {
    /// TEK: flow A.
    Tk = 1,
    /// The acquirer's root: flow B.
    Root = 2,
    /// DIK2: flow C.
    Dik2 = 3,
    /// DMK: flow E.
    Dmk = 4,
}

impl OwnerKind {
    fn from_number(number: u8) -> Option<OwnerKind> {
        [OwnerKind::Tk, OwnerKind::Root, OwnerKind::Dik2, OwnerKind::Dmk]
            .into_iter()
            .find(|kind| *kind as u8 == number)
    }

    /// What an identifier is an HMAC over, before the suite and the secret.
    fn label(self) -> &'static [u8] {
        match self {
            OwnerKind::Tk => b"TK",
            OwnerKind::Root => b"acquirer root",
            OwnerKind::Dik2 => b"DIK2",
            OwnerKind::Dmk => b"DMK",
        }
    }
}

/// Who filled a place first: the secret that brought the key, and the suite. The identifier is an HMAC of both under a
/// key of this PIN pad's own, so it tells nothing of the secret.
#[derive(Clone, Copy)]
pub(super) struct Owner {
    pub(super) kind: OwnerKind,
    pub(super) suite: Suite,
    pub(super) id: [u8; OWNER_ID],
}

impl Owner {
    /// Whom this secret makes an owner, in this suite.
    pub(super) fn by(key: &[u8; OWNER_KEY], kind: OwnerKind, suite: Suite, secret: &[u8]) -> Owner {
        let mut input = Zeroizing::new(Vec::with_capacity(64));
        input.extend_from_slice(kind.label());
        input.push(suite.byte());
        input.extend_from_slice(secret);
        let mut id = [0; OWNER_ID];
        for (to, from) in id.iter_mut().zip(hmac_sha256(key, &input).iter()) {
            *to = *from;
        }
        Owner { kind, suite, id }
    }

    /// Whether a key that `other` brings may replace one of this owner's.
    pub(super) fn admits(&self, other: &Owner) -> bool {
        self.is(other) && other.suite >= self.suite
    }

    /// Whether it is the same secret.
    pub(super) fn is(&self, other: &Owner) -> bool {
        self.kind == other.kind && self.id.ct_eq(&other.id).into()
    }

    pub(super) fn write(&self, writer: &mut Writer) {
        writer.byte(self.kind as u8);
        writer.byte(self.suite.byte());
        writer.bytes(&self.id);
    }

    pub(super) fn read(reader: &mut Reader<'_>) -> Option<Owner> {
        let kind = OwnerKind::from_number(reader.byte()?)?;
        Some(Owner { kind, suite: Suite::new(reader.byte()?), id: reader.array()? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_owner_or_a_lower_suite_is_not_admitted() {
        let owner = Owner { kind: OwnerKind::Tk, suite: Suite::TDES, id: [1; OWNER_ID] };
        let high = Owner { suite: Suite::EC_AES, ..owner };
        assert!(owner.admits(&owner) && owner.admits(&high));
        assert!(!high.admits(&owner));
        assert!(!owner.admits(&Owner { id: [2; OWNER_ID], ..owner }));
        assert!(!owner.admits(&Owner { kind: OwnerKind::Root, ..owner }));
    }

    #[test]
    fn every_part_makes_another_owner() {
        let owner = Owner::by(&[1; OWNER_KEY], OwnerKind::Root, Suite::TDES, b"root");
        assert!(owner.is(&Owner::by(&[1; OWNER_KEY], OwnerKind::Root, Suite::TDES, b"root")));
        for other in [
            Owner::by(&[2; OWNER_KEY], OwnerKind::Root, Suite::TDES, b"root"),
            Owner::by(&[1; OWNER_KEY], OwnerKind::Dik2, Suite::TDES, b"root"),
            Owner::by(&[1; OWNER_KEY], OwnerKind::Root, Suite::EC_AES, b"root"),
            Owner::by(&[1; OWNER_KEY], OwnerKind::Root, Suite::TDES, b"toor"),
        ] {
            assert!(!owner.is(&other));
        }
    }
}
