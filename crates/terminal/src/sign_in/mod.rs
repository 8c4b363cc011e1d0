//! Signing in: drives the terminal's role of flow F over a link.

#[cfg(test)]
mod tests;

use flows::sign_in::terminal::{ExpectKeys, Start};
use flows::sign_in::{Reason, SignInPad, SignInSuite};
use flows::{EcAes, Tdes};
use wire::{ErrorCode, Frame, Kcv, Slot, Suite};

use crate::conversation::{FlowError, Stop, receive, records_since};
use crate::{Link, PinPad, Stream, Terminal};

/// With which TMK of a slot a terminal signs in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tmk {
    /// The one that came last.
    Newest,
    /// One before it, which the terminal keeps until the newest has worked once, or its DONE was verified: for a host that
    /// does not know the newest, because its download was cut.
    Previous,
}

/// A sign-in that is complete.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedIn {
    /// Whose working keys these are.
    pub slot: Slot,
    /// Check values of PIK, MAK and, where there is one, TDK.
    pub kcvs: Vec<Kcv>,
    /// The TMK that brought them.
    pub tmk: Tmk,
}

/// Why a sign-in came to nothing. The working keys before it stay in use, and stay valid at the host until a sign-in is
/// confirmed: try again.
pub type SignInError = FlowError<Reason>;

/// Signs in with the newest TMK of this slot and, where the host does not know that one (0006), with those before it:
/// both sides close after an ERROR, so `connect` is asked for a link each time. The suite is that of the TMK.
///
/// # Errors
/// [`SignInError`], or what `connect` says.
pub fn sign_in<P: PinPad, S: Stream, E: From<SignInError>>(
    terminal: &mut Terminal<P>,
    mut connect: impl FnMut() -> Result<Link<S>, E>,
    slot: Slot,
) -> Result<SignedIn, E> {
    let mut order = order(&terminal.pad, slot).into_iter();
    let mut next = order.next().unwrap_or(FIRST);
    let mut tmk = Tmk::Newest;
    loop {
        let error = match over(terminal, connect()?, slot, next, tmk) {
            Ok((signed_in, link)) => {
                link.close();
                return Ok(signed_in);
            }
            Err(error) => error,
        };
        let unknown = matches!(
            &error,
            FlowError::Refused(message) if message.code == ErrorCode::TerminalAuthenticationFailed.number()
        );
        match order.next() {
            Some(before) if unknown => (next, tmk) = (before, Tmk::Previous),
            _ => return Err(error.into()),
        }
    }
}

/// Signs in with this TMK over a link, and gives the link back for another flow after this one.
///
/// # Errors
/// [`SignInError`]; the link is closed then.
pub fn sign_in_over<P: PinPad, S: Stream>(
    terminal: &mut Terminal<P>,
    link: Link<S>,
    slot: Slot,
    tmk: Tmk,
) -> Result<(SignedIn, Link<S>), SignInError> {
    let order = order(&terminal.pad, slot);
    let attempt = match tmk {
        Tmk::Newest => order.first().copied().unwrap_or(FIRST),
        Tmk::Previous => order.get(1).copied().unwrap_or(NONE_BEFORE),
    };
    over(terminal, link, slot, attempt, tmk)
}

/// A TMK of a slot: its suite, and which attempt of that suite it is.
type Attempt = (Suite, u8);

/// Of a slot without a TMK: the PIN pad says so.
const FIRST: Attempt = (Suite::TDES, 0);
/// Of a slot with one TMK: the PIN pad says so.
const NONE_BEFORE: Attempt = (Suite::TDES, 1);

fn order(pad: &impl PinPad, slot: Slot) -> Vec<Attempt> {
    pad.sign_in_order(slot)
}

fn over<P: PinPad, S: Stream>(
    terminal: &mut Terminal<P>,
    link: Link<S>,
    slot: Slot,
    (suite, attempt): Attempt,
    tmk: Tmk,
) -> Result<(SignedIn, Link<S>), SignInError> {
    let (kcvs, link) = match suite {
        Suite::EC_AES => over_in::<EcAes, P, S>(terminal, link, slot, attempt),
        _ => over_in::<Tdes, P, S>(terminal, link, slot, attempt),
    }?;
    Ok((SignedIn { slot, kcvs, tmk }, link))
}

fn over_in<C: SignInSuite, P: PinPad + SignInPad<C>, S: Stream>(
    terminal: &mut Terminal<P>,
    mut link: Link<S>,
    slot: Slot,
    attempt: u8,
) -> Result<(Vec<Kcv>, Link<S>), SignInError> {
    let before = terminal.pad.refusals().total();
    // A refusal here is between terminal and PIN pad: nothing was said yet, so nothing is answered.
    let start = Start::<C>::of(terminal.device().clone(), slot, attempt);
    let begun = start.begin(&mut terminal.pad).map_err(FlowError::of)?;
    match run::<C, P, S>(terminal, &mut link, begun) {
        Ok(kcvs) => Ok((kcvs, link)),
        Err(stop) => {
            SignInPad::<C>::sign_in_forget(&mut terminal.pad);
            let records = records_since(&terminal.pad, before);
            Err(stop.tell(link, &records))
        }
    }
}

fn run<C: SignInSuite, P: PinPad + SignInPad<C>, S: Stream>(
    terminal: &mut Terminal<P>,
    link: &mut Link<S>,
    (sign_in, expect_keys): (Frame, ExpectKeys<C>),
) -> Result<Vec<Kcv>, Stop<Reason>> {
    link.send(&sign_in)?;
    let keys = receive(link, &mut terminal.pad)?;
    let (confirm, expect_done) = expect_keys.on_frame(&mut terminal.pad, &keys)?;
    link.send(&confirm)?;
    let done = receive(link, &mut terminal.pad)?;
    Ok(expect_done.on_frame(&mut terminal.pad, &done)?.kcvs().to_vec())
}
