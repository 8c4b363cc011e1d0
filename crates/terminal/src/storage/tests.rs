//! The folder: what can be wrong with it, and two processes at once.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use crate::testing::{Shared, estate};
use crate::vault::Vault;
use crate::{Error, NewTerminal, PinPad, SoftPad, Terminal};

const FOLDER: &str = "KEYFERRY_TEST_FOLDER";

fn made() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    Terminal::new(folder.path(), estate().new_terminal()).unwrap();
    folder
}

#[test]
fn terminal_is_opened_as_it_was_left() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("t1");
    let new = NewTerminal { pin_pad: Some("PP-1".parse().unwrap()), ..estate().new_terminal() };
    let mut terminal = Terminal::new(&path, new).unwrap();
    let kms = estate().collected(&mut terminal);
    let tmk = paycrypto::keys::Tmk::generate().unwrap();
    kms.load(&mut terminal, crate::testing::slot(7), &tmk).unwrap();
    let left = terminal.status();
    drop(terminal);
    let terminal = Terminal::open(&path).unwrap();
    assert_eq!(terminal.status(), left);
    assert_eq!(terminal.pad().serial().as_str(), "PP-1");
    let json = serde_json::to_value(&left).unwrap();
    assert_eq!(json["life_cycle"], "deployed");
    assert_eq!(json["slots"][0]["slot"], 7);
    assert_eq!(json["collected"]["by"], "kms");
    assert_eq!(serde_json::from_value::<crate::Status>(json).unwrap(), left);
}

#[test]
fn files_belong_to_their_owner_alone() {
    let parent = tempfile::tempdir().unwrap();
    let folder = parent.path().join("t1");
    drop(Terminal::new(&folder, estate().new_terminal()).unwrap());
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&folder), 0o700);
    for name in ["battery.key", "pad.sealed", "device.sealed", "lock"] {
        assert_eq!(mode(&folder.join(name)), 0o600, "{name}");
    }
}

#[test]
fn battery_removed_is_named() {
    let folder = made();
    fs::remove_file(folder.path().join("battery.key")).unwrap();
    assert!(matches!(Terminal::open(folder.path()), Err(Error::BatteryRemoved { .. })));
}

#[test]
fn another_battery_opens_nothing() {
    let folder = made();
    fs::write(folder.path().join("battery.key"), [7; 32]).unwrap();
    assert!(matches!(Terminal::open(folder.path()), Err(Error::StateDamaged { .. })));
}

#[test]
fn cut_battery_is_named() {
    let folder = made();
    fs::write(folder.path().join("battery.key"), [7; 31]).unwrap();
    assert!(matches!(Terminal::open(folder.path()), Err(Error::BatteryDamaged { found: 31, .. })));
}

#[test]
fn exposed_battery_is_named() {
    let folder = made();
    let path = folder.path().join("battery.key");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
    assert!(matches!(Terminal::open(folder.path()), Err(Error::BatteryExposed { mode: 0o640, .. })));
}

#[test]
fn changed_or_exchanged_state_is_named() {
    for name in ["pad.sealed", "device.sealed"] {
        let folder = made();
        let path = folder.path().join(name);
        let mut bytes = fs::read(&path).unwrap();
        *bytes.last_mut().unwrap() ^= 1;
        fs::write(&path, bytes).unwrap();
        assert!(matches!(Terminal::open(folder.path()), Err(Error::StateDamaged { .. })), "{name}");
        fs::remove_file(&path).unwrap();
        assert!(matches!(Terminal::open(folder.path()), Err(Error::StateMissing { .. })), "{name}");
    }
    let folder = made();
    fs::copy(folder.path().join("pad.sealed"), folder.path().join("device.sealed")).unwrap();
    assert!(matches!(Terminal::open(folder.path()), Err(Error::StateDamaged { .. })));
}

#[test]
fn half_written_file_of_a_power_cut_is_ignored() {
    let folder = tempfile::tempdir().unwrap();
    let mut terminal = Terminal::new(folder.path(), estate().new_terminal()).unwrap();
    fs::write(folder.path().join("pad.new"), b"half").unwrap();
    estate().collected(&mut terminal);
    fs::write(folder.path().join("pad.new"), b"half").unwrap();
    drop(terminal);
    assert!(Terminal::open(folder.path()).unwrap().status().collected.is_some());
}

#[test]
fn empty_folder_is_no_terminal() {
    let folder = tempfile::tempdir().unwrap();
    assert!(matches!(Terminal::open(folder.path()), Err(Error::NotATerminal { .. })));
    assert!(matches!(Terminal::open(&folder.path().join("none")), Err(Error::NotATerminal { .. })));
}

#[test]
fn terminal_is_not_made_over_another() {
    let folder = made();
    let again = Terminal::new(folder.path(), estate().new_terminal());
    assert!(matches!(again, Err(Error::AlreadyATerminal { .. })));
    Terminal::open(folder.path()).unwrap();
}

#[test]
fn storage_that_holds_a_terminal_takes_no_other() {
    let disk = Shared::new();
    Terminal::new_in(disk.clone(), estate().new_terminal()).unwrap();
    assert!(matches!(Terminal::new_in(disk, estate().new_terminal()), Err(Error::StorageNotEmpty)));
}

#[test]
fn bad_descriptions_leave_nothing_on_disk() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("t1");
    let half = NewTerminal { model: None, ..estate().new_terminal() };
    assert!(matches!(Terminal::new(&path, half), Err(Error::VendorWithoutModel)));
    let twice = NewTerminal { pin_pad: Some("SN-1001".parse().unwrap()), ..estate().new_terminal() };
    assert!(matches!(Terminal::new(&path, twice), Err(Error::Malformed(_))));
    let mut leaf = estate().new_terminal();
    leaf.roots[0].certificate = estate().certificate(pki::Role::KmsWork);
    assert!(matches!(Terminal::new(&path, leaf), Err(Error::NotARoot { .. })));
    assert!(!path.exists());
}

#[test]
fn second_user_in_the_same_process_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let terminal = Terminal::new(folder.path(), estate().new_terminal()).unwrap();
    assert!(matches!(Terminal::open(folder.path()), Err(Error::InUse { .. })));
    drop(terminal);
    Terminal::open(folder.path()).unwrap();
}

#[test]
fn second_process_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let _terminal = Terminal::new(folder.path(), estate().new_terminal()).unwrap();
    let child = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "storage::tests::child_of_second_process", "--ignored"])
        .env(FOLDER, folder.path())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&child.stdout);
    assert!(child.status.success() && said.contains("1 passed"), "{said}");
}

#[test]
#[ignore = "the other process of second_process_is_refused"]
fn child_of_second_process() {
    // Run by hand with all ignored tests there is no parent.
    let Some(folder) = std::env::var_os(FOLDER) else { return };
    assert!(matches!(Terminal::open(Path::new(&folder)), Err(Error::InUse { .. })));
}

#[test]
fn files_of_two_terminals_are_not_mixed() {
    // One battery, two PIN pads: as if somebody had moved files with their battery.
    let disk = Shared::new();
    Terminal::new_in(disk.clone(), estate().new_terminal()).unwrap();
    let vault = std::sync::Arc::new(Vault::new(disk.clone()).unwrap());
    SoftPad::create(vault, "SN-2".parse().unwrap()).unwrap();
    assert!(matches!(Terminal::open_from(disk), Err(Error::OtherPinPad { .. })));
}
