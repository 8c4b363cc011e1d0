//! Who has no DMK here learns nothing about serials (2-wire.md section 8).

use crate::support::{
    line::connect,
    shop::Shop,
    tms::{Pos, Stop},
};

/// Everything that a peer without a right proof sees.
fn seen(shop: &Shop, pos: &Pos, transaction: &str, slot: Option<u8>) -> (Vec<(u16, usize)>, Vec<u8>) {
    let mut line = connect(shop.server.terminals);
    let asked = pos.ask(&mut line, transaction, slot).unwrap();
    let shape = asked.challenge.shape().1;
    let challenge = asked.challenge.frame.len();
    assert_eq!(pos.prove(&mut line, asked, &[1, 2, 3, 4], 0).err(), Some(Stop::Src("06".into())));
    // TMS_KEY names the serial, which is of one length here.
    let end = String::from_utf8_lossy(&line.received()[challenge..]).replace(&pos.sn, "SN-ANY");
    (shape, end.into_bytes())
}

#[test]
fn r29_unknown_serial_other_pin_pad_and_missing_dmk_are_alike_in_code_and_length() {
    let known = Pos::new("SN-1001");
    let external = Pos { pin_pad: Some("PP-1002".into()), ..Pos::new("SN-1002") };
    let without = Pos::new("SN-1003");
    let other_dmk = Pos { dmk: Pos::new("x").dmk, ..known.clone() };
    let shop = Shop::with(&[&known, &external, &without], "");
    shop.world
        .sql()
        .execute("UPDATE devices SET dmk = NULL, dmk_kcv = NULL WHERE sn = 'SN-1003'", [])
        .unwrap();
    let unknown = Pos::new("SN-9999");
    let operator = Some(("op7".to_owned(), "wrong horse".to_owned()));
    for (transaction, slot) in [("0002", None), ("0001", Some(3)), ("0001", Some(99))] {
        let all = [&known, &unknown, &without, &other_dmk].map(|pos| seen(&shop, pos, transaction, slot));
        for one in &all {
            assert_eq!(one, &all[0], "{transaction}");
        }
        let unpaired = Pos { pin_pad: Some("PP-9999".into()), ..external.clone() };
        let paired = Pos { pin_pad: Some("PP-1002".into()), ..known.clone() };
        let all = [&external, &unpaired, &paired].map(|pos| seen(&shop, pos, transaction, slot));
        for one in &all {
            assert_eq!(one, &all[0], "{transaction}, with a PIN pad");
        }
        let named = [&known, &unknown].map(|pos| Pos { operator: operator.clone(), ..(*pos).clone() });
        let named = named.map(|pos| seen(&shop, &pos, transaction, slot));
        assert_eq!(named[0], named[1], "{transaction}, with an operator");
    }
    assert_eq!(shop.world.count("tmks"), 0);
    assert_eq!(shop.world.count("tms_terminals"), 0);
    shop.server.stop();
    let reason = |sn: &str| {
        let mut reasons: Vec<_> = shop
            .world
            .events("terminal.refused", sn)
            .iter()
            .map(|event| format!("{} × {}", event.detail["reason"].as_str().unwrap(), event.detail["count"]))
            .collect();
        reasons.sort();
        reasons
    };
    assert_eq!(reason("SN-9999"), ["unknown serial × 6"]);
    assert_eq!(reason("SN-1003"), ["no DMK × 3"]);
    assert_eq!(reason("SN-1001"), ["wrong PIN pad serial × 3", "wrong SAC_1 × 9"]);
    shop.world.assert_audit_good();
}

/// Also the right holder of a DMK whose serial was served twice: nothing of that run is believed.
#[test]
fn r11_a_compromised_terminal_is_a_stranger() {
    let pos = Pos::new("SN-1001");
    let shop = Shop::with(&[&pos], "");
    shop.world.sql().execute("UPDATE devices SET compromised = 1", []).unwrap();
    assert_eq!(pos.open(&mut connect(shop.server.terminals)).err(), Some(Stop::Src("06".into())));
}

#[test]
fn a_terminal_of_another_acquirer_is_a_stranger() {
    let pos = Pos::new("SN-1001");
    let shop = Shop::with(&[&pos], "");
    shop.world.sql().execute("UPDATE terminals SET acquirer = 'ACQ-2'", []).unwrap();
    assert_eq!(pos.open(&mut connect(shop.server.terminals)).err(), Some(Stop::Src("06".into())));
}

#[test]
fn what_a_stranger_tells_of_refusals_is_not_kept_and_what_a_terminal_tells_is() {
    use crate::support::tlv::{self, field};
    let record = [
        field(tlv::REFUSAL_CHECK, b"lid"),
        field(tlv::REFUSAL_READING, b"open"),
        field(tlv::REFUSAL_WHEN, &[0x26, 0x11, 0x20, 0x12, 0x34, 0x56]),
    ];
    let more = field(tlv::REFUSAL, &record.concat());
    let pos = Pos { more: more.clone(), ..Pos::new("SN-1001") };
    let shop = Shop::with(&[&pos], "");
    let mut line = connect(shop.server.terminals);
    let asked = pos.ask(&mut line, "0002", None).unwrap();
    assert!(pos.prove(&mut line, asked, &[0; 4], 0).is_err());
    let stranger = Pos { more, ..Pos::new("SN-9999") };
    assert!(stranger.open(&mut connect(shop.server.terminals)).is_err());
    assert_eq!(shop.world.count("refusals"), 0);
    pos.open(&mut connect(shop.server.terminals)).unwrap();
    let sql = "SELECT \"check\" || ' ' || source FROM refusals";
    let kept: String = shop.world.sql().query_row(sql, [], |row| row.get(0)).unwrap();
    assert_eq!(kept, "lid TMS_HELLO");
}
