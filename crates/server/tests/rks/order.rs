//! Every message in every state of flow C: one is expected, ERROR ends in silence, all others are 0003.

use super::loading::with;
use crate::support::{
    line::{End, Line, connect},
    rks::{RawDevice, confirm},
    tlv::{self, field, frame},
    world::{Options, Server},
};

fn each_type_but(expected: u8, open: impl Fn(&Server) -> Line, server: &Server) {
    for kind in tlv::ALL_TYPES.into_iter().filter(|kind| *kind != expected) {
        let mut line = open(server);
        line.send(&frame(kind, &[]));
        let end = if kind == tlv::ERROR { End::Closed } else { End::Code(0x0003) };
        assert_eq!(line.end(), end, "type {kind:02X}");
    }
}

#[test]
fn only_the_factor_follows_the_certificate() {
    let device = RawDevice::new("SN-1");
    let (_world, server) = with(&[&device], &Options::default());
    let certified = |server: &Server| {
        let mut line = connect(server.terminals);
        line.send(&device.auth(1, 0, &[]));
        line.expect(tlv::RKS_CERT).unwrap();
        line
    };
    each_type_but(tlv::RKS_FACTOR, certified, &server);
}

#[test]
fn only_the_proof_follows_the_token_and_only_confirm_the_keys() {
    let device = RawDevice::new("SN-1");
    let (world, server) = with(&[&device], &Options::default());
    let tokened = |server: &Server| {
        let mut line = connect(server.terminals);
        device.ask(&mut line, 0).unwrap();
        line
    };
    each_type_but(tlv::RKS_PROOF, tokened, &server);
    assert_eq!(world.count("tmks"), 0);
    let keyed = |server: &Server| {
        let mut line = connect(server.terminals);
        device.fetch(&mut line, 0).unwrap();
        line
    };
    each_type_but(tlv::CONFIRM, keyed, &server);
    assert_eq!(world.keys("SN-1", 0, "pending").len(), 1);
    assert!(world.keys("SN-1", 0, "active").is_empty());
}

#[test]
fn a_second_confirmation_confirms_nothing() {
    let device = RawDevice::new("SN-1");
    let (world, server) = with(&[&device], &Options::default());
    let mut line = connect(server.terminals);
    let loaded = device.load_on(&mut line, 0).unwrap();
    line.send(&confirm(&loaded.keys));
    assert_eq!(line.end(), End::Code(0x0003));
    assert_eq!(world.events("rks.confirmed", "SN-1").len(), 1);
}

#[test]
fn malformed_messages_are_0002() {
    let device = RawDevice::new("SN-1");
    let (_world, server) = with(&[&device], &Options::default());
    let same = RawDevice { pin_pad: Some("SN-1".into()), ..device.clone() };
    for auth in [same.auth(1, 0, &[]), device.auth(1, 100, &[]), frame(tlv::RKS_AUTH, &[])] {
        let mut line = connect(server.terminals);
        line.send(&auth);
        assert_eq!(line.end(), End::Code(0x0002));
    }
    let mut line = connect(server.terminals);
    line.send(&device.auth(1, 0, &[]));
    line.expect(tlv::RKS_CERT).unwrap();
    line.send(&frame(tlv::RKS_FACTOR, &field(tlv::DF22, &[7; 256])));
    assert_eq!(line.end(), End::Code(0x0002));
}

/// Fields that nobody reads count for the HSM's transcript: too many of them are refused, and hold up nobody.
#[test]
fn a_transcript_that_is_too_long_is_refused() {
    let device = RawDevice::new("SN-1");
    let (world, server) = with(&[&device], &Options::default());
    let padding = field(0xDF7F, &[7; 60_000]);
    let mut line = connect(server.terminals);
    let factor = device.factor.clone();
    let auth = device.auth(1, 0, &padding);
    let asked = device.ask_with(&mut line, auth, |work| work.oaep_encrypt(&factor).unwrap()).unwrap();
    let long = [field(tlv::DF22, &asked.work.oaep_encrypt(&[7; 80]).unwrap()), padding].concat();
    line.send(&frame(tlv::RKS_PROOF, &long));
    assert_eq!(line.end(), End::Code(0x0008));
    assert_eq!(world.count("tmks"), 0);
}
