//! Acquirers.

use keyferry_store::{NewAcquirer, Store, StoreError};

use super::{NOW, event, events};

pub async fn entered_once(store: &impl Store) {
    let acquirer = NewAcquirer { id: "acq".into(), name: "First".into() };
    store.put_acquirer(acquirer.clone(), event("acquirer")).await.unwrap();
    let before = events(store).await;
    let again = NewAcquirer { name: "Other".into(), ..acquirer };
    assert_eq!(
        store.put_acquirer(again, event("acquirer")).await,
        Err(StoreError::AlreadyThere { what: "acquirer", id: "acq".into() })
    );
    assert_eq!(events(store).await, before);
    let all = store.acquirers().await.unwrap();
    assert_eq!(all.iter().map(|a| (a.name.as_str(), a.created_at)).collect::<Vec<_>>(), [("First", NOW)]);
}

pub async fn listed_by_id(store: &impl Store) {
    for id in ["b", "a", "c"] {
        store.put_acquirer(NewAcquirer { id: id.into(), name: id.into() }, event("acquirer")).await.unwrap();
    }
    let ids: Vec<_> = store.acquirers().await.unwrap().into_iter().map(|a| a.id).collect();
    assert_eq!(ids, ["a", "b", "c"]);
}
