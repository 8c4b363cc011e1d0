//! Passphrases and PINs: from a file with checked permissions, a file descriptor, or a prompt; never from the command
//! line or the environment, which others can read.

use std::{
    fs::{self, File},
    io::Read,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail};
use zeroize::Zeroizing;

/// Longest secret read.
const MAX_SECRET: u64 = 1024;

/// Where one secret comes from.
#[derive(Debug, Clone, Default)]
pub(crate) struct Source {
    /// A file, first line; mode 0600 or stricter.
    pub(crate) file: Option<PathBuf>,
    /// An open file descriptor, first line.
    pub(crate) fd: Option<u32>,
}

impl Source {
    /// From a file or, where there is none, a prompt.
    pub(crate) fn file(path: Option<PathBuf>) -> Self {
        Self { file: path, fd: None }
    }

    /// Reads a secret that exists.
    pub(crate) fn read(&self, what: &str) -> Result<Zeroizing<String>> {
        match (&self.file, self.fd) {
            (Some(path), _) => from_file(path),
            (None, Some(fd)) => from_fd(fd),
            (None, None) => prompt(&format!("{what}: ")),
        }
    }

    /// Reads a secret that is being chosen: a prompt asks for it twice.
    pub(crate) fn choose(&self, what: &str) -> Result<Zeroizing<String>> {
        let secret = self.read(&format!("new {what}"))?;
        if self.file.is_none() && self.fd.is_none() && *prompt(&format!("{what} again: "))? != *secret {
            bail!("the two differ; nothing was done");
        }
        Ok(secret)
    }
}

fn from_file(path: &Path) -> Result<Zeroizing<String>> {
    let meta = fs::metadata(path).with_context(|| format!("cannot read {}", path.display()))?;
    let mode = meta.permissions().mode() & 0o777;
    if mode & 0o077 != 0 {
        bail!("{} can be read by others (mode {mode:o}); make it private: chmod 600", path.display());
    }
    first_line(File::open(path)?).with_context(|| format!("cannot read {}", path.display()))
}

fn from_fd(fd: u32) -> Result<Zeroizing<String>> {
    let file = File::open(format!("/dev/fd/{fd}"));
    file.and_then(first_line).with_context(|| format!("cannot read file descriptor {fd}"))
}

fn first_line(source: impl Read) -> std::io::Result<Zeroizing<String>> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(usize::try_from(MAX_SECRET).unwrap_or(0)));
    source.take(MAX_SECRET).read_to_end(&mut bytes)?;
    let line = bytes.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    let text = std::str::from_utf8(line).map_err(|_| std::io::Error::other("it is not text"))?;
    Ok(Zeroizing::new(text.to_owned()))
}

fn prompt(text: &str) -> Result<Zeroizing<String>> {
    let typed = rpassword::prompt_password(text)
        .context("no terminal to ask at; give the secret with its -file option")?;
    Ok(Zeroizing::new(typed))
}
