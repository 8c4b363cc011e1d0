//! Sign-ins over the terminal port: what a terminal gets, and which keys are in use when.

use store::{HostStore, WorkingKind};
use wire::{Serial, Slot};

use crate::support::{
    line::connect,
    raw::{Raw, Tmk},
    tlv,
    world::{Options, Server, World},
};

/// Check values of the keys in use, PIK, MAK and TDK, hex.
pub(crate) fn active(server: &Server, sn: &str, slot: u8) -> Vec<String> {
    let (sn, slot) = (Serial::parse(sn).unwrap(), Slot::new(slot).unwrap());
    let wanted = [WorkingKind::Pik, WorkingKind::Mak, WorkingKind::Tdk].map(|kind| (sn.clone(), slot, kind));
    let found = server.block_on(server.store.active_working(wanted.to_vec())).unwrap();
    found.into_iter().flatten().map(|key| key.key.kcv.to_string()).collect()
}

pub(crate) fn hex(kcvs: &[[u8; 3]]) -> Vec<String> {
    kcvs.iter().map(|kcv| kcv.iter().map(|byte| format!("{byte:02X}")).collect()).collect()
}

fn with_tmk(terminal: &Raw, options: &Options) -> (World, Server, Tmk) {
    let (world, server) = World::with_options(&[terminal], options);
    let tmk = terminal.download(server.terminals, 1).unwrap();
    (world, server, tmk)
}

#[test]
fn a_terminal_signs_in_and_its_keys_are_in_use() {
    for terminal in [Raw::new("SN-1"), Raw::with_pin_pad("SN-2", "PP-2")] {
        let (world, server, tmk) = with_tmk(&terminal, &Options::default());
        let working = terminal.sign_in(&mut connect(server.terminals), 1, &tmk).unwrap();
        assert_eq!((working.pik.len(), working.tdk.clone()), (24, None));
        assert_eq!(active(&server, &terminal.sn, 1), hex(&working.kcvs()));
        assert_eq!(world.events("sign-in.answered", &terminal.sn).len(), 1);
        let confirmed = world.events("sign-in.confirmed", &terminal.sn);
        assert_eq!((confirmed.len(), confirmed[0].actor.as_str()), (1, terminal.sn.as_str()));
        world.assert_audit_good();
    }
}

#[test]
fn each_sign_in_brings_new_keys_also_on_one_connection() {
    let terminal = Raw::new("SN-1");
    let (_world, server, tmk) = with_tmk(&terminal, &Options::default());
    let mut line = connect(server.terminals);
    let first = terminal.sign_in(&mut line, 1, &tmk).unwrap();
    let second = terminal.sign_in(&mut line, 1, &tmk).unwrap();
    assert!(first.pik != second.pik && first.mak != second.mak);
    assert_eq!(active(&server, "SN-1", 1), hex(&second.kcvs()));
}

#[test]
fn a_track_key_and_a_short_pik_come_where_the_policy_says_so() {
    let terminal = Raw::new("SN-1");
    let options = Options { more: "[host]\npik_length = 16\ntdk = true\n".into(), ..Options::default() };
    let (_world, server, tmk) = with_tmk(&terminal, &options);
    let working = terminal.sign_in(&mut connect(server.terminals), 1, &tmk).unwrap();
    assert_eq!((working.pik.len(), working.tdk.as_ref().map(Vec::len)), (16, Some(24)));
    assert_eq!(active(&server, "SN-1", 1), hex(&working.kcvs()));
}

/// Decided in 2-wire.md section 4, flow F: new working keys replace the old ones on the host only after
/// SIGN_IN_CONFIRM.
#[test]
fn old_keys_stay_in_use_until_the_new_ones_are_confirmed() {
    let terminal = Raw::new("SN-1");
    let (_world, server, tmk) = with_tmk(&terminal, &Options::default());
    let first = terminal.sign_in(&mut connect(server.terminals), 1, &tmk).unwrap();
    let mut line = connect(server.terminals);
    let second = terminal.ask_working(&mut line, 1, &tmk).unwrap();
    assert_eq!(active(&server, "SN-1", 1), hex(&first.kcvs()), "WORKING_KEYS has left, nothing more");
    drop(line);
    let mut line = connect(server.terminals);
    let third = terminal.ask_working(&mut line, 1, &tmk).unwrap();
    assert!(second.pik != third.pik, "fresh keys each time");
    line.send(&third.confirm());
    assert_eq!(line.expect(tlv::DONE).unwrap().frame, third.done());
    assert_eq!(active(&server, "SN-1", 1), hex(&third.kcvs()));
}

/// SIGN_IN proves nothing, and the line can be heard.
#[test]
fn a_repeated_sign_in_of_a_strangers_puts_out_none_of_the_terminals() {
    let terminal = Raw::new("SN-1");
    let (world, server, tmk) = with_tmk(&terminal, &Options::default());
    let mut line = connect(server.terminals);
    let working = terminal.ask_working(&mut line, 1, &tmk).unwrap();
    // The same three values in another's mouth, again and again.
    for _ in 0..3 {
        terminal.ask_working(&mut connect(server.terminals), 1, &tmk).unwrap();
    }
    line.send(&working.confirm());
    assert_eq!(line.expect(tlv::DONE).unwrap().frame, working.done());
    assert_eq!(active(&server, "SN-1", 1), hex(&working.kcvs()));
    assert_eq!(world.events("sign-in.offered-again", "SN-1").len(), 1);
    world.assert_audit_good();
}

/// The terminal's last download was cut before DONE: it holds a TMK that is pending here.
#[test]
fn a_pending_tmk_that_signs_in_and_confirms_becomes_active() {
    let terminal = Raw::new("SN-1");
    let (world, server, old) = with_tmk(&terminal, &Options::default());
    let new = terminal.fetch(&mut connect(server.terminals), 1).unwrap();
    assert_eq!(world.keys("SN-1", 1, "pending"), hex(&[new.kcv]));

    // Not by SIGN_IN alone.
    let mut line = connect(server.terminals);
    terminal.ask_working(&mut line, 1, &new).unwrap();
    assert_eq!(world.keys("SN-1", 1, "active"), hex(&[old.kcv]));
    drop(line);
    // The one before works as well, until then.
    terminal.sign_in(&mut connect(server.terminals), 1, &old).unwrap();
    assert_eq!(world.keys("SN-1", 1, "pending"), hex(&[new.kcv]));

    let working = terminal.sign_in(&mut connect(server.terminals), 1, &new).unwrap();
    assert_eq!(world.keys("SN-1", 1, "active"), hex(&[new.kcv]));
    assert_eq!(world.keys("SN-1", 1, "retired"), hex(&[old.kcv]));
    assert_eq!(active(&server, "SN-1", 1), hex(&working.kcvs()));
    world.assert_audit_good();
}

#[test]
fn slots_have_working_keys_of_their_own() {
    let terminal = Raw::new("SN-1");
    let (_world, server, one) = with_tmk(&terminal, &Options::default());
    let two = terminal.download(server.terminals, 2).unwrap();
    let first = terminal.sign_in(&mut connect(server.terminals), 1, &one).unwrap();
    let second = terminal.sign_in(&mut connect(server.terminals), 2, &two).unwrap();
    assert_eq!(active(&server, "SN-1", 1), hex(&first.kcvs()));
    assert_eq!(active(&server, "SN-1", 2), hex(&second.kcvs()));
}
