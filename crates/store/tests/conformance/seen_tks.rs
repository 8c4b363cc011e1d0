//! A TK is one terminal's, once: none is two terminals', and one that was replaced never comes back.

use keyferry_store::{
    ApprovalOutcome, BatchEntry, BatchImport, BatchOutcome, CollectedTerminal, CollectedTk, NewBatch,
    NewDeviceCertificate, PerTerminal, Person, Store, StoreError,
};

use super::orders::{order, put};
use super::suites::{both_suites, ec};
use super::{
    NOW, administrator, approval, built_in, event, external, import, one_terminal, package, replacing, sn,
    waiting,
};

fn code(outcome: &PerTerminal) -> &str {
    match outcome {
        PerTerminal::Refused(refusal) => &refusal.code,
        other => panic!("should be refused: {other:?}"),
    }
}

/// Takes one terminal in a package of its own.
async fn one(store: &impl Store, digest: u8, terminal: CollectedTerminal) -> PerTerminal {
    import(store, package(digest, vec![terminal])).await.remove(0)
}

async fn approve(store: &impl Store, id: i64, n: u8) {
    let done = store.approve_replacement(approval(id, n, administrator()), event("tk.replaced")).await;
    assert!(matches!(done, Ok(ApprovalOutcome::Approved { .. })), "{done:?}");
}

async fn reject(store: &impl Store, id: i64, n: u8) {
    let done = store.reject_replacement(approval(id, n, administrator()), event("tk.rejected")).await;
    assert_eq!(done, Ok(ApprovalOutcome::Rejected));
}

/// Of suite 01 out of a batch: what the vendor says of it is `fingerprint`, which key it is is `key`.
fn sent(serial: &str, fingerprint: u8, key: u8) -> CollectedTerminal {
    CollectedTerminal {
        tk: CollectedTk::Opened { tek: "TEK".into(), auk: "AUK".into(), digest: [key; 32] },
        work_certificate_sha256: "5a".repeat(32),
        ..built_in(serial, fingerprint)
    }
}

/// The same of suite 02, with the vendor's word of its generation.
fn sent_ec(serial: &str, device: u8, said: u64, key: u8) -> CollectedTerminal {
    let CollectedTk::Blocks { tek, auk, device, generation, .. } = ec(serial, device, said).tk else {
        panic!("of suite 02")
    };
    let tk = CollectedTk::Blocks { tek, auk, device, generation, digest: Some([key; 32]) };
    CollectedTerminal { tk, ..ec(serial, 1, said) }
}

async fn batch(store: &impl Store, digest: u8, terminals: Vec<CollectedTerminal>) -> Vec<(bool, String)> {
    let import = BatchImport {
        digest: [digest; 32],
        content_digest: [digest ^ 0xFF; 32],
        package: vec![0x30, digest],
        signer: Person { subject: "CN=Vendor MTMS".into(), certificate_serial: "0C03".into() },
        acquirer: "acq".into(),
        partner: "VENDOR".into(),
        order: "PO-1".into(),
        collected_at: NOW - 500,
        entries: terminals.into_iter().map(|terminal| BatchEntry::Terminal(Box::new(terminal))).collect(),
    };
    match store.import_batch(import, event("batch.received")).await.unwrap() {
        BatchOutcome::Stored(batch) => batch.results.into_iter().map(|r| (r.ok, r.code)).collect(),
        other => panic!("should be stored: {other:?}"),
    }
}

fn is(ok: bool, code: &str) -> (bool, String) {
    (ok, code.to_owned())
}

pub async fn one_tk_is_not_two_terminals(store: &impl Store) {
    one_terminal(store).await;
    assert_eq!(code(&one(store, 2, built_in("SN-2", 1)).await), "same-transport-key");
    assert_eq!(store.terminal(&sn("SN-2")).await.unwrap(), None);
    // Nor in one package, nor as a replacement, nor when the other's only waits, nor when it was the other's.
    let both = import(store, package(3, vec![built_in("SN-2", 2), built_in("SN-3", 2)])).await;
    assert_eq!((&both[0], code(&both[1])), (&PerTerminal::Stored, "same-transport-key"));
    assert_eq!(code(&one(store, 4, replacing(built_in("SN-2", 1))).await), "same-transport-key");
    assert_eq!(code(&one(store, 5, built_in("SN-2", 1)).await), "same-transport-key");
    let id = waiting(store, 6, built_in("SN-1", 6)).await;
    assert_eq!(code(&one(store, 7, built_in("SN-3", 6)).await), "same-transport-key");
    approve(store, id, 6).await;
    assert_eq!(code(&one(store, 8, built_in("SN-3", 1)).await), "same-transport-key");
    assert_eq!(store.terminal(&sn("SN-3")).await.unwrap(), None);
    // When it is opened it is the same key still.
    store.set_tk_blocks(&sn("SN-1"), 2, "T".into(), "A".into(), event("tk.blocks")).await.unwrap();
    assert_eq!(code(&one(store, 9, built_in("SN-3", 6)).await), "same-transport-key");
    assert_eq!(one(store, 10, built_in("SN-1", 6)).await, PerTerminal::AlreadyKnown { same: true });
}

pub async fn a_replaced_tk_never_comes_back(store: &impl Store) {
    one_terminal(store).await;
    let id = waiting(store, 2, built_in("SN-1", 2)).await;
    // The present one and the one that waits are neither.
    assert_eq!(one(store, 3, replacing(built_in("SN-1", 1))).await, PerTerminal::AlreadyKnown { same: true });
    assert_eq!(one(store, 4, replacing(built_in("SN-1", 2))).await, PerTerminal::AwaitsApproval { id });
    assert_eq!(one(store, 5, built_in("SN-1", 2)).await, PerTerminal::AlreadyKnown { same: false });
    approve(store, id, 2).await;
    assert_eq!(code(&one(store, 6, replacing(built_in("SN-1", 1))).await), "old-transport-key");
    assert_eq!(code(&one(store, 7, built_in("SN-1", 1)).await), "old-transport-key");
    assert_eq!(code(&one(store, 8, replacing(external("SN-1", "PP-1", 1))).await), "old-transport-key");
    // Nor does one that was rejected or overtaken.
    let id = waiting(store, 9, built_in("SN-1", 3)).await;
    reject(store, id, 3).await;
    waiting(store, 10, built_in("SN-1", 4)).await;
    waiting(store, 11, built_in("SN-1", 5)).await;
    for (digest, n) in [(12, 3), (13, 4)] {
        assert_eq!(code(&one(store, digest, replacing(built_in("SN-1", n))).await), "old-transport-key");
    }
    assert_eq!(store.replacements_waiting().await.unwrap().len(), 1);
    assert_eq!(store.terminal(&sn("SN-1")).await.unwrap().unwrap().tk_generation, 2);
}

pub async fn a_batch_brings_one_tk_to_one_terminal(store: &impl Store) {
    both_suites(store).await;
    put(store, order("PO-1", None)).await;
    let twice =
        vec![sent("SN-1", 1, 1), sent("SN-2", 2, 1), sent_ec("SN-3", 3, 1, 3), sent_ec("SN-4", 4, 1, 3)];
    let stored = || is(true, "stored");
    let same = || is(false, "same-transport-key");
    assert_eq!(batch(store, 1, twice).await, [stored(), same(), stored(), same()]);
    let again =
        vec![sent("SN-2", 2, 1), sent_ec("SN-4", 4, 1, 3), sent("SN-2", 2, 2), sent_ec("SN-4", 4, 1, 4)];
    assert_eq!(batch(store, 2, again).await, [same(), same(), stored(), stored()]);
}

/// What a vendor says of a key, its fingerprint and its generation, does not say which key it is.
pub async fn already_stored_means_the_same_key(store: &impl Store) {
    both_suites(store).await;
    put(store, order("PO-1", Some(&["SN-1", "SN-3", "SN-5"]))).await;
    import(store, package(9, vec![ec("SN-5", 5, 7)])).await;
    let first = vec![sent("SN-1", 1, 1), sent_ec("SN-3", 3, 1, 3)];
    assert_eq!(batch(store, 1, first).await, [is(true, "stored"), is(true, "stored")]);
    let known = || is(false, "already-known");
    let other = vec![sent("SN-1", 1, 7), sent_ec("SN-3", 3, 1, 8), sent_ec("SN-5", 5, 7, 9)];
    assert_eq!(batch(store, 2, other).await, [known(), known(), known()]);
    let same = || is(true, "already-stored");
    let again = vec![sent("SN-1", 2, 1), sent_ec("SN-3", 3, 2, 3)];
    assert_eq!(batch(store, 3, again).await, [same(), same()]);
    let waits = || is(true, "awaits-approval");
    let replaced = vec![replacing(sent("SN-1", 1, 7)), replacing(sent_ec("SN-3", 3, 2, 8))];
    assert_eq!(batch(store, 4, replaced).await, [waits(), waits()]);
    // A station's ciphertext under the fingerprint of what a batch brought is another key too.
    let outcome = one(store, 10, built_in("SN-1", 1)).await;
    assert_eq!(outcome, PerTerminal::AlreadyKnown { same: false });
}

/// What was rejected leaves the PIN pad's generation and its device key as they were.
pub async fn a_rejected_device_key_leaves_no_trace(store: &impl Store) {
    both_suites(store).await;
    assert_eq!(one(store, 1, ec("SN-1", 1, 4)).await, PerTerminal::Stored);
    let before = store.device_certificate(&sn("SN-1")).await.unwrap().unwrap();
    let id = waiting(store, 2, ec("SN-1", 2, 1 << 31)).await;
    assert_eq!(store.device_certificate(&sn("SN-1")).await.unwrap().unwrap(), before, "while it waits");
    // While it waits no other PIN pad has its key, and no lower generation overtakes it.
    assert_eq!(code(&one(store, 3, ec("SN-2", 2, 1)).await), "device-key-taken");
    assert_eq!(code(&one(store, 4, replacing(ec("SN-1", 1, 5))).await), "generation-not-higher");
    let rejection = keyferry_store::Approval {
        id,
        fingerprint: format!("{:020X}", 1_u64 << 31),
        approver: administrator(),
    };
    assert_eq!(
        store.reject_replacement(rejection, event("tk.rejected")).await,
        Ok(ApprovalOutcome::Rejected)
    );
    assert_eq!(store.device_certificate(&sn("SN-1")).await.unwrap().unwrap(), before);
    assert_eq!(one(store, 5, ec("SN-2", 2, 1)).await, PerTerminal::Stored);
    let id = waiting(store, 6, ec("SN-1", 3, 5)).await;
    approve(store, id, 5).await;
    let after = store.device_certificate(&sn("SN-1")).await.unwrap().unwrap();
    let certificate = NewDeviceCertificate {
        sha256: format!("{:064x}", 3),
        spki_sha256: format!("{:064x}", 0x1003),
        der: vec![0x30, 3],
    };
    assert_eq!((after.generation, after.certificate), (5, certificate));
}

/// What will be replaced, or what a second person rejects the replacement of, is for people to settle first.
pub async fn a_tk_whose_replacement_waits_leaves_in_no_batch(store: &impl Store) {
    one_terminal(store).await;
    put(store, order("PO-1", Some(&["SN-1"]))).await;
    let id = waiting(store, 2, built_in("SN-1", 2)).await;
    let new = || NewBatch {
        order: "PO-1".into(),
        digest: [1; 32],
        package: vec![0x30],
        items: vec![(sn("SN-1"), 1)],
    };
    let early = store.put_batch(new(), event("batch.kept")).await;
    assert!(matches!(&early, Err(StoreError::Invalid(why)) if why.contains("waits")), "{early:?}");
    assert!(store.batches("PO-1", None, 9).await.unwrap().is_empty());
    reject(store, id, 2).await;
    store.put_batch(new(), event("batch.kept")).await.unwrap();
}
