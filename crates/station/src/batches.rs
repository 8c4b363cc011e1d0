//! Sending an MTMS's batches to a KMS (2-wire.md section 6).

use serde::Deserialize;

use crate::{Error, Server, http::Answer, text::printable};

/// Where batches go.
const BATCHES: &str = "/v1/batches";

/// What a KMS says to a batch. Nothing of it is believed yet: what it means, its receipt says, which has a MAC.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BatchAnswer {
    /// 200: it has the batch. The body holds a line for each terminal, and the receipt.
    Taken(Vec<u8>),
    /// 409: these very bytes came before. The body holds the receipt of the first time.
    Before(Vec<u8>),
    /// It refuses the batch as a whole and has stored nothing of it.
    Refused {
        /// The HTTP status.
        status: u16,
        /// Its code, for programs; `http-…` with the status where it gave none.
        code: String,
        /// What it says to people.
        text: String,
    },
}

/// How a refusal is written.
#[derive(Deserialize)]
struct Said {
    error: Refusal,
}

#[derive(Deserialize)]
struct Refusal {
    code: String,
}

impl Server {
    /// Sends a signed batch. Sending it again is safe: a KMS takes the same bytes once.
    ///
    /// # Errors
    /// [`Error::ServerUnreachable`], [`Error::ServerNotTrusted`], [`Error::ServerBusy`], [`Error::AnswerTooLong`]: then
    /// nobody knows whether it came.
    pub fn send_batch(&self, package: &[u8]) -> Result<BatchAnswer, Error> {
        let answer = self.post_cms(BATCHES, package)?;
        Ok(match answer.status {
            200 => BatchAnswer::Taken(answer.body),
            409 => BatchAnswer::Before(answer.body),
            status @ (429 | 503) => return Err(Error::ServerBusy { status }),
            _ => refused(&answer),
        })
    }
}

fn refused(answer: &Answer) -> BatchAnswer {
    let code = serde_json::from_slice::<Said>(&answer.body).map(|said| printable(&said.error.code));
    let (status, text) = (answer.status, answer.text());
    BatchAnswer::Refused { status, code: code.unwrap_or_else(|_| format!("http-{status}")), text }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(status: u16, body: &str) -> BatchAnswer {
        refused(&Answer { status, body: body.as_bytes().to_vec() })
    }

    #[test]
    fn a_refusal_is_known_by_its_code_or_by_its_status() {
        let named = refusal(403, r#"{"error":{"code":"wrong-mac","text":"the MAC is wrong"}}"#);
        let is = |code: &str, text: &str, status| BatchAnswer::Refused {
            status,
            code: code.into(),
            text: text.into(),
        };
        assert_eq!(named, is("wrong-mac", "the MAC is wrong", 403));
        assert_eq!(refusal(502, "gateway"), is("http-502", "gateway", 502));
        let redirected = refusal(302, "<html>see elsewhere</html>");
        let BatchAnswer::Refused { code, text, .. } = &redirected else { panic!("{redirected:?}") };
        assert!(code == "http-302" && text.contains("redirects to another address"), "{redirected:?}");
        let long = format!(r#"{{"error":{{"code":"{0}\u001b[2J","text":"{0}"}}}}"#, "x".repeat(10_000));
        let BatchAnswer::Refused { code, text, .. } = refusal(422, &long) else { panic!("taken") };
        assert!(code.len() <= 300 && text.len() <= 300 && !code.contains('\u{1B}'), "{code} {text}");
        assert_eq!(refusal(413, ""), is("http-413", "no reason was given", 413));
    }
}
