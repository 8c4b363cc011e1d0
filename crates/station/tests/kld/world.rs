//! A KLD with its HSM process's socket, an exchange key that three people typed, and a certificate.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::{Arc, LazyLock},
    thread,
};

use custody::keyfile::KeyKind;
use hsm::Client;
use hsm_soft::{
    Duty, Offline, SoftHsm,
    components::{self, Ceremony, Component, Target},
};
use keyferry_station::{
    LinkLimits,
    kld::{Combined, Kld, KldHsm, Listed, LoadFailure, LoadFault, LoadedTerminal, Run, What, list},
    link::Link,
};
use paycrypto::TdesKey;
use pki::{Role, csr};
use tokio::runtime::Runtime;
use wire::{Kcv, Serial, Suite};
use zeroize::Zeroizing;

use crate::estate::{BOTH, ESTATE, valid};

pub(crate) const OWNER: &str = "ACQ";
pub(crate) const PASSPHRASE: &str = "only for this test";

static RUNTIME: LazyLock<Runtime> =
    LazyLock::new(|| tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap());

/// A KLD's folder and its HSM.
pub(crate) struct World {
    pub(crate) folder: tempfile::TempDir,
    pub(crate) hsm: KldHsm,
}

impl World {
    /// A folder with an HSM on duty for a KLD, and nothing else.
    pub(crate) fn empty() -> World {
        World::empty_on(Duty::Kld)
    }

    pub(crate) fn empty_on(duty: Duty) -> World {
        let folder = tempfile::tempdir().unwrap();
        let (at, socket) = (folder.path().join("hsm"), folder.path().join("hsm.sock"));
        hsm_soft::create(&at, PASSPHRASE).unwrap();
        let hsm = SoftHsm::open(&at, PASSPHRASE, vec![]).unwrap().on_duty(duty);
        let server = hsm_soft::serve::Server::bind(&socket, Arc::new(hsm)).unwrap();
        thread::spawn(move || server.run());
        let client = RUNTIME.block_on(Client::connect(&socket)).unwrap();
        let world = World { folder, hsm: KldHsm::new(client, RUNTIME.handle().clone()) };
        Kld::create(&world.path(), "KLD-7", OWNER).unwrap();
        world
    }

    /// With a certificate and an exchange key: ready for a run.
    pub(crate) fn ready() -> World {
        let world = World::empty();
        let mut kld = world.kld();
        let request = kld.request(KeyKind::Rsa(2048)).unwrap();
        kld.install(&certify(&request, Role::Downloader), &ESTATE.checks()).unwrap();
        let key = world.combined(&Target::Exchange, "KLD-7");
        kld.take_exchange_key(&BOTH.1, key).unwrap();
        world
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.folder.path().join("kld")
    }

    pub(crate) fn kld(&self) -> Kld {
        Kld::open(&self.path(), self.hsm.clone()).unwrap()
    }

    /// A key that three people type at the HSM's own console.
    pub(crate) fn combined(&self, target: &Target, name: &str) -> Combined {
        self.combine(target, name).0
    }

    /// The same, and the key itself.
    pub(crate) fn combine(&self, target: &Target, name: &str) -> (Combined, TdesKey) {
        let offline = Offline::open(&self.folder.path().join("hsm"), PASSPHRASE).unwrap();
        let ceremony = Ceremony {
            name: name.into(),
            owner: OWNER.into(),
            session: "S1".into(),
            of: 3,
            target: target.clone(),
        };
        let typed: Vec<_> = (0..3).map(|_| TdesKey::generate24().unwrap()).collect();
        let blocks: Vec<_> = (1..)
            .zip(["Ada", "Grace", "Mary"])
            .zip(&typed)
            .map(|((part, person), key)| {
                let clear = Zeroizing::new(key.expose().to_vec());
                let component = Component { part, person: person.into(), clear, check_value: key.kcv() };
                components::enter(&offline, &ceremony, &component).unwrap()
            })
            .collect();
        let xor: Vec<u8> =
            (0..24).map(|at| typed.iter().fold(0, |sum, key| sum ^ key.expose()[at])).collect();
        let key = TdesKey::from_bytes(&xor).unwrap();
        let made = components::combine(&offline, &ceremony, &blocks, key.kcv()).unwrap();
        let combined =
            Combined { name: name.into(), block: made.block.as_str().to_owned(), kcv: Kcv::Tdes(made.kcv) };
        (combined, key)
    }
}

/// A certificate of the estate for a request, with its intermediate behind it.
pub(crate) fn certify(request: &str, role: Role) -> String {
    certify_within(request, role, valid())
}

pub(crate) fn certify_within(request: &str, role: Role, validity: pki::issue::Validity) -> String {
    let csr = csr::parse_and_verify(&csr::from_pem(request).unwrap()).unwrap();
    let leaf = ESTATE.leaf_of(role, "KLD-7", &csr.spki, validity);
    leaf.pem() + &ESTATE.intermediate.pem()
}

pub(crate) fn what(text: &[&str]) -> Vec<What> {
    text.iter().map(|text| text.parse().unwrap()).collect()
}

pub(crate) fn listed(text: &str) -> Vec<Listed> {
    list::read(text).unwrap()
}

/// Opens a run under the good cards.
pub(crate) fn open_run(kld: &Kld, serials: &str, wanted: &[&str]) -> Run {
    kld.open_run(Suite::TDES, &BOTH.1, &ESTATE.checks(), &listed(serials), &what(wanted)).unwrap()
}

/// Loads what listens there, under the good cards.
pub(crate) fn load(kld: &mut Kld, run: &mut Run, address: SocketAddr) -> Result<LoadedTerminal, LoadFailure> {
    load_expecting(kld, run, address, None)
}

pub(crate) fn load_expecting(
    kld: &mut Kld,
    run: &mut Run,
    address: SocketAddr,
    expected: Option<&Serial>,
) -> Result<LoadedTerminal, LoadFailure> {
    kld.load(run, &BOTH.1, &ESTATE.checks(), expected, || {
        Link::connect(&address.to_string(), LinkLimits::default()).map_err(LoadFault::Link)
    })
}

/// The files under a folder, and what is in them.
pub(crate) fn files(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else if path.is_file() {
            let bytes = std::fs::read(&path).unwrap();
            found.push((path, bytes));
        }
    }
    found
}
