//! A PIN while it is typed.

use zeroize::Zeroizing;

/// Longest PIN that can be typed, characters. Room for that many is there from the start: a text that grows leaves
/// copies of itself behind.
pub(super) const MAX_PIN: usize = 64;
/// Longest character, bytes of UTF-8.
const MAX_CHAR: usize = 4;

/// What was typed so far. It wipes itself, and no text shows it.
pub struct Pin(Zeroizing<String>);

impl Pin {
    /// Nothing typed yet.
    pub fn new() -> Pin {
        Pin(Zeroizing::new(String::with_capacity(MAX_PIN * MAX_CHAR)))
    }

    /// One character more; one past the limit is not taken.
    pub(super) fn push(&mut self, typed: char) {
        if self.len() < MAX_PIN && !typed.is_control() {
            self.0.push(typed);
        }
    }

    /// One less.
    pub(super) fn pop(&mut self) {
        self.0.pop();
    }

    /// How many characters.
    pub(super) fn len(&self) -> usize {
        self.0.chars().count()
    }

    /// The PIN, for the card.
    pub fn for_the_card(&self) -> &str {
        &self.0
    }
}

impl Default for Pin {
    fn default() -> Pin {
        Pin::new()
    }
}

impl std::fmt::Debug for Pin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Pin(_)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pin_never_moves_while_it_is_typed_and_ends_at_the_limit() {
        let mut pin = Pin::new();
        let at = pin.0.as_ptr();
        (0..2 * MAX_PIN).for_each(|_| pin.push('\u{1D11E}'));
        assert_eq!((pin.len(), pin.0.as_ptr()), (MAX_PIN, at));
        pin.pop();
        assert_eq!(pin.len(), MAX_PIN - 1);
    }

    #[test]
    fn no_text_shows_it_and_no_control_character_gets_in() {
        let mut pin = Pin::new();
        "12\u{1B}34".chars().for_each(|typed| pin.push(typed));
        assert_eq!(pin.for_the_card(), "1234");
        assert_eq!(format!("{pin:?}"), "Pin(_)");
    }
}
