//! What a card's holder signs for: whose card it is, what it may do, and what the holder undertakes. A text for people, on
//! paper or in a file; it holds nothing secret.

use std::{
    fmt::{self, Display},
    path::{Path, PathBuf},
};

use anyhow::Result;
use custody::token::Token;
use pki::{Certificate, Role};

use crate::{files::write, time};

/// What every holder undertakes, whatever the role.
const EVERY_HOLDER: [&str; 4] = [
    "I alone hold this card and know its PIN; I lend neither, and write the PIN nowhere beside the card.",
    "I take the card out and lock it away when I leave my place.",
    "I look at what I sign, and sign nothing that I did not look at.",
    "I report a lost card, a PIN that somebody may have seen, or a use that was not mine at once, so that the \
     certificate is revoked; and I give the card back when I leave this duty.",
];

/// A receipt, ready to be printed.
pub(crate) struct Receipt<'a> {
    certificate: &'a Certificate,
    role: Role,
    kept: Kept,
}

/// Where the private key is.
enum Kept {
    File(PathBuf),
    Token { label: String, serial: String },
    Request,
}

impl<'a> Receipt<'a> {
    /// For a card in a file.
    pub(crate) fn of_file(certificate: &'a Certificate, role: Role, path: &Path) -> Self {
        Self { certificate, role, kept: Kept::File(path.to_owned()) }
    }

    /// For a card on a token.
    pub(crate) fn of_token(certificate: &'a Certificate, role: Role, token: &Token) -> Self {
        let (label, serial) = (token.label().to_owned(), token.serial().to_owned());
        Self { certificate, role, kept: Kept::Token { label, serial } }
    }

    /// For a key that its holder made, of which the CA saw the request only.
    pub(crate) fn of_request(certificate: &'a Certificate, role: Role) -> Self {
        Self { certificate, role, kept: Kept::Request }
    }

    /// Prints it, and writes it to a new file where one was named.
    pub(crate) fn give(&self, file: Option<&Path>) -> Result<()> {
        say!("\n{self}");
        if let Some(path) = file {
            write(path, &format!("{self}\n"), 0o644)?;
            say!("\nreceipt written to {}", path.display());
        }
        Ok(())
    }
}

impl Display for Receipt<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (certificate, role) = (self.certificate, self.role);
        writeln!(f, "RECEIPT FOR A CARD")?;
        writeln!(f)?;
        writeln!(f, "  holder       {}", certificate.subject())?;
        writeln!(f, "  role         {role}: {}", may(role))?;
        writeln!(f, "  serial       {}", certificate.serial_hex())?;
        writeln!(f, "  SHA-256      {}", certificate.sha256_hex())?;
        writeln!(f, "  issued by    {}", certificate.issuer())?;
        writeln!(f, "  valid from   {}", time::text(certificate.not_before()))?;
        writeln!(f, "  valid until  {}", time::text(certificate.not_after()))?;
        writeln!(f, "  private key  {}", self.kept)?;
        writeln!(f)?;
        writeln!(f, "I have received this card, or made its key myself, and have chosen its PIN myself.")?;
        for (number, duty) in (1..).zip(EVERY_HOLDER.into_iter().chain([duty(role)])) {
            writeln!(f, "{number}. {duty}")?;
        }
        writeln!(f)?;
        writeln!(
            f,
            "Holder:          date ____________  name ____________________  signature ____________________"
        )?;
        write!(
            f,
            "Handed over by:  date ____________  name ____________________  signature ____________________"
        )
    }
}

impl Display for Kept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => {
                write!(f, "in the file {}, under a PIN; a file cannot lock itself", path.display())
            }
            Self::Token { label, serial } => {
                write!(f, "made on the token {label}, serial {serial}, which does not give it out")
            }
            Self::Request => f.write_str("made by its holder; the CA saw the request only"),
        }
    }
}

/// What a card of this role can do.
fn may(role: Role) -> &'static str {
    match role {
        Role::Operator => "signs collected packages",
        Role::Administrator => "approves; the second card at the station",
        Role::Mtms => "signs batches of transport keys to KMSs",
        Role::PackageSigning => "signs software and parameters for terminals",
        Role::RepairAuthorisation => "authorises the repair of terminals",
        _ => "signs",
    }
}

/// What the role asks of its holder beyond what all undertake.
fn duty(role: Role) -> &'static str {
    match role {
        Role::Operator => {
            "I collect only from terminals in front of me that the order lists, compare the fingerprint that each shows, \
             and never hold the administrator's card."
        }
        Role::Administrator => {
            "I approve only what I have compared with its papers, am present while my card is in the station, and never \
             hold the operator's card."
        }
        Role::Mtms => "I send a batch only to the KMS of the acquirer that its order names.",
        Role::PackageSigning => {
            "I sign only a package whose digest and version I have from those who tested it."
        }
        Role::RepairAuthorisation => {
            "I authorise a repair only for a terminal that is in our hands, by the serial on its plate."
        }
        _ => "I use the card for its role and for nothing else.",
    }
}
