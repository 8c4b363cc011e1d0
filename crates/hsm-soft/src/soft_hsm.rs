use std::path::Path;

use hsm::{
    KeyBlock, Refusal,
    commands::{Reply, Request, TransportKeyBlocks},
    protocol::Outcome,
};
use zeroize::Zeroizing;

use crate::{
    Duty, HsmSoftError, acts, ec_tickets::EcTickets, key_pairs::KeyPairs, lmk::Lmk, rks_tickets::RksTickets,
    self_test::Watch, state::State, tickets::Tickets, tms_sessions_ec::TmsSessionsEc,
    tms_tickets::TmsTickets,
};

/// An unsealed software HSM. Carries out commands; holds the clear keys.
pub struct SoftHsm {
    pub(crate) lmk: Lmk,
    pub(crate) stranger: Zeroizing<[u8; 32]>,
    pub(crate) tickets: Tickets,
    pub(crate) rks_tickets: RksTickets,
    pub(crate) tms_tickets: TmsTickets,
    pub(crate) ec_tickets: EcTickets,
    pub(crate) tms_sessions: TmsSessionsEc,
    pub(crate) stranger_dik1: KeyBlock,
    pub(crate) stranger_dmk: KeyBlock,
    pub(crate) stranger_operator: Vec<u8>,
    pub(crate) stranger_tk: TransportKeyBlocks,
    pub(crate) stranger_dmk_ec: KeyBlock,
    pub(crate) stranger_dik1_ec: KeyBlock,
    pub(crate) key_pairs: KeyPairs,
    pub(crate) warnings: Vec<String>,
    pub(crate) watch: Watch,
    duty: Duty,
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
        let watch = Watch::start()?;
        let state = State::open(folder, passphrase)?;
        let lmk = Lmk::new(&state.generations())?;
        Ok(Self {
            stranger_dik1: acts::strangers_dik1(&lmk)?,
            stranger_dmk: acts::strangers_dmk(&lmk)?,
            stranger_operator: acts::strangers_operator(&lmk)?,
            stranger_tk: acts::strangers_tk(&lmk)?,
            stranger_dik1_ec: acts::strangers_dik1_ec(&lmk)?,
            stranger_dmk_ec: acts::strangers_dmk_ec(&lmk)?,
            lmk,
            stranger: state.stranger(),
            tickets: Tickets::new()?,
            rks_tickets: RksTickets::new()?,
            tms_tickets: TmsTickets::new()?,
            ec_tickets: EcTickets::new()?,
            tms_sessions: TmsSessionsEc::new()?,
            key_pairs: KeyPairs::default(),
            warnings,
            watch,
            duty: Duty::default(),
        })
    }

    /// Gives it another duty than that of a server.
    #[must_use]
    pub fn on_duty(self, duty: Duty) -> Self {
        Self { duty, ..self }
    }

    /// Runs the self-tests where 24 hours have passed since they last were: who serves calls this now and then. A
    /// failure is the error state, in which [`SoftHsm::handle`] refuses everything but the status.
    pub fn test_again(&self) {
        self.watch.run_if_due();
    }

    /// Carries out one command.
    ///
    /// # Errors
    /// The [`Refusal`] goes back to the caller as it is; it holds nothing secret.
    pub fn handle(&self, request: Request) -> Outcome {
        self.duty.check(&request)?;
        if !matches!(request, Request::Status(_)) {
            self.watch.check()?;
        }
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
            Request::CheckWorkKey(c) => Reply::CheckWorkKey(acts::check_work_key(self, &c)?),
            Request::Rewrap(c) => Reply::Rewrap(self.lmk.rewrap(&c.block)?),
            Request::MakeDownloaderKey(c) => Reply::MakeDownloaderKey(acts::make_downloader_key(self, &c)?),
            Request::LoadTerminal(c) => Reply::LoadTerminal(acts::load_terminal(self, &c)?),
            Request::MakeRksKey(c) => Reply::MakeRksKey(acts::make_rks_key(self, &c)?),
            Request::MakeDik1(c) => Reply::MakeDik1(acts::make_dik1(self, &c)?),
            Request::ExportDik1(c) => Reply::ExportDik1(acts::export_dik1(self, &c)?),
            Request::ImportDik1(c) => Reply::ImportDik1(acts::import_dik1(self, &c)?),
            Request::ImportLoaded(c) => Reply::ImportLoaded(acts::import_loaded(self, &c)?),
            Request::ExportHeld(c) => Reply::ExportHeld(acts::export_held(self, &c)?),
            Request::SealRksToken(c) => Reply::SealRksToken(acts::seal_rks_token(self, &c)?),
            Request::ReleaseRksKeys(c) => Reply::ReleaseRksKeys(acts::release_rks_keys(self, &c)?),
            Request::AnswerTms(c) => Reply::AnswerTms(acts::answer_tms(self, &c)?),
            Request::OpenTmsSession(c) => Reply::OpenTmsSession(acts::open_tms_session(self, &c)?),
            Request::SealTms(c) => Reply::SealTms(acts::seal_tms(self, &c)?),
            Request::OpenTms(c) => Reply::OpenTms(acts::open_tms(self, &c)?),
            Request::EnrolOperator(c) => Reply::EnrolOperator(acts::enrol_operator(self, &c)?),
            Request::MakeWorkingKeys(c) => Reply::MakeWorkingKeys(acts::make_working_keys(self, &c)?),
            Request::ConfirmSignIn(c) => Reply::ConfirmSignIn(acts::confirm_sign_in(self, &c)?),
            Request::TranslatePins(c) => Reply::TranslatePins(acts::translate_pins(self, &c)?),
            Request::TerminalMacs(c) => Reply::TerminalMacs(acts::terminal_macs(self, &c)?),
            Request::ImportZoneKey(c) => Reply::ImportZoneKey(acts::import_zone_key(self, &c)?),
            Request::MakeZoneKey(c) => Reply::MakeZoneKey(acts::make_zone_key(self, &c)?),
            Request::ImportUnderZone(c) => Reply::ImportUnderZone(acts::import_under_zone(self, &c)?),
            Request::MakeEcKey(c) => Reply::MakeEcKey(acts::make_ec_key(self, &c)?),
            Request::OpenCollectedEc(c) => Reply::OpenCollectedEc(acts::open_collected_ec(self, &c)?),
            Request::AnswerHello(c) => Reply::AnswerHello(acts::answer_hello(self, &c)?),
            Request::CheckAnswerEc(c) => Reply::CheckAnswerEc(acts::check_answer_ec(self, &c)?),
            Request::ReleaseTmkEc(c) => Reply::ReleaseTmkEc(acts::release_tmk_ec(self, &c)?),
            Request::Acknowledge(c) => Reply::Acknowledge(acts::acknowledge(self, &c)?),
            Request::BeginRks(c) => Reply::BeginRks(acts::begin_rks(self, &c)?),
            Request::AnswerFactor(c) => Reply::AnswerFactor(acts::answer_factor(self, &c)?),
            Request::ReleaseRksKeysEc(c) => Reply::ReleaseRksKeysEc(acts::release_rks_keys_ec(self, &c)?),
            Request::MakeDik1Ec(c) => Reply::MakeDik1Ec(acts::make_dik1_ec(self, &c)?),
            Request::ImportDik1Ec(c) => Reply::ImportDik1Ec(acts::import_dik1_ec(self, &c)?),
            Request::OpenLoading(c) => Reply::OpenLoading(acts::open_loading(self, &c)?),
            Request::LoadTerminalEc(c) => Reply::LoadTerminalEc(acts::load_terminal_ec(self, &c)?),
            Request::MakeWorkingKeysEc(c) => Reply::MakeWorkingKeysEc(acts::make_working_keys_ec(self, &c)?),
            Request::ConfirmSignInEc(c) => Reply::ConfirmSignInEc(acts::confirm_sign_in_ec(self, &c)?),
            Request::OpenTmsSessionEc(c) => Reply::OpenTmsSessionEc(acts::open_tms_session_ec(self, &c)?),
            Request::TmsReceipt(c) => Reply::TmsReceipt(acts::tms_receipt(self, &c)?),
            Request::SealTmsEc(c) => Reply::SealTmsEc(acts::seal_tms_ec(self, &c)?),
            Request::OpenTmsEc(c) => Reply::OpenTmsEc(acts::open_tms_ec(self, &c)?),
            Request::TranslateTk(c) => Reply::TranslateTk(acts::translate_tk(self, &c)?),
            Request::ImportTk(c) => Reply::ImportTk(acts::import_tk(self, &c)?),
            Request::MacBatch(c) => Reply::MacBatch(acts::mac_batch(self, &c)?),
            Request::CheckBatchMac(c) => Reply::CheckBatchMac(acts::check_batch_mac(self, &c)?),
            Request::TkCheckValues(c) => Reply::TkCheckValues(acts::tk_check_values(self, &c)?),
        })
    }
}

/// `serial/slot` of a key of slot `slot`.
pub(crate) fn place(pin_pad: &str, slot: u8) -> Result<String, Refusal> {
    check_name("a PIN pad serial", pin_pad)?;
    if slot > 99 {
        return Err(Refusal::Malformed { what: format!("slot {slot}: slots go from 0 to 99") });
    }
    Ok(format!("{pin_pad}/{slot:02}"))
}

/// Serials and labels: 1–32 of `A-Z a-z 0-9 - . _`.
pub(crate) fn check_name(what: &str, name: &str) -> Result<(), Refusal> {
    let characters = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_');
    if (1..=32).contains(&name.len()) && name.chars().all(characters) {
        return Ok(());
    }
    Err(Refusal::Malformed { what: format!("{what} has 1 to 32 of A-Z a-z 0-9 - . _") })
}
