//! What a terminal that proves nothing gets, and what is written of it.

use hsm::{Command as _, commands::MakeWorkingKeys};

use crate::{
    sign_ins::{active, hex},
    support::{
        line::{End, connect},
        raw::{Raw, rnd1},
        sign_in::{SIGN_IN, SIGN_IN_CONFIRM, WORKING_KEYS, sign_in_frame},
        tlv::{self, field, frame},
        world::{Options, World},
    },
};

const NOT_PROVEN: End = End::Code(0x0006);

#[test]
fn whatever_is_wrong_in_a_sign_in_is_0006_and_makes_no_key() {
    let (terminal, external) = (Raw::new("SN-1"), Raw::with_pin_pad("SN-2", "PP-2"));
    let (world, server) = World::with(&[&terminal, &external]);
    let tmk = terminal.download(server.terminals, 1).unwrap();
    let other = external.download(server.terminals, 1).unwrap();
    let mut wrong = tmk.kcv;
    wrong[0] ^= 1;
    let retired = terminal.download(server.terminals, 3).unwrap();
    terminal.download(server.terminals, 3).unwrap();
    let cases = [
        ("unknown serial", sign_in_frame(&Raw::new("SN-9"), 1, 1, rnd1(), &tmk.kcv)),
        ("slot without a key", sign_in_frame(&terminal, 1, 2, rnd1(), &tmk.kcv)),
        ("wrong DF0B", sign_in_frame(&terminal, 1, 1, rnd1(), &wrong)),
        ("another terminal's TMK", sign_in_frame(&terminal, 1, 1, rnd1(), &other.kcv)),
        ("a TMK that is retired", sign_in_frame(&terminal, 1, 3, rnd1(), &retired.kcv)),
        ("another PIN pad", sign_in_frame(&Raw::with_pin_pad("SN-2", "PP-3"), 1, 1, rnd1(), &other.kcv)),
        ("no PIN pad", sign_in_frame(&Raw::new("SN-2"), 1, 1, rnd1(), &other.kcv)),
        ("suite 03", sign_in_frame(&terminal, 3, 1, rnd1(), &tmk.kcv)),
        ("suite 7F", sign_in_frame(&terminal, 0x7F, 1, rnd1(), &tmk.kcv)),
    ];
    for (what, sign_in) in &cases {
        let mut line = connect(server.terminals);
        line.send(sign_in);
        assert_eq!(line.end(), NOT_PROVEN, "{what}");
    }
    assert_eq!(world.count("working_keys"), 0);
    assert!(world.events("sign-in.answered", "SN-1").is_empty());
    server.stop();
    // Counted as strangers, by reason.
    let reasons = |sn: &str| {
        let mut reasons: Vec<_> = world
            .events("terminal.refused", sn)
            .iter()
            .map(|event| {
                (event.detail["reason"].as_str().unwrap().to_owned(), event.detail["count"].as_u64())
            })
            .collect();
        reasons.sort();
        reasons
    };
    assert_eq!(reasons("SN-9"), [("unknown serial".to_owned(), Some(1))]);
    assert_eq!(reasons("SN-2"), [("wrong PIN pad serial".to_owned(), Some(2))]);
    let of_first: u64 = reasons("SN-1").iter().filter_map(|(_, count)| *count).sum();
    assert_eq!((reasons("SN-1").len(), of_first), (3, 6), "{:?}", reasons("SN-1"));
}

#[test]
fn a_wrong_mac_is_0006_and_the_old_keys_stay() {
    let terminal = Raw::new("SN-1");
    let (world, server) = World::with(&[&terminal]);
    let tmk = terminal.download(server.terminals, 1).unwrap();
    let first = terminal.sign_in(&mut connect(server.terminals), 1, &tmk).unwrap();

    let mut line = connect(server.terminals);
    let second = terminal.ask_working(&mut line, 1, &tmk).unwrap();
    let mut confirm = second.confirm();
    *confirm.last_mut().unwrap() ^= 1;
    line.send(&confirm);
    assert_eq!(line.end(), NOT_PROVEN);
    // An earlier sign-in's confirmation, and the host's own DONE thrown back.
    for replayed in [first.confirm(), first.done()] {
        let mut line = connect(server.terminals);
        terminal.ask_working(&mut line, 1, &tmk).unwrap();
        line.send(&replayed);
        assert_eq!(line.end(), if replayed[3] == tlv::DONE { End::Code(0x0003) } else { NOT_PROVEN });
    }
    assert_eq!(active(&server, "SN-1", 1), hex(&first.kcvs()));
    assert_eq!(world.events("sign-in.confirmed", "SN-1").len(), 1);
    server.stop();
    let refused = world.events("terminal.refused", "SN-1");
    let wrong =
        refused.iter().find(|event| event.detail["reason"] == "wrong MAC in its confirmation").unwrap();
    assert_eq!(wrong.detail["count"], 2);
}

/// Two sign-ins of one slot at once, both the terminal's: one confirmed later that was asked for earlier, and perhaps
/// held back on the line, does not undo what was confirmed since.
#[test]
fn a_confirmation_of_keys_that_were_replaced_is_not_taken() {
    let terminal = Raw::new("SN-1");
    let (world, server) = World::with(&[&terminal]);
    let tmk = terminal.download(server.terminals, 1).unwrap();
    let mut slow = connect(server.terminals);
    let replaced = terminal.ask_working(&mut slow, 1, &tmk).unwrap();
    let working = terminal.sign_in(&mut connect(server.terminals), 1, &tmk).unwrap();
    slow.send(&replaced.confirm());
    assert_eq!(slow.end(), End::Code(0x000B));
    assert_eq!(active(&server, "SN-1", 1), hex(&working.kcvs()));
    assert_eq!(world.events("sign-in.confirmed", "SN-1").len(), 1);
}

#[test]
fn malformed_sign_ins_are_0002_and_other_messages_0003() {
    let terminal = Raw::new("SN-1");
    let (_world, server) = World::with(&[&terminal]);
    let good = sign_in_frame(&terminal, 1, 1, rnd1(), &[1, 2, 3]);
    let mut fields = good[4..].to_vec();
    fields.truncate(fields.len() - 6);
    let mut twice = good[4..].to_vec();
    twice.extend(field(tlv::KCV, &[1, 2, 3]));
    let mut long = fields.clone();
    long.extend(field(tlv::KCV, &[1, 2, 3, 4, 5]));
    for (what, fields) in [("no DF0B", fields), ("DF0B twice", twice), ("an AES check value", long)] {
        let mut line = connect(server.terminals);
        line.send(&frame(SIGN_IN, &fields));
        assert_eq!(line.end(), End::Code(0x0002), "{what}");
    }
    let tmk = terminal.download(server.terminals, 1).unwrap();
    let mut line = connect(server.terminals);
    terminal.ask_working(&mut line, 1, &tmk).unwrap();
    line.send(&good);
    assert_eq!(line.end(), End::Code(0x0003));
    let mut line = connect(server.terminals);
    line.send(&frame(SIGN_IN_CONFIRM, &field(0xDF52, &[0; 8])));
    assert_eq!(line.end(), End::Code(0x0003), "nothing begins with SIGN_IN_CONFIRM");
}

/// Each costs an entry in the audit before anything is proved: a recorded SIGN_IN sent again and again fills no disk.
#[test]
fn r40_a_flood_of_sign_ins_is_told_to_come_later_before_the_hsm_is_asked() {
    let (terminal, world) = (Raw::new("SN-1"), World::new());
    let (server, switch) = world.start_switched(&Options::default());
    server.collect(&[&terminal]);
    let tmk = terminal.download(server.terminals, 1).unwrap();
    let recorded = sign_in_frame(&terminal, 1, 1, rnd1(), &tmk.kcv);
    let mut busy = 0;
    switch.asked();
    for _ in 0..40 {
        let mut line = connect(server.terminals);
        line.send(&recorded);
        busy += usize::from(line.expect(WORKING_KEYS) == Err(End::Code(0x000B)));
    }
    assert_eq!(busy, 10);
    let asked = switch.asked();
    assert_eq!(asked.iter().filter(|name| **name == MakeWorkingKeys::NAME).count(), 30, "{asked:?}");
    assert_eq!(world.events("sign-in.answered", "SN-1").len(), 30);
}

#[test]
fn only_a_confirmation_follows_working_keys() {
    let terminal = Raw::new("SN-1");
    let (world, server) = World::with(&[&terminal]);
    let tmk = terminal.download(server.terminals, 1).unwrap();
    // Every second type, and those of this flow: sign-ins of one serial from one address have their limit.
    let kinds = tlv::ALL_TYPES.into_iter().step_by(2).chain([SIGN_IN, WORKING_KEYS, tlv::DONE, tlv::ERROR]);
    for kind in kinds.filter(|kind| *kind != SIGN_IN_CONFIRM) {
        let mut line = connect(server.terminals);
        terminal.ask_working(&mut line, 1, &tmk).unwrap();
        line.send(&frame(kind, &[]));
        let end = if kind == tlv::ERROR { End::Closed } else { End::Code(0x0003) };
        assert_eq!(line.end(), end, "type {kind:02X}");
    }
    assert!(world.events("sign-in.confirmed", "SN-1").is_empty());
}
