//! Ceremonies: a nonce for one day's collecting at one station (3-hardened.md, "A, collecting"). What a PIN pad signed
//! under another one is not taken, so that yesterday's answers, or another station's, are worth nothing.

use std::net::IpAddr;

use base64ct::{Base64, Encoding};
use hsm::Hsm;
use pki::Role;
use rustls::crypto::aws_lc_rs;
use serde::{Deserialize, Serialize};
use serde_json::json;
use store::{NewCeremony, Store, WindowRecord};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use super::{
    Failure, Kms, event,
    package::{Authentic, UploadRefusal, hex},
};
use crate::{clock::now_ms, rks::reports::unix_ms};

/// How long a nonce is good, and how far a request's time may be off, in milliseconds: a day.
const DAY: i64 = 24 * 3_600_000;
/// Characters of a station's name for itself.
const MAX_STATION: usize = 128;

/// What an operator signs.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Asking {
    version: u32,
    station: String,
    at: String,
}

/// The answer.
#[derive(Debug, Serialize)]
pub(crate) struct Given {
    ceremony: String,
    expires_at: String,
}

/// Why a package's ceremony is not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum CeremonyRefusal {
    #[error("this server gave no such ceremony; ask for one and collect under it")]
    Unknown,
    #[error("the ceremony was given to another station; each station collects under its own")]
    OtherStation,
    #[error("the ceremony is over; ask for today's and collect again")]
    Expired,
}

impl CeremonyRefusal {
    /// A code for programs.
    pub(crate) fn code(&self) -> &'static str {
        match self {
            Self::Unknown => "ceremony-unknown",
            Self::OtherStation => "ceremony-other-station",
            Self::Expired => "ceremony-expired",
        }
    }
}

impl<S: Store, H: Hsm> Kms<S, H> {
    /// Gives a station its nonce.
    pub(crate) async fn give_ceremony(&self, package: &[u8], source: IpAddr) -> Result<Given, UploadRefusal> {
        let signed = self.authenticate("ceremony", package, Role::Operator, source)?;
        let given = self.give(&signed).await;
        if let Err(refusal) = &given
            && !refusal.is_failure()
        {
            let why = (refusal.code(), refusal.to_string());
            self.audit_refused("ceremony.refused", &signed, signed.digest_hex(), why).await?;
        }
        given
    }

    async fn give(&self, signed: &Authentic) -> Result<Given, UploadRefusal> {
        let asking = signed.read::<Asking>()?;
        asking.check()?;
        let expires_at = now_ms() + DAY;
        let nonce = fresh_nonce()?;
        let detail = json!({ "station": asking.station, "card": signed.signer.certificate_serial,
                             "expires_at": expires_at });
        let event = event("ceremony.given", signed.signer.subject.as_str(), hex(&nonce), detail);
        let operator = signed.signer.clone();
        let ceremony = NewCeremony { nonce, station: asking.station, operator, window: None, expires_at };
        let given = self.store.put_ceremony(ceremony, event).await.map_err(Failure::from)?;
        Ok(Given {
            ceremony: Base64::encode_string(&given.ceremony.nonce),
            expires_at: rfc3339(given.ceremony.expires_at),
        })
    }

    /// Whether this nonce is that of a ceremony of this station, and still good.
    pub(super) async fn check_ceremony(&self, nonce: [u8; 32], station: &str) -> Result<(), UploadRefusal> {
        let given = self.store.ceremony(nonce).await.map_err(Failure::from)?;
        let given = given.ok_or(CeremonyRefusal::Unknown)?.ceremony;
        if given.window.is_some() {
            return Err(CeremonyRefusal::Unknown.into());
        }
        if given.station != station {
            return Err(CeremonyRefusal::OtherStation.into());
        }
        if given.expires_at <= now_ms() {
            return Err(CeremonyRefusal::Expired.into());
        }
        Ok(())
    }

    /// The KMS's own nonce for a collection window: the same for every asking, so that a terminal that missed DONE gives
    /// the same bytes again.
    pub(super) async fn window_nonce(&self, window: &WindowRecord) -> Result<[u8; 32], Failure> {
        let nonce = fresh_nonce()?;
        let detail = json!({ "window": window.id, "expires_at": window.expires_at });
        let event = event("ceremony.given", "server", window.sn.as_str(), detail);
        let ceremony = NewCeremony {
            nonce,
            station: crate::collect_ask::STATION.to_owned(),
            operator: window.asked_by.clone(),
            window: Some(window.id),
            expires_at: window.expires_at,
        };
        Ok(self.store.put_ceremony(ceremony, event).await?.ceremony.nonce)
    }
}

impl Asking {
    fn check(&self) -> Result<(), UploadRefusal> {
        let bad = |text: &str| Err(UploadRefusal::Content(text.to_owned()));
        if self.version != 1 {
            return bad("the version is not known; this server knows version 1");
        }
        if self.station.is_empty() || self.station.chars().count() > MAX_STATION {
            return bad("station must have 1 to 128 characters");
        }
        match unix_ms(&self.at) {
            Some(at) if (at - now_ms()).abs() <= DAY => Ok(()),
            Some(_) => bad("at is more than a day off; set the station's clock and ask again"),
            None => bad("at is no RFC 3339 time"),
        }
    }
}

/// Random bytes. Nothing secret: that nobody can guess them beforehand is all that counts.
fn fresh_nonce() -> Result<[u8; 32], Failure> {
    let mut nonce = [0; 32];
    let random = aws_lc_rs::default_provider().secure_random;
    random.fill(&mut nonce).map_err(|_| Failure::Random)?;
    Ok(nonce)
}

fn rfc3339(unix_ms: i64) -> String {
    let at = OffsetDateTime::from_unix_timestamp(unix_ms / 1000).ok();
    at.and_then(|at| at.format(&Rfc3339).ok()).unwrap_or_default()
}
