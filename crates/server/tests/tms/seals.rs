//! The sealed phase from the line's side: forged, replayed, reordered, and the limit of a session key.

use crate::support::{
    line::{End, Line, connect},
    shop::Shop,
    tlv::{self, field, frame},
    tms::{INVENTORY, PLAN, Pos, SEALED, SEALED_MESSAGE, Session, Stop},
};

fn open(shop: &Shop, pos: &Pos) -> (Line, Session) {
    let mut line = connect(shop.server.terminals);
    let session = pos.open(&mut line).unwrap();
    (line, session)
}

fn sealed(df4a: &[u8]) -> Vec<u8> {
    frame(SEALED, &field(SEALED_MESSAGE, df4a))
}

const ASK: [u8; 2] = [0x01, INVENTORY];

#[test]
fn what_is_forged_replayed_reordered_or_reflected_ends_the_session() {
    let pos = Pos::new("SN-1001");
    let shop = Shop::with(&[&pos], "");
    type Forge = fn(&Session) -> Vec<u8>;
    let forgeries: [(&str, Forge); 6] = [
        ("sent again", |session| session.seal(0, 0, &ASK)),
        ("too early", |session| session.seal(0, 2, &ASK)),
        ("the other direction", |session| session.seal(1, 1, &ASK)),
        ("another tag", |session| {
            let mut sealed = session.seal(0, 1, &ASK);
            *sealed.last_mut().unwrap() ^= 1;
            sealed
        }),
        ("another IV", |session| {
            let mut sealed = session.seal(0, 1, &ASK);
            sealed[0] ^= 1;
            sealed
        }),
        ("another ciphertext", |session| {
            let mut sealed = session.seal(0, 1, &ASK);
            sealed[8] ^= 1;
            sealed
        }),
    ];
    for (what, forge) in forgeries {
        let (mut line, mut session) = open(&shop, &pos);
        session.inventory(&mut line, &[]).unwrap();
        line.send(&sealed(&forge(&session)));
        let ended = session.receive(&mut line, PLAN);
        assert!(matches!(ended, Err(Stop::Sealed(0x0006, _))), "{what}: {ended:?}");
    }
    let (mut line, session) = open(&shop, &pos);
    let message = sealed(&session.seal(0, 0, &ASK));
    line.send(&message);
    line.send(&message);
    assert_eq!(line.expect(SEALED).unwrap().fields.len(), 1);
    line.expect(SEALED).unwrap();
    assert!(line.receive().is_none(), "the replay ends it");
    shop.server.stop();
    let counted = shop.world.events("terminal.refused", "SN-1001");
    assert_eq!((counted.len(), &counted[0].detail["count"]), (1, &serde_json::json!(7)));
}

#[test]
fn one_sessions_message_opens_in_no_other() {
    let (a, b) = (Pos::new("SN-1001"), Pos::new("SN-1002"));
    let shop = Shop::with(&[&a, &b], "");
    let (_line, session) = open(&shop, &a);
    let message = sealed(&session.seal(0, 0, &ASK));
    for pos in [&a, &b] {
        let (mut line, mut session) = open(&shop, pos);
        line.send(&message);
        assert!(matches!(session.receive(&mut line, PLAN), Err(Stop::Sealed(0x0006, _))));
    }
}

#[test]
fn what_is_no_sealed_message_is_answered_by_a_sealed_error() {
    let pos = Pos::new("SN-1001");
    let shop = Shop::with(&[&pos], "");
    for (bytes, code) in [
        (sealed(&[0; 16]), 0x0002),
        (sealed(&[0; 25]), 0x0002),
        (frame(SEALED, &[]), 0x0002),
        (frame(INVENTORY, &[]), 0x0003),
        (frame(0x77, &[]), 0x0003),
    ] {
        let (mut line, mut session) = open(&shop, &pos);
        line.send(&bytes);
        match session.receive(&mut line, PLAN) {
            Err(Stop::Sealed(found, _)) => assert_eq!(found, code),
            other => panic!("{other:?}"),
        }
    }
}

/// Anybody on the line can send one: it ends the connection, and says nothing.
#[test]
fn a_clear_error_only_closes() {
    let pos = Pos::new("SN-1001");
    let shop = Shop::with(&[&pos], "");
    let (mut line, _session) = open(&shop, &pos);
    line.send(&frame(tlv::ERROR, &field(tlv::ERROR_CODE, &[0, 8])));
    assert_eq!(line.end(), End::Closed);
}

/// 2^20 blocks are 8 MiB: a file of 10 MiB needs two sessions, on one connection.
#[test]
fn r20_a_session_key_is_used_up_in_the_middle_of_a_file_and_the_next_one_goes_on() {
    const APP: (&str, &str) = ("pay-app", "1.2.0");
    let pos = Pos::new("SN-1001");
    let shop = Shop::with(&[&pos], "");
    let bytes: Vec<u8> = (0..10_u32 << 20).map(|n| (n ^ (n >> 9)) as u8).collect();
    shop.roll_out(APP.0, APP.1, &bytes);
    let mut line = connect(shop.server.terminals);
    let mut session = pos.open(&mut line).unwrap();
    session.inventory(&mut line, &[]).unwrap();
    let (mut got, mut sessions, mut blocks) = (Vec::new(), 1, 0_u64);
    while got.len() < bytes.len() {
        match session.get(&mut line, APP, got.len() as u64, 32_768) {
            Ok(piece) => {
                blocks += piece.len() as u64 / 8;
                got.extend(piece);
            }
            Err(stop) => {
                let text = "session key used up: open a new session and go on".to_owned();
                assert_eq!(stop, Stop::Sealed(0x000B, text));
                assert!((1 << 20) - 8_192 < blocks && blocks <= 1 << 20, "{blocks} blocks");
                line = connect(shop.server.terminals);
                session = pos.open(&mut line).unwrap();
                sessions += 1;
            }
        }
    }
    assert_eq!(sessions, 2);
    assert!(got == bytes);
}
