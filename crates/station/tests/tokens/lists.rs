//! Revocation lists in a run: fetched again, and held to their greatest age.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::Duration;

use keyferry_station::{
    Checks, CollectFault, CollectSettings, CollectionRun, Error, FreshLists, Quiet, RevocationFile, collect,
};
use pki::{CertificateRefusal, Role, TrustList};

use crate::estate::{ESTATE, now};
use crate::fake_server::{client, listen};
use crate::fake_terminal::{receive, terminal};
use crate::journals::journal;
use crate::{Readers, alone};

const SOON: Duration = Duration::from_millis(50);

fn trust() -> TrustList {
    let mut trust = TrustList::new();
    trust.add(ESTATE.root.clone(), &Role::ALL);
    trust
}

/// Both CAs' lists as the server gives them; these are revoked.
fn lists(number: u64, revoked: &[&pki::Certificate]) -> String {
    let root = ESTATE.checks().crls.iter().find(|crl| crl.issuer() == ESTATE.root.subject()).unwrap().pem();
    format!("{}{root}", ESTATE.crl(number, revoked).pem())
}

/// Runs against one terminal that never answers; what is done happens once it was asked.
fn run_until(both: &keyferry_station::BothCards, act: impl FnOnce()) -> CollectionRun {
    let (asked, askings) = mpsc::channel();
    let target = terminal(move |mut stream| {
        receive(&mut stream);
        asked.send(()).unwrap();
        let _ = std::io::Read::read_to_end(&mut stream, &mut Vec::new());
    });
    let work = ESTATE.work_certificate();
    let settings = CollectSettings::default();
    thread::scope(|scope| {
        let run = scope.spawn(|| collect(both, &work, &[target], &settings, journal(), &Quiet));
        askings.recv().unwrap();
        act();
        run.join().unwrap().unwrap()
    })
}

fn why(run: &CollectionRun) -> &Error {
    let [failed] = run.failed.as_slice() else { panic!("{:?}", run.failed) };
    let CollectFault::CardsDuring(why) = failed.fault() else { panic!("{failed}") };
    why
}

#[test]
fn r35_a_card_that_is_revoked_during_a_run_ends_it() {
    alone(|tokens| {
        let readers = Readers::good(tokens);
        let revoked = readers.operator.certificate.clone();
        let lost = Arc::new(AtomicBool::new(false));
        let reported = Arc::clone(&lost);
        let (url, _requests) = listen(move |_| {
            let lists = if reported.load(Ordering::SeqCst) { lists(2, &[&revoked]) } else { lists(1, &[]) };
            (200, lists.into_bytes())
        });
        let file = RevocationFile::new(&tokens.folder().join("crl"), RevocationFile::DEFAULT_MAX_AGE);
        let fresh = FreshLists::start(file, Some(client(&url)), SOON).unwrap();
        let both = readers.open_with(&Checks::kept_fresh(trust(), fresh)).unwrap();
        let run = run_until(&both, || lost.store(true, Ordering::SeqCst));
        let why = why(&run);
        assert!(
            matches!(
                why,
                Error::CardRefused { role: Role::Operator, reason: CertificateRefusal::Revoked { .. }, .. }
            ),
            "{why}"
        );
    });
}

/// Somebody who answers in the server's place with an older list hides a revocation.
#[test]
fn r35_a_list_that_goes_back_during_a_run_ends_it() {
    alone(|tokens| {
        let readers = Readers::good(tokens);
        let number = Arc::new(Mutex::new(5));
        let told = Arc::clone(&number);
        let (url, _requests) = listen(move |_| (200, lists(*told.lock().unwrap(), &[]).into_bytes()));
        let file = RevocationFile::new(&tokens.folder().join("crl"), RevocationFile::DEFAULT_MAX_AGE);
        let fresh = FreshLists::start(file, Some(client(&url)), SOON).unwrap();
        let both = readers.open_with(&Checks::kept_fresh(trust(), fresh)).unwrap();
        let run = run_until(&both, || *number.lock().unwrap() = 4);
        let why = why(&run);
        assert!(matches!(why, Error::CrlRefused { why } if why.contains("number 4")), "{why}");
    });
}

/// A station without a line goes on until its list is too old, and no longer.
#[test]
fn r35_a_list_that_grows_too_old_during_a_run_ends_it() {
    alone(|tokens| {
        let readers = Readers::good(tokens);
        let path = tokens.folder().join("crl");
        let (url, _requests) = listen(|_| (200, lists(1, &[]).into_bytes()));
        RevocationFile::new(&path, RevocationFile::DEFAULT_MAX_AGE).fetch(&client(&url)).unwrap();
        // Fetched an hour and a bit less ago, by what the file says.
        let text = std::fs::read_to_string(&path).unwrap();
        let (_, pem) = text.split_once('\n').unwrap();
        let age = |seconds: i64| {
            let at = time::OffsetDateTime::from_unix_timestamp(now() - seconds).unwrap();
            let at = at.format(&time::format_description::well_known::Rfc3339).unwrap();
            std::fs::write(&path, format!("# fetched {at}\n{pem}")).unwrap();
        };
        age(3000);
        let file = RevocationFile::new(&path, Duration::from_secs(3600));
        let away = client("https://127.0.0.1:1");
        let fresh = FreshLists::start(file, Some(away), SOON).unwrap();
        let both = readers.open_with(&Checks::kept_fresh(trust(), fresh)).unwrap();
        let run = run_until(&both, || age(3700));
        let why = why(&run);
        assert!(matches!(why, Error::CrlTooOld { max_hours: 1, .. }), "{why}");
        // And nothing is opened by it.
        let stale = FreshLists::start(
            RevocationFile::new(&path, Duration::from_secs(3600)),
            Some(client("https://127.0.0.1:1")),
            SOON,
        );
        assert!(matches!(stale, Err(Error::CrlTooOld { .. })));
    });
}

#[test]
fn a_list_that_another_program_brought_counts_at_once() {
    alone(|tokens| {
        let readers = Readers::good(tokens);
        let path = tokens.folder().join("crl");
        let file = || RevocationFile::new(&path, RevocationFile::DEFAULT_MAX_AGE);
        file().take(lists(1, &[]).as_bytes()).unwrap();
        let fresh = FreshLists::start(file(), None, FreshLists::REFETCH).unwrap();
        let both = readers.open_with(&Checks::kept_fresh(trust(), fresh)).unwrap();
        both.check().unwrap();
        file().take(lists(2, &[&readers.administrator.certificate]).as_bytes()).unwrap();
        let error = both.check().unwrap_err();
        assert!(
            matches!(
                &error,
                Error::CardRefused {
                    role: Role::Administrator,
                    reason: CertificateRefusal::Revoked { .. },
                    ..
                }
            ),
            "{error}"
        );
    });
}

#[test]
fn no_list_at_all_opens_nothing() {
    alone(|tokens| {
        let file = RevocationFile::new(&tokens.folder().join("crl"), RevocationFile::DEFAULT_MAX_AGE);
        let none = FreshLists::start(file, Some(client("https://127.0.0.1:1")), FreshLists::REFETCH);
        assert!(matches!(&none, Err(Error::CrlNotFetched { .. })), "{none:?}");
        let file = RevocationFile::new(&tokens.folder().join("crl"), RevocationFile::DEFAULT_MAX_AGE);
        let none = FreshLists::start(file, None, FreshLists::REFETCH);
        assert!(matches!(&none, Err(Error::CrlMissing { .. })), "{none:?}");
    });
}
