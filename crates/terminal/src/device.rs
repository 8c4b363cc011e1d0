//! What a terminal is, beside its keys: serials, roots, production settings, and the latest time that it knew.

use base64ct::{Base64, Encoding};
use pki::{Certificate, Role, TrustList};
use serde::{Deserialize, Serialize};
use wire::{Device, ModelId, Serial, VendorId};

use crate::storage::Record;
use crate::{Clock, Error, vault::Vault};

/// Version of the stored form.
const VERSION: u32 = 1;

/// A terminal to be made.
#[derive(Debug, Clone)]
pub struct NewTerminal {
    /// Its serial.
    pub sn: Serial,
    /// The serial of its external PIN pad; none when the PIN pad is built in.
    pub pin_pad: Option<Serial>,
    /// The vendor's id; together with `model`.
    pub vendor: Option<VendorId>,
    /// The model's id; together with `vendor`.
    pub model: Option<ModelId>,
    /// Whose certificates it will believe.
    pub roots: Vec<TrustedRoot>,
    /// What production decided.
    pub settings: Settings,
}

impl NewTerminal {
    /// A terminal with a built-in PIN pad, without vendor and model, that believes nobody yet.
    #[must_use]
    pub fn named(sn: Serial) -> NewTerminal {
        NewTerminal {
            sn,
            pin_pad: None,
            vendor: None,
            model: None,
            roots: Vec::new(),
            settings: Settings::default(),
        }
    }
}

/// A line of the trust list (2-wire.md section 5): a root and the roles that it may issue.
#[derive(Debug, Clone)]
pub struct TrustedRoot {
    /// The root.
    pub certificate: Certificate,
    /// What it may issue.
    pub roles: Vec<Role>,
}

impl TrustedRoot {
    /// A root for the two roles that may collect: KMS work and MTMS.
    #[must_use]
    pub fn for_collecting(certificate: Certificate) -> TrustedRoot {
        TrustedRoot { certificate, roles: vec![Role::KmsWork, Role::Mtms] }
    }
}

/// What production decides for a terminal.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Whether COLLECT may bring a bare public key (DF12). Then nothing but the clean room says whose it is.
    pub allow_bare_key: bool,
}

/// The device's state.
#[derive(Debug)]
pub(crate) struct DeviceState {
    pub(crate) device: Device,
    pub(crate) vendor: Option<VendorId>,
    pub(crate) model: Option<ModelId>,
    pub(crate) trust: TrustList,
    pub(crate) settings: Settings,
    last_known_time: i64,
    /// As it is stored: the roots cannot be taken out of a [`TrustList`] with their roles.
    roots: Vec<StoredRoot>,
}

/// The stored form: JSON, sealed.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    version: u32,
    sn: String,
    pin_pad: Option<String>,
    vendor: Option<String>,
    model: Option<String>,
    roots: Vec<StoredRoot>,
    settings: Settings,
    last_known_time: i64,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct StoredRoot {
    der: String,
    roles: Vec<u8>,
}

impl DeviceState {
    /// The state of a new terminal; its first known time is now.
    pub(crate) fn new(new: NewTerminal, now: i64) -> Result<DeviceState, Error> {
        if new.vendor.is_some() != new.model.is_some() {
            return Err(Error::VendorWithoutModel);
        }
        let mut trust = TrustList::new();
        let mut roots = Vec::new();
        for root in new.roots {
            if !root.certificate.is_ca() {
                return Err(Error::NotARoot { subject: root.certificate.subject().to_string() });
            }
            roots.push(StoredRoot {
                der: Base64::encode_string(root.certificate.der()),
                roles: root.roles.iter().map(|role| role.number()).collect(),
            });
            trust.add(root.certificate, &root.roles);
        }
        Ok(DeviceState {
            device: Device::new(new.sn, new.pin_pad)?,
            vendor: new.vendor,
            model: new.model,
            trust,
            settings: new.settings,
            last_known_time: now,
            roots,
        })
    }

    /// Reads what is stored.
    pub(crate) fn load(vault: &Vault) -> Result<DeviceState, Error> {
        let clear = vault.load(Record::Device)?;
        Self::read(&clear).ok_or(Error::StateDamaged { what: Record::Device.name() })
    }

    /// Stores it.
    pub(crate) fn store(&self, vault: &Vault) -> Result<(), Error> {
        let stored = Stored {
            version: VERSION,
            sn: self.device.sn().to_string(),
            pin_pad: self.device.external_pin_pad().map(ToString::to_string),
            vendor: self.vendor.as_ref().map(ToString::to_string),
            model: self.model.as_ref().map(ToString::to_string),
            roots: self.roots.clone(),
            settings: self.settings,
            last_known_time: self.last_known_time,
        };
        let what = Record::Device.name();
        let clear = serde_json::to_vec(&stored).map_err(|_| Error::StateDamaged { what })?;
        vault.store(Record::Device, &clear)
    }

    /// The time to check dates against: the clock's, or the last known time where that is later. It never goes back,
    /// so it is stored before it is used (2-wire.md section 5).
    pub(crate) fn time(&mut self, clock: &dyn Clock, vault: &Vault) -> Result<i64, Error> {
        let now = clock.now();
        if now > self.last_known_time {
            let before = std::mem::replace(&mut self.last_known_time, now);
            if let Err(error) = self.store(vault) {
                self.last_known_time = before;
                return Err(error);
            }
        }
        Ok(self.last_known_time)
    }

    /// The latest time that the terminal knew, unix seconds.
    pub(crate) fn last_known_time(&self) -> i64 {
        self.last_known_time
    }

    fn read(clear: &[u8]) -> Option<DeviceState> {
        let stored: Stored =
            serde_json::from_slice(clear).ok().filter(|stored: &Stored| stored.version == VERSION)?;
        let mut trust = TrustList::new();
        for root in &stored.roots {
            let der = Base64::decode_vec(&root.der).ok()?;
            let roles: Option<Vec<Role>> =
                root.roles.iter().map(|number| Role::from_number(*number)).collect();
            trust.add(Certificate::from_der(&der).ok()?, &roles?);
        }
        let parse = |text: Option<String>| text.map(|text| Serial::parse(&text)).transpose();
        Some(DeviceState {
            device: Device::new(Serial::parse(&stored.sn).ok()?, parse(stored.pin_pad).ok()?).ok()?,
            vendor: stored.vendor.map(|text| VendorId::parse(&text)).transpose().ok()?,
            model: stored.model.map(|text| ModelId::parse(&text)).transpose().ok()?,
            trust,
            settings: stored.settings,
            last_known_time: stored.last_known_time,
            roots: stored.roots,
        })
    }
}
