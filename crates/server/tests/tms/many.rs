//! Many terminals at once.

use std::{
    net::TcpListener,
    thread,
    time::{Duration, Instant},
};

use serde_json::json;
use store::{NewPackage, PackageOutcome, StoredSignature, TmsStore, Vendor};

use crate::support::{
    line::connect,
    shop::{Shop, event},
    tms::{Pos, Stop},
};

/// Fewer answers may be sealed at once than there are terminals: all the same each gets its file.
#[test]
fn terminals_that_load_at_once_share_the_server() {
    const APP: (&str, &str) = ("pay-app", "1.2.0");
    let all: Vec<_> = (0..40).map(|n| Pos::new(&format!("SN-{n}"))).collect();
    let shop = Shop::with(&all.iter().collect::<Vec<_>>(), "answers_at_once = 2");
    let bytes: Vec<u8> = (0..100_000_u32).map(|n| (n % 253) as u8).collect();
    let deployment = shop.roll_out(APP.0, APP.1, &bytes);
    thread::scope(|scope| {
        for pos in &all {
            let (server, bytes) = (shop.server.terminals, &bytes);
            scope.spawn(move || {
                let mut line = connect(server);
                let mut session = pos.open(&mut line).unwrap();
                assert_eq!(session.inventory(&mut line, &[]).unwrap().0.len(), 1);
                let mut got = Vec::new();
                while got.len() < bytes.len() {
                    got.extend(session.get(&mut line, APP, got.len() as u64, 32_768).unwrap());
                }
                assert!(got == *bytes);
                session.report(&mut line, &[APP], 0, &[]).unwrap();
            });
        }
    });
    let counts = shop.get_deployment(deployment).counts;
    assert_eq!((counts.offered, counts.installed, counts.failed), (40, 40, 0));
    shop.world.assert_audit_good();
}

/// A vendor whose repository takes connections and says nothing.
#[test]
fn a_silent_repository_holds_up_its_own_vendors_terminals_only() {
    const APP: (&str, &str) = ("pay-app", "1.2.0");
    let mine: Vec<_> = (0..4).map(|n| Pos::new(&format!("SN-{n}"))).collect();
    let theirs: Vec<_> =
        (0..12).map(|n| Pos { vendor: "SLOW".into(), ..Pos::new(&format!("SLOW-{n}")) }).collect();
    let shop = Shop::with(&mine.iter().chain(&theirs).collect::<Vec<_>>(), "answers_at_once = 2");
    shop.roll_out(APP.0, APP.1, &[7; 50_000]);
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    slow_vendor(&shop, &silent, APP);
    let server = shop.server.terminals;
    thread::scope(|scope| {
        let waiting: Vec<_> = theirs
            .iter()
            .map(|pos| {
                let mut line = connect(server);
                let mut session = pos.open(&mut line).unwrap();
                assert_eq!(session.inventory(&mut line, &[]).unwrap().0.len(), 1);
                scope.spawn(move || session.get(&mut line, APP, 0, 10))
            })
            .collect();
        for pos in &mine {
            let mut line = connect(server);
            let mut session = pos.open(&mut line).unwrap();
            session.inventory(&mut line, &[]).unwrap();
            assert_eq!(session.get(&mut line, APP, 0, 10).unwrap(), [7; 10]);
        }
        // They waited all the while; now their connections break.
        assert!(waiting.iter().all(|waiting| !waiting.is_finished()));
        drop(silent);
        for waiting in waiting {
            let got = waiting.join().unwrap();
            assert!(matches!(got, Err(Stop::Sealed(0x000B, _))), "{got:?}");
        }
    });
}

/// Terminals that ask at once wait without their pieces in memory: no more are read at once than answers are made.
#[test]
fn no_more_pieces_are_read_at_once_than_answers_are_made() {
    assert_eq!([2, 5].map(read_at_once), [2, 5]);
}

/// How many requests reach a silent repository when eight terminals ask for a file each.
fn read_at_once(answers_at_once: usize) -> usize {
    const VERSION: &str = "1.2.0";
    let all: Vec<_> = (0..8).map(|n| Pos { vendor: "SLOW".into(), ..Pos::new(&format!("SN-{n}")) }).collect();
    let shop = Shop::with(&all.iter().collect::<Vec<_>>(), &format!("answers_at_once = {answers_at_once}"));
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    silent.set_nonblocking(true).unwrap();
    for pos in &all {
        slow_vendor(&shop, &silent, (&pos.sn, VERSION));
    }
    let server = shop.server.terminals;
    let mut asked = Vec::new();
    thread::scope(|scope| {
        for pos in &all {
            let mut line = connect(server);
            let mut session = pos.open(&mut line).unwrap();
            assert_eq!(session.inventory(&mut line, &[]).unwrap().0.len(), all.len());
            scope.spawn(move || assert!(session.get(&mut line, (&pos.sn, VERSION), 0, 10).is_err()));
        }
        // Those that are not to come would have come by then.
        let until = Instant::now() + Duration::from_secs(2);
        while Instant::now() < until {
            asked.extend(silent.accept().map(|(stream, _)| stream));
            thread::sleep(Duration::from_millis(20));
        }
        let count = asked.len();
        drop((silent, asked));
        count
    })
}

/// A vendor `SLOW` with one package more, of a repository that says nothing.
fn slow_vendor(shop: &Shop, silent: &TcpListener, (name, version): (&str, &str)) {
    let url = format!("http://{}/", silent.local_addr().unwrap());
    let repository =
        json!({ "kind": "http", "url": url, "timeout_seconds": 15, "requests_at_once": 8 }).to_string();
    let vendor = shop.maker.vendor(&shop.files());
    shop.put_vendor(Vendor { id: "SLOW".into(), repository, ..vendor });
    let signature = StoredSignature { certificate: vec![1], intermediates: vec![], signature: vec![1] };
    let package = NewPackage {
        vendor: "SLOW".into(),
        name: name.into(),
        version: version.into(),
        kind: 1,
        models: vec![],
        size: 100,
        sha256: [0; 32],
        signature,
        approval: None,
        requires: vec![],
        path: format!("{name}.bin"),
    };
    let put = shop.server.block_on(shop.server.store.put_package(package, event("package"))).unwrap();
    let PackageOutcome::Stored(package) = put else { panic!("{put:?}") };
    shop.deploy(store::NewDeployment { vendor: "SLOW".into(), ..shop.deployment(package) });
}
