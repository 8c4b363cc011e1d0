use std::path::PathBuf;

use anyhow::{Result, bail};
use clap::{Args, Subcommand};
use hsm::{Hsm as _, Sensitive, commands::EnrolOperator};
use serde_json::json;
use store::TmsStore as _;
use wire::OperatorId;

use super::{
    super::kms::{Estate, connect_hsm},
    event,
};
use crate::secret::Source;

/// Operators who work at terminals. Of a password the database has a value that only the HSM can use.
#[derive(Subcommand)]
pub(crate) enum Operator {
    /// Enter an operator, or give one a new password.
    Set(Set),
    /// Let an operator try again who is locked after five wrong passwords.
    Unlock(Unlock),
}

/// Enter an operator.
#[derive(Args)]
pub(crate) struct Set {
    #[command(flatten)]
    estate: Estate,
    /// Operator id, 1–16 of A-Z a-z 0-9 - . _
    id: OperatorId,
    /// Read the password from this file (mode 0600) instead of asking for it.
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,
    /// The HSM reads its passphrase from this file, where no HSM is running.
    #[arg(long, value_name = "FILE")]
    passphrase_file: Option<PathBuf>,
}

/// Unlock an operator.
#[derive(Args)]
pub(crate) struct Unlock {
    #[command(flatten)]
    estate: Estate,
    /// Operator id.
    id: OperatorId,
}

impl Operator {
    pub(super) async fn run(self) -> Result<()> {
        match self {
            Self::Set(set) => set.run().await,
            Self::Unlock(unlock) => unlock.run().await,
        }
    }
}

/// Characters of the shortest password.
const SHORTEST: usize = 8;

impl Set {
    async fn run(self) -> Result<()> {
        let (config, store) = self.estate.open()?;
        let password = Source::file(self.password_file).choose("operator password")?;
        if password.chars().count() < SHORTEST {
            bail!("a password has at least {SHORTEST} characters; nothing was changed");
        }
        let (_child, hsm) = connect_hsm(&config, self.passphrase_file.as_ref()).await?;
        let enrol = EnrolOperator {
            owner: config.acquirer.id.clone(),
            operator: self.id.to_string(),
            password: Sensitive::new(password.as_bytes().to_vec()),
        };
        let sealed = hsm.call(enrol).await?;
        store
            .put_operator(self.id.as_str(), sealed, event("tms.operator-set", self.id.as_str(), json!({})))
            .await?;
        say!("operator {} may work at terminals", self.id);
        Ok(())
    }
}

impl Unlock {
    async fn run(self) -> Result<()> {
        let (_, store) = self.estate.open()?;
        let event = event("tms.operator-unlocked", self.id.as_str(), json!({}));
        if !store.unlock_operator(self.id.as_str(), event).await? {
            bail!("operator {} is not locked, or not known", self.id);
        }
        say!("operator {} may try again", self.id);
        Ok(())
    }
}
