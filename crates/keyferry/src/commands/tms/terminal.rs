use anyhow::{Result, bail};
use clap::Args;
use store::TmsStore as _;
use wire::{PackageKind, Serial};

use super::super::kms::Estate;
use crate::{show, time};

/// Show one terminal as the TMS knows it.
#[derive(Args)]
pub(crate) struct OneTerminal {
    #[command(flatten)]
    estate: Estate,
    /// Its serial.
    sn: Serial,
}

impl OneTerminal {
    pub(super) async fn run(self) -> Result<()> {
        let (_, store) = self.estate.open()?;
        let Some(terminal) = store.tms_terminal(&self.sn).await? else {
            bail!("no terminal {} is known", self.sn);
        };
        say!("terminal  {}", terminal.sn);
        say!("seen      {}", terminal.seen_at.map_or("never".into(), |at| time::text(at / 1000)));
        say!(
            "groups    {}",
            if terminal.groups.is_empty() { "none".into() } else { show::plain(&terminal.groups.join(" ")) }
        );
        if let Some(status) = &terminal.status {
            say!("status    {}", show::plain(status));
        }
        let kind = |kind: u8| {
            PackageKind::from_byte(kind).map_or_else(|_| "unknown".into(), |kind| kind.to_string())
        };
        let rows: Vec<_> = terminal
            .installed
            .iter()
            .map(|(name, version, number)| vec![name.clone(), version.clone(), kind(*number)])
            .collect();
        show::table(&["installed", "version", "kind"], &rows);
        let mut rows = Vec::new();
        for offer in &terminal.offers {
            let package = store.package(offer.package).await?;
            let package = package.map_or_else(String::new, |p| format!("{} {}", p.name, p.version));
            rows.push(vec![
                offer.deployment.to_string(),
                package,
                format!("{:?}", offer.state).to_lowercase(),
                time::text(offer.at / 1000),
            ]);
        }
        show::table(&["deployment", "package", "state", "since"], &rows);
        Ok(())
    }
}
