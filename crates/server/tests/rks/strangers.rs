//! Who is no proven device gets nothing, and learns nothing about serials (2-wire.md section 8).

use paycrypto::rsa::PublicKey;

use super::loading::with;
use crate::support::{
    line::{End, connect},
    rks::{RawDevice, proof_of},
    tlv,
    world::{Options, Server, World},
};

const REFUSED: End = End::Code(0x0006);

/// All that a peer sees of a run, but the bytes that differ in every run.
#[derive(Debug, PartialEq, Eq)]
struct Seen {
    cert: Vec<u8>,
    token: (u8, Vec<(u16, usize)>),
    /// The bytes after a guessed RKS_PROOF.
    end: Vec<u8>,
}

type Ciphertext = fn(&PublicKey, &RawDevice) -> Vec<u8>;

fn own(work: &PublicKey, device: &RawDevice) -> Vec<u8> {
    work.oaep_encrypt(&device.factor).unwrap()
}

fn seen(server: &Server, device: &RawDevice, ciphertext: Ciphertext) -> Seen {
    let mut line = connect(server.terminals);
    let auth = device.auth(1, 0, &[]);
    let asked = device.ask_with(&mut line, auth, |work| ciphertext(work, device)).unwrap();
    let cert = asked.before_token.len();
    RawDevice::prove(&mut line, &asked, &[0x5A; 80]);
    assert_eq!(line.end(), REFUSED);
    let received = line.received();
    let cert_length = 2 + usize::from(u16::from_be_bytes([received[0], received[1]]));
    assert!(cert_length < cert);
    let end = cert_length + asked.token.frame.len();
    Seen { cert: received[..cert_length].to_vec(), token: asked.token.shape(), end: received[end..].to_vec() }
}

/// What the minute's count says, without waiting for the minute.
fn counted(world: &World, server: Server, sn: &str) -> Vec<String> {
    server.stop();
    let mut reasons: Vec<_> = world
        .events("terminal.refused", sn)
        .iter()
        .map(|event| format!("{} × {}", event.detail["reason"].as_str().unwrap(), event.detail["count"]))
        .collect();
    reasons.sort();
    reasons
}

#[test]
fn r29_unknown_serial_wrong_factor_and_bad_ciphertext_are_alike_in_code_and_length() {
    let known = RawDevice::new("SN-1001");
    let external = RawDevice::with_pin_pad("SN-1002", "PP-1002");
    let (world, server) = with(&[&known, &external], &Options::default());
    let named = |sn: &str, pin_pad: Option<&str>| RawDevice {
        pin_pad: pin_pad.map(Into::into),
        ..RawDevice::new(sn)
    };
    let bad: [(&str, Ciphertext); 4] = [
        ("a ciphertext of zeros", |_, _| vec![0; 256]),
        ("a ciphertext under no key", |_, _| vec![7; 256]),
        ("an empty factor", |work, _| work.oaep_encrypt(&[]).unwrap()),
        ("a factor that is too long", |work, _| work.oaep_encrypt(&[7; 33]).unwrap()),
    ];
    let mut all = vec![
        ("known, all right but the proof", seen(&server, &known, own)),
        ("known, another factor", seen(&server, &named("SN-1001", None), own)),
        ("unknown serial", seen(&server, &named("SN-9999", None), own)),
        ("external, asked without its PIN pad", seen(&server, &named("SN-1002", None), own)),
    ];
    for (what, ciphertext) in bad {
        all.push((what, seen(&server, &known, ciphertext)));
        all.push((what, seen(&server, &named("SN-9999", None), ciphertext)));
    }
    for (what, one) in &all {
        assert_eq!(one, &all[0].1, "{what} against {}", all[0].0);
    }
    let mut pairs = vec![
        ("external, all right but the proof", seen(&server, &external, own)),
        ("external, another PIN pad", seen(&server, &named("SN-1002", Some("PP-9999")), own)),
        ("built in, asked with a PIN pad", seen(&server, &named("SN-1001", Some("PP-1002")), own)),
    ];
    let first = pairs.remove(0);
    for (what, one) in &pairs {
        assert_eq!(one, &first.1, "{what} against {}", first.0);
    }
    assert_eq!(world.count("tmks"), 0);
    let factor = "the factor is not the one that was registered when DIK2 was injected × 1";
    let ciphertext = "the factor's ciphertext does not open, or holds no factor × 4";
    let reasons = counted(&world, server, "SN-1001");
    assert!(reasons.contains(&factor.into()) && reasons.contains(&ciphertext.into()), "{reasons:?}");
    assert!(reasons.contains(&"wrong PIN pad serial × 1".into()), "{reasons:?}");
    assert_eq!(world.events("terminal.refused", "SN-9999")[0].detail["reason"], "unknown serial");
    world.assert_audit_good();
}

/// A ciphertext that is not as long as the modulus is malformed, whoever sends it.
#[test]
fn a_short_ciphertext_is_0002_to_all() {
    let known = RawDevice::new("SN-1");
    let (_world, server) = with(&[&known], &Options::default());
    for device in [known, RawDevice::new("SN-9")] {
        let mut line = connect(server.terminals);
        let asked = device.ask_with(&mut line, device.auth(1, 0, &[]), |_| vec![7; 255]);
        assert_eq!(asked.err(), Some(End::Code(0x0002)));
    }
}

/// The token of a stranger opens with nobody's DIK2, that of the true device with its own.
#[test]
fn nothing_opens_a_strangers_token() {
    let known = RawDevice::new("SN-1");
    let (_world, server) = with(&[&known], &Options::default());
    let asked = known.ask(&mut connect(server.terminals), 0).unwrap();
    assert!(known.open(asked).is_some());
    let other = RawDevice { factor: vec![7; 16], ..known.clone() };
    let asked = other.ask(&mut connect(server.terminals), 0).unwrap();
    let derived = crate::support::rks::derive(&crate::support::estate::ESTATE.rks.dik1, "SN-1", &[7; 16]);
    assert!(RawDevice { dik2: derived, ..known.clone() }.open(asked).is_none());
}

#[test]
fn a_stranger_who_asks_twice_gets_other_tokens_and_the_same_end() {
    let stranger = RawDevice::new("SN-9");
    let (_world, server) = with(&[], &Options::default());
    let mut line = connect(server.terminals);
    let first = stranger.ask(&mut line, 0).unwrap();
    let mut other_line = connect(server.terminals);
    let second = stranger.ask(&mut other_line, 0).unwrap();
    assert_ne!(first.token.get(tlv::DF21), second.token.get(tlv::DF21));
    assert_eq!(first.token.shape(), second.token.shape());
    for (line, asked) in [(&mut line, &first), (&mut other_line, &second)] {
        RawDevice::prove(line, asked, &[1; 80]);
        assert_eq!(line.end(), REFUSED);
    }
}

/// A proof that is nearly right: AT, TK2 and hash each changed, TK with poor parts.
#[test]
fn a_wrong_at_a_wrong_sha2_and_a_weak_tk_are_0006_each_with_its_reason() {
    let device = RawDevice::new("SN-1");
    let (world, server) = with(&[&device], &Options::default());
    let prove = |make: fn(&[u8], &[u8]) -> Vec<u8>| {
        let mut line = connect(server.terminals);
        let asked = device.ask(&mut line, 0).unwrap();
        let opened = device.open(asked).unwrap();
        RawDevice::prove(&mut line, &opened.asked, &make(&opened.at, &opened.tk1));
        assert_eq!(line.end(), REFUSED);
    };
    prove(|_, tk1| {
        let tk: Vec<u8> = tk1.iter().map(|byte| byte ^ 7).collect();
        proof_of(&[9; 24], &[7; 24], &tk)
    });
    prove(|at, tk1| proof_of(at, &[7; 24], tk1));
    prove(|at, tk1| {
        let tk = [0x23; 24];
        let tk2: Vec<u8> = tk1.iter().map(|byte| byte ^ 0x23).collect();
        proof_of(at, &tk2, &tk)
    });
    prove(|at, tk1| proof_of(at, tk1, &[0; 24]));
    prove(|at, _| at.to_vec());
    assert_eq!(world.count("tmks"), 0);
    let reasons = counted(&world, server, "SN-1");
    assert_eq!(reasons.len(), 5, "{reasons:?}");
    for word in ["AT is not", "the hash is not", "equal parts", "weak DES part", "not 80 bytes"] {
        assert!(reasons.iter().any(|reason| reason.contains(word)), "{word}: {reasons:?}");
    }
}

/// What was recorded of a good run opens nothing in another.
#[test]
fn a_replayed_proof_is_0006() {
    let device = RawDevice::new("SN-1");
    let (world, server) = with(&[&device], &Options::default());
    let mut line = connect(server.terminals);
    let asked = device.ask(&mut line, 0).unwrap();
    let opened = device.open(asked).unwrap();
    let tk: Vec<u8> = opened.tk1.iter().map(|byte| byte ^ 7).collect();
    let proof = proof_of(&opened.at, &[7; 24], &tk);
    let df22 = opened.asked.work.oaep_encrypt(&proof).unwrap();
    let frame = tlv::frame(tlv::RKS_PROOF, &tlv::field(tlv::DF22, &df22));
    line.send(&frame);
    line.expect(tlv::RKS_KEYS).unwrap();
    drop(line);
    let before = world.count("tmks");
    let mut line = connect(server.terminals);
    device.ask(&mut line, 0).unwrap();
    line.send(&frame);
    assert_eq!(line.end(), REFUSED);
    assert_eq!(world.count("tmks"), before);
}

#[test]
fn a_device_of_another_acquirer_is_a_stranger() {
    let device = RawDevice::new("SN-1");
    let (world, server) = with(&[&device], &Options::default());
    world.sql().execute("UPDATE terminals SET acquirer = 'ACQ-2'", []).unwrap();
    let mut line = connect(server.terminals);
    let asked = device.ask(&mut line, 0).unwrap();
    assert!(device.open(asked).is_none());
}

/// Open downloads of a serial are bounded; the oldest gives way and the true device still gets through.
#[test]
fn a_flood_with_its_serial_does_not_stop_the_true_device() {
    let device = RawDevice::new("SN-1");
    let (_world, server) = with(&[&device], &Options::default());
    let mut flood: Vec<_> = (0..12)
        .map(|_| {
            let mut line = connect(server.terminals);
            line.send(&device.auth(1, 0, &[]));
            line.expect(tlv::RKS_CERT).unwrap();
            line
        })
        .collect();
    device.load_on(&mut connect(server.terminals), 0).unwrap();
    assert_eq!(flood.remove(0).end(), End::Code(0x000B));
}
