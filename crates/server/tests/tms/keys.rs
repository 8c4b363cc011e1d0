//! Transaction 0001: a TMK over terminal management.

use crate::support::{
    line::{End, Line, connect},
    shop::Shop,
    tlv::{self, field, frame},
    tms::{Loaded, Pos, Stop},
    world::Options,
};

fn confirm(kcv: &[u8]) -> Vec<u8> {
    frame(tlv::CONFIRM, &field(tlv::KEY_ENTRY, &field(tlv::KCV, kcv)))
}

fn hex(kcv: [u8; 3]) -> String {
    crate::support::rks::hex(&kcv)
}

fn finish(line: &mut Line, loaded: &Loaded) {
    line.send(&confirm(&loaded.kcv));
    assert_eq!(line.expect(tlv::DONE).unwrap().frame, [0, 2, 1, 6], "in clear, and it ends the session");
}

#[test]
fn a_key_is_pending_until_it_is_confirmed_and_the_same_one_comes_again() {
    let pos = Pos::new("SN-1001");
    let shop = Shop::with(&[&pos], "");
    let first = pos.load(&mut connect(shop.server.terminals), 3).unwrap();
    assert!(first.key.len() == 24 && first.key.iter().all(|byte| byte.count_ones() % 2 == 1));
    assert_eq!(shop.world.keys("SN-1001", 3, "pending"), [hex(first.kcv)]);
    let mut line = connect(shop.server.terminals);
    let again = pos.load(&mut line, 3).unwrap();
    assert_eq!(again.key, first.key);
    finish(&mut line, &again);
    assert_eq!(shop.world.keys("SN-1001", 3, "active"), [hex(first.kcv)]);
    // Another flow on the same connection.
    let next = pos.load(&mut line, 3).unwrap();
    assert_ne!(next.key, first.key);
    finish(&mut line, &next);
    assert_eq!(shop.world.keys("SN-1001", 3, "retired"), [hex(first.kcv)]);
    for (kind, count) in [("tmk.made", 2), ("tmk.sent-again", 1), ("tmk.confirmed", 2)] {
        assert_eq!(shop.world.events(kind, "SN-1001").len(), count, "{kind}");
    }
    shop.world.assert_audit_good();
}

#[test]
fn a_wrong_check_value_is_0007_and_an_alarm() {
    let pos = Pos::new("SN-1001");
    let shop = Shop::with(&[&pos], "");
    let mut line = connect(shop.server.terminals);
    let loaded = pos.load(&mut line, 3).unwrap();
    line.send(&confirm(&[loaded.kcv[0] ^ 1, loaded.kcv[1], loaded.kcv[2]]));
    assert_eq!(line.end(), End::Code(0x0007));
    assert_eq!(shop.world.keys("SN-1001", 3, "pending").len(), 1);
    assert_eq!(shop.world.events("alarm.wrong-check-value", "SN-1001").len(), 1);
}

#[test]
fn a_slot_that_is_not_the_acquirers_is_000c_and_a_key_that_stays_0008() {
    let pos = Pos::new("SN-1001");
    let more = "[tms]\n".to_owned();
    let options = Options { replace_active: false, more, ..Options::default() };
    let shop = Shop::with_options(&[&pos], &options);
    let load = |slot| pos.load(&mut connect(shop.server.terminals), slot);
    assert_eq!(load(10).err(), Some(Stop::End(End::Code(0x000C))));
    let mut line = connect(shop.server.terminals);
    let loaded = pos.load(&mut line, 3).unwrap();
    finish(&mut line, &loaded);
    assert_eq!(load(3).err(), Some(Stop::End(End::Code(0x0008))));
    assert_eq!(shop.world.count("tmks"), 1);
    let refused = shop.world.events("tms.refused", "SN-1001");
    let slots: Vec<_> = refused.iter().map(|event| event.detail["slot"].clone()).collect();
    assert_eq!(slots, [10, 3]);
    // To who is not proven the slot says nothing.
    let mut line = connect(shop.server.terminals);
    let asked = pos.ask(&mut line, "0001", Some(10)).unwrap();
    assert_eq!(pos.prove(&mut line, asked, &[0; 4], 0).err(), Some(Stop::Src("06".into())));
}

#[test]
fn a_slot_is_needed_for_a_key() {
    let pos = Pos::new("SN-1001");
    let shop = Shop::with(&[&pos], "");
    let ended = pos.ask(&mut connect(shop.server.terminals), "0001", None).err();
    assert_eq!(ended, Some(Stop::End(End::Code(0x0002))));
}

/// The slot is one, whichever flow fills it.
#[test]
fn r11_no_key_is_made_for_a_stranger_or_an_unproven_terminal() {
    let pos = Pos::new("SN-1001");
    let shop = Shop::with(&[&pos], "");
    let mut line = connect(shop.server.terminals);
    let asked = pos.ask(&mut line, "0001", Some(3)).unwrap();
    assert!(pos.prove(&mut line, asked, &[0; 4], 0).is_err());
    assert!(Pos::new("SN-9").load(&mut connect(shop.server.terminals), 3).is_err());
    assert_eq!(shop.world.count("tmks"), 0);
    assert!(shop.world.events("tmk.made", "SN-1001").is_empty());
}
