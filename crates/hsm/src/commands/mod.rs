//! HSM commands: whole acts, one small file each.
//!
//! A command says what it takes, what it gives and what it refuses. The set of [`Request`]s is the whole of what an
//! HSM can be asked; none of them decrypts or encrypts what the caller likes. What is a conversation by nature (sealed
//! messages, MACs) is bound to one terminal, one direction and one use.

mod acknowledge;
mod answer_challenge;
mod answer_factor;
mod answer_hello;
mod answer_stranger;
mod answer_tms;
mod batch_mac;
mod begin_rks;
mod check_answer;
mod check_answer_ec;
mod check_collected;
mod check_work_key;
mod confirm_sign_in;
mod confirm_sign_in_ec;
mod enrol_operator;
mod export_dik1;
mod export_held;
mod import_dik1;
mod import_dik1_ec;
mod import_loaded;
mod import_tk;
mod import_under_zone;
mod import_zone_key;
mod load_terminal;
mod load_terminal_ec;
mod make_dik1;
mod make_dik1_ec;
mod make_downloader_key;
mod make_ec_key;
mod make_rks_key;
mod make_tls_key;
mod make_work_key;
mod make_working_keys;
mod make_working_keys_ec;
mod make_zone_key;
mod open_collected;
mod open_collected_ec;
mod open_loading;
mod open_tms;
mod open_tms_ec;
mod open_tms_session;
mod open_tms_session_ec;
mod release_rks_keys;
mod release_rks_keys_ec;
mod release_tmk;
mod release_tmk_ec;
mod rewrap;
mod seal_rks_token;
mod seal_tms;
mod seal_tms_ec;
mod sign_tls;
mod status;
mod terminal_macs;
mod tk_check_values;
mod tms_receipt;
mod translate_pins;
mod translate_tk;

use serde::{Deserialize, Serialize};

pub use acknowledge::Acknowledge;
pub use answer_challenge::{AnswerChallenge, Challenge};
pub use answer_factor::{AnswerFactor, FactorAnswer};
pub use answer_hello::{AnswerHello, HelloAnswer, HelloFlow, HelloSecret, Hole, Peer};
pub use answer_stranger::AnswerStranger;
pub use answer_tms::{AnswerTms, TmsAnswer};
pub use batch_mac::{BatchText, CheckBatchMac, MAX_BATCH_TEXT, MacBatch};
pub use begin_rks::{BeginRks, RksBegun};
pub use check_answer::CheckAnswer;
pub use check_answer_ec::CheckAnswerEc;
pub use check_collected::CheckCollected;
pub use check_work_key::{CheckWorkKey, WorkKeyOf};
pub use confirm_sign_in::ConfirmSignIn;
pub use confirm_sign_in_ec::ConfirmSignInEc;
pub use enrol_operator::{EnrolOperator, MAX_PASSWORD};
pub use export_dik1::ExportDik1;
pub use export_held::ExportHeld;
pub use import_dik1::ImportDik1;
pub use import_dik1_ec::ImportDik1Ec;
pub use import_loaded::{Held, HeldKey, ImportLoaded, Imported};
pub use import_tk::{ImportTk, ImportedTk};
pub use import_under_zone::ImportUnderZone;
pub use import_zone_key::{ImportZoneKey, ZoneAlgorithm, ZoneKey};
pub use load_terminal::{Load, LoadTerminal, Loaded};
pub use load_terminal_ec::{LoadEc, LoadTerminalEc, LoadedEc};
pub use make_dik1::MakeDik1;
pub use make_dik1_ec::{HeldKeyEc, MakeDik1Ec};
pub use make_downloader_key::MakeDownloaderKey;
pub use make_ec_key::{EcKeyKind, MakeEcKey};
pub use make_rks_key::MakeRksKey;
pub use make_tls_key::MakeTlsKey;
pub use make_work_key::{MakeWorkKey, WorkKey};
pub use make_working_keys::{MakeWorkingKeys, PikLength};
pub use make_working_keys_ec::MakeWorkingKeysEc;
pub use make_zone_key::{MadeZoneKey, MakeZoneKey};
pub use open_collected::{OpenCollected, TransportKeyBlocks};
pub use open_collected_ec::OpenCollectedEc;
pub use open_loading::{LoadingOpened, OpenLoading};
pub use open_tms::OpenTms;
pub use open_tms_ec::OpenTmsEc;
pub use open_tms_session::{OpenTmsSession, OperatorClaim, TmkWanted, TmsSession};
pub use open_tms_session_ec::{OpenTmsSessionEc, TmkWantedEc, TmsSessionEc};
pub use release_rks_keys::{
    MAX_RKS_KEYS, MAX_TRANSCRIPT, ReleaseRksKeys, ReleasedKey, RksKeyKind, RksWanted,
};
pub use release_rks_keys_ec::{ReleaseRksKeysEc, RksWantedEc};
pub use release_tmk::{ReleaseTmk, ReleasedTmk};
pub use release_tmk_ec::{ReleaseTmkEc, ReleasedEc, ReleasedKeyEc};
pub use rewrap::Rewrap;
pub use seal_rks_token::{RksToken, SealRksToken, TokenDoubt};
pub use seal_tms::{MAX_SEALED_PAYLOAD, SealTms};
pub use seal_tms_ec::{MAX_TMS_SESSIONS, SealTmsEc};
pub use sign_tls::{SignTls, TlsScheme};
pub use status::{Status, StatusReport};
pub use terminal_macs::{MAX_MAC_DATA, MacAnswer, MacItem, MacOutcome, TerminalMacs};
pub use tk_check_values::{TkCheckValues, TkValues};
pub use tms_receipt::TmsReceipt;
pub use translate_pins::{MAX_ITEMS, PinFormat, PinOutcome, PinRefusal, PinTranslation, TranslatePins};
pub use translate_tk::{TkSource, TranslateTk, TravellingTk};

use crate::HsmError;

impl Request {
    /// Whether a person's password is in it: the buffers that it passes are then wiped.
    #[must_use]
    pub fn holds_password(&self) -> bool {
        matches!(self, Self::EnrolOperator(_))
    }
}

/// The longest frame that a command takes, in bytes with its length (2-wire.md section 1).
pub const MAX_FRAME: usize = 2 + 65_535;

/// One act of the HSM and the reply it gives.
pub trait Command: Send + 'static {
    /// What comes back when the HSM does not refuse.
    type Reply: Send + 'static;
    /// The command's name, for logs and policy.
    const NAME: &'static str;
    /// The command as the protocol carries it.
    fn into_request(self) -> Request;
    /// The reply as the protocol carried it.
    ///
    /// # Errors
    /// [`HsmError::WrongReply`] when it is another command's.
    fn from_reply(reply: Reply) -> Result<Self::Reply, HsmError>;
}

/// Declares the protocol's enums from the list of commands, so that a command cannot be in one and not in the other.
macro_rules! commands {
    ($($command:ident => $reply:ty),* $(,)?) => {
        /// Every command.
        #[derive(Debug, Clone, Serialize, Deserialize)]
        #[allow(missing_docs, reason = "each variant is the command of its name, documented there")]
        pub enum Request { $($command($command)),* }

        /// Every reply.
        #[derive(Debug, Clone, Serialize, Deserialize)]
        #[allow(missing_docs, reason = "each variant is the reply to the command of its name, documented there")]
        pub enum Reply { $($command($reply)),* }

        impl Request {
            /// The names of all commands, for a policy file and its test.
            pub const NAMES: &'static [&'static str] = &[$(stringify!($command)),*];

            /// The command's name.
            #[must_use]
            pub fn name(&self) -> &'static str {
                match self { $(Self::$command(_) => stringify!($command)),* }
            }
        }

        $(impl Command for $command {
            type Reply = $reply;
            const NAME: &'static str = stringify!($command);
            fn into_request(self) -> Request { Request::$command(self) }
            fn from_reply(reply: Reply) -> Result<$reply, HsmError> {
                match reply {
                    Reply::$command(reply) => Ok(reply),
                    _ => Err(HsmError::WrongReply(Self::NAME)),
                }
            }
        })*
    };
}

commands! {
    Status => StatusReport,
    MakeWorkKey => WorkKey,
    CheckCollected => (),
    OpenCollected => TransportKeyBlocks,
    AnswerChallenge => Challenge,
    AnswerStranger => Challenge,
    CheckAnswer => (),
    ReleaseTmk => ReleasedTmk,
    Rewrap => crate::KeyBlock,
    MakeTlsKey => WorkKey,
    SignTls => Vec<u8>,
    MakeDownloaderKey => WorkKey,
    LoadTerminal => Loaded,
    MakeRksKey => WorkKey,
    MakeDik1 => HeldKey,
    ExportDik1 => String,
    ImportDik1 => HeldKey,
    ImportLoaded => Imported,
    ExportHeld => String,
    SealRksToken => RksToken,
    ReleaseRksKeys => Vec<ReleasedKey>,
    CheckWorkKey => (),
    AnswerTms => TmsAnswer,
    OpenTmsSession => TmsSession,
    SealTms => Vec<u8>,
    OpenTms => Vec<u8>,
    EnrolOperator => Vec<u8>,
    MakeWorkingKeys => Vec<ReleasedKey>,
    ConfirmSignIn => [u8; 8],
    TranslatePins => Vec<PinOutcome>,
    TerminalMacs => Vec<MacOutcome>,
    ImportZoneKey => ZoneKey,
    MakeZoneKey => MadeZoneKey,
    ImportUnderZone => HeldKey,
    MakeEcKey => WorkKey,
    OpenCollectedEc => TransportKeyBlocks,
    AnswerHello => HelloAnswer,
    CheckAnswerEc => (),
    ReleaseTmkEc => ReleasedEc,
    Acknowledge => [u8; 32],
    BeginRks => RksBegun,
    AnswerFactor => FactorAnswer,
    ReleaseRksKeysEc => ReleasedEc,
    MakeDik1Ec => HeldKeyEc,
    ImportDik1Ec => HeldKeyEc,
    OpenLoading => LoadingOpened,
    LoadTerminalEc => LoadedEc,
    MakeWorkingKeysEc => Vec<ReleasedKeyEc>,
    ConfirmSignInEc => [u8; 16],
    OpenTmsSessionEc => TmsSessionEc,
    TmsReceipt => [u8; 32],
    SealTmsEc => Vec<u8>,
    OpenTmsEc => Vec<u8>,
    TranslateTk => TravellingTk,
    ImportTk => ImportedTk,
    MacBatch => Vec<u8>,
    CheckBatchMac => (),
    TkCheckValues => TkValues,
}
