//! What stands before every step of the software PIN pad: its own soundness, the sensors, the life cycle; and what is
//! done when somebody interferes (1-systems.md D).
//!
//! A refusal here is written into the log before it is told.

use flows::collect::Reason;
use flows::{PadRefusal, tmk_download};

use super::SoftPad;

use super::download::Session;
use super::owner::Owner;
use crate::board::{Finding, Verdict};
use crate::life_cycle::Milestone;
use crate::{Error, LifeCycle};

/// Why the PIN pad does nothing. Each flow has its own name for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Denied {
    /// 0008.
    NotPermitted(String),
    /// 0001.
    Failed(String),
}

impl From<Denied> for PadRefusal {
    fn from(denied: Denied) -> PadRefusal {
        match denied {
            Denied::NotPermitted(why) => PadRefusal::NotPermitted { why },
            Denied::Failed(why) => PadRefusal::Failed { why },
        }
    }
}

impl From<Denied> for tmk_download::PadRefusal {
    fn from(denied: Denied) -> tmk_download::PadRefusal {
        match denied {
            Denied::NotPermitted(why) => tmk_download::PadRefusal::NotPermitted { why },
            Denied::Failed(why) => tmk_download::PadRefusal::Failed { why },
        }
    }
}

impl From<Denied> for Reason {
    fn from(denied: Denied) -> Reason {
        match denied {
            Denied::NotPermitted(why) => Reason::NotPermitted { why },
            Denied::Failed(why) => Reason::Internal { why },
        }
    }
}

impl From<Error> for Denied {
    fn from(error: Error) -> Denied {
        Denied::Failed(error.to_string())
    }
}

impl SoftPad {
    /// Refuses when memory and storage may differ. A wipe that could not be stored is tried again first.
    pub(super) fn check_whole(&mut self) -> Result<(), Denied> {
        if self.wipe_unstored {
            self.store()?;
            self.wipe_unstored = false;
        }
        if self.broken {
            return Err(Denied::Failed("its state could not be stored; restart the terminal".into()));
        }
        Ok(())
    }

    /// Stands before a step that somebody asked for: sensors, then the states in which there is nothing to be had. What
    /// refuses ends whatever was open.
    pub(super) fn guard(&mut self) -> Result<(), Denied> {
        let checked = self.sense(true).and_then(|()| match self.state.life_cycle {
            LifeCycle::Tampered => Err(self.deny(
                "life-cycle",
                "tampered",
                "the terminal was tampered with and every key wiped: it needs a repair authorisation",
            )),
            LifeCycle::Retired => {
                Err(self.deny("life-cycle", "retired", "the terminal is retired and every key wiped"))
            }
            LifeCycle::Production | LifeCycle::Deployed | LifeCycle::Repair => Ok(()),
        });
        if checked.is_err() {
            self.session = Session::Idle;
        }
        checked
    }

    /// Looks at the sensors and does what has to be done. `asked`: somebody wants something of the PIN pad, so each
    /// refusal is recorded; otherwise only tampering counts, and is recorded where it changes something.
    pub(super) fn sense(&mut self, asked: bool) -> Result<(), Denied> {
        self.check_whole()?;
        let readings = match self.board.readings() {
            Ok(readings) => readings,
            Err(error) if asked => {
                let why = format!("{error}; nothing is made or released without them");
                return Err(self.deny("board", &error.0, &why));
            }
            Err(_) => return Ok(()),
        };
        match readings.judge(&self.limits, self.state.lid_openings) {
            Verdict::Unfit(Finding { check, reading }) if asked => {
                let why = format!("{check} is out of its operating range ({reading}): try again later");
                Err(self.deny(check, &reading, &why))
            }
            Verdict::Fit | Verdict::Unfit(_) => Ok(()),
            Verdict::Tamper(finding) => Err(self.tamper(&finding, readings.lid_openings, asked)),
        }
    }

    /// Wipes what the life cycle says, at once: first in memory, so that a disk that takes nothing does not keep it
    /// usable.
    fn tamper(&mut self, finding: &Finding, lid_openings: u64, asked: bool) -> Denied {
        let Finding { check, reading } = finding;
        let before = (self.state.life_cycle, self.state.has_keys(), self.state.lid_openings);
        self.session = Session::Idle;
        self.state.pass(Milestone::Tamper);
        self.state.lid_openings = lid_openings;
        let changed = before != (self.state.life_cycle, self.state.has_keys(), lid_openings);
        if asked || changed {
            let when = self.clock.now();
            self.state.refuse(check, reading, when);
            self.wipe_unstored = self.store().is_err();
        }
        Denied::NotPermitted(match self.state.life_cycle {
            LifeCycle::Production | LifeCycle::Repair => format!(
                "tampering ({check} {reading}): the transport key was wiped, the latch lifted; close the case and \
                 begin again"
            ),
            _ => format!(
                "tampering ({check} {reading}): every key was wiped; the terminal needs a repair authorisation"
            ),
        })
    }

    /// Writes a refusal into the log, and makes it one.
    pub(super) fn deny(&mut self, check: &str, reading: &str, why: &str) -> Denied {
        let when = self.clock.now();
        // A log that cannot be written does not make a refusal a permission.
        let _ = self.change(|state| state.refuse(check, reading, when));
        Denied::NotPermitted(why.to_owned())
    }

    /// Writes into the log why a message of the other side was refused for its proof (0005) or its key (0007). The
    /// texts of these refusals name checks, never key material.
    pub(super) fn recorded<T>(
        &mut self,
        message: &str,
        result: Result<T, PadRefusal>,
    ) -> Result<T, PadRefusal> {
        if let Err(refusal @ (PadRefusal::ServerNotProven { why } | PadRefusal::KeyRefused { why })) = &result
        {
            self.deny(&format!("{message} {:04X}", refusal.code().number()), why, "");
        }
        result
    }

    /// Refuses a place that another secret, or this one in a higher suite, filled first.
    pub(super) fn check_owner(&mut self, held: Option<Owner>, by: &Owner, what: &str) -> Result<(), Denied> {
        match held {
            Some(held) if !held.admits(by) => Err(self.deny(
                "owner",
                what,
                &format!("{what} belongs to another key system: only a repair authorisation gives it away"),
            )),
            _ => Ok(()),
        }
    }
}
