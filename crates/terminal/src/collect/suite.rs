//! What differs from suite to suite when a terminal is collected: the key that is accepted, and how the PIN pad answers.

use flows::collect::messages::Collected;
use flows::collect::terminal::Ask;
use flows::collect::{CollectSuite, Reason};
use flows::{EcAes, Suite as _, Tdes};

use super::accept::{accept, accept_point};
use super::answer::Refusal;
use crate::pad::Asked;
use crate::refusals::ChainedRefusal;
use crate::self_test::Failed;
use crate::{Collector, Latch, PinPad, Terminal};

/// A suite in which a terminal is collected.
pub(crate) trait TerminalSuite: CollectSuite {
    /// What a COLLECT gets, for whom, and whether the same certificate had asked before.
    ///
    /// # Errors
    /// [`Refusal`], with the code of 2-wire.md section 8.
    fn decided<P: PinPad>(
        terminal: &mut Terminal<P>,
        ask: &Ask<Self>,
    ) -> Result<(Collected<Self>, Collector, bool), Refusal>;
}

impl TerminalSuite for Tdes {
    fn decided<P: PinPad>(
        terminal: &mut Terminal<P>,
        ask: &Ask,
    ) -> Result<(Collected, Collector, bool), Refusal> {
        terminal.pad.check_tk()?;
        let (latch, again) = match terminal.pad.latch() {
            Some(latch) if latch.digest == ask.digest() => {
                // Proven when it was latched, so it may be told.
                check_suite(ask)?;
                if latch.signed.is_some() {
                    return Err(Reason::SuiteNotSupported { suite: ask.suite() }.into());
                }
                (latch.clone(), true)
            }
            Some(_) => return Err(Reason::OtherCertificate.into()),
            None => (make(terminal, ask)?, false),
        };
        let collected = Collected {
            device: terminal.device().clone(),
            vendor: terminal.device.vendor.clone(),
            model: terminal.device.model.clone(),
            ctk_pu: latch.ctk_pu,
            maker: (),
            refusals: latch.refusals.iter().map(ChainedRefusal::fields).collect(),
        };
        Ok((collected, latch.collector, again))
    }
}

impl TerminalSuite for EcAes {
    fn decided<P: PinPad>(
        terminal: &mut Terminal<P>,
        ask: &Ask<EcAes>,
    ) -> Result<(Collected<EcAes>, Collector, bool), Refusal> {
        terminal.pad.check_tk()?;
        let latched = terminal.pad.latch().map(|latch| latch.digest);
        if latched.is_some_and(|digest| digest != ask.digest()) {
            return Err(Reason::OtherCertificate.into());
        }
        let at = terminal.time().map_err(|error| Reason::Internal { why: error.to_string() })?;
        let key = accept_point(ask, (&mut terminal.device, &terminal.vault), at)?;
        if latched.is_none() {
            run_self_test(terminal)?;
        }
        let device = terminal.device().clone();
        let (vendor, model) = (terminal.device.vendor.clone(), terminal.device.model.clone());
        let asked =
            Asked { collect: ask.frame(), device: &device, vendor: vendor.as_ref(), model: model.as_ref() };
        let signed = terminal.pad.make_tk_ec(&key, &asked)?;
        let collected = Collected::read(&signed.frame).map_err(|error| Reason::Internal {
            why: format!("what the PIN pad signed is no COLLECTED: {error}"),
        })?;
        Ok((collected, key.collector, latched.is_some()))
    }
}

fn make<P: PinPad>(terminal: &mut Terminal<P>, ask: &Ask) -> Result<Latch, Refusal> {
    let at = terminal.time().map_err(|error| Reason::Internal { why: error.to_string() })?;
    let key = accept(ask, (&mut terminal.device, &terminal.vault), at)?;
    check_suite(ask)?;
    run_self_test(terminal)?;
    Ok(terminal.pad.make_tk(&key)?)
}

fn run_self_test<P: PinPad>(terminal: &mut Terminal<P>) -> Result<(), Refusal> {
    match terminal.device.settings.self_test.run(&mut terminal.interface) {
        Ok(()) => Ok(()),
        Err(Failed { check, why }) => {
            terminal.pad.refuse(check, &why);
            Err(Reason::NotPermitted { why: format!("self test, {check}: {why}") }.into())
        }
    }
}

/// A suite that nobody has is read like suite 01, and refused once the asker is proven.
fn check_suite(ask: &Ask) -> Result<(), Reason> {
    let suite = ask.suite();
    if suite == Tdes::ID { Ok(()) } else { Err(Reason::SuiteNotSupported { suite }) }
}
