//! Terminal management: a vendor, what it publishes, and terminals that fetch it.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::Value;

use super::{
    ceremony::random,
    estate::Estate,
    kld::VENDOR,
    terminals::Terminal,
    tool::{Ran, keyferry, run},
};

impl Estate {
    /// `keyferry tms …`.
    pub(crate) fn tms(&self, arguments: &[&str]) -> Command {
        self.configured(&[&["tms"], arguments].concat())
    }

    /// `tms vendor set` for the template's vendor.
    pub(crate) fn set_vendor(&self, repository: &[&str]) -> Ran {
        let mut set = self.tms(&["vendor", "set", VENDOR, "--name", "A vendor", "--model", "SIM-1"]);
        run(set.args(repository).arg("--root").arg(self.beside("vendor/root.pem")))
    }

    /// The same, with the folder `site/`.
    pub(crate) fn folder_vendor(&self) {
        let site = self.beside("site");
        self.set_vendor(&["--folder", site.to_str().unwrap()]).good();
    }

    /// A file at the vendor's.
    pub(crate) fn content(&self, name: &str, version: &str) -> PathBuf {
        self.beside("site").join(format!("{name}-{version}"))
    }

    /// `tms package sign` of a file.
    pub(crate) fn sign_file(&self, content: &Path, package: Package<'_>, further: &[&str]) -> (PathBuf, Ran) {
        let Package { name, version, kind } = package;
        let out = self.beside(&format!("{name}-{version}.json"));
        let mut sign = self.tms_offline(&["sign", "--vendor", VENDOR, "--name", name, "--kind", kind]);
        sign.args(["--package-version", version]).args(further);
        if !further.contains(&"--card") {
            sign.arg("--card").arg(self.beside("signer.pem"));
        }
        sign.arg("--pin-file").arg(self.secret("operator-pin"));
        let ran = run(sign.arg("--out").arg(&out).arg(content));
        (out, ran)
    }

    /// A signed application with random content of so many bytes in the vendor's folder.
    pub(crate) fn signed(&self, name: &str, version: &str, bytes: usize, further: &[&str]) -> PathBuf {
        let content = self.content(name, version);
        fs::write(&content, random(bytes)).unwrap();
        let package = Package { name, version, kind: "application" };
        let (manifest, ran) = self.sign_file(&content, package, further);
        ran.good();
        manifest
    }

    /// `tms package approve`.
    pub(crate) fn approve(&self, manifest: &Path, card: &str) -> (PathBuf, Ran) {
        let out = manifest.with_extension("approval");
        let mut approve = self.tms_offline(&["approve"]);
        approve.arg(manifest).arg("--card").arg(self.beside(card));
        let ran = run(approve.arg("--pin-file").arg(self.secret("operator-pin")).arg("--out").arg(&out));
        (out, ran)
    }

    /// `tms package publish`.
    pub(crate) fn publish(&self, manifest: &Path, further: &[&str]) -> Ran {
        run(self.tms(&["package", "publish"]).arg(manifest).args(further))
    }

    /// A published application.
    pub(crate) fn published(&self, name: &str, version: &str, bytes: usize) {
        self.publish(&self.signed(name, version, bytes, &[]), &[]).good();
    }

    /// `tms deployment new`.
    pub(crate) fn deploy(&self, package: &str, further: &[&str]) -> Ran {
        let new = ["deployment", "new", "--vendor", VENDOR, "--package", package];
        run(self.tms(&new).args(further))
    }

    /// `tms deployment list --json`, oldest first.
    pub(crate) fn deployments(&self) -> Vec<Value> {
        let listed = run(&mut self.tms(&["deployment", "list", "--json"])).good();
        let mut all: Vec<Value> = listed.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        all.sort_by_key(|deployment| deployment["id"].as_i64());
        all
    }

    fn tms_offline(&self, arguments: &[&str]) -> Command {
        keyferry([&["tms", "package"], arguments].concat())
    }
}

/// Name, version and kind.
#[derive(Clone, Copy)]
pub(crate) struct Package<'a> {
    pub(crate) name: &'a str,
    pub(crate) version: &'a str,
    pub(crate) kind: &'a str,
}

impl Terminal {
    /// The command `terminal tms --json`.
    pub(crate) fn tms(&self, server: &str, further: &[&str]) -> Command {
        let mut command = keyferry(["terminal", "tms", "--json", "--server", server]);
        command.args(further).arg(&self.folder);
        command
    }

    /// Runs it.
    pub(crate) fn update(&self, server: &str, further: &[&str]) -> Ran {
        run(&mut self.tms(server, further))
    }

    /// What it has installed, as `name version (kind)`.
    #[track_caller]
    pub(crate) fn installed(&self) -> Vec<String> {
        let packages = self.status()["packages"].as_array().unwrap().clone();
        packages.iter().map(|package| package.as_str().unwrap().to_owned()).collect()
    }

    /// Whether it has this one.
    #[track_caller]
    pub(crate) fn has(&self, package: &str) -> bool {
        self.installed().iter().any(|installed| installed.starts_with(package))
    }
}
