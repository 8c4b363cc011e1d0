//! `keyferry kld`, and the estate whose terminals it loaded.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::LazyLock,
};

use super::{
    ceremony::Agreed,
    estate::{ACQUIRER, Estate},
    folders::edit,
    server::Server,
    terminals::Terminal,
    tool::{Ran, keyferry, run},
};

/// The terminals that [`Estate::loaded`] has: each with a TMK in slot 0 and a DMK, of the vendor [`VENDOR`].
pub(crate) const LOADED: [&str; 4] = ["SHOP-1", "SHOP-2", "SHOP-3", "SHOP-4"];
pub(crate) const VENDOR: &str = "KF";
pub(crate) const MODEL: &str = "SIM-1";
/// The KLD's name, and that of the key agreed with it.
const NAME: &str = "KLD-1";

static TEMPLATE: LazyLock<PathBuf> = LazyLock::new(|| {
    let estate = Estate::new();
    make_vendor(&estate);
    let server = Server::start(&estate);
    let kld = Kld::make(&estate, &server);
    assert!(server.stop().success());
    let server = Server::start(&estate);
    kld.find(&server);
    let terminals: Vec<_> = LOADED.iter().map(|sn| make_terminal(&estate, sn, &[])).collect();
    kld.open_run(&estate, &LOADED, &["tmk:0", "dmk"]).good();
    kld.load(&estate, &terminals.iter().collect::<Vec<_>>()).good();
    kld.close_run(&estate).good();
    assert!(server.stop().success());
    fs::remove_file(estate.log()).unwrap();
    estate.keep("loaded-")
});

impl Estate {
    /// With a KLD in `kld/`, the vendor's CA in `vendor/`, cards that sign and approve packages, and the terminals of
    /// [`LOADED`].
    pub(crate) fn loaded() -> Estate {
        Estate::copy_of(&TEMPLATE)
    }

    /// Beside the estate.
    pub(crate) fn beside(&self, name: &str) -> PathBuf {
        self.folder().join(name)
    }
}

/// The vendor's CA and card, and the acquirer's card for approvals.
fn make_vendor(estate: &Estate) {
    let passphrase = estate.secret("ca-passphrase");
    let mut root =
        keyferry(["ca", "root", "--subject", "Vendor root", "--suite", "1", "--bits", "2048", "--ca"]);
    run(root.arg(estate.beside("vendor")).arg("--ca-passphrase-file").arg(&passphrase)).good();
    signing_card(estate, &estate.beside("vendor"), "signer");
    signing_card(estate, &estate.path("ca"), "approver");
    fs::create_dir(estate.beside("site")).unwrap();
}

/// A card of the role package-signing, under the operator's PIN.
pub(crate) fn signing_card(estate: &Estate, ca: &Path, name: &str) {
    let mut card = keyferry(["ca", "card", "--role", "package-signing", "--subject", name, "--ca"]);
    card.arg(ca).arg("--ca-passphrase-file").arg(estate.secret("ca-passphrase"));
    card.arg("--pin-file").arg(estate.secret("operator-pin"));
    run(card.arg("--out").arg(estate.beside(&format!("{name}.pem")))).good();
}

/// A terminal of the vendor's, in production.
pub(crate) fn make_terminal(estate: &Estate, sn: &str, further: &[&str]) -> Terminal {
    let terminal = estate.terminal(sn);
    let mut command = keyferry(["terminal", "new", "--sn", sn, "--vendor", VENDOR, "--model", MODEL]);
    command.args(further).arg("--root").arg(estate.path("ca/root.pem"));
    run(command.arg("--vendor-root").arg(estate.beside("vendor/root.pem")).arg(&terminal.folder)).good();
    terminal
}

/// A key loading device.
pub(crate) struct Kld {
    pub(crate) folder: PathBuf,
}

impl Kld {
    /// The one that is there.
    pub(crate) fn of(estate: &Estate) -> Kld {
        Kld { folder: estate.beside("kld") }
    }

    fn make(estate: &Estate, server: &Server) -> Kld {
        let kld = Kld::of(estate);
        let hsm = estate.secret("hsm-passphrase");
        let mut init = keyferry(["kld", "init", "--name", NAME, "--acquirer", ACQUIRER, "--root"]);
        init.arg(estate.path("ca/root.pem")).arg("--operator-card").arg("../estate/cards/operator.pem");
        init.arg("--administrator-card").arg("../estate/cards/administrator.pem");
        init.args(["--kms", &format!("https://{}", server.https)]);
        init.arg("--hsm-passphrase-file").arg(&hsm);
        run(init.arg(&kld.folder)).good();
        let (request, certificate) = (estate.beside("kld.csr"), estate.beside("kld.pem"));
        let mut ask = kld.command(&["request", "--suite", "1"]);
        run(ask.arg("--hsm-passphrase-file").arg(&hsm).arg("--out").arg(&request)).good();
        certify(estate, "downloader", &request, &certificate);
        run(kld.command(&["install"]).arg("--certificate").arg(&certificate)).good();

        let agreed = Agreed::new(NAME, "exchange");
        let ours = agreed.type_in(estate, &estate.path("hsm"), "kms");
        let theirs = agreed.type_in(estate, &kld.folder.join("hsm"), "kld");
        run(kld.with_cards(estate, &["import", "exchange-key"]).arg("--combined").arg(theirs)).good();
        fs::create_dir_all(estate.path("exchange")).unwrap();
        fs::rename(ours, estate.path("exchange/kld-1.json")).unwrap();
        edit(&estate.path("keyferry.toml"), &[("# exchange_keys", "exchange_keys")]);
        kld
    }

    /// Tells it where the KMS is.
    pub(crate) fn find(&self, server: &Server) {
        let path = self.folder.join("kld.toml");
        let config = fs::read_to_string(&path).unwrap();
        let url = format!("url = \"https://{}\"", server.https);
        let lines = config.lines().map(|line| if line.starts_with("url =") { url.as_str() } else { line });
        fs::write(&path, lines.collect::<Vec<_>>().join("\n")).unwrap();
    }

    /// `kld run open`.
    pub(crate) fn open_run(&self, estate: &Estate, serials: &[&str], what: &[&str]) -> Ran {
        let list = estate.beside("run.list");
        fs::write(&list, serials.join("\n")).unwrap();
        let mut open = self.with_cards(estate, &["run", "open"]);
        run(open.arg("--serials").arg(list).arg("--what").args(what))
    }

    /// `kld run load` of terminals that listen meanwhile.
    pub(crate) fn load(&self, estate: &Estate, terminals: &[&Terminal]) -> Ran {
        let listening: Vec<_> = terminals.iter().map(|terminal| terminal.listen()).collect();
        let mut load = self.with_cards(estate, &["run", "load", "--json"]);
        for (terminal, listening) in terminals.iter().zip(&listening) {
            load.args(["--terminal", &format!("{}@{}", terminal.sn, listening.address)]);
        }
        run(load.arg("--hsm-passphrase-file").arg(estate.secret("hsm-passphrase")))
    }

    /// `kld run close`.
    pub(crate) fn close_run(&self, estate: &Estate) -> Ran {
        run(&mut self.with_cards(estate, &["run", "close"]))
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = keyferry([&["kld"], arguments].concat());
        command.arg("--kld").arg(&self.folder);
        command
    }

    /// A command that needs both cards.
    pub(crate) fn with_cards(&self, estate: &Estate, arguments: &[&str]) -> Command {
        let mut command = self.command(arguments);
        command.arg("--operator-pin-file").arg(estate.secret("operator-pin"));
        command.arg("--administrator-pin-file").arg(estate.secret("administrator-pin"));
        command
    }
}

/// `ca issue`.
pub(crate) fn certify(estate: &Estate, role: &str, request: &Path, out: &Path) {
    let mut issue = estate.ca(&["issue", "--role", role]);
    run(issue.arg("--request").arg(request).arg("--out").arg(out)).good();
}
