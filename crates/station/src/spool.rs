//! The spool: packages on disk, so that nothing collected is lost while the server is away.
//!
//! A package is a file `TIME-SHA256.waiting.cms` before it is uploaded and `TIME-SHA256.sent.cms` after the server's
//! answer, which lies beside it. If the power fails between the answer and the renaming, the package is uploaded again,
//! and the server says that it arrived before (409).

use std::{
    fs::{self, File, TryLockError},
    path::{Path, PathBuf},
};

use sha2::{Digest, Sha256};

use crate::{
    Error, Package, clock,
    files::{PART, make_folder, read, rename, write_whole},
    text,
};

const WAITING: &str = ".waiting.cms";
const SENT: &str = ".sent.cms";
const RESULTS: &str = ".results.json";
/// The file whose lock says that a process uses the spool.
const LOCK: &str = "lock";
/// Longest package read back, bytes: what `pki` opens, and its certificates.
const MAX_PACKAGE: u64 = pki::cms::MAX_CMS_LEN as u64 + 256 * 1024;

/// A folder of packages, held by one process at a time.
#[derive(Debug)]
pub struct Spool {
    folder: PathBuf,
    _lock: File,
}

/// A package in a spool.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spooled {
    /// `TIME-SHA256`, without folder and state.
    stem: String,
}

impl Spooled {
    /// What it is called, in every state: when it was written (UTC) and its SHA-256.
    pub fn name(&self) -> &str {
        &self.stem
    }

    /// The digest that the name ends with.
    fn digest(&self) -> &str {
        self.stem.rsplit_once('-').map_or("", |(_, digest)| digest)
    }
}

impl Spool {
    /// Opens the spool in this folder, which is made if need be, and finishes what a crash left: a package that was
    /// written to its last byte is kept, an incomplete one removed.
    ///
    /// # Errors
    /// [`Error::SpoolInUse`], [`Error::File`].
    pub fn open(folder: &Path) -> Result<Spool, Error> {
        make_folder(folder)?;
        let path = folder.join(LOCK);
        let lock =
            File::options().create(true).append(true).open(&path).map_err(Error::file("open", &path))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(Error::SpoolInUse { path: folder.to_owned() }),
            Err(TryLockError::Error(error)) => return Err(Error::file("lock", &path)(error)),
        }
        let spool = Spool { folder: folder.to_owned(), _lock: lock };
        spool.recover()?;
        Ok(spool)
    }

    /// Writes a package: for the owner only (0600), whole or not at all, and on disk when this returns. A package that
    /// is there already stays as it is.
    ///
    /// # Errors
    /// [`Error::File`].
    pub fn keep(&self, package: &Package) -> Result<Spooled, Error> {
        let digest = package.sha256_hex();
        for state in [WAITING, SENT] {
            if let Some(known) = self.list(state)?.into_iter().find(|spooled| spooled.digest() == digest) {
                return Ok(known);
            }
        }
        let time = clock::rfc3339(clock::now())?.replace(['-', ':'], "");
        let spooled = Spooled { stem: format!("{time}-{digest}") };
        write_whole(&self.path(&spooled, WAITING), package.cms())?;
        Ok(spooled)
    }

    /// Packages to be uploaded, oldest first.
    ///
    /// # Errors
    /// [`Error::File`].
    pub fn waiting(&self) -> Result<Vec<Spooled>, Error> {
        self.list(WAITING)
    }

    /// Packages that the server has, oldest first.
    ///
    /// # Errors
    /// [`Error::File`].
    pub fn sent(&self) -> Result<Vec<Spooled>, Error> {
        self.list(SENT)
    }

    /// Reads a waiting package back.
    ///
    /// # Errors
    /// [`Error::File`]; [`Error::PackageDamaged`] when it is not what was written.
    pub fn load(&self, spooled: &Spooled) -> Result<Package, Error> {
        let path = self.path(spooled, WAITING);
        let cms = read(&path, MAX_PACKAGE)?;
        let damaged = |why: String| Error::PackageDamaged { path: path.clone(), why };
        if text::hex(&Sha256::digest(&cms)) != spooled.digest() {
            return Err(damaged("its bytes are not those that its name was made from".to_owned()));
        }
        Package::read(cms).map_err(damaged)
    }

    /// Marks a package as sent, with the server's answer beside it where there was one.
    ///
    /// # Errors
    /// [`Error::File`]. The package then stays waiting, and may be uploaded again.
    pub fn mark_sent(&self, spooled: &Spooled, answer: Option<&[u8]>) -> Result<(), Error> {
        if let Some(answer) = answer {
            write_whole(&self.path(spooled, RESULTS), answer)?;
        }
        rename(&self.path(spooled, WAITING), &self.path(spooled, SENT))
    }

    /// The server's answer about a package that was sent, as it came.
    ///
    /// # Errors
    /// [`Error::File`], also when there was none.
    pub fn answer(&self, spooled: &Spooled) -> Result<Vec<u8>, Error> {
        read(&self.path(spooled, RESULTS), crate::http::MAX_ANSWER)
    }

    /// Where a waiting package lies.
    pub fn waiting_path(&self, spooled: &Spooled) -> PathBuf {
        self.path(spooled, WAITING)
    }

    fn path(&self, spooled: &Spooled, state: &str) -> PathBuf {
        self.folder.join(format!("{}{state}", spooled.stem))
    }

    fn list(&self, state: &str) -> Result<Vec<Spooled>, Error> {
        let names = self.names()?;
        let mut list: Vec<_> = names
            .iter()
            .filter_map(|name| name.strip_suffix(state))
            .map(|stem| Spooled { stem: stem.to_owned() })
            .collect();
        list.sort_by(|one, other| one.stem.cmp(&other.stem));
        Ok(list)
    }

    fn names(&self) -> Result<Vec<String>, Error> {
        let names = || -> std::io::Result<Vec<String>> {
            let entries = fs::read_dir(&self.folder)?;
            entries.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned())).collect()
        };
        names().map_err(Error::file("list", &self.folder))
    }

    fn recover(&self) -> Result<(), Error> {
        for name in self.names()? {
            let Some(whole) = name.strip_suffix(PART) else { continue };
            let part = self.folder.join(&name);
            let complete = whole.strip_suffix(WAITING).is_some_and(|stem| {
                let digest = read(&part, MAX_PACKAGE).map(|cms| text::hex(&Sha256::digest(&cms)));
                digest.is_ok_and(|digest| stem.rsplit_once('-').is_some_and(|(_, named)| named == digest))
            });
            if complete {
                let synced = File::open(&part).and_then(|file| file.sync_all());
                synced.map_err(Error::file("save", &part))?;
                rename(&part, &self.folder.join(whole))?;
            } else {
                fs::remove_file(&part).map_err(Error::file("remove the incomplete", &part))?;
            }
        }
        Ok(())
    }
}
