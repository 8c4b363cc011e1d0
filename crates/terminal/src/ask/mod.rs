//! Being collected without a station: asks a KMS or MTMS to collect the TK (2-wire.md section 3, type 53).

#[cfg(test)]
mod tests;

use flows::collect::Reason;
use flows::collect::ask::terminal::{Offered, Start};
use flows::{EcAes, Tdes};

use crate::collect::{Refusal, TerminalSuite, decide};
use crate::conversation::{FlowError, Stop, receive};
use crate::{Link, PinPad, Stream, Terminal, collect::Answer};

/// Why the TK was not collected.
pub type AskError = FlowError<Reason>;

/// Asks over a link to the server's terminal port, answers its COLLECT as a station's, and waits for DONE: then the
/// server holds the TK. Gives the link back.
///
/// # Errors
/// [`AskError`]; the link is closed then. Ask again: the same certificate gets the same bytes.
pub fn ask_over<P: PinPad, S: Stream>(
    terminal: &mut Terminal<P>,
    mut link: Link<S>,
) -> Result<(Answer, Link<S>), AskError> {
    // In a state in which no TK is made or sent nothing is said on the line.
    terminal.pad.check_tk().map_err(|reason| FlowError::Fault { reason })?;
    // A PIN pad whose device key is certified is collected in suite 02.
    let ran = if terminal.pad.is_certified() {
        run::<EcAes, P, S>(terminal, &mut link)
    } else {
        run::<Tdes, P, S>(terminal, &mut link)
    };
    match ran {
        Ok(answer) => Ok((answer, link)),
        Err(Ended::Refused(refusal)) => {
            if let Some(error) = refusal.frame() {
                link.end_with(&error);
            }
            Err(FlowError::of(refusal.fault))
        }
        Err(Ended::Stopped(stop)) => Err(stop.tell(link, &[])),
    }
}

enum Ended {
    Refused(Refusal),
    Stopped(Stop<Reason>),
}

impl<E: Into<Stop<Reason>>> From<E> for Ended {
    fn from(stop: E) -> Ended {
        Ended::Stopped(stop.into())
    }
}

fn run<C: TerminalSuite, P: PinPad, S: Stream>(
    terminal: &mut Terminal<P>,
    link: &mut Link<S>,
) -> Result<Answer, Ended> {
    let (ask, expect_collect) = Start::<C>::of(terminal.device().clone()).begin()?;
    link.send(&ask)?;
    let offered: Offered<C> = expect_collect.on_frame(&receive(link, &mut terminal.pad)?)?;
    let (collected, collector, again) = decide(terminal, offered.ask()).map_err(Ended::Refused)?;
    let (frame, expect_done) = offered.answer(&collected)?;
    link.send(&frame)?;
    expect_done.on_frame(&receive(link, &mut terminal.pad)?)?;
    let known = terminal.pad.refusals().reported() + collected.refusals.len() as u64;
    if !again {
        // What cannot be remembered is told once more at the next contact.
        let _ = terminal.pad.reported(known);
    }
    Ok(Answer { frame, fingerprint: collected.fingerprint(), collector, again })
}
