//! The console with cards that are PKCS #11 tokens.

use crate::{
    desk::{
        ADMINISTRATOR_PIN, Cable, OPERATOR_PIN, SIZE, both_present, console, give_pins, known, with_cables,
    },
    screen::Screen,
    support::{
        estate::Estate,
        folders::{edit, write_secret},
        server::Server,
        tool::run,
    },
};

#[path = "../../../custody/tests/common/softhsm.rs"]
mod softhsm;

use softhsm::{SO_PIN, Tokens, module};

/// Flag of CK_TOKEN_INFO (PKCS #11 v2.40 section 3.2).
const LOCKED: u64 = 0x0004_0000;

fn uri(label: &str) -> String {
    format!("pkcs11:token={label}?module-path={}", module().display())
}

/// The operator's token Olga and the administrator's token Adam, which the station's configuration names.
fn with_tokens(estate: &Estate) -> Tokens {
    let tokens = Tokens::in_folder(estate.folder());
    write_secret(&estate.secret("so-pin"), SO_PIN);
    for (label, role) in [("Olga", "operator"), ("Adam", "administrator")] {
        let mut card = estate.ca(&["card", "--subject", label, "--role", role, "--bits", "2048"]);
        card.args(["--token", &uri(label), "--initialise"]);
        card.arg("--so-pin-file").arg(estate.secret("so-pin"));
        card.arg("--pin-file").arg(estate.secret(&format!("{role}-pin")));
        run(card.env("SOFTHSM2_CONF", tokens.config())).good();
        edit(&estate.path("station.toml"), &[(&format!("cards/{role}.pem"), &uri(label))]);
    }
    tokens
}

#[test]
fn r35_a_wrong_pin_says_what_the_token_tells_and_a_token_pulled_out_stops_everything() {
    let estate = Estate::new();
    let _server = Server::start(&estate);
    with_cables(&estate);
    let tokens = with_tokens(&estate);
    let terminal = estate.make_terminal("SN-1");
    let mut cable = Cable::plug(&estate, &terminal, "tty-1");
    let mut screen = Screen::start(console(&estate).env("SOFTHSM2_CONF", tokens.config()), SIZE);
    both_present(&mut screen);
    screen.sees("Olga (serial ");
    screen.sees("Plugged in: 1 terminal");
    screen.press(" ");
    screen.sees("1 of 2: the operator card's PIN");
    screen.enter(ADMINISTRATOR_PIN);
    screen.sees("few tries are left");
    give_pins(&mut screen);
    let text = screen.sees("The KMS took 1 of 1.");
    assert!(text.contains(&cable.fingerprint()), "{text}");
    assert_eq!(known(&estate), 1);

    let taken_out = tokens.take_out();
    screen.sees("CARD WAS PULLED OUT");
    screen.until("both are gone", |text| text.matches("PULLED OUT   CN=").count() == 2);
    taken_out.put_back();
    both_present(&mut screen);
    screen.sees("STOP STOP STOP");
    screen.press("\r");
    screen.sees_no("STOP");
    screen.press("\r");
    give_pins(&mut screen);
    screen.sees("2 answered");

    let raw = screen.raw();
    for pin in [OPERATOR_PIN, ADMINISTRATOR_PIN] {
        assert!(!raw.windows(pin.len()).any(|window| window == pin.as_bytes()), "{pin} was on the screen");
    }
    screen.press("q");
    assert!(screen.ends().success());
}

#[test]
fn r35_a_locked_token_is_shown_as_that_and_asked_for_no_pin() {
    let estate = Estate::new();
    let _server = Server::start(&estate);
    with_cables(&estate);
    let tokens = with_tokens(&estate);
    for stored in tokens.stored() {
        Tokens::set_flags(&stored, LOCKED);
    }
    let terminal = estate.make_terminal("SN-1");
    let _cable = Cable::plug(&estate, &terminal, "tty-1");
    let mut screen = Screen::start(console(&estate).env("SOFTHSM2_CONF", tokens.config()), SIZE);
    both_present(&mut screen);
    screen.sees("PIN: LOCKED");
    screen.sees("Plugged in: 1 terminal");
    screen.press(" ");
    let text = screen.sees("The operator card is LOCKED after wrong PINs");
    assert!(!text.contains("1 of 2"), "{text}");
    screen.press("q");
    assert!(screen.ends().success());
}
