//! What every backend must do, and refuse: one suite, run over each.
//!
//! The suite plays terminal, device and KLD's peer, with clear keys of its own. Call [`run`] with a backend that holds
//! nothing yet; it panics with the first thing that is not as it should be.
#![allow(clippy::panic, clippy::unwrap_used, clippy::expect_used, reason = "a test suite fails by panicking")]

mod batch;
mod download;
mod exchange;
mod local_load;
mod misuse;
mod pins;
mod rks_load;
mod sign_in;
mod suite_02;
mod tms;
mod zone;

pub use batch::PARTNER;
use paycrypto::{AesKey, TdesKey, rsa::PublicKey};

use crate::{
    Hsm, HsmError, KeyBlock, Refusal,
    commands::{Status, WorkKey},
};

/// The acquirer of all keys of the suite.
pub const OWNER: &str = "ACQ-1";

const PAD: &str = "SN-1001";
const CONTEXT: [u8; 16] = [0xC0; 16];

/// A key agreed by components: the backend enters it in its own way, and tells the suite.
pub struct Exchange {
    /// The key under the backend's LMK, of [`OWNER`].
    pub block: KeyBlock,
    /// The key in clear, 24 bytes.
    pub key: TdesKey,
}

/// An AES exchange key agreed by components, for keys of suite 02.
pub struct ExchangeAes {
    /// The key under the backend's LMK, of [`OWNER`].
    pub block: KeyBlock,
    /// The key in clear, 32 bytes.
    pub key: AesKey,
}

/// A zone master key agreed by components.
pub struct ZoneMaster<K> {
    /// The key under the backend's LMK, of [`OWNER`].
    pub block: KeyBlock,
    /// The key in clear.
    pub key: K,
}

/// A key agreed with [`PARTNER`], for batches.
pub struct Agreed<K> {
    /// The key under the backend's LMK, of [`OWNER`].
    pub block: KeyBlock,
    /// The key in clear.
    pub key: K,
}

/// The keys agreed with [`PARTNER`].
pub struct BatchKeys {
    /// PK, 24 bytes.
    pub pk: Agreed<TdesKey>,
    /// MAK, 24 bytes.
    pub mak: Agreed<TdesKey>,
    /// PK of suite 02, 32 bytes.
    pub pk_aes: Agreed<AesKey>,
    /// MAK of suite 02, 32 bytes.
    pub mak_aes: Agreed<AesKey>,
}

/// The keys that people enter.
pub struct Entered {
    /// Between KLD and KMS.
    pub exchange: Exchange,
    /// Between KLD and KMS, for keys of suite 02.
    pub exchange_aes: ExchangeAes,
    /// Of a TDES zone, 24 bytes.
    pub zone_tdes: ZoneMaster<TdesKey>,
    /// Of an AES zone, 32 bytes.
    pub zone_aes: ZoneMaster<AesKey>,
    /// Between MTMS and KMS.
    pub batch: BatchKeys,
}

/// Runs the whole suite.
///
/// # Panics
/// When the backend does not conform.
pub async fn run(hsm: &impl Hsm, entered: &Entered) {
    let exchange = &entered.exchange;
    status(hsm).await;
    download::run(hsm).await;
    exchange::run(hsm, exchange).await;
    local_load::run(hsm, exchange).await;
    rks_load::run(hsm).await;
    misuse::run(hsm, exchange).await;
    tms::run(hsm, exchange).await;
    sign_in::run(hsm, exchange).await;
    zone::run(hsm, entered).await;
    pins::run(hsm, entered).await;
    suite_02::run(hsm, &entered.exchange_aes).await;
    suite_02::pins::run(hsm, entered).await;
    batch::run(hsm, &entered.batch).await;
    suite_02::exchange::no_exchange_key_carries_the_other_suites_keys(hsm, exchange, &entered.exchange_aes)
        .await;
}

async fn status(hsm: &impl Hsm) {
    let status = hsm.call(Status {}).await.unwrap();
    assert_eq!(status.protocol, crate::protocol::VERSION);
    assert_eq!(status.lmk_check.len(), 10);
}

fn encrypt(work: &WorkKey, clear: &[u8]) -> Vec<u8> {
    PublicKey::from_spki(&work.public).unwrap().oaep_encrypt(clear).unwrap()
}

fn refused<T>(outcome: Result<T, HsmError>, expected: impl FnOnce(&Refusal) -> bool) {
    match outcome {
        Err(HsmError::Refused(refusal)) => assert!(expected(&refusal), "refused otherwise: {refusal}"),
        Err(other) => panic!("{other}"),
        Ok(_) => panic!("not refused"),
    }
}
