//! Certificates, work keys, revocation lists.

use keyferry_store::{NewCertificate, NewRevocationList, RevocationOutcome, Store, StoreError, WorkKeyState};
use wire::Suite;

use super::{NOW, WORK_CERTIFICATE, estate, event, events, work_key};

pub async fn the_same_certificate_twice_is_one(store: &impl Store) {
    let certificate = NewCertificate { role: "root".into(), sha256: "ff".into(), der: vec![1, 2, 3] };
    store.put_certificate(certificate.clone(), event("certificate")).await.unwrap();
    store.put_certificate(certificate, event("certificate")).await.unwrap();
    let found = store.certificate("ff").await.unwrap().unwrap();
    assert_eq!((&*found.role, found.der, found.created_at), ("root", vec![1, 2, 3], NOW));
    assert_eq!(store.certificate("fe").await.unwrap(), None);
    assert_eq!(events(store).await, 2);
}

pub async fn a_work_key_needs_its_certificate(store: &impl Store) {
    assert_eq!(
        store.put_work_key(work_key("00"), event("work-key")).await,
        Err(StoreError::NoSuchCertificate("00".into()))
    );
    assert_eq!(store.active_work_key(Suite::TDES).await.unwrap(), None);
    assert_eq!(events(store).await, 0);
}

pub async fn a_work_key_is_entered_once(store: &impl Store) {
    estate(store).await;
    assert_eq!(
        store.put_work_key(work_key(WORK_CERTIFICATE), event("work-key")).await,
        Err(StoreError::AlreadyThere { what: "work key", id: WORK_CERTIFICATE.into() })
    );
    // The refused act has not made the old key opening-only in passing.
    assert_eq!(store.active_work_key(Suite::TDES).await.unwrap().unwrap().state, WorkKeyState::Active);
}

pub async fn only_one_work_key_is_active(store: &impl Store) {
    estate(store).await;
    let newer = NewCertificate { role: "kms-work".into(), sha256: "cd".into(), der: vec![9] };
    store.put_certificate(newer, event("certificate")).await.unwrap();
    store.put_work_key(work_key("cd"), event("work-key")).await.unwrap();
    assert_eq!(store.active_work_key(Suite::TDES).await.unwrap().unwrap().certificate_sha256, "cd");
    let old = store.work_key(WORK_CERTIFICATE).await.unwrap().unwrap();
    assert_eq!((old.state, &*old.private_block), (WorkKeyState::OpeningOnly, "D0016RSA"));
}

pub async fn revocation_numbers_only_rise(store: &impl Store) {
    let list = |number, byte| NewRevocationList { issuer: "CN=Root".into(), number, der: vec![byte] };
    let put = async |number, byte| store.put_revocation_list(list(number, byte), event("crl")).await.unwrap();
    assert_eq!(put(7, 1).await, RevocationOutcome::Stored);
    assert_eq!(put(7, 2).await, RevocationOutcome::NotNewer { have: 7 });
    assert_eq!(put(6, 3).await, RevocationOutcome::NotNewer { have: 7 });
    assert_eq!(put(256, 4).await, RevocationOutcome::Stored);
    assert_eq!(put(u64::MAX, 5).await, RevocationOutcome::Stored);
    let other = NewRevocationList { issuer: "CN=Other".into(), ..list(1, 6) };
    assert_eq!(store.put_revocation_list(other, event("crl")).await, Ok(RevocationOutcome::Stored));
    let held = store.revocation_lists().await.unwrap();
    let held: Vec<_> = held.iter().map(|l| (&*l.issuer, l.number, l.der[0])).collect();
    assert_eq!(held, [("CN=Other", 1, 6), ("CN=Root", u64::MAX, 5)]);
    assert_eq!(events(store).await, 4);
}
