//! Agreements: signed by the MTMS's card and an administrator's, and by nobody else.

use keyferry_station::{
    Error, FileCard,
    agreement::{Agreement, AgreementCards, AgreementRefusal, MAX_AGE, MAX_AGREEMENT, MAX_AHEAD, Offer},
};
use pki::{
    Certificate, CertificateRefusal, Role, Signer as _, cms,
    issue::{self, Issuer},
};

use crate::estate::{ADMINISTRATOR_PIN, Cards, DAY, ESTATE, Key, OPERATOR_PIN, expired, name, now, valid};

const MTMS: &str = "mtms.pem";
const ADMINISTRATOR: &str = "administrator.pem";

fn offer() -> Offer<'static> {
    Offer {
        vendor: "VENDOR",
        buyer: "BANK",
        suite: 1,
        kms_certificate_sha256: "00",
        sealed: b"sealed",
        pk: "B0",
        mak: "B1",
        pk_kcv: "000000",
        mak_kcv: "111111",
    }
}

/// The MTMS's card has the key, and so the PIN, that an operator's has elsewhere.
fn cards(role: Role, validity: pki::issue::Validity) -> (Cards, Certificate) {
    let cards = Cards::good();
    let mtms = ESTATE.leaf(role, "Mary MTMS", &ESTATE.operator, validity);
    cards.write(MTMS, &ESTATE.operator, &mtms);
    (cards, mtms)
}

fn open(cards: &Cards) -> Result<AgreementCards, Error> {
    open_as(cards, MTMS, ADMINISTRATOR)
}

fn open_as(cards: &Cards, mtms: &str, administrator: &str) -> Result<AgreementCards, Error> {
    let mtms = Box::new(FileCard::insert(&cards.path(mtms))?);
    let administrator = Box::new(FileCard::insert(&cards.path(administrator))?);
    AgreementCards::open(mtms, OPERATOR_PIN, administrator, ADMINISTRATOR_PIN, &ESTATE.checks())
}

fn signed() -> (Vec<u8>, Certificate) {
    let (cards, mtms) = cards(Role::Mtms, valid());
    (Agreement::of(&offer()).sign(&open(&cards).unwrap()).unwrap(), mtms)
}

#[test]
fn both_cards_sign_an_agreement_and_it_reads_as_it_was_written() {
    let (der, mtms) = signed();
    let (agreement, [first, second]) = Agreement::open(&der, &ESTATE.checks()).unwrap();
    assert_eq!(agreement, Agreement::of(&offer()));
    assert_eq!(agreement.sealed().unwrap(), b"sealed");
    assert_eq!(first.certificate(), &mtms);
    assert_eq!(second.role(), Role::Administrator);
    let content: serde_json::Value = serde_json::from_slice(&cms::open(&der).unwrap().content).unwrap();
    assert_eq!((&content["version"], &content["kind"]), (&1.into(), &"agreement".into()));
    assert_eq!(content["sealed"], "c2VhbGVk");
    assert_eq!(content.as_object().unwrap().len(), 11);
}

#[test]
fn r12_one_person_cannot_agree_alone() {
    let (cards, mtms) = cards(Role::Mtms, valid());
    assert!(matches!(open_as(&cards, MTMS, MTMS), Err(Error::SameCard { .. })));
    // One signature of the two.
    let content = cms::open(&signed().0).unwrap().content;
    let alone = cms::sign(&content, &ESTATE.operator.signer, &mtms, &ESTATE.chain(), now()).unwrap();
    assert!(matches!(Agreement::open(&alone, &ESTATE.checks()), Err(AgreementRefusal::Signers(_))));
    // An administrator's card of the same person.
    let same = ESTATE.leaf(Role::Administrator, "Mary MTMS", &ESTATE.administrator, valid());
    cards.write(ADMINISTRATOR, &ESTATE.administrator, &same);
    assert!(matches!(open(&cards), Err(Error::SameCard { what: "subject" })));
}

#[test]
fn a_card_of_another_role_signs_no_agreement_and_none_that_it_signed_is_taken() {
    for role in Role::ALL.into_iter().filter(|role| *role != Role::Mtms) {
        if !role.has_keys_of(pki::KeyFamily::Rsa) {
            continue;
        }
        let (cards, other) = cards(role, valid());
        assert!(matches!(open(&cards), Err(Error::CardRefused { role: Role::Mtms, .. })), "{role}");
        let content = cms::open(&signed().0).unwrap().content;
        let der = both(&content, &other, &ESTATE.operator);
        let refused = Agreement::open(&der, &ESTATE.checks());
        assert!(matches!(refused, Err(AgreementRefusal::Signers(_))), "{role}");
    }
    // Nor does an operator's stand in for an administrator's.
    let (cards, _) = cards(Role::Mtms, valid());
    let operator = ESTATE.leaf(Role::Operator, "Olga Operator", &ESTATE.administrator, valid());
    cards.write(ADMINISTRATOR, &ESTATE.administrator, &operator);
    assert!(matches!(open(&cards), Err(Error::CardRefused { role: Role::Administrator, .. })));
}

/// Signed by whom it says and by a good administrator.
fn both(content: &[u8], certificate: &Certificate, key: &Key) -> Vec<u8> {
    both_at(content, certificate, key, now())
}

/// The same at a time of its own, unix seconds.
fn both_at(content: &[u8], certificate: &Certificate, key: &Key, at: i64) -> Vec<u8> {
    let administrator = ESTATE.leaf(Role::Administrator, "Adam Admin", &ESTATE.administrator, valid());
    let chain = ESTATE.chain();
    let one = cms::Signatory { signer: &key.signer, certificate, chain: &chain };
    let signer = &ESTATE.administrator.signer;
    let other = cms::Signatory { signer, certificate: &administrator, chain: &chain };
    cms::sign_by_both(content, [one, other], at).unwrap()
}

#[test]
fn an_agreement_that_is_old_or_of_the_future_is_refused() {
    let (_cards, mtms) = cards(Role::Mtms, valid());
    let content = cms::open(&signed().0).unwrap().content;
    let at = |at: i64| Agreement::open(&both_at(&content, &mtms, &ESTATE.operator, at), &ESTATE.checks());
    // A minute on either side: this test takes its time too.
    at(now() - MAX_AGE + 60).unwrap();
    at(now() + MAX_AHEAD - 60).unwrap();
    let old = at(now() - MAX_AGE - 60).unwrap_err();
    assert!(matches!(old, AgreementRefusal::TooOld { age } if age > MAX_AGE), "{old}");
    assert!(old.to_string().contains("30 days ago; at most 30"), "{old}");
    let future = at(now() + MAX_AHEAD + 60).unwrap_err();
    assert!(matches!(future, AgreementRefusal::InTheFuture { ahead } if ahead > MAX_AHEAD), "{future}");
}

/// The vendor's name is what its signers wrote: the root tells who they are.
#[test]
fn an_agreement_under_another_root_than_the_vendors_is_refused_by_name() {
    let (agreement, [mtms, _]) = Agreement::open(&signed().0, &ESTATE.checks()).unwrap();
    agreement.is_under(&ESTATE.root, &mtms).unwrap();
    let key = Key::new("another-root");
    let other = issue::root(&name("Another house"), &key.signer, valid(), 1).unwrap();
    let refused = agreement.is_under(&other, &mtms).unwrap_err();
    let (own, other) = (ESTATE.root.sha256_hex(), other.sha256_hex());
    let AgreementRefusal::OtherRoot { vendor, found, named } = &refused else { panic!("{refused}") };
    assert_eq!((vendor.as_str(), found, named), ("VENDOR", &own, &other));
}

#[test]
fn an_administrator_of_another_house_does_not_stand_in_for_the_vendors_own() {
    let (_cards, mtms) = cards(Role::Mtms, valid());
    let root_key = Key::new("another-root");
    let root = issue::root(&name("Another house"), &root_key.signer, valid(), 1).unwrap();
    let issuer = Issuer::new(&root, &root_key.signer).unwrap();
    let spki = ESTATE.administrator.signer.spki_der();
    let foreign = issue::leaf(&issuer, Role::Administrator, &name("Anna Admin"), spki, valid()).unwrap();
    let mut checks = ESTATE.checks();
    checks.trust.add(root.clone(), &[Role::Administrator]);
    checks.crls.add(issue::build_crl(&issuer, 1, now() - 60, now() + DAY, &[]).unwrap());
    let content = cms::open(&signed().0).unwrap().content;
    let chain = ESTATE.chain();
    let one = cms::Signatory { signer: &ESTATE.operator.signer, certificate: &mtms, chain: &chain };
    let other = cms::Signatory { signer: &ESTATE.administrator.signer, certificate: &foreign, chain: &[] };
    let der = cms::sign_by_both(&content, [one, other], now()).unwrap();
    assert!(matches!(Agreement::open(&der, &checks), Err(AgreementRefusal::TwoHouses)));
}

#[test]
fn an_expired_or_revoked_card_is_refused_at_both_ends() {
    let (cards, old) = cards(Role::Mtms, expired());
    assert!(matches!(open(&cards), Err(Error::CardRefused { .. })));
    let content = cms::open(&signed().0).unwrap().content;
    let refused = Agreement::open(&both(&content, &old, &ESTATE.operator), &ESTATE.checks());
    assert!(matches!(refused, Err(AgreementRefusal::Signers(_))), "{refused:?}");

    let (der, mtms) = signed();
    let refused = Agreement::open(&der, &ESTATE.checks_revoking(&[&mtms]));
    let Err(AgreementRefusal::Signers(cms::BothRefusal::Certificate(reason))) = refused else {
        panic!("{refused:?}")
    };
    assert!(matches!(reason, CertificateRefusal::Revoked { .. }), "{reason}");
}

#[test]
fn an_agreement_with_any_byte_changed_is_refused() {
    let (der, _) = signed();
    let checks = ESTATE.checks();
    for at in (0..der.len()).step_by(7).chain([der.len() - 1]) {
        let mut changed = der.clone();
        changed[at] ^= 1;
        assert!(Agreement::open(&changed, &checks).is_err(), "byte {at}");
    }
    let long = vec![0x30; MAX_AGREEMENT + 1];
    assert!(matches!(Agreement::open(&long, &checks), Err(AgreementRefusal::Package(_))));
}

#[test]
fn another_document_is_no_agreement() {
    let (cards, mtms) = cards(Role::Mtms, valid());
    open(&cards).unwrap();
    let good = String::from_utf8(cms::open(&signed().0).unwrap().content).unwrap();
    for (case, content) in [
        ("an order", good.replace("\"agreement\"", "\"order\"")),
        ("another version", good.replace("\"version\":1", "\"version\":2")),
        ("another suite", good.replace("\"suite\":1", "\"suite\":3")),
        ("a member more", good.replace("{\"version\"", "{\"more\":1,\"version\"")),
        ("a member twice", good.replace("{\"version\"", "{\"vendor\":\"V\",\"version\"")),
        ("no base64", good.replace("c2VhbGVk", "***")),
        ("no JSON", "agreement".to_owned()),
    ] {
        assert_ne!(content, good, "{case}");
        let der = both(content.as_bytes(), &mtms, &ESTATE.operator);
        let refused = Agreement::open(&der, &ESTATE.checks());
        assert!(matches!(refused, Err(AgreementRefusal::Content(_))), "{case}: {refused:?}");
    }
}
