//! Packages: what the station signs and uploads (2-wire.md section 6).

use base64ct::{Base64, Encoding};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use wire::{Device, Serial};

use crate::{
    BothCards, Error, clock,
    collect::{CollectedTerminal, MAX_TERMINALS},
    text,
};

/// Longest name of a station, characters.
pub const MAX_STATION_NAME: usize = 64;
/// Version of the content.
const VERSION: u32 = 1;

/// The content of a package, field by field as 2-wire.md section 6 has it.
#[derive(Serialize, Deserialize)]
struct Content {
    version: u32,
    station: String,
    collected_at: String,
    terminals: Vec<Entry>,
}

#[derive(Serialize, Deserialize)]
struct Entry {
    sn: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pin_pad_sn: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    vendor: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    model: Option<String>,
    ctk_pu: String,
    work_certificate_sha256: String,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    replaces: bool,
}

/// How a package is made.
#[derive(Debug, Clone)]
pub struct PackSettings {
    /// The station's name, 1 to [`MAX_STATION_NAME`] characters.
    pub station: String,
    /// Whether the terminals are known to the KMS already, and the new TKs are to replace theirs. Takes effect when a
    /// second person approves it at the KMS.
    pub replaces: bool,
}

/// A signed package, and what is in it.
#[derive(Debug, Clone)]
pub struct Package {
    cms: Vec<u8>,
    terminals: Vec<Packed>,
}

/// A terminal in a package.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Packed {
    /// Its serial and its PIN pad's.
    pub device: Device,
    /// The fingerprint of what was collected: 20 upper-case hex digits.
    pub fingerprint: String,
}

impl Package {
    /// Packs what was collected and has the operator card sign it, while both cards are there.
    ///
    /// # Errors
    /// [`Error::NothingCollected`], [`Error::TooManyTerminals`], [`Error::StationName`]; what [`BothCards::check`]
    /// says; [`Error::Signing`].
    pub fn sign(
        cards: &BothCards,
        collected: &[CollectedTerminal],
        settings: &PackSettings,
    ) -> Result<Package, Error> {
        if collected.is_empty() {
            return Err(Error::NothingCollected);
        }
        if collected.len() > MAX_TERMINALS {
            return Err(Error::TooManyTerminals { found: collected.len(), max: MAX_TERMINALS });
        }
        let name = settings.station.as_str();
        if !(1..=MAX_STATION_NAME).contains(&name.chars().count()) || name.chars().any(char::is_control) {
            return Err(Error::StationName { max: MAX_STATION_NAME });
        }
        let at = clock::now();
        let content = Content {
            version: VERSION,
            station: name.to_owned(),
            collected_at: clock::rfc3339(at)?,
            terminals: collected.iter().map(|terminal| entry(terminal, settings.replaces)).collect(),
        };
        let signing = |why: String| Error::Signing { card: "operator".to_owned(), why };
        let content = serde_json::to_vec(&content).map_err(|error| signing(error.to_string()))?;
        let cms = cards.sign(&content, at)?;
        let packed = |terminal: &CollectedTerminal| Packed {
            device: terminal.device().clone(),
            fingerprint: terminal.fingerprint(),
        };
        Ok(Package { cms, terminals: collected.iter().map(packed).collect() })
    }

    /// Reads a package that this station made before.
    ///
    /// # Errors
    /// What is wrong with it, in words.
    pub(crate) fn read(cms: Vec<u8>) -> Result<Package, String> {
        let opened = pki::cms::open(&cms).map_err(|refusal| refusal.to_string())?;
        let content: Content =
            serde_json::from_slice(&opened.content).map_err(|error| format!("its content: {error}"))?;
        let terminals = content.terminals.iter().map(packed).collect::<Result<_, String>>()?;
        Ok(Package { cms, terminals })
    }

    /// The CMS SignedData, DER: the body of the upload.
    pub fn cms(&self) -> &[u8] {
        &self.cms
    }

    /// What is in it, in order.
    pub fn terminals(&self) -> &[Packed] {
        &self.terminals
    }

    /// SHA-256 of the CMS, lower-case hex: what the server knows a package by.
    pub fn sha256_hex(&self) -> String {
        text::hex(&Sha256::digest(&self.cms))
    }
}

fn entry(terminal: &CollectedTerminal, replaces: bool) -> Entry {
    Entry {
        sn: terminal.device().sn().to_string(),
        pin_pad_sn: terminal.device().external_pin_pad().map(ToString::to_string),
        vendor: terminal.vendor().map(ToString::to_string),
        model: terminal.model().map(ToString::to_string),
        ctk_pu: Base64::encode_string(terminal.ctk_pu()),
        work_certificate_sha256: terminal.work_certificate_sha256().to_owned(),
        replaces,
    }
}

fn packed(entry: &Entry) -> Result<Packed, String> {
    let serial = |text: &str| Serial::parse(text).map_err(|error| format!("a serial in it: {error}"));
    let sn = serial(&entry.sn)?;
    let ctk_pu = Base64::decode_vec(&entry.ctk_pu).map_err(|error| format!("the ctk_pu of {sn}: {error}"))?;
    let pin_pad = entry.pin_pad_sn.as_deref().map(serial).transpose()?;
    let fingerprint = wire::fingerprint(&sn, &ctk_pu);
    let device = Device::new(sn, pin_pad).map_err(|error| error.to_string())?;
    Ok(Packed { device, fingerprint })
}
