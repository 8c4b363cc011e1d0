//! Deployments' counts against a model: in whatever order terminals are offered packages and report, each terminal is in
//! one count, that of its latest report.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking, in its helpers too")]
#![allow(
    unreachable_pub,
    dead_code,
    unused_macros,
    unused_imports,
    reason = "shares the conformance cases' helpers"
)]

mod conformance;

use std::collections::BTreeMap;

use conformance::estate::{package, published, stored};
use conformance::{NOW, built_in, estate, event, import, package as collection, sn};
use keyferry_store::{
    Counts, NewDeployment, OfferState, SqliteOptions, SqliteStore, StopRule, Target, TmsReport, TmsStore,
};
use proptest::prelude::*;

const TERMINALS: [&str; 3] = ["SN-1", "SN-2", "SN-3"];
const DEPLOYMENTS: usize = 2;

#[derive(Debug, Clone)]
enum Step {
    /// To a terminal, of some deployments.
    Offer(usize, Vec<usize>),
    /// From a terminal: deployments and what came of them.
    Report(usize, Vec<(usize, OfferState)>),
}

fn step() -> impl Strategy<Value = Step> {
    let state = prop_oneof![Just(OfferState::Offered), Just(OfferState::Installed), Just(OfferState::Failed)];
    let results = prop::collection::vec((0..DEPLOYMENTS, state), 0..4);
    prop_oneof![
        (0..TERMINALS.len(), prop::collection::vec(0..DEPLOYMENTS, 0..4))
            .prop_map(|(t, d)| Step::Offer(t, d)),
        (0..TERMINALS.len(), results).prop_map(|(t, r)| Step::Report(t, r)),
    ]
}

type Model = BTreeMap<(usize, usize), OfferState>;

fn counts(model: &Model, deployment: usize) -> Counts {
    let count = |state: Option<OfferState>| {
        let of_it =
            model.iter().filter(|((_, d), s)| *d == deployment && state.is_none_or(|state| **s == state));
        of_it.count() as u64
    };
    Counts {
        offered: count(None),
        installed: count(Some(OfferState::Installed)),
        failed: count(Some(OfferState::Failed)),
    }
}

async fn run(store: &SqliteStore, deployments: &[(i64, i64)], model: &mut Model, step: Step) {
    match step {
        Step::Offer(terminal, of) => {
            let offers = of.iter().map(|d| deployments[*d]).collect();
            store.offer(&sn(TERMINALS[terminal]), offers, event("offered")).await.unwrap();
            for d in of {
                model.entry((terminal, d)).or_insert(OfferState::Offered);
            }
        }
        Step::Report(terminal, results) => {
            let report = TmsReport {
                sn: sn(TERMINALS[terminal]),
                installed: vec![],
                good: true,
                status: None,
                results: results.iter().map(|(d, state)| (deployments[*d].0, *state)).collect(),
                at: NOW,
            };
            let told = store.take_report(report, event("reported")).await.unwrap();
            for (d, state) in &results {
                if let Some(now) = model.get_mut(&(terminal, *d))
                    && *state != OfferState::Offered
                {
                    *now = *state;
                }
            }
            // What is told of a deployment last is what holds.
            for (id, last) in told.into_iter().collect::<BTreeMap<_, _>>() {
                let d = deployments.iter().position(|deployment| deployment.0 == id).unwrap();
                assert_eq!(last, counts(model, d));
            }
        }
    }
}

async fn deployed(store: &SqliteStore) -> Vec<(i64, i64)> {
    estate(store).await;
    let terminals = TERMINALS.iter().zip(1..).map(|(serial, n)| built_in(serial, n)).collect();
    import(store, collection(1, terminals)).await;
    let mut packages = vec![published(store).await];
    packages.push(stored(store, package("app", "2.0.0")).await);
    let mut deployments = Vec::new();
    for package in packages {
        let new = NewDeployment {
            vendor: "ACME".into(),
            package,
            target: Target::default(),
            from: NOW,
            until: None,
            window: None,
            stages: vec![],
            stop_at: StopRule { failures_percent: 10, at_least: 1 },
            allow_downgrade: false,
        };
        deployments.push((store.put_deployment(new, event("started")).await.unwrap(), package));
    }
    deployments
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn each_terminal_is_in_one_count(steps in prop::collection::vec(step(), 1..50)) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("store.sqlite");
            let store = SqliteStore::open(&path, SqliteOptions::default()).unwrap();
            let deployments = deployed(&store).await;
            let mut model = Model::new();
            for step in steps {
                run(&store, &deployments, &mut model, step).await;
                for (d, (id, _)) in deployments.iter().enumerate() {
                    assert_eq!(store.deployment(*id).await.unwrap().unwrap().counts, counts(&model, d));
                }
            }
        });
    }
}
