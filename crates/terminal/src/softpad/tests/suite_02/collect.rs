//! Collecting in suite 02: what the PIN pad seals and signs, and when it does not.

use flows::collect::CeremonyNonce;
use flows::collect::Reason;
use flows::collect::messages::{Collect, CollectKey, Collected};
use flows::{EcAes, Suite as _};
use paycrypto::ec::{AgreementKey, CollectInfo, Tk, VerifyingKey};
use pki::{Certificate, Role, issue};
use wire::{ErrorCode, Frame, Proof};

use super::peers::{acquirer, th};
use super::refusals;
use crate::Terminal;
use crate::collect::{Answer, answer};
use crate::softpad::state::PadState;
use crate::testing::{DAY, Shared, estate, name, validity};

/// A KMS's agreement key with its certificate.
struct Work {
    key: AgreementKey,
    certificate: Certificate,
}

impl Work {
    fn new() -> Work {
        let key = AgreementKey::generate().unwrap();
        let dates = validity(estate().now - DAY, 30);
        let (issuer, spki) = (acquirer().issuer(), key.spki_der());
        let certificate =
            issue::agreement_leaf(&issuer, Role::KmsWork, &name("KMS 02"), &spki, dates).unwrap();
        Work { key, certificate }
    }

    fn collect(&self, nonce: u8) -> Frame {
        let key = CollectKey::Certificate { leaf: self.certificate.der().to_vec(), intermediates: vec![] };
        let nonce = CeremonyNonce([nonce; 32]);
        Collect::<EcAes> { suite: EcAes::ID, key, nonce }.write().unwrap()
    }

    /// What a KMS does with an answer: certificate's name, signature, and the TK.
    fn open(&self, collect: &Frame, answer: &Frame) -> (Tk, u64) {
        let collected = Collected::<EcAes>::read(answer).unwrap();
        let device = Certificate::from_der(&collected.maker.certificate).unwrap();
        assert_eq!(device.subject().serial_number(), Some("SN-1001"));
        let signed = th(b'K', &[collect, &answer.without(Proof::Signature).unwrap()]);
        let key = VerifyingKey::from_spki(device.spki_der()).unwrap();
        assert!(key.verifies_transcript(&signed, &collected.maker.signature.0), "DF16");
        let generation = collected.maker.generation;
        let info = CollectInfo::new(collect.bytes(), "SN-1001", "SN-1001", generation);
        (Tk::open(&self.key, &info, &collected.ctk_pu).unwrap(), generation)
    }
}

fn collected(terminal: &mut Terminal, collect: &Frame) -> Answer {
    answer(terminal, collect).unwrap_or_else(|refusal| panic!("{}", refusal.text))
}

fn code(terminal: &mut Terminal, collect: &Frame) -> ErrorCode {
    answer(terminal, collect).unwrap_err().fault.code
}

#[test]
fn the_kms_opens_what_was_collected_and_sees_who_made_it() {
    let (mut terminal, work) = (acquirer().terminal(), Work::new());
    let collect = work.collect(1);
    let given = collected(&mut terminal, &collect);
    assert!(!given.again);
    let (tk, generation) = work.open(&collect, &given.frame);
    assert_eq!(generation, 1);
    let held = terminal.pad().state.ec_tk().unwrap().unwrap();
    assert_eq!(held.tek().expose(), tk.tek().expose());
    assert_eq!(held.auk().expose(), tk.auk().expose());
}

#[test]
fn the_same_collect_gets_the_same_bytes_also_after_a_restart() {
    let (disk, work) = (Shared::new(), Work::new());
    let mut terminal = acquirer().terminal_in(&disk);
    let collect = work.collect(1);
    let first = collected(&mut terminal, &collect);
    assert_eq!(collected(&mut terminal, &collect).frame, first.frame);
    drop(terminal);
    let again = collected(&mut Terminal::open_from(disk).unwrap(), &collect);
    assert_eq!((again.frame, again.again), (first.frame, true));
}

#[test]
fn another_ceremony_gets_the_same_tk_signed_anew() {
    let (mut terminal, work) = (acquirer().terminal(), Work::new());
    let (today, tomorrow) = (work.collect(1), work.collect(2));
    let (first, second) = (collected(&mut terminal, &today), collected(&mut terminal, &tomorrow));
    assert_ne!(first.frame, second.frame);
    let ((one, generation), (other, same)) =
        (work.open(&today, &first.frame), work.open(&tomorrow, &second.frame));
    assert_eq!((one.tek().expose(), generation), (other.tek().expose(), same));
}

#[test]
fn another_certificate_is_0008() {
    let mut terminal = acquirer().terminal();
    collected(&mut terminal, &Work::new().collect(1));
    assert_eq!(code(&mut terminal, &Work::new().collect(1)), ErrorCode::NotPermittedNow);
}

#[test]
fn without_a_device_certificate_nothing_is_made() {
    let mut terminal = acquirer().uncertified();
    assert_eq!(code(&mut terminal, &Work::new().collect(1)), ErrorCode::NotPermittedNow);
    assert!(refusals(&terminal).contains(&"device-certificate".to_owned()));
    assert!(!terminal.pad().state.has_tk());
}

#[test]
fn a_certificate_for_signatures_and_one_of_rsa_are_000d() {
    let mut terminal = acquirer().terminal();
    let signing = acquirer().certificate(Role::Downloader, &acquirer().work);
    let rsa = estate().certificate(Role::KmsWork).der().to_vec();
    for leaf in [signing.der().to_vec(), rsa] {
        let key = CollectKey::Certificate { leaf, intermediates: vec![] };
        let collect =
            Collect::<EcAes> { suite: EcAes::ID, key, nonce: CeremonyNonce([1; 32]) }.write().unwrap();
        assert_eq!(code(&mut terminal, &collect), ErrorCode::CertificateRefused);
    }
}

#[test]
fn r21_the_generation_rises_with_each_tk_and_a_wipe_does_not_take_it_back() {
    let (mut terminal, work) = (acquirer().terminal(), Work::new());
    for generation in 1..=3 {
        let collect = work.collect(generation);
        let given = collected(&mut terminal, &collect);
        assert_eq!(work.open(&collect, &given.frame).1, u64::from(generation));
        terminal.pad_mut().change(PadState::erase_all).unwrap();
    }
}

#[test]
fn what_was_collected_in_suite_02_is_not_given_out_in_suite_01_to_the_same_certificate() {
    let (mut terminal, work) = (acquirer().terminal(), Work::new());
    collected(&mut terminal, &work.collect(1));
    let key = CollectKey::Certificate { leaf: work.certificate.der().to_vec(), intermediates: vec![] };
    let lower = Collect::<flows::Tdes> { suite: flows::Tdes::ID, key, nonce: () }.write().unwrap();
    assert_eq!(code(&mut terminal, &lower), ErrorCode::SuiteNotSupported);
}

#[test]
fn after_suite_02_a_tk_is_not_made_in_suite_01_until_repair() {
    let mut terminal = acquirer().terminal();
    collected(&mut terminal, &Work::new().collect(1));
    terminal.pad_mut().change(PadState::erase_tk).unwrap();
    let refused = answer(&mut terminal, &estate().collect()).unwrap_err();
    assert!(matches!(refused.fault.reason, Reason::SuiteNotSupported { .. }), "{}", refused.text);
    terminal.pad_mut().state.completed.lift();
    assert!(answer(&mut terminal, &estate().collect()).is_ok());
}
