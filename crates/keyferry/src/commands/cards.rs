//! Cards at the command line: whose PIN is asked for, and what the card says of its tries before it is typed.

use std::path::PathBuf;

use anyhow::{Result, bail};
use custody::token::PinState;
use station::{BothCards, Card, CardSource, Checks};
use zeroize::Zeroizing;

use crate::secret::Source;

/// Reads a card's PIN from a file or asks for it. A locked card is not asked for; one whose reader has keys of its own is
/// given an empty PIN.
pub(crate) fn pin(card: &dyn Card, what: &str, file: Option<PathBuf>) -> Result<Zeroizing<String>> {
    let state = card.pin_state();
    if let Some(state @ (PinState::Locked | PinState::NotSet)) = state {
        bail!("the {what} {} cannot be opened: {state}", card.name());
    }
    let asked = file.is_none();
    if asked && card.asks_pin_itself() {
        complain!("type the PIN of the {what} {} at its own reader", card.name());
        return Ok(Zeroizing::new(String::new()));
    }
    // Who gives the PIN in a file is told too: the file may hold the wrong one.
    if let Some(state @ (PinState::FewLeft | PinState::LastTry)) = state {
        complain!("{what} {}: {state}", card.name());
    }
    Source::file(file).read(&format!("{what} PIN ({})", card.name()))
}

/// The two cards of a station or a KLD, in their readers.
pub(crate) struct Two {
    operator: Box<dyn Card>,
    administrator: Box<dyn Card>,
}

impl Two {
    pub(crate) fn insert(operator: &CardSource, administrator: &CardSource) -> Result<Self> {
        Ok(Self { operator: operator.insert()?, administrator: administrator.insert()? })
    }

    /// Opens both, each with the PIN of its own person.
    pub(crate) fn open(
        self,
        operator_pin_file: Option<PathBuf>,
        administrator_pin_file: Option<PathBuf>,
        checks: &Checks,
    ) -> Result<BothCards> {
        let operator_pin = pin(self.operator.as_ref(), "operator card", operator_pin_file)?;
        let administrator_pin =
            pin(self.administrator.as_ref(), "administrator card", administrator_pin_file)?;
        Ok(BothCards::open(self.operator, &operator_pin, self.administrator, &administrator_pin, checks)?)
    }
}
