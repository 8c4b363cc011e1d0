//! Flow E in suite 02: ephemeral keys, a receipt in TMS_KEY, AES-GCM, load counters and an authenticated DONE.

use hsm::Refusal;
use serde_json::json;

use super::operators::enrol;
use crate::support::{
    ec::{CONFIRMATION, EcKeyReceived, RECEIPT, Side, confirm, random, seal},
    estate::ESTATE,
    https::{self, CMS},
    line::{End, Line, connect},
    package::signed,
    rks::{self, hex},
    rks_ec::{self, EcDevice},
    shop::Shop,
    tlv::{self, field, frame},
    tms::{CHALLENGE, HELLO, INVENTORY, PLAN, Pos, SEALED, SEALED_MESSAGE, Stop},
    tms_ec::{EcPos, EcSession, shop},
    world::{Options, results},
};

const APP: (&str, &str) = ("pay-app", "1.2.0");

fn refused() -> Stop {
    Stop::Src("06".into())
}

fn open(shop: &Shop, pos: &EcPos) -> (Line, EcSession) {
    let mut line = connect(shop.server.terminals);
    let session = pos.open(&mut line).unwrap();
    (line, session)
}

#[test]
fn a_terminal_gets_its_plan_and_its_bytes_and_reports() {
    let (built_in, external) =
        (EcPos::new("SN-1001"), EcPos { pin_pad: Some("PP-7".into()), ..EcPos::new("SN-1002") });
    let shop = shop(&[&built_in, &external], "");
    let bytes: Vec<u8> = (0..100_000).map(|n: u32| (n * 7 + n / 251) as u8).collect();
    let deployment = shop.roll_out(APP.0, APP.1, &bytes);
    for pos in [built_in, external] {
        let (mut line, mut session) = open(&shop, &pos);
        let plan = session.inventory(&mut line, &[("pay-app", "1.1.0")]).unwrap();
        assert_eq!(plan, [(APP.0.to_owned(), APP.1.to_owned())]);
        let mut got = Vec::new();
        for wanted in [1, 999, 32_768, 32_768, 32_768, 32_768] {
            got.extend(session.get(&mut line, APP, got.len() as u64, wanted).unwrap());
        }
        assert_eq!(got, bytes, "the last piece is what is left");
        session.report(&mut line, &[APP], 0).unwrap();
        assert!(session.inventory(&mut line, &[APP]).unwrap().is_empty());
        // Another session on the same connection, with keys of its own.
        let mut next = pos.open(&mut line).unwrap();
        assert_ne!(next.keys.key("frame t"), session.keys.key("frame t"));
        assert!(next.inventory(&mut line, &[APP]).unwrap().is_empty());
    }
    let counts = shop.get_deployment(deployment).counts;
    assert_eq!((counts.offered, counts.installed), (2, 2));
    shop.world.assert_audit_good();
}

fn finish(line: &mut Line, session: &EcSession, tmk: &EcKeyReceived) {
    let confirm = session.confirm(tmk);
    line.send(&confirm);
    let done = line.expect(tlv::DONE).unwrap();
    assert_eq!(done.get(RECEIPT), session.done(&confirm, tmk), "in clear, and authenticated");
}

#[test]
fn a_key_is_pending_until_it_is_confirmed_and_every_sending_has_the_next_load_counter() {
    let pos = EcPos::new("SN-1001");
    let shop = shop(&[&pos], "");
    let (_, first) = pos.load(&mut connect(shop.server.terminals), 3).unwrap();
    assert_eq!(shop.world.keys("SN-1001", 3, "pending"), [hex(&first.kcv)]);
    let mut line = connect(shop.server.terminals);
    let (session, again) = pos.load(&mut line, 3).unwrap();
    assert_eq!((&again.key, again.slot), (&first.key, 3));
    finish(&mut line, &session, &again);
    assert_eq!(shop.world.keys("SN-1001", 3, "active"), [hex(&first.kcv)]);
    // Another flow on the same connection.
    let (session, next) = pos.load(&mut line, 3).unwrap();
    assert_ne!(next.key, first.key);
    finish(&mut line, &session, &next);
    assert_eq!([&first, &again, &next].map(|key| key.counter), [Some(1), Some(2), Some(3)]);
    for (kind, count) in [("tmk.made", 2), ("tmk.sent-again", 1), ("tmk.confirmed", 2)] {
        assert_eq!(shop.world.events(kind, "SN-1001").len(), count, "{kind}");
    }
    let suite = "SELECT suite FROM key_suites WHERE sn = 'SN-1001' AND key = 'slot/03'";
    assert_eq!(shop.world.sql().query_row(suite, [], |row| row.get::<_, i64>(0)), Ok(2));
    shop.world.assert_audit_good();
}

#[test]
fn a_wrong_receipt_is_0007_and_an_alarm() {
    let pos = EcPos::new("SN-1001");
    let shop = shop(&[&pos], "");
    for attempt in 0..3 {
        let mut line = connect(shop.server.terminals);
        let (session, tmk) = pos.load(&mut line, 3).unwrap();
        let wrong = match attempt {
            0 => confirm(&random::<32>()),
            1 => confirm(&session.done(&[], &tmk)),
            _ => session.confirm(&EcKeyReceived { slot: 4, ..tmk }),
        };
        line.send(&wrong);
        assert_eq!(line.end(), End::Code(0x0007));
    }
    assert_eq!(shop.world.keys("SN-1001", 3, "pending").len(), 1);
    assert!(shop.world.keys("SN-1001", 3, "active").is_empty());
    assert_eq!(shop.world.events("alarm.wrong-check-value", "SN-1001").len(), 3);
}

#[test]
fn r11_r29_strangers_and_wrong_confirmations_are_alike_and_make_no_key() {
    let pos = EcPos::new("SN-1001");
    let shop = shop(&[&pos], "");
    for (transaction, slot) in [("0002", None), ("0001", Some(3))] {
        let seen = |pos: &EcPos, change: u8| {
            let mut line = connect(shop.server.terminals);
            let asked = pos.ask(&mut line, transaction, slot).unwrap();
            let shape = asked.challenge.shape();
            let proof = pos.proof(&asked, change);
            assert_eq!(pos.prove(&mut line, asked, &proof).err(), Some(refused()));
            (shape, line.received().len())
        };
        let known = seen(&pos, 1);
        assert_eq!(seen(&EcPos::new("SN-9999"), 0), known, "unknown serial");
        assert_eq!(seen(&EcPos::new("SN-1001"), 0), known, "another DMK");
        let other = EcPos { pin_pad: Some("PP-9".into()), ..pos.clone() };
        let (shape, _) = seen(&other, 0);
        assert_eq!(shape, known.0, "another PIN pad");
    }
    // The server's own confirmation sent back.
    let mut line = connect(shop.server.terminals);
    let asked = pos.ask(&mut line, "0002", None).unwrap();
    let own = field(CONFIRMATION, asked.challenge.get(CONFIRMATION));
    let right = pos.proof(&asked, 0);
    let start = right.windows(3).position(|window| window == &own[..3]).unwrap();
    let reflected = [&right[..start], &own, &right[start + own.len()..]].concat();
    assert_eq!(pos.prove(&mut line, asked, &reflected).err(), Some(refused()));
    // Another run's.
    let (mut line, mut second_line) = (connect(shop.server.terminals), connect(shop.server.terminals));
    let asked = pos.ask(&mut line, "0002", None).unwrap();
    let second = pos.ask(&mut second_line, "0002", None).unwrap();
    let proof = pos.proof(&second, 0);
    assert_eq!(pos.prove(&mut line, asked, &proof).err(), Some(refused()));
    assert_eq!(shop.world.count("tmks"), 0);
}

#[test]
fn what_is_no_point_or_in_another_order_is_malformed_for_known_and_unknown() {
    let pos = EcPos::new("SN-1001");
    let shop = shop(&[&pos], "");
    for pos in [pos, EcPos::new("SN-9999")] {
        let good = Side::new();
        let mut off = Side::new();
        off.point[64] ^= 1;
        let hello = pos.hello("0002", None, &good, &[0; 10]);
        let turned = frame(HELLO, &[&hello[8..], &hello[4..8]].concat());
        for hello in [pos.hello("0002", None, &off, &[0; 10]), turned] {
            let mut line = connect(shop.server.terminals);
            line.send(&hello);
            assert_eq!(line.end(), End::Code(0x0002));
        }
        let mut line = connect(shop.server.terminals);
        line.send(&hello);
        line.expect(CHALLENGE).unwrap();
    }
}

/// The record says which suite a DMK is of: the terminal cannot choose.
#[test]
fn a_terminal_of_the_other_suite_is_a_stranger() {
    let (lower, higher) = (Pos::new("SN-1001"), EcPos::new("SN-1002"));
    let shop = shop(&[&higher], "");
    shop.report(&[&lower]);
    let as_lower = Pos { dmk: higher.dmk[..24].to_vec(), ..Pos::new("SN-1002") };
    assert_eq!(as_lower.open(&mut connect(shop.server.terminals)).err(), Some(refused()));
    let as_higher = EcPos { dmk: [&lower.dmk[..], &[0; 8]].concat(), ..EcPos::new("SN-1001") };
    assert_eq!(as_higher.open(&mut connect(shop.server.terminals)).err(), Some(refused()));
    lower.open(&mut connect(shop.server.terminals)).unwrap();
    higher.open(&mut connect(shop.server.terminals)).unwrap();
}

/// A slot that was on suite 02 goes back to 01 by an act of two people only; the proven terminal is told.
#[test]
fn a_slot_that_has_held_a_key_of_suite_02_gets_none_of_suite_01() {
    let (device, lower) = (EcDevice::new("SN-1001"), Pos::new("SN-1001"));
    let (rks, more) = (Some((vec![3], false, 8)), "[tms]\n".into());
    let shop = Shop::with_options(&[], &Options { suite_02: true, rks, more, ..Options::default() });
    rks_ec::install(&shop.server);
    rks_ec::take(&shop.server, &rks_ec::report("run-02", &[device.entry()]));
    shop.report(&[&lower]);
    // Its DMK is of suite 01, and slot 3 too, until its DIK2 of suite 02 fills it.
    lower.load(&mut connect(shop.server.terminals), 3).unwrap();
    let loaded = device.load_on(&mut connect(shop.server.terminals), 3).unwrap();
    let ended = lower.load(&mut connect(shop.server.terminals), 3).err();
    assert_eq!(ended, Some(Stop::End(End::Code(0x0009))));
    assert_eq!(shop.world.keys("SN-1001", 3, "active"), [hex(&loaded.received[0].kcv)]);
    assert!(shop.world.keys("SN-1001", 3, "pending").is_empty());
    assert_eq!(shop.world.events("tms.refused", "SN-1001").len(), 1);
    // Another slot has no such record.
    lower.load(&mut connect(shop.server.terminals), 4).unwrap();
}

#[test]
fn what_is_forged_replayed_reordered_or_reflected_ends_the_session() {
    let pos = EcPos::new("SN-1001");
    let shop = shop(&[&pos], "");
    const ASK: [u8; 2] = [0x01, INVENTORY];
    type Forge = fn(&EcSession) -> Vec<u8>;
    let forgeries: [(&str, Forge); 5] = [
        ("sent again", |session| session.seal(0, &ASK)),
        ("too early", |session| session.seal(2, &ASK)),
        ("the other direction", |session| seal(&session.keys.key("frame s"), 1, &[1], &ASK)),
        ("another tag", |session| {
            let mut sealed = session.seal(1, &ASK);
            *sealed.last_mut().unwrap() ^= 1;
            sealed
        }),
        ("another direction byte", |session| seal(&session.keys.key("frame t"), 1, &[1], &ASK)),
    ];
    for (what, forge) in forgeries {
        let (mut line, mut session) = open(&shop, &pos);
        session.inventory(&mut line, &[]).unwrap();
        line.send(&frame(SEALED, &field(SEALED_MESSAGE, &forge(&session))));
        let ended = session.receive(&mut line, PLAN);
        assert!(matches!(ended, Err(Stop::Sealed(0x0006, _))), "{what}: {ended:?}");
    }
    // What is too short to be sealed at all.
    let (mut line, mut session) = open(&shop, &pos);
    line.send(&frame(SEALED, &field(SEALED_MESSAGE, &[7; 15])));
    assert!(matches!(session.receive(&mut line, PLAN), Err(Stop::Sealed(0x0002, _))));
    // Another session's message.
    let (mut line, mut session) = open(&shop, &pos);
    let (_other_line, mut other) = open(&shop, &pos);
    line.send(&other.sealed(INVENTORY, &[]));
    assert!(matches!(session.receive(&mut line, PLAN), Err(Stop::Sealed(0x0006, _))));
}

#[test]
fn the_operator_proves_himself_under_a_key_of_the_session() {
    let pos = EcPos::new("SN-1001");
    let shop = shop(&[&pos], "operator_required = true");
    enrol(&shop, "op7", "correct horse");
    let with =
        |id: &str, password: &str| EcPos { operator: Some((id.into(), password.into())), ..pos.clone() };
    let open = |pos: &EcPos| pos.open(&mut connect(shop.server.terminals)).err();
    let operator = Some(Stop::Src("07".into()));
    assert_eq!(open(&pos), operator, "none is named");
    assert_eq!(open(&with("op8", "correct horse")), operator, "not known");
    assert_eq!(open(&with("op7", "wrong horse")), operator);
    assert_eq!(open(&with("op7", "correct horse")), None);
    // Who is not proven as a terminal tries no passwords.
    let stranger = EcPos { operator: with("op7", "wrong horse").operator, ..EcPos::new("SN-1001") };
    assert_eq!(open(&stranger), Some(refused()));
    assert_eq!(shop.world.events("tms.operator-failed", "op7").len(), 1);
    assert_eq!(shop.world.events("tms.operator-proved", "op7").len(), 1);
}

/// What the HSM sealed opens in no other process: a session is over with it, and the terminal opens another.
#[test]
fn an_hsm_that_was_started_anew_ends_the_session_and_the_terminal_opens_another() {
    let pos = EcPos::new("SN-1001");
    let first = shop(&[&pos], "");
    first.server.stop();
    let options = Options { suite_02: true, more: "[tms]\n".into(), ..Options::default() };
    let (server, hsm) = first.world.start_switched(&options);
    let mut line = connect(server.terminals);
    let mut session = pos.open(&mut line).unwrap();
    session.inventory(&mut line, &[]).unwrap();
    hsm.start_anew(first.world.folder());
    line.send(&session.sealed(INVENTORY, &[]));
    assert!(line.receive().is_none(), "nothing can be sealed in this session any more");
    // Between TMS_CHALLENGE and TMS_PROOF.
    let mut line = connect(server.terminals);
    let asked = pos.ask(&mut line, "0002", None).unwrap();
    let other = tempfile::tempdir().unwrap();
    hsm.start_anew(other.path());
    let proof = pos.proof(&asked, 0);
    assert_eq!(pos.prove(&mut line, asked, &proof).err(), Some(refused()));
    let mut line = connect(server.terminals);
    pos.open(&mut line).unwrap().inventory(&mut line, &[]).unwrap();
}

/// The HSM counts so many sessions at once, each for a day: one that it counts no more is over, and the terminal goes on
/// in another.
#[test]
fn a_session_that_the_hsm_keeps_no_more_is_000b_and_the_terminal_goes_on_in_another() {
    let pos = EcPos::new("SN-1001");
    let first = shop(&[&pos], "");
    let bytes: Vec<u8> = (0..5_000_u32).map(|n| (n % 251) as u8).collect();
    first.roll_out(APP.0, APP.1, &bytes);
    let Shop { world, server, .. } = first;
    server.stop();
    let options = Options { suite_02: true, more: "[tms]\n".into(), ..Options::default() };
    let (server, hsm) = world.start_switched(&options);
    let mut got = Vec::new();
    for refusal in [Refusal::SessionOver, Refusal::TicketExpired] {
        let mut line = connect(server.terminals);
        let mut session = pos.open(&mut line).unwrap();
        session.inventory(&mut line, &[]).unwrap();
        got.extend(session.get(&mut line, APP, got.len() as u64, 1_000).unwrap());
        hsm.refuse("OpenTmsEc", refusal);
        let ended = session.get(&mut line, APP, got.len() as u64, 1_000).unwrap_err();
        assert_eq!(ended, Stop::Sealed(0x000B, String::new()));
        hsm.allow();
    }
    // Nothing can be sealed: then the line is closed without a word.
    let mut line = connect(server.terminals);
    let mut session = pos.open(&mut line).unwrap();
    hsm.refuse("SealTmsEc", Refusal::SessionOver);
    assert_eq!(session.inventory(&mut line, &[]).unwrap_err(), Stop::End(End::Closed));
    hsm.allow();
    let mut line = connect(server.terminals);
    let mut session = pos.open(&mut line).unwrap();
    got.extend(session.get(&mut line, APP, got.len() as u64, 32_768).unwrap());
    assert_eq!(got, bytes);
}

#[test]
fn a_terminal_that_says_that_its_check_failed_is_06_with_a_right_confirmation_too() {
    let pos = EcPos::new("SN-1001");
    let shop = shop(&[&pos], "");
    for (transaction, slot) in [("0002", None), ("0001", Some(3))] {
        let mut line = connect(shop.server.terminals);
        let asked = pos.ask(&mut line, transaction, slot).unwrap();
        let proof = pos.failed(&asked);
        assert_eq!(pos.prove(&mut line, asked, &proof).err(), Some(refused()));
    }
    assert_eq!(shop.world.count("tmks"), 0);
}

/// Two downloads of one slot at once: one key, two counters, and the one that lost asks again.
#[test]
fn r21_two_downloads_at_once_never_share_a_load_counter() {
    let pos = EcPos::new("SN-1001");
    let shop = shop(&[&pos], "");
    let terminals = shop.server.terminals;
    let loaded: Vec<_> = std::thread::scope(|scope| {
        let load = || pos.load(&mut connect(terminals), 3).map(|(_, tmk)| (tmk.key, tmk.counter));
        let running: Vec<_> = (0..6).map(|_| scope.spawn(load)).collect();
        running.into_iter().map(|one| one.join().unwrap()).collect()
    });
    let good: Vec<_> = loaded.iter().filter_map(|one| one.as_ref().ok()).collect();
    assert!(!good.is_empty());
    let mut counters: Vec<_> = good.iter().map(|(_, counter)| counter.unwrap()).collect();
    counters.sort_unstable();
    let sent = counters.len();
    counters.dedup();
    assert_eq!(counters.len(), sent);
    assert!(good.iter().all(|(key, _)| *key == good[0].0), "one pending key");
    for lost in loaded.iter().filter_map(|one| one.as_ref().err()) {
        assert_eq!(*lost, Stop::End(End::Code(0x000B)));
    }
    assert_eq!(shop.world.count("tmks"), 1);
}

#[test]
fn r21_a_report_that_lowers_a_terminals_dmk_is_refused() {
    let pos = EcPos::new("SN-1001");
    let shop = shop(&[&pos], "");
    let lower = Pos::new("SN-1001");
    let device = lower.device();
    let mut entry = device.entry();
    entry["keys"] = json!([device.key_entry("dmk", 0, &lower.dmk)]);
    let mut later = rks::report("run-03", &[entry]);
    later["opened_at"] = json!("2026-11-20T13:00:00Z");
    later["closed_at"] = json!("2026-11-20T14:00:00Z");
    let answer = https::post(shop.server.https, "/v1/kld-reports", CMS, &signed(&ESTATE.operator, &later));
    assert_eq!(results(&answer)[0]["ok"], json!(false));
    pos.open(&mut connect(shop.server.terminals)).unwrap();
}
