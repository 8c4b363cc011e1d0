//! The product's terminal against the product's server, over TCP: DIK2 injected by a KLD written from section 4 alone.

use pinblock::{Format, Format4Key, Pan, Pin, decode_format4};
use pki::Role;
use serde_json::json;
use terminal::{
    Link, NewTerminal, Terminal, TransactionPad, TrustedRoot, rks_load,
    sign_in::{SignInError, sign_in},
};
use wire::Slot;

use super::{loading::with, windows::open};
use crate::support::{
    estate::ESTATE,
    kld::{self, Injected},
    kld_ec,
    posp::{POSP, Posp, aes_zone, bytes_of, item},
    rks::{RawDevice, hex},
    rks_ec::{self, EcDevice},
    shop::Shop,
    tms_ec::EcPos,
    world::Options,
};

fn product(sn: &str) -> Terminal {
    let roles = vec![Role::KmsWork, Role::Downloader, Role::RksWork];
    let roots = vec![TrustedRoot { certificate: ESTATE.root.clone(), roles }];
    Terminal::in_memory(NewTerminal { roots, ..NewTerminal::named(sn.parse().unwrap()) }).unwrap()
}

#[test]
fn the_products_terminal_is_loaded_by_the_products_server_over_several_runs() {
    let device = RawDevice::new("SN-1001");
    let options = Options { rks: Some((vec![0, 1, 5], true, 3)), ..Options::default() };
    let (world, server) = with(&[&device], &options);
    let identity = Injected {
        sn: &device.sn,
        usage: "12",
        place: device.place(0),
        key: &device.dik2,
        factor: Some(&device.factor),
    };
    let mut terminal = kld::load(product("SN-1001"), &identity);
    let link = || Link::new(terminal::connect(server.terminals).unwrap());
    let slots = [0, 5].map(|slot| Slot::new(slot).unwrap());
    let (loaded, _link) = rks_load(&mut terminal, link(), &slots).unwrap();
    // It goes on with the next slot that it misses.
    assert_eq!((loaded.runs, loaded.kcvs.len()), (2, 6));
    for (index, slot) in [0, 5].into_iter().enumerate() {
        assert_eq!(world.keys("SN-1001", slot, "active"), [loaded.kcvs[3 * index].to_string()]);
    }
    // Once more: a new key, and as long as there is more, the acquirer's whole set.
    let (again, _link) = rks_load(&mut terminal, link(), &slots[..1]).unwrap();
    assert_eq!((again.runs, again.kcvs.len()), (3, 9));
    assert_eq!(world.keys("SN-1001", 1, "active"), [again.kcvs[3].to_string()]);
    assert_eq!(world.keys("SN-1001", 0, "active"), [again.kcvs[0].to_string()]);
    // Another factor than the registered one is no device here.
    world.sql().execute("UPDATE devices SET factor_digest = zeroblob(32)", []).unwrap();
    assert!(rks_load(&mut terminal, link(), &slots).is_err());
    world.assert_audit_good();
}

/// Suite 02 from end to end: DIK2 and DMK by cable, keys from the RKS, a sign-in, a key from the TMS.
#[test]
fn the_products_terminal_and_server_speak_suite_02() {
    let (device, pos) = (EcDevice::new("SN-1001"), EcPos::new("SN-1001"));
    let (rks, more) = (Some((vec![0, 5], true, 3)), format!("{POSP}[tms]\n"));
    let shop = Shop::with_options(&[], &Options { suite_02: true, rks, more, ..Options::default() });
    rks_ec::install(&shop.server);
    let mut entry = device.entry();
    entry["keys"].as_array_mut().unwrap().extend(pos.entry()["keys"].as_array().unwrap().clone());
    rks_ec::take(&shop.server, &rks_ec::report("run-02", &[entry]));
    let terminal = kld_ec::product("SN-1001", Vec::new());
    let terminal = kld_ec::load(terminal, "SN-1001", "12", &device.dik2, Some(&device.factor));
    let mut terminal = kld_ec::load(terminal, "SN-1001", "11", &pos.dmk, None);
    let link = || Link::new(terminal::connect(shop.server.terminals).unwrap());
    let slots = [0, 5].map(|slot| Slot::new(slot).unwrap());
    let (loaded, _link) = rks_load(&mut terminal, link(), &slots).unwrap();
    assert_eq!((loaded.runs, loaded.kcvs.len()), (2, 6));
    for (index, slot) in [0, 5].into_iter().enumerate() {
        assert_eq!(shop.world.keys("SN-1001", slot, "active"), [loaded.kcvs[3 * index].to_string()]);
    }
    let signed_in = sign_in(&mut terminal, || Ok::<_, SignInError>(link()), slots[0]).unwrap();
    assert_eq!(signed_in.kcvs.len(), 2);
    a_pin_and_a_mac_of_the_products_pin_pad(&shop, &mut terminal, slots[0]);
    // A slot that DIK2 has filled is DIK2's; DMK fills one of its own.
    assert!(terminal::tms::load_key(&mut terminal, link(), slots[1], None).is_err());
    let (tmk, _link) = terminal::tms::load_key(&mut terminal, link(), Slot::new(3).unwrap(), None).unwrap();
    assert_eq!(shop.world.keys("SN-1001", 3, "active"), [tmk.kcv.to_string()]);
    shop.world.assert_audit_good();
}

fn a_pin_and_a_mac_of_the_products_pin_pad(shop: &Shop, terminal: &mut Terminal, slot: Slot) {
    const PAN: &str = "4012345678909";
    let zone = aes_zone(&shop.server, "issuer-aes");
    let (pin, pan) = (|| Pin::new("93842").unwrap(), Pan::new(PAN).unwrap());
    let block = terminal.pad_mut().pin_block(slot, pin(), &pan, Format::Iso4).unwrap();
    let mut posp = Posp::connect(&shop.server);
    let one = item("SN-1001", slot.index(), PAN, (4, 4), &block, "issuer-aes");
    let answer = posp.post("/v1/pin/translate", &one);
    assert_eq!(answer.status, 200, "{answer:?}");
    let translated = bytes_of(&answer.json["pin_block"]).try_into().unwrap();
    let opened = decode_format4(&translated, &pan, &Format4Key::new(&zone).unwrap()).unwrap();
    assert!(opened.matches(&pin()));
    let mac = hex(&terminal.pad_mut().mac(slot, b"message").unwrap());
    let check = json!({ "sn": "SN-1001", "slot": slot.index(), "data": "bWVzc2FnZQ==", "mac": mac });
    assert_eq!((mac.len(), posp.post("/v1/mac/verify", &check).json), (32, json!({ "ok": true })));
}

#[test]
fn the_products_terminal_is_collected_where_it_asks() {
    let (world, server) = with(&[], &Options::default());
    let mut terminal = product("SN-1001");
    let ask = |terminal: &mut Terminal| {
        let link = Link::new(terminal::connect(server.terminals).unwrap());
        terminal::ask_over(terminal, link).map(drop)
    };
    assert!(ask(&mut terminal).is_err(), "no window is open");
    open(&server, &["SN-1001"]);
    ask(&mut terminal).unwrap();
    ask(&mut terminal).expect("the latch's bytes again");
    let kept: String =
        world.sql().query_row("SELECT fingerprint FROM terminals", [], |row| row.get(0)).unwrap();
    assert_eq!(terminal.status().collected.map(|collected| collected.fingerprint), Some(kept));
    assert_eq!(world.count("collections"), 2, "the empty report of the start, and this");
}
