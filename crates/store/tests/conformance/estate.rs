//! Vendors, packages, groups, and the version that tells of a change.

use keyferry_store::{
    CollectedTerminal, NewPackage, PackageOutcome, Requirement, Store, StoreError, StoredSignature, Vendor,
    limits,
};

use super::{NOW, built_in, event, events, import, one_terminal, package as collection, sn};

pub fn vendor(id: &str) -> Vendor {
    Vendor {
        id: id.into(),
        name: format!("{id} Terminals"),
        models: vec!["T-1".into(), "T-2".into()],
        roots: vec![vec![0x30, 1], vec![0x30, 2]],
        repository: r#"{"kind":"database"}"#.into(),
        approval_required: false,
        operator_required: true,
        created_at: NOW,
    }
}

pub fn signature(n: u8) -> StoredSignature {
    StoredSignature { certificate: vec![0x30, n], intermediates: vec![], signature: vec![n; 256] }
}

pub fn package(name: &str, version: &str) -> NewPackage {
    NewPackage {
        vendor: "ACME".into(),
        name: name.into(),
        version: version.into(),
        kind: 1,
        models: vec!["T-1".into()],
        size: 3_000_000_000,
        sha256: [7; 32],
        signature: signature(1),
        approval: None,
        requires: vec![Requirement { name: "base".into(), version: ">=1, <3".into() }],
        path: format!("{name}/{version}.bin"),
    }
}

/// A vendor `ACME` with its package `app` 1.0.0; the package's id.
pub async fn published(store: &impl Store) -> i64 {
    store.put_vendor(vendor("ACME"), event("vendor")).await.unwrap();
    stored(store, package("app", "1.0.0")).await
}

pub async fn stored(store: &impl Store, package: NewPackage) -> i64 {
    match store.put_package(package, event("package.published")).await.unwrap() {
        PackageOutcome::Stored(id) => id,
        other => panic!("should be stored: {other:?}"),
    }
}

pub async fn a_vendor_is_entered_and_changed(store: &impl Store) {
    assert_eq!(store.vendor("ACME").await.unwrap(), None);
    for id in ["ZETA", "ACME"] {
        store.put_vendor(vendor(id), event("vendor")).await.unwrap();
    }
    assert_eq!(store.vendors().await.unwrap(), [vendor("ACME"), vendor("ZETA")]);
    // Changed: fewer roots, and the moment of its first entry stays.
    let changed = Vendor { roots: vec![vec![0x30, 9]], approval_required: true, ..vendor("ACME") };
    let later = keyferry_store::Event { at: NOW + 5, ..event("vendor") };
    store.put_vendor(Vendor { created_at: 1, ..changed.clone() }, later).await.unwrap();
    assert_eq!(store.vendor("ACME").await.unwrap(), Some(changed));
    let many = Vendor { roots: vec![vec![0x30]; limits::ROOTS + 1], ..vendor("MANY") };
    let refused = store.put_vendor(many, event("vendor")).await;
    assert_eq!(refused, Err(StoreError::TooMany { what: "roots of a vendor", limit: limits::ROOTS }));
    assert_eq!(store.vendor("MANY").await.unwrap(), None);
}

pub async fn a_package_is_published_once(store: &impl Store) {
    let early = store.put_package(package("app", "1.0.0"), event("package.published")).await;
    assert_eq!(early, Err(StoreError::NoSuchVendor("ACME".into())));
    let id = published(store).await;
    let second = stored(store, package("app", "1.1.0")).await;
    let found = store.package(id).await.unwrap().unwrap();
    let new = package("app", "1.0.0");
    assert_eq!((&found.vendor, &found.name, &found.version), (&new.vendor, &new.name, &new.version));
    assert_eq!((found.kind, found.size, found.sha256), (1, 3_000_000_000, [7; 32]));
    assert_eq!((&found.models, &found.requires, &found.path), (&new.models, &new.requires, &new.path));
    assert_eq!((&found.signature, &found.approval), (&new.signature, &None));
    assert_eq!((found.published_at, found.withdrawn_at), (NOW, None));
    assert_eq!(store.find_package("ACME", "app", "1.0.0").await.unwrap(), Some(found));
    assert_eq!(store.find_package("ACME", "app", "1.2.0").await.unwrap(), None);
    let ids: Vec<_> = store.packages("ACME").await.unwrap().into_iter().map(|p| p.id).collect();
    assert_eq!(ids, [id, second]);
    // The same again, signed again: an RSA-PSS signature is another each time.
    let before = events(store).await;
    let again = NewPackage { signature: signature(2), ..package("app", "1.0.0") };
    let outcome = store.put_package(again, event("package.published")).await;
    assert_eq!(outcome, Ok(PackageOutcome::AlreadyThere(id)));
    assert_eq!(events(store).await, before);
}

pub async fn another_content_needs_another_version(store: &impl Store) {
    published(store).await;
    let before = events(store).await;
    let same = || package("app", "1.0.0");
    for other in [
        NewPackage { kind: 2, ..same() },
        NewPackage { size: 1, ..same() },
        NewPackage { sha256: [8; 32], ..same() },
        NewPackage { models: vec![], ..same() },
        NewPackage { requires: vec![], ..same() },
    ] {
        let outcome = store.put_package(other, event("package.published")).await;
        assert_eq!(outcome, Ok(PackageOutcome::Differs));
    }
    assert_eq!(events(store).await, before);
}

pub async fn a_package_that_no_terminal_can_take_is_refused(store: &impl Store) {
    published(store).await;
    let huge = NewPackage { size: limits::FILE + 1, ..package("huge", "1.0.0") };
    let none = NewPackage { kind: 0, ..package("none", "1.0.0") };
    for refused in [huge, none] {
        let outcome = store.put_package(refused, event("package.published")).await;
        assert!(matches!(outcome, Err(StoreError::Invalid(_))), "{outcome:?}");
    }
    let largest = NewPackage { size: limits::FILE, ..package("largest", "1.0.0") };
    let id = stored(store, largest).await;
    assert_eq!(store.package(id).await.unwrap().unwrap().size, limits::FILE);
    let long = NewPackage { version: "1.0.0-".to_owned() + &"a".repeat(27), ..package("long", "") };
    let refused = store.put_package(long, event("package.published")).await;
    assert!(matches!(refused, Err(StoreError::TooLarge { .. })), "{refused:?}");
}

pub async fn an_approval_and_a_new_place_come_later(store: &impl Store) {
    let id = published(store).await;
    let approved = NewPackage { approval: Some(signature(5)), ..package("app", "1.0.0") };
    let outcome = store.put_package(approved, event("package.published")).await;
    assert_eq!(outcome, Ok(PackageOutcome::AlreadyThere(id)));
    let moved = NewPackage { path: "elsewhere.bin".into(), ..package("app", "1.0.0") };
    store.put_package(moved, event("package.published")).await.unwrap();
    let found = store.package(id).await.unwrap().unwrap();
    assert_eq!((found.path.as_str(), found.approval), ("elsewhere.bin", Some(signature(5))));
    // An approval is not changed, and not taken back.
    let other = NewPackage { approval: Some(signature(6)), path: found.path, ..package("app", "1.0.0") };
    let before = events(store).await;
    store.put_package(other, event("package.published")).await.unwrap();
    assert_eq!(store.package(id).await.unwrap().unwrap().approval, Some(signature(5)));
    assert_eq!(events(store).await, before);
}

pub async fn a_make_is_recorded_where_none_is_known(store: &impl Store) {
    let nameless = CollectedTerminal { vendor: None, model: None, ..built_in("SN-2", 2) };
    one_terminal(store).await;
    import(store, collection(2, vec![nameless])).await;
    let record = async |serial, vendor| {
        store.record_make(&sn(serial), vendor, "T-1", event("terminal.make-recorded")).await
    };
    assert_eq!(record("SN-2", "ACME").await, Ok(true));
    let before = events(store).await;
    assert_eq!(record("SN-2", "OTHER").await, Ok(false));
    assert_eq!(record("SN-9", "ACME").await, Ok(false));
    assert_eq!(events(store).await, before, "nothing new, nothing written");
    let terminal = store.terminal(&sn("SN-2")).await.unwrap().unwrap();
    assert_eq!((terminal.vendor.as_deref(), terminal.model.as_deref()), (Some("ACME"), Some("T-1")));
}

pub async fn a_package_is_withdrawn_once(store: &impl Store) {
    let id = published(store).await;
    assert_eq!(store.withdraw_package(id, event("package.withdrawn")).await, Ok(true));
    let before = events(store).await;
    assert_eq!(store.withdraw_package(id, event("package.withdrawn")).await, Ok(false));
    assert_eq!(store.withdraw_package(id + 1, event("package.withdrawn")).await, Ok(false));
    assert_eq!(events(store).await, before);
    assert_eq!(store.package(id).await.unwrap().unwrap().withdrawn_at, Some(NOW));
    // Publishing it again does not bring it back.
    let again = store.put_package(package("app", "1.0.0"), event("package.published")).await;
    assert_eq!(again, Ok(PackageOutcome::AlreadyThere(id)));
    assert_eq!(store.package(id).await.unwrap().unwrap().withdrawn_at, Some(NOW));
}

pub async fn groups_hold_known_terminals(store: &impl Store) {
    one_terminal(store).await;
    import(store, collection(2, vec![built_in("SN-2", 2)])).await;
    let set = async |name, add: &[&str], remove: &[&str]| {
        let serials = |list: &[&str]| list.iter().map(|text| sn(text)).collect();
        store.set_group(name, serials(add), serials(remove), event("group")).await
    };
    set("north", &["SN-1", "SN-2"], &[]).await.unwrap();
    set("canary", &["SN-1", "SN-1"], &[]).await.unwrap();
    assert_eq!(store.groups().await.unwrap(), [("canary".into(), 1), ("north".into(), 2)]);
    let terminal = store.tms_terminal(&sn("SN-1")).await.unwrap().unwrap();
    assert_eq!(terminal.groups, ["canary", "north"]);
    // One that is not known: nothing of the act happened.
    let before = events(store).await;
    let unknown = set("south", &["SN-1", "SN-9"], &[]).await;
    assert_eq!(unknown, Err(StoreError::NoSuchTerminal(sn("SN-9"))));
    assert_eq!(events(store).await, before);
    set("canary", &[], &["SN-1", "SN-2"]).await.unwrap();
    assert_eq!(store.groups().await.unwrap(), [("north".into(), 2)]);
    let many = vec![sn("SN-1"); limits::GROUP_CHANGE + 1];
    let refused = store.set_group("north", many, vec![], event("group")).await;
    assert!(matches!(refused, Err(StoreError::TooMany { .. })), "{refused:?}");
}
