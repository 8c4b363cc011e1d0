//! What may be translated into what (ISO 9564-1, the table of PIN block format translations), and stricter.
//!
//! | from | into 0, 3, 4 | into 1 | into 2 |
//! |---|---|---|---|
//! | 0, 3, 4 | the standard allows it without a change of PAN: **allowed** | forbidden | to a chip card only: refused |
//! | 1 | **allowed** | the standard allows it: refused | to a chip card only: refused |
//! | 2 | forbidden | forbidden | to a chip card only: refused |
//!
//! Nothing goes into format 1, since a block without its PAN can be tried with every card. The PAN never changes: a
//! translation takes one PAN, for both sides.

use crate::Format;

/// The formats may not be translated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a PIN block of format {} is not translated into format {}: see the table of ISO 9564-1", from.number(), to.number())]
pub struct NotAllowed {
    /// The format of the block that came.
    pub from: Format,
    /// The format that was asked for.
    pub to: Format,
}

/// Whether a block of format `from` may become one of format `to`, for the same PAN.
///
/// # Errors
/// [`NotAllowed`].
pub fn allowed(from: Format, to: Format) -> Result<(), NotAllowed> {
    use Format::{Iso0, Iso1, Iso2, Iso3, Iso4};
    match (from, to) {
        (Iso0 | Iso1 | Iso3 | Iso4, Iso0 | Iso3 | Iso4) => Ok(()),
        (_, Iso1 | Iso2) | (Iso2, _) => Err(NotAllowed { from, to }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_whole_table() {
        let allowed: Vec<(u8, u8)> = Format::ALL
            .into_iter()
            .flat_map(|from| Format::ALL.map(|to| (from, to)))
            .filter(|(from, to)| allowed(*from, *to).is_ok())
            .map(|(from, to)| (from.number(), to.number()))
            .collect();
        let expected = [0, 1, 3, 4].map(|from| [0, 3, 4].map(|to| (from, to))).concat();
        assert_eq!(allowed, expected);
    }

    #[test]
    fn nothing_goes_into_format_1_or_2_or_comes_from_2() {
        for format in Format::ALL {
            assert!(allowed(format, Format::Iso1).is_err());
            assert!(allowed(format, Format::Iso2).is_err());
            assert!(allowed(Format::Iso2, format).is_err());
        }
    }
}
