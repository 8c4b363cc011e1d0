//! TMK slots as every flow that fills them treats them: a key is *stored as pending, with its audit event,* before it is
//! sent; the same pending key is sent again after a broken download; no two keys of a slot share a check value.

use hsm::{
    KeyBlock,
    commands::{ReleasedKey, ReleasedKeyEc},
};
use serde_json::json;
use store::{HeldKey, PendingOutcome, PutPending, ResendOutcome, SlotRecord, Store, StoreError};
use wire::{Kcv, Place, Serial, Slot};

use crate::{config::Acquirer, kms::event, suite::LoadingSuite};

/// How often keys are released again because another request was faster or a check value was taken.
pub(crate) const MAX_RELEASES: usize = 4;

/// A key that the HSM gave, in whichever suite.
pub(crate) struct Released {
    /// For the store.
    pub(crate) block: KeyBlock,
    /// Its check value.
    pub(crate) kcv: Kcv,
    /// For the wire: the block under the key of the flow.
    pub(crate) wrapped: String,
}

impl From<ReleasedKey> for Released {
    fn from(ReleasedKey { block, kcv, under_tk }: ReleasedKey) -> Self {
        Self { block, kcv: kcv.into(), wrapped: under_tk }
    }
}

impl From<ReleasedKeyEc> for Released {
    fn from(ReleasedKeyEc { block, kcv, wrapped }: ReleasedKeyEc) -> Self {
        Self { block, kcv: Kcv::Aes(kcv), wrapped }
    }
}

/// What became of a released key in the store.
pub(crate) enum Stored {
    /// It is the pending key, and may be sent.
    Held(HeldKey),
    /// Another is pending, or the slot has changed: release that.
    TryWith(SlotRecord),
    /// Its check value is taken: make another.
    Again,
    /// The terminal was collected anew in the meantime.
    StaleTk,
    /// The slot has held a key of a higher suite, and nobody allowed it to go down.
    LowerSuite,
}

/// Whose slot it is.
pub(crate) struct Owner<'a> {
    /// The terminal.
    pub(crate) sn: &'a Serial,
    /// The PIN pad that its keys belong to.
    pub(crate) key_serial: &'a Serial,
    /// The generation of its TK.
    pub(crate) tk_generation: i64,
    /// The slot.
    pub(crate) slot: Slot,
}

/// Makes a released key the slot's pending one, or counts that it is sent again; the load counter that it was released
/// with is stored with that. `held` is the slot as it was released for.
pub(crate) async fn make_pending<U: LoadingSuite, S: Store>(
    store: &S,
    owner: &Owner<'_>,
    held: &SlotRecord,
    released: &Released,
) -> Result<Stored, StoreError> {
    let Released { block, kcv, .. } = released;
    let load_counter = U::next_counter(held);
    let place = Place::new(owner.key_serial.clone(), owner.slot).to_string();
    let mut detail = json!({ "place": place, "kcv": kcv.to_string() });
    if let (Some(counter), Some(detail)) = (load_counter, detail.as_object_mut()) {
        detail.insert("load_counter".into(), counter.into());
    }
    if let Some(pending) = pending_of::<U>(held) {
        let event = event("tmk.sent-again", "server", owner.sn.as_str(), detail);
        return Ok(match store.resend_pending(pending.id, load_counter, event).await? {
            ResendOutcome::Counted(held) => Stored::Held(held),
            // Confirmed, dropped or sent by another request meanwhile: look again.
            ResendOutcome::Gone | ResendOutcome::CounterTaken => {
                Stored::TryWith(store.slot(owner.sn, owner.slot).await?)
            }
        });
    }
    let put = PutPending {
        sn: owner.sn.clone(),
        slot: owner.slot,
        tk_generation: owner.tk_generation,
        block: block.as_str().to_owned(),
        kcv: *kcv,
        load_counter,
    };
    let event = event("tmk.made", "server", owner.sn.as_str(), detail);
    Ok(match store.put_pending(put, event).await? {
        PendingOutcome::Stored(held) => Stored::Held(held),
        // What the other request took with it, its load counter among it, shows only when the slot is read again.
        PendingOutcome::Lost(_) | PendingOutcome::CounterTaken => {
            Stored::TryWith(store.slot(owner.sn, owner.slot).await?)
        }
        PendingOutcome::SameCheckValue => Stored::Again,
        PendingOutcome::StaleTk => Stored::StaleTk,
        PendingOutcome::LowerSuite => Stored::LowerSuite,
    })
}

/// Whether the acquirer's policy keeps the slot's active key.
pub(crate) fn keeps_active(acquirer: &Acquirer, slot: &SlotRecord) -> bool {
    slot.pending.is_none() && slot.active.is_some() && !acquirer.replace_active
}

/// The pending key's block, to be sent again.
pub(crate) fn pending_block<U: LoadingSuite>(slot: &SlotRecord) -> Option<KeyBlock> {
    pending_of::<U>(slot).map(|key| KeyBlock::from_text(key.block.clone()))
}

/// The pending key, if it is of this suite: one of another cannot travel in it, and gives way to a new one.
fn pending_of<U: LoadingSuite>(slot: &SlotRecord) -> Option<&HeldKey> {
    slot.pending.as_ref().filter(|key| U::has_kcv(key.kcv))
}

/// Check values of all that a slot holds, in whichever suite: a new key must have none of them.
pub(crate) fn held_kcvs(slot: &SlotRecord) -> Vec<Kcv> {
    slot.active.iter().chain(&slot.retired).map(|key| key.kcv).collect()
}

/// Those of suite 01.
pub(crate) fn tdes_kcvs(kcvs: &[Kcv]) -> Vec<[u8; 3]> {
    let tdes = |kcv: &Kcv| match *kcv {
        Kcv::Tdes(kcv) => Some(kcv),
        Kcv::Aes(_) => None,
    };
    kcvs.iter().filter_map(tdes).collect()
}

/// Those of suite 02.
pub(crate) fn aes_kcvs(kcvs: &[Kcv]) -> Vec<[u8; 5]> {
    let aes = |kcv: &Kcv| match *kcv {
        Kcv::Aes(kcv) => Some(kcv),
        Kcv::Tdes(_) => None,
    };
    kcvs.iter().filter_map(aes).collect()
}
