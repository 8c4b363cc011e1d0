//! Packages that are not what they say, for a terminal of either suite.

use terminal::{
    Link, Terminal,
    area::Areas,
    tms::{UpdateOptions, update},
};

use crate::support::shop::Shop;

/// Attack 18, what is sent: an old version of a package, and a name or a version put on other bytes.
pub(crate) fn old_or_renamed(shop: &Shop, terminal: &mut Terminal) {
    let mut areas = Areas::in_memory().unwrap();
    let mut updated = || {
        let server = shop.server.terminals;
        let mut link = || -> std::io::Result<_> { Ok(Link::new(terminal::connect(server)?)) };
        let updated = update(terminal, &mut areas, &mut link, UpdateOptions::default()).unwrap();
        let refused: Vec<_> = updated.refused.iter().map(|(_, why)| why.code().to_owned()).collect();
        (updated.installed.len(), refused)
    };
    shop.roll_out("pay-app", "2.0.0", b"a new one");
    assert_eq!(updated(), (1, vec![]));
    shop.roll_out("pay-app", "1.9.0", b"an old one");
    assert_eq!(updated().0, 0, "not an old version");

    let sql = shop.world.sql();
    sql.execute("DROP TRIGGER packages_keep_their_content", []).unwrap();
    for (column, name) in [("name", "renamed"), ("version", "another")] {
        shop.roll_out(name, "3.0.0", b"other bytes");
        let to = if column == "name" { "pay-app" } else { "9.9.9" };
        let set = format!("UPDATE packages SET {column} = ?1 WHERE name = ?2 AND version = '3.0.0'");
        assert_eq!(sql.execute(&set, [to, name]).unwrap(), 1);
        let (installed, refused) = updated();
        assert_eq!((installed, refused), (0, vec!["signature".to_owned()]), "{column}");
        sql.execute("UPDATE deployments SET state = 'stopped'", []).unwrap();
    }
}
