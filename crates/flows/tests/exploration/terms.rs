//! Symbols in place of cryptography that every suite shares, small enough to count and yet values that the product's
//! messages can carry.
//!
//! Nothing here can be computed from something else: a random number, a proof, a MAC is bytes that name what it is, and a
//! key block is a text that names what it binds. Who may make or open one is the business of `pad` and `server`; the
//! attacker only ever copies.

use keyferry_flows::Context;
use wire::{Device, Serial, Slot};

/// A slot of a terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Place {
    pub(crate) terminal: u8,
    pub(crate) slot: u8,
}

impl Place {
    /// The place that these name.
    pub(crate) fn of(device: &Device, slot: Slot) -> Place {
        Place { terminal: terminal(device), slot: slot.index() }
    }

    pub(crate) fn slot(self) -> Slot {
        Slot::new(self.slot).unwrap()
    }

    pub(crate) fn device(self) -> Device {
        device(self.terminal)
    }
}

/// The terminal of this number.
pub(crate) fn device(terminal: u8) -> Device {
    Device::built_in(Serial::parse(&format!("SN-{terminal}")).unwrap())
}

/// The number of this terminal.
pub(crate) fn terminal(device: &Device) -> u8 {
    device.sn().as_str().trim_start_matches("SN-").parse().unwrap()
}

/// A connection to one of the servers, the how manieth over all; what the server makes fresh and the working keys that are
/// made in it are named after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Connection(pub(crate) u8);

/// A TMK: where it was made for, the how manieth there, and which of few check values it has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Tmk {
    pub(crate) place: Place,
    pub(crate) number: u8,
    pub(crate) check: u8,
}

impl Tmk {
    /// What its check value is made of: slot and number, not the key.
    pub(crate) fn check(self) -> [u8; 3] {
        [self.place.terminal, self.place.slot, self.check]
    }
}

/// A TMK as it is sent: with the load counter that this frame takes, in a suite that has one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Given {
    pub(crate) tmk: Tmk,
    pub(crate) counter: Option<u8>,
}

/// What a MAC of a sign-in says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Word {
    Ok = 0x4F,
    Done = 0x44,
}

/// The text of a TMK's block under a key of this name.
pub(crate) fn tmk_block(under: &str, place: Place, context: Context, given: Given) -> String {
    let Given { tmk: Tmk { place: made, number, check }, counter } = given;
    let Place { terminal, slot } = place;
    let counter = counter.unwrap_or(0);
    format!(
        "K1 {under} {terminal} {slot} {context} {counter} {} {} {number} {check}",
        made.terminal, made.slot
    )
}

/// The text of a working key's block, under a TMK.
pub(crate) fn working_block(
    usage: &str,
    under: Tmk,
    place: Place,
    context: Context,
    keys: Connection,
) -> String {
    let Tmk { place: made, number, check } = under;
    let (made, place) = ((made.terminal, made.slot), (place.terminal, place.slot));
    format!("{usage} {made:?} {number} {check} {place:?} {context} {}", keys.0)
}

/// What a TMK's block names: whoever holds the key that it is under may look.
pub(crate) struct Opened {
    pub(crate) under: String,
    pub(crate) place: Place,
    pub(crate) context: String,
    pub(crate) given: Given,
}

/// Reads the text of a TMK's block.
pub(crate) fn open(text: &str) -> Option<Opened> {
    let parts: Vec<&str> = text.split(' ').collect();
    let ["K1", under, terminal, slot, context, counter, made_terminal, made_slot, number, check] = parts[..]
    else {
        return None;
    };
    let place = |terminal: &str, slot: &str| {
        Some(Place { terminal: terminal.parse().ok()?, slot: slot.parse().ok()? })
    };
    let tmk = Tmk {
        place: place(made_terminal, made_slot)?,
        number: number.parse().ok()?,
        check: check.parse().ok()?,
    };
    let counter = Some(counter.parse().ok()?).filter(|counter| *counter > 0);
    Some(Opened {
        under: under.to_owned(),
        place: place(terminal, slot)?,
        context: context.to_owned(),
        given: Given { tmk, counter },
    })
}

/// The connection whose working key is in this block.
pub(crate) fn working_keys_of(text: &str) -> Option<Connection> {
    text.rsplit(' ').next()?.parse().ok().map(Connection)
}

/// Names the working keys of this connection, for whom a terminal proves that it has them.
pub(crate) fn sign_in_mark(keys: Connection) -> Vec<u8> {
    vec![b'F', keys.0]
}
