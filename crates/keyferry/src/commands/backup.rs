use std::{
    fs::{self, OpenOptions},
    io::{IsTerminal as _, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, bail};
use clap::Args;
use hsm::KeyBlock;
use hsm_soft::backup;
use zeroize::Zeroizing;

use super::{component::open, hsm::Folder};
use crate::files::write;
use crate::secret::Source;

/// Back a work key pair up.
#[derive(Args)]
pub(crate) struct Backup {
    #[command(flatten)]
    folder: Folder,
    /// The acquirer that the key belongs to.
    #[arg(long)]
    acquirer: String,
    /// The private key's block, as `work-key-request` wrote it.
    #[arg(long)]
    key_block: PathBuf,
    /// How many shares to make, one for each person.
    #[arg(long, default_value_t = 3)]
    shares: u8,
    /// How many of them bring the key back, at least 2.
    #[arg(long, default_value_t = 2)]
    threshold: u8,
    /// Where the backup goes; it is worth nothing without the shares.
    #[arg(long)]
    out: PathBuf,
    /// Write the shares to files share-1.txt, share-2.txt, … of mode 0600 in this folder instead of showing each to its
    /// person.
    #[arg(long, value_name = "FOLDER")]
    shares_to: Option<PathBuf>,
}

/// Bring a work key pair back.
#[derive(Args)]
pub(crate) struct Restore {
    #[command(flatten)]
    folder: Folder,
    /// The acquirer that the key belongs to.
    #[arg(long)]
    acquirer: String,
    /// The backup.
    #[arg(long)]
    backup: PathBuf,
    /// How many people type their share, where none is read from a file.
    #[arg(long, default_value_t = 2)]
    people: u8,
    /// Read a share from this file (mode 0600) instead of asking for it; once for each.
    #[arg(long = "share-file", value_name = "FILE")]
    share_files: Vec<PathBuf>,
    /// Where the private key's block goes; it opens in this HSM only.
    #[arg(long)]
    out: PathBuf,
}

impl Backup {
    pub(crate) fn run(self) -> Result<()> {
        let to_people = self.shares_to.is_none();
        if to_people && !(std::io::stdin().is_terminal() && std::io::stdout().is_terminal()) {
            bail!("shares are shown to people at a terminal; name a folder with --shares-to instead");
        }
        let text = fs::read_to_string(&self.key_block)
            .with_context(|| format!("cannot read {}", self.key_block.display()))?;
        let hsm = open(&self.folder)?;
        let key = KeyBlock::from_text(text.trim().to_owned());
        let made = backup::back_up(&hsm, &key, &self.acquirer, self.shares, self.threshold)?;
        for (number, share) in (1..).zip(&made.shares) {
            match &self.shares_to {
                Some(folder) => write(&folder.join(format!("share-{number}.txt")), share, 0o600)?,
                None => show(number, made.shares.len(), share)?,
            }
        }
        write_bytes(&self.out, &made.file)?;
        say!("backup written to {}", self.out.display());
        say!(
            "any {} of the {} shares bring the key back: give each to another person, apart from the backup",
            self.threshold,
            self.shares
        );
        Ok(())
    }
}

impl Restore {
    pub(crate) fn run(self) -> Result<()> {
        let file =
            fs::read(&self.backup).with_context(|| format!("cannot read {}", self.backup.display()))?;
        let sources: Vec<_> = if self.share_files.is_empty() {
            (0..self.people).map(|_| Source::default()).collect()
        } else {
            self.share_files.iter().map(|path| Source::file(Some(path.clone()))).collect()
        };
        let hsm = open(&self.folder)?;
        let shares = (1..)
            .zip(&sources)
            .map(|(number, source)| source.read(&format!("share of person {number}")))
            .collect::<Result<Vec<_>>>()?;
        let restored = backup::restore(&hsm, &file, &shares, &self.acquirer)?;
        write(&self.out, restored.private.as_str(), 0o600)?;
        say!("the private key's block is in {}; it belongs to its certificate as before", self.out.display());
        Ok(())
    }
}

/// Shows one share to its person, and wipes the screen before the next one comes.
fn show(number: usize, of: usize, share: &Zeroizing<String>) -> Result<()> {
    let mut out = std::io::stdout().lock();
    let wait = |out: &mut dyn std::io::Write, text: &str| -> Result<()> {
        write!(out, "{text}")?;
        out.flush()?;
        let mut line = String::new();
        std::io::stdin().read_line(&mut line)?;
        Ok(())
    };
    wait(&mut out, &format!("Share {number} of {of}: only its person looks now. Press Enter. "))?;
    writeln!(out, "\n{}\n", share.as_str())?;
    wait(&mut out, "Write it down and press Enter: the screen is wiped. ")?;
    // Erase the display and what was scrolled off it (ECMA-48 ED, and its common extension 3).
    write!(out, "\x1b[2J\x1b[3J\x1b[H")?;
    out.flush()?;
    Ok(())
}

fn write_bytes(path: &Path, bytes: &[u8]) -> Result<()> {
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .with_context(|| format!("cannot write {}", path.display()))?;
    file.write_all(bytes)?;
    Ok(file.sync_all()?)
}
