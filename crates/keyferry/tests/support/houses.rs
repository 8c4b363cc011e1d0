//! An acquirer with a KMS and a vendor with an MTMS, each with a root of its own, that believe each other for what they
//! need. Suite 02's way from end to end is the demo's.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use super::{
    estate::{ACQUIRER, Estate, init_of},
    folders::{edit, write_secret},
    server::Server,
    terminals::Terminal,
    tool::{Ran, keyferry, run},
};

/// The vendor's name.
pub(crate) const VENDOR: &str = "VENDOR";
/// The order of [`Houses::with_order`].
pub(crate) const ORDER: &str = "PO-1";
const MTMS_PIN: &str = "mtms-r4sd-pin-k8ct";

/// Both houses.
pub(crate) struct Houses {
    pub(crate) kms: Estate,
    pub(crate) mtms: Estate,
}

/// Their servers.
pub(crate) struct Servers {
    pub(crate) kms: Server,
    pub(crate) mtms: Server,
}

impl Houses {
    pub(crate) fn new(suite: &str) -> Houses {
        let (kms, mtms) = (Estate::empty(), Estate::empty());
        run(&mut init_of(suite, &kms.path(""), &kms.secrets())).good();
        write_secret(&mtms.secret("mtms-pin"), &format!("{MTMS_PIN}\n"));
        let mut init = keyferry(["mtms", "init", "--suite", suite, "--vendor", VENDOR]);
        init.args(["--terminal-port", "127.0.0.1:0", "--https", "127.0.0.1:0", "--secrets"]);
        run(init.arg(mtms.secrets()).arg(mtms.path(""))).good();
        believe(&kms, &mtms, "mtms");
        believe(&mtms, &kms, "kms-work");
        Houses { kms, mtms }
    }

    /// With keys that were agreed, both servers, and one order of these serials at both ends. The terminals are made.
    pub(crate) fn with_order(serials: &[&str]) -> (Houses, Servers) {
        let houses = Houses::new("1");
        houses.offer("agreed", &houses.work_certificate()).good();
        houses.accept("agreed", "agreed.agreement").good();
        partner(&houses.kms, VENDOR, "");
        let kms = Server::start(&houses.kms);
        let reach = format!(
            "url = \"https://{}\"\ntls_root = \"{}\"\n",
            kms.https,
            houses.kms.path("ca/root.pem").display()
        );
        partner(&houses.mtms, ACQUIRER, &reach);
        let mtms = Server::start(&houses.mtms);
        let list = houses.mtms.folder().join("serials");
        fs::write(&list, serials.join("\n")).unwrap();
        for (house, whose) in [(&houses.mtms, "mtms"), (&houses.kms, "kms")] {
            let mut add = keyferry([whose, "order", "add", ORDER, "--vendor", VENDOR, "--buyer", ACQUIRER]);
            add.args(["--model", "SIM-1", "--serials"])
                .arg(&list)
                .arg("--config")
                .arg(house.path("station.toml"));
            add.arg("--operator-pin-file").arg(house.secret("operator-pin"));
            run(add.arg("--administrator-pin-file").arg(house.secret("administrator-pin"))).good();
        }
        for sn in serials {
            houses.make_terminal(sn);
        }
        (houses, Servers { kms, mtms })
    }

    /// A terminal as the factory makes it: it believes the acquirer's root and the vendor's.
    pub(crate) fn make_terminal(&self, sn: &str) -> Terminal {
        let terminal = self.mtms.terminal(sn);
        let mut command = keyferry(["terminal", "new", "--sn", sn, "--vendor", "KF", "--model", "SIM-1"]);
        command.arg("--root").arg(self.kms.path("ca/root.pem"));
        run(command.arg("--vendor-root").arg(self.mtms.path("ca/root.pem")).arg(&terminal.folder)).good();
        terminal
    }

    /// `keyferry mtms dispatch`.
    pub(crate) fn dispatch(&self) -> Ran {
        let mut dispatch = keyferry(["mtms", "dispatch", ORDER, "--json", "--config"]);
        dispatch.arg(self.mtms.path("keyferry.toml")).arg("--card").arg(self.mtms.path("cards/mtms.pem"));
        dispatch.arg("--card-pin-file").arg(self.mtms.secret("mtms-pin"));
        run(dispatch.arg("--passphrase-file").arg(self.mtms.secret("hsm-passphrase")))
    }

    /// The KMS's work certificate.
    pub(crate) fn work_certificate(&self) -> PathBuf {
        self.kms.path("work-certificate.pem")
    }

    /// `keyferry hsm agree offer` at the vendor, for `NAME-pk.json`, `NAME-mak.json` and `NAME.agreement`.
    pub(crate) fn offer(&self, name: &str, certificate: &Path) -> Ran {
        self.offer_with(name, certificate, "mtms", "administrator")
    }

    /// The same with other cards, each named by its role.
    pub(crate) fn offer_with(&self, name: &str, certificate: &Path, card: &str, administrator: &str) -> Ran {
        let card_of = |role: &str| self.mtms.path(&format!("cards/{role}.pem"));
        let pin_of = |role: &str| self.mtms.secret(&format!("{role}-pin"));
        let mut offer = agree("offer", &self.mtms, ACQUIRER, name);
        offer.arg("--kms-certificate").arg(certificate);
        offer.arg("--card").arg(card_of(card)).arg("--card-pin-file").arg(pin_of(card));
        offer.arg("--administrator").arg(card_of(administrator));
        offer.arg("--administrator-pin-file").arg(pin_of(administrator));
        run(offer.arg("--out").arg(self.agreement(&format!("{name}.agreement"))))
    }

    /// `keyferry hsm agree accept` at the acquirer.
    pub(crate) fn accept(&self, name: &str, agreement: &str) -> Ran {
        self.accept_of(VENDOR, name, agreement)
    }

    /// The same, expecting another vendor.
    pub(crate) fn accept_of(&self, vendor: &str, name: &str, agreement: &str) -> Ran {
        self.accept_under(Some(&self.mtms.path("ca/root.pem")), vendor, name, agreement)
    }

    /// The same with the root that the vendor is said to have.
    pub(crate) fn accept_under(&self, root: Option<&Path>, vendor: &str, name: &str, agreement: &str) -> Ran {
        let mut accept = agree("accept", &self.kms, vendor, name);
        root.into_iter().for_each(|root| _ = accept.arg("--vendor-root").arg(root));
        run(accept.arg("--agreement").arg(self.agreement(agreement)))
    }

    /// Where an agreement lies between the houses.
    pub(crate) fn agreement(&self, file: &str) -> PathBuf {
        self.mtms.folder().join(file)
    }
}

/// One house believes the other's root for a role.
fn believe(house: &Estate, other: &Estate, role: &str) {
    let config = house.path("keyferry.toml");
    let list = format!("crls = [\"ca/crl.pem\", \"{}\"]", other.path("ca/crl.pem").display());
    edit(&config, &[("crls = [\"ca/crl.pem\"]", &list)]);
    let root = other.path("ca/root.pem");
    append(
        &config,
        &format!("\n[[trust.roots]]\ncertificate = \"{}\"\nroles = [\"{role}\"]\n", root.display()),
    );
}

/// Enters the keys of `agreed-…` for a partner.
fn partner(house: &Estate, name: &str, more: &str) {
    let files = "pk = \"agreed-pk.json\"\nmak = \"agreed-mak.json\"\n";
    append(&house.path("keyferry.toml"), &format!("\n[[partners]]\nname = \"{name}\"\n{files}{more}"));
}

fn append(config: &Path, text: &str) {
    fs::write(config, fs::read_to_string(config).unwrap() + text).unwrap();
}

fn agree(act: &str, house: &Estate, partner: &str, name: &str) -> Command {
    let mut command = keyferry(["hsm", "agree", act, "--partner", partner, "--config"]);
    command.arg(house.path("keyferry.toml"));
    command.arg("--passphrase-file").arg(house.secret("hsm-passphrase"));
    command.arg("--pk").arg(house.path(&format!("{name}-pk.json")));
    command.arg("--mak").arg(house.path(&format!("{name}-mak.json")));
    command
}
