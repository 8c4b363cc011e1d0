//! Reports, and what becomes of a deployment by them.

use std::net::SocketAddr;

use serde_json::{Value, json};
use store::{DeploymentState, NewDeployment, OfferState, Stage, StopRule, TmsStore, TmsTerminal};

use crate::support::{
    line::connect,
    shop::Shop,
    tlv::{self, field},
    tms::{Pos, STATUS, Stop},
    world::Options,
};

const APP: (&str, &str) = ("pay-app", "1.2.0");

fn terminals(count: usize) -> Vec<Pos> {
    (0..count).map(|n| Pos::new(&format!("SN-{n}"))).collect()
}

fn shop(terminals: &[Pos]) -> Shop {
    Shop::with(&terminals.iter().collect::<Vec<_>>(), "")
}

fn staged(shop: &Shop, stages: &[(u8, u32)], stop_at: StopRule) -> i64 {
    let stages = stages.iter().map(|(percent, successes)| Stage { percent: *percent, successes: *successes });
    let package = shop.package(APP.0, APP.1, b"an application");
    shop.deploy(NewDeployment { stages: stages.collect(), stop_at, ..shop.deployment(package) })
}

/// Whether the terminal is offered the package.
fn is_offered(shop: &Shop, pos: &Pos) -> bool {
    let mut line = connect(shop.server.terminals);
    let mut session = pos.open(&mut line).unwrap();
    !session.inventory(&mut line, &[]).unwrap().0.is_empty()
}

fn reports(shop: &Shop, pos: &Pos, installed: &[(&str, &str)], result: u8) {
    reports_to(shop.server.terminals, pos, installed, result);
}

fn reports_to(server: SocketAddr, pos: &Pos, installed: &[(&str, &str)], result: u8) {
    let mut line = connect(server);
    pos.open(&mut line).unwrap().report(&mut line, installed, result, &[]).unwrap();
}

fn known(shop: &Shop, sn: &str) -> TmsTerminal {
    shop.server.block_on(shop.server.store.tms_terminal(&sn.parse().unwrap())).unwrap().unwrap()
}

#[test]
fn a_canary_that_goes_well_opens_the_next_stage_and_then_all() {
    let all = terminals(24);
    let shop = shop(&all);
    let never = StopRule { failures_percent: 100, at_least: 1 };
    let deployment = staged(&shop, &[(25, 2), (60, 4), (100, 0)], never);
    let offered = || all.iter().filter(|pos| is_offered(&shop, pos)).collect::<Vec<_>>();
    let canary = offered();
    assert!((2..24).contains(&canary.len()), "{} of 24", canary.len());
    reports(&shop, canary[0], &[APP], 0);
    assert_eq!(shop.get_deployment(deployment).stage, 0);
    reports(&shop, canary[1], &[APP], 0);
    assert_eq!(shop.get_deployment(deployment).stage, 1);
    let second = offered();
    assert!(second.len() > canary.len());
    for pos in second.iter().filter(|pos| !canary[..2].iter().any(|done| done.sn == pos.sn)).take(2) {
        reports(&shop, pos, &[APP], 0);
    }
    assert_eq!(shop.get_deployment(deployment).stage, 2);
    assert_eq!(offered().len(), 24, "the test's terminals say again and again that they have nothing");
    assert_eq!(shop.world.events("tms.deployment-advanced", &deployment.to_string()).len(), 2);
    assert_eq!(shop.get_deployment(deployment).counts.installed, 4);
    shop.world.assert_audit_good();
}

#[test]
fn too_many_failures_stop_the_deployment_and_a_person_lets_it_go_on() {
    let all = terminals(6);
    let shop = shop(&all);
    let deployment = staged(&shop, &[], StopRule { failures_percent: 30, at_least: 3 });
    assert!(all.iter().all(|pos| is_offered(&shop, pos)));
    reports(&shop, &all[0], &[], 1);
    reports(&shop, &all[1], &[APP], 0);
    assert_eq!(shop.get_deployment(deployment).state, DeploymentState::Running, "two reports say nothing");
    reports(&shop, &all[2], &[APP], 0);
    assert_eq!(shop.get_deployment(deployment).state, DeploymentState::Stopped, "1 of 3 is more than 30 %");
    let alarms = shop.world.events("alarm.deployment-stopped", &deployment.to_string());
    assert_eq!((alarms.len(), &alarms[0].detail["failed"]), (1, &json!(1)));
    assert!(!is_offered(&shop, &all[4]), "nobody gets it any more");
    shop.set_state(deployment, DeploymentState::Running);
    assert!(is_offered(&shop, &all[4]));
    assert!(!is_offered(&shop, &all[0]), "where it failed it is not tried again");
    shop.world.assert_audit_good();
}

#[test]
fn a_report_counts_once_and_what_is_installed_counts_whatever_the_result() {
    let all = terminals(1);
    let shop = shop(&all);
    let deployment = staged(&shop, &[], StopRule { failures_percent: 100, at_least: 1 });
    let other = shop.roll_out("other", "1.0.0", b"something else");
    assert!(is_offered(&shop, &all[0]));
    for _ in 0..2 {
        reports(&shop, &all[0], &[APP], 1);
    }
    let counts = shop.get_deployment(deployment).counts;
    assert_eq!((counts.offered, counts.installed, counts.failed), (1, 1, 0));
    let counts = shop.get_deployment(other).counts;
    assert_eq!((counts.offered, counts.installed, counts.failed), (1, 0, 1));
    let states: Vec<_> = known(&shop, "SN-0").offers.iter().map(|offer| offer.state).collect();
    assert_eq!(states, [OfferState::Failed, OfferState::Installed]);
}

/// The line may break between the installation and the report.
#[test]
fn an_inventory_makes_up_for_a_lost_report() {
    let all = terminals(1);
    let shop = shop(&all);
    let deployment = staged(&shop, &[(100, 1), (100, 0)], StopRule { failures_percent: 100, at_least: 1 });
    assert!(is_offered(&shop, &all[0]));
    let mut line = connect(shop.server.terminals);
    let mut session = all[0].open(&mut line).unwrap();
    for _ in 0..2 {
        assert_eq!(session.inventory(&mut line, &[APP]).unwrap(), (vec![], false));
    }
    let deployment = shop.get_deployment(deployment);
    assert_eq!((deployment.counts.installed, deployment.stage), (1, 1));
    assert_eq!(shop.world.events("tms.found-installed", "SN-0").len(), 1);
}

/// A pause in the middle of a download is no failure of the package's.
#[test]
fn a_report_that_names_what_failed_counts_for_that_alone() {
    let all = terminals(1);
    let shop = shop(&all);
    let deployment = staged(&shop, &[], StopRule { failures_percent: 100, at_least: 1 });
    let other = shop.roll_out("other", "1.0.0", b"something else");
    assert!(is_offered(&shop, &all[0]));
    let report = |code: &str| {
        let refused = json!({ "refused": [{ "name": "pay-app", "version": "1.2.0", "code": code }] });
        let mut line = connect(shop.server.terminals);
        let mut session = all[0].open(&mut line).unwrap();
        session.report(&mut line, &[], 1, &field(STATUS, refused.to_string().as_bytes())).unwrap();
    };
    report("not-given");
    assert_eq!(shop.get_deployment(deployment).counts.failed, 0);
    report("hash");
    assert_eq!(shop.get_deployment(deployment).counts.failed, 1);
    assert_eq!(shop.get_deployment(other).counts.failed, 0);
}

#[test]
fn a_deployment_whose_time_is_over_is_finished() {
    let all = terminals(1);
    let shop = shop(&all);
    let package = shop.package(APP.0, APP.1, b"an application");
    let over = shop.deploy(NewDeployment { until: Some(1), ..shop.deployment(package) });
    let stays = shop.deploy(NewDeployment { until: Some(i64::MAX), ..shop.deployment(package) });
    let Shop { world, server, maker } = shop;
    server.stop();
    let options = Options { more: "[tms]\n".into(), ..Options::default() };
    let shop = Shop { server: world.start(&options), world, maker };
    while shop.get_deployment(over).state != DeploymentState::Finished {
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    assert_eq!(shop.get_deployment(stays).state, DeploymentState::Running);
    assert_eq!(shop.world.events("tms.deployment-finished", &over.to_string()).len(), 1);
}

#[test]
fn a_report_without_an_offer_is_kept_and_counts_for_nobody() {
    let all = terminals(1);
    let shop = shop(&all);
    let deployment = staged(&shop, &[], StopRule { failures_percent: 0, at_least: 0 });
    reports(&shop, &all[0], &[APP], 1);
    assert_eq!(shop.get_deployment(deployment).counts, store::Counts::default());
    assert_eq!(known(&shop, "SN-0").installed, [("pay-app".to_owned(), "1.2.0".to_owned(), 1)]);
    assert_eq!(shop.world.events("tms.reported", "SN-0").len(), 1);
}

#[test]
fn a_status_is_kept_without_card_numbers_and_what_is_no_object_is_0002() {
    let all = terminals(1);
    let shop = shop(&all);
    let send = |status: &str| {
        let mut line = connect(shop.server.terminals);
        let mut session = all[0].open(&mut line).unwrap();
        session.report(&mut line, &[APP], 0, &field(STATUS, status.as_bytes()))
    };
    send(r#"{"battery":87,"last":"card 4111 1111 1111 1111"}"#).unwrap();
    let kept: Value = serde_json::from_str(&known(&shop, "SN-0").status.unwrap()).unwrap();
    assert_eq!(kept, json!({ "battery": 87, "last": "card **** **** **** ****" }));
    for bad in ["[]", "7", "", "{"] {
        assert!(matches!(send(bad), Err(Stop::Sealed(0x0002, _))), "{bad}");
    }
    let long = |length: usize| format!("{{\"a\":\"{}\"}}", "x".repeat(length - 8));
    send(&long(4_096)).unwrap();
    assert!(matches!(send(&long(4_097)), Err(Stop::Sealed(0x0002, _))));
    let database = std::fs::read(shop.world.database()).unwrap();
    let wal = std::fs::read(shop.world.database().with_extension("db-wal")).unwrap_or_default();
    for bytes in [database, wal] {
        assert!(!bytes.windows(19).any(|window| window == b"4111 1111 1111 1111"));
    }
}

#[test]
fn refusals_in_a_report_are_kept() {
    let all = terminals(1);
    let shop = shop(&all);
    let record = [
        field(tlv::REFUSAL_CHECK, b"signature"),
        field(tlv::REFUSAL_READING, b"pay-app 1.2.0"),
        field(tlv::REFUSAL_WHEN, &[0; 6]),
    ];
    let mut line = connect(shop.server.terminals);
    let mut session = all[0].open(&mut line).unwrap();
    session.report(&mut line, &[], 1, &field(tlv::REFUSAL, &record.concat())).unwrap();
    let sql = "SELECT \"check\" || ' ' || source FROM refusals";
    let kept: String = shop.world.sql().query_row(sql, [], |row| row.get(0)).unwrap();
    assert_eq!(kept, "signature TMS_REPORT");
}

/// Two reports at once, each of which is the one that was needed.
#[test]
fn reports_at_once_move_a_deployment_one_step() {
    let all = terminals(8);
    let shop = shop(&all);
    let never = StopRule { failures_percent: 100, at_least: 1 };
    let deployment = staged(&shop, &[(100, 1), (100, 1_000), (100, 0)], never);
    assert!(all.iter().all(|pos| is_offered(&shop, pos)));
    std::thread::scope(|scope| {
        for pos in &all {
            let server = shop.server.terminals;
            scope.spawn(move || reports_to(server, pos, &[APP], 0));
        }
    });
    let deployment = shop.get_deployment(deployment);
    assert_eq!((deployment.stage, deployment.counts.installed), (1, 8));
}
