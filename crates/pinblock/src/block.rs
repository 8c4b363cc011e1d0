//! Formats 0, 1 and 3: eight bytes in clear.

use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use crate::field::Rule;
use crate::{BadBlock, Error, Format, Pan, Pin};

/// A PIN block in clear: eight bytes to be enciphered at once. Has no copy, no `==` and no `Debug` of bytes, and wipes
/// itself when dropped.
pub struct ClearBlock(Box<Bytes>);

/// On the heap, so that moving a block leaves no copy behind.
#[derive(Zeroize, ZeroizeOnDrop)]
struct Bytes([u8; 8]);

impl std::fmt::Debug for ClearBlock {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ClearBlock(…)")
    }
}

impl ClearBlock {
    /// The bytes. The caller wipes every copy that it makes.
    #[must_use]
    pub fn expose(&self) -> &[u8; 8] {
        &self.0.0
    }
}

/// Makes a clear block of format 0, 1 or 3, with random fill from the operating system where the format has it. Format
/// 1 is not bound to a PAN: one that is given is not used.
///
/// # Errors
/// [`Error::PanMissing`], [`Error::PanShort`], [`Error::Format2`], [`Error::Format4NeedsKey`], [`Error::Random`].
pub fn encode(format: Format, pin: &Pin, pan: Option<&Pan>) -> Result<ClearBlock, Error> {
    encode_filled(format, pin, pan, &*random()?)
}

/// [`encode`] with random bytes of the caller's: for a device that tests its random source. They are used once.
///
/// # Errors
/// As [`encode`], without [`Error::Random`].
pub fn encode_filled(
    format: Format,
    pin: &Pin,
    pan: Option<&Pan>,
    random: &[u8; 8],
) -> Result<ClearBlock, Error> {
    let pan_field = pan_field(format, pan)?;
    let field = Rule::of(format).write(pin, random);
    let mut block = ClearBlock(Box::new(Bytes([0; 8])));
    for (to, (a, b)) in block.0.0.iter_mut().zip(field.iter().zip(pan_field)) {
        *to = a ^ b;
    }
    Ok(block)
}

/// The PIN in a clear block of format 0, 1 or 3. The same work is done whatever is wrong, and everything wrong is one
/// answer.
///
/// A request that no block could satisfy is the same answer too (format 2; format 4, which has [`decode_format4`]; a
/// PAN that is missing or too short): [`Format::binds_pan`] and [`Pan::fits`] tell these apart before there is a block.
///
/// [`decode_format4`]: crate::decode_format4
///
/// # Errors
/// [`BadBlock`].
pub fn decode(format: Format, block: &[u8; 8], pan: Option<&Pan>) -> Result<Pin, BadBlock> {
    let (rule, pan_field) = match pan_field(format, pan) {
        Ok(pan_field) => (Rule::of(format), pan_field),
        Err(_) => (Rule::NONE, [0; 8]),
    };
    let mut field = Zeroizing::new([0; 8]);
    for (to, (a, b)) in field.iter_mut().zip(block.iter().zip(pan_field)) {
        *to = a ^ b;
    }
    rule.read(&field)
}

/// Eight random bytes for a fill.
pub(crate) fn random() -> Result<Zeroizing<[u8; 8]>, Error> {
    let mut random = Zeroizing::new([0; 8]);
    getrandom::fill(random.as_mut_slice()).map_err(|_| Error::Random)?;
    Ok(random)
}

/// What is added to the PIN field: the PAN's digits, or nothing in format 1.
fn pan_field(format: Format, pan: Option<&Pan>) -> Result<[u8; 8], Error> {
    match format {
        Format::Iso1 => Ok([0; 8]),
        Format::Iso2 => Err(Error::Format2),
        Format::Iso4 => Err(Error::Format4NeedsKey),
        Format::Iso0 | Format::Iso3 => {
            let pan = pan.ok_or(Error::PanMissing { format: format.number() })?;
            pan.fits(format)?;
            Ok(pan.field())
        }
    }
}
