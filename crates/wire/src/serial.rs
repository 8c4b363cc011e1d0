//! Serials, vendor, model and operator ids.

use crate::{
    Identifier,
    limits::{MAX_MODEL_ID, MAX_OPERATOR_ID, MAX_SERIAL, MAX_VENDOR_ID},
};

/// The serial of a terminal (DF02, SN or DSN in the specification) or of a PIN pad (DF03): 1–32 characters.
pub type Serial = Identifier<MAX_SERIAL>;
/// A vendor id (DF30): 1–8 characters.
pub type VendorId = Identifier<MAX_VENDOR_ID>;
/// A model id (DF31): 1–20 characters.
pub type ModelId = Identifier<MAX_MODEL_ID>;
/// The id of a person who works at terminals (DF3D): 1–16 characters.
pub type OperatorId = Identifier<MAX_OPERATOR_ID>;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_ends_at_its_own_length() {
        let text = "A".repeat(33);
        assert!(Serial::parse(&text[..32]).is_ok());
        assert!(Serial::parse(&text).is_err());
        assert!(VendorId::parse(&text[..8]).is_ok());
        assert!(VendorId::parse(&text[..9]).is_err());
        assert!(ModelId::parse(&text[..20]).is_ok());
        assert!(ModelId::parse(&text[..21]).is_err());
        assert!(OperatorId::parse(&text[..16]).is_ok());
        assert!(OperatorId::parse(&text[..17]).is_err());
    }
}
