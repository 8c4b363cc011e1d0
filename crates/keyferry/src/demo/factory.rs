//! The chapter of the MTMS: a vendor's production order, from the factory to the acquirer's KMS.

use std::{fs, path::Path};

use anyhow::{Context as _, Result, bail};
use serde_json::Value;
use station::BatchAnswer;
use store::{OrderStore as _, Store as _};
use wire::Serial;

use super::{
    estate::Estate,
    forged_batch::Forger,
    report::Row,
    story::Story,
    terminals::{Terminal, Waiting, each},
    tool::{Said, good, keyferry, run},
};
use crate::commands::suite::SuiteName;

/// The vendor's name, and the acquirer's, as orders and keys have them.
pub(super) const VENDOR: &str = "FACTORY";
const BUYER: &str = "DEMO";
const ORDER: &str = "PO-1";
/// The model that `Terminal` makes.
const MODEL: &str = "SIM-1";
/// Terminals of the order; the last is not made yet when the others leave.
const ORDERED: usize = 10;
/// One that no order lists.
const UNLISTED: &str = "FAB-99";

impl Story<'_> {
    /// Factory order → batch → KMS → download.
    pub(super) fn factory(&mut self, folder: &Path) -> Result<()> {
        self.report.chapter("A vendor's factory, with an MTMS of its own");
        let mut vendor = Estate::init_vendor(&folder.join("factory"), self.estate.suite, VENDOR)?;
        self.report
            .tell("its own CA, HSM and work key; two cards, and one that signs batches: keyferry mtms init");
        self.agree(folder, &mut vendor)?;
        self.order(&vendor)?;
        let terminals = self.collect_order(folder, &vendor)?;
        let package = self.pack(&vendor)?;
        self.forge(&vendor, &package)?;
        self.deliver(&vendor, &package, terminals.len())?;
        self.download_from_kms(&vendor, &terminals)?;
        vendor.stop_server().map(|_| ())
    }

    /// Each side believes the other's CA for its one role, and PK and MAK are agreed by certificate.
    fn agree(&mut self, folder: &Path, vendor: &mut Estate) -> Result<()> {
        vendor.believe(&self.estate, &["kms-work"])?;
        let of_vendor: &[&str] = match self.estate.suite {
            SuiteName::Tdes => &["mtms"],
            SuiteName::EcAes => &["mtms", "device"],
        };
        self.estate.believe(vendor, of_vendor)?;
        let agreement = folder.join("factory/agreement.cms");
        for site in [&*vendor, &self.estate] {
            fs::create_dir_all(site.path("partners"))?;
        }
        let keys = |site: &Estate, partner: &str, act: &str| -> Result<std::process::Command> {
            let mut command = keyferry(["hsm", "agree", act, "--partner", partner, "--config"])?;
            command
                .arg(site.path("keyferry.toml"))
                .arg("--passphrase-file")
                .arg(site.secret("hsm-passphrase"));
            command.arg("--pk").arg(site.path("partners/pk.json"));
            command.arg("--mak").arg(site.path("partners/mak.json"));
            Ok(command)
        };
        let mut offer = keys(vendor, BUYER, "offer")?;
        offer.arg("--kms-certificate").arg(self.estate.path("work-certificate.pem"));
        offer.arg("--card").arg(vendor.path("cards/mtms.pem"));
        offer.arg("--card-pin-file").arg(vendor.secret("mtms-pin"));
        offer.arg("--administrator").arg(vendor.path("cards/administrator.pem"));
        offer.arg("--administrator-pin-file").arg(vendor.secret("administrator-pin"));
        good(offer.arg("--out").arg(&agreement))?;
        let mut accept = keys(&self.estate, VENDOR, "accept")?;
        accept.arg("--vendor-root").arg(vendor.path("ca/root.pem"));
        good(accept.arg("--agreement").arg(&agreement))?;
        let both = [vendor.kcvs()?, self.estate.kcvs()?];
        self.report.check(
            "keys-agreed-by-certificate",
            both[0] == both[1],
            &format!("PK and MAK agreed under two cards, check values {} at both ends", both[0]),
        );
        vendor.partner_with(BUYER, Some(&self.estate.path("ca/root.pem")))?;
        self.estate.partner_with(VENDOR, None)?;
        self.estate.stop_server()?;
        self.estate.start_server()?;
        vendor.start_server()
    }

    /// The same order under two cards at each end.
    fn order(&mut self, vendor: &Estate) -> Result<()> {
        let serials: Vec<_> = (1..=ORDERED).map(serial).collect();
        let list = vendor.path("order.list");
        fs::write(&list, serials.join("\n"))?;
        let mut ends = Vec::new();
        for (site, end) in [(vendor, "mtms"), (&self.estate, "kms")] {
            let mut add = keyferry([end, "order", "add", ORDER, "--model", MODEL])?;
            add.args(["--vendor", VENDOR, "--buyer", BUYER, "--serials"]).arg(&list);
            add.arg("--config").arg(site.path("station.toml"));
            add.arg("--operator-pin-file").arg(site.secret("operator-pin"));
            add.arg("--administrator-pin-file").arg(site.secret("administrator-pin"));
            ends.push(run(&mut add)?);
        }
        let refused = ends.iter().find(|said| !said.ok).map(|said| format!(": {}", said.error));
        self.report.check(
            "order-entered-at-both-ends",
            refused.is_none(),
            &format!(
                "{ORDER}, {ORDERED} {MODEL} of {VENDOR} for {BUYER}, under two cards at each end{}",
                refused.unwrap_or_default()
            ),
        );
        Ok(())
    }

    /// The factory's station collects under the MTMS's certificate; one is missing, one nobody ordered.
    fn collect_order(&mut self, folder: &Path, vendor: &Estate) -> Result<Vec<Terminal>> {
        let (root, vendor_root) = (self.estate.path("ca/root.pem"), vendor.path("ca/root.pem"));
        let make = |sn: &String| Terminal::make_for(&folder.join("terminals"), sn, &root, &vendor_root);
        let mut serials: Vec<_> = (1..ORDERED).map(serial).collect();
        serials.push(UNLISTED.to_owned());
        let made = each(&serials, make).into_iter().collect::<Result<Vec<_>>>()?;
        for terminal in &made {
            terminal.certify(vendor)?;
        }
        let waiting = each(&made, Terminal::wait).into_iter().collect::<Result<Vec<Waiting>>>()?;
        let mut collect = vendor.station_collect(&vendor.path("station.toml"))?;
        for terminal in &waiting {
            collect.args(["--terminal", &terminal.address]);
        }
        let said = run(&mut collect)?;
        drop(waiting);
        let taken = said.json.pointer("/uploads/0/outcome/taken").and_then(Value::as_array);
        let taken = taken.cloned().with_context(|| format!("nothing was uploaded: {}", said.error))?;
        let stored = taken.iter().filter(|one| one["ok"] == true).count();
        self.report.check(
            "collected-for-an-order",
            stored == ORDERED - 1,
            &format!(
                "{stored} terminals collected under the MTMS's certificate, role .6, and listed in {ORDER}"
            ),
        );
        let unlisted = taken.iter().find(|one| one["sn"] == UNLISTED).context("one was lost")?;
        self.report.attack(
            "false-terminal",
            "terminal-in-no-order-refused",
            unlisted["ok"] == false && unlisted["code"] == "not-in-order",
            &format!("{UNLISTED}, which nobody ordered: {}", unlisted["code"].as_str().unwrap_or_default()),
        );
        let report = report(vendor)?;
        self.report.check(
            "missing-terminal-named",
            report["missing"] == serde_json::json!([serial(ORDERED)]),
            &format!("the report names what is missing: {}", report["missing"]),
        );
        let (_, listed) = made.split_last().context("no terminals")?;
        Ok(listed.to_vec())
    }

    /// Packed and kept, while the KMS cannot be reached.
    fn pack(&mut self, vendor: &Estate) -> Result<Vec<u8>> {
        vendor.reach("https://127.0.0.1:1")?;
        let away = dispatch(vendor)?;
        let waits = report(vendor)?["unanswered"] == ORDERED - 1;
        self.report.check(
            "batch-kept-while-the-kms-is-away",
            !away.ok && waits,
            "the KMS cannot be reached: the batch was packed by the HSM, signed, and is kept",
        );
        let store = vendor.store()?;
        self.runtime.block_on(async {
            let batch = store.unanswered_batches(ORDER, None, 1).await?.pop().context("no batch")?;
            store.batch_package(batch.id).await?.context("no package")
        })
    }

    /// Whoever has the card and the HSM still cannot give the KMS anything but the order.
    fn forge(&mut self, vendor: &Estate, package: &[u8]) -> Result<()> {
        let forger = Forger { vendor, buyer: BUYER, package, runtime: &self.runtime };
        let forged = [
            (
                "batch-changed-byte-refused",
                "bad-signature",
                "one byte of a signed batch changed",
                forger.one_byte_changed()?,
            ),
            (
                "batch-wrong-mac-refused",
                "wrong-mac",
                "a wrong MAC under a good signature",
                forger.wrong_mac()?,
            ),
            (
                "batch-wrong-order-refused",
                "wrong-order",
                "an order that was never placed",
                forger.wrong_order()?,
            ),
            ("batch-serial-twice-refused", "serial-twice", "a serial twice", forger.serial_twice()?),
        ];
        for (name, wanted, what, package) in forged {
            let answer = self.estate.kms()?.send_batch(&package)?;
            let code = match &answer {
                BatchAnswer::Refused { code, .. } => code.as_str(),
                _ => "it was taken!",
            };
            let stored = self.at_kms()?;
            self.report.attack(
                "forged-upload",
                name,
                code == wanted && stored == 0,
                &format!("{what}: {code}, {stored} terminals stored"),
            );
        }
        Ok(())
    }

    /// How many of the order the KMS has, and batches.
    fn at_kms(&self) -> Result<usize> {
        let store = self.estate.store()?;
        self.runtime.block_on(async {
            let mut count = store.received_batches(ORDER, None, 10).await?.len();
            for number in 1..=ORDERED {
                count += usize::from(store.terminal(&Serial::parse(&serial(number))?).await?.is_some());
            }
            Ok(count)
        })
    }

    fn deliver(&mut self, vendor: &Estate, package: &[u8], terminals: usize) -> Result<()> {
        vendor.reach(&self.estate.url())?;
        let said = dispatch(vendor)?;
        let done = |name: &str| said.json.get(name).and_then(Value::as_u64).unwrap_or_default();
        self.report.check(
            "order-delivered",
            said.ok && done("accepted") == terminals as u64 && done("sent_again") == 1,
            &format!(
                "the kept batch was sent again: the KMS took {} terminals, its receipt is good",
                done("accepted")
            ),
        );
        let report = report(vendor)?;
        self.report.check(
            "order-reconciled",
            report["accepted"] == terminals && report["missing"] == serde_json::json!([serial(ORDERED)]),
            &format!(
                "report: {} listed, {} sent, {} accepted, {} refused, missing {}",
                report["listed"],
                report["sent"],
                report["accepted"],
                report["refused"].as_array().map_or(0, Vec::len),
                report["missing"]
            ),
        );
        let before = self.at_kms()?;
        let again = self.estate.kms()?.send_batch(package)?;
        self.report.attack(
            "old-package",
            "same-batch-again-refused",
            matches!(again, BatchAnswer::Before(_)) && self.at_kms()? == before,
            "the same batch again: received before, with the receipt of the first time",
        );
        Ok(())
    }

    /// The terminals never met this KMS, and have its keys now.
    fn download_from_kms(&mut self, vendor: &Estate, terminals: &[Terminal]) -> Result<()> {
        let [first, ..] = terminals else { bail!("no terminals") };
        let refused = first.download(&vendor.terminal_port, 0, None)?;
        self.report.check(
            "mtms-gives-no-tmk",
            !refused.ok && first.kcv(0)?.is_none(),
            &format!("the MTMS itself gives out no TMK: {}", refused.error),
        );
        let port = self.estate.terminal_port.clone();
        let said = each(terminals, |terminal| terminal.download(&port, 0, None));
        let mut agree = 0;
        for (terminal, said) in terminals.iter().zip(said) {
            let said = said?;
            let kcv_terminal = terminal.kcv(0)?.unwrap_or_else(|| "none".into());
            let kcv_kms = self.active(&terminal.sn, 0)?.unwrap_or_else(|| "none".into());
            agree += usize::from(said.ok && kcv_terminal == kcv_kms);
            let ms = said.json.get("ms").and_then(Value::as_f64);
            self.report.row(Row { sn: terminal.sn.clone(), slot: 0, kcv_terminal, kcv_kms, ms });
        }
        self.report.check(
            "factory-terminals-download",
            agree == terminals.len(),
            &format!(
                "{agree} of {} downloaded their TMK from the KMS by the TK of the factory",
                terminals.len()
            ),
        );
        Ok(())
    }
}

fn serial(number: usize) -> String {
    format!("FAB-{number:02}")
}

fn dispatch(vendor: &Estate) -> Result<Said> {
    let mut command = keyferry(["mtms", "dispatch", ORDER, "--json", "--config"])?;
    command.arg(vendor.path("keyferry.toml"));
    command.arg("--card").arg(vendor.path("cards/mtms.pem"));
    command.arg("--card-pin-file").arg(vendor.secret("mtms-pin"));
    run(&mut command)
}

fn report(vendor: &Estate) -> Result<Value> {
    let mut command = keyferry(["mtms", "report", ORDER, "--json", "--config"])?;
    run(command.arg(vendor.path("keyferry.toml")))?.good()
}

impl Estate {
    /// Believes another's CA for these roles, from the server's next start on.
    fn believe(&mut self, other: &Estate, roles: &[&str]) -> Result<()> {
        let (root, crl) = (other.path("ca/root.pem"), other.path("ca/crl.pem"));
        self.configure("crls = [\"ca/crl.pem\"]", &format!("crls = [\"ca/crl.pem\", {crl:?}]"))?;
        let trust = format!("[[trust.roots]]\ncertificate = {root:?}\nroles = {roles:?}\n\n");
        self.configure("[[trust.roots]]", &format!("{trust}[[trust.roots]]"))
    }

    /// Enters a partner with the agreed keys; at an MTMS with the CA of the buyer's server.
    fn partner_with(&mut self, name: &str, tls_root: Option<&Path>) -> Result<()> {
        let address = tls_root.map(|root| format!("url = \"https://127.0.0.1:1\"\ntls_root = {root:?}\n"));
        let partner = format!(
            "[[partners]]\nname = \"{name}\"\npk = \"partners/pk.json\"\nmak = \"partners/mak.json\"\n{}\n[log]",
            address.unwrap_or_default()
        );
        self.configure("[log]", &partner)
    }

    /// Where the buyer's KMS is from now on: the demo's server takes another port at each start.
    fn reach(&self, url: &str) -> Result<()> {
        let path = self.path("keyferry.toml");
        let config = fs::read_to_string(&path)?;
        let line = format!("url = \"{url}\"");
        let lines = config.lines().map(|old| if old.starts_with("url = ") { line.as_str() } else { old });
        Ok(fs::write(&path, lines.fold(String::new(), |text, line| text + line + "\n"))?)
    }

    /// The check values of PK and MAK.
    fn kcvs(&self) -> Result<String> {
        let mut kcvs = Vec::new();
        for key in ["pk", "mak"] {
            let text = fs::read_to_string(self.path(&format!("partners/{key}.json")))?;
            let key: Value = serde_json::from_str(&text)?;
            kcvs.push(key.get("kcv").and_then(Value::as_str).context("no check value")?.to_owned());
        }
        Ok(kcvs.join(" and "))
    }
}
