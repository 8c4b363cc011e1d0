//! Suite 02 written from 3-hardened.md alone: transcripts, keys and receipts of a run. It shares no code with the product
//! but what AWS-LC gives to both: P-256, HMAC, AES-GCM.

use aws_lc_rs::{
    aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey},
    agreement::{ECDH_P256, PrivateKey, UnparsedPublicKey, agree},
    digest::{SHA256, digest},
    encoding::{AsDer, PublicKeyX509Der},
    hmac,
    rand::SystemRandom,
    signature::{self, ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _},
};
use keyblock::{Kbpk, Version};
use paycrypto::{AesKey, mac::cmac_aes};
use pki::{Scheme, SignError, Signer};

use super::{
    rks::hex,
    tlv::{self, Message, field, frame},
};

/// Tags of 3-hardened.md.
pub(crate) const POINT: u16 = 0xDF13;
pub(crate) const NONCE: u16 = 0xDF14;
pub(crate) const CONFIRMATION: u16 = 0xDF15;
pub(crate) const SIGNATURE: u16 = 0xDF16;
pub(crate) const RECEIPT: u16 = 0xDF17;
pub(crate) const ENCRYPTED: u16 = 0xDF19;

/// A P-256 key that signs: a card's, a CA's.
pub(crate) struct EcKey {
    pair: EcdsaKeyPair,
    spki: Vec<u8>,
}

impl EcKey {
    pub(crate) fn new() -> EcKey {
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
        let spki: PublicKeyX509Der<'_> = pair.public_key().as_der().unwrap();
        let spki = spki.as_ref().to_vec();
        EcKey { pair, spki }
    }
}

impl Signer for EcKey {
    fn spki_der(&self) -> &[u8] {
        &self.spki
    }

    fn sign(&self, scheme: Scheme, message: &[u8]) -> Result<Vec<u8>, SignError> {
        assert_eq!(scheme, Scheme::EcdsaP256Sha256);
        Ok(self.pair.sign(&SystemRandom::new(), message).unwrap().as_ref().to_vec())
    }
}

/// One side's ephemeral key and nonce.
pub(crate) struct Side {
    private: PrivateKey,
    pub(crate) point: Vec<u8>,
    pub(crate) nonce: [u8; 32],
}

impl Side {
    pub(crate) fn new() -> Side {
        let private = PrivateKey::generate(&ECDH_P256).unwrap();
        let point = private.compute_public_key().unwrap().as_ref().to_vec();
        Side { private, point, nonce: random() }
    }

    /// One whose secret number everybody knows.
    pub(crate) fn of(number: &[u8; 32]) -> Side {
        let private = PrivateKey::from_private_key(&ECDH_P256, number).unwrap();
        let point = private.compute_public_key().unwrap().as_ref().to_vec();
        Side { private, point, nonce: random() }
    }

    /// DF13 and DF14.
    pub(crate) fn fields(&self) -> Vec<u8> {
        [field(POINT, &self.point), field(NONCE, &self.nonce)].concat()
    }

    /// Z.
    fn agree(&self, point: &[u8]) -> Vec<u8> {
        let peer = UnparsedPublicKey::new(&ECDH_P256, point);
        agree(&self.private, peer, "no point", |z| Ok(z.to_vec())).unwrap()
    }
}

/// The keys of one run, on the opener's side.
pub(crate) struct Keys {
    letter: u8,
    prk: [u8; 32],
    th12: [u8; 32],
}

impl Keys {
    /// Keys of a run whose messages 1 and 2 are `said`, message 2 without its proof.
    pub(crate) fn new(letter: u8, shared: &[u8], own: &Side, answer: &Message, said: &[u8]) -> Keys {
        let salt = [&own.nonce[..], answer.get(NONCE)].concat();
        let z = own.agree(answer.get(POINT));
        Keys { letter, prk: hmac_of(&salt, &[shared, &z].concat()), th12: th(letter, said) }
    }

    /// The same on the answerer's side, whose ephemeral key is `own`.
    pub(crate) fn answering(letter: u8, shared: &[u8], own: &Side, opening: &Message, said: &[u8]) -> Keys {
        let salt = [opening.get(NONCE), &own.nonce[..]].concat();
        let z = own.agree(opening.get(POINT));
        Keys { letter, prk: hmac_of(&salt, &[shared, &z].concat()), th12: th(letter, said) }
    }

    /// K(p).
    pub(crate) fn key(&self, p: &str) -> [u8; 32] {
        expand(&self.prk, &[b"KF2 ", &[self.letter][..], b" ", p.as_bytes(), &self.th12].concat())
    }

    /// MAC under K(p) over TH of these frames.
    pub(crate) fn mac(&self, p: &str, said: &[u8]) -> [u8; 32] {
        hmac_of(&self.key(p), &th(self.letter, said))
    }

    /// A receipt for keys (index and check value), `said` being all before it.
    pub(crate) fn receipt(&self, p: &str, said: &[u8], keys: &[(u8, [u8; 5])]) -> [u8; 32] {
        let mut over = th(self.letter, said).to_vec();
        keys.iter().for_each(|(index, kcv)| {
            over.push(*index);
            over.extend(kcv);
        });
        hmac_of(&self.key(p), &over)
    }
}

/// TH.
pub(crate) fn th(letter: u8, said: &[u8]) -> [u8; 32] {
    let over = [b"KF2", &[letter][..], said].concat();
    digest(&SHA256, &over).as_ref().try_into().unwrap()
}

/// Whether a raw signature is over this transcript.
pub(crate) fn is_signed(spki: &[u8], letter: u8, said: &[u8], signed: &[u8]) -> bool {
    let over = [b"KF2", &[letter][..], said].concat();
    let point = &spki[spki.len() - 65..];
    signature::UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point).verify(&over, signed).is_ok()
}

pub(crate) fn hmac_of(key: &[u8], data: &[u8]) -> [u8; 32] {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), data).as_ref().try_into().unwrap()
}

/// HKDF-Expand to 32 bytes, which is one step.
pub(crate) fn expand(prk: &[u8], info: &[u8]) -> [u8; 32] {
    hmac_of(prk, &[info, &[1]].concat())
}

/// AES-256-GCM with a nonce of 4 zero bytes and this number.
pub(crate) fn seal(key: &[u8; 32], number: u64, aad: &[u8], clear: &[u8]) -> Vec<u8> {
    let mut sealed = clear.to_vec();
    gcm(key).seal_in_place_append_tag(nonce(number), Aad::from(aad), &mut sealed).unwrap();
    sealed
}

/// The same back; nothing when it does not open.
pub(crate) fn unseal(key: &[u8; 32], number: u64, aad: &[u8], sealed: &[u8]) -> Option<Vec<u8>> {
    let mut sealed = sealed.to_vec();
    let clear = gcm(key).open_in_place(nonce(number), Aad::from(aad), &mut sealed).ok()?;
    Some(clear.to_vec())
}

fn gcm(key: &[u8; 32]) -> LessSafeKey {
    LessSafeKey::new(UnboundKey::new(&AES_256_GCM, key).unwrap())
}

fn nonce(number: u64) -> Nonce {
    let mut nonce = [0; 12];
    nonce[4..].copy_from_slice(&number.to_be_bytes());
    Nonce::assume_unique_for_key(nonce)
}

/// The check value of an AES key.
pub(crate) fn kcv(key: &[u8]) -> [u8; 5] {
    cmac_aes(&AesKey::from_bytes(key).unwrap(), &[0; 16])[..5].try_into().unwrap()
}

/// A message as it is without one of its fields.
pub(crate) fn without(message: &Message, tag: u16) -> Vec<u8> {
    let fields = message.fields.iter().filter(|(found, _)| *found != tag);
    let fields: Vec<_> = fields.map(|(tag, value)| field(*tag, value)).collect();
    frame(message.kind, &fields.concat())
}

/// Fields in ascending order, as every message of this suite has them.
pub(crate) fn assert_ascending(message: &Message) {
    assert!(message.fields.is_sorted_by_key(|(tag, _)| *tag), "{message:02X?}");
}

/// A key that came in a block of this suite.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct EcKeyReceived {
    pub(crate) slot: u8,
    pub(crate) usage: String,
    pub(crate) key: Vec<u8>,
    pub(crate) kcv: [u8; 5],
    pub(crate) block: String,
    /// The load counter of a TMK.
    pub(crate) counter: Option<u64>,
}

/// Opens a key block under K(kbpk) or a TMK: every character of its header is as the specification has it.
pub(crate) fn open_block(under: &[u8], block: &str, serial: &str, said: &[u8]) -> EcKeyReceived {
    let opened = Kbpk::new(Version::D, under).unwrap().unwrap(block).expect("the block opens");
    let place = opened.header.optional("10").unwrap().to_owned();
    let slot: u8 = place.strip_prefix(&format!("{serial}/")).unwrap().parse().unwrap();
    let context = hex(&digest(&SHA256, said).as_ref()[..16]);
    let mut bound = format!("10{:02X}{place}1124{context}", 4 + place.len());
    let usage = block[5..7].to_owned();
    let counter = (&block[5..12] == "K1AB00N").then(|| {
        let text = opened.header.optional("12").expect("a TMK has its load counter");
        assert_eq!(text.len(), 16);
        bound.push_str(&format!("1214{text}"));
        u64::from_str_radix(text, 16).unwrap()
    });
    assert!(["K1AB00N", "P0AE00N", "M6AC00N", "D0AE00N"].contains(&&block[5..12]), "{block}");
    assert_eq!(block[..5], format!("D{:04}", block.len()));
    assert_eq!(block[16..16 + bound.len()], bound, "place, context, and what belongs to the usage");
    let key = opened.key.to_vec();
    assert_eq!(key.len(), 16, "AES-128");
    EcKeyReceived { slot, usage, kcv: kcv(&key), key, block: block.to_owned(), counter }
}

/// KEY_CONFIRM with this receipt.
pub(crate) fn confirm(receipt: &[u8]) -> Vec<u8> {
    frame(tlv::CONFIRM, &field(RECEIPT, receipt))
}

pub(crate) fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    aws_lc_rs::rand::fill(&mut bytes).unwrap();
    bytes
}
