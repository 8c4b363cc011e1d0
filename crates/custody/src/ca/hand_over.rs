//! Handing a CA over: to other people, or to two where one kept it. The root and its key stay the same.
//!
//! The key file under the new secrets is written beside the old one, then the log says whose it is and which bytes it has,
//! then it takes the old one's place. A crash anywhere in between leaves a CA that opens, under the old secrets or the new.
//!
//! Of a root on a token the log first says that its PIN is about to be changed, then it is, then the log says whose it is.
//! What goes wrong on the way is looked into with the old PIN and the new: the log names as keepers those whose PIN stands.

use std::fs;
use std::path::Path;

use aws_lc_rs::digest::{SHA256, digest};

use super::log::{Act, Log, Record};
use super::secret::{Custodians, MIN_PASSPHRASE_CHARS, MIN_PIN_PART_CHARS, Secret};
use super::{Ca, Closed, KEY_FILE, keeping};
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
    /// [`Error::Io`], or those of [`Token::change_pin`]: then the log names the old keepers again, or, where the token could
    /// not be asked any more, [`Closed::settle`] finds out.
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
                // What can be known beforehand is found before the log says anything: a PIN that the token does not
                // take, and a wrong one.
                token.check_new_pin(&new)?;
                token.open(&old)?;
                let from = record.custodians().cloned();
                let change = || token.change_pin(&old, &new);
                change_keepers(&mut self.log, now, [from.as_ref(), to], change, || stands(&token, &old, &new))
            }
        }
    }
}

impl Closed {
    /// Ends a handing over of a root on a token that was broken off between two lines of the log: `old` and `new` are
    /// those of that time, and the token says whose PIN stands. Gives whether it is the new one. A wrong `old` costs the
    /// token one try, which the right `new` gives back.
    ///
    /// # Errors
    /// [`Error::HandOverUnsettled`] when `to` are not those to whom it was begun; those of [`Token::open`] when neither
    /// PIN opens it; [`Error::Io`].
    pub fn settle<'a, 'b>(
        &mut self,
        old: impl Into<Secret<'a>>,
        to: Option<&Custodians>,
        new: impl Into<Secret<'b>>,
        now: i64,
    ) -> Result<bool, Error> {
        let from = self.log.record().custodians().cloned();
        let (Some(begun), Some(uri)) = (self.log.record().handing_over(), keeping::token(&self.dir)?) else {
            return Ok(false);
        };
        if begun != to {
            return Err(unsettled(self.log.record()));
        }
        let (old, new) = (old.into().pin(from.as_ref())?, new.into().pin(to)?);
        let new_stands = stands(&Token::find(&uri)?, &old, &new)?;
        self.log.append(now, Act::keepers(if new_stands { to } else { from.as_ref() }, None))?;
        Ok(new_stands)
    }
}

/// Whose PIN these people give, where a handing over was broken off: as many as the secrets are, if that tells it.
pub(super) fn keepers_of<'a>(
    record: &'a Record,
    secret: &Secret<'_>,
) -> Result<Option<&'a Custodians>, Error> {
    let old = record.custodians();
    let Some(new) = record.handing_over() else { return Ok(old) };
    match (secret.of(old), secret.of(new)) {
        (Ok(_), Ok(_)) if old != new => Err(unsettled(record)),
        (Err(_), Ok(_)) => Ok(new),
        _ => Ok(old),
    }
}

fn unsettled(record: &Record) -> Error {
    let said = |who: Option<&Custodians>| who.map_or_else(|| "one person".to_owned(), ToString::to_string);
    Error::HandOverUnsettled {
        from: said(record.custodians()),
        to: said(record.handing_over().unwrap_or_default()),
    }
}

/// Whether the new PIN opens the token; an error when neither does.
fn stands(token: &Token, old: &str, new: &str) -> Result<bool, Error> {
    match token.open(old) {
        Ok(_) => Ok(false),
        Err(Error::WrongTokenPin { .. } | Error::TokenPinLength { .. } | Error::TokenPinRefused { .. }) => {
            token.open(new).map(|_| true)
        }
        Err(error) => Err(error),
    }
}

/// Says in the log what is about to be done, has it done, and says who are the keepers now. What `change` fails with is
/// given back, unless the new PIN `stands` all the same; where that cannot be found out, the log leaves it open.
fn change_keepers(
    log: &mut Log,
    now: i64,
    [from, to]: [Option<&Custodians>; 2],
    change: impl FnOnce() -> Result<(), Error>,
    stands: impl FnOnce() -> Result<bool, Error>,
) -> Result<(), Error> {
    log.append(now, Act::handing_over(to))?;
    let Err(error) = change() else { return log.append(now, Act::keepers(to, None)) };
    match stands() {
        Ok(true) => log.append(now, Act::keepers(to, None)),
        Ok(false) => {
            log.append(now, Act::keepers(from, None))?;
            Err(error)
        }
        Err(_) => Err(error),
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

#[cfg(test)]
mod tests {
    use super::{Act, Custodians, Error, Log, change_keepers};

    fn failed() -> Error {
        Error::TokenMissing { token: "KF root".into() }
    }

    /// Who keeps the CA by the log as it is read again, and how many lines it has, after a change that failed.
    fn after(stands: impl FnOnce() -> Result<bool, Error>) -> (bool, Option<String>, bool, u64) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        let mut log = Log::create(&path).unwrap();
        let old = Custodians::new("Ann", "Bob").unwrap();
        let new = Custodians::new("Eve", "Joe").unwrap();
        log.append(1, Act::keepers(Some(&old), None)).unwrap();
        let changed = change_keepers(&mut log, 2, [Some(&old), Some(&new)], || Err(failed()), stands);
        let record = Log::read(&path).unwrap().into_record();
        let open = record.handing_over().is_some();
        (changed.is_ok(), record.custodians().map(ToString::to_string), open, record.entries())
    }

    #[test]
    fn a_pin_that_was_not_changed_leaves_the_old_keepers_in_the_log() {
        assert_eq!(after(|| Ok(false)), (false, Some("Ann and Bob".into()), false, 3));
    }

    #[test]
    fn a_pin_that_was_changed_although_the_token_failed_makes_the_new_keepers_so() {
        assert_eq!(after(|| Ok(true)), (true, Some("Eve and Joe".into()), false, 3));
    }

    #[test]
    fn a_token_that_cannot_be_asked_any_more_leaves_the_handing_over_open() {
        assert_eq!(after(|| Err(failed())), (false, Some("Ann and Bob".into()), true, 2));
    }
}
