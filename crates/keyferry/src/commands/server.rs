use std::{
    fs,
    io::IsTerminal,
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
};

use anyhow::{Context, Result, bail};
use clap::Args;
use hsm::{Client, Hsm as _, commands::Status};
use server::Config;
use store::{SqliteOptions, SqliteStore};
use tokio::signal::unix::{SignalKind, signal};

use crate::{hsm_child::HsmChild, secret::Source};

/// Serve terminals and stations: the KMS. Starts the software HSM as its child unless the configuration says otherwise.
#[derive(Args)]
pub(crate) struct Server {
    /// The configuration file that `keyferry init` wrote.
    #[arg(long, default_value = "keyferry.toml")]
    config: PathBuf,
    /// The HSM reads its passphrase from this file (mode 0600), first line.
    #[arg(long, value_name = "FILE")]
    passphrase_file: Option<PathBuf>,
    /// The HSM reads its passphrase from this open file descriptor, first line.
    #[arg(long, value_name = "N", conflicts_with = "passphrase_file")]
    passphrase_fd: Option<u32>,
}

impl Server {
    pub(crate) fn run(self) -> Result<ExitCode> {
        let config = Config::read(&self.config)?;
        log(&config);
        server::no_core_dumps().context("cannot turn core dumps off")?;
        tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(self.serve(&config))
    }

    async fn serve(self, config: &Config) -> Result<ExitCode> {
        let store = open_store(config)?;
        let socket = config.path(&config.hsm.socket);
        let (_child, hsm) = if config.hsm.start {
            make_private_folder(&socket)?;
            let passphrase = Source { file: self.passphrase_file, fd: self.passphrase_fd };
            let child = HsmChild::start(config, &passphrase).await?;
            let client = child.client.clone();
            (Some(child), client)
        } else {
            (None, Client::connect(&socket).await?)
        };
        let status = hsm.call(Status {}).await?;
        for warning in &status.warnings {
            tracing::warn!("HSM: {warning}");
        }
        tracing::info!(
            hsm = status.backend,
            lmk = status.lmk_check,
            generation = status.lmk_generation,
            "HSM unsealed"
        );

        // Before anybody can know that it serves: a signal right after that must stop it in order, too.
        let mut terminated = signal(SignalKind::terminate())?;
        let mut interrupted = signal(SignalKind::interrupt())?;
        let running = server::start(config, Arc::new(store), hsm.clone()).await?;
        tracing::info!(terminals = %running.terminal_port, https = %running.https, "serving");
        say!("terminal port {}", running.terminal_port);
        say!("https {}", running.https);
        if let Some(posp) = running.posp {
            say!("posp {posp}");
        }

        let lost = tokio::select! {
            _ = interrupted.recv() => false,
            _ = terminated.recv() => false,
            () = hsm.gone() => true,
        };
        tracing::info!("stopping");
        running.stop().await;
        if lost {
            bail!("the HSM process ended; the server cannot work without it. Start the server again");
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// Opens the configured database.
pub(crate) fn open_store(config: &Config) -> Result<SqliteStore> {
    let path = config.path(&config.store.path);
    // Never a new one in silence: an estate without its keys is worth nothing.
    if !path.exists() {
        bail!(
            "there is no database {}; restore it from its backup, or make an estate with keyferry init",
            path.display()
        );
    }
    SqliteStore::open(&path, SqliteOptions::default()).context("cannot open the store")
}

/// The folder of the socket, for its owner only.
pub(crate) fn make_private_folder(socket: &Path) -> Result<()> {
    use std::os::unix::fs::DirBuilderExt as _;
    let folder = socket.parent().unwrap_or(Path::new("."));
    if !folder.exists() {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    }
    Ok(())
}

fn log(config: &Config) {
    let level = config.log.level.as_deref().unwrap_or("info");
    // The migrations' own chatter is of no use to an operator.
    let filter = tracing_subscriber::EnvFilter::builder().parse_lossy(format!("{level},refinery_core=warn"));
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(std::io::stderr().is_terminal())
        // A log that cannot be written (a full disk) must not end what is being logged.
        .log_internal_errors(false)
        .with_writer(std::io::stderr);
    if config.log.json {
        builder.json().init();
    } else {
        builder.init();
    }
}
