//! The terminal's roles of a download and a sign-in, rebuilt from what they heard.

use keyferry_flows::{sign_in::terminal as sign_in, tmk_download::terminal as download};
use wire::Frame;

use crate::{
    disk::Write,
    faults::Fault,
    message::{Message, Parts},
    pad::Pad,
    terms::{Eight, Place, Tmk},
};

/// All that a session of a terminal depends on.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct TerminalHistory {
    pub(crate) place: Place,
    pub(crate) session: u8,
    /// In a sign-in: with which TMK, and whether it is the newest.
    pub(crate) sign_in_with: Option<(Tmk, bool)>,
    /// What it took, in order.
    pub(crate) heard: Vec<Message>,
}

/// The product's state of the role, by what it waits for.
enum Role {
    Challenge(download::ExpectChallenge),
    Key(download::ExpectKey),
    Done(download::ExpectDone),
    Keys(sign_in::ExpectKeys),
    SignedIn(sign_in::ExpectDone),
    Finished,
}

/// What came of a message.
pub(crate) struct Step {
    /// The answer.
    pub(crate) said: Option<Frame>,
    pub(crate) write: Option<Write>,
    pub(crate) answered: Option<Eight>,
    pub(crate) finished: bool,
}

impl TerminalHistory {
    /// The first message of the session.
    pub(crate) fn first(&self, fault: Option<Fault>) -> Frame {
        self.begin(fault).1
    }

    /// Gives the next message to the role: `None` when it refuses.
    pub(crate) fn hear(&self, parts: &Parts, fault: Option<Fault>, frame: &Frame) -> Option<Step> {
        let (mut pad, _, mut role) = self.begin(fault);
        for heard in &self.heard {
            let heard = parts.frame(*heard);
            // It took this message before, and is pure: it takes it again.
            role = hear(role, &mut pad, &heard).unwrap().1;
        }
        // What it wrote and answered before was then.
        (pad.write, pad.answered) = (None, None);
        match hear(role, &mut pad, frame) {
            Some((said, role)) => {
                let finished = matches!(role, Role::Finished);
                Some(Step { said, write: pad.write, answered: pad.answered, finished })
            }
            None => {
                assert_eq!((pad.write, pad.answered), (None, None), "a refused message leaves no trace");
                None
            }
        }
    }

    fn begin(&self, fault: Option<Fault>) -> (Pad, Frame, Role) {
        let TerminalHistory { place, session, sign_in_with, .. } = *self;
        let mut pad = Pad::new(place, session, sign_in_with, fault);
        match sign_in_with {
            None => {
                let start = download::Start::new(place.device(), place.slot());
                let (frame, role) = start.begin(&mut pad).unwrap();
                (pad, frame, Role::Challenge(role))
            }
            Some((_, newest)) => {
                let start = sign_in::Start::new(place.device(), place.slot(), u8::from(!newest));
                let (frame, role) = start.begin(&mut pad).unwrap();
                (pad, frame, Role::Keys(role))
            }
        }
    }
}

fn hear(role: Role, pad: &mut Pad, frame: &Frame) -> Option<(Option<Frame>, Role)> {
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
