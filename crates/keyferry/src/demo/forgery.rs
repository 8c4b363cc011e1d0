//! What an attacker at the upload would try: somebody else's signature, and one changed byte.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use custody::{
    ca::{Ca, NewCa},
    keyfile,
};
use pki::{Name, Role, Signer as _, cms, csr::Csr};

use crate::time;

/// The package's very content, signed by an operator card of another CA with the same names.
pub(super) fn sign_by_stranger(package: &[u8], folder: &Path) -> Result<Vec<u8>> {
    const SECRET: &str = "a stranger's passphrase";
    let now = time::now_seconds();
    let content = cms::open(package)?.content;
    let root = NewCa { bits: 2048, ..NewCa::new(Name::new("DEMO root", Some("Demo Bank"))?) };
    let mut ca = Ca::create(&folder.join("stranger"), &root, SECRET, now)?;
    let (signer, _) = keyfile::generate(2048, SECRET)?;
    let request =
        Csr { subject: Name::new("First operator", Some("Demo Bank"))?, spki: signer.spki_der().to_vec() };
    let certificate = ca.issue(&request, Role::Operator, 30, now)?;
    Ok(cms::sign(&content, &signer, &certificate, &[ca.root().clone()], now)?)
}

/// The package with one byte of a terminal's ciphertext changed.
pub(super) fn change_one_byte(package: &[u8]) -> Result<Vec<u8>> {
    let mark = b"\"ctk_pu\":\"";
    let at = package.windows(mark.len()).position(|w| w == mark).context("the package has no ctk_pu")?;
    let mut changed = package.to_vec();
    let byte = changed.get_mut(at + mark.len() + 8).context("the package is short")?;
    *byte = if *byte == b'A' { b'B' } else { b'A' };
    Ok(changed)
}

/// Lays a package into a spool as if the station had made it, and gives its path.
pub(super) fn smuggle(package: &[u8], spool: &Path) -> Result<PathBuf> {
    use sha2::{Digest as _, Sha256};
    use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
    fs::DirBuilder::new().recursive(true).mode(0o700).create(spool)?;
    let digest: String = Sha256::digest(package).iter().map(|byte| format!("{byte:02x}")).collect();
    let path = spool.join(format!("20260101T000000Z-{digest}.waiting.cms"));
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path)?;
    std::io::Write::write_all(&mut file, package)?;
    Ok(path)
}
