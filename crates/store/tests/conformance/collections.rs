//! Taking collected packages.

use keyferry_store::{
    CollectedTerminal, CollectionImport, ImportOutcome, NewAcquirer, PerTerminal, Refusal, Store, StoreError,
    TkRecord,
};
use wire::Suite;

use super::{
    NOW, WORK_CERTIFICATE, built_in, estate, event, events, external, import, one_terminal, package,
    replacing, sn,
};

pub async fn the_same_bytes_are_taken_once(store: &impl Store) {
    one_terminal(store).await;
    let before = events(store).await;
    let again = package(1, vec![built_in("SN-2", 2)]);
    let outcome = store.import_collection(again, event("collection")).await;
    assert_eq!(outcome, Ok(ImportOutcome::Duplicate));
    assert_eq!(store.terminal(&sn("SN-2")).await.unwrap(), None);
    assert_eq!(events(store).await, before);
}

pub async fn each_terminal_has_its_event(store: &impl Store) {
    estate(store).await;
    let before = events(store).await;
    import(store, package(1, vec![built_in("SN-1", 1), external("SN-2", "PP-2", 2)])).await;
    let rows = store.audit_page(before as i64 + 1, 10).await.unwrap();
    let told: Vec<_> = rows.iter().map(|r| (&*r.kind, &*r.subject)).collect();
    assert_eq!(
        told,
        [("collection", "subject"), ("collection.terminal", "SN-1"), ("collection.terminal", "SN-2")]
    );
    assert!(rows[2].detail.contains("\"outcome\":\"stored\""), "{}", rows[2].detail);
    assert!(rows[2].detail.contains("00000000000000000002"), "{}", rows[2].detail);

    let first = store.terminal(&sn("SN-1")).await.unwrap().unwrap();
    assert_eq!((first.pin_pad.as_ref(), first.key_serial()), (None, &sn("SN-1")));
    let second = store.terminal(&sn("SN-2")).await.unwrap().unwrap();
    assert_eq!((second.pin_pad.as_ref(), second.key_serial()), (Some(&sn("PP-2")), &sn("PP-2")));
    assert_eq!((&*second.acquirer, second.suite, second.tk_generation), ("acq", Suite::TDES, 1));
    assert_eq!((second.vendor.as_deref(), second.model.as_deref()), (Some("ACME"), Some("T-1")));
    assert_eq!((second.created_at, &*second.fingerprint), (NOW, "00000000000000000002"));
    assert_eq!(
        second.tk,
        TkRecord::Ciphertext { ctk_pu: vec![2; 256], work_certificate_sha256: WORK_CERTIFICATE.into() }
    );
}

pub async fn an_unknown_acquirer_is_refused(store: &impl Store) {
    estate(store).await;
    let foreign = CollectionImport { acquirer: "nobody".into(), ..package(1, vec![built_in("SN-1", 1)]) };
    assert_eq!(
        store.import_collection(foreign, event("collection")).await,
        Err(StoreError::NoSuchAcquirer("nobody".into()))
    );
    assert_eq!(store.terminal(&sn("SN-1")).await.unwrap(), None);
}

pub async fn an_unknown_work_certificate_is_refused_and_nothing_is_kept(store: &impl Store) {
    estate(store).await;
    let before = store.overview().await.unwrap();
    let unknown = CollectedTerminal { work_certificate_sha256: "00".into(), ..built_in("SN-2", 2) };
    let both = package(1, vec![built_in("SN-1", 1), unknown]);
    assert_eq!(
        store.import_collection(both, event("collection")).await,
        Err(StoreError::NoSuchCertificate("00".into()))
    );
    assert_eq!(store.overview().await.unwrap(), before);
    assert_eq!(store.audit_verify().await.unwrap().broken_at, None);
}

pub async fn a_refused_terminal_does_not_spoil_the_others(store: &impl Store) {
    estate(store).await;
    let refusal = Refusal { code: "tk-hash".into(), text: "the TK's hash is wrong".into() };
    let bad = CollectedTerminal { refused: Some(refusal.clone()), ..built_in("SN-1", 1) };
    let outcomes = import(store, package(1, vec![bad, built_in("SN-2", 2)])).await;
    assert_eq!(outcomes, [PerTerminal::Refused(refusal), PerTerminal::Stored]);
    assert_eq!(store.terminal(&sn("SN-1")).await.unwrap(), None);
    assert!(store.terminal(&sn("SN-2")).await.unwrap().is_some());
    let last_two = store.audit_page(events(store).await as i64 - 1, 1).await.unwrap();
    assert!(last_two[0].detail.contains("tk-hash"), "{}", last_two[0].detail);
}

pub async fn the_same_terminal_twice_in_one_package_is_taken_once(store: &impl Store) {
    estate(store).await;
    let outcomes = import(store, package(1, vec![built_in("SN-1", 1), built_in("SN-1", 2)])).await;
    assert_eq!(outcomes, [PerTerminal::Stored, PerTerminal::AlreadyKnown { same: false }]);
    assert_eq!(store.terminal(&sn("SN-1")).await.unwrap().unwrap().fingerprint, "00000000000000000001");
}

pub async fn a_known_terminal_is_not_replaced_unasked(store: &impl Store) {
    one_terminal(store).await;
    let known = store.terminal(&sn("SN-1")).await.unwrap();
    assert_eq!(
        import(store, package(2, vec![built_in("SN-1", 9)])).await,
        [PerTerminal::AlreadyKnown { same: false }]
    );
    // The same TK in another package: harmless, and nothing to approve even where asked to replace.
    let same = replacing(built_in("SN-1", 1));
    assert_eq!(import(store, package(3, vec![same])).await, [PerTerminal::AlreadyKnown { same: true }]);
    assert_eq!(store.terminal(&sn("SN-1")).await.unwrap(), known);
    assert_eq!(store.replacements_waiting().await.unwrap(), []);
}

pub async fn a_pin_pad_belongs_to_one_terminal(store: &impl Store) {
    one_terminal(store).await;
    import(store, package(2, vec![external("SN-2", "PP-2", 2)])).await;
    let terminals = vec![
        // Another's external PIN pad; another's built-in one; a terminal with the serial of another's PIN pad.
        external("SN-3", "PP-2", 3),
        external("SN-4", "SN-1", 4),
        built_in("PP-2", 5),
        // Asking to replace does not help.
        replacing(external("SN-1", "PP-2", 6)),
    ];
    let taken = |by: &str| PerTerminal::SerialPairTaken { by: sn(by) };
    assert_eq!(
        import(store, package(3, terminals)).await,
        [taken("SN-2"), taken("SN-1"), taken("SN-2"), taken("SN-2")]
    );
    assert_eq!(store.overview().await.unwrap().terminals, 2);
}

pub async fn another_acquirers_terminal_is_refused(store: &impl Store) {
    one_terminal(store).await;
    store
        .put_acquirer(NewAcquirer { id: "rival".into(), name: "R".into() }, event("acquirer"))
        .await
        .unwrap();
    let theirs =
        CollectionImport { acquirer: "rival".into(), ..package(2, vec![replacing(built_in("SN-1", 2))]) };
    assert_eq!(import(store, theirs).await, [PerTerminal::OtherAcquirer]);
    assert_eq!(store.replacements_waiting().await.unwrap(), []);
}

pub async fn terminals_are_listed_in_pages(store: &impl Store) {
    estate(store).await;
    let terminals = (0..25).map(|n| built_in(&format!("SN-{n:02}"), n)).collect();
    import(store, package(1, terminals)).await;
    let mut seen = Vec::new();
    let mut after = None;
    loop {
        let page = store.terminals(after.as_ref(), 10).await.unwrap();
        assert!(page.len() <= 10);
        let Some(last) = page.last() else { break };
        after = Some(last.sn.clone());
        seen.extend(page.into_iter().map(|t| t.sn.to_string()));
    }
    assert_eq!(seen, (0..25).map(|n| format!("SN-{n:02}")).collect::<Vec<_>>());
}
