//! The HSM's socket: one thread a connection for the quick commands, a pool for the slow ones.
//!
//! A symmetric command takes microseconds, one with P-256 or an RSA private operation hundreds of them, making an RSA
//! key up to seconds. Quick ones are answered where they are read, many to a write; slow ones go to the pool and are
//! answered when they are done, so that none holds up another.

use std::{
    fs,
    io::{self, Read, Write},
    os::unix::{
        fs::{FileTypeExt, PermissionsExt},
        net::{UnixListener, UnixStream},
    },
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, PoisonError,
        mpsc::{Receiver, SyncSender, sync_channel},
    },
    thread,
    time::{Duration, Instant},
};

use hsm::{
    commands::{Request, TkCheckValues, TkSource, TranslateTk},
    protocol::{self, Decoder, Outcome},
};
use zeroize::Zeroize;

use crate::{HsmSoftError, SoftHsm, stack};

/// Slow commands waiting at once; past that, reading waits.
const POOL_QUEUE: usize = 4096;
/// Connections at once: a server needs one.
const MAX_CONNECTIONS: usize = 64;
const READ_BYTES: usize = 64 * 1024;
/// How often it is seen whether the self-tests are due.
const LOOK_AT_TESTS: Duration = Duration::from_secs(60);
/// How long another HSM on the socket may take to end: one whose server was killed ends a moment after it.
const OTHER_ENDS: Duration = Duration::from_secs(3);

/// A bound socket, ready to serve.
pub struct Server {
    listener: UnixListener,
    path: PathBuf,
    hsm: Arc<SoftHsm>,
}

impl Server {
    /// Binds the socket: mode 0600, an old socket file of a dead process replaced, one of a living process left alone.
    ///
    /// # Errors
    /// [`HsmSoftError::File`] when the path cannot be bound or somebody serves there already.
    pub fn bind(path: &Path, hsm: Arc<SoftHsm>) -> Result<Self, HsmSoftError> {
        let file = |source| HsmSoftError::File { path: path.into(), source };
        if let Ok(meta) = fs::symlink_metadata(path) {
            if !meta.file_type().is_socket() {
                return Err(file(io::Error::new(
                    io::ErrorKind::AlreadyExists,
                    "is there and is not a socket",
                )));
            }
            let until = Instant::now() + OTHER_ENDS;
            while UnixStream::connect(path).is_ok() {
                if Instant::now() > until {
                    return Err(file(io::Error::new(io::ErrorKind::AddrInUse, "another HSM serves here")));
                }
                thread::sleep(Duration::from_millis(20));
            }
            fs::remove_file(path).map_err(file)?;
        }
        // Bound under a private name first: between bind and chmod nobody can connect under the public one.
        let hidden = path.with_extension(format!("{}.binding", std::process::id()));
        let _ = fs::remove_file(&hidden);
        let listener = UnixListener::bind(&hidden).map_err(file)?;
        fs::set_permissions(&hidden, fs::Permissions::from_mode(0o600)).map_err(file)?;
        fs::rename(&hidden, path).map_err(file)?;
        Ok(Self { listener, path: path.into(), hsm })
    }

    /// Serves until the process ends.
    ///
    /// # Errors
    /// [`HsmSoftError::File`] when the socket fails.
    pub fn run(self) -> Result<(), HsmSoftError> {
        let pool = Pool::start(&self.hsm);
        let tested = Arc::clone(&self.hsm);
        thread::spawn(move || {
            loop {
                thread::sleep(LOOK_AT_TESTS);
                tested.test_again();
            }
        });
        let open = Arc::new(());
        loop {
            let (stream, _) = self
                .listener
                .accept()
                .map_err(|source| HsmSoftError::File { path: self.path.clone(), source })?;
            if Arc::strong_count(&open) > MAX_CONNECTIONS || !same_user(&stream) {
                continue; // dropping the stream closes it
            }
            let (hsm, pool, place) = (Arc::clone(&self.hsm), pool.clone(), Arc::clone(&open));
            thread::spawn(move || {
                let _place = place;
                // An error ends this connection only; its peer sees it closed.
                let _ = converse(&hsm, &pool, stream);
            });
        }
    }
}

fn same_user(stream: &UnixStream) -> bool {
    rustix::net::sockopt::socket_peercred(stream)
        .is_ok_and(|peer| peer.uid.as_raw() == rustix::process::geteuid().as_raw())
}

fn converse(hsm: &SoftHsm, pool: &Pool, mut stream: UnixStream) -> io::Result<()> {
    let writer = Arc::new(Mutex::new(stream.try_clone()?));
    let mut decoder = Decoder::default();
    let mut buffer = vec![0; READ_BYTES];
    let mut answers = Vec::new();
    loop {
        let read = stream.read(&mut buffer)?;
        if read == 0 {
            return Ok(());
        }
        decoder.push(buffer.get(..read).unwrap_or_default());
        while let Some((id, request)) = decoder.take::<Request>().map_err(io::Error::other)? {
            if request.holds_password() {
                decoder.wipe_taken();
                buffer.as_mut_slice().zeroize();
            }
            if is_slow(&request) {
                pool.submit(Job { id, request, writer: Arc::clone(&writer) });
            } else {
                append(id, &hsm.handle(request), &mut answers)?;
            }
        }
        stack::wipe();
        if !answers.is_empty() {
            write(&writer, &answers)?;
            answers.clear();
        }
    }
}

/// So many items of a batch, or bytes of a sealed message, are done where they are read: they take as long as a few
/// symmetric commands, and a pool's thread costs more than it saves.
const QUICK_ITEMS: usize = 8;
const QUICK_BYTES: usize = 1024;

/// What holds an operation with P-256, an RSA private operation or more, or much data.
fn is_slow(request: &Request) -> bool {
    match request {
        Request::TranslatePins(command) => command.items.len() > QUICK_ITEMS,
        Request::TerminalMacs(command) => {
            let bytes = command.items.iter().map(|item| item.data.expose().len()).sum::<usize>();
            command.items.len() > QUICK_ITEMS || bytes > QUICK_BYTES
        }
        Request::SealTms(command) => command.payload.len() > QUICK_BYTES,
        Request::OpenTms(command) => command.sealed.len() > QUICK_BYTES,
        Request::SealTmsEc(command) => command.payload.len() > QUICK_BYTES,
        Request::OpenTmsEc(command) => command.sealed.len() > QUICK_BYTES,
        Request::TranslateTk(TranslateTk { tk, .. }) | Request::TkCheckValues(TkCheckValues { tk, .. }) => {
            matches!(tk, TkSource::Collected { .. })
        }
        _ => is_slow_by_kind(request),
    }
}

fn is_slow_by_kind(request: &Request) -> bool {
    matches!(
        request,
        Request::MakeWorkKey(_)
            | Request::MakeTlsKey(_)
            | Request::MakeDownloaderKey(_)
            | Request::MakeRksKey(_)
            | Request::LoadTerminal(_)
            | Request::SealRksToken(_)
            | Request::ReleaseRksKeys(_)
            | Request::SignTls(_)
            | Request::CheckCollected(_)
            | Request::CheckWorkKey(_)
            | Request::OpenCollected(_)
            | Request::Rewrap(_)
            | Request::EnrolOperator(_)
            | Request::MakeEcKey(_)
            | Request::OpenCollectedEc(_)
            | Request::AnswerHello(_)
            | Request::BeginRks(_)
            | Request::ReleaseRksKeysEc(_)
            | Request::OpenLoading(_)
            | Request::LoadTerminalEc(_)
            | Request::MacBatch(_)
            | Request::CheckBatchMac(_)
    )
}

fn append(id: u64, outcome: &Outcome, answers: &mut Vec<u8>) -> io::Result<()> {
    protocol::encode(id, outcome, answers).map_err(io::Error::other)
}

fn write(writer: &Mutex<UnixStream>, bytes: &[u8]) -> io::Result<()> {
    writer.lock().unwrap_or_else(PoisonError::into_inner).write_all(bytes)
}

struct Job {
    id: u64,
    request: Request,
    writer: Arc<Mutex<UnixStream>>,
}

#[derive(Clone)]
struct Pool {
    jobs: SyncSender<Job>,
}

impl Pool {
    fn start(hsm: &Arc<SoftHsm>) -> Self {
        let (jobs, queue) = sync_channel::<Job>(POOL_QUEUE);
        let queue = Arc::new(Mutex::new(queue));
        let threads = thread::available_parallelism().map_or(2, Into::into);
        for _ in 0..threads {
            let (hsm, queue) = (Arc::clone(hsm), Arc::clone(&queue));
            thread::spawn(move || work(&hsm, &queue));
        }
        Self { jobs }
    }

    fn submit(&self, job: Job) {
        // Fails only when every worker is gone, which they are not while this pool lives.
        let _ = self.jobs.send(job);
    }
}

fn work(hsm: &SoftHsm, queue: &Mutex<Receiver<Job>>) {
    loop {
        let job = queue.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(Job { id, request, writer }) = job else { return };
        let mut answer = Vec::new();
        let made = append(id, &hsm.handle(request), &mut answer);
        stack::wipe();
        if made.is_ok() {
            // A peer that is gone needs no answer.
            let _ = write(&writer, &answer);
        }
    }
}
