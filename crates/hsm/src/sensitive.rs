use std::fmt;

use serde::{Deserialize, Serialize};
use zeroize::Zeroize;

/// A value that is nobody's key and still nobody's business: a PIN block, a PAN, a password, what a MAC is over.
///
/// `Debug` shows `…`, there is no `==`, and it is wiped when dropped. It travels to the HSM's process like any other
/// field: over a socket that only this user can open.
#[derive(Clone, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Sensitive<T: Zeroize>(T);

impl<T: Zeroize> Sensitive<T> {
    /// Takes the value. The caller keeps no copy that is not wiped.
    #[must_use]
    pub fn new(value: T) -> Self {
        Self(value)
    }

    /// The value. The caller wipes every copy that it makes.
    #[must_use]
    pub fn expose(&self) -> &T {
        &self.0
    }
}

impl<T: Zeroize> From<T> for Sensitive<T> {
    fn from(value: T) -> Self {
        Self(value)
    }
}

impl<T: Zeroize> fmt::Debug for Sensitive<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("…")
    }
}

impl<T: Zeroize> Drop for Sensitive<T> {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

#[cfg(test)]
mod tests {
    use std::{cell::Cell, rc::Rc};

    use super::*;

    #[test]
    fn a_sensitive_value_is_not_shown_and_travels_as_the_value_itself() {
        let pan = Sensitive::new("4012345678909".to_owned());
        assert_eq!(format!("{pan:?}"), "…");
        let bytes = postcard::to_allocvec(&pan).unwrap();
        assert_eq!(bytes, postcard::to_allocvec("4012345678909").unwrap());
        let back: Sensitive<String> = postcard::from_bytes(&bytes).unwrap();
        assert!(back.expose() == pan.expose());
    }

    #[test]
    fn a_sensitive_value_is_wiped_when_it_is_dropped() {
        struct Told(Rc<Cell<bool>>);
        impl Zeroize for Told {
            fn zeroize(&mut self) {
                self.0.set(true);
            }
        }
        let wiped = Rc::new(Cell::new(false));
        drop(Sensitive::new(Told(Rc::clone(&wiped))));
        assert!(wiped.get());
    }
}
