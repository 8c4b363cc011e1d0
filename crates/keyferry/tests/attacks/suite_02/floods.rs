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

use flows::{suite::EcAes, tmk_download::kms::ExpectHello};
use hsm::commands::{AnswerHello, HelloFlow, HelloSecret, Hole, Peer, Reply, Request};
use hsm_soft::SoftHsm;

use crate::{
    crowd::{self, each},
    support::{
        ec::{self, CONFIRMATION, NONCE, POINT, Side, random},
        estate::{ACQUIRER, ESTATE, PASSPHRASE},
        kms_ec::{self, Ec},
        line::{End, connect},
        rks_ec::{self, EcDevice},
        shop::Shop,
        sign_in_ec::sign_in_frame,
        tlv::{self, field, frame},
        tms as e,
        tms_ec::EcPos,
        world::{Options, Server, World},
    },
};

const NOT_PROVEN: End = End::Code(0x0006);
const BUSY: End = End::Code(0x000B);

/// A world with the keys of suite 02, a server on it, and these terminals collected.
fn serve(terminals: &[&Ec], options: &Options) -> (World, Server) {
    let world = World::new();
    let server = world.start(&Options { suite_02: true, ..options.clone() });
    kms_ec::install(&server);
    rks_ec::install(&server);
    kms_ec::collect_all(&server, terminals);
    (world, server)
}

/// Attack 25: two nodes of one estate, one terminal, one pending key; and no load counter leaves twice.
#[test]
fn race() {
    let terminal = Ec::new("SN-1");
    let (world, first) = serve(&[&terminal], &Options::default());
    let second = world.start(&Options { suite_02: true, ..Options::default() });
    let servers = [first.terminals, second.terminals];
    let mut counters = HashSet::new();
    for round in 0..4 {
        let outcomes: Vec<_> = thread::scope(|scope| {
            let terminal = &terminal;
            let ask =
                move |number: usize| terminal.fetch(&mut connect(servers[number % 2]), 0).map(|got| got.tmk);
            let all: Vec<_> = (0..8).map(|number| scope.spawn(move || ask(number))).collect();
            all.into_iter().map(|one| one.join().unwrap()).collect()
        });
        let got: Vec<_> = outcomes.iter().flatten().collect();
        let keys: HashSet<_> = got.iter().map(|tmk| tmk.key.clone()).collect();
        assert_eq!(keys.len(), 1, "whoever got a key got the same");
        assert!(got.iter().all(|tmk| counters.insert(tmk.counter.unwrap())), "{got:?}");
        assert!(outcomes.iter().flat_map(|outcome| outcome.as_ref().err()).all(|end| *end == BUSY));
        assert_eq!(world.keys("SN-1", 0, "pending").len(), 1);
        assert_eq!(world.events("tmk.made", "SN-1").len(), round + 1);
        let confirmed = terminal.download(servers[round % 2], 0).unwrap();
        assert!(keys.contains(&confirmed.key));
        let counter = confirmed.counter.unwrap();
        assert!(counters.iter().all(|earlier| *earlier < counter));
        counters.insert(counter);
        assert_eq!(world.keys("SN-1", 0, "active").len(), 1);
    }
    world.assert_audit_good();
}

/// Attack 22: HELLOs for one serial, from this very address, as fast as they go.
#[test]
fn hello_flood() {
    let (terminal, device, pos) = (Ec::new("SN-1"), EcDevice::new("SN-1"), EcPos::new("SN-1"));
    let options = Options { more: "[tms]\n".into(), ..Options::default() };
    let (world, server) = serve(&[&terminal], &options);
    let over = AtomicBool::new(false);
    let said = AtomicUsize::new(0);
    let served: Vec<_> = thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                let mut open = Vec::new();
                while !over.load(Ordering::Relaxed) {
                    let side = Side::new();
                    let hellos = [
                        terminal.hello(0, &side),
                        device.auth(0, &side),
                        pos.hello("0002", None, &side, &[0; 10]),
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
    let terminal = Ec::new("SN-1");
    let (_world, server) = serve(&[&terminal], &crowd::options());
    let half = &terminal.hello(0, &Side::new())[..60];
    crowd::half_open(server.terminals, half, |line| terminal.download_on(line, 0).map(drop));
}

/// What a stranger sees of flows A and F, or of all four: each answer's shape, and how it ended.
fn swept(address: SocketAddr, sn: &str, all: bool) -> Vec<(u8, Vec<(u16, usize)>)> {
    let mut seen = Vec::new();
    let (terminal, device) =
        (Ec { sn: sn.into(), ..stranger() }, EcDevice { sn: sn.into(), ..DEVICE.clone() });
    let mut line = connect(address);
    line.send(&terminal.hello(0, &SIDE));
    seen.push(line.expect(tlv::CHALLENGE).unwrap().shape());
    line.send(&frame(tlv::REPLY, &field(CONFIRMATION, &[0x5A; 32])));
    assert_eq!(line.end(), NOT_PROVEN);
    let mut line = connect(address);
    line.send(&sign_in_frame(&device, 0, &random(), &[1, 2, 3, 4, 5]));
    assert_eq!(line.end(), NOT_PROVEN);
    if all {
        let mut line = connect(address);
        let mut asked = device.ask(&mut line, 0).unwrap();
        seen.extend([asked.cert.shape(), asked.token.shape()]);
        EcDevice::prove(&mut line, &mut asked, &[0x5A; 32]);
        assert_eq!(line.end(), NOT_PROVEN);
        let pos = EcPos { sn: sn.into(), ..POS.clone() };
        let mut line = connect(address);
        let asked = pos.ask(&mut line, "0002", None).unwrap();
        seen.push(asked.challenge.shape());
        let proof = pos.proof(&asked, 1);
        assert_eq!(pos.prove(&mut line, asked, &proof).err(), Some(e::Stop::Src("06".into())));
    }
    seen
}

static SIDE: std::sync::LazyLock<Side> = std::sync::LazyLock::new(Side::new);
static DEVICE: std::sync::LazyLock<EcDevice> = std::sync::LazyLock::new(|| EcDevice::new("SN-0"));
static POS: std::sync::LazyLock<EcPos> = std::sync::LazyLock::new(|| EcPos::new("SN-0"));

/// A terminal that was never certified: nobody looks at that here.
fn stranger() -> Ec {
    static CERTIFIED: std::sync::LazyLock<Ec> = std::sync::LazyLock::new(|| Ec::new("SN-0"));
    Ec {
        sn: CERTIFIED.sn.clone(),
        pin_pad: None,
        device: ec::EcKey::new(),
        certificate: CERTIFIED.certificate.clone(),
        tek: [0; 32],
        auk: [0; 32],
        generation: 1,
    }
}

/// Attack 19: a million serials read by the role that answers them, every hundredth of them answered by the HSM; and ten
/// thousand over sockets, known ones among them: answers alike in code and length. No question is answered the same twice:
/// both sides' ephemeral keys are new.
#[test]
fn sweep() {
    let hsm = SoftHsm::open(&ESTATE.hsm_folder(), PASSPHRASE, vec![]).unwrap();
    let terminal = stranger();
    let length = {
        let fields = [field(POINT, &[0; 65]), field(NONCE, &[0; 32])].concat();
        u8::try_from(frame(tlv::CHALLENGE, &fields).len() - 2).unwrap()
    };
    let ask = |sn: String, hello: Vec<u8>| {
        let peer = Peer { point: SIDE.point.clone(), nonce: SIDE.nonce };
        let hole = Hole { before: vec![0, length, 1, tlv::CHALLENGE], after: vec![] };
        let (secret, flow) = (HelloSecret::Stranger, HelloFlow::Download);
        let owner = ACQUIRER.to_owned();
        let question = AnswerHello { secret, flow, pin_pad: sn, owner, hello, peer, hole };
        match hsm.handle(Request::AnswerHello(question)).unwrap() {
            Reply::AnswerHello(answer) => (answer.point, answer.nonce, answer.ticket.len()),
            _ => panic!("another reply"),
        }
    };
    let (answers, shapes) = (Mutex::new(HashSet::new()), Mutex::new(HashSet::new()));
    let template = terminal.hello(0, &SIDE);
    let at = template.windows(4).position(|window| window == b"SN-0").unwrap();
    each(10_000, 2, |hundred| {
        for number in 100 * hundred..100 * hundred + 100 {
            let sn = format!("SN-{number:07}");
            let payload = [&template[2..at - 1], &[10], sn.as_bytes(), &template[at + 4..]].concat();
            let hello = tlv::frame_of(&payload);
            let asked = wire::Frame::from_payload(&payload).unwrap();
            let role = ExpectHello::new().on_frame_of::<EcAes>(&asked).unwrap();
            assert_eq!(role.device().sn().as_str(), sn);
            if number % 100 == 0 {
                let (point, nonce, ticket) = ask(sn, hello);
                shapes.lock().unwrap().insert((point.len(), ticket));
                answers.lock().unwrap().insert((point, nonce));
            }
        }
    });
    assert_eq!(answers.into_inner().unwrap().len(), 10_000, "each answer is its own");
    assert_eq!(shapes.into_inner().unwrap().len(), 1, "of one length");

    let known: Vec<_> = ["SN-0000", "SN-4999", "SN-9999"].map(Ec::new).into();
    let options = Options { more: "[tms]\n".into(), ..Options::default() };
    // With a vendor, so that flow E gets as far as its proofs.
    let shop = Shop::with_options(&[], &Options { suite_02: true, ..options });
    let (world, server) = (&shop.world, &shop.server);
    kms_ec::install(server);
    rks_ec::install(server);
    kms_ec::collect_all(server, &known.iter().collect::<Vec<_>>());
    let known = ["SN-0000", "SN-4998", "SN-9998"].map(|sn| {
        let mut entry = EcDevice::new(sn).entry();
        entry["keys"]
            .as_array_mut()
            .unwrap()
            .extend(EcPos::new(sn).entry()["keys"].as_array().unwrap().clone());
        entry
    });
    rks_ec::take(server, &rks_ec::report("run-02", &known));
    let address = server.terminals;
    let seen = Mutex::new(HashSet::new());
    each(10_000, 24, |number| {
        let all = number % 100 == 0 || number % 5000 > 4997;
        let shapes = swept(address, &format!("SN-{number:04}"), all);
        seen.lock().unwrap().insert((all, shapes));
    });
    assert_eq!(seen.into_inner().unwrap().len(), 2, "known and unknown serials are alike");
    assert_eq!(world.count("tmks"), 0);
    for sn in ["SN-0000", "SN-5000"] {
        let hello = Ec { sn: sn.into(), ..stranger() }.hello(0, &SIDE);
        let answer = || {
            let mut line = connect(address);
            line.send(&hello);
            line.expect(tlv::CHALLENGE).unwrap()
        };
        let (one, other) = (answer(), answer());
        assert_eq!(one.shape(), other.shape());
        assert!([POINT, NONCE, CONFIRMATION].iter().all(|tag| one.get(*tag) != other.get(*tag)));
    }
}
