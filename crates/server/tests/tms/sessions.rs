//! The handshake: who is let in, and what everybody else is told.

use wire::BcdTime;

use crate::support::{
    estate::now,
    line::{End, connect},
    shop::Shop,
    tlv::{self, field},
    tms::{HELLO, OPERATOR_DEMANDED, Pos, Stop, TAC_1},
    world::Options,
};

fn stopped(code: &str) -> Stop {
    Stop::Src(code.into())
}

#[test]
fn a_terminal_with_its_dmk_gets_a_session_and_no_operator_is_demanded() {
    let pos = Pos::new("SN-1001");
    let shop = Shop::with(&[&pos], "");
    let mut line = connect(shop.server.terminals);
    let asked = pos.ask(&mut line, "0002", None).unwrap();
    assert!(asked.challenge.fields.iter().all(|(tag, _)| *tag != OPERATOR_DEMANDED));
    let sac_1 = Pos::sac_1(&asked);
    let (mut session, tmk) = pos.prove(&mut line, asked, &sac_1, 0).unwrap();
    assert!(tmk.is_none());
    assert_eq!(session.inventory(&mut line, &[]).unwrap(), (vec![], false));
    shop.world.assert_audit_good();
}

#[test]
fn an_external_pin_pads_dmk_works_with_that_pin_pad() {
    let pos = Pos { pin_pad: Some("PP-7".into()), ..Pos::new("SN-1001") };
    let shop = Shop::with(&[&pos], "");
    pos.open(&mut connect(shop.server.terminals)).unwrap();
}

#[test]
fn without_tms_in_the_configuration_the_flow_is_not_served() {
    let pos = Pos::new("SN-1001");
    let shop = Shop::with_options(&[&pos], &Options::default());
    let ended = pos.open(&mut connect(shop.server.terminals));
    assert_eq!(ended.err(), Some(Stop::End(End::Code(0x0003))));
}

#[test]
fn vendor_model_version_and_transaction_are_judged_before_the_serial() {
    let known = Pos::new("SN-1001");
    let shop = Shop::with(&[&known], "");
    for pos in [known, Pos::new("SN-9999")] {
        let ask = |pos: &Pos, transaction: &str| {
            pos.ask(&mut connect(shop.server.terminals), transaction, None).err().unwrap()
        };
        assert_eq!(ask(&Pos { vendor: "OTHER".into(), ..pos.clone() }, "0002"), stopped("01"));
        assert_eq!(ask(&Pos { model: "M-2".into(), ..pos.clone() }, "0002"), stopped("01"));
        assert_eq!(ask(&Pos { version: "02.00".into(), ..pos.clone() }, "0002"), stopped("02"));
        assert_eq!(ask(&pos, "0003"), stopped("03"));
    }
    shop.server.stop();
    let counted = shop.world.events("terminal.refused", "SN-9999");
    assert_eq!(counted.len(), 3, "{counted:?}");
}

#[test]
fn a_date_that_is_off_is_05_only_where_the_acquirer_asks() {
    let date = |seconds: i64| *BcdTime::from_unix(now() + seconds).unwrap().as_bytes();
    let day = 24 * 60 * 60;
    let pos = Pos::new("SN-1001");
    let open =
        |shop: &Shop, when| Pos { when, ..pos.clone() }.open(&mut connect(shop.server.terminals)).err();
    let strict = Shop::with(&[&pos], "check_date = true");
    assert_eq!(open(&strict, date(-day - 60)), Some(stopped("05")));
    assert_eq!(open(&strict, date(day + 60)), Some(stopped("05")));
    assert_eq!(open(&strict, date(60 - day)), None);
    assert_eq!(open(&strict, [0; 6]), None, "a terminal without a clock");
    let lax = Shop::with(&[&pos], "");
    assert_eq!(open(&lax, date(-400 * day)), None);
}

#[test]
fn a_terminal_of_another_vendor_or_model_than_recorded_is_04_when_it_is_proven() {
    let pos = Pos::new("SN-1001");
    let shop = Shop::with(&[&pos], "");
    for (vendor, model) in [("VND", "M-9"), ("OTHER", "M-1")] {
        let sql = "UPDATE terminals SET vendor = ?1, model = ?2 WHERE sn = 'SN-1001'";
        shop.world.sql().execute(sql, [vendor, model]).unwrap();
        assert_eq!(pos.open(&mut connect(shop.server.terminals)).err(), Some(stopped("04")));
        // Who is not proven is told that alone.
        let mut line = connect(shop.server.terminals);
        let asked = pos.ask(&mut line, "0002", None).unwrap();
        assert_eq!(pos.prove(&mut line, asked, &[0; 4], 0).err(), Some(stopped("06")));
    }
    let sql = "UPDATE terminals SET vendor = 'VND', model = 'M-1' WHERE sn = 'SN-1001'";
    shop.world.sql().execute(sql, []).unwrap();
    pos.open(&mut connect(shop.server.terminals)).unwrap();
    let refused = shop.world.events("tms.refused", "SN-1001");
    assert_eq!(refused.len(), 2);
    assert!(refused[0].detail["reason"].as_str().unwrap().contains("model"), "{refused:?}");
}

/// As a KLD's report brings it: nobody said whose it is.
#[test]
fn a_terminal_of_no_recorded_make_keeps_to_the_one_that_it_proved_itself_with_first() {
    let pos = Pos::new("SN-1001");
    let shop = Shop::with(&[&pos], "");
    let other = Pos { model: "M-2".into(), ..pos.clone() };
    // Any model is this vendor's.
    for sql in ["UPDATE vendors SET models = '[]'", "UPDATE terminals SET vendor = NULL, model = NULL"] {
        shop.world.sql().execute(sql, []).unwrap();
    }
    // Not by a hello alone.
    let mut line = connect(shop.server.terminals);
    let asked = other.ask(&mut line, "0002", None).unwrap();
    assert_eq!(other.prove(&mut line, asked, &[0; 4], 0).err(), Some(stopped("06")));
    pos.open(&mut connect(shop.server.terminals)).unwrap();
    pos.open(&mut connect(shop.server.terminals)).unwrap();
    assert_eq!(other.open(&mut connect(shop.server.terminals)).err(), Some(stopped("04")));
    let recorded = shop.world.events("terminal.make-recorded", "SN-1001");
    assert_eq!(recorded.len(), 1);
    assert!(recorded[0].detail.to_string().contains("M-1"), "{recorded:?}");
}

#[test]
fn a_wrong_sac_1_and_a_terminal_that_failed_are_06() {
    let pos = Pos::new("SN-1001");
    let shop = Shop::with(&[&pos], "");
    let end = |result, right: bool| {
        let mut line = connect(shop.server.terminals);
        let asked = pos.ask(&mut line, "0002", None).unwrap();
        let sac_1 = if right { Pos::sac_1(&asked) } else { [1, 2, 3, 4] };
        pos.prove(&mut line, asked, &sac_1, result).err()
    };
    assert_eq!([end(0, false), end(1, false), end(1, true)], [(); 3].map(|()| Some(stopped("06"))));
    shop.server.stop();
    let reasons: Vec<_> = shop.world.events("terminal.refused", "SN-1001");
    let mut reasons: Vec<_> = reasons.iter().map(|event| event.detail["reason"].as_str().unwrap()).collect();
    reasons.sort_unstable();
    assert_eq!(reasons, ["the terminal says that its check of TMS_CHALLENGE failed", "wrong SAC_1"]);
}

#[test]
fn a_replayed_proof_is_06() {
    let pos = Pos::new("SN-1001");
    let shop = Shop::with(&[&pos], "");
    let mut line = connect(shop.server.terminals);
    let asked = pos.ask(&mut line, "0002", None).unwrap();
    let sac_1 = Pos::sac_1(&asked);
    let proof = pos.proof(&asked, &sac_1, 0);
    pos.prove(&mut line, asked, &sac_1, 0).unwrap();
    let mut line = connect(shop.server.terminals);
    pos.ask(&mut line, "0002", None).unwrap();
    line.send(&proof);
    let key = line.expect(crate::support::tms::TMS_KEY).unwrap();
    assert_eq!(key.get(crate::support::tms::SRC), b"06");
}

#[test]
fn another_suite_is_0009_to_a_proven_terminal_only() {
    let pos = Pos { suite: 3, ..Pos::new("SN-1001") };
    let shop = Shop::with(&[&pos], "");
    let ended = pos.open(&mut connect(shop.server.terminals)).err();
    assert_eq!(ended, Some(Stop::End(End::Code(0x0009))));
    let stranger = Pos { suite: 3, ..Pos::new("SN-9999") };
    assert_eq!(stranger.open(&mut connect(shop.server.terminals)).err(), Some(stopped("06")));
}

#[test]
fn malformed_and_misplaced_messages_are_0002_and_0003() {
    let pos = Pos::new("SN-1001");
    let shop = Shop::with(&[&pos], "");
    let code = |frame: &[u8]| {
        let mut line = connect(shop.server.terminals);
        line.send(frame);
        line.end()
    };
    let mut top_bit = pos.t_data();
    top_bit[0] |= 0x80;
    assert_eq!(code(&pos.hello("0002", None, top_bit)), End::Code(0x0002));
    let same = Pos { pin_pad: Some("SN-1001".into()), ..pos.clone() };
    assert_eq!(code(&same.hello("0002", None, pos.t_data())), End::Code(0x0002));
    assert_eq!(code(&tlv::frame(HELLO, &field(tlv::SUITE, &[1]))), End::Code(0x0002));
    let mut line = connect(shop.server.terminals);
    let asked = pos.ask(&mut line, "0002", None).unwrap();
    let hello = pos.hello("0002", None, pos.t_data());
    line.send(&hello);
    assert_eq!(line.end(), End::Code(0x0003), "a second TMS_HELLO in place of TMS_PROOF");
    let other = Pos { model: "M-2".into(), ..pos.clone() };
    let mut line = connect(shop.server.terminals);
    pos.ask(&mut line, "0002", None).unwrap();
    line.send(&other.proof(&asked, &[0; 4], 0));
    assert_eq!(line.end(), End::Code(0x0002), "another identification than TMS_HELLO's");
}

#[test]
fn a_new_session_on_the_same_connection_starts_anew() {
    let pos = Pos::new("SN-1001");
    let shop = Shop::with(&[&pos], "");
    let mut line = connect(shop.server.terminals);
    let mut first = pos.open(&mut line).unwrap();
    first.inventory(&mut line, &[]).unwrap();
    let mut second = pos.open(&mut line).unwrap();
    second.inventory(&mut line, &[]).unwrap();
    // The first one's key opens nothing any more.
    let sealed = first.sealed(crate::support::tms::INVENTORY, &[]);
    line.send(&sealed);
    let ended = second.receive(&mut line, crate::support::tms::PLAN);
    assert!(matches!(ended, Err(Stop::Sealed(0x0006, _))), "{ended:?}");
}

#[test]
fn the_challenge_is_another_one_each_time() {
    let pos = Pos::new("SN-1001");
    let shop = Shop::with(&[&pos], "");
    let tac = || {
        let mut line = connect(shop.server.terminals);
        pos.ask(&mut line, "0002", None).unwrap().challenge.get(TAC_1).to_vec()
    };
    assert_ne!(tac(), tac());
}
