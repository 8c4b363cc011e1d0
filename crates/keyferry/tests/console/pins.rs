//! What is left of a PIN that was typed.

use crate::{
    desk::{ADMINISTRATOR_PIN, Cable, OPERATOR_PIN, SIZE, both_present, console, with_cables},
    screen::Screen,
    support::{estate::Estate, scan, server::Server},
};

/// Types as a person does, one key after the other.
fn type_slowly(screen: &mut Screen, pin: &str) {
    for (count, key) in (1..).zip(pin.chars()) {
        screen.press(&key.to_string());
        screen.sees(&format!("PIN: {}_", "*".repeat(count)));
    }
}

#[test]
fn r33_a_pin_is_on_no_screen_and_once_its_card_has_it_in_no_memory() {
    let estate = Estate::new();
    let server = Server::start(&estate);
    with_cables(&estate);
    let _cable = Cable::plug(&estate, &estate.make_terminal("SN-1"), "tty-1");
    let mut screen = Screen::start(&console(&estate), SIZE);
    both_present(&mut screen);
    screen.sees("Plugged in: 1 terminal");
    screen.press(" ");
    screen.sees("1 of 2: the operator card's PIN");
    let pins = [
        scan::raw("the operator's PIN", OPERATOR_PIN.as_bytes()),
        scan::raw("the administrator's PIN", ADMINISTRATOR_PIN.as_bytes()),
    ];
    let found = |screen: &Screen| match scan::found_in_memory(screen.pid(), &pins) {
        Ok(found) => found,
        // Whoever may not look at memory here finds nothing, and is not who this is about.
        Err(error) => {
            assert!(!rustix::process::geteuid().is_root(), "{error}");
            vec!["the operator's PIN".to_owned()]
        }
    };
    type_slowly(&mut screen, OPERATOR_PIN);
    // So that it is known that this would find it.
    assert!(found(&screen).iter().any(|what| what.starts_with("the operator's PIN")));
    screen.press("\r");
    screen.sees("2 of 2: the administrator card's PIN");
    type_slowly(&mut screen, ADMINISTRATOR_PIN);
    screen.press("\r");
    screen.sees("The KMS took 1 of 1.");
    assert_eq!(scan::found_in_memory(screen.pid(), &pins).unwrap_or_default(), Vec::<String>::new());

    let raw = screen.raw();
    assert_eq!(scan::found_in(&raw, &pins), Vec::<&str>::new(), "on the screen");
    screen.press("q");
    assert!(screen.ends().success());
    assert!(server.stop().success());
    assert_eq!(scan::found_in_files(&estate.path(""), &pins), Vec::<String>::new());
}
