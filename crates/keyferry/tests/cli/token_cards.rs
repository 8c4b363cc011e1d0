//! A station and a KLD under cards on real PKCS #11 tokens, as people use them.

use std::{
    io::Read as _,
    net::{TcpListener, TcpStream},
    process::Command,
    thread,
};

use crate::support::{
    estate::Estate,
    folders::{edit, write_secret},
    kld::Kld,
    server::Server,
    station::{command, other_station},
    terminals::Terminal,
    tool::{Ran, keyferry, run},
    typing::Typing,
};

#[path = "../../../custody/tests/common/softhsm.rs"]
mod softhsm;

use softhsm::{SO_PIN, Tokens, module};

const CONFIG: &str = "tokens.toml";
/// Flags of CK_TOKEN_INFO (PKCS #11 v2.40 section 3.2).
const FINAL_TRY: u64 = 0x0002_0000;
const LOCKED: u64 = 0x0004_0000;

/// The operator's token Olga and the administrator's token Adam, under the PINs that the estate's first cards have, and a
/// station's configuration that names them.
struct Readers {
    estate: Estate,
    tokens: Tokens,
}

impl Readers {
    fn of(estate: Estate) -> Readers {
        let tokens = Tokens::in_folder(estate.folder());
        let readers = Readers { estate, tokens };
        write_secret(&readers.estate.secret("so-pin"), SO_PIN);
        readers.card("Olga", "operator", "operator-pin");
        readers.card("Adam", "administrator", "administrator-pin");
        readers
    }

    /// A card of this role on a new token, under the PIN in this secret.
    fn card(&self, label: &str, role: &str, pin: &str) {
        let mut card = self.estate.ca(&["card", "--subject", label, "--role", role, "--bits", "2048"]);
        card.args(["--token", &uri(label)]).arg("--initialise");
        card.arg("--so-pin-file").arg(self.estate.secret("so-pin"));
        self.run(card.arg("--pin-file").arg(self.estate.secret(pin))).good();
    }

    /// Starts the server, and has the station that finds it name the tokens.
    fn start(&self) -> Server {
        let server = Server::start(&self.estate);
        let named = [("cards/operator.pem", uri("Olga")), ("cards/administrator.pem", uri("Adam"))];
        let changes: Vec<_> = named.iter().map(|(file, uri)| (*file, uri.as_str())).collect();
        other_station(&self.estate, CONFIG, &changes);
        server
    }

    /// Runs a command that sees these tokens.
    fn run(&self, command: &mut Command) -> Ran {
        run(command.env("SOFTHSM2_CONF", self.tokens.config()))
    }

    fn collect(&self, address: &str) -> Ran {
        let mut command = command(&self.estate, CONFIG);
        self.run(command.args(["--terminal", address, "--offline"]))
    }

    fn collect_one(&self, terminal: &Terminal) -> Ran {
        let waiting = terminal.wait();
        let mut command = command(&self.estate, CONFIG);
        self.run(command.args(["--terminal", &waiting.address]))
    }

    /// A collection with a wrong operator's PIN.
    fn mistyped(&self) -> Ran {
        let mut command = keyferry(["station", "collect", "--terminal", "127.0.0.1:1", "--config"]);
        command.arg(self.estate.path(CONFIG));
        command.arg("--operator-pin-file").arg(self.estate.secret("administrator-pin"));
        command.arg("--administrator-pin-file").arg(self.estate.secret("administrator-pin"));
        command.arg("--station-passphrase-file").arg(self.estate.secret("station-passphrase"));
        self.run(&mut command)
    }
}

fn uri(label: &str) -> String {
    format!("pkcs11:token={label}?module-path={}", module().display())
}

#[test]
fn r35_a_station_collects_under_two_tokens_and_says_what_a_card_tells_of_its_tries() {
    let readers = Readers::of(Estate::new());
    let _server = readers.start();
    readers.mistyped().refused_with("few tries are left");
    let terminal = readers.estate.make_terminal("SN-1");
    let ran = readers.collect_one(&terminal);
    assert!(
        ran.err.contains("operator card Olga (serial ") && ran.err.contains("few tries are left"),
        "{ran:?}"
    );
    let said = ran.json();
    assert_eq!(said["uploads"][0]["outcome"]["taken"][0]["ok"], true, "{said}");
    // The right PIN was the end of it.
    let again = readers.collect_one(&readers.estate.make_terminal("SN-2"));
    assert!(!again.err.contains("tries"), "{again:?}");
    again.good();
}

#[test]
fn r35_a_person_is_told_of_the_last_try_before_the_pin_is_typed() {
    let readers = Readers::of(Estate::new());
    let server = readers.start();
    // The list is fetched while there is a server: the person types where there is none.
    readers.collect_one(&readers.estate.make_terminal("SN-1")).good();
    assert!(server.stop().success());
    for stored in readers.tokens.stored() {
        Tokens::set_flags(&stored, FINAL_TRY);
    }
    let line = format!("keyferry station window ask --config {CONFIG} --sn SN-1 --hours 1 --out ask.cms");
    let config = readers.tokens.config();
    let mut person = Typing::start(&readers.estate.path(""), &line, &[("SOFTHSM2_CONF", config.as_path())]);
    person.sees("operator card Olga (serial ");
    person.sees("ONE try is left: the next wrong PIN locks the token");
    person.sees("operator card PIN (Olga (serial ");
    person.types_unseen("operator-k3nb-pin-e6rt");
    let (good, screen) = person.ends();
    assert!(good && screen.contains("request    ask.cms"), "{screen}");
}

#[test]
fn r35_a_locked_card_is_not_asked_for_its_pin() {
    let readers = Readers::of(Estate::new());
    let _server = readers.start();
    for stored in readers.tokens.stored() {
        Tokens::set_flags(&stored, LOCKED);
    }
    readers.collect("127.0.0.1:1").refused_with("its PIN is locked");
}

#[test]
fn r35_a_token_pulled_out_stops_the_collection_at_once() {
    let readers = Readers::of(Estate::new());
    let _server = readers.start();
    // A terminal that takes the question and thinks.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let ran = thread::scope(|scope| {
        let ran = scope.spawn(|| {
            let ran = readers.collect(&address);
            // A command that ended before it asked must not leave the test waiting.
            drop(TcpStream::connect(&address));
            ran
        });
        let (mut stream, _) = listener.accept().unwrap();
        stream.read_exact(&mut [0; 2]).unwrap();
        readers.tokens.delete("Adam");
        // To the end, which is now and not after half a minute: else the command would say that time was over.
        let _ = stream.read_to_end(&mut Vec::new());
        ran.join().unwrap()
    });
    assert_eq!(ran.code, Some(1), "{ran:?}");
    let said: serde_json::Value = serde_json::from_str(&ran.out).unwrap();
    let [failed] = said["failed"].as_array().unwrap().as_slice() else { panic!("{said}") };
    let failed = failed.as_str().unwrap();
    assert!(failed.contains("broken off") && failed.contains("the card Adam (serial "), "{failed}");
    assert!(said["error"].as_str().unwrap().contains("the card Adam (serial "), "{said}");
}

#[test]
fn a_kld_works_under_two_tokens() {
    let readers = Readers::of(Estate::loaded());
    let kld = Kld::of(&readers.estate);
    let server = Server::start(&readers.estate);
    kld.find(&server);
    edit(
        &kld.folder.join("kld.toml"),
        &[
            ("../estate/cards/operator.pem", &uri("Olga")),
            ("../estate/cards/administrator.pem", &uri("Adam")),
        ],
    );
    let list = readers.estate.beside("run.list");
    std::fs::write(&list, "NEW-1").unwrap();
    let open = || {
        let mut open = kld.with_cards(&readers.estate, &["run", "open"]);
        open.arg("--serials").arg(&list).args(["--what", "tmk:0"]);
        readers.run(&mut open)
    };
    readers.run(&mut kld.command(&["status"])).good();
    let out = readers.tokens.take_out();
    open().refused_with("the card Olga is not present");
    out.put_back();
    open().good();
    readers.run(&mut kld.with_cards(&readers.estate, &["run", "close"])).good();
}

#[test]
fn a_vendor_signs_a_package_with_a_card_on_a_token() {
    let readers = Readers::of(Estate::new());
    readers.card("Vera", "package-signing", "operator-pin");
    let (content, out) = (readers.estate.beside("app"), readers.estate.beside("app.json"));
    std::fs::write(&content, "an application").unwrap();
    let sign = |label: &str| {
        let mut sign = keyferry(["tms", "package", "sign", "--vendor", "KF", "--name", "app"]);
        sign.args(["--kind", "application", "--package-version", "1.0.0", "--card", &uri(label)]);
        sign.arg("--pin-file").arg(readers.estate.secret("operator-pin")).arg("--out").arg(&out);
        readers.run(sign.arg(&content))
    };
    sign("Olga").refused_with("is no card of the role package-signing");
    sign("Vera").good();
    let signed: serde_json::Value = serde_json::from_slice(&std::fs::read(&out).unwrap()).unwrap();
    // 256 bytes: RSASSA-PSS with the token's key of 2 048 bits, verified by whoever signed before it was given out.
    assert_eq!(signed["signature"].as_str().unwrap().len(), 344, "{signed}");
}
