//! Key components: XOR, each with its check value.

use zeroize::Zeroizing;

use crate::keys::Clear;
use crate::{Algorithm, CheckValue, Error, kcv, to_hex};

/// What is to be said of one component; not its bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Component {
    /// Its check value and remarks.
    pub check: CheckValue,
}

/// The key that components make.
#[derive(Debug)]
pub struct Combined {
    key: Clear,
    /// The key's check value and remarks.
    pub check: CheckValue,
    /// The components in order.
    pub components: Vec<Component>,
}

/// Combines components by XOR.
///
/// # Errors
/// [`Error::TooFewComponents`] for fewer than two, [`Error::ComponentLength`] where they differ in length,
/// [`Error::Key`] for a length that the algorithm does not have.
pub fn combine(algorithm: Algorithm, components: &[&[u8]]) -> Result<Combined, Error> {
    let (first, others) = components.split_first().ok_or(Error::TooFewComponents)?;
    if others.is_empty() {
        return Err(Error::TooFewComponents);
    }
    let mut key = Zeroizing::new(first.to_vec());
    for (number, component) in (2..).zip(others) {
        if component.len() != key.len() {
            return Err(Error::ComponentLength { number });
        }
        for (to, from) in key.iter_mut().zip(*component) {
            *to ^= from;
        }
    }
    let components = components
        .iter()
        .map(|component| kcv(algorithm, component).map(|check| Component { check }))
        .collect::<Result<_, _>>()?;
    Ok(Combined { check: kcv(algorithm, &key)?, key: Clear::new(key), components })
}

impl Combined {
    /// The clear key.
    #[must_use]
    pub fn key(&self) -> &[u8] {
        self.key.expose()
    }

    /// As a person reads it; wiped when dropped.
    #[must_use]
    pub fn text(&self) -> Zeroizing<String> {
        let mut front = String::new();
        for (number, component) in (1..).zip(&self.components) {
            front.push_str(&format!("component {number}    check value {}\n", component.check));
        }
        let key = to_hex(self.key());
        let back = format!("\ncheck value    {}", self.check);
        let mut text = Zeroizing::new(String::with_capacity(front.len() + 16 + key.len() + back.len()));
        text.push_str(&front);
        text.push_str("key            ");
        text.push_str(&key);
        text.push_str(&back);
        text
    }
}
