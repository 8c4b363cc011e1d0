//! Sign-ins against a model: whatever downloads, sign-ins, drops and replacements come in between, a slot's working keys
//! are those of the last sign-in that was confirmed under a TMK that was held (2-wire.md section 4, Flow F and
//! Confirming).

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking, in its helpers too")]
#![allow(
    unreachable_pub,
    dead_code,
    unused_macros,
    unused_imports,
    reason = "shares the conformance cases' helpers"
)]

mod conformance;

use conformance::{
    administrator, approval, built_in, event, external, fresh, kcv, one_terminal, slot, sn, waiting,
};
use keyferry_store::{
    ConfirmOutcome, HostStore, NewWorking, PendingOutcome, SignInKeys, SignInOutcome, SqliteOptions,
    SqliteStore, Store, WorkingKind,
};
use proptest::prelude::*;

const KINDS: [WorkingKind; 3] = [WorkingKind::Pik, WorkingKind::Mak, WorkingKind::Tdk];

#[derive(Debug, Clone)]
enum Step {
    Download,
    /// Confirm the nth TMK ever made.
    ConfirmTmk(prop::sample::Index),
    /// Sign in under the nth TMK ever made, with two or three keys.
    SignIn(prop::sample::Index, usize),
    /// Confirm the nth sign-in ever answered.
    ConfirmSignIn(prop::sample::Index),
    Drop,
    /// Another TK, with the same PIN pad or another one.
    Replace {
        pad: bool,
    },
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => Just(Step::Download),
        2 => any::<prop::sample::Index>().prop_map(Step::ConfirmTmk),
        5 => (any::<prop::sample::Index>(), 2..=3_usize).prop_map(|(tmk, keys)| Step::SignIn(tmk, keys)),
        5 => any::<prop::sample::Index>().prop_map(Step::ConfirmSignIn),
        1 => Just(Step::Drop),
        1 => any::<bool>().prop_map(|pad| Step::Replace { pad }),
    ]
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Pending,
    Active,
    Gone,
}

/// TMKs ever made with their states, sign-ins ever answered, the one that waits, and the keys in use.
#[derive(Default)]
struct Model {
    tmks: Vec<(i64, State)>,
    sign_ins: Vec<(i64, Vec<i64>)>,
    waits: Option<usize>,
    active: Vec<i64>,
    generation: i64,
    made: u32,
}

impl Model {
    fn turn(&mut self, from: State, to: State) {
        for tmk in self.tmks.iter_mut().filter(|tmk| tmk.1 == from) {
            tmk.1 = to;
        }
    }

    fn state(&self, id: i64) -> State {
        self.tmks.iter().find(|tmk| tmk.0 == id).unwrap().1
    }

    fn activate(&mut self, id: i64) {
        self.turn(State::Active, State::Gone);
        self.tmks.iter_mut().find(|tmk| tmk.0 == id).unwrap().1 = State::Active;
    }

    async fn run(&mut self, store: &SqliteStore, step: Step) {
        match step {
            Step::Download => {
                self.made += 1;
                let put = fresh("SN-1", 0, self.generation, self.made);
                if let PendingOutcome::Stored(key) = store.put_pending(put, event("made")).await.unwrap() {
                    self.tmks.push((key.id, State::Pending));
                }
            }
            Step::ConfirmTmk(nth) if !self.tmks.is_empty() => {
                let (id, state) = *nth.get(&self.tmks);
                store.confirm(id, event("confirmed")).await.unwrap();
                if state == State::Pending {
                    self.activate(id);
                }
            }
            Step::SignIn(nth, count) if !self.tmks.is_empty() => {
                let (tmk, state) = *nth.get(&self.tmks);
                match store.begin_sign_in(self.keys(tmk, count), event("answered")).await.unwrap() {
                    SignInOutcome::Stored(ids) => {
                        assert_ne!(state, State::Gone);
                        self.waits = Some(self.sign_ins.len());
                        self.sign_ins.push((tmk, ids));
                    }
                    SignInOutcome::Gone => assert_eq!(state, State::Gone),
                }
            }
            Step::ConfirmSignIn(nth) if !self.sign_ins.is_empty() => {
                self.confirm(store, nth.index(self.sign_ins.len())).await;
            }
            Step::Drop => {
                store.drop_pending(&sn("SN-1"), event("tamper")).await.unwrap();
                self.turn(State::Pending, State::Gone);
                self.waits = None;
            }
            Step::Replace { pad } => self.replace(store, pad).await,
            _ => {}
        }
    }

    fn keys(&mut self, tmk: i64, count: usize) -> SignInKeys {
        let new = |kind: &WorkingKind| {
            self.made += 1;
            NewWorking { kind: *kind, block: format!("D0080W{}", self.made), kcv: kcv(self.made) }
        };
        let keys = KINDS.iter().take(count).map(new).collect();
        SignInKeys { sn: sn("SN-1"), slot: slot(0), tmk, rnd1: vec![7; 8], keys }
    }

    async fn confirm(&mut self, store: &SqliteStore, nth: usize) {
        let (tmk, ids) = self.sign_ins[nth].clone();
        let held = self.state(tmk) != State::Gone;
        let expected = match self.waits {
            Some(waits) if waits == nth && held => ConfirmOutcome::Activated,
            None if self.active == ids => ConfirmOutcome::AlreadyActive,
            _ => ConfirmOutcome::Gone,
        };
        let outcome = store.confirm_sign_in(&sn("SN-1"), slot(0), ids.clone(), event("signed-in")).await;
        assert_eq!(outcome, Ok(expected));
        if expected == ConfirmOutcome::Activated {
            self.waits = None;
            self.active = ids;
            if self.state(tmk) == State::Pending {
                self.activate(tmk);
            }
        }
    }

    async fn replace(&mut self, store: &SqliteStore, pad: bool) {
        self.generation += 1;
        let n = u8::try_from(self.generation).unwrap();
        let before = store.terminal(&sn("SN-1")).await.unwrap().unwrap().key_serial().clone();
        let terminal = match (pad, before == sn("SN-1")) {
            (true, _) => external("SN-1", &format!("PP-{n}"), n),
            (false, true) => built_in("SN-1", n),
            (false, false) => external("SN-1", before.as_str(), n),
        };
        let id = waiting(store, n, terminal).await;
        store.approve_replacement(approval(id, n, administrator()), event("approved")).await.unwrap();
        self.turn(State::Pending, State::Gone);
        self.waits = None;
        if pad {
            self.turn(State::Active, State::Gone);
            self.active.clear();
        }
    }

    async fn compare(&self, store: &SqliteStore) {
        let waits = store.pending_sign_in(&sn("SN-1"), slot(0)).await.unwrap();
        let waits = waits.map(|s| (s.tmk, s.keys.iter().map(|(_, key)| key.id).collect::<Vec<_>>()));
        let expected = self.waits.map(|nth| self.sign_ins[nth].clone());
        assert_eq!(waits, expected.filter(|(tmk, _)| self.state(*tmk) != State::Gone));
        let wanted = KINDS.map(|kind| (sn("SN-1"), slot(0), kind)).to_vec();
        let found = store.active_working(wanted).await.unwrap();
        let ids: Vec<_> = found.iter().flatten().map(|key| key.key.id).collect();
        assert_eq!(ids, self.active);
        let pad = store.terminal(&sn("SN-1")).await.unwrap().unwrap().key_serial().clone();
        assert!(
            found.iter().flatten().all(|key| key.key_serial == pad),
            "keys lie in the terminal's own pad"
        );
        let held = store.slot(&sn("SN-1"), slot(0)).await.unwrap();
        let of = |state| self.tmks.iter().find(|tmk| tmk.1 == state).map(|tmk| tmk.0);
        assert_eq!(
            (held.pending.map(|k| k.id), held.active.map(|k| k.id)),
            (of(State::Pending), of(State::Active))
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn working_keys_are_as_the_rules_say(steps in prop::collection::vec(step(), 1..60)) {
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
