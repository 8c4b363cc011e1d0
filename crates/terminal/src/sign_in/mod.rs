//! Signing in: drives the terminal's role of flow F over a link.

#[cfg(test)]
mod tests;

use flows::sign_in::Reason;
use flows::sign_in::terminal::{ExpectKeys, Start};
use wire::{ErrorCode, Frame, Kcv, Slot};

use crate::conversation::{FlowError, Stop, receive, records_since};
use crate::{Link, PinPad, Stream, Terminal};

/// With which TMK of a slot a terminal signs in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tmk {
    /// The one that came last.
    Newest,
    /// The one before it, which the terminal keeps until the newest has worked once: for a host that does not know the
    /// newest, because its download was cut.
    Previous,
}

impl Tmk {
    fn attempt(self) -> u8 {
        match self {
            Tmk::Newest => 0,
            Tmk::Previous => 1,
        }
    }
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

/// Signs in with the newest TMK of this slot and, where the host does not know that one (0006), with the one before it:
/// both sides close after an ERROR, so `connect` is asked for a link each time.
///
/// # Errors
/// [`SignInError`], or what `connect` says.
pub fn sign_in<P: PinPad, S: Stream, E: From<SignInError>>(
    terminal: &mut Terminal<P>,
    mut connect: impl FnMut() -> Result<Link<S>, E>,
    slot: Slot,
) -> Result<SignedIn, E> {
    let newest = match sign_in_over(terminal, connect()?, slot, Tmk::Newest) {
        Ok((signed_in, link)) => {
            link.close();
            return Ok(signed_in);
        }
        Err(error) => error,
    };
    let unknown = matches!(
        &newest,
        FlowError::Refused(message) if message.code == ErrorCode::TerminalAuthenticationFailed.number()
    );
    let has_previous =
        terminal.pad().slots().iter().any(|status| status.slot == slot && status.previous.is_some());
    if !unknown || !has_previous {
        return Err(newest.into());
    }
    let (signed_in, link) = sign_in_over(terminal, connect()?, slot, Tmk::Previous)?;
    link.close();
    Ok(signed_in)
}

/// Signs in with this TMK over a link, and gives the link back for another flow after this one.
///
/// # Errors
/// [`SignInError`]; the link is closed then.
pub fn sign_in_over<P: PinPad, S: Stream>(
    terminal: &mut Terminal<P>,
    mut link: Link<S>,
    slot: Slot,
    tmk: Tmk,
) -> Result<(SignedIn, Link<S>), SignInError> {
    let before = terminal.pad.refusals().total();
    // A refusal here is between terminal and PIN pad: nothing was said yet, so nothing is answered.
    let start = Start::new(terminal.device().clone(), slot, tmk.attempt());
    let begun = start.begin(&mut terminal.pad).map_err(FlowError::of)?;
    match run(terminal, &mut link, begun) {
        Ok(kcvs) => Ok((SignedIn { slot, kcvs, tmk }, link)),
        Err(stop) => {
            terminal.pad.sign_in_forget();
            let records = records_since(&terminal.pad, before);
            Err(stop.tell(link, &records))
        }
    }
}

fn run<P: PinPad, S: Stream>(
    terminal: &mut Terminal<P>,
    link: &mut Link<S>,
    (sign_in, expect_keys): (Frame, ExpectKeys),
) -> Result<Vec<Kcv>, Stop<Reason>> {
    link.send(&sign_in)?;
    let keys = receive(link, &mut terminal.pad)?;
    let (confirm, expect_done) = expect_keys.on_frame(&mut terminal.pad, &keys)?;
    link.send(&confirm)?;
    let done = receive(link, &mut terminal.pad)?;
    Ok(expect_done.on_frame(&mut terminal.pad, &done)?.kcvs().to_vec())
}
