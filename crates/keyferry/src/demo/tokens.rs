//! The demo's cards on real PKCS #11 tokens: SoftHSM 2, with a folder of its own in the estate's.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, bail};
use clap::ValueEnum;
use custody::token::TokenUri;

use super::{
    ceremony::write_private,
    estate::{Estate, random_words},
    tool::{self, good, keyferry},
};

/// Where SoftHSM's module is, by distribution.
const MODULES: [&str; 7] = [
    "/usr/lib/softhsm/libsofthsm2.so",
    "/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so",
    "/usr/lib/aarch64-linux-gnu/softhsm/libsofthsm2.so",
    "/usr/lib64/pkcs11/libsofthsm2.so",
    "/usr/lib64/softhsm/libsofthsm2.so",
    "/usr/local/lib/softhsm/libsofthsm2.so",
    "/opt/homebrew/lib/softhsm/libsofthsm2.so",
];
/// The two cards, by role and by what their holders are called.
const CARDS: [(&str, &str); 2] = [("operator", "Olga Operator"), ("administrator", "Adam Administrator")];

/// What the operator's and the administrator's card are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum CardKind {
    /// PIN-protected files.
    File,
    /// Two PKCS #11 tokens of SoftHSM 2.
    Softhsm,
}

/// A place for tokens, before there are any.
pub(super) struct Reader {
    module: PathBuf,
    folder: PathBuf,
}

/// SoftHSM's module.
///
/// # Errors
/// Where there is none: what to install.
pub(super) fn module() -> Result<PathBuf> {
    among(&MODULES)
}

fn among(paths: &[&str]) -> Result<PathBuf> {
    let Some(module) = paths.iter().map(Path::new).find(|path| path.is_file()) else {
        bail!(
            "SoftHSM 2 is not installed, or not where it usually is. Install it: `apt-get install softhsm2` (Debian, \
             Ubuntu), `dnf install softhsm` (Fedora), `brew install softhsm` (macOS). Or run the demo with cards in \
             files: without --cards softhsm"
        );
    };
    Ok(module.to_owned())
}

impl Reader {
    /// Makes a place for tokens, and tells every command to come where it is.
    pub(super) fn make(folder: &Path) -> Result<Self> {
        let module = module()?;
        let folder = folder.join("tokens");
        let store = folder.join("store");
        fs::create_dir_all(&store)?;
        let config = folder.join("softhsm2.conf");
        let lines = [
            format!("directories.tokendir = {}", store.display()),
            "objectstore.backend = file".into(),
            "log.level = ERROR".into(),
            "slots.removable = true".into(),
        ];
        fs::write(&config, lines.join("\n") + "\n")?;
        tool::tell_where_tokens_are(&config)?;
        Ok(Self { module, folder })
    }

    /// Makes both cards, each on a token of its own, as the CA's people would; the cards in files, which `keyferry init`
    /// made, are revoked and destroyed.
    pub(super) fn make_cards(self, estate: &mut Estate) -> Result<Tokens> {
        let mut tokens = Tokens { folder: self.folder, stored: Vec::new() };
        for (role, holder) in CARDS {
            let before = tokens.stored_now()?;
            let uri = TokenUri::new(&self.module, &format!("KF-{role}"));
            make_card(estate, role, holder, &uri, &tokens.folder)?;
            let made = tokens.stored_now()?.into_iter().find(|token| !before.contains(token));
            let made = made.with_context(|| format!("SoftHSM keeps no token for the {role} card"))?;
            tokens.stored.push((role, made));
            revoke_file(estate, role)?;
            estate.put_card(role, &uri.to_string())?;
        }
        Ok(tokens)
    }
}

/// `keyferry ca card --token`.
fn make_card(estate: &Estate, role: &str, holder: &str, uri: &TokenUri, folder: &Path) -> Result<()> {
    let so_pin = estate.secret(&format!("{role}-so-pin"));
    write_private(&so_pin, random_words()?.as_bytes())?;
    let mut card =
        keyferry(["ca", "card", "--role", role, "--subject", holder, "--organisation", "Demo Bank"])?;
    card.args(["--token", &uri.to_string(), "--initialise"]).arg("--so-pin-file").arg(so_pin);
    card.arg("--pin-file").arg(estate.secret(&format!("{role}-pin")));
    card.arg("--receipt").arg(folder.join(format!("{role}-receipt.txt")));
    card.arg("--ca").arg(estate.path("ca")).arg("--ca-passphrase-file").arg(estate.secret("ca-passphrase"));
    good(&mut card)
}

fn revoke_file(estate: &Estate, role: &str) -> Result<()> {
    let path = estate.path(&format!("cards/{role}.pem"));
    let serial = custody::card::read_face(&path)?.certificate.serial_hex();
    let mut revoke = keyferry(["ca", "revoke", "--serial", &serial, "--reason", "superseded", "--ca"])?;
    revoke.arg(estate.path("ca")).arg("--ca-passphrase-file").arg(estate.secret("ca-passphrase"));
    good(&mut revoke)?;
    Ok(fs::remove_file(path)?)
}

/// Both cards, in their readers.
pub(super) struct Tokens {
    folder: PathBuf,
    /// Where SoftHSM keeps each, by role.
    stored: Vec<(&'static str, PathBuf)>,
}

impl Tokens {
    fn stored_now(&self) -> Result<Vec<PathBuf>> {
        let entries = fs::read_dir(self.folder.join("store"))?;
        Ok(entries.map(|entry| entry.map(|entry| entry.path())).collect::<Result<_, _>>()?)
    }

    /// Takes a card out of its reader: no program finds the token any more.
    pub(super) fn take_out(&self, role: &str) -> Result<TakenOut> {
        let found = self.stored.iter().find(|(of, _)| *of == role);
        let (_, stored) = found.with_context(|| format!("there is no {role} card on a token"))?;
        let pocket = self.folder.join("pocket");
        fs::rename(stored, &pocket)?;
        Ok(TakenOut { pocket, reader: stored.clone() })
    }
}

/// A card that is in somebody's pocket.
pub(super) struct TakenOut {
    pocket: PathBuf,
    reader: PathBuf,
}

impl TakenOut {
    pub(super) fn put_back(self) -> Result<()> {
        Ok(fs::rename(self.pocket, self.reader)?)
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn where_softhsm_is_not_there_it_is_said_what_to_install() {
        let said = super::among(&["/no/such/module.so"]).unwrap_err().to_string();
        for wanted in ["SoftHSM 2 is not installed", "apt-get install softhsm2", "without --cards softhsm"] {
            assert!(said.contains(wanted), "{said}");
        }
    }
}
