//! What an HSM's process is there for: it carries out the commands of its duty and refuses the others.
//!
//! A KLD answers terminals that cannot prove who they are: whoever may ask its HSM to load a key can have that key, by
//! playing the terminal. That is flow B's design, and a KLD is guarded by people for it. A server is not, so its HSM
//! never does this work: neither loading a terminal nor making the pair for it.
//!
//! An MTMS hands transport keys on and a KMS takes them in; neither does the other's part, nor authenticates what the
//! other says: who holds an MTMS cannot make the receipts that it waits for, though both sides have the same MAK.

use std::{fmt, str::FromStr};

use hsm::{
    Refusal,
    commands::{BatchText, CheckBatchMac, EcKeyKind, MacBatch, MakeEcKey, Request},
};

/// Commands of a KLD alone.
const OF_A_KLD: &[&str] = &["LoadTerminal", "LoadTerminalEc", "MakeDownloaderKey", "OpenLoading"];
/// Commands of both. A KLD acknowledges the receipts of its own terminals; a key pair of suite 02 is made where it is
/// used.
const OF_BOTH: &[&str] = &[
    "Acknowledge",
    "ExportHeld",
    "ImportDik1",
    "ImportDik1Ec",
    "ImportLoaded",
    "MakeEcKey",
    "Rewrap",
    "Status",
];

/// Commands of an MTMS alone.
const OF_AN_MTMS: &[&str] = &["TranslateTk"];
/// Commands that an MTMS shares with other servers: collecting, batches, its own TLS and work keys.
const SHARED_BY_AN_MTMS: &[&str] = &[
    "CheckBatchMac",
    "CheckCollected",
    "CheckWorkKey",
    "MacBatch",
    "MakeEcKey",
    "MakeTlsKey",
    "MakeWorkKey",
    "OpenCollectedEc",
    "Rewrap",
    "SignTls",
    "Status",
    "TkCheckValues",
];

/// What an HSM's process is there for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Duty {
    /// A KMS, an RKS, a TMS and a host: everything but a KLD's and an MTMS's own commands.
    #[default]
    Server,
    /// A vendor's MTMS: collecting, and handing transport keys on.
    Mtms,
    /// A KLD: its own commands, and taking and giving keys under an exchange key.
    Kld,
    /// Everything, for tests and for trying out on one machine.
    Laboratory,
}

impl Duty {
    /// Refuses a command that is not of this duty.
    pub(crate) fn check(self, request: &Request) -> Result<(), Refusal> {
        let name = request.name();
        let has = match request {
            Request::MakeEcKey(MakeEcKey { kind, .. }) => self.makes(*kind),
            Request::MacBatch(MacBatch { what, .. }) => self.says(*what),
            Request::CheckBatchMac(CheckBatchMac { what, .. }) => self.hears(*what),
            _ => self.has(name),
        };
        if has {
            return Ok(());
        }
        Err(Refusal::NotOnDuty { command: name.into(), duty: self.to_string() })
    }

    /// Whether key pairs of this kind are made on this duty.
    fn makes(self, kind: EcKeyKind) -> bool {
        match (self, kind) {
            (Self::Laboratory, _) | (Self::Kld, EcKeyKind::KldSigning) => true,
            (Self::Kld, _) | (Self::Server, EcKeyKind::KldSigning) => false,
            (Self::Server, EcKeyKind::KmsAgreement | EcKeyKind::RksSigning) => true,
            (Self::Mtms, kind) => kind == EcKeyKind::KmsAgreement,
        }
    }

    /// Whether texts of this kind are made on this duty.
    fn says(self, what: BatchText) -> bool {
        match self {
            Self::Server => what == BatchText::Receipt,
            Self::Mtms => what == BatchText::Batch,
            Self::Kld => false,
            Self::Laboratory => true,
        }
    }

    /// Whether texts of this kind come to this duty.
    fn hears(self, what: BatchText) -> bool {
        match self {
            Self::Server | Self::Mtms => !self.says(what),
            Self::Kld => false,
            Self::Laboratory => true,
        }
    }

    fn has(self, command: &str) -> bool {
        match self {
            Self::Server => !OF_A_KLD.contains(&command) && !OF_AN_MTMS.contains(&command),
            Self::Mtms => OF_AN_MTMS.contains(&command) || SHARED_BY_AN_MTMS.contains(&command),
            Self::Kld => OF_A_KLD.contains(&command) || OF_BOTH.contains(&command),
            Self::Laboratory => true,
        }
    }
}

impl fmt::Display for Duty {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Server => "server",
            Self::Mtms => "mtms",
            Self::Kld => "kld",
            Self::Laboratory => "laboratory",
        })
    }
}

/// Not the name of a duty.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0} is no duty of an HSM: server, mtms, kld or laboratory")]
pub struct UnknownDuty(String);

impl FromStr for Duty {
    type Err = UnknownDuty;

    fn from_str(text: &str) -> Result<Self, UnknownDuty> {
        [Self::Server, Self::Mtms, Self::Kld, Self::Laboratory]
            .into_iter()
            .find(|duty| duty.to_string() == text)
            .ok_or_else(|| UnknownDuty(text.into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r26_the_command_list_equals_the_policy() {
        let table: Vec<_> = Request::NAMES
            .iter()
            .map(|name| {
                let of = [Duty::Server, Duty::Mtms, Duty::Kld].into_iter().filter(|duty| duty.has(name));
                format!("{name}: {}", of.map(|duty| duty.to_string()).collect::<Vec<_>>().join(" "))
            })
            .collect();
        assert_eq!(
            table,
            [
                "Status: server mtms kld",
                "MakeWorkKey: server mtms",
                "CheckCollected: server mtms",
                "OpenCollected: server",
                "AnswerChallenge: server",
                "AnswerStranger: server",
                "CheckAnswer: server",
                "ReleaseTmk: server",
                "Rewrap: server mtms kld",
                "MakeTlsKey: server mtms",
                "SignTls: server mtms",
                "MakeDownloaderKey: kld",
                "LoadTerminal: kld",
                "MakeRksKey: server",
                "MakeDik1: server",
                "ExportDik1: server",
                "ImportDik1: server kld",
                "ImportLoaded: server kld",
                "ExportHeld: server kld",
                "SealRksToken: server",
                "ReleaseRksKeys: server",
                "CheckWorkKey: server mtms",
                "AnswerTms: server",
                "OpenTmsSession: server",
                "SealTms: server",
                "OpenTms: server",
                "EnrolOperator: server",
                "MakeWorkingKeys: server",
                "ConfirmSignIn: server",
                "TranslatePins: server",
                "TerminalMacs: server",
                "ImportZoneKey: server",
                "MakeZoneKey: server",
                "ImportUnderZone: server",
                "MakeEcKey: server mtms kld",
                "OpenCollectedEc: server mtms",
                "AnswerHello: server",
                "CheckAnswerEc: server",
                "ReleaseTmkEc: server",
                "Acknowledge: server kld",
                "BeginRks: server",
                "AnswerFactor: server",
                "ReleaseRksKeysEc: server",
                "MakeDik1Ec: server",
                "ImportDik1Ec: server kld",
                "OpenLoading: kld",
                "LoadTerminalEc: kld",
                "MakeWorkingKeysEc: server",
                "ConfirmSignInEc: server",
                "OpenTmsSessionEc: server",
                "TmsReceipt: server",
                "SealTmsEc: server",
                "OpenTmsEc: server",
                "TranslateTk: mtms",
                "ImportTk: server",
                "MacBatch: server mtms",
                "CheckBatchMac: server mtms",
                "TkCheckValues: server mtms",
            ]
        );
    }

    #[test]
    fn a_key_pair_of_suite_02_is_made_on_the_duty_that_uses_it_only() {
        let made = |duty: Duty| {
            let kinds = [EcKeyKind::KmsAgreement, EcKeyKind::RksSigning, EcKeyKind::KldSigning];
            kinds.map(|kind| {
                let command = MakeEcKey { kind, subject: "subject".into(), owner: "ACQ".into() };
                match duty.check(&Request::MakeEcKey(command)) {
                    Ok(()) => true,
                    Err(Refusal::NotOnDuty { .. }) => false,
                    Err(other) => panic!("{other}"),
                }
            })
        };
        assert_eq!(made(Duty::Server), [true, true, false]);
        assert_eq!(made(Duty::Mtms), [true, false, false]);
        assert_eq!(made(Duty::Kld), [false, false, true]);
        assert_eq!(made(Duty::Laboratory), [true, true, true]);
    }

    /// MAK is one key at both ends; what is said with it depends on the end.
    #[test]
    fn r26_neither_end_authenticates_what_the_other_says() {
        let request = |check: bool, what| {
            let (mak, text) = (hsm::KeyBlock::from_text(String::new()), b"{}".to_vec());
            let (partner, owner) = (String::new(), String::new());
            if check {
                let mac = vec![];
                return Request::CheckBatchMac(CheckBatchMac { mak, partner, owner, what, text, mac });
            }
            Request::MacBatch(MacBatch { mak, partner, owner, what, text })
        };
        for what in [BatchText::Batch, BatchText::Receipt] {
            for check in [false, true] {
                let of_the_mtms = (what == BatchText::Batch) != check;
                assert_eq!(Duty::Mtms.check(&request(check, what)).is_ok(), of_the_mtms);
                assert_eq!(Duty::Server.check(&request(check, what)).is_ok(), !of_the_mtms);
                assert!(Duty::Kld.check(&request(check, what)).is_err());
                assert!(Duty::Laboratory.check(&request(check, what)).is_ok());
            }
        }
    }

    #[test]
    fn a_duty_has_a_name_and_nothing_else_is_one() {
        for duty in [Duty::Server, Duty::Mtms, Duty::Kld, Duty::Laboratory] {
            assert_eq!(duty.to_string().parse(), Ok(duty));
        }
        assert_eq!("KLD".parse::<Duty>(), Err(UnknownDuty("KLD".into())));
    }
}
