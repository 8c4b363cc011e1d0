//! No clear key leaves its home: known keys go through everything that the servers do, and are then looked for in
//! everything that the servers wrote (R33). A test crate of its own: it takes the process's log.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that goes wrong stops here"
)]
#![allow(clippy::cast_possible_truncation, reason = "sizes here are the test's own")]

mod support;

use std::{
    fs,
    io::{self, Write},
    sync::{Arc, Mutex},
};

use base64ct::{Base64, Encoding};
use keyblock::{Kbpk, Version};
use pinblock::Format;
use serde_json::{Value, json};
use store::TmsStore;
use support::{
    canary::{Canaries, spellings, unseal},
    ec::{self, Keys},
    estate::{ESTATE, PASSPHRASE},
    https,
    kms_ec::{self, Ec},
    line::connect,
    package::{approval, entry, entry_of, fingerprint, package, replacing, signed},
    posp::{POSP, Posp, RawZone, aes_zone, bytes_of, item},
    raw::{Raw, confirm},
    rks::{RawDevice, hex, proof_of, report},
    rks_ec::{self, EcDevice, RKS_EC},
    shop::{Maker, event},
    tlv,
    tms_ec::EcPos,
    world::{Options, Server, World},
};

/// The log of the whole process.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn r33_no_clear_key_leaves_its_home() {
    let log = Log::default();
    let writer = log.clone();
    tracing_subscriber::fmt()
        .with_max_level(tracing_subscriber::filter::LevelFilter::TRACE)
        .with_writer(move || writer.clone())
        .init();

    let mut canaries = Canaries::default();
    let [lmk, stranger] = unseal(&ESTATE.hsm_folder().join("lmk.sealed"), PASSPHRASE);
    let work = Kbpk::new(Version::D, &lmk).unwrap().unwrap(&ESTATE.work.private_block).unwrap();
    canaries.add("LMK", &lmk);
    canaries.add("the secret for strangers", &stranger);
    canaries.add("the HSM's passphrase", PASSPHRASE.as_bytes());
    // Modulus and exponent come first and are public; behind them is only what is not.
    canaries.add("the work key", &work.key[work.key.len() / 2..]);

    let world = World::new();
    // What a POSP itself sends and gets, and what is kept nowhere all the same.
    let mut passing = Canaries::default();
    let seen = story(&world, &mut canaries, &mut passing);

    let log = log.0.lock().unwrap();
    assert!(log.windows(5).any(|word| word == b"TRACE"), "the log is there");
    canaries.assert_absent("the log", &log);
    passing.assert_absent("the log", &log);
    passing.assert_absent_in_files(world.folder(), &[]);
    for (place, content) in &seen {
        canaries.assert_absent(place, content);
    }
    let files = canaries.assert_absent_in_files(world.folder(), &["tls.key"]);
    assert!(files > 100_000, "the database is there");
    assert!(canaries.assert_absent_in_files(&ESTATE.hsm_folder(), &[]) > 48);
}

/// Everything that servers do, the refusals too. Gives what came back, by where it came from.
fn story(world: &World, canaries: &mut Canaries, passing: &mut Canaries) -> Vec<(String, Vec<u8>)> {
    let mut seen = Vec::new();
    let more = format!("{POSP}[host]\ntdk = true\n[tms]\n");
    let rks = Some((vec![0, 1], true, 3));
    let server = world.start(&Options { rks, more, suite_02: true, ..Options::default() });
    let terminals = [Raw::new("SN-1"), Raw::with_pin_pad("SN-2", "PP-2"), Raw::new("SN-1")];
    let mut same = Raw::new("SN-3");
    same.auk.clone_from(&same.tek);
    for terminal in terminals.iter().chain([&same]) {
        canaries.add(&format!("TEK of {}", terminal.sn), &terminal.tek);
        canaries.add(&format!("AUK of {}", terminal.sn), &terminal.auk);
    }
    let entries =
        [entry(&terminals[0]), entry(&terminals[1]), entry(&same), entry_of(&Raw::new("SN-4"), &[7; 256])];
    let again = replacing(entry(&terminals[2]));
    for (number, content) in [package(&entries), package(std::slice::from_ref(&again))].iter().enumerate() {
        let cms = signed(&ESTATE.operator, content);
        fs::write(world.folder().join(format!("package-{number}")), &cms).unwrap();
        seen.push((format!("the answer to upload {number}"), server.upload(&cms).body.into_bytes()));
        seen.push(("the answer to it again".into(), server.upload(&cms).body.into_bytes()));
    }

    for terminal in &terminals[..2] {
        let mut line = connect(server.terminals);
        let pending = terminal.fetch(&mut line, 1).unwrap();
        line.send(&confirm(&[0; 3]));
        line.end();
        seen.push((format!("what {} received", terminal.sn), line.received().to_vec()));
        let mut line = connect(server.terminals);
        for slot in [0, 1, 0] {
            let tmk = terminal.download_on(&mut line, slot).unwrap();
            canaries.add(&format!("TMK of {} in {slot}", terminal.sn), &tmk.key);
            assert!(slot != 1 || tmk.key == pending.key);
        }
        line.send(&tlv::frame(tlv::DONE, &[]));
        line.end();
        seen.push((format!("what {} received", terminal.sn), line.received().to_vec()));
        let mut line = connect(server.terminals);
        terminal.impostor().ask(&mut line, 0).unwrap();
        seen.push((format!("what an impostor of {} received", terminal.sn), line.received().to_vec()));
    }

    devices(&server, canaries, &mut seen);
    host(&server, &terminals[1], canaries, passing, &mut seen);
    suite_02(world, &server, canaries, passing, &mut seen);
    collected_in_02(&server, canaries, &mut seen);

    // Blocks swapped by hand: the HSM's refusals and the server's errors.
    world.sql().execute("UPDATE terminals SET tek = auk, auk = tek", []).unwrap();
    let mut line = connect(server.terminals);
    line.send(&terminals[0].hello(0, [1; 8]));
    line.end();
    seen.push(("what came after a swap".into(), line.received().to_vec()));
    world.sql().execute("UPDATE terminals SET tek = auk, auk = tek", []).unwrap();

    let id = https::get(server.https, "/v1/replacements").json[0]["id"].as_i64().unwrap();
    let word = approval("replace-tk", id, "SN-1", &fingerprint(&again));
    let answer = server.approve(&signed(&ESTATE.administrator, &word));
    assert_eq!(answer.status, 200, "{answer:?}");
    let tmk = terminals[2].download(server.terminals, 0).unwrap();
    canaries.add("TMK after the replacement", &tmk.key);
    for path in ["/v1/replacements", "/v1/work-certificate", "/v1/crl", "/v1/health"] {
        seen.push((path.into(), https::get(server.https, path).body.into_bytes()));
    }
    let wal = fs::read(world.folder().join("keyferry.db-wal")).unwrap();
    assert!(!wal.is_empty());
    seen.push(("the write-ahead log".into(), wal));
    server.stop();
    seen
}

/// Local loading and flow C: what a KLD reports, what devices get, what strangers see.
fn devices(server: &Server, canaries: &mut Canaries, seen: &mut Vec<(String, Vec<u8>)>) {
    canaries.add("the exchange key", &ESTATE.rks.exchange);
    canaries.add("DIK1", &ESTATE.rks.dik1);
    let device = RawDevice::new("SN-11");
    let loaded_there = Raw::new("SN-11").tek;
    canaries.add("DIK2 of SN-11", &device.dik2);
    canaries.add("the factor of SN-11", &device.factor);
    canaries.add("a TMK that the KLD loaded", &loaded_there);
    let mut entry = device.entry();
    entry["keys"].as_array_mut().unwrap().push(device.key_entry("tmk", 9, &loaded_there));
    let cms = signed(&ESTATE.operator, &report("run-1", &[entry]));
    for path in ["/v1/kld-reports", "/v1/collection-windows"] {
        seen.push((path.into(), https::post(server.https, path, https::CMS, &cms).body.into_bytes()));
    }
    let mut line = connect(server.terminals);
    for _ in 0..2 {
        for key in device.load_on(&mut line, 0).unwrap().keys {
            canaries.add(&format!("{} {} of SN-11", key.usage, hex(&key.kcv)), &key.key);
        }
    }
    seen.push(("what a device received".into(), line.received().to_vec()));
    let mut line = connect(server.terminals);
    let opened = device.open(device.ask(&mut line, 0).unwrap()).unwrap();
    canaries.add("AT", &opened.at);
    canaries.add("TK1", &opened.tk1);
    RawDevice::prove(&mut line, &opened.asked, &proof_of(&opened.at, &opened.tk1, &[0; 24]));
    line.end();
    seen.push(("what a device with a weak TK received".into(), line.received().to_vec()));
}

/// Sign-in, PINs and MACs: what the terminal gets, what POSPs get, what is refused to both.
fn host(
    server: &Server,
    terminal: &Raw,
    canaries: &mut Canaries,
    passing: &mut Canaries,
    seen: &mut Vec<(String, Vec<u8>)>,
) {
    const PIN: &str = "927461038452";
    const PAN: &str = "4929381746502837";
    const DATA: &[u8] = b"field 4: 000000019900, field 7: 1120123456";
    let tmk = terminal.download(server.terminals, 2).unwrap();
    canaries.add("the TMK of the sign-in", &tmk.key);
    let mut line = connect(server.terminals);
    let cut = terminal.ask_working(&mut line, 2, &tmk).unwrap();
    let mut wrong = cut.confirm();
    *wrong.last_mut().unwrap() ^= 1;
    line.send(&wrong);
    line.end();
    seen.push(("what a terminal with a wrong MAC received".into(), line.received().to_vec()));
    let mut line = connect(server.terminals);
    let working = terminal.sign_in(&mut line, 2, &tmk).unwrap();
    seen.push(("what a terminal received at its sign-in".into(), line.received().to_vec()));
    for (which, keys) in [("a cut sign-in", &cut), ("a sign-in", &working)] {
        canaries.add(&format!("the PIK of {which}"), &keys.pik);
        canaries.add(&format!("the MAK of {which}"), &keys.mak);
        canaries.add(&format!("the TDK of {which}"), keys.tdk.as_ref().unwrap());
    }

    let zone = RawZone::import(server, "issuer-1");
    canaries.add("a zone key", &zone.key);
    canaries.add("a zone master key", &zone.master);
    canaries.add("an AES zone key", &aes_zone(server, "issuer-aes"));
    let (pin, pan) = (pinblock::Pin::new(PIN).unwrap(), pinblock::Pan::new(PAN).unwrap());
    let clear = pinblock::encode(Format::Iso0, &pin, Some(&pan)).unwrap();
    let digits: Vec<u8> =
        (0..PAN.len()).step_by(2).map(|at| u8::from_str_radix(&PAN[at..at + 2], 16).unwrap()).collect();
    canaries.add("a PIN", PIN.as_bytes());
    canaries.add("a clear PIN block", clear.expose());
    canaries.add("a PAN", PAN.as_bytes());
    canaries.add("a PAN's digits", &digits);
    let block = working.pin_block(Format::Iso0, PIN, PAN);
    passing.add("a PIN block under PIK", &block);
    passing.add("what a MAC was over", DATA);

    let mut posp = Posp::connect(server);
    let mut ask = |path: &str, body: &Value| {
        let answer = posp.post(path, body);
        seen.push((format!("the answer {} of {path}", answer.status), answer.body.clone().into_bytes()));
        answer
    };
    let sn = &terminal.sn;
    for (zone, to) in [("issuer-1", 0), ("issuer-1", 3), ("issuer-aes", 4)] {
        let one = item(sn, 2, PAN, (0, to), &block, zone);
        let answer = ask("/v1/pin/translate", &one);
        assert_eq!(answer.status, 200, "{answer:?}");
        passing.add("a PIN block under a zone key", &bytes_of(&answer.json["pin_block"]));
        ask("/v1/pin/translate/batch", &json!({ "items": [one.clone(), one] }));
    }
    // Refusals: a bad block, format, PAN, zone, slot, and bodies that cannot be read.
    let good = item(sn, 2, PAN, (0, 0), &block, "issuer-1");
    for (name, value) in [
        ("pin_block", json!("0011223344556677")),
        ("from", json!(3)),
        ("to", json!(1)),
        ("pan", json!(format!("{PAN}{PAN}"))),
        ("zone", json!("nowhere")),
        ("slot", json!(5)),
        ("slot", json!(PAN)),
        ("from", json!(PAN)),
        ("sn", json!(null)),
        (PAN, json!(1)),
    ] {
        let mut bad = good.clone();
        bad[name] = value;
        assert_ne!(ask("/v1/pin/translate", &bad).status, 200);
        ask("/v1/pin/translate/batch", &json!({ "items": [bad] }));
    }
    let data = Base64::encode_string(DATA);
    let mac = ask("/v1/mac/generate", &json!({ "sn": sn, "slot": 2, "data": data })).json["mac"].clone();
    for mac in [mac, json!("0011223344556677"), json!(data)] {
        ask("/v1/mac/verify", &json!({ "sn": sn, "slot": 2, "data": data, "mac": mac }));
    }
}

/// Flow A of suite 02: collected by both cards, downloaded, refused, and what is in the database afterwards.
fn collected_in_02(server: &Server, canaries: &mut Canaries, seen: &mut Vec<(String, Vec<u8>)>) {
    let terminal = Ec::with_pin_pad("SN-31", "PP-31");
    canaries.add("TEK of suite 02", &terminal.tek);
    canaries.add("AUK of suite 02", &terminal.auk);
    kms_ec::install(server);
    let nonce = kms_ec::ceremony(server, kms_ec::STATION);
    let cms = kms_ec::by_both(&kms_ec::package(&nonce, &[terminal.entry(&nonce)]));
    seen.push(("the answer to an upload of suite 02".into(), server.upload(&cms).body.into_bytes()));
    seen.push(("the answer to it again".into(), server.upload(&cms).body.into_bytes()));
    let mut line = connect(server.terminals);
    let fetched = terminal.fetch(&mut line, 0).unwrap();
    canaries.add("TMK of suite 02", &fetched.tmk.key);
    line.send(&ec::confirm(&[7; 32]));
    line.end();
    seen.push(("what a terminal of suite 02 received".into(), line.received().to_vec()));
    let mut line = connect(server.terminals);
    assert_eq!(terminal.download_on(&mut line, 0).unwrap().key, fetched.tmk.key);
    seen.push(("what it received with the key".into(), line.received().to_vec()));
    let mut line = connect(server.terminals);
    terminal.impostor().ask(&mut line, 0).unwrap();
    seen.push(("what an impostor of suite 02 received".into(), line.received().to_vec()));
}

/// Flows C, E and F of suite 02, the refusals too.
fn suite_02(
    world: &World,
    server: &Server,
    canaries: &mut Canaries,
    passing: &mut Canaries,
    seen: &mut Vec<(String, Vec<u8>)>,
) {
    const PIN: &str = "836502719462";
    const PAN: &str = "4929381746502837";
    let (device, pos) = (EcDevice::new("SN-21"), EcPos::new("SN-22"));
    rks_ec::install(server);
    rks_ec::take(server, &rks_ec::report("run-02", &[device.entry(), pos.entry()]));
    canaries.add("the AES exchange key", &RKS_EC.exchange);
    canaries.add("DIK1 of suite 02", &RKS_EC.dik1);
    canaries.add("DIK2 of suite 02", &device.dik2);
    canaries.add("the factor of suite 02", &device.factor);
    canaries.add("DMK of suite 02", &pos.dmk);
    let keys_of = |canaries: &mut Canaries, what: &str, keys: &Keys| {
        for p in ["server", "terminal", "kbpk", "receipt t", "receipt s", "frame t", "frame s", "operator"] {
            canaries.add(&format!("K({p}) of {what}"), &keys.key(p));
        }
    };

    let mut line = connect(server.terminals);
    let cut = device.fetch(&mut line, 0).unwrap();
    line.send(&ec::confirm(&[7; 32]));
    line.end();
    seen.push((
        "what a device of suite 02 received before its wrong receipt".into(),
        line.received().to_vec(),
    ));
    let mut line = connect(server.terminals);
    let loaded = device.load_on(&mut line, 0).unwrap();
    seen.push(("what a device of suite 02 received".into(), line.received().to_vec()));
    for run in [&cut, &loaded] {
        keys_of(canaries, "a download", &run.keys);
        for key in &run.received {
            canaries.add(&format!("{} of suite 02 in {}", key.usage, key.slot), &key.key);
        }
    }
    let mut line = connect(server.terminals);
    let working = device.sign_in(&mut line, &loaded.received[0]).unwrap();
    seen.push(("what a terminal of suite 02 received at its sign-in".into(), line.received().to_vec()));
    working.keys.iter().for_each(|key| canaries.add(&format!("{} of a sign-in", key.usage), &key.key));
    canaries.add("a PIN of suite 02", PIN.as_bytes());
    let block = working.pin_block(PIN, PAN);
    passing.add("a PIN block under PIK of suite 02", &block);
    let mut posp = Posp::connect(server);
    for (to, zone) in [(4, "issuer-aes"), (0, "issuer-1"), (1, "issuer-1"), (4, "nowhere")] {
        let answer = posp.post("/v1/pin/translate", &item("SN-21", 0, PAN, (4, to), &block, zone));
        seen.push((format!("the answer {} to a PIN of suite 02", answer.status), answer.body.into_bytes()));
    }

    let vendor = Maker::new().vendor(world.folder());
    server.block_on(server.store.put_vendor(vendor, event("vendor"))).unwrap();
    let mut line = connect(server.terminals);
    let mut session = pos.open(&mut line).unwrap();
    session.inventory(&mut line, &[]).unwrap();
    keys_of(canaries, "a session", &session.keys);
    let (session, tmk) = pos.load(&mut line, 3).unwrap();
    keys_of(canaries, "a key download", &session.keys);
    canaries.add("TMK of a session of suite 02", &tmk.key);
    line.send(&session.confirm(&tmk));
    line.expect(tlv::DONE).unwrap();
    seen.push(("what a terminal of suite 02 received of the TMS".into(), line.received().to_vec()));
}

#[test]
fn the_search_finds_a_key_in_every_spelling() {
    let key: Vec<u8> = (0x91..0xA9).collect();
    let mut canaries = Canaries::default();
    canaries.add("a planted key", &key);
    let hex: String = key.iter().map(|byte| format!("{byte:02x}")).collect();
    let mut planted = vec![
        key.clone(),
        key[8..16].to_vec(),
        hex.clone().into_bytes(),
        hex.to_uppercase().into_bytes(),
        format!("{key:?}").into_bytes(),
    ];
    for lead in 0..4 {
        planted.push(Base64::encode_string(&[&vec![0x55; lead][..], &key, b"after"].concat()).into_bytes());
    }
    for content in planted {
        let content = [b"before ", &content[..], b" after"].concat();
        let found = std::panic::catch_unwind(|| canaries.assert_absent("a planted place", &content));
        assert!(found.is_err(), "{}", String::from_utf8_lossy(&content));
    }
    canaries.assert_absent("nothing", b"nothing at all");
    assert_eq!(spellings(&key[..8]).len(), 7);
}
