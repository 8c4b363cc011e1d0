//! Packages, and the server.

use keyferry_station::console::{Answer, Effect, Event, Key, ListSeen, Place, ServerSeen, Told};

use crate::desk::{DAY, Desk, NOW, refused, sn, taken, wanted};

fn packed() -> Desk {
    let mut desk = Desk::collecting();
    desk.collect(0);
    desk.collect(1);
    desk.pack("package-1", &[0, 1]);
    desk
}

#[test]
fn a_package_waits_is_sent_and_answered() {
    let mut desk = packed();
    desk.shows("1 waiting, 0 sending, 0 answered, 0 refused");
    desk.on(Event::Sending("package-1".to_owned()));
    desk.shows("0 waiting, 1 sending");
    desk.on(Event::Sent("package-1".to_owned(), Answer::Taken(vec![taken(0), taken(1)])));
    desk.shows("0 waiting, 0 sending, 1 answered, 0 refused");
    desk.shows("The KMS took 2 of 2.");
    desk.shows("TAKEN: stored, the KMS shows the same fingerprint");
}

#[test]
fn a_terminal_that_the_kms_refused_is_named_with_its_reason() {
    let mut desk = packed();
    let why = "bad-ciphertext  the HSM does not open it";
    desk.send("package-1", Answer::Taken(vec![taken(0), refused(1, why)]));
    desk.shows("1 TAKEN, 1 REFUSED (SN-1002: bad-ciphertext");
    desk.key(Key::Down);
    desk.shows("REFUSED by the KMS: bad-ciphertext  the HSM does not open it");
}

#[test]
fn a_package_that_was_refused_is_kept_and_says_why() {
    let mut desk = packed();
    desk.send("package-1", Answer::Refused("the server refused the signature (403): revoked".to_owned()));
    desk.shows("1 refused");
    desk.shows("SN-1001        REFUSED");
    desk.key(Key::Tab);
    desk.shows("REFUSED: the server refused the signature (403): revoked");
    desk.shows("It is kept; u sends it again.");
}

#[test]
fn a_package_that_arrived_before_counts_as_answered() {
    let mut desk = packed();
    desk.send("package-1", Answer::ArrivedBefore);
    desk.shows("1 answered");
    desk.shows("it had arrived before");
}

#[test]
fn another_fingerprint_at_the_kms_is_a_stop_that_must_be_confirmed() {
    let mut desk = packed();
    let alarm = Some("SN-1001: collected as 0A1B, but the KMS has FFFF".to_owned());
    let told = Told { sn: sn(0), ok: true, awaits: false, said: "stored".to_owned(), alarm };
    let effects = desk.send("package-1", Answer::Taken(vec![told, taken(1)]));
    assert!(matches!(effects.as_slice(), [Effect::Bell]));
    desk.shows("ALARM ALARM ALARM");
    desk.shows("SN-1001: collected as 0A1B, but the KMS has FFFF");
    desk.key(Key::Enter);
    desk.hides("ALARM ALARM");
    desk.shows("2 TAKEN, 1 ALARM");
}

#[test]
fn a_server_that_is_away_says_since_when_and_when_it_is_tried_again() {
    let mut desk = packed();
    desk.away();
    desk.wait(120);
    desk.away();
    desk.shows("NOT REACHABLE since 07:12, next try in 8 s");
    desk.on(Event::Server(ServerSeen::Reached));
    desk.shows("Server reachable: https://kms.bank.example:8443");
    desk.hides("NOT REACHABLE");
}

#[test]
fn the_revocation_list_shows_its_age_and_when_it_is_too_old() {
    let mut desk = Desk::ready();
    desk.shows("Revocation list: 2 h 0 min old, good for 22 h 0 min more");
    desk.wait(23 * 3600);
    desk.shows("Revocation list: TOO OLD, fetched 1 day ago");
    let none = ListSeen { fetched: None, max_age: DAY, trouble: None };
    desk.on(Event::List(none));
    desk.shows("Revocation list: none yet");
    let trouble = Some("it went back".to_owned());
    desk.on(Event::List(ListSeen { fetched: Some(NOW), max_age: DAY, trouble }));
    desk.shows("Revocation list: NOT USABLE: it went back");
}

#[test]
fn packages_of_yesterday_stand_there_from_the_start() {
    let mut desk = Desk::new();
    for id in ["a", "b", "c"] {
        let serials = vec![sn(0)];
        desk.on(Event::Queued(keyferry_station::console::Parcel { id: id.to_owned(), serials }));
    }
    desk.shows("3 waiting");
    desk.key(Key::Tab);
    desk.key(Key::Up);
    desk.key(Key::Up);
    desk.shows("Selected: package a");
}

#[test]
fn what_was_kept_when_a_card_went_is_packed_once_both_cards_are_open_again() {
    let mut desk = Desk::collecting();
    desk.collect(0);
    desk.pull(Place::Operator);
    desk.on(Event::Unpacked(1, None));
    desk.on(Event::RunEnded(Err("the card is not present".to_owned())));
    (0..3).for_each(|port| desk.unplug(port));
    desk.key(Key::Enter);
    desk.shows("1 terminal NOT PACKED");
    desk.insert(Place::Operator);
    desk.key(Key::Char(' '));
    assert!(wanted(&desk.give_pins()).is_empty());
    desk.on(Event::Unpacked(0, None));
    desk.pack("package-1", &[0]);
    desk.hides("NOT PACKED");
    desk.shows("1 waiting");
    assert!(desk.key(Key::Char(' ')).is_empty());
    desk.shows("Nothing is plugged in.");
}

#[test]
fn what_others_collected_says_who_packs_it() {
    let mut desk = Desk::ready();
    desk.on(Event::Unpacked(2, Some("collected by Otto with Anna: these two pack it".to_owned())));
    desk.shows("Not packed: collected by Otto with Anna: these two pack it");
}

#[test]
fn a_server_that_answers_to_a_package_is_there() {
    let mut desk = packed();
    desk.away();
    desk.send("package-1", Answer::Taken(vec![taken(0), taken(1)]));
    desk.hides("NOT REACHABLE");
    desk.shows("Server reachable");
}

#[test]
fn a_key_that_a_second_person_must_approve_is_not_called_taken() {
    let mut desk = packed();
    let said = "kept as replacement 5 until a second person approves it".to_owned();
    let told = Told { awaits: true, said, ..taken(0) };
    desk.send("package-1", Answer::Taken(vec![told, taken(1)]));
    desk.shows("1 TAKEN, 1 AWAITS APPROVAL");
    desk.shows("The KMS took 1 of 2; 1 must be approved by a second person.");
    desk.shows("AWAITS a second person's approval at the KMS: kept as replacement 5");
    desk.shows("SN-1001        AWAITS");
}
