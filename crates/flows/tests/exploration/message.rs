//! Messages as the attacker puts them together, of parts that it has seen.

use std::{hash::Hash, marker::PhantomData, rc::Rc};

use wire::Frame;

use crate::{hash::Map, symbols::Symbols, terms::Place};

/// What a part can stand for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Sort {
    /// What a download opens with, on either side: a random number, or an ephemeral key and a nonce.
    Opening,
    /// What makes a sign-in fresh, in a suite where that is another thing than an opening.
    Fresh,
    /// What answers an opening.
    Proof,
    /// A TMK's block.
    Block,
    /// A check value.
    Check,
    /// DF17.
    Receipt,
    /// The blocks of one WORKING_KEYS.
    Working,
    /// DF52.
    Mac,
    /// Nothing to say: a note that a terminal's PIN pad proved itself, to whom, and that its proof left.
    Proved,
}

/// Something that the attacker can see and say again.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Part {
    pub(crate) sort: Sort,
    pub(crate) bytes: Vec<u8>,
}

impl Part {
    pub(crate) fn new(sort: Sort, bytes: impl AsRef<[u8]>) -> Part {
        Part { sort, bytes: bytes.as_ref().to_vec() }
    }

    /// The note that this terminal's PIN pad proved itself where this mark was made.
    pub(crate) fn proved(terminal: u8, mark: &[u8]) -> Part {
        Part::new(Sort::Proved, [&[terminal], mark].concat())
    }

    /// The bytes, where there are always so many.
    pub(crate) fn array<const N: usize>(&self) -> [u8; N] {
        self.bytes.as_slice().try_into().unwrap()
    }

    /// The bytes of a part that is a text.
    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.bytes.clone()).unwrap()
    }
}

/// The number of a part.
pub(crate) type PartId = u16;

/// Which message it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Kind {
    Hello,
    Challenge,
    Reply,
    Key,
    Confirm,
    Done,
    SignIn,
    Working,
    SignInConfirm,
    SignedIn,
}

impl Kind {
    /// All but the first messages of a connection, and TK_CHALLENGE, which has two parts and is put together where one is
    /// waited for.
    pub(crate) const ANYWHERE: [Kind; 7] = [
        Kind::Reply,
        Kind::Key,
        Kind::Confirm,
        Kind::Done,
        Kind::Working,
        Kind::SignInConfirm,
        Kind::SignedIn,
    ];
}

/// A message, by the numbers of its parts, in the order of the suite's [`Symbols::sorts`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Message {
    pub(crate) kind: Kind,
    /// The slot that a first message names.
    pub(crate) place: Option<Place>,
    pub(crate) parts: [Option<PartId>; 2],
}

impl Message {
    pub(crate) fn new(kind: Kind, place: Option<Place>, parts: &[PartId]) -> Message {
        assert!(parts.len() <= 2, "no message has more parts");
        Message { kind, place, parts: [parts.first().copied(), parts.get(1).copied()] }
    }
}

/// Gives things numbers, the same thing always the same one.
pub(crate) struct Numbers<T> {
    things: Vec<Rc<T>>,
    numbers: Map<Rc<T>, u32>,
}

impl<T: Eq + Hash> Numbers<T> {
    pub(crate) fn new() -> Numbers<T> {
        Numbers { things: Vec::new(), numbers: Map::default() }
    }

    /// Its number, and whether it is new.
    pub(crate) fn of(&mut self, thing: T) -> (u32, bool) {
        if let Some(number) = self.numbers.get(&thing) {
            return (*number, false);
        }
        let number = u32::try_from(self.things.len()).unwrap();
        let thing = Rc::new(thing);
        self.things.push(Rc::clone(&thing));
        self.numbers.insert(thing, number);
        (number, true)
    }

    pub(crate) fn get(&self, number: u32) -> &Rc<T> {
        &self.things[number as usize]
    }

    pub(crate) fn len(&self) -> usize {
        self.things.len()
    }
}

/// All parts that were ever said.
pub(crate) struct Parts<S> {
    parts: Numbers<Part>,
    suite: PhantomData<fn() -> S>,
}

impl<S: Symbols> Parts<S> {
    /// With what the attacker has of its own, which it may use from the beginning.
    pub(crate) fn new() -> (Parts<S>, Vec<PartId>) {
        let mut parts = Parts { parts: Numbers::new(), suite: PhantomData };
        let own = S::own().into_iter().map(|part| parts.number(part)).collect();
        (parts, own)
    }

    pub(crate) fn number(&mut self, part: Part) -> PartId {
        PartId::try_from(self.parts.of(part).0).unwrap()
    }

    pub(crate) fn get(&self, part: PartId) -> &Part {
        self.parts.get(part.into())
    }

    pub(crate) fn len(&self) -> usize {
        self.parts.len()
    }

    /// What this frame tells whoever sees it, in the order of the suite's sorts.
    pub(crate) fn of_frame(&mut self, frame: &Frame) -> Vec<PartId> {
        S::parts_of(frame).into_iter().map(|part| self.number(part)).collect()
    }

    /// The message on the wire, by the product's own writers.
    pub(crate) fn frame(&self, message: Message) -> Frame {
        let parts: Vec<&Part> = message.parts.into_iter().flatten().map(|part| self.get(part)).collect();
        S::frame(message.kind, message.place, &parts)
    }
}
