//! What an attacker at the upload would try: somebody else's signature, and one changed byte.

use std::path::Path;

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
    let root = NewCa::new(Name::new("DEMO root", Some("Demo Bank"))?, keyfile::KeyKind::Rsa(2048));
    let mut ca = Ca::create(&folder.join("stranger"), &root, SECRET, now)?;
    let (signer, _) = keyfile::generate(keyfile::KeyKind::Rsa(2048), SECRET)?;
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
