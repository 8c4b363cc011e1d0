//! What an attacker at the upload would try: somebody else's signatures, and one changed byte.

use std::path::Path;

use anyhow::{Context, Result};
use custody::{
    ca::{Ca, NewCa},
    keyfile,
};
use pki::{Certificate, Name, Role, Signer as _, cms, csr::Csr};

use crate::{commands::suite::SuiteName, time};

const SECRET: &str = "a stranger's passphrase";

/// The package's very content, signed by cards of another CA with the same names.
pub(super) fn sign_by_stranger(package: &[u8], folder: &Path, suite: SuiteName) -> Result<Vec<u8>> {
    let now = time::now_seconds();
    let content = cms::open(package)?.content;
    let kind = keyfile::KeyKind::usual(suite.keys());
    let root = NewCa::new(Name::new("DEMO root", Some("Demo Bank"))?, kind);
    let mut ca = Ca::create(&folder.join("stranger"), &root, SECRET, now)?;
    let (operator, certificate) = card(&mut ca, "First operator", Role::Operator, suite)?;
    let chain = [ca.root().clone()];
    match suite {
        SuiteName::Tdes => Ok(cms::sign(&content, &operator, &certificate, &chain, now)?),
        SuiteName::EcAes => {
            let (second, its) = card(&mut ca, "First administrator", Role::Administrator, suite)?;
            let both = [
                cms::Signatory { signer: &operator, certificate: &certificate, chain: &chain },
                cms::Signatory { signer: &second, certificate: &its, chain: &chain },
            ];
            Ok(cms::sign_by_both(&content, both, now)?)
        }
    }
}

/// The package with one byte of a terminal's ciphertext changed.
pub(super) fn change_one_byte(package: &[u8], suite: SuiteName) -> Result<Vec<u8>> {
    let mark: &[u8] = match suite {
        SuiteName::Tdes => b"\"ctk_pu\":\"",
        SuiteName::EcAes => b"\"collected\":\"",
    };
    let at = package.windows(mark.len()).position(|w| w == mark).context("the package holds no terminal")?;
    let mut changed = package.to_vec();
    let byte = changed.get_mut(at + mark.len() + 8).context("the package is short")?;
    *byte = if *byte == b'A' { b'B' } else { b'A' };
    Ok(changed)
}

fn card(ca: &mut Ca, name: &str, role: Role, suite: SuiteName) -> Result<(keyfile::SoftSigner, Certificate)> {
    let (signer, _) = keyfile::generate(keyfile::KeyKind::usual(suite.keys()), SECRET)?;
    let request = Csr { subject: Name::new(name, Some("Demo Bank"))?, spki: signer.spki_der().to_vec() };
    let certificate = ca.issue(&request, role, 30, time::now_seconds())?;
    Ok((signer, certificate))
}
