//! What is demanded of both cards before they are opened, and what is told of their PINs.

use custody::token::PinState;
use keyferry_station::{BothCards, Checks, CollectSettings, Error, PackSettings, Package, Quiet, collect};
use pki::{CertificateRefusal, CrlSet, Role, TrustList, cms};

use crate::estate::{ESTATE, Key, expired, now, valid};
use crate::fake_terminal::honest;
use crate::journals::journal;
use crate::{ADAM_PIN, Made, OLGA_PIN, Readers, alone, insert, open, source};

const DAY: i64 = crate::estate::DAY;

fn refused(result: Result<BothCards, Error>, role: Role) -> CertificateRefusal {
    match result {
        Err(Error::CardRefused { role: found, reason, .. }) if found == role => reason,
        other => panic!("{other:?}"),
    }
}

/// Both cards are refused as this says, and no PIN was tried on either: a wrong one would be counted.
fn refused_untried(readers: &Readers<'_>, checks: &Checks, role: Role) -> CertificateRefusal {
    let reason = refused(open("Olga", "000000", "Adam", "000000", checks), role);
    for made in [&readers.operator, &readers.administrator] {
        assert_eq!(made.token.pin_state().unwrap(), PinState::Untried, "{}", made.label);
    }
    reason
}

#[test]
fn r35_two_tokens_of_two_people_collect_and_sign_a_package() {
    alone(|tokens| {
        let readers = Readers::good(tokens);
        let both = readers.open().unwrap();
        assert_eq!(both.operator(), &readers.operator.certificate);
        assert_eq!(both.administrator(), &readers.administrator.certificate);
        let targets = [honest("SN-1"), honest("SN-2")];
        let settings = CollectSettings::default();
        let run = collect(&both, &ESTATE.work_certificate(), &targets, &settings, journal(), &Quiet).unwrap();
        assert_eq!((run.collected.len(), run.failed.len()), (2, 0));
        let how = PackSettings { station: "station-1".to_owned(), replaces: false };
        let package = Package::sign(&both, &run.collected, &how).unwrap();
        let opened = cms::open(package.cms()).unwrap();
        assert_eq!(opened.only_signer().unwrap().certificate, readers.operator.certificate);
    });
}

#[test]
fn r35_a_wrong_pin_is_counted_by_the_card_and_what_is_left_is_told() {
    alone(|tokens| {
        let _readers = Readers::good(tokens);
        assert_eq!(insert("Olga").unwrap().pin_state(), Some(PinState::Untried));
        let error = open("Olga", "wrong-secret", "Adam", ADAM_PIN, &ESTATE.checks()).unwrap_err();
        assert!(matches!(&error, Error::CardPin { card, .. } if card.starts_with("Olga")), "{error}");
        assert!(error.to_string().contains("few tries are left"), "{error}");
        assert!(!format!("{error} {error:?}").contains("wrong-secret"));
        assert_eq!(insert("Olga").unwrap().pin_state(), Some(PinState::FewLeft));
        assert_eq!(insert("Adam").unwrap().pin_state(), Some(PinState::Untried));
        open("Olga", OLGA_PIN, "Adam", ADAM_PIN, &ESTATE.checks()).unwrap();
        assert_eq!(insert("Olga").unwrap().pin_state(), Some(PinState::Untried));
    });
}

/// A card in a file cannot count, and says so.
#[test]
fn a_card_in_a_file_tells_nothing_of_its_pin() {
    let cards = crate::estate::Cards::good();
    let card = keyferry_station::FileCard::insert(&cards.path("operator.pem")).unwrap();
    assert_eq!(keyferry_station::Card::pin_state(&card), None);
}

#[test]
fn r35_a_locked_card_is_not_tried() {
    alone(|tokens| {
        let readers = Readers::good(tokens);
        // SoftHSM never locks itself: its file says so, and it looks at its files anew when one of them is missing.
        let locked = 0x0004_0000;
        for stored in tokens.stored() {
            crate::softhsm::Tokens::set_flags(&stored, locked);
        }
        assert!(insert("nobody").is_err());
        drop(readers);
        let card = insert("Olga").unwrap();
        assert_eq!(card.pin_state(), Some(PinState::Locked));
        let error = open("Olga", OLGA_PIN, "Adam", ADAM_PIN, &ESTATE.checks()).unwrap_err();
        assert!(matches!(&error, Error::CardLocked { card } if card.starts_with("Olga")), "{error}");
    });
}

#[test]
fn r35_one_card_alone_is_not_enough() {
    alone(|tokens| {
        let readers = Readers::good(tokens);
        for (missing, label) in [("Olga", "Olga"), ("Adam", "Adam")] {
            let error = open(
                if missing == "Olga" { "nobody" } else { "Olga" },
                OLGA_PIN,
                if missing == "Adam" { "nobody" } else { "Adam" },
                ADAM_PIN,
                &ESTATE.checks(),
            )
            .unwrap_err();
            assert!(matches!(&error, Error::CardMissing { card } if card == "nobody"), "{label}: {error}");
        }
        drop(readers);
    });
}

#[test]
fn r35_the_same_token_twice_is_refused() {
    alone(|tokens| {
        let _readers = Readers::good(tokens);
        for label in ["Olga", "Adam"] {
            let error = open(label, OLGA_PIN, label, OLGA_PIN, &ESTATE.checks()).unwrap_err();
            assert!(matches!(&error, Error::SameCard { what: "certificate" }), "{error}");
        }
    });
}

#[test]
fn r35_one_person_with_two_tokens_is_refused() {
    alone(|tokens| {
        let person = "Olga Operator";
        let readers = Readers::of(tokens, (Role::Operator, person), (Role::Administrator, person), valid());
        let error = readers.open().unwrap_err();
        assert!(matches!(&error, Error::SameCard { what: "subject" }), "{error}");
    });
}

#[test]
fn r35_every_other_role_is_refused_on_either_token_and_no_pin_is_tried() {
    alone(|tokens| {
        let readers = Readers::good(tokens);
        let places: [(&Made, Role, &str); 2] = [
            (&readers.operator, Role::Operator, "Olga Operator"),
            (&readers.administrator, Role::Administrator, "Adam Admin"),
        ];
        for (made, right, subject) in places {
            for role in Role::SUITE_01.into_iter().filter(|role| *role != right) {
                readers.certify(made, role, subject, valid());
                let reason = if right == Role::Operator {
                    refused_untried(&readers, &ESTATE.checks(), right)
                } else {
                    refused(open("Olga", OLGA_PIN, "Adam", "000000", &ESTATE.checks()), right)
                };
                assert!(
                    matches!(&reason, CertificateRefusal::WrongRole { found, .. } if *found == role),
                    "{reason}"
                );
            }
            readers.certify(made, right, subject, valid());
        }
        assert_eq!(readers.administrator.token.pin_state().unwrap(), PinState::Untried);
        readers.open().unwrap();
    });
}

#[test]
fn r35_dates_chain_and_revocation_of_a_token_are_checked_before_its_pin() {
    alone(|tokens| {
        let readers = Readers::good(tokens);
        let checks = ESTATE.checks();

        readers.certify(&readers.operator, Role::Operator, "Olga Operator", expired());
        let reason = refused_untried(&readers, &checks, Role::Operator);
        assert!(matches!(reason, CertificateRefusal::Expired { .. }), "{reason}");

        let tomorrow = pki::issue::Validity { not_before: now() + DAY, not_after: now() + 30 * DAY };
        readers.certify(&readers.operator, Role::Operator, "Olga Operator", tomorrow);
        let reason = refused_untried(&readers, &checks, Role::Operator);
        assert!(matches!(reason, CertificateRefusal::NotYetValid { .. }), "{reason}");

        let good = readers.certify(&readers.operator, Role::Operator, "Olga Operator", valid());
        let reason = refused_untried(&readers, &ESTATE.checks_revoking(&[&good]), Role::Operator);
        assert!(matches!(reason, CertificateRefusal::Revoked { .. }), "{reason}");

        let nobody = Checks::new(TrustList::new(), ESTATE.checks().crls);
        let reason = refused_untried(&readers, &nobody, Role::Operator);
        assert!(matches!(reason, CertificateRefusal::UnknownRoot { .. }), "{reason}");

        let no_lists = Checks::new(ESTATE.checks().trust, CrlSet::new());
        let reason = refused_untried(&readers, &no_lists, Role::Operator);
        assert!(matches!(reason, CertificateRefusal::CrlMissing { .. }), "{reason}");

        let revoked = ESTATE.checks_revoking(&[&readers.administrator.certificate]);
        let reason = refused(open("Olga", OLGA_PIN, "Adam", "000000", &revoked), Role::Administrator);
        assert!(matches!(reason, CertificateRefusal::Revoked { .. }), "{reason}");
        assert_eq!(readers.administrator.token.pin_state().unwrap(), PinState::Untried);
        readers.open().unwrap();
    });
}

#[test]
fn a_token_and_a_file_work_together() {
    alone(|tokens| {
        let readers = Readers::good(tokens);
        let cards = crate::estate::Cards::none();
        let key = Key::new(ADAM_PIN);
        let certificate = ESTATE.leaf(Role::Administrator, "Adam Admin", &key, valid());
        cards.write("administrator.pem", &key, &certificate);
        let file = keyferry_station::CardSource::File(cards.path("administrator.pem"));
        let both = BothCards::open(
            source("Olga").insert().unwrap(),
            OLGA_PIN,
            file.insert().unwrap(),
            ADAM_PIN,
            &ESTATE.checks(),
        )
        .unwrap();
        both.check().unwrap();
        cards.remove("administrator.pem");
        assert!(matches!(both.check(), Err(Error::CardMissing { .. })));
        drop(readers);
    });
}

#[test]
fn a_token_without_a_certificate_is_no_card() {
    alone(|tokens| {
        tokens.make("Olga", OLGA_PIN);
        let Err(error) = insert("Olga") else { panic!("a token without a certificate was taken for a card") };
        assert!(
            matches!(&error, Error::CardUnreadable { card, why } if card == "Olga" && why.contains("no such certificate")),
            "{error}"
        );
    });
}
