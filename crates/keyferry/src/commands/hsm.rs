use std::{io::Read, path::PathBuf, process::ExitCode, sync::Arc, thread};

use anyhow::Result;
use clap::{Args, Subcommand};
use hsm_soft::{Duty, SoftHsm};

use crate::{
    commands::{agree, backup, component},
    secret::Source,
};

/// The software HSM: the process that holds the keys.
#[derive(Subcommand)]
pub(crate) enum Hsm {
    /// Make an HSM's folder with a new local master key, sealed under a passphrase.
    Create(Folder),
    /// Unseal and serve on a Unix socket.
    Serve(Serve),
    /// Add a generation to the local master key; old key blocks still open and can be moved to it.
    NextGeneration(Folder),
    /// Keys from components: 2 or 3 people each type one, here at the HSM's own console.
    #[command(subcommand)]
    Component(component::Component),
    /// Keys between an MTMS and a KMS by certificate: the vendor offers them, the acquirer accepts.
    #[command(subcommand)]
    Agree(agree::Agree),
    /// Back a work key pair up: a file, and shares of its key for different people.
    Backup(backup::Backup),
    /// Bring a work key pair back from its backup: people type their shares.
    Restore(backup::Restore),
}

/// Where it is and how it is unsealed.
#[derive(Args)]
pub(crate) struct Folder {
    /// The HSM's folder.
    #[arg(long)]
    pub(super) folder: PathBuf,
    /// Read the passphrase from this file (mode 0600), first line.
    #[arg(long, value_name = "FILE")]
    passphrase_file: Option<PathBuf>,
    /// Read the passphrase from this open file descriptor, first line.
    #[arg(long, value_name = "N", conflicts_with = "passphrase_file")]
    passphrase_fd: Option<u32>,
}

/// Unseal and serve.
#[derive(Args)]
pub(crate) struct Serve {
    #[command(flatten)]
    folder: Folder,
    /// The Unix socket to serve on; made with mode 0600.
    #[arg(long)]
    socket: PathBuf,
    /// What it is there for: server, mtms or kld; it refuses the others' commands. laboratory has all.
    #[arg(long, default_value_t)]
    duty: Duty,
    /// Stop when standard input ends: for a parent that started this process.
    #[arg(long)]
    stop_with_stdin: bool,
}

impl Hsm {
    pub(crate) fn run(self) -> Result<ExitCode> {
        match self {
            Self::Create(folder) => {
                let passphrase = folder.passphrase().choose("HSM passphrase")?;
                hsm_soft::protect()?;
                hsm_soft::create(&folder.folder, &passphrase)?;
                say!("new local master key in {}", folder.folder.display());
                say!("keep a copy of the folder and of the passphrase, apart from each other:");
                say!("without either no key of this estate opens again");
            }
            Self::NextGeneration(folder) => {
                let passphrase = folder.passphrase().read("HSM passphrase")?;
                hsm_soft::protect()?;
                hsm_soft::next_generation(&folder.folder, &passphrase)?;
                say!("new generation of the local master key; restart the HSM to use it");
            }
            Self::Serve(serve) => serve.run()?,
            Self::Component(component) => component.run()?,
            Self::Agree(agree) => agree.run()?,
            Self::Backup(backup) => backup.run()?,
            Self::Restore(restore) => restore.run()?,
        }
        Ok(ExitCode::SUCCESS)
    }
}

impl Folder {
    /// Where the passphrase comes from.
    pub(super) fn passphrase(&self) -> Source {
        Source { file: self.passphrase_file.clone(), fd: self.passphrase_fd }
    }
}

impl Serve {
    fn run(self) -> Result<()> {
        if self.stop_with_stdin {
            stop_with_parent()?;
        }
        let passphrase = self.folder.passphrase().read("HSM passphrase")?;
        let warnings = hsm_soft::protect()?;
        for warning in &warnings {
            complain!("keyferry hsm: warning: {warning}");
        }
        let hsm = SoftHsm::open(&self.folder.folder, &passphrase, warnings)?.on_duty(self.duty);
        drop(passphrase);
        let server = hsm_soft::serve::Server::bind(&self.socket, Arc::new(hsm))?;
        say!("serving on {}", self.socket.display());
        server.run()?;
        Ok(())
    }
}

/// Ends this process when its parent does, and not before: Ctrl-C at the parent's terminal reaches both, and the
/// parent still needs its HSM to finish what is under way.
fn stop_with_parent() -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    thread::spawn(move || {
        runtime.block_on(async { while tokio::signal::ctrl_c().await.is_ok() {} });
    });
    thread::spawn(|| {
        let mut nothing = [0; 64];
        while std::io::stdin().read(&mut nothing).is_ok_and(|read| read > 0) {}
        std::process::exit(0);
    });
    Ok(())
}
