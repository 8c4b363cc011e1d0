//! Handing a CA over: to other people, or to two where one kept it. The root and its key stay the same.
//!
//! The key file under the new secrets is written beside the old one, then the log says whose it is and which bytes it has,
//! then it takes the old one's place. A crash anywhere in between leaves a CA that opens, under the old secrets or the new.

use std::fs;
use std::path::Path;

use aws_lc_rs::digest::{SHA256, digest};

use super::log::{Act, Record};
use super::secret::{Custodians, MIN_PASSPHRASE_CHARS, MIN_PIN_PART_CHARS, Secret};
use super::{Ca, KEY_FILE, keeping};
use crate::error::Error;
use crate::files::{self, Mode};
use crate::keyfile;
use crate::token::Token;

/// The key file that is to take the old one's place.
const NEXT_KEY_FILE: &str = "root.key.next.pem";

impl Ca {
    /// Puts the CA under new secrets: of the two people named, or of one where one keeps it. `old` is what opens it now.
    /// Two people never become one. Of a root on a token this is the PIN; the security officer's stays as it was.
    ///
    /// # Errors
    /// [`Error::TwoPeople`] for one person after two; for each secret those of [`Ca::open`] and [`Ca::create`];
    /// [`Error::Io`], or those of [`Token::change_pin`].
    pub fn hand_over<'a, 'b>(
        &mut self,
        old: impl Into<Secret<'a>>,
        to: Option<&Custodians>,
        new: impl Into<Secret<'b>>,
        now: i64,
    ) -> Result<(), Error> {
        let (old, new) = (old.into(), new.into());
        let record = self.record();
        if let (Some(both), None) = (record.custodians(), to) {
            return Err(Error::TwoPeople { custodians: both.to_string() });
        }
        match keeping::token(&self.dir)? {
            None => {
                new.check_new(MIN_PASSPHRASE_CHARS)?;
                let old = old.passphrase(record.custodians())?;
                let next = keyfile::change_pin(
                    &keyfile::read(&self.dir.join(KEY_FILE))?,
                    &old,
                    &new.passphrase(to)?,
                )?;
                files::replace(&self.dir.join(NEXT_KEY_FILE), next.as_bytes(), Mode::Secret)?;
                self.log.append(now, Act::keepers(to, Some(sha256(&next))))?;
                settle(&self.dir, self.record())
            }
            Some(uri) => {
                if matches!(new, Secret::Two(_)) {
                    new.check_new(MIN_PIN_PART_CHARS)?;
                }
                let (old, new) = (old.pin(record.custodians())?, new.pin(to)?);
                let token = Token::find(&uri)?;
                // A wrong PIN is found before the log says anything.
                token.open(&old)?;
                self.log.append(now, Act::keepers(to, None))?;
                token.change_pin(&old, &new)
            }
        }
    }
}

/// Ends a handing over that was broken off, and refuses a key file from before the last one: its keepers are no more.
pub(super) fn settle(dir: &Path, record: &Record) -> Result<(), Error> {
    let (key, next) = (dir.join(KEY_FILE), dir.join(NEXT_KEY_FILE));
    if next.is_file() {
        if record.key_sha256() == Some(sha256(&keyfile::read(&next)?).as_str()) {
            fs::rename(&next, &key).map_err(Error::io("replace", &key))?;
        } else {
            // The log never said so: it did not happen.
            fs::remove_file(&next).map_err(Error::io("remove", &next))?;
        }
        files::sync_parent(&key)?;
    }
    match record.key_sha256() {
        Some(wanted) if sha256(&keyfile::read(&key)?) != wanted => Err(Error::Inconsistent {
            path: dir.to_owned(),
            why: format!("{KEY_FILE} is not the one of the last handing over"),
        }),
        _ => Ok(()),
    }
}

fn sha256(text: &str) -> String {
    digest(&SHA256, text.as_bytes()).as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}
