//! Uploading, over real TLS.

use keyferry_station::{
    Error, FingerprintCheck, Package, RevocationFile, Server, ServerSettings, Upload, WorkCertificate,
    journal::{JournalError, Outcome},
    upload, upload_waiting,
};

use pki::Role;

use crate::{
    estate::{DAY, ESTATE, Key, name, now},
    fake_server::{answering, client, listen},
    journals::journal_in,
    keeping::{package, package_that},
};

/// A body of results, all good.
fn good(package: &Package) -> Vec<u8> {
    let line = |packed: &keyferry_station::Packed| {
        format!(
            r#"{{"sn":"{}","ok":true,"code":"stored","text":"","fingerprint":"{}"}}"#,
            packed.device.sn(),
            packed.fingerprint
        )
    };
    let lines: Vec<_> = package.terminals().iter().map(line).collect();
    format!(r#"{{"results":[{}]}}"#, lines.join(",")).into_bytes()
}

/// What becomes of one package under this answer, and whether it still waits.
fn outcome(status: u16, body: &[u8]) -> (Result<Upload, Error>, bool) {
    let folder = tempfile::tempdir().unwrap();
    let journal = journal_in(folder.path());
    let kept = journal.keep(&package()).unwrap();
    let (server, _requests) = answering(status, body);
    let result = upload(&server, &journal, &kept);
    (result, !journal.waiting().is_empty())
}

#[test]
fn package_is_uploaded_marked_and_its_fingerprints_compared() {
    let folder = tempfile::tempdir().unwrap();
    let journal = journal_in(folder.path());
    let package = package();
    let kept = journal.keep(&package).unwrap();
    let answer = good(&package);
    let (server, requests) = answering(200, &answer);

    let result = upload(&server, &journal, &kept).unwrap();
    let request = requests.recv().unwrap();
    assert!(request.head.starts_with("post /v1/collections http/1.1"), "{}", request.head);
    assert!(request.head.contains("content-type: application/cms\r\n"), "{}", request.head);
    assert_eq!(request.body, package.cms());
    assert_eq!(result.alarms().count(), 0);
    let Upload::Taken(results) = result else { panic!("{result:?}") };
    assert!(
        results.iter().all(|result| result.ok && matches!(result.fingerprint, FingerprintCheck::Same(_)))
    );
    let answered = journal.answered();
    assert_eq!((answered.len(), answered[0].package.name), (1, kept));
    assert_eq!(answered[0].outcome, Outcome::Taken { refused: 0, alarms: 0 });
    // What it said is there for good, and the package is never uploaded again.
    drop(journal);
    let journal = journal_in(folder.path());
    assert_eq!(upload(&server, &journal, &kept).unwrap(), Upload::Taken(results));
    assert!(upload_waiting(&server, &journal).is_empty());
    assert!(requests.try_recv().is_err());
}

#[test]
fn alarms_and_refusals_of_an_answer_are_counted_in_the_journal() {
    let folder = tempfile::tempdir().unwrap();
    let journal = journal_in(folder.path());
    let package = package();
    let kept = journal.keep(&package).unwrap();
    let lines: Vec<_> = package
        .terminals()
        .iter()
        .map(|packed| {
            format!(r#"{{"sn":"{}","ok":{}}}"#, packed.device.sn(), packed.device.sn().as_str() == "SN-1")
        })
        .collect();
    let (server, _requests) = answering(200, format!(r#"{{"results":[{}]}}"#, lines.join(",")).as_bytes());
    upload(&server, &journal, &kept).unwrap();
    assert_eq!(journal.answered()[0].outcome, Outcome::Taken { refused: 1, alarms: 1 });
}

#[test]
fn two_threads_upload_a_package_once() {
    let folder = tempfile::tempdir().unwrap();
    let journal = journal_in(folder.path());
    let package = package();
    let kept = journal.keep(&package).unwrap();
    let (server, requests) = answering(200, &good(&package));
    std::thread::scope(|scope| {
        let upload = || assert!(matches!(upload(&server, &journal, &kept), Ok(Upload::Taken(_))));
        (0..4)
            .map(|_| scope.spawn(upload))
            .collect::<Vec<_>>()
            .into_iter()
            .for_each(|one| one.join().unwrap());
    });
    assert_eq!(requests.try_iter().count(), 1);
}

/// The server took the package, and the station had no room for its answer: it is asked again and says 409.
#[test]
fn an_answer_that_cannot_be_kept_leaves_the_package_waiting() {
    let folder = tempfile::tempdir().unwrap();
    let Some(disk) = crate::disk::Disk::mount(&folder.path().join("disk"), "256k") else { return };
    let journal = journal_in(&disk.path().join("journal"));
    let package = package();
    let kept = journal.keep(&package).unwrap();
    let filler = disk.fill();
    let mut body = good(&package);
    body.extend(vec![b' '; 100_000]);
    let (server, requests) = answering(200, &body);
    let refused = upload(&server, &journal, &kept);
    assert!(matches!(refused, Err(Error::Journal(JournalError::Write { .. }))), "{refused:?}");
    assert_eq!((journal.waiting().len(), requests.try_iter().count()), (1, 1));
    std::fs::remove_file(filler).unwrap();
    let (server, _requests) = answering(409, b"");
    assert_eq!(upload(&server, &journal, &kept).unwrap(), Upload::ArrivedBefore);
    drop(journal);
    let journal = journal_in(&disk.path().join("journal"));
    assert!(journal.waiting().is_empty());
    journal.check().unwrap();
}

#[test]
fn arrived_before_counts_as_sent() {
    let (result, waits) = outcome(409, b"");
    assert!(matches!(result, Ok(Upload::ArrivedBefore)) && !waits);
}

#[test]
fn every_refusal_has_its_name_and_leaves_the_package_waiting() {
    let (result, waits) = outcome(403, b"operator card revoked\x1B[2J");
    let error = result.unwrap_err();
    assert!(
        matches!(&error, Error::Forbidden { text } if text == "operator card revoked [2J") && waits,
        "{error}"
    );
    let (result, _) = outcome(403, br#"{"error":{"code":"card-revoked","text":"the card was revoked"}}"#);
    assert!(matches!(result, Err(Error::Forbidden { text }) if text == "the card was revoked"));
    assert!(matches!(outcome(413, b""), (Err(Error::TooLarge), true)));
    assert!(matches!(outcome(429, b""), (Err(Error::ServerBusy { status: 429 }), true)));
    assert!(matches!(outcome(503, b""), (Err(Error::ServerBusy { status: 503 }), true)));
    for status in [201, 204, 301, 400, 404, 500] {
        let (result, waits) = outcome(status, b"");
        assert!(matches!(result, Err(Error::ServerStatus { status: found, .. }) if found == status) && waits);
    }
    // A long text of an error does not hide the error.
    assert!(matches!(outcome(403, &vec![b'x'; 100_000]), (Err(Error::Forbidden { .. }), true)));
}

#[test]
fn answer_that_cannot_be_read_or_does_not_fit_leaves_the_package_waiting() {
    let (result, waits) = outcome(200, b"<html>");
    assert!(matches!(result, Err(Error::AnswerMalformed { .. })) && waits);
    let (result, waits) = outcome(200, br#"{"results":[]}"#);
    assert!(matches!(result, Err(Error::AnswerDoesNotFit { .. })) && waits);
    let (result, waits) = outcome(200, &vec![b' '; 9 * 1024 * 1024]);
    assert!(matches!(result, Err(Error::AnswerTooLong { .. })) && waits);
}

#[test]
fn server_under_another_ca_is_not_trusted_and_gets_nothing() {
    let (url, requests) = listen(|_| (200, Vec::new()));
    let key = Key::new("another root");
    let validity = pki::issue::Validity { not_before: now() - DAY, not_after: now() + DAY };
    let other = pki::issue::root(&name("Another root"), &key.signer, validity, 0).unwrap();
    let server = Server::new(&ServerSettings::new(url.as_str(), other.pem())).unwrap();

    let folder = tempfile::tempdir().unwrap();
    let journal = journal_in(folder.path());
    journal.keep(&package()).unwrap();
    let mut deliveries = upload_waiting(&server, &journal);
    let error = deliveries.remove(0).outcome.unwrap_err();
    assert!(matches!(error, Error::ServerNotTrusted { .. }), "{error}");
    assert!(requests.try_recv().is_err());
    assert_eq!(journal.waiting().len(), 1);

    // The certificate is for 127.0.0.1, not for a name.
    let server = client(&url.replace("127.0.0.1", "localhost"));
    let error = upload_waiting(&server, &journal).remove(0).outcome.unwrap_err();
    assert!(matches!(error, Error::ServerNotTrusted { .. }), "{error}");
}

#[test]
fn server_that_is_away_leaves_all_waiting_and_is_asked_once() {
    let address = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let server = client(&format!("https://{address}"));
    let folder = tempfile::tempdir().unwrap();
    let journal = journal_in(folder.path());
    journal.keep(&package_that(false)).unwrap();
    journal.keep(&package_that(true)).unwrap();
    let deliveries = upload_waiting(&server, &journal);
    assert_eq!(deliveries.len(), 1);
    assert!(matches!(deliveries[0].outcome, Err(Error::ServerUnreachable { .. })));
    assert_eq!(journal.waiting().len(), 2);
}

#[test]
fn addresses_and_ca_files_that_are_none_are_refused() {
    let new = |url: &str, ca: &str| {
        Server::new(&ServerSettings::new(url, ca)).map(|server| server.url().to_owned())
    };
    let root = ESTATE.root.pem();
    assert_eq!(new("https://kms.example:8443/", &root).unwrap(), "https://kms.example:8443");
    for url in [
        "",
        "kms.example",
        "http://kms.example",
        "https://a@kms.example",
        "https://kms.example/v1",
        "https://kms.example/?a",
    ] {
        assert!(matches!(new(url, &root), Err(Error::ServerAddress { .. })), "{url}");
    }
    for ca in ["", "no pem", ESTATE.operator.pem.as_str()] {
        assert!(matches!(new("https://kms.example", ca), Err(Error::ServerCa { .. })));
    }
}

#[test]
fn revocation_lists_are_fetched_kept_and_never_go_back() {
    let folder = tempfile::tempdir().unwrap();
    let file = RevocationFile::new(&folder.path().join("crl.pem"), RevocationFile::DEFAULT_MAX_AGE);
    assert!(matches!(file.load(), Err(Error::CrlMissing { .. })));

    let fetch = |status, body: &[u8]| file.fetch(&answering(status, body).0);
    fetch(200, ESTATE.crl(5, &[]).pem().as_bytes()).unwrap();
    assert_eq!(file.load().unwrap().iter().next().unwrap().number(), 5);
    fetch(200, ESTATE.crl(6, &[]).der()).unwrap();
    let error = fetch(200, ESTATE.crl(5, &[]).pem().as_bytes()).unwrap_err();
    assert!(matches!(error, Error::CrlWentBack { known: 6, found: 5, .. }), "{error}");
    assert!(matches!(fetch(200, b"no list"), Err(Error::CrlMalformed { .. })));
    assert!(matches!(fetch(200, b""), Err(Error::CrlNotAtServer)));
    assert!(matches!(fetch(404, b""), Err(Error::ServerStatus { status: 404, .. })));
    assert_eq!(file.load().unwrap().iter().next().unwrap().number(), 6);
}

#[test]
fn work_certificate_from_the_server_is_checked_like_any_other() {
    let fetch = |status, body: &str| {
        WorkCertificate::fetch(&answering(status, body.as_bytes()).0, &ESTATE.chain(), &ESTATE.checks())
    };
    let leaf = ESTATE.work_leaf(Role::KmsWork);
    assert_eq!(fetch(200, &leaf.pem()).unwrap().certificate(), &leaf);
    let with_chain = format!("{}{}", leaf.pem(), ESTATE.intermediate.pem());
    assert_eq!(fetch(200, &with_chain).unwrap().certificate(), &leaf);
    let operator = ESTATE.work_leaf(Role::Operator).pem();
    for bad in ["", "no pem", operator.as_str()] {
        assert!(matches!(fetch(200, bad), Err(Error::WorkCertificate(_))), "{bad}");
    }
    assert!(matches!(fetch(404, ""), Err(Error::ServerStatus { status: 404, .. })));
}
