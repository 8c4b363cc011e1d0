//! Many at once: races, floods, strangers by the million.

use std::{
    collections::HashSet,
    net::SocketAddr,
    sync::{
        Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

use hsm::commands::{AnswerStranger, Reply, Request};
use hsm_soft::SoftHsm;
use paycrypto::rsa::PublicKey;

use crate::crowd::{self, each};
use crate::support::{
    estate::{ESTATE, PASSPHRASE},
    line::{End, connect},
    raw::{Raw, rnd1},
    rks::RawDevice,
    sign_in::{SIGN_IN, sign_in_frame},
    tlv::{self, field, frame},
    tms::{self as e, Pos},
    world::{Options, World},
};

const NOT_PROVEN: End = End::Code(0x0006);
const BUSY: End = End::Code(0x000B);

/// Attack 25: two nodes of one estate, one terminal, one pending key.
#[test]
fn race() {
    let terminal = Raw::new("SN-1");
    let (world, first) = World::with(&[&terminal]);
    let second = world.start(&Options::default());
    let servers = [first.terminals, second.terminals];
    for round in 0..4 {
        let outcomes: Vec<_> = thread::scope(|scope| {
            let terminal = &terminal;
            let all: Vec<_> = (0..8)
                .map(|number| scope.spawn(move || terminal.fetch(&mut connect(servers[number % 2]), 0)))
                .collect();
            all.into_iter().map(|one| one.join().unwrap()).collect()
        });
        let keys: HashSet<_> = outcomes.iter().flatten().map(|tmk| tmk.key.clone()).collect();
        assert_eq!(keys.len(), 1, "whoever got a key got the same");
        assert!(outcomes.iter().flat_map(|outcome| outcome.as_ref().err()).all(|end| *end == BUSY));
        assert_eq!(world.keys("SN-1", 0, "pending").len(), 1);
        assert_eq!(world.events("tmk.made", "SN-1").len(), round + 1);
        let confirmed = terminal.download(servers[round % 2], 0).unwrap();
        assert!(keys.contains(&confirmed.key));
        assert_eq!(world.keys("SN-1", 0, "active").len(), 1);
    }
    world.assert_audit_good();
}

/// Attack 22: HELLOs for one serial, from this very address, as fast as they go.
#[test]
fn hello_flood() {
    let (terminal, device, pos) = (Raw::new("SN-1"), RawDevice::new("SN-1"), Pos::new("SN-1"));
    let (world, server) = World::with(&[&terminal]);
    let over = AtomicBool::new(false);
    let said = AtomicUsize::new(0);
    let served: Vec<_> = thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                let mut open = Vec::new();
                while !over.load(Ordering::Relaxed) {
                    let hellos = [
                        terminal.impostor().hello(0, rnd1()),
                        device.auth(1, 0, &[]),
                        pos.hello("0002", None, pos.t_data()),
                    ];
                    for hello in hellos {
                        let mut line = connect(server.terminals);
                        line.try_send(&hello);
                        said.fetch_add(1, Ordering::Relaxed);
                        open.push(line);
                    }
                    if open.len() >= 300 {
                        open.clear();
                    }
                }
            });
        }
        thread::sleep(Duration::from_millis(200));
        let served = (0..10).map(|_| terminal.download(server.terminals, 0)).collect();
        over.store(true, Ordering::Relaxed);
        served
    });
    assert!(served.iter().all(Result::is_ok), "{served:?}");
    assert_eq!(world.events("tmk.confirmed", "SN-1").len(), 10);
    assert!(said.load(Ordering::Relaxed) > 100, "it was a flood");
}

/// Attack 22: a hundred thousand connections that never get further than half a HELLO.
#[test]
fn half_open() {
    let terminal = Raw::new("SN-1");
    let (_world, server) = World::with_options(&[&terminal], &crowd::options());
    let half = &terminal.hello(0, rnd1())[..9];
    crowd::half_open(server.terminals, half, |line| terminal.download_on(line, 0).map(drop));
}

/// What a stranger sees of all four flows: each answer's shape, and how it ended.
type Seen = Vec<(u8, Vec<(u16, usize)>)>;

fn swept(address: SocketAddr, sn: &str) -> Seen {
    let mut seen = Vec::new();
    let raw = Raw::new(sn);
    let mut line = connect(address);
    line.send(&raw.hello(0, rnd1()));
    seen.push(line.expect(tlv::CHALLENGE).unwrap().shape());
    line.send(&frame(tlv::REPLY, &field(tlv::CRND2, &[0x5A; 8])));
    assert_eq!(line.end(), NOT_PROVEN);
    let mut line = connect(address);
    line.send(&sign_in_frame(&raw, 1, 0, rnd1(), &[1, 2, 3]));
    assert_eq!(line.end(), NOT_PROVEN);
    seen.push((SIGN_IN, vec![]));
    seen
}

fn swept_slowly(address: SocketAddr, sn: &str, work: &PublicKey) -> Seen {
    let mut seen = Vec::new();
    let (device, pos) =
        (RawDevice { sn: sn.into(), ..STRANGER.clone() }, Pos { sn: sn.into(), ..POS.clone() });
    let mut line = connect(address);
    let asked = device.ask(&mut line, 0).unwrap();
    seen.push(asked.token.shape());
    let df22 = work.oaep_encrypt(&[7; 80]).unwrap();
    line.send(&frame(tlv::RKS_PROOF, &field(tlv::DF22, &df22)));
    assert_eq!(line.end(), NOT_PROVEN);
    let mut line = connect(address);
    line.send(&pos.hello("0002", None, pos.t_data()));
    let challenge = line.expect(e::CHALLENGE).unwrap();
    seen.push(challenge.shape());
    seen
}

static STRANGER: std::sync::LazyLock<RawDevice> = std::sync::LazyLock::new(|| RawDevice::new("SN-0"));
static POS: std::sync::LazyLock<Pos> = std::sync::LazyLock::new(|| Pos::new("SN-0"));

/// Attack 19: a million serials asked of the HSM's own answer to strangers, and ten thousand over sockets, known ones
/// among them: answers alike in code and length, the same question answered the same twice.
#[test]
fn sweep() {
    let hsm = SoftHsm::open(&ESTATE.hsm_folder(), PASSPHRASE, vec![]).unwrap();
    let ask = |number: usize| {
        let sn = format!("SN-{number:07}");
        let question = AnswerStranger { pin_pad: sn.clone(), sn, rnd1: [7; 8] };
        match hsm.handle(Request::AnswerStranger(question)).unwrap() {
            Reply::AnswerStranger(challenge) => challenge.crnd1,
            _ => panic!("another reply"),
        }
    };
    let distinct = Mutex::new(HashSet::new());
    each(1_000, 2, |thousand| {
        let answers: Vec<_> = (0..1_000).map(|number| ask(1_000 * thousand + number)).collect();
        assert_eq!(ask(1_000 * thousand), answers[0], "the same question, the same answer");
        distinct.lock().unwrap().extend(answers);
    });
    assert_eq!(distinct.into_inner().unwrap().len(), 1_000_000, "each serial its own answer");

    let known: Vec<_> = ["SN-0000", "SN-4999", "SN-9999"].map(Raw::new).into();
    let options = Options { more: "[tms]\n".into(), ..Options::default() };
    let (world, server) = World::with_options(&known.iter().collect::<Vec<_>>(), &options);
    let all = Mutex::new(HashSet::new());
    let work = PublicKey::from_spki(ESTATE.rks.certificate.spki_der()).unwrap();
    let address = server.terminals;
    each(10_000, 24, |number| {
        let sn = format!("SN-{number:04}");
        let mut seen = swept(address, &sn);
        // Two RSA operations for each: every hundredth, the known ones and those beside them.
        if number % 100 == 0 || number % 5000 > 4997 {
            seen.extend(swept_slowly(address, &sn, &work));
            all.lock().unwrap().insert(("all flows", seen));
        } else {
            all.lock().unwrap().insert(("A and F", seen));
        }
    });
    assert_eq!(all.into_inner().unwrap().len(), 2, "known and unknown serials are alike");
    assert_eq!(world.count("tmks"), 0);
    let question = rnd1();
    let crnd1 =
        |terminal: &Raw| terminal.ask_with(&mut connect(server.terminals), 0, question).unwrap().crnd1;
    for terminal in known.iter().chain([&Raw::new("SN-5000")]) {
        assert_eq!(crnd1(terminal), crnd1(terminal));
    }
}
