//! With the product's own terminal, over TCP and through a line.

use std::thread;

use flows::device_certificate::DevicePad;
use hsm_soft::components::Target;
use keyferry_station::{
    LinkLimits,
    link::{Link, SerialLine},
};
use terminal::{LifeCycle, Terminal};

use crate::estate::{BOTH, ESTATE, Key, valid};
use crate::lines::line;
use crate::listening::{Listening, believing, new_terminal};
use crate::loading::exported_dik1;
use crate::refusals::{nothing_left, with_run};
use crate::world::{World, load, open_run};
use crate::world_02::{self, EC};

#[test]
fn tmks_a_dmk_and_a_dik2_are_loaded_and_both_sides_have_their_check_values() {
    let world = World::ready();
    let mut kld = world.kld();
    let (key, exchange) = world.combine(&Target::Exchange, "KLD-7");
    kld.take_exchange_key(&BOTH.1, key).unwrap();
    let (_, block) = exported_dik1(&exchange, "B042");
    kld.import_dik1(&BOTH.1, &block, "B042").unwrap();
    let mut run = open_run(&kld, "SN-1001", &["tmk:3", "tmk:4", "dmk", "dik2"]);
    let listening = Listening::start(new_terminal("SN-1001", None));
    let loaded = load(&mut kld, &mut run, listening.address).unwrap();
    let status = listening.take().status();

    assert_eq!(status.life_cycle, LifeCycle::Deployed, "the first key whose DONE arrived");
    let ours: Vec<String> = loaded.keys.iter().map(|(_, kcv)| kcv.to_string()).collect();
    let (dmk, dik2) = (status.dmk.unwrap(), status.dik2.unwrap());
    assert!(dmk.done && dik2.done && status.slots.iter().all(|slot| slot.done));
    assert_eq!((status.slots[0].slot, status.slots[1].slot), (3, 4));
    let theirs = [&status.slots[0].kcv, &status.slots[1].kcv, &dmk.kcv, &dik2.kcv];
    assert_eq!(ours.iter().collect::<Vec<_>>(), theirs);
    assert_eq!((run.status().loaded, run.status().missing.len()), (1, 0));
}

#[test]
fn the_products_terminal_is_loaded_through_a_line() {
    let world = World::ready();
    let mut kld = world.kld();
    let mut run = open_run(&kld, "SN-1", &["tmk:0"]);
    let (end, path) = line();
    let open = SerialLine::open(&path, 9600).unwrap();
    let listening = Listening::start(new_terminal("SN-1", None));
    let socket = std::net::TcpStream::connect(listening.address).unwrap();
    let (mut from, mut to) = (end.try_clone().unwrap(), socket.try_clone().unwrap());
    let up = thread::spawn(move || {
        // Ends with EIO when the KLD closes the line.
        let _ = std::io::copy(&mut from, &mut to);
        let _ = to.shutdown(std::net::Shutdown::Both);
    });
    let down = thread::spawn(move || drop(std::io::copy(&mut &socket, &mut &end)));
    let loaded = kld
        .load(&mut run, &BOTH.1, &ESTATE.checks(), None, || Ok(Link::over(open, LinkLimits::default())))
        .unwrap();
    up.join().unwrap();
    down.join().unwrap();
    assert_eq!(listening.take().status().slots[0].kcv, loaded.keys[0].1.to_string());
}

#[test]
fn a_terminal_of_another_acquirer_refuses_this_kld_and_keeps_what_it_has() {
    let (_world, mut kld, mut run) = with_run();
    let other = Key::new("another root");
    let root = pki::issue::root(&crate::estate::name("Other acquirer"), &other.signer, valid(), 1).unwrap();
    let listening = Listening::start(believing("SN-1", None, root));
    let failure = load(&mut kld, &mut run, listening.address).unwrap_err();
    assert_eq!(failure.fault.code(), "000D");
    assert!(failure.to_string().contains("another acquirer"), "{failure}");
    nothing_left(&run, &failure);
    let status = listening.take().status();
    assert!(status.slots.is_empty() && status.dmk.is_none());
}

#[test]
fn a_retired_terminal_refuses_with_0008() {
    let (_world, mut kld, mut run) = with_run();
    let mut terminal = new_terminal("SN-1", None);
    terminal.retire().unwrap();
    let listening = Listening::start(terminal);
    let failure = load(&mut kld, &mut run, listening.address).unwrap_err();
    assert_eq!(failure.fault.code(), "0008");
    nothing_left(&run, &failure);
    listening.take();
}

/// A terminal whose device key this acquirer certified, which believes its root of suite 02.
fn certified(sn: &str, pin_pad: Option<&str>) -> Terminal {
    let mut terminal = believing(sn, pin_pad, EC.root.clone());
    let pad = terminal.pad_mut();
    let request = pki::csr::parse_and_verify(&pad.device_request().unwrap()).unwrap();
    let certificate = EC.device(pin_pad.unwrap_or(sn), &request.spki);
    pad.install_device_certificate(certificate.der(), &[]).unwrap();
    terminal
}

#[test]
fn the_products_terminal_is_loaded_in_suite_02_and_again_under_a_higher_counter() {
    let (world, exchange) = world_02::ready();
    let mut kld = world.kld();
    kld.import_dik1(&BOTH.1, &world_02::exported_dik1(&exchange, "B042").1, "B042").unwrap();
    let wanted = ["tmk:3", "dmk", "dik2"];
    let mut run = world_02::open_run(&kld, "SN-1001 PP-7", &wanted);
    let listening = Listening::start(certified("SN-1001", Some("PP-7")));
    let loaded = world_02::load(&mut kld, &mut run, listening.address).unwrap();
    let terminal = listening.take();
    let status = terminal.status();
    assert_eq!(status.life_cycle, LifeCycle::Deployed);
    let ours: Vec<String> = loaded.keys.iter().map(|(_, kcv)| kcv.to_string()).collect();
    let (dmk, dik2) = (status.dmk.unwrap(), status.dik2.unwrap());
    assert!(dmk.done && dik2.done && status.slots.iter().all(|slot| slot.done));
    assert_eq!(ours.iter().collect::<Vec<_>>(), [&status.slots[0].kcv, &dmk.kcv, &dik2.kcv]);
    assert!(ours.iter().all(|kcv| kcv.len() == 10), "check values of AES: {ours:?}");
    kld.close_run(&BOTH.1).unwrap();

    // Another run, in the same suite: the counter rises, the key is replaced.
    let mut run = world_02::open_run(&kld, "SN-1001 PP-7", &["tmk:3"]);
    let listening = Listening::start(terminal);
    let again = world_02::load(&mut kld, &mut run, listening.address).unwrap();
    assert_ne!(again.keys[0].1.to_string(), ours[0]);
    let terminal = listening.take();
    kld.close_run(&BOTH.1).unwrap();
    assert_eq!(terminal.status().slots[0].kcv, again.keys[0].1.to_string());
}

#[test]
fn a_terminal_that_nobody_certified_refuses_suite_02() {
    let (world, _) = world_02::ready();
    let mut kld = world.kld();
    let mut run = world_02::open_run(&kld, "SN-1", &["tmk:3"]);
    let listening = Listening::start(believing("SN-1", None, EC.root.clone()));
    let failure = world_02::load(&mut kld, &mut run, listening.address).unwrap_err();
    assert_eq!(failure.fault.code(), "0008", "{failure}");
    assert!(!failure.served);
    listening.take();
}
