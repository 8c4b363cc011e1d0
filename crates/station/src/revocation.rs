//! Revocation lists: fetched from the server, kept in a file with the time of fetching.

mod fresh;

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    time::Duration,
};

use pki::{Crl, CrlSet, MAX_CRL_LEN};

use crate::{
    Error, Server, clock,
    files::{read, write_whole},
};

pub use fresh::FreshLists;

const CRL: &str = "/v1/crl";
/// First line of the file; the lists follow as PEM, which openssl reads past this line.
const FETCHED: &str = "# fetched ";
const PEM_END: &str = "-----END X509 CRL-----";
/// Longest answer and file, bytes. PEM is a third longer than DER.
const MAX_FILE: u64 = 2 * MAX_CRL_LEN as u64;
/// How far the clock may have been set back since fetching, seconds.
const CLOCK_STEP: i64 = 300;
const HOUR: u64 = 3600;

/// The file in which a station keeps its revocation lists.
#[derive(Debug, Clone)]
pub struct RevocationFile {
    path: PathBuf,
    max_age: Duration,
}

impl RevocationFile {
    /// A day: how old lists may be unless the station says otherwise.
    pub const DEFAULT_MAX_AGE: Duration = Duration::from_secs(24 * HOUR);

    /// The file at this path, whose lists are used for so long after fetching. A list's own nextUpdate counts besides.
    pub fn new(path: &Path, max_age: Duration) -> RevocationFile {
        RevocationFile { path: path.to_owned(), max_age }
    }

    /// How long after fetching the lists are used.
    pub fn max_age(&self) -> Duration {
        self.max_age
    }

    /// When the lists at hand were fetched, unix seconds; nothing when there are none.
    ///
    /// # Errors
    /// [`Error::CrlMalformed`], [`Error::File`].
    pub fn fetched(&self) -> Result<Option<i64>, Error> {
        Ok(self.stored()?.map(|(fetched, _)| fetched))
    }

    /// Fetches the lists (`GET /v1/crl`, PEM or DER) and keeps them, unless one is older than the one at hand.
    ///
    /// # Errors
    /// The server's refusals; [`Error::CrlNotAtServer`], [`Error::CrlMalformed`], [`Error::CrlWentBack`], [`Error::File`]. The file then is as
    /// before.
    pub fn fetch(&self, server: &Server) -> Result<CrlSet, Error> {
        let answer = server.get(CRL, MAX_FILE)?;
        if answer.status != 200 {
            return Err(answer.refusal());
        }
        if answer.body.is_empty() {
            return Err(Error::CrlNotAtServer);
        }
        self.keep(&answer.body, clock::now())
    }

    /// Keeps lists that were carried here, PEM or DER, as [`RevocationFile::fetch`] keeps those that it fetches: for a
    /// device that reaches no server.
    ///
    /// # Errors
    /// [`Error::CrlMalformed`], [`Error::CrlWentBack`], [`Error::File`]. The file then is as before.
    pub fn take(&self, bytes: &[u8]) -> Result<CrlSet, Error> {
        self.keep(bytes, clock::now())
    }

    /// The lists, if they are there and young enough.
    ///
    /// # Errors
    /// [`Error::CrlMissing`], [`Error::CrlTooOld`], [`Error::CrlFromFuture`], [`Error::CrlMalformed`],
    /// [`Error::File`].
    pub fn load(&self) -> Result<CrlSet, Error> {
        self.load_at(clock::now())
    }

    fn load_at(&self, now: i64) -> Result<CrlSet, Error> {
        let Some((fetched, lists)) = self.stored()? else {
            return Err(Error::CrlMissing { path: self.path.clone() });
        };
        self.check_age(fetched, now)?;
        Ok(set(lists))
    }

    fn check_age(&self, fetched: i64, now: i64) -> Result<(), Error> {
        if fetched > now.saturating_add(CLOCK_STEP) {
            return Err(Error::CrlFromFuture { fetched: clock::rfc3339(fetched)? });
        }
        let age = u64::try_from(now.saturating_sub(fetched)).unwrap_or(0);
        if age > self.max_age.as_secs() {
            return Err(Error::CrlTooOld { hours: age / HOUR, max_hours: self.max_age.as_secs() / HOUR });
        }
        Ok(())
    }

    fn keep(&self, bytes: &[u8], now: i64) -> Result<CrlSet, Error> {
        let new = parse(bytes)?;
        if let Some((_, known)) = self.stored()? {
            not_older(&known, &new)?;
        }
        let mut text = format!("{FETCHED}{}\n", clock::rfc3339(now)?);
        new.iter().for_each(|crl| text.push_str(&crl.pem()));
        write_whole(&self.path, text.as_bytes())?;
        Ok(set(new))
    }

    /// The file's time and lists; nothing when there is no file.
    fn stored(&self) -> Result<Option<(i64, Vec<Crl>)>, Error> {
        let bytes = match read(&self.path, MAX_FILE) {
            Ok(bytes) => bytes,
            Err(Error::File { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => {
                return Ok(None);
            }
            Err(error) => return Err(error),
        };
        let malformed = |why: &str| Error::CrlMalformed { why: why.to_owned() };
        let text = std::str::from_utf8(&bytes).map_err(|_| malformed("the file is no text"))?;
        let fetched = text
            .strip_prefix(FETCHED)
            .and_then(|rest| rest.lines().next())
            .and_then(clock::from_rfc3339)
            .ok_or_else(|| malformed("the file does not begin with the time of fetching"))?;
        Ok(Some((fetched, parse(&bytes)?)))
    }
}

/// Reads one list in DER, or any number in PEM; at least one.
fn parse(bytes: &[u8]) -> Result<Vec<Crl>, Error> {
    let malformed = |error: pki::Error| Error::CrlMalformed { why: error.to_string() };
    let Some(text) = std::str::from_utf8(bytes).ok().filter(|text| text.contains(PEM_END)) else {
        return Ok(vec![Crl::from_der(bytes).map_err(malformed)?]);
    };
    text.split_inclusive(PEM_END)
        .filter_map(|piece| piece.find("-----BEGIN").and_then(|begin| piece.get(begin..)))
        .map(|block| Crl::from_pem(block).map_err(malformed))
        .collect()
}

fn set(lists: Vec<Crl>) -> CrlSet {
    let mut set = CrlSet::new();
    lists.into_iter().for_each(|crl| set.add(crl));
    set
}

/// A list's number never falls, and a list never goes away (4-requirements.md R21): else a revocation could be hidden.
fn not_older(known: &[Crl], new: &[Crl]) -> Result<(), Error> {
    let newest = |lists: &[Crl]| {
        let mut numbers = HashMap::new();
        for crl in lists {
            let number = numbers.entry(crl.issuer().clone()).or_insert(0);
            *number = crl.number().max(*number);
        }
        numbers
    };
    let new = newest(new);
    for (issuer, known) in newest(known) {
        let found = new.get(&issuer).copied();
        if found.is_none_or(|found| found < known) {
            let (issuer, found) = (issuer.to_string(), found.unwrap_or(0));
            return Err(Error::CrlWentBack { issuer, known, found });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::{
        os::unix::fs::PermissionsExt,
        sync::LazyLock,
        time::{SystemTime, UNIX_EPOCH},
    };

    use pki::{
        Certificate, Name,
        issue::{self, Issuer, Validity},
    };

    use super::*;

    const DAY: i64 = 24 * 3600;
    static KEY: LazyLock<custody::keyfile::SoftSigner> = LazyLock::new(|| {
        custody::keyfile::generate(custody::keyfile::KeyKind::Rsa(2048), "passphrase").unwrap().0
    });

    fn now() -> i64 {
        SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs().try_into().unwrap()
    }

    fn ca(name: &str) -> Certificate {
        let validity = Validity::days(now() - DAY, 30);
        issue::root(&Name::new(name, None).unwrap(), &*KEY, validity, 0).unwrap()
    }

    fn crl(issuer: &str, number: u64) -> Crl {
        let ca = ca(issuer);
        issue::build_crl(&Issuer::new(&ca, &*KEY).unwrap(), number, now() - 60, now() + DAY, &[]).unwrap()
    }

    struct Kept {
        _folder: tempfile::TempDir,
        file: RevocationFile,
    }

    /// A file that lives for ten hours.
    fn file() -> Kept {
        let folder = tempfile::tempdir().unwrap();
        let file = RevocationFile::new(&folder.path().join("crl.pem"), Duration::from_secs(10 * HOUR));
        Kept { _folder: folder, file }
    }

    #[test]
    fn lists_are_used_to_the_last_second_of_their_age() {
        let Kept { file, .. } = &file();
        let fetched = now();
        file.keep(crl("A", 1).der(), fetched).unwrap();
        let ten_hours = 10 * 3600;
        assert_eq!(file.load_at(fetched + ten_hours).unwrap().iter().count(), 1);
        let old = file.load_at(fetched + ten_hours + 1);
        assert!(matches!(old, Err(Error::CrlTooOld { hours: 10, max_hours: 10 })), "{old:?}");
        let mode = std::fs::metadata(&file.path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn clock_set_back_is_noticed() {
        let Kept { file, .. } = &file();
        let fetched = now();
        file.keep(crl("A", 1).der(), fetched).unwrap();
        file.load_at(fetched - CLOCK_STEP).unwrap();
        let future = file.load_at(fetched - CLOCK_STEP - 1);
        assert!(matches!(future, Err(Error::CrlFromFuture { .. })), "{future:?}");
    }

    #[test]
    fn lists_of_several_issuers_come_as_pem() {
        let Kept { file, .. } = &file();
        let both = format!("{}{}", crl("A", 1).pem(), crl("B", 7).pem());
        file.keep(both.as_bytes(), now()).unwrap();
        let numbers: Vec<_> = file.load().unwrap().iter().map(Crl::number).collect();
        assert_eq!(numbers, [1, 7]);
    }

    #[test]
    fn list_that_goes_back_or_away_is_refused_and_the_old_one_stays() {
        let Kept { file, .. } = &file();
        file.keep(format!("{}{}", crl("A", 5).pem(), crl("B", 7).pem()).as_bytes(), now()).unwrap();
        let back = file.keep(format!("{}{}", crl("A", 4).pem(), crl("B", 8).pem()).as_bytes(), now());
        assert!(matches!(back, Err(Error::CrlWentBack { known: 5, found: 4, .. })), "{back:?}");
        let away = file.keep(crl("A", 6).der(), now());
        assert!(
            matches!(&away, Err(Error::CrlWentBack { issuer, known: 7, found: 0 }) if issuer == "CN=B"),
            "{away:?}"
        );
        let numbers: Vec<_> = file.load().unwrap().iter().map(Crl::number).collect();
        assert_eq!(numbers, [5, 7]);
    }

    #[test]
    fn file_that_was_changed_is_refused_by_name() {
        let Kept { file, .. } = &file();
        for text in [
            String::new(),
            crl("A", 1).pem(),
            format!("{FETCHED}yesterday\n{}", crl("A", 1).pem()),
            format!("{FETCHED}{}\n", clock::rfc3339(now()).unwrap()),
            format!(
                "{FETCHED}{}\n-----BEGIN X509 CRL-----\nAAAA\n{PEM_END}\n",
                clock::rfc3339(now()).unwrap()
            ),
        ] {
            std::fs::write(&file.path, &text).unwrap();
            assert!(matches!(file.load(), Err(Error::CrlMalformed { .. })), "{text}");
        }
    }
}
