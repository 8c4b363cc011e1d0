//! Suite 02 for who is known in suite 01.

use crate::support::{
    kms_ec::{self, Ec},
    line::{End, connect},
    raw::Raw,
    world::{Options, World},
};

/// Attack 20, the reverse: whoever speaks suite 02 with a serial that is known in suite 01 is a stranger, and the terminal
/// goes on in suite 01. It moves up when it is collected in suite 02, not because somebody says so.
#[test]
fn downgrade() {
    let world = World::new();
    let server = world.start(&Options { suite_02: true, ..Options::default() });
    kms_ec::install(&server);
    let terminal = Raw::new("SN-1");
    server.collect(&[&terminal]);
    terminal.download(server.terminals, 0).unwrap();
    let records = || {
        let sql = world.sql();
        let mut rows =
            sql.prepare("SELECT key, suite FROM key_suites WHERE sn = 'SN-1' ORDER BY key").unwrap();
        let found = rows.query_map([], |row| Ok((row.get::<_, String>(0)?, row.get::<_, i64>(1)?))).unwrap();
        found.map(Result::unwrap).collect::<Vec<_>>()
    };
    let before = records();
    assert!(before.iter().all(|(_, suite)| *suite == 1), "{before:?}");
    let higher = Ec::new("SN-1");
    let mut line = connect(server.terminals);
    let asked = higher.ask(&mut line, 0).unwrap();
    assert!(!asked.proven);
    let mac_t = asked.mac_t();
    assert_eq!(higher.receive(&mut line, asked, &mac_t).map(drop), Err(End::Code(0x0006)));
    assert_eq!(records(), before);
    terminal.download(server.terminals, 0).unwrap();
    world.assert_audit_good();
}
