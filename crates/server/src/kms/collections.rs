//! Collected packages: checked terminal by terminal, so that one bad one does not spoil the others.

use std::{collections::HashSet, net::IpAddr};

use flows::{EcAes, Tdes};
use futures_util::{StreamExt, TryStreamExt, stream};
use hsm::Hsm;
use pki::{Certificate, cms};
use serde::{Deserialize, Serialize, de::IgnoredAny};
use serde_json::json;
use store::{CollectedTerminal, CollectedTk, CollectionImport, ImportOutcome, PerTerminal, Refusal, Store};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};
use wire::{Device, ModelId, Serial, VendorId};

pub(crate) use self::suite::Work;
use self::{orders::OpenOrders, suite::Named};
use super::{
    Failure, Kms, event,
    package::{Authentic, UploadRefusal},
};

mod ec_aes;
pub(crate) mod orders;
mod suite;
mod tdes;

pub(crate) use self::suite::CollectingSuite;

/// What these uploads are called in the audit.
const WHAT: &str = "collection";
/// Terminals in one package at most.
const MAX_TERMINALS: usize = 20_000;
/// Characters of a station's name for itself.
const MAX_STATION: usize = 128;
/// Checks in the HSM at once for one upload.
const CHECKS_AT_ONCE: usize = 16;

/// Which suite a package is of: one of suite 02 names its ceremony.
#[derive(Deserialize)]
struct Probe {
    ceremony: Option<IgnoredAny>,
}

/// The content of a collected package.
#[derive(Deserialize)]
#[serde(bound = "")]
struct Package<U: CollectingSuite> {
    version: u32,
    station: String,
    collected_at: String,
    #[serde(flatten)]
    head: U::Head,
    terminals: Vec<Entry<U>>,
}

#[derive(Deserialize)]
#[serde(bound = "")]
struct Entry<U: CollectingSuite> {
    sn: String,
    pin_pad_sn: Option<String>,
    vendor: Option<String>,
    model: Option<String>,
    #[serde(flatten)]
    made: U::Entry,
    work_certificate_sha256: String,
    #[serde(default)]
    replaces: bool,
}

/// One line of the answer.
#[derive(Debug, Serialize)]
pub(crate) struct TerminalResult {
    sn: String,
    ok: bool,
    code: String,
    text: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    fingerprint: Option<String>,
}

impl<S: Store, H: Hsm> Kms<S, H> {
    /// Takes a collected package and answers for each terminal, in order.
    pub(crate) async fn take_collection(
        &self,
        package: &[u8],
        source: IpAddr,
    ) -> Result<Vec<TerminalResult>, UploadRefusal> {
        let opened = self.count_refused(WHAT, source, cms::open(package).map_err(UploadRefusal::from))?;
        // Only who must have signed is looked up by what nobody vouches for yet.
        match serde_json::from_slice(&opened.content) {
            Ok(Probe { ceremony: Some(_) }) => {
                self.take_collection_of::<EcAes>(package, opened, source).await
            }
            _ => self.take_collection_of::<Tdes>(package, opened, source).await,
        }
    }

    async fn take_collection_of<U: CollectingSuite>(
        &self,
        package: &[u8],
        opened: cms::SignedPackage,
        source: IpAddr,
    ) -> Result<Vec<TerminalResult>, UploadRefusal> {
        let signed = self.count_refused(WHAT, source, U::authenticate(&self.trust, opened))?;
        let taken = self.import::<U>(package, &signed).await;
        if let Err(refusal) = &taken
            && !refusal.is_failure()
        {
            let why = (refusal.code(), refusal.to_string());
            self.audit_refused("collection.refused", &signed, signed.digest_hex(), why).await?;
        }
        taken
    }

    async fn import<U: CollectingSuite>(
        &self,
        package: &[u8],
        signed: &Authentic,
    ) -> Result<Vec<TerminalResult>, UploadRefusal> {
        let content = signed.read::<Package<U>>()?;
        let collected_at = content.check()?;
        let nonce = U::nonce_of(self, &content.head, &content.station).await?;
        let serials = content.terminals.iter().filter_map(|entry| Serial::parse(&entry.sn).ok());
        let orders = self.orders_for(serials.collect()).await?;
        let mut seen = HashSet::new();
        let checks: Vec<_> = content
            .terminals
            .iter()
            .map(|entry| self.check(entry, &nonce, &orders, !seen.insert(entry.sn.as_str())))
            .collect();
        let checked: Vec<Result<CollectedTerminal, Refusal>> =
            stream::iter(checks).buffered(CHECKS_AT_ONCE).try_collect().await?;

        let terminals: Vec<_> = checked.iter().filter_map(|entry| entry.as_ref().ok().cloned()).collect();
        let detail = json!({
            "station": content.station,
            "suite": U::ID.byte(),
            "card": signed.signer.certificate_serial,
            "second": signed.second.as_ref().map(|person| &person.subject),
            "second_card": signed.second.as_ref().map(|person| &person.certificate_serial),
            "terminals": terminals.len(),
            "unreadable": checked.len() - terminals.len(),
        });
        let received =
            event("collection.received", signed.signer.subject.as_str(), signed.digest_hex(), detail);
        let import = CollectionImport {
            digest: signed.digest,
            package: package.to_vec(),
            signer: signed.signer.clone(),
            second_signer: signed.second.clone(),
            acquirer: self.acquirer.id.clone(),
            station: content.station.clone(),
            collected_at,
            terminals,
        };
        let outcome = self.store.import_collection(import, received).await.map_err(Failure::from)?;
        let ImportOutcome::Stored(stored) = outcome else { return Err(UploadRefusal::Duplicate) };

        let mut stored = stored.into_iter();
        let next = if self.is_mtms() { "it goes to the order's buyer" } else { "the terminal can download" };
        let results = content.terminals.iter().zip(checked).map(|(entry, checked)| match checked {
            Ok(terminal) => TerminalResult::of(&entry.sn, stored.next(), terminal.fingerprint, next),
            Err(refusal) => TerminalResult::refused(&entry.sn, refusal),
        });
        Ok(results.collect())
    }

    /// Checks one terminal. The outer error is ours, the inner one the entry's: not even its serial can be read. An
    /// entry that can be read and is refused goes to the store with its refusal, for the audit.
    async fn check<U: CollectingSuite>(
        &self,
        entry: &Entry<U>,
        nonce: &U::Nonce,
        orders: &OpenOrders,
        seen_before: bool,
    ) -> Result<Result<CollectedTerminal, Refusal>, UploadRefusal> {
        let (mut terminal, sealed) = match entry.read() {
            Ok(read) => read,
            Err(refusal) => return Ok(Err(refusal)),
        };
        terminal.refused = if seen_before {
            Some(refusal("serial-twice", "the serial stands twice in this package; the first one counts"))
        } else if let Err(refusal) = orders.allow(terminal.device.sn(), terminal.model.as_deref()) {
            Some(refusal)
        } else {
            match self.open_tk::<U>(&terminal, nonce, &sealed).await? {
                Ok(tk) => {
                    // Its device signed them.
                    let told = U::refusals(&sealed);
                    let kept = self.keep_refusals(terminal.device.sn(), "COLLECTED", told).await;
                    kept.map_err(Failure::from)?;
                    terminal.tk = tk;
                    None
                }
                Err(refusal) => Some(refusal),
            }
        };
        Ok(Ok(terminal))
    }

    async fn open_tk<U: CollectingSuite>(
        &self,
        terminal: &CollectedTerminal,
        nonce: &U::Nonce,
        sealed: &U::Sealed,
    ) -> Result<Result<CollectedTk, Refusal>, Failure> {
        match self.work_of(&terminal.work_certificate_sha256).await? {
            Some(work) if work.record.suite == U::ID => {
                U::open(self, &work, nonce, &terminal.device, sealed).await
            }
            _ => {
                let text = "the work certificate it was collected under is not of this KMS; collect it again under ours";
                Ok(Err(refusal("unknown-work-certificate", text)))
            }
        }
    }

    /// A work key with its certificate.
    pub(crate) async fn work_of(&self, certificate_sha256: &str) -> Result<Option<Work>, Failure> {
        let Some(record) = self.store.work_key(certificate_sha256).await? else { return Ok(None) };
        let kept = self.store.certificate(certificate_sha256).await?;
        let kept = kept.ok_or_else(|| Failure::NoWorkKey(certificate_sha256.to_owned()))?;
        Ok(Some(Work { record, certificate: Certificate::from_der(&kept.der)? }))
    }
}

impl<U: CollectingSuite> Package<U> {
    /// Checks what concerns the package as a whole, and gives the time of collection in Unix milliseconds.
    fn check(&self) -> Result<i64, UploadRefusal> {
        let bad = |text: String| Err(UploadRefusal::Content(text));
        if self.version != 1 {
            return bad(format!("version {} is not known; this server knows version 1", self.version));
        }
        if self.station.is_empty() || self.station.chars().count() > MAX_STATION {
            return bad(format!("station must have 1 to {MAX_STATION} characters"));
        }
        if self.terminals.len() > MAX_TERMINALS {
            return bad(format!(
                "{} terminals; send at most {MAX_TERMINALS} in a package",
                self.terminals.len()
            ));
        }
        match OffsetDateTime::parse(&self.collected_at, &Rfc3339) {
            Ok(at) => Ok(at.unix_timestamp() * 1000 + i64::from(at.millisecond())),
            Err(_) => bad("collected_at is no RFC 3339 time".into()),
        }
    }
}

impl<U: CollectingSuite> Entry<U> {
    fn read(&self) -> Result<(CollectedTerminal, U::Sealed), Refusal> {
        let malformed = |what: &str| refusal("malformed", what);
        let sn = Serial::parse(&self.sn).map_err(|_| malformed("sn is no serial"))?;
        let pin_pad = self.pin_pad_sn.as_deref().map(Serial::parse).transpose();
        let pin_pad = pin_pad.map_err(|_| malformed("pin_pad_sn is no serial"))?;
        let device = Device::new(sn, pin_pad)
            .map_err(|_| malformed("pin_pad_sn equals sn; leave it out when built in"))?;
        let vendor = self.vendor.as_deref().map(VendorId::parse).transpose();
        let model = self.model.as_deref().map(ModelId::parse).transpose();
        let vendor = vendor.map_err(|_| malformed("vendor is no vendor id"))?;
        let model = model.map_err(|_| malformed("model is no model id"))?;
        if vendor.is_some() != model.is_some() {
            return Err(malformed("vendor and model come together, or not at all"));
        }
        let make = self.vendor.as_deref().zip(self.model.as_deref());
        let sealed = U::entry(&self.made, &Named { device: &device, make })?;
        let certificate = &self.work_certificate_sha256;
        let is_digest =
            certificate.len() == 64 && certificate.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        if !is_digest {
            return Err(malformed("work_certificate_sha256 is not 64 lower-case hex digits"));
        }
        let terminal = CollectedTerminal {
            fingerprint: wire::fingerprint(device.sn(), U::df09(&sealed)),
            device,
            vendor: self.vendor.clone(),
            model: self.model.clone(),
            tk: U::unopened(&sealed),
            work_certificate_sha256: certificate.clone(),
            replaces: self.replaces,
            refused: None,
        };
        Ok((terminal, sealed))
    }
}

impl TerminalResult {
    /// What the store said; `next` is what comes after it.
    fn of(sn: &str, stored: Option<PerTerminal>, fingerprint: String, next: &str) -> Self {
        let (ok, code, text) = match stored {
            Some(PerTerminal::Stored) => (true, "stored", format!("stored; {next}")),
            Some(PerTerminal::AwaitsApproval { id }) => {
                (true, "awaits-approval", format!("kept as replacement {id} until a second person approves it"))
            }
            Some(PerTerminal::AlreadyKnown { same: true }) => {
                (true, "already-stored", "this very key is stored already".to_owned())
            }
            Some(PerTerminal::AlreadyKnown { same: false }) => (
                false,
                "already-known",
                "this terminal is known already; to give it this key, collect with --replace and have a second \
                 person approve"
                    .to_owned(),
            ),
            Some(PerTerminal::SerialPairTaken { by }) => {
                (false, "pin-pad-taken", format!("the PIN pad is recorded with terminal {by}"))
            }
            Some(PerTerminal::OtherAcquirer) => {
                (false, "other-acquirer", "the serial is recorded with another acquirer".to_owned())
            }
            Some(PerTerminal::Refused(refusal)) => return Self::refused(sn, refusal),
            None => (false, "internal", "the store gave no answer for this terminal".to_owned()),
        };
        let sn = sn.to_owned();
        Self { sn, ok, code: code.to_owned(), text, fingerprint: Some(fingerprint) }
    }

    fn refused(sn: &str, refusal: Refusal) -> Self {
        // Cut, since a malformed serial may be of any length.
        let sn = sn.chars().take(64).collect();
        Self { sn, ok: false, code: refusal.code, text: refusal.text, fingerprint: None }
    }
}

fn refusal(code: &str, text: &str) -> Refusal {
    Refusal { code: code.to_owned(), text: text.to_owned() }
}
