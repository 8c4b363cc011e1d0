//! A terminal that asks the server to collect it: inside a window that two people opened, and nowhere else.

use crate::support::{
    estate::Estate,
    server::Server,
    station::{make_card, other_station},
    tool::{Ran, keyferry, run},
};

fn ask(estate: &Estate, config: &str, out: &str) -> Ran {
    let mut command = keyferry(["station", "window", "ask", "--sn", "SN-77", "--hours", "1", "--config"]);
    command.arg(estate.path(config)).arg("--out").arg(estate.path(out));
    run(command.arg("--operator-pin-file").arg(estate.secret("operator-pin")))
}

fn open(estate: &Estate, config: &str, request: &str) -> Ran {
    let mut command = keyferry(["station", "window", "open", "--config"]);
    command.arg(estate.path(config)).arg("--request").arg(estate.path(request));
    run(command.arg("--administrator-pin-file").arg(estate.secret("administrator-pin")))
}

#[test]
fn a_terminal_is_collected_inside_its_window_only() {
    let estate = Estate::collected();
    let server = Server::start(&estate);
    let terminal = estate.make_terminal("SN-77");
    let asks = || {
        let mut command = keyferry(["terminal", "ask"]);
        run(command.arg(&terminal.folder).args(["--server", &server.terminals]))
    };
    asks().refused();
    let said = ask(&estate, "station.toml", "request.cms").good();
    assert!(said.contains("SN-77") && said.contains("nothing is open yet"), "{said}");
    ask(&estate, "station.toml", "request.cms").refused_with("is there already");
    asks().refused();

    // Somebody with both kinds of card does not open what they asked for.
    make_card(&estate, "twice-operator.pem", "Double Agent", "operator");
    make_card(&estate, "twice-administrator.pem", "Double Agent", "administrator");
    let changes = [
        ("cards/operator.pem", "cards/twice-operator.pem"),
        ("cards/administrator.pem", "cards/twice-administrator.pem"),
    ];
    other_station(&estate, "double.toml", &changes);
    ask(&estate, "double.toml", "double.cms").good();
    open(&estate, "double.toml", "double.cms").refused_with("a second person must open windows");
    asks().refused();

    let said = open(&estate, "station.toml", "request.cms").good();
    assert!(
        said.contains("First operator") && said.contains("SN-77") && said.contains("1 windows"),
        "{said}"
    );
    open(&estate, "station.toml", "request.cms").refused_with("a request opens windows once");
    let said = asks().good();
    assert!(said.contains(&terminal.fingerprint()), "{said}");
    terminal.key(&server.terminals, 0);
    assert!(server.stop().success());
    estate.verify_audit().good();
}
