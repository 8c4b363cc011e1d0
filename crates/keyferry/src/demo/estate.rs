//! The demo's folder, its secrets, and its server, which can be killed.

use std::{
    fs,
    io::{BufRead, BufReader, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use anyhow::{Context, Result, bail};
use station::{Journal, ServerSettings};
use store::{SqliteOptions, SqliteStore};

use super::tool::{keyferry, run, text};
use crate::commands::suite::SuiteName;

/// The server takes ports that are free and says which: naming them beforehand, somebody else may be faster.
const ANY_PORT: &str = "127.0.0.1:0";

const SECRETS: [&str; 5] =
    ["hsm-passphrase", "ca-passphrase", "operator-pin", "administrator-pin", "station-passphrase"];

/// The folder of the demo; removed at the end unless it is to be kept.
pub(super) struct Folder {
    path: PathBuf,
    keep: bool,
}

impl Folder {
    pub(super) fn make(keep: Option<&Path>) -> Result<Self> {
        let path = match keep {
            Some(path) => {
                if path.exists() && fs::read_dir(path)?.next().is_some() {
                    bail!("{} is not empty; name a new folder", path.display());
                }
                path.to_owned()
            }
            None => std::env::temp_dir().join(format!("keyferry-demo-{}", std::process::id())),
        };
        fs::DirBuilder::new().recursive(true).mode(0o700).create(&path)?;
        Ok(Self { path: path.canonicalize()?, keep: keep.is_some() })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if !self.keep {
            // Nothing can be done here about a folder that does not go; it holds trial keys only.
            let _ = fs::remove_dir_all(&self.path);
        }
    }
}

/// The estate and how to reach its parts.
pub(super) struct Estate {
    folder: PathBuf,
    pub(super) suite: SuiteName,
    pub(super) terminal_port: String,
    https: String,
    /// Where POSPs connect, once they are served.
    pub(super) posp: Option<String>,
    server: Option<Child>,
    /// Cards that are on tokens, by role: their URIs.
    on_tokens: Vec<(String, String)>,
}

impl Estate {
    /// Makes the estate as an acquirer would: `keyferry init`, secrets from files.
    pub(super) fn init(folder: &Path, suite: SuiteName) -> Result<Self> {
        Self::make(folder, suite, &SECRETS, &["init", "--acquirer", "DEMO", "--name", "Demo Bank"])
    }

    /// Makes a vendor's installation: `keyferry mtms init`.
    pub(super) fn init_vendor(folder: &Path, suite: SuiteName, vendor: &str) -> Result<Self> {
        fs::DirBuilder::new().mode(0o700).create(folder)?;
        let secrets = [&SECRETS[..], &["mtms-pin"]].concat();
        Self::make(folder, suite, &secrets, &["mtms", "init", "--vendor", vendor, "--name", "Demo Factory"])
    }

    fn make(folder: &Path, suite: SuiteName, secret_names: &[&str], command: &[&str]) -> Result<Self> {
        let secrets = folder.join("secrets");
        fs::DirBuilder::new().mode(0o700).create(&secrets)?;
        for name in secret_names {
            let mut file =
                fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(secrets.join(name))?;
            writeln!(file, "{}", random_words()?)?;
        }
        let mut init = keyferry(command)?;
        init.args(["--trial", "--suite", &suite.to_string()]);
        init.args(["--terminal-port", ANY_PORT, "--https", ANY_PORT, "--secrets"]).arg(&secrets);
        let made = run(init.arg(folder.join("estate")))?;
        if !made.ok {
            bail!("init failed: {}", made.error);
        }
        Ok(Self {
            folder: folder.to_owned(),
            suite,
            terminal_port: ANY_PORT.into(),
            https: ANY_PORT.into(),
            posp: None,
            server: None,
            on_tokens: Vec::new(),
        })
    }

    /// The card of this role, as commands take it: a file, or a token's URI.
    pub(super) fn card(&self, role: &str) -> String {
        let on_token = self.on_tokens.iter().find(|(of, _)| of == role).map(|(_, uri)| uri.clone());
        on_token.unwrap_or_else(|| text(&self.path(&format!("cards/{role}.pem"))))
    }

    /// From now on the card of this role is on a token, and the station's configuration says so.
    pub(super) fn put_card(&mut self, role: &str, uri: &str) -> Result<()> {
        let path = self.path("station.toml");
        let (config, file) = (fs::read_to_string(&path)?, format!("\"cards/{role}.pem\""));
        if !config.contains(&file) {
            bail!("station.toml has no card {file}");
        }
        fs::write(&path, config.replace(&file, &format!("\"{uri}\"")))?;
        self.on_tokens.push((role.to_owned(), uri.to_owned()));
        Ok(())
    }

    /// The card of this role as the station's configuration has it.
    pub(super) fn card_in_config(&self, role: &str) -> String {
        let on_token = self.on_tokens.iter().find(|(of, _)| of == role).map(|(_, uri)| uri.clone());
        on_token.unwrap_or_else(|| format!("cards/{role}.pem"))
    }

    /// Where stations and KLDs reach the server.
    pub(super) fn url(&self) -> String {
        format!("https://{}", self.https)
    }

    /// Has the CA certify a request for a role.
    pub(super) fn certify(&self, role: &str, request: &Path, out: &Path) -> Result<()> {
        let mut issue = keyferry(["ca", "issue", "--role", role, "--ca"])?;
        issue.arg(self.path("ca")).arg("--ca-passphrase-file").arg(self.secret("ca-passphrase"));
        let said = run(issue.arg("--request").arg(request).arg("--out").arg(out))?;
        if !said.ok {
            bail!("ca issue --role {role}: {}", said.error);
        }
        Ok(())
    }

    /// Changes the server's configuration; it holds from the next start.
    pub(super) fn configure(&mut self, from: &str, to: &str) -> Result<()> {
        let path = self.path("keyferry.toml");
        let config = fs::read_to_string(&path)?;
        if !config.contains(from) {
            bail!("keyferry.toml has no {from:?}");
        }
        Ok(fs::write(&path, config.replacen(from, to, 1))?)
    }

    /// A path in the estate.
    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.folder.join("estate").join(name)
    }

    pub(super) fn secret(&self, name: &str) -> PathBuf {
        self.folder.join("secrets").join(name)
    }

    /// Starts `keyferry server`, which starts its HSM, and waits until both serve.
    pub(super) fn start_server(&mut self) -> Result<()> {
        let log = fs::OpenOptions::new().create(true).append(true).open(self.folder.join("server.log"))?;
        let mut server = keyferry(["server"])?
            .arg("--config")
            .arg(self.path("keyferry.toml"))
            .arg("--passphrase-file")
            .arg(self.secret("hsm-passphrase"))
            .stderr(log)
            .spawn()
            .context("cannot start the server")?;
        let out = server.stdout.take().context("the server has no output")?;
        let mut lines = BufReader::new(out).lines().map_while(Result::ok);
        let mut address = |what: &str| lines.find_map(|line| line.strip_prefix(what).map(str::to_owned));
        let (Some(terminal_port), Some(https)) = (address("terminal port "), address("https ")) else {
            let status = server.wait()?;
            let log = self.folder.join("server.log");
            bail!("the server ended ({status}) before it served; see {}", log.display());
        };
        let serves_posps = fs::read_to_string(self.path("keyferry.toml"))?.contains("\n[posp]");
        self.posp = if serves_posps { address("posp ") } else { None };
        self.tell_station(&https)?;
        (self.terminal_port, self.https) = (terminal_port, https);
        self.server = Some(server);
        Ok(())
    }

    /// Puts the server's present address into the station's configuration.
    fn tell_station(&self, https: &str) -> Result<()> {
        let path = self.path("station.toml");
        let config = fs::read_to_string(&path)?;
        let line = format!("url = \"https://{https}\"");
        let lines = config.lines().map(|old| if old.starts_with("url = ") { line.as_str() } else { old });
        Ok(fs::write(&path, lines.fold(String::new(), |text, line| text + line + "\n"))?)
    }

    /// Fixes the ports of a kept estate at those of its last run, so that its files agree.
    pub(super) fn keep_ports(&self) -> Result<()> {
        let path = self.path("keyferry.toml");
        let config = fs::read_to_string(&path)?;
        let (first, second) = (format!("\"{}\"", self.terminal_port), format!("\"{}\"", self.https));
        let any = format!("\"{ANY_PORT}\"");
        let third = format!("\"{}\"", self.posp.as_deref().unwrap_or(ANY_PORT));
        let fixed = [first, second, third].iter().fold(config, |config, port| config.replacen(&any, port, 1));
        Ok(fs::write(&path, fixed)?)
    }

    /// SIGKILL: no chance to tidy up.
    pub(super) fn kill_server(&mut self) -> Result<()> {
        if let Some(mut server) = self.server.take() {
            server.kill()?;
            server.wait()?;
        }
        Ok(())
    }

    /// Stops the server as an operator would, and says whether it ended well.
    pub(super) fn stop_server(&mut self) -> Result<bool> {
        let Some(mut server) = self.server.take() else { return Ok(true) };
        let asked = Command::new("kill").arg(server.id().to_string()).stderr(Stdio::null()).status();
        if !asked.is_ok_and(|status| status.success()) {
            server.kill()?;
        }
        for _ in 0..300 {
            if let Some(status) = server.try_wait()? {
                return Ok(status.success());
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        server.kill()?;
        server.wait()?;
        Ok(false)
    }

    /// The KMS's records, read beside the running server.
    pub(super) fn store(&self) -> Result<SqliteStore> {
        Ok(SqliteStore::open(&self.path("keyferry.db"), SqliteOptions::default())?)
    }

    /// The KMS as a station reaches it.
    pub(super) fn kms(&self) -> Result<station::Server> {
        let root = fs::read(self.path("ca/root.pem"))?;
        Ok(station::Server::new(&ServerSettings::new(format!("https://{}", self.https), root))?)
    }

    /// `keyferry station collect` with both cards.
    pub(super) fn station_collect(&self, config: &Path) -> Result<Command> {
        let mut command = keyferry(["station", "collect", "--json"])?;
        command.arg("--config").arg(config);
        command.arg("--operator-pin-file").arg(self.secret("operator-pin"));
        command.arg("--administrator-pin-file").arg(self.secret("administrator-pin"));
        command.arg("--station-passphrase-file").arg(self.secret("station-passphrase"));
        Ok(command)
    }

    /// The package that waits in the station's journal.
    pub(super) fn waiting_package(&self) -> Result<Vec<u8>> {
        let passphrase = fs::read_to_string(self.secret("station-passphrase"))?;
        let journal = Journal::open(&self.path("station/journal"), passphrase.trim_end())?;
        let waiting = journal.waiting();
        let first = waiting.first().context("no package waits in the station's journal")?;
        Ok(journal.package(&first.name)?.cms().to_vec())
    }

    /// A second station with the same cards and another journal, with changes to its configuration.
    pub(super) fn other_station(&self, name: &str, changes: &[(&str, &str)]) -> Result<PathBuf> {
        let mut config = fs::read_to_string(self.path("station.toml"))?;
        let journal = format!("journal = \"station/{name}\"");
        let passphrase = fs::read_to_string(self.secret("station-passphrase"))?;
        Journal::create(&self.path(&format!("station/{name}")), passphrase.trim_end())?;
        for (from, to) in [("journal = \"station/journal\"", journal.as_str())].iter().chain(changes) {
            if !config.contains(from) {
                bail!("station.toml has no line {from}");
            }
            config = config.replace(from, to);
        }
        let path = self.path(&format!("{name}.toml"));
        fs::write(&path, config)?;
        Ok(path)
    }
}

impl Drop for Estate {
    fn drop(&mut self) {
        // Best effort: the demo is over either way.
        let _ = self.kill_server();
    }
}

/// What a person may want to try next in a kept estate.
pub(super) fn print_next_commands(folder: &Path, json: bool) {
    if json {
        return;
    }
    let f = folder.display();
    say!("\nThe estate is kept in {f}. Try:");
    if folder.join("tokens").is_dir() {
        say!("  export SOFTHSM2_CONF={f}/tokens/softhsm2.conf");
    }
    say!(
        "  keyferry server --config {f}/estate/keyferry.toml --passphrase-file {f}/secrets/hsm-passphrase &"
    );
    say!("  keyferry kms terminals --config {f}/estate/keyferry.toml");
    say!("  keyferry kms terminal --config {f}/estate/keyferry.toml DEMO-0001");
    say!(
        "  keyferry terminal download {f}/terminals/DEMO-0001 --slot 2 --server $(sed -n 's/^listen = \"\\(.*\\)\"/\\1/p' {f}/estate/keyferry.toml | head -n 1)"
    );
    say!("  keyferry terminal status {f}/terminals/DEMO-0001");
    say!("  keyferry audit show --store {f}/estate/keyferry.db");
    say!("  keyferry audit verify --store {f}/estate/keyferry.db");
}

/// A passphrase for this run only.
pub(super) fn random_words() -> Result<String> {
    use std::io::Read as _;
    let mut bytes = [0_u8; 16];
    fs::File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(bytes
        .chunks(4)
        .map(|part| part.iter().map(|b| format!("{b:02x}")).collect())
        .collect::<Vec<String>>()
        .join("-"))
}
