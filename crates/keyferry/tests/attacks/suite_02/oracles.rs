//! What a peer without a key may ask, and what it learns: answers to wrong proofs, other runs' messages, chosen factors and
//! chosen ephemeral keys.

use std::collections::HashSet;

use pki::Role;
use terminal::{Link, rks_load, tms};

use super::{
    block::Block,
    headers::repeated,
    peer::{SLOT_C, SLOT_E, certificate, challenge, held, opening, signed},
    victim::{Carrier, Victim},
};
use crate::{
    play::{against, slot},
    support::{
        ec::{self, CONFIRMATION, Keys, NONCE, POINT, Side, random},
        kms_ec::{self, Asked, Ec},
        line::{End, Line, connect},
        rks_ec::{self, EcDevice},
        tlv::{self, Message, field, frame},
        tms::{self as e, Stop},
        tms_ec::{EcPos, shop},
        world::{Options, World},
    },
};

const MALFORMED: End = End::Code(0x0002);
const NOT_PROVEN: End = End::Code(0x0006);
const KEY_REFUSED: End = End::Code(0x0007);

/// Attack 12: whoever has the RKS's certificate but no DIK2 sends any RKS_TOKEN, and learns from the answer nothing.
#[test]
fn rks_oracle() {
    let mut victim = Victim::new();
    let mut answers = HashSet::new();
    for number in 0..200 {
        let dik2 = victim.dik2;
        let pos = &mut victim.terminal;
        let load = |stream| rks_load(pos, Link::new(stream), &[slot(SLOT_C)]).map(drop);
        let (loaded, answer) = against(load, |line| {
            let auth = line.expect(tlv::RKS_AUTH).unwrap();
            let (side, certificate) = (Side::new(), certificate(Role::RksSigning));
            let fields = opening(&certificate, &side);
            let bare = [&auth.frame[..], &frame(tlv::RKS_CERT, &fields)].concat();
            let cert = signed(tlv::RKS_CERT, &fields, &[], b'C', &auth.frame);
            line.send(&cert);
            let sent = line.expect(tlv::RKS_FACTOR).unwrap();
            let said = [&auth.frame[..], &cert, &sent.frame, &frame(tlv::RKS_TOKEN, &[])].concat();
            let mac = |dik2: &[u8], p| Keys::answering(b'C', dik2, &side, &auth, &bare).mac(p, &said);
            let token = match number % 5 {
                0 => random(),
                1 => mac(&[], "server"),
                2 => mac(&random::<32>(), "server"),
                // What nobody has who has not DIK2: right but for its purpose, and but for a bit.
                3 => mac(&dik2, "terminal"),
                _ => {
                    let mut near = mac(&dik2, "server");
                    near[number % 32] ^= 1 << (number % 8);
                    near
                }
            };
            line.send(&frame(tlv::RKS_TOKEN, &field(CONFIRMATION, &token)));
            let answer = line.receive().unwrap();
            assert_eq!((answer.kind, answer.get(tlv::ERROR_CODE)), (tlv::ERROR, &[0, 5][..]));
            assert!(line.receive().is_none(), "0005, and the end");
            let record = Message::read(&frame(tlv::ERROR, answer.get(tlv::REFUSAL)));
            [answer.get(tlv::ERROR_TEXT), record.get(tlv::REFUSAL_CHECK), record.get(tlv::REFUSAL_READING)]
                .map(<[u8]>::to_vec)
        });
        assert!(loaded.is_err());
        answers.insert(answer);
    }
    assert_eq!(answers.len(), 1, "one code, one text, one record");
    assert_eq!(victim.deliver(Carrier::CTmk, &Block::wrap), Ok(()));
}

/// Attack 13: a factor that is not the registered one, none, or one sealed otherwise: everybody gets a RKS_TOKEN of one form,
/// and only who has the registered factor and DIK2 goes on. Every factor makes a good DIK2; one with equal parts is refused.
#[test]
fn bad_factor() {
    let device = EcDevice::new("SN-1");
    let (world, server) = rks_ec::with(&[&device], &Options::default());
    type Seal = fn(&[u8; 32], &[u8]) -> Vec<u8>;
    let right: Seal = |key, factor| ec::seal(key, 0, &[], factor);
    let sealings: [(&str, Vec<u8>, Seal); 7] = [
        ("the registered one", device.factor.clone(), right),
        ("another", b"another factor".to_vec(), right),
        ("one of 32 bytes", vec![7; 32], right),
        ("one bit less", [&device.factor[..15], &[device.factor[15] ^ 1]].concat(), right),
        ("another nonce", device.factor.clone(), |key, factor| ec::seal(key, 1, &[], factor)),
        ("with data beside it", device.factor.clone(), |key, factor| ec::seal(key, 0, &[0], factor)),
        ("under another key", device.factor.clone(), |_, factor| ec::seal(&random(), 0, &[], factor)),
    ];
    let mut shapes = HashSet::new();
    for (what, factor, seal) in sealings {
        let mut line = connect(server.terminals);
        let mut asked = device.ask_with(&mut line, 0, |key| seal(key, &factor)).unwrap();
        assert_eq!(asked.proven, what == "the registered one", "{what}");
        shapes.insert((asked.cert.shape(), asked.token.shape()));
        // DIK2 is right, and is no help without its factor.
        let mac_t = if asked.proven { random() } else { EcDevice::mac_t(&asked) };
        EcDevice::prove(&mut line, &mut asked, &mac_t);
        assert_eq!(line.end(), NOT_PROVEN, "{what}");
    }
    assert_eq!(shapes.len(), 1, "{shapes:?}");
    // A length that no factor has is seen before anything is opened, and told to everybody.
    for device in [&device, &EcDevice::new("SN-9")] {
        for factor in [vec![], vec![7; 33]] {
            let mut line = connect(server.terminals);
            let asked = device.ask_with(&mut line, 0, |key| ec::seal(key, 0, &[], &factor));
            assert_eq!(asked.err(), Some(MALFORMED));
        }
    }
    assert_eq!(world.count("tmks"), 0);
    device.load_on(&mut connect(server.terminals), 0).unwrap();

    let mut victim = Victim::new();
    for dik2 in repeated(32) {
        let injected = victim.inject(["12", "N"], 0, &dik2, Some(b"a factor"), &Block::wrap);
        assert_eq!(injected, Err(KEY_REFUSED));
    }
    assert_eq!(victim.deliver(Carrier::CTmk, &Block::wrap), Ok(()), "the old DIK2 is as it was");
}

/// The ephemeral key whose secret everybody knows: 1.
fn known() -> Side {
    let mut one = [0; 32];
    one[31] = 1;
    Side::of(&one)
}

/// Attack 14: one side chooses its ephemeral key and nonce last, or so that everybody knows the agreed secret. Without TK,
/// DIK2 or DMK it proves nothing; with them the keys are as good as ever.
#[test]
fn last_mover() {
    let terminal = Ec::new("SN-1");
    let world = World::new();
    let server = world.start(&Options { suite_02: true, ..Options::default() });
    kms_ec::install(&server);
    kms_ec::collect_all(&server, &[&terminal]);
    let ask = |line: &mut Line, shared: &[u8]| {
        let mut side = known();
        side.nonce = [0; 32];
        let hello = terminal.hello(0, &side);
        line.send(&hello);
        let challenge = line.expect(tlv::CHALLENGE).unwrap();
        let opening = [&hello[..], &ec::without(&challenge, CONFIRMATION)].concat();
        let keys = Keys::new(b'A', shared, &side, &challenge, &opening);
        let proven = keys.mac("server", &opening) == challenge.get(CONFIRMATION);
        Asked { keys, said: [hello, challenge.frame].concat(), proven }
    };
    for guess in [vec![], vec![0; 64], random::<64>().to_vec()] {
        let mut line = connect(server.terminals);
        let asked = ask(&mut line, &guess);
        assert!(!asked.proven, "Z alone gives no key");
        let reply = frame(tlv::REPLY, &field(CONFIRMATION, &asked.mac_t()));
        line.send(&reply);
        assert_eq!(line.end(), NOT_PROVEN);
    }
    assert_eq!(world.count("tmks"), 0);
    let mut keys = HashSet::new();
    for _ in 0..2 {
        let mut line = connect(server.terminals);
        let asked = ask(&mut line, &[terminal.auk, terminal.tek].concat());
        assert!(asked.proven);
        assert!(keys.insert(asked.keys.key("kbpk")), "the server's part makes them new");
        let mac_t = asked.mac_t();
        terminal.receive(&mut line, asked, &mac_t).unwrap();
    }

    // The RKS answers, so that it moves last: with 1, and with the terminal's own key.
    let mut victim = Victim::new();
    for turned in [false, true] {
        let pos = &mut victim.terminal;
        let load = |stream| rks_load(pos, Link::new(stream), &[slot(SLOT_C)]).map(drop);
        let (_, end) = against(load, |line| {
            let auth = line.expect(tlv::RKS_AUTH)?;
            let (mut side, certificate) = (known(), certificate(Role::RksSigning));
            side.nonce = auth.get(NONCE).try_into().unwrap();
            let own = side.fields();
            let sent =
                if turned { [field(POINT, auth.get(POINT)), own[68..].to_vec()].concat() } else { own };
            let fields = [field(tlv::CERTIFICATE, certificate.der()), sent].concat();
            let bare = [&auth.frame[..], &frame(tlv::RKS_CERT, &fields)].concat();
            line.send(&signed(tlv::RKS_CERT, &fields, &[], b'C', &auth.frame));
            line.expect(tlv::RKS_FACTOR)?;
            let keys = Keys::answering(b'C', &[], &side, &auth, &bare);
            line.send(&frame(tlv::RKS_TOKEN, &field(CONFIRMATION, &keys.mac("server", &bare))));
            line.expect(tlv::RKS_PROOF).map(drop)
        });
        assert!(end.is_err(), "turned: {turned}");
    }
    assert_eq!(victim.deliver(Carrier::CTmk, &Block::wrap), Ok(()));
}

/// A frame with another value of a field.
fn with(said: &[u8], tag: u16, value: &[u8]) -> Vec<u8> {
    let message = Message::read(said);
    let fields = message.fields.iter();
    let fields: Vec<_> =
        fields.map(|(found, old)| field(*found, if *found == tag { value } else { old })).collect();
    frame(message.kind, &fields.concat())
}

/// Attack 17: in suite 02 no DWK travels. What a TMS proves itself with instead is TMS_CHALLENGE: one of another session, as
/// it was, with a fresh ephemeral key, and with the terminal's; and the terminal's TMS_PROOF in another session.
#[test]
fn dwk_replay() {
    let mut victim = Victim::new();
    let dmk = victim.dmk;
    let old = std::cell::RefCell::new(None::<Vec<u8>>);
    for attempt in 0..5 {
        let before = held(&victim.terminal);
        let pos = &mut victim.terminal;
        let load = |stream| tms::load_key(pos, Link::new(stream), slot(SLOT_E), None).map(drop);
        let (loaded, proven) = against(load, |line| {
            let hello = line.expect(e::HELLO).unwrap();
            let side = Side::new();
            let bare = [&hello.frame[..], &challenge(&side, None)].concat();
            let mac = Keys::answering(b'E', &dmk, &side, &hello, &bare).mac("server", &bare);
            let right = challenge(&side, Some(mac));
            let heard = old.borrow().clone();
            let sent = match (attempt, heard) {
                (1, Some(old)) => old,
                (2, Some(old)) => with(&with(&old, POINT, &side.point), NONCE, &side.nonce),
                (3, Some(old)) => with(&with(&old, POINT, hello.get(POINT)), NONCE, hello.get(NONCE)),
                _ => right,
            };
            line.send(&sent);
            *old.borrow_mut() = Some(sent);
            let answer = line.receive().unwrap();
            answer.kind == e::PROOF && answer.get(e::RESULT) == [0]
        });
        assert!(loaded.is_err(), "nothing came behind it");
        assert_eq!(proven, matches!(attempt, 0 | 4), "{attempt}");
        assert_eq!(held(&victim.terminal), before);
    }
    let pos = EcPos::new("SN-1001");
    let shop = shop(&[&pos], "");
    let (mut one, mut other) = (connect(shop.server.terminals), connect(shop.server.terminals));
    let (first, second) =
        (pos.ask(&mut one, "0002", None).unwrap(), pos.ask(&mut other, "0002", None).unwrap());
    let proof = pos.proof(&first, 0);
    assert_eq!(pos.prove(&mut other, second, &proof).err(), Some(Stop::Src("06".into())));
    let (mut session, _) = pos.prove(&mut one, first, &proof).unwrap();
    session.inventory(&mut one, &[]).unwrap();
}

/// Attack 17: T_DATA := another run's S_DATA, with that run's ephemeral key and nonce; what the TMS answers is no proof in
/// the other run. Nor is its own proof.
#[test]
fn mac_oracle() {
    let pos = EcPos::new("SN-1001");
    let shop = shop(&[&pos], "");
    let address = shop.server.terminals;
    for own in [false, true] {
        let mut line = connect(address);
        let asked = pos.ask(&mut line, "0002", None).unwrap();
        let mut s_data: [u8; 10] = asked.challenge.get(e::S_DATA).try_into().unwrap();
        let mut turned = Side::new();
        turned.point = asked.challenge.get(POINT).to_vec();
        turned.nonce = asked.challenge.get(NONCE).try_into().unwrap();
        let mut oracle = connect(address);
        oracle.send(&pos.hello("0002", None, &turned, &s_data));
        assert_eq!(oracle.end(), MALFORMED, "the top bit of T_DATA is 0");
        s_data[0] &= 0x7F;
        let mut oracle = connect(address);
        oracle.send(&pos.hello("0002", None, &turned, &s_data));
        let answer = oracle.expect(e::CHALLENGE).unwrap();
        let mac = if own { asked.challenge.get(CONFIRMATION) } else { answer.get(CONFIRMATION) }.to_vec();
        let proof = with(&pos.proof(&asked, 0), CONFIRMATION, &mac);
        assert_eq!(pos.prove(&mut line, asked, &proof).err(), Some(Stop::Src("06".into())));
    }
    assert_eq!(shop.world.count("tmks"), 0);
}
