//! Signing with a key on a token.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use cryptoki::error::Error as Pkcs11Error;
use cryptoki::mechanism::rsa::{PkcsMgfType, PkcsPssParams};
use cryptoki::mechanism::{Mechanism, MechanismType};
use cryptoki::object::{Attribute, ObjectClass, ObjectHandle};
use cryptoki::session::{Session, SessionState};
use cryptoki::slot::Slot;
use pki::{KeyFamily, Scheme, SignError, Signer, verify_signature};
use zeroize::Zeroizing;

use crate::error::Error;

use super::keys::{self, PrivateKey, sha256};
use super::module::{Entered, KeptOpen, Module};
use super::slot::Identity;
use super::{Token, fault, login};

/// DigestInfo of SHA-256 up to the digest (RFC 8017 section 9.2, note 1).
const SHA256_DIGEST_INFO: &[u8] = &[
    0x30, 0x31, 0x30, 0x0D, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01, 0x05, 0x00,
    0x04, 0x20,
];
/// Bytes of a SHA-256 digest, and of the salt of PSS (2-wire.md section 2, DF49).
const SALT_LEN: u8 = 32;
/// What a token signs when it is opened, so that a key that is not its certificate's is found before any work is done.
/// No signature of ours is over a text that begins like this.
const PROOF: &[u8] = b"KF token: proof of the key, no signature of anything else";

/// A key on a token that was opened with its PIN. Every signature is verified before it is given away. Dropping the last
/// signer of a token logs it out.
pub struct TokenSigner {
    module: Arc<Module>,
    identity: Identity,
    key: PrivateKey,
    mechanisms: Vec<MechanismType>,
    /// Kept only for a key that wants it for each signature, and until the token refuses it.
    pin: Mutex<Option<Zeroizing<String>>>,
    /// Taken at the end, inside the module's gate.
    session: Mutex<Option<Open>>,
    _open: KeptOpen,
}

struct Open {
    session: Session,
    key: ObjectHandle,
}

impl TokenSigner {
    pub(super) fn open(token: &Token, pin: &str) -> Result<Self, Error> {
        let signer = {
            let entered = token.module.enter();
            let slot = entered.slot_of(&token.identity)?;
            let session = entered.session(slot).map_err(fault::of(token.label(), "open a session"))?;
            login::user(&entered, slot, &session, token.label(), pin)?;
            let key = keys::find(&session, &token.uri)?;
            Self::new(token, &entered, slot, session, key, pin)?
        };
        if !signer.key.proven {
            let proof = signer.sign(signer.key.family.proof_scheme(), PROOF);
            proof.map_err(|error| Error::TokenKey {
                token: token.label().to_owned(),
                why: error.reason().to_owned(),
            })?;
        }
        Ok(signer)
    }

    /// A key that was found in a session that is logged in.
    pub(super) fn new(
        token: &Token,
        entered: &Entered<'_>,
        slot: Slot,
        session: Session,
        key: PrivateKey,
        pin: &str,
    ) -> Result<Self, Error> {
        let mechanisms = entered
            .context()
            .get_mechanism_list(slot)
            .map_err(fault::of(token.label(), "list what it can do"))?;
        let pin = key.asks_each_time.then(|| Zeroizing::new(pin.to_owned()));
        let open = Open { session, key: key.handle };
        Ok(Self {
            module: Arc::clone(&token.module),
            identity: token.identity.clone(),
            key,
            mechanisms,
            pin: Mutex::new(pin),
            session: Mutex::new(Some(open)),
            _open: token.module.keep_open(),
        })
    }

    /// Which kind of key it is.
    #[must_use]
    pub fn family(&self) -> KeyFamily {
        self.key.family
    }

    /// The label of the key on its token, where it is text.
    #[must_use]
    pub fn label(&self) -> Option<&str> {
        std::str::from_utf8(&self.key.label).ok()
    }

    /// Whether it still signs: a token that was taken out, if only for a moment, ended the session that was opened with the
    /// PIN, and whoever gave a wrong PIN in this program logged it out. Asks the module anew each time.
    #[must_use]
    pub fn is_open(&self) -> bool {
        let _entered = self.module.enter();
        let held = self.session.lock().unwrap_or_else(PoisonError::into_inner);
        let state = held.as_ref().and_then(|open| open.session.get_session_info().ok());
        state.is_some_and(|info| matches!(info.session_state(), SessionState::RoUser | SessionState::RwUser))
    }

    fn offers(&self, mechanism: MechanismType) -> bool {
        self.mechanisms.contains(&mechanism)
    }

    /// The mechanism for a scheme, and what it is given: the message, or the digest where the token does not hash.
    fn how(&self, scheme: Scheme, message: &[u8]) -> Result<(Mechanism<'static>, Vec<u8>), SignError> {
        let family = match scheme {
            Scheme::Pkcs1Sha256 | Scheme::PssSha256 => KeyFamily::Rsa,
            Scheme::EcdsaP256Sha256 => KeyFamily::P256,
        };
        if family != self.key.family {
            return Err(SignError::new(format!(
                "the token holds a key of the other kind, {}",
                self.key.family
            )));
        }
        let pss = PkcsPssParams {
            hash_alg: MechanismType::SHA256,
            mgf: PkcsMgfType::MGF1_SHA256,
            s_len: u64::from(SALT_LEN).into(),
        };
        let digest_info = || [SHA256_DIGEST_INFO, &sha256(message)].concat();
        let ways = match scheme {
            Scheme::Pkcs1Sha256 => [
                (MechanismType::SHA256_RSA_PKCS, Mechanism::Sha256RsaPkcs, true),
                (MechanismType::RSA_PKCS, Mechanism::RsaPkcs, false),
            ],
            Scheme::PssSha256 => [
                (MechanismType::SHA256_RSA_PKCS_PSS, Mechanism::Sha256RsaPkcsPss(pss), true),
                (MechanismType::RSA_PKCS_PSS, Mechanism::RsaPkcsPss(pss), false),
            ],
            Scheme::EcdsaP256Sha256 => [
                (MechanismType::ECDSA_SHA256, Mechanism::EcdsaSha256, true),
                (MechanismType::ECDSA, Mechanism::Ecdsa, false),
            ],
        };
        let way = ways.into_iter().find(|(kind, _, _)| self.offers(*kind));
        let Some((kind, mechanism, hashes)) = way else {
            return Err(SignError::new(format!(
                "the token {} does not offer this kind of signature ({scheme:?}): use another kind of token",
                self.identity.label
            )));
        };
        let input = match (hashes, kind) {
            (true, _) => message.to_vec(),
            (false, MechanismType::RSA_PKCS) => digest_info(),
            (false, _) => sha256(message),
        };
        Ok((mechanism, input))
    }

    fn raw(&self, open: &Open, mechanism: &Mechanism<'_>, input: &[u8]) -> Result<Vec<u8>, Pkcs11Error> {
        if !self.key.asks_each_time {
            return open.session.sign(mechanism, open.key, input);
        }
        let mut kept = self.pin.lock().unwrap_or_else(PoisonError::into_inner);
        open.session.sign_init(mechanism, open.key)?;
        let pin = kept.as_deref().map(String::as_str).filter(|pin| !pin.is_empty());
        if let Err(error) = login::once(&open.session, pin) {
            if fault::is_refused_pin(&error) {
                // The PIN was changed meanwhile, or mistyped at the reader: a second signature would cost a second try.
                *kept = None;
            }
            return Err(error);
        }
        open.session.sign_update(input)?;
        open.session.sign_final()
    }

    /// The key's handle now, after somebody in this program logged the token out and in again.
    fn find_again(&self, open: &Open) -> Option<ObjectHandle> {
        let template = [
            Attribute::Class(ObjectClass::PRIVATE_KEY),
            Attribute::Id(self.key.id.clone()),
            Attribute::Label(self.key.label.clone()),
        ];
        let mut found = open.session.iter_objects(&template).ok()?.filter_map(Result::ok);
        match (found.next(), found.next()) {
            (Some(key), None) => Some(key),
            _ => None,
        }
    }

    fn failed(&self, error: &Pkcs11Error) -> SignError {
        let label = &self.identity.label;
        if fault::is_gone(error) {
            SignError::new(format!("the token {label} was taken out: insert it again and open it anew"))
        } else if fault::is_stale(error) {
            SignError::new(format!("the token {label} is logged out: open it anew with its PIN"))
        } else {
            SignError::new(format!("the token {label} did not sign: {}", fault::why(error)))
        }
    }
}

impl Signer for TokenSigner {
    fn spki_der(&self) -> &[u8] {
        &self.key.spki
    }

    fn sign(&self, scheme: Scheme, message: &[u8]) -> Result<Vec<u8>, SignError> {
        let (mechanism, input) = self.how(scheme, message)?;
        let entered = self.module.enter();
        // A module may sign on for a token that is no longer there.
        entered.slot_of(&self.identity).map_err(|error| SignError::new(error.to_string()))?;
        let mut held = self.session.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(open) = held.as_mut() else { return Err(SignError::new("the token is closed")) };
        if self.key.asks_each_time && self.pin.lock().unwrap_or_else(PoisonError::into_inner).is_none() {
            return Err(SignError::new(format!(
                "the token {} refused its PIN for a signature, and it is not tried again: open it anew with its PIN",
                self.identity.label
            )));
        }
        let mut signature = self.raw(open, &mechanism, &input);
        if signature.as_ref().is_err_and(fault::is_stale)
            && let Some(key) = self.find_again(open)
        {
            open.key = key;
            signature = self.raw(open, &mechanism, &input);
        }
        let signature = signature.map_err(|error| self.failed(&error))?;
        // Another key than the certificate's, or a fault while it was computed, which could give the key away.
        verify_signature(&self.key.spki, scheme, message, &signature).map_err(|_| {
            SignError::new(format!(
                "the token {} made a signature that is not its public key's: do not use it any more",
                self.identity.label
            ))
        })?;
        Ok(signature)
    }
}

impl Drop for TokenSigner {
    fn drop(&mut self) {
        let _entered = self.module.enter();
        drop(self.session.lock().unwrap_or_else(PoisonError::into_inner).take());
    }
}

/// Shows whose it is; never what it was opened with.
impl fmt::Debug for TokenSigner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenSigner").field("identity", &self.identity).finish_non_exhaustive()
    }
}

/// How a key of each family signs its proof.
trait ProofScheme {
    fn proof_scheme(self) -> Scheme;
}

impl ProofScheme for KeyFamily {
    fn proof_scheme(self) -> Scheme {
        match self {
            Self::Rsa => Scheme::Pkcs1Sha256,
            Self::P256 => Scheme::EcdsaP256Sha256,
        }
    }
}
