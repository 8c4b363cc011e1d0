//! Chapter E: an estate is kept current.

use std::{
    fs,
    io::Read as _,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result};
use serde_json::Value;

use super::{
    cable::Kld,
    story::Story,
    stutter::Stutter,
    terminals::{Terminal, each},
    tool::{Said, good, keyferry, run},
    vendor_site::VendorSite,
};
use crate::commands::suite::SuiteName;

/// How many terminals the shops have.
const SHOPS: usize = 8;
/// The slot that the KLD fills, for the next chapter.
pub(super) const SLOT: u8 = 0;
const VENDOR: &str = "KEYFERRY";
/// Bytes of the application: several frames.
const APPLICATION: u64 = 300 * 1024;
/// Messages until the demo cuts the line: the handshake, the plan, and a few frames of a file.
const CUT_AFTER: &str = "16";

/// The vendor: its CA, its signer, its web site.
struct Vendor {
    suite: SuiteName,
    work: PathBuf,
    pin: PathBuf,
    site: VendorSite,
}

impl Story<'_> {
    /// Gives the terminals that the next two chapters are about: loaded by cable with TMK and DMK.
    pub(super) fn keep_current(&mut self, folder: &Path) -> Result<Vec<Terminal>> {
        self.report.chapter("An estate is kept current");
        let vendor = self.vendor(folder)?;
        let shops = self.shops(folder, &vendor)?;
        self.publish_and_deploy(&vendor, &shops)?;
        self.cut_and_resume(&vendor, &shops)?;
        self.refuse_bad_content(&vendor, &shops)?;
        self.replay(&vendor, &shops)?;
        Ok(shops)
    }

    fn vendor(&mut self, folder: &Path) -> Result<Vendor> {
        let work = folder.join("vendor");
        let site = VendorSite::open(&self.runtime, &work.join("site"))?;
        let vendor = Vendor { suite: self.estate.suite, pin: self.estate.secret("operator-pin"), work, site };
        vendor.make_ca(&self.estate.secret("ca-passphrase"), "ca", "signer")?;
        let mut set = self.tms(&["vendor", "set", VENDOR, "--name", "Demo vendor", "--model", "SIM-1"])?;
        good(set.args(["--url", &vendor.site.url(), "--root"]).arg(vendor.work.join("ca/root.pem")))?;
        self.report
            .tell("the vendor has a CA of its own, signs its packages, and keeps them on its web site");
        Ok(vendor)
    }

    fn shops(&mut self, folder: &Path, vendor: &Vendor) -> Result<Vec<Terminal>> {
        let serials: Vec<_> = (1..=SHOPS).map(|n| format!("SHOP-{n}")).collect();
        let (root, vendor_root) = (self.estate.path("ca/root.pem"), vendor.work.join("ca/root.pem"));
        let make = |sn: &String| Terminal::make_for(&folder.join("terminals"), sn, &root, &vendor_root);
        let shops = each(&serials, make).into_iter().collect::<Result<Vec<_>>>()?;
        for shop in &shops {
            shop.certify(&self.estate)?;
        }
        let kld = Kld::at(folder);
        kld.find(&self.estate)?;
        let names: Vec<_> = serials.iter().map(String::as_str).collect();
        kld.open_run(&self.estate, &names, SLOT, "dmk")?;
        for shop in &shops {
            let listening = shop.listen()?;
            kld.load(&self.estate, &format!("{}@{}", shop.sn, listening.address))?.good()?;
        }
        kld.close_run(&self.estate)?.good()?;
        self.report.tell(&format!("{SHOPS} terminals got a TMK and their download key (DMK) by cable"));
        Ok(shops)
    }

    /// Over HTTP to a canary, then to all.
    fn publish_and_deploy(&mut self, vendor: &Vendor, shops: &[Terminal]) -> Result<()> {
        vendor.make_ca(&self.estate.secret("ca-passphrase"), "stranger", "forger")?;
        let forged = vendor.sign("pay-app", "1.0.0", APPLICATION, "forger")?;
        let refused = run(self.tms(&["package", "publish"])?.arg(&forged))?;
        self.report.attack(
            "forged-package",
            "forged-package-refused",
            !refused.ok,
            &format!("signed under another root, a package is not published: {}", refused.error),
        );
        let signed = vendor.sign("pay-app", "1.0.0", APPLICATION, "signer")?;
        good(self.tms(&["package", "publish"])?.arg(&signed))?;
        self.deploy("pay-app@1.0.0", &["--stage", "50:1"])?;
        let first: usize = self.update_all(shops)?.iter().map(|said| installed(said, "pay-app 1.0.0")).sum();
        let second: usize = self.update_all(shops)?.iter().map(|said| installed(said, "pay-app 1.0.0")).sum();
        self.report.check(
            "canary-then-all",
            (1..SHOPS).contains(&first) && first + second == SHOPS,
            &format!("{first} terminals tried the application first; when it had started there, {second} more got it"),
        );
        Ok(())
    }

    /// In the middle of a file, and not from its begin again.
    fn cut_and_resume(&mut self, vendor: &Vendor, shops: &[Terminal]) -> Result<()> {
        let signed = vendor.sign("pay-app", "1.1.0", APPLICATION, "signer")?;
        good(self.tms(&["package", "publish"])?.arg(&signed))?;
        self.deploy("pay-app@1.1.0", &[])?;
        let [shop, rest @ ..] = shops else { return Ok(()) };
        let cut = run(self.update(shop)?.args(["--cut-after", CUT_AFTER]))?;
        let runs_the_old = shop.has("pay-app 1.0.0")?;
        let resumed = run(&mut self.update(shop)?)?;
        let bytes = resumed.json.get("bytes").and_then(Value::as_u64).unwrap_or(APPLICATION);
        self.report.check(
            "cut-download-goes-on",
            !cut.ok && runs_the_old && installed(&resumed, "pay-app 1.1.0") == 1 && bytes < APPLICATION,
            &format!(
                "cut in the middle it ran what it had; then only {bytes} of {APPLICATION} bytes were still missing"
            ),
        );
        self.update_all(rest)?;
        Ok(())
    }

    /// The vendor's site is broken into after publishing.
    fn refuse_bad_content(&mut self, vendor: &Vendor, shops: &[Terminal]) -> Result<()> {
        let signed = vendor.sign("pay-app", "1.2.0", APPLICATION, "signer")?;
        good(self.tms(&["package", "publish"])?.arg(&signed))?;
        fs::write(vendor.site.file("pay-app-1.2.0"), random(APPLICATION)?)?;
        self.deploy("pay-app@1.2.0", &[])?;
        let [shop, ..] = shops else { return Ok(()) };
        let refused = run(&mut self.update(shop)?)?;
        good(&mut self.tms(&["deployment", "cancel", "3"])?)?;
        let why = refused.json.pointer("/refused/0/why").and_then(Value::as_str).unwrap_or("it was taken!");
        self.report.attack(
            "frames",
            "changed-content-refused",
            !refused.ok && shop.has("pay-app 1.1.0")?,
            &format!("the file on the site was exchanged: the terminal refused it ({why}) and runs on"),
        );
        Ok(())
    }

    fn replay(&mut self, vendor: &Vendor, shops: &[Terminal]) -> Result<()> {
        let signed = vendor.sign("prices", "1.0.0", 10_000, "signer")?;
        good(self.tms(&["package", "publish"])?.arg(&signed))?;
        self.deploy("prices@1.0.0", &[])?;
        let [_, shop, ..] = shops else { return Ok(()) };
        let stutter = Stutter::before(&self.estate.terminal_port)?;
        let mut update = keyferry(["terminal", "tms", "--json", "--server", &stutter.address])?;
        let replayed = run(update.arg(shop.folder()))?;
        let again = run(&mut self.update(shop)?)?;
        self.report.attack(
            "replay",
            "replayed-frame-refused",
            stutter.said_twice() && !replayed.ok && again.ok && shop.has("prices 1.0.0")?,
            &format!("a sealed message was said twice on the line: the session ended ({})", replayed.error),
        );
        Ok(())
    }

    fn deploy(&self, package: &str, more: &[&str]) -> Result<()> {
        let mut new = self.tms(&["deployment", "new", "--vendor", VENDOR, "--package", package])?;
        good(new.args(more))
    }

    fn tms(&self, arguments: &[&str]) -> Result<Command> {
        let mut command = keyferry([&["tms"], arguments].concat())?;
        command.arg("--config").arg(self.estate.path("keyferry.toml"));
        Ok(command)
    }

    fn update(&self, shop: &Terminal) -> Result<Command> {
        let mut command = keyferry(["terminal", "tms", "--json", "--server", &self.estate.terminal_port])?;
        command.arg(shop.folder());
        Ok(command)
    }

    fn update_all(&self, shops: &[Terminal]) -> Result<Vec<Said>> {
        each(shops, |shop| run(&mut self.update(shop)?)).into_iter().collect()
    }
}

/// 1 if this was among what was installed.
fn installed(said: &Said, package: &str) -> usize {
    let list = said.json.get("installed").and_then(Value::as_array);
    let named = |one: &Value| one.as_str().is_some_and(|one| one.starts_with(package));
    usize::from(said.ok && list.is_some_and(|list| list.iter().any(named)))
}

impl Vendor {
    /// A CA with a card that signs packages.
    fn make_ca(&self, passphrase: &Path, name: &str, signer: &str) -> Result<()> {
        let ca = self.work.join(name);
        let mut root = keyferry([
            "ca",
            "root",
            "--subject",
            "Demo vendor",
            "--trial",
            "--suite",
            &self.suite.to_string(),
            "--ca",
        ])?;
        good(root.arg(&ca).arg("--ca-passphrase-file").arg(passphrase))?;
        let mut card = keyferry(["ca", "card", "--role", "package-signing", "--subject", signer, "--ca"])?;
        card.arg(&ca).arg("--ca-passphrase-file").arg(passphrase).arg("--pin-file").arg(&self.pin);
        good(card.arg("--out").arg(self.work.join(format!("{signer}.pem"))))
    }

    /// Puts new content of so many bytes on the site and signs it; gives the file to publish it with.
    fn sign(&self, name: &str, version: &str, bytes: u64, signer: &str) -> Result<PathBuf> {
        let content = self.site.file(&format!("{name}-{version}"));
        fs::write(&content, random(bytes)?)?;
        let out = self.work.join(format!("{name}-{version}-{signer}.json"));
        let mut sign = keyferry(["tms", "package", "sign", "--vendor", VENDOR, "--name", name])?;
        sign.args(["--package-version", version, "--kind", "application"]);
        sign.arg("--card").arg(self.work.join(format!("{signer}.pem"))).arg("--pin-file").arg(&self.pin);
        good(sign.arg("--out").arg(&out).arg(&content))?;
        Ok(out)
    }
}

fn random(bytes: u64) -> Result<Vec<u8>> {
    let mut content = Vec::new();
    fs::File::open("/dev/urandom")?.take(bytes).read_to_end(&mut content).context("no random content")?;
    Ok(content)
}
