//! A vendor with an MTMS and an acquirer with a KMS, in suite 01, made and run by the program itself.

use std::{
    fs,
    io::{BufRead as _, BufReader},
    net::SocketAddr,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::Value;

use super::Peaks;
use crate::managed::Memory;

/// The vendor, its buyer, what is ordered.
pub(super) const VENDOR: &str = "FACTORY";
pub(super) const MODEL: &str = "SIM-1";
const BUYER: &str = "BANK";
const ORDER: &str = "PO-1";
/// A benchmark's secrets protect nothing.
const SECRETS: [(&str, &str); 6] = [
    ("hsm-passphrase", "only for this benchmark, hsm"),
    ("ca-passphrase", "only for this benchmark, ca"),
    ("station-passphrase", "only for this benchmark, station"),
    ("operator-pin", "4711-operator"),
    ("administrator-pin", "4711-administrator"),
    ("mtms-pin", "4711-mtms"),
];
/// How often the memory of a dispatch is looked at.
const LOOK: Duration = Duration::from_millis(100);

/// Both.
pub(super) struct Houses {
    pub(super) vendor: House,
    bank: House,
}

/// One house: its folder, its server.
pub(super) struct House {
    folder: PathBuf,
    server: Option<Child>,
    https: Option<SocketAddr>,
}

impl Houses {
    /// Makes both, lets each believe the other, agrees PK and MAK, and starts both servers.
    pub(super) fn make(folder: &Path) -> Result<Houses> {
        let vendor = House::make(&folder.join("vendor"), &["mtms", "init", "--vendor", VENDOR])?;
        let bank = House::make(&folder.join("bank"), &["init", "--acquirer", BUYER])?;
        vendor.believe(&bank, "kms-work")?;
        bank.believe(&vendor, "mtms")?;
        let mut houses = Houses { vendor, bank };
        houses.agree(&folder.join("agreement.cms"))?;
        houses.bank.partner(VENDOR, "")?;
        houses.bank.start()?;
        let root = houses.bank.path("ca/root.pem");
        let reach =
            format!("url = \"https://{}\"\ntls_root = \"{}\"\n", houses.bank.https()?, root.display());
        houses.vendor.partner(BUYER, &reach)?;
        houses.vendor.start()?;
        Ok(houses)
    }

    fn agree(&self, agreement: &Path) -> Result<()> {
        let act = |house: &House, act: &str, partner: &str| -> Result<Command> {
            let mut command = keyferry(&["hsm", "agree", act, "--partner", partner, "--config"])?;
            command.arg(house.path("keyferry.toml"));
            command.arg("--passphrase-file").arg(house.secret("hsm-passphrase"));
            command.arg("--pk").arg(house.path("pk.json")).arg("--mak").arg(house.path("mak.json"));
            Ok(command)
        };
        let mut offer = act(&self.vendor, "offer", BUYER)?;
        offer.arg("--kms-certificate").arg(self.bank.path("work-certificate.pem"));
        for (card, option) in [("mtms", "--card"), ("administrator", "--administrator")] {
            offer.arg(option).arg(self.vendor.path(&format!("cards/{card}.pem")));
            offer.arg(format!("{option}-pin-file")).arg(self.vendor.secret(&format!("{card}-pin")));
        }
        good(offer.arg("--out").arg(agreement))?;
        let mut accept = act(&self.bank, "accept", VENDOR)?;
        accept.arg("--vendor-root").arg(self.vendor.path("ca/root.pem"));
        good(accept.arg("--agreement").arg(agreement))?;
        Ok(())
    }

    /// Enters the order at both ends.
    pub(super) fn order(&self, serials: &[String]) -> Result<()> {
        let list = self.vendor.path("order.list");
        fs::write(&list, serials.join("\n"))?;
        for (house, end) in [(&self.vendor, "mtms"), (&self.bank, "kms")] {
            let mut add = keyferry(&[
                end, "order", "add", ORDER, "--vendor", VENDOR, "--buyer", BUYER, "--model", MODEL,
            ])?;
            add.arg("--serials").arg(&list).arg("--config").arg(house.path("station.toml"));
            for card in ["operator", "administrator"] {
                add.arg(format!("--{card}-pin-file")).arg(house.secret(&format!("{card}-pin")));
            }
            good(&mut add)?;
        }
        Ok(())
    }

    /// Dispatches to the end, and says how much memory that took at most.
    pub(super) fn dispatch(&self) -> Result<Memory> {
        let mut dispatch = self.dispatching()?.spawn()?;
        let mut memory = Memory::default();
        loop {
            if let Some(status) = dispatch.try_wait()? {
                ensure!(status.success(), "the dispatch ended with {status}");
                return Ok(memory);
            }
            let seen = Memory::of(Some(dispatch.id()));
            memory = if seen.peak > memory.peak { seen } else { memory };
            thread::sleep(LOOK);
        }
    }

    /// Dispatches and kills it after this time, unless it was done before.
    pub(super) fn dispatch_killed(&self, after: Duration) -> Result<bool> {
        let mut dispatch = self.dispatching()?.spawn()?;
        let began = Instant::now();
        while began.elapsed() < after {
            if dispatch.try_wait()?.is_some() {
                return Ok(false);
            }
            thread::sleep(LOOK);
        }
        dispatch.kill()?;
        dispatch.wait()?;
        Ok(true)
    }

    fn dispatching(&self) -> Result<Command> {
        let mut dispatch = keyferry(&["mtms", "dispatch", ORDER, "--config"])?;
        dispatch.arg(self.vendor.path("keyferry.toml"));
        dispatch.arg("--card").arg(self.vendor.path("cards/mtms.pem"));
        dispatch.arg("--card-pin-file").arg(self.vendor.secret("mtms-pin"));
        dispatch.stdout(Stdio::null());
        Ok(dispatch)
    }

    /// The reconciliation report.
    pub(super) fn report(&self) -> Result<Value> {
        let mut report = keyferry(&["mtms", "report", ORDER, "--json", "--config"])?;
        Ok(serde_json::from_str(&good(report.arg(self.vendor.path("keyferry.toml")))?)?)
    }

    /// How many terminals the KMS knows.
    pub(super) fn known(&self) -> Result<u64> {
        let database = rusqlite::Connection::open(self.bank.path("keyferry.db"))?;
        let count: i64 = database.query_row("SELECT count(*) FROM terminals", [], |row| row.get(0))?;
        Ok(u64::try_from(count)?)
    }

    /// What each process held at most.
    pub(super) fn memory(&self, dispatch: Memory) -> Peaks {
        let [vendor, bank] = [&self.vendor, &self.bank].map(|house| {
            let server = house.server.as_ref().map(Child::id);
            [Memory::of(server), Memory::of(server.and_then(child_of))]
        });
        [dispatch, vendor[0], vendor[1], bank[0], bank[1]]
    }

    /// Ends both servers.
    pub(super) fn stop(mut self) -> Result<()> {
        self.vendor.stop()?;
        self.bank.stop()
    }
}

impl House {
    fn make(folder: &Path, init: &[&str]) -> Result<House> {
        let house = House { folder: folder.to_owned(), server: None, https: None };
        let secrets = folder.join("secrets");
        fs::create_dir_all(&secrets)?;
        for (name, secret) in SECRETS {
            fs::write(house.secret(name), secret)?;
            fs::set_permissions(house.secret(name), fs::Permissions::from_mode(0o600))?;
        }
        let mut make = keyferry(init)?;
        make.args(["--suite", "1", "--terminal-port", "127.0.0.1:0", "--https", "127.0.0.1:0"]);
        good(make.arg("--secrets").arg(secrets).arg(house.path("")))?;
        Ok(house)
    }

    fn believe(&self, other: &House, role: &str) -> Result<()> {
        let list = format!("crls = [\"ca/crl.pem\", \"{}\"]", other.path("ca/crl.pem").display());
        let root = other.path("ca/root.pem");
        let entry =
            format!("\n[[trust.roots]]\ncertificate = \"{}\"\nroles = [\"{role}\"]\n", root.display());
        self.configure(|text| text.replacen("crls = [\"ca/crl.pem\"]", &list, 1) + &entry)
    }

    fn partner(&self, name: &str, reach: &str) -> Result<()> {
        let entry =
            format!("\n[[partners]]\nname = \"{name}\"\npk = \"pk.json\"\nmak = \"mak.json\"\n{reach}");
        self.configure(|text| text + &entry)
    }

    fn configure(&self, change: impl FnOnce(String) -> String) -> Result<()> {
        let path = self.path("keyferry.toml");
        Ok(fs::write(&path, change(fs::read_to_string(&path)?))?)
    }

    /// A file of the installation.
    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.folder.join("estate").join(name)
    }

    fn secret(&self, name: &str) -> PathBuf {
        self.folder.join("secrets").join(name)
    }

    /// One of the benchmark's secrets.
    pub(super) fn pin(&self, name: &str) -> Result<&'static str> {
        SECRETS.iter().find(|(known, _)| *known == name).map(|(_, pin)| *pin).context("no such secret")
    }

    /// Where stations connect.
    pub(super) fn https(&self) -> Result<SocketAddr> {
        self.https.context("the server does not run")
    }

    fn start(&mut self) -> Result<()> {
        let log = fs::File::create(self.folder.join("server.log"))?;
        let mut command = keyferry(&["server", "--config"])?;
        command.arg(self.path("keyferry.toml"));
        command.arg("--passphrase-file").arg(self.secret("hsm-passphrase"));
        let mut server = command.stdout(Stdio::piped()).stderr(log).spawn()?;
        let out = server.stdout.take().context("a server has an output")?;
        let said = BufReader::new(out).lines().map_while(Result::ok);
        let https = said.into_iter().find_map(|line| line.strip_prefix("https ").map(str::to_owned));
        self.server = Some(server);
        let log = self.folder.join("server.log");
        let https = https.with_context(|| {
            format!("the server did not start: {}", fs::read_to_string(log).unwrap_or_default())
        })?;
        // The station's commands reach the server where it listens now.
        let path = self.path("station.toml");
        let text = fs::read_to_string(&path)?;
        let url = format!("url = \"https://{https}\"");
        let lines = text.lines().map(|line| if line.starts_with("url = ") { url.as_str() } else { line });
        fs::write(&path, lines.fold(String::new(), |text, line| text + line + "\n"))?;
        self.https = Some(https.parse()?);
        Ok(())
    }

    /// The HSM ends with its server.
    fn stop(&mut self) -> Result<()> {
        if let Some(mut server) = self.server.take() {
            server.kill()?;
            server.wait()?;
        }
        Ok(())
    }
}

impl Drop for House {
    fn drop(&mut self) {
        // Best effort: the benchmark is over either way.
        let _ = self.stop();
    }
}

/// The program that lies beside this one; `cargo xtask bench` builds both.
fn keyferry(words: &[&str]) -> Result<Command> {
    let program = std::env::current_exe()?.with_file_name("keyferry");
    if !program.is_file() {
        bail!("{} is not built; use: cargo xtask bench factory", program.display());
    }
    let mut command = Command::new(program);
    command.args(words);
    Ok(command)
}

/// What it printed, if it succeeded.
fn good(command: &mut Command) -> Result<String> {
    let output = command.output()?;
    let complaint = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{command:?}: {}: {complaint}", output.status);
    Ok(String::from_utf8(output.stdout)?)
}

/// The process that this one started: a server's HSM (proc(5)).
fn child_of(parent: u32) -> Option<u32> {
    let started_by = |pid: u32| {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
        status.lines().find_map(|line| line.strip_prefix("PPid:"))?.trim().parse::<u32>().ok()
    };
    let processes = fs::read_dir("/proc").ok()?.filter_map(Result::ok);
    let mut pids = processes.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.find(|pid| started_by(*pid) == Some(parent))
}
