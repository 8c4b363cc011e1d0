//! Key pair, certificate, keys that a KLD is given, and its folder.

use custody::keyfile::KeyKind;
use hsm::{HsmError, Refusal};
use hsm_soft::{Duty, components::Target};
use keyferry_station::{
    Error,
    kld::{Combined, Kld, KldError},
};
use pki::{CertificateRefusal, Role};
use wire::Suite;

use crate::estate::{BOTH, Cards, ESTATE, expired, valid};
use crate::loading::exported_dik1;
use crate::world::{OWNER, World, certify, certify_within, listed, open_run, what};

#[test]
fn a_run_opens_only_when_everything_is_there() {
    let world = World::empty();
    let mut kld = world.kld();
    let open = |kld: &Kld, wanted: &[&str]| {
        kld.open_run(Suite::TDES, &BOTH.1, &ESTATE.checks(), &listed("SN-1"), &what(wanted)).map(drop)
    };
    assert!(matches!(open(&kld, &["dmk"]), Err(KldError::NoKeyPair)));
    let request = kld.request(KeyKind::Rsa(2048)).unwrap();
    assert!(matches!(open(&kld, &["dmk"]), Err(KldError::NoCertificate)));
    kld.install(&certify(&request, Role::Downloader), &ESTATE.checks()).unwrap();
    assert!(matches!(open(&kld, &["dmk"]), Err(KldError::NoExchangeKey { suite: Suite::TDES })));
    let (key, exchange) = world.combine(&Target::Exchange, "KLD-7");
    kld.take_exchange_key(&BOTH.1, key).unwrap();
    assert!(matches!(open(&kld, &["dik2"]), Err(KldError::NoDik1 { .. })));
    for label in ["A", "B"] {
        kld.import_dik1(&BOTH.1, &exported_dik1(&exchange, label).1, label).unwrap();
    }
    assert!(matches!(open(&kld, &["dik2"]), Err(KldError::WhichDik1)));
    assert!(matches!(open(&kld, &["dik2:C"]), Err(KldError::NoDik1 { .. })));
    assert!(matches!(open(&kld, &[]), Err(KldError::NothingToLoad)));
    open(&kld, &["dik2:B"]).unwrap();
    assert!(matches!(open(&kld, &["dmk"]), Err(KldError::RunOpen { .. })));
}

#[test]
fn only_a_good_downloader_certificate_of_the_klds_own_key_is_installed() {
    let world = World::empty();
    let mut kld = world.kld();
    let request = kld.request(KeyKind::Rsa(2048)).unwrap();
    let refused = |kld: &mut Kld, pem: &str| match kld.install(pem, &ESTATE.checks()) {
        Err(KldError::CertificateRefused(reason)) => reason,
        other => panic!("{other:?}"),
    };
    for role in Role::SUITE_01.into_iter().filter(|role| *role != Role::Downloader) {
        let reason = refused(&mut kld, &certify(&request, role));
        assert!(matches!(reason, CertificateRefusal::WrongRole { .. }), "{reason}");
    }
    let reason = refused(&mut kld, &certify_within(&request, Role::Downloader, expired()));
    assert!(matches!(reason, CertificateRefusal::Expired { .. }), "{reason}");
    let other =
        ESTATE.leaf(Role::Downloader, "KLD-7", &ESTATE.work, valid()).pem() + &ESTATE.intermediate.pem();
    assert!(matches!(kld.install(&other, &ESTATE.checks()), Err(KldError::OtherKey)));
    let garbage = kld.install("no certificate", &ESTATE.checks());
    assert!(matches!(garbage, Err(KldError::CertificateUnreadable { .. })), "{garbage:?}");
    assert!(kld.certificate(Suite::TDES).unwrap().is_none());
    kld.install(&certify(&request, Role::Downloader), &ESTATE.checks()).unwrap();
}

#[test]
fn a_new_pair_replaces_the_old_one_when_its_certificate_is_installed() {
    let world = World::empty();
    let mut kld = world.kld();
    let first = kld.request(KeyKind::Rsa(2048)).unwrap();
    let old = kld.install(&certify(&first, Role::Downloader), &ESTATE.checks()).unwrap();
    let second = kld.request(KeyKind::Rsa(2048)).unwrap();
    assert_eq!(kld.certificate(Suite::TDES).unwrap().unwrap(), old, "works on until the new one's is there");
    let new = kld.install(&certify(&second, Role::Downloader), &ESTATE.checks()).unwrap();
    assert_ne!(old.spki_der(), new.spki_der());
    assert_eq!(kld.certificate(Suite::TDES).unwrap().unwrap(), new);
    drop(kld);
    assert_eq!(world.kld().certificate(Suite::TDES).unwrap().unwrap(), new);
    let again = world.kld().install(&certify(&first, Role::Downloader), &ESTATE.checks());
    assert!(matches!(again, Err(KldError::OtherKey)), "the old pair is gone: {again:?}");
}

#[test]
fn no_key_is_taken_without_both_cards() {
    let world = World::empty();
    let mut kld = world.kld();
    let cards = Cards::good();
    let both = cards.open().unwrap();
    cards.remove("administrator.pem");
    let missing = |result: Result<(), KldError>| {
        assert!(matches!(result, Err(KldError::Station(Error::CardMissing { .. }))), "{result:?}");
    };
    let key = |world: &World| -> Combined { world.combined(&Target::Exchange, "KLD-7") };
    missing(kld.take_exchange_key(&both, key(&world)));
    missing(kld.import_dik1(&both, "B", "A").map(drop));
    assert!(kld.keys().is_empty());
}

#[test]
fn what_is_not_under_the_exchange_key_is_not_imported() {
    let world = World::ready();
    let mut kld = world.kld();
    let (_, other) = world.combine(&Target::Exchange, "OTHER");
    let (_, block) = exported_dik1(&other, "A");
    for block in [block.as_str(), "", "B0000", "no block"] {
        let refused = kld.import_dik1(&BOTH.1, block, "A");
        assert!(matches!(refused, Err(KldError::Hsm(_))), "{refused:?}");
    }
    let (key, exchange) = world.combine(&Target::Exchange, "KLD-7");
    kld.take_exchange_key(&BOTH.1, key).unwrap();
    let (_, block) = exported_dik1(&exchange, "A");
    let relabelled = kld.import_dik1(&BOTH.1, &block, "B");
    assert!(matches!(relabelled, Err(KldError::Hsm(_))), "{relabelled:?}");
    kld.import_dik1(&BOTH.1, &block, "A").unwrap();
}

#[test]
fn the_exchange_key_stays_while_a_run_is_open() {
    let world = World::ready();
    let mut kld = world.kld();
    open_run(&kld, "SN-1", &["dmk"]);
    let key = || world.combined(&Target::Exchange, "KLD-7");
    assert!(matches!(kld.take_exchange_key(&BOTH.1, key()), Err(KldError::RunOpen { .. })));
    kld.close_run(&BOTH.1).unwrap();
    kld.take_exchange_key(&BOTH.1, key()).unwrap();
}

#[test]
fn a_servers_hsm_is_none_of_a_kld() {
    let world = World::empty_on(Duty::Server);
    let refused = world.kld().request(KeyKind::Rsa(2048));
    let Err(KldError::Hsm(HsmError::Refused(Refusal::NotOnDuty { .. }))) = refused else {
        panic!("{refused:?}")
    };
}

#[test]
fn a_folder_is_one_kld_of_one_process() {
    let world = World::empty();
    assert!(matches!(Kld::create(&world.path(), "KLD-8", OWNER), Err(KldError::AlreadyMade { .. })));
    for (name, owner) in [("", OWNER), ("a b", OWNER), ("KLD", "x/y")] {
        let path = world.folder.path().join("other");
        assert!(matches!(Kld::create(&path, name, owner), Err(KldError::Name { .. })), "{name:?}");
    }
    let kld = world.kld();
    assert_eq!((kld.name(), kld.owner()), ("KLD-7", OWNER));
    assert!(matches!(Kld::open_without_hsm(&world.path()), Err(KldError::InUse { .. })));
    drop(kld);
    let mut without = Kld::open_without_hsm(&world.path()).unwrap();
    assert!(matches!(without.request(KeyKind::Rsa(2048)), Err(KldError::NoHsm)));
    drop(without);
    std::fs::write(world.path().join("kld.json"), b"{}").unwrap();
    assert!(matches!(Kld::open_without_hsm(&world.path()), Err(KldError::Damaged { .. })));
}
