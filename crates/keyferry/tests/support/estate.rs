//! Estates. `keyferry init` makes one when it is first needed; each test gets a copy of its own.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::LazyLock,
    time::Duration,
};

use tempfile::TempDir;

use super::{
    folders::{copy, write_secret},
    server::Server,
    terminals::Terminal,
    tool::{Ran, keyferry, run},
};

/// Names of the secrets' files with what is in them. Long and odd, so that they can be looked for anywhere.
pub(crate) const SECRETS: [(&str, &str); 5] = [
    ("hsm-passphrase", "hsm-zcq4-passphrase-w8vk"),
    ("ca-passphrase", "ca-y7jd-passphrase-m2xh"),
    ("operator-pin", "operator-k3nb-pin-e6rt"),
    ("administrator-pin", "administrator-u5fz-pin-g9pl"),
    ("station-passphrase", "station-h2vd-passphrase-q7bs"),
];

/// No run of the tests takes longer.
const AN_HOUR: Duration = Duration::from_secs(3600);

pub(crate) const ACQUIRER: &str = "CLI";

/// The terminals that [`Estate::collected`] has.
pub(crate) const COLLECTED: [&str; 4] = ["SN-1", "SN-2", "SN-3", "SN-4"];

/// A folder with `estate/`, `secrets/`, `terminals/` and `server.log`; gone with the test. Its path is short, because a
/// Unix socket's must be.
pub(crate) struct Estate {
    folder: TempDir,
}

static MADE: LazyLock<PathBuf> = LazyLock::new(|| {
    let estate = Estate::empty();
    init(&estate.path(""), &estate.secrets()).good();
    estate.keep("estate-")
});

static WITH_TERMINALS: LazyLock<PathBuf> = LazyLock::new(|| {
    let estate = Estate::new();
    let server = Server::start(&estate);
    let terminals: Vec<_> = COLLECTED.iter().map(|sn| estate.make_terminal(sn)).collect();
    super::station::collect(&estate, &terminals.iter().collect::<Vec<_>>(), &[]).ran.good();
    assert!(server.stop().success());
    fs::remove_file(estate.log()).unwrap();
    estate.keep("collected-")
});

/// `keyferry init` with ports that the system chooses. Of suite 01, whose every part these tests play; suite 02's way
/// from end to end is the demo's.
pub(crate) fn init(folder: &Path, secrets: &Path) -> Ran {
    run(&mut init_of("1", folder, secrets))
}

/// The command, for an estate that starts with this suite.
pub(crate) fn init_of(suite: &str, folder: &Path, secrets: &Path) -> Command {
    let mut command = keyferry(["init", "--suite", suite, "--acquirer", ACQUIRER, "--name", "Test \"Bank\""]);
    command.args(["--terminal-port", "127.0.0.1:0", "--https", "127.0.0.1:0", "--secrets"]);
    command.arg(secrets).arg(folder);
    command
}

impl Estate {
    /// Secrets, and nothing else.
    pub(crate) fn empty() -> Estate {
        let folder = tempfile::Builder::new().prefix("kf").tempdir().unwrap();
        fs::create_dir(folder.path().join("secrets")).unwrap();
        fs::create_dir(folder.path().join("terminals")).unwrap();
        for (name, secret) in SECRETS {
            write_secret(&folder.path().join("secrets").join(name), &format!("{secret}\n"));
        }
        Estate { folder }
    }

    /// As `keyferry init` leaves it.
    pub(crate) fn new() -> Estate {
        Estate::copy_of(&MADE)
    }

    /// With the terminals of [`COLLECTED`], of which none has downloaded a key.
    pub(crate) fn collected() -> Estate {
        Estate::copy_of(&WITH_TERMINALS)
    }

    pub(super) fn copy_of(template: &Path) -> Estate {
        let folder = tempfile::Builder::new().prefix("kf").tempdir().unwrap();
        copy(template, folder.path());
        Estate { folder }
    }

    /// Leaves a copy in Cargo's folder for tests, in the place of those that earlier runs left.
    pub(super) fn keep(&self, prefix: &str) -> PathBuf {
        for entry in fs::read_dir(env!("CARGO_TARGET_TMPDIR")).unwrap().flatten() {
            let old = entry
                .metadata()
                .and_then(|meta| meta.modified())
                .is_ok_and(|at| at.elapsed().is_ok_and(|age| age > AN_HOUR));
            if old && entry.file_name().to_string_lossy().starts_with(prefix) {
                let _ = fs::remove_dir_all(entry.path());
            }
        }
        let kept = tempfile::Builder::new().prefix(prefix).tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        copy(self.folder.path(), kept.path());
        kept.keep()
    }

    /// The folder with everything.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// A path in the estate.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join("estate").join(name)
    }

    pub(crate) fn secrets(&self) -> PathBuf {
        self.folder.path().join("secrets")
    }

    pub(crate) fn secret(&self, name: &str) -> PathBuf {
        self.secrets().join(name)
    }

    pub(crate) fn log(&self) -> PathBuf {
        self.folder.path().join("server.log")
    }

    /// A new terminal in production.
    pub(crate) fn make_terminal(&self, sn: &str) -> Terminal {
        let terminal = self.terminal(sn);
        let mut command = keyferry(["terminal", "new", "--sn", sn, "--vendor", "KF", "--model", "SIM-1"]);
        run(command.arg("--root").arg(self.path("ca/root.pem")).arg(&terminal.folder)).good();
        terminal
    }

    /// A terminal that is there.
    pub(crate) fn terminal(&self, sn: &str) -> Terminal {
        Terminal { sn: sn.to_owned(), folder: self.folder.path().join("terminals").join(sn) }
    }

    /// A command with `--config keyferry.toml`.
    pub(crate) fn configured(&self, arguments: &[&str]) -> Command {
        let mut command = keyferry(arguments);
        command.arg("--config").arg(self.path("keyferry.toml"));
        command
    }

    /// `keyferry ca …` with the CA's folder and passphrase.
    pub(crate) fn ca(&self, arguments: &[&str]) -> Command {
        let mut command = keyferry(["ca"]);
        command.args(arguments).arg("--ca").arg(self.path("ca"));
        command.arg("--ca-passphrase-file").arg(self.secret("ca-passphrase"));
        command
    }

    /// `keyferry audit verify`.
    pub(crate) fn verify_audit(&self) -> Ran {
        run(keyferry(["audit", "verify", "--store"]).arg(self.path("keyferry.db")))
    }
}
