//! Opening windows in which terminals may ask to be collected: an operator asks, an administrator opens. Each signs
//! with a card of their own exactly what will be done (2-wire.md section 3, COLLECT_ASK; R12, R13).

use std::net::IpAddr;

use base64ct::{Base64, Encoding};
use hsm::Hsm;
use pki::Role;
use serde::Deserialize;
use serde_json::json;
use store::{OpenWindows, Store, WindowsOutcome};
use wire::Serial;

use crate::{
    clock::now_ms,
    kms::{
        Failure, Kms, event,
        package::{Authentic, UploadRefusal},
    },
    rks::reports::unix_ms,
};

/// Serials in one request at most.
const MAX_SERIALS: usize = 1_000;
/// The longest that a window may stay open, in milliseconds: a week.
const LONGEST: i64 = 7 * 24 * 3_600_000;

/// What an operator signs.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Request {
    version: u32,
    act: RequestAct,
    serials: Vec<String>,
    expires_at: String,
    #[allow(dead_code, reason = "part of what is signed; the server's own clock stamps the audit")]
    asked_at: String,
}

/// What an administrator signs: the same again, who asked, and the operator's package.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Opening {
    version: u32,
    act: OpeningAct,
    serials: Vec<String>,
    expires_at: String,
    asked_by: String,
    request: String,
    #[allow(dead_code, reason = "part of what is signed; the server's own clock stamps the audit")]
    approved_at: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
enum RequestAct {
    #[serde(rename = "ask-collection-windows")]
    Ask,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
enum OpeningAct {
    #[serde(rename = "open-collection-windows")]
    Open,
}

/// Why no window is opened.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WindowRefusal {
    #[error("{0}")]
    Upload(#[from] UploadRefusal),
    #[error(
        "the administrator's card and the operator's may be one person's: a second person must open windows"
    )]
    SamePerson,
    #[error("the request inside asks for other serials, another time or is another operator's")]
    OtherRequest,
}

impl WindowRefusal {
    /// A code for programs.
    pub(crate) fn code(&self) -> &'static str {
        match self {
            Self::Upload(refusal) => refusal.code(),
            Self::SamePerson => "same-person",
            Self::OtherRequest => "other-request",
        }
    }
}

impl<S: Store, H: Hsm> Kms<S, H> {
    /// Opens what an operator asked for and an administrator signed. Says what was done.
    pub(crate) async fn take_windows(&self, package: &[u8], source: IpAddr) -> Result<String, WindowRefusal> {
        let signed = self.authenticate("collection-windows", package, Role::Administrator, source)?;
        let opened = self.open_windows(&signed, source).await;
        if let Err(refusal) = &opened
            && !matches!(refusal, WindowRefusal::Upload(refusal) if refusal.is_failure())
        {
            let why = (refusal.code(), refusal.to_string());
            self.audit_refused("collection-windows.refused", &signed, signed.digest_hex(), why).await?;
        }
        opened
    }

    async fn open_windows(&self, signed: &Authentic, source: IpAddr) -> Result<String, WindowRefusal> {
        let opening = signed.read::<Opening>()?;
        let OpeningAct::Open = opening.act;
        let bad = |text: &str| UploadRefusal::Content(text.to_owned());
        let package = Base64::decode_vec(&opening.request).map_err(|_| bad("request is no base64"))?;
        let asked = self.authenticate("collection-windows-request", &package, Role::Operator, source)?;
        let request = asked.read::<Request>()?;
        let RequestAct::Ask = request.act;
        if opening.version != 1 || request.version != 1 {
            return Err(bad("the version is not known; this server knows version 1").into());
        }
        let same = request.serials == opening.serials && request.expires_at == opening.expires_at;
        if !same || asked.signer.subject != opening.asked_by {
            return Err(WindowRefusal::OtherRequest);
        }
        let (serials, expires_at) = opening.check()?;
        let count = serials.len();
        let detail = json!({
            "serials": opening.serials,
            "expires_at": opening.expires_at,
            "asked_by": asked.signer.subject,
            "asked_by_card": asked.signer.certificate_serial,
            "card": signed.signer.certificate_serial,
            "request": asked.digest_hex(),
        });
        let event =
            event("collection-windows.opened", signed.signer.subject.as_str(), signed.digest_hex(), detail);
        let open = OpenWindows {
            request_digest: asked.digest,
            serials,
            asked_by: asked.signer.clone(),
            opened_by: signed.signer.clone(),
            expires_at,
        };
        let outcome = self.store.open_windows(open, event).await;
        match outcome.map_err(|error| UploadRefusal::from(Failure::from(error)))? {
            WindowsOutcome::Opened(_) => Ok(format!("{count} windows are open until {}", opening.expires_at)),
            WindowsOutcome::Duplicate => Err(UploadRefusal::Duplicate.into()),
            WindowsOutcome::SamePerson => Err(WindowRefusal::SamePerson),
        }
    }
}

impl Opening {
    fn check(&self) -> Result<(Vec<Serial>, i64), UploadRefusal> {
        let bad = |text: String| Err(UploadRefusal::Content(text));
        if self.serials.is_empty() || self.serials.len() > MAX_SERIALS {
            return bad(format!("name 1 to {MAX_SERIALS} serials"));
        }
        let mut serials = Vec::with_capacity(self.serials.len());
        for text in &self.serials {
            match Serial::parse(text) {
                Ok(sn) if !serials.contains(&sn) => serials.push(sn),
                Ok(sn) => return bad(format!("{sn} stands twice in serials")),
                Err(_) => return bad("serials names what is no serial".into()),
            }
        }
        let now = now_ms();
        match unix_ms(&self.expires_at) {
            Some(at) if at > now && at - now <= LONGEST => Ok((serials, at)),
            Some(_) => bad("expires_at must be in the future, within seven days".into()),
            None => bad("expires_at is no RFC 3339 time".into()),
        }
    }
}
