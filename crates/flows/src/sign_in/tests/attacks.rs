//! Somebody on the line who holds no key, or a host or terminal that is not who it says.

use wire::{ErrorCode, Frame, Kcv, Slot, Suite};

use super::fake::{Host, Pad, device, kcv, slot, until_confirm, until_keys};
use crate::{
    PadRefusal, Tdes,
    sign_in::{
        Fault, Reason,
        host::ExpectSignIn,
        messages::{Rnd1, SignIn, SignInConfirm, SignedIn, WorkingKeys},
        terminal::{ExpectDone, Start},
    },
};

#[track_caller]
fn assert_key_refused(result: Result<(Frame, ExpectDone), Fault>, why: &str) {
    let fault = result.unwrap_err();
    assert_eq!(fault.reason, Reason::Pad(PadRefusal::KeyRefused { why: why.into() }));
    assert_eq!(fault.code, ErrorCode::KeyRefused);
}

/// A stranger learns nothing: every refusal before the confirmation is the same answer.
#[test]
fn unknown_serial_slot_check_value_pair_and_suite_are_the_same_0006() {
    let (sn, pin_pad) = (device().sn().clone(), device().sn().clone());
    let same = Fault::from(Reason::WrongMac).answer();
    for reason in [
        Reason::UnknownTerminal { sn: sn.clone() },
        Reason::WrongPinPad { sn: sn.clone(), pin_pad },
        Reason::NoTmk { sn: sn.clone(), slot: slot() },
        Reason::OtherTmk { sn, slot: slot() },
        Reason::SuiteNotSupported { suite: Suite::EC_AES },
    ] {
        let fault = Fault::from(reason);
        assert_eq!((fault.code, fault.answer()), (ErrorCode::TerminalAuthenticationFailed, same.clone()));
    }
    let mut host = Host { knows_nobody: true, ..Host::new() };
    let (sign_in, _) = Start::new(device(), slot(), 0).begin(&mut Pad::default()).unwrap();
    assert_eq!(host.deliver(&sign_in).unwrap_err().answer(), same);
}

#[test]
fn replayed_keys_are_refused() {
    let (mut pad, mut host) = (Pad::default(), Host::new());
    let (_, _, [_, old]) = until_keys(&mut pad, &mut host);
    let (terminal, ..) = until_keys(&mut pad, &mut host);
    assert_key_refused(terminal.on_frame(&mut pad, &old), "context");
}

#[test]
fn sign_in_changed_on_the_way_makes_keys_that_the_terminal_refuses() {
    let changes: [fn(&mut SignIn); 3] = [
        |message| message.slot = Slot::new(4).unwrap(),
        |message| message.fresh = Rnd1([7; 8]),
        |message| message.kcv = kcv(super::fake::OLD_TMK),
    ];
    for change in changes {
        let (mut pad, mut host) = (Pad::default(), Host::new());
        let (sign_in, terminal) = Start::new(device(), slot(), 0).begin(&mut pad).unwrap();
        let mut message = <SignIn>::read(&sign_in).unwrap();
        change(&mut message);
        let (keys, _) = host.deliver(&message.write().unwrap()).unwrap();
        assert_key_refused(terminal.on_frame(&mut pad, &keys), "context");
    }
}

/// Keys in another order or mixed: all of the message is refused, and no key takes another's use.
#[test]
fn keys_of_one_answer_stay_together_and_in_order() {
    let change = |change: &dyn Fn(&mut WorkingKeys)| {
        let (mut pad, mut host) = (Pad::default(), Host { wants_a_track_key: true, ..Host::new() });
        let (terminal, _, [_, keys]) = until_keys(&mut pad, &mut host);
        let mut changed = WorkingKeys::read::<Tdes>(&keys).unwrap();
        change(&mut changed);
        let result = terminal.on_frame(&mut pad, &changed.write::<Tdes>().unwrap());
        assert!(result.is_ok() || pad.remembers.is_empty(), "all or none");
        result
    };
    assert_key_refused(change(&|keys| keys.blocks.swap(0, 1)), "use");
    assert_key_refused(change(&|keys| drop(keys.blocks.remove(0))), "use");
    assert_key_refused(change(&|keys| keys.blocks[1] = keys.blocks[0].replace("P0", "M3")), "context");
    assert_key_refused(change(&|keys| keys.blocks[1] = keys.blocks[1].replace("/03", "/04")), "place");
}

/// A track key cut off on the way: the MAC is over the check values of what came, and the host sees that.
#[test]
fn cut_off_track_key_is_not_confirmed_at_the_host() {
    let (mut pad, mut host) = (Pad::default(), Host { wants_a_track_key: true, ..Host::new() });
    let (terminal, server, [_, keys]) = until_keys(&mut pad, &mut host);
    let mut cut = WorkingKeys::read::<Tdes>(&keys).unwrap();
    cut.blocks.pop();
    let (confirm, _) = terminal.on_frame(&mut pad, &cut.write::<Tdes>().unwrap()).unwrap();
    let fault = host.done(server.on_frame(&confirm).unwrap()).unwrap_err();
    assert_eq!((fault.code, &fault.reason), (ErrorCode::TerminalAuthenticationFailed, &Reason::WrongMac));
    assert!(host.active.is_empty());
}

#[test]
fn wrong_and_replayed_confirmation_leave_the_old_keys_in_use() {
    let (mut pad, mut host) = (Pad::default(), Host::new());
    let (_, _, [.., old]) = until_confirm(&mut pad, &mut host);
    let mut wrong = <SignInConfirm>::read(&old).unwrap();
    wrong.mac.0[7] ^= 1;
    for confirm in [old, wrong.write().unwrap()] {
        let (_, server, _) = until_confirm(&mut pad, &mut host);
        assert!(host.done(server.on_frame(&confirm).unwrap()).is_err());
        assert!(host.active.is_empty());
    }
}

#[test]
fn forged_done_is_0005_and_the_old_keys_stay_in_use() {
    let (mut pad, mut host) = (Pad { disk: [9, 9].into(), ..Pad::default() }, Host::new());
    let (terminal, server, [.., confirm]) = until_confirm(&mut pad, &mut host);
    let mac = server.on_frame(&confirm).unwrap().mac();
    // The terminal's own MAC sent back is not the host's.
    let fault = terminal.on_frame(&mut pad, &SignedIn::<Tdes> { mac }.write().unwrap()).unwrap_err();
    assert_eq!(fault.code, ErrorCode::ServerAuthenticationFailed);
    assert_eq!((pad.disk.as_slice(), pad.calls.last()), (&[9, 9][..], Some(&"forget")));
}

#[test]
fn pin_pad_that_has_no_tmk_or_cannot_write_or_count_ends_the_sign_in() {
    let mut pad = Pad { has_no_tmk: true, ..Pad::default() };
    let fault = Start::new(device(), slot(), 0).begin(&mut pad).unwrap_err();
    assert_eq!((fault.code, pad.calls), (ErrorCode::NotPermittedNow, ["begin", "forget"].into()));
    for pad in [Pad { disk_is_full: true, ..Pad::default() }, Pad { counts_wrong: true, ..Pad::default() }] {
        let (mut pad, mut host) = (pad, Host::new());
        let (terminal, server, [.., confirm]) = until_confirm(&mut pad, &mut host);
        let done = host.done(server.on_frame(&confirm).unwrap()).unwrap();
        assert_eq!(terminal.on_frame(&mut pad, &done).unwrap_err().code, ErrorCode::Internal);
    }
}

#[test]
fn other_suite_gets_no_keys() {
    let (sign_in, _) = Start::new(device(), slot(), 0).begin(&mut Pad::default()).unwrap();
    let other = SignIn::<Tdes> { suite: Suite::EC_AES, ..SignIn::read(&sign_in).unwrap() };
    let asked = ExpectSignIn::new().on_frame(&other.write().unwrap()).unwrap();
    let fault = asked.deliver(&["P".into(), "M".into()]).unwrap_err();
    assert_eq!(fault.reason, Reason::SuiteNotSupported { suite: Suite::EC_AES });
}

#[test]
fn host_delivers_two_or_three_keys() {
    let blocks = ["P".into(), "M".into(), "D".into(), "X".into()];
    for (count, good) in [(0, false), (1, false), (2, true), (3, true), (4, false)] {
        let (sign_in, _) = Start::new(device(), slot(), 0).begin(&mut Pad::default()).unwrap();
        let result = ExpectSignIn::new().on_frame(&sign_in).unwrap().deliver(&blocks[..count]);
        match result {
            Ok((frame, _)) => {
                assert!(good);
                assert_eq!(WorkingKeys::read::<Tdes>(&frame).unwrap().blocks, blocks[..count]);
            }
            Err(fault) => assert_eq!((good, fault.code), (false, ErrorCode::Internal), "{count}"),
        }
    }
}

#[test]
fn check_value_is_one_of_this_suite() {
    let (sign_in, _) = Start::new(device(), slot(), 0).begin(&mut Pad::default()).unwrap();
    let other = SignIn::<Tdes> { kcv: Kcv::Aes([1; 5]), ..SignIn::read(&sign_in).unwrap() }.write().unwrap();
    let fault = ExpectSignIn::new().on_frame(&other).unwrap_err();
    assert_eq!(fault.code, ErrorCode::Malformed);
}
