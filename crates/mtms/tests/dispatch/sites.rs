//! What is slow to make, made once: a vendor and two banks, each with an HSM and a CA, and the keys agreed between them.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::{Arc, LazyLock},
    thread,
    time::{SystemTime, UNIX_EPOCH},
};

use custody::{
    ca::{Ca, NewCa},
    card,
    keyfile::{self, KeyKind},
};
use hsm::{
    Client, Command, Hsm as _, KeyBlock,
    commands::{MakeTlsKey, MakeWorkKey, WorkKey, ZoneAlgorithm},
};
use hsm_soft::{
    Duty, Offline, SoftHsm,
    agreement::{self, AgreedKeys, Parties},
    serve,
};
use pki::{Certificate, Name, RevocationReason, Role, Signer as _, csr::Csr};

pub(crate) const VENDOR: &str = "VENDOR";
pub(crate) const BANK: &str = "BANK";
pub(crate) const OTHER: &str = "OTHER-BANK";
const PASSPHRASE: &str = "only for these tests";
pub(crate) const PIN: &str = "271828";
const KIND: KeyKind = KeyKind::Rsa(2048);

/// One party: its HSM, its CA, its work key.
pub(crate) struct Site {
    pub(crate) name: &'static str,
    pub(crate) folder: PathBuf,
    pub(crate) work: WorkKey,
    pub(crate) certificate: Certificate,
}

/// All of them, and what was agreed.
pub(crate) struct Sites {
    pub(crate) vendor: Site,
    pub(crate) bank: Site,
    pub(crate) other: Site,
    /// At the vendor and at the bank; at the vendor for the other bank.
    pub(crate) at_vendor: AgreedKeys,
    pub(crate) at_bank: AgreedKeys,
    pub(crate) for_other: AgreedKeys,
}

/// Made at first use; its folders stay in Cargo's folder for tests.
pub(crate) static SITES: LazyLock<Sites> = LazyLock::new(|| {
    let (vendor, bank, other) = (Site::new(VENDOR), Site::new(BANK), Site::new(OTHER));
    let (at_vendor, at_bank) = agree(&vendor, &bank);
    let (for_other, _) = agree(&vendor, &other);
    Sites { vendor, bank, other, at_vendor, at_bank, for_other }
});

pub(crate) fn now() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs().try_into().unwrap()
}

fn name(common_name: &str) -> Name {
    Name::new(common_name, Some("Test")).unwrap()
}

fn agree(vendor: &Site, buyer: &Site) -> (AgreedKeys, AgreedKeys) {
    let parties = Parties { vendor: vendor.name.into(), buyer: buyer.name.into() };
    let (tdes, public) = (ZoneAlgorithm::Tdes, &buyer.work.public);
    let (here, travelling) = agreement::offer(&vendor.offline(), &parties, tdes, public).unwrap();
    let there = agreement::accept(&buyer.offline(), &parties, tdes, &buyer.work.private, &travelling);
    (here, there.unwrap())
}

impl Site {
    fn new(name_of: &'static str) -> Site {
        let folder = tempfile::Builder::new().prefix("s").tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let folder = folder.keep();
        hsm_soft::create(&folder.join("lmk"), PASSPHRASE).unwrap();
        let duty = if name_of == VENDOR { Duty::Mtms } else { Duty::Server };
        let hsm = SoftHsm::open(&folder.join("lmk"), PASSPHRASE, vec![]).unwrap().on_duty(duty);
        let server = serve::Server::bind(&folder.join("s"), Arc::new(hsm)).unwrap();
        thread::spawn(move || server.run());
        let root = NewCa::new(name(&format!("{name_of} root")), KIND);
        let mut ca = Ca::create(&folder.join("ca"), &root, PASSPHRASE, now()).unwrap();
        let work = ask(&folder, MakeWorkKey { bits: 2048, subject: "work".into(), owner: name_of.into() });
        let request = pki::csr::parse_and_verify(&work.request).unwrap();
        let certificate = if name_of == VENDOR {
            ca.issue_mtms_agreement(&request, 365, now()).unwrap()
        } else {
            ca.issue(&request, Role::KmsWork, 365, now()).unwrap()
        };
        write_card(&mut ca, &folder, "mtms", Role::Mtms);
        write_card(&mut ca, &folder, "operator", Role::Operator);
        let revoked = write_card(&mut ca, &folder, "revoked", Role::Mtms);
        ca.revoke(&revoked.serial_hex(), RevocationReason::KeyCompromise, now()).unwrap();
        let (subject, owner) = (format!("{name_of} server"), name_of.to_owned());
        let tls = ask(&folder, MakeTlsKey { bits: 2048, subject: subject.clone(), owner });
        let names = ["127.0.0.1".parse().unwrap()];
        let server = ca.tls_server(&name(&subject), &tls.public, &names, 30, now()).unwrap();
        fs::write(folder.join("tls.pem"), server.pem()).unwrap();
        fs::write(folder.join("tls.key-block"), tls.private.as_str()).unwrap();
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o600);
        fs::set_permissions(folder.join("tls.key-block"), mode).unwrap();
        Site { name: name_of, folder, work, certificate }
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.folder.join("s")
    }

    pub(crate) fn path(&self, file: &str) -> PathBuf {
        self.folder.join(file)
    }

    fn offline(&self) -> Offline {
        Offline::open(&self.folder.join("lmk"), PASSPHRASE).unwrap()
    }

    pub(crate) fn work_block(&self) -> KeyBlock {
        self.work.private.clone()
    }
}

fn write_card(ca: &mut Ca, folder: &Path, file: &str, role: Role) -> Certificate {
    let (signer, pem) = keyfile::generate(KIND, PIN).unwrap();
    let request = Csr { subject: name(&format!("{file} card")), spki: signer.spki_der().to_vec() };
    let certificate = ca.issue(&request, role, 365, now()).unwrap();
    card::write_card(&folder.join(format!("{file}.pem")), &pem, &certificate, &[]).unwrap();
    certificate
}

/// One command, in a runtime of its own.
fn ask<C: Command>(folder: &Path, command: C) -> C::Reply {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async { Client::connect(&folder.join("s")).await.unwrap().call(command).await.unwrap() })
}
