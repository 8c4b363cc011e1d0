//! A sign-in in suite 02, and what is done with the keys that it brings: what is taken, and every refusal by name.

use flows::sign_in::SignInPad;
use flows::sign_in::messages::{Mac, Nonce};
use flows::{EcAes, PadRefusal, Tdes};
use paycrypto::blocks::BlockRefusal;
use paycrypto::ec::keys::{Mak, Pik, Tmk};
use pinblock::{Format, Format4Key, Pan, Pin};
use wire::{Frame, Kcv, Malformed, Suite, Tag};

use crate::softpad::download::Session;
use crate::testing::peers::{frame, load, tlv};
use crate::testing::session_peers::{Host, working_keys_of};
use crate::testing::session_peers_ec::{EcHost, sign_in};
use crate::testing::{estate, slot};
use crate::{PinPad, SoftPad, Terminal, TransactionPad};

const PLACE: &str = "SN-1001/03";

fn tmk(byte: u8) -> Tmk {
    Tmk::from_bytes(&std::array::from_fn(|at| byte.wrapping_mul(17) ^ u8::try_from(at * 13).unwrap()))
}

/// A terminal with a TMK of suite 02 in slot 3, and the host that knows it.
fn loaded() -> (Terminal, EcHost) {
    let (mut terminal, _) = estate().full_terminal();
    terminal.pad_mut().give_ec_tmk(slot(3), tmk(1));
    (terminal, EcHost::new(&tmk(1)))
}

fn begin(pad: &mut SoftPad, attempt: u8) -> Result<(Frame, [u8; 32]), PadRefusal> {
    let (Nonce(nonce), kcv) = SignInPad::<EcAes>::sign_in_begin(pad, slot(3), attempt)?;
    Ok((sign_in(3, &nonce, kcv.as_bytes()), nonce))
}

fn keys(pad: &mut SoftPad, sign_in: &Frame, keys: &Frame) -> Result<[u8; 16], PadRefusal> {
    SignInPad::<EcAes>::sign_in_keys(pad, sign_in, keys).map(|Mac(mac)| mac)
}

fn working(blocks: &[String]) -> Frame {
    working_keys_of(&blocks.iter().map(String::as_str).collect::<Vec<_>>())
}

/// A sign-in up to SIGN_IN_CONFIRM.
fn confirmed(pad: &mut SoftPad, host: &EcHost, attempt: u8) -> Result<(Frame, [u8; 32]), PadRefusal> {
    let (said, nonce) = begin(pad, attempt)?;
    let mac = keys(pad, &said, &working(&host.blocks(&said, PLACE)))?;
    assert_eq!(mac, host.confirmed(&nonce), "SIGN_IN_CONFIRM");
    Ok((frame(0x43, &[tlv(0xDF52, &mac)]), nonce))
}

fn done(pad: &mut SoftPad, confirm: &Frame, done: &Frame) -> Result<Vec<Kcv>, PadRefusal> {
    SignInPad::<EcAes>::sign_in_done(pad, confirm, done)
}

/// A whole sign-in.
fn signed_in(pad: &mut SoftPad, host: &EcHost, attempt: u8) -> Result<Vec<Kcv>, PadRefusal> {
    let (confirm, nonce) = confirmed(pad, host, attempt)?;
    done(pad, &confirm, &host.done(&nonce))
}

fn is_0008<T>(result: Result<T, PadRefusal>) -> bool {
    result.is_err_and(|refusal| matches!(refusal, PadRefusal::NotPermitted { .. }))
}

fn is_0005<T>(result: Result<T, PadRefusal>) -> bool {
    result.is_err_and(|refusal| matches!(refusal, PadRefusal::ServerNotProven { .. }))
}

/// What the pad says to these blocks: tried once, and recorded.
fn answer(make: impl FnOnce(&EcHost, &Frame) -> Vec<String>) -> PadRefusal {
    let (mut terminal, host) = loaded();
    let pad = terminal.pad_mut();
    let (said, _) = begin(pad, 0).unwrap();
    let refusal = keys(pad, &said, &working(&make(&host, &said))).unwrap_err();
    assert!(is_0008(keys(pad, &said, &working(&host.blocks(&said, PLACE)))), "it ended the sign-in");
    if matches!(refusal, PadRefusal::KeyRefused { .. }) {
        assert_eq!(pad.refusals().newest().unwrap().check, "WORKING_KEYS 0007");
    }
    refusal
}

fn refused(why: BlockRefusal) -> PadRefusal {
    PadRefusal::KeyRefused { why: why.to_string() }
}

fn pan() -> Pan {
    Pan::new("4111111111111111").unwrap()
}

#[test]
fn the_keys_are_worked_with_after_done_and_not_before() {
    let (mut terminal, host) = loaded();
    let pad = terminal.pad_mut();
    let (confirm, nonce) = confirmed(pad, &host, 0).unwrap();
    assert!(is_0008(pad.mac(slot(3), b"data")));
    assert_eq!(done(pad, &confirm, &host.done(&nonce)).unwrap(), host.kcvs());
    assert_eq!(pad.mac(slot(3), b"data").unwrap(), host.mak.mac(b"data"));
    let track = pad.encrypt_track(slot(3), b"4111111111111111=2512").unwrap();
    assert_eq!(host.tdk.decrypt_track(&track).unwrap().as_slice(), b"4111111111111111=2512");
    let block = pad.pin_block(slot(3), Pin::new("1234").unwrap(), &pan(), Format::Iso4).unwrap();
    let key = Format4Key::new(host.pik.expose()).unwrap();
    let block: [u8; 16] = block.try_into().unwrap();
    let pin = pinblock::decode_format4(&block, &pan(), &key).unwrap();
    assert!(pinblock::encode_format4_filled(&pin, &pan(), &key, &[0; 8]) != block, "the fill is random");
    let again = pad.pin_block(slot(3), Pin::new("1234").unwrap(), &pan(), Format::Iso4).unwrap();
    assert_ne!(again, block);
}

/// An AES key under which a PIN block of another format would stand is no way around format 4.
#[test]
fn a_pin_key_of_suite_02_makes_format_4_alone_and_no_other_takes_of_the_rate() {
    let (mut terminal, host) = loaded();
    let pad = terminal.pad_mut();
    signed_in(pad, &host, 0).unwrap();
    let left = pad.pins_left();
    for format in [Format::Iso0, Format::Iso1, Format::Iso2, Format::Iso3] {
        assert!(is_0008(pad.pin_block(slot(3), Pin::new("1234").unwrap(), &pan(), format)), "{format:?}");
    }
    assert_eq!(pad.pins_left(), left);
    pad.pin_block(slot(3), Pin::new("1234").unwrap(), &pan(), Format::Iso4).unwrap();
    assert_eq!(pad.pins_left(), left - 1);
    assert!(is_0008(pad.pin_block(slot(4), Pin::new("1234").unwrap(), &pan(), Format::Iso4)));
}

#[test]
fn done_with_another_nonce_another_mac_or_of_suite_01_is_refused_and_the_old_keys_stay() {
    let (mut terminal, host) = loaded();
    let pad = terminal.pad_mut();
    signed_in(pad, &host, 0).unwrap();
    let next = EcHost::new(&host.tmk);
    let (_, older) = confirmed(pad, &next, 0).unwrap();
    let (confirm, _) = confirmed(pad, &next, 0).unwrap();
    assert!(is_0005(done(pad, &confirm, &next.done(&older))), "another nonce");
    assert_eq!(pad.refusals().newest().unwrap().check, "DONE 0005");
    let (confirm, _) = confirmed(pad, &next, 0).unwrap();
    assert!(is_0005(done(pad, &confirm, &frame(0x06, &[tlv(0xDF52, &[7; 16])]))));
    let (confirm, _) = confirmed(pad, &next, 0).unwrap();
    let short = done(pad, &confirm, &frame(0x06, &[tlv(0xDF52, &[7; 8])])).unwrap_err();
    let malformed = Malformed::FieldLength { tag: Tag::MESSAGE_MAC, found: 8 };
    assert_eq!(short, PadRefusal::Malformed(malformed));
    // Its own confirmation is no DONE.
    let (confirm, nonce) = confirmed(pad, &next, 0).unwrap();
    assert!(is_0005(done(pad, &confirm, &frame(0x06, &[tlv(0xDF52, &next.confirmed(&nonce))]))));
    assert_eq!(pad.mac(slot(3), b"data").unwrap(), host.mak.mac(b"data"));
}

/// `mixed-answers`: each block's context holds those before it, so that no block of another answer stands in.
#[test]
fn mixed_answers_of_two_sign_ins_are_0007() {
    let (mut terminal, host) = loaded();
    let pad = terminal.pad_mut();
    let other = EcHost::new(&host.tmk);
    // Of two answers to one SIGN_IN, as a host that answers twice makes them.
    let (said, _) = begin(pad, 0).unwrap();
    let [pik, ..] = host.blocks(&said, PLACE);
    let [_, mak, tdk] = other.blocks(&said, PLACE);
    assert_eq!(keys(pad, &said, &working(&[pik, mak, tdk])).unwrap_err(), refused(BlockRefusal::Context));
    // Of two sign-ins.
    let (old, _) = begin(pad, 0).unwrap();
    let [_, old_mak, _] = host.blocks(&old, PLACE);
    let (said, _) = begin(pad, 0).unwrap();
    let [pik, _, tdk] = host.blocks(&said, PLACE);
    assert_eq!(keys(pad, &said, &working(&[pik, old_mak, tdk])).unwrap_err(), refused(BlockRefusal::Context));
    assert!(is_0008(pad.mac(slot(3), b"data")));
}

#[test]
fn keys_in_another_order_place_use_or_under_another_tmk_are_0007() {
    let swapped = answer(|host, said| {
        let [pik, mak, tdk] = host.blocks(said, PLACE);
        vec![mak, pik, tdk]
    });
    assert_eq!(swapped, refused(BlockRefusal::Usage));
    assert_eq!(answer(|host, said| host.blocks(said, "SN-1001/04").into()), refused(BlockRefusal::Place));
    let twice = answer(|host, said| {
        let pik = host.block(&host.pik, PLACE, said, &[]);
        vec![pik.clone(), host.block(&host.pik, PLACE, said, &[&pik])]
    });
    assert_eq!(twice, refused(BlockRefusal::Usage));
    let other = answer(|_, said| EcHost::new(&tmk(2)).blocks(said, PLACE).into());
    assert!(matches!(other, PadRefusal::KeyRefused { .. }), "{other}");
}

/// One key, one use: the same bytes in two blocks, and the TMK as a working key.
#[test]
fn one_key_for_two_uses_is_0007() {
    let twin = answer(|host, said| {
        let pik = host.block(&host.pik, PLACE, said, &[]);
        let mak = Mak::from_bytes(host.pik.expose().try_into().unwrap());
        vec![pik.clone(), host.block(&mak, PLACE, said, &[&pik])]
    });
    assert!(matches!(twin, PadRefusal::KeyRefused { .. }), "{twin}");
    let master = answer(|host, said| {
        let pik = Pik::from_bytes(host.tmk.expose().try_into().unwrap());
        let pik = host.block(&pik, PLACE, said, &[]);
        vec![pik.clone(), host.block(&host.mak, PLACE, said, &[&pik])]
    });
    assert!(matches!(master, PadRefusal::KeyRefused { .. }), "{master}");
}

#[test]
fn the_pad_finds_its_own_nonce_slot_suite_and_tmk_in_sign_in() {
    let (mut terminal, host) = loaded();
    let pad = terminal.pad_mut();
    let kcv = tmk(1).kcv();
    type Change = fn(&[u8; 32], &[u8; 5]) -> Frame;
    let changes: [Change; 4] = [
        |nonce, kcv| sign_in(4, nonce, kcv),
        |_, kcv| sign_in(3, &[7; 32], kcv),
        |nonce, _| sign_in(3, nonce, &tmk(2).kcv()),
        |nonce, kcv| {
            let mut payload = sign_in(3, nonce, kcv).payload().to_vec();
            payload[5] = 1;
            Frame::from_payload(&payload).unwrap()
        },
    ];
    for (number, change) in changes.into_iter().enumerate() {
        let (_, nonce) = begin(pad, 0).unwrap();
        let said = change(&nonce, &kcv);
        assert!(is_0008(keys(pad, &said, &working(&host.blocks(&said, PLACE)))), "{number}");
        assert!(matches!(pad.session, Session::Idle));
    }
}

#[test]
fn nonces_are_never_the_same() {
    let (mut terminal, _) = loaded();
    let drawn: std::collections::HashSet<[u8; 32]> =
        (0..200).map(|_| begin(terminal.pad_mut(), 0).unwrap().1).collect();
    assert_eq!(drawn.len(), 200);
}

#[test]
fn a_slot_without_a_tmk_of_suite_02_is_0008() {
    let (mut terminal, _) = estate().full_terminal();
    load(&mut terminal, &paycrypto::keys::Tmk::generate().unwrap(), PLACE, None).unwrap();
    assert!(is_0008(begin(terminal.pad_mut(), 0)));
    assert_eq!(terminal.pad().sign_in_order(slot(3)), [(Suite::TDES, 0)]);
}

/// The newest TMK that has worked takes the slot up: what suite 01 had there goes, and suite 01 is 0009 from then on.
#[test]
fn the_first_sign_in_of_suite_02_takes_the_slot_up() {
    let (mut terminal, _) = estate().full_terminal();
    let old = paycrypto::keys::Tmk::generate().unwrap();
    load(&mut terminal, &old, PLACE, None).unwrap();
    let pad = terminal.pad_mut();
    pad.give_ec_tmk(slot(3), tmk(1));
    assert_eq!(pad.sign_in_order(slot(3)), [(Suite::EC_AES, 0), (Suite::TDES, 0)]);
    // Until then the host may still know nothing but the old one.
    let (rnd1, kcv) = SignInPad::<Tdes>::sign_in_begin(pad, slot(3), 0).unwrap();
    let before = Host::new(&old);
    let said = crate::testing::session_peers::sign_in(3, &rnd1.0, kcv.as_bytes());
    let mac = SignInPad::<Tdes>::sign_in_keys(pad, &said, &before.working_keys(&said, PLACE)).unwrap();
    let confirm = crate::testing::session_peers::confirm(&mac.0);
    SignInPad::<Tdes>::sign_in_done(pad, &confirm, &before.done(&said)).unwrap();
    assert!(before.mak.verifies(b"data", &pad.mac(slot(3), b"data").unwrap()));

    let host = EcHost::new(&tmk(1));
    signed_in(pad, &host, 0).unwrap();
    assert_eq!(pad.mac(slot(3), b"data").unwrap(), host.mak.mac(b"data"));
    assert_eq!(pad.sign_in_order(slot(3)), [(Suite::EC_AES, 0)]);
    let refusal = SignInPad::<Tdes>::sign_in_begin(pad, slot(3), 0).unwrap_err();
    assert!(matches!(refusal, PadRefusal::SuiteNotSupported { .. }), "{refusal}");
}

/// The older TMK working says nothing of the newer: a host whose download was cut gets to know it yet.
#[test]
fn a_sign_in_with_the_older_tmk_keeps_the_newer() {
    let (mut terminal, older) = loaded();
    let pad = terminal.pad_mut();
    signed_in(pad, &older, 0).unwrap();
    pad.give_ec_tmk(slot(3), tmk(2));
    assert_eq!(pad.sign_in_order(slot(3)), [(Suite::EC_AES, 0), (Suite::EC_AES, 1)]);
    signed_in(pad, &EcHost::new(&tmk(1)), 1).unwrap();
    assert_eq!(pad.sign_in_order(slot(3)).len(), 2);
    signed_in(pad, &EcHost::new(&tmk(2)), 0).unwrap();
    assert_eq!(pad.sign_in_order(slot(3)), [(Suite::EC_AES, 0)]);
}

#[test]
fn steps_of_the_other_suite_find_no_sign_in() {
    let (mut terminal, host) = loaded();
    let pad = terminal.pad_mut();
    let (said, _) = begin(pad, 0).unwrap();
    let blocks = working(&host.blocks(&said, PLACE));
    assert!(is_0008(SignInPad::<Tdes>::sign_in_keys(pad, &said, &blocks)));
    assert!(is_0008(keys(pad, &said, &blocks)), "it ended the sign-in");
}
