//! Any sequence of sign-ins, transactions, power cuts, wipes and clocks: the two ends always have keys in common, nothing
//! is worked with that was not confirmed, and nobody gets more PINs than the rate allows.

use paycrypto::keys::Tmk;
use pinblock::{Format, Pan, Pin};
use proptest::prelude::*;
use wire::Kcv;

use super::transaction::Hands;
use crate::board::SharedBoard;
use crate::testing::peers::{accepted, frame, kld_key, load, tlv};
use crate::testing::session_peers::{Host, confirm, sign_in};
use crate::testing::sessions_01::Sessions01 as _;
use crate::testing::suite_01::Suite01;
use crate::testing::{Shared, estate, slot};
use crate::{Clock, LifeCycle, PinPad, SoftPad, Terminal, TransactionPad};

const PLACE: &str = "SN-1001/03";
const NOON: i64 = 1_800_000_000;

/// What may happen to a terminal that works.
#[derive(Debug, Clone, Copy)]
enum Happening {
    /// A new TMK is loaded; its DONE arrives or not.
    Load {
        done: bool,
    },
    /// A sign-in with the newest TMK that the host knows goes so far.
    SignIn {
        reach: Reach,
    },
    Mac,
    Pins(u8),
    /// Time passes, and somebody sets the clock so far off.
    Time {
        seconds: u32,
        off: i32,
    },
    PowerCut,
    OpenLid,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reach {
    SignIn,
    Keys,
    WrongDone,
    Done,
}

fn happening() -> impl Strategy<Value = Happening> {
    let reach = prop_oneof![1 => Just(Reach::SignIn), 1 => Just(Reach::Keys), 1 => Just(Reach::WrongDone), 3 => Just(Reach::Done)];
    prop_oneof![
        20 => any::<bool>().prop_map(|done| Happening::Load { done }),
        40 => reach.prop_map(|reach| Happening::SignIn { reach }),
        20 => Just(Happening::Mac),
        20 => (1..80_u8).prop_map(Happening::Pins),
        20 => (0..1800_u32, -7200..7200).prop_map(|(seconds, off)| Happening::Time { seconds, off }),
        15 => Just(Happening::PowerCut),
        1 => Just(Happening::OpenLid),
    ]
}

/// One sign-in of this host, which holds the newest TMK.
fn sign_in_to(pad: &mut SoftPad, host: &Host, reach: Reach) -> bool {
    let (rnd1, kcv) = pad.sign_in_begin(slot(3), 0).unwrap();
    assert_eq!(kcv, Kcv::Tdes(host.tmk.kcv()), "the newest TMK comes first");
    if reach == Reach::SignIn {
        return false;
    }
    let said = sign_in(3, &rnd1.0, kcv.as_bytes());
    let mac = pad.sign_in_keys(&said, &host.working_keys(&said, PLACE)).unwrap();
    assert_eq!(mac.0, host.confirmed(&said));
    match reach {
        Reach::SignIn | Reach::Keys => false,
        Reach::WrongDone => {
            let wrong = frame(0x06, &[tlv(0xDF52, &[7; 8])]);
            pad.sign_in_done(&confirm(&mac.0), &wrong).unwrap_err();
            false
        }
        Reach::Done => {
            pad.sign_in_done(&confirm(&mac.0), &host.done(&said)).unwrap();
            true
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn no_sequence_parts_terminal_and_host_or_beats_the_rate(
        happenings in proptest::collection::vec(happening(), 1..40),
    ) {
        let (disk, board, hands) = (Shared::new(), SharedBoard::default(), Hands::default());
        let mut terminal = Terminal::new_in(disk.clone(), estate().new_full_terminal()).unwrap();
        let (mut uptime, mut ran, mut pins) = (0_u64, 0_u64, 0_u64);
        hands.set(NOON, uptime);
        terminal.set_board(board.clone());
        terminal.set_clock(hands.clone());
        let first = Tmk::generate().unwrap();
        load(&mut terminal, &first, PLACE, None).unwrap();
        // What the host knows: the TMK that it would name, and the working keys of the last sign-in.
        let mut host = Host::new(&first);
        let mut working: Option<Host> = None;
        let pan = Pan::new("4111111111111111").unwrap();
        let mut wiped = false;
        for happening in happenings {
            let pad = terminal.pad_mut();
            match happening {
                Happening::Load { done } => {
                    let tmk = Tmk::generate().unwrap();
                    let loaded = if done {
                        load(&mut terminal, &tmk, PLACE, None).is_ok()
                    } else {
                        accepted(&mut terminal).is_ok_and(|(kld, accept)| {
                            let key = kld_key(&kld.fields(&kld.block(&tmk, PLACE), None));
                            Suite01::load(terminal.pad_mut(), &accept, &key).is_ok()
                        })
                    };
                    prop_assert_eq!(loaded, !wiped);
                    if loaded {
                        host = Host::new(&tmk);
                    }
                }
                Happening::SignIn { .. } if wiped => prop_assert!(pad.sign_in_begin(slot(3), 0).is_err()),
                Happening::SignIn { reach } => {
                    let new = Host::new(&host.tmk);
                    if sign_in_to(pad, &new, reach) {
                        working = Some(new);
                        // It has worked, so the one before it is gone.
                        prop_assert_eq!(pad.slots()[0].previous, None);
                    }
                }
                Happening::Mac => match (pad.mac(slot(3), b"data"), &working) {
                    (Ok(mac), Some(host)) => prop_assert!(host.mak.verifies(b"data", &mac)),
                    (made, _) => prop_assert!(made.is_err() && working.is_none()),
                },
                Happening::Pins(count) => {
                    for _ in 0..count {
                        let pin = Pin::new("1234").unwrap();
                        if let Ok(block) = pad.pin_block(slot(3), pin, &pan, Format::Iso0) {
                            pins += 1;
                            let clear = working.as_ref().unwrap().pik.decrypt_block(&block.try_into().unwrap());
                            let pin = pinblock::decode(Format::Iso0, &clear, Some(&pan)).unwrap();
                            prop_assert_eq!(pin.expose(), "1234");
                        }
                    }
                }
                Happening::Time { seconds, off } => {
                    let passed = u64::from(seconds);
                    (uptime, ran) = (uptime + passed, ran + passed);
                    let now = NOON + i64::try_from(ran).unwrap() + i64::from(off);
                    hands.set(now, uptime);
                }
                Happening::PowerCut => {
                    drop(terminal);
                    uptime = 0;
                    hands.set(hands.now(), uptime);
                    terminal = Terminal::open_from(disk.clone()).unwrap();
                    terminal.set_board(board.clone());
                    terminal.set_clock(hands.clone());
                }
                Happening::OpenLid => {
                    board.change(|readings| readings.lid_openings += 1);
                    let _ = terminal.poll();
                    (wiped, working) = (true, None);
                }
            }
            prop_assert!(pins <= 120 + ran / 30, "{} PINs", pins);
            let pad = terminal.pad();
            prop_assert_eq!(pad.life_cycle() == LifeCycle::Tampered, wiped);
            prop_assert_eq!(pad.slots().is_empty(), wiped);
            prop_assert!(pad.refusals().verify());
            if let Some(status) = pad.slots().first() {
                prop_assert_eq!(status.kcv, Kcv::Tdes(host.tmk.kcv()));
                prop_assert_eq!(status.working.mak, working.as_ref().map(|host| Kcv::Tdes(host.mak.kcv())));
            }
        }
    }
}
