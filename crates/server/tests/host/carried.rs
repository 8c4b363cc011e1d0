//! Sign-ins whose messages a POSP carries inside its own: the same keys, the same rules.

use serde_json::{Value, json};

use crate::{
    sign_ins::{active, hex},
    support::{
        line::connect,
        posp::{POSP, Posp, bytes_of},
        raw::{Raw, Tmk, rnd1},
        sign_in::{Working, open, sign_in_frame},
        tlv::{Message, frame_of},
        world::{Options, Server, World},
    },
};

fn text(frame: &[u8]) -> String {
    frame[2..].iter().map(|byte| format!("{byte:02x}")).collect()
}

fn with_posp(terminal: &Raw) -> (World, Server, Tmk, Posp) {
    let options = Options { more: format!("{POSP}[host]\ntdk = true\n"), ..Options::default() };
    let (world, server) = World::with_options(&[terminal], &options);
    let tmk = terminal.download(server.terminals, 1).unwrap();
    let posp = Posp::connect(&server);
    (world, server, tmk, posp)
}

fn ask(posp: &mut Posp, terminal: &Raw, tmk: &Tmk) -> (Working, Value) {
    let rnd1 = rnd1();
    let sign_in = sign_in_frame(terminal, 1, 1, rnd1, &tmk.kcv);
    let answer = posp.post("/v1/working-keys", &json!({ "sign_in": text(&sign_in) }));
    assert_eq!(answer.status, 200, "{answer:?}");
    let message = Message::read(&frame_of(&bytes_of(&answer.json["working_keys"])));
    (open(terminal, tmk, (1, rnd1), &sign_in, &message), answer.json)
}

fn confirm(posp: &mut Posp, working: &Working, sn: &str) -> crate::support::https::Answer {
    let confirm = json!({ "sign_in_confirm": text(&working.confirm()), "sn": sn, "slot": 1 });
    posp.post("/v1/working-keys/confirm", &confirm)
}

#[test]
fn a_posp_carries_a_sign_in_and_the_keys_are_in_use_when_it_is_confirmed() {
    let terminal = Raw::with_pin_pad("SN-1", "PP-1");
    let (world, server, tmk, mut posp) = with_posp(&terminal);
    let (working, answer) = ask(&mut posp, &terminal, &tmk);
    let blocks = answer["blocks"].as_array().unwrap();
    let kinds: Vec<_> = blocks.iter().map(|block| block["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["PIK", "MAK", "TDK"]);
    let message = bytes_of(&answer["working_keys"]);
    for block in blocks {
        let block = block["block"].as_str().unwrap().as_bytes();
        assert!(message.windows(block.len()).any(|window| window == block), "the same blocks one by one");
    }
    assert!(active(&server, "SN-1", 1).is_empty());

    let done = confirm(&mut posp, &working, "SN-1");
    assert_eq!((done.status, bytes_of(&done.json["done"])), (200, working.done()[2..].to_vec()));
    assert_eq!(active(&server, "SN-1", 1), hex(&working.kcvs()));
    let answered = world.events("sign-in.answered", "SN-1");
    assert_eq!(answered[0].actor, "posp-1", "the audit says who carried it");
    // A confirmation that was taken waits no more.
    let again = confirm(&mut posp, &working, "SN-1");
    assert_eq!((again.status, again.code()), (409, "no-sign-in"));
    world.assert_audit_good();
}

#[test]
fn a_pending_tmk_becomes_active_by_a_sign_in_that_a_posp_carries() {
    let terminal = Raw::new("SN-1");
    let (world, server, _old, mut posp) = with_posp(&terminal);
    let new = terminal.fetch(&mut connect(server.terminals), 1).unwrap();
    let (working, _) = ask(&mut posp, &terminal, &new);
    assert_eq!(confirm(&mut posp, &working, "SN-1").status, 200);
    assert_eq!(world.keys("SN-1", 1, "active"), hex(&[new.kcv]));
}

#[test]
fn neither_a_strangers_sign_in_nor_the_next_try_puts_out_what_is_confirmed() {
    let terminal = Raw::new("SN-1");
    let (world, server, tmk, mut posp) = with_posp(&terminal);
    let (working, _) = ask(&mut posp, &terminal, &tmk);
    ask(&mut posp, &terminal, &tmk);
    terminal.ask_working(&mut connect(server.terminals), 1, &tmk).unwrap();
    assert_eq!(confirm(&mut posp, &working, "SN-1").status, 200);
    assert_eq!(active(&server, "SN-1", 1), hex(&working.kcvs()));
    world.assert_audit_good();
}

#[test]
fn a_wrong_confirmation_is_told_and_counted() {
    let terminal = Raw::new("SN-1");
    let (world, server, tmk, mut posp) = with_posp(&terminal);
    let (mut working, _) = ask(&mut posp, &terminal, &tmk);
    working.rnd1[7] ^= 1;
    let refused = confirm(&mut posp, &working, "SN-1");
    assert_eq!((refused.status, refused.code()), (422, "not-proven"));
    working.rnd1[7] ^= 1;
    assert_eq!(confirm(&mut posp, &working, "SN-2").code(), "no-sign-in", "another terminal's");
    assert!(active(&server, "SN-1", 1).is_empty());
    assert_eq!(confirm(&mut posp, &working, "SN-1").status, 200, "it waits still");
    drop(posp);
    server.stop();
    let refused = world.events("posp.refused", "SN-1");
    assert_eq!(refused.iter().map(|event| &event.detail["reason"]).collect::<Vec<_>>(), ["not-proven"]);
}

/// The payload of one SIGN_IN, and nothing else.
#[test]
fn what_is_not_exactly_one_sign_in_is_malformed() {
    let terminal = Raw::new("SN-1");
    let (world, server, tmk, mut posp) = with_posp(&terminal);
    let good = sign_in_frame(&terminal, 1, 1, rnd1(), &tmk.kcv);
    let two = text(&[&good[..], &good[2..]].concat());
    let framed: String = good.iter().map(|byte| format!("{byte:02X}")).collect();
    let hello = text(&terminal.hello(1, rnd1()));
    for sign_in in [two, framed, hello, text(&good)[..20].to_owned(), "zz".into(), String::new()] {
        let answer = posp.post("/v1/working-keys", &json!({ "sign_in": sign_in }));
        assert_eq!((answer.status, answer.code()), (400, "malformed"), "{sign_in}");
    }
    let confirm = json!({ "sign_in_confirm": text(&good), "sn": "SN-1", "slot": 1 });
    assert_eq!(posp.post("/v1/working-keys/confirm", &confirm).code(), "malformed");
    assert!(active(&server, "SN-1", 1).is_empty());
    assert!(world.events("sign-in.answered", "SN-1").is_empty());
}

/// A POSP has proved who it is: it may know what is wrong.
#[test]
fn a_posp_is_told_what_a_terminal_lacks() {
    let terminal = Raw::new("SN-1");
    let (_world, _server, tmk, mut posp) = with_posp(&terminal);
    for (sign_in, status, code) in [
        (sign_in_frame(&Raw::new("SN-9"), 1, 1, rnd1(), &tmk.kcv), 404, "unknown-terminal"),
        (sign_in_frame(&terminal, 1, 2, rnd1(), &tmk.kcv), 409, "no-tmk"),
        (sign_in_frame(&terminal, 1, 1, rnd1(), &[0; 3]), 409, "no-tmk"),
        (sign_in_frame(&terminal, 3, 1, rnd1(), &tmk.kcv), 422, "suite-not-supported"),
    ] {
        let answer = posp.post("/v1/working-keys", &json!({ "sign_in": text(&sign_in) }));
        assert_eq!((answer.status, answer.code()), (status, code));
    }
}

/// State is on disk before the message that depends on it leaves.
#[test]
fn a_sign_in_outlives_the_server() {
    let terminal = Raw::new("SN-1");
    let (world, server, tmk, mut posp) = with_posp(&terminal);
    let (working, _) = ask(&mut posp, &terminal, &tmk);
    drop(server);
    let server = world.start(&Options { more: POSP.into(), ..Options::default() });
    let mut posp = Posp::connect(&server);
    assert_eq!(confirm(&mut posp, &working, "SN-1").status, 200);
    assert_eq!(active(&server, "SN-1", 1), hex(&working.kcvs()));
    world.assert_audit_good();
}
