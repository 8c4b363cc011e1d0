//! Updates against a TMS in memory.

mod cuts;
mod limits;
mod line;
mod refusals;
mod server;
mod sessions;
mod suite_02;

use std::sync::Arc;

use paycrypto::keys::Dmk;
use pki::{Certificate, Role};
use wire::{Manifest, PackageKind, PackageSignature, PlanEntry};

use super::*;
use crate::area::tests::{manifest, name};
use crate::area::{Areas, Running};
use crate::testing::estate;
use crate::testing::peers::load;
use crate::{NewTerminal, Terminal};
use server::TestTms;

/// Rate at which files come in pieces of 256 bytes.
const SLOW: Option<u32> = Some(300);

/// A terminal with a DMK, and its TMS.
fn terminal_of(new: NewTerminal) -> (Terminal, Arc<TestTms>) {
    let mut terminal = Terminal::in_memory(new).unwrap();
    let dmk = Dmk::generate().unwrap();
    load(&mut terminal, &dmk, "SN-1001/00", None).unwrap();
    (terminal, TestTms::new(&dmk))
}

fn terminal() -> (Terminal, Arc<TestTms>) {
    terminal_of(estate().new_full_terminal())
}

/// A signature of the estate's work key over this manifest, with this certificate.
fn signature(manifest: &Manifest, certificate: &Certificate) -> PackageSignature {
    PackageSignature {
        certificate: certificate.der().to_vec(),
        intermediates: Vec::new(),
        signature: estate().work_key.sign_pss_sha256(&manifest.signed_bytes()).unwrap(),
    }
}

/// A package of the vendor.
fn entry(manifest: &Manifest) -> PlanEntry {
    let signature = signature(manifest, &estate().certificate(Role::PackageSigning));
    PlanEntry { manifest: manifest.clone(), signature, approval: None }
}

fn content(name: &str, version: &str) -> Vec<u8> {
    format!("{name} {version} ").repeat(40).into_bytes()
}

fn package(name: &str, version: &str, kind: PackageKind) -> (PlanEntry, Vec<u8>) {
    let content = content(name, version);
    (entry(&manifest(name, version, kind, &content)), content)
}

fn parameters(name: &str, version: &str, patch: &str) -> (PlanEntry, Vec<u8>) {
    let content = patch.as_bytes().to_vec();
    (entry(&manifest(name, version, PackageKind::Parameters, &content)), content)
}

fn schema(name: &str, version: &str, schema: &str) -> (PlanEntry, Vec<u8>) {
    let content = schema.as_bytes().to_vec();
    (entry(&manifest(&format!("{name}.schema.json"), version, PackageKind::DataFile, &content)), content)
}

/// Offers an application of 480 bytes, a data file, and parameters with their schema, all of this version.
fn offer_all(tms: &TestTms, version: &str) {
    let packages = [
        package("app", version, PackageKind::Application),
        package("logo", version, PackageKind::DataFile),
        schema("menu", version, r#"{"type":"object","properties":{"version":{"type":"string"}}}"#),
        parameters("menu", version, &format!(r#"{{"version":"{version}"}}"#)),
    ];
    tms.conduct().plan.clear();
    for (entry, content) in packages {
        tms.offer(entry, &content);
    }
}

/// The version of everything that [`offer_all`] offers; none when nothing is installed, a panic when it is mixed.
fn version(running: Running<'_>) -> Option<String> {
    let installed: Vec<_> = running.installed().collect();
    let version = installed.first()?.version.to_string();
    assert_eq!(installed.len(), 4);
    assert!(installed.iter().all(|id| id.version.to_string() == version), "{installed:?}");
    for name in ["app", "logo"] {
        let bytes = crate::area::tests::content(running, &super::tests::name(name));
        assert_eq!(bytes, content(name, &version));
    }
    let menu = running.parameters(&name("menu")).unwrap();
    assert_eq!(menu, format!(r#"{{"version":"{version}"}}"#).as_bytes());
    Some(version)
}

fn run(terminal: &mut Terminal, areas: &mut Areas, tms: &Arc<TestTms>) -> Result<Updated, TmsError> {
    update(terminal, areas, &mut tms.connect(SLOW), UpdateOptions::default())
}

#[test]
fn an_update_is_planned_loaded_started_and_reported() {
    let (mut terminal, tms) = terminal();
    let mut areas = Areas::in_memory().unwrap();
    offer_all(&tms, "1.0.0");
    let mut told = Vec::new();
    let mut started = Vec::new();
    let options = UpdateOptions {
        progress: Some(&mut |progress| told.push(format!("{progress:?}"))),
        start: Some(&mut |running| {
            started.push(version(*running));
            Ok(())
        }),
        ..UpdateOptions::default()
    };
    let updated = update(&mut terminal, &mut areas, &mut tms.connect(SLOW), options).unwrap();
    assert_eq!((updated.installed.len(), updated.sessions), (4, 1));
    assert_eq!((updated.refused, updated.returned), (vec![], None));
    assert_eq!(started, [Some("1.0.0".to_owned())]);
    assert_eq!(version(areas.running()).as_deref(), Some("1.0.0"));

    let heard = tms.heard();
    assert!(heard.inventories[0].installed.is_empty());
    let report = &heard.reports[0];
    assert_eq!((heard.reports.len(), report.good, report.installed.len()), (1, true, 4));
    let status: serde_json::Value = serde_json::from_str(report.status.as_ref().unwrap()).unwrap();
    assert_eq!(status, serde_json::json!({ "life_cycle": "deployed" }));
    assert!(heard.gets.iter().all(|(get, _)| get.wanted == 256), "pieces for a slow line");
    assert!(told[0].starts_with("Session") && told[1].starts_with("Planned"), "{told:?}");
    assert_eq!(told.iter().filter(|told| told.starts_with("Received")).count(), heard.gets.len());
}

#[test]
fn nothing_new_is_an_inventory_and_nothing_else() {
    let (mut terminal, tms) = terminal();
    let mut areas = Areas::in_memory().unwrap();
    offer_all(&tms, "1.0.0");
    run(&mut terminal, &mut areas, &tms).unwrap();
    let gets = tms.heard().gets.len();
    let again = run(&mut terminal, &mut areas, &tms).unwrap();
    assert_eq!(again, Updated { sessions: 1, ..Updated::default() });
    let heard = tms.heard();
    assert_eq!((heard.gets.len(), heard.reports.len(), heard.inventories[1].installed.len()), (gets, 1, 4));
}

#[test]
fn a_second_version_replaces_the_first_and_patches_its_parameters() {
    let (mut terminal, tms) = terminal();
    let mut areas = Areas::in_memory().unwrap();
    offer_all(&tms, "1.0.0");
    run(&mut terminal, &mut areas, &tms).unwrap();
    tms.conduct().plan.clear();
    let (entry, content) = parameters("menu", "1.1.0", r#"{"version":null,"tips":{"percent":[5,10]}}"#);
    tms.offer(entry, &content);
    let updated = run(&mut terminal, &mut areas, &tms).unwrap();
    assert_eq!(updated.installed.len(), 1);
    let menu = areas.running().parameters(&name("menu")).unwrap();
    assert_eq!(menu, br#"{"tips":{"percent":[5,10]}}"#);
    assert_eq!(areas.installed().count(), 4);
}

#[test]
fn a_first_start_that_fails_returns_and_is_reported_by_name() {
    let (mut terminal, tms) = terminal();
    let mut areas = Areas::in_memory().unwrap();
    offer_all(&tms, "1.0.0");
    run(&mut terminal, &mut areas, &tms).unwrap();
    offer_all(&tms, "2.0.0");
    let options = UpdateOptions {
        start: Some(&mut |running| match version(*running).as_deref() {
            Some("2.0.0") => Err("no licence".into()),
            _ => Ok(()),
        }),
        ..UpdateOptions::default()
    };
    let updated = update(&mut terminal, &mut areas, &mut tms.connect(SLOW), options).unwrap();
    assert_eq!((updated.installed.len(), updated.refused.len()), (0, 4));
    assert_eq!(updated.returned.unwrap().why, "no licence");
    assert_eq!(version(areas.running()).as_deref(), Some("1.0.0"));
    assert_eq!(areas.failed_start(), None, "the TMS knows");
    let heard = tms.heard();
    let report = heard.reports.last().unwrap();
    assert!(!report.good && report.installed.iter().all(|id| id.version.to_string() == "1.0.0"));
    let status: serde_json::Value = serde_json::from_str(report.status.as_ref().unwrap()).unwrap();
    assert_eq!(status["refused"][0]["code"], "start");
    assert_eq!(status["refused"].as_array().unwrap().len(), 4);
}

#[test]
fn a_power_cut_in_the_first_start_is_reported_at_the_next_contact() {
    let (mut terminal, tms) = terminal();
    let disk = crate::area::tests::disk::Disk::new();
    let mut areas = Areas::open(disk.clone()).unwrap();
    offer_all(&tms, "1.0.0");
    let off = disk.clone();
    let options = UpdateOptions {
        start: Some(&mut |_| {
            off.cut_after(0);
            Ok(())
        }),
        ..UpdateOptions::default()
    };
    update(&mut terminal, &mut areas, &mut tms.connect(SLOW), options).unwrap_err();
    drop(areas);
    disk.power_back(crate::area::tests::disk::Survives::TheSafe);
    let mut areas = Areas::open(disk).unwrap();
    tms.conduct().plan.clear();
    let updated = run(&mut terminal, &mut areas, &tms).unwrap();
    assert!(updated.returned.unwrap().why.contains("power"));
    let heard = tms.heard();
    let report = heard.reports.last().unwrap();
    assert!(!report.good && report.installed.is_empty());
    assert!(report.status.as_ref().unwrap().contains(r#""code":"start""#));
}
