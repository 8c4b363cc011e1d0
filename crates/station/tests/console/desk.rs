//! A console on a desk: a model, and everything that happens to it.

use keyferry_station::console::{
    Answer, Effect, Event, Face, Key, ListSeen, Model, Parcel, Place, Port, Seen, ServerSeen, Told, view,
};
use ratatui::{Terminal, backend::TestBackend, style::Color};

/// 2026-11-21 07:12:00 UTC.
pub(crate) const NOW: i64 = 1_795_245_120;
pub(crate) const DAY: i64 = 86_400;
pub(crate) const PORTS: [(&str, &str); 3] = [
    ("serial:/dev/ttyUSB0?baud=115200", "FTDI FT232R USB UART"),
    ("serial:/dev/ttyUSB1?baud=115200", "FTDI FT232R USB UART"),
    ("serial:/dev/ttyACM0?baud=115200", "PAX A920"),
];
pub(crate) const PRINTS: [&str; 3] = ["0A1B2C3D4E5F60718293", "91F0C3AA5B7D02E46688", "77DE01AB39C4F8521B60"];

pub(crate) struct Desk {
    pub(crate) model: Model,
    pub(crate) now: i64,
}

impl Desk {
    /// Switched on, and nothing looked at yet.
    pub(crate) fn new() -> Desk {
        Desk::coloured(true)
    }

    pub(crate) fn coloured(colour: bool) -> Desk {
        Desk { model: Model::new("station-1", "https://kms.bank.example:8443", colour, NOW), now: NOW }
    }

    /// Both cards in, three terminals plugged in, server there.
    pub(crate) fn ready() -> Desk {
        let mut desk = Desk::new();
        desk.list(2 * 3600);
        desk.on(Event::Server(ServerSeen::Reached));
        desk.insert(Place::Operator);
        desk.insert(Place::Administrator);
        (0..PORTS.len()).for_each(|port| desk.plug(port));
        desk
    }

    /// The same with both PINs given, and collecting begun.
    pub(crate) fn collecting() -> Desk {
        let mut desk = Desk::ready();
        desk.key(Key::Char(' '));
        desk.give_pins();
        desk
    }

    pub(crate) fn on(&mut self, event: Event) -> Vec<Effect> {
        self.model.on(event)
    }

    pub(crate) fn key(&mut self, key: Key) -> Vec<Effect> {
        self.on(Event::Key(key))
    }

    pub(crate) fn typed(&mut self, text: &str) {
        text.chars().for_each(|c| drop(self.key(Key::Char(c))));
    }

    /// Types both PINs, which both cards take; what the console asks for then.
    pub(crate) fn give_pins(&mut self) -> Vec<Effect> {
        let mut effects = Vec::new();
        for place in Place::BOTH {
            self.typed("123456");
            let asked = self.key(Key::Enter);
            assert!(matches!(asked.as_slice(), [Effect::Open(at, _)] if *at == place), "{asked:?}");
            effects = self.on(Event::Opened(place, Ok(())));
        }
        effects
    }

    pub(crate) fn wait(&mut self, seconds: i64) -> Vec<Effect> {
        self.now += seconds;
        self.on(Event::Tick(self.now))
    }

    pub(crate) fn insert(&mut self, place: Place) -> Vec<Effect> {
        let card = Some(face(place));
        self.on(Event::Card(place, Seen { name: name(place), card, trouble: None }))
    }

    pub(crate) fn pull(&mut self, place: Place) -> Vec<Effect> {
        self.on(Event::Card(place, Seen { name: name(place), card: None, trouble: None }))
    }

    pub(crate) fn list(&mut self, age: i64) {
        let list = ListSeen { fetched: Some(self.now - age), max_age: DAY, trouble: None };
        self.on(Event::List(list));
    }

    pub(crate) fn plug(&mut self, port: usize) {
        let (address, about) = PORTS[port];
        self.on(Event::Plugged(Port { address: address.to_owned(), about: about.to_owned() }));
    }

    pub(crate) fn unplug(&mut self, port: usize) {
        self.on(Event::Unplugged(PORTS[port].0.to_owned()));
    }

    pub(crate) fn ask(&mut self, port: usize) {
        self.on(Event::Asking(PORTS[port].0.to_owned()));
    }

    pub(crate) fn collect(&mut self, port: usize) {
        self.ask(port);
        self.on(Event::Collected {
            address: PORTS[port].0.to_owned(),
            sn: sn(port),
            pin_pad: (port == 2).then(|| "PP-77".to_owned()),
            fingerprint: PRINTS[port].to_owned(),
        });
    }

    pub(crate) fn fail(&mut self, port: usize, reason: &str, advice: &str) {
        self.ask(port);
        self.on(Event::Failed {
            address: PORTS[port].0.to_owned(),
            sn: None,
            reason: reason.to_owned(),
            advice: advice.to_owned(),
        });
    }

    /// The run is over: these are in a package.
    pub(crate) fn pack(&mut self, id: &str, ports: &[usize]) {
        let serials = ports.iter().map(|port| sn(*port)).collect();
        self.on(Event::Queued(Parcel { id: id.to_owned(), serials }));
        self.on(Event::RunEnded(Ok(())));
    }

    pub(crate) fn send(&mut self, id: &str, answer: Answer) -> Vec<Effect> {
        self.on(Event::Sending(id.to_owned()));
        self.on(Event::Sent(id.to_owned(), answer))
    }

    pub(crate) fn away(&mut self) {
        let why = "Connection refused".to_owned();
        self.on(Event::Server(ServerSeen::Away { why, again: self.now + 8 }));
    }

    /// The screen as text, without blanks at the ends of its lines.
    pub(crate) fn screen(&self, width: u16, height: u16) -> String {
        let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
        terminal.draw(|frame| view(&self.model, frame)).unwrap();
        let buffer = terminal.backend().buffer();
        let line = |y| {
            let cells: String = (0..width).map(|x| buffer[(x, y)].symbol()).collect();
            cells.trim_end().to_owned()
        };
        (0..height).map(line).collect::<Vec<_>>().join("\n")
    }

    /// Whether any cell has a colour.
    pub(crate) fn has_colours(&self) -> bool {
        let mut terminal = Terminal::new(TestBackend::new(100, 30)).unwrap();
        terminal.draw(|frame| view(&self.model, frame)).unwrap();
        let plain = |colour| colour == Color::Reset;
        !terminal.backend().buffer().content().iter().all(|cell| plain(cell.fg) && plain(cell.bg))
    }

    #[track_caller]
    pub(crate) fn shows(&self, text: &str) {
        let screen = self.screen(80, 24);
        assert!(screen.contains(text), "{text:?} is not on the screen:\n{screen}");
    }

    #[track_caller]
    pub(crate) fn hides(&self, text: &str) {
        let screen = self.screen(80, 24);
        assert!(!screen.contains(text), "{text:?} is on the screen:\n{screen}");
    }
}

pub(crate) fn sn(port: usize) -> String {
    format!("SN-100{}", port + 1)
}

pub(crate) fn name(place: Place) -> String {
    match place {
        Place::Operator => "pkcs11:token=operator".to_owned(),
        Place::Administrator => "pkcs11:token=administrator".to_owned(),
    }
}

pub(crate) fn face(place: Place) -> Face {
    let (subject, role) = match place {
        Place::Operator => ("Olga Operator, Example Bank", "operator"),
        Place::Administrator => ("Adam Admin, Example Bank", "administrator"),
    };
    Face {
        id: format!("{role}'s certificate"),
        subject: subject.to_owned(),
        role: role.to_owned(),
        until: NOW + 700 * DAY,
        tries: None,
        own_pin_pad: false,
        refused: None,
    }
}

/// What the KMS says of a terminal that it took.
pub(crate) fn taken(port: usize) -> Told {
    Told {
        sn: sn(port),
        ok: true,
        awaits: false,
        said: "stored, the KMS shows the same fingerprint".to_owned(),
        alarm: None,
    }
}

/// What it says of one that it did not take.
pub(crate) fn refused(port: usize, said: &str) -> Told {
    Told { sn: sn(port), ok: false, awaits: false, said: said.to_owned(), alarm: None }
}

/// The addresses that an effect wants collected.
#[track_caller]
pub(crate) fn wanted(effects: &[Effect]) -> Vec<&str> {
    match effects {
        [Effect::Collect(addresses)] => addresses.iter().map(String::as_str).collect(),
        _ => panic!("no collecting: {effects:?}"),
    }
}
