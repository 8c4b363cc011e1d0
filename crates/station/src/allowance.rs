//! Leave to use a lower suite for a while: an operator asks, an administrator approves, and both sign the same words
//! (3-hardened.md: a suite goes down only by an act of two people with a reason and an end date).

use serde::{Deserialize, Serialize};
use wire::{Serial, Suite};

use crate::{BothCards, Error, Server, clock, text::printable};

/// The longest that leave may last, days.
pub const MAX_DAYS: u32 = 90;
const SUITES: &str = "/v1/suites";
/// Version of what is signed.
const VERSION: u32 = 1;

/// What two people allow one terminal.
#[derive(Debug, Clone)]
pub struct Allowance {
    /// The terminal.
    pub sn: Serial,
    /// Down to which suite.
    pub suite: Suite,
    /// Days from now; 0 ends leave that was given before.
    pub days: u32,
    /// Why: for whoever reads the audit.
    pub reason: String,
}

#[derive(Serialize)]
struct Signed<'a> {
    version: u32,
    sn: &'a str,
    suite: u8,
    until: &'a str,
    reason: &'a str,
}

#[derive(Deserialize)]
struct Said {
    text: String,
}

impl Allowance {
    /// Signs it with both cards and gives it to the KMS. Gives what the KMS says.
    ///
    /// # Errors
    /// What [`BothCards::check`] says; [`Error::Signing`]; the server's refusals, [`Error::AnswerMalformed`].
    pub fn give(&self, server: &Server, cards: &BothCards) -> Result<String, Error> {
        let at = clock::now();
        let until = clock::rfc3339(at.saturating_add(i64::from(self.days) * 24 * 3600))?;
        let signed = Signed {
            version: VERSION,
            sn: self.sn.as_str(),
            suite: self.suite.byte(),
            until: &until,
            reason: &self.reason,
        };
        let content = serde_json::to_vec(&signed).map_err(|error| Error::Signing {
            card: "operator or administrator".to_owned(),
            why: error.to_string(),
        })?;
        let answer = server.post_cms(SUITES, &cards.sign_by_both(&content, at)?)?;
        if answer.status != 200 {
            return Err(answer.refusal());
        }
        let said: Said = serde_json::from_slice(&answer.body)
            .map_err(|error| Error::AnswerMalformed { why: printable(&error.to_string()) })?;
        Ok(printable(&said.text))
    }
}
