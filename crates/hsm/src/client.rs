//! The client: one connection, many commands in flight.

use std::{
    collections::HashMap,
    path::Path,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        UnixStream,
        unix::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::{Notify, oneshot},
};
use zeroize::Zeroize;

use crate::{
    Command, Hsm, HsmError,
    commands::Status,
    protocol::{self, Decoder, Outcome},
};

const READ_BYTES: usize = 64 * 1024;
/// More than a command with a password in it takes.
const PASSWORD_ROOM: usize = 4096;

/// A connection to an HSM process. Cheap to clone; all clones share the connection.
#[derive(Clone)]
pub struct Client {
    shared: Arc<Shared>,
    peer_pid: Option<u32>,
}

struct Shared {
    next_id: AtomicU64,
    state: Mutex<State>,
    something_to_send: Notify,
    closed: Notify,
}

/// Waiting callers, and the bytes of commands not yet written. Several commands leave in one write.
#[derive(Default)]
struct State {
    waiting: HashMap<u64, oneshot::Sender<Outcome>>,
    outgoing: Vec<u8>,
    /// A password is among them: they are wiped when they are written.
    holds_password: bool,
    gone: bool,
}

impl Client {
    /// Connects, checks that the process behind the socket runs as this user, and that it speaks this protocol.
    ///
    /// # Errors
    /// [`HsmError::Connect`], [`HsmError::ForeignPeer`], [`HsmError::Protocol`], or what [`Status`] was answered.
    pub async fn connect(path: impl AsRef<Path>) -> Result<Self, HsmError> {
        let path = path.as_ref();
        let shown = || path.display().to_string();
        let stream =
            UnixStream::connect(path).await.map_err(|source| HsmError::Connect { path: shown(), source })?;
        let peer = stream.peer_cred().map_err(|source| HsmError::Connect { path: shown(), source })?;
        let own = rustix::process::getuid().as_raw();
        if peer.uid() != own {
            return Err(HsmError::ForeignPeer { path: shown(), wanted: own, found: peer.uid() });
        }
        let peer_pid = peer.pid().and_then(|pid| u32::try_from(pid).ok());
        let client = Self::over(stream, peer_pid);
        let found = client.call(Status {}).await?.protocol;
        if found != protocol::VERSION {
            return Err(HsmError::Protocol { wanted: protocol::VERSION, found });
        }
        Ok(client)
    }

    /// The process behind the socket, where the system tells: a parent knows its own child by it.
    #[must_use]
    pub fn peer_pid(&self) -> Option<u32> {
        self.peer_pid
    }

    /// Waits until the connection has ended: the HSM's process is gone.
    pub async fn gone(&self) {
        loop {
            let closed = self.shared.closed.notified();
            if self.shared.state().gone {
                return;
            }
            closed.await;
        }
    }

    fn over(stream: UnixStream, peer_pid: Option<u32>) -> Self {
        let (read, write) = stream.into_split();
        let shared = Arc::new(Shared {
            next_id: AtomicU64::new(1),
            state: Mutex::default(),
            something_to_send: Notify::new(),
            closed: Notify::new(),
        });
        tokio::spawn(send(Arc::clone(&shared), write));
        tokio::spawn(receive(Arc::clone(&shared), read));
        Self { shared, peer_pid }
    }
}

impl Hsm for Client {
    async fn call<C: Command>(&self, command: C) -> Result<C::Reply, HsmError> {
        let (answer, answered) = oneshot::channel();
        let id = self.shared.next_id.fetch_add(1, Ordering::Relaxed);
        {
            let mut state = self.shared.state();
            if state.gone {
                return Err(HsmError::Gone);
            }
            let request = command.into_request();
            if request.holds_password() {
                // Room beforehand: a vector that grows leaves its old bytes behind.
                state.outgoing.reserve(PASSWORD_ROOM);
                state.holds_password = true;
            }
            protocol::encode(id, &request, &mut state.outgoing).map_err(|e| match e {
                protocol::ProtocolError::TooLarge(bytes) => HsmError::TooLarge(bytes),
                _ => HsmError::WrongReply(C::NAME),
            })?;
            state.waiting.insert(id, answer);
        }
        self.shared.something_to_send.notify_one();
        let outcome = answered.await.map_err(|_| HsmError::Gone)?;
        C::from_reply(outcome?)
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing in the critical sections can leave the state half changed.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Drops every waiting caller's channel, which tells each that the HSM is gone.
    fn close(&self) {
        let mut state = self.state();
        state.gone = true;
        state.waiting.clear();
        drop(state);
        self.closed.notify_waiters();
        self.something_to_send.notify_one();
    }
}

async fn send(shared: Arc<Shared>, mut stream: OwnedWriteHalf) {
    let mut batch = Vec::new();
    loop {
        let holds_password;
        {
            let mut state = shared.state();
            if state.gone {
                return;
            }
            std::mem::swap(&mut batch, &mut state.outgoing);
            holds_password = std::mem::take(&mut state.holds_password);
        }
        if batch.is_empty() {
            shared.something_to_send.notified().await;
            continue;
        }
        let written = stream.write_all(&batch).await;
        if holds_password {
            batch.zeroize();
        }
        if written.is_err() {
            return shared.close();
        }
        batch.clear();
        batch.shrink_to(protocol::MAX_MESSAGE);
    }
}

async fn receive(shared: Arc<Shared>, mut stream: OwnedReadHalf) {
    let mut decoder = Decoder::default();
    let mut buffer = vec![0; READ_BYTES];
    loop {
        let read = match stream.read(&mut buffer).await {
            Ok(0) | Err(_) => return shared.close(),
            Ok(read) => read,
        };
        decoder.push(buffer.get(..read).unwrap_or_default());
        loop {
            match decoder.take::<Outcome>() {
                Ok(Some((id, outcome))) => {
                    let waiting = shared.state().waiting.remove(&id);
                    if let Some(caller) = waiting {
                        // A caller that has stopped waiting loses its answer: nothing of it is lost to others.
                        let _ = caller.send(outcome);
                    }
                }
                Ok(None) => break,
                Err(_) => return shared.close(),
            }
        }
    }
}
