//! Runs: one key, a server that goes and comes back, a card that is pulled out.

use std::fs;

use crate::{
    desk::{
        ADMINISTRATOR_PIN, Cable, OPERATOR_PIN, SIZE, both_present, console, give_pins, known, silent,
        with_cables,
    },
    screen::Screen,
    support::{
        estate::Estate,
        folders::edit,
        server::Server,
        tool::{openssl, run, text, until},
    },
};

/// The console knows one address.
fn comes_back_where_it_was(estate: &Estate, server: &Server) {
    let listen = format!("[https]\nlisten = \"{}\"", server.https);
    edit(&estate.path("keyferry.toml"), &[("[https]\nlisten = \"127.0.0.1:0\"", &listen)]);
}

#[test]
fn one_key_collects_what_is_plugged_in_and_packages_wait_for_the_server() {
    let estate = Estate::new();
    let server = Server::start(&estate);
    comes_back_where_it_was(&estate, &server);
    with_cables(&estate);
    let terminals = ["SN-1", "SN-2", "SN-3"].map(|sn| estate.make_terminal(sn));
    let mut first = Cable::plug(&estate, &terminals[0], "tty-1");
    let mut second = Cable::plug(&estate, &terminals[1], "tty-2");

    let mut screen = Screen::start(&console(&estate), SIZE);
    both_present(&mut screen);
    screen.sees("Server reachable");
    screen.sees("Plugged in: 2 terminals");
    screen.press(" ");
    screen.sees("1 of 2: the operator card's PIN");
    screen.enter("not the PIN");
    screen.sees("the PIN or passphrase is wrong");
    give_pins(&mut screen);
    let text = screen.until("both taken", |text| text.matches(" TAKEN ").count() >= 2);
    for (terminal, cable) in terminals.iter().zip([&mut first, &mut second]) {
        assert!(text.contains(&terminal.sn) && text.contains(&cable.fingerprint()), "{text}");
    }
    screen.sees("The KMS took 2 of 2.");
    assert_eq!(known(&estate), 2);

    // The server dies; another terminal is plugged in and found by itself. No PIN is asked again.
    server.kill();
    let mut third = Cable::plug(&estate, &terminals[2], "tty-3");
    screen.sees("Plugged in: 3 terminals");
    screen.press(" ");
    screen.sees("WAITING");
    let text = screen.sees("Server NOT REACHABLE");
    assert!(text.contains("1 waiting"), "{text}");
    screen.sees(&third.fingerprint());
    assert_eq!(known(&estate), 2);

    // It is started again, and has everything without a key being pressed.
    let server = Server::start(&estate);
    let text = screen.sees("2 answered");
    assert!(text.contains("0 waiting") && text.matches(" TAKEN ").count() >= 3, "{text}");
    assert_eq!(known(&estate), 3);

    // A card is pulled out, and put back: its PIN is asked again.
    let (card, pocket) = (estate.path("cards/operator.pem"), estate.folder().join("pocket.pem"));
    fs::rename(&card, &pocket).unwrap();
    screen.sees("THE OPERATOR CARD WAS PULLED OUT");
    screen.press(" q");
    fs::rename(&pocket, &card).unwrap();
    both_present(&mut screen);
    let text = screen.text();
    assert!(text.contains("STOP STOP STOP"), "{text}");
    screen.press("\r");
    screen.sees_no("STOP");
    // Selected, so that it is collected again.
    screen.press("\r");
    screen.sees("1 of 2: the operator card's PIN");
    screen.press("\x1b");
    screen.sees("No PIN was given");

    let raw = screen.raw();
    for pin in [OPERATOR_PIN, ADMINISTRATOR_PIN, "not the PIN"] {
        assert!(!raw.windows(pin.len()).any(|window| window == pin.as_bytes()), "{pin} was on the screen");
    }
    screen.press("q");
    assert!(screen.ends().success());
    assert!(server.stop().success());
}

#[test]
fn a_card_that_is_pulled_out_stops_a_run_and_what_has_answered_is_packed_later() {
    let estate = Estate::new();
    let _server = Server::start(&estate);
    with_cables(&estate);
    edit(&estate.path("station.toml"), &[("parallel = 16", "parallel = 1")]);
    let terminal = estate.make_terminal("SN-1");
    let _first = Cable::plug(&estate, &terminal, "tty-1");
    let mut screen = Screen::start(&console(&estate), SIZE);
    both_present(&mut screen);
    screen.sees("Plugged in: 1 terminal");
    // One that never says anything: the test holds its cable's other end.
    let silent = silent(&estate, "tty-2");
    screen.sees("Plugged in: 2 terminals");
    screen.press(" ");
    give_pins(&mut screen);
    screen
        .until("one answered, one asked", |text| text.contains("1 of 2 answered") && text.contains("asking"));
    let (card, pocket) = (estate.path("cards/administrator.pem"), estate.folder().join("pocket.pem"));
    fs::rename(&card, &pocket).unwrap();
    screen.sees("THE ADMINISTRATOR CARD WAS PULLED OUT");
    screen.sees("1 of 2 terminals had answered");
    screen.press("\r");
    // It still listens to the silent one: quitting asks first.
    screen.press("q");
    screen.sees("Quit all the same?");
    screen.press("n");
    screen.sees_no("Quit all the same?");
    screen.press("qy");
    assert!(screen.ends().success());
    assert_eq!(known(&estate), 0);

    // The next day, with both cards, what had answered is packed and uploaded.
    drop(silent);
    fs::rename(&pocket, &card).unwrap();
    let mut screen = Screen::start(&console(&estate), SIZE);
    screen.sees("1 terminal NOT PACKED");
    both_present(&mut screen);
    screen.press(" ");
    give_pins(&mut screen);
    screen.until("it is answered", |text| !text.contains("NOT PACKED") && text.contains("The KMS took"));
    until("the KMS knows it", || known(&estate) == 1);
    screen.press("q");
    assert!(screen.ends().success());
}

#[test]
fn a_cable_that_is_pulled_in_the_middle_and_put_back_is_collected_in_the_same_run() {
    let estate = Estate::new();
    let _server = Server::start(&estate);
    with_cables(&estate);
    let terminal = estate.make_terminal("SN-1");
    let silent = silent(&estate, "tty-1");
    let mut screen = Screen::start(&console(&estate), SIZE);
    both_present(&mut screen);
    screen.sees("Plugged in: 1 terminal");
    screen.press(" ");
    give_pins(&mut screen);
    screen.sees("It is being asked. Leave its cable in.");
    drop(silent);
    screen.sees("Leave its cable in, or plug it in again.");
    let mut cable = Cable::plug(&estate, &terminal, "tty-1");
    let text = screen.sees("The KMS took 1 of 1.");
    assert!(text.contains(&cable.fingerprint()) && text.contains("1 terminal"), "{text}");
    assert_eq!(known(&estate), 1);
    screen.press("q");
    assert!(screen.ends().success());
}

#[test]
fn r35_a_card_revoked_meanwhile_stops_everything_and_what_it_signed_is_refused_and_kept() {
    let estate = Estate::new();
    let server = Server::start(&estate);
    comes_back_where_it_was(&estate, &server);
    with_cables(&estate);
    let _first = Cable::plug(&estate, &estate.make_terminal("SN-1"), "tty-1");
    let mut screen = Screen::start(&console(&estate), SIZE);
    both_present(&mut screen);
    screen.sees("Plugged in: 1 terminal");
    screen.press(" ");
    give_pins(&mut screen);
    screen.sees("The KMS took 1 of 1.");
    server.kill();
    let _second = Cable::plug(&estate, &estate.make_terminal("SN-2"), "tty-2");
    screen.sees("Plugged in: 2 terminals");
    screen.press(" ");
    screen.sees("WAITING");

    let card = text(&estate.path("cards/operator.pem"));
    let serial = openssl(["x509", "-noout", "-serial", "-in", &card]).good();
    let serial = serial.trim_end().strip_prefix("serial=").unwrap().to_owned();
    run(&mut estate.ca(&["revoke", "--serial", &serial, "--reason", "key-compromise"])).good();
    let _server = Server::start(&estate);
    screen.sees("THE OPERATOR CARD IS REFUSED");
    let shown = screen.sees("0 waiting, 0 sending, 1 answered, 1 refused");
    assert!(shown.contains("STOP STOP STOP"), "{shown}");
    screen.press("\r\t");
    let shown = screen.sees("It is kept; u sends it again.");
    assert!(shown.contains("(403)") && shown.contains("REFUSED"), "{shown}");
    assert_eq!(known(&estate), 1);
    // No PIN makes it good again.
    screen.press("\t\r");
    screen.sees("The operator card is refused: ");
    screen.press("q");
    assert!(screen.ends().success());
}
