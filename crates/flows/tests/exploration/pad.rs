//! An abstract PIN pad with the checks of the product's (`softpad` of the terminal), in its order: one open session, each
//! step tried once, its own Rnd1 and its own serial found in the frames, the context hashed from the frames themselves.
//!
//! It lives for one session. What it would write to disk it says, so that the exploration can write it, or let power
//! fail right after.

use keyferry_flows::{
    Loaded, PadRefusal as SignInRefusal, Tdes, Transcript,
    sign_in::{
        SignInPad,
        messages::{Mac, Rnd1 as SignInRnd1, SignIn, SignInConfirm, SignedIn, WorkingKeys},
    },
    tmk_download::{
        DownloadPad, PadRefusal,
        messages::{Done, KeyConfirm, Rnd1, TkChallenge, TkHello, TkKey, TkReply},
    },
};
use wire::{Frame, Kcv, Slot, Suite};

use crate::{
    disk::Write,
    faults::Fault,
    terms::{self, Connection, Eight, Place, Tmk, Word},
};

/// A PIN pad in one session.
#[derive(Debug)]
pub(crate) struct Pad {
    place: Place,
    rnd1: Eight,
    fault: Option<Fault>,
    /// The TMK to sign in with, and whether it is the newest.
    sign_in_with: Option<(Tmk, bool)>,
    open: Open,
    /// What the last step writes.
    pub(crate) write: Option<Write>,
    /// The Rnd2 that it answered in the last step.
    pub(crate) answered: Option<Eight>,
}

#[derive(Debug)]
enum Open {
    Idle,
    Started,
    Challenged { crnd2: Eight, transcript: Transcript },
    Keyed { tmk: Tmk },
    SignIn,
    Opened { keys: Connection, mac: Eight },
}

impl Pad {
    pub(crate) fn new(
        place: Place,
        session: u8,
        sign_in_with: Option<(Tmk, bool)>,
        fault: Option<Fault>,
    ) -> Pad {
        let rnd1 = terms::rnd1(place.terminal, session);
        Pad { place, rnd1, fault, sign_in_with, open: Open::Idle, write: None, answered: None }
    }

    /// Takes the open session out: a step that refuses ends it.
    fn step(&mut self) -> Open {
        (self.write, self.answered) = (None, None);
        std::mem::replace(&mut self.open, Open::Idle)
    }

    fn open_tmk(&self, transcript: &Transcript, text: &str) -> Result<Tmk, PadRefusal> {
        let opened = terms::open(text).ok_or(refused("form"))?;
        let in_time = opened.context == transcript.context().to_hex();
        if opened.tek != self.place.terminal {
            Err(refused("MAC"))
        } else if opened.place != self.place {
            Err(refused("place"))
        } else if !in_time && self.fault != Some(Fault::IgnoreContext) {
            Err(refused("context"))
        } else {
            Ok(opened.tmk)
        }
    }
}

impl DownloadPad for Pad {
    fn start(&mut self, slot: Slot) -> Result<Rnd1, PadRefusal> {
        self.step();
        if slot != self.place.slot() {
            return Err(not_permitted());
        }
        self.open = Open::Started;
        Ok(Rnd1(self.rnd1))
    }

    fn challenge(&mut self, hello: &Frame, challenge: &Frame) -> Result<TkReply, PadRefusal> {
        let Open::Started = self.step() else { return Err(not_permitted()) };
        let said = <TkHello>::read(hello).map_err(|_| not_permitted())?;
        let own = said.suite == Suite::TDES
            && said.device == self.place.device()
            && said.slot == self.place.slot()
            && said.opening == Rnd1(self.rnd1);
        if !own {
            return Err(not_permitted());
        }
        let TkChallenge { crnd1, rnd2 } = TkChallenge::read(challenge).map_err(|_| not_permitted())?;
        if crnd1 != terms::answer(self.place.terminal, self.rnd1) {
            return Err(PadRefusal::ServerNotProven);
        }
        let crnd2 = terms::answer(self.place.terminal, rnd2);
        let mut transcript = Transcript::new();
        transcript.push(hello);
        transcript.push(challenge);
        self.open = Open::Challenged { crnd2, transcript };
        self.answered = Some(rnd2);
        Ok(TkReply { crnd2 })
    }

    fn key(&mut self, reply: &Frame, key: &Frame) -> Result<Loaded, PadRefusal> {
        let Open::Challenged { crnd2, mut transcript } = self.step() else { return Err(not_permitted()) };
        if TkReply::read(reply).map_err(|_| not_permitted())?.crnd2 != crnd2 {
            return Err(not_permitted());
        }
        transcript.push(reply);
        let block = TkKey::read::<Tdes>(key).map_err(|_| not_permitted())?.block;
        let tmk = self.open_tmk(&transcript, &block)?;
        if self.fault != Some(Fault::KeepAtDone) {
            self.write = Some(Write::Take(tmk));
        }
        self.open = Open::Keyed { tmk };
        Ok(Loaded::of(vec![tmk.kcv()]))
    }

    fn done(&mut self, confirm: &Frame, done: &Frame) -> Result<(), PadRefusal> {
        let Open::Keyed { tmk } = self.step() else { return Err(not_permitted()) };
        if KeyConfirm::read(confirm).map_err(|_| not_permitted())?.kcvs != [tmk.kcv()] {
            return Err(not_permitted());
        }
        Done::read(done).map_err(|_| not_permitted())?;
        self.write = Some(match self.fault {
            Some(Fault::KeepAtDone) => Write::TakeAndFinish(tmk),
            _ => Write::Finish,
        });
        Ok(())
    }
}

impl SignInPad for Pad {
    fn sign_in_begin(&mut self, slot: Slot, attempt: u8) -> Result<(SignInRnd1, Kcv), SignInRefusal> {
        self.step();
        match self.sign_in_with {
            Some((tmk, newest)) if slot == self.place.slot() && newest == (attempt == 0) => {
                self.open = Open::SignIn;
                Ok((SignInRnd1(self.rnd1), tmk.kcv()))
            }
            _ => Err(sign_in_refused("no such TMK")),
        }
    }

    fn sign_in_keys(&mut self, sign_in: &Frame, keys: &Frame) -> Result<Mac<8>, SignInRefusal> {
        let (Open::SignIn, Some((tmk, _))) = (self.step(), self.sign_in_with) else {
            return Err(sign_in_refused("order"));
        };
        let said = <SignIn>::read(sign_in).map_err(|_| sign_in_refused("form"))?;
        let own = said.suite == Suite::TDES
            && said.device == self.place.device()
            && said.slot == self.place.slot()
            && (said.fresh.0, said.kcv) == (self.rnd1, tmk.kcv());
        if !own {
            return Err(sign_in_refused("another SIGN_IN"));
        }
        let blocks = WorkingKeys::read::<Tdes>(keys).map_err(|_| sign_in_refused("form"))?.blocks;
        let [pik, mak] = &blocks[..] else { return Err(sign_in_refused("two keys are wanted")) };
        let keys = terms::working_keys_of(pik).ok_or(sign_in_refused("form"))?;
        let mut transcript = Transcript::new();
        transcript.push(sign_in);
        let contexts = [transcript.context(), transcript.context_after(&[pik])];
        for (usage, block, context) in [("P0", pik, contexts[0]), ("M3", mak, contexts[1])] {
            // What the block must say is known to the last letter, so this is opening it and comparing everything.
            if *block != terms::working_block(usage, tmk, self.place, context, keys) {
                return Err(sign_in_refused("a block does not open, or not here and now"));
            }
        }
        let mac = terms::mac(Word::Ok, keys, self.rnd1);
        self.open = Open::Opened { keys, mac };
        Ok(Mac(mac))
    }

    fn sign_in_done(&mut self, confirm: &Frame, done: &Frame) -> Result<Vec<Kcv>, SignInRefusal> {
        let (Open::Opened { keys, mac }, Some((_, newest))) = (self.step(), self.sign_in_with) else {
            return Err(sign_in_refused("order"));
        };
        let said = <SignInConfirm>::read(confirm).map_err(|_| sign_in_refused("form"))?;
        let SignedIn { mac: theirs } = <SignedIn>::read(done).map_err(|_| sign_in_refused("form"))?;
        if said.mac.0 != mac || theirs.0 != terms::mac(Word::Done, keys, self.rnd1) {
            return Err(SignInRefusal::ServerNotProven { why: "MAC".into() });
        }
        // The older TMK working says nothing of the newer.
        self.write = newest.then_some(Write::Worked);
        Ok(vec![Kcv::Tdes([1, 0, keys.0]), Kcv::Tdes([2, 0, keys.0])])
    }

    fn sign_in_forget(&mut self) {
        self.open = Open::Idle;
    }
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
