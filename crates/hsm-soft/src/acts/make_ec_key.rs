//! Key pairs of suite 02: each made for one use, with its request for a certificate.

use hsm::{
    Refusal,
    commands::{EcKeyKind, MakeEcKey, WorkKey},
};
use paycrypto::ec::SigningKey;
use pki::{Name, Scheme, SignError, Signer};

use crate::{SoftHsm, lmk::Binding, purpose::Purpose};

pub(crate) fn make_ec_key(hsm: &SoftHsm, command: &MakeEcKey) -> Result<WorkKey, Refusal> {
    let not_made = |e: &dyn std::fmt::Display| Refusal::NotMade { why: e.to_string() };
    let subject =
        Name::new(&command.subject, None).map_err(|e| Refusal::Malformed { what: e.to_string() })?;
    // Also a key for key agreement signs this once: a request is signed with the key that it is for.
    let key = SigningKey::generate().map_err(|e| not_made(&e))?;
    let signer = RequestSigner { public: key.spki_der(), key: &key };
    let request = pki::csr::build(&subject, &signer).map_err(|e| not_made(&e))?;
    let bound = Binding { place: None, owner: &command.owner, tk_hash: None };
    let scalar = key.expose().map_err(|e| not_made(&e))?;
    let private = hsm.lmk.wrap(purpose_of(command.kind), bound, &*scalar)?;
    Ok(WorkKey { private, public: signer.public, request })
}

/// The purpose of a key pair's block.
pub(super) fn purpose_of(kind: EcKeyKind) -> Purpose {
    match kind {
        EcKeyKind::KmsAgreement => Purpose::KmsAgreement,
        EcKeyKind::RksSigning => Purpose::RksSigning,
        EcKeyKind::KldSigning => Purpose::KldSigning,
    }
}

/// Signs a new key's certificate request.
struct RequestSigner<'a> {
    key: &'a SigningKey,
    public: Vec<u8>,
}

impl Signer for RequestSigner<'_> {
    fn spki_der(&self) -> &[u8] {
        &self.public
    }

    fn sign(&self, scheme: Scheme, message: &[u8]) -> Result<Vec<u8>, SignError> {
        match scheme {
            Scheme::EcdsaP256Sha256 => self
                .key
                .sign(message)
                .map(Vec::from)
                .map_err(|_| SignError::new("the new key cannot sign its request")),
            Scheme::Pkcs1Sha256 | Scheme::PssSha256 => {
                Err(SignError::new("a P-256 key signs with ECDSA alone"))
            }
        }
    }
}
