//! Runs against terminals, good and bad.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
        mpsc,
    },
    time::{Duration, Instant},
};

use flows::{
    ProtocolError,
    collect::{Reason, terminal::Ask},
};
use keyferry_station::{
    Checks, CollectFault, CollectSettings, CollectionRun, Error, FailedTerminal, LinkLimits, Progress, Quiet,
    Target, WorkCertificate, collect, collect::MAX_TERMINALS, link::LinkError,
};
use pki::{CertificateRefusal, Role};
use wire::{Device, ErrorCode, ErrorMessage, Fields, Frame, Malformed, MessageType, error_frame};

use crate::{
    estate::{BOTH, Cards, ESTATE, expired, valid},
    fake_terminal::{
        answering, collected, counting, expecting, hanging, honest, receive, sending, serial, terminal,
    },
    journals::journal,
};

/// Quick, so that tests are.
fn settings() -> CollectSettings {
    let limits = LinkLimits {
        connect: Duration::from_secs(2),
        idle: Duration::from_secs(1),
        message: Duration::from_secs(4),
    };
    CollectSettings { parallel: 8, limits, ..CollectSettings::default() }
}

fn run(targets: &[Target], settings: &CollectSettings) -> CollectionRun {
    collect(&BOTH.1, &ESTATE.work_certificate(), targets, settings, journal(), &Quiet).unwrap()
}

/// The fault of the one bad terminal, between two good ones that must not be spoilt.
fn fault_of(bad: &Target) -> FailedTerminal {
    let mut run = run(&[honest("GOOD-1"), bad.clone(), honest("GOOD-2")], &settings());
    let serials: Vec<_> = run.collected.iter().map(|terminal| terminal.device().sn().as_str()).collect();
    assert_eq!(serials, ["GOOD-1", "GOOD-2"]);
    assert_eq!(run.failed.len(), 1, "{:?}", run.failed);
    let failed = run.failed.remove(0);
    assert_eq!(failed.target(), bad);
    assert!(!failed.fault().advice().is_empty());
    failed
}

#[test]
fn many_terminals_are_collected_in_the_order_of_their_targets() {
    let names: Vec<_> = (0..20).map(|n| format!("SN-{n:02}")).collect();
    let targets: Vec<_> = names.iter().map(|sn| honest(sn)).collect();
    let work = ESTATE.work_certificate();
    let run = collect(&BOTH.1, &work, &targets, &settings(), journal(), &Quiet).unwrap();
    assert!(run.failed.is_empty() && run.missing.is_empty(), "{:?}", run.failed);
    assert_eq!(run.collected.len(), names.len());
    for ((terminal, sn), target) in run.collected.iter().zip(&names).zip(&targets) {
        assert_eq!((terminal.device().sn().as_str(), terminal.target()), (sn.as_str(), target));
        assert_eq!(terminal.fingerprint(), wire::fingerprint(&serial(sn), terminal.ctk_pu()));
        assert_eq!(terminal.work_certificate_sha256(), work.certificate().sha256_hex());
    }
}

#[test]
fn terminal_gets_the_work_certificate_and_its_intermediates_but_no_root() {
    let (sender, asked) = mpsc::channel();
    let target = terminal(move |mut stream| sender.send(receive(&mut stream)).unwrap());
    let mut chain = ESTATE.chain();
    chain.push(ESTATE.root.clone());
    let work = WorkCertificate::check(ESTATE.work_leaf(Role::KmsWork), &chain, &ESTATE.checks()).unwrap();
    collect(&BOTH.1, &work, &[target], &settings(), journal(), &Quiet).unwrap();
    let ask = <Ask>::read(&asked.recv().unwrap()).unwrap();
    let flows::collect::CollectKey::Certificate { leaf, intermediates } = ask.key() else {
        panic!("{ask:?}")
    };
    assert_eq!(leaf, work.certificate().der());
    assert_eq!(intermediates, &[ESTATE.intermediate.der().to_vec()]);
}

#[test]
fn no_more_terminals_are_asked_at_once_than_the_run_says() {
    let (busy, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let targets: Vec<_> = (0..12).map(|n| counting(&format!("SN-{n:02}"), &busy, &most)).collect();
    let run = run(&targets, &CollectSettings { parallel: 3, ..settings() });
    assert_eq!(run.collected.len(), 12);
    let most = most.load(Ordering::SeqCst);
    assert!((2..=3).contains(&most), "{most} at once");
}

#[test]
fn terminal_that_hangs_is_a_timeout_and_holds_up_nobody() {
    let started = Instant::now();
    let failed = fault_of(&hanging());
    assert!(matches!(failed.fault(), CollectFault::Link(LinkError::Timeout)), "{failed}");
    assert!(started.elapsed() < Duration::from_secs(20));
}

#[test]
fn terminal_that_is_off_is_unreachable() {
    let address = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let failed = fault_of(&address.parse().unwrap());
    assert!(matches!(failed.fault(), CollectFault::Link(LinkError::Unreachable(_))), "{failed}");
}

#[test]
fn garbage_is_refused_by_name() {
    let failed = fault_of(&sending(vec![0, 1, 0xAA]));
    let short = Malformed::FrameTooShort { length: 1 };
    assert!(
        matches!(failed.fault(), CollectFault::Link(LinkError::Malformed(found)) if *found == short),
        "{failed}"
    );

    // Another protocol's answer looks like a long frame that ends too soon.
    let failed = fault_of(&sending(b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec()));
    assert!(matches!(failed.fault(), CollectFault::Link(LinkError::Cut)), "{failed}");

    let fields = Frame::from_payload(&[1, MessageType::Collected.byte(), 0xDF]).unwrap();
    let failed = fault_of(&sending(fields.bytes().to_vec()));
    let malformed = |reason: &Reason| {
        matches!(reason, Reason::Protocol(ProtocolError::Malformed(Malformed::TagTruncated)))
    };
    assert!(matches!(failed.fault(), CollectFault::Answer(reason) if malformed(reason)), "{failed}");
}

#[test]
fn terminal_that_closes_before_or_in_the_middle_of_its_answer_is_named() {
    let failed = fault_of(&sending(Vec::new()));
    assert!(matches!(failed.fault(), CollectFault::Link(LinkError::Closed)), "{failed}");

    let answer = collected("SN-1", None).write().unwrap();
    let half = answer.bytes()[..answer.bytes().len() / 2].to_vec();
    let failed = fault_of(&sending(half));
    assert!(matches!(failed.fault(), CollectFault::Link(LinkError::Cut)), "{failed}");
}

#[test]
fn another_serials_answer_is_refused_and_both_are_named() {
    let failed = fault_of(&expecting("SN-1", &honest("SN-2")));
    assert!(
        matches!(failed.fault(), CollectFault::OtherSerial { expected, found }
            if expected.as_str() == "SN-1" && found.as_str() == "SN-2"),
        "{failed}"
    );
    assert_eq!(failed.sn(), Some(&serial("SN-2")));
}

#[test]
fn serial_seen_twice_is_refused_and_named() {
    let (one, two) = (honest("SN-1"), honest("SN-1"));
    let run = run(&[one.clone(), honest("SN-2"), two.clone()], &settings());
    assert_eq!(run.collected.len(), 1);
    let said: Vec<_> = run.failed.iter().map(ToString::to_string).collect();
    assert_eq!(said.len(), 2);
    assert!(said[0].contains(&format!("SN-1 answered at {} too", two.address())), "{said:?}");
    assert!(said[1].contains(&format!("SN-1 answered at {} too", one.address())), "{said:?}");
}

#[test]
fn answer_copied_to_another_serial_is_refused() {
    let copy =
        flows::collect::Collected { device: collected("SN-2", None).device, ..collected("SN-1", None) };
    let run = run(&[honest("SN-1"), answering(copy)], &settings());
    assert!(run.collected.is_empty());
    let copied = |failed: &FailedTerminal| matches!(failed.fault(), CollectFault::SameTransportKey { .. });
    assert!(run.failed.len() == 2 && run.failed.iter().all(copied));
}

#[test]
fn unlisted_terminal_is_refused_with_0004_and_the_missing_one_named() {
    let (sender, told) = mpsc::channel();
    let answer = collected("SN-3", None);
    let unlisted = terminal(move |mut stream| {
        let ask = <Ask>::read(&receive(&mut stream)).unwrap();
        std::io::Write::write_all(&mut stream, ask.answer(&answer).unwrap().bytes()).unwrap();
        sender.send(receive(&mut stream).message().unwrap()).unwrap();
    });
    let allowed = Some(vec![serial("SN-1"), serial("SN-2")]);
    let run = run(&[honest("SN-1"), unlisted], &CollectSettings { allowed, ..settings() });
    assert_eq!(run.collected.len(), 1);
    assert_eq!(run.missing, [serial("SN-2")]);
    assert!(matches!(run.failed[0].fault(), CollectFault::Unlisted { sn } if sn.as_str() == "SN-3"));
    let message = told.recv().unwrap();
    assert_eq!(ErrorMessage::read(&message.fields).known_code(), Some(ErrorCode::UnknownTerminal));
}

#[test]
fn ctk_pu_of_another_length_than_the_modulus_is_refused() {
    for found in [255, 257, 384] {
        let mut answer = collected("SN-1", None);
        answer.ctk_pu = vec![1; found];
        let failed = fault_of(&answering(answer));
        let expected = Reason::CtkPuLength { expected: 256, found };
        assert!(matches!(failed.fault(), CollectFault::Answer(reason) if *reason == expected), "{failed}");
    }
}

#[test]
fn terminals_error_is_shown_with_code_text_and_advice() {
    let frame = error_frame(ErrorCode::NotPermittedNow, "case open\x1B[2J");
    let failed = fault_of(&sending(frame.bytes().to_vec()));
    let CollectFault::Refused(message) = failed.fault() else { panic!("{failed}") };
    assert_eq!(message.known_code(), Some(ErrorCode::NotPermittedNow));
    let said = failed.to_string();
    assert!(
        said.contains("0008 not permitted now: case open") && said.contains("production or repair"),
        "{said}"
    );
    assert!(!said.contains('\x1B'), "{said:?}");

    let mut advice: Vec<_> = ErrorCode::ALL
        .iter()
        .map(|code| fault_of(&sending(error_frame(*code, "").bytes().to_vec())).fault().advice())
        .collect();
    advice.sort_unstable();
    advice.dedup();
    assert!(advice.len() > 4, "each common refusal has advice of its own: {advice:?}");
}

#[test]
fn another_message_than_collected_is_refused() {
    let frame = Frame::new(MessageType::Done, &Fields::new()).unwrap();
    let failed = fault_of(&sending(frame.bytes().to_vec()));
    let unexpected = |reason: &Reason| {
        matches!(reason, Reason::Protocol(ProtocolError::Unexpected { found: MessageType::Done, .. }))
    };
    assert!(matches!(failed.fault(), CollectFault::Answer(reason) if unexpected(reason)), "{failed}");
}

#[test]
fn address_that_stands_twice_is_asked_once() {
    let one = honest("SN-1");
    let run = run(&[one.clone(), one], &settings());
    assert_eq!(run.collected.len(), 1);
    assert!(matches!(run.failed[0].fault(), CollectFault::TargetTwice));
}

/// Takes a card out as soon as the first terminal is collected.
struct Taker<'a>(&'a Cards, &'static str);

impl Progress for Taker<'_> {
    fn collected(&self, _: &Target, _: &Device, _: &str) {
        self.0.remove(self.1);
    }
}

#[test]
fn nobody_is_asked_once_a_card_is_gone() {
    let (sender, asked) = mpsc::channel();
    let target = terminal(move |mut stream| sender.send(receive(&mut stream)).unwrap());
    let cards = Cards::good();
    let both = cards.open().unwrap();
    cards.remove("administrator.pem");
    let error =
        collect(&both, &ESTATE.work_certificate(), &[target], &settings(), journal(), &Quiet).unwrap_err();
    assert!(matches!(error, Error::CardMissing { .. }), "{error}");
    assert!(asked.try_recv().is_err());
}

#[test]
fn card_taken_out_in_the_middle_stops_the_rest() {
    for file in ["operator.pem", "administrator.pem"] {
        let cards = Cards::good();
        let targets: Vec<_> = (0..3).map(|n| honest(&format!("SN-{n}"))).collect();
        let settings = CollectSettings { parallel: 1, ..settings() };
        let both = cards.open().unwrap();
        let run =
            collect(&both, &ESTATE.work_certificate(), &targets, &settings, journal(), &Taker(&cards, file))
                .unwrap();
        assert_eq!(run.collected.len(), 1);
        let missing = |why: &Error| matches!(why, Error::CardMissing { card } if card.ends_with(file));
        let gone =
            |failed: &FailedTerminal| matches!(failed.fault(), CollectFault::Cards(why) if missing(why));
        assert!(run.failed.len() == 2 && run.failed.iter().all(gone), "{:?}", run.failed);
    }
}

/// Counts what it is told.
#[derive(Default)]
struct Told(Mutex<Vec<&'static str>>);

impl Told {
    fn add(&self, what: &'static str) {
        self.0.lock().unwrap().push(what);
    }
}

impl Progress for Told {
    fn started(&self, terminals: usize) {
        assert_eq!(terminals, 3);
        self.add("started");
    }
    fn asking(&self, _: &Target) {
        self.add("asking");
    }
    fn collected(&self, _: &Target, _: &Device, _: &str) {
        self.add("collected");
    }
    fn failed(&self, _: &FailedTerminal) {
        self.add("failed");
    }
    fn withdrawn(&self, _: &FailedTerminal) {
        self.add("withdrawn");
    }
    fn finished(&self) {
        self.add("finished");
    }
}

#[test]
fn progress_is_told_everything() {
    let told = Told::default();
    let targets = [honest("SN-1"), honest("SN-1"), sending(Vec::new())];
    let settings = CollectSettings { parallel: 1, ..settings() };
    collect(&BOTH.1, &ESTATE.work_certificate(), &targets, &settings, journal(), &told).unwrap();
    let told = told.0.into_inner().unwrap();
    let one_each = ["asking", "collected", "asking", "collected", "asking", "failed"];
    assert_eq!(told, [&["started"], one_each.as_slice(), &["withdrawn", "withdrawn", "finished"]].concat());
}

#[test]
fn run_of_too_many_terminals_is_refused_before_any_is_asked() {
    let target: Target = "127.0.0.1:1".parse().unwrap();
    let targets = vec![target; MAX_TERMINALS + 1];
    let cards = Cards::good();
    let error =
        collect(&cards.open().unwrap(), &ESTATE.work_certificate(), &targets, &settings(), journal(), &Quiet)
            .unwrap_err();
    assert!(matches!(error, Error::TooManyTerminals { max: MAX_TERMINALS, .. }), "{error}");
}

#[test]
fn work_certificate_of_a_kms_or_mtms_is_taken() {
    for role in [Role::KmsWork, Role::Mtms] {
        let work = WorkCertificate::check(ESTATE.work_leaf(role), &ESTATE.chain(), &ESTATE.checks()).unwrap();
        assert_eq!(work.modulus_bytes(), 256);
    }
}

#[test]
fn work_certificate_is_read_from_pem_with_its_chain() {
    let leaf = ESTATE.work_leaf(Role::KmsWork);
    let text = format!("{}{}{}", leaf.pem(), ESTATE.intermediate.pem(), ESTATE.root.pem());
    assert_eq!(WorkCertificate::from_pem(&text, &ESTATE.checks()).unwrap().certificate(), &leaf);
    for bad in ["", "no pem", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"] {
        let result = WorkCertificate::from_pem(bad, &ESTATE.checks());
        assert!(matches!(result, Err(Error::WorkCertificate(CertificateRefusal::Malformed(_)))), "{bad}");
    }
}

#[test]
fn work_certificate_of_any_other_role_is_refused() {
    for role in Role::SUITE_01 {
        if !matches!(role, Role::KmsWork | Role::Mtms) {
            let result = WorkCertificate::check(ESTATE.work_leaf(role), &ESTATE.chain(), &ESTATE.checks());
            let wrong = CertificateRefusal::WrongRole {
                subject: ESTATE.work_leaf(role).subject().to_string(),
                wanted: Role::KmsWork,
                found: role,
            };
            assert!(matches!(result, Err(Error::WorkCertificate(reason)) if reason == wrong));
        }
    }
}

#[test]
fn work_certificate_expired_revoked_or_foreign_is_refused() {
    let check = |leaf, checks: &Checks| match WorkCertificate::check(leaf, &ESTATE.chain(), checks) {
        Err(Error::WorkCertificate(reason)) => reason,
        other => panic!("{other:?}"),
    };
    let leaf = ESTATE.leaf(Role::KmsWork, "KMS work", &ESTATE.work, expired());
    assert!(matches!(check(leaf, &ESTATE.checks()), CertificateRefusal::Expired { .. }));

    let leaf = ESTATE.leaf(Role::KmsWork, "KMS work", &ESTATE.work, valid());
    let revoking = ESTATE.checks_revoking(&[&leaf]);
    assert!(matches!(check(leaf.clone(), &revoking), CertificateRefusal::Revoked { .. }));

    let mut foreign = ESTATE.checks();
    foreign.trust = pki::TrustList::new();
    assert!(matches!(check(leaf, &foreign), CertificateRefusal::UnknownRoot { .. }));
}
