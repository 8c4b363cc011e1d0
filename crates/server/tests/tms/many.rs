//! Many terminals at once.

use std::thread;

use crate::support::{line::connect, shop::Shop, tms::Pos};

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
