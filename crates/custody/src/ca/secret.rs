//! What opens a CA: one person's passphrase, or one from each of two people, of which neither opens anything.

use aws_lc_rs::digest::{SHA256, digest};
use zeroize::Zeroizing;

use crate::error::Error;
use crate::keyfile;

/// Fewest characters of a CA's passphrase; where two people keep the CA, of each of theirs.
pub const MIN_PASSPHRASE_CHARS: usize = 12;
/// Fewest characters of each custodian's part of a token's PIN. A token locks itself, so that little is enough; many take
/// no more than eight characters in all.
pub const MIN_PIN_PART_CHARS: usize = 4;
/// Longest name of a custodian, in characters.
pub const MAX_CUSTODIAN_CHARS: usize = 64;

/// Two people who keep a CA together. Both are needed for everything that it signs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Custodians([String; 2]);

impl Custodians {
    /// Names both, in the order in which they will always be asked.
    ///
    /// # Errors
    /// [`Error::SamePerson`] when both names are one, letter case and spaces set aside; [`Error::CustodianName`].
    pub fn new(first: &str, second: &str) -> Result<Self, Error> {
        let names = [tidy(first)?, tidy(second)?];
        let [first, second] = &names;
        if first.to_lowercase() == second.to_lowercase() {
            return Err(Error::SamePerson { name: first.clone() });
        }
        Ok(Self(names))
    }

    /// Their names, in the order in which they are asked.
    #[must_use]
    pub fn names(&self) -> &[String; 2] {
        &self.0
    }
}

impl std::fmt::Display for Custodians {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let [first, second] = &self.0;
        write!(f, "{first} and {second}")
    }
}

/// One space between words, and nothing that would move a cursor.
fn tidy(name: &str) -> Result<String, Error> {
    let name = name.split_whitespace().collect::<Vec<_>>().join(" ");
    let fits = (1..=MAX_CUSTODIAN_CHARS).contains(&name.chars().count());
    if fits && !name.chars().any(char::is_control) { Ok(name) } else { Err(Error::CustodianName) }
}

/// What people give to open a CA.
#[derive(Clone, Copy)]
pub enum Secret<'a> {
    /// One person's.
    One(&'a str),
    /// One of each custodian, in the order of [`Custodians::names`].
    Two([&'a str; 2]),
}

impl<'a> From<&'a str> for Secret<'a> {
    fn from(secret: &'a str) -> Self {
        Self::One(secret)
    }
}

impl<'a> From<&'a Zeroizing<String>> for Secret<'a> {
    fn from(secret: &'a Zeroizing<String>) -> Self {
        Self::One(secret)
    }
}

impl std::fmt::Debug for Secret<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(..)")
    }
}

impl Secret<'_> {
    /// Whether a new CA may be put under it: long enough each, and not one twice.
    pub(super) fn check_new(&self, min: usize) -> Result<(), Error> {
        let each: &[&str] = match self {
            Self::One(one) => &[one],
            Self::Two(both) => both,
        };
        each.iter().try_for_each(|secret| {
            // The two are joined by a line end: in neither may be one, or two pairs could be one passphrase.
            if secret.contains('\n') {
                Err(Error::SecretOfLines)
            } else {
                keyfile::check_new_pin(secret, min)
            }
        })
    }

    /// The passphrase of the key file: the one secret, or what both people's make: SHA-256 of both with a line end
    /// between, as lower-case hex. Who has one of them knows nothing of it, and must still guess the whole other one.
    pub(super) fn passphrase(&self, of: Option<&Custodians>) -> Result<Zeroizing<String>, Error> {
        match self.of(of)? {
            Self::Two([first, second]) => {
                let text = Zeroizing::new(format!("{first}\n{second}"));
                let mut hex = Zeroizing::new(String::with_capacity(64));
                for byte in digest(&SHA256, text.as_bytes()).as_ref() {
                    for digit in [byte >> 4, byte & 0x0F] {
                        hex.push(char::from_digit(digit.into(), 16).unwrap_or_default());
                    }
                }
                Ok(hex)
            }
            Self::One(one) => Ok(Zeroizing::new((*one).to_owned())),
        }
    }

    /// The PIN of the token: the one secret, or both people's parts, one after the other.
    pub(super) fn pin(&self, of: Option<&Custodians>) -> Result<Zeroizing<String>, Error> {
        Ok(Zeroizing::new(match self.of(of)? {
            Self::Two([first, second]) => format!("{first}{second}"),
            Self::One(one) => (*one).to_owned(),
        }))
    }

    /// As many secrets as the CA has keepers, and of two people never one twice.
    pub(super) fn of(&self, custodians: Option<&Custodians>) -> Result<&Self, Error> {
        match (self, custodians) {
            (Self::Two([first, second]), Some(_)) if first == second => Err(Error::SameSecret),
            (Self::One(_), Some(both)) => Err(Error::TwoPeople { custodians: both.to_string() }),
            (Self::Two(_), None) => Err(Error::OnePerson),
            (Self::Two(_), Some(_)) | (Self::One(_), None) => Ok(self),
        }
    }
}
