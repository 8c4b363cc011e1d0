//! Proofs: reflected, borrowed, mixed, and asked for as oracles.

use std::cell::RefCell;

use paycrypto::TdesKey;
use serde_json::json;

use super::forge::{Block, Carrier, SLOT_A, SLOT_C, Victim, against, certificate, context, place, slot};
use crate::support::{
    estate::ESTATE,
    https::{self, CMS},
    line::{End, Line, connect},
    package::signed,
    raw::Raw,
    rks::{RawDevice, proof_of, report},
    shop::Shop,
    tlv::{self, Message, field, frame},
    tms::{self as e, INVENTORY, PLAN, Pos, SEALED, SEALED_MESSAGE, Session, Stop},
    world::{Options, Server, World, results},
};

const MALFORMED: End = End::Code(0x0002);
const SERVER_NOT_PROVEN: End = End::Code(0x0005);
const NOT_PROVEN: End = End::Code(0x0006);
const KEY_REFUSED: End = End::Code(0x0007);

/// A world whose RKS serves these devices.
fn rks(devices: &[&RawDevice]) -> (World, Server) {
    let world = World::new();
    let server = world.start(&Options::default());
    let entries: Vec<_> = devices.iter().map(|device| device.entry()).collect();
    let cms = signed(&ESTATE.operator, &report("run-1", &entries));
    for result in results(&https::post(server.https, "/v1/kld-reports", CMS, &cms)) {
        assert_eq!(result["code"], json!("taken"), "{result}");
    }
    (world, server)
}

/// Tries to have one server answer the other's challenge.
fn reflect(victim: &Server, oracle: &Server, terminal: &Raw) {
    let mut line = connect(victim.terminals);
    let asked = terminal.ask(&mut line, 0).unwrap();
    let mut second = connect(oracle.terminals);
    second.send(&terminal.hello(0, asked.rnd2));
    assert_eq!(second.end(), MALFORMED, "the top bit gives it away");
    let mut turned = asked.rnd2;
    turned[0] &= 0x7F;
    let answer = terminal.ask_with(&mut connect(oracle.terminals), 0, turned).unwrap().crnd1;
    for reflected in [answer, asked.crnd1] {
        let mut line = connect(victim.terminals);
        terminal.ask(&mut line, 0).unwrap();
        line.send(&frame(tlv::REPLY, &field(tlv::CRND2, &reflected)));
        assert_eq!(line.end(), NOT_PROVEN);
    }
    line.send(&frame(tlv::REPLY, &field(tlv::CRND2, &answer)));
    assert_eq!(line.end(), NOT_PROVEN);
}

/// Attack 1: the server's own answer to its own question, over two sockets and over two servers; and the terminal's.
#[test]
fn reflection() {
    let terminal = Raw::new("SN-1");
    let (world, first) = World::with(&[&terminal]);
    let second = world.start(&Options::default());
    reflect(&first, &first, &terminal);
    reflect(&first, &second, &terminal);
    reflect(&second, &first, &terminal);
    assert_eq!(world.count("tmks"), 0);

    // A terminal is asked its own question.
    let mut victim = Victim::new();
    for turn in [0x00, 0x80] {
        let download = |stream| terminal::download(&mut victim.terminal, stream, slot(SLOT_A)).map(drop);
        let (loaded, end) = against(download, |line| {
            let hello = line.expect(tlv::HELLO).unwrap();
            let mut rnd2: [u8; 8] = hello.get(tlv::RND1).try_into().unwrap();
            rnd2[0] |= turn;
            // Without AUK there is nothing to say for Crnd1 but what was seen.
            let fields = [field(tlv::CRND1, &rnd2), field(tlv::RND2, &rnd2)].concat();
            line.send(&frame(tlv::CHALLENGE, &fields));
            line.end()
        });
        assert!(loaded.is_err());
        assert_eq!(end, if turn == 0 { MALFORMED } else { SERVER_NOT_PROVEN });
    }
}

/// Attack 17: T_DATA := another run's S_DATA, so that TAC_1 would be that run's SAC_1.
#[test]
fn mac_oracle() {
    let pos = Pos::new("SN-1001");
    let shop = Shop::with(&[&pos], "");
    let mut line = connect(shop.server.terminals);
    let asked = pos.ask(&mut line, "0002", None).unwrap();
    let mut t_data: [u8; 10] = asked.challenge.get(e::S_DATA).try_into().unwrap();
    let mut oracle = connect(shop.server.terminals);
    oracle.send(&pos.hello("0002", None, t_data));
    assert_eq!(oracle.end(), MALFORMED, "the top bit of T_DATA is 0");
    t_data[0] &= 0x7F;
    let mut oracle = connect(shop.server.terminals);
    oracle.send(&pos.hello("0002", None, t_data));
    let tac_1 = oracle.expect(e::CHALLENGE).unwrap().get(e::TAC_1).to_vec();
    let own = asked.challenge.get(e::TAC_1).to_vec();
    for sac_1 in [tac_1, own] {
        let mut line = connect(shop.server.terminals);
        let asked = pos.ask(&mut line, "0002", None).unwrap();
        assert_eq!(pos.prove(&mut line, asked, &sac_1, 0).err(), Some(Stop::Src("06".into())));
    }
    assert_eq!(shop.world.count("tmks"), 0);
}

/// Attack 17: DWK_1 of an old session, with a TAC_1 that is right under it: whoever learnt one DWK has that session and
/// no other.
#[test]
fn dwk_replay() {
    let mut victim = Victim::new();
    for carrier in [Carrier::EDwk, Carrier::ESession, Carrier::ETmk] {
        let old = RefCell::new(String::new());
        let keep = |block: &Block| {
            let text = block.wrap();
            old.borrow_mut().clone_from(&text);
            text
        };
        assert_eq!(victim.deliver(carrier, &keep), Ok(()));
        let again = victim.deliver(carrier, &|_| old.borrow().clone());
        let refused = if carrier == Carrier::EDwk { SERVER_NOT_PROVEN } else { KEY_REFUSED };
        assert_eq!(again, Err(refused), "{carrier:?}");
    }
}

/// Attack 12: whoever has no DIK2 sends an AT_TK1, and learns from the answer nothing of what it opened to.
#[test]
fn rks_oracle() {
    let mut victim = Victim::new();
    let mut answers = [const { Vec::new() }; 3];
    for number in 0..300 {
        let load = |stream| {
            terminal::rks_load(&mut victim.terminal, terminal::Link::new(stream), &[slot(SLOT_C)]).map(drop)
        };
        let (loaded, answer) = against(load, |line| {
            let auth = line.expect(tlv::RKS_AUTH).unwrap();
            let role = pki::Role::RksWork;
            let cert = frame(tlv::RKS_CERT, &field(tlv::CERTIFICATE, certificate(role).der()));
            line.send(&cert);
            let factor = line.expect(tlv::RKS_FACTOR).unwrap();
            let said = [&auth.frame[..], &cert, &factor.frame].concat();
            let mut key = vec![0; 48];
            paycrypto::random::fill(&mut key).unwrap();
            let under = TdesKey::generate24().unwrap();
            let right = Block::new(["10", "N"], &place(0), context(&said), &key, under.expose()).wrap();
            // A block as it should be, but under another key; its second half of random hex; and random text.
            let text = match number % 3 {
                0 => right,
                1 => {
                    let hex: String = key.iter().chain(&key).map(|byte| format!("{byte:02X}")).collect();
                    format!("{}{}", &right[..right.len() - 128], &hex[..128])
                }
                _ => key.iter().map(|byte| char::from(b'A' + byte % 26)).collect(),
            };
            line.send(&frame(tlv::RKS_TOKEN, &field(tlv::DF21, text.as_bytes())));
            let answer = line.receive().unwrap();
            assert_eq!((answer.kind, answer.get(tlv::ERROR_CODE)), (tlv::ERROR, &[0, 5][..]));
            assert!(line.receive().is_none(), "0005, and the end");
            let record = Message::read(&frame(tlv::ERROR, answer.get(tlv::REFUSAL)));
            [answer.get(tlv::ERROR_TEXT), record.get(tlv::REFUSAL_CHECK), record.get(tlv::REFUSAL_READING)]
                .map(<[u8]>::to_vec)
        });
        assert!(loaded.is_err());
        answers[number % 3].push(answer);
    }
    // The record of the refusal says whether the text had the form of a block, which the sender knows.
    for alike in &answers[..2] {
        assert!(alike.windows(2).all(|two| two[0] == two[1]), "one answer");
    }
    assert!(answers[2].iter().all(|answer| answer[0] == answers[0][0][0]), "one text");
    assert_eq!(answers[0][0], answers[1][0], "another key and no key at all are alike");
    assert_eq!(victim.deliver(Carrier::CToken, &Block::wrap), Ok(()));
}

/// Attack 13: a factor that is not the registered one; one that belongs to another DIK2; and a DIK2 with equal parts.
#[test]
fn bad_factor() {
    let device = RawDevice::new("SN-1");
    let (world, server) = rks(&[&device]);
    let others = RawDevice { factor: b"another factor".to_vec(), ..device.clone() };
    let mut shapes = Vec::new();
    for factor in [&device.factor[..], &others.factor, &[], &[7; 32], &[7; 33]] {
        let mut line = connect(server.terminals);
        let auth = device.auth(1, 0, &[]);
        let asked = device.ask_with(&mut line, auth, |work| work.oaep_encrypt(factor).unwrap()).unwrap();
        shapes.push(asked.token.shape());
        RawDevice::prove(&mut line, &asked, &[7; 80]);
        assert_eq!(line.end(), NOT_PROVEN);
        assert_eq!(device.open(asked).is_some(), factor == device.factor, "{factor:02X?}");
    }
    assert!(shapes.windows(2).all(|two| two[0] == two[1]));
    assert_eq!(world.count("tmks"), 0);

    // A device whose DIK2 is of another factor than the registered one.
    let mut wrong = RawDevice::new("SN-2");
    wrong.factor = b"some other".to_vec();
    let cms = signed(&ESTATE.operator, &report("run-2", &[wrong.entry()]));
    assert_eq!(https::post(server.https, "/v1/kld-reports", CMS, &cms).status, 200);
    let mut line = connect(server.terminals);
    let asked = wrong.ask(&mut line, 0).unwrap();
    assert!(wrong.open(asked).is_none());

    // No factor is known that makes equal parts; a DIK2 that has them is refused where it arrives.
    let mut victim = Victim::new();
    let good = victim.dik2.clone();
    for dik2 in equal_parts(&good) {
        let injected = victim.inject(["12", "N"], 0, &dik2, Some(b"a factor"), &Block::wrap);
        assert_eq!(injected, Err(KEY_REFUSED));
    }
    assert_eq!(victim.deliver(Carrier::CTmk, &Block::wrap), Ok(()), "the old DIK2 is as it was");
}

/// Keys of which two parts are the same, parity aside.
pub(crate) fn equal_parts(key: &[u8]) -> Vec<Vec<u8>> {
    let [a, b, c] = [&key[..8], &key[8..16], &key[16..24]];
    let other_parity: Vec<u8> = a.iter().map(|byte| byte ^ 1).collect();
    vec![
        [a, a, c].concat(),
        [a, b, b].concat(),
        [a, b, a].concat(),
        [a, a, a].concat(),
        [a, &other_parity, c].concat(),
        [a, b, &other_parity].concat(),
    ]
}

/// Attack 14: the device speaks last, and chooses TK2 so that TK is weak.
#[test]
fn last_mover() {
    let device = RawDevice::new("SN-1");
    let (world, server) = rks(&[&device]);
    let good = super::forge::random_key::<24>();
    let mut chosen = equal_parts(&good);
    for weak in super::keys::WEAK {
        for part in 0..3 {
            let mut key = good.clone();
            key[8 * part..8 * part + 8].copy_from_slice(&weak);
            chosen.push(key);
        }
    }
    for tk in chosen {
        let mut line = connect(server.terminals);
        let opened = device.open(device.ask(&mut line, 0).unwrap()).unwrap();
        let tk2: Vec<u8> = opened.tk1.iter().zip(&tk).map(|(one, two)| one ^ two).collect();
        RawDevice::prove(&mut line, &opened.asked, &proof_of(&opened.at, &tk2, &tk));
        assert_eq!(line.end(), NOT_PROVEN, "{tk:02X?}");
    }
    assert_eq!(world.count("tmks"), 0);
    device.load_on(&mut connect(server.terminals), 0).unwrap();
}

/// Attack 10: PIK of one sign-in with MAK of another.
#[test]
fn mixed_answers() {
    let mut victim = Victim::new();
    let make = |tmk: &[u8], said: &[u8]| {
        let (pik, mak) = (super::forge::random_key::<24>(), super::forge::random_key::<16>());
        let pik = Block::new(["P0", "E"], &place(SLOT_A), context(said), &pik, tmk).wrap();
        let after = [said, pik.as_bytes()].concat();
        let mak = Block::new(["M3", "C"], &place(SLOT_A), context(&after), &mak, tmk).wrap();
        vec![pik, mak]
    };
    let mut old = Vec::new();
    let first = victim.sign_in(|tmk, said| {
        old = make(tmk, said);
        old.clone()
    });
    assert_eq!(first, Ok(()));
    type Mix = fn(&[String], Vec<String>, Vec<String>) -> Vec<String>;
    let mixes: [(&str, Mix); 4] = [
        ("an old PIK", |old, one, _| vec![old[0].clone(), one[1].clone()]),
        ("an old MAK", |old, one, _| vec![one[0].clone(), old[1].clone()]),
        ("two answers to one question", |_, one, two| vec![one[0].clone(), two[1].clone()]),
        ("both of an old one", |old, _, _| old.to_vec()),
    ];
    for (what, mix) in mixes {
        let end = victim.sign_in(|tmk, said| mix(&old, make(tmk, said), make(tmk, said)));
        assert_eq!(end, Err(KEY_REFUSED), "{what}");
    }
    assert_eq!(victim.sign_in(make), Ok(()));
}

/// Attack 17: two sealed messages spliced into one, with and without the parts that would give it away.
#[test]
fn seal_extension() {
    let pos = Pos::new("SN-1001");
    let shop = Shop::with(&[&pos], "");
    type Splice = fn(&[u8], &[u8]) -> Vec<u8>;
    let body = |sealed: &[u8]| sealed[8..sealed.len() - 8].to_vec();
    let splices: [(&str, Splice); 6] = [
        ("one behind the other", |one, two| [one, two].concat()),
        ("the first's ciphertext, the second's tag", |one, two| {
            [&one[..one.len() - 8], &two[two.len() - 8..]].concat()
        }),
        ("both ciphertexts, the second's tag", |one, two| [&one[..one.len() - 8], &two[8..]].concat()),
        ("both, the first's tag between them for a block", |one, two| [one, &two[8..]].concat()),
        ("the first's IV, the second's rest", |one, two| [&one[..8], &two[8..]].concat()),
        ("a block less", |one, _| [&one[..one.len() - 16], &one[one.len() - 8..]].concat()),
    ];
    let open = || -> (Line, Session) {
        let mut line = connect(shop.server.terminals);
        let session = pos.open(&mut line).unwrap();
        (line, session)
    };
    for (what, splice) in splices {
        let (mut line, mut session) = open();
        let ask = [0x01, INVENTORY];
        let (one, two) = (session.seal(0, 0, &ask), session.seal(0, 1, &ask));
        assert_eq!(body(&one).len(), 8);
        line.send(&frame(SEALED, &field(SEALED_MESSAGE, &splice(&one, &two))));
        let ended = session.receive(&mut line, PLAN);
        assert!(matches!(ended, Err(Stop::Sealed(0x0006 | 0x0002, _))), "{what}: {ended:?}");
    }
    let (mut line, mut session) = open();
    session.inventory(&mut line, &[]).unwrap();
}
