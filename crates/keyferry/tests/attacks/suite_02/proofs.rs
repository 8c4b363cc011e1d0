//! Proofs: reflected and mixed.

use super::{
    block::Block,
    peer::{SLOT_A, SLOT_B, SLOT_C, SLOT_E, certificate, challenge, opening, place, signed},
    victim::{Carrier, Victim},
};
use crate::{
    play::{against, slot},
    support::{
        ec::{CONFIRMATION, NONCE, POINT, Side, random},
        kms_ec::{self, Ec},
        line::{End, connect},
        rks::context,
        rks_ec::{self, EcDevice},
        shop::Shop,
        tlv::{self, Message, field, frame},
        tms::{self as e, Stop},
        tms_ec::EcPos,
        world::{Options, Server, World},
    },
};

const SERVER_NOT_PROVEN: End = End::Code(0x0005);
const NOT_PROVEN: End = End::Code(0x0006);
const KEY_REFUSED: End = End::Code(0x0007);

/// TK_CHALLENGE as the tester hears it, who has no key.
fn heard(asked: &kms_ec::Asked) -> Message {
    let hello = 2 + usize::from(u16::from_be_bytes([asked.said[0], asked.said[1]]));
    Message::read(&asked.said[hello..])
}

/// A peer's ephemeral key and nonce as one's own.
fn turned(message: &Message) -> Side {
    let mut side = Side::new();
    side.point = message.get(POINT).to_vec();
    side.nonce = message.get(NONCE).try_into().unwrap();
    side
}

/// Tries to have one server answer the other's challenge, without any key: its ephemeral key and nonce sent on as one's
/// own, and whatever it says sent back.
fn reflect(victim: &Server, oracle: &Server, tester: &Ec) {
    for attempt in 0..3 {
        let mut line = connect(victim.terminals);
        let asked = tester.ask(&mut line, 0).unwrap();
        let question = heard(&asked);
        let turned = turned(&question);
        let mut second = connect(oracle.terminals);
        second.send(&tester.hello(0, &turned));
        let answer = second.expect(tlv::CHALLENGE).unwrap();
        assert_ne!(answer.get(POINT), question.get(POINT), "an ephemeral key is one run's");
        let reflected = match attempt {
            0 => answer.get(CONFIRMATION).to_vec(),
            1 => question.get(CONFIRMATION).to_vec(),
            _ => answer.get(POINT)[1..33].to_vec(),
        };
        line.send(&frame(tlv::REPLY, &field(CONFIRMATION, &reflected)));
        assert_eq!(line.end(), NOT_PROVEN);
    }
}

/// Attack 1: the server's own answer to its own question, over two sockets and over two servers.
#[test]
fn reflection() {
    let terminal = Ec::new("SN-1");
    let world = World::new();
    let options = Options { suite_02: true, ..Options::default() };
    let first = world.start(&options);
    kms_ec::install(&first);
    kms_ec::collect_all(&first, &[&terminal]);
    let second = world.start(&options);
    let tester = terminal.impostor();
    reflect(&first, &first, &tester);
    reflect(&first, &second, &tester);
    reflect(&second, &first, &tester);
    assert_eq!(world.count("tmks"), 0);
    terminal.download(second.terminals, 0).unwrap();
    world.assert_audit_good();
}

/// Attack 1, in flows C and E: the server's own confirmation, of this session and of another one, as the terminal's.
#[test]
fn reflection_of_rks_and_tms() {
    let (device, pos) = (EcDevice::new("SN-1"), EcPos::new("SN-1"));
    let options = Options { suite_02: true, more: "[tms]\n".into(), ..Options::default() };
    let shop = Shop::with_options(&[], &options);
    rks_ec::install(&shop.server);
    let mut entry = device.entry();
    entry["keys"].as_array_mut().unwrap().extend(pos.entry()["keys"].as_array().unwrap().clone());
    rks_ec::take(&shop.server, &rks_ec::report("run-02", &[entry]));
    let second = shop.world.start(&options);

    let own = |message: &Message| -> [u8; 32] { message.get(CONFIRMATION).try_into().unwrap() };
    let other = device.ask(&mut connect(second.terminals), 0).unwrap();
    for foreign in [false, true] {
        let mut line = connect(shop.server.terminals);
        let mut asked = device.ask(&mut line, 0).unwrap();
        let reflected = own(if foreign { &other.token } else { &asked.token });
        EcDevice::prove(&mut line, &mut asked, &reflected);
        assert_eq!(line.end(), NOT_PROVEN);
    }
    let other = pos.ask(&mut connect(second.terminals), "0001", Some(3)).unwrap();
    for foreign in [false, true] {
        let mut line = connect(shop.server.terminals);
        let asked = pos.ask(&mut line, "0001", Some(3)).unwrap();
        let reflected = own(if foreign { &other.challenge } else { &asked.challenge });
        let right = Message::read(&pos.proof(&asked, 0));
        let fields = right.fields.iter().map(|(tag, value)| match *tag {
            CONFIRMATION => field(CONFIRMATION, &reflected),
            _ => field(*tag, value),
        });
        let proof = frame(e::PROOF, &fields.collect::<Vec<_>>().concat());
        assert_eq!(pos.prove(&mut line, asked, &proof).err(), Some(Stop::Src("06".into())));
    }
    assert_eq!(shop.world.count("tmks"), 0);
}

/// Attack 1, the other way round: a terminal is asked its own question, and gets its own words as a proof.
#[test]
fn reflection_at_the_terminal() {
    let mut victim = Victim::new();
    for proof in [Vec::new(), vec![0; 32], random::<32>().to_vec()] {
        let load = |stream| {
            let link = terminal::Link::new(stream);
            terminal::tms::load_key(&mut victim.terminal, link, slot(SLOT_E), None).map(drop)
        };
        let (loaded, end) = against(load, |line| {
            let hello = line.expect(e::HELLO).unwrap();
            let turned = turned(&hello);
            // Without DMK there is nothing to say but what was seen.
            let seen = hello.get(NONCE).to_vec();
            let proof = if proof.is_empty() { &seen } else { &proof };
            line.send(&challenge(&turned, Some(proof[..].try_into().unwrap())));
            match line.receive() {
                Some(answer) if answer.kind == e::PROOF => {
                    assert_eq!((answer.get(e::RESULT), answer.get(e::SRC)), (&[1][..], &b"06"[..]));
                    SERVER_NOT_PROVEN
                }
                Some(answer) => {
                    End::Code(u16::from_be_bytes(answer.get(tlv::ERROR_CODE).try_into().unwrap()))
                }
                None => End::Closed,
            }
        });
        assert!(loaded.is_err());
        assert_eq!(end, SERVER_NOT_PROVEN);
    }
    for proof in [Vec::new(), random::<32>().to_vec()] {
        let download = |stream| terminal::download(&mut victim.terminal, stream, slot(SLOT_A)).map(drop);
        let (loaded, end) = against(download, |line| {
            let hello = line.expect(tlv::HELLO).unwrap();
            let proof = if proof.is_empty() { hello.get(NONCE) } else { &proof };
            let fields = [turned(&hello).fields(), field(CONFIRMATION, proof)];
            line.send(&frame(tlv::CHALLENGE, &fields.concat()));
            line.end()
        });
        assert!(loaded.is_err());
        assert_eq!(end, SERVER_NOT_PROVEN);
    }
    // The RKS's own RKS_TOKEN is the terminal's words just as little.
    let load = |stream| {
        terminal::rks_load(&mut victim.terminal, terminal::Link::new(stream), &[slot(SLOT_C)]).map(drop)
    };
    let (loaded, end) = against(load, |line| {
        let auth = line.expect(tlv::RKS_AUTH).unwrap();
        let turned = turned(&auth);
        let fields = opening(&certificate(pki::Role::RksSigning), &turned);
        line.send(&signed(tlv::RKS_CERT, &fields, &[], b'C', &auth.frame));
        line.expect(tlv::RKS_FACTOR)?;
        line.send(&frame(tlv::RKS_TOKEN, &field(CONFIRMATION, auth.get(NONCE))));
        line.expect(tlv::RKS_PROOF).map(drop)
    });
    assert!(loaded.is_err());
    assert_eq!(end, Err(SERVER_NOT_PROVEN));
}

/// Attack 1, at the end of each flow: KEY_CONFIRM's own receipt as DONE's. The terminal is not sure of the new key, keeps
/// the old one beside it, and the next download is good.
#[test]
fn reflection_of_receipts() {
    let mut victim = Victim::new();
    for (carrier, index) in
        [(Carrier::ATmk, SLOT_A), (Carrier::BTmk, SLOT_B), (Carrier::CTmk, SLOT_C), (Carrier::ETmk, SLOT_E)]
    {
        let held = |victim: &Victim| {
            let slots = victim.terminal.status().slots;
            slots.into_iter().find(|held| held.slot == index).unwrap()
        };
        // In flow B the key is another one each time, too.
        victim.tmk = random();
        assert_eq!(victim.deliver(carrier, &Block::wrap), Ok(()));
        let old = held(&victim);
        assert!(old.done && old.previous_kcv.is_none(), "{carrier:?}");
        victim.reflects_done = true;
        victim.tmk = random();
        assert_eq!(victim.deliver(carrier, &Block::wrap), Err(SERVER_NOT_PROVEN), "{carrier:?}");
        let unsure = held(&victim);
        assert!(!unsure.done, "{carrier:?}");
        assert_eq!(unsure.previous_kcv, Some(old.kcv), "{carrier:?}");
        victim.reflects_done = false;
        assert_eq!(victim.deliver(carrier, &Block::wrap), Ok(()), "{carrier:?} goes on");
        assert!(held(&victim).done && held(&victim).previous_kcv.is_none(), "{carrier:?}");
    }
}

/// Attack 10: PIK of one sign-in with MAK of another.
#[test]
fn mixed_answers() {
    let mut victim = Victim::new();
    let mak = random::<16>();
    let make = |tmk: &[u8], said: &[u8]| {
        let pik = Block::new(["P0", "E"], &place(SLOT_B), context(said), &random::<16>(), tmk).wrap();
        let after = [said, pik.as_bytes()].concat();
        vec![pik, Block::new(["M6", "C"], &place(SLOT_B), context(&after), &mak, tmk).wrap()]
    };
    let mut old = Vec::new();
    let first = victim.sign_in(&mak, |tmk, said| {
        old = make(tmk, said);
        old.clone()
    });
    assert_eq!(first, Ok(()));
    type Mix = fn(&[String], Vec<String>, Vec<String>) -> Vec<String>;
    let mixes: [(&str, Mix); 5] = [
        ("an old PIK", |old, one, _| vec![old[0].clone(), one[1].clone()]),
        ("an old MAK", |old, one, _| vec![one[0].clone(), old[1].clone()]),
        ("two answers to one question", |_, one, two| vec![one[0].clone(), two[1].clone()]),
        ("both of an old one", |old, _, _| old.to_vec()),
        ("the other order", |_, one, _| vec![one[1].clone(), one[0].clone()]),
    ];
    for (what, mix) in mixes {
        let end = victim.sign_in(&mak, |tmk, said| mix(&old, make(tmk, said), make(tmk, said)));
        assert_eq!(end, Err(KEY_REFUSED), "{what}");
    }
    assert_eq!(victim.sign_in(&mak, make), Ok(()));
}
