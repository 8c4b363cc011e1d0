//! Approvals of replacements.

use keyferry_station::{
    AdministratorCard, Error, FileCard,
    approve::{AskingBatch, Decision, Replacement, decide, replacements, sign},
};
use serde_json::Value;

use crate::{
    estate::{ADMINISTRATOR_PIN, Cards, ESTATE},
    fake_server::answering,
    fake_terminal::serial,
    openssl::cms_verify,
};

fn administrator(cards: &Cards) -> AdministratorCard {
    let card = FileCard::insert(&cards.path("administrator.pem")).unwrap();
    AdministratorCard::open(Box::new(card), ADMINISTRATOR_PIN, &ESTATE.checks()).unwrap()
}

fn waiting() -> Replacement {
    Replacement {
        id: 42,
        sn: serial("SN-1"),
        pin_pad_sn: None,
        fingerprint: "0123456789ABCDEF0123".to_owned(),
        current_fingerprint: Some("00000000000000000000".to_owned()),
        signer: "CN=Olga Operator,O=Test acquirer".to_owned(),
        batch: None,
        collected_at: "2026-01-01T00:00:00Z".to_owned(),
    }
}

#[test]
fn approver_signs_exactly_what_is_executed() {
    let cards = Cards::good();
    let root = cards.path("root.pem");
    std::fs::write(&root, ESTATE.root.pem()).unwrap();
    for (decision, act) in [(Decision::Replace, "replace-tk"), (Decision::Reject, "reject-replacement")] {
        let cms = sign(&administrator(&cards), &waiting(), decision).unwrap();
        let path = cards.path("approval.cms");
        std::fs::write(&path, &cms).unwrap();
        let content = String::from_utf8(cms_verify(&path, &root).unwrap()).unwrap();
        let json: Value = serde_json::from_str(&content).unwrap();
        let at = json["approved_at"].as_str().unwrap();
        let expected = format!(
            r#"{{"version":1,"act":"{act}","id":42,"sn":"SN-1","fingerprint":"0123456789ABCDEF0123","approved_at":"{at}"}}"#
        );
        assert_eq!(content, expected);
        let opened = pki::cms::open(&cms).unwrap();
        assert_eq!(opened.only_signer().unwrap().certificate.role(), Some(pki::Role::Administrator));
    }
}

#[test]
fn nobody_approves_their_own_collection() {
    let cards = Cards::good();
    let card = administrator(&cards);
    let own = Replacement { signer: card.certificate().subject().to_string(), ..waiting() };
    assert!(matches!(sign(&card, &own, Decision::Replace), Err(Error::OwnCollection { .. })));
}

#[test]
fn card_taken_out_approves_nothing() {
    let cards = Cards::good();
    let card = administrator(&cards);
    cards.remove("administrator.pem");
    assert!(matches!(sign(&card, &waiting(), Decision::Replace), Err(Error::CardMissing { .. })));
}

#[test]
fn waiting_replacements_are_listed() {
    let list = br#"[{"id":42,"sn":"SN-1","fingerprint":"0123456789ABCDEF0123","current_fingerprint":"00000000000000000000","station":"x","signer":"CN=Olga Operator,O=Test acquirer","collected_at":"2026-01-01T00:00:00Z"}]"#;
    let (server, requests) = answering(200, list);
    assert_eq!(replacements(&server).unwrap(), [waiting()]);
    assert!(requests.recv().unwrap().head.starts_with("get /v1/replacements http/1.1"));
    // One that a vendor's batch asks for says so.
    let named = String::from_utf8_lossy(list)
        .replace("\"signer\"", r#""batch":{"order":"PO-1","vendor":"VENDOR"},"signer""#);
    let batch = Some(AskingBatch { order: "PO-1".to_owned(), vendor: "VENDOR".to_owned() });
    let listed = replacements(&answering(200, named.as_bytes()).0).unwrap();
    assert_eq!(listed, [Replacement { batch, ..waiting() }]);
    assert!(replacements(&answering(200, b"[]").0).unwrap().is_empty());
    for bad in [
        &b"{}"[..],
        br#"[{"id":42,"sn":"S N","fingerprint":"0123456789ABCDEF0123","signer":"","collected_at":""}]"#,
        br#"[{"id":42,"sn":"SN-1","fingerprint":"0123456789abcdef0123","signer":"","collected_at":""}]"#,
        br#"[{"id":42,"sn":"SN-1","fingerprint":"","signer":"","collected_at":""}]"#,
    ] {
        assert!(matches!(replacements(&answering(200, bad).0), Err(Error::AnswerMalformed { .. })));
    }
}

#[test]
fn decision_is_sent_and_the_servers_refusals_have_names() {
    let cards = Cards::good();
    let card = administrator(&cards);
    let (server, requests) = answering(200, br#"{"ok":true,"text":"SN-1: done"}"#);
    assert_eq!(decide(&server, &card, &waiting(), Decision::Replace).unwrap(), "SN-1: done");
    let request = requests.recv().unwrap();
    assert!(request.head.starts_with("post /v1/approvals http/1.1"), "{}", request.head);
    pki::cms::open(&request.body).unwrap();
    let refused =
        |status| decide(&answering(status, b"").0, &card, &waiting(), Decision::Reject).unwrap_err();
    assert!(matches!(refused(403), Error::Forbidden { .. }));
    assert!(matches!(refused(409), Error::Conflict { .. }));
    assert!(matches!(refused(404), Error::ServerStatus { status: 404, .. }));
}
