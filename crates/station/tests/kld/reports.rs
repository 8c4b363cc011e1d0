//! What the KMS imports.

use hsm_soft::components::Target;
use keyblock::{Kbpk, Version};
use keyferry_station::Error;
use paycrypto::TdesKey;
use pki::Role;
use serde_json::Value;

use crate::estate::{BOTH, ESTATE, now};
use crate::fake_server::answering;
use crate::independent::{self, Quirk};
use crate::loading::exported_dik1;
use crate::world::{World, load, open_run};

/// Opens a report as the KMS does.
fn opened(path: &std::path::Path) -> Value {
    let package = pki::cms::open(&std::fs::read(path).unwrap()).unwrap();
    let checks = ESTATE.checks();
    let [signer] = package.signers.as_slice() else { panic!("one signer") };
    let (leaf, above) = (&signer.certificate, &signer.intermediates);
    pki::verify_chain(leaf, above, &checks.trust, Role::Operator, now(), &checks.crls).unwrap();
    serde_json::from_slice(&package.content).unwrap()
}

#[test]
fn the_report_has_every_key_under_the_exchange_key_and_is_signed_by_the_operator() {
    let world = World::ready();
    let mut kld = world.kld();
    let (key, exchange) = world.combine(&Target::Exchange, "KLD-7");
    kld.take_exchange_key(&BOTH.1, key).unwrap();
    kld.import_dik1(&BOTH.1, &exported_dik1(&exchange, "B042").1, "B042").unwrap();
    let mut run = open_run(&kld, "SN-1 PP-1\nSN-2", &["tmk:7", "dmk", "dik2"]);
    let (address, terminal) = independent::start("SN-1", Some("PP-1"), Quirk::None);
    load(&mut kld, &mut run, address).unwrap();
    let got = terminal.join().unwrap();
    let report = opened(&kld.close_run(&BOTH.1).unwrap().path);

    assert_eq!(
        (&report["version"], &report["kld"], &report["run"]),
        (&1.into(), &"KLD-7".into(), &run.name().into())
    );
    assert!(report["opened_at"].as_str().unwrap().ends_with('Z') && report["closed_at"].is_string());
    assert_eq!((&report["exchange_key"], &report["compromised"]), (&"KLD-7".into(), &Value::Array(vec![])));
    assert_eq!(report["missing"], serde_json::json!([{ "sn": "SN-2" }]));
    assert!(report.get("refused").is_none() && report.get("stopped").is_none());
    let terminal = &report["terminals"][0];
    assert_eq!(
        (&terminal["sn"], &terminal["pin_pad_sn"], &terminal["ok"]),
        (&"SN-1".into(), &"PP-1".into(), &true.into())
    );
    assert!(terminal.get("code").is_none());
    let kbpk = Kbpk::new(Version::B, exchange.expose()).unwrap();
    let open = |text: &Value| kbpk.unwrap(text.as_str().unwrap()).unwrap();
    let (tmk, dmk, dik2) = (&terminal["keys"][0], &terminal["keys"][1], &terminal["keys"][2]);
    let block = open(&tmk["block"]);
    assert_eq!((&tmk["kind"], &tmk["slot"]), (&"tmk".into(), &7.into()));
    assert_eq!(block.header.optional[0].text(), "PP-1/07", "bound to its place");
    assert_eq!(TdesKey::from_bytes(&block.key).unwrap().kcv(), got.kcvs[0]);
    assert_eq!(tmk["kcv"].as_str().unwrap(), wire::Kcv::Tdes(got.kcvs[0]).to_string());
    assert_eq!(TdesKey::from_bytes(&open(&dmk["block"]).key).unwrap().kcv(), got.kcvs[1]);
    assert_eq!((&dmk["kind"], dmk.get("slot")), (&"dmk".into(), None));
    assert_eq!((&dik2["kind"], &dik2["label"], dik2.get("block")), (&"dik2".into(), &"B042".into(), None));
    assert_eq!(open(&dik2["factor"]).key.as_slice(), got.identity.unwrap().0);
}

#[test]
fn the_report_tells_apart_what_is_loaded_unknown_refused_and_wrong() {
    let world = World::ready();
    let mut kld = world.kld();
    let mut run = open_run(&kld, "SN-1\nSN-2\nSN-3\nSN-4", &["tmk:0"]);
    for (sn, quirk) in [
        ("SN-1", Quirk::CutAfterKey),
        ("SN-2", Quirk::RefuseKey),
        ("SN-3", Quirk::WrongCheckValue),
        ("SN-9", Quirk::None),
    ] {
        let (address, terminal) = independent::start(sn, None, quirk);
        load(&mut kld, &mut run, address).unwrap_err();
        terminal.join().unwrap();
    }
    let report = opened(&kld.close_run(&BOTH.1).unwrap().path);
    let terminals = report["terminals"].as_array().unwrap();
    let told: Vec<_> = terminals
        .iter()
        .map(|terminal| {
            let keys = terminal["keys"].as_array().unwrap();
            let unconfirmed = keys.iter().filter(|key| key["unconfirmed"] == true).count();
            (terminal["ok"].as_bool().unwrap(), terminal["code"].as_str().unwrap(), keys.len(), unconfirmed)
        })
        .collect();
    assert_eq!(told, [(false, "link", 1, 1), (false, "0008", 0, 0), (false, "0007", 0, 0)]);
    assert_eq!(
        (&report["refused"][0]["sn"], &report["refused"][0]["code"]),
        (&"SN-9".into(), &"0008".into())
    );
    assert_eq!(report["missing"], serde_json::json!([{ "sn": "SN-4" }]));
}

#[test]
fn a_stopped_run_reports_the_keys_as_compromised() {
    let world = World::ready();
    let mut kld = world.kld();
    let mut run = open_run(&kld, "SN-1", &["tmk:5", "dmk"]);
    for _ in 0..2 {
        let (address, terminal) = independent::start("SN-1", None, Quirk::None);
        let _ = load(&mut kld, &mut run, address);
        terminal.join().unwrap();
    }
    let report = opened(&kld.close_run(&BOTH.1).unwrap().path);
    let compromised = report["compromised"].as_array().unwrap();
    assert_eq!(compromised.len(), 2);
    assert_eq!(
        (&compromised[0]["sn"], &compromised[0]["kind"], &compromised[0]["slot"]),
        (&"SN-1".into(), &"tmk".into(), &5.into())
    );
    let terminal = &report["terminals"][0];
    assert_eq!((&terminal["ok"], &terminal["code"]), (&false.into(), &"compromised".into()));
    assert_eq!(compromised[0]["kcv"], terminal["keys"][0]["kcv"]);
    assert!(report["stopped"].as_str().unwrap().contains("SN-1"));
}

#[test]
fn a_report_is_uploaded_once_and_waits_until_it_is() {
    let world = World::ready();
    let kld = world.kld();
    let close = || {
        open_run(&kld, "SN-1", &["tmk:0"]);
        kld.close_run(&BOTH.1).unwrap()
    };
    let report = close();
    let bytes = std::fs::read(&report.path).unwrap();
    for (status, body) in [(403, r#"{"error":{"text":"revoked"}}"#), (200, "no JSON"), (503, "")] {
        let (server, _requests) = answering(status, body.as_bytes());
        let deliveries = kld.upload_reports(&server).unwrap();
        assert!(deliveries[0].outcome.is_err(), "{status}");
        assert_eq!(kld.waiting_reports().unwrap(), std::slice::from_ref(&report));
    }
    let body = br#"{"results":[{"sn":"SN-1","ok":true,"code":"stored"}]}"#;
    let (server, requests) = answering(200, body);
    let deliveries = kld.upload_reports(&server).unwrap();
    let request = requests.recv().unwrap();
    assert!(request.head.starts_with("post /v1/kld-reports http/1.1"), "{}", request.head);
    assert!(request.head.contains("content-type: application/cms\r\n"));
    assert_eq!(request.body, bytes);
    assert!(deliveries[0].outcome.as_ref().unwrap().as_ref().unwrap()[0].ok);
    assert!(kld.waiting_reports().unwrap().is_empty());
    assert!(kld.upload_reports(&server).unwrap().is_empty());

    let second = close();
    let (server, _requests) = answering(409, b"");
    assert!(matches!(kld.upload_reports(&server).unwrap()[0].outcome, Ok(None)), "arrived before");
    let third = close();
    kld.report_carried(&third.run).unwrap();
    assert!(kld.waiting_reports().unwrap().is_empty());
    let again = kld.report_carried(&second.run);
    assert!(matches!(again, Err(keyferry_station::kld::KldError::Station(Error::File { .. }))), "{again:?}");
}

#[test]
fn a_report_that_could_not_be_written_is_written_when_closing_again() {
    let world = World::ready();
    let kld = world.kld();
    open_run(&kld, "SN-1", &["tmk:0"]);
    // A file where the folder of reports would be.
    std::fs::write(world.path().join("reports"), b"").unwrap();
    assert!(kld.close_run(&BOTH.1).is_err());
    std::fs::remove_file(world.path().join("reports")).unwrap();
    let report = kld.close_run(&BOTH.1).unwrap();
    assert_eq!(opened(&report.path)["run"].as_str().unwrap(), report.run);
}
