//! One rule a test.

use store::{Deployment, DeploymentState, OfferState, Package, Stage, Target, Window};

use super::{
    MAX_DEPTH, MAX_ENTRIES, MAX_PLAN_BYTES, bucket, entry_bytes,
    estate::{MODEL, Terminal, deployment, offer, package, planned, requiring},
    in_window, may_load, plan,
};

const NOW: i64 = 1_795_000_000_000;
const HOUR: i64 = 3_600_000;
/// A day that begins at midnight UTC.
const DAY: i64 = 1_795_046_400_000;

fn nothing() -> super::Planned {
    planned(&[], false)
}

#[test]
fn a_running_deployment_brings_its_package_once() {
    let (packages, deployments) = ([package(7, "pay", "1.2.0")], [deployment(1, 7)]);
    for installed in [&[][..], &[("pay", "1.1.9")], &[("other", "9.0.0")]] {
        let terminal = Terminal::with(installed);
        assert_eq!(plan(&terminal.view(), &packages, &deployments, NOW), planned(&[(1, 7)], false));
    }
    for there in ["1.2.0", "1.2.0+build.7"] {
        let terminal = Terminal::with(&[("pay", there)]);
        assert_eq!(plan(&terminal.view(), &packages, &deployments, NOW), nothing(), "{there} is there");
    }
}

#[test]
fn what_does_not_run_brings_nothing() {
    use DeploymentState::{Cancelled, Finished, Paused, Stopped};
    let packages = [package(7, "pay", "1.2.0")];
    for state in [Paused, Stopped, Cancelled, Finished] {
        let deployments = [Deployment { state, ..deployment(1, 7) }];
        assert_eq!(plan(&Terminal::with(&[]).view(), &packages, &deployments, NOW), nothing(), "{state:?}");
    }
}

#[test]
fn it_begins_at_from_and_ends_before_until() {
    let packages = [package(7, "pay", "1.2.0")];
    let deployments = [Deployment { from: NOW, until: Some(NOW + HOUR), ..deployment(1, 7) }];
    let at = |now| plan(&Terminal::with(&[]).view(), &packages, &deployments, now).entries.len();
    assert_eq!([NOW - 1, NOW, NOW + HOUR - 1, NOW + HOUR].map(at), [0, 1, 1, 0]);
}

#[test]
fn a_window_is_local_time_and_may_pass_midnight() {
    let window = |start_minute, end_minute, utc_offset_minutes| Window {
        start_minute,
        end_minute,
        utc_offset_minutes,
    };
    let at = |window: &Window, hour: i64| in_window(window, DAY + hour * HOUR);
    let night = window(2 * 60, 5 * 60, 0);
    assert_eq!([1, 2, 4, 5].map(|hour| at(&night, hour)), [false, true, true, false]);
    let over_midnight = window(22 * 60, 60, 0);
    assert_eq!([21, 22, 23, 24, 25].map(|hour| at(&over_midnight, hour)), [false, true, true, true, false]);
    // 02:00 to 05:00 in Shanghai (UTC+8) is 18:00 to 21:00 UTC of the day before; in Honolulu (UTC-10) 12:00 to 15:00.
    let shanghai = window(2 * 60, 5 * 60, 8 * 60);
    assert_eq!([17, 18, 20, 21].map(|hour| at(&shanghai, hour)), [false, true, true, false]);
    let honolulu = window(2 * 60, 5 * 60, -10 * 60);
    assert_eq!([11, 12, 14, 15].map(|hour| at(&honolulu, hour)), [false, true, true, false]);
    let kathmandu = window(0, 1, 5 * 60 + 45);
    assert!(in_window(&kathmandu, DAY + 18 * HOUR + 15 * 60_000));
    assert!(!in_window(&kathmandu, DAY + 18 * HOUR + 16 * 60_000));
    assert!((0..24).all(|hour| at(&window(60, 60, 0), hour)), "a window without a width is the whole day");
    assert!(in_window(&night, -21 * HOUR), "before 1970 as after it");
}

#[test]
fn outside_of_its_window_a_deployment_waits() {
    let packages = [package(7, "pay", "1.2.0")];
    let window = Some(Window { start_minute: 120, end_minute: 300, utc_offset_minutes: 0 });
    let deployments = [Deployment { window, ..deployment(1, 7) }];
    let at = |hour: i64| plan(&Terminal::with(&[]).view(), &packages, &deployments, DAY + hour * HOUR);
    assert_eq!((at(1), at(2)), (nothing(), planned(&[(1, 7)], false)));
}

#[test]
fn each_part_of_a_target_must_fit_and_an_empty_one_fits_all() {
    let packages = [package(7, "pay", "1.2.0")];
    let list = |values: &[&str]| values.iter().map(ToString::to_string).collect::<Vec<_>>();
    let get = |terminal: &Terminal, models: &[&str], groups: &[&str], serials: &[&str]| {
        let (models, groups, serials) = (list(models), list(groups), list(serials));
        let target = Target { models, groups, serials, installed: None };
        let deployments = [Deployment { target, ..deployment(1, 7) }];
        !plan(&terminal.view(), &packages, &deployments, NOW).entries.is_empty()
    };
    let terminal = Terminal { groups: list(&["north", "test"]), ..Terminal::with(&[]) };
    assert!(get(&terminal, &[MODEL, "M-9"], &["south", "north"], &["SN-1001"]));
    assert!(get(&terminal, &[], &[], &[]));
    assert!(!get(&terminal, &["M-9"], &["north"], &["SN-1001"]));
    assert!(!get(&terminal, &[MODEL], &["south"], &["SN-1001"]));
    assert!(!get(&terminal, &[MODEL], &["north"], &["SN-1002"]));
}

#[test]
fn a_target_by_installed_version_takes_only_those_and_not_who_has_none() {
    let packages = [package(7, "pay", "2.0.0")];
    let target = Target { installed: Some(">=1.2, <1.5".into()), ..deployment(1, 7).target };
    let deployments = [Deployment { target, ..deployment(1, 7) }];
    let get = |installed: &[(&str, &str)]| {
        plan(&Terminal::with(installed).view(), &packages, &deployments, NOW).entries.len()
    };
    assert_eq!([get(&[("pay", "1.1.0")]), get(&[("pay", "1.2.0")]), get(&[("pay", "1.5.0")])], [0, 1, 0]);
    assert_eq!([get(&[]), get(&[("other", "1.2.0")])], [0, 0]);
    let broken = Target { installed: Some("no range".into()), ..deployment(1, 7).target };
    let deployments = [Deployment { target: broken, ..deployment(1, 7) }];
    assert_eq!(plan(&Terminal::with(&[("pay", "1.2.0")]).view(), &packages, &deployments, NOW), nothing());
}

#[test]
fn packages_withdrawn_of_another_vendor_or_for_other_models_are_not_sent() {
    let good = package(7, "pay", "1.2.0");
    let bad = [
        Package { withdrawn_at: Some(1), ..good.clone() },
        Package { vendor: "OTHER".into(), ..good.clone() },
        Package { models: vec!["M-9".into()], ..good.clone() },
        Package { version: "one".into(), ..good.clone() },
    ];
    for package in bad {
        let given =
            plan(&Terminal::with(&[]).view(), std::slice::from_ref(&package), &[deployment(1, 7)], NOW);
        assert_eq!(given, nothing(), "{package:?}");
    }
    let other = Deployment { vendor: "OTHER".into(), ..deployment(1, 7) };
    assert_eq!(plan(&Terminal::with(&[]).view(), std::slice::from_ref(&good), &[other], NOW), nothing());
    let mine = Package { models: vec!["M-9".into(), MODEL.into()], ..good };
    assert_eq!(plan(&Terminal::with(&[]).view(), &[mine], &[deployment(1, 7)], NOW).entries.len(), 1);
}

#[test]
fn an_older_version_comes_only_by_a_deployment_that_allows_it() {
    let (packages, terminal) = ([package(7, "pay", "1.2.0")], Terminal::with(&[("pay", "1.3.0-rc.1")]));
    assert_eq!(plan(&terminal.view(), &packages, &[deployment(1, 7)], NOW), nothing());
    let back = Deployment { allow_downgrade: true, ..deployment(1, 7) };
    assert_eq!(plan(&terminal.view(), &packages, &[back], NOW), planned(&[(1, 7)], false));
}

#[test]
fn nothing_comes_for_a_name_whose_installed_version_cannot_be_read() {
    let back = Deployment { allow_downgrade: true, ..deployment(1, 7) };
    let terminal = Terminal::with(&[("pay", "unknown")]);
    assert_eq!(plan(&terminal.view(), &[package(7, "pay", "1.2.0")], &[back], NOW), nothing());
}

#[test]
fn of_two_deployments_of_a_name_the_newer_version_wins_whatever_their_order() {
    let packages = [package(7, "pay", "1.10.0"), package(8, "pay", "1.9.0")];
    let mut deployments = [deployment(1, 8), deployment(2, 7)];
    for _ in 0..2 {
        let given = plan(&Terminal::with(&[]).view(), &packages, &deployments, NOW);
        assert_eq!(given, planned(&[(2, 7)], false));
        deployments.reverse();
    }
    let mut same = [deployment(3, 7), deployment(2, 7)];
    for _ in 0..2 {
        assert_eq!(plan(&Terminal::with(&[]).view(), &packages, &same, NOW), planned(&[(2, 7)], false));
        same.reverse();
    }
}

/// Otherwise a terminal would go up at night and down by day.
#[test]
fn a_terminal_does_not_swing_between_two_deployments() {
    let packages = [package(7, "pay", "2.0.0"), package(8, "pay", "1.0.0")];
    let window = Some(Window { start_minute: 120, end_minute: 300, utc_offset_minutes: 0 });
    let below = Target { installed: Some("<2".into()), ..deployment(1, 7).target };
    let up = Deployment { window, target: below, ..deployment(1, 7) };
    let down = Deployment { allow_downgrade: true, ..deployment(2, 8) };
    let mut terminal = Terminal::with(&[("pay", "1.0.0")]);
    let mut versions = Vec::new();
    for hour in 0..72 {
        let given = plan(&terminal.view(), &packages, &[up.clone(), down.clone()], DAY + hour * HOUR);
        terminal.install(&given, &packages);
        versions.push(terminal.installed[0].1.clone());
    }
    versions.dedup();
    assert_eq!(versions, ["1.0.0", "2.0.0"]);
}

#[test]
fn what_failed_here_comes_again_only_by_another_deployment() {
    let packages = [package(7, "pay", "2.0.0"), package(8, "pay", "1.5.0")];
    let terminal =
        Terminal { offers: vec![offer(1, 7, OfferState::Failed)], ..Terminal::with(&[("pay", "1.0.0")]) };
    assert_eq!(plan(&terminal.view(), &packages, &[deployment(1, 7)], NOW), nothing());
    let both = [deployment(1, 7), deployment(2, 7)];
    assert_eq!(plan(&terminal.view(), &packages, &both, NOW), planned(&[(2, 7)], false));
    let older = [deployment(1, 7), deployment(3, 8)];
    assert_eq!(plan(&terminal.view(), &packages, &older, NOW), planned(&[(3, 8)], false));
}

#[test]
fn a_canary_is_some_of_the_terminals_and_the_next_stage_has_them_too() {
    let packages = [package(7, "pay", "1.2.0")];
    let stages = [1, 10, 50, 100].map(|percent| Stage { percent, successes: 1 }).to_vec();
    let names: Vec<_> = (0..2_000).map(|n| format!("SN-{n}")).collect();
    let mut before: Vec<&String> = Vec::new();
    for (stage, percent) in (0..).zip([1, 10, 50, 100]) {
        let deployments = [Deployment { stages: stages.clone(), stage, ..deployment(1, 7) }];
        let gets = |name: &&String| {
            !plan(&Terminal::named(name).view(), &packages, &deployments, NOW).entries.is_empty()
        };
        let chosen: Vec<_> = names.iter().filter(gets).collect();
        assert!(before.iter().all(|name| chosen.contains(name)), "nobody drops out");
        let expected = 20 * percent;
        assert!(chosen.len().abs_diff(expected) <= 8 + expected / 5, "{percent} %: {}", chosen.len());
        before = chosen;
    }
    assert_eq!(before.len(), 2_000);
    let zero = [Deployment { stages: vec![Stage { percent: 0, successes: 1 }], ..deployment(1, 7) }];
    assert_eq!(plan(&Terminal::with(&[]).view(), &packages, &zero, NOW), nothing());
    let past = [Deployment { stages, stage: 9, ..deployment(1, 7) }];
    assert_eq!(
        plan(&Terminal::with(&[]).view(), &packages, &past, NOW).entries.len(),
        1,
        "the last stage stays"
    );
}

/// Worked out with Python's hashlib: eight bytes of the deployment's number, then the serial.
#[test]
fn buckets_are_those_of_the_digest_and_differ_between_deployments() {
    let sn = "SN-1001".parse().unwrap();
    assert_eq!([bucket(1, &sn), bucket(2, &sn)], [9935, 2801]);
}

#[test]
fn requirements_come_first_and_the_package_when_they_are_there() {
    let packages = [
        requiring(package(1, "app", "2.0.0"), &[("lib", "^1.4"), ("fonts", "*")]),
        requiring(package(2, "lib", "1.4.2"), &[("base", ">=3")]),
        package(3, "lib", "1.3.0"),
        package(4, "lib", "2.0.0"),
        package(5, "base", "3.0.0"),
        package(6, "fonts", "0.1.0"),
    ];
    let mut terminal = Terminal::with(&[("app", "1.0.0"), ("lib", "1.3.0")]);
    let mut steps = Vec::new();
    loop {
        let given = plan(&terminal.view(), &packages, &[deployment(9, 1)], NOW);
        terminal.install(&given, &packages);
        steps.push(given.clone());
        if given.entries.is_empty() {
            break;
        }
    }
    let expected =
        [planned(&[(9, 5), (9, 6)], true), planned(&[(9, 2)], true), planned(&[(9, 1)], false), nothing()];
    assert_eq!(steps, expected);
}

#[test]
fn a_requirement_is_brought_by_the_deployment_that_speaks_for_its_name() {
    let app = requiring(package(1, "app", "2.0.0"), &[("lib", "^1")]);
    let packages = [app, package(2, "lib", "1.4.0"), package(3, "lib", "1.5.0"), package(4, "lib", "2.0.0")];
    let terminal = Terminal::with(&[]);
    let by_its_own = [deployment(9, 1), deployment(8, 2)];
    assert_eq!(plan(&terminal.view(), &packages, &by_its_own, NOW), planned(&[(8, 2)], true));
    // It speaks for a version that does not serve: the app waits until somebody decides.
    let against = [deployment(9, 1), deployment(8, 4)];
    assert_eq!(plan(&terminal.view(), &packages, &against, NOW), planned(&[(8, 4)], false));
    let window = Some(Window { start_minute: 120, end_minute: 300, utc_offset_minutes: 0 });
    let later = [deployment(9, 1), Deployment { window, ..deployment(8, 2) }];
    assert_eq!(plan(&terminal.view(), &packages, &later, DAY), nothing(), "and for its window");
}

#[test]
fn what_cannot_be_had_in_full_is_not_begun() {
    let app = requiring(package(1, "app", "2.0.0"), &[("fonts", "*"), ("lib", "^7")]);
    let packages = [app, package(2, "lib", "1.4.0"), package(3, "fonts", "1.0.0"), package(4, "z", "1.0.0")];
    let deployments = [deployment(9, 1), deployment(8, 4)];
    let given = plan(&Terminal::with(&[]).view(), &packages, &deployments, NOW);
    assert_eq!(given, planned(&[(8, 4)], false), "not the fonts either");
}

#[test]
fn a_requirement_is_never_met_by_an_older_version_than_is_installed() {
    let app = requiring(package(1, "app", "2.0.0"), &[("lib", "^1")]);
    let packages = [app, package(2, "lib", "1.4.0")];
    let terminal = Terminal::with(&[("lib", "2.0.0")]);
    assert_eq!(plan(&terminal.view(), &packages, &[deployment(9, 1)], NOW), nothing());
    let back = Deployment { allow_downgrade: true, ..deployment(9, 1) };
    assert_eq!(plan(&terminal.view(), &packages, &[back], NOW), planned(&[(9, 2)], true));
}

#[test]
fn circles_and_endless_chains_of_requirements_bring_nothing() {
    let circle = [
        requiring(package(1, "a", "1.0.0"), &[("b", "*")]),
        requiring(package(2, "b", "1.0.0"), &[("a", "*")]),
    ];
    assert_eq!(plan(&Terminal::with(&[]).view(), &circle, &[deployment(9, 1)], NOW), nothing());
    let itself = [requiring(package(1, "a", "1.0.0"), &[("a", "^0.9")])];
    assert_eq!(plan(&Terminal::with(&[]).view(), &itself, &[deployment(9, 1)], NOW), nothing());
    let chain = |length: usize| -> Vec<_> {
        let link = |n: usize| {
            let one = package(i64::try_from(n).unwrap(), &format!("p{n}"), "1.0.0");
            if n < length { requiring(one, &[(&format!("p{}", n + 1), "*")]) } else { one }
        };
        (1..=length).map(link).collect()
    };
    let given = |length| plan(&Terminal::with(&[]).view(), &chain(length), &[deployment(9, 1)], NOW);
    assert_eq!(given(MAX_DEPTH), planned(&[(9, 8)], true));
    assert_eq!(given(MAX_DEPTH + 1), nothing());
    // Eight layers of sixteen, each requiring all of the next: 16^7 ways down.
    let mut wide = Vec::new();
    for layer in 0..8_i64 {
        for n in 0..16_i64 {
            let name = |layer, n| format!("{layer}-{n}");
            let last = if layer == 7 { 0 } else { 16 };
            let below: Vec<_> = (0..last).map(|m| (name(layer + 1, m), "*")).collect();
            let below: Vec<_> = below.iter().map(|(name, any)| (name.as_str(), *any)).collect();
            wide.push(requiring(package(100 * layer + n, &name(layer, n), "1.0.0"), &below));
        }
    }
    assert_eq!(plan(&Terminal::with(&[]).view(), &wide, &[deployment(9, 0)], NOW), nothing());
}

#[test]
fn two_that_require_different_versions_of_one_package_do_not_both_come() {
    let packages = [
        requiring(package(1, "app-a", "1.0.0"), &[("lib", "^1")]),
        requiring(package(2, "app-b", "1.0.0"), &[("lib", "^2")]),
        package(3, "lib", "1.0.0"),
        package(4, "lib", "2.0.0"),
    ];
    let deployments = [deployment(7, 1), deployment(8, 2)];
    let given = plan(&Terminal::with(&[]).view(), &packages, &deployments, NOW);
    assert_eq!(given, planned(&[(7, 3)], true));
}

#[test]
fn a_plan_is_as_long_as_one_message_holds_and_says_that_there_is_more() {
    let names: Vec<_> = (0..40_i64).map(|n| package(n, &format!("p{n:02}"), "1.0.0")).collect();
    let deployments: Vec<_> = (0..40).map(|n| deployment(100 + n, n)).collect();
    let given = plan(&Terminal::with(&[]).view(), &names, &deployments, NOW);
    assert_eq!((given.entries.len(), given.more), (MAX_ENTRIES, true));
    let long = |package: &Package| {
        let mut package = package.clone();
        package.signature.intermediates = vec![0; 15_000];
        package
    };
    let long: Vec<_> = names.iter().map(long).collect();
    let given = plan(&Terminal::with(&[]).view(), &long, &deployments, NOW);
    let one = entry_bytes(&long[0].name, &long[0].signature, None);
    let bytes = given.entries.len() * one;
    assert!(given.more && bytes <= MAX_PLAN_BYTES && bytes + one > MAX_PLAN_BYTES);
}

#[test]
fn what_was_offered_may_be_loaded_with_all_that_it_requires_and_nothing_else() {
    let packages = [
        requiring(package(1, "app", "2.0.0"), &[("lib", "^1")]),
        requiring(package(2, "lib", "1.4.0"), &[("base", "*")]),
        package(3, "base", "3.0.0"),
        package(4, "lib", "2.0.0"),
        Package { withdrawn_at: Some(1), ..package(5, "lib", "1.5.0") },
    ];
    let mut terminal = Terminal::with(&[]);
    let may = |terminal: &Terminal, deployments: &[Deployment]| {
        [1, 2, 3, 4, 5, 6].map(|id| may_load(&terminal.view(), &packages, deployments, id))
    };
    let running = [deployment(9, 1)];
    assert_eq!(may(&terminal, &running), [false; 6], "nothing was offered");
    terminal.offers = vec![offer(9, 1, OfferState::Offered)];
    assert_eq!(may(&terminal, &running), [true, true, true, false, false, false]);
    let paused = [Deployment { state: DeploymentState::Paused, ..deployment(9, 1) }];
    assert_eq!((may(&terminal, &paused), may(&terminal, &[])), ([false; 6], [false; 6]));
    terminal.offers = vec![offer(9, 1, OfferState::Installed)];
    assert!(may(&terminal, &running)[0], "a terminal that was put back to an older version");
    terminal.offers = vec![offer(9, 1, OfferState::Failed)];
    assert_eq!(may(&terminal, &running), [false; 6]);
}
