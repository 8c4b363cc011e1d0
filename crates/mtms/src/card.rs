//! The card that signs batches.

use pki::{KeyFamily, Role, Signer, Verified, cms};
use station::Card;

use crate::{Error, clock};

/// A card of role `.6`, opened: it signs what this MTMS hands out.
pub struct SigningCard {
    card: Box<dyn Card>,
    signer: Box<dyn Signer + Send + Sync>,
}

impl SigningCard {
    /// Opens the card with its PIN. `verified` is its certificate, checked for the role `.6`: a PIN is tried on no other.
    ///
    /// # Errors
    /// [`Error::CardRole`], [`Error::CardOther`], [`Error::Card`].
    pub fn open(card: Box<dyn Card>, pin: &str, verified: &Verified) -> Result<Self, Error> {
        if verified.certificate() != card.certificate() {
            return Err(Error::CardOther { card: card.name().to_owned() });
        }
        let refused = |why: String| Error::CardRole { card: card.name().to_owned(), why };
        if verified.role() != Role::Mtms {
            return Err(refused(format!("it was checked for the role {}", verified.role())));
        }
        // In suite 02 the role's other certificates are for key agreement.
        if KeyFamily::of(verified.certificate().spki_der()) == Ok(KeyFamily::P256) {
            verified.signing_key().map_err(|refusal| refused(refusal.to_string()))?;
        }
        let signer = card.open(pin)?;
        if signer.spki_der() != card.certificate().spki_der() {
            return Err(Error::CardOther { card: card.name().to_owned() });
        }
        Ok(Self { card, signer })
    }

    /// Whose card it is.
    #[must_use]
    pub fn subject(&self) -> String {
        self.card.certificate().subject().to_string()
    }

    /// Whether it signed with this certificate, DER.
    pub(crate) fn is(&self, certificate: &[u8]) -> bool {
        self.card.certificate().der() == certificate
    }

    /// Signs the content of a batch, if the card is still there.
    pub(crate) fn sign(&self, content: &[u8]) -> Result<Vec<u8>, Error> {
        if !self.card.present() {
            return Err(Error::CardGone { card: self.card.name().to_owned() });
        }
        let (certificate, chain) = (self.card.certificate(), self.card.chain());
        cms::sign(content, self.signer.as_ref(), certificate, chain, clock::now_ms() / 1000)
            .map_err(|error| Error::Signing { card: self.card.name().to_owned(), why: error.to_string() })
    }
}

/// Shows whose card it is; the signer stays out of sight.
impl std::fmt::Debug for SigningCard {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SigningCard").field("subject", &self.subject()).finish_non_exhaustive()
    }
}
