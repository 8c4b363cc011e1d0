//! An update from its first contact to its report.

use std::io;

use flows::tms_download::messages::{Done, Inventory, Plan, Report};
use flows::tms_download::{Fault, INNER_MAX, Reason, SealSuite};
use flows::tms_session::{TmsPad, TmsSuite, Transaction};
use flows::{EcAes, ProtocolError, Tdes};
use wire::{ErrorCode, Manifest, PackageId, PlanEntry, Suite};

use super::fetch::{Fetched, Stopped, fetch};
use super::line::{Cut, End, Line};
use super::report::status;
use super::session::{self, Opened, Session};
use super::{Progress, TmsError, UpdateOptions, Updated};
use crate::area::{AreaError, Areas, MAX_PACKAGES, Started};
use crate::conversation::Stop;
use crate::package::{
    Arrived, Change, PackageRefusal, check_content, check_origin, check_size, check_version, install,
};
use crate::{Link, PinPad, Stream, Terminal};

/// Most plans in one update: far more than a fleet's terminals ever get, and an end to a TMS that always has more.
pub(super) const MAX_ROUNDS: usize = 64;

/// Asks the TMS what to load, loads it, installs and starts it, and reports, in the suite of the terminal's DMK. `connect`
/// is called for every session: in suite 01 once for each 8 MiB or so.
///
/// # Errors
/// [`TmsError`]. Call it again: it goes on where it stood. A package that is refused is no error; see
/// [`Updated::refused`].
pub fn update<P: PinPad, S: Stream>(
    terminal: &mut Terminal<P>,
    areas: &mut Areas,
    connect: &mut dyn FnMut() -> io::Result<Link<S>>,
    options: UpdateOptions<'_>,
) -> Result<Updated, TmsError> {
    match terminal.pad.tms_suite() {
        Suite::EC_AES => update_in::<EcAes, P, S>(terminal, areas, connect, options),
        _ => update_in::<Tdes, P, S>(terminal, areas, connect, options),
    }
}

fn update_in<C: SealSuite + TmsSuite, P: PinPad + TmsPad<C>, S: Stream>(
    terminal: &mut Terminal<P>,
    areas: &mut Areas,
    connect: &mut dyn FnMut() -> io::Result<Link<S>>,
    options: UpdateOptions<'_>,
) -> Result<Updated, TmsError> {
    let cut = Cut::after(options.cut_after);
    let session: Option<Session<C, S>> = None;
    let mut run = Run { terminal, areas, connect, options, session, cut, done: Updated::default() };
    let result = run.all();
    run.hang_up();
    result.map(|()| run.done)
}

struct Run<'r, 'o, P: PinPad, C, S> {
    terminal: &'r mut Terminal<P>,
    areas: &'r mut Areas,
    connect: &'r mut dyn FnMut() -> io::Result<Link<S>>,
    options: UpdateOptions<'o>,
    session: Option<Session<C, S>>,
    cut: Cut,
    done: Updated,
}

impl<C: SealSuite + TmsSuite, P: PinPad + TmsPad<C>, S: Stream> Run<'_, '_, P, C, S> {
    fn all(&mut self) -> Result<(), TmsError> {
        // An area that a power cut kept from its first start.
        if self.areas.is_new() {
            self.start(&mut Vec::new())?;
        }
        if self.areas.is_untold() {
            let mut refused = Vec::new();
            if let Some(failed) = self.areas.failed_start() {
                let why = PackageRefusal::Start { why: failed.why.clone() };
                refused.extend(failed.packages.iter().map(|id| (id.clone(), why.clone())));
            }
            self.report(&refused)?;
        }
        for _ in 0..MAX_ROUNDS {
            let plan = self.plan()?;
            let installed_before = self.done.installed.len();
            let at = self.terminal.time()?;
            self.areas.set_time(at);
            if plan.entries.is_empty() {
                self.areas.tidy([])?;
            } else {
                self.carry_out(plan.entries, at)?;
            }
            // A TMS that has more after nothing could be installed would only say the same again.
            if !plan.more || self.done.installed.len() == installed_before {
                return Ok(());
            }
        }
        Err(TmsError::TooManyPlans)
    }

    /// The inventory, answered by a plan.
    fn plan(&mut self) -> Result<Plan, TmsError> {
        let installed = self.areas.installed().cloned().collect();
        let inventory = Inventory { installed, status: status(&self.terminal.pad, &[]) };
        let answer = self.ask(&inventory.to_payload())?;
        Plan::from_payload::<C>(&answer).map_err(|error| self.refuse(error))
    }

    fn carry_out(&mut self, entries: Vec<PlanEntry>, at: i64) -> Result<(), TmsError> {
        let mut refused = Vec::new();
        let wanted = self.judge(entries, at, &mut refused);
        self.areas.tidy(&wanted)?;
        let mut missing = 0_u64;
        for manifest in &wanted {
            missing = missing.saturating_add(manifest.size.saturating_sub(self.areas.part(manifest)?.have()));
        }
        self.tell(Progress::Planned { packages: wanted.len(), bytes: missing });
        let mut set = Vec::new();
        for manifest in &wanted {
            match self.fetch(manifest, &wanted)? {
                Ok(arrived) => set.push(arrived),
                Err(refusal) => self.refuse_package(&mut refused, manifest.id.clone(), refusal),
            }
        }
        let told = refused.len();
        let new = install(self.areas, set, &mut refused)?;
        for (package, why) in refused.iter().skip(told) {
            self.tell(Progress::Refused { package, why });
        }
        if !new.is_empty() {
            self.tell(Progress::Starting { packages: &new });
            self.start(&mut refused)?;
        }
        // What is installed is in its area; what cannot be would only lie here.
        let may_pass =
            |manifest: &&Manifest| refused.iter().any(|(id, why)| *id == manifest.id && why.may_pass());
        for manifest in wanted.iter().filter(|manifest| !may_pass(manifest)) {
            let part = self.areas.part(manifest)?;
            self.areas.discard(&part)?;
        }
        self.report(&refused)?;
        self.done.refused.append(&mut refused);
        Ok(())
    }

    /// What is to be loaded of a plan.
    fn judge(
        &mut self,
        entries: Vec<PlanEntry>,
        at: i64,
        refused: &mut Vec<(PackageId, PackageRefusal)>,
    ) -> Vec<Manifest> {
        let mut wanted: Vec<Manifest> = Vec::new();
        for entry in entries {
            let verdict = match wanted.iter().any(|other| other.id.name == entry.manifest.id.name) {
                true => Err(PackageRefusal::Twice),
                false => self.judge_one(&entry, &wanted, at),
            };
            match verdict {
                Ok(Change::None) => {}
                Ok(Change::Load) => wanted.push(entry.manifest),
                Err(refusal) => self.refuse_package(refused, entry.manifest.id, refusal),
            }
        }
        wanted
    }

    fn judge_one(&self, entry: &PlanEntry, wanted: &[Manifest], at: i64) -> Result<Change, PackageRefusal> {
        let (name, device) = (&entry.manifest.id.name, &self.terminal.device);
        let (installed, lost) = (self.areas.find(name), self.areas.find_lost(name));
        let before = installed.or(lost).map(|package| &package.manifest);
        let change = check_version(&entry.manifest, before, &device.settings.packages)?;
        if change == Change::None && installed.is_some() {
            return Ok(Change::None);
        }
        check_origin(entry, device, at)?;
        check_size(&entry.manifest)?;
        let new = wanted.iter().filter(|other| self.areas.find(&other.id.name).is_none()).count();
        let packages = self.areas.installed().count().saturating_add(new);
        if installed.is_none() && packages >= MAX_PACKAGES {
            return Err(PackageRefusal::TooMany);
        }
        Ok(Change::Load)
    }

    /// A whole and right package, through as many sessions as it takes. What came of packages that are not wanted now
    /// gives way where it has to.
    fn fetch(
        &mut self,
        manifest: &Manifest,
        wanted: &[Manifest],
    ) -> Result<Result<Arrived, PackageRefusal>, TmsError> {
        // Whether a session was just opened for this file.
        let mut fresh = false;
        loop {
            // What is here already needs no session.
            let part = self.areas.part(manifest)?;
            if part.is_whole() {
                self.areas.touch(&part)?;
                return self.check(manifest, part);
            }
            self.open()?;
            let Some(session) = self.session.as_mut() else { continue };
            let (progress, bytes) = (&mut self.options.progress, &mut self.done.bytes);
            let mut have = part.have();
            let on_part = &mut |now: u64| {
                *bytes = bytes.saturating_add(now.saturating_sub(have));
                have = now;
                if let Some(progress) = progress {
                    progress(Progress::Received { package: &manifest.id, have, size: manifest.size });
                }
            };
            match fetch(session, &mut self.terminal.pad, self.areas, manifest, on_part) {
                Ok(Fetched::Whole(part)) => return self.check(manifest, part),
                Ok(Fetched::NewSession { came }) => {
                    self.hang_up();
                    if came == 0 && fresh {
                        return Err(TmsError::Busy);
                    }
                    fresh = true;
                }
                Ok(Fetched::NotGiven { why }) => {
                    self.hang_up();
                    return Ok(Err(PackageRefusal::NotGiven { why }));
                }
                Err(Stopped::Areas(AreaError::Full { .. })) => {
                    if !self.areas.keep_only(wanted)? {
                        return Ok(Err(PackageRefusal::NoRoom));
                    }
                }
                Err(Stopped::Areas(error)) => return Err(error.into()),
                Err(Stopped::End(end)) => return Err(self.fail(end)),
            }
        }
    }

    fn check(
        &mut self,
        manifest: &Manifest,
        part: crate::area::Part,
    ) -> Result<Result<Arrived, PackageRefusal>, TmsError> {
        match check_content(self.areas, &part, manifest)? {
            Ok(()) => Ok(Ok(Arrived { manifest: manifest.clone(), part })),
            Err(refusal) => {
                self.areas.discard(&part)?;
                Ok(Err(refusal))
            }
        }
    }

    /// The first start of a new area.
    fn start(&mut self, refused: &mut Vec<(PackageId, PackageRefusal)>) -> Result<(), TmsError> {
        let started = match &mut self.options.start {
            Some(hook) => self.areas.start(*hook),
            None => self.areas.start(&mut |_| Ok(())),
        };
        match started? {
            Started::AsBefore => {}
            Started::New { packages } => self.done.installed.extend(packages),
            Started::Returned(failed) => {
                for id in &failed.packages {
                    let why = PackageRefusal::Start { why: failed.why.clone() };
                    self.refuse_package(refused, id.clone(), why);
                }
                self.done.returned = Some(failed);
            }
        }
        Ok(())
    }

    fn report(&mut self, refused: &[(PackageId, PackageRefusal)]) -> Result<(), TmsError> {
        let report = Report {
            installed: self.areas.installed().cloned().collect(),
            good: refused.is_empty(),
            status: status(&self.terminal.pad, refused),
            // They went with TMS_HELLO.
            refusals: Vec::new(),
        };
        let answer = self.ask(&report.to_payload())?;
        if let Err(error) = Done::from_payload::<C>(&answer) {
            return Err(self.refuse(error));
        }
        Ok(self.areas.told()?)
    }

    /// Asks in the open session, or in a new one when it has done what it may.
    fn ask(&mut self, question: &Result<Vec<u8>, ProtocolError>) -> Result<Vec<u8>, TmsError> {
        let question = match question {
            Ok(question) => question,
            Err(error) => return Err(self.refuse(error.clone())),
        };
        // Question and answer are at most the longest inner payload each.
        if self.terminal.pad.tms_blocks_left() < C::blocks(INNER_MAX).saturating_mul(2) {
            self.hang_up();
        }
        self.open()?;
        let Some(session) = self.session.as_mut() else { return Err(TmsError::Busy) };
        match session.ask(&mut self.terminal.pad, question) {
            Ok(answer) => Ok(answer),
            Err(end) => Err(self.fail(end)),
        }
    }

    /// Opens a session unless one is open.
    fn open(&mut self) -> Result<(), TmsError> {
        if self.session.is_some() {
            return Ok(());
        }
        let link = (self.connect)().map_err(TmsError::Connect)?;
        let line = Line { link, cut: std::mem::take(&mut self.cut) };
        let operator = self.options.operator.as_ref();
        match session::open::<C, P, S>(self.terminal, line, Transaction::ProgramDownload, operator) {
            Ok((Opened::Session, line)) => {
                self.session = Some(Session::of(line));
                self.done.sessions = self.done.sessions.saturating_add(1);
                self.tell(Progress::Session { number: self.done.sessions });
                Ok(())
            }
            Ok((Opened::Key(_), _)) => Err(session::other_transaction()),
            Err((error, cut)) => {
                self.cut = cut;
                Err(error)
            }
        }
    }

    fn hang_up(&mut self) {
        if let Some(session) = self.session.take() {
            self.cut = session.close(&mut self.terminal.pad);
        }
    }

    /// What the TMS said cannot be taken: it is told, and the session is over.
    fn refuse(&mut self, error: ProtocolError) -> TmsError {
        if let ProtocolError::Peer(message) = &error
            && message.known_code() == Some(ErrorCode::Busy)
        {
            self.hang_up();
            return TmsError::Busy;
        }
        self.fail(End::Stop(Stop::Fault(Fault::from(error))))
    }

    fn fail(&mut self, end: End<Reason>) -> TmsError {
        match self.session.take() {
            Some(session) => {
                let (error, cut) = session.fail(&mut self.terminal.pad, end);
                self.cut = cut;
                error
            }
            None => end.quietly(),
        }
    }

    fn refuse_package(
        &mut self,
        refused: &mut Vec<(PackageId, PackageRefusal)>,
        package: PackageId,
        why: PackageRefusal,
    ) {
        self.tell(Progress::Refused { package: &package, why: &why });
        refused.push((package, why));
    }

    fn tell(&mut self, progress: Progress<'_>) {
        if let Some(hears) = &mut self.options.progress {
            hears(progress);
        }
    }
}
