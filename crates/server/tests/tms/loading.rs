//! Inventory, plan, and the bytes of packages.

use serde_json::json;
use store::{DeploymentState, TmsStore, Vendor};

use crate::support::{
    line::{Line, connect},
    shop::{Shop, event},
    tlv::field,
    tms::{GET, Pos, Session, Stop, get_fields},
};

const APP: (&str, &str) = ("pay-app", "1.2.0");

fn content(length: usize) -> Vec<u8> {
    (0..length).map(|n| (n * 7 + n / 251) as u8).collect()
}

fn listed(packages: &[(&str, &str)]) -> Vec<(String, String)> {
    packages.iter().map(|(name, version)| ((*name).to_owned(), (*version).to_owned())).collect()
}

fn open(shop: &Shop, pos: &Pos) -> (Line, Session) {
    let mut line = connect(shop.server.terminals);
    let session = pos.open(&mut line).unwrap();
    (line, session)
}

fn not_offered() -> Stop {
    Stop::Sealed(0x0008, "this package is not offered to this terminal".into())
}

#[test]
fn a_terminal_gets_its_plan_and_its_bytes_and_what_was_offered_is_written_once() {
    let pos = Pos::new("SN-1001");
    let shop = Shop::with(&[&pos], "");
    let bytes = content(100_000);
    let deployment = shop.roll_out(APP.0, APP.1, &bytes);
    let (mut line, mut session) = open(&shop, &pos);
    for _ in 0..2 {
        let plan = session.inventory(&mut line, &[("pay-app", "1.1.0")]).unwrap();
        assert_eq!(plan, (listed(&[APP]), false));
    }
    let mut got = Vec::new();
    for wanted in [1, 999, 32_768, 32_768, 32_768, 32_768] {
        got.extend(session.get(&mut line, APP, got.len() as u64, wanted).unwrap());
    }
    assert_eq!(got, bytes, "the last piece is what is left");
    assert_eq!(shop.get_deployment(deployment).counts.offered, 1);
    let offered = shop.world.events("tms.offered", "SN-1001");
    assert_eq!(offered.len(), 1);
    let named = json!([{ "deployment": deployment, "name": "pay-app", "version": "1.2.0" }]);
    assert_eq!(offered[0].detail["packages"], named);
    assert_eq!(session.inventory(&mut line, &[APP]).unwrap(), (vec![], false));
    shop.world.assert_audit_good();
}

#[test]
fn a_new_session_goes_on_at_any_byte_without_an_inventory() {
    let pos = Pos::new("SN-1001");
    let shop = Shop::with(&[&pos], "");
    let bytes = content(10_000);
    shop.roll_out(APP.0, APP.1, &bytes);
    let (mut line, mut session) = open(&shop, &pos);
    session.inventory(&mut line, &[]).unwrap();
    let audit = shop.world.audit().len();
    let mut got = session.get(&mut line, APP, 0, 4_321).unwrap();
    drop(line);
    while got.len() < bytes.len() {
        let (mut line, mut session) = open(&shop, &pos);
        got.extend(session.get(&mut line, APP, got.len() as u64, 1_237).unwrap());
    }
    assert_eq!(got, bytes);
    assert_eq!(shop.world.audit().len(), audit, "TMS_GET writes nothing");
}

#[test]
fn a_package_that_is_unknown_or_not_offered_is_0008() {
    let pos = Pos::new("SN-1001");
    let shop = Shop::with(&[&pos], "");
    shop.roll_out(APP.0, APP.1, &content(100));
    shop.package("other", "1.0.0", &content(100));
    let get = |package| {
        let (mut line, mut session) = open(&shop, &pos);
        session.get(&mut line, package, 0, 10).err()
    };
    assert_eq!(get(APP), Some(not_offered()), "deployed, but not offered so far");
    let (mut line, mut session) = open(&shop, &pos);
    session.inventory(&mut line, &[]).unwrap();
    assert_eq!(get(APP), None);
    for package in [("pay-app", "1.2.1"), ("nothing", "1.0.0"), ("other", "1.0.0")] {
        assert_eq!(get(package), Some(not_offered()), "{package:?}");
    }
}

#[test]
fn an_offset_at_or_behind_the_end_is_0008_and_a_bad_length_0002() {
    let pos = Pos::new("SN-1001");
    let shop = Shop::with(&[&pos], "");
    shop.roll_out(APP.0, APP.1, &content(100));
    let get = |offset, wanted| {
        let (mut line, mut session) = open(&shop, &pos);
        session.inventory(&mut line, &[]).unwrap();
        session.get(&mut line, APP, offset, wanted).map_err(|stop| match stop {
            Stop::Sealed(code, _) => code,
            other => panic!("{other:?}"),
        })
    };
    assert_eq!(get(99, 10).map(|bytes| bytes.len()), Ok(1));
    for offset in [100, 101, u64::MAX] {
        assert_eq!(get(offset, 10), Err(0x0008));
    }
    for wanted in [0, 32_769, u32::MAX] {
        assert_eq!(get(0, wanted), Err(0x0002));
    }
}

#[test]
fn a_pause_or_a_withdrawal_stops_a_download_in_its_middle() {
    let pos = Pos::new("SN-1001");
    let shop = Shop::with(&[&pos], "");
    let bytes = content(1_000);
    let deployment = shop.roll_out(APP.0, APP.1, &bytes);
    let (mut line, mut session) = open(&shop, &pos);
    session.inventory(&mut line, &[]).unwrap();
    session.get(&mut line, APP, 0, 10).unwrap();
    shop.set_state(deployment, DeploymentState::Paused);
    assert_eq!(session.get(&mut line, APP, 10, 10).err(), Some(not_offered()));
    shop.set_state(deployment, DeploymentState::Running);
    let (mut line, mut session) = open(&shop, &pos);
    assert_eq!(session.get(&mut line, APP, 10, 10).unwrap(), bytes[10..20]);
    let package = shop.get_deployment(deployment).package;
    let withdraw = shop.server.store.withdraw_package(package, event("withdraw"));
    assert!(shop.server.block_on(withdraw).unwrap());
    assert_eq!(session.get(&mut line, APP, 20, 10).err(), Some(not_offered()));
    let (mut line, mut session) = open(&shop, &pos);
    assert_eq!(session.inventory(&mut line, &[]).unwrap(), (vec![], false));
}

#[test]
fn requirements_come_first_and_may_be_loaded() {
    let pos = Pos::new("SN-1001");
    let shop = Shop::with(&[&pos], "");
    shop.package("lib", "1.4.2", &content(50));
    let app = shop.package_with(APP.0, APP.1, &content(100), json!([{ "name": "lib", "version": "^1.4" }]));
    let deployment = shop.deploy(shop.deployment(app));
    let (mut line, mut session) = open(&shop, &pos);
    assert_eq!(session.inventory(&mut line, &[]).unwrap(), (listed(&[("lib", "1.4.2")]), true));
    assert_eq!(session.get(&mut line, ("lib", "1.4.2"), 0, 100).unwrap(), content(50));
    let installed = [("lib", "1.4.2")];
    assert_eq!(session.inventory(&mut line, &installed).unwrap(), (listed(&[APP]), false));
    assert_eq!(session.get(&mut line, APP, 0, 100).unwrap(), content(100));
    assert_eq!(shop.get_deployment(deployment).counts.offered, 1, "one terminal, one offer");
}

/// A vendor whose repository cannot be opened any more, and a file that is gone after its package was published.
#[test]
fn a_dead_repository_and_a_missing_file_are_told_in_the_session() {
    let pos = Pos::new("SN-1001");
    let shop = Shop::with(&[&pos], "");
    shop.roll_out(APP.0, APP.1, &content(100));
    let (mut line, mut session) = open(&shop, &pos);
    session.inventory(&mut line, &[]).unwrap();
    let vendor = shop.maker.vendor(&shop.files());
    shop.put_vendor(Vendor { repository: "{\"kind\":\"moon\"}".into(), ..vendor.clone() });
    let told = "the vendor's packages cannot be read now: try again later".to_owned();
    assert_eq!(session.get(&mut line, APP, 0, 10).err(), Some(Stop::Sealed(0x000B, told)));
    // The session itself and the plan do not need it.
    let (mut line, mut session) = open(&shop, &pos);
    assert_eq!(session.inventory(&mut line, &[]).unwrap(), (listed(&[APP]), false));
    shop.put_vendor(vendor);
    std::fs::remove_file(shop.files().join("pay-app-1.2.0.bin")).unwrap();
    let (mut line, mut session) = open(&shop, &pos);
    let ended = session.get(&mut line, APP, 0, 10).err();
    assert!(matches!(ended, Some(Stop::Sealed(0x0001, _))), "{ended:?}");
}

/// A GET that names nothing, and a message that has no place in this phase.
#[test]
fn malformed_and_misplaced_inner_messages_are_sealed_0002_and_0003() {
    let pos = Pos::new("SN-1001");
    let shop = Shop::with(&[&pos], "");
    let end = |kind, fields: &[u8]| {
        let (mut line, mut session) = open(&shop, &pos);
        match session.ask(&mut line, kind, fields, 0) {
            Err(Stop::Sealed(code, _)) => code,
            other => panic!("{other:?}"),
        }
    };
    let whole = get_fields(APP, 0, 10);
    assert_eq!(end(GET, &whole[..whole.len() - 1]), 0x0002);
    assert_eq!(end(GET, &[]), 0x0002);
    assert_eq!(end(GET, &[&whole[..], &field(0xDF41, b"twice")].concat()), 0x0002);
    for kind in [0x01, 0x05, 0x06, 0x31, 0x33, 0x36, 0x38, 0x3F, 0x41, 0x77] {
        assert_eq!(end(kind, &whole), 0x0003, "{kind:02X}");
    }
}
