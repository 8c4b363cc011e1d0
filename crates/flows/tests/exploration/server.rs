//! The server's roles of a download and a sign-in, rebuilt from what they heard and were given, with the HSM's answers
//! as the product's driver asks for them (`kms::download` and `host::working_keys` of the server).

use keyferry_flows::{
    Transcript,
    sign_in::{host, messages::Mac},
    tmk_download::kms::{self, Confirm},
};
use wire::{Frame, Kcv, MessageType};

use crate::{
    faults::Fault,
    message::{Message, Parts},
    terms::{self, Connection, Eight, Place, Tmk, Word},
};

/// All that a connection depends on.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct ServerHistory {
    pub(crate) connection: Connection,
    /// What it took, in order.
    pub(crate) heard: Vec<Message>,
    /// The TMK that it releases, or with which the terminal signs in, once store and HSM have said so.
    pub(crate) given: Option<Tmk>,
}

/// The product's state of the role, by what it waits for.
enum Role {
    Reply(kms::ExpectReply),
    /// The HSM and the store.
    Release(kms::Reply),
    Confirm(kms::ExpectConfirm),
    /// The HSM and the store.
    Offer(host::SignIn),
    SignInConfirm {
        role: host::ExpectConfirm,
        rnd1: Eight,
    },
}

/// What came of a message.
#[derive(Debug, Clone)]
pub(crate) enum Heard {
    /// TK_HELLO: answered by TK_CHALLENGE.
    Hello { said: Frame },
    /// TK_REPLY with a right Crnd2: a key is to be released now.
    Proven,
    /// KEY_CONFIRM with the right check value: the store is to confirm, then DONE may leave.
    Opened { done: Frame },
    /// SIGN_IN: the store is to look for the TMK with this check value.
    SignIn { kcv: Kcv },
    /// SIGN_IN_CONFIRM with a right MAC: the store is to confirm, then DONE may leave.
    SignedIn { done: Frame },
}

impl ServerHistory {
    /// Gives the next message to the role: `None` when it, or the HSM, refuses.
    pub(crate) fn hear(&self, parts: &Parts, fault: Option<Fault>, frame: &Frame) -> Option<Heard> {
        if self.heard.is_empty() {
            return self.first(frame).map(|(_, heard)| heard);
        }
        match self.role(parts) {
            Role::Reply(role) => {
                let reply = role.on_frame(frame).ok()?;
                let place = place(reply.device(), reply.slot().index());
                let right = reply.crnd2() == terms::answer(place.terminal, terms::rnd2(self.connection));
                (right || fault == Some(Fault::ReleaseWithoutProof)).then_some(Heard::Proven)
            }
            Role::Confirm(role) => match role.on_frame(frame).ok()?.compare() {
                Confirm::Opened(confirmed) => Some(Heard::Opened { done: confirmed.done().unwrap() }),
                Confirm::WrongCheckValue(_) => None,
            },
            Role::SignInConfirm { role, rnd1 } => {
                let confirm = role.on_frame(frame).ok()?;
                if confirm.mac().0 != terms::mac(Word::Ok, self.connection, rnd1) {
                    return None;
                }
                let done = confirm.done(Mac(terms::mac(Word::Done, self.connection, rnd1))).unwrap();
                Some(Heard::SignedIn { done })
            }
            Role::Release(_) | Role::Offer(_) => panic!("nothing is read while HSM and store are asked"),
        }
    }

    /// What the role says once it has what HSM and store give: TK_KEY or WORKING_KEYS.
    pub(crate) fn said_with(&self, parts: &Parts, given: Tmk) -> Frame {
        give(self.role(parts), self.connection, given).0
    }

    /// The place that the first message named, and its Rnd1.
    pub(crate) fn asked(&self, parts: &Parts) -> (Place, Eight) {
        let first = parts.frame(self.heard[0]);
        match self.first(&first).unwrap().0 {
            Role::Offer(role) => (place(role.device(), role.slot().index()), role.rnd1()),
            _ => {
                let hello = kms::ExpectHello::new().on_frame(&first).unwrap();
                (place(hello.device(), hello.slot().index()), hello.rnd1())
            }
        }
    }

    fn role(&self, parts: &Parts) -> Role {
        let (first, rest) = self.heard.split_first().unwrap();
        // It took these messages before, and is pure: it takes them again.
        let mut role = self.first(&parts.frame(*first)).unwrap().0;
        if let (Role::Reply(expect), Some(reply)) = (role, rest.first()) {
            role = Role::Release(expect.on_frame(&parts.frame(*reply)).unwrap());
        } else {
            role = self.first(&parts.frame(*first)).unwrap().0;
        }
        match self.given {
            Some(given) => give(role, self.connection, given).1,
            None => role,
        }
    }

    fn first(&self, frame: &Frame) -> Option<(Role, Heard)> {
        match frame.kind().ok()? {
            MessageType::SignIn => {
                let role = host::ExpectSignIn::new().on_frame(frame).ok()?;
                let heard = Heard::SignIn { kcv: role.kcv() };
                Some((Role::Offer(role), heard))
            }
            _ => {
                let hello = kms::ExpectHello::new().on_frame(frame).ok()?;
                let crnd1 = terms::answer(terms::terminal(hello.device()), hello.rnd1());
                let (said, role) = hello.challenge(crnd1, terms::rnd2(self.connection)).unwrap();
                Some((Role::Reply(role), Heard::Hello { said }))
            }
        }
    }
}

fn place(device: &wire::Device, slot: u8) -> Place {
    Place { terminal: terms::terminal(device), slot }
}

/// Hands the role what the HSM made with this TMK.
fn give(role: Role, connection: Connection, tmk: Tmk) -> (Frame, Role) {
    match role {
        Role::Release(reply) => {
            let place = place(reply.device(), reply.slot().index());
            let block = terms::tmk_block(place.terminal, place, reply.context(), tmk);
            let (frame, role) = reply.deliver(&block, tmk.kcv()).unwrap();
            (frame, Role::Confirm(role))
        }
        Role::Offer(sign_in) => {
            let (place, rnd1) = (place(sign_in.device(), sign_in.slot().index()), sign_in.rnd1());
            let mut transcript = Transcript::new();
            transcript.push(sign_in.frame());
            let pik = terms::working_block("P0", tmk, place, transcript.context(), connection);
            let time = transcript.context_after(&[&pik]);
            let mak = terms::working_block("M3", tmk, place, time, connection);
            let (frame, role) = sign_in.deliver(&[pik, mak]).unwrap();
            (frame, Role::SignInConfirm { role, rnd1 })
        }
        _ => panic!("this role asks for no key"),
    }
}
