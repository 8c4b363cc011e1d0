//! R2: what the HSM's process takes from the system before any key is in it.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
#![cfg(target_os = "linux")]

use std::{
    fs,
    os::unix::process::ExitStatusExt,
    path::PathBuf,
    process::{Command, Stdio},
};

use keyferry_hsm_soft::{SoftHsm, create, protect};
use rustix::process::{DumpableBehavior, Resource, dumpable_behavior, getrlimit};

const PASSPHRASE: &str = "only for this test";
const FOLDER: &str = "KEYFERRY_TEST_PROTECTED_FOLDER";
const WARNED: &str = "warned";

/// The HSM's process: does nothing unless the test below starts it. Protects itself, opens an HSM, and crashes.
#[test]
fn crashes_where_it_is_told_to() {
    let Some(folder) = std::env::var_os(FOLDER).map(PathBuf::from) else { return };
    std::env::set_current_dir(&folder).unwrap();
    let warnings = protect().unwrap();
    assert_eq!(dumpable_behavior().unwrap(), DumpableBehavior::NotDumpable, "no core, no debugger");
    let core = getrlimit(Resource::Core);
    assert_eq!((core.current, core.maximum), (Some(0), Some(0)), "no core file");
    create(&folder.join("hsm"), PASSPHRASE).unwrap();
    let _hsm = SoftHsm::open(&folder.join("hsm"), PASSPHRASE, warnings.clone()).unwrap();
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let locked = status.lines().find_map(|line| line.strip_prefix("VmLck:")).unwrap();
    let kib: u64 = locked.trim().trim_end_matches(" kB").parse().unwrap();
    assert_eq!(kib == 0, !warnings.is_empty(), "locked, or said that it is not: {kib} KiB");
    fs::write(folder.join(WARNED), warnings.join("\n")).unwrap();
    std::process::abort();
}

#[test]
fn r2_the_hsms_process_is_locked_in_memory_and_leaves_no_core_when_it_crashes() {
    let folder = tempfile::tempdir().unwrap();
    let status = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "crashes_where_it_is_told_to"])
        .env(FOLDER, folder.path())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .unwrap();
    assert!(folder.path().join(WARNED).exists(), "it did not come to its crash: {status}");
    assert_eq!(status.signal(), Some(6), "SIGABRT");
    assert!(!status.core_dumped());
    let left: Vec<_> = fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(left.iter().all(|name| name == "hsm" || name == WARNED), "{left:?}");
}
