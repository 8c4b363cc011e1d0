//! Terminals that ask to be collected in suite 02: inside a window, under the KMS's own nonce.

use store::{DeviceStore as _, Event, OpenWindows, Person};
use wire::Serial;

use super::serve;
use crate::support::{
    ec::NONCE,
    estate::{DAY, now},
    kms_ec::{Ec, KMS_EC, collect},
    line::{End, Line, connect},
    tlv::{self, Message, field, frame},
    world::Server,
};

fn open_window(server: &Server, sn: &str) {
    let person =
        |subject: &str, serial: &str| Person { subject: subject.into(), certificate_serial: serial.into() };
    let open = OpenWindows {
        request_digest: crate::support::ec::random(),
        serials: vec![Serial::parse(sn).unwrap()],
        asked_by: person("CN=Olga", "0A"),
        opened_by: person("CN=Adam", "0B"),
        expires_at: (now() + DAY) * 1000,
    };
    let event = Event::new(now() * 1000, "windows.opened", "test", sn, serde_json::json!({}));
    server.block_on(server.store.open_windows(open, event)).unwrap();
}

fn ask(line: &mut Line, terminal: &Ec) -> Result<Message, End> {
    let mut fields = [field(tlv::SUITE, &[2]), field(tlv::SN, terminal.sn.as_bytes())].concat();
    if let Some(pin_pad) = &terminal.pin_pad {
        fields.extend(field(tlv::PIN_PAD, pin_pad.as_bytes()));
    }
    line.send(&frame(tlv::COLLECT_ASK, &fields));
    line.expect(tlv::COLLECT)
}

fn answer(line: &mut Line, collected: &[u8]) -> Result<Message, End> {
    let length = u16::try_from(collected.len()).unwrap();
    line.send(&[&length.to_be_bytes()[..], collected].concat());
    line.expect(tlv::DONE)
}

#[test]
fn a_terminal_is_collected_in_its_window_and_downloads() {
    let (world, server) = serve(&[]);
    let terminal = Ec::with_pin_pad("SN-1", "PP-1");
    open_window(&server, "SN-1");
    let mut line = connect(server.terminals);
    let asked = ask(&mut line, &terminal).unwrap();
    assert_eq!(asked.frame, collect(asked.get(NONCE)), "suite, its certificate, a nonce, and nothing else");
    assert_eq!(asked.get(tlv::CERTIFICATE), KMS_EC.work.der());
    let collected = terminal.collected(&asked.frame);
    answer(&mut line, &collected).unwrap();
    terminal.download(server.terminals, 0).unwrap();
    // DONE was lost: the same question, the same bytes, and DONE.
    let mut line = connect(server.terminals);
    let again = ask(&mut line, &terminal).unwrap();
    assert_eq!(again.frame, asked.frame);
    answer(&mut line, &collected).unwrap();
    assert_eq!(world.count("collections"), 1);
    world.assert_audit_good();
}

#[test]
fn another_windows_nonce_is_another() {
    let (_world, server) = serve(&[]);
    let nonces = ["SN-1", "SN-2"].map(|sn| {
        open_window(&server, sn);
        let asked = ask(&mut connect(server.terminals), &Ec::new(sn)).unwrap();
        asked.get(NONCE).to_vec()
    });
    assert_ne!(nonces[0], nonces[1]);
}

#[test]
fn without_a_window_there_is_only_0006() {
    let (world, server) = serve(&[]);
    assert_eq!(ask(&mut connect(server.terminals), &Ec::new("SN-1")).unwrap_err(), End::Code(0x0006));
    assert_eq!(world.count("ceremonies"), 0);
}

#[test]
fn a_false_answer_leaves_the_window_open() {
    let (world, server) = serve(&[]);
    let terminal = Ec::new("SN-1");
    open_window(&server, "SN-1");
    // Under another question; by a device that is another's.
    let borrowed = {
        let other = Ec::new("SN-2");
        Ec { certificate: other.certificate, device: other.device, ..Ec::new("SN-1") }
    };
    let refused = |what: &str, code: u16, collected: &dyn Fn(&[u8]) -> Vec<u8>| {
        let mut line = connect(server.terminals);
        let asked = ask(&mut line, &terminal).unwrap();
        let end = answer(&mut line, &collected(&asked.frame)).unwrap_err();
        assert_eq!(end, End::Code(code), "{what}");
    };
    refused("another nonce", 0x0002, &|_| terminal.collected(&collect(&[7; 32])));
    refused("a borrowed certificate", 0x000D, &|asked| borrowed.collected(asked));
    assert_eq!(world.count("terminals"), 0);
    assert_eq!(world.events("collection.refused", "SN-1").len(), 2);
    let mut line = connect(server.terminals);
    let asked = ask(&mut line, &terminal).unwrap();
    answer(&mut line, &terminal.collected(&asked.frame)).unwrap();
}

/// A nonce of a window is none for a station's package.
#[test]
fn a_windows_nonce_is_no_stations_ceremony() {
    let (_world, server) = serve(&[]);
    let terminal = Ec::new("SN-1");
    open_window(&server, "SN-1");
    let asked = ask(&mut connect(server.terminals), &terminal).unwrap();
    let nonce = asked.get(NONCE);
    let mut content = crate::support::kms_ec::package(nonce, &[terminal.entry(nonce)]);
    content["station"] = serde_json::json!("terminal port");
    let refused = server.upload(&crate::support::kms_ec::by_both(&content));
    assert_eq!((refused.status, refused.code()), (403, "ceremony-unknown"));
}
