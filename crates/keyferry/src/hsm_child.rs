//! The software HSM as a child process: how `server`, `kld`, `init` and `demo` start it.

use std::{
    path::{Path, PathBuf},
    process::Stdio,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use hsm::Client;
use hsm_soft::Duty;
use server::Config;
use tokio::process::{Child, Command};

use crate::secret::Source;

/// How long the child may take to unseal: a prompt waits for a person.
const START: Duration = Duration::from_secs(120);

/// A running HSM process and a connection to it. Dropping it ends the process: the child's standard input closes, and
/// even if this process is killed the system closes it.
pub(crate) struct HsmChild {
    _process: Child,
    pub(crate) client: Client,
}

impl HsmChild {
    /// Starts the HSM that a server's configuration names, on the duty that this server needs.
    pub(crate) async fn start(config: &Config, passphrase: &Source) -> Result<Self> {
        let duty = if config.mtms.is_some() { Duty::Mtms } else { Duty::Server };
        let (folder, socket) = (config.path(&config.hsm.folder), config.path(&config.hsm.socket));
        Self::start_on_duty(duty, &folder, &socket, passphrase).await
    }

    /// Starts `keyferry hsm serve` and waits until it answers. The passphrase goes to the child by itself: it reads
    /// the file, the descriptor or the prompt, and this process never sees it.
    pub(crate) async fn start_on_duty(
        duty: Duty,
        folder: &Path,
        socket: &Path,
        passphrase: &Source,
    ) -> Result<Self> {
        let mut process = command(&["hsm", "serve", "--stop-with-stdin", "--duty", &duty.to_string()])?
            .arg("--folder")
            .arg(folder)
            .arg("--socket")
            .arg(socket)
            .args(arguments(passphrase))
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .context("cannot start the HSM process")?;
        let began = Instant::now();
        loop {
            // Not just any HSM: one of a killed server may still be there for a moment.
            if let Ok(client) = Client::connect(socket).await
                && client.peer_pid() == process.id()
            {
                return Ok(Self { _process: process, client });
            }
            if let Some(status) = process.try_wait()? {
                bail!("the HSM process ended ({status}) before it served; its message is above");
            }
            if began.elapsed() > START {
                bail!("the HSM process did not serve within {} s", START.as_secs());
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

/// Makes an HSM's folder, in a process of its own: the LMK is never in this one.
pub(crate) async fn create(folder: &Path, passphrase: &Source) -> Result<()> {
    let status = command(&["hsm", "create"])?
        .arg("--folder")
        .arg(folder)
        .args(arguments(passphrase))
        .stdout(Stdio::null())
        .status()
        .await
        .context("cannot start the HSM process")?;
    if !status.success() {
        bail!("the HSM's folder was not made; the message is above");
    }
    Ok(())
}

fn command(arguments: &[&str]) -> Result<Command> {
    let mut command = Command::new(std::env::current_exe().context("cannot find this program's own file")?);
    command.args(arguments).kill_on_drop(true);
    Ok(command)
}

fn arguments(passphrase: &Source) -> Vec<PathBuf> {
    match (&passphrase.file, passphrase.fd) {
        (Some(path), _) => vec!["--passphrase-file".into(), path.clone()],
        (None, Some(fd)) => vec!["--passphrase-fd".into(), fd.to_string().into()],
        (None, None) => vec![],
    }
}
