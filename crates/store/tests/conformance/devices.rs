//! What KLDs report, and the keys of the remote key server.

use keyferry_store::{
    ConfirmOutcome, Dik1Scope, KldReport, LoadedKey, NewDik1, NewRksWorkKey, PerReported, PutWorking,
    ReportOutcome, ReportedKey, ReportedTerminal, Store, StoreError, TkRecord, WorkingKind, WorkingOutcome,
};
use wire::{Device, Suite};

use super::{
    NOW, WORK_CERTIFICATE, built_in, estate, event, events, fresh, import, kcv, one_terminal, operator,
    package, pending, slot, sn, work_key,
};

fn dik1(label: &str, scope: Dik1Scope) -> NewDik1 {
    NewDik1 { label: label.into(), acquirer: "acq".into(), scope, block: "D0096DIK1".into(), kcv: kcv(7) }
}

pub fn tmk(index: u8, n: u32) -> ReportedKey {
    ReportedKey::Tmk { slot: slot(index), block: format!("D0096KLD{n}"), kcv: kcv(n), load_counter: None }
}

fn dik2(n: u8) -> ReportedKey {
    let factor = format!("D0064FACTOR{n}");
    ReportedKey::Dik2 { dik1: "batch".into(), factor_digest: [n; 32], factor, kcv: kcv(n.into()) }
}

pub fn dmk(n: u32) -> ReportedKey {
    ReportedKey::Dmk { block: format!("D0096DMK{n}"), kcv: kcv(n) }
}

pub fn loaded(serial: &str, keys: Vec<ReportedKey>) -> ReportedTerminal {
    let device = Device::built_in(sn(serial));
    ReportedTerminal { device, keys, failed: None, refused: None }
}

/// A report of run `n`, which closed `n` milliseconds after [`NOW`].
pub fn report(n: u8, terminals: Vec<ReportedTerminal>) -> KldReport {
    KldReport {
        content_digest: [n; 32],
        digest: [n ^ 0x80; 32],
        package: vec![0x30, n],
        signer: operator(),
        acquirer: "acq".into(),
        kld: "KLD-7".into(),
        run: format!("run-{n}"),
        opened_at: NOW,
        closed_at: NOW + i64::from(n),
        terminals,
        compromised: vec![],
    }
}

async fn take(store: &impl Store, report: KldReport) -> Vec<PerReported> {
    match store.import_kld_report(report, event("kld.reported")).await.unwrap() {
        ReportOutcome::Stored(outcomes) => outcomes,
        ReportOutcome::Duplicate => panic!("this content is new"),
    }
}

async fn with_dik1(store: &impl Store) {
    estate(store).await;
    store.put_dik1(dik1("batch", Dik1Scope::Acquirer), event("dik1")).await.unwrap();
}

pub async fn a_dik1_is_entered_once_and_found(store: &impl Store) {
    let early = store.put_dik1(dik1("batch", Dik1Scope::Acquirer), event("dik1")).await;
    assert_eq!(early, Err(StoreError::NoSuchAcquirer("acq".into())));
    with_dik1(store).await;
    let scope = Dik1Scope::Batch { model: "T-1".into(), batch: "B042".into() };
    store.put_dik1(dik1("T-1.B042", scope.clone()), event("dik1")).await.unwrap();
    let again = store.put_dik1(dik1("batch", scope.clone()), event("dik1")).await;
    assert_eq!(again, Err(StoreError::AlreadyThere { what: "DIK1", id: "batch".into() }));
    let found: Vec<_> = store.dik1s().await.unwrap().into_iter().map(|r| r.dik1).collect();
    assert_eq!(found, [dik1("T-1.B042", scope), dik1("batch", Dik1Scope::Acquirer)]);
    assert_eq!(store.dik1("batch").await.unwrap().unwrap().created_at, NOW);
    assert_eq!(store.dik1("other").await.unwrap(), None);
}

/// A KMS's and an RKS's work keys stand side by side, and one is never found in the other's place.
pub async fn work_keys_of_kms_and_rks_are_apart(store: &impl Store) {
    estate(store).await;
    let certificate = |sha256: &str| keyferry_store::NewCertificate {
        role: "rks-work".into(),
        sha256: sha256.into(),
        der: vec![0x30, 9],
    };
    let key = |sha256: &str| NewRksWorkKey {
        certificate_sha256: sha256.into(),
        private_block: "D0016RKS".into(),
        spki: vec![0x30, 3],
        intermediates: vec![0x30, 0],
        suite: Suite::TDES,
    };
    let early = store.put_rks_work_key(key("e1"), event("work-key")).await;
    assert_eq!(early, Err(StoreError::NoSuchCertificate("e1".into())));
    assert_eq!(store.active_rks_work_key(Suite::TDES).await.unwrap(), None);
    for sha256 in ["e1", "e2"] {
        store.put_certificate(certificate(sha256), event("certificate")).await.unwrap();
        store.put_rks_work_key(key(sha256), event("work-key")).await.unwrap();
    }
    let active = store.active_rks_work_key(Suite::TDES).await.unwrap().unwrap();
    assert_eq!((active.key, active.certificate), (key("e2"), vec![0x30, 9]));
    assert_eq!(
        store.active_work_key(Suite::TDES).await.unwrap().unwrap().certificate_sha256,
        WORK_CERTIFICATE
    );
    assert_eq!(store.work_key("e1").await.unwrap(), None);
    let again = store.put_rks_work_key(key("e1"), event("work-key")).await;
    assert_eq!(again, Err(StoreError::AlreadyThere { what: "work key", id: "e1".into() }));
    // Nor does a new one of the KMS touch the RKS's.
    store.put_certificate(certificate("cd"), event("certificate")).await.unwrap();
    store.put_work_key(work_key("cd"), event("work-key")).await.unwrap();
    assert_eq!(store.active_rks_work_key(Suite::TDES).await.unwrap().unwrap().key.certificate_sha256, "e2");
}

pub async fn a_report_enters_terminals_and_activates_their_keys(store: &impl Store) {
    with_dik1(store).await;
    let outcomes = take(store, report(1, vec![loaded("SN-1", vec![tmk(3, 1), dik2(2), dmk(3)])])).await;
    assert_eq!(outcomes, [PerReported::Taken { new: 3 }]);
    let terminal = store.terminal(&sn("SN-1")).await.unwrap().unwrap();
    assert_eq!((terminal.tk, terminal.tk_generation), (TkRecord::None, 1));
    let record = store.slot(&sn("SN-1"), slot(3)).await.unwrap();
    let active = record.active.unwrap();
    assert_eq!((active.kcv, active.block.as_str(), record.pending), (kcv(1), "D0096KLD1", None));
    let device = store.device(&sn("SN-1")).await.unwrap().unwrap();
    let identity = device.identity.as_ref().unwrap();
    assert_eq!((identity.dik1.as_str(), identity.factor_digest), ("batch", [2; 32]));
    assert_eq!((identity.factor.as_str(), identity.kcv), ("D0064FACTOR2", kcv(2)));
    assert_eq!(device.dmk.as_ref().map(|dmk| dmk.kcv), Some(kcv(3)));
    assert_eq!((device.kld.as_str(), device.run.as_str()), ("KLD-7", "run-1"));
    assert_eq!((device.loaded_at, device.compromised, &device.key_serial), (NOW + 1, false, &sn("SN-1")));
    assert_eq!(store.devices(None, 10).await.unwrap(), std::slice::from_ref(&device));
    assert_eq!(store.devices(Some(&sn("SN-1")), 10).await.unwrap(), []);
    assert_eq!(store.overview().await.unwrap().collections, 0, "a report is no collection");
}

pub async fn the_same_content_is_taken_once(store: &impl Store) {
    with_dik1(store).await;
    let first = report(1, vec![loaded("SN-1", vec![tmk(3, 1)])]);
    take(store, first.clone()).await;
    let before = events(store).await;
    // Signed again: other bytes, the same content.
    let again = KldReport { digest: [9; 32], ..first };
    assert_eq!(store.import_kld_report(again, event("kld.reported")).await, Ok(ReportOutcome::Duplicate));
    assert_eq!(events(store).await, before);
}

pub async fn a_key_that_is_known_changes_nothing(store: &impl Store) {
    with_dik1(store).await;
    let keys = || vec![tmk(3, 1), dik2(2), dmk(3)];
    take(store, report(1, vec![loaded("SN-1", keys())])).await;
    let waiting = pending(store, "SN-1", 4, 9).await;
    let outcomes = take(store, report(2, vec![loaded("SN-1", keys())])).await;
    assert_eq!(outcomes, [PerReported::Taken { new: 0 }]);
    assert_eq!(store.slot(&sn("SN-1"), slot(4)).await.unwrap().pending, Some(waiting));
    assert_eq!(store.slot(&sn("SN-1"), slot(3)).await.unwrap().retired, []);
}

/// 2-wire.md section 4, Confirming: a pending key is dropped when DIK2 or DMK changes.
pub async fn another_dik2_or_dmk_drops_pending_keys(store: &impl Store) {
    with_dik1(store).await;
    take(store, report(1, vec![loaded("SN-1", vec![dik2(2), dmk(3)])])).await;
    for (n, key) in [(2_u8, dik2(4)), (3, dmk(5))] {
        pending(store, "SN-1", 0, n.into()).await;
        put_working(store, WorkingKind::Pik, 1).await;
        assert_eq!(
            take(store, report(n, vec![loaded("SN-1", vec![key])])).await,
            [PerReported::Taken { new: 1 }]
        );
        assert_eq!(store.slot(&sn("SN-1"), slot(0)).await.unwrap().pending, None);
        let working = store.working_slot(&sn("SN-1"), slot(0), WorkingKind::Pik).await.unwrap();
        assert_eq!(working.pending, None);
    }
}

pub async fn a_tmk_takes_the_slot_from_pending_and_active_ones(store: &impl Store) {
    one_terminal(store).await;
    let active = pending(store, "SN-1", 3, 1).await;
    store.confirm(active.id, event("tmk.confirmed")).await.unwrap();
    let waiting = pending(store, "SN-1", 3, 2).await;
    take(store, report(1, vec![loaded("SN-1", vec![tmk(3, 5)])])).await;
    let record = store.slot(&sn("SN-1"), slot(3)).await.unwrap();
    assert_eq!((record.pending, record.active.map(|key| key.kcv)), (None, Some(kcv(5))));
    assert_eq!(record.retired.iter().map(|key| key.id).collect::<Vec<_>>(), [active.id]);
    assert_eq!(store.confirm(waiting.id, event("tmk.confirmed")).await, Ok(ConfirmOutcome::Gone));
    // TK stays: flow A goes on serving the terminal.
    let tk = store.terminal(&sn("SN-1")).await.unwrap().unwrap().tk;
    assert!(matches!(tk, TkRecord::Ciphertext { .. }));
}

pub async fn an_earlier_run_takes_nothing_back(store: &impl Store) {
    with_dik1(store).await;
    take(store, report(5, vec![loaded("SN-1", vec![dik2(2), tmk(3, 1)])])).await;
    let late = take(store, report(4, vec![loaded("SN-1", vec![dik2(9), tmk(3, 8)])])).await;
    assert_eq!(late, [PerReported::Overtaken]);
    // Nor does a later report bring a TMK back that was replaced since.
    let newer = pending(store, "SN-1", 3, 2).await;
    store.confirm(newer.id, event("tmk.confirmed")).await.unwrap();
    let back = take(store, report(6, vec![loaded("SN-1", vec![tmk(3, 1), dik2(9)])])).await;
    assert_eq!(back, [PerReported::Overtaken]);
    let device = store.device(&sn("SN-1")).await.unwrap().unwrap();
    assert_eq!(device.identity.unwrap().factor_digest, [2; 32]);
    assert_eq!(store.slot(&sn("SN-1"), slot(3)).await.unwrap().active.unwrap().kcv, kcv(2));
}

pub async fn one_bad_terminal_does_not_spoil_the_others(store: &impl Store) {
    with_dik1(store).await;
    import(store, package(1, vec![built_in("SN-1", 1)])).await;
    let other_pad = ReportedTerminal {
        device: Device::new(sn("SN-1"), Some(sn("PP-9"))).unwrap(),
        ..loaded("SN-1", vec![tmk(0, 1)])
    };
    let taken_pad = ReportedTerminal {
        device: Device::new(sn("SN-5"), Some(sn("SN-1"))).unwrap(),
        ..loaded("SN-5", vec![tmk(0, 1)])
    };
    let refusal = keyferry_store::Refusal { code: "block-refused".into(), text: "no".into() };
    let refused = ReportedTerminal { refused: Some(refusal.clone()), ..loaded("SN-6", vec![]) };
    let failed = ReportedTerminal { failed: Some("0008".into()), ..loaded("SN-7", vec![]) };
    let unknown =
        ReportedKey::Dik2 { dik1: "other".into(), factor_digest: [1; 32], factor: "D".into(), kcv: kcv(1) };
    let all = vec![
        other_pad,
        taken_pad,
        refused,
        failed,
        loaded("SN-8", vec![tmk(0, 1), unknown]),
        loaded("SN-9", vec![tmk(0, 1)]),
    ];
    let outcomes = take(store, report(2, all)).await;
    assert_eq!(
        outcomes,
        [
            PerReported::OtherPinPad { recorded: sn("SN-1") },
            PerReported::SerialPairTaken { by: sn("SN-1") },
            PerReported::Refused(refusal),
            PerReported::NothingLoaded,
            PerReported::UnknownDik1 { label: "other".into() },
            PerReported::Taken { new: 1 },
        ]
    );
    for known in ["SN-5", "SN-6", "SN-7", "SN-8"] {
        assert_eq!(store.terminal(&sn(known)).await.unwrap(), None, "{known}");
    }
    assert_eq!(store.slots(&sn("SN-1")).await.unwrap(), []);
    // One event for the report, one for each terminal.
    assert_eq!(count(store, "kld.terminal").await, 6);
}

pub async fn a_compromised_serial_is_believed_no_more(store: &impl Store) {
    with_dik1(store).await;
    take(store, report(1, vec![loaded("SN-1", vec![dik2(2)])])).await;
    let stopped = KldReport {
        compromised: vec![sn("SN-1"), sn("SN-2")],
        ..report(2, vec![loaded("SN-1", vec![dik2(3)]), loaded("SN-2", vec![dik2(4)])])
    };
    assert_eq!(take(store, stopped).await, [PerReported::Compromised, PerReported::Compromised]);
    let device = store.device(&sn("SN-1")).await.unwrap().unwrap();
    assert!(device.compromised);
    assert_eq!(device.identity.unwrap().factor_digest, [2; 32]);
    assert_eq!(store.device(&sn("SN-2")).await.unwrap(), None);
    assert_eq!(count(store, "alarm.compromised-at-kld").await, 2);
    // Loaded anew it is a device again.
    take(store, report(3, vec![loaded("SN-1", vec![dik2(5)])])).await;
    assert!(!store.device(&sn("SN-1")).await.unwrap().unwrap().compromised);
}

async fn put_working(store: &impl Store, kind: WorkingKind, n: u32) -> WorkingOutcome {
    let put = PutWorking { sn: sn("SN-1"), slot: slot(0), kind, block: format!("D0080W{n}"), kcv: kcv(n) };
    store.put_working_pending(put, event("working-key.made")).await.unwrap()
}

pub async fn working_keys_are_pending_once_then_active(store: &impl Store) {
    one_terminal(store).await;
    let WorkingOutcome::Stored(first) = put_working(store, WorkingKind::Pik, 1).await else { panic!() };
    assert_eq!(put_working(store, WorkingKind::Pik, 2).await, WorkingOutcome::Lost(first.clone()));
    let WorkingOutcome::Stored(mak) = put_working(store, WorkingKind::Mak, 3).await else { panic!() };
    let keys = vec![LoadedKey::Working(first.id)];
    let confirm = async |keys| store.confirm_loaded(keys, event("rks.confirmed")).await.unwrap();
    assert_eq!(confirm(keys.clone()).await, ConfirmOutcome::Activated);
    assert_eq!(confirm(keys).await, ConfirmOutcome::AlreadyActive);
    let WorkingOutcome::Stored(second) = put_working(store, WorkingKind::Pik, 4).await else { panic!() };
    assert_eq!(confirm(vec![LoadedKey::Working(second.id)]).await, ConfirmOutcome::Activated);
    let pik = store.working_slot(&sn("SN-1"), slot(0), WorkingKind::Pik).await.unwrap();
    assert_eq!((pik.pending, pik.active), (None, Some(second)));
    let found = store.working_slot(&sn("SN-1"), slot(0), WorkingKind::Mak).await.unwrap();
    assert_eq!((found.pending, found.active), (Some(mak), None));
    let unknown =
        PutWorking { sn: sn("SN-9"), slot: slot(0), kind: WorkingKind::Pik, block: "D".into(), kcv: kcv(1) };
    assert_eq!(
        store.put_working_pending(unknown, event("working-key.made")).await,
        Err(StoreError::NoSuchTerminal(sn("SN-9")))
    );
}

/// All keys of one message, or none.
pub async fn keys_of_one_message_are_confirmed_together(store: &impl Store) {
    one_terminal(store).await;
    let tmk = pending(store, "SN-1", 0, 1).await;
    let WorkingOutcome::Stored(pik) = put_working(store, WorkingKind::Pik, 2).await else { panic!() };
    let keys = |other| vec![LoadedKey::Tmk(tmk.id), LoadedKey::Working(other)];
    let before = events(store).await;
    let gone = store.confirm_loaded(keys(pik.id + 1), event("rks.confirmed")).await;
    assert_eq!(gone, Ok(ConfirmOutcome::Gone));
    assert_eq!(events(store).await, before);
    assert_eq!(store.slot(&sn("SN-1"), slot(0)).await.unwrap().pending, Some(tmk.clone()));
    let all = store.confirm_loaded(keys(pik.id), event("rks.confirmed")).await;
    assert_eq!(all, Ok(ConfirmOutcome::Activated));
    assert_eq!(store.slot(&sn("SN-1"), slot(0)).await.unwrap().active.map(|key| key.id), Some(tmk.id));
    let active = store.working_slot(&sn("SN-1"), slot(0), WorkingKind::Pik).await.unwrap().active;
    assert_eq!(active.map(|key| key.id), Some(pik.id));
    assert_eq!(events(store).await, before + 1);
    let put = store.put_pending(fresh("SN-1", 0, 1, 1), event("tmk.made")).await;
    assert_eq!(put, Ok(keyferry_store::PendingOutcome::SameCheckValue));
}

async fn count(store: &impl Store, kind: &str) -> usize {
    let rows = store.audit_page(1, 1_000).await.unwrap();
    rows.iter().filter(|row| row.kind == kind).count()
}
