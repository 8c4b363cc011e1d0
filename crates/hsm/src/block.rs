use std::fmt;

use serde::{Deserialize, Serialize};

/// A key as the HSM gives it out: the text of an X9.143 version D key block under the local master key (LMK).
///
/// It holds nothing secret to anyone without the LMK. At most 9 999 characters (the standard's own limit).
#[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct KeyBlock(String);

impl KeyBlock {
    /// Takes a block's text as it was stored. Nothing is checked here: the HSM checks at every use.
    #[must_use]
    pub fn from_text(text: String) -> Self {
        Self(text)
    }

    /// The block's text, to be stored.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Shows the clear header only: enough to tell blocks apart in a debugger, too little to copy one into a log.
impl fmt::Debug for KeyBlock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyBlock({}…)", self.0.get(..16).unwrap_or(""))
    }
}

impl From<KeyBlock> for String {
    fn from(block: KeyBlock) -> Self {
        block.0
    }
}
