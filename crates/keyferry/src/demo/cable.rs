//! Chapters B and C: a key loading device loads keys by cable, and with the identity it injected a device then fetches
//! keys from a distance.

use std::{
    fs,
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    thread,
    time::Duration,
};

use anyhow::{Context, Result};
use calc::Algorithm;

use super::{
    ceremony::Agreed,
    estate::Estate,
    tool::{Said, good, keyferry, run},
};
use crate::commands::suite::SuiteName;

/// The name that the KLD and the key agreed with it have.
const NAME: &str = "KLD-1";
const DIK1: &str = "DIK1-A";
/// What a run also loads: the identity derived from it.
pub(super) const IDENTITY: &str = "dik2:DIK1-A";

/// A key loading device, its folder and how to call it.
pub(super) struct Kld {
    folder: PathBuf,
    work: PathBuf,
}

impl Kld {
    /// The device that the demo made before.
    pub(super) fn at(folder: &Path) -> Self {
        Self { folder: folder.join("kld"), work: folder.join("kld-papers") }
    }

    /// Makes the device, has it certified, and agrees a key with it by two people's components, at both ends.
    pub(super) fn make(folder: &Path, estate: &mut Estate) -> Result<Self> {
        let kld = Self::at(folder);
        fs::create_dir_all(&kld.work)?;
        let hsm = estate.secret("hsm-passphrase");
        let arguments = ["kld", "init", "--name", NAME, "--acquirer", "DEMO", "--root"];
        let mut init = keyferry(arguments)?;
        init.arg(estate.path("ca/root.pem"));
        init.arg("--operator-card").arg(estate.card("operator"));
        init.arg("--administrator-card").arg(estate.card("administrator"));
        init.arg("--kms").arg(estate.url()).arg("--tls-root").arg(estate.path("ca/root.pem"));
        good(init.arg("--hsm-passphrase-file").arg(&hsm).arg(&kld.folder))?;

        let (request, certificate) = (kld.work.join("request.pem"), kld.work.join("kld.pem"));
        let mut ask = kld.command(&["request", "--suite", &estate.suite.to_string()])?;
        good(ask.arg("--hsm-passphrase-file").arg(&hsm).arg("--out").arg(&request))?;
        estate.certify("downloader", &request, &certificate)?;
        good(kld.command(&["install"])?.arg("--certificate").arg(&certificate))?;
        kld.agree_key(estate)?;
        kld.take_dik1(estate)?;
        Ok(kld)
    }

    /// Tells it where the KMS is now: the demo's server takes other ports at each start.
    pub(super) fn find(&self, estate: &Estate) -> Result<()> {
        let path = self.folder.join("kld.toml");
        let config = fs::read_to_string(&path)?;
        let line = format!("url = \"{}\"", estate.url());
        let lines = config.lines().map(|old| if old.starts_with("url = ") { line.as_str() } else { old });
        Ok(fs::write(&path, lines.fold(String::new(), |text, line| text + line + "\n"))?)
    }

    /// A run over these serials, for a TMK in this slot and one more key: [`IDENTITY`] or `dmk`.
    pub(super) fn open_run(&self, estate: &Estate, serials: &[&str], slot: u8, also: &str) -> Result<()> {
        let list = self.work.join(format!("run-{}.list", serials.join("-")));
        fs::write(&list, serials.join("\n"))?;
        let mut open = self.with_cards(estate, &["run", "open", "--what", &format!("tmk:{slot}"), also])?;
        good(open.arg("--serials").arg(list)).map(drop)
    }

    /// Loads the terminal at this address.
    pub(super) fn load(&self, estate: &Estate, address: &str) -> Result<Said> {
        let mut load = self.with_cards(estate, &["run", "load", "--json", "--terminal", address])?;
        run(load.arg("--hsm-passphrase-file").arg(estate.secret("hsm-passphrase")))
    }

    /// Closes the run; its report goes to the KMS.
    pub(super) fn close_run(&self, estate: &Estate) -> Result<Said> {
        run(&mut self.with_cards(estate, &["run", "close"])?)
    }

    /// The same exchange key at both ends: two people, two components each, typed apart.
    fn agree_key(&self, estate: &mut Estate) -> Result<()> {
        let agreed = match estate.suite {
            SuiteName::Tdes => Agreed::new(NAME, "exchange", Algorithm::Tdes)?,
            SuiteName::EcAes => Agreed::new(NAME, "exchange-aes", Algorithm::Aes)?,
        };
        let kms = agreed.type_in(estate, &estate.path("hsm"), &self.work, "kms")?;
        let kld = agreed.type_in(estate, &self.folder.join("hsm"), &self.work, "kld")?;
        let mut import = self.with_cards(estate, &["import", "exchange-key"])?;
        good(import.arg("--combined").arg(kld))?;
        fs::create_dir_all(estate.path("exchange"))?;
        fs::copy(kms, estate.path("exchange/kld-1.json"))?;
        estate.configure("# exchange_keys", "exchange_keys")?;
        estate.configure("slots = [0]\n", "slots = [6, 7]\n")
    }

    /// DIK1 is made in the server's HSM and reaches the KLD's under the exchange key.
    fn take_dik1(&self, estate: &mut Estate) -> Result<()> {
        let config = estate.path("keyferry.toml");
        let hsm = estate.secret("hsm-passphrase");
        let (request, certificate) = (self.work.join("rks.csr"), self.work.join("rks.pem"));
        let (private, dik1) = (self.work.join("rks.block"), self.work.join("dik1.block"));
        let rks = |arguments: &[&str]| -> Result<_> {
            let mut command = keyferry([&["rks"], arguments].concat())?;
            command.arg("--config").arg(&config).arg("--passphrase-file").arg(&hsm);
            Ok(command)
        };
        let suite = estate.suite.to_string();
        let mut ask = rks(&["work-key-request", "--suite", &suite])?;
        good(ask.arg("--out").arg(&request).arg("--key-block").arg(&private))?;
        let role = match estate.suite {
            SuiteName::Tdes => "rks-work",
            SuiteName::EcAes => "rks-signing",
        };
        estate.certify(role, &request, &certificate)?;
        let mut install = keyferry(["rks", "work-key-install", "--config"])?;
        install.arg(&config).arg("--certificate").arg(&certificate);
        good(install.arg("--key-block").arg(&private))?;
        good(&mut rks(&["dik1", "make", DIK1, "--suite", &suite])?)?;
        good(rks(&["dik1", "export", DIK1, "--under", NAME])?.arg("--out").arg(&dik1))?;
        let mut import = self.with_cards(estate, &["import", "dik1", "--label", DIK1])?;
        good(import.arg("--block").arg(&dik1).arg("--hsm-passphrase-file").arg(&hsm)).map(drop)
    }

    fn command(&self, arguments: &[&str]) -> Result<std::process::Command> {
        let mut command = keyferry([&["kld"], arguments].concat())?;
        command.arg("--kld").arg(&self.folder);
        Ok(command)
    }

    fn with_cards(&self, estate: &Estate, arguments: &[&str]) -> Result<std::process::Command> {
        let mut command = self.command(arguments)?;
        command.arg("--operator-pin-file").arg(estate.secret("operator-pin"));
        command.arg("--administrator-pin-file").arg(estate.secret("administrator-pin"));
        Ok(command)
    }
}

/// Somebody on the cable who writes down what the KLD says.
pub(super) struct Eavesdropper {
    pub(super) address: String,
    heard: Arc<Mutex<Vec<u8>>>,
}

impl Eavesdropper {
    /// Sits between a KLD and the terminal at this address, for one connection.
    pub(super) fn before(terminal: &str) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?.to_string();
        let heard = Arc::new(Mutex::new(Vec::new()));
        let (terminal, record) = (terminal.to_owned(), Arc::clone(&heard));
        thread::spawn(move || -> Option<()> {
            let (kld, _) = listener.accept().ok()?;
            let terminal = TcpStream::connect(terminal).ok()?;
            let (from_terminal, to_kld) = (terminal.try_clone().ok()?, kld.try_clone().ok()?);
            thread::spawn(move || pass(from_terminal, to_kld, &Mutex::default()));
            pass(kld, terminal, &record);
            Some(())
        });
        Ok(Self { address, heard })
    }

    /// Says it all again to the terminal, and gives the code of the ERROR that ends it.
    pub(super) fn replay(&self, terminal: &str) -> Result<Option<u16>> {
        let heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let mut line = TcpStream::connect(terminal)?;
        line.set_read_timeout(Some(Duration::from_secs(10)))?;
        line.write_all(&heard)?;
        let mut decoder = wire::FrameDecoder::new();
        let mut buffer = [0; 4096];
        loop {
            let read = line.read(&mut buffer).unwrap_or(0);
            if read == 0 {
                return Ok(None);
            }
            decoder.push(buffer.get(..read).unwrap_or_default())?;
            while let Some(frame) = decoder.next()? {
                let message = frame.message()?;
                if message.kind == wire::MessageType::Error {
                    return Ok(Some(wire::ErrorMessage::read(&message.fields).code));
                }
            }
        }
    }
}

/// Stands between a terminal and its server, and lets something happen when the server has answered for the first
/// time; gives the address to be used in place of the server's.
pub(super) fn in_mid_flow(server: &str, happens: impl FnOnce() + Send + 'static) -> Result<String> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?.to_string();
    let server = server.to_owned();
    thread::spawn(move || -> Option<()> {
        let (mut terminal, _) = listener.accept().ok()?;
        let mut server = TcpStream::connect(server).ok()?;
        let (from_terminal, to_server) = (terminal.try_clone().ok()?, server.try_clone().ok()?);
        thread::spawn(move || pass(from_terminal, to_server, &Mutex::default()));
        let mut buffer = [0; 4096];
        let read = server.read(&mut buffer).ok()?;
        happens();
        terminal.write_all(buffer.get(..read)?).ok()?;
        pass(server, terminal, &Mutex::default());
        Some(())
    });
    Ok(address)
}

fn pass(mut from: TcpStream, mut to: TcpStream, record: &Mutex<Vec<u8>>) {
    let mut buffer = [0; 4096];
    while let Ok(read @ 1..) = from.read(&mut buffer) {
        let bytes = buffer.get(..read).unwrap_or_default();
        record.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        if to.write_all(bytes).is_err() {
            return;
        }
    }
    // The other side may be gone already.
    let _ = to.shutdown(std::net::Shutdown::Write);
}

/// Runs `terminal rks` and says whether the keys came.
pub(super) fn fetch(folder: &Path, port: &str, slots: &[u8]) -> Result<Said> {
    let mut command = keyferry(["terminal", "rks", "--server", port])?;
    for slot in slots {
        command.args(["--slot", &slot.to_string()]);
    }
    run(command.arg(folder)).context("terminal rks")
}
