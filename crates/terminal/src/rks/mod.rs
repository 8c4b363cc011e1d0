//! Fetching keys from the RKS: drives the device's role of flow C over a link, as often as its set needs, in the suite of
//! its DIK2.

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use flows::rks_load::device::{ExpectCert, Start};
use flows::rks_load::messages::RksKeys;
use flows::rks_load::{Fault, IdentityPad, Reason, RksSuite};
use flows::{EcAes, Tdes};
use pki::Role;
use wire::{Frame, Kcv, Slot, Suite};

use crate::certificate::{self, CertifiedKey, SERVING};
use crate::conversation::{FlowError, Stop, receive, records_since, unreported};
use crate::{Link, LinkError, PinPad, Stream, Terminal};

/// Most runs of the flow for one set: 100 slots with four keys each fit into far fewer, and a server that always says
/// `more` does not keep a terminal busy for ever.
pub const MAX_RUNS: usize = 32;

/// Keys that arrived.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RksLoaded {
    /// Check values, in the order in which the keys came, over all runs.
    pub kcvs: Vec<Kcv>,
    /// How often the flow ran.
    pub runs: usize,
}

/// Why not every key arrived. What came before is in its slots.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RksError {
    /// The flow ended.
    #[error(transparent)]
    Flow(#[from] FlowError<Reason>),
    /// No slot was asked for.
    #[error("name at least one slot to be filled")]
    NothingWanted,
    /// The server says that this is all, and it is not.
    #[error("the server has no key for {}: ask its operators to provide it", list(.missing))]
    Incomplete {
        /// The slots without a new key.
        missing: Vec<Slot>,
    },
    /// The server never came to an end.
    #[error("the server brought no end in {MAX_RUNS} runs; {} is missing", list(.missing))]
    TooManyRuns {
        /// The slots without a new key.
        missing: Vec<Slot>,
    },
}

/// A suite in which a device fetches keys: who serves them.
pub(crate) trait Served: RksSuite {
    /// The role of the server's certificate.
    const ROLE: Role;
}

impl Served for Tdes {
    const ROLE: Role = Role::RksWork;
}

impl Served for EcAes {
    const ROLE: Role = Role::RksSigning;
}

/// Fetches keys until each of these slots has one of this call, running the flow again where the server has more. Its
/// own set says when it is complete, since nothing proves the server's `more`. The server is believed by its RKS
/// certificate, and by knowing this device's DIK2, whose suite is that of the download.
///
/// # Errors
/// [`RksError`]; the link is closed then. What had arrived stays; the next call goes on.
pub fn rks_load<P: PinPad, S: Stream>(
    terminal: &mut Terminal<P>,
    link: Link<S>,
    wanted: &[Slot],
) -> Result<(RksLoaded, Link<S>), RksError> {
    match terminal.pad.identity_suite() {
        Suite::EC_AES => load_in::<EcAes, P, S>(terminal, link, wanted),
        _ => load_in::<Tdes, P, S>(terminal, link, wanted),
    }
}

fn load_in<C: Served, P: PinPad + IdentityPad<C>, S: Stream>(
    terminal: &mut Terminal<P>,
    mut link: Link<S>,
    wanted: &[Slot],
) -> Result<(RksLoaded, Link<S>), RksError>
where
    <P as IdentityPad<C>>::Key: CertifiedKey,
{
    let mut missing: BTreeSet<Slot> = wanted.iter().copied().collect();
    let Some(mut next) = missing.first().copied() else {
        return Err(RksError::NothingWanted);
    };
    let mut loaded = RksLoaded { kcvs: Vec::new(), runs: 0 };
    while loaded.runs < MAX_RUNS {
        let before = terminal.pad.refusals().total();
        let (refusals, known) = unreported(&terminal.pad);
        let start = Start::<C>::of(terminal.device().clone(), next).with_refusals(refusals);
        // A refusal here is between terminal and PIN pad: nothing was said in this run, so nothing is answered.
        let begun = start.begin(&mut terminal.pad).map_err(FlowError::of)?;
        let run = match run::<C, P, S>(terminal, &mut link, begun) {
            Ok(run) => {
                // What cannot be remembered is told once more at the next contact.
                let _ = terminal.pad.reported(known);
                run
            }
            Err(stop) => {
                IdentityPad::<C>::forget(&mut terminal.pad);
                let records = records_since(&terminal.pad, before);
                return Err(stop.tell(link, &records).into());
            }
        };
        loaded.runs += 1;
        loaded.kcvs.extend(run.kcvs);
        missing.retain(|slot| !run.slots.contains(slot));
        match missing.first() {
            None if !run.more => return Ok((loaded, link)),
            // More than was asked for: it belongs to the set that the acquirer decided.
            None => {}
            Some(_) if !run.more => {
                link.close();
                return Err(RksError::Incomplete { missing: missing.into_iter().collect() });
            }
            Some(slot) => next = *slot,
        }
    }
    link.close();
    Err(RksError::TooManyRuns { missing: missing.into_iter().collect() })
}

/// What one run brought.
struct Run {
    kcvs: Vec<Kcv>,
    slots: Vec<Slot>,
    more: bool,
}

fn run<C: Served, P: PinPad + IdentityPad<C>, S: Stream>(
    terminal: &mut Terminal<P>,
    link: &mut Link<S>,
    (auth, expect_cert): (Frame, ExpectCert<C>),
) -> Result<Run, Stop<Reason>>
where
    <P as IdentityPad<C>>::Key: CertifiedKey,
{
    link.send(&auth)?;
    let frame = receive(link, &mut terminal.pad)?;
    let cert = expect_cert.on_frame(&mut terminal.pad, &frame)?;
    let at = terminal.time().map_err(|error| Fault::from(Reason::Internal { why: error.to_string() }))?;
    let checked =
        certificate::key(cert.chain(), C::ROLE, SERVING, (&mut terminal.device, &terminal.vault), at);
    let key: <P as IdentityPad<C>>::Key = match checked {
        Ok(key) => key,
        Err(refused) => {
            terminal.pad.refuse("certificate", &refused.text);
            return Err(cert.refused(&mut terminal.pad, refused.why).into());
        }
    };
    let (factor, expect_token) = cert.factor(&mut terminal.pad, &key)?;
    link.send(&factor)?;
    let token = receive(link, &mut terminal.pad)?;
    let (proof, expect_keys) = expect_token.on_frame(&mut terminal.pad, &token)?;
    link.send(&proof)?;
    let keys = receive(link, &mut terminal.pad)?;
    let (confirm, expect_done) = expect_keys.on_frame(&mut terminal.pad, &keys)?;
    let slots = slots_of::<C>(&keys, terminal.device().pin_pad().as_str());
    link.send(&confirm)?;
    let done = receive(link, &mut terminal.pad)?;
    let finished = expect_done.on_frame(&mut terminal.pad, &done)?;
    Ok(Run { kcvs: finished.kcvs().to_vec(), slots, more: finished.more() })
}

/// The slots that got a TMK: the PIN pad has opened every block, so their places are true.
fn slots_of<C: RksSuite>(keys: &Frame, pin_pad: &str) -> Vec<Slot> {
    let blocks = RksKeys::read::<C>(keys).map(|keys| keys.blocks).unwrap_or_default();
    let slot = |block: &String| {
        let (header, _) = keyblock::Header::parse(block).ok()?;
        let place = header.optional.first()?.text().strip_prefix(pin_pad)?.strip_prefix('/')?.parse().ok();
        place.and_then(|index: u8| Slot::new(index).ok())
    };
    blocks.iter().filter(|block| block.get(5..7) == Some("K1")).filter_map(slot).collect()
}

fn list(slots: &[Slot]) -> String {
    let slots: Vec<_> = slots.iter().map(|slot| format!("slot {slot}")).collect();
    if slots.is_empty() { "nothing".into() } else { slots.join(", ") }
}

impl From<LinkError> for RksError {
    fn from(error: LinkError) -> RksError {
        RksError::Flow(error.into())
    }
}
