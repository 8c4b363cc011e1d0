//! The terminal that the console is drawn on.

use rustix::process::{Pid, Signal, kill_process};

use crate::{
    desk::{SIZE, console},
    screen::Screen,
    support::{estate::Estate, tool::run},
};

#[test]
fn a_window_is_resized_colours_stay_away_and_a_signal_gives_the_terminal_back() {
    let estate = Estate::new();
    let mut command = console(&estate);
    command.env("NO_COLOR", "1");
    let mut screen = Screen::start(&command, SIZE);
    screen.sees("Server NOT REACHABLE");
    screen.resize((60, 12));
    screen.sees("This window is 60x12");
    screen.resize((120, 40));
    screen.sees("Space collect all");
    let raw = String::from_utf8_lossy(&screen.raw()).into_owned();
    for colour in ["\x1b[3", "\x1b[4", "\x1b[9"] {
        let numbers = raw.match_indices(colour).filter_map(|(at, _)| raw[at + 2..].split('m').next());
        let mut colours = numbers.filter(|text| {
            text.split(';').all(|n| n.parse::<u8>().is_ok())
                && text
                    .split(';')
                    .filter_map(|n| n.parse::<u8>().ok())
                    .any(|n| (30..=38).contains(&n) || (40..=48).contains(&n) || n >= 90)
        });
        assert_eq!(colours.next(), None, "a colour");
    }
    kill_process(Pid::from_raw(screen.pid()).unwrap(), Signal::TERM).unwrap();
    assert_eq!(screen.ends().code(), Some(128 + 15));
}

#[test]
fn without_a_terminal_it_says_what_to_use_instead() {
    let estate = Estate::new();
    run(&mut console(&estate)).refused_with("use `keyferry station collect`");
}
