//! Leave to use a lower suite: an operator asks, an administrator approves, both sign the same words, with a reason and an
//! end (3-hardened.md). Nothing else lets a terminal go down.

use std::net::IpAddr;

use hsm::Hsm;
use serde::Deserialize;
use serde_json::json;
use store::{AllowOutcome, AllowSuite, Store};
use wire::{Serial, Suite};

use super::{
    Failure, Kms, event,
    package::{Authentic, UploadRefusal},
};
use crate::{clock::now_ms, rks::reports::unix_ms};

/// The longest that an allowance may run, in milliseconds: 90 days.
const LONGEST: i64 = 90 * 24 * 3_600_000;

/// What both sign.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    version: u32,
    sn: String,
    suite: u8,
    until: String,
    reason: String,
}

/// Why no allowance is given.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AllowanceRefusal {
    #[error("{0}")]
    Upload(#[from] UploadRefusal),
    #[error("no terminal {0} of this acquirer is known")]
    UnknownTerminal(String),
    #[error("no allowance of terminal {0} runs that could be ended")]
    NothingToEnd(String),
}

impl AllowanceRefusal {
    /// A code for programs.
    pub(crate) fn code(&self) -> &'static str {
        match self {
            Self::Upload(refusal) => refusal.code(),
            Self::UnknownTerminal(_) => "unknown-terminal",
            Self::NothingToEnd(_) => "nothing-to-end",
        }
    }
}

impl<S: Store, H: Hsm> Kms<S, H> {
    /// Gives or ends leave as two people signed it. Says what was done.
    pub(crate) async fn take_allowance(
        &self,
        package: &[u8],
        source: IpAddr,
    ) -> Result<String, AllowanceRefusal> {
        let signed = self.authenticate_both("suite-allowance", package, source)?;
        let content = signed.read::<Asked>();
        let subject = match &content {
            Ok(content) if Serial::parse(&content.sn).is_ok() => content.sn.clone(),
            _ => signed.digest_hex(),
        };
        let done = match content {
            Ok(content) => self.allow(&signed, content).await,
            Err(refusal) => Err(refusal.into()),
        };
        if let Err(refusal) = &done
            && !matches!(refusal, AllowanceRefusal::Upload(refusal) if refusal.is_failure())
        {
            let why = (refusal.code(), refusal.to_string());
            self.audit_refused("suite-allowance.refused", &signed, subject, why).await?;
        }
        done
    }

    async fn allow(&self, signed: &Authentic, asked: Asked) -> Result<String, AllowanceRefusal> {
        let (sn, until) = asked.check()?;
        let approved_by = signed.second.clone().ok_or(UploadRefusal::SamePerson)?;
        let unknown = || AllowanceRefusal::UnknownTerminal(asked.sn.clone());
        let terminal = self.store.terminal(&sn).await.map_err(stored)?;
        terminal.filter(|terminal| terminal.acquirer == self.acquirer.id).ok_or_else(unknown)?;
        let detail = json!({
            "suite": asked.suite,
            "until": asked.until,
            "reason": asked.reason,
            "asked_by": signed.signer.subject,
            "asked_by_card": signed.signer.certificate_serial,
            "approved_by_card": approved_by.certificate_serial,
        });
        let kind = if until > now_ms() { "suite.allowed" } else { "suite.allowance-ended" };
        let event = event(kind, approved_by.subject.as_str(), sn.as_str(), detail);
        let allow = AllowSuite {
            digest: signed.digest,
            sn,
            suite: Suite::new(asked.suite),
            reason: asked.reason,
            asked_by: signed.signer.clone(),
            approved_by,
            until,
        };
        match self.store.allow_suite(allow, event).await.map_err(stored)? {
            AllowOutcome::Allowed { .. } => {
                Ok(format!("{}: suite {:02} is allowed until {}", asked.sn, asked.suite, asked.until))
            }
            AllowOutcome::Ended => Ok(format!("{}: the allowance is ended", asked.sn)),
            AllowOutcome::NothingToEnd => Err(AllowanceRefusal::NothingToEnd(asked.sn)),
            AllowOutcome::Duplicate => Err(UploadRefusal::Duplicate.into()),
            AllowOutcome::SamePerson => Err(UploadRefusal::SamePerson.into()),
        }
    }
}

impl Asked {
    fn check(&self) -> Result<(Serial, i64), UploadRefusal> {
        let bad = |text: &str| Err(UploadRefusal::Content(text.to_owned()));
        if self.version != 1 {
            return bad("the version is not known; this server knows version 1");
        }
        if self.suite != Suite::TDES.byte() {
            return bad("suite must be 1: it is the only one below another");
        }
        if self.reason.trim().is_empty() || self.reason.len() > store::limits::REASON {
            return bad("reason must have 1 to 512 bytes");
        }
        let Ok(sn) = Serial::parse(&self.sn) else { return bad("sn is no serial") };
        match unix_ms(&self.until) {
            Some(until) if until - now_ms() <= LONGEST => Ok((sn, until)),
            Some(_) => bad("until must be within 90 days; a time that has passed ends an allowance"),
            None => bad("until is no RFC 3339 time"),
        }
    }
}

fn stored(error: store::StoreError) -> AllowanceRefusal {
    UploadRefusal::from(Failure::from(error)).into()
}
