//! Whole runs with the independent terminal over TCP.

use hsm_soft::components::Target;
use keyblock::{Algorithm, Exportability, Header, Kbpk, Mode, Usage, Version};
use paycrypto::TdesKey;
use wire::{Kcv, Serial, Slot};

use crate::estate::BOTH;
use crate::independent::{self, Quirk, derive};
use crate::world::{World, files, load, open_run};

/// A DIK1 as an RKS exports it.
pub(crate) fn exported_dik1(exchange: &TdesKey, label: &str) -> (TdesKey, String) {
    let header = Header::new(
        Version::B,
        Usage::parse("B3").unwrap(),
        Algorithm::TDES,
        Mode::DERIVE,
        Exportability::NOT_EXPORTABLE,
    )
    .with_optional("LB", label)
    .unwrap();
    let dik1 = TdesKey::generate24().unwrap();
    let block = Kbpk::new(Version::B, exchange.expose()).unwrap().wrap(&header, dik1.expose()).unwrap();
    (dik1, block)
}

#[test]
fn an_independent_terminal_with_an_external_pin_pad_is_loaded() {
    let world = World::ready();
    let mut kld = world.kld();
    let (key, exchange) = world.combine(&Target::Exchange, "KLD-7");
    kld.take_exchange_key(&BOTH.1, key).unwrap();
    let (dik1, block) = exported_dik1(&exchange, "B042");
    kld.import_dik1(&BOTH.1, &block, "B042").unwrap();
    let mut run = open_run(&kld, "SN-2 PP-2", &["tmk:99", "dmk", "dik2:B042"]);
    let (address, terminal) = independent::start("SN-2", Some("PP-2"), Quirk::None);
    let loaded = load(&mut kld, &mut run, address).unwrap();
    let got = terminal.join().unwrap();
    let ours: Vec<_> = loaded.keys.iter().map(|(_, kcv)| *kcv).collect();
    assert_eq!(ours, got.kcvs.iter().map(|kcv| Kcv::Tdes(*kcv)).collect::<Vec<_>>());
    assert_eq!((got.done, got.error), (3, None));
    let (factor, dik2) = got.identity.unwrap();
    assert_eq!(dik2, derive(&dik1, "SN-2", &factor), "derived from DSN and the factor that came with it");
}

#[test]
fn a_key_that_was_given_for_the_place_is_loaded_once_and_forgotten() {
    let world = World::ready();
    let mut kld = world.kld();
    let place = keyferry_station::kld::Place {
        pin_pad: Serial::parse("SN-1").unwrap(),
        slot: Some(Slot::new(5).unwrap()),
    };
    let target = Target::Tmk { pin_pad: "SN-1".into(), slot: 5 };
    let (combined, given) = world.combine(&target, "TMK-5");
    kld.take_key(&BOTH.1, &place, combined).unwrap();
    let mut run = open_run(&kld, "SN-1\nSN-2", &["tmk:5"]);
    let (address, terminal) = independent::start("SN-1", None, Quirk::None);
    load(&mut kld, &mut run, address).unwrap();
    assert_eq!(terminal.join().unwrap().kcvs, [given.kcv()]);
    assert!(kld.keys().iter().all(|(what, _)| !what.starts_with("TMK")), "{:?}", kld.keys());

    let (address, terminal) = independent::start("SN-2", None, Quirk::None);
    load(&mut kld, &mut run, address).unwrap();
    assert_ne!(terminal.join().unwrap().kcvs, [given.kcv()], "another place gets a key of its own");
}

#[test]
fn a_tmk_of_the_kms_is_taken_under_the_exchange_key_and_loaded() {
    let world = World::ready();
    let mut kld = world.kld();
    let (key, exchange) = world.combine(&Target::Exchange, "KLD-7");
    kld.take_exchange_key(&BOTH.1, key).unwrap();
    let header = |place: &str| {
        Header::new(
            Version::B,
            Usage::KEY_BLOCK_PROTECTION,
            Algorithm::TDES,
            Mode::BOTH,
            Exportability::NOT_EXPORTABLE,
        )
        .with_optional("10", place)
        .unwrap()
    };
    let tmk = TdesKey::generate24().unwrap();
    let kbpk = Kbpk::new(Version::B, exchange.expose()).unwrap();
    let place = keyferry_station::kld::Place {
        pin_pad: Serial::parse("SN-1").unwrap(),
        slot: Some(Slot::new(0).unwrap()),
    };
    let elsewhere = kbpk.wrap(&header("SN-1/01"), tmk.expose()).unwrap();
    assert!(kld.import_key(&BOTH.1, &place, &elsewhere).is_err(), "another slot's");
    let block = kbpk.wrap(&header("SN-1/00"), tmk.expose()).unwrap();
    assert_eq!(kld.import_key(&BOTH.1, &place, &format!("{block}\n")).unwrap(), Kcv::Tdes(tmk.kcv()));
    let mut run = open_run(&kld, "SN-1", &["tmk:0"]);
    let (address, terminal) = independent::start("SN-1", None, Quirk::None);
    load(&mut kld, &mut run, address).unwrap();
    assert_eq!(terminal.join().unwrap().kcvs, [tmk.kcv()]);
}

#[test]
fn no_file_of_the_kld_holds_a_key_that_a_terminal_got() {
    let world = World::ready();
    let mut kld = world.kld();
    let (key, exchange) = world.combine(&Target::Exchange, "KLD-7");
    kld.take_exchange_key(&BOTH.1, key).unwrap();
    let (dik1, block) = exported_dik1(&exchange, "B");
    kld.import_dik1(&BOTH.1, &block, "B").unwrap();
    let mut run = open_run(&kld, "SN-1", &["dik2"]);
    let (address, terminal) = independent::start("SN-1", None, Quirk::None);
    load(&mut kld, &mut run, address).unwrap();
    kld.close_run(&BOTH.1).unwrap();
    let (factor, dik2) = terminal.join().unwrap().identity.unwrap();
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let all = files(world.folder.path());
    assert!(all.iter().any(|(path, _)| path.ends_with("kld.json")));
    for secret in [dik2.as_slice(), factor.as_slice(), dik1.expose(), exchange.expose()] {
        let part = &secret[..8];
        let text = hex(part);
        for (path, bytes) in &all {
            let lower: Vec<u8> = bytes.iter().map(u8::to_ascii_lowercase).collect();
            assert!(!bytes.windows(8).any(|window| window == part), "{}", path.display());
            assert!(!lower.windows(16).any(|window| window == text.as_bytes()), "{}", path.display());
        }
    }
}
