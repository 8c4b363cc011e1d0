//! Collected packages and approvals (2-wire.md section 6).

use base64ct::{Base64, Encoding};
use pki::cms;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::{
    estate::{ESTATE, Person, now},
    raw::Raw,
};

pub(crate) const COLLECTED_AT: &str = "2026-11-20T12:00:00Z";

/// One terminal, collected under the estate's work certificate.
pub(crate) fn entry(terminal: &Raw) -> Value {
    entry_of(terminal, &terminal.ciphertext(ESTATE.work.certificate.spki_der()))
}

pub(crate) fn entry_of(terminal: &Raw, ciphertext: &[u8]) -> Value {
    let mut entry = json!({
        "sn": terminal.sn,
        "vendor": "KF",
        "model": "SIM-1",
        "ctk_pu": Base64::encode_string(ciphertext),
        "work_certificate_sha256": ESTATE.work.certificate.sha256_hex(),
    });
    if let Some(pin_pad) = &terminal.pin_pad {
        entry["pin_pad_sn"] = json!(pin_pad);
    }
    entry
}

/// A terminal with any 80 (or other) bytes in the place of its TK.
pub(crate) fn entry_with_clear(sn: &str, clear: &[u8]) -> Value {
    let work = paycrypto::rsa::PublicKey::from_spki(ESTATE.work.certificate.spki_der()).unwrap();
    entry_of(&Raw::new(sn), &work.oaep_encrypt(clear).unwrap())
}

/// The same entry, asking to replace what is known.
pub(crate) fn replacing(mut entry: Value) -> Value {
    entry["replaces"] = json!(true);
    entry
}

pub(crate) fn package(terminals: &[Value]) -> Value {
    json!({ "version": 1, "station": "station 7", "collected_at": COLLECTED_AT, "terminals": terminals })
}

/// CMS over the text of `content`.
pub(crate) fn signed(person: &Person, content: &Value) -> Vec<u8> {
    signed_bytes(person, content.to_string().as_bytes())
}

pub(crate) fn signed_bytes(person: &Person, content: &[u8]) -> Vec<u8> {
    cms::sign(content, person.key(), &person.certificate, &[], now()).unwrap()
}

/// 20 hex digits of SHA-256(SN ‖ Ctk_Pu).
pub(crate) fn fingerprint(entry: &Value) -> String {
    let ciphertext = Base64::decode_vec(entry["ctk_pu"].as_str().unwrap()).unwrap();
    let digest = Sha256::digest([entry["sn"].as_str().unwrap().as_bytes(), &ciphertext].concat());
    digest[..10].iter().map(|byte| format!("{byte:02X}")).collect()
}

/// What an administrator signs.
pub(crate) fn approval(act: &str, id: i64, sn: &str, fingerprint: &str) -> Value {
    json!({ "version": 1, "act": act, "id": id, "sn": sn, "fingerprint": fingerprint, "approved_at": COLLECTED_AT })
}
