//! TMS_KEY: the session key, and the TMK of transaction 0001.

use super::*;

/// One of the TMS's keys.
type Bytes = fn(&Tms) -> &[u8];

/// What the pad says to this TMS_KEY of 0002; nothing is open afterwards.
fn answer_key(make: impl FnOnce(&mut Tms) -> Frame) -> (Terminal, PadRefusal) {
    let (mut terminal, _, mut tms) = managed();
    let proof = proven(&mut terminal, &mut tms, None);
    let good = tms.program_key();
    let key = make(&mut tms);
    let pad = terminal.pad_mut();
    let refusal = pad.tms_keys(&proof, &key).unwrap_err();
    // Tried once.
    assert!(is_0008(pad.tms_keys(&proof, &good)));
    assert!(is_0008(pad.tms_seal(b"inner")));
    (terminal, refusal)
}

#[test]
fn a_session_key_in_another_place_time_or_under_another_key_is_0007_and_recorded() {
    type Make = fn(&mut Tms) -> Frame;
    let cases: [(Make, BlockRefusal); 4] = [
        (
            |tms| {
                let context = context(&tms.said, &[]);
                key_of(&blocks::wrap(&tms.dwk, &tms.session, PLACE, &context).unwrap(), None)
            },
            BlockRefusal::Place,
        ),
        (
            |tms| {
                tms.said.push(0);
                tms.program_key()
            },
            BlockRefusal::Context,
        ),
        (
            |tms| {
                tms.dwk = Dwk::generate().unwrap();
                tms.program_key()
            },
            BlockRefusal::Mac,
        ),
        (
            |tms| {
                let context = context(&tms.said, &[]);
                key_of(&blocks::wrap(&tms.dwk, &tmk(), OWN, &context).unwrap(), None)
            },
            BlockRefusal::Usage,
        ),
    ];
    for (make, expected) in cases {
        let (terminal, refusal) = answer_key(make);
        assert_eq!(refusal, refused(expected));
        assert_eq!(newest(&terminal).0, "TMS_KEY 0007");
    }
}

#[test]
fn a_session_key_that_is_the_dwk_or_the_dmk_is_0007() {
    let cases: [(Bytes, &str); 2] = [(|tms| tms.dwk.expose(), "DWK"), (|tms| tms.dmk.expose(), "DMK")];
    for (bytes, name) in cases {
        let (_, refusal) = answer_key(|tms| {
            tms.session = SessionKey::from_key(TdesKey::from_bytes(bytes(tms)).unwrap()).unwrap();
            tms.program_key()
        });
        let why = format!("the session key is the same key as the {name}");
        assert_eq!(refusal, PadRefusal::KeyRefused { why });
    }
}

#[test]
fn what_was_not_asked_for_is_0008() {
    let (_, refusal) = answer_key(|tms| tms.tmk_key(&tmk(), PLACE));
    assert!(matches!(refusal, PadRefusal::NotPermitted { .. }), "{refusal}");
    let (mut terminal, _, mut tms) = managed();
    let proof = proven(&mut terminal, &mut tms, Some(3));
    assert!(is_0008(terminal.pad_mut().tms_keys(&proof, &tms.program_key())));
    assert!(terminal.pad().slots().is_empty());
}

#[test]
fn a_tmk_of_0001_reaches_its_slot_and_is_finished_by_done() {
    let (mut terminal, _, mut tms) = managed();
    let new = tmk();
    let kcv = load_tmk(&mut terminal, &mut tms, 3, &new).unwrap();
    assert_eq!(kcv, Kcv::Tdes(new.kcv()));
    assert!(!terminal.pad().slots()[0].done);
    // It is not a session with a seal.
    terminal.pad_mut().tms_done(&key_confirm(&[kcv]), &done()).unwrap();
    assert!(is_0008(terminal.pad_mut().tms_seal(b"inner")));
    let slots = terminal.pad().slots();
    assert_eq!((slots[0].slot, slots[0].kcv, slots[0].done), (slot(3), kcv, true));
    assert_eq!(terminal.pad().life_cycle(), LifeCycle::Deployed);
    // The next one stands beside it.
    let next = load_tmk(&mut terminal, &mut tms, 3, &tmk()).unwrap();
    assert_eq!((terminal.pad().slots()[0].kcv, terminal.pad().slots()[0].previous), (next, Some(kcv)));
}

#[rstest]
#[case::another_slot("SN-1001/04", BlockRefusal::Place)]
#[case::another_pin_pad("SN-1002/03", BlockRefusal::Place)]
fn a_tmk_for_another_place_is_0007(#[case] place: &str, #[case] expected: BlockRefusal) {
    let (mut terminal, _, mut tms) = managed();
    let proof = proven(&mut terminal, &mut tms, Some(3));
    let key = tms.tmk_key(&tmk(), place);
    assert_eq!(terminal.pad_mut().tms_keys(&proof, &key).unwrap_err(), refused(expected));
    assert!(terminal.pad().slots().is_empty());
}

#[test]
fn a_tmk_that_is_not_behind_this_session_key_is_0007() {
    let (mut terminal, _, mut tms) = managed();
    let proof = proven(&mut terminal, &mut tms, Some(3));
    // Both blocks are of this session, but of two answers.
    let first = tms.session_block();
    let behind_another = tms.tmk_block(&tmk(), PLACE, &first);
    tms.session = SessionKey::generate().unwrap();
    let key = key_of(&tms.session_block(), Some(&behind_another));
    let refusal = terminal.pad_mut().tms_keys(&proof, &key).unwrap_err();
    assert_eq!(refusal, refused(BlockRefusal::Context));
}

#[test]
fn a_tmk_that_is_dmk_dwk_or_session_key_is_0007_by_name() {
    let cases: [(Bytes, &str); 3] = [
        (|tms| tms.dmk.expose(), "DMK"),
        (|tms| tms.dwk.expose(), "DWK"),
        (|tms| tms.session.expose(), "session key"),
    ];
    for (bytes, name) in cases {
        let (mut terminal, _, mut tms) = managed();
        let twin = Tmk::from_key(TdesKey::from_bytes(bytes(&tms)).unwrap()).unwrap();
        let refusal = load_tmk(&mut terminal, &mut tms, 3, &twin).unwrap_err();
        let why = format!("the TMK is the same key as the {name}");
        assert_eq!(refusal, PadRefusal::KeyRefused { why });
        assert!(terminal.pad().slots().is_empty());
    }
}

#[test]
fn a_slot_of_another_owner_is_0008_before_the_pad_proves_itself() {
    let (mut terminal, _, mut tms) = managed();
    load(&mut terminal, &tmk(), PLACE, None).unwrap();
    let hello = begin(&mut terminal, Some(3));
    let challenge = tms.challenge(&hello);
    assert!(is_0008(terminal.pad_mut().tms_prove(&hello, &challenge, None)));
    assert_eq!(newest(&terminal), ("owner".into(), "slot 03".into()));
    // And a slot that the DMK filled is not the acquirer root's, nor a TK's.
    load_tmk(&mut terminal, &mut tms, 4, &tmk()).unwrap();
    assert_eq!(terminal.pad().state.tdes.slots[&slot(4)].owner.kind, OwnerKind::Dmk);
    assert!(is_0008(load(&mut terminal, &tmk(), "SN-1001/04", None)));
    let tk = CheckedTk::generate().unwrap();
    terminal.pad_mut().state.import_tk(&tk);
    assert!(Kms { tk }.load(&mut terminal, slot(4), &tmk()).is_err());
}

#[test]
fn a_slot_of_an_older_dmk_is_0008() {
    let (mut terminal, _, mut tms) = managed();
    load_tmk(&mut terminal, &mut tms, 3, &tmk()).unwrap();
    let mut other = Tms::of(&mut terminal);
    let hello = begin(&mut terminal, Some(3));
    let challenge = other.challenge(&hello);
    assert!(is_0008(terminal.pad_mut().tms_prove(&hello, &challenge, None)));
}

#[test]
fn a_wrong_check_value_in_confirm_leaves_the_tmk_unfinished() {
    let (mut terminal, _, mut tms) = managed();
    load_tmk(&mut terminal, &mut tms, 3, &tmk()).unwrap();
    let other = key_confirm(&[Kcv::Tdes([0; 3])]);
    assert!(is_0008(terminal.pad_mut().tms_done(&other, &done())));
    assert!(!terminal.pad().slots()[0].done);
}

#[test]
fn a_power_cut_at_each_step_leaves_the_old_tmk_or_the_new_one_and_no_session() {
    for cut in 0..=4 {
        let disk = Shared::new();
        let mut terminal = Terminal::new_in(disk.clone(), estate().new_full_terminal()).unwrap();
        let mut tms = Tms::of(&mut terminal);
        let old = load_tmk(&mut terminal, &mut tms, 3, &tmk()).unwrap();
        terminal.pad_mut().tms_done(&key_confirm(&[old]), &done()).unwrap();
        let next = tmk();
        let new = Kcv::Tdes(next.kcv());
        match cut {
            0 => {}
            1 => drop(begin(&mut terminal, Some(3))),
            2 => drop(proven(&mut terminal, &mut tms, Some(3))),
            _ => {
                load_tmk(&mut terminal, &mut tms, 3, &next).unwrap();
                if cut == 4 {
                    terminal.pad_mut().tms_done(&key_confirm(&[new]), &done()).unwrap();
                }
            }
        }
        drop(terminal);
        let mut terminal = Terminal::open_from(disk).unwrap();
        let slots = terminal.pad().slots();
        let expected = if cut >= 3 { (new, Some(old), cut == 4) } else { (old, None, true) };
        assert_eq!((slots[0].kcv, slots[0].previous, slots[0].done), expected, "cut {cut}");
        assert!(is_0008(terminal.pad_mut().tms_seal(b"inner")));
        // The pending key is sent again, in a new session; owner and key are as they were.
        assert_eq!(load_tmk(&mut terminal, &mut tms, 3, &next).unwrap(), new);
        assert_eq!(terminal.pad().slots()[0].previous, Some(old), "cut {cut}");
    }
}

#[test]
fn a_full_disk_is_told_before_key_confirm_and_the_old_tmk_stays() {
    let disk = Shared::new();
    let mut terminal = Terminal::new_in(disk.clone(), estate().new_full_terminal()).unwrap();
    let mut tms = Tms::of(&mut terminal);
    let old = load_tmk(&mut terminal, &mut tms, 3, &tmk()).unwrap();
    let proof = proven(&mut terminal, &mut tms, Some(3));
    let key = tms.tmk_key(&tmk(), PLACE);
    disk.full_after(0);
    let refusal = terminal.pad_mut().tms_keys(&proof, &key).unwrap_err();
    assert!(matches!(refusal, PadRefusal::Failed { .. }), "{refusal}");
    assert_eq!((terminal.pad().slots()[0].kcv, terminal.pad().slots()[0].previous), (old, None));
}
