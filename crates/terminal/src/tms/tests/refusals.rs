//! Packages that are refused by name, while the others are installed.

use std::cell::RefCell;

use flows::tms_download::messages::Data;
use proptest::prelude::*;
use wire::ErrorCode;

use super::server::Answer;
use super::*;
use crate::TrustedRoot;
use crate::package::PackageSettings;
use crate::testing::peers::foreign;

/// Offers these with an application that is all right, and gives how each was refused. The TMS must have been told.
fn refused(
    (mut terminal, tms): (Terminal, Arc<TestTms>),
    packages: Vec<(PlanEntry, Vec<u8>)>,
) -> Vec<(String, &'static str)> {
    let mut areas = Areas::in_memory().unwrap();
    refused_by(&mut terminal, &mut areas, &tms, packages)
}

fn refused_by(
    terminal: &mut Terminal,
    areas: &mut Areas,
    tms: &Arc<TestTms>,
    packages: Vec<(PlanEntry, Vec<u8>)>,
) -> Vec<(String, &'static str)> {
    tms.conduct().plan.clear();
    for (entry, content) in packages {
        tms.offer(entry, &content);
    }
    let (good, content) = package("good", "1.0.0", PackageKind::Application);
    tms.offer(good.clone(), &content);
    let updated = run(terminal, areas, tms).unwrap();
    assert_eq!(crate::area::tests::content(areas.running(), &name("good")), content);
    let refused: Vec<_> =
        updated.refused.iter().map(|(id, why)| (id.name.as_str().to_owned(), why.code())).collect();
    let heard = tms.heard();
    let report = heard.reports.last().unwrap();
    assert_eq!(report.good, refused.is_empty());
    assert!(report.installed.contains(&good.manifest.id));
    let status: serde_json::Value = serde_json::from_str(report.status.as_ref().unwrap()).unwrap();
    for (index, (name, code)) in refused.iter().enumerate() {
        assert_eq!(status["refused"][index]["name"], *name);
        assert_eq!(status["refused"][index]["code"], *code);
        assert!(
            !report.installed.iter().any(|id| id.name.as_str() == name && id.version.to_string() == "9.0.0")
        );
    }
    refused
}

fn app(version: &str) -> (PlanEntry, Vec<u8>) {
    package("app", version, PackageKind::Application)
}

#[test]
fn a_signature_over_anything_else_is_refused() {
    type Change = fn(&mut PlanEntry);
    let changes: [Change; 7] = [
        |entry| entry.signature.signature[9] ^= 1,
        |entry| entry.manifest.id.version = "1.0.1".parse().unwrap(),
        |entry| entry.manifest.id.name = name("apq"),
        |entry| entry.manifest.id.kind = PackageKind::DataFile,
        |entry| entry.manifest.size += 1,
        |entry| entry.manifest.sha256[0] ^= 1,
        |entry| entry.signature.certificate = b"no certificate".to_vec(),
    ];
    for change in changes {
        let (mut entry, content) = app("1.0.0");
        change(&mut entry);
        let expected = (entry.manifest.id.name.as_str().to_owned(), "signature");
        assert_eq!(refused(terminal(), vec![(entry, content)]), [expected]);
    }
}

#[test]
fn a_certificate_of_another_role_root_or_time_does_not_sign_packages() {
    let estate = estate();
    let ended = crate::testing::validity(estate.now - 10 * crate::testing::DAY, 5);
    for certificate in [
        estate.certificate(Role::KmsWork),
        estate.certificate(Role::RepairAuthorisation),
        foreign(Role::PackageSigning).1,
        estate.certificate_within(Role::PackageSigning, ended),
    ] {
        let (mut entry, content) = app("1.0.0");
        entry.signature = signature(&entry.manifest, &certificate);
        assert_eq!(refused(terminal(), vec![(entry, content)]), [("app".into(), "signature")]);
    }
}

/// A terminal whose vendor's root is the estate's, and whose acquirer's is another; and a certificate of that one.
fn with_acquirer(approval_demanded: bool) -> ((Terminal, Arc<TestTms>), Certificate) {
    let (root, approver) = foreign(Role::PackageSigning);
    let mut new = estate().new_full_terminal();
    new.settings.packages = PackageSettings { approval_demanded, refuse_older: false };
    // The DMK comes from the estate's KLD; only then the acquirer's root is the other one.
    let (mut terminal, tms) = terminal_of(new);
    terminal.device.install_root(&TrustedRoot::of_acquirer(root), &terminal.vault).unwrap();
    ((terminal, tms), approver)
}

/// The application that the tests beside this one offer too must be approved like any other.
fn approved(mut package: (PlanEntry, Vec<u8>), approver: &Certificate) -> (PlanEntry, Vec<u8>) {
    package.0.approval = Some(signature(&package.0.manifest, approver));
    package
}

#[test]
fn a_demanded_approval_must_be_there_and_the_acquirers() {
    let vendor = estate().certificate(Role::PackageSigning);
    let ((mut terminal, tms), approver) = with_acquirer(true);
    let mut areas = Areas::in_memory().unwrap();
    let rename = |name: &str| package(name, "1.0.0", PackageKind::DataFile);
    let mut changed = approved(rename("changed"), &approver);
    changed.0.approval.as_mut().unwrap().signature[0] ^= 1;
    let other = rename("other").0;
    let mut moved = rename("moved");
    moved.0.approval = Some(signature(&other.manifest, &approver));
    for (entry, content) in [
        approved(app("1.0.0"), &approver),
        rename("missing"),
        approved(rename("by-vendor"), &vendor),
        changed,
        moved,
    ] {
        tms.offer(entry, &content);
    }
    let updated = run(&mut terminal, &mut areas, &tms).unwrap();
    assert_eq!(updated.installed.iter().map(|id| id.name.as_str()).collect::<Vec<_>>(), ["app"]);
    let refused: Vec<_> = updated.refused.iter().map(|(id, why)| (id.name.as_str(), why.code())).collect();
    assert_eq!(
        refused,
        [("missing", "approval"), ("by-vendor", "approval"), ("changed", "approval"), ("moved", "approval")]
    );
}

#[test]
fn an_acquirer_approves_and_does_not_sign_for_the_vendor() {
    let (terminal, approver) = with_acquirer(false);
    let (mut entry, content) = app("1.0.0");
    entry.signature = signature(&entry.manifest, &approver);
    assert_eq!(refused(terminal, vec![(entry, content)]), [("app".into(), "signature")]);
}

#[test]
fn an_approval_that_nobody_demands_is_not_looked_at() {
    let (mut entry, content) = app("1.0.0");
    entry.approval = Some(signature(&entry.manifest, &foreign(Role::PackageSigning).1));
    assert_eq!(refused(terminal(), vec![(entry, content)]), []);
}

#[test]
fn content_with_another_hash_is_refused_and_begun_anew() {
    let (mut terminal, tms) = terminal();
    let mut areas = Areas::in_memory().unwrap();
    let (entry, content) = app("1.0.0");
    let mut wrong = content.clone();
    wrong[300] ^= 1;
    let packages = vec![(entry.clone(), wrong)];
    assert_eq!(refused_by(&mut terminal, &mut areas, &tms, packages), [("app".into(), "hash")]);
    assert_eq!(refused_by(&mut terminal, &mut areas, &tms, vec![(entry, content)]), []);
}

#[test]
fn parameters_must_be_json_and_hold_to_a_schema_that_is_there() {
    let limit = r#"{"type":"object","properties":{"limit":{"maximum":500}}}"#;
    let cases = [
        (vec![parameters("menu", "9.0.0", "{")], vec![("menu", "patch")]),
        (vec![parameters("menu", "9.0.0", "{}")], vec![("menu", "schema")]),
        (
            vec![schema("menu", "1.0.0", limit), parameters("menu", "9.0.0", r#"{"limit":501}"#)],
            vec![("menu", "schema")],
        ),
        (vec![schema("menu", "1.0.0", limit), parameters("menu", "1.0.0", r#"{"limit":500}"#)], vec![]),
        // A schema that is no JSON judges nothing, and is itself harmless.
        (vec![schema("menu", "1.0.0", "["), parameters("menu", "9.0.0", "{}")], vec![("menu", "schema")]),
    ];
    for (packages, expected) in cases {
        let expected: Vec<_> = expected.into_iter().map(|(name, code)| (name.to_owned(), code)).collect();
        assert_eq!(refused(terminal(), packages), expected);
    }
}

#[test]
fn parameters_go_with_the_schema_that_came_with_them() {
    let mut bad_schema = schema("menu", "9.0.0", "{}");
    bad_schema.0.signature.signature[0] ^= 1;
    let packages = vec![bad_schema, parameters("menu", "9.0.0", "{}")];
    let expected = [("menu.schema.json".to_owned(), "signature"), ("menu".to_owned(), "depends")];
    assert_eq!(refused(terminal(), packages), expected);
}

#[test]
fn a_new_schema_must_suit_the_parameters_that_stay() {
    let (mut terminal, tms) = terminal();
    let mut areas = Areas::in_memory().unwrap();
    let first = vec![schema("menu", "1.0.0", "{}"), parameters("menu", "1.0.0", r#"{"limit":500}"#)];
    assert_eq!(refused_by(&mut terminal, &mut areas, &tms, first), []);
    let strict = schema("menu", "9.0.0", r#"{"properties":{"limit":{"maximum":499}}}"#);
    let refused = refused_by(&mut terminal, &mut areas, &tms, vec![strict.clone()]);
    assert_eq!(refused, [("menu.schema.json".to_owned(), "schema")]);
    // With parameters that suit it, it is taken.
    let both = vec![strict, parameters("menu", "1.1.0", r#"{"limit":7}"#)];
    assert_eq!(refused_by(&mut terminal, &mut areas, &tms, both), []);
    assert_eq!(areas.running().parameters(&name("menu")).unwrap(), br#"{"limit":7}"#);
}

#[test]
fn r21_older_changed_and_otherwise_kinded_packages_are_refused() {
    let mut new = estate().new_full_terminal();
    new.settings.packages.refuse_older = true;
    let (mut terminal, tms) = terminal_of(new);
    let mut areas = Areas::in_memory().unwrap();
    assert_eq!(refused_by(&mut terminal, &mut areas, &tms, vec![app("1.10.0")]), []);
    let other = manifest("app", "1.10.0", PackageKind::Application, b"other");
    let cases = [
        (app("1.9.0"), "older"),
        ((entry(&other), b"other".to_vec()), "changed"),
        (package("app", "2.0.0", PackageKind::DataFile), "kind"),
    ];
    tms.conduct().always = true;
    for (package, code) in cases {
        assert_eq!(refused_by(&mut terminal, &mut areas, &tms, vec![package]), [("app".to_owned(), code)]);
    }
}

#[test]
fn an_older_version_that_is_planned_is_taken_by_default() {
    let (mut terminal, tms) = terminal();
    let mut areas = Areas::in_memory().unwrap();
    assert_eq!(refused_by(&mut terminal, &mut areas, &tms, vec![app("1.10.0")]), []);
    assert_eq!(refused_by(&mut terminal, &mut areas, &tms, vec![app("1.9.0")]), []);
    assert!(areas.installed().any(|id| id.version.to_string() == "1.9.0"));
}

#[test]
fn a_plan_names_a_package_once() {
    let packages = vec![app("1.0.0"), app("2.0.0")];
    assert_eq!(refused(terminal(), packages), [("app".to_owned(), "twice")]);
}

/// More would not go into an inventory, and then no TMS could be told anything any more.
#[test]
fn a_terminal_has_so_many_packages_and_can_still_tell_a_tms_of_them() {
    let (mut terminal, tms) = terminal();
    let mut areas = Areas::in_memory().unwrap();
    let long = |number: usize| {
        let manifest = manifest(
            &format!("{number:\u{1}>64}"),
            "1.0.0-12345678901234567890123456",
            PackageKind::DataFile,
            b"x",
        );
        (manifest, b"x".to_vec())
    };
    let most: Vec<_> = (0..crate::area::MAX_PACKAGES - 2).map(long).collect();
    crate::area::tests::update(&mut areas, &most).unwrap();
    let first = package("first", "1.0.0", PackageKind::DataFile);
    assert_eq!(refused_by(&mut terminal, &mut areas, &tms, vec![first]), []);
    // There is one too many now, and a newer version of what is there is none.
    let (second, newer) =
        (package("second", "9.0.0", PackageKind::DataFile), package("first", "1.1.0", PackageKind::DataFile));
    assert_eq!(
        refused_by(&mut terminal, &mut areas, &tms, vec![second, newer]),
        [("second".to_owned(), "many")]
    );
    assert_eq!(areas.installed().count(), crate::area::MAX_PACKAGES);
    assert!(areas.installed().any(|id| id.version.to_string() == "1.1.0"));
}

/// A package of which the disk lost the file is loaded again; its version still counts.
#[test]
fn what_a_disk_lost_is_loaded_again_and_not_an_older_one() {
    use crate::area::{PackageStorage as _, Room};
    let mut new = estate().new_full_terminal();
    new.settings.packages.refuse_older = true;
    let (mut terminal, tms) = terminal_of(new);
    let mut disk = crate::area::tests::disk::Disk::new();
    let mut areas = Areas::open(disk.clone()).unwrap();
    assert_eq!(refused_by(&mut terminal, &mut areas, &tms, vec![app("1.10.0")]), []);
    let file = areas.find(&name("app")).unwrap().file();
    drop(areas);
    for room in [Room::A, Room::B] {
        disk.remove(room, &file).unwrap();
    }
    let mut areas = Areas::open(disk).unwrap();
    tms.conduct().plan.clear();
    let (older, content) = app("1.9.0");
    tms.offer(older, &content);
    let updated = run(&mut terminal, &mut areas, &tms).unwrap();
    assert_eq!(updated.refused.iter().map(|(_, why)| why.code()).collect::<Vec<_>>(), ["older"]);
    assert_eq!(refused_by(&mut terminal, &mut areas, &tms, vec![app("1.10.0")]), []);
    assert!(areas.installed().any(|id| id.version.to_string() == "1.10.0"));
}

#[test]
fn what_is_too_large_is_refused_before_a_byte_of_it_comes() {
    let (mut terminal, tms) = terminal();
    let mut areas = Areas::in_memory().unwrap();
    let mut huge = manifest("huge", "1.0.0", PackageKind::Application, b"");
    huge.size = crate::package::MAX_PACKAGE + 1;
    let mut long = manifest("long", "1.0.0", PackageKind::Parameters, b"");
    long.size = 1 + crate::area::MAX_DOCUMENT as u64;
    let packages = vec![(entry(&huge), Vec::new()), (entry(&long), Vec::new())];
    let expected = [("huge".to_owned(), "size"), ("long".to_owned(), "size")];
    assert_eq!(refused_by(&mut terminal, &mut areas, &tms, packages), expected);
    assert!(tms.heard().gets.iter().all(|(get, _)| get.name == name("good")));
}

#[test]
fn a_package_that_the_tms_does_not_give_costs_only_itself() {
    let (terminal, tms) = terminal();
    tms.conduct().on_data = Some(Box::new(|get, data| match get.name.as_str() {
        "app" => Answer::Error(ErrorCode::NotPermittedNow),
        _ => Answer::Data(data),
    }));
    assert_eq!(refused((terminal, Arc::clone(&tms)), vec![app("1.0.0")]), [("app".to_owned(), "not-given")]);
    assert_eq!(tms.heard().hellos, 2, "after an ERROR both sides close");
}

/// A TMS is proven, and its software may be wrong all the same.
#[test]
fn answers_of_any_bytes_end_the_session_and_cost_nothing() {
    let (terminal, tms) = terminal();
    let both = RefCell::new((terminal, Areas::in_memory().unwrap()));
    let update = || {
        let (terminal, areas) = &mut *both.borrow_mut();
        let updated = run(terminal, areas, &tms);
        (updated, areas.installed().count())
    };
    let (entry, content) = app("1.0.0");
    tms.offer(entry, &content);
    proptest!(ProptestConfig::with_cases(64), |(bytes in proptest::collection::vec(any::<u8>(), 0..200))| {
        for payload in [bytes.clone(), [&[1, 0x38], &bytes[..]].concat(), [&[1, 0x7F], &bytes[..]].concat()] {
            tms.conduct().on_data = Some(Box::new(move |_, _| Answer::Bytes(payload.clone())));
            // A sealed ERROR refuses the package; anything else ends the session.
            let (updated, installed) = update();
            prop_assert_eq!(updated.map_or(1, |updated| updated.refused.len()), 1);
            prop_assert_eq!(installed, 0);
        }
    });
    tms.conduct().on_data = None;
    assert!(matches!(update(), (Ok(_), 1)));
}

#[test]
fn data_that_was_not_asked_for_ends_the_session_with_0002() {
    type Change = fn(&mut Data);
    let changes: [Change; 4] = [
        |data| data.offset += 1,
        |data| data.data.truncate(data.data.len() - 1),
        |data| data.name = name("other"),
        |data| data.version = "3.0.0".parse().unwrap(),
    ];
    for change in changes {
        let (mut terminal, tms) = terminal();
        let mut areas = Areas::in_memory().unwrap();
        let (entry, content) = app("1.0.0");
        tms.offer(entry, &content);
        tms.conduct().on_data = Some(Box::new(move |_, mut data| {
            change(&mut data);
            Answer::Data(data)
        }));
        let error = run(&mut terminal, &mut areas, &tms).unwrap_err();
        assert!(error.to_string().starts_with("0002"), "{error}");
        assert_eq!(areas.installed().count(), 0);
        tms.conduct().on_data = None;
        run(&mut terminal, &mut areas, &tms).unwrap();
        assert_eq!(tms.heard().errors, [(ErrorCode::Malformed, false)], "sealed");
    }
}
