//! Which cards a station works under.

use keyferry_station::{AdministratorCard, Card, Checks, Error, FileCard};
use pki::{Certificate, CertificateRefusal, CrlSet, Role, Signer, TrustList};

use crate::estate::{ADMINISTRATOR_PIN, Cards, ESTATE, Key, OPERATOR_PIN, expired, open_files, valid};

/// Both cards good, but one of them replaced by a certificate of this role and subject.
fn with(file: &str, key: &Key, certificate: &Certificate) -> Cards {
    let cards = Cards::good();
    cards.write(file, key, certificate);
    cards
}

fn refused(result: Result<keyferry_station::BothCards, Error>, role: Role) -> CertificateRefusal {
    match result {
        Err(Error::CardRefused { role: found, reason, .. }) if found == role => reason,
        other => panic!("{other:?}"),
    }
}

#[test]
fn two_good_cards_of_two_people_open() {
    let both = Cards::good().open().unwrap();
    assert_eq!(both.operator().role(), Some(Role::Operator));
    assert_eq!(both.administrator().role(), Some(Role::Administrator));
    both.check().unwrap_err(); // The folder went away with the `Cards`.
}

#[test]
fn one_card_is_not_enough() {
    for file in ["operator.pem", "administrator.pem"] {
        let cards = Cards::good();
        cards.remove(file);
        let error = cards.open().unwrap_err();
        assert!(matches!(&error, Error::CardMissing { card } if card.ends_with(file)), "{error}");
    }
}

#[test]
fn the_same_card_twice_is_refused() {
    let cards = Cards::good();
    for file in ["operator.pem", "administrator.pem"] {
        let path = cards.path(file);
        let error = open_files(&path, &path, &ESTATE.checks()).unwrap_err();
        assert!(matches!(error, Error::SameCard { what: "certificate" }), "{error}");
    }
}

#[test]
fn one_key_with_two_certificates_is_refused() {
    let certificate = ESTATE.leaf(Role::Administrator, "Adam Admin", &ESTATE.operator, valid());
    let cards = with("administrator.pem", &ESTATE.operator, &certificate);
    let error = cards.open().unwrap_err();
    assert!(matches!(error, Error::SameCard { what: "key" }), "{error}");
}

#[test]
fn one_person_with_two_cards_is_refused() {
    let certificate = ESTATE.leaf(Role::Administrator, "Olga Operator", &ESTATE.administrator, valid());
    let cards = with("administrator.pem", &ESTATE.administrator, &certificate);
    let error = cards.open().unwrap_err();
    assert!(matches!(error, Error::SameCard { what: "subject" }), "{error}");
}

#[test]
fn cards_in_the_wrong_places_are_refused_by_role() {
    let cards = Cards::good();
    let (operator, administrator) = (cards.path("operator.pem"), cards.path("administrator.pem"));
    let swapped = open_files(&administrator, &operator, &ESTATE.checks());
    let reason = refused(swapped, Role::Operator);
    assert!(matches!(reason, CertificateRefusal::WrongRole { found: Role::Administrator, .. }), "{reason}");
}

#[test]
fn every_other_role_is_refused_in_either_place() {
    for role in Role::SUITE_01 {
        if role != Role::Operator {
            let certificate = ESTATE.leaf(role, "Other", &ESTATE.operator, valid());
            let reason = refused(with("operator.pem", &ESTATE.operator, &certificate).open(), Role::Operator);
            assert!(matches!(reason, CertificateRefusal::WrongRole { .. }), "{reason}");
        }
        if role != Role::Administrator {
            let certificate = ESTATE.leaf(role, "Other", &ESTATE.administrator, valid());
            let cards = with("administrator.pem", &ESTATE.administrator, &certificate);
            let reason = refused(cards.open(), Role::Administrator);
            assert!(matches!(reason, CertificateRefusal::WrongRole { .. }), "{reason}");
        }
    }
}

#[test]
fn expired_card_is_refused() {
    let certificate = ESTATE.leaf(Role::Operator, "Olga Operator", &ESTATE.operator, expired());
    let reason = refused(with("operator.pem", &ESTATE.operator, &certificate).open(), Role::Operator);
    assert!(matches!(reason, CertificateRefusal::Expired { .. }), "{reason}");

    let certificate = ESTATE.leaf(Role::Administrator, "Adam Admin", &ESTATE.administrator, expired());
    let cards = with("administrator.pem", &ESTATE.administrator, &certificate);
    let reason = refused(cards.open(), Role::Administrator);
    assert!(matches!(reason, CertificateRefusal::Expired { .. }), "{reason}");
}

#[test]
fn revoked_card_is_refused() {
    let cards = Cards::good();
    for (file, role) in [("operator.pem", Role::Operator), ("administrator.pem", Role::Administrator)] {
        let card = FileCard::insert(&cards.path(file)).unwrap();
        let reason = refused(cards.open_with(&ESTATE.checks_revoking(&[card.certificate()])), role);
        assert!(matches!(reason, CertificateRefusal::Revoked { .. }), "{reason}");
    }
}

#[test]
fn foreign_root_and_missing_revocation_list_are_refused() {
    let cards = Cards::good();
    let nobody = Checks::new(TrustList::new(), ESTATE.checks().crls);
    let reason = refused(cards.open_with(&nobody), Role::Operator);
    assert!(matches!(reason, CertificateRefusal::UnknownRoot { .. }), "{reason}");

    let no_lists = Checks::new(ESTATE.checks().trust, CrlSet::new());
    let reason = refused(cards.open_with(&no_lists), Role::Operator);
    assert!(matches!(reason, CertificateRefusal::CrlMissing { .. }), "{reason}");
    cards.open_with(&Checks::without_required_lists(no_lists.trust, no_lists.crls)).unwrap();
}

#[test]
fn wrong_pin_is_refused_and_not_shown() {
    let cards = Cards::good();
    let insert = |file| Box::new(FileCard::insert(&cards.path(file)).unwrap());
    let error = keyferry_station::BothCards::open(
        insert("operator.pem"),
        OPERATOR_PIN,
        insert("administrator.pem"),
        "wrong-secret",
        &ESTATE.checks(),
    )
    .unwrap_err();
    assert!(matches!(&error, Error::CardPin { card, .. } if card.ends_with("administrator.pem")), "{error}");
    assert!(!format!("{error} {error:?}").contains("wrong-secret"));
}

#[test]
fn key_of_another_certificate_is_refused() {
    let certificate = ESTATE.leaf(Role::Operator, "Olga Operator", &ESTATE.work, valid());
    let cards = with("operator.pem", &ESTATE.operator, &certificate);
    let error = cards.open().unwrap_err();
    assert!(matches!(error, Error::CardKey { .. }), "{error}");
}

/// A card of another kind, whose key is not its certificate's: the station finds it itself.
struct Swapped(FileCard);

impl Card for Swapped {
    fn name(&self) -> &str {
        "swapped"
    }
    fn certificate(&self) -> &Certificate {
        self.0.certificate()
    }
    fn chain(&self) -> &[Certificate] {
        self.0.chain()
    }
    fn present(&self) -> bool {
        true
    }
    fn open(&self, _pin: &str) -> Result<Box<dyn Signer + Send + Sync>, Error> {
        Ok(Box::new(Key::new("some other key").signer))
    }
}

#[test]
fn key_of_another_certificate_is_refused_on_any_kind_of_card() {
    let cards = Cards::good();
    let card = Swapped(FileCard::insert(&cards.path("administrator.pem")).unwrap());
    let error = AdministratorCard::open(Box::new(card), "", &ESTATE.checks()).unwrap_err();
    assert!(matches!(error, Error::CardKey { .. }), "{error}");
}

#[test]
fn card_taken_out_or_exchanged_later_is_noticed() {
    let cards = Cards::good();
    let both = cards.open().unwrap();
    both.check().unwrap();
    let other = ESTATE.leaf(Role::Administrator, "Adam Admin", &ESTATE.administrator, valid());
    cards.write("administrator.pem", &ESTATE.administrator, &other);
    assert!(matches!(both.check(), Err(Error::CardMissing { .. })));

    let cards = Cards::good();
    let both = cards.open().unwrap();
    cards.remove("operator.pem");
    assert!(matches!(both.check(), Err(Error::CardMissing { .. })));
}

#[test]
fn file_that_is_no_card_is_named() {
    let cards = Cards::good();
    std::fs::write(cards.path("operator.pem"), "no card").unwrap();
    let error = cards.open().unwrap_err();
    assert!(matches!(error, Error::CardUnreadable { .. }), "{error}");
}

#[test]
fn operator_card_approves_nothing() {
    let cards = Cards::good();
    let open = |file: &str, pin| {
        let card = FileCard::insert(&cards.path(file)).unwrap();
        AdministratorCard::open(Box::new(card), pin, &ESTATE.checks())
    };
    open("administrator.pem", ADMINISTRATOR_PIN).unwrap();
    let error = open("operator.pem", OPERATOR_PIN).unwrap_err();
    assert!(matches!(error, Error::CardRefused { role: Role::Administrator, .. }), "{error}");
}
