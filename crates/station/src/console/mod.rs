//! The station's full-screen console: who works at it sees both cards, what is plugged in, what became of each terminal,
//! and what still waits for the server.
//!
//! ```text
//! keys ───────┐                        ┌─► screen (view)
//! cards ──────┤                        │
//! ports ──────┼─► Event ─► Model::on ──┤
//! run ────────┤                        └─► Effect ─► driver: open cards, collect, upload, fetch the list
//! uploads ────┘
//! ```
//!
//! [`Model`] is pure: no clock, no file, no thread. It takes one [`Event`] after another and says by [`Effect`]s what is
//! to be done, so that everything that a person can meet is a test, and the pictures of `docs/console.md` are made by
//! these tests. [`view`] draws it. [`run`] is the driver: it has the threads.
//!
//! Colour never says anything that no word says. A PIN that is typed here is wiped once the card has seen it.

mod driver;
mod event;
mod model;
mod pin;
mod view;

pub use driver::{End, Setup, run};
pub use event::{
    Answer, Effect, Event, Face, Key, ListSeen, Parcel, Place, Port, Seen, ServerSeen, Told, Tries,
};
pub use model::Model;
pub use pin::Pin;
pub use view::{SMALLEST, view};
