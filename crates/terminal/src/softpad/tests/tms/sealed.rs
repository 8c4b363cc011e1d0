//! The seal: numbers, limits, and what ends it.

use flows::tms_download::MAX_SEALED_BLOCKS;

use super::*;

#[test]
fn nothing_is_sealed_in_0001() {
    let (mut terminal, _, mut tms) = managed();
    load_tmk(&mut terminal, &mut tms, 3, &tmk()).unwrap();
    assert_eq!(terminal.pad().tms_blocks_left(), 0);
    assert!(is_0008(terminal.pad_mut().tms_seal(b"inner")));
}

#[test]
fn sealed_messages_go_both_ways_each_with_its_own_number() {
    let (mut terminal, _, mut tms) = managed();
    sealed(&mut terminal, &mut tms);
    let pad = terminal.pad_mut();
    for (number, length) in [0, 1, 7, 8, 9, 4096].into_iter().enumerate() {
        let inner = vec![u8::try_from(number).unwrap(); length];
        let out = pad.tms_seal(&inner).unwrap();
        assert_eq!(tms.open(&out), inner);
        // Two answers for one question: the directions count by themselves.
        for _ in 0..2 {
            let answer = tms.seal(&inner);
            assert_eq!(pad.tms_open(&answer).unwrap(), inner);
        }
    }
}

#[test]
fn a_changed_replayed_reordered_dropped_or_reflected_message_is_0005_and_ends_the_session() {
    type Attack = fn(&mut SoftPad, &mut Tms) -> Vec<u8>;
    let attacks: [(&str, Attack); 7] = [
        ("changed", |_, tms| {
            let mut sealed = tms.seal(b"answer");
            sealed[9] ^= 1;
            sealed
        }),
        ("cut", |_, tms| {
            let mut sealed = tms.seal(b"answer");
            sealed.pop();
            sealed
        }),
        ("empty", |_, _| Vec::new()),
        ("replayed", |pad, tms| {
            let sealed = tms.seal(b"answer");
            pad.tms_open(&sealed).unwrap();
            sealed
        }),
        ("reordered", |_, tms| {
            tms.seal(b"first");
            tms.seal(b"second")
        }),
        ("reflected", |pad, _| pad.tms_seal(b"question").unwrap()),
        ("of another session", |_, tms| {
            tms.session = SessionKey::generate().unwrap();
            tms.dwk = Dwk::generate().unwrap();
            tms.seal(b"answer")
        }),
    ];
    for (name, attack) in attacks {
        let (mut terminal, _, mut tms) = managed();
        sealed(&mut terminal, &mut tms);
        let pad = terminal.pad_mut();
        let message = attack(pad, &mut tms);
        let refusal = pad.tms_open(&message).unwrap_err();
        assert!(matches!(refusal, PadRefusal::ServerNotProven { .. }), "{name}: {refusal}");
        assert!(matches!(pad.session, Session::Idle), "{name}");
        assert!(is_0008(pad.tms_seal(b"question")), "{name}");
        assert_eq!(newest(&terminal).0, "SEALED 0005", "{name}");
    }
}

#[test]
fn r20_a_session_key_protects_a_million_blocks_both_ways_together_and_not_one_more() {
    let (mut terminal, _, mut tms) = managed();
    sealed(&mut terminal, &mut tms);
    let pad = terminal.pad_mut();
    assert_eq!((MAX_SEALED_BLOCKS, pad.tms_blocks_left()), (1 << 20, 1 << 20));
    pad.tms_seal(&[7; 16]).unwrap(); // 2 blocks, and one of padding
    pad.tms_open(&tms.seal(&[7; 15])).unwrap(); // 2 blocks
    assert_eq!(pad.tms_blocks_left(), MAX_SEALED_BLOCKS - 5);
    spend(pad, MAX_SEALED_BLOCKS - 2);
    // The last two, then nothing.
    pad.tms_seal(&[7; 8]).unwrap();
    assert_eq!(pad.tms_blocks_left(), 0);
    let refusal = pad.tms_seal(b"").unwrap_err();
    assert!(refusal.to_string().contains("open a new session"), "{refusal}");
    assert!(matches!(pad.session, Session::Idle));
    // From the TMS too, and before it is looked at.
    sealed(&mut terminal, &mut tms);
    (tms.sent, tms.received) = (0, 0);
    spend(terminal.pad_mut(), MAX_SEALED_BLOCKS - 1);
    assert!(is_0008(terminal.pad_mut().tms_open(&tms.seal(&[7; 8]))));
}

/// As if this many blocks were gone.
fn spend(pad: &mut SoftPad, blocks: u64) {
    let Session::Tms(session) = &mut pad.session else { panic!("no session") };
    let TmsSession::Sealed(seal) = session.as_mut() else { panic!("no seal") };
    seal.set_blocks(blocks);
}

#[test]
fn whatever_else_is_begun_ends_the_session_and_a_transaction_does_not() {
    let (mut terminal, _, mut tms) = managed();
    load(&mut terminal, &tmk(), "SN-1001/05", None).unwrap();
    sealed(&mut terminal, &mut tms);
    let pad = terminal.pad_mut();
    assert!(crate::TransactionPad::mac(pad, slot(5), b"data").is_err());
    pad.tms_seal(b"goes on").unwrap();
    pad.sign_in_begin(slot(5), 0).unwrap();
    assert!(is_0008(pad.tms_seal(b"gone")));
    sealed(&mut terminal, &mut tms);
    let pad = terminal.pad_mut();
    pad.sign_in_forget(); // somebody else's
    pad.tms_seal(b"goes on").unwrap();
    pad.tms_forget();
    assert!(is_0008(pad.tms_seal(b"gone")));
}

#[test]
fn neither_dwk_nor_session_key_is_ever_in_the_stored_state() {
    let (mut terminal, _, mut tms) = managed();
    sealed(&mut terminal, &mut tms);
    let pad = terminal.pad_mut();
    pad.refuse("check", "reading"); // stores
    let stored = pad.state.encode().unwrap();
    for key in [tms.dwk.expose(), tms.session.expose()] {
        assert!(!stored.windows(8).any(|window| window == &key[..8]));
    }
    let dmk = copy(&tms.dmk);
    assert!(stored.windows(24).any(|window| window == dmk.expose()));
}
