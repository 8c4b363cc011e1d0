//! `keyferry ca card`: a card made at the CA, or the certificate of one whose key was made elsewhere.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, bail};
use clap::Args;
use custody::{
    ca::Ca as Authority,
    card, keyfile,
    token::{Token, TokenUri},
};
use pki::{Certificate, Name, Role, Signer as _, csr::Csr};

use super::{Folder, days, issued, kind, must_be_new, print, read_request, role};
use crate::{
    commands::card::{Blank, PEOPLE, Receipt, for_people},
    files::write,
    secret::Source,
    time,
};

/// Make a card.
#[derive(Args)]
pub(crate) struct Card {
    #[command(flatten)]
    folder: Folder,
    /// Whose card it is. A request must name this very person.
    #[arg(long)]
    subject: String,
    /// The organisation. A request must name it too.
    #[arg(long)]
    organisation: Option<String>,
    /// operator, administrator, package-signing, repair-authorisation or mtms.
    #[arg(long, value_parser = role)]
    role: Role,
    /// Days that its certificate is valid.
    #[arg(long, default_value_t = 365, value_parser = days())]
    days: u32,
    /// RSA bits of a card from an RSA root: 2048, 3072 or 4096. A card from a P-256 root has a P-256 key.
    #[arg(long, value_name = "BITS", conflicts_with = "request")]
    bits: Option<usize>,
    /// Read the card's new PIN from this file (mode 0600).
    #[arg(long, value_name = "FILE", conflicts_with = "request")]
    pin_file: Option<PathBuf>,
    /// Certify the key of this request (`keyferry card request`), whose holder made it elsewhere.
    #[arg(long, value_name = "FILE")]
    request: Option<PathBuf>,
    /// The card file to make; with --request, where the certificate goes.
    #[arg(long, required_unless_present = "token")]
    out: Option<PathBuf>,
    /// Make the card on this token, which makes its key and never gives it out:
    /// pkcs11:token=LABEL[;object=KEY]?module-path=/…/module.so
    #[arg(long, value_name = "URI", conflicts_with_all = ["out", "request"])]
    token: Option<TokenUri>,
    #[command(flatten)]
    blank: Blank,
    /// Write what the card's holder signs for to this file too.
    #[arg(long, value_name = "FILE")]
    receipt: Option<PathBuf>,
}

impl Card {
    pub(super) fn run(self) -> Result<()> {
        if !PEOPLE.contains(&self.role) {
            bail!("{}; use `keyferry ca issue` for {}", for_people(), self.role.word());
        }
        for new in self.out.iter().chain(&self.receipt) {
            must_be_new(new)?;
        }
        match (&self.request, &self.token, &self.out) {
            (Some(request), _, Some(out)) => self.certify(request, out),
            (_, Some(token), _) => self.make_on_token(token),
            (None, None, Some(out)) => self.make(out),
            (_, None, None) => bail!("--out is missing: say where the card goes"),
        }
    }

    /// A card in a file, with its key.
    fn make(&self, out: &Path) -> Result<()> {
        let mut ca = self.folder.open()?;
        let pin = Source::file(self.pin_file.clone()).choose("card PIN")?;
        let made = make_card(&mut ca, out, &self.name()?, self.role, self.bits, self.days, &pin)?;
        issued(&made, out);
        Receipt::of_file(&made, self.role, out).give(self.receipt.as_deref())
    }

    /// A card on a token: the token makes the key, the CA certifies it, the certificate goes onto the token.
    fn make_on_token(&self, uri: &TokenUri) -> Result<()> {
        let subject = self.name()?;
        let mut ca = self.folder.open()?;
        let kind = kind(ca.family(), self.bits)?;
        let (token, pin) = self.blank.token(uri, &Source::file(self.pin_file.clone()))?;
        let label = uri.object().unwrap_or(self.role.word());
        let signer = token.make_key(&pin, kind, label)?;
        let request = Csr { subject, spki: signer.spki_der().to_vec() };
        let certificate = ca.issue(&request, self.role, self.days, time::now_seconds())?;
        token.keep_certificates(&pin, &certificate, std::slice::from_ref(ca.root())).with_context(|| {
            format!(
                "{} is issued, and not on the token: put it there by `keyferry card install`, from the CA's folder",
                certificate.serial_hex()
            )
        })?;
        // What the station will look for is looked for now: the token anew, with its certificate.
        let token = Token::find(&token.exact_uri().with_object(label))?;
        print(&certificate);
        say!("written to {}", token.exact_uri());
        Receipt::of_token(&certificate, self.role, &token).give(self.receipt.as_deref())
    }

    /// The certificate of a card whose key its holder made.
    fn certify(&self, request: &Path, out: &Path) -> Result<()> {
        let request = read_request(request)?;
        // What the CA's people say, and not what the paper that somebody brought says.
        let wanted = self.name()?.to_string();
        if request.subject.to_string() != wanted {
            bail!(
                "the request names {}, not {wanted}: nothing was certified; who brings it, and is it theirs?",
                request.subject
            );
        }
        let certificate = self.folder.open()?.issue(&request, self.role, self.days, time::now_seconds())?;
        write(out, &certificate.pem(), 0o644)?;
        issued(&certificate, out);
        Receipt::of_request(&certificate, self.role).give(self.receipt.as_deref())
    }

    fn name(&self) -> Result<Name> {
        Ok(Name::new(&self.subject, self.organisation.as_deref())?)
    }
}

/// Makes a key under a PIN, certifies it, and writes both as a card.
pub(crate) fn make_card(
    ca: &mut Authority,
    path: &Path,
    subject: &Name,
    role: Role,
    bits: Option<usize>,
    days: u32,
    pin: &str,
) -> Result<Certificate> {
    must_be_new(path)?;
    let (signer, pem) = keyfile::generate(kind(ca.family(), bits)?, pin)?;
    let request = Csr { subject: subject.clone(), spki: signer.spki_der().to_vec() };
    let certificate = ca.issue(&request, role, days, time::now_seconds())?;
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    card::write_card(path, &pem, &certificate, &[])?;
    Ok(certificate)
}
