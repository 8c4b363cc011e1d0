//! Dual control: the station works only under two cards of two people (1-systems.md A, step 5).

use pki::{Certificate, Role};

use crate::{
    Checks, Error,
    card::{Card, Opened},
};

/// Proof that operator and administrator card are there, opened with their PINs, and of two people. Collecting and
/// packing take it; there is no other way to either.
#[derive(Debug)]
pub struct BothCards {
    operator: Opened,
    administrator: Opened,
}

impl BothCards {
    /// Opens both cards. They are compared before anything else, so that one card in both places is called that.
    ///
    /// # Errors
    /// [`Error::SameCard`] for the same certificate, key or subject; for either card [`Error::CardMissing`],
    /// [`Error::CardRefused`] (chain, dates, role `.4` or `.5`, revocation), [`Error::CardPin`], [`Error::CardKey`].
    pub fn open(
        operator: Box<dyn Card>,
        operator_pin: &str,
        administrator: Box<dyn Card>,
        administrator_pin: &str,
        checks: &Checks,
    ) -> Result<BothCards, Error> {
        if let Some(what) = in_common(operator.certificate(), administrator.certificate()) {
            return Err(Error::SameCard { what });
        }
        Ok(BothCards {
            operator: Opened::open(operator, operator_pin, Role::Operator, checks)?,
            administrator: Opened::open(administrator, administrator_pin, Role::Administrator, checks)?,
        })
    }

    /// Of two cards that were opened one after the other.
    ///
    /// # Errors
    /// [`Error::SameCard`].
    pub(crate) fn join(operator: Opened, administrator: Opened) -> Result<BothCards, Error> {
        match in_common(operator.card().certificate(), administrator.card().certificate()) {
            Some(what) => Err(Error::SameCard { what }),
            None => Ok(BothCards { operator, administrator }),
        }
    }

    /// Whether both are still there and still good. Asked again for each terminal and before packing.
    ///
    /// # Errors
    /// [`Error::CardMissing`], [`Error::CardRefused`].
    pub fn check(&self) -> Result<(), Error> {
        self.operator.check()?;
        self.administrator.check()
    }

    /// The operator card's certificate: who signs packages.
    pub fn operator(&self) -> &Certificate {
        self.operator.card().certificate()
    }

    /// The administrator card's certificate.
    pub fn administrator(&self) -> &Certificate {
        self.administrator.card().certificate()
    }

    /// Signs with both cards, each with a SignerInfo of its own.
    pub(crate) fn sign_by_both(&self, content: &[u8], at: i64) -> Result<Vec<u8>, Error> {
        self.check()?;
        let both = [self.operator.signatory(), self.administrator.signatory()];
        pki::cms::sign_by_both(content, both, at).map_err(|error| Error::Signing {
            card: "operator or administrator".to_owned(),
            why: error.to_string(),
        })
    }

    /// Signs with the operator card, while both are there.
    pub(crate) fn sign(&self, content: &[u8], at: i64) -> Result<Vec<u8>, Error> {
        self.administrator.check()?;
        self.operator.sign(content, at)
    }
}

/// What two cards of two people would not share.
pub(crate) fn in_common(one: &Certificate, other: &Certificate) -> Option<&'static str> {
    if one.der() == other.der() {
        Some("certificate")
    } else if one.spki_der() == other.spki_der() {
        Some("key")
    } else if one.subject() == other.subject() {
        Some("subject")
    } else {
        None
    }
}
