//! PINs: masked, wiped, and never anywhere else.

use keyferry_station::console::{Effect, Event, Face, Key, Place, Seen, Tries};

use crate::desk::{Desk, face, name, wanted};

#[test]
fn r33_a_pin_is_shown_as_stars_and_goes_to_its_card_alone() {
    let mut desk = Desk::ready();
    desk.key(Key::Char(' '));
    desk.typed("739046");
    desk.key(Key::Backspace);
    desk.shows("PIN: *****_");
    desk.hides("7390");
    assert!(!format!("{:?}", desk.model).contains("7390"));
    let effects = desk.key(Key::Enter);
    let [Effect::Open(Place::Operator, pin)] = effects.as_slice() else { panic!("{effects:?}") };
    assert_eq!(pin.for_the_card(), "73904");
    assert!(!format!("{effects:?}").contains("7390"));
    desk.shows("the card looks at it");
}

#[test]
fn the_key_event_shows_no_character() {
    assert_eq!(format!("{:?}", Event::Key(Key::Char('7'))), "Key(Char(_))");
}

#[test]
fn a_wrong_pin_says_so_and_asks_the_same_person_again() {
    let mut desk = Desk::ready();
    desk.key(Key::Char(' '));
    desk.typed("111111");
    desk.key(Key::Enter);
    let effects =
        desk.on(Event::Opened(Place::Operator, Err("the PIN is wrong; one try is left".to_owned())));
    assert!(effects.is_empty());
    desk.shows("1 of 2: the operator card's PIN");
    desk.shows("the PIN is wrong; one try is left");
    desk.shows("PIN: _");
    assert_eq!(wanted(&desk.give_pins()).len(), 3);
}

#[test]
fn an_empty_pin_costs_no_try() {
    let mut desk = Desk::ready();
    desk.key(Key::Char(' '));
    assert!(desk.key(Key::Enter).is_empty());
    desk.shows("1 of 2");
}

#[test]
fn escape_and_interrupt_leave_the_prompt_with_both_cards_shut() {
    let mut desk = Desk::ready();
    desk.key(Key::Char(' '));
    desk.typed("123456");
    assert!(matches!(desk.key(Key::Escape).as_slice(), [Effect::Close]));
    desk.hides("1 of 2");
    desk.key(Key::Char(' '));
    desk.typed("123456");
    assert!(matches!(desk.key(Key::Interrupt).as_slice(), [Effect::Close, Effect::Close, Effect::Quit]));
}

#[test]
fn an_answer_of_a_card_that_comes_too_late_opens_nothing() {
    let mut desk = Desk::ready();
    desk.key(Key::Char(' '));
    desk.typed("123456");
    desk.key(Key::Enter);
    desk.pull(Place::Operator);
    assert!(desk.on(Event::Opened(Place::Operator, Ok(()))).is_empty());
    assert!(desk.on(Event::Opened(Place::Administrator, Ok(()))).is_empty());
    desk.key(Key::Enter);
    desk.hides("both open");
}

#[test]
fn a_card_with_a_pin_pad_of_its_own_is_opened_without_a_pin_typed_here() {
    let mut desk = Desk::ready();
    for place in Place::BOTH {
        let card = Some(Face { own_pin_pad: true, ..face(place) });
        desk.on(Event::Card(place, Seen { name: name(place), card, trouble: None }));
    }
    desk.key(Key::Char(' '));
    desk.shows("press Enter, then type it at the reader");
    let effects = desk.key(Key::Enter);
    let [Effect::Open(Place::Operator, pin)] = effects.as_slice() else { panic!("{effects:?}") };
    assert_eq!(pin.for_the_card(), "");
    desk.shows("type it at the reader now");
}

#[test]
fn a_card_that_locks_while_its_pin_is_asked_ends_the_question() {
    let mut desk = Desk::ready();
    desk.key(Key::Char(' '));
    desk.typed("1");
    let card = Some(Face { tries: Some(Tries::Locked), ..face(Place::Operator) });
    let name = name(Place::Operator);
    assert!(matches!(
        desk.on(Event::Card(Place::Operator, Seen { name, card, trouble: None })).as_slice(),
        [Effect::Close]
    ));
    desk.hides("1 of 2");
    desk.shows("The operator card is LOCKED after wrong PINs");
}
