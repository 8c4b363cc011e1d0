//! What holds for every estate.

use proptest::{collection::vec, option, prelude::*};
use semver::{Version, VersionReq};
use store::{Deployment, DeploymentState, Package, Stage, Target, Window};

use super::{
    MAX_ENTRIES, bucket,
    estate::{Terminal, deployment, package, requiring},
    percent, plan,
};

const NAMES: [&str; 4] = ["app", "base", "cfg", "lib"];
const DAY: i64 = 86_400_000;

fn version() -> impl Strategy<Value = String> {
    (0..3_u8, 0..3_u8, prop::bool::ANY)
        .prop_map(|(major, minor, pre)| format!("{major}.{minor}.0{}", if pre { "-rc.1" } else { "" }))
}

fn name() -> impl Strategy<Value = &'static str> {
    prop::sample::select(&NAMES[..])
}

fn packages() -> impl Strategy<Value = Vec<Package>> {
    let requires = vec((name(), prop::sample::select(&["*", "^1", ">=0.1", "<2"][..])), 0..3);
    let one = (name(), version(), requires, prop::bool::weighted(0.1));
    vec(one, 1..12).prop_map(|all| {
        let numbered = (1..).zip(all);
        let one = |(id, (name, version, requires, withdrawn)): (i64, (&str, String, Vec<_>, bool))| {
            let package = requiring(package(id, name, &version), &requires);
            Package { withdrawn_at: withdrawn.then_some(1), ..package }
        };
        numbered.map(one).collect()
    })
}

fn deployments(packages: i64) -> impl Strategy<Value = Vec<Deployment>> {
    use DeploymentState::{Cancelled, Paused, Running};
    let window = (0..1440_u16, 0..1440_u16, -720..840_i16).prop_map(|(start_minute, end_minute, offset)| {
        Window { start_minute, end_minute, utc_offset_minutes: offset }
    });
    let one = (
        1..=packages,
        option::of(window),
        option::of(prop::sample::select(&["<1", ">=0.1", "*"][..])),
        0..=100_u8,
        prop::bool::weighted(0.2),
        prop::sample::select(&[Running, Running, Running, Paused, Cancelled][..]),
        (0..DAY, option::of(0..2 * DAY)),
    );
    vec(one, 0..8).prop_map(|all| {
        let mut deployments = Vec::new();
        for (id, (package, window, installed, percent, allow_downgrade, state, (from, until))) in
            (1..).zip(all)
        {
            let target = Target { installed: installed.map(ToOwned::to_owned), ..deployment(1, 1).target };
            let stages = vec![Stage { percent, successes: 1 }];
            let base = deployment(id, package);
            deployments.push(Deployment {
                window,
                target,
                stages,
                allow_downgrade,
                state,
                from,
                until,
                ..base
            });
        }
        deployments
    })
}

fn terminal() -> impl Strategy<Value = Terminal> {
    let installed = vec((name(), version()), 0..4).prop_map(|mut installed| {
        installed.sort();
        installed.dedup_by_key(|(name, _)| *name);
        installed
    });
    (0..1_000_u32, installed).prop_map(|(number, installed)| {
        let installed = installed.into_iter().map(|(name, version)| (name.to_owned(), version, 1)).collect();
        Terminal { installed, ..Terminal::named(&format!("SN-{number}")) }
    })
}

fn estate() -> impl Strategy<Value = (Terminal, Vec<Package>, Vec<Deployment>, i64)> {
    packages().prop_flat_map(|packages| {
        let count = i64::try_from(packages.len()).unwrap();
        (terminal(), Just(packages), deployments(count), 0..2 * DAY)
    })
}

fn of(packages: &[Package], id: i64) -> &Package {
    packages.iter().find(|package| package.id == id).unwrap()
}

fn installed(terminal: &Terminal, name: &str) -> Option<Version> {
    let found = terminal.installed.iter().find(|(installed, _, _)| installed == name);
    found.map(|(_, version, _)| version.parse().unwrap())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn every_entry_is_one_that_its_deployment_may_bring((terminal, packages, deployments, now) in estate()) {
        let given = plan(&terminal.view(), &packages, &deployments, now);
        prop_assert!(given.entries.len() <= MAX_ENTRIES);
        for entry in &given.entries {
            let package = of(&packages, entry.package);
            let by = deployments.iter().find(|deployment| deployment.id == entry.deployment).unwrap();
            prop_assert_eq!(by.state, DeploymentState::Running);
            prop_assert!(by.from <= now && by.until.is_none_or(|until| now < until));
            prop_assert!(by.window.as_ref().is_none_or(|window| super::in_window(window, now)));
            prop_assert!(bucket(by.id, &terminal.sn) < u64::from(percent(by)) * 100);
            prop_assert!(package.withdrawn_at.is_none());
            // Never older than what is there, unless the deployment says so, and never the same again.
            let version: Version = package.version.parse().unwrap();
            if let Some(there) = installed(&terminal, &package.name) {
                prop_assert!(version > there || (by.allow_downgrade && version != there));
            }
            // All that it requires is there: dependencies came first.
            for requirement in &package.requires {
                let wanted: VersionReq = requirement.version.parse().unwrap();
                prop_assert!(installed(&terminal, &requirement.name).is_some_and(|there| wanted.matches(&there)));
            }
        }
        let mut names: Vec<_> = given.entries.iter().map(|entry| &of(&packages, entry.package).name).collect();
        let all = names.len();
        names.sort();
        names.dedup();
        prop_assert_eq!(names.len(), all, "a name comes once");
        prop_assert!(!given.more || !given.entries.is_empty(), "more is said only of what begins now");
    }

    #[test]
    fn order_of_rows_does_not_matter((terminal, packages, deployments, now) in estate()) {
        let given = plan(&terminal.view(), &packages, &deployments, now);
        let (mut packages, mut deployments) = (packages, deployments);
        packages.reverse();
        deployments.reverse();
        prop_assert_eq!(plan(&terminal.view(), &packages, &deployments, now), given);
    }

    /// A terminal that installs what it is told comes to an end, and without `more` at once.
    #[test]
    fn asking_again_ends((mut terminal, packages, deployments, now) in estate()) {
        for _ in 0..60 {
            let given = plan(&terminal.view(), &packages, &deployments, now);
            if given.entries.is_empty() {
                return Ok(());
            }
            terminal.install(&given, &packages);
        }
        prop_assert!(false, "the terminal goes round in circles");
    }

    #[test]
    fn a_higher_percentage_takes_nobody_out(id: i64, number: u32, lower in 0..=100_u8, higher in 0..=100_u8) {
        prop_assume!(lower <= higher);
        let packages = [package(1, "app", "1.0.0")];
        let terminal = Terminal::named(&format!("SN-{number}"));
        let gets = |percent| {
            let stages = vec![Stage { percent, successes: 1 }];
            let deployments = [Deployment { stages, ..deployment(id, 1) }];
            !plan(&terminal.view(), &packages, &deployments, 0).entries.is_empty()
        };
        prop_assert!(!gets(lower) || gets(higher));
    }
}
