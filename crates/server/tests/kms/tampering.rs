//! A database changed by hand: swapped rows are found where they are used, and never give out a key (R4, R32).

use crate::support::{
    line::{End, connect},
    raw::Raw,
    world::{Server, World},
};

const INTERNAL: End = End::Code(0x0001);

/// Two terminals, their TKs opened to blocks.
fn opened() -> (World, Server, [Raw; 2]) {
    let terminals = [Raw::new("SN-1"), Raw::new("SN-2")];
    let (world, server) = World::with(&[&terminals[0], &terminals[1]]);
    for terminal in &terminals {
        terminal.download(server.terminals, 0).unwrap();
    }
    (world, server, terminals)
}

/// Swaps columns of the two terminals' rows.
fn swap(world: &World, columns: &[&str]) {
    let sql = world.sql();
    for column in columns {
        let read = format!("SELECT {column} FROM terminals WHERE sn = ?1");
        let [first, second]: [String; 2] =
            ["SN-1", "SN-2"].map(|sn| sql.query_row(&read, [sn], |row| row.get(0)).unwrap());
        let write = format!("UPDATE terminals SET {column} = ?2 WHERE sn = ?1");
        for (sn, value) in [("SN-1", second), ("SN-2", first)] {
            assert_eq!(sql.execute(&write, (sn, value)).unwrap(), 1);
        }
    }
}

fn assert_no_download(world: &World, server: &Server, terminals: &[Raw; 2], code: End) {
    let before = world.count("tmks");
    for terminal in terminals {
        for slot in [0, 1] {
            assert_eq!(terminal.download(server.terminals, slot), Err(code), "{}", terminal.sn);
        }
    }
    assert_eq!(world.count("tmks"), before);
}

#[test]
fn r4_swapped_tek_and_auk_of_two_terminals_give_no_key() {
    let (world, server, terminals) = opened();
    swap(&world, &["tek", "auk"]);
    assert_no_download(&world, &server, &terminals, INTERNAL);
    // Whoever holds the other's TK does not get in by it either.
    let thief = Raw {
        sn: "SN-2".into(),
        pin_pad: None,
        tek: terminals[0].tek.clone(),
        auk: terminals[0].auk.clone(),
    };
    assert_eq!(thief.download(server.terminals, 0), Err(INTERNAL));
    swap(&world, &["tek", "auk"]);
    terminals[0].download(server.terminals, 0).unwrap();
}

#[test]
fn r4_swapped_tek_or_auk_alone_gives_no_key() {
    for column in ["tek", "auk"] {
        let (world, server, terminals) = opened();
        swap(&world, &[column]);
        assert_no_download(&world, &server, &terminals, INTERNAL);
    }
}

#[test]
fn r4_tek_and_auk_in_each_others_place_give_no_key() {
    let (world, server, terminals) = opened();
    world.sql().execute("UPDATE terminals SET tek = auk, auk = tek", []).unwrap();
    assert_no_download(&world, &server, &terminals, INTERNAL);
}

#[test]
fn tek_of_an_earlier_tk_beside_the_new_auk_gives_no_key() {
    // Both blocks are SN-1's own; only the hash of the whole tells.
    let (world, server, terminals) = opened();
    let old: String =
        world.sql().query_row("SELECT tek FROM terminals WHERE sn = 'SN-1'", [], |row| row.get(0)).unwrap();
    let again = Raw::new("SN-1");
    let other = World::with(&[&again]);
    again.download(other.1.terminals, 0).unwrap();
    let auk: String =
        other.0.sql().query_row("SELECT auk FROM terminals WHERE sn = 'SN-1'", [], |row| row.get(0)).unwrap();
    world.sql().execute("UPDATE terminals SET tek = ?1, auk = ?2 WHERE sn = 'SN-1'", (old, auk)).unwrap();
    assert_eq!(terminals[0].download(server.terminals, 0), Err(INTERNAL));
    assert_eq!(again.download(server.terminals, 0), Err(INTERNAL));
}

#[test]
fn a_changed_block_gives_no_key() {
    let (world, server, terminals) = opened();
    let sql = "UPDATE terminals SET tek = substr(tek, 1, length(tek) - 1) ||
               CASE substr(tek, -1) WHEN '0' THEN '1' ELSE '0' END";
    world.sql().execute(sql, []).unwrap();
    assert_no_download(&world, &server, &terminals, INTERNAL);
}

#[test]
fn r4_pending_keys_swapped_between_terminals_or_slots_are_not_sent() {
    let (world, server, terminals) = opened();
    for terminal in &terminals {
        terminal.fetch(&mut connect(server.terminals), 3).unwrap();
    }
    terminals[0].fetch(&mut connect(server.terminals), 4).unwrap();
    // Each pending key's block becomes another's: a terminal's, or another slot's of the same terminal.
    let sql = world.sql();
    let blocks: Vec<(i64, String)> = sql
        .prepare("SELECT id, block FROM tmks WHERE state = 'pending' ORDER BY sn, slot")
        .unwrap()
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))
        .unwrap()
        .map(Result::unwrap)
        .collect();
    assert_eq!(blocks.len(), 3);
    for (at, (id, _)) in blocks.iter().enumerate() {
        let (_, another) = &blocks[(at + 1) % 3];
        sql.execute("UPDATE tmks SET block = ?2 WHERE id = ?1", (id, another)).unwrap();
    }
    assert_eq!(terminals[0].download(server.terminals, 3), Err(INTERNAL));
    assert_eq!(terminals[0].download(server.terminals, 4), Err(INTERNAL));
    assert_eq!(terminals[1].download(server.terminals, 3), Err(INTERNAL));
    assert!(world.keys("SN-1", 3, "active").is_empty());
}

#[test]
fn r8_a_transport_keys_block_is_no_pending_key() {
    let (world, server, terminals) = opened();
    terminals[0].fetch(&mut connect(server.terminals), 3).unwrap();
    for column in ["tek", "auk"] {
        let sql = format!(
            "UPDATE tmks SET block = (SELECT {column} FROM terminals WHERE sn = 'SN-1') WHERE state = 'pending'"
        );
        world.sql().execute(&sql, []).unwrap();
        assert_eq!(terminals[0].download(server.terminals, 3), Err(INTERNAL), "{column}");
    }
}

#[test]
fn a_changed_audit_is_found() {
    let (world, server, _) = opened();
    world.assert_audit_good();
    let sql = world.sql();
    sql.execute_batch(
        "DROP TRIGGER audit_is_never_changed;
         UPDATE audit SET actor = 'somebody else' WHERE kind = 'collection.received';",
    )
    .unwrap();
    let verdict = store::verify_audit_file(&world.database()).unwrap();
    assert!(verdict.broken_at.is_some());
    drop(server);
}
