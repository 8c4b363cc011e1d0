//! The key loading device: its folder, its key pair and certificate.

use std::{
    fs::{File, TryLockError},
    path::{Path, PathBuf},
};

use custody::keyfile::KeyKind;
use hsm::commands::{EcKeyKind, MakeDownloaderKey, MakeEcKey};
use pki::{Certificate, KeyFamily, Role};
use wire::{Serial, Suite};

use super::{
    KldError, KldHsm,
    state::{Pair, Pairs, State},
};
use crate::{Checks, Error, clock, files};

const STATE: &str = "kld.json";
const LOCK: &str = "lock";
const RUNS: &str = "runs";
const REPORTS: &str = "reports";

/// A KLD that this process alone has open.
#[derive(Debug)]
pub struct Kld {
    folder: PathBuf,
    pub(super) state: State,
    hsm: Option<KldHsm>,
    _lock: File,
}

/// A certificate that was checked for the role downloader, and the key that it is of.
#[derive(Debug, Clone)]
pub(super) struct Downloader {
    pub(super) leaf: Certificate,
    pub(super) above: Vec<Certificate>,
    pub(super) private: hsm::KeyBlock,
}

impl Kld {
    /// Makes a KLD's folder: its name, and the acquirer that its keys belong to. Its HSM's folder is made beside, by the
    /// HSM's own process.
    ///
    /// # Errors
    /// [`KldError::AlreadyMade`], [`KldError::Name`], [`Error::File`].
    pub fn create(folder: &Path, name: &str, owner: &str) -> Result<(), KldError> {
        for (what, text) in [("a KLD", name), ("an acquirer", owner)] {
            if Serial::parse(text).is_err() {
                return Err(KldError::Name { what, text: crate::text::printable(text) });
            }
        }
        files::make_folder(folder)?;
        let path = folder.join(STATE);
        if path.exists() {
            return Err(KldError::AlreadyMade { path: folder.to_owned() });
        }
        // Before the file, whose writing has the folder saved.
        files::make_folder(&folder.join(RUNS))?;
        State::new(name, owner).write(&path)
    }

    /// Opens a KLD, with the HSM that has its keys.
    ///
    /// # Errors
    /// [`KldError::InUse`], [`KldError::Damaged`], [`Error::File`].
    pub fn open(folder: &Path, hsm: KldHsm) -> Result<Kld, KldError> {
        Self::open_with(folder, Some(hsm))
    }

    /// Opens a KLD without its HSM: for what needs no key. Anything else is [`KldError::NoHsm`].
    ///
    /// # Errors
    /// As [`Kld::open`].
    pub fn open_without_hsm(folder: &Path) -> Result<Kld, KldError> {
        Self::open_with(folder, None)
    }

    fn open_with(folder: &Path, hsm: Option<KldHsm>) -> Result<Kld, KldError> {
        let path = folder.join(LOCK);
        let state = State::read(&folder.join(STATE))?;
        let lock =
            File::options().create(true).append(true).open(&path).map_err(Error::file("open", &path))?;
        match lock.try_lock() {
            Ok(()) => Ok(Kld { folder: folder.to_owned(), state, hsm, _lock: lock }),
            Err(TryLockError::WouldBlock) => Err(KldError::InUse { path: folder.to_owned() }),
            Err(TryLockError::Error(error)) => Err(Error::file("lock", &path)(error).into()),
        }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.state.name
    }

    /// The acquirer that its keys belong to.
    pub fn owner(&self) -> &str {
        &self.state.owner
    }

    /// Where its runs are.
    pub(super) fn runs(&self) -> PathBuf {
        self.folder.join(RUNS)
    }

    /// Where its reports are.
    pub(super) fn reports(&self) -> PathBuf {
        self.folder.join(REPORTS)
    }

    pub(super) fn hsm(&self) -> Result<&KldHsm, KldError> {
        self.hsm.as_ref().ok_or(KldError::NoHsm)
    }

    pub(super) fn save(&self) -> Result<(), KldError> {
        self.state.write(&self.folder.join(STATE))
    }

    /// Makes a key pair in the HSM and gives the request for its certificate, PKCS #10 in PEM: an RSA pair is for suite 01,
    /// a P-256 pair for suite 02, where it signs alone. A pair of the same suite whose certificate is installed goes on
    /// working until the new one's is.
    ///
    /// # Errors
    /// [`KldError::Hsm`], also for a size of RSA keys that is not made; [`Error::File`].
    pub fn request(&mut self, kind: KeyKind) -> Result<String, KldError> {
        let (subject, owner) = (self.state.name.clone(), self.state.owner.clone());
        let (suite, made) = match kind {
            KeyKind::Rsa(bits) => {
                let bits = u32::try_from(bits).unwrap_or(u32::MAX);
                (Suite::TDES, self.hsm()?.call(MakeDownloaderKey { bits, subject, owner })?)
            }
            KeyKind::P256 => {
                let kind = EcKeyKind::KldSigning;
                (Suite::EC_AES, self.hsm()?.call(MakeEcKey { kind, subject, owner })?)
            }
        };
        let request = pki::csr::to_pem(&made.request);
        let pair = Pair { private: made.private, request: request.clone(), certificates: String::new() };
        let mut pairs = self.state.pairs(suite);
        pairs.next = Some(pair);
        self.state.keep_pairs(pairs);
        self.save()?;
        Ok(request)
    }

    /// Installs AcquireWCRT, with its intermediates behind it, PEM. It is checked as terminals will check it: chain,
    /// dates, role, key; and it must be of a key of this KLD.
    ///
    /// # Errors
    /// [`KldError::NoKeyPair`], [`KldError::CertificateUnreadable`], [`KldError::CertificateRefused`],
    /// [`KldError::OtherKey`], [`Error::File`].
    pub fn install(&mut self, pem: &str, checks: &Checks) -> Result<Certificate, KldError> {
        let (leaf, above) = read_chain(pem)?;
        checks.verify(&leaf, &above, Role::Downloader, clock::now()).map_err(KldError::CertificateRefused)?;
        let suite = match KeyFamily::of(leaf.spki_der()) {
            Ok(KeyFamily::P256) => Suite::EC_AES,
            // Another key than these two was refused with the chain.
            Ok(KeyFamily::Rsa) | Err(_) => Suite::TDES,
        };
        let mut pairs = self.state.pairs(suite);
        let newest_first = || pairs.next.iter().chain(&pairs.serving);
        if newest_first().next().is_none() {
            return Err(KldError::NoKeyPair);
        }
        let pair = newest_first().find(|pair| is_of(&leaf, pair)).ok_or(KldError::OtherKey)?.clone();
        if pairs.next.as_ref().is_some_and(|next| next.private == pair.private) {
            pairs.next = None;
        }
        pairs.serving = Some(Pair { certificates: pem.to_owned(), ..pair });
        self.state.keep_pairs(pairs);
        self.save()?;
        Ok(leaf)
    }

    /// The certificate to serve with in this suite, checked as it is now.
    pub(super) fn downloader(&self, suite: Suite, checks: &Checks) -> Result<Downloader, KldError> {
        let Pairs { serving, next, .. } = self.state.pairs(suite);
        let pair = match (serving, next) {
            (Some(pair), _) => pair,
            (None, Some(_)) => return Err(KldError::NoCertificate),
            (None, None) => return Err(KldError::NoKeyPair),
        };
        let (leaf, above) = read_chain(&pair.certificates)?;
        checks.verify(&leaf, &above, Role::Downloader, clock::now()).map_err(KldError::CertificateRefused)?;
        Ok(Downloader { leaf, above, private: pair.private.clone() })
    }

    /// The suite to load in where nobody says which: the best that a certificate is installed for, suite 02 where there is
    /// none.
    pub fn best_suite(&self) -> Suite {
        let serves = |suite| self.state.pairs(suite).serving.is_some();
        if serves(Suite::TDES) && !serves(Suite::EC_AES) { Suite::TDES } else { Suite::EC_AES }
    }

    /// The certificate that is installed for this suite, whatever it is worth now.
    ///
    /// # Errors
    /// [`KldError::CertificateUnreadable`].
    pub fn certificate(&self, suite: Suite) -> Result<Option<Certificate>, KldError> {
        let read = |pair: Pair| read_chain(&pair.certificates).map(|(leaf, _)| leaf);
        self.state.pairs(suite).serving.map(read).transpose()
    }
}

fn read_chain(pem: &str) -> Result<(Certificate, Vec<Certificate>), KldError> {
    let unreadable = |why: String| KldError::CertificateUnreadable { why };
    let mut certificates =
        Certificate::all_from_pem(pem).map_err(|error| unreadable(error.to_string()))?.into_iter();
    let leaf = certificates.next().ok_or_else(|| unreadable("the file holds none".to_owned()))?;
    Ok((leaf, certificates.collect()))
}

/// Whether the certificate is of the pair's key.
fn is_of(certificate: &Certificate, pair: &Pair) -> bool {
    let request = pki::csr::from_pem(&pair.request).and_then(|der| pki::csr::parse_and_verify(&der));
    request.is_ok_and(|request| request.spki == certificate.spki_der())
}
