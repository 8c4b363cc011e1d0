//! Terminals that move in, and work afterwards.

use serde_json::json;

use crate::{
    other::{Other, lines, refused},
    support::{
        line::connect,
        raw::{Raw, Tmk, check_value},
    },
};

#[test]
fn terminals_move_in_with_their_keys_and_names() {
    let other = Other::new();
    let (tmk, dmk) = (other.key(), other.key());
    let file = lines(&[
        json!({
            "sn": "SN-1", "pin_pad": "PP-1", "vendor": "KF", "model": "SIM-1",
            "terminal_id": "00000042", "merchant_id": "M-1",
            "tmks": [tmk.tmk(3), { "slot": 99, "block": other.key().block }], "dmk": dmk.json(),
        }),
        other.terminal("SN-2"),
        json!({ "sn": "SN-3" }),
    ]);
    let mut heard = Vec::new();
    let report = other.try_run(file.as_bytes(), &mut |counts| heard.push(*counts)).unwrap();
    assert_eq!((report.complete, report.file_changed, refused(&report)), (true, false, vec![]));
    let counts = report.counts;
    assert_eq!((counts.lines, counts.accepted, counts.already_known, counts.refused), (3, 3, 0, 0));
    assert_eq!((counts.keys_compared, counts.keys_not_compared), (4, 1));
    assert_eq!(heard, [counts]);

    assert_eq!(other.world.keys("SN-1", 3, "active"), [tmk.kcv()]);
    assert_eq!(other.world.keys("SN-1", 99, "active").len(), 1);
    let store = &other.server.store;
    let (terminal, device, identity) = other.server.block_on(async {
        let sn = "SN-1".parse().unwrap();
        use store::{DeviceStore, HostStore, Store};
        (
            store.terminal(&sn).await.unwrap().unwrap(),
            store.device(&sn).await.unwrap().unwrap(),
            store.identity_of_terminal_id("00000042").await.unwrap().unwrap(),
        )
    });
    assert_eq!((terminal.key_serial().as_str(), terminal.vendor.as_deref()), ("PP-1", Some("KF")));
    assert_eq!(device.dmk.unwrap().kcv.to_string(), dmk.kcv());
    assert_eq!((identity.sn.as_str(), identity.merchant_id.as_str()), ("SN-1", "M-1"));

    assert_eq!(other.world.events("estate.imported", "old-kms").len(), 1);
    let ended = other.world.events("estate.import-ended", "old-kms");
    assert_eq!((ended.len(), ended[0].actor.as_str()), (1, "Zoe Zone"));
    other.world.assert_audit_good();
}

/// The key that moved in is the terminal's: it signs in with it, having never been collected here.
#[test]
fn terminal_that_moved_in_signs_in() {
    let other = Other::new();
    let key = other.key();
    assert_eq!(other.run(&lines(&[json!({ "sn": "SN-1", "tmks": [key.tmk(1)] })])).counts.accepted, 1);
    let tmk = Tmk { kcv: check_value(&key.clear), key: key.clear, block: key.block };
    let terminal = Raw::new("SN-1");
    assert!(terminal.sign_in(&mut connect(other.server.terminals), 1, &tmk).is_ok());
}

/// More than one chunk: each is one act, and the progress is told after it.
#[test]
fn large_file_is_stored_in_chunks() {
    let other = Other::new();
    let key = other.key();
    let terminals: Vec<_> =
        (0..2_001).map(|n| json!({ "sn": format!("SN-{n}"), "tmks": [key.tmk(0)] })).collect();
    let mut heard = Vec::new();
    let report =
        other.try_run(lines(&terminals).as_bytes(), &mut |counts| heard.push(counts.accepted)).unwrap();
    assert_eq!((report.counts.accepted, heard), (2_001, vec![1_000, 2_000, 2_001]));
    assert_eq!(other.world.events("estate.imported", "old-kms").len(), 3);
}

#[test]
fn empty_lines_and_a_missing_last_end_do_no_harm() {
    let other = Other::new();
    let file = format!("\n  \r\n{}\r\n\n{}", json!({ "sn": "SN-1" }), json!({ "sn": "SN-2" }));
    let report = other.run(&file);
    assert_eq!((report.counts.lines, report.counts.accepted, report.counts.refused), (5, 2, 0));
    assert_eq!(other.run("").counts.lines, 0);
}
