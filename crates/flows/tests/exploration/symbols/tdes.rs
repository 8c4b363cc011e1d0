//! Suite 01: random numbers, and what AUK makes of them.

use keyferry_flows::{
    KeyConfirm, Tdes,
    sign_in::messages::{Mac, Rnd1 as SignInRnd1, SignIn, SignInConfirm, SignedIn, WorkingKeys},
    tmk_download::{
        PadRefusal,
        kms::{Confirm, ExpectReply, Hello, Reply, Told},
        messages::{Done, Rnd1, TkChallenge, TkHello, TkKey, TkReply},
    },
};
use wire::{Fields, Frame, Kcv, MessageType, Suite, Tag};

use super::Symbols;
use crate::{
    faults::Rules,
    message::{Kind, Part, Sort},
    terms::{self, Connection, Place, Tmk, Word},
};

/// Eight bytes, as random numbers, answers and MACs have.
type Eight = [u8; 8];

/// Random numbers of the attacker's own, one fit for Rnd1 and one for Rnd2.
const OWN: [Eight; 2] = [[0x03; 8], [0x83; 8]];
/// Bytes of the attacker's own that stand for an answer or a MAC that it cannot make.
const GARBAGE: Eight = [0xAA; 8];

/// Whose TEK and AUK, and the Rnd2 of the run.
#[derive(Debug)]
pub(crate) struct Run {
    terminal: u8,
    rnd2: Eight,
}

/// Rnd1 of a terminal's session.
fn rnd1(terminal: u8, session: u8) -> Eight {
    [0x01, terminal, session, 0, 0, 0, 0, 0]
}

/// E(AUK, random) under this terminal's AUK. The first three bytes of a random number are all of it.
fn answer(terminal: u8, random: Eight) -> Eight {
    let [first, second, third, ..] = random;
    [0xE0, terminal, first, second, third, 0, 0, 0]
}

impl Symbols for Tdes {
    type Run = Run;

    /// Crnd1 says nothing of Rnd2.
    const CHALLENGE_IS_BOUND: bool = false;
    const DONE_IS_PROVEN: bool = false;
    const MAK: &'static str = "M3";

    fn own() -> Vec<Part> {
        let own = OWN.map(|random| Part::new(Sort::Opening, random)).into_iter();
        own.chain([Part::new(Sort::Proof, GARBAGE), Part::new(Sort::Mac, GARBAGE)]).collect()
    }

    /// Random numbers have no parts.
    fn mixed(_: &Part) -> Vec<Part> {
        Vec::new()
    }

    fn sorts(kind: Kind) -> &'static [Sort] {
        match kind {
            Kind::Hello => &[Sort::Opening],
            Kind::Challenge => &[Sort::Opening, Sort::Proof],
            Kind::Reply => &[Sort::Proof],
            Kind::Key => &[Sort::Block],
            Kind::Confirm => &[Sort::Check],
            Kind::Done => &[],
            Kind::SignIn => &[Sort::Opening, Sort::Check],
            Kind::Working => &[Sort::Working],
            Kind::SignInConfirm | Kind::SignedIn => &[Sort::Mac],
        }
    }

    fn parts_of(frame: &Frame) -> Vec<Part> {
        match frame.kind().unwrap() {
            MessageType::TkHello => {
                vec![Part::new(Sort::Opening, <TkHello>::read(frame).unwrap().opening.0)]
            }
            MessageType::TkChallenge => {
                let TkChallenge { crnd1, rnd2 } = TkChallenge::read(frame).unwrap();
                vec![Part::new(Sort::Opening, rnd2), Part::new(Sort::Proof, crnd1)]
            }
            MessageType::TkReply => vec![Part::new(Sort::Proof, TkReply::read(frame).unwrap().crnd2)],
            MessageType::TkKey => {
                vec![Part::new(Sort::Block, TkKey::read::<Tdes>(frame).unwrap().block)]
            }
            MessageType::KeyConfirm => {
                vec![Part::new(Sort::Check, KeyConfirm::read(frame).unwrap().kcvs[0].as_bytes())]
            }
            MessageType::SignIn => {
                let SignIn { fresh, kcv, .. } = <SignIn>::read(frame).unwrap();
                vec![Part::new(Sort::Opening, fresh.0), Part::new(Sort::Check, kcv.as_bytes())]
            }
            MessageType::WorkingKeys => {
                let blocks = WorkingKeys::read::<Tdes>(frame).unwrap().blocks;
                vec![Part::new(Sort::Working, blocks.join("\n"))]
            }
            MessageType::SignInConfirm => {
                vec![Part::new(Sort::Mac, <SignInConfirm>::read(frame).unwrap().mac.0)]
            }
            MessageType::Done => {
                let mac = <SignedIn>::read(frame).map(|done| Part::new(Sort::Mac, done.mac.0));
                mac.into_iter().collect()
            }
            other => panic!("no role of these flows says {other}"),
        }
    }

    fn frame(kind: Kind, place: Option<Place>, parts: &[&Part]) -> Frame {
        match (kind, place, parts) {
            (Kind::Hello, Some(place), [rnd1]) => return hello(place, rnd1.array()),
            (Kind::Challenge, None, [rnd2, crnd1]) => {
                TkChallenge { crnd1: crnd1.array(), rnd2: rnd2.array() }.write()
            }
            (Kind::Reply, None, [crnd2]) => TkReply { crnd2: crnd2.array() }.write(),
            (Kind::Key, None, [block]) => TkKey { block: block.text() }.write::<Tdes>(),
            (Kind::Confirm, None, [check]) => KeyConfirm { kcvs: vec![Kcv::Tdes(check.array())] }.write(),
            (Kind::Done, None, []) => Done.write(),
            (Kind::SignIn, Some(place), [fresh, check]) => SignIn::<Tdes> {
                suite: Suite::TDES,
                device: place.device(),
                slot: place.slot(),
                fresh: SignInRnd1(fresh.array()),
                kcv: Kcv::Tdes(check.array()),
            }
            .write(),
            (Kind::Working, None, [blocks]) => {
                let blocks = blocks.text().split('\n').map(str::to_owned).collect();
                WorkingKeys { blocks }.write::<Tdes>()
            }
            (Kind::SignInConfirm, None, [mac]) => SignInConfirm::<Tdes> { mac: Mac(mac.array()) }.write(),
            (Kind::SignedIn, None, [mac]) => SignedIn::<Tdes> { mac: Mac(mac.array()) }.write(),
            other => panic!("no message of this suite: {other:?}"),
        }
        .unwrap()
    }

    fn check_value(of: [u8; 3]) -> Kcv {
        Kcv::Tdes(of)
    }

    fn next_counter(_: u8) -> Option<u8> {
        None
    }

    fn opening(terminal: u8, session: u8) -> Rnd1 {
        Rnd1(rnd1(terminal, session))
    }

    fn fresh(terminal: u8, session: u8) -> SignInRnd1 {
        SignInRnd1(rnd1(terminal, session))
    }

    fn mac(word: Word, keys: Connection, SignInRnd1(rnd1): SignInRnd1) -> Mac<8> {
        let [first, second, third, ..] = rnd1;
        Mac([0xA0, word as u8, keys.0, first, second, third, 0, 0])
    }

    fn answer(
        terminal: u8,
        session: u8,
        _: &Frame,
        challenge: &Frame,
        _: Rules,
    ) -> Result<(Run, TkReply), PadRefusal> {
        let TkChallenge { crnd1, rnd2 } = TkChallenge::read(challenge).unwrap();
        if crnd1 != answer(terminal, rnd1(terminal, session)) {
            return Err(PadRefusal::ServerNotProven);
        }
        Ok((Run { terminal, rnd2 }, TkReply { crnd2: answer(terminal, rnd2) }))
    }

    fn confirmation(_: &Run, _: &[Frame], tmk: Tmk) -> KeyConfirm {
        KeyConfirm { kcvs: vec![Self::check_value(tmk.check())] }
    }

    /// Nobody can tell.
    fn acknowledged(_: &Run, _: &[Frame], _: Tmk, done: &Frame) -> bool {
        Done::read(done).is_ok()
    }

    fn challenge(hello: Hello, connection: Connection, _: Rules) -> (Frame, ExpectReply, Run) {
        let terminal = terms::terminal(hello.device());
        let rnd2 = [0x82, connection.0, 0, 0, 0, 0, 0, 0];
        let crnd1 = answer(terminal, hello.rnd1());
        let (frame, role) = hello.challenge(crnd1, rnd2).unwrap();
        (frame, role, Run { terminal, rnd2 })
    }

    fn is_proven(run: &Run, reply: &Reply) -> bool {
        reply.crnd2() == answer(run.terminal, run.rnd2)
    }

    fn done(_: &Run, told: Told, _: Tmk, checks: bool) -> Option<Frame> {
        assert!(checks, "a fault of suite 02 only");
        match told.compare() {
            Confirm::Opened(confirmed) => Some(confirmed.done().unwrap()),
            Confirm::WrongCheckValue(_) => None,
        }
    }

    /// TEK itself.
    fn kbpk(run: &Run) -> String {
        run.terminal.to_string()
    }

    fn mark(run: &Run) -> Vec<u8> {
        run.rnd2.to_vec()
    }

    /// He can, and the suite says so.
    fn is_read_later(_: &Run) -> bool {
        false
    }
}

/// TK_HELLO, which an attacker may send with any top bit: the product's writer refuses one of the two.
fn hello(place: Place, rnd1: Eight) -> Frame {
    let mut fields = Fields::new();
    fields.push(Tag::SUITE, &[Suite::TDES.byte()]).unwrap();
    fields.push_device(&place.device()).unwrap();
    fields.push(Tag::SLOT, &[place.slot().index()]).unwrap();
    fields.push(Tag::RND1, &rnd1).unwrap();
    Frame::new(MessageType::TkHello, &fields).unwrap()
}
