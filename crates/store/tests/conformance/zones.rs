//! Zone keys, and what a POSP calls terminals.

use keyferry_store::{MapOutcome, NewZoneKey, Store, StoreError, TerminalIdentity, limits};

use super::{NOW, built_in, event, events, import, one_terminal, package, sn};

fn zone_key(zone: &str, n: u8) -> NewZoneKey {
    NewZoneKey {
        zone: zone.into(),
        block: format!("D0080ZONE{n}"),
        algorithm: "tdes".into(),
        kcv: vec![n; 3],
    }
}

pub async fn a_zone_has_one_active_key(store: &impl Store) {
    assert_eq!(store.zone_key("issuer").await.unwrap(), None);
    store.put_zone_key(zone_key("issuer", 1), event("zone.key")).await.unwrap();
    store
        .put_zone_key(NewZoneKey { kcv: vec![3; 5], ..zone_key("acs", 3) }, event("zone.key"))
        .await
        .unwrap();
    let first = store.zone_key("issuer").await.unwrap().unwrap();
    assert_eq!((&first.key, first.created_at), (&zone_key("issuer", 1), NOW));
    store.put_zone_key(zone_key("issuer", 2), event("zone.key")).await.unwrap();
    let second = store.zone_key("issuer").await.unwrap().unwrap();
    assert_eq!(second.key, zone_key("issuer", 2));
    assert!(second.id > first.id);
    let zones: Vec<_> = store.zone_keys().await.unwrap().into_iter().map(|key| key.key.zone).collect();
    assert_eq!(zones, ["acs", "issuer"]);
    // The audit says which key it was, by its check value, and which it retired.
    let rows = store.audit_page(1, 100).await.unwrap();
    let last = &rows.last().unwrap().detail;
    assert!(
        last.contains(r#""kcv":"020202""#) && last.contains(&format!(r#""retired":{}"#, first.id)),
        "{last}"
    );
    assert!(!last.contains("D0080"), "no block in the audit");
}

pub async fn a_zone_key_that_is_too_long_is_refused(store: &impl Store) {
    let long = NewZoneKey { zone: "z".repeat(limits::NAME + 1), ..zone_key("", 1) };
    let block = NewZoneKey { block: "D".repeat(limits::KEY_BLOCK + 1), ..zone_key("issuer", 1) };
    for refused in [long, block] {
        let outcome = store.put_zone_key(refused, event("zone.key")).await;
        assert!(matches!(outcome, Err(StoreError::TooLarge { .. })), "{outcome:?}");
    }
    assert_eq!(store.zone_keys().await.unwrap(), []);
}

fn identity(serial: &str, terminal_id: &str, merchant_id: &str) -> TerminalIdentity {
    TerminalIdentity { sn: sn(serial), terminal_id: terminal_id.into(), merchant_id: merchant_id.into() }
}

pub async fn identities_are_found_either_way(store: &impl Store) {
    one_terminal(store).await;
    import(store, package(2, vec![built_in("SN-2", 2), built_in("SN-3", 3)])).await;
    let before = events(store).await;
    let outcomes = store
        .map_identities(
            vec![
                identity("SN-3", "00000003", "M-1"),
                identity("SN-1", "00000001", "M-1"),
                identity("SN-9", "00000009", "M-1"),
                identity("SN-2", "00000001", "M-2"),
            ],
            event("identities"),
        )
        .await
        .unwrap();
    let taken = MapOutcome::TerminalIdTaken(sn("SN-1"));
    assert_eq!(outcomes, [MapOutcome::Stored, MapOutcome::Stored, MapOutcome::UnknownTerminal, taken]);
    // One event for all, and one for each that is stored.
    assert_eq!(events(store).await, before + 3);
    assert_eq!(store.identity(&sn("SN-1")).await.unwrap(), Some(identity("SN-1", "00000001", "M-1")));
    assert_eq!(store.identity(&sn("SN-2")).await.unwrap(), None);
    let found = store.identity_of_terminal_id("00000003").await.unwrap();
    assert_eq!(found, Some(identity("SN-3", "00000003", "M-1")));
    assert_eq!(store.identity_of_terminal_id("00000009").await.unwrap(), None);
    let of_merchant = async |after: Option<&str>, limit| {
        let after = after.map(sn);
        let found = store.identities_of_merchant("M-1", after.as_ref(), limit).await.unwrap();
        found.into_iter().map(|identity| identity.sn).collect::<Vec<_>>()
    };
    assert_eq!(of_merchant(None, 10).await, [sn("SN-1"), sn("SN-3")]);
    assert_eq!(of_merchant(None, 1).await, [sn("SN-1")]);
    assert_eq!(of_merchant(Some("SN-1"), 10).await, [sn("SN-3")]);
}

pub async fn an_identity_is_changed_and_its_terminal_id_free_again(store: &impl Store) {
    one_terminal(store).await;
    import(store, package(2, vec![built_in("SN-2", 2)])).await;
    let map = async |identity| store.map_identities(vec![identity], event("identities")).await;
    map(identity("SN-1", "00000001", "M-1")).await.unwrap();
    map(identity("SN-1", "00000007", "")).await.unwrap();
    assert_eq!(map(identity("SN-2", "00000001", "M-2")).await, Ok(vec![MapOutcome::Stored]));
    assert_eq!(store.identity(&sn("SN-1")).await.unwrap(), Some(identity("SN-1", "00000007", "")));
    let before = events(store).await;
    let empty = map(identity("SN-1", "", "M-1")).await;
    assert!(matches!(empty, Err(StoreError::Invalid(_))), "{empty:?}");
    let long = map(identity("SN-1", &"1".repeat(limits::IDENTITY + 1), "M-1")).await;
    assert!(matches!(long, Err(StoreError::TooLarge { .. })), "{long:?}");
    let many = vec![identity("SN-1", "00000001", "M-1"); limits::IMPORT + 1];
    let many = store.map_identities(many, event("identities")).await;
    assert_eq!(many, Err(StoreError::TooMany { what: "identities", limit: limits::IMPORT }));
    assert_eq!(events(store).await, before);
}
