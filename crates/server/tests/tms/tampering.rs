//! A database changed by hand, and a terminal that is not believed any more in the middle of a handshake: neither gives
//! out a session or a key.

use crate::{
    operators::enrol,
    support::{
        line::connect,
        shop::Shop,
        tms::{Pos, Stop},
    },
};

fn src(code: &str) -> Option<Stop> {
    Some(Stop::Src(code.into()))
}

/// Two rows exchange the value of a column.
fn swap(shop: &Shop, table: &str, column: &str, key: &str) {
    shop.world
        .sql()
        .execute_batch(&format!(
            "CREATE TABLE kept AS SELECT {key}, {column} FROM {table};
             UPDATE {table} SET {column} =
                 (SELECT {column} FROM kept WHERE kept.{key} <> {table}.{key});
             DROP TABLE kept"
        ))
        .unwrap();
}

#[test]
fn r4_swapped_dmks_open_no_session_and_give_no_key() {
    let (one, other) = (Pos::new("SN-1001"), Pos::new("SN-1002"));
    let shop = Shop::with(&[&one, &other], "");
    swap(&shop, "devices", "dmk", "sn");
    for pos in [&one, &other] {
        // Whichever of the two DMKs the terminal holds.
        for dmk in [&one.dmk, &other.dmk] {
            let pos = Pos { dmk: dmk.clone(), ..pos.clone() };
            assert_eq!(pos.open(&mut connect(shop.server.terminals)).err(), src("96"));
            assert_eq!(pos.load(&mut connect(shop.server.terminals), 3).err(), src("96"));
        }
    }
    assert_eq!(shop.world.count("tmks"), 0);
    swap(&shop, "devices", "dmk", "sn");
    assert_eq!(one.open(&mut connect(shop.server.terminals)).err(), None);
}

#[test]
fn one_operators_password_is_not_anothers_whatever_the_database_says() {
    let pos = Pos::new("SN-1001");
    let shop = Shop::with(&[&pos], "operator_required = true");
    for (id, password) in [("op7", "correct horse"), ("op8", "battery staple")] {
        enrol(&shop, id, password);
    }
    let named =
        |id: &str, password: &str| Pos { operator: Some((id.into(), password.into())), ..pos.clone() };
    assert_eq!(named("op7", "correct horse").open(&mut connect(shop.server.terminals)).err(), None);
    swap(&shop, "operators", "sealed", "id");
    for password in ["correct horse", "battery staple"] {
        let refused = named("op7", password).open(&mut connect(shop.server.terminals)).err();
        assert_eq!(refused, src("96"), "{password}");
    }
}

/// The table of terminals is looked at immediately before the key, not only when the conversation began.
#[test]
fn r11_a_terminal_found_compromised_after_its_hello_gets_neither_session_nor_key() {
    for change in ["compromised = 1", "dmk = NULL, dmk_kcv = NULL", "key_serial = 'PP-9'"] {
        let pos = Pos::new("SN-1001");
        let shop = Shop::with(&[&pos], "");
        for (transaction, slot) in [("0002", None), ("0001", Some(3))] {
            let mut line = connect(shop.server.terminals);
            let asked = pos.ask(&mut line, transaction, slot).unwrap();
            let sql = shop.world.sql();
            sql.execute_batch("CREATE TABLE kept AS SELECT * FROM devices").unwrap();
            assert_eq!(sql.execute(&format!("UPDATE devices SET {change}"), []).unwrap(), 1);
            let sac_1 = Pos::sac_1(&asked);
            assert_eq!(pos.prove(&mut line, asked, &sac_1, 0).err(), src("06"), "{change}");
            sql.execute_batch("DELETE FROM devices; INSERT INTO devices SELECT * FROM kept; DROP TABLE kept")
                .unwrap();
        }
        assert_eq!(shop.world.count("tmks"), 0);
        assert_eq!(pos.open(&mut connect(shop.server.terminals)).err(), None, "and it was that alone");
    }
}
