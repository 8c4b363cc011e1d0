use hsm::{
    Refusal,
    commands::{SignTls, TlsScheme},
};

use crate::{SoftHsm, purpose::Purpose};

pub(crate) fn sign_tls(hsm: &SoftHsm, command: &SignTls) -> Result<Vec<u8>, Refusal> {
    let key = hsm.key_pairs.open(&hsm.lmk, &command.key, Purpose::TlsServer, &command.owner)?;
    match command.scheme {
        TlsScheme::PssSha256 => key.sign_pss_sha256(&command.message),
        TlsScheme::Pkcs1Sha256 => key.sign_pkcs1_sha256(&command.message),
    }
    .map_err(|e| Refusal::NotMade { why: e.to_string() })
}
