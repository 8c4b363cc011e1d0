//! A second person's word: replacing a known terminal's TK (2-wire.md section 6, R12, R13).

use std::net::IpAddr;

use hsm::Hsm;
use pki::Role;
use serde::{Deserialize, Serialize};
use serde_json::json;
use store::{Approval, ApprovalOutcome, Person, Store};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};
use wire::Serial;

use super::{Failure, Kms, event, package::UploadRefusal};

/// What an administrator signs: exactly what will be done.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct SignedApproval {
    version: u32,
    act: Act,
    id: i64,
    sn: String,
    fingerprint: String,
    #[allow(dead_code, reason = "part of what is signed; the server's own clock stamps the audit")]
    approved_at: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Act {
    ReplaceTk,
    RejectReplacement,
}

/// A replacement that waits, for people.
#[derive(Debug, Serialize)]
pub(crate) struct WaitingReplacement {
    id: i64,
    sn: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pin_pad_sn: Option<String>,
    fingerprint: String,
    current_fingerprint: String,
    signer: String,
    station: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    batch: Option<Asking>,
    collected_at: String,
}

/// The vendor's batch that asks for a replacement.
#[derive(Debug, Serialize)]
struct Asking {
    order: String,
    vendor: String,
}

/// Why an approval is refused.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ApprovalRefusal {
    #[error("{0}")]
    Upload(#[from] UploadRefusal),
    #[error("the approver collected this key: a second person must approve it")]
    SamePerson,
    #[error("the fingerprint or serial approved is not that of replacement {0}; list them again")]
    OtherFingerprint(i64),
    #[error("replacement {0} does not wait: it was decided before, or overtaken by a later collection")]
    NotWaiting(i64),
    #[error("the terminal's transport key was of a higher suite; two people must allow the lower one first")]
    LowerSuite,
    #[error("the PIN pad belongs to terminal {0} by now")]
    PinPadTaken(String),
}

impl ApprovalRefusal {
    /// A code for programs.
    pub(crate) fn code(&self) -> &'static str {
        match self {
            Self::Upload(refusal) => refusal.code(),
            Self::SamePerson => "same-person",
            Self::OtherFingerprint(_) => "other-fingerprint",
            Self::NotWaiting(_) => "not-waiting",
            Self::LowerSuite => "lower-suite",
            Self::PinPadTaken(_) => "pin-pad-taken",
        }
    }
}

impl<S: Store, H: Hsm> Kms<S, H> {
    /// The replacements that wait for a second person.
    pub(crate) async fn replacements(&self) -> Result<Vec<WaitingReplacement>, Failure> {
        let waiting = self.store.replacements_waiting().await?;
        Ok(waiting
            .into_iter()
            .map(|r| WaitingReplacement {
                id: r.id,
                sn: r.sn.to_string(),
                pin_pad_sn: r.pin_pad.map(|serial| serial.to_string()),
                fingerprint: r.fingerprint,
                current_fingerprint: r.current_fingerprint,
                signer: r.signer.subject,
                station: r.station,
                batch: r.batch.map(|batch| Asking { order: batch.order, vendor: batch.vendor }),
                collected_at: rfc3339(r.collected_at),
            })
            .collect())
    }

    /// Carries out what an administrator signed. Says what was done.
    pub(crate) async fn take_approval(
        &self,
        package: &[u8],
        source: IpAddr,
    ) -> Result<String, ApprovalRefusal> {
        let signed = self.authenticate("approval", package, Role::Administrator, source)?;
        let content = signed.read::<SignedApproval>();
        let subject = match &content {
            Ok(content) if Serial::parse(&content.sn).is_ok() => content.sn.clone(),
            _ => signed.digest_hex(),
        };
        let decided = match content {
            Ok(content) => self.decide(content, signed.signer.clone()).await,
            Err(refusal) => Err(refusal.into()),
        };
        if let Err(refusal) = &decided
            && !matches!(refusal, ApprovalRefusal::Upload(refusal) if refusal.is_failure())
        {
            let why = (refusal.code(), refusal.to_string());
            self.audit_refused("approval.refused", &signed, subject, why).await?;
        }
        decided
    }

    async fn decide(&self, content: SignedApproval, signer: Person) -> Result<String, ApprovalRefusal> {
        if content.version != 1 {
            let text = format!("version {} is not known; this server knows version 1", content.version);
            return Err(UploadRefusal::Content(text).into());
        }
        let id = content.id;
        // The serial is signed too: an approval names what was looked at.
        let Some(record) = self.store.replacement_waiting(id).await.map_err(stored)? else {
            return Err(ApprovalRefusal::NotWaiting(id));
        };
        if record.sn.as_str() != content.sn {
            return Err(ApprovalRefusal::OtherFingerprint(id));
        }
        let detail = json!({ "replacement": id, "fingerprint": content.fingerprint,
                             "collected_by": record.signer.subject, "card": signer.certificate_serial });
        let actor = signer.subject.clone();
        let approval = Approval { id, fingerprint: content.fingerprint, approver: signer };
        let outcome = match content.act {
            Act::ReplaceTk => {
                let event = event("tk.replaced", actor, content.sn.as_str(), detail);
                self.store.approve_replacement(approval, event).await
            }
            Act::RejectReplacement => {
                let event = event("tk.replacement-rejected", actor, content.sn.as_str(), detail);
                self.store.reject_replacement(approval, event).await
            }
        };
        match outcome.map_err(stored)? {
            ApprovalOutcome::Approved { dropped, .. } => Ok(format!(
                "{}: the new transport key is in force; {dropped} pending TMKs dropped",
                content.sn
            )),
            ApprovalOutcome::Rejected => {
                Ok(format!("{}: replacement {id} rejected; nothing changed", content.sn))
            }
            ApprovalOutcome::SamePerson => Err(ApprovalRefusal::SamePerson),
            ApprovalOutcome::OtherFingerprint => Err(ApprovalRefusal::OtherFingerprint(id)),
            ApprovalOutcome::NotWaiting => Err(ApprovalRefusal::NotWaiting(id)),
            ApprovalOutcome::LowerSuite => Err(ApprovalRefusal::LowerSuite),
            ApprovalOutcome::SerialPairTaken { by } => Err(ApprovalRefusal::PinPadTaken(by.to_string())),
        }
    }
}

fn stored(error: store::StoreError) -> ApprovalRefusal {
    UploadRefusal::from(Failure::from(error)).into()
}

fn rfc3339(unix_ms: i64) -> String {
    OffsetDateTime::from_unix_timestamp(unix_ms / 1000)
        .ok()
        .and_then(|at| at.format(&Rfc3339).ok())
        .unwrap_or_default()
}
