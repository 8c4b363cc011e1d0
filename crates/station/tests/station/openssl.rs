//! The real openssl, as a second opinion.

use std::{path::Path, process::Command};

/// What `openssl cms -verify` gives for a package under a root, or what it says against it.
pub(crate) fn cms_verify(cms: &Path, root: &Path) -> Result<Vec<u8>, String> {
    let output = Command::new("openssl")
        .args(["cms", "-verify", "-inform", "DER", "-binary", "-purpose", "any", "-in"])
        .arg(cms)
        .arg("-CAfile")
        .arg(root)
        .output()
        .unwrap_or_else(|error| panic!("install openssl to run this test: {error}"));
    if output.status.success() {
        Ok(output.stdout)
    } else {
        Err(String::from_utf8_lossy(&output.stderr).into_owned())
    }
}
