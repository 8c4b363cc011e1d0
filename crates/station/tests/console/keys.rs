//! What each key does.

use keyferry_station::console::{Effect, Event, Key};

use crate::desk::{Desk, PORTS, wanted};

fn open() -> Desk {
    let mut desk = Desk::collecting();
    (0..3).for_each(|port| desk.collect(port));
    desk.pack("package", &[0, 1, 2]);
    desk
}

#[test]
fn space_collects_all_that_is_plugged_in_and_not_collected_yet() {
    let mut desk = Desk::ready();
    assert!(desk.key(Key::Char(' ')).is_empty());
    assert_eq!(wanted(&desk.give_pins()), PORTS.map(|(address, _)| address));
    desk.collect(0);
    desk.fail(1, "no answer", "try again");
    desk.collect(2);
    desk.pack("package", &[0, 2]);
    // Open cards: no PIN any more.
    assert_eq!(wanted(&desk.key(Key::Char(' '))), [PORTS[1].0]);
}

#[test]
fn enter_collects_the_selected_one_even_again() {
    let mut desk = open();
    assert!(desk.key(Key::Char(' ')).is_empty());
    desk.shows("All that is plugged in is collected");
    desk.key(Key::Down);
    assert_eq!(wanted(&desk.key(Key::Enter)), [PORTS[1].0]);
}

#[test]
fn a_second_run_does_not_begin_while_one_runs() {
    let mut desk = Desk::collecting();
    assert!(desk.key(Key::Char(' ')).is_empty());
    assert!(desk.key(Key::Enter).is_empty());
    desk.shows("Collecting runs already");
}

#[test]
fn with_nothing_plugged_in_no_pin_is_asked() {
    let mut desk = Desk::ready();
    (0..3).for_each(|port| desk.unplug(port));
    desk.key(Key::Char(' '));
    desk.shows("Nothing is plugged in.");
    desk.hides("1 of 2");
}

#[test]
fn quit_ends_at_once_where_nothing_runs() {
    for key in [Key::Char('q'), Key::Interrupt] {
        assert!(matches!(Desk::ready().key(key).as_slice(), [Effect::Close, Effect::Quit]));
    }
}

#[test]
fn quit_asks_while_work_runs() {
    for mut desk in [Desk::collecting(), {
        let mut desk = open();
        desk.on(Event::Sending("package".to_owned()));
        desk
    }] {
        assert!(desk.key(Key::Char('q')).is_empty());
        desk.shows("Quit all the same?");
        assert!(desk.key(Key::Char('x')).is_empty());
        assert!(desk.key(Key::Char('n')).is_empty());
        desk.hides("Quit all the same?");
        desk.key(Key::Char('q'));
        assert!(matches!(desk.key(Key::Char('y')).as_slice(), [Effect::Close, Effect::Quit]));
    }
}

#[test]
fn the_system_ends_it_without_a_question() {
    assert!(matches!(Desk::collecting().on(Event::Ended).as_slice(), [Effect::Close, Effect::Quit]));
}

#[test]
fn lock_forgets_both_cards_but_not_in_a_run() {
    let mut desk = Desk::collecting();
    assert!(desk.key(Key::Char('l')).is_empty());
    let mut desk = open();
    assert!(matches!(desk.key(Key::Char('l')).as_slice(), [Effect::Close]));
    desk.key(Key::Enter);
    desk.shows("1 of 2");
}

#[test]
fn u_asks_the_server_now() {
    assert!(matches!(Desk::ready().key(Key::Char('u')).as_slice(), [Effect::Upload]));
}
