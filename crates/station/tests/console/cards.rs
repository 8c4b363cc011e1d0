//! Both cards: what is said of them, and the stop when one goes.

use keyferry_station::console::{Effect, Event, Face, Key, Place, Seen, Tries};

use crate::desk::{DAY, Desk, NOW, face, name, wanted};

fn is_stop(effects: &[Effect]) -> bool {
    matches!(effects, [Effect::Close, Effect::Bell])
}

fn shown_as(change: impl FnOnce(&mut Face)) -> Desk {
    let mut desk = Desk::ready();
    let mut face = face(Place::Administrator);
    change(&mut face);
    let name = name(Place::Administrator);
    desk.on(Event::Card(Place::Administrator, Seen { name, card: Some(face), trouble: None }));
    desk
}

#[test]
fn both_cards_show_name_subject_validity_and_pin() {
    let desk = Desk::ready();
    for text in [
        "OPERATOR      present      Olga Operator, Example Bank",
        "ADMINISTRATOR present      Adam Admin, Example Bank",
        "pkcs11:token=administrator",
        "valid until 2028-10-21",
        "PIN wanted",
    ] {
        desk.shows(text);
    }
}

#[test]
fn pulling_either_card_out_while_collecting_stops_at_once_and_must_be_confirmed() {
    for place in Place::BOTH {
        let mut desk = Desk::collecting();
        desk.collect(0);
        assert!(is_stop(&desk.pull(place)));
        desk.shows("WAS PULLED OUT");
        desk.shows("Collecting has stopped. 1 of 3 terminals had answered");
        // No other key takes it away, and none does anything behind it.
        for key in [Key::Char(' '), Key::Char('q'), Key::Char('y'), Key::Escape, Key::Down, Key::Tab] {
            assert!(desk.key(key).is_empty());
        }
        desk.shows("WAS PULLED OUT");
        desk.key(Key::Enter);
        desk.hides("STOP");
        desk.shows("PULLED OUT");
    }
}

#[test]
fn after_a_stop_both_pins_are_asked_again() {
    let mut desk = Desk::collecting();
    desk.pull(Place::Administrator);
    desk.key(Key::Enter);
    desk.on(Event::RunEnded(Err("a card is missing".to_owned())));
    desk.insert(Place::Administrator);
    assert!(desk.key(Key::Char(' ')).is_empty());
    desk.shows("1 of 2: the operator card's PIN");
    assert_eq!(wanted(&desk.give_pins()).len(), 3);
}

#[test]
fn a_card_that_goes_while_a_pin_is_typed_stops_too() {
    let mut desk = Desk::ready();
    desk.key(Key::Char(' '));
    desk.typed("12");
    assert!(is_stop(&desk.pull(Place::Operator)));
    desk.key(Key::Enter);
    desk.hides("PIN: **");
}

#[test]
fn a_card_that_goes_while_the_cards_are_shut_is_shown_and_no_stop() {
    let mut desk = Desk::ready();
    assert!(desk.pull(Place::Operator).is_empty());
    desk.shows("OPERATOR      PULLED OUT");
    desk.shows("The operator card was pulled out.");
    desk.hides("STOP");
}

#[test]
fn another_card_in_the_same_place_stops() {
    let mut desk = Desk::collecting();
    let other = Face { id: "another certificate".to_owned(), ..face(Place::Operator) };
    let seen = Seen { name: name(Place::Operator), card: Some(other), trouble: None };
    assert!(is_stop(&desk.on(Event::Card(Place::Operator, seen))));
    desk.shows("ANOTHER CARD IS IN THE OPERATOR CARD'S PLACE");
}

#[test]
fn a_card_that_is_revoked_while_it_is_open_stops() {
    let mut desk = Desk::collecting();
    let refused = Some("revoked".to_owned());
    let card = Some(Face { refused, ..face(Place::Operator) });
    let seen = Seen { name: name(Place::Operator), card, trouble: None };
    assert!(is_stop(&desk.on(Event::Card(Place::Operator, seen))));
    desk.shows("THE OPERATOR CARD IS REFUSED: revoked");
}

#[test]
fn no_pin_is_asked_for_a_card_that_no_pin_makes_good() {
    for (change, words) in [
        ((|face| face.refused = Some("expired".to_owned())) as fn(&mut Face), "is refused: expired"),
        (|face| face.tries = Some(Tries::Locked), "is LOCKED after wrong PINs"),
        (|face| face.tries = Some(Tries::NotSet), "has no PIN yet"),
    ] {
        let mut desk = shown_as(change);
        desk.key(Key::Char(' '));
        desk.shows(words);
        desk.hides("1 of 2");
    }
}

#[test]
fn what_a_token_tells_of_tries_left_is_shown() {
    for (tries, words) in [
        (Tries::Few, "PIN: was wrong, few tries left"),
        (Tries::Last, "PIN: LAST TRY"),
        (Tries::Locked, "PIN: LOCKED"),
        (Tries::NotSet, "PIN: not set"),
    ] {
        shown_as(|face| face.tries = Some(tries)).shows(words);
    }
}

#[test]
fn a_card_of_another_role_or_past_its_time_is_seen_as_that() {
    shown_as(|face| face.until = NOW - DAY).shows("EXPIRED 2026-11-20");
    let refused = shown_as(|face| {
        face.role = "operator".to_owned();
        face.refused = Some("its role is operator, administrator is needed".to_owned());
    });
    refused.shows("ADMINISTRATOR REFUSED");
    refused.shows("REFUSED: its role is operator");
}

#[test]
fn a_card_that_cannot_be_read_says_why() {
    let mut desk = Desk::ready();
    let trouble = Some("no certificate on it".to_owned());
    desk.on(Event::Card(Place::Operator, Seen { name: name(Place::Operator), card: None, trouble }));
    desk.shows("UNREADABLE");
    desk.shows("no certificate on it");
}

#[test]
fn cards_are_shut_after_a_quarter_of_an_hour_without_a_key() {
    let mut desk = Desk::collecting();
    // Never in the middle of a run.
    assert!(desk.wait(3600).is_empty());
    desk.on(Event::RunEnded(Ok(())));
    desk.key(Key::Up);
    assert!(desk.wait(15 * 60).is_empty());
    assert!(matches!(desk.wait(1).as_slice(), [Effect::Close]));
    desk.shows("No key for 15 minutes");
}

#[test]
fn of_a_long_path_the_end_is_shown() {
    let mut desk = Desk::ready();
    let name = "/a/very/long/folder/of/a/station/far/away/cards/operator.pem".to_owned();
    desk.on(Event::Card(Place::Operator, Seen { name, card: Some(face(Place::Operator)), trouble: None }));
    desk.shows("…/station/far/away/cards/operator.pem");
}

#[test]
fn a_card_that_is_gone_keeps_its_name_until_another_one_comes() {
    let mut desk = Desk::ready();
    let none = || Seen { name: "token Olga".to_owned(), card: None, trouble: None };
    desk.on(Event::Card(Place::Operator, none()));
    desk.shows("pkcs11:token=operator");
    let mut desk = Desk::new();
    desk.on(Event::Card(Place::Operator, none()));
    desk.shows("token Olga");
    desk.shows("OPERATOR      MISSING");
}
