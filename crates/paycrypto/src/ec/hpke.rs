//! HPKE in base mode for one message (RFC 9180): DHKEM(P-256, HKDF-SHA256), HKDF-SHA256, AES-256-GCM.

use aws_lc_rs::aead::NONCE_LEN;
use zeroize::Zeroizing;

use super::aead::{GcmKey, TAG};
use super::agreement::{AgreementKey, SharedSecret};
use super::hkdf::Prk;
use super::point::{POINT, PublicPoint};
use crate::Error;

/// Bytes that sealing adds: the encapsulated key and the tag.
pub const OVERHEAD: usize = POINT + TAG;

/// In front of every label (RFC 9180 section 4).
const VERSION: &[u8] = b"HPKE-v1";
/// `"KEM" ‖ 0x0010`: DHKEM(P-256, HKDF-SHA256) (RFC 9180 sections 4.1 and 7.1).
const KEM_SUITE: &[u8] = &[b'K', b'E', b'M', 0x00, 0x10];
/// `"HPKE" ‖ 0x0010 ‖ 0x0001 ‖ 0x0002`: with HKDF-SHA256 and AES-256-GCM (RFC 9180 section 5.1).
const HPKE_SUITE: &[u8] = &[b'H', b'P', b'K', b'E', 0x00, 0x10, 0x00, 0x01, 0x00, 0x02];
/// mode_base (RFC 9180 section 5).
const MODE_BASE: &[u8] = &[0x00];

/// Seals one message to the holder of `recipient`: `enc ‖ ciphertext ‖ tag`.
///
/// # Errors
/// Those of [`AgreementKey::generate`]; [`Error::Agreement`], [`Error::Seal`].
pub fn seal(
    recipient: &PublicPoint,
    info: &[u8],
    associated: &[u8],
    plaintext: &[u8],
) -> Result<Vec<u8>, Error> {
    seal_with(&AgreementKey::generate()?, recipient, info, associated, plaintext)
}

/// [`seal`] with an ephemeral key that is given: each is used once.
fn seal_with(
    ephemeral: &AgreementKey,
    recipient: &PublicPoint,
    info: &[u8],
    associated: &[u8],
    plaintext: &[u8],
) -> Result<Vec<u8>, Error> {
    let dh = ephemeral.agree(recipient)?;
    let context = Context::new(&dh, ephemeral.public(), recipient.as_bytes(), info);
    let mut sealed = ephemeral.public().to_vec();
    sealed.append(&mut context.key()?.seal(*context.nonce, associated, plaintext)?);
    Ok(sealed)
}

/// Opens what [`seal`] gave.
///
/// # Errors
/// [`Error::Open`], whatever is wrong.
pub fn open(
    recipient: &AgreementKey,
    info: &[u8],
    associated: &[u8],
    sealed: &[u8],
) -> Result<Zeroizing<Vec<u8>>, Error> {
    let (enc, ciphertext) = sealed.split_first_chunk::<POINT>().ok_or(Error::Open)?;
    let ephemeral = PublicPoint::from_bytes(enc).map_err(|_| Error::Open)?;
    let dh = recipient.agree(&ephemeral).map_err(|_| Error::Open)?;
    let context = Context::new(&dh, enc, recipient.public(), info);
    context.key().map_err(|_| Error::Open)?.open(*context.nonce, associated, ciphertext)
}

/// Key and nonce of the first message, which is the only one.
struct Context {
    key: Zeroizing<[u8; 32]>,
    nonce: Zeroizing<[u8; NONCE_LEN]>,
}

impl Context {
    fn new(dh: &SharedSecret, enc: &[u8; POINT], recipient: &[u8; POINT], info: &[u8]) -> Self {
        Self::schedule(&encapsulated(dh, enc, recipient), info)
    }

    /// KeySchedule of RFC 9180 section 5.1 with neither psk nor psk_id.
    fn schedule(shared_secret: &[u8; 32], info: &[u8]) -> Self {
        let psk_id_hash = labeled_extract(HPKE_SUITE, &[], b"psk_id_hash", &[]);
        let info_hash = labeled_extract(HPKE_SUITE, &[], b"info_hash", info);
        let context: &[&[u8]] = &[MODE_BASE, psk_id_hash.as_slice(), info_hash.as_slice()];
        let secret = Prk::of(&labeled_extract(HPKE_SUITE, shared_secret, b"secret", &[]));
        Self {
            key: labeled_expand(&secret, HPKE_SUITE, b"key", context),
            nonce: labeled_expand(&secret, HPKE_SUITE, b"base_nonce", context),
        }
    }

    fn key(&self) -> Result<GcmKey, Error> {
        GcmKey::new(&self.key)
    }
}

/// ExtractAndExpand of RFC 9180 section 4.1.
fn encapsulated(dh: &SharedSecret, enc: &[u8; POINT], recipient: &[u8; POINT]) -> Zeroizing<[u8; 32]> {
    let prk = Prk::of(&labeled_extract(KEM_SUITE, &[], b"eae_prk", dh.expose()));
    labeled_expand(&prk, KEM_SUITE, b"shared_secret", &[enc, recipient])
}

fn labeled_extract(suite: &[u8], salt: &[u8], label: &[u8], ikm: &[u8]) -> Zeroizing<[u8; 32]> {
    Prk::extract_bytes(salt, &[VERSION, suite, label, ikm])
}

fn labeled_expand<const N: usize>(
    prk: &Prk,
    suite: &[u8],
    label: &[u8],
    info: &[&[u8]],
) -> Zeroizing<[u8; N]> {
    let [.., high, low] = N.to_be_bytes();
    let length = [high, low];
    let mut parts = vec![length.as_slice(), VERSION, suite, label];
    parts.extend_from_slice(info);
    prk.expand(&parts)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `vectors/external/hpke_rfc9180.json`, which names its origin.
    struct Vector(serde_json::Value);

    impl Vector {
        fn load() -> Self {
            let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../vectors/external/hpke_rfc9180.json");
            Self(serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap())
        }

        fn bytes(&self, name: &str) -> Vec<u8> {
            let text = self.0[name].as_str().or(self.0["encryption"][name].as_str()).unwrap();
            (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
        }

        fn key(&self, name: &str) -> AgreementKey {
            AgreementKey::from_scalar(&self.bytes(name).try_into().unwrap()).unwrap()
        }
    }

    #[test]
    fn every_value_of_the_rfcs_vector_comes_out() {
        let v = Vector::load();
        for (name, number) in [("mode", 0), ("kem_id", 0x10), ("kdf_id", 1), ("aead_id", 2)] {
            assert_eq!(v.0[name], number);
        }
        let (recipient, ephemeral) = (v.key("skRm"), v.key("skEm"));
        assert_eq!(recipient.public().as_slice(), v.bytes("pkRm"));
        assert_eq!(ephemeral.public().as_slice(), v.bytes("enc"));
        let point = PublicPoint::from_bytes(recipient.public()).unwrap();
        let dh = ephemeral.agree(&point).unwrap();
        let shared_secret = encapsulated(&dh, ephemeral.public(), recipient.public());
        assert_eq!(shared_secret.as_slice(), v.bytes("shared_secret"));
        let context = Context::schedule(&shared_secret, &v.bytes("info"));
        assert_eq!(context.key.as_slice(), v.bytes("key"));
        assert_eq!(context.nonce.as_slice(), v.bytes("base_nonce"));
        assert_eq!(v.bytes("nonce"), v.bytes("base_nonce"), "the first message has the base nonce");

        let (info, aad, plaintext) = (v.bytes("info"), v.bytes("aad"), v.bytes("pt"));
        let sealed = seal_with(&ephemeral, &point, &info, &aad, &plaintext).unwrap();
        assert_eq!(sealed, [v.bytes("enc"), v.bytes("ct")].concat());
        assert_eq!(sealed.len(), plaintext.len() + OVERHEAD);
        assert_eq!(open(&recipient, &info, &aad, &sealed).unwrap().as_slice(), plaintext);
    }

    #[test]
    fn opens_only_with_the_same_key_info_associated_data_and_bytes() {
        let key = AgreementKey::generate().unwrap();
        let point = PublicPoint::from_bytes(key.public()).unwrap();
        let sealed = seal(&point, b"info", b"aad", b"something secret").unwrap();
        assert_ne!(sealed, seal(&point, b"info", b"aad", b"something secret").unwrap());
        assert_eq!(open(&key, b"info", b"aad", &sealed).unwrap().as_slice(), b"something secret");
        let refused = |opened: Result<_, Error>| assert_eq!(opened.err(), Some(Error::Open));
        refused(open(&key, b"Info", b"aad", &sealed));
        refused(open(&key, b"info", b"", &sealed));
        refused(open(&AgreementKey::generate().unwrap(), b"info", b"aad", &sealed));
        for index in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[index] ^= 1;
            refused(open(&key, b"info", b"aad", &changed));
        }
        for len in 0..sealed.len() {
            refused(open(&key, b"info", b"aad", &sealed[..len]));
        }
    }
}
