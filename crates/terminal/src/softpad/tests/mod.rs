//! What the software PIN pad takes and what it refuses, by name.

mod identity;
mod life;
mod load;
mod power_cut;
mod sessions_ec_fuzz;
mod sign_in;
mod sign_in_ec;
mod suite_02;
mod tamper;
mod tms;
mod tms_ec;
mod transaction;
mod working_life;

use flows::tmk_download::messages::{Done, KeyConfirm, TkChallenge, TkHello, TkKey, TkReply};
use flows::tmk_download::terminal::Start;
use flows::tmk_download::{DownloadPad, PadRefusal};
use paycrypto::TdesKey;
use paycrypto::blocks::{BlockRefusal, wrap_tmk};
use paycrypto::keys::Tmk;
use wire::{Device, ErrorCode, Frame, Kcv, Malformed, Place, Suite, Tag};

use super::*;
use crate::testing::{Kms, estate, rnd2, slot};
use crate::{NewTerminal, Terminal};

/// A collected terminal with a finished key in slot 3.
fn loaded() -> (Terminal, Kms, Kcv) {
    let mut terminal = estate().terminal();
    let kms = estate().collected(&mut terminal);
    let kcv = kms.load(&mut terminal, slot(3), &Tmk::generate().unwrap()).unwrap();
    (terminal, kms, kcv)
}

/// A download of which the pad has answered the challenge, and what was said.
struct Challenged {
    transcript: flows::Transcript,
    reply: Frame,
}

fn challenged(terminal: &mut Terminal, kms: &Kms, index: u8) -> Challenged {
    let device = terminal.device().clone();
    let pad = terminal.pad_mut();
    let (hello, _) = Start::new(device, slot(index)).begin(pad).unwrap();
    let (challenge, _) = kms.challenge(&hello).unwrap();
    let reply = DownloadPad::<flows::Tdes>::challenge(pad, &hello, &challenge).unwrap().write().unwrap();
    let mut transcript = flows::Transcript::new();
    [&hello, &challenge, &reply].into_iter().for_each(|frame| transcript.push(frame));
    Challenged { transcript, reply }
}

/// TK_KEY with this key, for this place, in this conversation.
fn key_frame(kms: &Kms, tmk: &Tmk, place: &str, said: &Challenged) -> Frame {
    let block = wrap_tmk(kms.tk.tek(), tmk, place, said.transcript.context().as_bytes()).unwrap();
    TkKey { block }.write::<Tdes>().unwrap()
}

fn refused(refusal: BlockRefusal) -> PadRefusal {
    PadRefusal::KeyRefused { why: refusal.to_string() }
}

/// The old key is where it was.
fn assert_only(terminal: &Terminal, kcv: Kcv) {
    let slots = terminal.pad().slots();
    assert_eq!(slots.len(), 1);
    assert_eq!((slots[0].slot, slots[0].kcv, slots[0].previous), (slot(3), kcv, None));
}

#[test]
fn worked_values_of_flow_a_pass_through_the_pad() {
    // Origin: vectors/tdes-suite.json, flow_a.
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../vectors/tdes-suite.json");
    let file: serde_json::Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let text = |name: &str| file["flow_a"][name].as_str().unwrap();
    let hex = |name: &str| -> Vec<u8> {
        let text = text(name);
        (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
    };
    let frame = |name: &str| Frame::from_payload(&hex(name)).unwrap();
    let key = |name: &str| TdesKey::from_bytes(&hex(name)).unwrap();

    let mut terminal = Terminal::in_memory(NewTerminal::named("SN-1001".parse().unwrap())).unwrap();
    let pad = terminal.pad_mut();
    let tk = CheckedTk::from_keys(key("tek"), key("auk")).unwrap();
    assert_eq!(tk.sha256().to_vec(), hex("tk_sha256"));
    pad.state.import_tk(&tk);
    pad.session = Session::Started { slot: slot(3), rnd1: hex("rnd1").try_into().unwrap() };

    assert_eq!(
        DownloadPad::<flows::Tdes>::challenge(pad, &frame("hello"), &frame("challenge"))
            .unwrap()
            .crnd2
            .to_vec(),
        hex("crnd2")
    );
    let block = text("tmk_key_block_under_tek").to_owned();
    let loaded =
        DownloadPad::<flows::Tdes>::key(pad, &frame("reply"), &TkKey { block }.write::<Tdes>().unwrap())
            .unwrap();
    assert_eq!(loaded.kcvs[0].to_string(), text("tmk_kcv"));
    let confirm = loaded.confirmation.write().unwrap();
    DownloadPad::<flows::Tdes>::done(pad, &confirm, &Done.write().unwrap()).unwrap();
    assert_eq!(terminal.status().slots[0].kcv, text("tmk_kcv"));
}

#[test]
fn first_done_deploys_and_a_confirmed_key_without_done_does_not() {
    let mut terminal = estate().terminal();
    let kms = estate().collected(&mut terminal);
    kms.load_to_confirm(&mut terminal, slot(3), &Tmk::generate().unwrap()).unwrap();
    assert_eq!(terminal.pad().life_cycle(), LifeCycle::Production);
    kms.load(&mut terminal, slot(4), &Tmk::generate().unwrap()).unwrap();
    assert_eq!(terminal.pad().life_cycle(), LifeCycle::Deployed);
    let done: Vec<bool> = terminal.pad().slots().iter().map(|status| status.done).collect();
    assert_eq!(done, [false, true]);
}

#[test]
fn old_key_stays_beside_the_new_one() {
    let (mut terminal, kms, old) = loaded();
    let new = kms.load(&mut terminal, slot(3), &Tmk::generate().unwrap()).unwrap();
    let slots = terminal.pad().slots();
    assert_eq!((slots[0].kcv, slots[0].previous), (new, Some(old)));
}

#[test]
fn pending_key_sent_again_is_not_pushed_down() {
    let (mut terminal, kms, old) = loaded();
    let tmk = Tmk::generate().unwrap();
    kms.load_to_confirm(&mut terminal, slot(3), &tmk).unwrap();
    kms.load_to_confirm(&mut terminal, slot(3), &tmk).unwrap();
    let new = kms.load(&mut terminal, slot(3), &tmk).unwrap();
    let slots = terminal.pad().slots();
    assert_eq!((slots[0].kcv, slots[0].previous, slots[0].done), (new, Some(old), true));
}

#[test]
fn every_slot_to_99_takes_a_key() {
    let (mut terminal, kms, _) = loaded();
    for index in 0..=99 {
        kms.load(&mut terminal, slot(index), &Tmk::generate().unwrap()).unwrap();
    }
    assert_eq!(terminal.pad().slots().len(), 100);
}

#[test]
fn wrong_crnd1_is_0005() {
    let (mut terminal, _, kcv) = loaded();
    let device = terminal.device().clone();
    let pad = terminal.pad_mut();
    let (hello, state) = Start::new(device, slot(3)).begin(pad).unwrap();
    let stranger = Kms { tk: CheckedTk::generate().unwrap() };
    let (challenge, _) = stranger.challenge(&hello).unwrap();
    let fault = state.on_frame(pad, &challenge).unwrap_err();
    assert_eq!(fault.code, ErrorCode::ServerAuthenticationFailed);
    assert_only(&terminal, kcv);
}

#[test]
fn one_bit_of_crnd1_is_enough_and_the_challenge_is_tried_once() {
    let (mut terminal, kms, _) = loaded();
    let device = terminal.device().clone();
    let pad = terminal.pad_mut();
    let (hello, _) = Start::new(device, slot(3)).begin(pad).unwrap();
    let good = kms.challenge(&hello).unwrap().0;
    let mut challenge = TkChallenge::read(&good).unwrap();
    challenge.crnd1[7] ^= 1;
    let refusal =
        DownloadPad::<flows::Tdes>::challenge(pad, &hello, &challenge.write().unwrap()).unwrap_err();
    assert_eq!(refusal, PadRefusal::ServerNotProven);
    assert!(matches!(
        DownloadPad::<flows::Tdes>::challenge(pad, &hello, &good),
        Err(PadRefusal::NotPermitted { .. })
    ));
}

#[test]
fn reflected_challenge_is_0002() {
    let (mut terminal, kms, _) = loaded();
    let device = terminal.device().clone();
    let pad = terminal.pad_mut();
    let (hello, _) = Start::new(device, slot(3)).begin(pad).unwrap();
    let mut challenge = TkChallenge::read(&kms.challenge(&hello).unwrap().0).unwrap();
    challenge.rnd2[0] &= 0x7F;
    let refusal =
        DownloadPad::<flows::Tdes>::challenge(pad, &hello, &challenge.write().unwrap()).unwrap_err();
    assert_eq!(refusal, PadRefusal::Malformed(Malformed::TopBit { tag: Tag::RND2 }));
}

#[test]
fn rnd1_has_top_bit_0_and_is_never_the_same() {
    let (mut terminal, ..) = loaded();
    let drawn: std::collections::HashSet<[u8; 8]> =
        (0..200).map(|_| DownloadPad::<flows::Tdes>::start(terminal.pad_mut(), slot(3)).unwrap().0).collect();
    assert_eq!(drawn.len(), 200);
    assert!(drawn.iter().all(|rnd1| rnd1[0] & 0x80 == 0));
}

#[test]
fn pad_finds_its_own_rnd1_place_slot_and_suite_in_hello() {
    let (mut terminal, kms, _) = loaded();
    let changes: [fn(&mut TkHello); 4] = [
        |hello| hello.opening.0[7] ^= 1,
        |hello| hello.device = Device::built_in("SN-1002".parse().unwrap()),
        |hello| hello.slot = slot(4),
        |hello| hello.suite = Suite::EC_AES,
    ];
    for (number, change) in changes.into_iter().enumerate() {
        let device = terminal.device().clone();
        let pad = terminal.pad_mut();
        let (hello, _) = Start::new(device, slot(3)).begin(pad).unwrap();
        let mut said = <TkHello>::read(&hello).unwrap();
        change(&mut said);
        // The stranger's answer is right for what was said: the pad must not give it an answer of its own.
        let crnd1 = kms.tk.auk().answer(said.opening.0);
        let challenge = TkChallenge { crnd1, rnd2: rnd2() }.write().unwrap();
        let refusal =
            DownloadPad::<flows::Tdes>::challenge(pad, &said.write().unwrap(), &challenge).unwrap_err();
        assert!(matches!(refusal, PadRefusal::NotPermitted { .. }), "{number}: {refusal}");
    }
}

#[test]
fn changed_byte_of_tk_key_is_0007_and_the_old_key_is_still_there() {
    let (mut terminal, kms, kcv) = loaded();
    let said = challenged(&mut terminal, &kms, 3);
    let good = key_frame(&kms, &Tmk::generate().unwrap(), "SN-1001/03", &said);
    let length = TkKey::read::<Tdes>(&good).unwrap().block.len();
    for at in 0..length {
        let said = challenged(&mut terminal, &kms, 3);
        let good = key_frame(&kms, &Tmk::generate().unwrap(), "SN-1001/03", &said);
        let mut block = TkKey::read::<Tdes>(&good).unwrap().block.into_bytes();
        block[at] = if block[at] == b'0' { b'1' } else { b'0' };
        let changed = TkKey { block: String::from_utf8(block).unwrap() }.write::<Tdes>().unwrap();
        let refusal = DownloadPad::<flows::Tdes>::key(terminal.pad_mut(), &said.reply, &changed).unwrap_err();
        assert!(matches!(refusal, PadRefusal::KeyRefused { .. }), "byte {at}: {refusal}");
    }
    assert_only(&terminal, kcv);
}

#[test]
fn wrong_place_is_0007() {
    let (mut terminal, kms, kcv) = loaded();
    for place in ["SN-1002/03", "SN-1001/04"] {
        let said = challenged(&mut terminal, &kms, 3);
        let key = key_frame(&kms, &Tmk::generate().unwrap(), place, &said);
        let refusal = DownloadPad::<flows::Tdes>::key(terminal.pad_mut(), &said.reply, &key).unwrap_err();
        assert_eq!(refusal, refused(BlockRefusal::Place), "{place}");
    }
    assert_only(&terminal, kcv);
}

#[test]
fn replayed_tk_key_is_0007() {
    let (mut terminal, kms, kcv) = loaded();
    let before = challenged(&mut terminal, &kms, 3);
    let old = key_frame(&kms, &Tmk::generate().unwrap(), "SN-1001/03", &before);
    let now = challenged(&mut terminal, &kms, 3);
    let refusal = DownloadPad::<flows::Tdes>::key(terminal.pad_mut(), &now.reply, &old).unwrap_err();
    assert_eq!(refusal, refused(BlockRefusal::Context));
    assert_only(&terminal, kcv);
}

#[test]
fn key_under_another_tek_is_0007() {
    let (mut terminal, kms, kcv) = loaded();
    let said = challenged(&mut terminal, &kms, 3);
    let stranger = Kms { tk: CheckedTk::generate().unwrap() };
    let key = key_frame(&stranger, &Tmk::generate().unwrap(), "SN-1001/03", &said);
    assert_eq!(
        DownloadPad::<flows::Tdes>::key(terminal.pad_mut(), &said.reply, &key).unwrap_err(),
        refused(BlockRefusal::Mac)
    );
    assert_only(&terminal, kcv);
}

#[test]
fn weak_key_in_a_good_block_is_0007() {
    use keyblock::{Algorithm, Exportability, Header, Kbpk, Mode, Usage, Version};
    let (mut terminal, kms, kcv) = loaded();
    let said = challenged(&mut terminal, &kms, 3);
    let header = Header::new(
        Version::B,
        Usage::KEY_BLOCK_PROTECTION,
        Algorithm::TDES,
        Mode::BOTH,
        Exportability::NOT_EXPORTABLE,
    )
    .with_optional("10", "SN-1001/03")
    .and_then(|header| header.with_optional("11", said.transcript.context().to_hex()))
    .unwrap();
    // K1 = K3: two-key TDES under a three-key length.
    let weak: Vec<u8> = [[0x13; 8], [0x25; 8], [0x13; 8]].concat();
    let block = Kbpk::new(Version::B, kms.tk.tek().expose()).unwrap().wrap(&header, &weak).unwrap();
    let refusal = DownloadPad::<flows::Tdes>::key(
        terminal.pad_mut(),
        &said.reply,
        &TkKey { block }.write::<Tdes>().unwrap(),
    )
    .unwrap_err();
    assert_eq!(refusal, refused(BlockRefusal::WeakKey(paycrypto::hygiene::PoorKey::EqualParts)));
    assert_only(&terminal, kcv);
}

#[test]
fn another_reply_than_the_pads_own_is_refused() {
    let (mut terminal, kms, _) = loaded();
    let said = challenged(&mut terminal, &kms, 3);
    let key = key_frame(&kms, &Tmk::generate().unwrap(), "SN-1001/03", &said);
    let other = TkReply { crnd2: [0x80; 8] }.write().unwrap();
    assert!(matches!(
        DownloadPad::<flows::Tdes>::key(terminal.pad_mut(), &other, &key),
        Err(PadRefusal::NotPermitted { .. })
    ));
}

#[test]
fn wrong_check_value_in_confirm_leaves_the_key_unfinished() {
    let (mut terminal, kms, _) = loaded();
    let tmk = Tmk::generate().unwrap();
    kms.load_to_confirm(&mut terminal, slot(5), &tmk).unwrap();
    let other = KeyConfirm { kcvs: vec![Kcv::Tdes([0; 3])] }.write().unwrap();
    let refusal =
        DownloadPad::<flows::Tdes>::done(terminal.pad_mut(), &other, &Done.write().unwrap()).unwrap_err();
    assert!(matches!(refusal, PadRefusal::NotPermitted { .. }));
    assert!(!terminal.pad().slots()[1].done);
}

#[test]
fn calls_out_of_order_are_refused() {
    let (mut terminal, kms, kcv) = loaded();
    let said = challenged(&mut terminal, &kms, 3);
    let key = key_frame(&kms, &Tmk::generate().unwrap(), "SN-1001/03", &said);
    let done = Done.write().unwrap();
    let confirm = KeyConfirm { kcvs: vec![kcv] }.write().unwrap();
    let pad = terminal.pad_mut();
    assert!(
        matches!(
            DownloadPad::<flows::Tdes>::done(pad, &confirm, &done),
            Err(PadRefusal::NotPermitted { .. })
        ),
        "done before key"
    );
    assert!(
        matches!(
            DownloadPad::<flows::Tdes>::key(pad, &said.reply, &key),
            Err(PadRefusal::NotPermitted { .. })
        ),
        "it ended the download"
    );
    DownloadPad::<flows::Tdes>::start(pad, slot(3)).unwrap();
    assert!(
        matches!(
            DownloadPad::<flows::Tdes>::key(pad, &said.reply, &key),
            Err(PadRefusal::NotPermitted { .. })
        ),
        "key before challenge"
    );
    assert_only(&terminal, kcv);
}

#[test]
fn slot_of_another_owner_is_0008() {
    let (mut terminal, _, kcv) = loaded();
    let other = CheckedTk::generate().unwrap();
    terminal.pad_mut().state.import_tk(&other);
    assert!(matches!(
        DownloadPad::<flows::Tdes>::start(terminal.pad_mut(), slot(3)),
        Err(PadRefusal::NotPermitted { .. })
    ));
    // A free slot is the new owner's from then on.
    Kms { tk: other }.load(&mut terminal, slot(4), &Tmk::generate().unwrap()).unwrap();
    assert_eq!(terminal.pad().slots()[0].kcv, kcv);
}

#[test]
fn no_tk_is_0008() {
    let mut terminal = estate().terminal();
    let refusal = DownloadPad::<flows::Tdes>::start(terminal.pad_mut(), slot(0)).unwrap_err();
    assert!(matches!(refusal, PadRefusal::NotPermitted { .. }), "{refusal}");
}

#[test]
fn damaged_tk_is_not_used() {
    let (mut terminal, kms, kcv) = loaded();
    let said = challenged(&mut terminal, &kms, 3);
    let key = key_frame(&kms, &Tmk::generate().unwrap(), "SN-1001/03", &said);
    let pad = terminal.pad_mut();
    pad.state.damage_tk();
    assert!(matches!(
        DownloadPad::<flows::Tdes>::key(pad, &said.reply, &key),
        Err(PadRefusal::Failed { .. })
    ));
    assert!(matches!(DownloadPad::<flows::Tdes>::start(pad, slot(3)), Err(PadRefusal::Failed { .. })));
    assert_only(&terminal, kcv);
}

#[test]
fn tk_erased_in_production_takes_its_slots_along() {
    let mut terminal = estate().terminal();
    let kms = estate().collected(&mut terminal);
    kms.load_to_confirm(&mut terminal, slot(3), &Tmk::generate().unwrap()).unwrap();
    let first = terminal.pad().latch().unwrap().clone();
    terminal.pad_mut().state.latch = None; // as a tamper event in production will do
    estate().collected(&mut terminal);
    assert_eq!(terminal.pad().slots(), []);
    assert_ne!(terminal.pad().latch().unwrap().ctk_pu, first.ctk_pu);
}

#[test]
fn external_pin_pad_is_the_keys_place() {
    let new = NewTerminal { pin_pad: Some("PP-7".parse().unwrap()), ..estate().new_terminal() };
    let mut terminal = Terminal::in_memory(new).unwrap();
    let kms = estate().collected(&mut terminal);
    let said = challenged(&mut terminal, &kms, 3);
    let wrong = key_frame(&kms, &Tmk::generate().unwrap(), "SN-1001/03", &said);
    assert_eq!(
        DownloadPad::<flows::Tdes>::key(terminal.pad_mut(), &said.reply, &wrong).unwrap_err(),
        refused(BlockRefusal::Place)
    );
    kms.load(&mut terminal, slot(3), &Tmk::generate().unwrap()).unwrap();
    assert_eq!(Place::new(terminal.pad().serial().clone(), slot(3)).to_string(), "PP-7/03");
}

#[test]
fn debug_shows_no_key() {
    let (terminal, kms, _) = loaded();
    let shown = format!("{terminal:?} {:?}", terminal.pad());
    let tek: String = kms.tk.tek().expose().iter().map(|byte| format!("{byte:02X}")).collect();
    assert!(!shown.to_uppercase().contains(&tek[..8]));
    assert!(shown.contains("SN-1001"));
}

#[test]
fn a_tmk_that_is_the_tek_or_the_auk_is_0007_by_name() {
    let (mut terminal, kms, kcv) = loaded();
    for (bytes, name) in [(kms.tk.tek().expose(), "TEK"), (kms.tk.auk().expose(), "AUK")] {
        let twin = Tmk::from_key(TdesKey::from_bytes(bytes).unwrap()).unwrap();
        let said = challenged(&mut terminal, &kms, 3);
        let key = key_frame(&kms, &twin, "SN-1001/03", &said);
        let refusal = DownloadPad::<flows::Tdes>::key(terminal.pad_mut(), &said.reply, &key).unwrap_err();
        let why = format!("the TMK is the same key as the {name}");
        assert_eq!(refusal, PadRefusal::KeyRefused { why });
    }
    assert_only(&terminal, kcv);
}

#[test]
fn a_challenge_or_key_that_is_refused_leaves_a_record() {
    let (mut terminal, kms, _) = loaded();
    let device = terminal.device().clone();
    let pad = terminal.pad_mut();
    let (hello, state) = Start::new(device, slot(3)).begin(pad).unwrap();
    let stranger = Kms { tk: CheckedTk::generate().unwrap() };
    state.on_frame(pad, &stranger.challenge(&hello).unwrap().0).unwrap_err();
    assert_eq!(pad.refusals().newest().unwrap().check, "TK_CHALLENGE 0005");
    let said = challenged(&mut terminal, &kms, 3);
    let key = key_frame(&kms, &Tmk::generate().unwrap(), "SN-1001/04", &said);
    DownloadPad::<flows::Tdes>::key(terminal.pad_mut(), &said.reply, &key).unwrap_err();
    let record = terminal.pad().refusals().newest().unwrap();
    let expected = ("TK_KEY 0007", "the key block belongs to another PIN pad or slot");
    assert_eq!((record.check.as_str(), record.reading.as_str()), expected);
    assert_eq!(terminal.pad().refusals().total(), 2);
}
