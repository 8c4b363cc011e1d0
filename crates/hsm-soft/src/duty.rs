//! What an HSM's process is there for: it carries out the commands of its duty and refuses the others.
//!
//! A KLD answers terminals that cannot prove who they are: whoever may ask its HSM to load a key can have that key, by
//! playing the terminal. That is flow B's design, and a KLD is guarded by people for it. A server is not, so its HSM
//! never does this work: neither loading a terminal nor making the pair for it.

use std::{fmt, str::FromStr};

use hsm::{Refusal, commands::Request};

/// Commands of a KLD alone.
const OF_A_KLD: &[&str] = &["LoadTerminal", "MakeDownloaderKey"];
/// Commands of both.
const OF_BOTH: &[&str] = &["ExportHeld", "ImportDik1", "ImportLoaded", "Rewrap", "Status"];

/// What an HSM's process is there for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Duty {
    /// A KMS, an RKS, a TMS and a host: everything but a KLD's own commands.
    #[default]
    Server,
    /// A KLD: its own commands, and taking and giving keys under an exchange key.
    Kld,
    /// Everything, for tests and for trying out on one machine.
    Laboratory,
}

impl Duty {
    /// Refuses a command that is not of this duty.
    pub(crate) fn check(self, request: &Request) -> Result<(), Refusal> {
        let name = request.name();
        if self.has(name) {
            return Ok(());
        }
        Err(Refusal::NotOnDuty { command: name.into(), duty: self.to_string() })
    }

    fn has(self, command: &str) -> bool {
        match self {
            Self::Server => !OF_A_KLD.contains(&command),
            Self::Kld => OF_A_KLD.contains(&command) || OF_BOTH.contains(&command),
            Self::Laboratory => true,
        }
    }
}

impl fmt::Display for Duty {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Server => "server",
            Self::Kld => "kld",
            Self::Laboratory => "laboratory",
        })
    }
}

/// Not the name of a duty.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0} is no duty of an HSM: server, kld or laboratory")]
pub struct UnknownDuty(String);

impl FromStr for Duty {
    type Err = UnknownDuty;

    fn from_str(text: &str) -> Result<Self, UnknownDuty> {
        [Self::Server, Self::Kld, Self::Laboratory]
            .into_iter()
            .find(|duty| duty.to_string() == text)
            .ok_or_else(|| UnknownDuty(text.into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_has_its_duty() {
        let table: Vec<_> = Request::NAMES
            .iter()
            .map(|name| {
                let of = [Duty::Server, Duty::Kld].into_iter().filter(|duty| duty.has(name));
                format!("{name}: {}", of.map(|duty| duty.to_string()).collect::<Vec<_>>().join(" "))
            })
            .collect();
        assert_eq!(
            table,
            [
                "Status: server kld",
                "MakeWorkKey: server",
                "CheckCollected: server",
                "OpenCollected: server",
                "AnswerChallenge: server",
                "AnswerStranger: server",
                "CheckAnswer: server",
                "ReleaseTmk: server",
                "Rewrap: server kld",
                "MakeTlsKey: server",
                "SignTls: server",
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
                "CheckWorkKey: server",
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
            ]
        );
    }

    #[test]
    fn a_duty_has_a_name_and_nothing_else_is_one() {
        for duty in [Duty::Server, Duty::Kld, Duty::Laboratory] {
            assert_eq!(duty.to_string().parse(), Ok(duty));
        }
        assert_eq!("KLD".parse::<Duty>(), Err(UnknownDuty("KLD".into())));
    }
}
