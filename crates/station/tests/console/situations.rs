//! The situations of `docs/console.md`: each is played, and its screen goes onto the page.

use keyferry_station::console::{Answer, Event, Key, Place, ServerSeen};

use crate::desk::{Desk, refused, taken};

const FAULT: &str = "no connection: the line was cut";
const ADVICE: &str = "check its cable or network, then collect it again: it gives the same answer";

/// Every picture of the page: its name, columns and lines, and the desk.
pub(crate) fn all() -> Vec<(&'static str, (u16, u16), Desk)> {
    vec![
        ("cards-missing", (80, 24), cards_missing()),
        ("ready", (80, 24), Desk::ready()),
        ("pin", (80, 24), pin()),
        ("collecting", (80, 24), collecting()),
        ("done", (80, 24), done()),
        ("card-pulled-out", (80, 24), card_pulled_out()),
        ("offline", (80, 24), offline()),
        ("large", (120, 34), done()),
    ]
}

fn cards_missing() -> Desk {
    let mut desk = Desk::new();
    desk.list(2 * 3600);
    desk.on(Event::Server(ServerSeen::Reached));
    desk.insert(Place::Operator);
    desk.pull(Place::Administrator);
    desk.plug(0);
    desk.key(Key::Char(' '));
    desk
}

fn pin() -> Desk {
    let mut desk = Desk::ready();
    desk.key(Key::Char(' '));
    desk.typed("123456");
    desk.key(Key::Enter);
    desk.on(Event::Opened(Place::Operator, Ok(())));
    desk.typed("1234");
    desk
}

fn collecting() -> Desk {
    let mut desk = Desk::collecting();
    desk.collect(0);
    desk.ask(1);
    desk.wait(4);
    desk.key(Key::Down);
    desk
}

fn done() -> Desk {
    let mut desk = Desk::collecting();
    desk.collect(0);
    desk.fail(1, FAULT, ADVICE);
    desk.collect(2);
    desk.wait(9);
    desk.pack("20261121T071209Z-5f1c", &[0, 2]);
    let why = "already-known; this terminal is known already; to give it this key, collect with --replace and have a second person approve";
    desk.send("20261121T071209Z-5f1c", Answer::Taken(vec![taken(0), refused(2, why)]));
    desk.key(Key::Down);
    desk
}

fn card_pulled_out() -> Desk {
    let mut desk = collecting();
    desk.pull(Place::Operator);
    desk
}

fn offline() -> Desk {
    let mut desk = Desk::ready();
    desk.away();
    desk.key(Key::Char(' '));
    desk.give_pins();
    (0..3).for_each(|port| desk.collect(port));
    desk.wait(9);
    desk.pack("20261121T071209Z-5f1c", &[0, 1, 2]);
    desk.send("20261121T071209Z-5f1c", Answer::NotSent("no answer".to_owned()));
    desk.wait(600);
    desk.away();
    desk
}

#[test]
fn each_situation_says_in_words_what_it_is() {
    for (name, words) in [
        (
            "cards-missing",
            vec!["ADMINISTRATOR MISSING", "Insert the administrator card: both cards must be there."],
        ),
        ("ready", vec!["OPERATOR      present", "Plugged in: 3 terminals", "Space collect all"]),
        ("pin", vec!["2 of 2: the administrator card's PIN", "PIN: ****_"]),
        ("collecting", vec!["1 of 3 answered", "asking", "0A1B 2C3D 4E5F 6071 8293"]),
        ("done", vec!["FAILED", "What to do: check its cable", "REFUSED", "TAKEN", "already-known"]),
        (
            "card-pulled-out",
            vec!["STOP", "THE OPERATOR CARD WAS PULLED OUT", "1 of 3 terminals had answered"],
        ),
        ("offline", vec!["NOT REACHABLE since 07:12, next try in 8 s", "1 waiting", "WAITING"]),
    ] {
        let all = all();
        let (_, (width, height), desk) = all.iter().find(|(found, ..)| *found == name).unwrap();
        let screen = desk.screen(*width, *height);
        for word in words {
            assert!(screen.contains(word), "{name}: {word:?} is not in\n{screen}");
        }
    }
}
