//! What a terminal is, beside its keys: serials, roots, production settings, and the latest time that it knew.

use base64ct::{Base64, Encoding};
use pki::{Certificate, Crl, CrlSet, Role, TrustList, Verified};
use serde::{Deserialize, Serialize};
use wire::{Device, ModelId, Serial, VendorId};

use crate::board::SensorLimits;
use crate::epochs::Epochs;
use crate::package::PackageSettings;
use crate::self_test::SelfTest;
use crate::storage::Record;
use crate::{Clock, Error, FixedClock, vault::Vault};

/// Version of the stored form. Version 3 is this one without revocation lists, version 2 without the settings for packages,
/// version 1 without those for sensors and self test either; all of them have defaults.
const VERSION: u32 = 4;
/// Versions that are read.
const READABLE: [u32; 4] = [1, 2, 3, VERSION];
/// The roles of an acquirer: what its root may issue. The others' roots are the vendor's, and stay.
const ACQUIRER_ROLES: [Role; 4] = [Role::KmsWork, Role::Downloader, Role::RksWork, Role::RksSigning];

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

    /// An acquirer's root: KMS work, downloader, RKS work and RKS signing.
    #[must_use]
    pub fn of_acquirer(certificate: Certificate) -> TrustedRoot {
        TrustedRoot { certificate, roles: ACQUIRER_ROLES.to_vec() }
    }

    /// The vendor's root, which stays with the terminal for life: MTMS, repair authorisation and package signing.
    #[must_use]
    pub fn of_vendor(certificate: Certificate) -> TrustedRoot {
        let roles = vec![Role::Mtms, Role::RepairAuthorisation, Role::PackageSigning];
        TrustedRoot { certificate, roles }
    }

    fn stored(&self) -> Result<StoredRoot, Error> {
        if !self.certificate.is_ca() {
            return Err(Error::NotARoot { subject: self.certificate.subject().to_string() });
        }
        Ok(StoredRoot {
            der: Base64::encode_string(self.certificate.der()),
            roles: self.roles.iter().map(|role| role.number()).collect(),
        })
    }
}

/// What production decides for a terminal.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Whether COLLECT may bring a bare public key (DF12). Then nothing but the clean room says whose it is.
    pub allow_bare_key: bool,
    /// The ranges of its sensors.
    #[serde(default)]
    pub sensors: SensorLimits,
    /// What must work before a TK is made.
    #[serde(default)]
    pub self_test: SelfTest,
    /// What a package needs to be installed.
    #[serde(default)]
    pub packages: PackageSettings,
}

impl Settings {
    /// Refuses ranges that make no sense.
    fn check(&self) -> Result<(), Error> {
        let SensorLimits { millivolts, celsius } = &self.sensors;
        for (sensor, ranges) in [("voltage", millivolts), ("temperature", celsius)] {
            if !ranges.are_nested() {
                return Err(Error::SensorRanges { sensor });
            }
        }
        Ok(())
    }
}

/// The device's state.
#[derive(Debug)]
pub(crate) struct DeviceState {
    pub(crate) device: Device,
    pub(crate) vendor: Option<VendorId>,
    pub(crate) model: Option<ModelId>,
    pub(crate) trust: TrustList,
    /// The newest revocation list of each issuer that brought one; its number only rises.
    pub(crate) crls: CrlSet,
    pub(crate) epochs: Epochs,
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
    /// DER, base64.
    #[serde(default)]
    crls: Vec<String>,
    #[serde(default)]
    epochs: Epochs,
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
        new.settings.check()?;
        let roots = new.roots.iter().map(TrustedRoot::stored).collect::<Result<Vec<_>, _>>()?;
        for root in &new.roots {
            of_one_estate(new.roots.iter().map(|known| &known.certificate), &root.certificate)?;
        }
        let mut trust = TrustList::new();
        for TrustedRoot { certificate, roles } in new.roots {
            trust.add(certificate, &roles);
        }
        Ok(DeviceState {
            device: Device::new(new.sn, new.pin_pad)?,
            vendor: new.vendor,
            model: new.model,
            trust,
            crls: CrlSet::new(),
            epochs: Epochs::default(),
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
            settings: self.settings.clone(),
            last_known_time: self.last_known_time,
            crls: self.crls.iter().map(|crl| Base64::encode_string(crl.der())).collect(),
            epochs: self.epochs.clone(),
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

    /// Takes an acquirer's root in place of every other that may issue one of its roles, and stores it.
    pub(crate) fn install_root(&mut self, root: &TrustedRoot, vault: &Vault) -> Result<(), Error> {
        let before = self.roots.clone();
        let new = root.stored()?;
        of_one_estate(self.trust.roots(), &root.certificate)?;
        for known in &mut self.roots {
            known.roles.retain(|role| !new.roles.contains(role));
        }
        self.roots.retain(|known| !known.roles.is_empty());
        self.roots.push(new);
        let trust = trust_list(&self.roots).ok_or(Error::StateDamaged { what: Record::Device.name() });
        if let Err(error) = trust.map(|trust| self.trust = trust).and_then(|()| self.store(vault)) {
            self.trust = trust_list(&before).unwrap_or_default();
            self.roots = before;
            return Err(error);
        }
        Ok(())
    }

    /// A certificate is accepted: no older one of its kind is from now on, over power cuts neither.
    pub(crate) fn accepted(&mut self, verified: &Verified, vault: &Vault) -> Result<(), Error> {
        let before = self.epochs.clone();
        if !self.epochs.raise(verified) {
            return Ok(());
        }
        self.store(vault).inspect_err(|_| self.epochs = before)
    }

    /// Takes a revocation list that a root of the trust list signed, in place of an older one, and stores it before it
    /// counts. The number never goes back, over power cuts neither.
    pub(crate) fn install_crl(&mut self, crl: Crl, vault: &Vault) -> Result<(), Error> {
        let issuer = crl.issuer().to_string();
        if !self.trust.roots().any(|root| root.subject() == crl.issuer() && crl.verify(root).is_ok()) {
            return Err(Error::ForeignCrl { issuer });
        }
        let of_issuer = |held: &&Crl| held.issuer() == crl.issuer();
        if let Some(held) = self.crls.iter().find(of_issuer).map(Crl::number)
            && crl.number() <= held
        {
            return Err(Error::OldCrl { issuer, held, found: crl.number() });
        }
        let mut newer = CrlSet::new();
        self.crls
            .iter()
            .filter(|held| held.issuer() != crl.issuer())
            .for_each(|held| newer.add(held.clone()));
        newer.add(crl);
        let before = std::mem::replace(&mut self.crls, newer);
        self.store(vault).inspect_err(|_| self.crls = before)
    }

    /// Learns the time from a TMS that has proved itself: forward only (2-wire.md section 4, flow E).
    pub(crate) fn learn_time(&mut self, now: i64, vault: &Vault) -> Result<(), Error> {
        self.time(&FixedClock(now), vault).map(drop)
    }

    /// Whose package signing certificates sign packages: the vendor's root's. That is the one which authorises repairs,
    /// also in terminals made before there were packages, or one for package signing that is no acquirer's.
    pub(crate) fn vendor_trust(&self) -> TrustList {
        self.package_trust(|roles| {
            roles.contains(&Role::RepairAuthorisation)
                || roles.contains(&Role::PackageSigning)
                    && !roles.iter().any(|role| ACQUIRER_ROLES.contains(role))
        })
    }

    /// Whose package signing certificates approve packages: the acquirer's root's. A vendor cannot approve its own.
    pub(crate) fn approval_trust(&self) -> TrustList {
        self.package_trust(|roles| roles.iter().any(|role| ACQUIRER_ROLES.contains(role)))
    }

    /// These roots, for package signing alone.
    fn package_trust(&self, which: impl Fn(&[Role]) -> bool) -> TrustList {
        let mut trust = TrustList::new();
        for root in self.trust.roots() {
            let roles: Vec<Role> =
                Role::ALL.into_iter().filter(|role| self.trust.allows(root, *role)).collect();
            if which(&roles) {
                trust.add(root.clone(), &[Role::PackageSigning]);
            }
        }
        trust
    }

    /// The latest time that the terminal knew, unix seconds.
    pub(crate) fn last_known_time(&self) -> i64 {
        self.last_known_time
    }

    fn read(clear: &[u8]) -> Option<DeviceState> {
        let stored: Stored = serde_json::from_slice(clear)
            .ok()
            .filter(|stored: &Stored| READABLE.contains(&stored.version))?;
        let trust = trust_list(&stored.roots)?;
        let mut crls = CrlSet::new();
        for der in &stored.crls {
            crls.add_der(&Base64::decode_vec(der).ok()?).ok()?;
        }
        let parse = |text: Option<String>| text.map(|text| Serial::parse(&text)).transpose();
        Some(DeviceState {
            device: Device::new(Serial::parse(&stored.sn).ok()?, parse(stored.pin_pad).ok()?).ok()?,
            vendor: stored.vendor.map(|text| VendorId::parse(&text)).transpose().ok()?,
            model: stored.model.map(|text| ModelId::parse(&text)).transpose().ok()?,
            trust,
            crls,
            epochs: stored.epochs,
            settings: stored.settings,
            last_known_time: stored.last_known_time,
            roots: stored.roots,
        })
    }
}

/// Refuses a root for roles that are not an acquirer's.
pub(crate) fn check_acquirer_roles(root: &TrustedRoot) -> Result<(), Error> {
    match root.roles.iter().find(|role| !ACQUIRER_ROLES.contains(role)) {
        Some(role) => Err(Error::VendorRole { role: *role }),
        None => root.stored().map(|_| ()),
    }
}

/// A terminal's first root says whether it is for production or for trials, and it takes none of the other kind.
fn of_one_estate<'a>(
    mut known: impl Iterator<Item = &'a Certificate>,
    new: &Certificate,
) -> Result<(), Error> {
    let Some(first) = known.next() else { return Ok(()) };
    new.must_be_for(!first.is_for_trials()).map_err(Error::OtherEstate)
}

fn trust_list(roots: &[StoredRoot]) -> Option<TrustList> {
    let mut trust = TrustList::new();
    for root in roots {
        let der = Base64::decode_vec(&root.der).ok()?;
        let roles: Option<Vec<Role>> = root.roles.iter().map(|number| Role::from_number(*number)).collect();
        trust.add(Certificate::from_der(&der).ok()?, &roles?);
    }
    Some(trust)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::Storage as _;
    use crate::testing::{Shared, estate};
    use crate::{FixedClock, Terminal};

    /// A device state as version 1 wrote it.
    fn version_1(version: u32) -> Vec<u8> {
        let root = Base64::encode_string(estate().root.der());
        let stored = serde_json::json!({
            "version": version, "sn": "SN-1001", "pin_pad": null, "vendor": "KF", "model": "SIM-1",
            "roots": [{ "der": root, "roles": [1, 6] }],
            "settings": { "allow_bare_key": true },
            "last_known_time": 1_900_000_000,
        });
        serde_json::to_vec(&stored).unwrap()
    }

    #[test]
    fn r10_a_terminal_is_for_production_or_for_trials_and_takes_no_root_of_the_other() {
        let estate = estate();
        let dates = crate::testing::validity(estate.now - 100 * 86_400, 1000);
        let trial = pki::issue::trial_root(estate.root.subject(), &estate.root_key, dates, 2).unwrap();
        let (trial, production) =
            (TrustedRoot::of_acquirer(trial), TrustedRoot::of_acquirer(estate.root.clone()));
        for (first, other, is_production) in [(&trial, &production, false), (&production, &trial, true)] {
            let with = |roots: Vec<TrustedRoot>| NewTerminal { roots, ..estate.new_terminal() };
            let mixed = Terminal::in_memory(with(vec![first.clone(), other.clone()])).unwrap_err();
            assert!(matches!(mixed, Error::OtherEstate(_)), "{mixed}");
            let disk = Shared::new();
            let mut terminal = Terminal::new_in(disk.clone(), with(vec![first.clone()])).unwrap();
            assert!(matches!(terminal.install_root(other), Err(Error::OtherEstate(_))), "{is_production}");
            drop(terminal);
            // Nor is anything of it stored, and its own it takes again.
            let mut terminal = Terminal::open_from(disk).unwrap();
            assert_eq!(terminal.device.trust.roots().collect::<Vec<_>>(), [&first.certificate]);
            terminal.install_root(first).unwrap();
            let none_yet = Terminal::in_memory(with(vec![])).unwrap().install_root(other);
            none_yet.unwrap();
        }
    }

    #[test]
    fn a_state_of_version_1_is_taken_over_and_stored_in_the_present_one() {
        let disk = Shared::new();
        drop(Terminal::new_in(disk.clone(), estate().new_terminal()).unwrap());
        let vault = Vault::new(disk.clone()).unwrap();
        vault.store(Record::Device, &version_1(1)).unwrap();
        let mut terminal = Terminal::open_from(disk.clone()).unwrap();
        assert!(terminal.device.settings.allow_bare_key);
        assert_eq!(terminal.device.settings.sensors, SensorLimits::default());
        assert_eq!(terminal.device.settings.self_test, SelfTest::default());
        assert_eq!(terminal.device.settings.packages, PackageSettings::default());
        assert!(terminal.device.trust.allows(&estate().root, Role::Mtms));
        terminal.set_clock(FixedClock(1_900_000_001));
        assert_eq!(terminal.time().unwrap(), 1_900_000_001);
        let stored: serde_json::Value = serde_json::from_slice(&vault.load(Record::Device).unwrap()).unwrap();
        assert_eq!(stored["version"], VERSION);
        assert!(disk.load(Record::Device).unwrap().is_some());
    }

    #[test]
    fn a_root_signs_packages_or_approves_them_by_the_roles_it_has() {
        let cases: [(&[Role], bool, bool); 6] = [
            // As terminals were made before there were packages.
            (&[Role::Mtms, Role::RepairAuthorisation], true, false),
            (&[Role::Mtms, Role::RepairAuthorisation, Role::PackageSigning], true, false),
            (&[Role::PackageSigning], true, false),
            (&[Role::KmsWork, Role::Downloader, Role::RksWork], false, true),
            (&[Role::RksWork, Role::PackageSigning], false, true),
            (&[Role::Mtms], false, false),
        ];
        for (roles, signs, approves) in cases {
            let root = TrustedRoot { certificate: estate().root.clone(), roles: roles.to_vec() };
            let new = NewTerminal { roots: vec![root], ..estate().new_terminal() };
            let device = DeviceState::new(new, 0).unwrap();
            let allows = |trust: TrustList| trust.allows(&estate().root, Role::PackageSigning);
            assert_eq!(
                (allows(device.vendor_trust()), allows(device.approval_trust())),
                (signs, approves),
                "{roles:?}"
            );
            assert!(!device.vendor_trust().allows(&estate().root, Role::RepairAuthorisation));
        }
    }

    #[test]
    fn a_version_to_come_is_refused() {
        let disk = Shared::new();
        drop(Terminal::new_in(disk.clone(), estate().new_terminal()).unwrap());
        Vault::new(disk.clone()).unwrap().store(Record::Device, &version_1(VERSION + 1)).unwrap();
        assert!(matches!(Terminal::open_from(disk), Err(Error::StateDamaged { .. })));
    }

    #[test]
    fn ranges_that_are_not_nested_are_refused() {
        let mut new = estate().new_terminal();
        new.settings.sensors.celsius.operating.max = 200;
        let refused = Terminal::in_memory(new);
        assert!(matches!(refused, Err(Error::SensorRanges { sensor: "temperature" })));
    }
}
