//! An HSM that is started anew while a server runs: what the first process sealed for itself opens in the second no more.

use std::{
    path::Path,
    sync::{Arc, Mutex},
    thread,
};

use hsm::{Client, Command, Hsm, HsmError, Refusal};
use hsm_soft::{Duty, SoftHsm, serve};
use tokio::runtime::Runtime;

use super::estate::{ESTATE, PASSPHRASE};

/// The way to the HSM process that runs now.
#[derive(Clone)]
pub(crate) struct Switch {
    client: Arc<Mutex<Client>>,
    runtime: Arc<Runtime>,
    /// The name of a command, and what it is refused with.
    refused: Arc<Mutex<Option<(&'static str, Refusal)>>>,
    /// The names of the commands that it was asked.
    asked: Arc<Mutex<Vec<&'static str>>>,
}

impl Switch {
    /// To the HSM of all tests.
    pub(crate) fn new() -> Switch {
        let runtime = Runtime::new().unwrap();
        let client = runtime.block_on(Client::connect(ESTATE.socket())).unwrap();
        let (client, runtime) = (Arc::new(Mutex::new(client)), Arc::new(runtime));
        Switch { client, runtime, refused: Arc::default(), asked: Arc::default() }
    }

    /// Another process on the same folder takes over; its socket is in `folder`.
    pub(crate) fn start_anew(&self, folder: &Path) {
        let socket = folder.join("anew");
        serve_on(Duty::Server, &socket);
        *self.client.lock().unwrap() = self.runtime.block_on(Client::connect(socket)).unwrap();
    }

    /// What the HSM was asked since this was called last.
    pub(crate) fn asked(&self) -> Vec<&'static str> {
        std::mem::take(&mut *self.asked.lock().unwrap())
    }

    /// From now on this command is refused so, and no other.
    pub(crate) fn refuse(&self, command: &'static str, refusal: Refusal) {
        *self.refused.lock().unwrap() = Some((command, refusal));
    }

    /// Nothing is refused any more.
    pub(crate) fn allow(&self) {
        *self.refused.lock().unwrap() = None;
    }
}

impl Hsm for Switch {
    fn call<C: Command>(&self, command: C) -> impl Future<Output = Result<C::Reply, HsmError>> + Send {
        self.asked.lock().unwrap().push(C::NAME);
        let client = self.client.lock().unwrap().clone();
        let refused = self.refused.lock().unwrap().clone();
        let refused = refused.filter(|(name, _)| *name == C::NAME).map(|(_, refusal)| refusal);
        async move {
            match refused {
                Some(refusal) => Err(refusal.into()),
                None => client.call(command).await,
            }
        }
    }
}

/// Another process on the folder of all tests' HSM, on this duty.
pub(crate) fn serve_on(duty: Duty, socket: &Path) {
    let hsm = SoftHsm::open(&ESTATE.hsm_folder(), PASSPHRASE, vec![]).unwrap().on_duty(duty);
    let server = serve::Server::bind(socket, Arc::new(hsm)).unwrap();
    thread::spawn(move || server.run());
}
