//! What every loading of keys ends with: key blocks, KEY_CONFIRM and DONE (2-wire.md section 3, types 05 and 06).

use alloc::{borrow::ToOwned, string::String, vec::Vec};
use core::marker::PhantomData;

use subtle::ConstantTimeEq;
use wire::{Fields, Frame, Kcv, Malformed, MessageType, Tag};

use crate::{
    Fault, HasCode, ProtocolError,
    fault::{expect, write},
};

/// Bytes of the shortest and longest RSA modulus, and of what is as long as it: 2 048 to 4 096 bits (2-wire.md
/// section 4).
pub(crate) const MODULUS: core::ops::RangeInclusive<usize> = 256..=512;

/// The text of the key block in this field. ASCII and not empty; whether it opens is for the PIN pad.
pub(crate) fn key_block(fields: &Fields, tag: Tag) -> Result<String, Malformed> {
    let block = fields.required(tag)?;
    if block.is_empty() {
        return Err(Malformed::FieldLength { tag, found: 0 });
    }
    match core::str::from_utf8(block) {
        Ok(block) if block.is_ascii() => Ok(block.to_owned()),
        _ => Err(Malformed::FieldValue { tag }),
    }
}

/// A field as long as an RSA modulus.
pub(crate) fn as_long_as_a_modulus(fields: &Fields, tag: Tag) -> Result<Vec<u8>, Malformed> {
    let value = fields.required(tag)?;
    if MODULUS.contains(&value.len()) {
        Ok(value.to_owned())
    } else {
        Err(Malformed::FieldLength { tag, found: value.len() })
    }
}

/// KEY_CONFIRM: the one loaded → the loader. The check value of each key, in the order received.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyConfirm {
    /// One or more, each in an FF21 that holds exactly DF0B.
    pub kcvs: Vec<Kcv>,
}

impl KeyConfirm {
    /// Reads a KEY_CONFIRM.
    ///
    /// # Errors
    /// When the frame is another message or malformed, and when there is no FF21 or one that holds anything beside a
    /// check value of 3 bytes.
    pub fn read(frame: &Frame) -> Result<KeyConfirm, ProtocolError> {
        let fields = expect(frame, MessageType::KeyConfirm)?;
        let tag = Tag::KEY_ENTRY;
        let read = |entry: &Fields| match (entry.tdes_kcv()?, entry.len()) {
            (kcv, 1) => Ok(kcv),
            _ => Err(Malformed::Template { tag }),
        };
        let kcvs: Vec<Kcv> = fields.templates(tag).map(read).collect::<Result<_, _>>()?;
        if kcvs.is_empty() {
            return Err(Malformed::MissingField { tag }.into());
        }
        Ok(KeyConfirm { kcvs })
    }

    /// Writes it.
    ///
    /// # Errors
    /// [`ProtocolError::Unwritable`] for more keys than a frame can confirm, which is more than it can bring.
    pub fn write(&self) -> Result<Frame, ProtocolError> {
        write(MessageType::KeyConfirm, |fields| {
            self.kcvs.iter().try_for_each(|kcv| {
                let mut entry = Fields::new();
                entry.push(Tag::KCV, kcv.as_bytes())?;
                fields.push_template(Tag::KEY_ENTRY, entry)
            })
        })
    }

    /// Reads the KEY_CONFIRM of so many keys.
    pub(crate) fn read_for(frame: &Frame, keys: usize) -> Result<KeyConfirm, ProtocolError> {
        let confirm = KeyConfirm::read(frame)?;
        if confirm.kcvs.len() == keys {
            Ok(confirm)
        } else {
            Err(Malformed::Template { tag: Tag::KEY_ENTRY }.into())
        }
    }

    /// Whether these are the check values of the keys that were sent, each in its place. All are compared, in constant
    /// time.
    pub(crate) fn is_of(&self, sent: &[Kcv]) -> bool {
        let same = self.kcvs.iter().zip(sent).fold(subtle::Choice::from(1), |same, (told, sent)| {
            same & told.as_bytes().ct_eq(sent.as_bytes())
        });
        self.kcvs.len() == sent.len() && bool::from(same)
    }
}

/// A reason of a flow that loads keys.
pub trait LoadingReason: HasCode + From<ProtocolError> {
    /// KEY_CONFIRM has another check value than the key that was sent: 0007.
    fn wrong_check_value() -> Self;
}

/// The loader's message with one key has left; KEY_CONFIRM is to come. When it does not, the key stays what it was: pending
/// at a server, which sends it again next time; with a KLD nobody knows whether it was loaded, and the report says so.
#[derive(Debug)]
pub struct ExpectConfirm<R> {
    kcv: Kcv,
    flow: PhantomData<fn() -> R>,
}

impl<R: LoadingReason> ExpectConfirm<R> {
    pub(crate) fn of(kcv: Kcv) -> Self {
        Self { kcv, flow: PhantomData }
    }

    /// Takes KEY_CONFIRM.
    ///
    /// # Errors
    /// 0002, also when it confirms more than one key; 0003; the peer's ERROR. A wrong check value is no error here but
    /// [`Confirm::WrongCheckValue`], so that it cannot be overlooked.
    pub fn on_frame(self, frame: &Frame) -> Result<Confirm<R>, Fault<R>> {
        let confirm = KeyConfirm::read_for(frame, 1)?;
        if confirm.is_of(&[self.kcv]) {
            Ok(Confirm::Opened(Confirmed { kcv: self.kcv, flow: PhantomData }))
        } else {
            Ok(Confirm::WrongCheckValue(R::wrong_check_value().into()))
        }
    }
}

/// What KEY_CONFIRM showed.
#[derive(Debug)]
#[must_use]
pub enum Confirm<R: HasCode> {
    /// The block was opened: the key may become active.
    Opened(Confirmed<R>),
    /// It told another check value: the key stays what it was, the audit or the report gets an alarm, the peer this fault
    /// (0007).
    WrongCheckValue(Fault<R>),
}

/// The one loaded holds the key. Whoever keeps the loader's record writes so before [`Confirmed::done`] leaves.
#[derive(Debug)]
pub struct Confirmed<R> {
    kcv: Kcv,
    flow: PhantomData<fn() -> R>,
}

impl<R: LoadingReason> Confirmed<R> {
    /// The check value that both sides have.
    pub fn kcv(&self) -> Kcv {
        self.kcv
    }

    /// Gives DONE, the end.
    ///
    /// # Errors
    /// None in practice: it has a fixed size.
    pub fn done(self) -> Result<Frame, Fault<R>> {
        Ok(Done.write()?)
    }
}

/// DONE that carries nothing: the loader → the one loaded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Done;

impl Done {
    /// Reads a DONE.
    ///
    /// # Errors
    /// When the frame is another message or malformed.
    pub fn read(frame: &Frame) -> Result<Done, ProtocolError> {
        expect(frame, MessageType::Done).map(|_| Done)
    }

    /// Writes it.
    ///
    /// # Errors
    /// None in practice: it has a fixed size.
    pub fn write(&self) -> Result<Frame, ProtocolError> {
        write(MessageType::Done, |_| Ok(()))
    }
}
