//! Messages as the attacker puts them together, of parts that it has seen.

use std::{collections::HashMap, hash::Hash, rc::Rc};

use keyferry_flows::{
    Tdes,
    sign_in::messages::{Mac, Rnd1, SignIn, SignInConfirm, SignedIn, WorkingKeys},
    tmk_download::messages::{Done, KeyConfirm, TkChallenge, TkHello, TkKey, TkReply},
};
use wire::{Fields, Frame, Kcv, MessageType, Suite, Tag};

use crate::terms::{self, Eight, Place};

/// Something that the attacker can see and say again.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Part {
    /// A random number.
    Random(Eight),
    /// Crnd1 or Crnd2.
    Answer(Eight),
    /// A TMK's block.
    Block(String),
    /// A check value.
    Check(Kcv),
    /// The blocks of one WORKING_KEYS.
    Working(Vec<String>),
    /// DF52.
    Mac(Eight),
    /// Nothing to say: a note that this terminal's PIN pad answered this Rnd2, and that its answer left.
    Answered(u8, Eight),
}

/// The number of a part.
pub(crate) type PartId = u16;

/// A message, by the numbers of its parts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Message {
    Hello { place: Place, rnd1: PartId },
    Challenge { crnd1: PartId, rnd2: PartId },
    Reply { crnd2: PartId },
    Key { block: PartId },
    Confirm { check: PartId },
    Done,
    SignIn { place: Place, rnd1: PartId, check: PartId },
    Working { blocks: PartId },
    SignInConfirm { mac: PartId },
    SignedIn { mac: PartId },
}

/// Gives things numbers, the same thing always the same one.
pub(crate) struct Numbers<T> {
    things: Vec<Rc<T>>,
    numbers: HashMap<Rc<T>, u32>,
}

impl<T: Eq + Hash> Numbers<T> {
    pub(crate) fn new() -> Numbers<T> {
        Numbers { things: Vec::new(), numbers: HashMap::new() }
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
pub(crate) struct Parts(Numbers<Part>);

impl Parts {
    /// With what the attacker has of its own, which it may use from the beginning.
    pub(crate) fn new() -> (Parts, Vec<PartId>) {
        let mut parts = Parts(Numbers::new());
        let own = terms::OWN.map(Part::Random).into_iter();
        let own = own.chain([Part::Answer(terms::GARBAGE), Part::Mac(terms::GARBAGE)]);
        let own = own.map(|part| parts.number(part)).collect();
        (parts, own)
    }

    pub(crate) fn number(&mut self, part: Part) -> PartId {
        PartId::try_from(self.0.of(part).0).unwrap()
    }

    pub(crate) fn get(&self, part: PartId) -> &Part {
        self.0.get(part.into())
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// What this frame tells whoever sees it.
    pub(crate) fn of_frame(&mut self, frame: &Frame) -> Vec<PartId> {
        let parts = match frame.kind().unwrap() {
            MessageType::TkHello => vec![Part::Random(<TkHello>::read(frame).unwrap().opening.0)],
            MessageType::TkChallenge => {
                let TkChallenge { crnd1, rnd2 } = TkChallenge::read(frame).unwrap();
                vec![Part::Answer(crnd1), Part::Random(rnd2)]
            }
            MessageType::TkReply => vec![Part::Answer(TkReply::read(frame).unwrap().crnd2)],
            MessageType::TkKey => vec![Part::Block(TkKey::read::<Tdes>(frame).unwrap().block)],
            MessageType::KeyConfirm => vec![Part::Check(KeyConfirm::read(frame).unwrap().kcvs[0])],
            MessageType::SignIn => {
                let SignIn { fresh, kcv, .. } = <SignIn>::read(frame).unwrap();
                vec![Part::Random(fresh.0), Part::Check(kcv)]
            }
            MessageType::WorkingKeys => vec![Part::Working(WorkingKeys::read::<Tdes>(frame).unwrap().blocks)],
            MessageType::SignInConfirm => vec![Part::Mac(<SignInConfirm>::read(frame).unwrap().mac.0)],
            MessageType::Done => <SignedIn>::read(frame).map(|done| Part::Mac(done.mac.0)).into_iter().collect(),
            other => panic!("no role of these flows says {other}"),
        };
        parts.into_iter().map(|part| self.number(part)).collect()
    }

    /// The message on the wire, by the product's own writers.
    pub(crate) fn frame(&self, message: Message) -> Frame {
        match message {
            Message::Hello { place, rnd1 } => return self.hello(place, rnd1),
            Message::Challenge { crnd1, rnd2 } => {
                TkChallenge { crnd1: self.eight(crnd1), rnd2: self.eight(rnd2) }.write()
            }
            Message::Reply { crnd2 } => TkReply { crnd2: self.eight(crnd2) }.write(),
            Message::Key { block } => match self.get(block) {
                Part::Block(block) => TkKey { block: block.clone() }.write::<Tdes>(),
                other => panic!("{other:?} is no key block"),
            },
            Message::Confirm { check } => KeyConfirm { kcvs: vec![self.kcv(check)] }.write(),
            Message::Done => Done.write(),
            Message::SignIn { place, rnd1, check } => SignIn::<Tdes> {
                suite: Suite::TDES,
                device: place.device(),
                slot: place.slot(),
                fresh: Rnd1(self.eight(rnd1)),
                kcv: self.kcv(check),
            }
            .write(),
            Message::Working { blocks } => match self.get(blocks) {
                Part::Working(blocks) => WorkingKeys { blocks: blocks.clone() }.write::<Tdes>(),
                other => panic!("{other:?} are no key blocks"),
            },
            Message::SignInConfirm { mac } => SignInConfirm::<Tdes> { mac: Mac(self.eight(mac)) }.write(),
            Message::SignedIn { mac } => SignedIn::<Tdes> { mac: Mac(self.eight(mac)) }.write(),
        }
        .unwrap()
    }

    /// TK_HELLO, which an attacker may send with any top bit: the product's writer refuses one of the two.
    fn hello(&self, place: Place, rnd1: PartId) -> Frame {
        let mut fields = Fields::new();
        fields.push(Tag::SUITE, &[Suite::TDES.byte()]).unwrap();
        fields.push_device(&place.device()).unwrap();
        fields.push(Tag::SLOT, &[place.slot().index()]).unwrap();
        fields.push(Tag::RND1, &self.eight(rnd1)).unwrap();
        Frame::new(MessageType::TkHello, &fields).unwrap()
    }

    fn eight(&self, part: PartId) -> Eight {
        match self.get(part) {
            Part::Random(eight) | Part::Answer(eight) | Part::Mac(eight) => *eight,
            other => panic!("{other:?} is not eight bytes"),
        }
    }

    fn kcv(&self, part: PartId) -> Kcv {
        match self.get(part) {
            Part::Check(kcv) => *kcv,
            other => panic!("{other:?} is no check value"),
        }
    }
}
