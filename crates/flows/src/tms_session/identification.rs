//! Who asks a TMS for what, as TMS_HELLO says it and the later messages repeat it.

use wire::{
    Device, Fields, Malformed, ModelId, Serial, Slot, Src, Tag, TmsVersion, TransactionCode, VendorId,
};

/// What a terminal wants of a session (DF33 and, with 0001, DF04).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transaction {
    /// `0001`: a TMK into this slot.
    KeyDownload {
        /// The slot to fill.
        slot: Slot,
    },
    /// `0002`: packages.
    ProgramDownload,
}

impl Transaction {
    /// Its code.
    pub fn code(self) -> TransactionCode {
        match self {
            Self::KeyDownload { .. } => TransactionCode::KeyDownload,
            Self::ProgramDownload => TransactionCode::ProgramDownload,
        }
    }

    /// The slot to fill, in a key download.
    pub fn slot(self) -> Option<Slot> {
        match self {
            Self::KeyDownload { slot } => Some(slot),
            Self::ProgramDownload => None,
        }
    }
}

/// Who a terminal says it is, to a TMS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identification {
    /// The vendor (DF30).
    pub vendor: VendorId,
    /// The model (DF31).
    pub model: ModelId,
    /// Terminal and PIN pad (DF02, DF03).
    pub device: Device,
}

/// What the three later messages repeat of TMS_HELLO: DF30, DF31, DF02 and DF32.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Named {
    /// The vendor (DF30).
    pub vendor: VendorId,
    /// The model (DF31).
    pub model: ModelId,
    /// The terminal (DF02).
    pub sn: Serial,
    /// The version (DF32).
    pub version: TmsVersion,
}

impl Named {
    pub(super) fn read(fields: &Fields) -> Result<Named, Malformed> {
        let (vendor, model) = vendor_and_model(fields)?;
        let sn = Serial::from_bytes(fields.required(Tag::SERIAL)?)?;
        Ok(Named { vendor, model, sn, version: fields.tms_version()? })
    }

    pub(super) fn push(&self, fields: &mut Fields) -> Result<(), Malformed> {
        fields.push(Tag::VENDOR_ID, self.vendor.as_bytes())?;
        fields.push(Tag::MODEL_ID, self.model.as_bytes())?;
        fields.push(Tag::SERIAL, self.sn.as_bytes())?;
        fields.push(Tag::TMS_VERSION, &self.version.bytes())
    }

    /// That this is what TMS_HELLO said. A TMS that does not speak the hello's version may name its own.
    ///
    /// # Errors
    /// [`Malformed::FieldValue`] with the first field that differs.
    pub fn expect(&self, hello: &Named, src: Src) -> Result<(), Malformed> {
        let version = self.version == hello.version || src == Src::VersionNotSupported;
        for (same, tag) in [
            (self.vendor == hello.vendor, Tag::VENDOR_ID),
            (self.model == hello.model, Tag::MODEL_ID),
            (self.sn == hello.sn, Tag::SERIAL),
            (version, Tag::TMS_VERSION),
        ] {
            if !same {
                return Err(Malformed::FieldValue { tag });
            }
        }
        Ok(())
    }
}

/// DF30 and DF31.
pub(super) fn vendor_and_model(fields: &Fields) -> Result<(VendorId, ModelId), Malformed> {
    let missing = |tag| Malformed::MissingField { tag };
    let vendor = fields.vendor()?.ok_or(missing(Tag::VENDOR_ID))?;
    Ok((vendor, fields.model()?.ok_or(missing(Tag::MODEL_ID))?))
}
