//! What a role needs to know of a suite: the roles are written once, a suite is a type (2-wire.md section 4,
//! 3-hardened.md).
//!
//! Every suite has the same messages in the same order. What differs is in them: random numbers or ephemeral keys, check
//! values or receipts. [`Suite`] is what all flows share; each flow has a trait of its own beside its roles that names the
//! [`Part`] of each of its messages. Another suite is another type with these traits, in files of its own.

mod ec_aes;
mod tdes;

use core::fmt::Debug;

use wire::{Fields, Frame, Kcv, Malformed, MessageType};

use crate::ProtocolError;

pub use ec_aes::{Confirmation, EcAes, Ephemeral, Hole, Opened, Receipt, Signature};
pub use tdes::{Compared, Tdes};

/// What one suite puts into a message, beside what every suite has there.
pub trait Part: Debug + Clone + PartialEq + Eq + Send + Sync + 'static {
    /// Reads it out of the message's fields.
    ///
    /// # Errors
    /// [`Malformed`] when a field is missing, or has not its form.
    fn read(fields: &Fields) -> Result<Self, Malformed>
    where
        Self: Sized;

    /// Adds it to the message's fields, in whatever order: [`Suite::write`] brings them into the suite's.
    ///
    /// # Errors
    /// [`Malformed`] for what no field can carry.
    fn push(&self, fields: &mut Fields) -> Result<(), Malformed>;
}

/// A message to which the suite adds nothing.
impl Part for () {
    fn read(_: &Fields) -> Result<(), Malformed> {
        Ok(())
    }

    fn push(&self, _: &mut Fields) -> Result<(), Malformed> {
        Ok(())
    }
}

/// The suite that a flow's first message names (DF01), for whoever chooses the roles by it; suite 01 where it cannot be
/// read, since its roles then say what is wrong.
pub fn asked(frame: &Frame) -> wire::Suite {
    let suite = frame.message().and_then(|message| message.fields.suite());
    suite.unwrap_or(wire::Suite::TDES)
}

/// A suite, as far as all flows share it: how a message is laid out, and what KEY_CONFIRM and DONE say.
pub trait Suite: Debug + Clone + Copy + PartialEq + Eq + Send + Sync + 'static {
    /// DF01.
    const ID: wire::Suite;

    /// What KEY_CONFIRM holds.
    type Confirmation: Part;

    /// What DONE holds after KEY_CONFIRM. A value of it comes from a check of KEY_CONFIRM and from nothing else, so that
    /// nobody can write DONE without one.
    type Done: Debug + Clone + Send + Sync + 'static;

    /// The fields of the message that a state waits for.
    ///
    /// # Errors
    /// Another message; the peer's ERROR; [`Malformed`], also for fields in an order that the suite does not allow.
    fn read(frame: &Frame, expected: MessageType) -> Result<Fields, ProtocolError>;

    /// Writes a message, its fields in the suite's order.
    ///
    /// # Errors
    /// [`ProtocolError::Unwritable`] when they fit into no frame.
    fn write(message: MessageType, fields: Fields) -> Result<Frame, ProtocolError>;

    /// Whether KEY_CONFIRM may confirm so many keys.
    ///
    /// # Errors
    /// [`Malformed`] when it confirms another number.
    fn confirms(confirmation: &Self::Confirmation, keys: usize) -> Result<(), Malformed>;

    /// Whether it is a check value of this suite.
    fn has_kcv(kcv: Kcv) -> bool;

    /// Adds what DONE holds.
    ///
    /// # Errors
    /// None in practice: it has a fixed size.
    fn push_done(done: &Self::Done, fields: &mut Fields) -> Result<(), Malformed>;

    /// Checks the form of what DONE holds; whether it is right only a PIN pad can say.
    ///
    /// # Errors
    /// [`Malformed`].
    fn check_done(fields: &Fields) -> Result<(), Malformed>;
}

/// Writes a message of this side.
pub(crate) fn write<S: Suite>(
    message: MessageType,
    fill: impl FnOnce(&mut Fields) -> Result<(), Malformed>,
) -> Result<Frame, ProtocolError> {
    let mut fields = Fields::new();
    fill(&mut fields).map_err(ProtocolError::Unwritable)?;
    S::write(message, fields)
}
