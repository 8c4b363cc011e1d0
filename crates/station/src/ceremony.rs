//! Ceremonies: the KMS's nonce for one day's collecting at one station (3-hardened.md, "A, collecting").
//!
//! Whoever collected yesterday, or elsewhere, cannot say today's nonce: so an answer of a PIN pad is known to be one to
//! today's question. The station asks while it is on line and may collect without a line until the ceremony ends.

use std::path::Path;

use base64ct::{Base64, Encoding};
use serde::{Deserialize, Serialize};

use crate::{BothCards, Error, Server, clock, files, package, text::printable};

const CEREMONIES: &str = "/v1/ceremonies";
/// Version of what is signed, and of the file.
const VERSION: u32 = 1;
/// Bytes of the nonce (DF14).
const NONCE: usize = 32;
/// Longest file read, bytes.
const MAX_FILE: u64 = 4096;

/// A nonce that the KMS gave to this station.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ceremony {
    station: String,
    nonce: [u8; NONCE],
    expires_at: i64,
}

/// What the operator signs.
#[derive(Serialize)]
struct Asking<'a> {
    version: u32,
    station: &'a str,
    at: &'a str,
}

/// What the KMS answers.
#[derive(Deserialize)]
struct Answer {
    ceremony: String,
    expires_at: String,
}

/// The file.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Kept {
    version: u32,
    station: String,
    ceremony: String,
    expires_at: String,
}

impl Ceremony {
    /// Asks the KMS for a ceremony of this station, signed with the operator card while both cards are there.
    ///
    /// # Errors
    /// [`Error::StationName`]; what [`BothCards::check`] says; [`Error::Signing`]; the server's refusals,
    /// [`Error::AnswerMalformed`].
    pub fn ask(server: &Server, cards: &BothCards, station: &str) -> Result<Ceremony, Error> {
        package::check_name(station)?;
        let at = clock::now();
        let asking = Asking { version: VERSION, station, at: &clock::rfc3339(at)? };
        let content = serde_json::to_vec(&asking)
            .map_err(|error| Error::Signing { card: "operator".to_owned(), why: error.to_string() })?;
        let answer = server.post_cms(CEREMONIES, &cards.sign(&content, at)?)?;
        if answer.status != 200 {
            return Err(answer.refusal());
        }
        let malformed = |why: String| Error::AnswerMalformed { why: printable(&why) };
        let answer: Answer =
            serde_json::from_slice(&answer.body).map_err(|error| malformed(error.to_string()))?;
        let ceremony = read(station, &answer.ceremony, &answer.expires_at).map_err(malformed)?;
        ceremony.is_open(clock::now())?;
        Ok(ceremony)
    }

    /// Today's: the one kept in this file, or else a new one, which is kept there; for that the server must be reached.
    ///
    /// # Errors
    /// As [`Ceremony::ask`] and [`Ceremony::load`]; [`Error::File`].
    pub fn of_today(
        path: &Path,
        server: &Server,
        cards: &BothCards,
        station: &str,
    ) -> Result<Ceremony, Error> {
        if path.exists() {
            let kept = Ceremony::load(path)?;
            if kept.station == station && kept.is_open(clock::now()).is_ok() {
                return Ok(kept);
            }
        }
        let new = Ceremony::ask(server, cards, station)?;
        if let Some(folder) = path.parent() {
            files::make_folder(folder)?;
        }
        new.save(path)?;
        Ok(new)
    }

    /// Writes it into a file, for collecting without a line to the KMS.
    ///
    /// # Errors
    /// [`Error::File`].
    pub fn save(&self, path: &Path) -> Result<(), Error> {
        let kept = Kept {
            version: VERSION,
            station: self.station.clone(),
            ceremony: Base64::encode_string(&self.nonce),
            expires_at: clock::rfc3339(self.expires_at)?,
        };
        let json = serde_json::to_vec_pretty(&kept)
            .map_err(|error| Error::CeremonyDamaged { path: path.to_owned(), why: error.to_string() })?;
        files::write_whole(path, &json)
    }

    /// Reads it back. Whether it is still open, collecting asks.
    ///
    /// # Errors
    /// [`Error::File`], [`Error::CeremonyDamaged`].
    pub fn load(path: &Path) -> Result<Ceremony, Error> {
        let damaged = |why: String| Error::CeremonyDamaged { path: path.to_owned(), why };
        let kept: Kept = serde_json::from_slice(&files::read(path, MAX_FILE)?)
            .map_err(|error| damaged(error.to_string()))?;
        if kept.version != VERSION {
            return Err(damaged(format!("its version is {}", kept.version)));
        }
        read(&kept.station, &kept.ceremony, &kept.expires_at).map_err(damaged)
    }

    /// The nonce, as COLLECT carries it.
    pub fn nonce(&self) -> &[u8; NONCE] {
        &self.nonce
    }

    /// Whose it is: packages under it carry this name.
    pub fn station(&self) -> &str {
        &self.station
    }

    /// When it ends, unix seconds.
    pub fn expires_at(&self) -> i64 {
        self.expires_at
    }

    /// One that was kept elsewhere than in a file.
    pub(crate) fn restore(station: String, nonce: [u8; NONCE], expires_at: i64) -> Ceremony {
        Ceremony { station, nonce, expires_at }
    }

    pub(crate) fn is_open(&self, at: i64) -> Result<(), Error> {
        if at < self.expires_at {
            Ok(())
        } else {
            Err(Error::CeremonyOver { ended: clock::rfc3339(self.expires_at)? })
        }
    }
}

fn read(station: &str, nonce: &str, expires_at: &str) -> Result<Ceremony, String> {
    let nonce = Base64::decode_vec(nonce).map_err(|error| format!("the ceremony: {error}"))?;
    let nonce = nonce.try_into().map_err(|_| format!("the ceremony has not {NONCE} bytes"))?;
    let expires_at =
        clock::from_rfc3339(expires_at).ok_or("the time it ends is no RFC 3339 time".to_owned())?;
    Ok(Ceremony { station: station.to_owned(), nonce, expires_at })
}
