//! Suite 01, TDES: fields in any order, check values in KEY_CONFIRM, an empty DONE (2-wire.md).

use wire::{Fields, Frame, Kcv, Malformed, MessageType, Tag};

use super::{Part, Suite};
use crate::{KeyConfirm, ProtocolError, fault::expect};

/// Suite 01.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tdes;

/// The check values were compared and are right. DONE of this suite holds nothing: it is not authenticated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Compared(());

impl Compared {
    /// Compares what KEY_CONFIRM told with the keys that were sent, in constant time; nothing when one is another.
    pub fn new(told: &KeyConfirm, sent: &[Kcv]) -> Option<Compared> {
        told.is_of(sent).then_some(Compared(()))
    }
}

impl Suite for Tdes {
    const ID: wire::Suite = wire::Suite::TDES;

    type Confirmation = KeyConfirm;
    type Done = Compared;

    fn read(frame: &Frame, expected: MessageType) -> Result<Fields, ProtocolError> {
        expect(frame, expected)
    }

    fn write(message: MessageType, fields: Fields) -> Result<Frame, ProtocolError> {
        Frame::new(message, &fields).map_err(ProtocolError::Unwritable)
    }

    fn confirms(confirmation: &KeyConfirm, keys: usize) -> Result<(), Malformed> {
        if confirmation.kcvs.len() == keys {
            Ok(())
        } else {
            Err(Malformed::Template { tag: Tag::KEY_ENTRY })
        }
    }

    fn has_kcv(kcv: Kcv) -> bool {
        matches!(kcv, Kcv::Tdes(_))
    }

    fn push_done(_: &Compared, _: &mut Fields) -> Result<(), Malformed> {
        Ok(())
    }

    fn check_done(_: &Fields) -> Result<(), Malformed> {
        Ok(())
    }
}

impl Part for KeyConfirm {
    fn read(fields: &Fields) -> Result<KeyConfirm, Malformed> {
        KeyConfirm::read_fields(fields)
    }

    fn push(&self, fields: &mut Fields) -> Result<(), Malformed> {
        self.push_fields(fields)
    }
}
