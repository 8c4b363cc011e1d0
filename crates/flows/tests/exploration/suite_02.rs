//! How far suite 02 is explored, and what must be found there.

use keyferry_flows::EcAes;

use crate::{
    BOUNDS, NARROW, assert_all_found, assert_found, assert_holds, assert_unbroken,
    checks::Broken,
    faults::{Fault, Rules},
    state::Bounds,
};

/// Bounds in which one terminal signs in after a download.
const SIGNING: Bounds = Bounds { terminals: 1, sign_ins: 1, crashes: 1, ..BOUNDS };

#[test]
fn two_terminals_download_and_sign_in_while_either_side_crashes() {
    assert_holds::<EcAes>(&Bounds { sign_ins: 1, crashes: 1, ..BOUNDS });
}

#[test]
fn two_terminals_download_while_pending_keys_are_dropped_and_either_side_crashes() {
    assert_holds::<EcAes>(&Bounds { crashes: 1, drops: 1, ..BOUNDS });
}

#[test]
fn two_terminals_download_again() {
    assert_holds::<EcAes>(&Bounds { downloads: 2, ..BOUNDS });
}

#[test]
fn two_terminals_download_from_one_who_mixes_ephemeral_keys_and_nonces() {
    assert_holds::<EcAes>(&Bounds { drops: 1, mixes: true, ..BOUNDS });
}

#[test]
fn one_terminal_replaces_its_key_twice_and_signs_in_while_either_side_crashes() {
    assert_holds::<EcAes>(&Bounds { terminals: 1, downloads: 3, sign_ins: 1, crashes: 1, ..BOUNDS });
}

#[test]
fn one_terminal_fills_two_slots_and_signs_in_while_either_side_crashes() {
    assert_holds::<EcAes>(&Bounds {
        terminals: 1,
        slots: 2,
        downloads: 2,
        sign_ins: 1,
        crashes: 1,
        ..BOUNDS
    });
}

/// As in suite 01: receipts say that DONE is the server's, not that it arrives. The terminal that lost two of them in a row
/// has given up the key that the KMS made active; then the one after it is dropped at the KMS.
#[test]
fn a_drop_after_two_lost_dones_leaves_no_common_key_until_the_next_download() {
    let bounds = Bounds { terminals: 1, downloads: 3, drops: 1, ..BOUNDS };
    assert_found::<EcAes>(&bounds, Broken::NoCommonKey);
    // A download mends it, and nothing worse comes of it.
    assert_unbroken::<EcAes>(&Bounds { excused: Some(Broken::NoCommonKey), ..bounds });
}

/// A terminal takes no load counter that is too far above its own, and each TK_KEY that is lost takes one. The product's
/// limit is 65 536; with one of 1, one lost TK_KEY is one too many.
#[test]
fn a_slot_whose_keys_are_lost_too_often_takes_no_more() {
    let rules = Rules::KEPT.with_counters_up_to(1);
    assert_found::<EcAes>(&Bounds { rules, ..NARROW }, Broken::CannotFinish);
    assert_unbroken::<EcAes>(&Bounds { excused: Some(Broken::CannotFinish), rules, ..NARROW });
}

#[test]
fn nothing_is_broken_where_faults_are_sought() {
    assert_unbroken::<EcAes>(&NARROW);
    assert_unbroken::<EcAes>(&SIGNING);
}

/// What a broken rule of one party breaks for all.
#[test]
fn every_planted_fault_is_found() {
    let planted: [(&[Fault], Broken); 16] = [
        (&[Fault::ReleaseWithoutProof], Broken::UnprovenPeer),
        (&[Fault::AnswerWithoutProof], Broken::FalseServer),
        (&[Fault::NoAgreement], Broken::ReadLater),
        (&[Fault::AnyReceipt], Broken::NoCommonKey),
        (&[Fault::AnyDone], Broken::GivenUpEarly),
        (&[Fault::CounterAgain], Broken::CounterTwice),
        (&[Fault::ResendUncounted], Broken::CannotFinish),
        (&[Fault::NoCounters], Broken::CannotFinish),
        (&[Fault::TwoPending], Broken::CannotFinish),
        (&[Fault::ActiveWhenSent], Broken::NoCommonKey),
        (&[Fault::SharedCheckValues], Broken::CommonKeyDoesNotWork),
        (&[Fault::OneKeyForAll], Broken::SharedKey),
        (&[Fault::NoResend], Broken::CannotFinish),
        (&[Fault::DropPreviousAtKey], Broken::NoCommonKey),
        (&[Fault::KeepAtDone], Broken::NoCommonKey),
        // Of these two, one would do; with neither, a block opens in every session.
        (&[Fault::KeyOfNoSession, Fault::IgnoreContext], Broken::StaleKey),
    ];
    assert_all_found::<EcAes>(&NARROW, &planted);
    // A counter that neither end keeps is first sent twice, and then taken twice.
    let rules = Rules::without(&[Fault::NoCounters, Fault::IgnoreCounter]);
    assert_found::<EcAes>(&Bounds { rules, ..NARROW }, Broken::CounterTwice);
    let excused = Some(Broken::CounterTwice);
    assert_found::<EcAes>(&Bounds { rules, excused, ..NARROW }, Broken::CounterBack);
}

#[test]
fn every_planted_fault_of_sign_ins_is_found() {
    let planted: [(&[Fault], Broken); 3] = [
        (&[Fault::SignInWithoutProof], Broken::UnprovenPeer),
        (&[Fault::IgnoreWorkingContext], Broken::StaleKey),
        (&[Fault::AnySignInDone], Broken::GivenUpEarly),
    ];
    assert_all_found::<EcAes>(&SIGNING, &planted);
}

/// Checks that this suite has twice: without one of them nothing breaks as long as all others are made.
#[test]
fn what_another_check_covers_breaks_nothing_alone() {
    for fault in [
        Fault::IgnoreContext,
        Fault::KeyOfNoSession,
        Fault::OneKeyForEveryPurpose,
        Fault::IgnoreCounter,
        Fault::ForgetDropped,
    ] {
        assert_unbroken::<EcAes>(&Bounds { rules: Rules::without(&[fault]), crashes: 0, ..NARROW });
    }
}
