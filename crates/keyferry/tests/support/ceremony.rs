//! Two people type a key's components into an HSM; the test knows the key.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use super::{
    estate::{ACQUIRER, Estate},
    folders::write_secret,
    tool::{Ran, keyferry, run},
};

const PEOPLE: [&str; 2] = ["Ann", "Bob"];

/// A key as two components.
pub(crate) struct Agreed {
    pub(crate) name: &'static str,
    pub(crate) kind: &'static str,
    /// The other side of a key for batches.
    partner: Option<&'static str>,
    pub(crate) components: [Vec<u8>; 2],
}

impl Agreed {
    /// Random components of a key of this kind, as `--for` names it.
    pub(crate) fn new(name: &'static str, kind: &'static str) -> Agreed {
        Agreed { name, kind, partner: None, components: [component(kind), component(kind)] }
    }

    /// The same with this partner.
    pub(crate) fn with(self, partner: &'static str) -> Agreed {
        Agreed { partner: Some(partner), ..self }
    }

    pub(crate) fn key(&self) -> Vec<u8> {
        let [one, other] = &self.components;
        one.iter().zip(other).map(|(one, other)| one ^ other).collect()
    }

    /// The check value of a component, or of the key.
    pub(crate) fn check_value(&self, of: &[u8]) -> String {
        calc::to_hex(&calc::kcv(algorithm(self.kind), of).unwrap().value).to_string()
    }

    /// `hsm component enter` and `combine` at the HSM in this folder; gives the file of the combined key.
    pub(crate) fn type_in(&self, estate: &Estate, hsm: &Path, end: &str) -> PathBuf {
        let mut parts = Vec::new();
        for part in [1, 2] {
            let out = self.paper(estate, end, &format!("{part}.block"));
            self.enter(estate, hsm, part, &self.components[part - 1], &out).good();
            parts.push(out);
        }
        let out = self.paper(estate, end, "json");
        self.combine(estate, hsm, &parts, &self.check_value(&self.key()), &out).good();
        out
    }

    /// One person types one component.
    pub(crate) fn enter(&self, estate: &Estate, hsm: &Path, part: usize, typed: &[u8], out: &Path) -> Ran {
        let sheet = estate.folder().join("component");
        write_secret(&sheet, &calc::to_hex(typed));
        let mut command = self.command("enter", estate, hsm, &self.check_value(&self.components[part - 1]));
        command.args(["--part", &part.to_string(), "--person", PEOPLE[part - 1]]);
        let ran = run(command.arg("--component-file").arg(&sheet).arg("--out").arg(out));
        fs::remove_file(sheet).unwrap();
        ran
    }

    pub(crate) fn combine(
        &self,
        estate: &Estate,
        hsm: &Path,
        parts: &[PathBuf],
        check: &str,
        out: &Path,
    ) -> Ran {
        let mut command = self.command("combine", estate, hsm, check);
        for part in parts {
            command.arg("--component").arg(part);
        }
        run(command.arg("--out").arg(out))
    }

    pub(crate) fn paper(&self, estate: &Estate, end: &str, extension: &str) -> PathBuf {
        estate.folder().join(format!("{}-{end}.{extension}", self.name))
    }

    fn command(&self, act: &str, estate: &Estate, hsm: &Path, check_value: &str) -> Command {
        let mut command = keyferry(["hsm", "component", act, "--acquirer", ACQUIRER, "--session", "S-1"]);
        command.args(["--name", self.name, "--for", self.kind, "--parts", "2", "--check-value", check_value]);
        if let Some(partner) = self.partner {
            command.args(["--partner", partner]);
        }
        command.arg("--folder").arg(hsm).arg("--passphrase-file").arg(estate.secret("hsm-passphrase"));
        command
    }
}

/// A TDES or AES-256 component: random, a TDES one with odd parity.
pub(crate) fn component(kind: &str) -> Vec<u8> {
    if algorithm(kind) == calc::Algorithm::Aes {
        return random(32);
    }
    calc::parity(&random(24)).unwrap().with_odd_parity().to_vec()
}

pub(crate) fn random(bytes: usize) -> Vec<u8> {
    let mut random = vec![0; bytes];
    paycrypto::random::fill(&mut random).unwrap();
    random
}

fn algorithm(kind: &str) -> calc::Algorithm {
    if kind.ends_with("-aes") { calc::Algorithm::Aes } else { calc::Algorithm::Tdes }
}
