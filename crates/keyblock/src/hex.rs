//! Upper-case hexadecimal, strict: a block has exactly one spelling.

/// One upper-case hexadecimal digit.
pub(crate) const fn digit(character: u8) -> Option<u8> {
    match character {
        b'0'..=b'9' => Some(character - b'0'),
        b'A'..=b'F' => Some(character - b'A' + 10),
        _ => None,
    }
}

/// The number that these digits say; what is too large for `usize` stays at its maximum, and so is refused later as
/// longer than the text.
pub(crate) fn number(digits: &[u8]) -> Option<usize> {
    digits.iter().try_fold(0_usize, |number, character| {
        digit(*character).map(|value| number.saturating_mul(16).saturating_add(usize::from(value)))
    })
}

/// Writes the bytes that `digits` say to `out`; `false` for anything but two digits for each byte of `out`.
#[cfg(feature = "crypto")]
pub(crate) fn decode(digits: &[u8], out: &mut [u8]) -> bool {
    let (pairs, rest) = digits.as_chunks::<2>();
    if !rest.is_empty() || pairs.len() != out.len() {
        return false;
    }
    for ([high, low], byte) in pairs.iter().zip(out) {
        match (digit(*high), digit(*low)) {
            (Some(high), Some(low)) => *byte = high << 4 | low,
            _ => return false,
        }
    }
    true
}

/// Appends the bytes to `text`.
#[cfg(feature = "crypto")]
pub(crate) fn encode(bytes: &[u8], text: &mut String) {
    for byte in bytes {
        for nibble in [byte >> 4, byte & 0x0F] {
            text.push(char::from(if nibble < 10 { b'0' + nibble } else { b'A' + nibble - 10 }));
        }
    }
}
