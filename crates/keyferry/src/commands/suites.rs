use anyhow::Result;
use clap::Args;
use store::{KeySuite, SuiteRecords, SuiteStore as _};
use wire::{Serial, Suite};

use super::kms::Estate;
use crate::{show, time};

/// List terminals that hold a key of suite 1, and until when they may.
#[derive(Args)]
pub(crate) struct Suites {
    #[command(flatten)]
    estate: Estate,
    /// Start after this serial.
    #[arg(long)]
    after: Option<Serial>,
    /// How many at most.
    #[arg(long, default_value_t = 100)]
    limit: u32,
}

impl Suites {
    pub(crate) async fn run(self) -> Result<()> {
        let (_, store) = self.estate.open()?;
        let found = store.estate_suites(Suite::EC_AES, self.after.as_ref(), self.limit).await?;
        let rows: Vec<_> = found.iter().map(row).collect();
        show::table(&["serial", "keys of suite 1", "proved suite 2", "allowed until", "why"], &rows);
        if found.is_empty() {
            say!("every terminal's keys are of suite 2");
        }
        Ok(())
    }
}

fn row(records: &SuiteRecords) -> Vec<String> {
    let names = |wanted: fn(&KeySuite) -> bool| {
        let names = records.keys.iter().filter(|key| wanted(key)).map(|key| key.key.to_string());
        names.collect::<Vec<_>>().join(" ")
    };
    let (until, why) = match &records.allowance {
        Some(allowance) => (time::text(allowance.until / 1000), allowance.reason.clone()),
        None => ("no end: never proved more".to_owned(), String::new()),
    };
    vec![
        records.sn.to_string(),
        names(|key| key.in_use < Suite::EC_AES),
        names(|key| key.proved >= Suite::EC_AES),
        until,
        why,
    ]
}
