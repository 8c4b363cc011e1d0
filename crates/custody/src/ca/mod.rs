//! A small certificate authority in a folder. No network, no database: files that a person can read.
//!
//! ```text
//! root.key.pem   the root's key, encrypted under the passphrase, or under both custodians' (0600);
//! root.token     or, in its place, which token has it
//! root.pem       the root certificate, to be put into trust lists
//! issued/0001.pem, …   every certificate it issued, by number
//! crl.pem        the newest revocation list
//! log            every signature: numbered JSON lines, each with the hash of the one before
//! lock           held while the CA is open
//! ```
//!
//! The log comes first: what is signed is given out only after its line is on disk. Whoever can write to the
//! folder can write a whole new log; so keep [`Record::head`] elsewhere (on paper, in the minutes of a
//! ceremony), and compare.
//!
//! Two people may keep it ([`Custodians`]): each has a secret, and the key opens under both together alone. The key may be on a PKCS #11 token, which made it and does not give
//! it out; then the secrets are the two parts of the token's PIN.

mod act;
mod device;
mod hand_over;
mod keeping;
mod log;
mod secret;

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use pki::issue::{self, Issuer, Validity};
use pki::{Certificate, Crl, KeyFamily, Name};

use crate::error::Error;
use crate::files::{self, Mode};
use crate::keyfile::KeyKind;
use crate::token::TokenUri;

use keeping::{Key, NewKey};
use log::{Act, Log};
pub use log::{Issued, Record, Use};
pub use secret::{Custodians, MAX_CUSTODIAN_CHARS, MIN_PASSPHRASE_CHARS, MIN_PIN_PART_CHARS, Secret};

/// Days until a revocation list must be renewed, unless asked otherwise.
pub const DEFAULT_CRL_DAYS: u32 = 30;
/// How far certificates and lists are dated back, in seconds, so that a terminal whose clock is a little late
/// takes them at once.
pub const CLOCK_SKEW: i64 = 300;

const KEY_FILE: &str = "root.key.pem";
const ROOT_FILE: &str = "root.pem";
const CRL_FILE: &str = "crl.pem";
const LOCK_FILE: &str = "lock";
const ISSUED: &str = "issued";
/// Longest certificate or list file read, in bytes.
const MAX_PEM_LEN: u64 = 24 * 1024 * 1024;

/// What a new root is to be.
#[derive(Debug, Clone)]
pub struct NewCa {
    /// Its name.
    pub subject: Name,
    /// How long it is valid.
    pub days: u32,
    /// Its key. All that it issues is of the same family: a chain of suite 02 is P-256 from its root down.
    pub key: KeyKind,
    /// How many CAs may stand below it in a chain.
    pub path_len: u8,
    /// Whether it is for trials: marked so, and never believed where production is.
    pub for_trials: bool,
    /// The two people who keep it; without them, whoever knows its passphrase.
    pub custodians: Option<Custodians>,
    /// The token on which its key is made, which must be ready (a label, a PIN). Without one the key is in a file.
    pub token: Option<TokenUri>,
}

impl NewCa {
    /// A root of this kind for ten years and for production, with room for one intermediate.
    #[must_use]
    pub fn new(subject: Name, key: KeyKind) -> Self {
        Self { subject, days: 3653, key, path_len: 1, for_trials: false, custodians: None, token: None }
    }
}

/// An open CA. One process at a time has it; its key is wiped when this is dropped.
pub struct Ca {
    dir: PathBuf,
    root: Certificate,
    key: Key,
    log: Log,
    _lock: File,
}

/// A CA that this process has, and whose key is not open yet.
#[derive(Debug)]
pub struct Closed {
    dir: PathBuf,
    root: Certificate,
    log: Log,
    lock: File,
}

impl Closed {
    /// Everything that the CA has done, and who keeps it.
    #[must_use]
    pub fn record(&self) -> &Record {
        self.log.record()
    }

    /// Opens it with its passphrase, or with both of those of its custodians.
    ///
    /// # Errors
    /// As [`Ca::open`]; [`Error::HandOverUnsettled`] for two people where a handing over from two to two others was broken
    /// off, before any PIN is tried.
    pub fn open<'a>(self, secret: impl Into<Secret<'a>>) -> Result<Ca, Error> {
        let Self { dir, root, mut log, lock } = self;
        let secret = secret.into();
        let key = keeping::open(&dir, log.record(), &secret)?;
        if key.spki_der() != root.spki_der() {
            return Err(Error::KeyMismatch { subject: root.subject().to_string() });
        }
        if log.record().handing_over().is_some() {
            // Broken off: whose PIN the token took just now are the keepers.
            let keepers = hand_over::keepers_of(log.record(), &secret)?.cloned();
            log.append(files::now(), Act::keepers(keepers.as_ref(), None))?;
        }
        let ca = Ca { dir, root, key, log, _lock: lock };
        ca.restore_missing()?;
        Ok(ca)
    }
}

impl Ca {
    /// Makes a CA in a folder that is empty or does not exist: key, root certificate, log, and a first (empty)
    /// revocation list. `now` is the time in unix seconds. The folder appears whole or not at all.
    ///
    /// # Errors
    /// [`Error::Exists`], [`Error::ShortPin`], [`Error::KeySize`], [`Error::Io`], [`Error::Pki`];
    /// [`Error::TwoPeople`], [`Error::OnePerson`] and [`Error::SameSecret`] where the secrets are not one of each who
    /// keeps it; those of [`crate::token::Token::make_key`] for a key on a token.
    pub fn create<'a>(
        dir: &Path,
        new: &NewCa,
        secret: impl Into<Secret<'a>>,
        now: i64,
    ) -> Result<Self, Error> {
        let secret = secret.into();
        NewKey::check(new, &secret)?;
        if fs::read_dir(dir).is_ok_and(|mut entries| entries.next().is_some()) {
            return Err(Error::Exists { path: dir.to_owned() });
        }
        fs::create_dir_all(files::parent(dir)).map_err(Error::io("create", files::parent(dir)))?;
        let part = files::beside(dir)?;
        let made = Self::fill(&part, new, &secret, now)
            .and_then(|()| fs::rename(&part, dir).map_err(Error::io("create", dir)))
            .and_then(|()| files::sync_parent(dir));
        if let Err(error) = made {
            // Nobody has seen the folder yet; the first error is the one that tells.
            let _ = fs::remove_dir_all(&part);
            return Err(error);
        }
        Self::open(dir, secret)
    }

    fn fill(dir: &Path, new: &NewCa, secret: &Secret<'_>, now: i64) -> Result<(), Error> {
        let issued = dir.join(ISSUED);
        fs::create_dir_all(&issued).map_err(Error::io("create", &issued))?;
        let made = NewKey::make(dir, new, secret)?;
        let make = if new.for_trials { issue::trial_root } else { issue::root };
        let root = make(&new.subject, made.key.as_ref(), validity(now, new.days), new.path_len)?;
        made.keep(&root)?;
        files::create(&dir.join(ROOT_FILE), root.pem().as_bytes(), Mode::Public)?;
        files::create(&dir.join(LOCK_FILE), b"", Mode::Public)?;
        let lock = lock(dir)?;
        let mut log = Log::create(&dir.join(log::FILE))?;
        log.append(now, Act::root(&root, new.custodians.as_ref(), made.token()))?;
        let mut ca = Self { dir: dir.to_owned(), root, key: made.key, log, _lock: lock };
        ca.crl(DEFAULT_CRL_DAYS, now)?;
        Ok(())
    }

    /// Opens the CA with its passphrase, or with both of those of its two custodians; checks its log and that its files
    /// agree with it.
    ///
    /// # Errors
    /// [`Error::NoCa`], [`Error::WrongPin`], [`Error::Busy`], [`Error::Log`], [`Error::Inconsistent`]; of a CA that two
    /// people keep [`Error::TwoPeople`], [`Error::SameSecret`] and [`Error::WrongPassphrases`]; of any other
    /// [`Error::OnePerson`]; of a root on a token those of [`crate::token::Token::open`].
    pub fn open<'a>(dir: &Path, secret: impl Into<Secret<'a>>) -> Result<Self, Error> {
        Self::closed(dir)?.open(secret)
    }

    /// Takes the CA's lock and checks its log and files, before anybody is asked for a secret: the log says whom to ask.
    ///
    /// # Errors
    /// [`Error::NoCa`], [`Error::Busy`], [`Error::Log`], [`Error::Inconsistent`].
    pub fn closed(dir: &Path) -> Result<Closed, Error> {
        if !keeping::is_there(dir) {
            return Err(Error::NoCa { path: dir.to_owned() });
        }
        let lock = lock(dir)?;
        let (root, log) = load(dir)?;
        Ok(Closed { dir: dir.to_owned(), root, log, lock })
    }

    /// Reads what the CA has done without its passphrase: for listings and checks.
    ///
    /// # Errors
    /// [`Error::NoCa`], [`Error::Log`], [`Error::Inconsistent`], [`Error::Io`].
    pub fn read(dir: &Path) -> Result<Record, Error> {
        if !dir.join(ROOT_FILE).is_file() {
            return Err(Error::NoCa { path: dir.to_owned() });
        }
        // Without the lock, another process may have issued between our look at the log and at the files: then
        // a second look agrees.
        let loaded = match load(dir) {
            Err(Error::Inconsistent { .. }) => load(dir),
            first => first,
        };
        loaded.map(|(_, log)| log.into_record())
    }

    /// The root certificate.
    #[must_use]
    pub fn root(&self) -> &Certificate {
        &self.root
    }

    /// The kind of its key, and so of every key that it certifies.
    #[must_use]
    pub fn family(&self) -> KeyFamily {
        // A root of neither kind is not made, and none is read.
        KeyFamily::of(self.root.spki_der()).unwrap_or_default()
    }

    /// The folder.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Everything that the CA has done.
    #[must_use]
    pub fn record(&self) -> &Record {
        self.log.record()
    }

    fn issuer(&self) -> Result<Issuer<'_>, Error> {
        Ok(Issuer::new(&self.root, self.key.as_ref())?)
    }

    /// A crash between a log line and its file leaves the file missing: the line holds it.
    fn restore_missing(&self) -> Result<(), Error> {
        for issued in self.record().issued() {
            let path = issued_path(&self.dir, issued.number);
            if !path.exists() {
                files::create(&path, issued.certificate.pem().as_bytes(), Mode::Public)?;
            }
        }
        Ok(())
    }
}

/// Shows which CA it is; its key stays out of sight.
impl std::fmt::Debug for Ca {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ca")
            .field("dir", &self.dir)
            .field("root", self.root.subject())
            .finish_non_exhaustive()
    }
}

fn validity(now: i64, days: u32) -> Validity {
    let validity = Validity::days(now, days);
    Validity { not_before: validity.not_before.saturating_sub(CLOCK_SKEW).max(0), ..validity }
}

fn issued_path(dir: &Path, number: u64) -> PathBuf {
    dir.join(ISSUED).join(format!("{number:04}.pem"))
}

fn lock(dir: &Path) -> Result<File, Error> {
    let path = dir.join(LOCK_FILE);
    let file = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&path)
        .map_err(Error::io("open", &path))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(fs::TryLockError::WouldBlock) => Err(Error::Busy { path: dir.to_owned() }),
        Err(fs::TryLockError::Error(error)) => Err(Error::io("lock", &path)(error)),
    }
}

/// Root and log, each checked, and checked against each other and the other files.
fn load(dir: &Path) -> Result<(Certificate, Log), Error> {
    let root = Certificate::from_pem(&files::read(&dir.join(ROOT_FILE), MAX_PEM_LEN)?)?;
    let log = Log::read(&dir.join(log::FILE))?;
    let record = log.record();
    let inconsistent = |why: String| Error::Inconsistent { path: dir.to_owned(), why };
    if record.root_sha256() != Some(root.sha256_hex().as_str()) {
        return Err(inconsistent("root.pem is not the root that the log begins with".into()));
    }
    for issued in record.issued() {
        let path = issued_path(dir, issued.number);
        if path.exists() && Certificate::from_pem(&files::read(&path, MAX_PEM_LEN)?)? != issued.certificate {
            return Err(inconsistent(format!("issued/{:04}.pem is not what was issued", issued.number)));
        }
    }
    // A log cut short at its end would still hang together: files that it does not know give it away.
    let next = record.issued().len() as u64 + 1;
    if issued_path(dir, next).exists() {
        return Err(inconsistent(format!("issued/{next:04}.pem is not in the log")));
    }
    let crl = dir.join(CRL_FILE);
    if crl.is_file() {
        let crl = Crl::from_pem(&files::read(&crl, MAX_PEM_LEN)?)?;
        crl.verify(&root)?;
        if crl.number() > record.crl_number() {
            return Err(inconsistent(format!("revocation list {} is not in the log", crl.number())));
        }
    }
    Ok((root, log))
}
