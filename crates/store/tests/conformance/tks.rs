//! A TK's change from ciphertext to blocks.

use keyferry_store::{Store, StoreError, TkOutcome, TkRecord};

use super::{event, events, one_terminal, sn};

pub async fn blocks_take_the_place_of_the_ciphertext(store: &impl Store) {
    one_terminal(store).await;
    let set = store.set_tk_blocks(&sn("SN-1"), 1, "TEK".into(), "AUK".into(), event("tk.blocks")).await;
    assert_eq!(set, Ok(TkOutcome::Stored));
    let terminal = store.terminal(&sn("SN-1")).await.unwrap().unwrap();
    assert_eq!(terminal.tk, TkRecord::Blocks { tek: "TEK".into(), auk: "AUK".into() });
    assert_eq!((terminal.tk_generation, &*terminal.fingerprint), (1, "00000000000000000001"));
    let overview = store.overview().await.unwrap();
    assert_eq!((overview.tks_as_ciphertext, overview.tks_as_blocks), (0, 1));
}

pub async fn blocks_are_set_once(store: &impl Store) {
    one_terminal(store).await;
    let set = async |tek: &str| {
        store.set_tk_blocks(&sn("SN-1"), 1, tek.into(), "AUK".into(), event("tk.blocks")).await.unwrap()
    };
    assert_eq!(set("first").await, TkOutcome::Stored);
    let before = events(store).await;
    assert_eq!(set("second").await, TkOutcome::AlreadyBlocks);
    assert_eq!(events(store).await, before);
    let terminal = store.terminal(&sn("SN-1")).await.unwrap().unwrap();
    assert_eq!(terminal.tk, TkRecord::Blocks { tek: "first".into(), auk: "AUK".into() });
}

pub async fn blocks_of_an_older_generation_are_refused(store: &impl Store) {
    one_terminal(store).await;
    for generation in [0, 2] {
        let set =
            store.set_tk_blocks(&sn("SN-1"), generation, "T".into(), "A".into(), event("tk.blocks")).await;
        assert_eq!(set, Ok(TkOutcome::StaleTk));
    }
    assert_eq!(store.overview().await.unwrap().tks_as_blocks, 0);
}

pub async fn blocks_of_an_unknown_terminal_are_refused(store: &impl Store) {
    let set = store.set_tk_blocks(&sn("SN-9"), 1, "T".into(), "A".into(), event("tk.blocks")).await;
    assert_eq!(set, Err(StoreError::NoSuchTerminal(sn("SN-9"))));
    assert_eq!(events(store).await, 0);
}
