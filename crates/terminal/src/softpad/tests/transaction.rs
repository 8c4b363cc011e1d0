//! PIN blocks, MACs and track data: whose key, how often, and every refusal by name.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use flows::PadRefusal;
use paycrypto::TdesKey;
use paycrypto::keys::{Mak, Pik, Tdk, Tmk};
use pinblock::{Format, Pan, Pin};
use rstest::rstest;
use wire::Suite;

use crate::board::{Readings, SharedBoard};
use crate::softpad::owner::OwnerKind;
use crate::softpad::slot_keys::{Held, SlotKeys, take};
use crate::testing::{Shared, estate, slot};
use crate::transaction::{MAX_MAC_DATA, MAX_TRACK};
use crate::{Clock, LifeCycle, PinPad, SoftPad, Terminal, TransactionPad};

const PAN: &str = "4111111111111111";

/// A clock whose time somebody sets, and whose uptime nobody does.
#[derive(Clone, Default)]
pub(super) struct Hands(Arc<Mutex<(i64, Duration)>>);

impl Hands {
    pub(super) fn set(&self, now: i64, uptime: u64) {
        *self.0.lock().unwrap() = (now, Duration::from_secs(uptime));
    }
}

impl Clock for Hands {
    fn now(&self) -> i64 {
        self.0.lock().unwrap().0
    }

    fn uptime(&self) -> Duration {
        self.0.lock().unwrap().1
    }
}

/// The keys that a test terminal signed in with, of which the test keeps copies.
struct Keys {
    pik: TdesKey,
    mak: TdesKey,
    tdk: TdesKey,
}

fn copy(key: &TdesKey) -> TdesKey {
    TdesKey::from_bytes(key.expose()).unwrap()
}

/// Working keys in slot 3, and in slot 4 a TMK alone.
fn give_keys(terminal: &mut Terminal) -> Keys {
    let keys = Keys {
        pik: TdesKey::generate24().unwrap(),
        mak: TdesKey::generate16().unwrap(),
        tdk: TdesKey::generate24().unwrap(),
    };
    let pad = terminal.pad_mut();
    let owner = pad.state.owner_by(OwnerKind::Root, Suite::TDES, b"root");
    let mut held = SlotKeys::first(owner, Tmk::generate().unwrap());
    held.working.pik = Some(Held::finished(Pik::from_key(copy(&keys.pik)).unwrap()));
    held.working.mak = Some(Held::finished(Mak::from_key(copy(&keys.mak)).unwrap()));
    held.working.tdk = Some(Held::finished(Tdk::from_key(copy(&keys.tdk)).unwrap()));
    pad.change(|state| {
        state.tdes.slots.insert(slot(3), held);
        state.tdes.slots.insert(slot(4), SlotKeys::first(owner, Tmk::generate().unwrap()));
    })
    .unwrap();
    pad.deploy().unwrap();
    keys
}

fn signed_in() -> (Terminal, SharedBoard, Keys) {
    let mut terminal = estate().terminal();
    let board = SharedBoard::default();
    terminal.set_board(board.clone());
    let keys = give_keys(&mut terminal);
    (terminal, board, keys)
}

fn pin(digits: &str) -> Pin {
    Pin::new(digits).unwrap()
}

fn pin_block(pad: &mut SoftPad, index: u8, format: Format) -> Result<[u8; 8], PadRefusal> {
    let block = pad.pin_block(slot(index), pin("1234"), &Pan::new(PAN).unwrap(), format)?;
    Ok(block.try_into().unwrap())
}

fn why(refusal: PadRefusal) -> String {
    match refusal {
        PadRefusal::NotPermitted { why } => why,
        other => panic!("{other}"),
    }
}

#[rstest]
#[case(Format::Iso0)]
#[case(Format::Iso3)]
fn a_pin_block_of_formats_0_and_3_opens_under_the_pik_with_its_pan_only(#[case] format: Format) {
    let (mut terminal, _, keys) = signed_in();
    let block = pin_block(terminal.pad_mut(), 3, format).unwrap();
    let clear = keys.pik.decrypt_block(block);
    let opened = pinblock::decode(format, &clear, Some(&Pan::new(PAN).unwrap())).unwrap();
    assert_eq!(opened.expose(), "1234");
    // Digit 10 is in the right 12 without the check digit.
    let other = Pan::new("4111111119111111").unwrap();
    let other = pinblock::decode(format, &clear, Some(&other));
    assert!(other.map_or(true, |pin| pin.expose() != "1234"));
}

#[test]
fn format_3_is_another_block_each_time() {
    let (mut terminal, ..) = signed_in();
    let a = pin_block(terminal.pad_mut(), 3, Format::Iso3).unwrap();
    assert_ne!(a, pin_block(terminal.pad_mut(), 3, Format::Iso3).unwrap());
}

#[rstest]
#[case(Format::Iso1)]
#[case(Format::Iso2)]
#[case(Format::Iso4)]
fn another_format_is_0008(#[case] format: Format) {
    let (mut terminal, ..) = signed_in();
    let refusal = why(pin_block(terminal.pad_mut(), 3, format).unwrap_err());
    assert_eq!(refusal, "a PIN pad of suite 01 makes PIN blocks of formats 0 and 3");
    assert_eq!(terminal.pad().pins_left(), 120);
}

#[test]
fn a_pan_that_is_too_short_to_bind_is_0008_and_takes_no_pin() {
    let (mut terminal, ..) = signed_in();
    let pan = Pan::new("41111").unwrap();
    let refusal = terminal.pad_mut().pin_block(slot(3), pin("1234"), &pan, Format::Iso0).unwrap_err();
    assert!(!why(refusal).contains("41111"));
    assert_eq!(terminal.pad().pins_left(), 120);
}

#[test]
fn a_mac_is_that_of_the_slots_mak() {
    let (mut terminal, _, keys) = signed_in();
    let mac = terminal.pad_mut().mac(slot(3), b"0200 amount").unwrap();
    let mak = Mak::from_key(keys.mak).unwrap();
    assert!(mak.verifies(b"0200 amount", &mac));
    let most = vec![7; MAX_MAC_DATA];
    assert!(mak.verifies(&most, &terminal.pad_mut().mac(slot(3), &most).unwrap()));
    let refusal = terminal.pad_mut().mac(slot(3), &[most, vec![7]].concat()).unwrap_err();
    assert_eq!(why(refusal), "a MAC is over at most 65536 bytes");
}

#[test]
fn track_data_opens_under_the_tdk_and_is_another_cipher_each_time() {
    let (mut terminal, _, keys) = signed_in();
    let track = b"4111111111111111=30121011234567890";
    let pad = terminal.pad_mut();
    let (a, b) = (pad.encrypt_track(slot(3), track).unwrap(), pad.encrypt_track(slot(3), track).unwrap());
    assert_ne!(a, b);
    let tdk = Tdk::from_key(keys.tdk).unwrap();
    assert_eq!(tdk.decrypt_track(&a).unwrap().as_slice(), track);
    pad.encrypt_track(slot(3), &[b'1'; MAX_TRACK]).unwrap();
    let refusal = pad.encrypt_track(slot(3), &[b'1'; MAX_TRACK + 1]).unwrap_err();
    assert_eq!(why(refusal), "track data is at most 512 bytes");
}

#[test]
fn a_slot_without_working_keys_is_0008_and_another_slots_key_is_not_taken() {
    let (mut terminal, ..) = signed_in();
    let pad = terminal.pad_mut();
    for index in [4, 5] {
        let name = slot(index);
        assert_eq!(
            why(pin_block(pad, index, Format::Iso0).unwrap_err()),
            format!("slot {name} has no PIK: sign in first")
        );
        assert_eq!(why(pad.mac(name, b"").unwrap_err()), format!("slot {name} has no MAK: sign in first"));
        assert_eq!(
            why(pad.encrypt_track(name, b"").unwrap_err()),
            format!("slot {name} has no TDK: sign in first")
        );
    }
    assert_eq!(pad.pins_left(), 120);
}

#[test]
fn a_key_whose_done_has_not_arrived_is_not_worked_with() {
    let (mut terminal, _, keys) = signed_in();
    let pad = terminal.pad_mut();
    // As RKS_KEYS puts it there before DONE.
    pad.change(|state| {
        take(&mut state.tdes.slots.get_mut(&slot(3)).unwrap().working.mak, Mak::generate().unwrap());
        take(&mut state.tdes.slots.get_mut(&slot(4)).unwrap().working.mak, Mak::generate().unwrap());
    })
    .unwrap();
    let mac = pad.mac(slot(3), b"data").unwrap();
    assert!(Mak::from_key(keys.mak).unwrap().verifies(b"data", &mac));
    assert!(matches!(pad.mac(slot(4), b"data"), Err(PadRefusal::NotPermitted { .. })));
}

/// Every call of a transaction.
fn calls(pad: &mut SoftPad) -> [Result<(), PadRefusal>; 3] {
    [
        pin_block(pad, 3, Format::Iso0).map(|_| ()),
        pad.mac(slot(3), b"data").map(|_| ()),
        pad.encrypt_track(slot(3), b"track").map(|_| ()),
    ]
}

#[test]
fn outside_the_field_everything_is_0008_and_recorded() {
    for state in LifeCycle::ALL.into_iter().filter(|state| *state != LifeCycle::Deployed) {
        let (mut terminal, ..) = signed_in();
        let pad = terminal.pad_mut();
        pad.state.life_cycle = state;
        for result in calls(pad) {
            assert!(matches!(result, Err(PadRefusal::NotPermitted { .. })), "{state}");
        }
        assert_eq!(pad.refusals().newest().unwrap().check, "life-cycle", "{state}");
        assert_eq!(pad.refusals().total(), 3);
    }
}

#[test]
fn an_open_lid_wipes_before_a_pin_is_encrypted() {
    for call in 0..3 {
        let (mut terminal, board, _) = signed_in();
        board.change(|readings| readings.lid_openings += 1);
        let pad = terminal.pad_mut();
        assert!(matches!(calls(pad)[call], Err(PadRefusal::NotPermitted { .. })));
        assert_eq!(pad.life_cycle(), LifeCycle::Tampered);
        assert!(!pad.state.has_keys());
    }
}

#[test]
fn a_hot_terminal_encrypts_no_pin_and_keeps_its_keys() {
    let (mut terminal, board, _) = signed_in();
    board.change(|readings| readings.celsius = 60);
    for result in calls(terminal.pad_mut()) {
        assert!(matches!(result, Err(PadRefusal::NotPermitted { .. })));
    }
    board.change(|readings| *readings = Readings::NOMINAL);
    for result in calls(terminal.pad_mut()) {
        result.unwrap();
    }
}

#[test]
fn the_121st_pin_is_0008_recorded_once_and_half_a_minute_later_there_is_one() {
    let (mut terminal, ..) = signed_in();
    let hands = Hands::default();
    hands.set(1_800_000_000, 0);
    terminal.set_clock(hands.clone());
    let pad = terminal.pad_mut();
    for number in 0..120 {
        pin_block(pad, 3, Format::Iso0).unwrap_or_else(|refusal| panic!("{number}: {refusal}"));
    }
    for _ in 0..3 {
        let refusal = why(pin_block(pad, 3, Format::Iso3).unwrap_err());
        assert_eq!(refusal, "120 PINs an hour are encrypted at most: try again in 30 s");
    }
    assert_eq!((pad.refusals().newest().unwrap().check.as_str(), pad.refusals().total()), ("PIN rate", 1));
    // Other keys are not held up.
    pad.mac(slot(3), b"data").unwrap();
    // The time of day is anybody's; how long it runs is not.
    hands.set(1_900_000_000, 29);
    assert!(pin_block(pad, 3, Format::Iso0).is_err());
    hands.set(1_900_000_000, 30);
    pin_block(pad, 3, Format::Iso0).unwrap();
    assert!(pin_block(pad, 3, Format::Iso0).is_err());
}

#[test]
fn a_power_cut_gives_no_pin_back() {
    let disk = Shared::new();
    let mut terminal = Terminal::new_in(disk.clone(), estate().new_terminal()).unwrap();
    give_keys(&mut terminal);
    let hands = Hands::default();
    hands.set(1_800_000_000, 0);
    for left in (110..120).rev() {
        terminal.set_clock(hands.clone());
        pin_block(terminal.pad_mut(), 3, Format::Iso0).unwrap();
        terminal = Terminal::open_from(disk.clone()).unwrap();
        terminal.set_clock(hands.clone());
        assert_eq!(terminal.status().pins_left, left);
    }
}

/// Whoever holds a terminal sets its clock and cuts its power as often as they like.
#[test]
fn a_clock_set_forward_before_each_power_cut_gives_no_pin() {
    let disk = Shared::new();
    let mut terminal = Terminal::new_in(disk.clone(), estate().new_terminal()).unwrap();
    give_keys(&mut terminal);
    let hands = Hands::default();
    let mut pins = 0;
    for hour in 0..5 {
        hands.set(1_800_000_000 + 3_600 * hour, 0);
        terminal.set_clock(hands.clone());
        while pin_block(terminal.pad_mut(), 3, Format::Iso0).is_ok() {
            pins += 1;
        }
        drop(terminal);
        terminal = Terminal::open_from(disk.clone()).unwrap();
    }
    assert_eq!(pins, 120);
}

#[test]
fn a_full_disk_gives_no_pin_block_out() {
    let disk = Shared::new();
    let mut terminal = Terminal::new_in(disk.clone(), estate().new_terminal()).unwrap();
    give_keys(&mut terminal);
    disk.full_after(0);
    let refusal = pin_block(terminal.pad_mut(), 3, Format::Iso0).unwrap_err();
    assert!(matches!(refusal, PadRefusal::Failed { .. }), "{refusal}");
    disk.full_after(usize::MAX);
    pin_block(terminal.pad_mut(), 3, Format::Iso0).unwrap();
}

#[test]
fn no_pin_and_no_pan_is_in_what_is_stored_or_shown() {
    let (mut terminal, ..) = signed_in();
    let pan = Pan::new(PAN).unwrap();
    let pad = terminal.pad_mut();
    for digits in ["839201", "8392017465"] {
        pad.pin_block(slot(3), pin(digits), &pan, Format::Iso0).unwrap();
    }
    let stored = pad.state.encode().unwrap();
    let shown = format!("{terminal:?}");
    for digits in ["839201", PAN] {
        assert!(!stored.windows(digits.len()).any(|window| window == digits.as_bytes()));
        assert!(!shown.contains(digits));
    }
}
