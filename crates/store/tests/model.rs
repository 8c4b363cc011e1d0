//! Slots against a model: any sequence of requests, confirmations, re-sends, drops and replacements leaves in each
//! slot what the plain rules of 2-wire.md section 4 say, and the audit whole.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking, in its helpers too")]
#![allow(
    unreachable_pub,
    dead_code,
    unused_macros,
    unused_imports,
    reason = "shares the conformance cases' helpers"
)]

mod conformance;

use conformance::{administrator, approval, built_in, event, fresh, one_terminal, slot, sn, waiting};
use keyferry_store::{
    ConfirmOutcome, HeldKey, PendingOutcome, ResendOutcome, SqliteOptions, SqliteStore, Store,
};
use proptest::prelude::*;

const SLOTS: u8 = 2;

#[derive(Debug, Clone)]
enum Step {
    /// A fresh key for a slot, under the current TK or the one before.
    Put {
        slot: u8,
        stale: bool,
    },
    /// Confirm the nth key ever made.
    Confirm(prop::sample::Index),
    /// Send the nth key ever made again.
    Resend(prop::sample::Index),
    Drop,
    Replace,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0..SLOTS, prop::bool::weighted(0.1)).prop_map(|(slot, stale)| Step::Put { slot, stale }),
        4 => any::<prop::sample::Index>().prop_map(Step::Confirm),
        2 => any::<prop::sample::Index>().prop_map(Step::Resend),
        1 => Just(Step::Drop),
        1 => Just(Step::Replace),
    ]
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Pending,
    Active,
    Retired,
    Dropped,
}

/// Every key ever made, with its slot and its state: the whole of the model.
#[derive(Default)]
struct Model {
    keys: Vec<(u8, i64, State)>,
    generation: i64,
    made: u32,
}

impl Model {
    fn find(&self, slot: u8, state: State) -> Vec<i64> {
        self.keys.iter().rev().filter(|k| (k.0, k.2) == (slot, state)).map(|k| k.1).collect()
    }

    fn turn(&mut self, slot: Option<u8>, from: State, to: State) {
        for key in &mut self.keys {
            if key.2 == from && slot.is_none_or(|s| s == key.0) {
                key.2 = to;
            }
        }
    }

    async fn run(&mut self, store: &SqliteStore, step: Step) {
        match step {
            Step::Put { slot, stale } => self.put(store, slot, stale).await,
            Step::Confirm(nth) => {
                let Some((slot, id, state)) = self.nth(nth) else { return };
                let expected = match state {
                    State::Pending => ConfirmOutcome::Activated,
                    State::Active => ConfirmOutcome::AlreadyActive,
                    State::Retired | State::Dropped => ConfirmOutcome::Gone,
                };
                assert_eq!(store.confirm(id, event("tmk.confirmed")).await, Ok(expected));
                if state == State::Pending {
                    self.turn(Some(slot), State::Active, State::Retired);
                    self.turn(Some(slot), State::Pending, State::Active);
                }
            }
            Step::Resend(nth) => {
                let Some((_, id, state)) = self.nth(nth) else { return };
                let outcome = store.resend_pending(id, None, event("tmk.resent")).await.unwrap();
                match outcome {
                    ResendOutcome::Counted(key) => assert_eq!((key.id, state), (id, State::Pending)),
                    ResendOutcome::Gone => assert_ne!(state, State::Pending),
                    ResendOutcome::CounterTaken => panic!("suite 01 has no counters"),
                }
            }
            Step::Drop => {
                let pending = self.keys.iter().filter(|k| k.2 == State::Pending).count() as u64;
                assert_eq!(store.drop_pending(&sn("SN-1"), event("tamper")).await, Ok(pending));
                self.turn(None, State::Pending, State::Dropped);
            }
            Step::Replace => {
                self.generation += 1;
                let n = u8::try_from(self.generation).unwrap();
                let id = waiting(store, n, built_in("SN-1", n)).await;
                store.approve_replacement(approval(id, n, administrator()), event("approved")).await.unwrap();
                self.turn(None, State::Pending, State::Dropped);
            }
        }
    }

    async fn put(&mut self, store: &SqliteStore, slot: u8, stale: bool) {
        self.made += 1;
        let generation = if stale { self.generation - 1 } else { self.generation };
        let put = store.put_pending(fresh("SN-1", slot, generation, self.made), event("tmk.pending")).await;
        match (put.unwrap(), self.find(slot, State::Pending).first()) {
            (PendingOutcome::StaleTk, _) => assert!(stale),
            (PendingOutcome::Lost(first), Some(id)) => assert_eq!(first.id, *id),
            (PendingOutcome::Stored(key), None) => self.keys.push((slot, key.id, State::Pending)),
            other => panic!("not by the rules: {other:?}"),
        }
    }

    fn nth(&self, nth: prop::sample::Index) -> Option<(u8, i64, State)> {
        (!self.keys.is_empty()).then(|| *nth.get(&self.keys))
    }

    async fn compare(&self, store: &SqliteStore) {
        for number in 0..SLOTS {
            let held = store.slot(&sn("SN-1"), slot(number)).await.unwrap();
            let ids = |keys: &[HeldKey]| keys.iter().map(|k| k.id).collect::<Vec<_>>();
            let one = |key: Option<HeldKey>| key.map(|k| k.id).into_iter().collect::<Vec<_>>();
            assert_eq!(one(held.pending), self.find(number, State::Pending));
            assert_eq!(one(held.active), self.find(number, State::Active));
            let mut retired = self.find(number, State::Retired);
            retired.truncate(keyferry_store::limits::RETIRED_SHOWN as usize);
            assert_eq!(ids(&held.retired), retired);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn slots_are_as_the_rules_say(steps in prop::collection::vec(step(), 1..60)) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("store.sqlite");
            let store = SqliteStore::open(&path, SqliteOptions::default()).unwrap();
            one_terminal(&store).await;
            let mut model = Model { generation: 1, ..Model::default() };
            for step in steps {
                model.run(&store, step).await;
                model.compare(&store).await;
            }
            assert_eq!(store.audit_verify().await.unwrap().broken_at, None);
        });
    }
}
