//! Windows in which terminals may ask to be collected (2-wire.md section 3, COLLECT_ASK): an operator asks for them, an
//! administrator opens them. Each signs with a card of their own exactly what is executed (4-requirements.md R12, R13).

use std::path::Path;

use base64ct::{Base64, Encoding};
use pki::{Certificate, Role};
use serde::{Deserialize, Serialize};
use wire::Serial;

use crate::{
    AdministratorCard, Checks, Error, OperatorCard, Server, both_cards::in_common, clock, files,
    text::printable,
};

/// Serials in one request at most.
pub const MAX_SERIALS: usize = 1_000;
/// The longest that a window may stay open, hours: a week.
pub const MAX_HOURS: u32 = 7 * 24;
const WINDOWS: &str = "/v1/collection-windows";
/// Version of both contents.
const VERSION: u32 = 1;
/// Longest request read, bytes: the most serials, a signature and a chain.
const MAX_REQUEST: u64 = 256 * 1024;

/// A request that an operator signed, and what it says. Only a request whose signature and card were checked is one.
#[derive(Debug, Clone)]
pub struct WindowRequest {
    cms: Vec<u8>,
    operator: Certificate,
    serials: Vec<Serial>,
    expires_at: String,
}

/// What the operator signs.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Asking {
    version: u32,
    act: AskAct,
    serials: Vec<String>,
    expires_at: String,
    asked_at: String,
}

#[derive(Serialize, Deserialize)]
enum AskAct {
    #[serde(rename = "ask-collection-windows")]
    Ask,
}

/// What the administrator signs: the same again, who asked, and the operator's package.
#[derive(Serialize)]
struct Opening<'a> {
    version: u32,
    act: &'static str,
    serials: Vec<&'a str>,
    expires_at: &'a str,
    asked_by: String,
    request: String,
    approved_at: String,
}

impl WindowRequest {
    /// Signs the request for these serials with the operator card; the windows would close `hours` from now.
    ///
    /// # Errors
    /// [`Error::WindowRequest`] for no, too many or repeated serials and for 0 or more than [`MAX_HOURS`] hours;
    /// [`Error::CardMissing`], [`Error::CardRefused`], [`Error::Signing`].
    pub fn sign(card: &OperatorCard, serials: &[Serial], hours: u32) -> Result<WindowRequest, Error> {
        let at = clock::now();
        let expires_at = clock::rfc3339(at.saturating_add(i64::from(hours) * 3600))?;
        let asking = Asking {
            version: VERSION,
            act: AskAct::Ask,
            serials: serials.iter().map(ToString::to_string).collect(),
            expires_at: expires_at.clone(),
            asked_at: clock::rfc3339(at)?,
        };
        let serials = asking.check(at)?;
        let content = serde_json::to_vec(&asking)
            .map_err(|error| Error::Signing { card: "operator".to_owned(), why: error.to_string() })?;
        Ok(WindowRequest {
            cms: card.sign(&content, at)?,
            operator: card.certificate().clone(),
            serials,
            expires_at,
        })
    }

    /// Reads a request: its signature, the operator's certificate (role `.4`) and what it asks for are checked before
    /// anything of it is shown.
    ///
    /// # Errors
    /// [`Error::WindowRequest`]; [`Error::WindowOperator`] where the certificate is refused.
    pub fn read(cms: Vec<u8>, checks: &Checks) -> Result<WindowRequest, Error> {
        let bad = |why: String| Error::WindowRequest { why: printable(&why) };
        let opened = pki::cms::open(&cms).map_err(|refusal| bad(refusal.to_string()))?;
        let signer = opened.only_signer().map_err(|refusal| bad(refusal.to_string()))?;
        let now = clock::now();
        checks
            .verify(&signer.certificate, &signer.intermediates, Role::Operator, now)
            .map_err(Error::WindowOperator)?;
        let asking: Asking =
            serde_json::from_slice(&opened.content).map_err(|error| bad(error.to_string()))?;
        let serials = asking.check(now)?;
        let operator = signer.certificate.clone();
        Ok(WindowRequest { operator, serials, expires_at: asking.expires_at, cms })
    }

    /// Reads a request from its file; see [`read`](Self::read).
    ///
    /// # Errors
    /// [`Error::File`], and as [`read`](Self::read).
    pub fn load(path: &Path, checks: &Checks) -> Result<WindowRequest, Error> {
        WindowRequest::read(files::read(path, MAX_REQUEST)?, checks)
    }

    /// Writes the request into a file, whole or not at all.
    ///
    /// # Errors
    /// [`Error::File`].
    pub fn save(&self, path: &Path) -> Result<(), Error> {
        files::write_whole(path, &self.cms)
    }

    /// The CMS SignedData, DER.
    pub fn cms(&self) -> &[u8] {
        &self.cms
    }

    /// The terminals that may ask.
    pub fn serials(&self) -> &[Serial] {
        &self.serials
    }

    /// When the windows close, RFC 3339; ready to be shown.
    pub fn expires_at(&self) -> String {
        printable(&self.expires_at)
    }

    /// Who asked: the subject of the operator's certificate; ready to be shown.
    pub fn asked_by(&self) -> String {
        printable(&self.operator.subject().to_string())
    }

    /// Whether the holder of this card may open what was asked: nobody opens their own request. Asked before the PIN;
    /// the server, which knows more about people, asks again.
    ///
    /// # Errors
    /// [`Error::OwnRequest`].
    pub fn check_second_person(&self, administrator: &Certificate) -> Result<(), Error> {
        match in_common(&self.operator, administrator) {
            Some(what) => Err(Error::OwnRequest { what }),
            None => Ok(()),
        }
    }

    /// Signs the opening with the administrator card: what the request says, who asked, and the request itself.
    ///
    /// # Errors
    /// [`Error::OwnRequest`]; [`Error::CardMissing`], [`Error::CardRefused`], [`Error::Signing`].
    pub fn sign_opening(&self, card: &AdministratorCard) -> Result<Vec<u8>, Error> {
        self.check_second_person(card.certificate())?;
        let at = clock::now();
        let opening = Opening {
            version: VERSION,
            act: "open-collection-windows",
            serials: self.serials.iter().map(Serial::as_str).collect(),
            expires_at: &self.expires_at,
            asked_by: self.operator.subject().to_string(),
            request: Base64::encode_string(&self.cms),
            approved_at: clock::rfc3339(at)?,
        };
        let content = serde_json::to_vec(&opening)
            .map_err(|error| Error::Signing { card: "administrator".to_owned(), why: error.to_string() })?;
        card.sign(&content, at)
    }

    /// Signs the opening and sends it. Gives what the server says was done.
    ///
    /// # Errors
    /// As [`sign_opening`](Self::sign_opening); the server's refusals, [`Error::WindowConflict`] when this request was
    /// used before.
    pub fn open(&self, server: &Server, card: &AdministratorCard) -> Result<String, Error> {
        let answer = server.post_cms(WINDOWS, &self.sign_opening(card)?)?;
        match answer.status {
            200 => Ok(answer.text()),
            409 => Err(Error::WindowConflict { text: answer.text() }),
            _ => Err(answer.refusal()),
        }
    }
}

impl Asking {
    /// The server's own rules, so that nobody signs what it refuses.
    fn check(&self, now: i64) -> Result<Vec<Serial>, Error> {
        let bad = |why: String| Err(Error::WindowRequest { why });
        if self.version != VERSION {
            return bad(format!("its version is {}, and {VERSION} is known", self.version));
        }
        if self.serials.is_empty() || self.serials.len() > MAX_SERIALS {
            return bad(format!("it names {} serials, and 1 to {MAX_SERIALS} may be", self.serials.len()));
        }
        let mut serials = Vec::with_capacity(self.serials.len());
        for text in &self.serials {
            match Serial::parse(text) {
                Ok(sn) if !serials.contains(&sn) => serials.push(sn),
                Ok(sn) => return bad(format!("{sn} stands in it twice")),
                Err(error) => return bad(format!("a serial in it: {error}")),
            }
        }
        match clock::from_rfc3339(&self.expires_at) {
            Some(at) if at > now && at - now <= i64::from(MAX_HOURS) * 3600 => Ok(serials),
            Some(_) => bad(format!("its windows would not close within 1 to {MAX_HOURS} hours from now")),
            None => bad("the time it ends is no RFC 3339 time".to_owned()),
        }
    }
}
