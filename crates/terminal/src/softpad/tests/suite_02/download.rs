//! A TMK download in suite 02 by an independent KMS.

use flows::suite::Part;
use flows::tmk_download::terminal::Start;
use flows::tmk_download::{DownloadPad, PadRefusal};
use flows::{EcAes, Loaded, Tdes};
use paycrypto::ec::keys::{Auk, Tek, Tmk};
use paycrypto::ec::{LoadedKey, SCALAR, Tk};
use rstest::rstest;
use wire::{Device, Frame, Kcv, MessageType, Serial, Suite};

use super::peers::{Kms, acquirer, with};
use super::{malformed, off_the_curve, refusals, spoiled};
use crate::softpad::download::Session;
use crate::softpad::download_ec::DownloadSession;
use crate::softpad::ephemeral::OwnEphemeral;
use crate::softpad::held_tk::HeldTk;
use crate::testing::{Shared, slot};
use crate::{PinPad, Terminal};

const PLACE: &str = "SN-1001/03";

fn device() -> Device {
    Device::built_in(Serial::parse("SN-1001").unwrap())
}

/// A terminal that was collected in suite 02, and the KMS that holds its TK.
fn collected() -> (Terminal, Kms) {
    let mut terminal = acquirer().terminal();
    let tk = Tk::generate().unwrap();
    terminal.pad_mut().state.tk = Some(HeldTk::ec_aes(&tk));
    (terminal, Kms::new(tk))
}

fn hello(terminal: &mut Terminal) -> Frame {
    Start::<EcAes>::of(device(), slot(3)).begin(terminal.pad_mut()).unwrap().0
}

fn challenged(terminal: &mut Terminal, hello: &Frame, challenge: &Frame) -> Result<Frame, PadRefusal> {
    let proof = DownloadPad::<EcAes>::challenge(terminal.pad_mut(), hello, challenge)?;
    Ok(with(0x03, 0xDF15, &proof.0))
}

/// A download up to TK_REPLY; gives that.
fn replied(terminal: &mut Terminal, kms: &mut Kms) -> Frame {
    let hello = hello(terminal);
    let challenge = kms.challenge(&hello);
    let reply = challenged(terminal, &hello, &challenge).unwrap();
    kms.take(&reply);
    reply
}

fn keyed(terminal: &mut Terminal, reply: &Frame, key: &Frame) -> Result<(Kcv, Frame), PadRefusal> {
    let Loaded { kcvs, confirmation } = DownloadPad::<EcAes>::key(terminal.pad_mut(), reply, key)?;
    Ok((kcvs[0], with(0x05, 0xDF17, &confirmation.0)))
}

fn done(terminal: &mut Terminal, confirm: &Frame, done: &Frame) -> Result<(), PadRefusal> {
    DownloadPad::<EcAes>::done(terminal.pad_mut(), confirm, done)
}

/// A whole download of this TMK.
fn download(terminal: &mut Terminal, kms: &mut Kms, tmk: &Tmk, counter: u64) -> Result<Kcv, PadRefusal> {
    let reply = replied(terminal, kms);
    let key = kms.key(tmk, PLACE, counter);
    let (kcv, confirm) = keyed(terminal, &reply, &key)?;
    let last = kms.done(&key, &confirm, LoadedKey { index: 3, kcv: tmk.kcv() });
    done(terminal, &confirm, &last)?;
    Ok(kcv)
}

#[test]
fn worked_values_of_a_download_in_suite_02_pass_through_the_pad() {
    // Origin: vectors/ec-suite.json, download.
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../vectors/ec-suite.json");
    let file: serde_json::Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let text = |name: &str| file["download"][name].as_str().unwrap();
    let hex = |name: &str| calc_hex(text(name));
    let frame = |name: &str| Frame::from_payload(&hex(name)).unwrap();
    let scalar = u16::from_str_radix(text("terminal_ephemeral_scalar"), 16).unwrap();
    let mut padded = [0; SCALAR];
    padded[SCALAR - 2..].copy_from_slice(&scalar.to_be_bytes());
    let hello = frame("m1");
    let opening = flows::suite::Ephemeral::read(&hello.message().unwrap().fields).unwrap();
    let own = OwnEphemeral::of(&padded, opening.nonce);
    assert_eq!(own.public(), opening, "the scalar is this point's");

    let mut terminal = acquirer().terminal();
    let (tek, auk) = (hex("tek").try_into().unwrap(), hex("auk").try_into().unwrap());
    let tk = Tk::from_keys(Tek::from_bytes(&tek), Auk::from_bytes(&auk)).unwrap();
    let pad = terminal.pad_mut();
    pad.state.tk = Some(HeldTk::ec_aes(&tk));
    pad.session = Session::DownloadEc(DownloadSession::Started { slot: slot(3), own });
    assert_eq!(challenged(&mut terminal, &hello, &frame("m2")).unwrap(), frame("m3"));
    let (kcv, confirm) = keyed(&mut terminal, &frame("m3"), &frame("m4")).unwrap();
    assert_eq!(confirm, frame("m5"));
    let tmk = Tmk::from_bytes(&hex("tmk").try_into().unwrap());
    assert_eq!(kcv, Kcv::Aes(tmk.kcv()));
    done(&mut terminal, &confirm, &with(0x06, 0xDF17, &hex("receipt_s"))).unwrap();
    assert!(terminal.pad().slots()[0].done);
}

fn calc_hex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}

#[test]
fn the_old_tmk_goes_after_dones_receipt_and_not_before() {
    let (mut terminal, mut kms) = collected();
    let (first, second) = (Tmk::generate().unwrap(), Tmk::generate().unwrap());
    let old = download(&mut terminal, &mut kms, &first, 1).unwrap();
    let reply = replied(&mut terminal, &mut kms);
    let key = kms.key(&second, PLACE, 2);
    let (new, confirm) = keyed(&mut terminal, &reply, &key).unwrap();
    let good = kms.done(&key, &confirm, LoadedKey { index: 3, kcv: second.kcv() });
    let refused = done(&mut terminal, &confirm, &spoiled(&good, wire::Tag::RECEIPT)).unwrap_err();
    assert!(matches!(refused, PadRefusal::ServerNotProven), "{refused}");
    let status = &terminal.pad().slots()[0];
    assert_eq!((status.kcv, status.previous, status.done), (new, Some(old), false), "both are there");
    // The KMS sends its pending key again, under the next counter.
    assert_eq!(download(&mut terminal, &mut kms, &second, 3).unwrap(), new);
    let status = &terminal.pad().slots()[0];
    assert_eq!((status.kcv, status.previous, status.done), (new, None, true));
}

#[rstest]
#[case::the_same(5)]
#[case::lower(4)]
#[case::too_far(5 + 65_537)]
fn r21_a_load_counter_that_does_not_follow_is_refused(#[case] counter: u64) {
    let (mut terminal, mut kms) = collected();
    download(&mut terminal, &mut kms, &Tmk::generate().unwrap(), 5).unwrap();
    let before = terminal.pad().slots();
    let refused = download(&mut terminal, &mut kms, &Tmk::generate().unwrap(), counter).unwrap_err();
    assert!(matches!(refused, PadRefusal::KeyRefused { .. }), "{refused}");
    assert_eq!(terminal.pad().slots(), before);
    assert!(refusals(&terminal).last().unwrap().starts_with("TK_KEY 0007"));
    download(&mut terminal, &mut kms, &Tmk::generate().unwrap(), 5 + 65_536).unwrap();
}

#[test]
fn r21_a_server_that_collected_anew_goes_on_counting_or_begins_again() {
    // Past 65 536 keys for a slot its server's counter is more than a stranger may begin with.
    for (counter, taken) in [(120_001, true), (120_000 + 65_537, false), (120_000, false), (1, true)] {
        let (mut terminal, mut kms) = collected();
        for sent in [60_000, 120_000] {
            download(&mut terminal, &mut kms, &Tmk::generate().unwrap(), sent).unwrap();
        }
        let tk = Tk::generate().unwrap();
        terminal.pad_mut().wipe_tk();
        terminal.pad_mut().state.tk = Some(HeldTk::ec_aes(&tk));
        let loaded = download(&mut terminal, &mut Kms::new(tk), &Tmk::generate().unwrap(), counter);
        assert_eq!(loaded.is_ok(), taken, "{counter}");
    }
}

#[test]
fn a_challenge_of_another_tk_proves_nothing() {
    let (mut terminal, _) = collected();
    let hello = hello(&mut terminal);
    let challenge = Kms::new(Tk::generate().unwrap()).challenge(&hello);
    let refused = challenged(&mut terminal, &hello, &challenge).unwrap_err();
    assert!(matches!(refused, PadRefusal::ServerNotProven));
    assert!(refusals(&terminal).last().unwrap().starts_with("TK_CHALLENGE 0005"));
}

#[test]
fn a_challenge_of_another_session_proves_nothing() {
    let (mut terminal, mut kms) = collected();
    let first = hello(&mut terminal);
    let recorded = kms.challenge(&first);
    let second = hello(&mut terminal);
    let refused = challenged(&mut terminal, &second, &recorded).unwrap_err();
    assert!(matches!(refused, PadRefusal::ServerNotProven));
}

#[test]
fn every_changed_byte_of_challenge_and_key_is_refused() {
    let (mut terminal, mut kms) = collected();
    let payload = |frame: &Frame| frame.payload().to_vec();
    let hello_length = payload(&kms.challenge(&hello(&mut terminal))).len();
    for at in 2..hello_length {
        let hello = hello(&mut terminal);
        let mut bytes = payload(&kms.challenge(&hello));
        bytes[at] ^= 1;
        let Ok(changed) = Frame::from_payload(&bytes) else { continue };
        assert!(challenged(&mut terminal, &hello, &changed).is_err(), "byte {at}");
    }
    let tmk = Tmk::generate().unwrap();
    let reply = replied(&mut terminal, &mut kms);
    let length = payload(&kms.key(&tmk, PLACE, 1)).len();
    drop(reply);
    for at in (2..length).step_by(5) {
        let reply = replied(&mut terminal, &mut kms);
        let mut bytes = payload(&kms.key(&tmk, PLACE, 1));
        bytes[at] ^= 1;
        let Ok(changed) = Frame::from_payload(&bytes) else { continue };
        assert!(keyed(&mut terminal, &reply, &changed).is_err(), "byte {at}");
    }
    assert!(terminal.pad().slots().is_empty());
}

#[test]
fn malformed_challenges_are_refused_by_name() {
    let (mut terminal, mut kms) = collected();
    let first = hello(&mut terminal);
    let good = kms.challenge(&first);
    for (bad, defect) in malformed(&good, Some(wire::Tag::CONFIRMATION)) {
        let hello = hello(&mut terminal);
        let refused = challenged(&mut terminal, &hello, &bad).unwrap_err();
        assert_eq!(refused, PadRefusal::Malformed(defect), "{defect}");
    }
    let hello = hello(&mut terminal);
    let refused = challenged(&mut terminal, &hello, &off_the_curve(&good)).unwrap_err();
    assert!(matches!(refused, PadRefusal::Malformed(_)), "{refused}");
}

#[test]
fn a_key_for_another_place_or_context_is_refused() {
    let (mut terminal, mut kms) = collected();
    let tmk = Tmk::generate().unwrap();
    for place in ["SN-1001/04", "SN-1002/03"] {
        let reply = replied(&mut terminal, &mut kms);
        let key = kms.key(&tmk, place, 1);
        assert!(matches!(keyed(&mut terminal, &reply, &key), Err(PadRefusal::KeyRefused { .. })), "{place}");
    }
    let reply = replied(&mut terminal, &mut kms);
    let recorded = kms.key(&tmk, PLACE, 1);
    assert!(keyed(&mut terminal, &reply, &recorded).is_ok());
    let reply = replied(&mut terminal, &mut kms);
    assert!(
        matches!(keyed(&mut terminal, &reply, &recorded), Err(PadRefusal::KeyRefused { .. })),
        "replayed"
    );
}

#[test]
fn after_suite_02_a_slot_is_not_filled_in_suite_01_until_repair() {
    let (mut terminal, mut kms) = collected();
    download(&mut terminal, &mut kms, &Tmk::generate().unwrap(), 1).unwrap();
    let refused = DownloadPad::<Tdes>::start(terminal.pad_mut(), slot(3)).unwrap_err();
    assert!(matches!(refused, PadRefusal::SuiteNotSupported { .. }), "{refused}");
    terminal.pad_mut().state.completed.lift();
    let refused = DownloadPad::<Tdes>::start(terminal.pad_mut(), slot(3)).unwrap_err();
    assert!(matches!(refused, PadRefusal::NotPermitted { .. }), "only its TK is missing: {refused}");
}

#[test]
fn without_a_tk_of_suite_02_nothing_begins() {
    let mut terminal = acquirer().terminal();
    let refused = DownloadPad::<EcAes>::start(terminal.pad_mut(), slot(3)).unwrap_err();
    assert!(matches!(refused, PadRefusal::NotPermitted { .. }));
    assert_eq!(terminal.pad().tk_suite(), Suite::TDES, "there is none");
}

#[test]
fn calls_out_of_order_are_refused_in_suite_02() {
    let (mut terminal, mut kms) = collected();
    let hello = hello(&mut terminal);
    let challenge = kms.challenge(&hello);
    challenged(&mut terminal, &hello, &challenge).unwrap();
    assert!(challenged(&mut terminal, &hello, &challenge).is_err(), "one nonce serves one challenge");
    let empty = Frame::new(MessageType::Done, &wire::Fields::new()).unwrap();
    assert!(keyed(&mut terminal, &empty, &empty).is_err());
    assert!(done(&mut terminal, &empty, &empty).is_err());
}

#[test]
fn a_power_cut_after_each_step_of_suite_02_leaves_the_old_tmk_or_the_new_one() {
    for cut in 0..=3 {
        let disk = Shared::new();
        let mut terminal = acquirer().terminal_in(&disk);
        let tk = Tk::generate().unwrap();
        terminal.pad_mut().change(|state| state.tk = Some(HeldTk::ec_aes(&tk))).unwrap();
        let mut kms = Kms::new(tk);
        let (first, second) = (Tmk::generate().unwrap(), Tmk::generate().unwrap());
        let old = download(&mut terminal, &mut kms, &first, 1).unwrap();
        let new = Kcv::Aes(second.kcv());
        if cut >= 1 {
            let reply = replied(&mut terminal, &mut kms);
            if cut >= 2 {
                let key = kms.key(&second, PLACE, 2);
                let (_, confirm) = keyed(&mut terminal, &reply, &key).unwrap();
                if cut == 3 {
                    let last = kms.done(&key, &confirm, LoadedKey { index: 3, kcv: second.kcv() });
                    done(&mut terminal, &confirm, &last).unwrap();
                }
            }
        }
        drop(terminal);
        let mut terminal = Terminal::open_from(disk).unwrap();
        let status = terminal.pad().slots()[0].clone();
        let expected = match cut {
            0 | 1 => (old, None, true),
            2 => (new, Some(old), false),
            _ => (new, None, true),
        };
        assert_eq!((status.kcv, status.previous, status.done), expected, "cut {cut}");
        // An old counter does not come back with the power.
        if cut >= 2 {
            assert!(download(&mut terminal, &mut kms, &second, 2).is_err(), "cut {cut}");
        }
        assert_eq!(download(&mut terminal, &mut kms, &second, 3).unwrap(), new, "cut {cut}");
    }
}
