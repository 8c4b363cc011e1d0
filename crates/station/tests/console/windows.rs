//! Windows of every size, and without colours.

use keyferry_station::console::{Key, Place, SMALLEST};

use crate::{desk::Desk, situations};

#[test]
fn every_situation_is_drawn_in_a_window_of_any_size() {
    for (_, _, desk) in situations::all() {
        for (width, height) in
            [(1, 1), (2, 40), (200, 1), (20, 8), (71, 20), (72, 19), (72, 20), (80, 24), (300, 100)]
        {
            desk.screen(width, height);
        }
    }
}

#[test]
fn in_a_small_window_a_stop_and_the_cards_are_still_seen() {
    let mut desk = Desk::collecting();
    desk.collect(0);
    desk.pull(Place::Operator);
    let screen = desk.screen(40, 10);
    for words in ["STOP: THE OPERATOR CARD WAS PULLED OUT", "operator card PULLED OUT", "1 of 3"] {
        assert!(screen.contains(words), "{words}:\n{screen}");
    }
    assert!(screen.contains(&format!("{}x{}", SMALLEST.0, SMALLEST.1)), "{screen}");
}

#[test]
fn in_the_smallest_whole_window_help_and_stop_are_whole() {
    let mut desk = Desk::collecting();
    let screen = desk.screen(SMALLEST.0, SMALLEST.1);
    assert!(screen.contains("Space collect all"), "{screen}");
    desk.pull(Place::Administrator);
    let screen = desk.screen(SMALLEST.0, SMALLEST.1);
    assert!(screen.contains("Enter: I have seen this"), "{screen}");
}

#[test]
fn no_colour_leaves_none_and_the_words_stay() {
    let play = |colour| {
        let mut desk = Desk::coloured(colour);
        desk.insert(Place::Operator);
        desk.insert(Place::Administrator);
        (0..3).for_each(|port| desk.plug(port));
        desk.key(Key::Char(' '));
        desk.give_pins();
        desk.collect(0);
        desk.fail(1, "no answer", "try again");
        desk.pull(Place::Operator);
        desk
    };
    assert!(play(true).has_colours());
    assert!(!play(false).has_colours());
    assert_eq!(play(true).screen(100, 30), play(false).screen(100, 30));
}
