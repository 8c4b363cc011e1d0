//! Cards: a key that signs, its certificate, and whether it is there.

use custody::token::PinState;
use pki::{Certificate, KeyFamily, Role, Signer, cms::Signatory};

use crate::{Checks, Error, clock};

/// A card in its reader. What it can do without its PIN is show its certificate.
pub trait Card: Send + Sync {
    /// What people call it: the reader, or the file.
    fn name(&self) -> &str;

    /// The certificate of its key.
    fn certificate(&self) -> &Certificate;

    /// The certificates above it, nearest first; the root may be among them.
    fn chain(&self) -> &[Certificate];

    /// Whether this very card is there now. Asked again for each terminal.
    fn present(&self) -> bool;

    /// What it tells of its PIN; none where it cannot count, as a file.
    fn pin_state(&self) -> Option<PinState> {
        None
    }

    /// Whether its PIN is typed at its own reader: it is then opened with an empty one.
    fn asks_pin_itself(&self) -> bool {
        false
    }

    /// Opens it with its PIN.
    ///
    /// # Errors
    /// [`Error::CardPin`]; [`Error::CardLocked`], for which no PIN was tried; [`Error::CardMissing`], [`Error::CardKey`].
    fn open(&self, pin: &str) -> Result<Box<dyn Signer + Send + Sync>, Error>;
}

/// A card that was opened with its PIN and whose certificate was checked for a role.
pub(crate) struct Opened {
    card: Box<dyn Card>,
    signer: Box<dyn Signer + Send + Sync>,
    role: Role,
    checks: Checks,
}

impl Opened {
    /// Checks presence and certificate before it tries the PIN: a card has few tries.
    pub(crate) fn open(card: Box<dyn Card>, pin: &str, role: Role, checks: &Checks) -> Result<Opened, Error> {
        check(card.as_ref(), role, checks)?;
        let signer = card.open(pin)?;
        if signer.spki_der() != card.certificate().spki_der() {
            return Err(Error::CardKey { card: card.name().to_owned() });
        }
        Ok(Opened { card, signer, role, checks: checks.clone() })
    }

    /// Whether it is still there and its certificate still good.
    pub(crate) fn check(&self) -> Result<(), Error> {
        check(self.card.as_ref(), self.role, &self.checks)
    }

    pub(crate) fn card(&self) -> &dyn Card {
        self.card.as_ref()
    }

    /// Signs content as CMS SignedData with the content attached (2-wire.md section 6).
    pub(crate) fn sign(&self, content: &[u8], at: i64) -> Result<Vec<u8>, Error> {
        self.check()?;
        let (certificate, chain) = (self.card.certificate(), self.card.chain());
        pki::cms::sign(content, self.signer.as_ref(), certificate, chain, at)
            .map_err(|error| Error::Signing { card: self.card.name().to_owned(), why: error.to_string() })
    }

    /// What it adds to a package that several sign.
    pub(crate) fn signatory(&self) -> Signatory<'_> {
        let (certificate, chain) = (self.card.certificate(), self.card.chain());
        Signatory { signer: self.signer.as_ref(), certificate, chain }
    }

    /// Signs a text of a flow as it is, as field DF49 has it: RSASSA-PSS, or ECDSA where the key is P-256.
    pub(crate) fn sign_text(&self, text: &[u8]) -> Result<Vec<u8>, Error> {
        self.check()?;
        // Another key than these two does not sign at all.
        let scheme = KeyFamily::of(self.signer.spki_der()).unwrap_or_default().text_scheme();
        self.signer
            .sign(scheme, text)
            .map_err(|error| Error::Signing { card: self.card.name().to_owned(), why: error.to_string() })
    }

    /// Its chain as a terminal gets it, X.509 DER, nearest first: without roots, which terminals have themselves.
    pub(crate) fn intermediates(&self) -> Vec<Vec<u8>> {
        let chain = self.card.chain().iter();
        chain.filter(|link| !self.checks.trust.contains(link)).map(|link| link.der().to_vec()).collect()
    }
}

fn check(card: &dyn Card, role: Role, checks: &Checks) -> Result<(), Error> {
    let name = || card.name().to_owned();
    if !card.present() {
        return Err(Error::CardMissing { card: name() });
    }
    checks.are_fresh()?;
    match checks.verify(card.certificate(), card.chain(), role, clock::now()) {
        Ok(_) => Ok(()),
        Err(reason) => Err(Error::CardRefused { card: name(), role, reason }),
    }
}

/// Shows whose card it is; the signer stays out of sight.
impl std::fmt::Debug for Opened {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Opened")
            .field("card", &self.card.name())
            .field("role", &self.role)
            .field("subject", self.card.certificate().subject())
            .finish_non_exhaustive()
    }
}

/// An administrator card, opened and checked: approves what another person collected.
#[derive(Debug)]
pub struct AdministratorCard(Opened);

impl AdministratorCard {
    /// Opens the card with its PIN, after its certificate was checked (role `.5`).
    ///
    /// # Errors
    /// [`Error::CardMissing`], [`Error::CardRefused`], [`Error::CardPin`], [`Error::CardKey`].
    pub fn open(card: Box<dyn Card>, pin: &str, checks: &Checks) -> Result<AdministratorCard, Error> {
        Opened::open(card, pin, Role::Administrator, checks).map(AdministratorCard)
    }

    /// Its certificate.
    pub fn certificate(&self) -> &Certificate {
        self.0.card().certificate()
    }

    pub(crate) fn sign(&self, content: &[u8], at: i64) -> Result<Vec<u8>, Error> {
        self.0.sign(content, at)
    }
}

/// An operator card, opened and checked: asks for what an administrator is to open.
#[derive(Debug)]
pub struct OperatorCard(Opened);

impl OperatorCard {
    /// Opens the card with its PIN, after its certificate was checked (role `.4`).
    ///
    /// # Errors
    /// [`Error::CardMissing`], [`Error::CardRefused`], [`Error::CardPin`], [`Error::CardKey`].
    pub fn open(card: Box<dyn Card>, pin: &str, checks: &Checks) -> Result<OperatorCard, Error> {
        Opened::open(card, pin, Role::Operator, checks).map(OperatorCard)
    }

    /// Its certificate.
    pub fn certificate(&self) -> &Certificate {
        self.0.card().certificate()
    }

    pub(crate) fn sign(&self, content: &[u8], at: i64) -> Result<Vec<u8>, Error> {
        self.0.sign(content, at)
    }
}
