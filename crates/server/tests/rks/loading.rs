//! Flow C from RKS_AUTH to DONE: what a device with its DIK2 gets.

use hex_literal::hex;
use serde_json::{Value, json};

use crate::support::{
    estate::ESTATE,
    https::{self, Answer, CMS},
    line::{End, connect},
    package::signed,
    rks::{Loaded, RawDevice, confirm, derive, report},
    tlv::{self, field, frame},
    world::{Options, Server, World, results},
};

pub(crate) fn post_report(server: &Server, content: &Value) -> Answer {
    https::post(server.https, "/v1/kld-reports", CMS, &signed(&ESTATE.operator, content))
}

/// A world with these devices reported.
pub(crate) fn with(devices: &[&RawDevice], options: &Options) -> (World, Server) {
    let world = World::new();
    let server = world.start(options);
    let entries: Vec<_> = devices.iter().map(|device| device.entry()).collect();
    for result in results(&post_report(&server, &report("run-1", &entries))) {
        assert_eq!((&result["ok"], &result["code"]), (&json!(true), &json!("taken")), "{result}");
    }
    (world, server)
}

fn slots(loaded: &Loaded) -> Vec<(u8, &str)> {
    loaded.keys.iter().map(|key| (key.slot, key.usage.as_str())).collect()
}

fn kcvs(loaded: &Loaded, slot: u8) -> Vec<String> {
    loaded.keys.iter().filter(|key| key.slot == slot).map(|key| crate::support::rks::hex(&key.kcv)).collect()
}

/// `flow_c` of `vectors/tdes-suite.json`: this test's own device derives as the specification does.
#[test]
fn the_test_device_derives_the_worked_dik2() {
    let dik1 = hex!("F66E0FCFFC6BDB24D83ABE4AE5275182F89D687A2A6CC904");
    let factor = hex!("4B4C442D372F32303236313132302F42303432");
    let dik2 = hex!("0FE2096FE1FC3C8A77927F1C054A17B812FBABD93301F342");
    assert_eq!(derive(&dik1, "N7-00012345", &factor), dik2);
}

#[test]
fn a_device_gets_the_key_of_every_slot_from_the_one_it_asks_for() {
    let (built_in, external) = (RawDevice::new("SN-1"), RawDevice::with_pin_pad("SN-2", "PP-2"));
    let (world, server) = with(&[&built_in, &external], &Options::default());
    for device in [&built_in, &external] {
        let loaded = device.load_on(&mut connect(server.terminals), 0).unwrap();
        assert_eq!(slots(&loaded), [(0, "K1"), (1, "K1"), (5, "K1")]);
        assert!(!loaded.more);
        for slot in [0, 1, 5] {
            assert_eq!(world.keys(&device.sn, slot, "active"), kcvs(&loaded, slot));
            assert!(world.keys(&device.sn, slot, "pending").is_empty());
        }
        assert_eq!(world.events("rks.confirmed", &device.sn).len(), 1);
        assert_eq!(world.events("tmk.made", &device.sn).len(), 3);
    }
    let from_one = built_in.load_on(&mut connect(server.terminals), 1).unwrap();
    assert_eq!(slots(&from_one), [(1, "K1"), (5, "K1")]);
    world.assert_audit_good();
}

#[test]
fn working_keys_come_with_their_tmk_where_the_configuration_asks() {
    let device = RawDevice::new("SN-1");
    let options = Options { rks: Some((vec![3, 4], true, 8)), ..Options::default() };
    let (world, server) = with(&[&device], &options);
    let loaded = device.load_on(&mut connect(server.terminals), 3).unwrap();
    let expected = [(3, "K1"), (3, "P0"), (3, "M3"), (4, "K1"), (4, "P0"), (4, "M3")];
    assert_eq!(slots(&loaded), expected);
    let active = world.sql().query_row(
        "SELECT count(*) FROM working_keys WHERE sn = 'SN-1' AND state = 'active'",
        [],
        |row| row.get::<_, i64>(0),
    );
    assert_eq!(active, Ok(4));
}

#[test]
fn a_set_that_is_too_long_comes_in_several_runs_and_each_key_once() {
    let device = RawDevice::new("SN-1");
    let options = Options { rks: Some(((0..5).collect(), true, 6)), ..Options::default() };
    let (world, server) = with(&[&device], &options);
    let mut line = connect(server.terminals);
    let mut seen = Vec::new();
    for (run, more) in [true, true, false].into_iter().enumerate() {
        // A device that has its own slot already asks for it again, since it was told of more.
        let loaded = device.load_on(&mut line, 0).unwrap();
        assert_eq!(loaded.more, more, "run {run}");
        seen.extend(loaded.keys.iter().map(|key| (key.slot, key.usage.clone())));
    }
    let mut once = seen.clone();
    once.sort();
    once.dedup();
    assert_eq!((seen.len(), once.len()), (15, 15));
    assert_eq!(world.events("rks.confirmed", "SN-1").len(), 3);
    // All is given: asking once more is asking for new keys.
    let again = device.load_on(&mut line, 0).unwrap();
    assert_eq!((again.keys[0].slot, again.more), (0, true));
    assert_eq!(world.keys("SN-1", 0, "retired").len(), 1);
}

/// Decided in 1-systems.md A, which holds here too: the same pending key again after a broken download.
#[test]
fn a_download_that_broke_gets_the_same_keys_again() {
    let device = RawDevice::new("SN-1");
    let options = Options { rks: Some((vec![0, 1], true, 8)), ..Options::default() };
    let (world, server) = with(&[&device], &options);
    let first = device.fetch(&mut connect(server.terminals), 0).unwrap();
    assert_eq!(world.keys("SN-1", 0, "pending"), kcvs(&first, 0)[..1]);
    assert!(world.keys("SN-1", 0, "active").is_empty());
    let second = device.load_on(&mut connect(server.terminals), 0).unwrap();
    let keys = |loaded: &Loaded| loaded.keys.iter().map(|key| key.key.clone()).collect::<Vec<_>>();
    let blocks = |loaded: &Loaded| loaded.keys.iter().map(|key| key.block.clone()).collect::<Vec<_>>();
    assert_eq!(keys(&first), keys(&second));
    assert!(blocks(&first).iter().zip(blocks(&second)).all(|(one, other)| *one != other));
    assert_eq!(world.events("tmk.sent-again", "SN-1").len(), 2);
    assert_eq!(world.keys("SN-1", 0, "active"), kcvs(&second, 0)[..1]);
    let third = device.load_on(&mut connect(server.terminals), 0).unwrap();
    assert!(keys(&third).iter().zip(keys(&second)).all(|(one, other)| *one != other), "new keys");
}

#[test]
fn a_wrong_check_value_leaves_every_key_of_the_message_pending_with_an_alarm() {
    let device = RawDevice::new("SN-1");
    let options = Options { rks: Some((vec![0, 1], true, 8)), ..Options::default() };
    let (world, server) = with(&[&device], &options);
    let mut line = connect(server.terminals);
    let mut loaded = device.fetch(&mut line, 0).unwrap();
    loaded.keys[4].kcv[0] ^= 1;
    line.send(&confirm(&loaded.keys));
    assert_eq!(line.end(), End::Code(0x0007));
    for slot in [0, 1] {
        assert_eq!(world.keys("SN-1", slot, "pending").len(), 1);
        assert!(world.keys("SN-1", slot, "active").is_empty());
    }
    assert_eq!(world.events("alarm.wrong-check-value", "SN-1").len(), 1);
    assert!(world.events("rks.confirmed", "SN-1").is_empty());
    let active = "SELECT count(*) FROM working_keys WHERE state = 'active'";
    assert_eq!(world.sql().query_row(active, [], |row| row.get::<_, i64>(0)), Ok(0));
    // In another order they are wrong as well; one too few is malformed.
    let mut line = connect(server.terminals);
    let mut loaded = device.fetch(&mut line, 0).unwrap();
    loaded.keys.swap(0, 1);
    line.send(&confirm(&loaded.keys));
    assert_eq!(line.end(), End::Code(0x0007));
    let mut line = connect(server.terminals);
    let loaded = device.fetch(&mut line, 0).unwrap();
    line.send(&confirm(&loaded.keys[1..]));
    assert_eq!(line.end(), End::Code(0x0002));
    world.assert_audit_good();
}

#[test]
fn a_slot_that_is_not_given_is_000c_and_an_active_key_that_stays_0008() {
    let device = RawDevice::new("SN-1");
    let options = Options { replace_active: false, ..Options::default() };
    let (world, server) = with(&[&device], &options);
    assert_eq!(device.load_on(&mut connect(server.terminals), 2).unwrap_err(), End::Code(0x000C));
    device.load_on(&mut connect(server.terminals), 1).unwrap();
    assert_eq!(device.load_on(&mut connect(server.terminals), 1).unwrap_err(), End::Code(0x0008));
    // What is free is given all the same.
    let rest = device.load_on(&mut connect(server.terminals), 0).unwrap();
    assert_eq!(slots(&rest), [(0, "K1")]);
    let refused = world.events("rks.refused", "SN-1");
    assert_eq!(refused.iter().map(|event| event.detail["slot"].clone()).collect::<Vec<_>>(), [2, 1]);
}

#[test]
fn another_suite_is_0009_to_a_proven_device_only() {
    let device = RawDevice::new("SN-1");
    let (_world, server) = with(&[&device], &Options::default());
    let mut line = connect(server.terminals);
    assert_eq!(device.fetch_with(&mut line, device.auth(3, 0, &[])).unwrap_err(), End::Code(0x0009));
    let stranger = RawDevice::new("SN-9");
    let mut line = connect(server.terminals);
    let factor = stranger.factor.clone();
    let asked =
        stranger.ask_with(&mut line, stranger.auth(3, 0, &[]), |work| work.oaep_encrypt(&factor).unwrap());
    RawDevice::prove(&mut line, &asked.unwrap(), &[7; 80]);
    assert_eq!(line.end(), End::Code(0x0006));
}

#[test]
fn refusals_that_a_proven_device_tells_are_kept() {
    let device = RawDevice::new("SN-1");
    let (world, server) = with(&[&device], &Options::default());
    let record = |check: &str, when: [u8; 6]| {
        let fields = [
            field(tlv::REFUSAL_CHECK, check.as_bytes()),
            field(tlv::REFUSAL_READING, b"open"),
            field(tlv::REFUSAL_WHEN, &when),
        ];
        field(tlv::REFUSAL, &fields.concat())
    };
    let when = [0x26, 0x11, 0x20, 0x12, 0x34, 0x56];
    let told = [record("lid", when), record("voltage", [0; 6])].concat();
    for _ in 0..2 {
        let mut line = connect(server.terminals);
        let loaded = device.fetch_with(&mut line, device.auth(1, 0, &told)).unwrap();
        line.send(&confirm(&loaded.keys));
        line.expect(tlv::DONE).unwrap();
    }
    // One with a time is told apart from one that came twice.
    let kept = "SELECT group_concat(\"check\" || ' ' || coalesce(occurred_at, '-') || ' ' || source, ', ')
                FROM (SELECT * FROM refusals ORDER BY id)";
    let kept: String = world.sql().query_row(kept, [], |row| row.get(0)).unwrap();
    assert_eq!(kept, "lid 1795178096000 RKS_AUTH, voltage - RKS_AUTH, voltage - RKS_AUTH");
    // An ERROR with records, from a device that is proven.
    let mut line = connect(server.terminals);
    device.fetch(&mut line, 0).unwrap();
    let fields = [field(tlv::ERROR_CODE, &[0, 8]), record("temperature", when)].concat();
    line.send(&frame(tlv::ERROR, &fields));
    assert_eq!(line.end(), End::Closed);
    // Nothing of a stranger's.
    let stranger = RawDevice::new("SN-9");
    let mut line = connect(server.terminals);
    let factor = stranger.factor.clone();
    let auth = stranger.auth(1, 0, &told);
    let asked = stranger.ask_with(&mut line, auth, |work| work.oaep_encrypt(&factor).unwrap()).unwrap();
    RawDevice::prove(&mut line, &asked, &[7; 80]);
    assert_eq!(line.end(), End::Code(0x0006));
    let count = |sn: &str| {
        let sql = "SELECT count(*) FROM refusals WHERE sn = ?1";
        world.sql().query_row(sql, [sn], |row| row.get::<_, i64>(0)).unwrap()
    };
    assert_eq!((count("SN-1"), count("SN-9")), (4, 0));
    assert_eq!(world.events("terminal.refusals-told", "SN-1").len(), 3);
    assert!(world.events("terminal.refusals-told", "SN-9").is_empty());
}

#[test]
fn without_rks_in_the_configuration_the_flow_is_not_served() {
    let device = RawDevice::new("SN-1");
    let (world, server) = with(&[&device], &Options::default());
    server.stop();
    let server = world.start(&Options { rks: None, ..Options::default() });
    assert_eq!(device.load_on(&mut connect(server.terminals), 0).unwrap_err(), End::Code(0x0003));
}
