use anyhow::Result;
use clap::Args;

use super::super::{
    init::{Installation, Site},
    work_key::Of,
};

/// Make a vendor's installation: configuration, CA, HSM, work key of an MTMS, database, first operator and administrator
/// card, and the card that signs batches.
#[derive(Args)]
pub(crate) struct Init {
    /// The vendor's short name, 1–32 of A-Z a-z 0-9 - . _; its batches carry it.
    #[arg(long)]
    vendor: String,
    /// The vendor's full name.
    #[arg(long, default_value = "Vendor")]
    name: String,
    #[command(flatten)]
    site: Site,
}

impl Init {
    pub(crate) fn run(self) -> Result<()> {
        Installation { of: Of::Mtms, owner: &self.vendor, name: &self.name, site: &self.site }.run()?;
        let folder = self.site.folder.display();
        say!("\nNext:");
        say!("  keyferry server --config {folder}/keyferry.toml");
        say!(
            "  keyferry hsm agree offer --config {folder}/keyferry.toml --partner BANK --kms-certificate FILE …"
        );
        say!("  keyferry mtms order add --config {folder}/station.toml …");
        say!("  keyferry station collect --config {folder}/station.toml --terminal 127.0.0.1:7802");
        say!("  keyferry mtms dispatch ORDER --config {folder}/keyferry.toml --card {folder}/cards/mtms.pem");
        say!("docs/factory.md walks through all of it.");
        Ok(())
    }
}
