//! Loading one terminal: for each key of the run one flow B, all on one connection.

use std::sync::Arc;

use flows::{
    Chain, EcAes, Tdes,
    local_load::{
        Reason,
        kld::{Accept, Start},
    },
};
use wire::{Device, ErrorCode, Frame, Kcv, Serial, Suite};

use super::{
    Kld, KldError, Listed, LoadFault, Run, What,
    device::Downloader,
    event::{Event, Handed},
    run::History,
    suite::{KldSuite, Made, Order, known},
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
        match run.suite() {
            Suite::TDES => self.load_in::<Tdes>(run, cards, checks, expected, connect),
            Suite::EC_AES => self.load_in::<EcAes>(run, cards, checks, expected, connect),
            other => {
                let fault = LoadFault::Kld(KldError::Suite { suite: other });
                Err(LoadFailure { terminal: None, served: false, fault: Box::new(fault) })
            }
        }
    }

    fn load_in<S: KldSuite>(
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
            let (downloader, history) = (self.downloader(known(S::ID)?, checks)?, self.history(run)?);
            Ok((downloader, history, self.exchange(S::ID)?.1))
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
            checks,
            downloader,
            history,
            exchange,
            expected,
            link,
            device: None,
            device_key: None,
            handed: None,
        };
        match session.serve::<S>() {
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
    checks: &'a Checks,
    downloader: Downloader,
    history: Arc<History>,
    exchange: hsm::KeyBlock,
    expected: Option<&'a Serial>,
    link: Link,
    /// Who is at the other end, once it said so.
    device: Option<Device>,
    /// The device key that it proved to have, where the suite has one.
    device_key: Option<String>,
    /// The key that left and is not settled yet.
    handed: Option<What>,
}

impl Session<'_> {
    fn serve<S: KldSuite>(&mut self) -> Result<LoadedTerminal, LoadFault> {
        let mut keys = Vec::new();
        let mut terminal = None;
        for what in self.run.tally.opened.what.clone() {
            self.cards.check().map_err(LoadFault::Cards)?;
            let above = self.downloader.above.iter().map(|certificate| certificate.der().to_vec());
            let chain = Chain { leaf: self.downloader.leaf.der().to_vec(), intermediates: above.collect() };
            let (opening, ticket) = S::open(self.kld)?;
            let (connect, expect_accept) = Start::<S>::of(chain, opening).begin().map_err(flow)?;
            let frame = self.ask(&connect)?;
            let accept = expect_accept.on_frame(&frame).map_err(flow)?;
            let device_key = self.admit(&accept)?;
            let device = accept.device().clone();
            let kcv = self.one_key(accept, ticket, device_key, &device, &what)?;
            keys.push((what, kcv));
            terminal = Some(Listed::from(&device));
        }
        terminal.map(|terminal| LoadedTerminal { terminal, keys }).ok_or(KldError::NothingToLoad.into())
    }

    /// Whether this terminal may be served. Gives the device key that it proved to have, where the suite has one.
    fn admit<S: KldSuite>(&mut self, accept: &Accept<S>) -> Result<Option<String>, LoadFault> {
        let sn = || accept.device().sn().clone();
        match &self.device {
            Some(first) if first == accept.device() => {
                let device_key = S::check_device(accept, self.checks)?;
                let same = device_key == self.device_key;
                return if same { Ok(device_key) } else { Err(Reason::DeviceNotProven.into()) };
            }
            Some(first) => return Err(LoadFault::Changed { expected: first.sn().clone(), found: sn() }),
            None => self.device = Some(accept.device().clone()),
        }
        // Before anything that its serial would do: whoever has not proved a serial stops no run with it.
        let device_key = S::check_device(accept, self.checks)?;
        self.device_key.clone_from(&device_key);
        let terminal = Listed::from(accept.device());
        // Where a device key proved the PIN pad, the serial beside it is still what an application says: of another PIN pad
        // than the one served it is worth nothing.
        let served = match &device_key {
            Some(_) => self.run.tally.is_served_pin_pad(&terminal),
            None => self.run.tally.is_served(&terminal),
        };
        if served {
            if device_key.as_ref().is_some_and(|key| self.run.tally.is_served_device(&terminal, key)) {
                return Err(LoadFault::CameAgain { sn: sn() });
            }
            let why = format!("{terminal} came, whose serial had been served");
            self.run.say(&Event::Stopped { at: clock::now(), terminal, why })?;
            return Err(Reason::AlreadyServed { sn: sn() }.into());
        }
        match self.expected {
            Some(expected) if expected != accept.device().sn() => {
                return Err(LoadFault::OtherSerial { expected: expected.clone(), found: sn() });
            }
            _ => {}
        }
        if self.run.tally.is_listed(&terminal) {
            return Ok(device_key);
        }
        // 0008, as 2-wire.md section 8 has it for a serial that is not in the run, known from elsewhere or not.
        Err(Reason::NotInRun { sn: sn() }.into())
    }

    /// From KLD_ACCEPT to DONE.
    fn one_key<S: KldSuite>(
        &mut self,
        accept: Accept<S>,
        ticket: S::Ticket,
        device_key: Option<String>,
        device: &Device,
        what: &What,
    ) -> Result<Kcv, LoadFault> {
        let terminal = Listed::from(device);
        self.cards.check().map_err(LoadFault::Cards)?;
        let order = Order {
            downloader: &self.downloader,
            terminal: &terminal,
            what,
            history: &self.history,
            exchange: &self.exchange,
        };
        let Made { key, kcv, escrow, counter, check } = S::make(self.kld, &order, ticket, &accept)?;
        let (key, expect_confirm) = accept.give(&key, kcv).map_err(flow)?;

        let handed = Handed { what: what.clone(), kcv: kcv.to_string(), escrow, counter, device: device_key };
        self.run.say(&Event::HandedOut { at: clock::now(), terminal: terminal.clone(), key: handed })?;
        self.handed = Some(what.clone());
        // Nothing is left of a key that was given for this place: the KMS has it, and gets it back with the report.
        self.kld.forget(terminal.pin_pad(), what, S::ID)?;

        let frame = self.ask(&key)?;
        let told = expect_confirm.on_frame(&frame).map_err(flow)?;
        let confirmed = S::confirm(self.kld, &terminal, check, told)?;
        // The journal has it before DONE leaves.
        let (sn, what) = (terminal.sn, what.clone());
        self.run.say(&Event::Confirmed { at: clock::now(), sn, what })?;
        self.handed = None;
        self.link.send(&confirmed.done().map_err(flow)?)?;
        Ok(kcv)
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
        LoadFault::Changed { .. } | LoadFault::CameAgain { .. } | LoadFault::Cards(_) => {
            Some(ErrorCode::NotPermittedNow)
        }
        LoadFault::Kld(_) | LoadFault::Hsm(_) => Some(ErrorCode::Internal),
        LoadFault::Link(LinkError::Timeout) => Some(ErrorCode::Timeout),
        LoadFault::Link(LinkError::Malformed(malformed)) => Some(malformed.code()),
        LoadFault::Link(_) => None,
    }
}

/// Writes the failure down.
fn failed(run: &mut Run, terminal: Option<Listed>, fault: LoadFault) -> LoadFailure {
    let served = terminal.as_ref().is_some_and(|terminal| run.tally.is_served(terminal));
    // Of a terminal that was served already nothing is to be added: the run was stopped, or it only came again.
    if !matches!(fault, LoadFault::Flow(Reason::AlreadyServed { .. }) | LoadFault::CameAgain { .. }) {
        let why = printable(&fault.to_string());
        let event = Event::Failed { at: clock::now(), terminal: terminal.clone(), code: fault.code(), why };
        // A journal that takes no more lines has told so at the key, or will at the next.
        let _ = run.say(&event);
    }
    LoadFailure { terminal, served, fault: Box::new(fault) }
}
