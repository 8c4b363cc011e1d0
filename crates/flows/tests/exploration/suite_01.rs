//! How far suite 01 is explored, and what must be found there.

use keyferry_flows::Tdes;

use crate::{
    BOUNDS, NARROW, assert_all_found, assert_found, assert_holds, assert_unbroken,
    checks::Broken,
    faults::{Fault, Rules},
    state::Bounds,
};

#[test]
fn two_terminals_download_and_sign_in_while_either_side_crashes() {
    assert_holds::<Tdes>(&Bounds { sign_ins: 1, crashes: 1, ..BOUNDS });
}

#[test]
fn two_terminals_download_while_pending_keys_are_dropped_and_either_side_crashes() {
    assert_holds::<Tdes>(&Bounds { crashes: 1, drops: 1, ..BOUNDS });
}

#[test]
fn two_terminals_download_again() {
    assert_holds::<Tdes>(&Bounds { downloads: 2, ..BOUNDS });
}

#[test]
fn one_terminal_replaces_its_key_twice_and_signs_in_while_either_side_crashes() {
    assert_holds::<Tdes>(&Bounds { terminals: 1, downloads: 3, sign_ins: 1, crashes: 1, ..BOUNDS });
}

#[test]
fn one_terminal_fills_two_slots_and_signs_in() {
    assert_holds::<Tdes>(&Bounds { terminals: 1, slots: 2, downloads: 2, sign_ins: 1, ..BOUNDS });
}

/// What suite 01 cannot do: DONE of two replaced keys in a row did not arrive, so that the terminal gave up the one
/// that the KMS has made active; then the one after it is dropped at the KMS. Nothing is in common but the TK, and the
/// next download mends it.
#[test]
fn a_drop_after_two_lost_dones_leaves_no_common_key_until_the_next_download() {
    let bounds = Bounds { terminals: 1, downloads: 3, drops: 1, ..BOUNDS };
    assert_found::<Tdes>(&bounds, Broken::NoCommonKey);
    // A download mends it, and nothing worse comes of it.
    assert_unbroken::<Tdes>(&Bounds { excused: Some(Broken::NoCommonKey), ..bounds });
}

#[test]
fn nothing_is_broken_where_faults_are_sought() {
    assert_unbroken::<Tdes>(&NARROW);
}

/// What a broken rule of one party breaks for all.
#[test]
fn every_planted_fault_is_found() {
    let planted: [(&[Fault], Broken); 11] = [
        (&[Fault::ReleaseWithoutProof], Broken::UnprovenPeer),
        (&[Fault::TwoPending], Broken::CannotFinish),
        (&[Fault::ActiveWhenSent], Broken::NoCommonKey),
        (&[Fault::SharedCheckValues], Broken::CommonKeyDoesNotWork),
        (&[Fault::ForgetDropped], Broken::NoCommonKey),
        (&[Fault::OneKeyForAll], Broken::SharedKey),
        (&[Fault::NoResend], Broken::CannotFinish),
        (&[Fault::DropPreviousAtDone], Broken::NoCommonKey),
        (&[Fault::DropPreviousAtKey], Broken::NoCommonKey),
        (&[Fault::KeepAtDone], Broken::NoCommonKey),
        (&[Fault::IgnoreContext], Broken::StaleKey),
    ];
    assert_all_found::<Tdes>(&NARROW, &planted);
    // A second pending key keeps honest parties from finishing before it is there; and then it is seen itself.
    let rules = Rules::without(&[Fault::TwoPending]);
    let excused = Some(Broken::CannotFinish);
    assert_found::<Tdes>(&Bounds { rules, excused, ..NARROW }, Broken::TwoPending);
}

#[test]
fn every_planted_fault_of_sign_ins_is_found() {
    let planted: [(&[Fault], Broken); 2] = [
        (&[Fault::SignInWithoutProof], Broken::UnprovenPeer),
        (&[Fault::IgnoreWorkingContext], Broken::StaleKey),
    ];
    assert_all_found::<Tdes>(&Bounds { terminals: 1, sign_ins: 1, ..BOUNDS }, &planted);
}
