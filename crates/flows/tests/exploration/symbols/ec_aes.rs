//! Suite 02: ephemeral keys and nonces, proofs and receipts over all that was said, load counters.
//!
//! A point names who made it; an agreement names both points, and only who made one of them can come to it; whatever is
//! derived is a digest of all that goes into it, so that two sides have the same only when they saw the same.

use keyferry_flows::{
    EcAes, FlowLetter, Suite as _,
    sign_in::messages::{Mac, Nonce, SignIn, SignInConfirm, SignedIn, WorkingKeys},
    suite::{Confirmation, Ephemeral, Opened, Part as _, Receipt},
    tmk_download::{
        PadRefusal,
        kms::{ExpectReply, Hello, Reply, Told},
        messages::{TkHello, TkKey},
    },
};
use sha2::{Digest, Sha256};
use wire::{Fields, Frame, Kcv, MessageType, Proof, Suite};

use super::Symbols;
use crate::{
    faults::{Fault, Rules},
    message::{Kind, Part, Sort},
    terms::{self, Connection, Place, Tmk, Word},
};

/// Bytes of the attacker's own that stand for a proof that it cannot make.
const GARBAGE: u8 = 0xAA;

/// A digest.
type Symbol = [u8; 32];

/// PRK and TH(1, 2).
#[derive(Debug)]
pub(crate) struct Run {
    prk: Symbol,
    th12: Symbol,
    kbpk: Symbol,
    /// Whether PRK can be derived of TK and what the attacker has.
    read_later: bool,
    one_key: bool,
}

/// Who made an ephemeral key or a nonce.
#[derive(Clone, Copy)]
enum Maker {
    /// A terminal's session.
    Terminal(u8, u8),
    Server(Connection),
    Attacker,
}

impl Maker {
    fn name(self) -> [u8; 3] {
        match self {
            Maker::Terminal(terminal, session) => [1, terminal, session],
            Maker::Server(Connection(connection)) => [2, connection, 0],
            Maker::Attacker => [3, 0, 0],
        }
    }

    fn ephemeral(self) -> Ephemeral {
        let mut point = [0; Ephemeral::POINT];
        point[0] = 4;
        point[1..4].copy_from_slice(&self.name());
        Ephemeral { point, nonce: self.nonce() }
    }

    fn nonce(self) -> Symbol {
        let mut nonce = [0; Ephemeral::NONCE];
        nonce[..3].copy_from_slice(&self.name());
        nonce
    }
}

/// The digest of these, one behind the other; each has always the same length where it stands.
fn digest(parts: &[&[u8]]) -> Symbol {
    parts.iter().fold(Sha256::new(), Digest::chain_update).finalize().into()
}

/// TH of these frames.
fn th(frames: &[&Frame]) -> Symbol {
    digest(&[&FlowLetter::TmkDownload.transcript(frames)])
}

/// What one side derives: it made `own`, and got `peer`; the first of `openings` is the terminal's.
fn derive(
    terminal: u8,
    (own, peer): (&Ephemeral, &Ephemeral),
    openings: [&Ephemeral; 2],
    th12: Symbol,
    rules: Rules,
) -> Run {
    let mut points = [own.point, peer.point];
    points.sort_unstable();
    let z = if rules.has(Fault::NoAgreement) { [0; 32] } else { digest(&[&points[0], &points[1]]) };
    let [opener, answerer] = openings.map(|opening| opening.nonce);
    let prk = digest(&[b"PRK", &[terminal], &z, &opener, &answerer]);
    let kbpk = if rules.has(Fault::KeyOfNoSession) {
        digest(&[b"kbpk", &[terminal]])
    } else {
        digest(&[b"kbpk", &prk, &th12])
    };
    // Who saw both nonces and learns AUK and TEK lacks Z, unless it is his or nobody's.
    let own_z = peer.point == Maker::Attacker.ephemeral().point;
    let read_later = own_z || rules.has(Fault::NoAgreement);
    Run { prk, th12, kbpk, read_later, one_key: rules.has(Fault::OneKeyForEveryPurpose) }
}

impl Run {
    /// HMAC(K(purpose), data).
    fn mac(&self, purpose: &str, data: &[u8]) -> Symbol {
        let purpose = if self.one_key { "" } else { purpose };
        let key = digest(&[purpose.as_bytes(), b" ", &self.prk, &self.th12]);
        digest(&[&key, data])
    }

    fn receipt(&self, purpose: &str, th: &Symbol, tmk: Tmk) -> Symbol {
        let kcv = EcAes::check_value(tmk.check());
        self.mac(purpose, &[th.as_slice(), &[tmk.place.slot], kcv.as_bytes()].concat())
    }
}

/// TK_CHALLENGE, or TK_REPLY, that is still without its proof.
fn bare(kind: MessageType, ephemeral: Option<&Ephemeral>) -> Frame {
    let mut fields = Fields::new();
    ephemeral.into_iter().for_each(|ephemeral| ephemeral.push(&mut fields).unwrap());
    EcAes::write(kind, fields).unwrap()
}

fn written(kind: MessageType, part: &impl keyferry_flows::suite::Part) -> Frame {
    let mut fields = Fields::new();
    part.push(&mut fields).unwrap();
    EcAes::write(kind, fields).unwrap()
}

fn read<P: keyferry_flows::suite::Part>(frame: &Frame) -> P {
    P::read(&frame.message().unwrap().fields).unwrap()
}

fn part_of(ephemeral: &Ephemeral) -> Part {
    Part::new(Sort::Opening, [ephemeral.point.as_slice(), &ephemeral.nonce].concat())
}

fn ephemeral_of(part: &Part) -> Ephemeral {
    let (point, nonce) = part.bytes.split_at(Ephemeral::POINT);
    Ephemeral::from_parts(point, nonce.try_into().unwrap()).unwrap()
}

impl Symbols for EcAes {
    type Run = Run;

    const CHALLENGE_IS_BOUND: bool = true;
    const DONE_IS_PROVEN: bool = true;
    const MAK: &'static str = "M6";

    fn own() -> Vec<Part> {
        vec![
            part_of(&Maker::Attacker.ephemeral()),
            Part::new(Sort::Fresh, Maker::Attacker.nonce()),
            Part::new(Sort::Proof, [GARBAGE; 32]),
            Part::new(Sort::Receipt, [GARBAGE; 32]),
            Part::new(Sort::Mac, [GARBAGE; 16]),
            // Check values are no secret: the first two of each terminal's first slot.
            Part::new(Sort::Check, Self::check_value([0, 0, 0]).as_bytes()),
            Part::new(Sort::Check, Self::check_value([0, 0, 1]).as_bytes()),
            Part::new(Sort::Check, Self::check_value([1, 0, 0]).as_bytes()),
            Part::new(Sort::Check, Self::check_value([1, 0, 1]).as_bytes()),
        ]
    }

    /// Its own key with somebody's nonce, somebody's key with its own nonce; and a download's nonce in a sign-in.
    fn mixed(part: &Part) -> Vec<Part> {
        if part.sort != Sort::Opening {
            return Vec::new();
        }
        let (own, theirs) = (Maker::Attacker.ephemeral(), ephemeral_of(part));
        vec![
            part_of(&Ephemeral { point: own.point, ..theirs.clone() }),
            part_of(&Ephemeral { nonce: own.nonce, ..theirs.clone() }),
            Part::new(Sort::Fresh, theirs.nonce),
        ]
    }

    fn sorts(kind: Kind) -> &'static [Sort] {
        match kind {
            Kind::Hello => &[Sort::Opening],
            Kind::Challenge => &[Sort::Opening, Sort::Proof],
            Kind::Reply => &[Sort::Proof],
            Kind::Key => &[Sort::Block],
            Kind::Confirm | Kind::Done => &[Sort::Receipt],
            Kind::SignIn => &[Sort::Fresh, Sort::Check],
            Kind::Working => &[Sort::Working],
            Kind::SignInConfirm | Kind::SignedIn => &[Sort::Mac],
        }
    }

    fn parts_of(frame: &Frame) -> Vec<Part> {
        match frame.kind().unwrap() {
            MessageType::TkHello => vec![part_of(&TkHello::<EcAes>::read(frame).unwrap().opening)],
            MessageType::TkChallenge => {
                let Opened { ephemeral, confirmation } = read(frame);
                vec![part_of(&ephemeral), Part::new(Sort::Proof, confirmation.0)]
            }
            MessageType::TkReply => vec![Part::new(Sort::Proof, read::<Confirmation>(frame).0)],
            MessageType::TkKey => {
                vec![Part::new(Sort::Block, TkKey::read::<EcAes>(frame).unwrap().block)]
            }
            MessageType::KeyConfirm => vec![Part::new(Sort::Receipt, read::<Receipt>(frame).0)],
            MessageType::SignIn => {
                let SignIn { fresh, kcv, .. } = SignIn::<EcAes>::read(frame).unwrap();
                vec![Part::new(Sort::Fresh, fresh.0), Part::new(Sort::Check, kcv.as_bytes())]
            }
            MessageType::WorkingKeys => {
                let blocks = WorkingKeys::read::<EcAes>(frame).unwrap().blocks;
                vec![Part::new(Sort::Working, blocks.join("\n"))]
            }
            MessageType::SignInConfirm => {
                vec![Part::new(Sort::Mac, SignInConfirm::<EcAes>::read(frame).unwrap().mac.0)]
            }
            MessageType::Done => vec![match SignedIn::<EcAes>::read(frame) {
                Ok(done) => Part::new(Sort::Mac, done.mac.0),
                Err(_) => Part::new(Sort::Receipt, read::<Receipt>(frame).0),
            }],
            other => panic!("no role of these flows says {other}"),
        }
    }

    fn frame(kind: Kind, place: Option<Place>, parts: &[&Part]) -> Frame {
        match (kind, place, parts) {
            (Kind::Hello, Some(place), [opening]) => TkHello::<EcAes> {
                suite: Suite::EC_AES,
                device: place.device(),
                slot: place.slot(),
                opening: ephemeral_of(opening),
                refusals: Vec::new(),
            }
            .write(),
            (Kind::Challenge, None, [opening, proof]) => {
                let confirmation = Confirmation(proof.array());
                let opened = Opened { ephemeral: ephemeral_of(opening), confirmation };
                Ok(written(MessageType::TkChallenge, &opened))
            }
            (Kind::Reply, None, [proof]) => Ok(written(MessageType::TkReply, &Confirmation(proof.array()))),
            (Kind::Key, None, [block]) => TkKey { block: block.text() }.write::<EcAes>(),
            (Kind::Confirm, None, [receipt]) => {
                Ok(written(MessageType::KeyConfirm, &Receipt(receipt.array())))
            }
            (Kind::Done, None, [receipt]) => Ok(written(MessageType::Done, &Receipt(receipt.array()))),
            (Kind::SignIn, Some(place), [fresh, check]) => SignIn::<EcAes> {
                suite: Suite::EC_AES,
                device: place.device(),
                slot: place.slot(),
                fresh: Nonce(fresh.array()),
                kcv: Kcv::Aes(check.array()),
            }
            .write(),
            (Kind::Working, None, [blocks]) => {
                let blocks = blocks.text().split('\n').map(str::to_owned).collect();
                WorkingKeys { blocks }.write::<EcAes>()
            }
            (Kind::SignInConfirm, None, [mac]) => SignInConfirm::<EcAes> { mac: Mac(mac.array()) }.write(),
            (Kind::SignedIn, None, [mac]) => SignedIn::<EcAes> { mac: Mac(mac.array()) }.write(),
            other => panic!("no message of this suite: {other:?}"),
        }
        .unwrap()
    }

    fn check_value([first, second, third]: [u8; 3]) -> Kcv {
        Kcv::Aes([first, second, third, 0, 0])
    }

    fn next_counter(last: u8) -> Option<u8> {
        Some(last + 1)
    }

    fn opening(terminal: u8, session: u8) -> Ephemeral {
        Maker::Terminal(terminal, session).ephemeral()
    }

    fn fresh(terminal: u8, session: u8) -> Nonce {
        Nonce(Maker::Terminal(terminal, session).nonce())
    }

    fn mac(word: Word, keys: Connection, Nonce(nonce): Nonce) -> Mac<16> {
        let digest = digest(&[&[word as u8, keys.0], &nonce]);
        Mac(*digest.first_chunk().unwrap())
    }

    fn answer(
        terminal: u8,
        session: u8,
        hello: &Frame,
        challenge: &Frame,
        rules: Rules,
    ) -> Result<(Run, Confirmation), PadRefusal> {
        let Opened { ephemeral, confirmation } = read(challenge);
        let own = Self::opening(terminal, session);
        let th12 = th(&[hello, &challenge.without(Proof::Confirmation)?]);
        let run = derive(terminal, (&own, &ephemeral), [&own, &ephemeral], th12, rules);
        if confirmation.0 != run.mac("server", &th12) && !rules.has(Fault::AnswerWithoutProof) {
            return Err(PadRefusal::ServerNotProven);
        }
        let proof = run.mac("terminal", &th(&[hello, challenge, &bare(MessageType::TkReply, None)]));
        Ok((run, Confirmation(proof)))
    }

    fn confirmation(run: &Run, said: &[Frame], tmk: Tmk) -> Receipt {
        Receipt(run.receipt("receipt t", &th(&said.iter().collect::<Vec<_>>()), tmk))
    }

    fn acknowledged(run: &Run, said: &[Frame], tmk: Tmk, done: &Frame) -> bool {
        let right = run.receipt("receipt s", &th(&said.iter().collect::<Vec<_>>()), tmk);
        read::<Receipt>(done).0 == right
    }

    fn challenge(
        hello: Hello<EcAes>,
        connection: Connection,
        rules: Rules,
    ) -> (Frame, ExpectReply<EcAes>, Run) {
        let (terminal, peer) = (terms::terminal(hello.device()), hello.peer().clone());
        let own = Maker::Server(connection).ephemeral();
        let bare = bare(MessageType::TkChallenge, Some(&own));
        let prefix = FlowLetter::TmkDownload.transcript(&[]);
        let th12 = digest(&[&prefix, &hello.said().with(&bare)]);
        let run = derive(terminal, (&own, &peer), [&peer, &own], th12, rules);
        let confirmation = Confirmation(run.mac("server", &th12));
        let (frame, role) = hello.answer(Opened { ephemeral: own, confirmation }).unwrap();
        (frame, role, run)
    }

    fn is_proven(run: &Run, reply: &Reply<EcAes>) -> bool {
        let prefix = FlowLetter::TmkDownload.transcript(&[]);
        let th = digest(&[&prefix, &reply.said_bare().unwrap()]);
        reply.confirmation().0 == run.mac("terminal", &th)
    }

    fn done(run: &Run, told: Told<EcAes>, tmk: Tmk, checks: bool) -> Option<Frame> {
        let th = told.said_before().th(FlowLetter::TmkDownload);
        if checks && told.told().0 != run.receipt("receipt t", th.as_bytes(), tmk) {
            return None;
        }
        let th = told.said().th(FlowLetter::TmkDownload);
        let done = Receipt(run.receipt("receipt s", th.as_bytes(), tmk));
        Some(told.acknowledged(done).done().unwrap())
    }

    fn kbpk(run: &Run) -> String {
        run.kbpk.iter().take(8).map(|byte| format!("{byte:02x}")).collect()
    }

    fn mark(run: &Run) -> Vec<u8> {
        run.th12.to_vec()
    }

    fn is_read_later(run: &Run) -> bool {
        run.read_later
    }
}
