//! Sign-ins in suite 02: AES working keys, a nonce, CMACs, over the terminal port and carried by a POSP.

use serde_json::json;

use crate::{
    sign_ins::active,
    support::{
        ec::{EcKeyReceived, random},
        line::{End, connect},
        posp::{POSP, Posp, bytes_of},
        raw::{Raw, rnd1},
        rks::hex,
        rks_ec::{EcDevice, with},
        sign_in::{self, MESSAGE_MAC, SIGN_IN_CONFIRM},
        sign_in_ec::{self, EcWorking, sign_in_frame},
        tlv::{self, Message, field, frame},
        world::{Options, Server, World},
    },
};

const NOT_PROVEN: End = End::Code(0x0006);

/// A device with a TMK of suite 02 in slot 1.
fn with_tmk(device: &EcDevice, more: &str) -> (World, Server, EcKeyReceived) {
    let options = Options { rks: Some((vec![1], false, 8)), more: more.into(), ..Options::default() };
    let (world, server) = with(&[device], &options);
    let tmk = device.load_on(&mut connect(server.terminals), 1).unwrap().received.remove(0);
    (world, server, tmk)
}

#[test]
fn a_terminal_signs_in_and_its_keys_are_in_use() {
    for device in [EcDevice::new("SN-1"), EcDevice::with_pin_pad("SN-2", "PP-2")] {
        let (world, server, tmk) = with_tmk(&device, "[host]\ntdk = true\n");
        let first = device.sign_in(&mut connect(server.terminals), &tmk).unwrap();
        assert_eq!(first.keys.len(), 3);
        assert_eq!(active(&server, &device.sn, 1), first.kcvs());
        let second = device.sign_in(&mut connect(server.terminals), &tmk).unwrap();
        assert_eq!(active(&server, &device.sn, 1), second.kcvs());
        assert!(first.keys.iter().zip(&second.keys).all(|(old, new)| old.key != new.key));
        let kept = world.sql().query_row("SELECT count(*) FROM sign_ins", [], |row| row.get::<_, i64>(0));
        assert_eq!(kept, Ok(0), "nothing waits");
        world.assert_audit_good();
    }
}

/// A terminal whose download was cut before DONE still signs in, and its TMK becomes active.
#[test]
fn a_pending_tmk_that_signs_in_becomes_active() {
    let device = EcDevice::new("SN-1");
    let options = Options { rks: Some((vec![1], false, 8)), ..Options::default() };
    let (world, server) = with(&[&device], &options);
    let tmk = device.fetch(&mut connect(server.terminals), 1).unwrap().received.remove(0);
    device.sign_in(&mut connect(server.terminals), &tmk).unwrap();
    assert_eq!(world.keys("SN-1", 1, "active"), [hex(&tmk.kcv)]);
    let suite = "SELECT suite FROM key_suites WHERE sn = 'SN-1' AND key = 'slot/01'";
    assert_eq!(world.sql().query_row(suite, [], |row| row.get::<_, i64>(0)), Ok(2));
}

#[test]
fn a_wrong_confirmation_leaves_the_old_keys_in_use() {
    let device = EcDevice::new("SN-1");
    let (world, server, tmk) = with_tmk(&device, "");
    let old = device.sign_in(&mut connect(server.terminals), &tmk).unwrap();
    let other = |working: &EcWorking| EcWorking { nonce: random(), ..working.clone() }.confirm();
    let turned = |working: &EcWorking| {
        let keys = working.keys.iter().cloned();
        let told: Vec<_> = working.keys.iter().rev().flat_map(|key| key.kcv).collect();
        let mac = EcWorking { nonce: working.nonce, keys: keys.collect() }
            .mac(&[b"OK", &working.nonce[..], &told].concat());
        frame(SIGN_IN_CONFIRM, &field(MESSAGE_MAC, &mac))
    };
    let reflected = |working: &EcWorking| {
        let done = Message::read(&working.done());
        frame(SIGN_IN_CONFIRM, &field(MESSAGE_MAC, done.get(MESSAGE_MAC)))
    };
    let earlier = |_: &EcWorking| old.confirm();
    type Wrong<'a> = &'a dyn Fn(&EcWorking) -> Vec<u8>;
    let wrong: [Wrong<'_>; 4] = [&other, &turned, &reflected, &earlier];
    for confirm in wrong {
        let mut line = connect(server.terminals);
        let working = device.ask_working(&mut line, &tmk).unwrap();
        line.send(&confirm(&working));
        assert_eq!(line.end(), NOT_PROVEN);
    }
    // A MAC of suite 01's length is malformed.
    let mut line = connect(server.terminals);
    device.ask_working(&mut line, &tmk).unwrap();
    line.send(&frame(SIGN_IN_CONFIRM, &field(MESSAGE_MAC, &[7; 8])));
    assert_eq!(line.end(), End::Code(0x0002));
    assert_eq!(active(&server, "SN-1", 1), old.kcvs());
    world.assert_audit_good();
}

#[test]
fn whatever_is_wrong_in_a_sign_in_is_0006_and_makes_no_key() {
    let device = EcDevice::with_pin_pad("SN-1", "PP-1");
    let (world, server, tmk) = with_tmk(&device, "");
    let tdes = Raw::new("SN-2");
    server.collect(&[&tdes]);
    let lower = tdes.download(server.terminals, 1).unwrap();
    let nonce = random();
    let mut wrong = tmk.kcv;
    wrong[0] ^= 1;
    let cases = [
        ("unknown serial", sign_in_frame(&EcDevice::new("SN-9"), 1, &nonce, &tmk.kcv)),
        ("slot without a key", sign_in_frame(&device, 2, &nonce, &tmk.kcv)),
        ("wrong DF0B", sign_in_frame(&device, 1, &nonce, &wrong)),
        ("another PIN pad", sign_in_frame(&EcDevice::with_pin_pad("SN-1", "PP-9"), 1, &nonce, &tmk.kcv)),
        ("a TMK of suite 01, asked in 02", sign_in_frame(&EcDevice::new("SN-2"), 1, &nonce, &tmk.kcv)),
        (
            "a TMK of suite 02, asked in 01",
            sign_in::sign_in_frame(&Raw::with_pin_pad("SN-1", "PP-1"), 1, 1, rnd1(), &tmk.kcv[..3]),
        ),
    ];
    for (what, sign_in) in &cases {
        let mut line = connect(server.terminals);
        line.send(sign_in);
        assert_eq!(line.end(), NOT_PROVEN, "{what}");
    }
    assert_eq!(world.count("working_keys"), 0);
    // Check values of the other suite's length, and fields in another order, are malformed.
    let good = sign_in_frame(&device, 1, &nonce, &tmk.kcv);
    let malformed = [
        sign_in_frame(&device, 1, &nonce, &lower.kcv),
        frame(sign_in::SIGN_IN, &[&good[8..], &good[4..8]].concat()),
    ];
    for sign_in in malformed {
        let mut line = connect(server.terminals);
        line.send(&sign_in);
        assert_eq!(line.end(), End::Code(0x0002));
    }
}

#[test]
fn a_posp_carries_a_sign_in() {
    let device = EcDevice::new("SN-1");
    let (world, server, tmk) = with_tmk(&device, POSP);
    let mut posp = Posp::connect(&server);
    let nonce = random();
    let sign_in = sign_in_frame(&device, 1, &nonce, &tmk.kcv);
    let offered = posp.post("/v1/working-keys", &json!({ "sign_in": hex(&sign_in[2..]) }));
    assert_eq!(offered.status, 200, "{offered:?}");
    let answer = tlv::frame_of(&bytes_of(&offered.json["working_keys"]));
    let working = sign_in_ec::open(&device, &tmk, nonce, &sign_in, &Message::read(&answer));
    let confirm = |posp: &mut Posp, frame: &[u8]| {
        let body = json!({ "sn": "SN-1", "slot": 1, "sign_in_confirm": hex(&frame[2..]) });
        posp.post("/v1/working-keys/confirm", &body)
    };
    // A MAC of the other suite is none of this offer's.
    let lower = confirm(&mut posp, &frame(SIGN_IN_CONFIRM, &field(MESSAGE_MAC, &[7; 8])));
    assert_eq!((lower.status, lower.code()), (409, "no-sign-in"));
    let wrong = confirm(&mut posp, &frame(SIGN_IN_CONFIRM, &field(MESSAGE_MAC, &[7; 16])));
    assert_eq!((wrong.status, wrong.code()), (422, "not-proven"));
    // The offer outlives the server.
    drop(posp);
    server.stop();
    let server = world.start(&Options { suite_02: true, more: POSP.into(), ..Options::default() });
    let mut posp = Posp::connect(&server);
    let done = confirm(&mut posp, &working.confirm());
    assert_eq!((done.status, bytes_of(&done.json["done"])), (200, working.done()[2..].to_vec()), "{done:?}");
    assert_eq!(active(&server, "SN-1", 1), working.kcvs());
}
