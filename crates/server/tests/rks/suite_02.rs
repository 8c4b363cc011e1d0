//! Flow C in suite 02: ephemeral keys, a signed RKS_CERT, confirmations, receipts and load counters.

use hex_literal::hex;
use serde_json::json;

use super::loading::post_report;
use crate::support::{
    ec::{self, ENCRYPTED, Side},
    line::{End, connect},
    rks::RawDevice,
    rks_ec::{self, EcDevice, derive, with},
    shop::Shop,
    tlv::{self, field, frame},
    tms_ec::EcPos,
    world::{Options, World, results},
};

const REFUSED: End = End::Code(0x0006);

fn kcvs(loaded: &rks_ec::Loaded, slot: u8) -> Vec<String> {
    let of_slot = loaded.received.iter().filter(|key| key.slot == slot && key.usage == "K1");
    of_slot.map(|key| crate::support::rks::hex(&key.kcv)).collect()
}

/// `flow_c` of `vectors/ec-suite.json`: this test's own device derives as the specification does.
#[test]
fn the_test_device_derives_the_worked_dik2() {
    let dik1 = hex!("D5C0C81B9F72B6493C9CCBA4886160BF780BCD3FD15B87E03CECA641E79ACA6C");
    let factor = hex!("4B4C442D372F32303236313132302F42303432");
    let dik2 = hex!("0A7528F85B78096072CA30168EC99C9D1CA776827F802133CC1BC9B80FFDF0F6");
    assert_eq!(derive(&dik1, "N7-00012345", &factor), dik2);
}

#[test]
fn a_device_gets_the_key_of_every_slot_and_an_authenticated_done() {
    let (built_in, external) = (EcDevice::new("SN-1"), EcDevice::with_pin_pad("SN-2", "PP-2"));
    let options = Options { rks: Some((vec![0, 5], true, 8)), ..Options::default() };
    let (world, server) = with(&[&built_in, &external], &options);
    for device in [&built_in, &external] {
        let loaded = device.load_on(&mut connect(server.terminals), 0).unwrap();
        let got: Vec<_> =
            loaded.received.iter().map(|key| (key.slot, key.usage.as_str(), key.counter)).collect();
        let expected = [(0, "K1", Some(1)), (0, "P0", None), (0, "M6", None)];
        assert_eq!(got[..3], expected);
        assert_eq!(got[3..], expected.map(|(_, usage, counter)| (5, usage, counter)));
        assert!(!loaded.more);
        for slot in [0, 5] {
            assert_eq!(world.keys(&device.sn, slot, "active"), kcvs(&loaded, slot));
        }
        assert_eq!(world.events("rks.confirmed", &device.sn).len(), 1);
    }
    world.assert_audit_good();
}

#[test]
fn a_set_that_is_too_long_comes_in_several_runs_and_each_key_once() {
    let device = EcDevice::new("SN-1");
    let options = Options { rks: Some(((0..5).collect(), false, 2)), ..Options::default() };
    let (world, server) = with(&[&device], &options);
    let (mut line, mut seen) = (connect(server.terminals), Vec::new());
    for more in [true, true, false] {
        let loaded = device.load_on(&mut line, 0).unwrap();
        assert_eq!(loaded.more, more);
        seen.extend(loaded.received.iter().map(|key| key.slot));
    }
    assert_eq!(seen, [0, 1, 2, 3, 4]);
    assert_eq!(world.events("rks.confirmed", "SN-1").len(), 3);
}

/// Every sending takes the next counter, the same pending key's too: an old RKS_KEYS brings back no old key.
#[test]
fn a_pending_key_is_sent_again_with_the_next_load_counter() {
    let device = EcDevice::new("SN-1");
    let options = Options { rks: Some((vec![3], true, 8)), ..Options::default() };
    let (world, server) = with(&[&device], &options);
    let first = device.fetch(&mut connect(server.terminals), 3).unwrap();
    let second = device.load_on(&mut connect(server.terminals), 3).unwrap();
    let third = device.load_on(&mut connect(server.terminals), 3).unwrap();
    let key = |loaded: &rks_ec::Loaded| (loaded.received[0].key.clone(), loaded.received[0].counter);
    assert_eq!(key(&first).0, key(&second).0);
    assert_ne!(key(&second).0, key(&third).0);
    assert_eq!([&first, &second, &third].map(|loaded| key(loaded).1), [Some(1), Some(2), Some(3)]);
    let sent = world.events("tmk.sent-again", "SN-1");
    assert_eq!(sent.iter().map(|event| event.detail["load_counter"].clone()).collect::<Vec<_>>(), [2]);
    let kept = world.sql().query_row("SELECT counter FROM load_counters", [], |row| row.get::<_, i64>(0));
    assert_eq!(kept, Ok(3));
}

#[test]
fn a_wrong_receipt_leaves_every_key_of_the_message_pending_with_an_alarm() {
    let device = EcDevice::new("SN-1");
    let options = Options { rks: Some((vec![0, 1], true, 8)), ..Options::default() };
    let (world, server) = with(&[&device], &options);
    let other_order = |loaded: &rks_ec::Loaded| {
        let told: Vec<_> = loaded.received.iter().rev().map(|key| (key.slot, key.kcv)).collect();
        ec::confirm(&loaded.keys.receipt("receipt t", &loaded.said, &told))
    };
    let reflected = |loaded: &rks_ec::Loaded| ec::confirm(&loaded.done(&[]));
    let random = |_: &rks_ec::Loaded| ec::confirm(&ec::random::<32>());
    type Wrong<'a> = &'a dyn Fn(&rks_ec::Loaded) -> Vec<u8>;
    let wrong: [Wrong<'_>; 3] = [&other_order, &reflected, &random];
    for confirm in wrong {
        let mut line = connect(server.terminals);
        let loaded = device.fetch(&mut line, 0).unwrap();
        line.send(&confirm(&loaded));
        assert_eq!(line.end(), End::Code(0x0007));
    }
    for slot in [0, 1] {
        assert_eq!(
            (world.keys("SN-1", slot, "pending").len(), world.keys("SN-1", slot, "active").len()),
            (1, 0)
        );
    }
    assert_eq!(world.events("alarm.wrong-check-value", "SN-1").len(), 3);
    assert!(world.events("rks.confirmed", "SN-1").is_empty());
    // Check values, as suite 01 has them, are no receipt.
    let mut line = connect(server.terminals);
    let loaded = device.fetch(&mut line, 0).unwrap();
    let kcv = |key: &ec::EcKeyReceived| tlv::field(tlv::KEY_ENTRY, &tlv::field(tlv::KCV, &key.kcv));
    let kcvs: Vec<_> = loaded.received.iter().map(kcv).collect();
    line.send(&tlv::frame(tlv::CONFIRM, &kcvs.concat()));
    assert_eq!(line.end(), End::Code(0x0002));
    world.assert_audit_good();
}

/// RKS_CERT is signed for everybody and RKS_TOKEN has one form: who has proved nothing learns nothing.
#[test]
fn r29_unknown_serial_wrong_factor_and_bad_ciphertext_are_alike_in_code_and_length() {
    let known = EcDevice::new("SN-1001");
    let external = EcDevice::with_pin_pad("SN-1002", "PP-1002");
    let (world, server) = with(&[&known, &external], &Options::default());
    let stranger =
        |sn: &str, pin_pad: Option<&str>| EcDevice { pin_pad: pin_pad.map(Into::into), ..EcDevice::new(sn) };
    type Df19 = fn(&[u8; 32], &[u8]) -> Vec<u8>;
    let right: Df19 = |key, factor| ec::seal(key, 0, &[], factor);
    let bad: Df19 = |_, factor| vec![7; factor.len() + 16];
    let seen = |device: &EcDevice, df19: Df19| {
        let mut line = connect(server.terminals);
        let factor = device.factor.clone();
        let mut asked = device.ask_with(&mut line, 0, |key| df19(key, &factor)).unwrap();
        EcDevice::prove(&mut line, &mut asked, &[0x5A; 32]);
        assert_eq!(line.end(), REFUSED);
        let end = line.received().len();
        (asked.cert.shape(), asked.token.shape(), end)
    };
    let first = seen(&known, right);
    let all = [
        ("another factor", seen(&stranger("SN-1001", None), right)),
        ("unknown serial", seen(&stranger("SN-9999", None), right)),
        ("external, asked without its PIN pad", seen(&stranger("SN-1002", None), right)),
        ("a bad ciphertext", seen(&known, bad)),
        ("a stranger's bad ciphertext", seen(&stranger("SN-9999", None), bad)),
        ("another PIN pad", seen(&stranger("SN-1002", Some("PP-9999")), right)),
    ];
    for (what, one) in &all {
        assert_eq!(one, &first, "{what}");
    }
    assert_eq!(world.count("tmks"), 0);
    // A stranger's token is never the same twice, and never one that his own DIK2 makes.
    let unknown = stranger("SN-9999", None);
    let tokens = [(); 2].map(|()| unknown.ask(&mut connect(server.terminals), 0).unwrap());
    assert!(tokens.iter().all(|asked| !asked.proven));
    assert_ne!(tokens[0].token, tokens[1].token);
    server.stop();
    let counted = |sn: &str, reason: &str| {
        let events = world.events("terminal.refused", sn);
        events.iter().any(|event| event.detail["reason"] == reason)
    };
    assert!(counted("SN-1001", "the factor is not the one that was registered when DIK2 was injected"));
    assert!(counted("SN-1001", "the factor's ciphertext does not open, or holds no factor"));
    assert!(counted("SN-9999", "unknown serial"));
    assert!(counted("SN-1002", "wrong PIN pad serial"));
}

#[test]
fn r11_a_confirmation_is_good_in_its_own_run_only() {
    let device = EcDevice::new("SN-1");
    let (world, server) = with(&[&device], &Options::default());
    let mut first_line = connect(server.terminals);
    let mut first = device.ask(&mut first_line, 0).unwrap();
    let mut second_line = connect(server.terminals);
    let mut second = device.ask(&mut second_line, 0).unwrap();
    // Another run's confirmation, and the server's own sent back.
    EcDevice::prove(&mut first_line, &mut first, &EcDevice::mac_t(&second));
    assert_eq!(first_line.end(), REFUSED);
    let own: [u8; 32] = second.token.get(ec::CONFIRMATION).try_into().unwrap();
    EcDevice::prove(&mut second_line, &mut second, &own);
    assert_eq!(second_line.end(), REFUSED);
    assert_eq!(world.count("tmks"), 0);
}

#[test]
fn what_is_no_point_no_nonce_or_in_another_order_is_malformed_for_known_and_unknown() {
    let device = EcDevice::new("SN-1");
    let (_world, server) = with(&[&device], &Options::default());
    for device in [device, EcDevice::new("SN-9")] {
        let auth = |point: &[u8], nonce: &[u8]| {
            let fields = [
                tlv::field(tlv::SUITE, &[2]),
                tlv::field(tlv::SN, device.sn.as_bytes()),
                tlv::field(tlv::SLOT, &[0]),
                tlv::field(ec::POINT, point),
                tlv::field(ec::NONCE, nonce),
            ];
            fields.concat()
        };
        let side = ec::Side::new();
        let mut off = side.point.clone();
        off[64] ^= 1;
        let good = auth(&side.point, &side.nonce);
        let turned = [&good[3..], &good[..3]].concat();
        for fields in
            [auth(&off, &side.nonce), auth(&[4; 65], &side.nonce), auth(&side.point, &[1; 31]), turned]
        {
            let mut line = connect(server.terminals);
            line.send(&tlv::frame(tlv::RKS_AUTH, &fields));
            assert_eq!(line.end(), End::Code(0x0002));
        }
        let mut line = connect(server.terminals);
        line.send(&tlv::frame(tlv::RKS_AUTH, &good));
        line.expect(tlv::RKS_CERT).unwrap();
    }
}

/// Which suite a device has is in the server's record of its DIK2, never taken from what the peer offers.
#[test]
fn a_device_of_the_other_suite_is_a_stranger() {
    let ec = EcDevice::new("SN-2");
    let (world, server) = with(&[&ec], &Options::default());
    let tdes = RawDevice::new("SN-1");
    let taken = post_report(&server, &crate::support::rks::report("run-01", &[tdes.entry()]));
    assert_eq!(results(&taken)[0]["code"], "taken");
    // SN-2 as if it were of suite 01: whatever it sends proves nothing.
    let lower = RawDevice { factor: ec.factor.clone(), ..RawDevice::new("SN-2") };
    let mut line = connect(server.terminals);
    let asked = lower.ask(&mut line, 0).unwrap();
    RawDevice::prove(&mut line, &asked, &[7; 80]);
    assert_eq!(line.end(), REFUSED);
    // SN-1 as if it were of suite 02.
    let higher = EcDevice { factor: tdes.factor.clone(), ..EcDevice::new("SN-1") };
    let mut line = connect(server.terminals);
    let mut asked = higher.ask(&mut line, 0).unwrap();
    assert!(!asked.proven);
    let mac_t = EcDevice::mac_t(&asked);
    EcDevice::prove(&mut line, &mut asked, &mac_t);
    assert_eq!(line.end(), REFUSED);
    // Each in its own.
    tdes.load_on(&mut connect(server.terminals), 0).unwrap();
    ec.load_on(&mut connect(server.terminals), 0).unwrap();
    assert_eq!(world.count("tmks WHERE state = 'active'"), 6);
}

/// A slot that was on suite 02 goes back to 01 by an act of two people only; the proven device is told.
#[test]
fn a_slot_that_has_held_a_key_of_suite_02_gets_none_of_suite_01() {
    let (device, pos) = (RawDevice::new("SN-1"), EcPos::new("SN-1"));
    let (rks, more) = (Some((vec![0], false, 8)), "[tms]\n".into());
    let shop = Shop::with_options(&[], &Options { suite_02: true, rks, more, ..Options::default() });
    rks_ec::take(&shop.server, &rks_ec::report("run-02", &[pos.entry()]));
    results(&post_report(&shop.server, &crate::support::rks::report("run-01", &[device.entry()])));
    device.load_on(&mut connect(shop.server.terminals), 0).unwrap();
    let mut line = connect(shop.server.terminals);
    let (session, tmk) = pos.load(&mut line, 0).unwrap();
    line.send(&session.confirm(&tmk));
    line.expect(tlv::DONE).unwrap();
    let ended = device.load_on(&mut connect(shop.server.terminals), 0);
    assert_eq!(ended.unwrap_err(), End::Code(0x0009));
    assert_eq!(shop.world.keys("SN-1", 0, "active"), [crate::support::rks::hex(&tmk.kcv)]);
    assert_eq!(shop.world.events("rks.refused", "SN-1").len(), 1);
}

/// A DIK2 of suite 02 gives way to none of suite 01.
#[test]
fn r21_a_report_that_lowers_a_devices_dik2_is_refused() {
    let device = EcDevice::new("SN-1");
    let (_world, server) = with(&[&device], &Options::default());
    let mut lower = crate::support::rks::report("run-03", &[RawDevice::new("SN-1").entry()]);
    lower["opened_at"] = json!("2026-11-20T13:00:00Z");
    lower["closed_at"] = json!("2026-11-20T14:00:00Z");
    assert_eq!(results(&post_report(&server, &lower))[0]["ok"], json!(false));
    device.load_on(&mut connect(server.terminals), 0).unwrap();
}

/// What a report says of a key of suite 02 must fit it.
#[test]
fn a_report_whose_check_values_counters_or_labels_are_of_the_other_suite_is_refused() {
    let device = EcDevice::new("SN-1");
    let (world, server) = with(&[&device], &Options::default());
    let tmk = ec::random::<16>();
    let key = |counter: Option<u64>| {
        let block = rks_ec::under_exchange(("K1", "B"), ("SN-2", 3), &tmk);
        let mut key = json!({ "kind": "tmk", "slot": 3, "kcv": crate::support::rks::hex(&ec::kcv(&tmk)), "block": block });
        if let Some(counter) = counter {
            key["load_counter"] = json!(counter);
        }
        json!({ "sn": "SN-2", "ok": true, "keys": [key] })
    };
    let answer = |entry: serde_json::Value| {
        let result = results(&post_report(&server, &rks_ec::report("run-04", &[entry]))).remove(0);
        result["code"].as_str().unwrap().to_owned()
    };
    assert_eq!(answer(key(None)), "malformed");
    assert_eq!(answer(key(Some(0))), "malformed");
    let mut labelled = EcDevice::new("SN-3").entry();
    labelled["keys"][0]["label"] = json!(crate::support::rks::DIK1);
    assert_eq!(answer(labelled), "wrong-suite");
    let mut under = key(Some(5));
    under["keys"][0]["block"] = json!(RawDevice::new("SN-2").under_exchange("K1", "B", 3, &tmk));
    assert_eq!(answer(under), "block-refused", "TDES carries no AES key");
    assert_eq!(world.count("tmks"), 0);
    // With its counter it is taken, and the next one that leaves is above it.
    rks_ec::take(&server, &rks_ec::report("run-05", &[key(Some(5))]));
    let kept = "SELECT counter FROM load_counters WHERE key_serial = 'SN-2' AND slot = 3";
    assert_eq!(world.sql().query_row(kept, [], |row| row.get::<_, i64>(0)), Ok(5));
}

/// The HSM remembers nothing between two steps, and what it sealed opens in no other process: the device asks again.
#[test]
fn an_hsm_that_was_started_anew_in_the_middle_of_a_run_makes_the_device_ask_again() {
    let device = EcDevice::new("SN-1");
    let (world, server) = with(&[&device], &Options::default());
    server.stop();
    let (server, hsm) = world.start_switched(&Options { suite_02: true, ..Options::default() });
    let mut line = connect(server.terminals);
    let mut asked = device.ask(&mut line, 0).unwrap();
    hsm.start_anew(world.folder());
    let mac_t = EcDevice::mac_t(&asked);
    EcDevice::prove(&mut line, &mut asked, &mac_t);
    assert_eq!(line.end(), REFUSED);
    assert_eq!(world.count("tmks"), 0);
    // Between RKS_KEYS and KEY_CONFIRM: the keys stay pending, and are sent again.
    let mut line = connect(server.terminals);
    let loaded = device.fetch(&mut line, 0).unwrap();
    let other = tempfile::tempdir().unwrap();
    hsm.start_anew(other.path());
    line.send(&loaded.confirm());
    assert_eq!(line.end(), End::Code(0x0007));
    assert!(world.keys("SN-1", 0, "active").is_empty());
    let again = device.load_on(&mut connect(server.terminals), 0).unwrap();
    assert_eq!(again.received[0].key, loaded.received[0].key);
}

#[test]
fn without_a_signing_key_of_suite_02_nobody_is_served_in_it() {
    let world = World::new();
    let server = world.start(&Options { suite_02: true, ..Options::default() });
    let side = ec::Side::new();
    let mut line = connect(server.terminals);
    line.send(&EcDevice::new("SN-1").auth(0, &side));
    assert_eq!(line.end(), End::Code(0x0001));
}

/// Fields that nobody reads count for the HSM: too many are refused as such, and are no fault of the server's.
#[test]
fn an_rks_factor_that_is_too_long_is_refused() {
    let device = EcDevice::new("SN-1");
    let (world, server) = with(&[&device], &Options::default());
    for sn in ["SN-1", "SN-77"] {
        let mut line = connect(server.terminals);
        line.send(&EcDevice::new(sn).auth(0, &Side::new()));
        line.expect(tlv::RKS_CERT).unwrap();
        let padded = [field(ENCRYPTED, &[7; 40]), field(0xDF7F, &[7; 65_300])].concat();
        line.send(&frame(tlv::RKS_FACTOR, &padded));
        assert_eq!(line.end(), End::Code(0x0008), "{sn}");
    }
    assert_eq!(world.count("tmks"), 0);
}
