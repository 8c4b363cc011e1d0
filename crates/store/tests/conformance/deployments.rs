//! Deployments, what they offer, and what comes back.

use keyferry_store::{
    Counts, DeploymentState, NewDeployment, Offer, OfferState, Stage, StopRule, Store, StoreError, Target,
    TmsReport, Window, limits,
};

use super::estate::{package, published, stored, vendor};
use super::slots::all;
use super::{NOW, built_in, event, events, import, one_terminal, package as collection, sn};

fn deployment(package: i64) -> NewDeployment {
    NewDeployment {
        vendor: "ACME".into(),
        package,
        target: Target {
            models: vec!["T-1".into()],
            groups: vec!["canary".into()],
            serials: vec!["SN-1".into()],
            installed: Some("<2".into()),
        },
        from: NOW,
        until: Some(NOW + 86_400_000),
        window: Some(Window { start_minute: 1_320, end_minute: 240, utc_offset_minutes: -90 }),
        stages: vec![Stage { percent: 5, successes: 10 }, Stage { percent: 100, successes: 0 }],
        stop_at: StopRule { failures_percent: 20, at_least: 5 },
        allow_downgrade: false,
    }
}

async fn started(store: &impl Store, package: i64) -> i64 {
    store.put_deployment(deployment(package), event("deployment.started")).await.unwrap()
}

async fn state(store: &impl Store, id: i64) -> DeploymentState {
    store.deployment(id).await.unwrap().unwrap().state
}

pub async fn a_deployment_is_kept_as_told(store: &impl Store) {
    let app = published(store).await;
    let id = started(store, app).await;
    let found = store.deployment(id).await.unwrap().unwrap();
    let new = deployment(app);
    assert_eq!((&found.vendor, found.package, &found.target), (&new.vendor, app, &new.target));
    assert_eq!((found.from, found.until, found.window), (new.from, new.until, new.window));
    assert_eq!((&found.stages, found.stage, found.stop_at), (&new.stages, 0, new.stop_at));
    assert_eq!((found.allow_downgrade, found.state), (false, DeploymentState::Running));
    assert_eq!(found.counts, Counts::default());
    assert_eq!((found.created_at, found.created_by.as_str()), (NOW, "server"));
    // With as little as there can be.
    let bare = NewDeployment {
        target: Target::default(),
        until: None,
        window: None,
        stages: vec![],
        allow_downgrade: true,
        ..deployment(app)
    };
    let second = store.put_deployment(bare, event("deployment.started")).await.unwrap();
    let plain = store.deployment(second).await.unwrap().unwrap();
    assert_eq!((plain.until, plain.window, plain.target), (None, None, Target::default()));
    let ids = async |vendor| {
        let all = store.deployments(vendor).await.unwrap();
        all.into_iter().map(|d| d.id).collect::<Vec<_>>()
    };
    assert_eq!((ids(None).await, ids(Some("ACME")).await), (vec![second, id], vec![second, id]));
    assert_eq!(ids(Some("ZETA")).await, Vec::<i64>::new());
    let running = store.running_deployments("ACME").await.unwrap();
    assert_eq!(running.iter().map(|d| d.id).collect::<Vec<_>>(), [id, second]);
}

pub async fn only_a_vendors_own_package_that_stands_is_deployed(store: &impl Store) {
    let early = store.put_deployment(deployment(1), event("deployment.started")).await;
    assert_eq!(early, Err(StoreError::NoSuchVendor("ACME".into())));
    let app = published(store).await;
    store.put_vendor(vendor("ZETA"), event("vendor")).await.unwrap();
    store.withdraw_package(app, event("package.withdrawn")).await.unwrap();
    let other = stored(store, package("app", "2.0.0")).await;
    let before = events(store).await;
    let foreign = NewDeployment { vendor: "ZETA".into(), ..deployment(other) };
    for (refused, id) in [(deployment(app), app), (foreign, other), (deployment(99), 99)] {
        let outcome = store.put_deployment(refused, event("deployment.started")).await;
        assert_eq!(outcome, Err(StoreError::NoSuchPackage(id)));
    }
    assert_eq!(events(store).await, before);
}

pub async fn numbers_that_no_plan_follows_are_refused(store: &impl Store) {
    let app = published(store).await;
    let before = events(store).await;
    let window = Window { start_minute: 0, end_minute: 1_440, utc_offset_minutes: 0 };
    for refused in [
        NewDeployment { stop_at: StopRule { failures_percent: 101, at_least: 0 }, ..deployment(app) },
        NewDeployment { stages: vec![Stage { percent: 101, successes: 0 }], ..deployment(app) },
        NewDeployment { window: Some(window), ..deployment(app) },
        NewDeployment {
            window: Some(Window { start_minute: 1_440, end_minute: 0, ..window }),
            ..deployment(app)
        },
    ] {
        let outcome = store.put_deployment(refused, event("deployment.started")).await;
        assert!(matches!(outcome, Err(StoreError::Invalid(_))), "{outcome:?}");
    }
    assert_eq!(events(store).await, before);
}

pub async fn deployments_whose_time_is_over_are_found(store: &impl Store) {
    use DeploymentState::{Cancelled, Finished, Paused, Running};
    let app = published(store).await;
    let mut ids = Vec::new();
    for until in [Some(NOW + 9), None, Some(NOW + 5), Some(NOW + 7), Some(NOW + 10)] {
        let new = NewDeployment { until, ..deployment(app) };
        ids.push(store.put_deployment(new, event("deployment.started")).await.unwrap());
    }
    store.set_deployment_state(ids[2], &[Running], Paused, event("deployment.paused")).await.unwrap();
    store.set_deployment_state(ids[3], &[Running], Cancelled, event("deployment.cancelled")).await.unwrap();
    let over = async |now| {
        let found = store.deployments_over(now).await.unwrap();
        found.into_iter().map(|deployment| deployment.id).collect::<Vec<_>>()
    };
    assert_eq!(over(NOW + 4).await, Vec::<i64>::new());
    assert_eq!(over(NOW + 9).await, [ids[2], ids[0]]);
    store.set_deployment_state(ids[2], &[Paused], Finished, event("deployment.finished")).await.unwrap();
    assert_eq!(over(NOW + 9).await, [ids[0]]);
}

pub async fn states_change_from_what_was_seen(store: &impl Store) {
    use DeploymentState::{Cancelled, Finished, Paused, Running, Stopped};
    let app = published(store).await;
    let id = started(store, app).await;
    let set = async |from: &[DeploymentState], to| {
        store.set_deployment_state(id, from, to, event("deployment.state")).await.unwrap()
    };
    assert!(set(&[Running], Paused).await);
    assert_eq!(store.running_deployments("ACME").await.unwrap(), []);
    // Two that saw it running: the second comes too late.
    let before = events(store).await;
    assert!(!set(&[Running], Stopped).await);
    assert!(!set(&[], Stopped).await);
    assert!(!set(&[Paused], Paused).await);
    assert_eq!((events(store).await, state(store, id).await), (before, Paused));
    assert!(set(&[Stopped, Paused], Running).await);
    assert!(set(&[Running], Stopped).await);
    assert!(set(&[Stopped], Running).await);
    assert!(set(&[Running, Paused, Stopped], Cancelled).await);
    for to in [Running, Finished] {
        assert!(!set(&[Cancelled], to).await, "a cancelled deployment stays so");
    }
    let nowhere = store.set_deployment_state(id + 1, &[Running], Paused, event("deployment.state")).await;
    assert_eq!(nowhere, Ok(false));
}

pub async fn many_stops_at_once_stop_once(store: &impl Store) {
    let app = published(store).await;
    let id = started(store, app).await;
    let from = [DeploymentState::Running];
    let stop = || store.set_deployment_state(id, &from, DeploymentState::Stopped, event("stopped"));
    let outcomes = all((0..8).map(|_| stop())).await;
    assert_eq!(outcomes.iter().filter(|outcome| **outcome == Ok(true)).count(), 1);
    assert_eq!(state(store, id).await, DeploymentState::Stopped);
}

pub async fn a_stage_goes_on_from_what_was_seen(store: &impl Store) {
    let app = published(store).await;
    let id = started(store, app).await;
    let set = async |from, to| store.set_stage(id, from, to, event("deployment.stage")).await.unwrap();
    assert!(set(0, 1).await);
    assert!(!set(0, 1).await);
    assert_eq!(store.deployment(id).await.unwrap().unwrap().stage, 1);
    let (from, to) = ([DeploymentState::Running], DeploymentState::Paused);
    store.set_deployment_state(id, &from, to, event("deployment.paused")).await.unwrap();
    assert!(!set(1, 2).await, "a paused deployment stays at its stage");
}

/// Each act on the estate raises the version; what terminals tell does not.
pub async fn the_version_tells_of_every_change(store: &impl Store) {
    one_terminal(store).await;
    let mut last = store.estate_version().await.unwrap();
    let mut risen = async |what: &str| {
        let now = store.estate_version().await.unwrap();
        assert!(now > last, "{what}");
        last = now;
    };
    store.put_vendor(vendor("ACME"), event("vendor")).await.unwrap();
    risen("a new vendor").await;
    store.put_vendor(vendor("ACME"), event("vendor")).await.unwrap();
    risen("a changed vendor").await;
    let app = stored(store, package("app", "1.0.0")).await;
    risen("a package").await;
    store.set_group("canary", vec![sn("SN-1")], vec![], event("group")).await.unwrap();
    risen("a terminal in a group").await;
    store.set_group("canary", vec![], vec![sn("SN-1")], event("group")).await.unwrap();
    risen("a terminal out of it").await;
    let id = started(store, app).await;
    risen("a deployment").await;
    store.set_stage(id, 0, 1, event("stage")).await.unwrap();
    risen("a stage").await;
    let (from, to) = ([DeploymentState::Running], DeploymentState::Paused);
    store.set_deployment_state(id, &from, to, event("state")).await.unwrap();
    risen("a state").await;
    store.withdraw_package(app, event("package.withdrawn")).await.unwrap();
    risen("a package withdrawn").await;
    store.offer(&sn("SN-1"), vec![(id, app)], event("offered")).await.unwrap();
    store.take_report(report(vec![(id, OfferState::Failed)]), event("reported")).await.unwrap();
    store.note_inventory(&sn("SN-1"), vec![], None, NOW).await.unwrap();
    assert_eq!(store.estate_version().await.unwrap(), last);
}

fn report(results: Vec<(i64, OfferState)>) -> TmsReport {
    TmsReport {
        sn: sn("SN-1"),
        installed: vec![("app".into(), "1.0.0".into(), 1)],
        good: true,
        status: Some(r#"{"battery":80}"#.into()),
        results,
        at: NOW + 7,
    }
}

pub async fn an_inventory_is_kept_and_written_over(store: &impl Store) {
    one_terminal(store).await;
    let terminal = store.tms_terminal(&sn("SN-1")).await.unwrap().unwrap();
    assert_eq!((terminal.sn, terminal.seen_at, terminal.installed), (sn("SN-1"), None, vec![]));
    let app = |version: &str| vec![("app".to_owned(), version.to_owned(), 1)];
    let status = Some(r#"{"a":1}"#.to_owned());
    store.note_inventory(&sn("SN-1"), app("1.0.0"), status.clone(), NOW).await.unwrap();
    // A status that is not told again stays.
    store.note_inventory(&sn("SN-1"), app("1.1.0"), None, NOW + 1).await.unwrap();
    let terminal = store.tms_terminal(&sn("SN-1")).await.unwrap().unwrap();
    assert_eq!(
        (terminal.installed, terminal.status, terminal.seen_at),
        (app("1.1.0"), status, Some(NOW + 1))
    );
    let stranger = store.note_inventory(&sn("SN-9"), vec![], None, NOW).await;
    assert_eq!(stranger, Err(StoreError::NoSuchTerminal(sn("SN-9"))));
    assert_eq!(store.tms_terminal(&sn("SN-9")).await.unwrap(), None);
    let long = "x".repeat(limits::STATUS + 1);
    let refused = store.note_inventory(&sn("SN-1"), vec![], Some(long), NOW).await;
    assert!(matches!(refused, Err(StoreError::TooLarge { .. })), "{refused:?}");
}

pub async fn an_offer_counts_once(store: &impl Store) {
    one_terminal(store).await;
    let app = published(store).await;
    let id = started(store, app).await;
    let offer = async |offers| store.offer(&sn("SN-1"), offers, event("tms.offered")).await;
    offer(vec![(id, app)]).await.unwrap();
    let before = events(store).await;
    offer(vec![(id, app)]).await.unwrap();
    // Of another package, or of no deployment: not an offer.
    offer(vec![(id, app + 1), (id + 1, app)]).await.unwrap();
    assert_eq!(events(store).await, before);
    let counts = store.deployment(id).await.unwrap().unwrap().counts;
    assert_eq!(counts, Counts { offered: 1, installed: 0, failed: 0 });
    let terminal = store.tms_terminal(&sn("SN-1")).await.unwrap().unwrap();
    assert_eq!(
        terminal.offers,
        [Offer { deployment: id, package: app, state: OfferState::Offered, at: NOW }]
    );
    let stranger = store.offer(&sn("SN-9"), vec![(id, app)], event("tms.offered")).await;
    assert_eq!(stranger, Err(StoreError::NoSuchTerminal(sn("SN-9"))));
}

/// A terminal is in one count at a time: that of its latest report.
pub async fn a_report_moves_a_terminal_between_counts(store: &impl Store) {
    one_terminal(store).await;
    import(store, collection(2, vec![built_in("SN-2", 2)])).await;
    let app = published(store).await;
    let id = started(store, app).await;
    for serial in ["SN-1", "SN-2"] {
        store.offer(&sn(serial), vec![(id, app)], event("tms.offered")).await.unwrap();
    }
    let take = async |state| {
        store.take_report(report(vec![(id, state), (id + 9, state)]), event("tms.reported")).await.unwrap()
    };
    let counts = |installed, failed| vec![(id, Counts { offered: 2, installed, failed })];
    assert_eq!(take(OfferState::Failed).await, counts(0, 1));
    assert_eq!(take(OfferState::Failed).await, counts(0, 1), "the same report again");
    assert_eq!(take(OfferState::Installed).await, counts(1, 0));
    assert_eq!(take(OfferState::Offered).await, counts(1, 0), "an offer takes no report back");
    let terminal = store.tms_terminal(&sn("SN-1")).await.unwrap().unwrap();
    let offer = Offer { deployment: id, package: app, state: OfferState::Installed, at: NOW + 7 };
    assert_eq!((terminal.offers, terminal.seen_at), (vec![offer], Some(NOW + 7)));
    assert_eq!(terminal.installed, [("app".into(), "1.0.0".into(), 1)]);
    // Offered again it stays installed.
    store.offer(&sn("SN-1"), vec![(id, app)], event("tms.offered")).await.unwrap();
    assert_eq!(store.deployment(id).await.unwrap().unwrap().counts, counts(1, 0)[0].1);
    // From a terminal that was not offered it: no count.
    let stranger = TmsReport { sn: sn("SN-9"), ..report(vec![]) };
    let refused = store.take_report(stranger, event("tms.reported")).await;
    assert_eq!(refused, Err(StoreError::NoSuchTerminal(sn("SN-9"))));
}
