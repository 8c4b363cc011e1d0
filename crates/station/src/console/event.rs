//! What happens to a console, and what it asks for.

use std::fmt;

use super::Pin;

/// Which of the two cards.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// The one that signs packages.
    Operator,
    /// The second person's.
    Administrator,
}

impl Place {
    /// Both, in the order in which their PINs are asked for.
    pub const BOTH: [Place; 2] = [Place::Operator, Place::Administrator];

    pub(super) fn word(self) -> &'static str {
        match self {
            Place::Operator => "operator",
            Place::Administrator => "administrator",
        }
    }

    pub(super) fn index(self) -> usize {
        match self {
            Place::Operator => 0,
            Place::Administrator => 1,
        }
    }
}

/// A key of the keyboard. Its `Debug` shows no character: it may be a PIN's.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Key {
    /// A character.
    Char(char),
    /// Enter.
    Enter,
    /// Escape.
    Escape,
    /// The last character away.
    Backspace,
    /// One line up.
    Up,
    /// One line down.
    Down,
    /// To the other list.
    Tab,
    /// Ctrl-C.
    Interrupt,
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Key::Char(_) => "Char(_)",
            Key::Enter => "Enter",
            Key::Escape => "Escape",
            Key::Backspace => "Backspace",
            Key::Up => "Up",
            Key::Down => "Down",
            Key::Tab => "Tab",
            Key::Interrupt => "Interrupt",
        })
    }
}

/// What a token tells of the tries that its PIN has left. PKCS #11 tells no number, and a file nothing at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tries {
    /// No wrong PIN since the last good one.
    All,
    /// There was a wrong PIN.
    Few,
    /// One more wrong PIN locks it.
    Last,
    /// It is locked.
    Locked,
    /// It has no PIN yet.
    NotSet,
}

/// What is in a card's reader.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// The reader, file or token, as the configuration names it.
    pub name: String,
    /// The card, if one is there.
    pub card: Option<Face>,
    /// Why it cannot be read, where something is there that cannot.
    pub trouble: Option<String>,
}

/// What a card shows without its PIN.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Face {
    /// Tells one card from every other: the SHA-256 of its certificate.
    pub id: String,
    /// Whose it is.
    pub subject: String,
    /// The role in its certificate, in a word.
    pub role: String,
    /// To when its certificate is valid, unix seconds.
    pub until: i64,
    /// What it tells of its PIN.
    pub tries: Option<Tries>,
    /// Whether its PIN is typed at its own reader, and not here.
    pub own_pin_pad: bool,
    /// Why the station does not take it (chain, dates, role, revocation), where it does not.
    pub refused: Option<String>,
}

/// A place where a terminal may be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Port {
    /// Its address, as `station collect` would be told.
    pub address: String,
    /// What the system knows of it: a USB adapter's description.
    pub about: String,
}

/// The server, as it was when last asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ServerSeen {
    /// It answers.
    Reached,
    /// It does not, or is not the KMS.
    Away {
        /// Why.
        why: String,
        /// When it is asked again, unix seconds.
        again: i64,
    },
}

/// The revocation list at hand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListSeen {
    /// When it was fetched, unix seconds; nothing where there is none.
    pub fetched: Option<i64>,
    /// How old it may be, seconds.
    pub max_age: i64,
    /// Why it cannot be used, where it cannot.
    pub trouble: Option<String>,
}

/// A signed package in the queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parcel {
    /// What the queue calls it.
    pub id: String,
    /// The serials in it.
    pub serials: Vec<String>,
}

/// What the server says of one terminal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    /// Its serial.
    pub sn: String,
    /// Whether the KMS took it.
    pub ok: bool,
    /// Whether it counts only once a second person approves it.
    pub awaits: bool,
    /// Code and text, in words.
    pub said: String,
    /// Why people must look at it before it is deployed, where they must.
    pub alarm: Option<String>,
}

/// What came of sending a package.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// The server took it, and says what became of each terminal.
    Taken(Vec<Told>),
    /// The server has it from before; its answer was lost then.
    ArrivedBefore,
    /// The server refused all of it. It is kept, and sent again only when a person asks for that.
    Refused(String),
    /// No answer. It waits, and is sent again.
    NotSent(String),
}

/// Something that happened.
#[derive(Debug)]
pub enum Event {
    /// The time, unix seconds; comes about once a second.
    Tick(i64),
    /// A key was pressed.
    Key(Key),
    /// The system ends the console.
    Ended,
    /// What is in a reader now.
    Card(Place, Seen),
    /// What a card said to its PIN.
    Opened(Place, Result<(), String>),
    /// A terminal's cable was plugged in.
    Plugged(Port),
    /// The cable at this address was pulled.
    Unplugged(String),
    /// This address is being asked.
    Asking(String),
    /// The line at this address failed, and it is asked again.
    Again {
        /// Where.
        address: String,
        /// How it failed.
        why: String,
    },
    /// A terminal answered.
    Collected {
        /// Where.
        address: String,
        /// Its serial.
        sn: String,
        /// Its PIN pad's, where that is external.
        pin_pad: Option<String>,
        /// The fingerprint, 20 hex digits.
        fingerprint: String,
    },
    /// A terminal did not, or its answer is not used.
    Failed {
        /// Where.
        address: String,
        /// The serial, if it gave one.
        sn: Option<String>,
        /// Why.
        reason: String,
        /// What to do next.
        advice: String,
    },
    /// The run is over. What it brought is in the queue, or an error says why not.
    RunEnded(Result<(), String>),
    /// A package stands in the queue.
    Queued(Parcel),
    /// So many terminals' answers are kept and in no package, and why, where that is not for want of the cards.
    Unpacked(usize, Option<String>),
    /// It is being sent.
    Sending(String),
    /// What came of it.
    Sent(String, Answer),
    /// The server was asked.
    Server(ServerSeen),
    /// The revocation list was looked at.
    List(ListSeen),
}

/// Something to be done.
#[derive(Debug)]
pub enum Effect {
    /// Open this card with this PIN; answered by [`Event::Opened`].
    Open(Place, Pin),
    /// Forget both cards' keys.
    Close,
    /// Collect what is at these addresses, and pack all that is kept; answered by [`Event::RunEnded`]. Without an
    /// address it only packs.
    Collect(Vec<String>),
    /// Send all that waits, and fetch the revocation list, now.
    Upload,
    /// Call people: the terminal's bell.
    Bell,
    /// Give the terminal back and end.
    Quit,
}
