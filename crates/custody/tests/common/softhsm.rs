//! Real PKCS #11 tokens for tests: SoftHSM 2 with a folder of its own for each test.
//!
//! SoftHSM reads where its tokens are from the environment, when a process initialises it for the first time. So each test
//! is a process of its own: [`alone`] starts the test binary again for this one test, with the variable set.
#![allow(dead_code, reason = "each test binary uses its part")]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::{env, fs};

/// Where SoftHSM's module is, by distribution.
const MODULES: &[&str] = &[
    "/usr/lib/softhsm/libsofthsm2.so",
    "/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so",
    "/usr/lib/aarch64-linux-gnu/softhsm/libsofthsm2.so",
    "/usr/lib64/pkcs11/libsofthsm2.so",
    "/usr/lib64/softhsm/libsofthsm2.so",
    "/usr/local/lib/softhsm/libsofthsm2.so",
    "/opt/homebrew/lib/softhsm/libsofthsm2.so",
];
/// Set in the process that a test started for itself: the test's folder.
const INSIDE: &str = "KEYFERRY_TEST_TOKENS";

pub(crate) const SO_PIN: &str = "87654321";

/// SoftHSM's module.
pub(crate) fn module() -> PathBuf {
    let found = MODULES.iter().map(Path::new).find(|path| path.exists());
    found.expect("these tests need SoftHSM 2: `cargo xtask test` installs it, or says how").to_owned()
}

/// Runs a test in a process of its own that sees only the tokens in the folder which the test is given.
///
/// Called first and only in a test: `softhsm::alone(|tokens| { … })`. The closure tells which test it stands in.
pub(crate) fn alone<T: FnOnce(&Tokens)>(test: T) {
    if let Some(folder) = env::var_os(INSIDE) {
        return test(&Tokens { folder: PathBuf::from(folder) });
    }
    let folder = tempfile::tempdir().unwrap();
    let tokens = Tokens::in_folder(folder.path());
    let name = std::any::type_name::<T>();
    // crate::module::test::{{closure}}
    let (_, name) = name.split_once("::").unwrap();
    let name = name.split_once("::{{closure}}").unwrap().0;
    let output = Command::new(env::current_exe().unwrap())
        .args([name, "--exact", "--nocapture", "--test-threads=1"])
        .env(INSIDE, folder.path())
        .env("SOFTHSM2_CONF", tokens.config())
        .output()
        .unwrap();
    let text = said(&output);
    assert!(output.status.success(), "{text}");
    assert!(text.contains("1 passed"), "the test {name} did not run: {text}");
}

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// A folder of tokens.
pub(crate) struct Tokens {
    folder: PathBuf,
}

impl Tokens {
    /// Makes the folder ready for SoftHSM. The variable `SOFTHSM2_CONF` of the process that is to see it must be
    /// [`Tokens::config`].
    pub(crate) fn in_folder(folder: &Path) -> Tokens {
        let tokens = Tokens { folder: folder.to_owned() };
        fs::create_dir_all(tokens.store()).unwrap();
        let config = format!(
            "directories.tokendir = {}\nobjectstore.backend = file\nlog.level = ERROR\nslots.removable = true\n",
            tokens.store().display()
        );
        fs::write(tokens.config(), config).unwrap();
        tokens
    }

    /// The test's folder.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// SoftHSM's configuration file.
    pub(crate) fn config(&self) -> PathBuf {
        self.folder.join("softhsm2.conf")
    }

    /// Where SoftHSM keeps its tokens: a folder for each.
    pub(crate) fn store(&self) -> PathBuf {
        self.folder.join("tokens")
    }

    /// Makes a token, by SoftHSM's own tool.
    pub(crate) fn make(&self, label: &str, pin: &str) {
        self.util(&["--init-token", "--free", "--label", label, "--so-pin", SO_PIN, "--pin", pin]);
    }

    /// Deletes a token, by SoftHSM's own tool and in another process, as if it were taken out of its reader.
    pub(crate) fn delete(&self, label: &str) {
        self.util(&["--delete-token", "--token", label]);
    }

    /// `softhsm2-util` on these tokens.
    pub(crate) fn util(&self, args: &[&str]) -> String {
        self.tool("softhsm2-util", args)
    }

    /// A program that uses these tokens: what it said.
    pub(crate) fn tool(&self, program: &str, args: &[&str]) -> String {
        let output = Command::new(program).args(args).env("SOFTHSM2_CONF", self.config()).output();
        let output = output.unwrap_or_else(|error| panic!("these tests need {program}: {error}"));
        assert!(output.status.success(), "{program} {args:?}: {}", said(&output));
        said(&output)
    }

    /// The folders of the tokens, in no order.
    pub(crate) fn stored(&self) -> Vec<PathBuf> {
        fs::read_dir(self.store()).unwrap().map(|entry| entry.unwrap().path()).collect()
    }

    /// Says in SoftHSM's own file of a token what its PIN's flags are, since SoftHSM counts wrong PINs and never locks.
    /// `flags` are those of `CK_TOKEN_INFO` (PKCS #11 v2.40 section 3.2). To be done before SoftHSM is initialised.
    pub(crate) fn set_flags(stored: &Path, flags: u64) {
        /// CKA_OS_TOKENFLAGS, and the kind of its value, an unsigned long: `src/lib/object_store/OSAttributes.h`.
        const TOKEN_FLAGS: [u8; 16] = [0, 0, 0, 0, 0x80, 0, 0x53, 0x4B, 0, 0, 0, 0, 0, 0, 0, 2];
        let path = stored.join("token.object");
        let mut bytes = fs::read(&path).unwrap();
        let at = bytes.windows(16).position(|window| window == TOKEN_FLAGS).unwrap() + 16;
        let value: &mut [u8; 8] = bytes.get_mut(at..at + 8).unwrap().try_into().unwrap();
        *value = (u64::from_be_bytes(*value) | flags).to_be_bytes();
        fs::write(path, bytes).unwrap();
    }

    /// Adds a line to SoftHSM's configuration. To be done before SoftHSM is initialised.
    pub(crate) fn configure(&self, line: &str) {
        let config = fs::read_to_string(self.config()).unwrap();
        fs::write(self.config(), format!("{config}{line}\n")).unwrap();
    }

    /// Moves everything away, as if every token were taken out of its reader at once; the result puts it back.
    pub(crate) fn take_out(&self) -> TakenOut {
        let away = self.folder.join("away");
        fs::rename(self.store(), &away).unwrap();
        fs::create_dir(self.store()).unwrap();
        TakenOut { away, store: self.store() }
    }

    /// Moves one token away, by its folder.
    pub(crate) fn take_out_one(&self, stored: &Path) -> TakenOut {
        let away = self.folder.join("away");
        fs::rename(stored, &away).unwrap();
        TakenOut { away, store: stored.to_owned() }
    }
}

/// Tokens that are out of their readers.
pub(crate) struct TakenOut {
    away: PathBuf,
    store: PathBuf,
}

impl TakenOut {
    /// Puts them back.
    pub(crate) fn put_back(self) {
        let _ = fs::remove_dir_all(&self.store);
        fs::rename(&self.away, &self.store).unwrap();
    }
}
