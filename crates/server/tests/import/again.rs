//! The same file again: an import goes on where it stopped, and compares what is there.

use std::io::{self, BufReader, Read};

use hsm::Client;
use keyferry_server::import::{self, Estate, ImportError};
use serde_json::json;

use crate::{
    other::{BY, Other, lines, refused},
    support::estate::ESTATE,
};

/// A file that cannot be read from some byte on.
struct Broken<'a>(&'a [u8]);

impl Read for Broken<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.0.read(buffer)? {
            0 => Err(io::Error::other("the disk is gone")),
            read => Ok(read),
        }
    }
}

#[test]
fn same_file_again_finds_everything_there() {
    let other = Other::new();
    // Without check values, so that the HSM tells them the second time too.
    let untold = json!({ "sn": "SN-3", "tmks": [{ "slot": 0, "block": other.key().block }] });
    let file = lines(&[other.terminal("SN-1"), other.terminal("SN-2"), untold]);
    assert_eq!(other.run(&file).counts.accepted, 3);
    let events = other.world.audit().len();
    let again = other.run(&file);
    let counts = again.counts;
    assert_eq!((counts.accepted, counts.already_known, counts.refused), (0, 3, 0));
    assert_eq!(other.world.events("estate.imported", "old-kms").len(), 1, "nothing was stored");
    assert_eq!(other.world.audit().len(), events + 1, "the run itself is told");
}

#[test]
fn import_that_broke_off_goes_on() {
    let other = Other::new();
    let key = other.key();
    let terminals: Vec<_> =
        (0..1_500).map(|n| json!({ "sn": format!("SN-{n}"), "tmks": [key.tmk(0)] })).collect();
    let file = lines(&terminals);
    let digest = import::digest(&mut file.as_bytes()).unwrap();
    let stopped = other.server.block_on(async {
        let hsm = Client::connect(ESTATE.socket()).await.unwrap();
        let estate = Estate { source: "old-kms", digest, under: &other.under };
        let mut broken = BufReader::new(Broken(&file.as_bytes()[..file.len() - 100]));
        import::run(&hsm, &*other.server.store, &mut broken, estate, BY, &mut |_| ()).await.unwrap_err()
    });
    assert!(matches!(stopped.error, ImportError::Read(_)), "{stopped}");
    assert_eq!((stopped.report.complete, stopped.report.counts.accepted), (false, 1_000));
    assert_eq!(other.world.count("terminals"), 1_000, "what is counted is stored, and no more");

    let report = other.run(&file);
    assert_eq!((report.counts.already_known, report.counts.accepted, report.counts.refused), (1_000, 500, 0));
    assert!(report.complete);
}

#[test]
fn known_terminal_with_other_keys_is_told_and_left_as_it_is() {
    let other = Other::new();
    let (old, dmk) = (other.key(), other.key());
    other.run(&lines(&[json!({ "sn": "SN-1", "tmks": [old.tmk(3)], "dmk": dmk.json() })]));
    let new = other.key();
    for (changed, keys) in [
        (json!({ "sn": "SN-1", "tmks": [new.tmk(3)], "dmk": dmk.json() }), "TMK of slot 03"),
        (json!({ "sn": "SN-1", "tmks": [old.tmk(3)], "dmk": new.json() }), "DMK"),
        (json!({ "sn": "SN-1", "tmks": [old.tmk(4), new.tmk(3)] }), "TMK of slot 04, TMK of slot 03"),
    ] {
        let report = other.run(&lines(&[changed]));
        assert_eq!(refused(&report), [(1, Some("SN-1"), "known-with-other-keys")]);
        assert!(report.refusals[0].why.contains(&format!("another key: {keys};")), "{keys}");
        assert_eq!(other.world.keys("SN-1", 3, "active"), [old.kcv()]);
    }
}

#[test]
fn known_terminal_with_another_pin_pad_or_owner_is_told_and_left_as_it_is() {
    let other = Other::new();
    other.run(&lines(&[json!({ "sn": "SN-1", "pin_pad": "PP-1" })]));
    let report = other.run(&lines(&[json!({ "sn": "SN-1" })]));
    assert_eq!(refused(&report), [(1, Some("SN-1"), "known-with-other-pin-pad")]);
    let owners = "UPDATE terminals SET acquirer = (SELECT id FROM acquirers WHERE id <> terminals.acquirer)";
    assert_eq!(other.world.sql().execute(owners, []).unwrap(), 1);
    let report = other.run(&lines(&[json!({ "sn": "SN-1", "pin_pad": "PP-1" })]));
    assert_eq!(refused(&report), [(1, Some("SN-1"), "known-to-another")]);
}

#[test]
fn file_that_is_not_the_one_of_the_digest_is_told() {
    let other = Other::new();
    let file = lines(&[other.terminal("SN-1")]);
    let report = other.run_as(file.as_bytes(), [7; 32], &other.under, &mut |_| ()).unwrap();
    assert!(report.file_changed && report.complete);
    assert!(!other.run(&file).file_changed);
}

#[test]
fn report_is_one_flat_object_for_programs() {
    let other = Other::new();
    let report = other.run(&lines(&[json!({ "sn": "SN-1" }), json!({ "sn": "SN-1" })]));
    let told = serde_json::to_value(&report).unwrap();
    assert_eq!((&told["source"], &told["complete"]), (&json!("old-kms"), &json!(true)));
    assert_eq!(
        (&told["accepted"], &told["already_known"], &told["refused"]),
        (&json!(1), &json!(0), &json!(1))
    );
    let refusal = &told["refusals"][0];
    let expected = json!({
        "line": 2, "sn": "SN-1", "reason": "duplicate", "why": "line 1 names this serial already",
    });
    assert_eq!(refusal, &expected);
    assert_eq!(told["sha256"].as_str().unwrap().len(), 64);
}

#[test]
fn source_without_a_name_is_refused() {
    let other = Other::new();
    other.server.block_on(async {
        let hsm = Client::connect(ESTATE.socket()).await.unwrap();
        for source in ["", &"x".repeat(129)] {
            let estate = Estate { source, digest: [7; 32], under: &other.under };
            let stopped =
                import::run(&hsm, &*other.server.store, &mut io::empty(), estate, BY, &mut |_| ()).await;
            assert!(matches!(stopped.unwrap_err().error, ImportError::Source { .. }));
        }
    });
}
