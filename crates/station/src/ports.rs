//! Finding a terminal that is plugged in: which serial ports there are, and what comes and goes.
//!
//! A port is a character device under one of the patterns of the station's `[links]`; a pseudo-terminal is one too. One
//! device under several names (`/dev/ttyUSB0` and its link in `/dev/serial/by-id`) is one port. What is known of the USB
//! adapter is read from `/sys`; opening a port to ask it would reset some terminals, so that nobody does.

use std::{
    collections::{BTreeMap, btree_map::Entry},
    fs,
    os::unix::fs::{FileTypeExt, MetadataExt},
    path::{Path, PathBuf},
};

use glob::Pattern;
use serde::Deserialize;
use wire::SerialAddress;

use crate::{Error, Target, link::DEFAULT_SPEED, text::printable};

/// Where USB adapters and terminals with USB of their own appear under Linux.
const USUAL: [&str; 2] = ["/dev/ttyUSB*", "/dev/ttyACM*"];
/// Most ports that are watched: what more matches is a pattern that means something else.
pub const MAX_PORTS: usize = 1024;
/// Where the kernel describes its devices.
const SYSFS: &str = "/sys";
/// How many folders above a port its USB device is looked for.
const MAX_ABOVE: usize = 6;

/// `[links]` of a station's configuration: where terminals are plugged in.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Links {
    /// Patterns of device files; `*`, `?` and `[…]` as in a shell.
    pub serial: Vec<String>,
    /// Bits a second on each of them, always 8 bits, no parity, one stop bit.
    pub baud: u32,
}

impl Default for Links {
    /// USB adapters, at 115 200 bits a second.
    fn default() -> Links {
        Links { serial: USUAL.map(String::from).into(), baud: DEFAULT_SPEED }
    }
}

/// A port that something is plugged into.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Port {
    /// The terminal behind it, for [`crate::collect()`].
    pub target: Target,
    /// What the USB adapter says of itself, or what kind of line it is; one line for a person.
    pub about: String,
}

/// What is different from the look before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// A port is there that was not.
    Plugged(Port),
    /// A port is there no more.
    Gone(Port),
}

/// Looks for ports, and remembers what it saw.
#[derive(Debug)]
pub struct Watcher {
    patterns: Vec<String>,
    baud: u32,
    sysfs: PathBuf,
    /// By the device's number: names are not what makes a port.
    seen: BTreeMap<u64, Port>,
}

impl Watcher {
    /// A watcher that has seen nothing yet: its first look finds everything that is there.
    ///
    /// # Errors
    /// [`Error::PortPattern`] names a pattern that cannot be read, or the speed.
    pub fn new<P: AsRef<str>>(patterns: &[P], baud: u32) -> Result<Watcher, Error> {
        Self::with_sysfs(patterns, baud, Path::new(SYSFS))
    }

    /// As [`Watcher::new`], with descriptions of devices from a folder other than `/sys`.
    ///
    /// # Errors
    /// As [`Watcher::new`].
    pub fn with_sysfs<P: AsRef<str>>(patterns: &[P], baud: u32, sysfs: &Path) -> Result<Watcher, Error> {
        let bad = |text: &str, why: String| Error::PortPattern { text: printable(text), why };
        if !(SerialAddress::MIN_BAUD..=SerialAddress::MAX_BAUD).contains(&baud) {
            let (min, max) = (SerialAddress::MIN_BAUD, SerialAddress::MAX_BAUD);
            return Err(bad(&baud.to_string(), format!("a line has {min} to {max} bits a second")));
        }
        let mut kept = Vec::new();
        for pattern in patterns {
            let pattern = pattern.as_ref();
            Pattern::new(pattern).map_err(|error| bad(pattern, error.to_string()))?;
            if !Path::new(pattern).is_absolute() {
                return Err(bad(pattern, "write it from the root: /dev/ttyUSB*".to_owned()));
            }
            kept.push(pattern.to_owned());
        }
        Ok(Watcher { patterns: kept, baud, sysfs: sysfs.to_owned(), seen: BTreeMap::new() })
    }

    /// A watcher for what `[links]` says.
    ///
    /// # Errors
    /// As [`Watcher::new`].
    pub fn of(links: &Links) -> Result<Watcher, Error> {
        Watcher::new(&links.serial, links.baud)
    }

    /// Looks, and tells what is different from the look before: first what is gone, then what is new. It opens no port and
    /// takes some milliseconds; a station looks a few times a second.
    pub fn look(&mut self) -> Vec<Change> {
        let found = self.found();
        let is_as_before = |number: &u64, port: &Port| found.get(number) == Some(port);
        let gone: Vec<u64> =
            self.seen.iter().filter(|(number, port)| !is_as_before(number, port)).map(|(n, _)| *n).collect();
        let mut changes: Vec<Change> =
            gone.iter().filter_map(|number| self.seen.remove(number)).map(Change::Gone).collect();
        let mut new = Vec::new();
        for (number, port) in found {
            if let Entry::Vacant(place) = self.seen.entry(number) {
                new.push(port.clone());
                place.insert(port);
            }
        }
        new.sort_by(|one, other| one.target.address().cmp(other.target.address()));
        changes.extend(new.into_iter().map(Change::Plugged));
        changes
    }

    /// What the last look saw, in the order of their addresses.
    pub fn ports(&self) -> Vec<Port> {
        let mut ports: Vec<Port> = self.seen.values().cloned().collect();
        ports.sort_by(|one, other| one.target.address().cmp(other.target.address()));
        ports
    }

    /// Every port that is there now, under the first name that a pattern gives it.
    fn found(&self) -> BTreeMap<u64, Port> {
        let mut found = BTreeMap::new();
        // A name that cannot be read, or vanished meanwhile, is none.
        let names = self.patterns.iter().filter_map(|pattern| glob::glob(pattern).ok()).flatten().flatten();
        for path in names {
            if found.len() >= MAX_PORTS {
                break;
            }
            let Some(number) = device_number(&path) else { continue };
            let Some(name) = path.to_str().filter(|name| !name.chars().any(char::is_control)) else {
                continue;
            };
            found.entry(number).or_insert_with(|| {
                let line = SerialAddress { path: name.to_owned(), baud: self.baud };
                Port { target: Target::at_line(&line), about: self.about(&path) }
            });
        }
        found
    }

    /// What is behind a port: the USB adapter's own words and serial, where there is one.
    fn about(&self, path: &Path) -> String {
        let real = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
        if real.parent() == Some(Path::new("/dev/pts")) {
            return "pseudo-terminal".to_owned();
        }
        let device = real.file_name().map(|name| self.sysfs.join("class/tty").join(name).join("device"));
        device.and_then(|device| usb(&device)).unwrap_or_else(|| "serial line".to_owned())
    }
}

/// The device's number, where the path leads to a character device.
fn device_number(path: &Path) -> Option<u64> {
    let metadata = fs::metadata(path).ok()?;
    metadata.file_type().is_char_device().then(|| metadata.rdev())
}

/// `FTDI FT232R USB UART A5069RR4 (0403:6001)`, from the USB device above this one.
fn usb(device: &Path) -> Option<String> {
    let device = fs::canonicalize(device).ok()?;
    let usb = device.ancestors().take(MAX_ABOVE).find(|folder| folder.join("idVendor").exists())?;
    let read = |name: &str| {
        let text = fs::read_to_string(usb.join(name)).ok()?;
        Some(printable(&text)).filter(|text| !text.is_empty())
    };
    let words: Vec<String> = ["manufacturer", "product", "serial"].into_iter().filter_map(read).collect();
    let id = format!("({}:{})", read("idVendor")?, read("idProduct")?);
    Some(words.into_iter().chain([id]).collect::<Vec<_>>().join(" "))
}

#[cfg(test)]
mod tests {
    use std::{fs::File, os::unix::fs::symlink};

    use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};

    use super::*;

    /// A pseudo-terminal: its one end, and the name of the other.
    fn pty() -> (File, String) {
        let end = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&end).unwrap();
        unlockpt(&end).unwrap();
        let path = ptsname(&end, Vec::new()).unwrap().into_string().unwrap();
        (File::from(end), path)
    }

    fn watcher(folder: &Path, names: &[&str]) -> Watcher {
        let patterns: Vec<String> = names.iter().map(|name| format!("{}/{name}", folder.display())).collect();
        Watcher::new(&patterns, 115_200).unwrap()
    }

    fn address(folder: &Path, name: &str) -> String {
        format!("serial:{}/{name}?baud=115200", folder.display())
    }

    /// What changed, as sign and address.
    fn told(changes: &[Change]) -> Vec<(char, String)> {
        let tell = |change: &Change| match change {
            Change::Plugged(port) => ('+', port.target.address().to_owned()),
            Change::Gone(port) => ('-', port.target.address().to_owned()),
        };
        changes.iter().map(tell).collect()
    }

    #[test]
    fn what_is_plugged_in_is_found_once_and_told_when_it_is_gone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path();
        let mut watcher = watcher(path, &["port-*"]);
        assert_eq!(watcher.look(), []);
        let ((one, one_path), (_two, two_path)) = (pty(), pty());
        symlink(one_path, path.join("port-1")).unwrap();
        symlink(two_path, path.join("port-2")).unwrap();
        let changes = watcher.look();
        assert_eq!(told(&changes), [('+', address(path, "port-1")), ('+', address(path, "port-2"))]);
        assert!(matches!(&changes[0], Change::Plugged(port) if port.about == "pseudo-terminal"));
        assert_eq!((watcher.look(), watcher.ports().len()), (vec![], 2));
        // Its other end is gone, and with it the device; the link leads nowhere.
        drop(one);
        assert_eq!(told(&watcher.look()), [('-', address(path, "port-1"))]);
        let (_again, again_path) = pty();
        fs::remove_file(path.join("port-1")).unwrap();
        symlink(again_path, path.join("port-1")).unwrap();
        assert_eq!(told(&watcher.look()), [('+', address(path, "port-1"))]);
    }

    #[test]
    fn one_device_under_two_names_and_two_patterns_is_one_port() {
        let folder = tempfile::tempdir().unwrap();
        let (_end, pty_path) = pty();
        for name in ["by-id-1", "port-1", "port-2"] {
            symlink(&pty_path, folder.path().join(name)).unwrap();
        }
        let mut watcher = watcher(folder.path(), &["port-*", "by-id-*", "port-1"]);
        assert_eq!(told(&watcher.look()), [('+', address(folder.path(), "port-1"))]);
        // It is still there under its other name, which is what must be opened from now on.
        fs::remove_file(folder.path().join("port-1")).unwrap();
        let (old, new) = (address(folder.path(), "port-1"), address(folder.path(), "port-2"));
        assert_eq!(told(&watcher.look()), [('-', old), ('+', new)]);
    }

    #[test]
    fn files_and_folders_are_no_ports() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("port-1"), "").unwrap();
        fs::create_dir(folder.path().join("port-2")).unwrap();
        symlink("/nowhere", folder.path().join("port-3")).unwrap();
        assert_eq!(watcher(folder.path(), &["port-*"]).look(), []);
    }

    /// `/sys` with a USB adapter, as the kernel shows it: the port's folder some way below the adapter's.
    fn sysfs(port: &str, serial: &str) -> tempfile::TempDir {
        let sys = tempfile::tempdir().unwrap();
        let usb = sys.path().join("devices/usb1/1-2");
        let interface = usb.join("1-2:1.0").join(port);
        fs::create_dir_all(&interface).unwrap();
        for (name, text) in [
            ("idVendor", "0403\n"),
            ("idProduct", "6001\n"),
            ("manufacturer", "FTDI\n"),
            ("product", "FT232R USB UART\n"),
            ("serial", serial),
        ] {
            fs::write(usb.join(name), text).unwrap();
        }
        let class = sys.path().join("class/tty").join(port);
        fs::create_dir_all(&class).unwrap();
        symlink(interface, class.join("device")).unwrap();
        sys
    }

    #[test]
    fn a_usb_adapter_is_described_in_its_own_words_without_control_characters() {
        let sys = sysfs("ttyUSB0", "A5069RR4\u{1B}[2J\n");
        let watcher = Watcher::with_sysfs(&["/dev/null"], 9_600, sys.path()).unwrap();
        let about = watcher.about(Path::new("/dev/ttyUSB0"));
        assert_eq!(about, "FTDI FT232R USB UART A5069RR4 [2J (0403:6001)");
        assert_eq!(watcher.about(Path::new("/dev/ttyS7")), "serial line");
    }

    #[test]
    fn another_adapter_at_the_same_name_is_a_change() {
        let sys = sysfs("null", "ONE");
        // Any character device will do: none is opened.
        let mut watcher = Watcher::with_sysfs(&["/dev/null"], 9_600, sys.path()).unwrap();
        assert_eq!(watcher.look().len(), 1);
        fs::write(sys.path().join("devices/usb1/1-2/serial"), "TWO").unwrap();
        let changes = watcher.look();
        assert!(matches!(&changes[..], [Change::Gone(one), Change::Plugged(two)]
            if one.about.contains("ONE") && two.about.contains("TWO")));
    }

    #[test]
    fn patterns_and_speeds_that_mean_nothing_are_refused_by_name() {
        for pattern in ["/dev/tty[", "ttyUSB*", "", "/dev/***"] {
            let refused = Watcher::new(&[pattern], 9_600);
            assert!(
                matches!(&refused, Err(Error::PortPattern { text, .. }) if text == pattern),
                "{pattern}: {refused:?}"
            );
        }
        for baud in [0, 299, 4_000_001] {
            assert!(
                matches!(Watcher::new(&["/dev/ttyUSB*"], baud), Err(Error::PortPattern { .. })),
                "{baud}"
            );
        }
    }
}
