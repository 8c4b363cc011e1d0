//! Symbols in place of cryptography, small enough to count and yet values that the product's messages can carry.
//!
//! Nothing here can be computed from something else: a random number, an answer, a MAC is bytes that name what it is,
//! and a key block is a text that names what it binds. Who may make or open one is the business of `pad` and `hsm`; the
//! attacker only ever copies.

use keyferry_flows::Context;
use wire::{Device, Kcv, Serial, Slot};

/// Eight bytes, as random numbers, answers and MACs have.
pub(crate) type Eight = [u8; 8];

/// A slot of a terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Place {
    pub(crate) terminal: u8,
    pub(crate) slot: u8,
}

impl Place {
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

/// A connection to one of the servers, the how manieth over all; its Rnd2 and the working keys that are made in it are
/// named after it.
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
    /// Its check value: of the same slot and number, not of the same key.
    pub(crate) fn kcv(self) -> Kcv {
        Kcv::Tdes([self.place.terminal, self.place.slot, self.check])
    }
}

/// Rnd1 of a terminal's session.
pub(crate) fn rnd1(terminal: u8, session: u8) -> Eight {
    [0x01, terminal, session, 0, 0, 0, 0, 0]
}

/// Rnd2 of a connection.
pub(crate) fn rnd2(connection: Connection) -> Eight {
    [0x82, connection.0, 0, 0, 0, 0, 0, 0]
}

/// Random numbers of the attacker's own, one fit for Rnd1 and one for Rnd2.
pub(crate) const OWN: [Eight; 2] = [[0x03; 8], [0x83; 8]];
/// Bytes of the attacker's own that stand for an answer or a MAC that it cannot make.
pub(crate) const GARBAGE: Eight = [0xAA; 8];

/// E(AUK, random) under this terminal's AUK. The first three bytes of a random number are all of it.
pub(crate) fn answer(terminal: u8, random: Eight) -> Eight {
    let [first, second, third, ..] = random;
    [0xE0, terminal, first, second, third, 0, 0, 0]
}

/// What a MAC of a sign-in says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Word {
    Ok = 0x4F,
    Done = 0x44,
}

/// A MAC with the MAK that was made in this connection.
pub(crate) fn mac(word: Word, keys: Connection, rnd1: Eight) -> Eight {
    let [first, second, third, ..] = rnd1;
    [0xA0, word as u8, keys.0, first, second, third, 0, 0]
}

/// The text of a TMK's block.
pub(crate) fn tmk_block(tek: u8, place: Place, context: Context, tmk: Tmk) -> String {
    let Tmk { place: made, number, check } = tmk;
    let Place { terminal, slot } = place;
    format!("K1 {tek} {terminal} {slot} {context} {} {} {number} {check}", made.terminal, made.slot)
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

/// What a TMK's block names: whoever holds the TEK may look.
pub(crate) struct Opened {
    pub(crate) tek: u8,
    pub(crate) place: Place,
    pub(crate) context: String,
    pub(crate) tmk: Tmk,
}

/// Reads the text of a TMK's block.
pub(crate) fn open(text: &str) -> Option<Opened> {
    let parts: Vec<&str> = text.split(' ').collect();
    let ["K1", tek, terminal, slot, context, made_terminal, made_slot, number, check] = parts[..] else {
        return None;
    };
    let place = |terminal: &str, slot: &str| {
        Some(Place { terminal: terminal.parse().ok()?, slot: slot.parse().ok()? })
    };
    Some(Opened {
        tek: tek.parse().ok()?,
        place: place(terminal, slot)?,
        context: context.to_owned(),
        tmk: Tmk {
            place: place(made_terminal, made_slot)?,
            number: number.parse().ok()?,
            check: check.parse().ok()?,
        },
    })
}

/// The connection whose working key is in this block.
pub(crate) fn working_keys_of(text: &str) -> Option<Connection> {
    text.rsplit(' ').next()?.parse().ok().map(Connection)
}
