//! Flow C: a device gets its keys from the remote key server (RKS) under its device identity key, DIK2 (1-systems.md C,
//! S301–S324; 2-wire.md section 4, flow C).
//!
//! ```text
//! PIN pad        device                                RKS                      HSM, store
//!    | <--begin----- | --RKS_AUTH: SN, slot------------> |                           |
//!    |               | <--RKS_CERT: certificate--------- |                           |
//!    | <--factor---- |  certificate checked              |                           |
//!    | ---DF20-----> | --RKS_FACTOR: factor under it---> |                           |
//!    |               |                                   | --DF20, context---------> |  DIK2 derived
//!    |               | <--RKS_TOKEN: AT ‖ TK1----------- | <--block, ticket--------- |
//!    | <--proof----- |                                   |                           |
//!    | ---DF22-----> | --RKS_PROOF: AT ‖ TK2 ‖ hash----> |                           |
//!    |               |                                   | --DF22, ticket, frames--> |  AT, hash checked, keys
//!    |               | <--RKS_KEYS: key blocks, more---- | <--key blocks, KCVs------ |  under TK, pending
//!    | <--keys------ |                                   |                           |
//!    | ---KCVs-----> | --KEY_CONFIRM: KCV of each------> |                           |
//!    |               |                                   | --confirm---------------> |  keys active
//!    |               | <--DONE-------------------------- |                           |
//!    | <--done------ |                                   |                           |
//! ```
//!
//! This is suite 01. Suite 02 has the same messages in the same order: RKS_AUTH and RKS_CERT bring ephemeral keys and
//! nonces, RKS_CERT is signed, RKS_TOKEN and RKS_PROOF hold a MAC under what DIK2 and both ephemeral keys give, and
//! KEY_CONFIRM and DONE hold receipts.
//!
//! With `more` the device runs the flow again, all of it, until its own set is complete. `device` is generic over its PIN
//! pad; `rks` hands out its state between messages, and the driver asks HSM and store.
//!
//! # Threats answered
//!
//! - *A false RKS*: its certificate must have the role and come from the device's RKS root (0005), it must open the
//!   factor, and know the DIK2 that comes from it: else RKS_TOKEN's block does not open (0005). In suite 02 it must sign
//!   both first messages before it hears of a factor (0005).
//! - *A false device*: only DIK2's holder gets AT and TK1; the HSM compares AT and SHA-256(TK) (0006).
//! - *A stranger asking about serials*: an unknown serial, a wrong factor and a bad ciphertext get an RKS_TOKEN of the
//!   same form, and the same 0006 after RKS_PROOF ([`rks::Proof::not_proven`]). This role behaves the same for all.
//! - *One side choosing TK*: TK = TK1 ⊕ TK2, a part from each, and never weak.
//! - *Replay*: AT, TK1 and TK2 are fresh, and each key block carries the digest of every frame, and of the blocks, before
//!   it (0005, 0007).
//! - *Keys cut out, mixed or put in another order*: the same digest (0007).
//! - *A short answer*: the device, not `more`, says when its set is complete.
//! - *AT and TK left behind*: the device's role has its PIN pad forget them at every end of its own, good or bad.
//!
//! Not answered in suite 01: DONE is not authenticated, and who has DIK1 and the RKS work key can open what was recorded.
//! Suite 02 answers both (3-hardened.md).

pub mod device;
mod ec_aes;
mod error;
pub mod messages;
pub mod rks;
mod suite;
mod tdes;

pub use crate::PadRefusal;
pub use device::IdentityPad;
pub use error::Reason;
pub use suite::RksSuite;

/// The end of a download from the RKS on one side.
pub type Fault = crate::Fault<Reason>;

#[cfg(test)]
mod tests;
