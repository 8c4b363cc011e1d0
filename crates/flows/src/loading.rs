//! What every loading of keys ends with: key blocks, KEY_CONFIRM and DONE (2-wire.md section 3, types 05 and 06).

use alloc::{borrow::ToOwned, string::String, vec::Vec};
use core::marker::PhantomData;

use subtle::ConstantTimeEq;
use wire::{Fields, Frame, Kcv, Malformed, MessageType, Tag};

use crate::{
    Fault, HasCode, ProtocolError, Said,
    fault::{expect, write},
    suite::{self, Compared, Part, Suite, Tdes},
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

/// KEY_CONFIRM of suite 01: the one loaded → the loader. The check value of each key, in the order received.
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
        Ok(KeyConfirm::read_fields(&expect(frame, MessageType::KeyConfirm)?)?)
    }

    /// Writes it.
    ///
    /// # Errors
    /// [`ProtocolError::Unwritable`] for more keys than a frame can confirm, which is more than it can bring.
    pub fn write(&self) -> Result<Frame, ProtocolError> {
        write(MessageType::KeyConfirm, |fields| self.push_fields(fields))
    }

    pub(crate) fn read_fields(fields: &Fields) -> Result<KeyConfirm, Malformed> {
        let tag = Tag::KEY_ENTRY;
        let read = |entry: &Fields| match (entry.tdes_kcv()?, entry.len()) {
            (kcv, 1) => Ok(kcv),
            _ => Err(Malformed::Template { tag }),
        };
        let kcvs: Vec<Kcv> = fields.templates(tag).map(read).collect::<Result<_, _>>()?;
        if kcvs.is_empty() { Err(Malformed::MissingField { tag }) } else { Ok(KeyConfirm { kcvs }) }
    }

    pub(crate) fn push_fields(&self, fields: &mut Fields) -> Result<(), Malformed> {
        self.kcvs.iter().try_for_each(|kcv| {
            let mut entry = Fields::new();
            entry.push(Tag::KCV, kcv.as_bytes())?;
            fields.push_template(Tag::KEY_ENTRY, entry)
        })
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

/// What a PIN pad has when it took the keys of one message: they are on its disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Loaded<S: Suite = Tdes> {
    /// The keys' check values, in the order received.
    pub kcvs: Vec<Kcv>,
    /// What KEY_CONFIRM says.
    pub confirmation: S::Confirmation,
}

impl Loaded<Tdes> {
    /// Keys of suite 01: KEY_CONFIRM tells their check values.
    pub fn of(kcvs: Vec<Kcv>) -> Loaded {
        Loaded { confirmation: KeyConfirm { kcvs: kcvs.clone() }, kcvs }
    }
}

/// A reason of a flow that loads keys.
pub trait LoadingReason: HasCode + From<ProtocolError> {
    /// KEY_CONFIRM does not confirm the keys that were sent: 0007.
    fn wrong_check_value() -> Self;
}

/// The loader's message with keys has left; KEY_CONFIRM is to come. When it does not, the keys stay what they were: pending
/// at a server, which sends them again next time; with a KLD nobody knows whether they were loaded, and the report says so.
#[derive(Debug)]
pub struct ExpectConfirm<R, S: Suite = Tdes> {
    sent: Vec<Kcv>,
    said: Said,
    flow: PhantomData<fn() -> (R, S)>,
}

impl<R: LoadingReason, S: Suite> ExpectConfirm<R, S> {
    /// These keys have left in the last message of `said`.
    pub(crate) fn after(said: Said, sent: Vec<Kcv>) -> Self {
        Self { sent, said, flow: PhantomData }
    }

    /// Takes KEY_CONFIRM. Whether it is right shows [`Told`].
    ///
    /// # Errors
    /// 0002, also when it confirms another number of keys; 0003; the peer's ERROR.
    pub fn on_frame(self, frame: &Frame) -> Result<Told<R, S>, Fault<R>> {
        let told = S::Confirmation::read(&S::read(frame, MessageType::KeyConfirm)?)?;
        S::confirms(&told, self.sent.len())?;
        let mut said = self.said.clone();
        said.push(frame);
        Ok(Told { told, sent: self.sent, before: self.said, said, flow: PhantomData })
    }
}

/// KEY_CONFIRM was read. Whoever can check it gives a [`Suite::Done`] for [`Told::acknowledged`], or says that it is wrong.
#[derive(Debug)]
pub struct Told<R, S: Suite = Tdes> {
    told: S::Confirmation,
    sent: Vec<Kcv>,
    before: Said,
    said: Said,
    flow: PhantomData<fn() -> R>,
}

impl<R: LoadingReason, S: Suite> Told<R, S> {
    /// What KEY_CONFIRM holds.
    pub fn told(&self) -> &S::Confirmation {
        &self.told
    }

    /// The check values of the keys that were sent, in their order.
    pub fn sent(&self) -> &[Kcv] {
        &self.sent
    }

    /// All frames before KEY_CONFIRM.
    pub fn said_before(&self) -> &Said {
        &self.before
    }

    /// All frames with KEY_CONFIRM: those before DONE.
    pub fn said(&self) -> &Said {
        &self.said
    }

    /// It is wrong: the keys stay what they were, the audit or the report gets an alarm, the peer this fault (0007).
    pub fn wrong(self) -> Fault<R> {
        R::wrong_check_value().into()
    }

    /// It was checked, and this is what DONE holds.
    pub fn acknowledged(self, done: S::Done) -> Confirmed<R, S> {
        Confirmed { kcvs: self.sent, done, flow: PhantomData }
    }
}

impl<R: LoadingReason> Told<R, Tdes> {
    /// Compares the check values of suite 01.
    pub fn compare(self) -> Confirm<R> {
        match Compared::new(&self.told, &self.sent) {
            Some(done) => Confirm::Opened(self.acknowledged(done)),
            None => Confirm::WrongCheckValue(self.wrong()),
        }
    }
}

/// What KEY_CONFIRM of suite 01 showed.
#[derive(Debug)]
#[must_use]
pub enum Confirm<R: HasCode> {
    /// The blocks were opened: the keys may become active.
    Opened(Confirmed<R>),
    /// It told another check value: the keys stay what they were, the audit or the report gets an alarm, the peer this
    /// fault (0007).
    WrongCheckValue(Fault<R>),
}

/// The one loaded holds the keys. Whoever keeps the loader's record writes so before [`Confirmed::done`] leaves.
#[derive(Debug)]
pub struct Confirmed<R, S: Suite = Tdes> {
    kcvs: Vec<Kcv>,
    done: S::Done,
    flow: PhantomData<fn() -> R>,
}

impl<R: LoadingReason, S: Suite> Confirmed<R, S> {
    /// The check values that both sides have, in the order sent.
    pub fn kcvs(&self) -> &[Kcv] {
        &self.kcvs
    }

    /// Gives DONE, the end.
    ///
    /// # Errors
    /// None in practice: it has a fixed size.
    pub fn done(self) -> Result<Frame, Fault<R>> {
        Ok(suite::write::<S>(MessageType::Done, |fields| S::push_done(&self.done, fields))?)
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
