use hsm::{
    Refusal,
    commands::{MakeDownloaderKey, MakeRksKey, MakeTlsKey, MakeWorkKey, WorkKey},
};
use paycrypto::rsa::PrivateKey;
use pki::{Name, Scheme, SignError, Signer};

use crate::{SoftHsm, lmk::Binding, purpose::Purpose};

const SIZES: [u32; 3] = [2048, 3072, 4096];

pub(crate) fn make_work_key(hsm: &SoftHsm, command: &MakeWorkKey) -> Result<WorkKey, Refusal> {
    make(hsm, Purpose::KmsWork, command.bits, &command.subject, &command.owner)
}

pub(crate) fn make_tls_key(hsm: &SoftHsm, command: &MakeTlsKey) -> Result<WorkKey, Refusal> {
    make(hsm, Purpose::TlsServer, command.bits, &command.subject, &command.owner)
}

pub(crate) fn make_downloader_key(hsm: &SoftHsm, command: &MakeDownloaderKey) -> Result<WorkKey, Refusal> {
    make(hsm, Purpose::KldWork, command.bits, &command.subject, &command.owner)
}

pub(crate) fn make_rks_key(hsm: &SoftHsm, command: &MakeRksKey) -> Result<WorkKey, Refusal> {
    make(hsm, Purpose::RksWork, command.bits, &command.subject, &command.owner)
}

fn make(hsm: &SoftHsm, purpose: Purpose, bits: u32, subject: &str, owner: &str) -> Result<WorkKey, Refusal> {
    if !SIZES.contains(&bits) {
        return Err(Refusal::Malformed { what: format!("{bits} bits: key pairs have 2048, 3072 or 4096") });
    }
    let not_made = |e: &dyn std::fmt::Display| Refusal::NotMade { why: e.to_string() };
    let subject = Name::new(subject, None).map_err(|e| Refusal::Malformed { what: e.to_string() })?;
    let key = PrivateKey::generate(bits).map_err(|e| not_made(&e))?;
    let request = pki::csr::build(&subject, &RequestSigner(&key)).map_err(|e| not_made(&e))?;
    let bound = Binding { place: None, owner, tk_hash: None };
    let private = hsm.lmk.wrap(purpose, bound, &key.to_pkcs8())?;
    Ok(WorkKey { private, public: key.spki_der().to_vec(), request })
}

/// Signs a new key's certificate request: for a work key the one thing that it ever signs.
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
                .map_err(|_| SignError::new("the new key cannot sign its request")),
            Scheme::PssSha256 | Scheme::EcdsaP256Sha256 => {
                Err(SignError::new("a certificate request is signed with PKCS #1"))
            }
        }
    }
}
