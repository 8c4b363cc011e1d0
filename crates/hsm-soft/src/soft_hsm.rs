use std::path::Path;

use hsm::{
    Refusal,
    commands::{Reply, Request},
    protocol::Outcome,
};
use zeroize::Zeroizing;

use crate::{HsmSoftError, acts, key_pairs::KeyPairs, lmk::Lmk, self_test, state::State, tickets::Tickets};

/// An unsealed software HSM. Carries out commands; holds the clear keys.
pub struct SoftHsm {
    pub(crate) lmk: Lmk,
    pub(crate) stranger: Zeroizing<[u8; 32]>,
    pub(crate) tickets: Tickets,
    pub(crate) key_pairs: KeyPairs,
    pub(crate) warnings: Vec<String>,
}

impl SoftHsm {
    /// Tests the cryptography, then unseals the folder.
    ///
    /// `warnings` are those of [`crate::protect`], to be told with the status.
    ///
    /// # Errors
    /// [`HsmSoftError::SelfTest`]; [`HsmSoftError::WrongPassphrase`]; [`HsmSoftError::NotPrivate`];
    /// [`HsmSoftError::NotSealed`]; [`HsmSoftError::File`]; [`HsmSoftError::Random`].
    pub fn open(folder: &Path, passphrase: &str, warnings: Vec<String>) -> Result<Self, HsmSoftError> {
        self_test::run()?;
        let state = State::open(folder, passphrase)?;
        Ok(Self {
            lmk: Lmk::new(&state.generations())?,
            stranger: state.stranger(),
            tickets: Tickets::new()?,
            key_pairs: KeyPairs::default(),
            warnings,
        })
    }

    /// Carries out one command.
    ///
    /// # Errors
    /// The [`Refusal`] goes back to the caller as it is; it holds nothing secret.
    pub fn handle(&self, request: Request) -> Outcome {
        Ok(match request {
            Request::Status(_) => Reply::Status(acts::status(self)),
            Request::MakeWorkKey(c) => Reply::MakeWorkKey(acts::make_work_key(self, &c)?),
            Request::CheckCollected(c) => Reply::CheckCollected(acts::check_collected(self, &c)?),
            Request::OpenCollected(c) => Reply::OpenCollected(acts::open_collected(self, &c)?),
            Request::AnswerChallenge(c) => Reply::AnswerChallenge(acts::answer_challenge(self, &c)?),
            Request::AnswerStranger(c) => Reply::AnswerStranger(acts::answer_stranger(self, &c)?),
            Request::CheckAnswer(c) => Reply::CheckAnswer(acts::check_answer(self, &c)?),
            Request::ReleaseTmk(c) => Reply::ReleaseTmk(acts::release_tmk(self, &c)?),
            Request::MakeTlsKey(c) => Reply::MakeTlsKey(acts::make_tls_key(self, &c)?),
            Request::SignTls(c) => Reply::SignTls(acts::sign_tls(self, &c)?),
            Request::Rewrap(c) => Reply::Rewrap(self.lmk.rewrap(&c.block)?),
            later => {
                return Err(Refusal::OutOfService { why: format!("{} is not carried out yet", later.name()) });
            }
        })
    }
}

/// `serial/slot` of a key of slot `slot`.
pub(crate) fn place(pin_pad: &str, slot: u8) -> Result<String, Refusal> {
    let characters = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_');
    if !(1..=32).contains(&pin_pad.len()) || !pin_pad.chars().all(characters) {
        return Err(Refusal::Malformed { what: "a PIN pad serial has 1 to 32 of A-Z a-z 0-9 - . _".into() });
    }
    if slot > 99 {
        return Err(Refusal::Malformed { what: format!("slot {slot}: slots go from 0 to 99") });
    }
    Ok(format!("{pin_pad}/{slot:02}"))
}
