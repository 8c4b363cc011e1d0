//! `keyferry station` as a process.

use std::{path::PathBuf, process::Command};

use serde_json::Value;
use station::Journal;

use super::{
    estate::Estate,
    folders::edit,
    terminals::Terminal,
    tool::{Ran, keyferry, run},
};

/// What station and terminals showed.
pub(crate) struct Collection {
    pub(crate) ran: Ran,
    /// Fingerprints at the terminals, in their order; empty where none was collected.
    pub(crate) shown: Vec<String>,
}

/// `keyferry station collect --json` with both cards.
pub(crate) fn command(estate: &Estate, config: &str) -> Command {
    let mut command = keyferry(["station", "collect", "--json"]);
    command.arg("--config").arg(estate.path(config));
    command.arg("--operator-pin-file").arg(estate.secret("operator-pin"));
    command.arg("--administrator-pin-file").arg(estate.secret("administrator-pin"));
    command.arg("--station-passphrase-file").arg(estate.secret("station-passphrase"));
    command
}

/// Collects these terminals with the estate's station.
pub(crate) fn collect(estate: &Estate, terminals: &[&Terminal], further: &[&str]) -> Collection {
    collect_with(terminals, command(estate, "station.toml").args(further))
}

/// Collects these terminals with this command.
pub(crate) fn collect_with(terminals: &[&Terminal], command: &mut Command) -> Collection {
    let waiting: Vec<_> = terminals.iter().map(|terminal| terminal.wait()).collect();
    for terminal in &waiting {
        command.args(["--terminal", &terminal.address]);
    }
    let ran = run(command);
    let collected = serde_json::from_str::<Value>(&ran.out)
        .is_ok_and(|said| said["collected"].as_array().is_some_and(|all| all.len() == terminals.len()));
    let shown = if collected {
        waiting.into_iter().filter_map(super::terminals::Waiting::fingerprint).collect()
    } else {
        vec![]
    };
    Collection { ran, shown }
}

/// Another command of the station.
pub(crate) fn run_station(estate: &Estate, arguments: &[&str]) -> Ran {
    run(keyferry(["station"]).args(arguments).arg("--config").arg(estate.path("station.toml")))
}

/// A command of the station that uses its journal.
pub(crate) fn with_journal(estate: &Estate, arguments: &[&str]) -> Ran {
    let mut command = keyferry(["station"]);
    command.args(arguments).arg("--config").arg(estate.path("station.toml"));
    run(command.arg("--station-passphrase-file").arg(estate.secret("station-passphrase")))
}

/// The estate's journal, while no station uses it.
pub(crate) fn journal(estate: &Estate) -> Journal {
    let passphrase = std::fs::read_to_string(estate.secret("station-passphrase")).unwrap();
    Journal::open(&estate.path("station/journal"), passphrase.trim_end()).unwrap()
}

/// `approve` or `reject` with the administrator card of a configuration.
pub(crate) fn decide(estate: &Estate, config: &str, act: &str, id: &str, fingerprint: &str) -> Ran {
    let mut command = keyferry(["station", act, id, "--fingerprint", fingerprint, "--config"]);
    command.arg(estate.path(config)).arg("--administrator-pin-file").arg(estate.secret("administrator-pin"));
    run(&mut command)
}

/// Makes another card under a PIN that both first cards' files have.
pub(crate) fn make_card(estate: &Estate, name: &str, subject: &str, role: &str) -> PathBuf {
    let path = estate.path("cards").join(name);
    let mut command = estate.ca(&["card", "--subject", subject, "--role", role]);
    run(command.arg("--pin-file").arg(estate.secret(&format!("{role}-pin"))).arg("--out").arg(&path)).good();
    path
}

/// A configuration like the first with changes.
pub(crate) fn other_station(estate: &Estate, config: &str, changes: &[(&str, &str)]) {
    let path = estate.path(config);
    std::fs::copy(estate.path("station.toml"), &path).unwrap();
    edit(&path, changes);
}
