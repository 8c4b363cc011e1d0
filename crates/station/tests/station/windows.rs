//! Collection windows: asked for by an operator, opened by an administrator.

use base64ct::{Base64, Encoding};
use keyferry_station::{
    AdministratorCard, Error, FileCard, OperatorCard,
    windows::{MAX_HOURS, MAX_SERIALS, WindowRequest},
};
use pki::Role;
use serde_json::Value;
use wire::Serial;

use crate::{
    estate::{ADMINISTRATOR_PIN, Cards, ESTATE, OPERATOR_PIN, valid},
    fake_server::answering,
    fake_terminal::serial,
};

fn operator(cards: &Cards) -> OperatorCard {
    let card = FileCard::insert(&cards.path("operator.pem")).unwrap();
    OperatorCard::open(Box::new(card), OPERATOR_PIN, &ESTATE.checks()).unwrap()
}

fn administrator(cards: &Cards) -> AdministratorCard {
    let card = FileCard::insert(&cards.path("administrator.pem")).unwrap();
    AdministratorCard::open(Box::new(card), ADMINISTRATOR_PIN, &ESTATE.checks()).unwrap()
}

fn asked(cards: &Cards) -> WindowRequest {
    WindowRequest::sign(&operator(cards), &[serial("SN-1"), serial("SN-2")], 2).unwrap()
}

fn content(cms: &[u8], role: Role) -> String {
    let opened = pki::cms::open(cms).unwrap();
    assert_eq!(opened.only_signer().unwrap().certificate.role(), Some(role));
    String::from_utf8(opened.content).unwrap()
}

#[test]
fn both_sign_what_the_server_reads() {
    let cards = Cards::good();
    let request = asked(&cards);
    let text = content(request.cms(), Role::Operator);
    let json: Value = serde_json::from_str(&text).unwrap();
    let (expires, at) = (json["expires_at"].as_str().unwrap(), json["asked_at"].as_str().unwrap());
    assert_eq!(
        text,
        format!(
            r#"{{"version":1,"act":"ask-collection-windows","serials":["SN-1","SN-2"],"expires_at":"{expires}","asked_at":"{at}"}}"#
        )
    );
    let (server, requests) = answering(200, br#"{"ok":true,"text":"2 windows are open"}"#);
    assert_eq!(request.open(&server, &administrator(&cards)).unwrap(), "2 windows are open");
    let sent = requests.recv().unwrap();
    assert!(sent.head.starts_with("post /v1/collection-windows http/1.1"), "{}", sent.head);
    let text = content(&sent.body, Role::Administrator);
    let json: Value = serde_json::from_str(&text).unwrap();
    let (who, at) = (operator(&cards).certificate().subject().to_string(), &json["approved_at"]);
    let inside = Base64::encode_string(request.cms());
    assert_eq!(
        text,
        format!(
            r#"{{"version":1,"act":"open-collection-windows","serials":["SN-1","SN-2"],"expires_at":"{expires}","asked_by":"{who}","request":"{inside}","approved_at":{at}}}"#
        )
    );
}

#[test]
fn who_asked_does_not_open_and_nothing_is_sent() {
    let cards = Cards::good();
    let request = asked(&cards);
    let subject = "Olga Operator";
    for (key, what) in [(&ESTATE.operator, "key"), (&ESTATE.administrator, "subject")] {
        let pin = if what == "key" { OPERATOR_PIN } else { ADMINISTRATOR_PIN };
        cards.remove("administrator.pem");
        cards.write("administrator.pem", key, &ESTATE.leaf(Role::Administrator, subject, key, valid()));
        let card = FileCard::insert(&cards.path("administrator.pem")).unwrap();
        let card = AdministratorCard::open(Box::new(card), pin, &ESTATE.checks()).unwrap();
        let (server, requests) = answering(200, b"{}");
        let refused = request.open(&server, &card).unwrap_err();
        assert!(matches!(refused, Error::OwnRequest { what: found } if found == what), "{refused}");
        assert!(requests.try_recv().is_err());
    }
}

#[test]
fn an_altered_request_is_not_opened() {
    let cards = Cards::good();
    let request = asked(&cards);
    let good = WindowRequest::read(request.cms().to_vec(), &ESTATE.checks()).unwrap();
    assert_eq!((good.serials(), good.expires_at()), (request.serials(), request.expires_at()));
    let mut altered = request.cms().to_vec();
    let at = altered.windows(4).position(|four| four == b"SN-2").unwrap();
    altered[at + 3] = b'3';
    let refused = WindowRequest::read(altered, &ESTATE.checks()).unwrap_err();
    assert!(matches!(refused, Error::WindowRequest { .. }), "{refused}");
    assert!(WindowRequest::read(b"no CMS".to_vec(), &ESTATE.checks()).is_err());
    // What an administrator signed is no request.
    let opening = request.sign_opening(&administrator(&cards)).unwrap();
    let refused = WindowRequest::read(opening, &ESTATE.checks()).unwrap_err();
    assert!(matches!(refused, Error::WindowOperator(_)), "{refused}");
    // Nor what an operator signed whose card was revoked since.
    let checks = ESTATE.checks_revoking(&[operator(&cards).certificate()]);
    let refused = WindowRequest::read(request.cms().to_vec(), &checks).unwrap_err();
    assert!(matches!(refused, Error::WindowOperator(_)), "{refused}");
}

#[test]
fn what_the_server_would_refuse_is_not_signed() {
    let cards = Cards::good();
    let card = operator(&cards);
    let many: Vec<Serial> = (0..=MAX_SERIALS).map(|n| serial(&format!("SN-{n}"))).collect();
    let one = [serial("SN-1")];
    let twice = [serial("SN-1"), serial("SN-1")];
    for (serials, hours) in [(&[][..], 1), (&many, 1), (&twice, 1), (&one, 0), (&one, MAX_HOURS + 1)] {
        let refused = WindowRequest::sign(&card, serials, hours).unwrap_err();
        assert!(matches!(refused, Error::WindowRequest { .. }), "{refused}");
    }
    let longest = WindowRequest::sign(&card, &many[1..], MAX_HOURS).unwrap();
    let path = cards.path("request.cms");
    longest.save(&path).unwrap();
    assert_eq!(WindowRequest::load(&path, &ESTATE.checks()).unwrap().serials().len(), MAX_SERIALS);
}

#[test]
fn a_request_that_was_used_has_a_name() {
    let cards = Cards::good();
    let refused = |status| asked(&cards).open(&answering(status, b"").0, &administrator(&cards)).unwrap_err();
    assert!(matches!(refused(409), Error::WindowConflict { .. }));
    assert!(matches!(refused(403), Error::Forbidden { .. }));
}
