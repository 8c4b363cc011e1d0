//! Devices of the remote key server: what was injected into them, and the keys that it was derived from.

use wire::{Kcv, Serial, Suite};

/// Which devices a DIK1 is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Dik1Scope {
    /// All of the acquirer's.
    Acquirer,
    /// Those of one model and batch.
    Batch {
        /// Model id (DF31).
        model: String,
        /// The batch, as the vendor names it.
        batch: String,
    },
}

/// A DIK1 that the HSM made or imported.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewDik1 {
    /// Its name, which its block says too.
    pub label: String,
    /// The owner.
    pub acquirer: String,
    /// Which devices it is for.
    pub scope: Dik1Scope,
    /// The key's block under the HSM's master key.
    pub block: String,
    /// Its check value.
    pub kcv: Kcv,
}

/// A DIK1 as kept. It never changes: devices were derived from it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dik1Record {
    /// What was entered.
    pub dik1: NewDik1,
    /// When it was entered, Unix milliseconds.
    pub created_at: i64,
}

/// What a KLD has injected into a device, or another system before the estate moved in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceRecord {
    /// The terminal's serial.
    pub sn: Serial,
    /// The PIN pad that holds it; SN when built in.
    pub key_serial: Serial,
    /// The owner.
    pub acquirer: String,
    /// DIK2, if it has one.
    pub identity: Option<Identity>,
    /// DMK, if it has one.
    pub dmk: Option<HeldDmk>,
    /// The KLD that loaded it last; or where it was imported from.
    pub kld: String,
    /// That KLD's run; `import` if it was imported.
    pub run: String,
    /// When that run closed or it was imported, Unix milliseconds.
    pub loaded_at: i64,
    /// The KLD found its serial served twice: nothing of that run is believed.
    pub compromised: bool,
}

/// A DIK2, known by what it was derived from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The DIK1's label.
    pub dik1: String,
    /// SHA-256 of the diversification factor.
    pub factor_digest: [u8; 32],
    /// The factor's block under the HSM's master key.
    pub factor: String,
    /// DIK2's check value, as the KLD told it.
    pub kcv: Kcv,
}

/// A DMK as an HSM block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeldDmk {
    /// X9.143 block under the HSM's master key.
    pub block: String,
    /// Its check value.
    pub kcv: Kcv,
}

/// A work key of the RKS, whose private half the HSM gave out as a block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewRksWorkKey {
    /// Its certificate's SHA-256, lower-case hex; the certificate itself must be kept first.
    pub certificate_sha256: String,
    /// The private key as an X9.143 block under the HSM's master key.
    pub private_block: String,
    /// SubjectPublicKeyInfo, DER.
    pub spki: Vec<u8>,
    /// The certificates between it and its root: DER, one behind the other, nearest first.
    pub intermediates: Vec<u8>,
    /// The suite that it serves.
    pub suite: Suite,
}

/// The RKS's work key as kept, with its certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RksWorkKeyRecord {
    /// What was entered.
    pub key: NewRksWorkKey,
    /// The certificate, DER.
    pub certificate: Vec<u8>,
    /// When it was entered, Unix milliseconds.
    pub created_at: i64,
}
