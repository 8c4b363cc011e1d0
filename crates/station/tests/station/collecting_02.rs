//! Runs of suite 02: a ceremony's nonce out, the device's own signature back, both people's on the package.

use std::{fs, sync::mpsc};

use base64ct::{Base64, Encoding};
use flows::{
    EcAes,
    collect::{CeremonyNonce, CollectKey, Collected, SEALED_TK, terminal::Ask},
    suite::Part as _,
};
use keyferry_station::{
    Ceremony, CollectFault, CollectSettings, CollectionRun, Error, FailedTerminal, PackSettings, Package,
    Quiet, Server, Target, Upload, WorkCertificate, collect, upload,
};
use pki::{CertificateRefusal, Role, cms};
use serde_json::Value;
use wire::{ErrorCode, ErrorMessage, Fields, Frame, MessageType};

use crate::{
    estate::{ESTATE, expired, name},
    fake_server::{client, listen},
    fake_terminal::{honest, receive, serial, terminal},
    journals::{journal, journal_in},
    openssl::cms_verify,
    suite_02::{EC, EC_CARDS, Pad, STATION, ceremony, ceremony_answer, certify},
};

fn run(targets: &[Target]) -> CollectionRun<EcAes> {
    collect(&EC_CARDS.1, &EC.work(), targets, &CollectSettings::default(), journal(), &Quiet).unwrap()
}

fn settings() -> PackSettings {
    PackSettings { station: STATION.to_owned(), replaces: false }
}

/// The fault of the one bad terminal, beside a good one that must not be spoilt.
fn fault_of(bad: Target) -> FailedTerminal {
    let mut run = run(&[Pad::new("GOOD-1", None).listen(), bad]);
    assert_eq!(run.collected.len(), 1, "{:?}", run.failed);
    let failed = run.failed.remove(0);
    assert!(!failed.fault().advice().is_empty());
    failed
}

#[test]
fn a_terminal_gets_certificate_and_nonce_and_its_device_is_believed() {
    let (sender, asked) = mpsc::channel();
    let pad = Pad::new("SN-1", Some("PP-1"));
    let target = terminal(move |mut stream| {
        let collect = receive(&mut stream);
        std::io::Write::write_all(&mut stream, pad.answer(&collect).bytes()).unwrap();
        sender.send(collect).unwrap();
    });
    let work = EC.work();
    let run = collect(&EC_CARDS.1, &work, &[target], &CollectSettings::default(), journal(), &Quiet).unwrap();
    let asked = Ask::<EcAes>::read(&asked.recv().unwrap()).unwrap();
    assert_eq!(asked.suite(), wire::Suite::EC_AES);
    assert_eq!(asked.nonce(), &CeremonyNonce([0xCE; 32]));
    let CollectKey::Certificate { leaf, intermediates } = asked.key() else { panic!("{asked:?}") };
    assert_eq!((leaf.as_slice(), intermediates.len()), (work.certificate().der(), 0));

    let [collected] = run.collected.as_slice() else { panic!("{:?}", run.failed) };
    assert_eq!(collected.device().pin_pad(), &serial("PP-1"));
    assert_eq!(collected.ctk_pu().len(), SEALED_TK);
    assert_eq!(collected.fingerprint(), wire::fingerprint(&serial("SN-1"), collected.ctk_pu()));
    assert_eq!(collected.ceremony(), &ceremony());
}

#[test]
fn a_package_carries_the_ceremony_and_each_answer_and_both_signatures() {
    let run = run(&[Pad::new("SN-1", None).listen(), Pad::new("SN-2", Some("PP-2")).listen()]);
    let (cards, both) = &*EC_CARDS;
    let package = Package::sign(both, &run.collected, &settings()).unwrap();
    let opened = cms::open(package.cms()).unwrap();
    let roles = [Role::Operator, Role::Administrator];
    let checks = EC.checks();
    let policy = pki::Policy { family: pki::KeyFamily::P256, ..checks.policy };
    let [operator, administrator] = cms::verify_both(&opened, roles, |signer, role| {
        let now = crate::estate::now();
        policy.verify_chain(&signer.certificate, &[], &checks.trust, role, now, &checks.crls)
    })
    .unwrap();
    assert_eq!(
        (operator.certificate(), administrator.certificate()),
        (both.operator(), both.administrator())
    );

    let json: Value = serde_json::from_slice(&opened.content).unwrap();
    let payload = |place: usize| Base64::encode_string(run.collected[place].frame().payload());
    let work = run.collected[0].work_certificate_sha256();
    // The whole text, so that no field is added, renamed or moved unseen.
    let expected = format!(
        concat!(
            r#"{{"version":1,"station":"Counter 7","collected_at":{},"ceremony":"{}","terminals":["#,
            r#"{{"sn":"SN-1","vendor":"KF","model":"SIM-2","collected":"{}","work_certificate_sha256":"{}"}},"#,
            r#"{{"sn":"SN-2","pin_pad_sn":"PP-2","vendor":"KF","model":"SIM-2","collected":"{}","#,
            r#""work_certificate_sha256":"{}"}}]}}"#
        ),
        json["collected_at"],
        Base64::encode_string(&[0xCE; 32]),
        payload(0),
        work,
        payload(1),
        work
    );
    assert_eq!(String::from_utf8(opened.content).unwrap(), expected);

    let (path, root) = (cards.path("package.cms"), cards.path("ec-root.pem"));
    fs::write(&path, package.cms()).unwrap();
    fs::write(&root, EC.root.pem()).unwrap();
    cms_verify(&path, &root).unwrap();
}

#[test]
fn a_package_waits_in_the_journal_and_is_uploaded_with_its_fingerprints() {
    let run = run(&[Pad::new("SN-1", None).listen()]);
    let package = Package::sign(&EC_CARDS.1, &run.collected, &settings()).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let kept_in = journal_in(folder.path());
    let kept = kept_in.keep(&package).unwrap();
    let read = kept_in.package(&kept).unwrap();
    assert_eq!(read.terminals(), package.terminals());
    let fingerprint = run.collected[0].fingerprint();
    assert_eq!(read.terminals()[0].fingerprint, fingerprint);

    let answer = format!(r#"{{"results":[{{"sn":"SN-1","ok":true,"fingerprint":"{fingerprint}"}}]}}"#);
    let (url, requests) = listen(move |_| (200, answer.clone().into_bytes()));
    let taken = upload(&client(&url), &kept_in, &kept).unwrap();
    assert!(matches!(&taken, Upload::Taken(results) if results[0].ok && taken.alarms().count() == 0));
    assert_eq!(requests.recv().unwrap().body, package.cms());
}

/// `borrowed-certificate`: another terminal's device certificate with this serial, and the reverse.
#[test]
fn a_borrowed_certificate_is_refused_with_000d() {
    let lender = Pad::new("SN-2", None);
    let mut borrower = Pad::new("SN-1", None);
    borrower.certificate = lender.certificate.clone();
    let failed = fault_of(borrower.listen());
    assert!(
        matches!(failed.fault(), CollectFault::OtherDevice { expected, found }
            if *expected == serial("SN-1") && found == "SN-2"),
        "{failed}"
    );
    // With the lender's serial in the answer the certificate fits, and the borrower's key does not.
    let mut thief = Pad::new("SN-2", None);
    thief.certificate = lender.certificate.clone();
    assert!(matches!(fault_of(thief.listen()).fault(), CollectFault::DeviceSignature));
    // The certificate of the terminal where the PIN pad's is wanted.
    let mut external = Pad::new("SN-3", Some("PP-3"));
    external.certificate = certify("SN-3", &external.key, crate::estate::valid());
    assert!(matches!(fault_of(external.listen()).fault(), CollectFault::OtherDevice { .. }));
}

#[test]
fn a_device_certificate_expired_revoked_foreign_or_of_another_role_is_refused_and_told_so() {
    let pad = |change: &dyn Fn(&mut Pad)| {
        let mut pad = Pad::new("SN-1", None);
        change(&mut pad);
        fault_of(pad.listen())
    };
    let refused = |failed: &FailedTerminal, wanted: fn(&CertificateRefusal) -> bool| {
        let good = matches!(failed.fault(), CollectFault::DeviceCertificate(reason) if wanted(reason));
        assert!(good, "{failed}");
    };
    let failed = pad(&|pad| pad.certificate = certify("SN-1", &pad.key, expired()));
    refused(&failed, |reason| matches!(reason, CertificateRefusal::Expired { .. }));
    let failed = pad(&|pad| {
        let spki = pki::Signer::spki_der(&pad.key.signer);
        pad.certificate = EC.leaf(Role::Operator, &name("An operator"), spki, crate::estate::valid());
    });
    refused(&failed, |reason| matches!(reason, CertificateRefusal::WrongRole { .. }));
    let failed = pad(&|pad| pad.certificate = ESTATE.root.clone());
    refused(&failed, |reason| !matches!(reason, CertificateRefusal::Malformed(_)));

    let revoked = Pad::new("SN-1", None);
    let work = EC.work_checked_by(&EC.checks_revoking(&[&revoked.certificate]));
    let (sender, told) = mpsc::channel();
    let target = terminal(move |mut stream| {
        let collect = receive(&mut stream);
        std::io::Write::write_all(&mut stream, revoked.answer(&collect).bytes()).unwrap();
        sender.send(receive(&mut stream).message().unwrap()).unwrap();
    });
    let run = collect(&EC_CARDS.1, &work, &[target], &CollectSettings::default(), journal(), &Quiet).unwrap();
    refused(&run.failed[0], |reason| matches!(reason, CertificateRefusal::Revoked { .. }));
    let code = ErrorMessage::read(&told.recv().unwrap().fields).known_code();
    assert_eq!(code, Some(ErrorCode::CertificateRefused));
}

/// `substitute-tk`: everything that a tester between terminal and station could change.
#[test]
fn an_answer_changed_on_its_way_is_refused() {
    let changed = |change: fn(&mut Collected<EcAes>)| {
        let target = Pad::new("SN-1", None).listen_changing(move |frame| {
            let mut answer = Collected::<EcAes>::read(&frame).unwrap();
            change(&mut answer);
            answer.write().unwrap()
        });
        fault_of(target)
    };
    let changes: [fn(&mut Collected<EcAes>); 5] = [
        |answer| answer.ctk_pu[0] ^= 1,
        |answer| answer.maker.generation += 1,
        |answer| answer.maker.signature.0[7] ^= 1,
        |answer| answer.vendor = Some("XX".parse().unwrap()),
        |answer| answer.model = Some("OTHER".parse().unwrap()),
    ];
    for change in changes {
        let failed = changed(change);
        assert!(matches!(failed.fault(), CollectFault::DeviceSignature), "{failed}");
    }
}

/// `replay`: yesterday's answer, to yesterday's nonce, comes again today.
#[test]
fn an_answer_to_another_ceremony_or_certificate_is_refused() {
    let yesterday = {
        let (url, _requests) = listen(|_| (200, ceremony_answer(&[0xDA; 32], "2099-01-01T00:00:00Z")));
        Ceremony::ask(&client(&url), &EC_CARDS.1, STATION).unwrap()
    };
    let work: WorkCertificate<EcAes> =
        WorkCertificate::check_under(yesterday, EC.work_leaf(), &[], &EC.checks()).unwrap();
    let pad = Pad::new("SN-1", None);
    let (sender, recorded) = mpsc::channel();
    let target = terminal(move |mut stream| {
        let collect = receive(&mut stream);
        let answer = pad.answer(&collect);
        std::io::Write::write_all(&mut stream, answer.bytes()).unwrap();
        sender.send(answer).unwrap();
    });
    let run = collect(&EC_CARDS.1, &work, &[target], &CollectSettings::default(), journal(), &Quiet).unwrap();
    assert_eq!(run.collected.len(), 1);
    let old: Frame = recorded.recv().unwrap();
    let replayed = Pad::new("SN-1", None).listen_changing(move |_| old.clone());
    assert!(matches!(fault_of(replayed).fault(), CollectFault::DeviceSignature));
}

#[test]
fn one_device_key_under_two_serials_is_refused_for_both() {
    let one = Pad::new("SN-1", None);
    let certificate = certify("SN-2", &one.key, crate::estate::valid());
    let pem = one.key.pem.clone();
    let signer = custody::keyfile::open(&pem, "device-passphrase").unwrap();
    let device = wire::Device::built_in(serial("SN-2"));
    let two = Pad { key: crate::estate::Key { signer, pem }, certificate, device };
    let run = run(&[one.listen(), two.listen()]);
    assert!(run.collected.is_empty());
    let borrowed = |failed: &FailedTerminal| matches!(failed.fault(), CollectFault::SameDeviceKey { .. });
    assert!(run.failed.len() == 2 && run.failed.iter().all(borrowed), "{:?}", run.failed);
}

/// `downgrade`: a terminal that answers in suite 01 where suite 02 was asked.
#[test]
fn an_answer_of_suite_01_is_refused() {
    let one: Frame = crate::fake_terminal::collected("SN-1", None).write().unwrap();
    let target = terminal(move |mut stream| {
        receive(&mut stream);
        let _ = std::io::Write::write_all(&mut stream, one.bytes());
    });
    let failed = fault_of(target);
    assert!(matches!(failed.fault(), CollectFault::Answer(_)), "{failed}");
    // A fake of suite 01 does not even understand the question: DF14 is not in it, and the fields are ordered.
    assert_eq!(run(&[honest("SN-9")]).collected.len(), 0);
    let mut fields = Fields::new();
    CeremonyNonce([1; 32]).push(&mut fields).unwrap();
    let bare = Frame::new(MessageType::Collect, &fields).unwrap();
    assert!(Ask::<EcAes>::read(&bare).is_err());
}

#[test]
fn a_work_certificate_is_of_the_runs_suite() {
    let rsa = WorkCertificate::<EcAes>::check_under(
        ceremony(),
        ESTATE.work_leaf(Role::KmsWork),
        &ESTATE.chain(),
        &ESTATE.checks(),
    );
    let weak = |error: &Error| matches!(error, Error::WorkCertificate(CertificateRefusal::WeakKey { .. }));
    assert!(weak(&rsa.unwrap_err()));
    assert!(weak(&WorkCertificate::check(EC.work_leaf(), &[], &EC.checks()).unwrap_err()));
}

#[test]
fn an_mtms_collects_under_its_certificate_for_key_agreement_alone() {
    let root = EC.issuer();
    let (subject, spki) = (name("MTMS"), EC.work_leaf().spki_der().to_vec());
    let valid = crate::estate::valid();
    let agreement = pki::issue::agreement_leaf(&root, Role::Mtms, &subject, &spki, valid).unwrap();
    WorkCertificate::<EcAes>::check_under(ceremony(), agreement, &[], &EC.checks()).unwrap();
    let signing = pki::issue::leaf(&root, Role::Mtms, &subject, &spki, valid).unwrap();
    let refused = WorkCertificate::<EcAes>::check_under(ceremony(), signing, &[], &EC.checks());
    let usage = |error: &Error| matches!(error, Error::WorkCertificate(CertificateRefusal::KeyUsage { .. }));
    assert!(usage(&refused.unwrap_err()));
}

#[test]
fn a_package_is_of_one_ceremony_and_of_its_own_station() {
    let first = run(&[Pad::new("SN-1", None).listen()]);
    let sign = |terminals: &[_], station: &str| {
        let settings = PackSettings { station: station.to_owned(), replaces: false };
        Package::sign(&EC_CARDS.1, terminals, &settings)
    };
    let other = sign(&first.collected, "Counter 8").unwrap_err();
    assert!(matches!(other, Error::CeremonyOfOtherStation { station } if station == STATION));
    let second = {
        let (url, _requests) = listen(|_| (200, ceremony_answer(&[8; 32], "2099-01-01T00:00:00Z")));
        let ceremony = Ceremony::ask(&client(&url), &EC_CARDS.1, STATION).unwrap();
        let work = WorkCertificate::check_under(ceremony, EC.work_leaf(), &[], &EC.checks()).unwrap();
        let targets = [Pad::new("SN-2", None).listen()];
        collect(&EC_CARDS.1, &work, &targets, &CollectSettings::default(), journal(), &Quiet).unwrap()
    };
    let both: Vec<_> = first.collected.iter().chain(&second.collected).cloned().collect();
    assert!(matches!(sign(&both, STATION), Err(Error::CeremonyMixed)));
    assert!(matches!(sign(&[], STATION), Err(Error::NothingCollected)));
    sign(&first.collected, STATION).unwrap();
}

#[test]
fn r12_nothing_is_signed_by_one_card_alone() {
    let (cards, both) = EC.cards();
    let run = run(&[Pad::new("SN-1", None).listen()]);
    cards.remove("administrator.pem");
    let error = Package::sign(&both, &run.collected, &settings()).unwrap_err();
    assert!(matches!(error, Error::CardMissing { .. }), "{error}");
}

#[test]
fn the_kms_gives_the_certificate_of_the_suite() {
    let pem = EC.work_leaf().pem();
    let (url, requests) = listen(move |_| (200, pem.clone().into_bytes()));
    let server: Server = client(&url);
    WorkCertificate::<EcAes>::fetch_under(ceremony(), &server, &[], &EC.checks()).unwrap();
    let request = requests.recv().unwrap();
    assert!(request.head.starts_with("get /v1/work-certificate?suite=2 http/1.1"), "{}", request.head);
}
