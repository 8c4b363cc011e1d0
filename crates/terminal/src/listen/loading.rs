//! A KLD loads a key (flow B).

use flows::local_load::terminal::Connect;
use flows::local_load::{Fault, LoadPad, LoadSuite, Reason};
use flows::{EcAes, Tdes, suite};
use pki::Role;
use wire::{Frame, Suite};

use super::{Ended, Event, Line};
use crate::certificate::{self, CertifiedKey, LOADING};
use crate::{PinPad, Terminal};

/// Serves a loading that began with this KLD_CONNECT, in the suite that it names; a suite that nobody has is refused by
/// the roles of suite 01.
pub(super) fn serve<P: PinPad>(
    terminal: &mut Terminal<P>,
    line: &mut Line<'_>,
    frame: &Frame,
) -> Result<Event, Ended> {
    match suite::asked(frame) {
        Suite::EC_AES => serve_in::<EcAes, P>(terminal, line, frame),
        _ => serve_in::<Tdes, P>(terminal, line, frame),
    }
}

/// The order of the checks is that of collecting: sensors and life cycle (0008), certificate (000D), suite (0009).
fn serve_in<S: LoadSuite, P: PinPad + LoadPad<S>>(
    terminal: &mut Terminal<P>,
    line: &mut Line<'_>,
    frame: &Frame,
) -> Result<Event, Ended>
where
    <P as LoadPad<S>>::Key: CertifiedKey,
{
    let connect = Connect::<S>::read_of(frame)?;
    terminal.pad.check_loading().map_err(Fault::from)?;
    let at = terminal.time().map_err(|error| Fault::from(Reason::Internal { why: error.to_string() }))?;
    let key: <P as LoadPad<S>>::Key = match certificate::key(
        connect.chain(),
        Role::Downloader,
        LOADING,
        (&mut terminal.device, &terminal.vault),
        at,
    ) {
        Ok(key) => key,
        Err(refused) => {
            terminal.pad.refuse("certificate", &refused.text);
            return Err(Ended::of(&connect.refused(refused.why), Some(refused.text)));
        }
    };
    let device = terminal.device().clone();
    let (accept, expect_key) = connect.accept(&mut terminal.pad, &device, &key)?;
    line.link.send(&accept)?;
    let key = line.receive::<_, Reason>(&mut terminal.pad)?;
    let (confirm, expect_done) = expect_key.on_frame(&mut terminal.pad, &key)?;
    line.link.send(&confirm)?;
    let done = line.receive::<_, Reason>(&mut terminal.pad)?;
    let finished = expect_done.on_frame(&mut terminal.pad, &done)?;
    Ok(Event::Loaded { kcv: finished.kcv() })
}
