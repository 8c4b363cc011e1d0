//! Who is let in: certificates of the acquirer's root for clients, not revoked, with a name of the list.

use pki::Role;
use serde_json::json;

use crate::{
    setting::Setting,
    support::{
        estate::{DAY, ESTATE, name, now, root_valid, valid},
        posp::{POSP, Posp},
        world::{Options, World},
    },
};

#[test]
fn only_a_client_certificate_of_the_root_gets_through_the_handshake() {
    let setting = Setting::new();
    let address = setting.server.posp.unwrap();
    Posp::connect_as(address, Some(&ESTATE.posp("posp-2"))).expect("a second client");
    let card = ESTATE.card(Role::Operator, "posp-1", valid());
    let expired =
        ESTATE.posp_valid("posp-1", pki::issue::Validity { not_before: now() - DAY, not_after: now() - 60 });
    for (what, who) in [
        ("no certificate", None),
        ("a certificate of another root with its name", Some(ESTATE.foreign_posp("posp-1"))),
        ("an operator card", Some(card)),
        ("an expired certificate", Some(expired)),
        ("a server's certificate", Some(ESTATE.tls_person())),
    ] {
        assert!(Posp::connect_as(address, who.as_ref()).is_err(), "{what}");
    }
    let Setting { world, server, posp, .. } = setting;
    drop(posp);
    server.stop();
    let refused = world.events("posp.refused", "(no client)");
    let mut counts: Vec<_> = refused
        .iter()
        .map(|event| (event.detail["reason"].as_str().unwrap(), &event.detail["count"]))
        .collect();
    counts.sort_unstable_by_key(|(reason, _)| *reason);
    assert_eq!(counts, [("client certificate is refused", &json!(4)), ("no client certificate", &json!(1))]);
}

#[test]
fn a_good_certificate_whose_name_is_not_on_the_list_is_403() {
    let setting = Setting::new();
    let mut unknown = Posp::connect_as(setting.server.posp.unwrap(), Some(&ESTATE.posp("posp-3"))).unwrap();
    for path in ["/v1/openapi.json", "/v1/terminals?sn=SN-1", "/nowhere"] {
        let answer = unknown.get(path);
        assert_eq!((answer.status, answer.code()), (403, "unknown-client"), "{path}");
    }
}

#[test]
fn a_revoked_client_is_out_as_soon_as_the_list_is_there() {
    let setting = Setting::new();
    let address = setting.server.posp.unwrap();
    let [good, revoked] = ["posp-1", "posp-2"].map(|name| ESTATE.posp(name));
    Posp::connect_as(address, Some(&revoked)).unwrap();
    setting.world.write("crl.pem", &ESTATE.crl(2, &[&revoked.certificate]));
    assert!(Posp::connect_as(address, Some(&revoked)).is_err());
    Posp::connect_as(address, Some(&good)).unwrap();
    // A list that is put back takes nothing back.
    setting.world.write("crl.pem", &ESTATE.crl(1, &[]));
    assert!(Posp::connect_as(address, Some(&revoked)).is_err());
    // Nor does one that is over due let anybody in.
    setting.world.write("crl.pem", &ESTATE.crl_until(3, &[], now() - 30));
    assert!(Posp::connect_as(address, Some(&good)).is_err());
}

#[test]
fn a_server_without_the_roots_revocation_list_does_not_start() {
    let world = World::new();
    let root = pki::issue::root(&name("Another root"), ESTATE.root_key(), root_valid(), 1).unwrap();
    world.write("clients.pem", &root.pem());
    let more = POSP.replace("root.pem", "clients.pem");
    let failed = world.try_start(&Options { more, ..Options::default() }).err().unwrap();
    assert!(matches!(failed, keyferry_server::StartError::Posp(_)), "{failed}");
    assert!(failed.to_string().contains("no revocation list of"), "{failed}");
}

#[test]
fn r10_posps_of_a_root_for_trials_are_not_served_in_production() {
    let world = World::new();
    let root = pki::issue::trial_root(&name("Test root"), ESTATE.root_key(), root_valid(), 1).unwrap();
    world.write("clients.pem", &root.pem());
    let more = POSP.replace("root.pem", "clients.pem");
    let failed = world.try_start(&Options { more, ..Options::default() }).err().unwrap();
    assert!(matches!(failed, keyferry_server::StartError::Posp(_)), "{failed}");
    assert!(failed.to_string().contains("is for trials, and this is an estate for production"), "{failed}");
}

#[test]
fn without_posp_in_the_configuration_there_is_no_such_port() {
    let world = World::new();
    assert!(world.start(&Options::default()).posp.is_none());
}
