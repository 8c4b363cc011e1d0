//! `docs/station.md`, typed as it stands: every command, every prompt, every line that it promises.

use std::fs;

use crate::support::{
    estate::{Estate, SECRETS},
    server::Server,
    station,
    terminals::Waiting,
    typing::Typing,
};

const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/station.md");
const NEW_PASSPHRASE: &str = "station-w9xc-passphrase-t3mf";

/// What stands on the page, in order.
enum Part {
    /// What happens around the station, which readers do not see.
    Aside(String),
    /// A command and what it shows.
    Step { command: String, shows: Vec<String> },
}

fn parts(page: &str) -> Vec<Part> {
    let mut parts = Vec::new();
    let mut lines = page.lines();
    while let Some(line) = lines.next() {
        if let Some(aside) = line.strip_prefix("<!-- test: ") {
            let all = aside.strip_suffix(" -->").unwrap().split("; ");
            parts.extend(all.map(|aside| Part::Aside(aside.to_owned())));
        } else if line == "```console" {
            let command = lines.next().unwrap().strip_prefix("$ ").unwrap().to_owned();
            let shows = lines.by_ref().take_while(|line| *line != "```").map(str::to_owned).collect();
            parts.push(Part::Step { command, shows });
        }
    }
    parts
}

/// The world around the page.
struct Play {
    estate: Estate,
    server: Option<Server>,
    waiting: Vec<Waiting>,
    /// What stands on the page, and what it is here.
    names: Vec<(String, String)>,
    passphrase: &'static str,
    fails: bool,
}

impl Play {
    fn aside(&mut self, aside: &str) {
        let words: Vec<_> = aside.split(' ').collect();
        match words.as_slice() {
            ["server", "starts"] => self.server = Some(Server::start(&self.estate)),
            ["server", "stops"] => assert!(self.server.take().unwrap().stop().success()),
            ["fails"] => self.fails = true,
            [sn, "at", place] => {
                let terminal = self.estate.make_terminal(sn).wait();
                self.names.push((format!("{place}:7802"), terminal.address.clone()));
                self.waiting.push(terminal);
            }
            ["power", "fails", "while", sn, "is", "collected", "at", _] => {
                let waiting = [self.estate.make_terminal(sn).wait()];
                super::journal::ends_unpacked(&self.estate, &waiting);
            }
            ["a", "package", "is", name] => {
                let package = self.open().answered()[0].package.name.to_string();
                self.names.push(((*name).to_owned(), package[..8].to_owned()));
            }
            ["a", "package", "waits"] => {
                let waiting: Vec<_> = self.waiting.drain(..).collect();
                let last = waiting.last().unwrap();
                self.secrets();
                let mut collect = station::command(&self.estate, "station.toml");
                collect.args(["--offline", "--terminal", &last.address]);
                crate::support::tool::run(&mut collect).good();
                let package = self.open().waiting()[0].name.to_string();
                self.names.push(("WAITING".to_owned(), package[..8].to_owned()));
            }
            ["a", "byte", ..] => {
                let path = self.newest();
                let mut bytes = fs::read(&path).unwrap();
                // Behind the head: the first record's.
                bytes[120] ^= 1;
                fs::write(path, bytes).unwrap();
            }
            _ => panic!("{aside}"),
        }
    }

    /// Puts the present passphrase where commands of the tests read it.
    fn secrets(&self) {
        let path = self.estate.secret("station-passphrase");
        crate::support::folders::write_secret(&path, &format!("{}\n", self.passphrase));
    }

    fn open(&self) -> ::station::Journal {
        self.secrets();
        station::journal(&self.estate)
    }

    /// The newest file, with a record in it.
    fn newest(&self) -> std::path::PathBuf {
        let all = crate::support::folders::files(&self.estate.path("station/journal"));
        let mut files: Vec<_> =
            all.into_iter().filter(|path| path.extension().is_some_and(|end| end == "journal")).collect();
        files.sort();
        files.pop().unwrap()
    }

    fn answer(&self, prompt: &str) -> &'static str {
        let secret = |name: &str| SECRETS.iter().find(|(secret, _)| *secret == name).unwrap().1;
        match prompt {
            _ if prompt.contains("operator card PIN") => secret("operator-pin"),
            _ if prompt.contains("administrator card PIN") => secret("administrator-pin"),
            _ if prompt.contains("new station passphrase") => NEW_PASSPHRASE,
            _ if prompt.contains("station passphrase") => self.passphrase,
            _ => panic!("nobody answers {prompt:?}"),
        }
    }

    fn step(&mut self, command: &str, shows: &[String]) {
        let command = self.names.iter().fold(command.to_owned(), |text, (from, to)| text.replace(from, to));
        let mut typing = Typing::start_with_network(&self.estate.path(""), &command);
        for line in shows {
            if let Some(prompt) = line.strip_suffix("****") {
                typing.sees(prompt.trim_end());
                typing.types_unseen(self.answer(prompt));
            } else {
                line.split('…')
                    .map(str::trim)
                    .filter(|part| !part.is_empty())
                    .for_each(|part| typing.sees(part));
            }
        }
        let (well, screen) = typing.ends();
        assert_eq!(well, !std::mem::take(&mut self.fails), "{command}:\n{screen}");
        if command.contains("--new-passphrase") {
            self.passphrase = NEW_PASSPHRASE;
        }
        for (whose, secret) in SECRETS {
            assert!(!screen.contains(secret), "{whose} was shown:\n{screen}");
        }
    }
}

#[test]
fn the_page_of_the_station_is_what_happens() {
    let passphrase = SECRETS.iter().find(|(name, _)| *name == "station-passphrase").unwrap().1;
    let estate = Estate::new();
    let mut play = Play { estate, server: None, waiting: vec![], names: vec![], passphrase, fails: false };
    let parts = parts(&fs::read_to_string(PAGE).unwrap());
    assert!(parts.iter().filter(|part| matches!(part, Part::Step { .. })).count() >= 12);
    for part in &parts {
        match part {
            Part::Aside(aside) => play.aside(aside),
            Part::Step { command, shows } => play.step(command, shows),
        }
    }
}
