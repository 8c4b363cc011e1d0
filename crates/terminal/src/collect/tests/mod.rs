//! Refusals of collecting, by name.

mod production;
mod serving;

use flows::collect::{CollectKey, Reason, messages::Collect};
use paycrypto::rsa::PrivateKey;
use pki::Role;
use pki::issue::{self, Issuer, Revoked, build_crl};
use wire::{ErrorCode, ErrorMessage, Fields, Frame, MessageType, Suite};

use super::*;
use crate::testing::{DAY, Key, Kms, Shared, collect_frame, collect_key, estate, name, slot, validity};
use crate::{Collector, FixedClock, LifeCycle, PinPad, Settings, Terminal};

fn refusal(terminal: &mut Terminal, frame: &Frame) -> Refusal {
    let refusal = answer(terminal, frame).unwrap_err();
    let read = ErrorMessage::read(&refusal.frame().unwrap().message().unwrap().fields);
    assert_eq!(read.known_code(), Some(refusal.fault.code));
    assert!(!read.text.is_empty());
    refusal
}

/// Refused with 000D, and no TK was made.
fn certificate_refused(terminal: &mut Terminal, frame: &Frame) -> Refusal {
    let refusal = refusal(terminal, frame);
    assert_eq!(refusal.fault.code, ErrorCode::CertificateRefused, "{}", refusal.text);
    assert_eq!(terminal.pad().latch(), None);
    assert!(refusal.text.len() <= wire::limits::MAX_ERROR_TEXT, "{}", refusal.text);
    refusal
}

#[test]
fn kms_opens_what_was_collected_and_both_show_one_fingerprint() {
    let mut terminal = estate().terminal();
    let answer = answer(&mut terminal, &estate().collect()).unwrap();
    assert_eq!((answer.collector, answer.again), (Collector::Kms, false));
    let fields = answer.frame.message().unwrap().fields;
    assert_eq!(fields.vendor().unwrap().unwrap().as_str(), "KF");
    assert_eq!(fields.model().unwrap().unwrap().as_str(), "SIM-1");
    Kms::of(&answer.frame);
    let status = terminal.status();
    assert_eq!(status.collected.unwrap().fingerprint, answer.fingerprint);
    assert_eq!(status.life_cycle, LifeCycle::Production);
}

#[test]
fn r22_wrong_role_is_000d() {
    for role in Role::SUITE_01.into_iter().filter(|role| ![Role::KmsWork, Role::Mtms].contains(role)) {
        let mut terminal = estate().terminal();
        let refusal = certificate_refused(&mut terminal, &collect_frame(&estate().certificate(role)));
        assert!(refusal.text.contains(role.word()), "{}", refusal.text);
    }
}

#[test]
fn r22_expired_is_000d() {
    let ended = estate().certificate_within(Role::KmsWork, validity(estate().now - 30 * DAY, 29));
    let refusal = certificate_refused(&mut estate().terminal(), &collect_frame(&ended));
    assert!(refusal.text.contains("ended on"), "{}", refusal.text);
}

#[test]
fn not_yet_valid_is_000d() {
    let future = estate().certificate_within(Role::KmsWork, validity(estate().now + 2 * DAY, 29));
    let refusal = certificate_refused(&mut estate().terminal(), &collect_frame(&future));
    assert!(refusal.text.contains("begins on"), "{}", refusal.text);
}

#[test]
fn r22_foreign_root_is_000d() {
    let key = Key(PrivateKey::generate(2048).unwrap());
    let root = issue::root(&name("Foreign root"), &key, validity(estate().now - DAY, 90), 0).unwrap();
    let issuer = Issuer::new(&root, &key).unwrap();
    let spki = estate().work_key.spki_der();
    let dates = validity(estate().now - DAY, 30);
    let leaf = issue::leaf(&issuer, Role::KmsWork, &name("Foreign"), spki, dates).unwrap();
    certificate_refused(&mut estate().terminal(), &collect_frame(&leaf));
    // Bringing the root along does not help.
    let key = CollectKey::Certificate { leaf: leaf.der().into(), intermediates: vec![root.der().into()] };
    certificate_refused(&mut estate().terminal(), &collect_key(key));
}

#[test]
fn root_of_another_role_is_000d() {
    let mut new = estate().new_terminal();
    new.roots[0].roles = vec![Role::Mtms];
    let mut terminal = Terminal::in_memory(new).unwrap();
    certificate_refused(&mut terminal, &estate().collect());
}

#[test]
fn terminal_that_trusts_nobody_is_000d() {
    let mut new = estate().new_terminal();
    new.roots.clear();
    certificate_refused(&mut Terminal::in_memory(new).unwrap(), &estate().collect());
}

#[test]
fn changed_certificate_is_000d() {
    let good = estate().certificate(Role::KmsWork);
    let mut der = good.der().to_vec();
    *der.last_mut().unwrap() ^= 1;
    let key = CollectKey::Certificate { leaf: der, intermediates: Vec::new() };
    certificate_refused(&mut estate().terminal(), &collect_key(key));
}

#[test]
fn no_certificate_is_000d() {
    let key = CollectKey::Certificate { leaf: vec![0x30, 0x01, 0x00], intermediates: Vec::new() };
    certificate_refused(&mut estate().terminal(), &collect_key(key));
}

#[test]
fn certificate_under_an_intermediate_is_accepted_with_it_only() {
    let estate = estate();
    let key = Key(PrivateKey::generate(2048).unwrap());
    let root = Issuer::new(&estate.root, &estate.root_key).unwrap();
    let dates = validity(estate.now - DAY, 60);
    let between = issue::intermediate(&root, &name("Between"), key.0.spki_der(), dates, 0).unwrap();
    let issuer = Issuer::new(&between, &key).unwrap();
    let dates = validity(estate.now - DAY, 30);
    let leaf = issue::leaf(&issuer, Role::KmsWork, &name("Work"), estate.work_key.spki_der(), dates).unwrap();
    certificate_refused(&mut estate.terminal(), &collect_frame(&leaf));
    let key = CollectKey::Certificate { leaf: leaf.der().into(), intermediates: vec![between.der().into()] };
    answer(&mut estate.terminal(), &collect_key(key)).unwrap();
}

#[test]
fn mtms_collects_and_is_remembered() {
    let mut terminal = estate().terminal();
    let answer = answer(&mut terminal, &collect_frame(&estate().certificate(Role::Mtms))).unwrap();
    assert_eq!(answer.collector, Collector::Mtms);
    assert_eq!(terminal.status().collected.unwrap().by, Collector::Mtms);
}

#[test]
fn bare_key_is_000d_unless_production_allows_it() {
    let frame = collect_key(CollectKey::BareKey(estate().work_key.spki_der().to_vec()));
    let refusal = certificate_refused(&mut estate().terminal(), &frame);
    assert_eq!(refusal.fault.reason, Reason::BareKeyNotAllowed);

    let mut new = estate().new_terminal();
    new.settings = Settings { allow_bare_key: true, ..Settings::default() };
    let mut terminal = Terminal::in_memory(new).unwrap();
    let answer = answer(&mut terminal, &frame).unwrap();
    assert_eq!(answer.collector, Collector::BareKey);
    Kms::of(&answer.frame);
}

#[test]
fn weak_bare_key_is_000d() {
    let mut new = estate().new_terminal();
    new.settings = Settings { allow_bare_key: true, ..Settings::default() };
    let mut terminal = Terminal::in_memory(new).unwrap();
    for (modulus, exponent) in [(128, vec![1, 0, 1]), (256, vec![3]), (640, vec![1, 0, 1])] {
        let frame = collect_key(CollectKey::BareKey(spki(modulus, &exponent)));
        certificate_refused(&mut terminal, &frame);
    }
    certificate_refused(&mut terminal, &collect_key(CollectKey::BareKey(vec![0x30, 0x00])));
}

/// A SubjectPublicKeyInfo (RFC 5280 section 4.1) with an odd modulus of so many bytes.
fn spki(modulus: usize, exponent: &[u8]) -> Vec<u8> {
    fn der(tag: u8, value: &[u8]) -> Vec<u8> {
        let length = u16::try_from(value.len()).unwrap().to_be_bytes();
        [&[tag, 0x82], &length[..], value].concat()
    }
    // Lengths under 256 in their shortest form.
    fn short(tag: u8, value: &[u8]) -> Vec<u8> {
        match u8::try_from(value.len()).unwrap() {
            length @ ..=0x7F => [&[tag, length], value].concat(),
            length => [&[tag, 0x81, length], value].concat(),
        }
    }
    fn any(tag: u8, value: &[u8]) -> Vec<u8> {
        if value.len() < 256 { short(tag, value) } else { der(tag, value) }
    }
    let number = [vec![0x00, 0xC1], vec![0x5D; modulus - 2], vec![0x11]].concat();
    let key = any(0x30, &[any(0x02, &number), short(0x02, exponent)].concat());
    let algorithm = [0x30, 0x0D, 0x06, 0x09, 0x2A, 0x86, 0x48, 0x86, 0xF7, 0x0D, 1, 1, 1, 5, 0];
    any(0x30, &[algorithm.to_vec(), any(0x03, &[vec![0], key].concat())].concat())
}

#[test]
fn same_certificate_again_gets_the_same_bytes_also_after_a_power_cut() {
    let disk = Shared::new();
    let mut terminal = Terminal::new_in(disk.clone(), estate().new_terminal()).unwrap();
    let frame = estate().collect();
    let first = answer(&mut terminal, &frame).unwrap();
    let second = answer(&mut terminal, &frame).unwrap();
    assert_eq!((&second.frame, second.again), (&first.frame, true));
    drop(terminal);
    let mut terminal = Terminal::open_from(disk).unwrap();
    assert_eq!(answer(&mut terminal, &frame).unwrap().frame, first.frame);
}

#[test]
fn other_certificate_after_the_first_is_0008() {
    let mut terminal = estate().terminal();
    let frame = estate().collect();
    let first = answer(&mut terminal, &frame).unwrap();
    let other = estate().certificate_within(Role::KmsWork, validity(estate().now - 2 * DAY, 40));
    let refusal = refusal(&mut terminal, &collect_frame(&other));
    assert_eq!(refusal.fault.code, ErrorCode::NotPermittedNow);
    assert_eq!(refusal.fault.reason, Reason::OtherCertificate);
    assert_eq!(answer(&mut terminal, &frame).unwrap().frame, first.frame);
}

#[test]
fn collect_when_deployed_is_0008() {
    let mut terminal = estate().terminal();
    answer(&mut terminal, &estate().collect()).unwrap();
    terminal.deploy().unwrap();
    let refused = refusal(&mut terminal, &estate().collect());
    assert_eq!(refused.fault.code, ErrorCode::NotPermittedNow);

    let mut never_collected = estate().terminal();
    never_collected.deploy().unwrap();
    let refused = refusal(&mut never_collected, &estate().collect());
    assert_eq!(refused.fault.code, ErrorCode::NotPermittedNow);
}

#[test]
fn collect_after_the_first_done_is_0008() {
    let mut terminal = estate().terminal();
    let kms = estate().collected(&mut terminal);
    kms.load(&mut terminal, slot(0), &paycrypto::keys::Tmk::generate().unwrap()).unwrap();
    assert_eq!(refusal(&mut terminal, &estate().collect()).fault.code, ErrorCode::NotPermittedNow);
}

#[test]
fn other_suite_is_0009_to_a_proven_peer_only() {
    let collect = |suite, certificate: &pki::Certificate| {
        let key = CollectKey::Certificate { leaf: certificate.der().to_vec(), intermediates: Vec::new() };
        Collect::<flows::Tdes> { suite, key, nonce: () }.write().unwrap()
    };
    let mut terminal = estate().terminal();
    let good = estate().certificate(Role::KmsWork);
    let asked = collect(Suite::new(3), &good);
    assert_eq!(refusal(&mut terminal, &asked).fault.code, ErrorCode::SuiteNotSupported);
    certificate_refused(&mut terminal, &collect(Suite::new(3), &estate().certificate(Role::Operator)));
    // Nor does a latched certificate get another suite than it got.
    answer(&mut terminal, &collect(Suite::TDES, &good)).unwrap();
    assert_eq!(refusal(&mut terminal, &asked).fault.code, ErrorCode::SuiteNotSupported);
}

/// A revocation list of the estate's root, with this number, that revokes these.
fn list(number: u64, revoked: &[&pki::Certificate]) -> pki::Crl {
    let issuer = Issuer::new(&estate().root, &estate().root_key).unwrap();
    let revoked: Vec<_> = revoked
        .iter()
        .map(|certificate| Revoked {
            serial: certificate.serial().to_vec(),
            when: estate().now - DAY,
            reason: pki::RevocationReason::KeyCompromise,
        })
        .collect();
    build_crl(&issuer, number, estate().now - DAY, estate().now + 30 * DAY, &revoked).unwrap()
}

#[test]
fn r22_a_revoked_certificate_is_000d_also_after_a_power_cut() {
    let disk = Shared::new();
    let certificate = estate().certificate(Role::KmsWork);
    let mut terminal = Terminal::new_in(disk.clone(), estate().new_terminal()).unwrap();
    terminal.install_crl(list(7, &[&certificate])).unwrap();
    certificate_refused(&mut terminal, &collect_frame(&certificate));
    drop(terminal);
    let mut terminal = Terminal::open_from(disk).unwrap();
    certificate_refused(&mut terminal, &collect_frame(&certificate));
    assert!(
        answer(&mut terminal, &collect_frame(&estate().certificate(Role::KmsWork))).is_ok(),
        "another one"
    );
}

#[test]
fn r21_the_number_of_a_revocation_list_only_rises_at_the_terminal() {
    let disk = Shared::new();
    let mut terminal = Terminal::new_in(disk.clone(), estate().new_terminal()).unwrap();
    terminal.install_crl(list(7, &[])).unwrap();
    drop(terminal);
    let mut terminal = Terminal::open_from(disk.clone()).unwrap();
    for number in [6, 7] {
        let refused = terminal.install_crl(list(number, &[])).unwrap_err();
        assert!(matches!(refused, crate::Error::OldCrl { held: 7, .. }), "{refused}");
    }
    disk.full_after(0);
    assert!(terminal.install_crl(list(8, &[])).is_err(), "it counts when it is stored");
    drop(terminal);
    disk.full_after(100);
    let mut terminal = Terminal::open_from(disk).unwrap();
    terminal.install_crl(list(8, &[])).unwrap();
}

#[test]
fn r21_r22_after_a_newer_certificate_an_older_one_of_its_name_is_000d() {
    let begun =
        |days: i64| estate().certificate_within(Role::KmsWork, validity(estate().now - days * DAY, 60));
    let (older, newer) = (begun(9), begun(3));
    let disk = Shared::new();
    let mut terminal = Terminal::new_in(disk.clone(), estate().new_terminal()).unwrap();
    assert!(answer(&mut terminal, &collect_frame(&newer)).is_ok());
    terminal.pad_mut().retire().unwrap();
    drop(terminal);
    // Another life, the same memory of what was accepted.
    let terminal = Terminal::open_from(disk).unwrap();
    let chain = |certificate: &pki::Certificate| {
        let family = pki::KeyFamily::Rsa;
        let role = |_: &pki::Certificate| Role::KmsWork;
        crate::certificate::verify_of(family, certificate.der(), &[], role, &terminal.device, estate().now)
    };
    assert!(matches!(chain(&older), Err(pki::CertificateRefusal::Superseded { .. })));
    assert!(chain(&newer).is_ok());
    let fresh = Terminal::in_memory(estate().new_terminal()).unwrap();
    let role = |_: &pki::Certificate| Role::KmsWork;
    let family = pki::KeyFamily::Rsa;
    let alone = crate::certificate::verify_of(family, older.der(), &[], role, &fresh.device, estate().now);
    assert!(alone.is_ok(), "who has met no newer one believes it");
}

#[test]
fn a_certificate_that_was_superseded_is_refused_in_collecting() {
    let begun =
        |days: i64| estate().certificate_within(Role::KmsWork, validity(estate().now - days * DAY, 60));
    let mut terminal = estate().terminal();
    assert!(answer(&mut terminal, &collect_frame(&begun(3))).is_ok());
    terminal.pad_mut().wipe_tk();
    certificate_refused(&mut terminal, &collect_frame(&begun(9)));
}

#[test]
fn a_revocation_list_that_no_root_here_signed_is_refused() {
    let mut terminal =
        Terminal::in_memory(crate::NewTerminal { roots: Vec::new(), ..estate().new_terminal() }).unwrap();
    let refused = terminal.install_crl(list(1, &[])).unwrap_err();
    assert!(matches!(refused, crate::Error::ForeignCrl { .. }), "{refused}");
}

#[test]
fn r21_known_time_never_goes_back() {
    let disk = Shared::new();
    let mut terminal = Terminal::new_in(disk.clone(), estate().new_terminal()).unwrap();
    let certificate = collect_frame(&estate().certificate(Role::KmsWork));
    terminal.set_clock(FixedClock(estate().now + 40 * DAY));
    certificate_refused(&mut terminal, &certificate);
    drop(terminal);
    // The clock is set back, or there is none: the certificate ended all the same.
    let mut terminal = Terminal::open_from(disk).unwrap();
    for now in [estate().now, 0] {
        terminal.set_clock(FixedClock(now));
        certificate_refused(&mut terminal, &certificate);
    }
    assert_eq!(terminal.status().last_known_time, estate().now + 40 * DAY);
}

#[test]
fn terminal_without_a_clock_collects_by_its_last_known_time() {
    let mut terminal = estate().terminal();
    terminal.set_clock(FixedClock(0));
    answer(&mut terminal, &estate().collect()).unwrap();
}

#[test]
fn every_other_message_is_0003() {
    for kind in MessageType::ALL {
        if [MessageType::Collect, MessageType::Error].contains(kind) {
            continue;
        }
        let frame = Frame::new(*kind, &Fields::new()).unwrap();
        let refusal = refusal(&mut estate().terminal(), &frame);
        assert_eq!(refusal.fault.code, ErrorCode::UnexpectedMessage, "{kind}");
    }
}

#[test]
fn malformed_collect_is_0002() {
    let good = estate().collect();
    let payload = good.payload();
    for broken in [&payload[..payload.len() - 1], &[1, 0x51], &[2, 0x51, 0xDF, 0x01, 0x01, 0x01]] {
        let frame = Frame::from_payload(broken).unwrap();
        assert_eq!(refusal(&mut estate().terminal(), &frame).fault.code, ErrorCode::Malformed);
    }
}
