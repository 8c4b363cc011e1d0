//! An abstract PIN pad with the checks of the product's (`softpad` of the terminal), in its order: one open session, each
//! step tried once, its own opening and its own serial found in the frames, what is bound hashed from the frames themselves.
//!
//! It lives for one session. What it would write to disk it says, so that the exploration can write it, or let power
//! fail right after.

use keyferry_flows::{
    Loaded, PadRefusal as SignInRefusal, Transcript,
    sign_in::{
        SignInPad,
        messages::{SignIn, SignInConfirm, SignedIn, WorkingKeys},
    },
    suite::Part as _,
    tmk_download::{
        DownloadPad, PadRefusal,
        messages::{TkHello, TkKey},
    },
};
use wire::{Frame, Kcv, MessageType, Slot};

use crate::{
    disk::Write,
    faults::{Fault, Rules},
    symbols::Symbols,
    terms::{self, Connection, Given, Place, Tmk, Word},
};

/// What a session of a PIN pad begins with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Begun {
    pub(crate) place: Place,
    /// The how manieth of its terminal.
    pub(crate) session: u8,
    /// In a sign-in: with which TMK, and whether it is the newest.
    pub(crate) sign_in_with: Option<(Tmk, bool)>,
    /// The slot's load counter on disk: nobody else writes while the session is open.
    pub(crate) counter: u8,
}

/// A PIN pad in one session.
#[derive(Debug)]
pub(crate) struct Pad<S: Symbols> {
    begun: Begun,
    rules: Rules,
    open: Open<S>,
    /// What the last step writes.
    pub(crate) write: Option<Write>,
    /// Where it proved itself in the last step.
    pub(crate) proved: Option<Vec<u8>>,
}

#[derive(Debug)]
enum Open<S: Symbols> {
    Idle,
    Started,
    Challenged { run: S::Run, said: Vec<Frame>, proof: S::Reply },
    Keyed { run: S::Run, said: Vec<Frame>, given: Given, confirmation: S::Confirmation },
    SignIn,
    Opened { keys: Connection, mac: S::Mac },
}

impl<S: Symbols> Pad<S> {
    pub(crate) fn new(begun: Begun, rules: Rules) -> Pad<S> {
        Pad { begun, rules, open: Open::Idle, write: None, proved: None }
    }

    /// Takes the open session out: a step that refuses ends it.
    fn step(&mut self) -> Open<S> {
        (self.write, self.proved) = (None, None);
        std::mem::replace(&mut self.open, Open::Idle)
    }

    fn open_tmk(&self, run: &S::Run, said: &[Frame], text: &str) -> Result<Given, PadRefusal> {
        let opened = terms::open(text).ok_or(refused("form"))?;
        let mut transcript = Transcript::new();
        said.iter().for_each(|frame| transcript.push(frame));
        let in_time = opened.context == transcript.context().to_hex();
        let follows = opened.given.counter.is_none_or(|counter| {
            counter > self.begun.counter && counter - self.begun.counter <= self.rules.ahead
        });
        if opened.under != S::kbpk(run) {
            Err(refused("MAC"))
        } else if opened.place != self.begun.place {
            Err(refused("place"))
        } else if !in_time && !self.rules.has(Fault::IgnoreContext) {
            Err(refused("context"))
        } else if !follows && !self.rules.has(Fault::IgnoreCounter) {
            Err(refused("load counter"))
        } else {
            Ok(opened.given)
        }
    }
}

impl<S: Symbols> DownloadPad<S> for Pad<S> {
    fn start(&mut self, slot: Slot) -> Result<S::Opening, PadRefusal> {
        self.step();
        if slot != self.begun.place.slot() {
            return Err(not_permitted());
        }
        self.open = Open::Started;
        Ok(S::opening(self.begun.place.terminal, self.begun.session))
    }

    fn challenge(&mut self, hello: &Frame, challenge: &Frame) -> Result<S::Reply, PadRefusal> {
        let Open::Started = self.step() else { return Err(not_permitted()) };
        let Begun { place, session, .. } = self.begun;
        let said = TkHello::<S>::read(hello).map_err(|_| not_permitted())?;
        let own = said.suite == S::ID
            && said.device == place.device()
            && said.slot == place.slot()
            && said.opening == S::opening(place.terminal, session);
        if !own {
            return Err(not_permitted());
        }
        let (run, proof) = S::answer(place.terminal, session, hello, challenge, self.rules)?;
        self.proved = Some(S::mark(&run));
        let said = vec![hello.clone(), challenge.clone()];
        self.open = Open::Challenged { run, said, proof: proof.clone() };
        Ok(proof)
    }

    fn key(&mut self, reply: &Frame, key: &Frame) -> Result<Loaded<S>, PadRefusal> {
        let Open::Challenged { run, mut said, proof } = self.step() else { return Err(not_permitted()) };
        let fields = S::read(reply, MessageType::TkReply).map_err(|_| not_permitted())?;
        if S::Reply::read(&fields)? != proof {
            return Err(not_permitted());
        }
        said.push(reply.clone());
        let block = TkKey::read::<S>(key).map_err(|_| not_permitted())?.block;
        let given = self.open_tmk(&run, &said, &block)?;
        said.push(key.clone());
        if !self.rules.has(Fault::KeepAtDone) {
            self.write = Some(Write::Take(given));
        }
        let confirmation = S::confirmation(&run, &said, given.tmk);
        self.open = Open::Keyed { run, said, given, confirmation: confirmation.clone() };
        Ok(Loaded { kcvs: vec![S::check_value(given.tmk.check())], confirmation })
    }

    fn done(&mut self, confirm: &Frame, done: &Frame) -> Result<(), PadRefusal> {
        let Open::Keyed { run, mut said, given, confirmation } = self.step() else {
            return Err(not_permitted());
        };
        let fields = S::read(confirm, MessageType::KeyConfirm).map_err(|_| not_permitted())?;
        if S::Confirmation::read(&fields)? != confirmation {
            return Err(not_permitted());
        }
        said.push(confirm.clone());
        if !S::acknowledged(&run, &said, given.tmk, done) && !self.rules.has(Fault::AnyDone) {
            return Err(PadRefusal::ServerNotProven);
        }
        self.write = Some(if self.rules.has(Fault::KeepAtDone) {
            Write::TakeAndFinish(given)
        } else if S::DONE_IS_PROVEN {
            Write::Worked
        } else {
            Write::Finish
        });
        Ok(())
    }
}

impl<S: Symbols> SignInPad<S> for Pad<S> {
    fn sign_in_begin(&mut self, slot: Slot, attempt: u8) -> Result<(S::Fresh, Kcv), SignInRefusal> {
        self.step();
        let Begun { place, session, sign_in_with, .. } = self.begun;
        match sign_in_with {
            Some((tmk, newest)) if slot == place.slot() && newest == (attempt == 0) => {
                self.open = Open::SignIn;
                Ok((S::fresh(place.terminal, session), S::check_value(tmk.check())))
            }
            _ => Err(sign_in_refused("no such TMK")),
        }
    }

    fn sign_in_keys(&mut self, sign_in: &Frame, keys: &Frame) -> Result<S::Mac, SignInRefusal> {
        let Begun { place, session, sign_in_with, .. } = self.begun;
        let (Open::SignIn, Some((tmk, _))) = (self.step(), sign_in_with) else {
            return Err(sign_in_refused("order"));
        };
        let said = SignIn::<S>::read(sign_in).map_err(|_| sign_in_refused("form"))?;
        let fresh = S::fresh(place.terminal, session);
        let own = said.suite == S::ID
            && said.device == place.device()
            && said.slot == place.slot()
            && (said.fresh, said.kcv) == (fresh, S::check_value(tmk.check()));
        if !own {
            return Err(sign_in_refused("another SIGN_IN"));
        }
        let blocks = WorkingKeys::read::<S>(keys).map_err(|_| sign_in_refused("form"))?.blocks;
        let [pik, mak] = &blocks[..] else { return Err(sign_in_refused("two keys are wanted")) };
        let keys = terms::working_keys_of(pik).ok_or(sign_in_refused("form"))?;
        let mut transcript = Transcript::new();
        transcript.push(sign_in);
        let contexts = [transcript.context(), transcript.context_after(&[pik])];
        for (usage, block, context) in [("P0", pik, contexts[0]), (S::MAK, mak, contexts[1])] {
            // What the block must say is known to the last letter, so this is opening it and comparing everything.
            let right = terms::working_block(usage, tmk, place, context, keys);
            let same = |found: &str| {
                let without = |text: &str| text.replace(&context_in(text), "");
                *found == right
                    || self.rules.has(Fault::IgnoreWorkingContext) && without(found) == without(&right)
            };
            if !same(block) {
                return Err(sign_in_refused("a block does not open, or not here and now"));
            }
        }
        let mac = S::mac(Word::Ok, keys, fresh);
        self.proved = Some(terms::sign_in_mark(keys));
        self.open = Open::Opened { keys, mac };
        Ok(mac)
    }

    fn sign_in_done(&mut self, confirm: &Frame, done: &Frame) -> Result<Vec<Kcv>, SignInRefusal> {
        let Begun { place, session, sign_in_with, .. } = self.begun;
        let (Open::Opened { keys, mac }, Some((_, newest))) = (self.step(), sign_in_with) else {
            return Err(sign_in_refused("order"));
        };
        let said = SignInConfirm::<S>::read(confirm).map_err(|_| sign_in_refused("form"))?;
        let SignedIn { mac: theirs } = SignedIn::<S>::read(done).map_err(|_| sign_in_refused("form"))?;
        let right = S::mac(Word::Done, keys, S::fresh(place.terminal, session));
        let right = theirs.as_ref() == right.as_ref() || self.rules.has(Fault::AnySignInDone);
        if said.mac.as_ref() != mac.as_ref() || !right {
            return Err(SignInRefusal::ServerNotProven { why: "MAC".into() });
        }
        // The older TMK working says nothing of the newer.
        self.write = newest.then_some(Write::Worked);
        Ok(vec![S::check_value([1, 0, keys.0]), S::check_value([2, 0, keys.0])])
    }

    fn sign_in_forget(&mut self) {
        self.open = Open::Idle;
    }
}

/// The context in a working key's block.
fn context_in(block: &str) -> String {
    block.rsplit(' ').nth(1).unwrap_or_default().to_owned()
}

fn refused(why: &str) -> PadRefusal {
    PadRefusal::KeyRefused { why: why.into() }
}

fn not_permitted() -> PadRefusal {
    PadRefusal::NotPermitted { why: "order".into() }
}

fn sign_in_refused(why: &str) -> SignInRefusal {
    SignInRefusal::KeyRefused { why: why.into() }
}
