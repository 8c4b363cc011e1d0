//! Flow A as it should go.

use std::io::{Read as _, Write as _};

use hex_literal::hex;
use rustls::version::{TLS12, TLS13};

use crate::support::{
    https,
    line::{End, Line, connect},
    raw::{Raw, encrypt},
    tlv::{self, field, frame},
    world::{Options, World},
};

/// `flow_a` of `vectors/tdes-suite.json`.
fn worked() -> serde_json::Value {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../vectors/tdes-suite.json");
    let all: serde_json::Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    all["flow_a"].clone()
}

fn bytes(hex: &serde_json::Value) -> Vec<u8> {
    let digits = hex.as_str().unwrap().as_bytes().chunks(2);
    digits.map(|pair| u8::from_str_radix(str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
}

#[test]
fn messages_are_byte_for_byte_those_of_the_worked_flow() {
    let worked = worked();
    let terminal =
        Raw { sn: "SN-1001".into(), pin_pad: None, tek: bytes(&worked["tek"]), auk: bytes(&worked["auk"]) };
    // This side first: the tests' own terminal says what the worked one says.
    let hello = terminal.hello(3, hex!("0102030405060708"));
    assert_eq!(hello[2..], bytes(&worked["hello"]));
    let rnd2 = hex!("8102030405060708");
    let reply = frame(tlv::REPLY, &field(tlv::CRND2, &encrypt(&terminal.auk, rnd2)));
    assert_eq!(reply[2..], bytes(&worked["reply"]));

    let (_world, server) = World::with(&[&terminal]);
    let mut line = connect(server.terminals);
    let asked = terminal.ask_with(&mut line, 3, hex!("0102030405060708")).unwrap();
    let mut challenge = bytes(&worked["challenge"]);
    let end = challenge.len();
    challenge[end - 8..].copy_from_slice(&asked.rnd2);
    assert_eq!(asked.transcript[hello.len() + 2..], challenge);
    let context = terminal.prove(&mut line, &asked);
    let tmk = terminal.open(&line.expect(tlv::KEY).unwrap(), 3, &context);
    let block = worked["tmk_key_block_under_tek"].as_str().unwrap();
    assert_eq!(tmk.block.len(), block.len());
    assert_eq!(tmk.block[..34], block[..34], "the header up to the context");
    assert_eq!(tmk.block[66..72], block[66..72], "and after it");
}

#[test]
fn downloads_in_two_slots_and_again_on_one_connection() {
    let terminals = [Raw::new("SN-1"), Raw::with_pin_pad("SN-2", "PP-2")];
    let (world, server) = World::with(&[&terminals[0], &terminals[1]]);
    let mut line = connect(server.terminals);
    let mut seen = Vec::new();
    for terminal in &terminals {
        for slot in [0, 9, 0] {
            seen.push(terminal.download_on(&mut line, slot).unwrap());
        }
    }
    for (number, tmk) in seen.iter().enumerate() {
        assert!(seen[..number].iter().all(|other| other.key != tmk.key && other.kcv != tmk.kcv));
    }
    let hex = |tmk: &crate::support::raw::Tmk| tmk.kcv.map(|byte| format!("{byte:02X}")).concat();
    assert_eq!(world.keys("SN-1", 0, "retired"), [hex(&seen[0])]);
    assert_eq!(world.keys("SN-1", 0, "active"), [hex(&seen[2])]);
    assert_eq!(world.keys("SN-1", 9, "active"), [hex(&seen[1])]);
    assert_eq!(world.keys("SN-2", 0, "active"), [hex(&seen[5])]);
    assert_eq!(world.events("tk.opened", "SN-1").len(), 1, "Ctk_Pu is opened at the first download only");
    assert_eq!(world.events("tmk.made", "SN-1").len(), 3);
    let confirmed = world.events("tmk.confirmed", "SN-1");
    assert_eq!(confirmed.len(), 3);
    assert!(confirmed.iter().all(|event| event.actor == "SN-1"));
    world.assert_audit_good();
}

#[test]
fn a_slot_outside_the_acquirers_range_is_told_to_a_proven_terminal() {
    let terminal = Raw::new("SN-1");
    let options = Options { slots: [2, 4], ..Options::default() };
    let (world, server) = World::with_options(&[&terminal], &options);
    for slot in [0, 1, 5, 99] {
        assert_eq!(terminal.download(server.terminals, slot), Err(End::Code(0x000C)), "slot {slot}");
    }
    assert_eq!(world.count("tmks"), 0);
    assert_eq!(world.events("tmk.refused", "SN-1").len(), 4);
    for slot in [2, 4] {
        terminal.download(server.terminals, slot).unwrap();
    }
}

#[test]
fn an_active_key_stays_where_the_policy_says_so() {
    let terminal = Raw::new("SN-1");
    let options = Options { replace_active: false, ..Options::default() };
    let (world, server) = World::with_options(&[&terminal], &options);
    // Not confirmed is not active: the same key is to be had again.
    let first = terminal.fetch(&mut connect(server.terminals), 0).unwrap();
    assert_eq!(terminal.download(server.terminals, 0).unwrap().kcv, first.kcv);
    assert_eq!(terminal.download(server.terminals, 0), Err(End::Code(0x0008)));
    assert_eq!(world.keys("SN-1", 0, "active").len(), 1);
    assert!(world.keys("SN-1", 0, "pending").is_empty());
    assert_eq!(world.events("tmk.refused", "SN-1").len(), 1);
    terminal.download(server.terminals, 1).expect("another slot is free");
}

#[test]
fn another_suite_is_refused_to_a_proven_terminal_and_makes_no_key() {
    let terminal = Raw::new("SN-1");
    let (world, server) = World::with(&[&terminal]);
    // Suite 02 has another TK_HELLO: see `suite_02`.
    for suite in [0x00, 0x03, 0xFF] {
        let rnd1 = crate::support::raw::rnd1();
        let mut hello = terminal.hello(0, rnd1);
        assert_eq!(hello[4..8], [0xDF, 0x01, 1, 1]);
        hello[7] = suite;
        let mut line = connect(server.terminals);
        line.send(&hello);
        let challenge = line.expect(tlv::CHALLENGE).unwrap();
        let rnd2 = challenge.get(tlv::RND2).try_into().unwrap();
        line.send(&frame(tlv::REPLY, &field(tlv::CRND2, &encrypt(&terminal.auk, rnd2))));
        assert_eq!(line.end(), End::Code(0x0009), "suite {suite:02X}");
    }
    assert_eq!(world.count("tmks"), 0);
    assert_eq!(world.events("suite.refused", "SN-1").len(), 3);
}

#[test]
fn terminals_may_use_tls_1_3_and_not_1_2() {
    let terminal = Raw::new("SN-1");
    let options = Options { tls: true, ..Options::default() };
    let (_world, server) = World::with_options(&[&terminal], &options);
    let mut line = Line::over(https::tls(server.terminals, &[&TLS13]));
    terminal.download_on(&mut line, 0).unwrap();
    terminal.download_on(&mut line, 1).unwrap();

    let mut old = https::tls(server.terminals, &[&TLS12]);
    let refused = old.conn.complete_io(&mut old.sock).unwrap_err();
    let alert = rustls::Error::AlertReceived(rustls::AlertDescription::ProtocolVersion);
    assert_eq!(refused.get_ref().unwrap().downcast_ref::<rustls::Error>(), Some(&alert));

    let mut clear = std::net::TcpStream::connect(server.terminals).unwrap();
    clear.write_all(&terminal.hello(0, [1; 8])).unwrap();
    let mut answer = Vec::new();
    let _ = clear.read_to_end(&mut answer);
    assert!(answer.is_empty() || answer[0] == 0x15, "nothing but a TLS alert beside it: {answer:02X?}");
}
