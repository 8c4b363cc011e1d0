//! The server's roles of a download and a sign-in, rebuilt from what they heard and were given, with the HSM's answers
//! as the product's driver asks for them (`kms::download` and `host::working_keys` of the server).

use keyferry_flows::{Transcript, sign_in::host, tmk_download::kms};
use wire::{Frame, Kcv, MessageType};

use crate::{
    faults::{Fault, Rules},
    message::{Message, Parts},
    symbols::Symbols,
    terms::{self, Connection, Given, Place, Word},
};

/// All that a connection depends on.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct ServerHistory {
    pub(crate) connection: Connection,
    /// What it took, in order.
    pub(crate) heard: Vec<Message>,
    /// The TMK that it releases, or with which the terminal signs in, once store and HSM have said so.
    pub(crate) given: Option<Given>,
}

/// The product's state of the role, by what it waits for.
enum Role<S: Symbols> {
    Reply(kms::ExpectReply<S>, S::Run),
    /// The HSM and the store.
    Release(kms::Reply<S>, S::Run),
    Confirm(kms::ExpectConfirm<S>, S::Run, Given),
    /// The HSM and the store.
    Offer(host::SignIn<S>),
    SignInConfirm {
        role: host::ExpectConfirm<S>,
        fresh: S::Fresh,
    },
}

/// What came of a message.
#[derive(Debug, Clone)]
pub(crate) enum Heard {
    /// TK_HELLO: answered by TK_CHALLENGE.
    Hello { said: Frame },
    /// TK_REPLY with a right proof: a key is to be released now.
    Proven,
    /// KEY_CONFIRM that is right: the store is to confirm, then DONE may leave.
    Opened { done: Frame },
    /// SIGN_IN: the store is to look for the TMK with this check value.
    SignIn { kcv: Kcv },
    /// SIGN_IN_CONFIRM with a right MAC: the store is to confirm, then DONE may leave.
    SignedIn { done: Frame },
}

/// What a TMK's block was released for.
pub(crate) struct Released {
    /// Where its terminal must have proved itself.
    pub(crate) mark: Vec<u8>,
    /// See [`Symbols::is_read_later`].
    pub(crate) read_later: bool,
}

impl ServerHistory {
    pub(crate) fn new(connection: Connection) -> ServerHistory {
        ServerHistory { connection, heard: Vec::new(), given: None }
    }

    /// The same, and then this.
    pub(crate) fn and(&self, message: Message) -> ServerHistory {
        let heard = self.heard.iter().copied().chain([message]).collect();
        ServerHistory { heard, ..*self }
    }

    /// The same, and then this was given.
    pub(crate) fn with(&self, given: Given) -> ServerHistory {
        ServerHistory { heard: self.heard.clone(), given: Some(given), ..*self }
    }

    /// Gives the next message to the role: `None` when it, or the HSM, refuses.
    pub(crate) fn hear<S: Symbols>(&self, parts: &Parts<S>, rules: Rules, frame: &Frame) -> Option<Heard> {
        if self.heard.is_empty() {
            return self.first::<S>(rules, frame).map(|(_, heard)| heard);
        }
        match self.role(parts, rules) {
            Role::Reply(role, run) => {
                let reply = role.on_frame(frame).ok()?;
                let right = S::is_proven(&run, &reply);
                (right || rules.has(Fault::ReleaseWithoutProof)).then_some(Heard::Proven)
            }
            Role::Confirm(role, run, given) => {
                let told = role.on_frame(frame).ok()?;
                let done = S::done(&run, told, given.tmk, !rules.has(Fault::AnyReceipt))?;
                Some(Heard::Opened { done })
            }
            Role::SignInConfirm { role, fresh } => {
                let confirm = role.on_frame(frame).ok()?;
                let right = S::mac(Word::Ok, self.connection, fresh);
                if confirm.mac().as_ref() != right.as_ref() && !rules.has(Fault::SignInWithoutProof) {
                    return None;
                }
                let done = confirm.done(S::mac(Word::Done, self.connection, fresh)).unwrap();
                Some(Heard::SignedIn { done })
            }
            Role::Release(..) | Role::Offer(_) => panic!("nothing is read while HSM and store are asked"),
        }
    }

    /// What the role says once it has what HSM and store give: TK_KEY or WORKING_KEYS, and what a TMK was released for.
    pub(crate) fn said_with<S: Symbols>(
        &self,
        parts: &Parts<S>,
        rules: Rules,
        given: Given,
    ) -> (Frame, Option<Released>) {
        let role = self.role(parts, rules);
        let released = match &role {
            Role::Release(_, run) => Some(Released { mark: S::mark(run), read_later: S::is_read_later(run) }),
            _ => None,
        };
        (give(role, self.connection, given).0, released)
    }

    /// What a terminal that answers this TK_CHALLENGE proves itself to.
    pub(crate) fn mark<S: Symbols>(&self, rules: Rules, hello: &Frame) -> Option<Vec<u8>> {
        match self.first::<S>(rules, hello)?.0 {
            Role::Reply(_, run) => Some(S::mark(&run)),
            _ => None,
        }
    }

    fn role<S: Symbols>(&self, parts: &Parts<S>, rules: Rules) -> Role<S> {
        let (first, rest) = self.heard.split_first().unwrap();
        // It took these messages before, and is pure: it takes them again.
        let role = match (self.first(rules, &parts.frame(*first)).unwrap().0, rest.first()) {
            (Role::Reply(expect, run), Some(reply)) => {
                Role::Release(expect.on_frame(&parts.frame(*reply)).unwrap(), run)
            }
            (role, _) => role,
        };
        match self.given {
            Some(given) => give(role, self.connection, given).1,
            None => role,
        }
    }

    fn first<S: Symbols>(&self, rules: Rules, frame: &Frame) -> Option<(Role<S>, Heard)> {
        match frame.kind().ok()? {
            MessageType::SignIn => {
                let role = host::ExpectSignIn::new().on_frame_of::<S>(frame).ok()?;
                let heard = Heard::SignIn { kcv: role.kcv() };
                Some((Role::Offer(role), heard))
            }
            _ => {
                let hello = kms::ExpectHello::new().on_frame_of::<S>(frame).ok()?;
                let (said, role, run) = S::challenge(hello, self.connection, rules);
                Some((Role::Reply(role, run), Heard::Hello { said }))
            }
        }
    }
}

/// Hands the role what the HSM made with this TMK.
fn give<S: Symbols>(role: Role<S>, connection: Connection, given: Given) -> (Frame, Role<S>) {
    match role {
        Role::Release(reply, run) => {
            let place = Place::of(reply.device(), reply.slot());
            let block = terms::tmk_block(&S::kbpk(&run), place, reply.context(), given);
            let (frame, role) = reply.deliver(&block, S::check_value(given.tmk.check())).unwrap();
            (frame, Role::Confirm(role, run, given))
        }
        Role::Offer(sign_in) => {
            let (place, fresh) = (Place::of(sign_in.device(), sign_in.slot()), sign_in.fresh());
            let mut transcript = Transcript::new();
            transcript.push(sign_in.frame());
            let pik = terms::working_block("P0", given.tmk, place, transcript.context(), connection);
            let time = transcript.context_after(&[&pik]);
            let mak = terms::working_block(S::MAK, given.tmk, place, time, connection);
            let (frame, role) = sign_in.deliver(&[pik, mak]).unwrap();
            (frame, Role::SignInConfirm { role, fresh })
        }
        _ => panic!("this role asks for no key"),
    }
}
