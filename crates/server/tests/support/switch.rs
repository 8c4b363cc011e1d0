//! An HSM that is started anew while a server runs: what the first process sealed for itself opens in the second no more.

use std::{
    path::Path,
    sync::{Arc, Mutex},
    thread,
};

use hsm::{Client, Command, Hsm, HsmError};
use hsm_soft::{SoftHsm, serve};
use tokio::runtime::Runtime;

use super::estate::{ESTATE, PASSPHRASE};

/// The way to the HSM process that runs now.
#[derive(Clone)]
pub(crate) struct Switch(Arc<Mutex<Client>>, Arc<Runtime>);

impl Switch {
    /// To the HSM of all tests.
    pub(crate) fn new() -> Switch {
        let runtime = Runtime::new().unwrap();
        let client = runtime.block_on(Client::connect(ESTATE.socket())).unwrap();
        Switch(Arc::new(Mutex::new(client)), Arc::new(runtime))
    }

    /// Another process on the same folder takes over; its socket is in `folder`.
    pub(crate) fn start_anew(&self, folder: &Path) {
        let hsm = SoftHsm::open(&ESTATE.hsm_folder(), PASSPHRASE, vec![]).unwrap();
        let socket = folder.join("anew");
        let server = serve::Server::bind(&socket, Arc::new(hsm)).unwrap();
        thread::spawn(move || server.run());
        *self.0.lock().unwrap() = self.1.block_on(Client::connect(socket)).unwrap();
    }
}

impl Hsm for Switch {
    fn call<C: Command>(&self, command: C) -> impl Future<Output = Result<C::Reply, HsmError>> + Send {
        let client = self.0.lock().unwrap().clone();
        async move { client.call(command).await }
    }
}
