//! Loading one terminal: for each key of the run one flow B, all on one connection.

use std::sync::Arc;

use flows::local_load::{
    Reason,
    kld::{Accept, Confirm, ExpectConfirm, Start},
};
use hsm::{
    HsmError, Refusal,
    commands::{Load, LoadTerminal, Loaded},
};
use wire::{Device, ErrorCode, Frame, Kcv, Serial};

use super::{
    Kld, KldError, Listed, LoadFault, Run, What,
    device::Downloader,
    event::{Event, Handed},
    run::History,
};
use crate::{BothCards, Checks, clock, link::Link, text::printable};

/// A terminal that has all its keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoadedTerminal {
    /// Which.
    pub terminal: Listed,
    /// Each key, and the check value that the terminal shows too.
    pub keys: Vec<(What, Kcv)>,
}

/// A terminal that was not loaded, or not with everything. Its `Display` says why, and what to do next.
#[derive(Debug)]
pub struct LoadFailure {
    /// Which, if it came so far.
    pub terminal: Option<Listed>,
    /// Whether a key had left for it: then it counts as served, and is not served again in this run.
    pub served: bool,
    /// Why.
    pub fault: Box<LoadFault>,
}

impl std::fmt::Display for LoadFailure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if let Some(terminal) = &self.terminal {
            write!(f, "{terminal}  ")?;
        }
        write!(f, "FAILED: {} -> {}", self.fault, self.fault.advice())?;
        if self.served { f.write_str(" (it counts as served)") } else { Ok(()) }
    }
}

impl Kld {
    /// Loads the terminal that `connect` reaches with every key of the run. Cards and certificate are checked before it
    /// connects, and the cards again before each key.
    ///
    /// # Errors
    /// [`LoadFailure`], which the run's journal has too.
    pub fn load(
        &mut self,
        run: &mut Run,
        cards: &BothCards,
        checks: &Checks,
        expected: Option<&Serial>,
        connect: impl FnOnce() -> Result<Link, LoadFault>,
    ) -> Result<LoadedTerminal, LoadFailure> {
        let early = |fault: LoadFault| LoadFailure { terminal: None, served: false, fault: Box::new(fault) };
        let mut ready = || -> Result<_, LoadFault> {
            run.check_open()?;
            cards.check().map_err(LoadFault::Cards)?;
            self.hsm()?;
            let (downloader, history) = (self.downloader(checks)?, self.history(run)?);
            Ok((downloader, history, self.exchange()?.1))
        };
        // What the KLD itself lacks is no failure of a terminal: nothing of it goes into the journal.
        let (downloader, history, exchange) = ready().map_err(early)?;
        let link = match connect() {
            Ok(link) => link,
            Err(fault) => return Err(failed(run, None, fault)),
        };
        let mut session = Session {
            kld: self,
            run,
            cards,
            downloader,
            history,
            exchange,
            expected,
            link,
            device: None,
            handed: None,
        };
        match session.serve() {
            Ok(loaded) => Ok(loaded),
            Err(fault) => {
                let Session { run, link, device, handed, .. } = session;
                let terminal = device.as_ref().map(Listed::from);
                if let (Some(what), Some(terminal)) = (handed, &terminal)
                    && (fault.is_the_terminals() || matches!(fault, LoadFault::Flow(Reason::WrongCheckValue)))
                {
                    let event = Event::NotLoaded { at: clock::now(), sn: terminal.sn.clone(), what };
                    // Without it the key stays as one of which nobody knows, which is true as well.
                    let _ = run.say(&event);
                }
                if let Some(code) = code_for_peer(&fault) {
                    link.end_with(code);
                }
                Err(failed(run, terminal, fault))
            }
        }
    }
}

/// One connection to one terminal.
struct Session<'a> {
    kld: &'a mut Kld,
    run: &'a mut Run,
    cards: &'a BothCards,
    downloader: Downloader,
    history: Arc<History>,
    exchange: hsm::KeyBlock,
    expected: Option<&'a Serial>,
    link: Link,
    /// Who is at the other end, once it said so.
    device: Option<Device>,
    /// The key that left and is not settled yet.
    handed: Option<What>,
}

impl Session<'_> {
    fn serve(&mut self) -> Result<LoadedTerminal, LoadFault> {
        let mut keys = Vec::new();
        let mut terminal = None;
        for what in self.run.tally.opened.what.clone() {
            self.cards.check().map_err(LoadFault::Cards)?;
            let above = self.downloader.above.iter().map(|certificate| certificate.der().to_vec());
            let start = Start::new(self.downloader.leaf.der().to_vec(), above.collect());
            let (connect, expect_accept) = start.begin().map_err(flow)?;
            let frame = self.ask(&connect)?;
            let accept = self.admit(expect_accept.on_frame(&frame).map_err(flow)?)?;
            let device = accept.device().clone();
            let kcv = self.one_key(accept, &device, &what)?;
            keys.push((what, kcv));
            terminal = Some(Listed::from(&device));
        }
        terminal.map(|terminal| LoadedTerminal { terminal, keys }).ok_or(KldError::NothingToLoad.into())
    }

    /// Whether this terminal may be served.
    fn admit(&mut self, accept: Accept) -> Result<Accept, LoadFault> {
        let found = accept.device().sn().clone();
        match &self.device {
            Some(first) if first == accept.device() => return Ok(accept),
            Some(first) => return Err(LoadFault::Changed { expected: first.sn().clone(), found }),
            None => self.device = Some(accept.device().clone()),
        }
        let terminal = Listed::from(accept.device());
        if self.run.tally.is_served(&terminal) {
            let why = format!("{terminal} came, whose serial had been served");
            self.run.say(&Event::Stopped { at: clock::now(), terminal, why })?;
            return Err(accept.already_served().reason.into());
        }
        match self.expected {
            Some(expected) if *expected != found => {
                return Err(LoadFault::OtherSerial { expected: expected.clone(), found });
            }
            _ => {}
        }
        if self.run.tally.is_listed(&terminal) {
            return Ok(accept);
        }
        // 0008, as 2-wire.md section 8 has it for a serial that is not in the run, known from elsewhere or not.
        Err(accept.not_in_run().reason.into())
    }

    /// From KLD_ACCEPT to DONE.
    fn one_key(&mut self, accept: Accept, device: &Device, what: &What) -> Result<Kcv, LoadFault> {
        let terminal = Listed::from(device);
        let command = self.command(&accept, &terminal, what)?;
        self.cards.check().map_err(LoadFault::Cards)?;
        let Loaded { c_ctmk_rnd2, kcv, escrow, .. } = match self.kld.hsm()?.call(command) {
            Ok(loaded) => loaded,
            Err(HsmError::Refused(Refusal::FromTerminal { defect })) => {
                return Err(accept.randoms_refused(defect).reason.into());
            }
            Err(error) => return Err(LoadFault::Hsm(error)),
        };
        let kcv = Kcv::Tdes(kcv);
        let escrow = escrow.ok_or(LoadFault::Hsm(HsmError::WrongReply("LoadTerminal")))?;
        let (key, expect_confirm) = accept.deliver(&c_ctmk_rnd2, kcv).map_err(flow)?;

        let handed = Handed { what: what.clone(), kcv: kcv.to_string(), escrow };
        self.run.say(&Event::HandedOut { at: clock::now(), terminal: terminal.clone(), key: handed })?;
        self.handed = Some(what.clone());
        // Nothing is left of a key that was given for this place: the KMS has it, and gets it back with the report.
        self.kld.forget(terminal.pin_pad(), what)?;

        let frame = self.ask(&key)?;
        let done = self.confirmed(expect_confirm, &frame, &terminal, what)?;
        self.link.send(&done)?;
        Ok(kcv)
    }

    /// KEY_CONFIRM came. The journal has it before DONE leaves.
    fn confirmed(
        &mut self,
        state: ExpectConfirm,
        frame: &Frame,
        terminal: &Listed,
        what: &What,
    ) -> Result<Frame, LoadFault> {
        match state.on_frame(frame).map_err(flow)?.compare() {
            Confirm::Opened(confirmed) => {
                let (sn, what) = (terminal.sn.clone(), what.clone());
                self.run.say(&Event::Confirmed { at: clock::now(), sn, what })?;
                self.handed = None;
                confirmed.done().map_err(flow)
            }
            Confirm::WrongCheckValue(fault) => Err(fault.reason.into()),
        }
    }

    fn command(&self, accept: &Accept, terminal: &Listed, what: &What) -> Result<LoadTerminal, LoadFault> {
        let given = || self.kld.given(terminal.pin_pad(), what.slot());
        let load = match what {
            What::Tmk { slot } => {
                let avoid = self.history.check_values(terminal.pin_pad(), what);
                Load::Tmk { slot: *slot, held: given(), avoid }
            }
            What::Dmk => Load::Dmk { held: given() },
            What::Dik2 { label } => {
                let (_, dik1) = self.kld.dik1(label.as_deref())?;
                Load::Dik2 { dik1: dik1.clone(), dsn: terminal.sn.clone(), factor: None }
            }
        };
        Ok(LoadTerminal {
            work_key: self.downloader.private.clone(),
            c_rnd1_rnd2: accept.c_rnd1_rnd2().to_vec(),
            pin_pad: terminal.pin_pad().to_owned(),
            owner: self.kld.owner().to_owned(),
            context: *accept.context().as_bytes(),
            load,
            escrow_under: Some(self.exchange.clone()),
        })
    }

    fn ask(&mut self, frame: &Frame) -> Result<Frame, LoadFault> {
        self.link.send(frame)?;
        Ok(self.link.receive()?)
    }
}

/// A fault of the flow, without its code: the reason has it.
fn flow(fault: flows::local_load::Fault) -> LoadFault {
    fault.reason.into()
}

/// What the terminal is told, if anything.
fn code_for_peer(fault: &LoadFault) -> Option<ErrorCode> {
    use crate::link::LinkError;
    use flows::HasCode;
    match fault {
        _ if fault.is_the_terminals() => None,
        LoadFault::Flow(reason) => Some(reason.code()),
        LoadFault::OtherSerial { .. } => Some(ErrorCode::UnknownTerminal),
        LoadFault::Changed { .. } | LoadFault::Cards(_) => Some(ErrorCode::NotPermittedNow),
        LoadFault::Kld(_) | LoadFault::Hsm(_) => Some(ErrorCode::Internal),
        LoadFault::Link(LinkError::Timeout) => Some(ErrorCode::Timeout),
        LoadFault::Link(LinkError::Malformed(malformed)) => Some(malformed.code()),
        LoadFault::Link(_) => None,
    }
}

/// Writes the failure down.
fn failed(run: &mut Run, terminal: Option<Listed>, fault: LoadFault) -> LoadFailure {
    let served = terminal.as_ref().is_some_and(|terminal| run.tally.is_served(terminal));
    if !matches!(fault, LoadFault::Flow(Reason::AlreadyServed { .. })) {
        let why = printable(&fault.to_string());
        let event = Event::Failed { at: clock::now(), terminal: terminal.clone(), code: fault.code(), why };
        // A journal that takes no more lines has told so at the key, or will at the next.
        let _ = run.say(&event);
    }
    LoadFailure { terminal, served, fault: Box::new(fault) }
}
