//! Fields as the things they stand for: a known field of a wrong length or value is malformed.

use crate::{Device, Fields, Identifier, Kcv, Malformed, ModelId, Serial, Slot, Suite, Tag, VendorId};

impl Fields {
    /// The value of a field that must be there.
    ///
    /// # Errors
    /// [`Malformed::MissingField`].
    pub fn required(&self, tag: Tag) -> Result<&[u8], Malformed> {
        self.get(tag).ok_or(Malformed::MissingField { tag })
    }

    /// The value of a field that must be there and have `N` bytes.
    ///
    /// # Errors
    /// [`Malformed::MissingField`], [`Malformed::FieldLength`].
    pub fn exactly<const N: usize>(&self, tag: Tag) -> Result<[u8; N], Malformed> {
        let value = self.required(tag)?;
        value.try_into().map_err(|_| Malformed::FieldLength { tag, found: value.len() })
    }

    /// The suite (DF01).
    ///
    /// # Errors
    /// When it is missing or not one byte.
    pub fn suite(&self) -> Result<Suite, Malformed> {
        let [byte] = self.exactly(Tag::SUITE)?;
        Ok(Suite::new(byte))
    }

    /// Terminal and PIN pad (DF02, DF03).
    ///
    /// # Errors
    /// When DF02 is missing, either is no serial, or DF03 equals DF02.
    pub fn device(&self) -> Result<Device, Malformed> {
        let sn = Serial::from_bytes(self.required(Tag::SERIAL)?)?;
        Device::new(sn, self.identifier(Tag::PIN_PAD_SERIAL)?)
    }

    /// The key index (DF04).
    ///
    /// # Errors
    /// When it is missing, not one byte, or above 99.
    pub fn slot(&self) -> Result<Slot, Malformed> {
        let [index] = self.exactly(Tag::SLOT)?;
        Slot::new(index)
    }

    /// A check value of the TDES suite (DF0B, 3 bytes).
    ///
    /// # Errors
    /// When it is missing or not 3 bytes.
    pub fn tdes_kcv(&self) -> Result<Kcv, Malformed> {
        self.exactly(Tag::KCV).map(Kcv::Tdes)
    }

    /// The vendor id (DF30), if there is one.
    ///
    /// # Errors
    /// When it is none.
    pub fn vendor(&self) -> Result<Option<VendorId>, Malformed> {
        self.identifier(Tag::VENDOR_ID)
    }

    /// The model id (DF31), if there is one.
    ///
    /// # Errors
    /// When it is none.
    pub fn model(&self) -> Result<Option<ModelId>, Malformed> {
        self.identifier(Tag::MODEL_ID)
    }

    /// Adds DF02 and, for an external PIN pad, DF03.
    ///
    /// # Errors
    /// When one is there already.
    pub fn push_device(&mut self, device: &Device) -> Result<(), Malformed> {
        self.push(Tag::SERIAL, device.sn().as_bytes())?;
        match device.external_pin_pad() {
            Some(pin_pad) => self.push(Tag::PIN_PAD_SERIAL, pin_pad.as_bytes()),
            None => Ok(()),
        }
    }

    fn identifier<const MAX: usize>(&self, tag: Tag) -> Result<Option<Identifier<MAX>>, Malformed> {
        self.get(tag).map(Identifier::from_bytes).transpose()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(tag: Tag, value: &[u8]) -> Fields {
        let mut fields = Fields::new();
        fields.push(tag, value).unwrap();
        fields
    }

    #[test]
    fn one_byte_fields_have_one_byte() {
        assert_eq!(with(Tag::SUITE, &[1]).suite(), Ok(Suite::TDES));
        for value in [&[][..], &[1, 1]] {
            let found = value.len();
            let suite = Malformed::FieldLength { tag: Tag::SUITE, found };
            assert_eq!(with(Tag::SUITE, value).suite(), Err(suite));
            let slot = Malformed::FieldLength { tag: Tag::SLOT, found };
            assert_eq!(with(Tag::SLOT, value).slot(), Err(slot));
        }
        assert_eq!(Fields::new().suite(), Err(Malformed::MissingField { tag: Tag::SUITE }));
    }

    #[test]
    fn slot_above_99_is_malformed() {
        assert_eq!(with(Tag::SLOT, &[99]).slot(), Slot::new(99));
        assert_eq!(with(Tag::SLOT, &[100]).slot(), Err(Malformed::SlotRange { found: 100 }));
    }

    #[test]
    fn tdes_check_value_has_three_bytes() {
        assert_eq!(with(Tag::KCV, &[1, 2, 3]).tdes_kcv(), Ok(Kcv::Tdes([1, 2, 3])));
        for found in [2, 4, 5] {
            let result = with(Tag::KCV, &[0; 5][..found]).tdes_kcv();
            assert_eq!(result, Err(Malformed::FieldLength { tag: Tag::KCV, found }));
        }
    }

    #[test]
    fn device_is_written_as_it_is_read() {
        let sn = Serial::parse("SN-1").unwrap();
        let pad = Serial::parse("PP-1").unwrap();
        for device in [Device::built_in(sn.clone()), Device::new(sn, Some(pad)).unwrap()] {
            let mut fields = Fields::new();
            fields.push_device(&device).unwrap();
            assert_eq!(fields.device(), Ok(device));
        }
    }

    #[test]
    fn device_with_a_bad_serial_or_the_same_twice_is_malformed() {
        assert_eq!(Fields::new().device(), Err(Malformed::MissingField { tag: Tag::SERIAL }));
        let mut fields = with(Tag::SERIAL, b"SN-1");
        fields.push(Tag::PIN_PAD_SERIAL, b"SN-1").unwrap();
        assert_eq!(fields.device(), Err(Malformed::PinPadEqualsTerminal));
        let mut fields = with(Tag::SERIAL, b"SN-1");
        fields.push(Tag::PIN_PAD_SERIAL, b"").unwrap();
        assert_eq!(fields.device(), Err(Malformed::IdentifierLength { found: 0, max: 32 }));
        let sn = with(Tag::SERIAL, b"SN 1");
        assert_eq!(sn.device(), Err(Malformed::IdentifierCharacter));
    }

    #[test]
    fn vendor_and_model_may_be_missing_but_not_wrong() {
        assert_eq!(Fields::new().vendor(), Ok(None));
        assert_eq!(Fields::new().model(), Ok(None));
        assert!(with(Tag::VENDOR_ID, b"123456789").vendor().is_err());
        assert!(with(Tag::MODEL_ID, b"SIM 1").model().is_err());
    }
}
