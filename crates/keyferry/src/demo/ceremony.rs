//! Two people type a key's components into an HSM: how two systems come to have a key in common.

use std::{
    fs,
    io::{Read as _, Write as _},
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::Result;
use calc::Algorithm;
use zeroize::Zeroizing;

use super::{
    estate::Estate,
    tool::{good, keyferry},
};

const PEOPLE: [&str; 2] = ["Ann", "Bob"];

/// A key as two components, which nobody but the demo has both of.
pub(super) struct Agreed {
    name: &'static str,
    kind: &'static str,
    algorithm: Algorithm,
    components: [Zeroizing<Vec<u8>>; 2],
}

impl Agreed {
    /// Makes the components of a key of this kind (`exchange`, `zone-master-aes` …).
    pub(super) fn new(name: &'static str, kind: &'static str, algorithm: Algorithm) -> Result<Self> {
        Ok(Self { name, kind, algorithm, components: [component(algorithm)?, component(algorithm)?] })
    }

    /// The key itself: what the other side has, when the demo plays it.
    pub(super) fn key(&self) -> Zeroizing<Vec<u8>> {
        let [one, other] = &self.components;
        Zeroizing::new(one.iter().zip(other.iter()).map(|(one, other)| one ^ other).collect())
    }

    /// Has both typed into the HSM in this folder and combined there. Gives the file of the combined key.
    pub(super) fn type_in(&self, estate: &Estate, hsm: &Path, work: &Path, end: &str) -> Result<PathBuf> {
        let mut parts = Vec::new();
        for (part, (component, person)) in (1..).zip(self.components.iter().zip(PEOPLE)) {
            let typed = work.join(format!("{end}-{part}.component"));
            write_private(&typed, calc::to_hex(component).as_bytes())?;
            let out = work.join(format!("{end}-{part}.block"));
            let mut enter = self.command("enter", hsm, estate, component)?;
            enter.args(["--part", &part.to_string(), "--person", person]).arg("--component-file").arg(&typed);
            good(enter.arg("--out").arg(&out))?;
            fs::remove_file(&typed)?;
            parts.push(out);
        }
        let out = work.join(format!("{end}.json"));
        let mut combine = self.command("combine", hsm, estate, &self.key())?;
        for part in &parts {
            combine.arg("--component").arg(part);
        }
        good(combine.arg("--out").arg(&out))?;
        Ok(out)
    }

    fn command(&self, act: &str, hsm: &Path, estate: &Estate, checked: &[u8]) -> Result<Command> {
        let check_value = calc::to_hex(&calc::kcv(self.algorithm, checked)?.value);
        let mut command = keyferry(["hsm", "component", act, "--acquirer", "DEMO", "--session", "S-1"])?;
        command.args([
            "--name",
            self.name,
            "--for",
            self.kind,
            "--parts",
            "2",
            "--check-value",
            &check_value,
        ]);
        command.arg("--folder").arg(hsm).arg("--passphrase-file").arg(estate.secret("hsm-passphrase"));
        Ok(command)
    }
}

/// A component as a person would bring it: random; for TDES with odd parity.
pub(super) fn component(algorithm: Algorithm) -> Result<Zeroizing<Vec<u8>>> {
    let bytes = if algorithm == Algorithm::Tdes { 24 } else { 32 };
    let mut random = Zeroizing::new(vec![0; bytes]);
    fs::File::open("/dev/urandom")?.read_exact(&mut random)?;
    Ok(match algorithm {
        Algorithm::Tdes => Zeroizing::new(calc::parity(&random)?.with_odd_parity().to_vec()),
        _ => random,
    })
}

/// A file that only its owner reads, as commands demand of secrets.
pub(super) fn write_private(path: &Path, bytes: &[u8]) -> Result<()> {
    use std::os::unix::fs::OpenOptionsExt as _;
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    Ok(file.write_all(bytes)?)
}
