//! Real PKCS #11 tokens: SoftHSM 2, with a folder of its own for each test. Only other processes use them, which are told
//! by their environment where they are.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use super::tool::{Ran, run};

/// Where SoftHSM's module is, by distribution.
const MODULES: [&str; 5] = [
    "/usr/lib/softhsm/libsofthsm2.so",
    "/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so",
    "/usr/lib/aarch64-linux-gnu/softhsm/libsofthsm2.so",
    "/usr/lib64/pkcs11/libsofthsm2.so",
    "/usr/lib64/softhsm/libsofthsm2.so",
];

/// SoftHSM's module.
pub(crate) fn module() -> PathBuf {
    let found = MODULES.iter().map(Path::new).find(|path| path.exists());
    found.expect("these tests need SoftHSM 2: run `cargo xtask setup`, or install softhsm2").to_owned()
}

/// A folder of tokens.
pub(crate) struct Tokens {
    folder: PathBuf,
}

impl Tokens {
    /// Makes a folder ready for SoftHSM.
    pub(crate) fn in_folder(folder: &Path) -> Tokens {
        let tokens = Tokens { folder: folder.to_owned() };
        fs::create_dir_all(tokens.store()).unwrap();
        let store = tokens.store();
        let config = format!(
            "directories.tokendir = {}\nobjectstore.backend = file\nlog.level = ERROR\nslots.removable = true\n",
            store.display()
        );
        fs::write(tokens.config(), config).unwrap();
        tokens
    }

    fn config(&self) -> PathBuf {
        self.folder.join("softhsm2.conf")
    }

    fn store(&self) -> PathBuf {
        self.folder.join("tokens")
    }

    /// A token's name.
    pub(crate) fn uri(label: &str) -> String {
        format!("pkcs11:token={label}?module-path={}", module().display())
    }

    /// Runs a command that sees these tokens.
    pub(crate) fn run(&self, command: &mut Command) -> Ran {
        run(command.env("SOFTHSM2_CONF", self.config()))
    }

    /// `softhsm2-util` on these tokens.
    pub(crate) fn util(&self, arguments: &[&str]) -> String {
        self.run(Command::new("softhsm2-util").args(arguments)).good()
    }

    /// Takes all tokens out of their readers while something is done.
    pub(crate) fn without<T>(&self, work: impl FnOnce() -> T) -> T {
        let away = self.folder.join("away");
        fs::rename(self.store(), &away).unwrap();
        fs::create_dir(self.store()).unwrap();
        let done = work();
        fs::remove_dir_all(self.store()).unwrap();
        fs::rename(away, self.store()).unwrap();
        done
    }
}
