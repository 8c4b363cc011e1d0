//! Ceremonies: asked for with the operator's card, kept for the day, over when they are over.

use std::{fs, sync::mpsc};

use flows::EcAes;
use keyferry_station::{Ceremony, CollectSettings, Error, Quiet, WorkCertificate, collect};
use pki::cms;
use serde_json::Value;

use crate::{
    estate::BOTH,
    fake_server::{client, listen},
    fake_terminal::{receive, terminal},
    journals::journal,
    suite_02::{EC, EC_CARDS, STATION, ceremony, ceremony_answer},
};

#[test]
fn a_ceremony_is_asked_for_with_the_operators_signature() {
    let (url, requests) = listen(|_| (200, ceremony_answer(&[7; 32], "2099-01-02T03:04:05Z")));
    let ceremony = Ceremony::ask(&client(&url), &EC_CARDS.1, STATION).unwrap();
    assert_eq!((ceremony.nonce(), ceremony.station()), (&[7; 32], STATION));
    assert_eq!(ceremony.expires_at(), 4_071_006_245);
    let request = requests.recv().unwrap();
    assert!(request.head.starts_with("post /v1/ceremonies http/1.1"), "{}", request.head);
    let opened = cms::open(&request.body).unwrap();
    assert_eq!(&opened.only_signer().unwrap().certificate, EC_CARDS.1.operator());
    let json: Value = serde_json::from_slice(&opened.content).unwrap();
    assert_eq!(json["version"], 1);
    assert_eq!(json["station"], STATION);
    assert!(json["at"].as_str().unwrap().ends_with('Z') && json.as_object().unwrap().len() == 3);
    // An RSA operator card asks as well.
    let (url, _requests) = listen(|_| (200, ceremony_answer(&[7; 32], "2099-01-02T03:04:05Z")));
    Ceremony::ask(&client(&url), &BOTH.1, STATION).unwrap();
}

#[test]
fn a_ceremony_that_is_none_over_or_refused_is_named() {
    let ask = |status: u16, body: Vec<u8>| {
        let (url, _requests) = listen(move |_| (status, body.clone()));
        Ceremony::ask(&client(&url), &EC_CARDS.1, STATION)
    };
    let good = "2099-01-01T00:00:00Z";
    for body in [
        ceremony_answer(&[7; 31], good),
        ceremony_answer(&[7; 33], good),
        ceremony_answer(&[7; 32], "tomorrow"),
        b"{}".to_vec(),
        br#"{"ceremony":"*","expires_at":"2099-01-01T00:00:00Z"}"#.to_vec(),
    ] {
        assert!(matches!(ask(200, body), Err(Error::AnswerMalformed { .. })));
    }
    let over = ask(200, ceremony_answer(&[7; 32], "2020-01-01T00:00:00Z"));
    assert!(matches!(over, Err(Error::CeremonyOver { ended }) if ended == "2020-01-01T00:00:00Z"));
    assert!(matches!(ask(403, b"who are you".to_vec()), Err(Error::Forbidden { .. })));
    let (url, _requests) = listen(|_| (200, Vec::new()));
    let nameless = Ceremony::ask(&client(&url), &EC_CARDS.1, "a\nb");
    assert!(matches!(nameless, Err(Error::StationName { .. })));
}

#[test]
fn a_ceremony_is_kept_for_the_day_and_collects_nothing_when_it_is_over() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ceremony.json");
    ceremony().save(&path).unwrap();
    assert_eq!(Ceremony::load(&path).unwrap(), ceremony());
    let text = fs::read_to_string(&path).unwrap();
    for damaged in [
        text.replace("2099", "never"),
        text.replace("\"version\": 1", "\"version\": 2"),
        text.replace("zs7O", "zs7"),
        "{}".to_owned(),
    ] {
        assert_ne!(damaged, text);
        fs::write(&path, damaged).unwrap();
        assert!(matches!(Ceremony::load(&path), Err(Error::CeremonyDamaged { .. })));
    }
    fs::write(&path, text.replace("2099", "2020")).unwrap();
    let over = Ceremony::load(&path).unwrap();
    let work = WorkCertificate::<EcAes>::check_under(over, EC.work_leaf(), &[], &EC.checks()).unwrap();
    let (sender, asked) = mpsc::channel();
    let target = terminal(move |mut stream| sender.send(receive(&mut stream)).unwrap());
    let refused = collect(&EC_CARDS.1, &work, &[target], &CollectSettings::default(), journal(), &Quiet);
    assert!(matches!(refused, Err(Error::CeremonyOver { .. })));
    assert!(asked.try_recv().is_err(), "nobody was asked");
}
