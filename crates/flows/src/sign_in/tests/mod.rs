//! Both roles in memory, step by step. The cryptography is a toy (`fake`): the real one is tested where it lives.

mod attacks;
mod codes;
mod ec_aes;
mod fake;
mod fields;
mod order;
mod vectors;

use fake::{Host, NEW_TMK, OLD_TMK, Pad, device, kcv, slot, until_confirm};
use wire::{ErrorCode, Suite};

use super::{host::ExpectSignIn, terminal::Start};

#[test]
fn terminal_gets_the_working_keys_that_the_host_holds() {
    let (mut pad, mut host) = (Pad { disk: [9, 9].into(), ..Pad::default() }, Host::new());
    let (sign_in, terminal) = Start::new(device(), slot(), 0).begin(&mut pad).unwrap();
    let asked = ExpectSignIn::new().on_frame(&sign_in).unwrap();
    assert_eq!((asked.device(), asked.slot(), asked.suite()), (&device(), slot(), Suite::TDES));
    assert_eq!((asked.rnd1(), asked.kcv(), asked.frame()), (pad.rnd1, kcv(NEW_TMK), &sign_in));

    let blocks = host.blocks(&asked).unwrap();
    let (keys, server) = asked.deliver(&blocks).unwrap();
    let (confirm, terminal) = terminal.on_frame(&mut pad, &keys).unwrap();
    assert_eq!((pad.disk.as_slice(), host.active.as_slice()), (&[9, 9][..], &[][..]), "old keys stay in use");

    let done = host.done(server.on_frame(&confirm).unwrap()).unwrap();
    assert_eq!(host.active, [0x10, 0x11], "the host's change comes first");
    assert_eq!(pad.disk, [9, 9]);
    let finished = terminal.on_frame(&mut pad, &done).unwrap();
    assert_eq!((finished.slot(), finished.kcvs()), (slot(), &[kcv(0x10), kcv(0x11)][..]));
    assert_eq!(pad.disk, host.active);
    assert_eq!(pad.calls, ["begin", "keys", "done"]);
}

#[test]
fn track_key_comes_third() {
    let (mut pad, mut host) = (Pad::default(), Host { wants_a_track_key: true, ..Host::new() });
    let (terminal, server, [.., confirm]) = until_confirm(&mut pad, &mut host);
    let done = host.done(server.on_frame(&confirm).unwrap()).unwrap();
    assert_eq!(terminal.on_frame(&mut pad, &done).unwrap().kcvs(), [kcv(0x10), kcv(0x11), kcv(0x12)]);
}

/// The host does not hold the newest TMK: the terminal tries the one before it, on a new connection.
#[test]
fn terminal_falls_back_to_the_tmk_before() {
    let (mut pad, mut host) = (Pad::default(), Host { tmks: [OLD_TMK].into(), ..Host::new() });
    let (sign_in, terminal) = Start::new(device(), slot(), 0).begin(&mut pad).unwrap();
    let refused = host.deliver(&sign_in).unwrap_err();
    assert_eq!(refused.code, ErrorCode::TerminalAuthenticationFailed);
    let fault = terminal.on_frame(&mut pad, &refused.answer().unwrap()).unwrap_err();
    assert_eq!((fault.code, fault.answer()), (ErrorCode::TerminalAuthenticationFailed, None));

    let (sign_in, terminal) = Start::new(device(), slot(), 1).begin(&mut pad).unwrap();
    let (keys, server) = host.deliver(&sign_in).unwrap();
    let (confirm, terminal) = terminal.on_frame(&mut pad, &keys).unwrap();
    let done = host.done(server.on_frame(&confirm).unwrap()).unwrap();
    assert!(terminal.on_frame(&mut pad, &done).is_ok());
}

/// DONE got lost: the host has the new keys, the terminal the old ones, and signing in again mends it.
#[test]
fn lost_done_is_mended_by_signing_in_again() {
    let (mut pad, mut host) = (Pad { disk: [9, 9].into(), ..Pad::default() }, Host::new());
    let (_, server, [.., confirm]) = until_confirm(&mut pad, &mut host);
    host.done(server.on_frame(&confirm).unwrap()).unwrap();
    assert_ne!(pad.disk, host.active);
    let (terminal, server, [.., confirm]) = until_confirm(&mut pad, &mut host);
    let done = host.done(server.on_frame(&confirm).unwrap()).unwrap();
    terminal.on_frame(&mut pad, &done).unwrap();
    assert_eq!(pad.disk, host.active);
}
