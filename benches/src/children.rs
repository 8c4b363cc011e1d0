//! The processes that are measured: HSM, server and bare peer, each this program started again, as in life each is a
//! process of its own. A child ends when its standard input closes, so none outlives the benchmark.

use std::{
    fs::File,
    io::{BufRead, BufReader, Read},
    net::SocketAddr,
    path::Path,
    process::{Child, Command, Stdio},
    sync::Arc,
    thread,
};

use anyhow::{Context, Result};
use hsm_soft::{Offline, SoftHsm, serve};
use store::{SqliteOptions, SqliteStore};
use tokio::net::TcpListener;

use crate::{bare, estate, line::Sizes};

/// The HSM of a benchmark protects nothing.
const PASSPHRASE: &str = "only for this benchmark";

/// The children that run so far.
pub(crate) struct Children {
    hsm: Process,
    server: Option<Process>,
    peers: Vec<Process>,
}

/// A bare peer.
pub(crate) struct Peer {
    pub(crate) address: SocketAddr,
    /// The frames that it exchanges.
    pub(crate) sizes: Sizes,
}

struct Process {
    child: Child,
    /// What it printed once it was ready, word by word.
    said: Vec<String>,
}

impl Children {
    /// Starts the HSM that was made in the folder.
    pub(crate) fn start_hsm(folder: &Path) -> Result<Children> {
        let hsm = Process::start(&["--as-hsm", text(folder)?], Stdio::inherit())?;
        Ok(Children { hsm, server: None, peers: Vec::new() })
    }

    /// Starts the server. Its log goes to a file in the folder, as that of a real one would.
    pub(crate) fn start_server(&mut self, folder: &Path) -> Result<()> {
        let log = File::create(folder.join("server.log"))?;
        self.server = Some(Process::start(&["--as-server", text(folder)?], log.into())?);
        Ok(())
    }

    /// Starts a bare peer.
    pub(crate) fn start_peer(&mut self, sizes: Sizes) -> Result<Peer> {
        let process = Process::start(&["--as-peer", &sizes.text()], Stdio::inherit())?;
        let address = address(Some(&process), 0)?;
        self.peers.push(process);
        Ok(Peer { address, sizes })
    }

    /// Starts a bare peer that makes as many durable commits as a download takes, in a folder of its own.
    pub(crate) fn start_committing_peer(&mut self, folder: &Path, sizes: Sizes) -> Result<Peer> {
        std::fs::create_dir_all(folder)?;
        let arguments = ["--as-committing-peer", &sizes.text(), text(folder)?];
        let process = Process::start(&arguments, Stdio::inherit())?;
        let address = address(Some(&process), 0)?;
        self.peers.push(process);
        Ok(Peer { address, sizes })
    }

    /// Where terminals connect.
    pub(crate) fn terminal_port(&self) -> Result<SocketAddr> {
        address(self.server.as_ref(), 0)
    }

    /// Where stations connect.
    pub(crate) fn https(&self) -> Result<SocketAddr> {
        address(self.server.as_ref(), 1)
    }

    /// Where POSPs connect.
    pub(crate) fn posp(&self) -> Result<SocketAddr> {
        address(self.server.as_ref(), 2)
    }

    pub(crate) fn hsm_pid(&self) -> Option<u32> {
        Some(self.hsm.child.id())
    }

    pub(crate) fn peer_pids(&self) -> impl Iterator<Item = u32> {
        self.peers.iter().map(|peer| peer.child.id())
    }

    pub(crate) fn server_pid(&self) -> Option<u32> {
        self.server.as_ref().map(|server| server.child.id())
    }
}

impl Process {
    fn start(arguments: &[&str], log: Stdio) -> Result<Process> {
        let mut child = Command::new(std::env::current_exe()?)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()?;
        let output = child.stdout.take().context("a child has an output")?;
        let mut line = String::new();
        BufReader::new(output).read_line(&mut line)?;
        let said: Vec<_> = line.split_whitespace().map(str::to_owned).collect();
        let process = Process { child, said };
        if process.said.is_empty() {
            anyhow::bail!("{} did not start; its message is above or in its log", arguments.join(" "));
        }
        Ok(process)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        // Nothing is to be done about a child that cannot be waited for.
        let _ = self.child.wait();
    }
}

/// Makes an HSM in the folder, for a ceremony before it starts.
pub(crate) fn make_hsm(folder: &Path) -> Result<Offline> {
    let folder = estate::hsm_folder(folder);
    hsm_soft::create(&folder, PASSPHRASE)?;
    Ok(Offline::open(&folder, PASSPHRASE)?)
}

/// Another HSM of the same keys, in this process.
pub(crate) fn hsm_here(folder: &Path) -> Result<SoftHsm> {
    Ok(SoftHsm::open(&estate::hsm_folder(folder), PASSPHRASE, Vec::new())?)
}

/// Serves as the HSM.
pub(crate) fn serve_hsm(folder: &Path) -> Result<()> {
    let warnings = hsm_soft::protect()?;
    let hsm = Arc::new(SoftHsm::open(&estate::hsm_folder(folder), PASSPHRASE, warnings)?);
    let server = serve::Server::bind(&estate::socket(folder), hsm)?;
    println!("ready");
    end_with_stdin();
    Ok(server.run()?)
}

/// Serves as the server, in the runtime and with the log that `keyferry server` has.
pub(crate) fn serve_kms(folder: &Path) -> Result<()> {
    let filter = tracing_subscriber::EnvFilter::builder().parse_lossy("info,refinery_core=warn");
    tracing_subscriber::fmt().with_env_filter(filter).with_ansi(false).with_writer(std::io::stderr).init();
    let config = server::Config::read(&estate::configuration(folder))?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let store = SqliteStore::open(&config.path(&config.store.path), SqliteOptions::default())?;
        let hsm = hsm::Client::connect(config.path(&config.hsm.socket)).await?;
        let running = server::start(&config, Arc::new(store), hsm).await?;
        let posp = running.posp.context("the configuration has a [posp]")?;
        println!("{} {} {posp}", running.terminal_port, running.https);
        tokio::task::spawn_blocking(wait_for_end).await?;
        running.stop().await;
        Ok(())
    })
}

/// Serves as the bare peer.
pub(crate) fn serve_bare(sizes: &Sizes, database: Option<&Path>) -> Result<()> {
    let open = |folder: &Path| SqliteStore::open(&folder.join("bare.db"), SqliteOptions::default());
    let store = database.map(open).transpose()?;
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        println!("{}", listener.local_addr()?);
        end_with_stdin();
        bare::serve(listener, sizes, store).await
    })
}

fn end_with_stdin() {
    thread::spawn(|| {
        wait_for_end();
        std::process::exit(0);
    });
}

fn wait_for_end() {
    // An error means as well that nobody is there any more.
    let _ = std::io::stdin().read_to_end(&mut Vec::new());
}

fn address(process: Option<&Process>, word: usize) -> Result<SocketAddr> {
    let process = process.context("this process was not started")?;
    Ok(process.said.get(word).context("a process says where it listens")?.parse()?)
}

fn text(path: &Path) -> Result<&str> {
    path.to_str().context("the folder for temporary files has a name that is no UTF-8")
}
