//! `keyferry tms deployment` and `keyferry tms group`: which package for which terminals, with every refusal by name.

use std::fs;

use serde_json::Value;

use crate::support::{
    estate::Estate,
    kld::LOADED,
    records,
    server::Server,
    tool::{Ran, run},
};

fn act(estate: &Estate, act: &str, id: &str) -> Ran {
    run(&mut estate.tms(&["deployment", act, id]))
}

fn group(estate: &Estate, arguments: &[&str]) -> Ran {
    run(estate.tms(&["group", "change"]).args(arguments))
}

fn state(estate: &Estate, at: usize) -> Value {
    estate.deployments()[at]["state"].clone()
}

#[test]
fn what_cannot_be_deployed_is_refused_by_name() {
    let estate = Estate::loaded();
    estate.folder_vendor();
    estate.published("app", "1.0.0", 100);
    let list = estate.beside("list");
    fs::write(&list, "SHOP-1\n\nno serial at all\n").unwrap();
    let list = list.to_str().unwrap();
    let cases: [(&str, &[&str], i32, &str); 17] = [
        ("app@1.0.1", &[], 1, "vendor KF has no package app 1.0.1; publish it first"),
        ("other@1.0.0", &[], 1, "vendor KF has no package other 1.0.0"),
        ("app", &[], 2, "write NAME@VERSION, as in pay-app@1.2.0"),
        ("app@one", &[], 2, "--package"),
        ("app@1.0.0", &["--stage", "20", "--stage", "20"], 1, "must have a higher percentage"),
        ("app@1.0.0", &["--stage", "50", "--stage", "20"], 1, "must have a higher percentage"),
        ("app@1.0.0", &["--stage", "100", "--stage", "20"], 1, "must have a higher percentage"),
        ("app@1.0.0", &["--stage", "0"], 2, "a stage's percentage is 1 to 100"),
        ("app@1.0.0", &["--stage", "5:many"], 2, "successes are a number"),
        ("app@1.0.0", &["--window", "02:00-02:00"], 2, "write HH:MM-HH:MM with different times"),
        ("app@1.0.0", &["--window", "night"], 2, "write HH:MM-HH:MM with different times"),
        ("app@1.0.0", &["--utc-offset", "60"], 2, "--window"),
        ("app@1.0.0", &["--window", "02:00-05:00", "--utc-offset", "900"], 2, "900 is not in -720..=840"),
        ("app@1.0.0", &["--from", "tomorrow"], 2, "write the time as RFC 3339"),
        ("app@1.0.0", &["--installed", "new ones"], 2, "--installed"),
        ("app@1.0.0", &["--stop-at-percent", "101"], 2, "--stop-at-percent"),
        ("app@1.0.0", &["--serials-file", list], 1, "list, line 3"),
    ];
    for (package, further, code, wanted) in cases {
        let ran = estate.deploy(package, further);
        assert_eq!(ran.code, Some(code), "{package} {further:?}: {ran:?}");
        assert!(ran.err.contains(wanted), "{package} {further:?}: {}", ran.err);
    }
    estate
        .deploy("app@1.0.0", &["--from", "2026-12-02T00:00:00Z", "--until", "2026-12-01T00:00:00Z"])
        .refused_with("--until");
    estate.deploy("app@1.0.0", &["--until", "2020-01-01T00:00:00Z"]).refused_with("--until");
    assert_eq!(estate.deployments(), Vec::<Value>::new());
    let kinds = records::events(&estate.path("keyferry.db"));
    assert!(!kinds.contains(&"tms.deployment-new".to_owned()), "what was refused is no event of the estate");
}

#[test]
fn a_deployment_is_paused_resumed_and_cancelled_once() {
    let estate = Estate::loaded();
    estate.folder_vendor();
    estate.published("app", "1.0.0", 100);
    let further = ["--stage", "5:2", "--window", "22:00-04:30", "--utc-offset", "-60", "--model", "SIM-1"];
    let said = estate.deploy("app@1.0.0", &further).good();
    assert!(said.starts_with("deployment 1: app 1.0.0"), "{said}");
    let listed = run(&mut estate.tms(&["deployment", "list"])).good();
    for wanted in ["app@1.0.0", "running", "5 %"] {
        assert!(listed.contains(wanted), "{wanted} is not in {listed}");
    }
    act(&estate, "resume", "1").refused_with("deployment 1 is running; this cannot be done with it");
    assert!(act(&estate, "pause", "1").good().contains("deployment 1 is paused"));
    act(&estate, "pause", "1").refused_with("deployment 1 is paused; this cannot be done with it");
    assert_eq!(state(&estate, 0), "paused");
    act(&estate, "resume", "1").good();
    act(&estate, "cancel", "1").good();
    for done in ["cancel", "pause", "resume"] {
        act(&estate, done, "1").refused_with("deployment 1 is cancelled; this cannot be done with it");
    }
    act(&estate, "cancel", "2").refused_with("there is no deployment 2");
    assert_eq!(act(&estate, "cancel", "first").code, Some(2));
    let of =
        |vendor: &str| run(&mut estate.tms(&["deployment", "list", "--json", "--vendor", vendor])).good();
    assert_eq!((of("KF").lines().count(), of("OTHER").lines().count()), (1, 0));
    let kinds = records::events(&estate.path("keyferry.db"));
    let acts: Vec<_> = kinds.iter().filter(|kind| kind.starts_with("tms.deployment")).collect();
    assert_eq!(
        acts,
        ["tms.deployment-new", "tms.deployment-paused", "tms.deployment-resumed", "tms.deployment-cancelled"]
    );
    estate.verify_audit().good();
}

#[test]
fn a_group_gets_what_is_deployed_to_it_and_nobody_else_does() {
    let estate = Estate::loaded();
    estate.folder_vendor();
    estate.published("app", "1.0.0", 100);
    let list = estate.beside("list");
    fs::write(&list, "SHOP-2\nSHOP-3\n\n").unwrap();
    group(&estate, &["pilot"]).refused_with("name terminals with --add, --add-file or --remove");
    group(&estate, &["pilot", "--add", "SHOP-77"]).refused_with("no terminal SHOP-77");
    assert_eq!(group(&estate, &["pilot", "--add", "no serial"]).code, Some(2));
    let said = group(&estate, &["pilot", "--add", "SHOP-1", "--add-file", list.to_str().unwrap()]).good();
    assert!(said.contains("group pilot: 3 put in, 0 taken out"), "{said}");
    group(&estate, &["pilot", "--remove", "SHOP-3"]).good();
    let events = records::events(&estate.path("keyferry.db"));
    assert_eq!(events.iter().filter(|kind| *kind == "tms.group-changed").count(), 2, "{events:?}");
    let listed = run(&mut estate.tms(&["group", "list"])).good();
    let row = listed.lines().find(|line| line.contains("pilot")).unwrap();
    assert!(row.trim_end().ends_with('2'), "{listed}");
    let shown = run(&mut estate.tms(&["terminal", "SHOP-1"])).good();
    assert!(shown.contains("groups    pilot") && shown.contains("seen      never"), "{shown}");
    run(&mut estate.tms(&["terminal", "SHOP-77"])).refused_with("no terminal SHOP-77 is known");

    estate.deploy("app@1.0.0", &["--group", "pilot"]).good();
    let server = Server::start(&estate);
    let got: Vec<_> = LOADED
        .into_iter()
        .filter(|sn| {
            estate.terminal(sn).update(&server.terminals, &[]).good();
            estate.terminal(sn).has("app 1.0.0")
        })
        .collect();
    assert_eq!(got, ["SHOP-1", "SHOP-2"]);
    let shown = run(&mut estate.tms(&["terminal", "SHOP-1"])).good();
    assert!(shown.contains("app") && shown.contains("installed") && !shown.contains("never"), "{shown}");
    let deployment = &estate.deployments()[0];
    assert_eq!((&deployment["offered"], &deployment["installed"]), (&2.into(), &2.into()), "{deployment}");
}

#[test]
fn a_paused_deployment_offers_nothing_and_a_canary_goes_first() {
    let estate = Estate::loaded();
    estate.folder_vendor();
    estate.published("app", "1.0.0", 100);
    let server = Server::start(&estate);
    estate.deploy("app@1.0.0", &["--stage", "30:1"]).good();
    let all = || {
        for sn in LOADED {
            estate.terminal(sn).update(&server.terminals, &[]).good();
        }
        LOADED.iter().filter(|sn| estate.terminal(sn).has("app 1.0.0")).count()
    };
    act(&estate, "pause", "1").good();
    assert_eq!(all(), 0);
    // A running server notices by itself.
    act(&estate, "resume", "1").good();
    // SHOP-2 is the canary; those who ask after it reported get it at once.
    assert_eq!(all(), 3);
    assert_eq!(all(), LOADED.len());
    let deployment = &estate.deployments()[0];
    assert_eq!((&deployment["percent"], &deployment["installed"]), (&100.into(), &4.into()), "{deployment}");
}

#[test]
fn people_advance_a_deployment_whose_canary_does_not_come() {
    let estate = Estate::loaded();
    estate.folder_vendor();
    estate.published("app", "1.0.0", 100);
    // None of the four is among the first percent.
    estate.deploy("app@1.0.0", &["--stage", "1:1", "--stage", "50:1"]).good();
    let server = Server::start(&estate);
    let terminal = estate.terminal("SHOP-4");
    let bring = || terminal.update(&server.terminals, &[]).good();
    bring();
    assert!(!terminal.has("app"));
    act(&estate, "advance", "2").refused_with("there is no deployment 2");
    assert!(act(&estate, "advance", "1").good().contains("deployment 1 reaches 50 % now"));
    act(&estate, "pause", "1").good();
    act(&estate, "advance", "1").refused_with("deployment 1 is paused");
    act(&estate, "resume", "1").good();
    assert!(act(&estate, "advance", "1").good().contains("deployment 1 reaches 100 % now"));
    act(&estate, "advance", "1").refused_with("is in its last stage");
    bring();
    assert!(terminal.has("app 1.0.0"));
    let kinds = records::events(&estate.path("keyferry.db"));
    assert_eq!(kinds.iter().filter(|kind| *kind == "tms.deployment-advanced").count(), 2);
}
