//! Text that others wrote, before a person's terminal shows it.

/// Longest text of others that is kept, characters.
const MAX_SHOWN: usize = 300;

/// The text in one line, cut, without control characters: what a server or terminal wrote must not move the cursor
/// or hide a line.
pub(crate) fn printable(text: &str) -> String {
    let visible = |c: char| if c.is_control() { ' ' } else { c };
    text.chars().map(visible).take(MAX_SHOWN).collect::<String>().trim().to_owned()
}

/// Lower-case hex.
pub(crate) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
        // Writing into a `String` cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_do_not_reach_the_screen() {
        assert_eq!(printable("a\u{1B}[2Jb\r\nc\n"), "a [2Jb  c");
        assert_eq!(printable(&"é".repeat(500)).chars().count(), 300);
    }

    #[test]
    fn hex_is_lower_case() {
        assert_eq!(hex(&[0x0A, 0xFF]), "0aff");
    }
}
