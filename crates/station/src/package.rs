//! Packages: what the station signs and uploads (2-wire.md section 6).

use flows::{EcAes, Tdes};
use serde::{
    Deserialize, Serialize,
    de::{DeserializeOwned, IgnoredAny},
};
use sha2::{Digest, Sha256};
use wire::{Device, Serial};

use crate::{
    BothCards, Error, clock,
    collect::{CollectedTerminal, StationSuite},
    text,
};

/// Longest name of a station, characters.
pub const MAX_STATION_NAME: usize = 64;
/// Version of the content.
const VERSION: u32 = 1;

/// The content of a package, field by field as 2-wire.md section 6 has it, and 3-hardened.md for suite 02.
#[derive(Serialize, Deserialize)]
#[serde(bound = "")]
struct Content<S: StationSuite> {
    version: u32,
    station: String,
    collected_at: String,
    #[serde(flatten)]
    head: S::Head,
    terminals: Vec<Entry<S>>,
}

#[derive(Serialize, Deserialize)]
#[serde(bound = "")]
struct Entry<S: StationSuite> {
    sn: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pin_pad_sn: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    vendor: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    model: Option<String>,
    #[serde(flatten)]
    made: S::Entry,
    work_certificate_sha256: String,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    replaces: bool,
}

/// Which suite a package is of: one of suite 02 names its ceremony.
#[derive(Deserialize)]
struct Probe {
    ceremony: Option<IgnoredAny>,
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
    /// Packs what was collected and has it signed, while both cards are there: by the operator card in suite 01, by both
    /// in suite 02.
    ///
    /// # Errors
    /// [`Error::NothingCollected`], [`Error::TooManyTerminals`], [`Error::StationName`]; in suite 02
    /// [`Error::CeremonyMixed`] and [`Error::CeremonyOfOtherStation`]; what [`BothCards::check`] says;
    /// [`Error::Signing`].
    pub fn sign<S: StationSuite>(
        cards: &BothCards,
        collected: &[CollectedTerminal<S>],
        settings: &PackSettings,
    ) -> Result<Package, Error> {
        if collected.is_empty() {
            return Err(Error::NothingCollected);
        }
        if collected.len() > S::MAX_TERMINALS {
            return Err(Error::TooManyTerminals { found: collected.len(), max: S::MAX_TERMINALS });
        }
        check_name(&settings.station)?;
        let at = clock::now();
        let content = Content::<S> {
            version: VERSION,
            station: settings.station.clone(),
            collected_at: clock::rfc3339(at)?,
            head: S::head(collected, &settings.station)?,
            terminals: collected.iter().map(|terminal| entry(terminal, settings.replaces)).collect(),
        };
        let signing = |why: String| Error::Signing { card: "operator".to_owned(), why };
        let content = serde_json::to_vec(&content).map_err(|error| signing(error.to_string()))?;
        let cms = S::sign(cards, &content, at)?;
        let packed = |terminal: &CollectedTerminal<S>| Packed {
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
        let probe: Probe = parse(&opened.content)?;
        let terminals = match probe.ceremony {
            None => packed::<Tdes>(&opened.content)?,
            Some(_) => packed::<EcAes>(&opened.content)?,
        };
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

/// Whether a station may have this name.
pub(crate) fn check_name(name: &str) -> Result<(), Error> {
    if (1..=MAX_STATION_NAME).contains(&name.chars().count()) && !name.chars().any(char::is_control) {
        Ok(())
    } else {
        Err(Error::StationName { max: MAX_STATION_NAME })
    }
}

fn entry<S: StationSuite>(terminal: &CollectedTerminal<S>, replaces: bool) -> Entry<S> {
    Entry {
        sn: terminal.device().sn().to_string(),
        pin_pad_sn: terminal.device().external_pin_pad().map(ToString::to_string),
        vendor: terminal.vendor().map(ToString::to_string),
        model: terminal.model().map(ToString::to_string),
        made: S::entry(terminal),
        work_certificate_sha256: terminal.work_certificate_sha256().to_owned(),
        replaces,
    }
}

fn parse<T: DeserializeOwned>(content: &[u8]) -> Result<T, String> {
    serde_json::from_slice(content).map_err(|error| format!("its content: {error}"))
}

/// The terminals of a package of this suite.
fn packed<S: StationSuite>(content: &[u8]) -> Result<Vec<Packed>, String> {
    let content: Content<S> = parse(content)?;
    let serial = |text: &str| Serial::parse(text).map_err(|error| format!("a serial in it: {error}"));
    let read = |entry: &Entry<S>| {
        let pin_pad = entry.pin_pad_sn.as_deref().map(serial).transpose()?;
        let device = Device::new(serial(&entry.sn)?, pin_pad).map_err(|error| error.to_string())?;
        S::packed(&entry.made, device)
    };
    content.terminals.iter().map(read).collect()
}
