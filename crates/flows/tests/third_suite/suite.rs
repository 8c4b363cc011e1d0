//! The suite: parts as large as ML-KEM-768 makes them, and toys for cryptography. Nothing here is a secret.

use keyferry_flows::{
    EcAes, ProtocolError, Suite,
    collect::CollectSuite,
    local_load::LoadSuite,
    rks_load::RksSuite,
    sign_in::{SignInSuite, messages::Mac},
    suite::{Confirmation, Part, Receipt},
    tmk_download::DownloadSuite,
    tms_session::TmsSuite,
};
use sha2::{Digest, Sha256};
use wire::{Fields, Frame, Kcv, Malformed, MessageType, Tag};

/// A suite that the product does not have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Later;

impl Suite for Later {
    const ID: wire::Suite = wire::Suite::new(0x7E);
    type Confirmation = Receipt;
    type Done = Receipt;

    fn read(frame: &Frame, expected: MessageType) -> Result<Fields, ProtocolError> {
        EcAes::read(frame, expected)
    }

    fn write(message: MessageType, fields: Fields) -> Result<Frame, ProtocolError> {
        EcAes::write(message, fields)
    }

    fn confirms(_: &Receipt, _: usize) -> Result<(), Malformed> {
        Ok(())
    }

    fn has_kcv(kcv: Kcv) -> bool {
        matches!(kcv, Kcv::Aes(_))
    }

    fn push_done(done: &Receipt, fields: &mut Fields) -> Result<(), Malformed> {
        done.push(fields)
    }

    fn check_done(fields: &Fields) -> Result<(), Malformed> {
        Receipt::read(fields).map(drop)
    }
}

/// An encapsulation key: what the opener has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Encapsulate(pub(crate) Vec<u8>);

/// A ciphertext, and the proof of whoever made it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Encapsulated {
    pub(crate) ciphertext: Vec<u8>,
    pub(crate) proof: Confirmation,
}

/// Bytes of ML-KEM-768's encapsulation keys and ciphertexts (FIPS 203, table 3).
pub(crate) const KEY: usize = 1184;
pub(crate) const CIPHERTEXT: usize = 1088;

/// Tags that the specification leaves free.
fn free(number: u16) -> Tag {
    Tag::new(number).unwrap()
}

fn sized(fields: &Fields, number: u16, length: usize) -> Result<Vec<u8>, Malformed> {
    let tag = free(number);
    let value = fields.required(tag)?;
    if value.len() == length {
        Ok(value.to_vec())
    } else {
        Err(Malformed::FieldLength { tag, found: value.len() })
    }
}

impl Part for Encapsulate {
    fn read(fields: &Fields) -> Result<Self, Malformed> {
        sized(fields, 0xDF1B, KEY).map(Encapsulate)
    }

    fn push(&self, fields: &mut Fields) -> Result<(), Malformed> {
        fields.push(free(0xDF1B), &self.0)
    }
}

impl Part for Encapsulated {
    fn read(fields: &Fields) -> Result<Self, Malformed> {
        Ok(Encapsulated { ciphertext: sized(fields, 0xDF1C, CIPHERTEXT)?, proof: Part::read(fields)? })
    }

    fn push(&self, fields: &mut Fields) -> Result<(), Malformed> {
        fields.push(free(0xDF1C), &self.ciphertext)?;
        self.proof.push(fields)
    }
}

/// A key block beside a proof: KLD_KEY.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ProvenBlock {
    pub(crate) block: String,
    pub(crate) proof: Confirmation,
}

impl Part for ProvenBlock {
    fn read(fields: &Fields) -> Result<Self, Malformed> {
        let block = String::from_utf8(fields.required(Tag::KEY_BLOCK)?.to_vec());
        let block = block.map_err(|_| Malformed::FieldValue { tag: Tag::KEY_BLOCK })?;
        Ok(ProvenBlock { block, proof: Part::read(fields)? })
    }

    fn push(&self, fields: &mut Fields) -> Result<(), Malformed> {
        fields.push(Tag::KEY_BLOCK, self.block.as_bytes())?;
        self.proof.push(fields)
    }
}

/// What makes a SIGN_IN fresh.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Fresh(pub(crate) [u8; 32]);

impl AsRef<[u8]> for Fresh {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl Part for Fresh {
    fn read(fields: &Fields) -> Result<Self, Malformed> {
        fields.exactly(Tag::NONCE).map(Fresh)
    }

    fn push(&self, fields: &mut Fields) -> Result<(), Malformed> {
        fields.push(Tag::NONCE, &self.0)
    }
}

impl CollectSuite for Later {
    type Nonce = Encapsulate;
    type Maker = Confirmation;

    fn seals_in(bytes: usize) -> bool {
        bytes == CIPHERTEXT
    }
}

impl DownloadSuite for Later {
    type Opening = Encapsulate;
    type Challenge = Encapsulated;
    type Reply = Confirmation;
}

impl LoadSuite for Later {
    type Opening = Encapsulate;
    type Answer = Encapsulated;
    type Key = ProvenBlock;
}

impl RksSuite for Later {
    type Opening = Encapsulate;
    type Answer = Encapsulated;
    type Factor = Encapsulate;
    type Token = Confirmation;
    type Proof = Confirmation;
}

impl TmsSuite for Later {
    const DWK_MODE: u8 = 0x7E;
    type Opening = Encapsulate;
    type Challenge = Encapsulated;
    type Proof = Confirmation;
    type Key = Receipt;
}

impl SignInSuite for Later {
    type Fresh = Fresh;
    type Mac = Mac<16>;
}

/// A toy proof over what was said: both sides "know" the word.
pub(crate) fn toy(word: &str, said: &[u8]) -> [u8; 32] {
    Sha256::new().chain_update(word).chain_update(said).finalize().into()
}

/// The check value of the toys' one key.
pub(crate) fn kcv() -> Kcv {
    Kcv::Aes([1, 2, 3, 4, 5])
}
