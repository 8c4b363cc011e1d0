//! What is sealed after a session has opened.

use crate::support::{
    line::connect,
    tlv::{field, frame},
    tms::{INVENTORY, PLAN, SEALED, SEALED_MESSAGE, Stop},
    tms_ec::{EcPos, shop},
};

/// Bytes of AES-GCM's tag.
const TAG: usize = 16;

/// Attack 17: two sealed messages spliced into one.
#[test]
fn seal_extension() {
    let pos = EcPos::new("SN-1001");
    let shop = shop(&[&pos], "");
    type Splice = fn(&[u8], &[u8]) -> Vec<u8>;
    fn body(sealed: &[u8]) -> &[u8] {
        &sealed[..sealed.len() - TAG]
    }
    fn tag(sealed: &[u8]) -> &[u8] {
        &sealed[sealed.len() - TAG..]
    }
    let splices: [(&str, Splice); 10] = [
        ("one behind the other", |one, two| [one, two].concat()),
        ("the other behind the one", |one, two| [two, one].concat()),
        ("the first's ciphertext, the second's tag", |one, two| [body(one), tag(two)].concat()),
        ("the second's ciphertext, the first's tag", |one, two| [body(two), tag(one)].concat()),
        ("both ciphertexts, the first's tag", |one, two| [body(one), body(two), tag(one)].concat()),
        ("both ciphertexts, the second's tag", |one, two| [body(one), body(two), tag(two)].concat()),
        ("half of each ciphertext", |one, two| [&body(one)[..1], &body(two)[1..], tag(one)].concat()),
        ("a byte less", |one, _| [&body(one)[1..], tag(one)].concat()),
        ("a short tag", |one, _| one[..one.len() - 4].to_vec()),
        ("the tag alone", |one, _| tag(one).to_vec()),
    ];
    const ASK: [u8; 2] = [0x01, INVENTORY];
    for (what, splice) in splices {
        let mut line = connect(shop.server.terminals);
        let mut session = pos.open(&mut line).unwrap();
        let (one, two) = (session.seal(0, &ASK), session.seal(1, &ASK));
        assert_eq!(one.len(), ASK.len() + TAG);
        line.send(&frame(SEALED, &field(SEALED_MESSAGE, &splice(&one, &two))));
        let ended = session.receive(&mut line, PLAN);
        assert!(matches!(ended, Err(Stop::Sealed(0x0006 | 0x0002, _) | Stop::End(_))), "{what}: {ended:?}");
    }
    let mut line = connect(shop.server.terminals);
    let mut session = pos.open(&mut line).unwrap();
    session.inventory(&mut line, &[]).unwrap();
}
