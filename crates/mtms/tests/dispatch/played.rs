//! A KMS that is not as it should be: in front of the true one, or in its place.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
};

use keyferry_mtms::{Error, Kms};
use station::BatchAnswer;

/// What happens to one batch.
pub(crate) enum Play {
    /// It never arrives.
    Away,
    /// It arrives; the answer is lost.
    AnswerLost,
    /// It arrives; what comes back is changed on its way.
    Changed(Box<dyn Fn(String) -> String + Send>),
    /// What came back for the batch before comes back again.
    ReceiptOfTheOneBefore,
    /// It does not arrive, and is refused by name.
    Refused(&'static str),
}

/// Plays its part batch by batch, then passes everything on.
pub(crate) struct Played {
    kms: Arc<dyn Kms>,
    play: Mutex<VecDeque<Option<Play>>>,
    /// Every batch that was sent.
    pub(crate) seen: Mutex<Vec<Vec<u8>>>,
    before: Mutex<Vec<u8>>,
}

impl Played {
    pub(crate) fn new(kms: Arc<dyn Kms>, play: impl IntoIterator<Item = Option<Play>>) -> Arc<Played> {
        let (play, seen, before) =
            (Mutex::new(play.into_iter().collect()), Mutex::default(), Mutex::default());
        Arc::new(Played { kms, play, seen, before })
    }
}

pub(crate) fn unreachable() -> Error {
    let (server, why) = ("https://kms".to_owned(), "cut".to_owned());
    station::Error::ServerUnreachable { server, why }.into()
}

impl Kms for Played {
    fn send(&self, package: &[u8]) -> Result<BatchAnswer, Error> {
        self.seen.lock().unwrap().push(package.to_vec());
        let play = self.play.lock().unwrap().pop_front().flatten();
        match play {
            Some(Play::Away) => return Err(unreachable()),
            Some(Play::Refused(code)) => {
                let (code, text) = (code.to_owned(), "as the test wants it".to_owned());
                return Ok(BatchAnswer::Refused { status: 403, code, text });
            }
            _ => {}
        }
        let answer = self.kms.send(package)?;
        let (BatchAnswer::Taken(body) | BatchAnswer::Before(body)) = &answer else { return Ok(answer) };
        let before = std::mem::replace(&mut *self.before.lock().unwrap(), body.clone());
        Ok(match play {
            Some(Play::AnswerLost) => return Err(unreachable()),
            Some(Play::Changed(change)) => {
                BatchAnswer::Taken(change(String::from_utf8(body.clone()).unwrap()).into_bytes())
            }
            Some(Play::ReceiptOfTheOneBefore) => BatchAnswer::Taken(before),
            _ => answer,
        })
    }
}
