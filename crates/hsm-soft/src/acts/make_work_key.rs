use hsm::{
    Refusal,
    commands::{MakeWorkKey, WorkKey},
};
use paycrypto::rsa::PrivateKey;
use pki::{Name, Scheme, SignError, Signer};

use crate::{SoftHsm, lmk::Binding, purpose::Purpose};

const SIZES: [u32; 3] = [2048, 3072, 4096];

pub(crate) fn make_work_key(hsm: &SoftHsm, command: &MakeWorkKey) -> Result<WorkKey, Refusal> {
    if !SIZES.contains(&command.bits) {
        return Err(Refusal::Malformed {
            what: format!("{} bits: work keys have 2048, 3072 or 4096", command.bits),
        });
    }
    let not_made = |e: &dyn std::fmt::Display| Refusal::NotMade { why: e.to_string() };
    let key = PrivateKey::generate(command.bits).map_err(|e| not_made(&e))?;
    let subject =
        Name::new(&command.subject, None).map_err(|e| Refusal::Malformed { what: e.to_string() })?;
    let request = pki::csr::build(&subject, &RequestSigner(&key)).map_err(|e| not_made(&e))?;
    let bound = Binding { place: None, owner: &command.owner, tk_hash: None };
    let private = hsm.lmk.wrap(Purpose::KmsWork, bound, &key.to_pkcs8())?;
    Ok(WorkKey { private, public: key.spki_der().to_vec(), request })
}

/// Signs the one thing a work key ever signs: its own certificate request.
struct RequestSigner<'a>(&'a PrivateKey);

impl Signer for RequestSigner<'_> {
    fn spki_der(&self) -> &[u8] {
        self.0.spki_der()
    }

    fn sign(&self, scheme: Scheme, message: &[u8]) -> Result<Vec<u8>, SignError> {
        match scheme {
            Scheme::Pkcs1Sha256 => self
                .0
                .sign_pkcs1_sha256(message)
                .map_err(|_| SignError::new("the work key cannot sign its request")),
            Scheme::PssSha256 => Err(SignError::new("a certificate request is signed with PKCS #1")),
        }
    }
}
