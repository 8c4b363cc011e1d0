//! What a download is refused for, who is told, and what the audit learns of it.

use std::net::IpAddr;

use flows::{
    Fault,
    tmk_download::{Reason, kms::Reply},
};
use hsm::Hsm;
use serde_json::json;
use store::{KeyName, SlotRecord, Store, TerminalRecord};
use wire::{ErrorCode, Suite};

use super::{DownloadError, PROTOCOL, suite::KmsSuite};
use crate::{
    clock::now_ms,
    kms::{Kms, event, open_hellos::OpenHello},
    slots,
};

/// What the policy refuses a proven terminal.
#[derive(Debug, thiserror::Error)]
pub(super) enum Refused {
    #[error("suite {0} is not supported")]
    Suite(Suite),
    #[error("the terminal has moved up from suite {0}, and nobody allowed it to go down")]
    LowerSuite(Suite),
    #[error("the acquirer has no key for this slot")]
    NoKeyForSlot,
    #[error("the slot's key is active and the acquirer's policy keeps it")]
    ActiveStays,
}

impl From<Refused> for DownloadError {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::NoKeyForSlot => {
                Self::Fault(Fault { code: ErrorCode::NoKeyForSlot, reason: not_permitted(&refused) })
            }
            Refused::Suite(suite) | Refused::LowerSuite(suite) => Reason::SuiteNotSupported { suite }.into(),
            Refused::ActiveStays => not_permitted(&refused).into(),
        }
    }
}

fn not_permitted(refused: &Refused) -> Reason {
    Reason::NotPermitted { why: refused.to_string() }
}

impl<S: Store, H: Hsm> Kms<S, H> {
    /// What the acquirer's policy and the terminal's record say against this request. Told to a proven terminal only.
    pub(super) async fn not_permitted<U: KmsSuite>(
        &self,
        reply: &Reply<U>,
        suite: Suite,
        record: &TerminalRecord,
        slot: &SlotRecord,
    ) -> Result<Option<Refused>, DownloadError> {
        // Asked first: no key may be made for a suite in which it cannot be sent.
        if suite != U::ID {
            return Ok(Some(Refused::Suite(suite)));
        }
        let (suites, now) = (self.store.suite_records(&record.sn).await?, now_ms());
        let keys = [KeyName::Tk, KeyName::Slot(reply.slot())];
        if !keys.into_iter().all(|key| suites.permits(key, suite, now)) {
            return Ok(Some(Refused::LowerSuite(suite)));
        }
        let [first, last] = self.acquirer.slots;
        if !(first..=last).contains(&reply.slot().index()) {
            return Ok(Some(Refused::NoKeyForSlot));
        }
        Ok(slots::keeps_active(&self.acquirer, slot).then_some(Refused::ActiveStays))
    }

    /// Writes to the audit why a proven terminal gets nothing, and gives what it is told.
    pub(super) async fn refuse_download<U: KmsSuite>(
        &self,
        record: &TerminalRecord,
        reply: &Reply<U>,
        refusal: Refused,
    ) -> Result<DownloadError, DownloadError> {
        let kind = match refusal {
            Refused::Suite(_) | Refused::LowerSuite(_) => "suite.refused",
            Refused::NoKeyForSlot | Refused::ActiveStays => "tmk.refused",
        };
        let detail = json!({ "slot": reply.slot().index(), "reason": refusal.to_string() });
        let refused = event(kind, record.sn.as_str(), record.sn.as_str(), detail);
        self.store.audit_append(refused).await?;
        Ok(refusal.into())
    }

    /// Only reasons of peers that proved nothing; what a proven terminal is refused for has its own event.
    pub(super) fn count_stranger(&self, fault: &Fault<Reason>, open: &OpenHello, source: IpAddr) {
        let reason = match &fault.reason {
            Reason::UnknownTerminal { .. } => "unknown serial",
            Reason::WrongPinPad { .. } => "wrong PIN pad serial",
            Reason::OtherSuite { .. } => "another suite than its transport key's",
            Reason::WrongCrnd2 => "wrong answer to the challenge",
            Reason::TooMany => "too many open downloads for the serial",
            Reason::Protocol(_) => PROTOCOL,
            _ => return,
        };
        self.strangers.count(source, open.serial().as_str(), reason);
    }
}
