//! The KLD's HSM, asked and waited for.

use hsm::{Client, Command, Hsm as _, HsmError};
use tokio::runtime::Handle;

/// A connection to the HSM process of a KLD. It holds no key: what comes back are key blocks and check values.
#[derive(Clone)]
pub struct KldHsm {
    client: Client,
    runtime: Handle,
}

impl KldHsm {
    /// The HSM behind this client, whose runtime is not the calling thread's.
    pub fn new(client: Client, runtime: Handle) -> KldHsm {
        KldHsm { client, runtime }
    }

    /// Carries out one command.
    pub(super) fn call<C: Command>(&self, command: C) -> Result<C::Reply, HsmError> {
        self.runtime.block_on(self.client.call(command))
    }
}

impl std::fmt::Debug for KldHsm {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("KldHsm")
    }
}
