//! Acts at the HSM's own console, not over its socket: they take or give what must never cross one.

use std::path::Path;

use crate::{HsmSoftError, lmk::Lmk, self_test, state::State};

/// An HSM's folder, opened for [`components`](crate::components), [`agreement`](crate::agreement) and [`backup`](crate::backup). Runs in a process of
/// its own, protected by [`crate::protect`] first, with people at its terminal.
pub struct Offline {
    pub(crate) lmk: Lmk,
}

impl Offline {
    /// Tests the cryptography, then unseals the folder.
    ///
    /// # Errors
    /// As [`crate::SoftHsm::open`].
    pub fn open(folder: &Path, passphrase: &str) -> Result<Self, HsmSoftError> {
        self_test::run()?;
        Ok(Self { lmk: Lmk::new(&State::open(folder, passphrase)?.generations())? })
    }
}

impl std::fmt::Debug for Offline {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Offline")
    }
}
