//! What the tests share: the real `openssl`, and a CA to try things on.
#![allow(dead_code, reason = "each test binary uses its part")]

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use keyferry_custody::ca::{Ca, NewCa};
use keyferry_custody::keyfile::KeyKind;
use pki::Name;

/// 2026-09-21.
pub(crate) const NOW: i64 = 1_790_000_000;
pub(crate) const DAY: i64 = 86_400;
pub(crate) const PIN: &str = "271828";
pub(crate) const PASSPHRASE: &str = "a long passphrase of tests";

/// Runs `openssl` in a folder: what it printed, `Err` when it failed.
pub(crate) fn openssl(dir: &Path, args: &str) -> Result<String, String> {
    let output = Command::new("openssl")
        .current_dir(dir)
        .args(args.split_whitespace())
        .output()
        .expect("these tests need the openssl command: install it (apt-get install openssl)");
    let text =
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    if output.status.success() { Ok(text) } else { Err(text) }
}

pub(crate) fn name(common_name: &str) -> Name {
    Name::new(common_name, Some("Keyferry tests")).unwrap()
}

/// A CA in a new folder; small keys for speed.
pub(crate) fn new_ca(dir: &Path) -> (PathBuf, Ca) {
    ca_of(dir, KeyKind::Rsa(2048))
}

/// A CA of suite 02 in a new folder.
pub(crate) fn new_ec_ca(dir: &Path) -> (PathBuf, Ca) {
    ca_of(dir, KeyKind::P256)
}

fn ca_of(dir: &Path, key: KeyKind) -> (PathBuf, Ca) {
    let path = dir.join("ca");
    let ca = Ca::create(&path, &NewCa::new(name("Test root"), key), PASSPHRASE, NOW).unwrap();
    (path, ca)
}

/// The permission bits of a file.
pub(crate) fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap().permissions().mode() & 0o777
}

/// Names of the files in a folder, hidden ones too.
pub(crate) fn files(dir: &Path) -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

/// The public key of a new RSA key that nobody keeps.
pub(crate) fn new_public_key() -> Vec<u8> {
    use aws_lc_rs::encoding::{AsDer, PublicKeyX509Der};
    use aws_lc_rs::signature::KeyPair as _;
    let pair = aws_lc_rs::signature::RsaKeyPair::generate(aws_lc_rs::rsa::KeySize::Rsa2048).unwrap();
    let spki: PublicKeyX509Der<'_> = pair.public_key().as_der().unwrap();
    spki.as_ref().to_vec()
}
