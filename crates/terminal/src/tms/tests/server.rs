//! A TMS for one terminal, over a line: the roles of `flows`, and the cryptography of `session_peers`.

use std::collections::HashMap;
use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread;
use std::time::Duration;

use flows::Tdes;
use flows::tms_download::messages::{Data, Done, Get, Inventory, Plan, Report, error_payload};
use flows::tms_download::sealed::{Counters, sealed_frame, unseal};
use flows::tms_download::tms::Request;
use flows::tms_session::Transaction;
use flows::tms_session::tms::{Confirm, ExpectHello};
use paycrypto::keys::{Dmk, Tmk};
use paycrypto::operator::Verifier;
use wire::{BcdTime, ErrorCode, Frame, Kcv, MessageType, PackageId, PlanEntry, SData, Src};

use crate::testing::session_peers::{Tms, copy};
use crate::{Link, LinkError, Stream};

/// What a test changes of an answer to a TMS_GET.
pub(super) type OnData = Box<dyn FnMut(&Get, Data) -> Answer + Send>;

/// An answer to a TMS_GET.
pub(super) enum Answer {
    Data(Data),
    Error(ErrorCode),
    /// The sealed answer to the question before, once more.
    Replay,
    /// One bit of the sealed answer is another.
    Tampered(Data),
    /// Any bytes at all, sealed.
    Bytes(Vec<u8>),
}

/// What the TMS heard.
#[derive(Default)]
pub(super) struct Heard {
    pub(super) hellos: usize,
    pub(super) inventories: Vec<Inventory>,
    pub(super) gets: Vec<(Get, usize)>,
    pub(super) reports: Vec<Report>,
    /// What the terminal's ERROR said, in clear or sealed.
    pub(super) errors: Vec<(ErrorCode, bool)>,
}

/// What the TMS has and does.
pub(super) struct Conduct {
    pub(super) plan: Vec<PlanEntry>,
    pub(super) content: HashMap<PackageId, Vec<u8>>,
    /// Plans that say that there is more.
    pub(super) more: usize,
    /// Whether what is installed is planned, too.
    pub(super) always: bool,
    /// Entries in one plan.
    pub(super) entries: usize,
    pub(super) on_data: Option<OnData>,
    pub(super) refuse: Option<Src>,
    pub(super) operator: Option<Verifier>,
    pub(super) when: Option<i64>,
    /// Terminal and TMS have different DMKs.
    pub(super) stranger: bool,
}

pub(super) struct TestTms {
    dmk: Dmk,
    pub(super) tmk: Tmk,
    pub(super) conduct: Mutex<Conduct>,
    heard: Mutex<Heard>,
}

impl TestTms {
    pub(super) fn new(dmk: &Dmk) -> Arc<TestTms> {
        let conduct = Conduct {
            plan: Vec::new(),
            content: HashMap::new(),
            more: 0,
            always: false,
            entries: usize::MAX,
            on_data: None,
            refuse: None,
            operator: None,
            when: None,
            stranger: false,
        };
        Arc::new(TestTms {
            dmk: copy(dmk),
            tmk: Tmk::generate().unwrap(),
            conduct: Mutex::new(conduct),
            heard: Mutex::default(),
        })
    }

    pub(super) fn heard(&self) -> MutexGuard<'_, Heard> {
        self.heard.lock().unwrap()
    }

    pub(super) fn conduct(&self) -> MutexGuard<'_, Conduct> {
        self.conduct.lock().unwrap()
    }

    /// Plans a package.
    pub(super) fn offer(&self, entry: PlanEntry, content: &[u8]) {
        let conduct = &mut *self.conduct();
        conduct.content.insert(entry.manifest.id.clone(), content.to_vec());
        conduct.plan.push(entry);
    }

    /// Takes connections of a terminal, a link for each call, over lines of this rate.
    pub(super) fn connect(
        self: &Arc<Self>,
        baud: Option<u32>,
    ) -> impl FnMut() -> io::Result<Link<Rated>> + use<> {
        let tms = Arc::clone(self);
        move || {
            let (near, far) = UnixStream::pair()?;
            tms.serve(far);
            Ok(Link::new(Rated(near, baud)))
        }
    }

    /// Serves one connection.
    pub(super) fn serve(self: &Arc<Self>, stream: UnixStream) {
        let tms = Arc::clone(self);
        // A connection that ends is nothing to be told about.
        thread::spawn(move || tms.serve_link(Link::new(stream)).err());
    }

    fn serve_link(&self, mut link: Link<UnixStream>) -> Result<(), LinkError> {
        let mut next = link.receive()?;
        while next.kind().unwrap() == MessageType::TmsHello {
            match self.session(&mut link, &next)? {
                Some(frame) => next = frame,
                None => return Ok(()),
            }
        }
        self.heard_error(&next, true);
        Ok(())
    }

    /// One session; gives the frame that is none of it.
    fn session(&self, link: &mut Link<UnixStream>, hello: &Frame) -> Result<Option<Frame>, LinkError> {
        self.heard().hellos += 1;
        let mut crypto = Tms::new(&self.dmk);
        if self.conduct().stranger {
            crypto.dmk = Dmk::generate().unwrap();
        }
        let hello = ExpectHello::new().on_frame(hello).unwrap();
        if let Some(src) = self.conduct().refuse {
            link.send(&hello.refuse(src).unwrap())?;
            return Ok(None);
        }
        crypto.said = hello.frame().bytes().to_vec();
        let t_data = hello.t_data();
        let when = self.conduct().when.map(|when| BcdTime::from_unix(when).unwrap());
        let s_data = SData::new([0; 4], when);
        let dwk_1 = crypto.dwk_1("SN-1001/00");
        let tac_1 = crypto.dwk.mac(&t_data.bytes());
        let demanded = self.conduct().operator.is_some();
        let (challenge, expect) = hello.challenge(tac_1, &s_data, &dwk_1, demanded).unwrap();
        link.send(&challenge)?;
        let frame = link.receive()?;
        if frame.kind().unwrap() == MessageType::Error {
            self.heard_error(&frame, true);
            return Ok(None);
        }
        let proof = expect.on_frame(&frame).unwrap();
        assert_eq!(proof.sac_1(), crypto.dwk.mac(&s_data.bytes()), "SAC_1");
        if let Some(verifier) = &self.conduct().operator {
            let (_, given) = proof.operator().unwrap();
            if !verifier.proves(&crypto.dwk, &t_data.bytes(), &s_data.bytes(), given) {
                link.send(&proof.refuse(Src::OperatorRefused).unwrap())?;
                return Ok(None);
            }
        }
        crypto.said = proof.frames().to_vec();
        let block = crypto.session_block();
        match proof.transaction() {
            Transaction::ProgramDownload => {
                link.send(&proof.open_program(&block).unwrap())?;
                self.sealed(link, &mut crypto)
            }
            Transaction::KeyDownload { slot } => {
                let tmk = crypto.tmk_block(&self.tmk, &format!("SN-1001/{slot}"), &block);
                let (key, expect) = proof.open_key(&block, &tmk, Kcv::Tdes(self.tmk.kcv())).unwrap();
                link.send(&key)?;
                let Confirm::Opened(confirmed) = expect.on_frame(&link.receive()?).unwrap().compare() else {
                    panic!("wrong check value")
                };
                link.send(&confirmed.done().unwrap())?;
                Ok(None)
            }
        }
    }

    fn sealed(&self, link: &mut Link<UnixStream>, crypto: &mut Tms) -> Result<Option<Frame>, LinkError> {
        let mut counters = Counters::new();
        let mut last = None;
        loop {
            let frame = link.receive()?;
            if frame.kind().unwrap() != MessageType::Sealed {
                return Ok(Some(frame));
            }
            let sealed = unseal::<Tdes>(&frame).unwrap();
            assert_eq!(counters.in_(sealed.len()), Ok(crypto.received), "past the session key's limit");
            let inner = crypto.open(&sealed);
            let inner_frame = Frame::from_payload(&inner).unwrap();
            if inner_frame.kind().unwrap() == MessageType::Error {
                self.heard_error(&inner_frame, false);
                return Ok(None);
            }
            let request = Request::read::<Tdes>(&inner).unwrap();
            let (frame, goes_on) = match self.answer(request) {
                Reply::Payload { payload, tampered } => {
                    assert_eq!(counters.out(payload.len()), Ok(crypto.sent), "past the session key's limit");
                    let mut sealed = crypto.seal(&payload);
                    sealed[20] ^= u8::from(tampered);
                    (sealed_frame(&sealed).unwrap(), true)
                }
                Reply::Error(code) => {
                    (sealed_frame(&crypto.seal(&error_payload(code, "no"))).unwrap(), false)
                }
                Reply::Replay => (last.clone().unwrap(), true),
            };
            link.send(&frame)?;
            last = Some(frame);
            if !goes_on {
                return Ok(None);
            }
        }
    }

    fn answer(&self, request: Request) -> Reply {
        let get = match request {
            Request::Get(get) => get,
            Request::Inventory(inventory) => {
                let plan = self.plan(&inventory);
                self.heard().inventories.push(inventory);
                return Reply::of(plan.to_payload());
            }
            Request::Report(report) => {
                let answer = Done.to_payload();
                self.heard().reports.push(report);
                return Reply::of(answer);
            }
        };
        let session = self.heard().hellos;
        self.heard().gets.push((get.clone(), session));
        let conduct = &mut *self.conduct();
        let of = |(id, _): &(&PackageId, &Vec<u8>)| id.name == get.name && id.version == get.version;
        let (_, content) = conduct.content.iter().find(of).unwrap();
        let from = usize::try_from(get.offset).unwrap();
        let length = usize::try_from(get.length(content.len() as u64).unwrap()).unwrap();
        let data = Data {
            name: get.name.clone(),
            version: get.version.clone(),
            offset: get.offset,
            data: content[from..from + length].to_vec(),
        };
        match &mut conduct.on_data {
            Some(on_data) => on_data(&get, data).into(),
            None => Reply::of(data.to_payload()),
        }
    }

    /// What the terminal does not have yet.
    fn plan(&self, inventory: &Inventory) -> Plan {
        let conduct = &mut *self.conduct();
        let missing = conduct
            .plan
            .iter()
            .filter(|entry| conduct.always || !inventory.installed.contains(&entry.manifest.id));
        let entries: Vec<_> = missing.cloned().collect();
        let more = conduct.more > 0 || entries.len() > conduct.entries;
        conduct.more = conduct.more.saturating_sub(1);
        Plan { entries: entries.into_iter().take(conduct.entries).collect(), more }
    }

    fn heard_error(&self, frame: &Frame, clear: bool) {
        let message = frame.message().unwrap();
        assert_eq!(message.kind, MessageType::Error);
        let code = wire::ErrorMessage::read(&message.fields).known_code().unwrap();
        self.heard().errors.push((code, clear));
    }
}

/// What leaves, sealed.
enum Reply {
    Payload { payload: Vec<u8>, tampered: bool },
    Error(ErrorCode),
    Replay,
}

impl Reply {
    fn of(payload: Result<Vec<u8>, flows::ProtocolError>) -> Reply {
        Reply::Payload { payload: payload.unwrap(), tampered: false }
    }
}

impl From<Answer> for Reply {
    fn from(answer: Answer) -> Reply {
        match answer {
            Answer::Data(data) => Reply::of(data.to_payload()),
            Answer::Tampered(data) => Reply::Payload { payload: data.to_payload().unwrap(), tampered: true },
            Answer::Bytes(payload) => Reply::Payload { payload, tampered: false },
            Answer::Error(code) => Reply::Error(code),
            Answer::Replay => Reply::Replay,
        }
    }
}

/// A line with a rate to reckon with: at 300 Bd files come in pieces of 256 bytes.
pub(super) struct Rated(UnixStream, Option<u32>);

impl Read for Rated {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer)
    }
}

impl Write for Rated {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

impl Stream for Rated {
    fn limit(&self, read: Duration, write: Duration) -> io::Result<()> {
        self.0.limit(read, write)
    }

    fn shut(&mut self, how: Shutdown) {
        self.0.shut(how);
    }

    fn baud(&self) -> Option<u32> {
        self.1
    }
}
