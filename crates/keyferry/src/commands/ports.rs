use std::{process::ExitCode, thread, time::Duration};

use anyhow::{Result, bail};
use clap::Args;
use serde_json::{Value, json};
use station::{
    Target,
    ports::{Change, Links, Port, Watcher},
};

use super::station::{Config, Settings};
use crate::show;

/// How often it is looked what was plugged in.
const LOOK: Duration = Duration::from_millis(300);

/// Show the serial ports that terminals can be plugged into, as the configuration's `[links]` says.
#[derive(Args)]
pub(crate) struct Ports {
    #[command(flatten)]
    config: Config,
    /// Go on, and tell what is plugged in and pulled out.
    #[arg(long)]
    watch: bool,
    /// One JSON object a line.
    #[arg(long)]
    json: bool,
}

impl Ports {
    pub(crate) fn run(self) -> Result<ExitCode> {
        let links = Settings::read(&self.config.config)?.links;
        let mut watcher = Watcher::of(&links)?;
        watcher.look();
        let ports = watcher.ports();
        if self.json {
            ports.iter().for_each(|port| say!("{}", as_json("plugged", port)));
        } else if ports.is_empty() {
            say!("nothing is plugged in at {}", links.serial.join(" or "));
        } else {
            let row = |port: &Port| vec![port.target.address().to_owned(), port.about.clone()];
            show::table(&["address", "what it is"], &ports.iter().map(row).collect::<Vec<_>>());
        }
        if !self.watch {
            return Ok(ExitCode::SUCCESS);
        }
        loop {
            thread::sleep(LOOK);
            watcher.look().iter().for_each(|change| self.tell(change));
        }
    }

    fn tell(&self, change: &Change) {
        let (sign, what, port) = match change {
            Change::Plugged(port) => ('+', "plugged", port),
            Change::Gone(port) => ('-', "gone", port),
        };
        if self.json {
            say!("{}", as_json(what, port));
        } else {
            say!("{sign} {}  {}", port.target.address(), port.about);
        }
    }
}

/// The terminals at every port that something is plugged into now.
pub(super) fn plugged(links: &Links) -> Result<Vec<Target>> {
    let mut watcher = Watcher::of(links)?;
    watcher.look();
    let targets: Vec<Target> = watcher.ports().into_iter().map(|port| port.target).collect();
    if targets.is_empty() {
        bail!("nothing is plugged in at {}: see [links] in the configuration", links.serial.join(" or "));
    }
    Ok(targets)
}

fn as_json(what: &str, port: &Port) -> Value {
    json!({ what: port.target.address(), "about": port.about })
}
