//! Estates that move in from another system.

use keyferry_store::{
    EstateImport, HeldDmk, ImportedOutcome, ImportedTerminal, KldReport, PerReported, ReportOutcome,
    ReportedKey, ReportedTerminal, Store, StoreError, TkRecord, limits,
};
use wire::Device;

use super::{
    NOW, administrator, approval, collected, estate, event, events, external, fresh, import, kcv,
    one_terminal, operator, package, slot, sn, waiting,
};

fn terminal(device: Device, n: u32) -> ImportedTerminal {
    ImportedTerminal {
        terminal_id: Some(format!("{n:08}")),
        device,
        vendor: Some("ACME".into()),
        model: Some("T-1".into()),
        tmks: vec![(slot(0), format!("D0096T{n}"), kcv(n)), (slot(7), format!("D0096U{n}"), kcv(n + 1))],
        dmk: Some(HeldDmk { block: format!("D0096D{n}"), kcv: kcv(n + 2) }),
        merchant_id: Some("M-1".into()),
    }
}

fn built_in(serial: &str, n: u32) -> ImportedTerminal {
    terminal(Device::built_in(sn(serial)), n)
}

fn of(terminals: Vec<ImportedTerminal>) -> EstateImport {
    EstateImport { digest: [0x55; 32], source: "old system".into(), acquirer: "acq".into(), terminals }
}

async fn take(store: &impl Store, terminals: Vec<ImportedTerminal>) -> Vec<ImportedOutcome> {
    store.import_estate(of(terminals), event("estate.imported")).await.unwrap()
}

pub async fn a_terminal_moves_in_with_its_keys(store: &impl Store) {
    let early = store.import_estate(of(vec![]), event("estate.imported")).await;
    assert_eq!(early, Err(StoreError::NoSuchAcquirer("acq".into())));
    estate(store).await;
    let device = Device::new(sn("SN-1"), Some(sn("PP-1"))).unwrap();
    assert_eq!(take(store, vec![terminal(device, 10)]).await, [ImportedOutcome::Stored]);
    let known = store.terminal(&sn("SN-1")).await.unwrap().unwrap();
    assert_eq!((known.key_serial().as_str(), known.acquirer.as_str()), ("PP-1", "acq"));
    assert_eq!((known.vendor.as_deref(), known.model.as_deref()), (Some("ACME"), Some("T-1")));
    assert_eq!((known.tk, known.tk_generation), (TkRecord::None, 1));
    for (index, n) in [(0, 10), (7, 11)] {
        let held = store.slot(&sn("SN-1"), slot(index)).await.unwrap();
        let active = held.active.unwrap();
        assert_eq!((active.kcv, active.key_serial.as_str(), held.pending), (kcv(n), "PP-1", None));
    }
    let device = store.device(&sn("SN-1")).await.unwrap().unwrap();
    assert_eq!(device.dmk, Some(HeldDmk { block: "D0096D10".into(), kcv: kcv(12) }));
    assert_eq!((device.identity, device.kld.as_str(), device.run.as_str()), (None, "old system", "import"));
    assert_eq!((device.loaded_at, device.compromised), (NOW, false));
    assert_eq!(store.devices(None, 10).await.unwrap().len(), 1);
    let identity = store.identity_of_terminal_id("00000010").await.unwrap().unwrap();
    assert_eq!((identity.sn, identity.merchant_id.as_str()), (sn("SN-1"), "M-1"));
    assert_eq!(store.overview().await.unwrap().collections, 0, "an import is no collection");
    // Next time it gets a TMK that differs from what it has.
    let put = store.put_pending(fresh("SN-1", 0, 1, 10), event("tmk.made")).await;
    assert_eq!(put, Ok(keyferry_store::PendingOutcome::SameCheckValue));
}

pub async fn an_import_is_run_again_from_any_point(store: &impl Store) {
    estate(store).await;
    take(store, vec![built_in("SN-1", 10)]).await;
    let changed =
        ImportedTerminal { tmks: vec![(slot(0), "D0096OTHER".into(), kcv(99))], ..built_in("SN-1", 10) };
    let outcomes = take(store, vec![changed, built_in("SN-2", 20)]).await;
    assert_eq!(outcomes, [ImportedOutcome::AlreadyKnown, ImportedOutcome::Stored]);
    let held = store.slot(&sn("SN-1"), slot(0)).await.unwrap();
    assert_eq!((held.active.unwrap().kcv, held.retired), (kcv(10), vec![]), "what is known is left as it is");
}

pub async fn one_bad_terminal_does_not_spoil_the_others(store: &impl Store) {
    one_terminal(store).await;
    import(store, package(2, vec![external("SN-2", "PP-2", 2)])).await;
    let before = events(store).await;
    let none = |serial| ImportedTerminal { terminal_id: None, ..built_in(serial, 50) };
    let twice = vec![(slot(0), "D1".into(), kcv(1)), (slot(0), "D2".into(), kcv(2))];
    let outcomes = take(
        store,
        vec![
            built_in("SN-3", 10),
            built_in("SN-1", 20),
            terminal(Device::new(sn("SN-4"), Some(sn("PP-2"))).unwrap(), 30),
            ImportedTerminal { terminal_id: Some("00000010".into()), ..built_in("SN-5", 40) },
            ImportedTerminal { tmks: twice, ..none("SN-6") },
            ImportedTerminal { tmks: vec![], dmk: None, vendor: None, model: None, ..none("SN-7") },
        ],
    )
    .await;
    use ImportedOutcome::{AlreadyKnown, PairTaken, SlotTwice, Stored, TerminalIdTaken};
    assert_eq!(outcomes, [Stored, AlreadyKnown, PairTaken, TerminalIdTaken, SlotTwice, Stored]);
    for refused in ["SN-4", "SN-5", "SN-6"] {
        assert_eq!(store.terminal(&sn(refused)).await.unwrap(), None, "{refused}");
    }
    assert_eq!(store.identity(&sn("SN-7")).await.unwrap(), None);
    assert_eq!(store.device(&sn("SN-7")).await.unwrap(), None);
    // One event for the act, one for each terminal; never a block.
    assert_eq!(events(store).await, before + 7);
    let rows = store.audit_page(1, 1_000).await.unwrap();
    let told: Vec<_> = rows.iter().filter(|row| row.kind == "import.terminal").collect();
    assert_eq!(told.len(), 6);
    assert!(told[0].detail.contains(r#""kcv":"00000A""#) && !told[0].detail.contains("D0096"));
}

pub async fn an_import_has_its_limits(store: &impl Store) {
    one_terminal(store).await;
    let before = events(store).await;
    let many = vec![built_in("SN-2", 1); limits::IMPORT + 1];
    let refused = store.import_estate(of(many), event("estate.imported")).await;
    assert_eq!(refused, Err(StoreError::TooMany { what: "terminals of an import", limit: limits::IMPORT }));
    let long = vec![(slot(0), "D".repeat(limits::KEY_BLOCK + 1), kcv(1))];
    let long = ImportedTerminal { tmks: long, ..built_in("SN-3", 1) };
    let refused = store.import_estate(of(vec![built_in("SN-2", 5), long]), event("estate.imported")).await;
    assert!(matches!(refused, Err(StoreError::TooLarge { .. })), "{refused:?}");
    assert_eq!(store.terminal(&sn("SN-2")).await.unwrap(), None, "nothing of the act happened");
    // A signed package's digest is no import's.
    let taken = EstateImport { digest: [1; 32], ..of(vec![]) };
    let refused = store.import_estate(taken, event("estate.imported")).await;
    assert!(matches!(refused, Err(StoreError::AlreadyThere { what: "signed package", .. })), "{refused:?}");
    assert_eq!(events(store).await, before);
}

/// What moved in is collected, and loaded by a KLD, like any other terminal.
pub async fn an_imported_terminal_is_one_of_the_estate(store: &impl Store) {
    estate(store).await;
    take(store, vec![built_in("SN-1", 10)]).await;
    let report = KldReport {
        content_digest: [2; 32],
        digest: [3; 32],
        package: vec![0x30],
        signer: operator(),
        acquirer: "acq".into(),
        kld: "KLD-7".into(),
        run: "run-1".into(),
        opened_at: NOW,
        closed_at: NOW + 1,
        terminals: vec![ReportedTerminal {
            device: Device::built_in(sn("SN-1")),
            keys: vec![ReportedKey::Dmk { block: "D0096NEW".into(), kcv: kcv(77) }],
            failed: None,
            refused: None,
        }],
        compromised: vec![],
    };
    let outcome = store.import_kld_report(report, event("kld.reported")).await.unwrap();
    assert_eq!(outcome, ReportOutcome::Stored(vec![PerReported::Taken { new: 1 }]));
    let device = store.device(&sn("SN-1")).await.unwrap().unwrap();
    assert_eq!((device.kld.as_str(), device.dmk.unwrap().kcv), ("KLD-7", kcv(77)));
    let id = waiting(store, 4, collected(Device::built_in(sn("SN-1")), 4)).await;
    store.approve_replacement(approval(id, 4, administrator()), event("approved")).await.unwrap();
    let known = store.terminal(&sn("SN-1")).await.unwrap().unwrap();
    assert!(matches!((known.tk, known.tk_generation), (TkRecord::Ciphertext { .. }, 2)));
}
