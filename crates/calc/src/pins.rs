//! PIN blocks of ISO 9564-1: a clear PIN in, a block out, and back. For test cards and for looking for mistakes.

use pinblock::{Format, Format4Key, Pan, Pin};
use zeroize::Zeroizing;

use crate::keys::{Clear, DesFamily};
use crate::{Error, Remarks, to_hex};

/// Bytes of a block of formats 0, 1 and 3.
const SHORT: usize = 8;
/// Bytes of a block of format 4.
const LONG: usize = 16;

/// A PIN block, in clear where no key was given.
#[derive(Debug)]
pub struct PinBlock {
    block: Clear,
    /// What is to be said of the key.
    pub remarks: Remarks,
}

/// The PIN of a block.
#[derive(Debug)]
pub struct OpenedPin {
    pin: Pin,
    /// What is to be said of the key.
    pub remarks: Remarks,
}

impl PinBlock {
    /// The block: 8 bytes, in format 4 16.
    #[must_use]
    pub fn block(&self) -> &[u8] {
        self.block.expose()
    }

    /// As `keyferry calc` prints it, in memory that is wiped.
    #[must_use]
    pub fn text(&self) -> Zeroizing<String> {
        with_remarks(&to_hex(self.block()), self.remarks)
    }
}

impl OpenedPin {
    /// The PIN's digits.
    #[must_use]
    pub fn pin(&self) -> &str {
        self.pin.expose()
    }

    /// As `keyferry calc` prints it, in memory that is wiped.
    #[must_use]
    pub fn text(&self) -> Zeroizing<String> {
        with_remarks(self.pin(), self.remarks)
    }
}

/// Makes a PIN block. Formats 0, 1 and 3: in clear, or enciphered with a DES or TDES `key`; format 4 needs an AES `key`.
/// Format 1 has no PAN.
///
/// # Errors
/// [`Error::PinBlock`] for the format, the PIN, the PAN or format 4's key, [`Error::Key`] for another key.
pub fn encode_pin(format: u64, pin: &str, pan: Option<&str>, key: Option<&[u8]>) -> Result<PinBlock, Error> {
    let (format, pin) = (self::format(format)?, Pin::new(pin)?);
    let pan = self::pan(format, pan)?;
    if format == Format::Iso4 {
        let (pan, key) = for_format4(pan.as_ref(), key)?;
        let block = pinblock::encode_format4(&pin, pan, &key)?;
        return Ok(PinBlock { block: Clear::new(Zeroizing::new(block.to_vec())), remarks: Remarks::NONE });
    }
    let cipher = key.map(DesFamily::from_bytes).transpose()?;
    let clear = pinblock::encode(format, &pin, pan.as_ref())?;
    let block = match cipher {
        None => *clear.expose(),
        Some(DesFamily::Single(key)) => key.encrypt_block(*clear.expose()),
        Some(DesFamily::Triple(key)) => key.encrypt_block(*clear.expose()),
    };
    let block = Zeroizing::new(block);
    Ok(PinBlock { block: Clear::new(Zeroizing::new(block.to_vec())), remarks: remarks(key) })
}

/// Opens a PIN block as [`encode_pin`] makes it. Everything wrong inside a block is one error.
///
/// # Errors
/// As [`encode_pin`]; [`Error::PinBlockLength`]; [`pinblock::Error::BadBlock`].
pub fn decode_pin(
    format: u64,
    block: &[u8],
    pan: Option<&str>,
    key: Option<&[u8]>,
) -> Result<OpenedPin, Error> {
    let format = self::format(format)?;
    let pan = self::pan(format, pan)?;
    let wrong_length = Error::PinBlockLength { expected: format.block_bytes(), found: block.len() };
    if format == Format::Iso4 {
        let (pan, key) = for_format4(pan.as_ref(), key)?;
        let block: &[u8; LONG] = block.try_into().map_err(|_| wrong_length)?;
        let pin = pinblock::decode_format4(block, pan, &key).map_err(pinblock::Error::from)?;
        return Ok(OpenedPin { pin, remarks: Remarks::NONE });
    }
    let block: &[u8; SHORT] = block.try_into().map_err(|_| wrong_length)?;
    let clear = Zeroizing::new(match key.map(DesFamily::from_bytes).transpose()? {
        None => *block,
        Some(DesFamily::Single(key)) => key.decrypt_block(*block),
        Some(DesFamily::Triple(key)) => key.decrypt_block(*block),
    });
    let pin = pinblock::decode(format, &clear, pan.as_ref()).map_err(pinblock::Error::from)?;
    Ok(OpenedPin { pin, remarks: remarks(key) })
}

/// The format of this number, but not format 2.
fn format(number: u64) -> Result<Format, Error> {
    let format =
        u8::try_from(number).map_err(|_| pinblock::Error::UnknownFormat).and_then(Format::from_number)?;
    if format == Format::Iso2 { Err(pinblock::Error::Format2.into()) } else { Ok(format) }
}

/// The PAN that the format is bound to, fit for it.
fn pan(format: Format, digits: Option<&str>) -> Result<Option<Pan>, Error> {
    if !format.binds_pan() {
        return Ok(None);
    }
    let pan = Pan::new(digits.ok_or(pinblock::Error::PanMissing { format: format.number() })?)?;
    pan.fits(format)?;
    Ok(Some(pan))
}

/// What format 4 cannot be without.
fn for_format4<'a>(pan: Option<&'a Pan>, key: Option<&[u8]>) -> Result<(&'a Pan, Format4Key), Error> {
    let pan = pan.ok_or(pinblock::Error::PanMissing { format: Format::Iso4.number() })?;
    Ok((pan, Format4Key::new(key.ok_or(pinblock::Error::Format4NeedsKey)?)?))
}

fn remarks(key: Option<&[u8]>) -> Remarks {
    key.map_or(Remarks::NONE, Remarks::of_des)
}

fn with_remarks(what: &str, remarks: Remarks) -> Zeroizing<String> {
    let remarks = remarks.to_string();
    let mut text = Zeroizing::new(String::with_capacity(what.len() + remarks.len()));
    text.push_str(what);
    text.push_str(&remarks);
    text
}
