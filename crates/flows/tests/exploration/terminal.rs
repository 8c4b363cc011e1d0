//! The terminal's roles of a download and a sign-in, rebuilt from what they heard.

use keyferry_flows::{sign_in::terminal as sign_in, tmk_download::terminal as download};
use wire::Frame;

use crate::{
    disk::Write,
    faults::Rules,
    message::{Message, Parts},
    pad::{Begun, Pad},
    symbols::Symbols,
};

/// All that a session of a terminal depends on.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct TerminalHistory {
    pub(crate) begun: Begun,
    /// What it took, in order.
    pub(crate) heard: Vec<Message>,
}

/// The product's state of the role, by what it waits for.
enum Role<S: Symbols> {
    Challenge(download::ExpectChallenge<S>),
    Key(download::ExpectKey<S>),
    Done(download::ExpectDone<S>),
    Keys(sign_in::ExpectKeys<S>),
    SignedIn(sign_in::ExpectDone<S>),
    Finished,
}

/// What came of a message.
pub(crate) struct Step {
    /// The answer.
    pub(crate) said: Option<Frame>,
    pub(crate) write: Option<Write>,
    /// Where the PIN pad proved itself.
    pub(crate) proved: Option<Vec<u8>>,
    pub(crate) finished: bool,
}

impl TerminalHistory {
    pub(crate) fn new(begun: Begun) -> TerminalHistory {
        TerminalHistory { begun, heard: Vec::new() }
    }

    /// The same, and then this.
    pub(crate) fn and(&self, message: Message) -> TerminalHistory {
        let heard = self.heard.iter().copied().chain([message]).collect();
        TerminalHistory { begun: self.begun, heard }
    }

    /// The first message of the session.
    pub(crate) fn first<S: Symbols>(&self, rules: Rules) -> Frame {
        self.begin::<S>(rules).1
    }

    /// Gives the next message to the role: `None` when it refuses.
    pub(crate) fn hear<S: Symbols>(&self, parts: &Parts<S>, rules: Rules, frame: &Frame) -> Option<Step> {
        let (mut pad, _, mut role) = self.begin::<S>(rules);
        for heard in &self.heard {
            let heard = parts.frame(*heard);
            // It took this message before, and is pure: it takes it again.
            role = hear(role, &mut pad, &heard).unwrap().1;
        }
        // What it wrote and answered before was then.
        (pad.write, pad.proved) = (None, None);
        match hear(role, &mut pad, frame) {
            Some((said, role)) => {
                let finished = matches!(role, Role::Finished);
                Some(Step { said, write: pad.write, proved: pad.proved, finished })
            }
            None => {
                assert_eq!((pad.write, pad.proved), (None, None), "a refused message leaves no trace");
                None
            }
        }
    }

    fn begin<S: Symbols>(&self, rules: Rules) -> (Pad<S>, Frame, Role<S>) {
        let Begun { place, sign_in_with, .. } = self.begun;
        let mut pad = Pad::new(self.begun, rules);
        match sign_in_with {
            None => {
                let start = download::Start::of(place.device(), place.slot());
                let (frame, role) = start.begin(&mut pad).unwrap();
                (pad, frame, Role::Challenge(role))
            }
            Some((_, newest)) => {
                let start = sign_in::Start::of(place.device(), place.slot(), u8::from(!newest));
                let (frame, role) = start.begin(&mut pad).unwrap();
                (pad, frame, Role::Keys(role))
            }
        }
    }
}

fn hear<S: Symbols>(role: Role<S>, pad: &mut Pad<S>, frame: &Frame) -> Option<(Option<Frame>, Role<S>)> {
    let next = match role {
        Role::Challenge(role) => {
            let (said, role) = role.on_frame(pad, frame).ok()?;
            (Some(said), Role::Key(role))
        }
        Role::Key(role) => {
            let (said, role) = role.on_frame(pad, frame).ok()?;
            (Some(said), Role::Done(role))
        }
        Role::Done(role) => {
            role.on_frame(pad, frame).ok()?;
            (None, Role::Finished)
        }
        Role::Keys(role) => {
            let (said, role) = role.on_frame(pad, frame).ok()?;
            (Some(said), Role::SignedIn(role))
        }
        Role::SignedIn(role) => {
            role.on_frame(pad, frame).ok()?;
            (None, Role::Finished)
        }
        Role::Finished => return None,
    };
    Some(next)
}
