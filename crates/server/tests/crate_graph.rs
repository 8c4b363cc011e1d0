//! Who may touch clear keys, read from the crate graph itself.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test that goes wrong stops here, as it should"
)]

use std::process::Command;

use serde_json::Value;

/// The crate whose types hold clear keys.
const CLEAR_KEYS: &str = "paycrypto";
/// The two homes of clear keys, the calculator, and the program that starts each of them as a process of its own.
const MAY_REACH: [&str; 4] = ["keyferry", "keyferry-calc", "keyferry-hsm-soft", "keyferry-terminal"];
/// Named one by one, so that none goes missing.
const MUST_NOT: [&str; 9] = [
    "keyferry-batch",
    "keyferry-server",
    "keyferry-store",
    "keyferry-flows",
    "keyferry-wire",
    "keyferry-pki",
    "keyferry-hsm",
    "keyferry-station",
    "keyferry-custody",
];

fn cargo(arguments: &[&str]) -> String {
    let output = Command::new(env!("CARGO"))
        .args(arguments)
        .args(["--offline", "--manifest-path"])
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/../../Cargo.toml"))
        .output()
        .expect("cargo runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// Whether a normal build of this crate holds clear-key code.
fn reaches_clear_keys(name: &str) -> bool {
    let tree = cargo(&["tree", "-p", name, "-e", "normal", "--prefix", "none"]);
    assert!(tree.starts_with(name), "{tree}");
    tree.lines().any(|line| line.split(' ').next() == Some(CLEAR_KEYS))
}

#[test]
fn clear_keys_have_two_homes() {
    let metadata: Value =
        serde_json::from_str(&cargo(&["metadata", "--format-version=1", "--no-deps"])).unwrap();
    let packages = metadata["packages"].as_array().unwrap();
    let names: Vec<_> = packages.iter().map(|package| package["name"].as_str().unwrap()).collect();
    assert!(names.contains(&CLEAR_KEYS));
    for name in MUST_NOT {
        assert!(!reaches_clear_keys(name), "{name} reaches {CLEAR_KEYS}");
    }
    for name in MAY_REACH {
        assert!(reaches_clear_keys(name), "{name} does not need to be on the list");
    }
    // A new crate does not get in unseen. Tools are no part of what is installed.
    let known = |name: &&str| {
        MUST_NOT.contains(name) || MAY_REACH.contains(name) || [CLEAR_KEYS, "keyferry-benches"].contains(name)
    };
    for name in names.into_iter().filter(|name| !known(name)) {
        assert!(!reaches_clear_keys(name), "{name} reaches {CLEAR_KEYS}");
    }
}
