//! What a KLD needs for suite 02: a P-256 root beside the cards' own, an AES exchange key that three people typed.

use std::{net::SocketAddr, sync::LazyLock};

use custody::keyfile::KeyKind;
use hsm_soft::{
    Offline,
    components::{self, Ceremony, Component, Target},
};
use keyblock::{Algorithm, Exportability, Header, Kbpk, Mode, Usage, Version};
use keyferry_station::{
    Checks, LinkLimits,
    kld::{Combined, Kld, LoadFailure, LoadFault, LoadedTerminal, Run},
    link::Link,
};
use paycrypto::{AesKey, ec::keys::Dik1};
use pki::{
    Certificate, Name, RevocationReason, Role, csr,
    issue::{self, Issuer, Revoked, Validity},
};
use wire::{Kcv, Suite};
use zeroize::Zeroizing;

use crate::estate::{BOTH, DAY, ESTATE, Key, name, now, valid};
use crate::world::{OWNER, PASSPHRASE, World, listed, what};

/// The acquirer's root of suite 02: devices and KLDs.
pub(crate) struct EcRoot {
    key: Key,
    pub(crate) root: Certificate,
}

pub(crate) static EC: LazyLock<EcRoot> = LazyLock::new(|| {
    let (signer, pem) = custody::keyfile::generate(KeyKind::P256, "root-passphrase").unwrap();
    let long = Validity { not_before: now() - 100 * DAY, not_after: now() + 1000 * DAY };
    let root = issue::root(&name("EC root"), &signer, long, 0).unwrap();
    EcRoot { key: Key { signer, pem }, root }
});

impl EcRoot {
    pub(crate) fn leaf(&self, role: Role, subject: &Name, spki: &[u8], validity: Validity) -> Certificate {
        let issuer = Issuer::new(&self.root, &self.key.signer).unwrap();
        issue::leaf(&issuer, role, subject, spki, validity).unwrap()
    }

    pub(crate) fn device(&self, serial: &str, spki: &[u8]) -> Certificate {
        self.leaf(Role::Device, &Name::device("PIN pad", None, serial).unwrap(), spki, valid())
    }

    /// Both roots trusted, lists of all at hand; these certificates of this root are revoked.
    pub(crate) fn checks_revoking(&self, revoked: &[&Certificate]) -> Checks {
        let entry = |certificate: &&Certificate| Revoked {
            serial: certificate.serial().to_vec(),
            when: now() - 60,
            reason: RevocationReason::KeyCompromise,
        };
        let revoked: Vec<_> = revoked.iter().map(entry).collect();
        let issuer = Issuer::new(&self.root, &self.key.signer).unwrap();
        let mut checks = ESTATE.checks();
        checks.crls.add(issue::build_crl(&issuer, 1, now() - 60, now() + DAY, &revoked).unwrap());
        checks.trust.add(self.root.clone(), &Role::ALL);
        checks
    }

    pub(crate) fn checks(&self) -> Checks {
        self.checks_revoking(&[])
    }

    /// A certificate for a KLD's request.
    pub(crate) fn certify(&self, request: &str, role: Role) -> String {
        let csr = csr::parse_and_verify(&csr::from_pem(request).unwrap()).unwrap();
        self.leaf(role, &name("KLD-7"), &csr.spki, valid()).pem()
    }
}

/// A KLD that is ready for runs of suite 02, and its exchange key.
pub(crate) fn ready() -> (World, AesKey) {
    let world = World::empty();
    let mut kld = world.kld();
    let request = kld.request(KeyKind::P256).unwrap();
    kld.install(&EC.certify(&request, Role::Downloader), &EC.checks()).unwrap();
    let (key, exchange) = combine(&world, &Target::ExchangeAes, "KLD-7-AES");
    kld.take_exchange_key(&BOTH.1, key).unwrap();
    (world, exchange)
}

/// An AES key that three people type at the HSM's own console, and the key itself.
pub(crate) fn combine(world: &World, target: &Target, name: &str) -> (Combined, AesKey) {
    let offline = Offline::open(&world.folder.path().join("hsm"), PASSPHRASE).unwrap();
    let ceremony = Ceremony {
        name: name.into(),
        owner: OWNER.into(),
        session: "S1".into(),
        of: 3,
        target: target.clone(),
    };
    let typed: Vec<_> = (0..3).map(|_| AesKey::generate32().unwrap()).collect();
    let blocks: Vec<_> = (1..)
        .zip(["Ada", "Grace", "Mary"])
        .zip(&typed)
        .map(|((part, person), key)| {
            let clear = Zeroizing::new(key.expose().to_vec());
            let component: Component<5> =
                Component { part, person: person.into(), clear, check_value: key.kcv() };
            components::enter(&offline, &ceremony, &component).unwrap()
        })
        .collect();
    let xor: Vec<u8> = (0..32).map(|at| typed.iter().fold(0, |sum, key| sum ^ key.expose()[at])).collect();
    let key = AesKey::from_bytes(&xor).unwrap();
    let made = components::combine::<5>(&offline, &ceremony, &blocks, key.kcv()).unwrap();
    let combined =
        Combined { name: name.into(), block: made.block.as_str().to_owned(), kcv: Kcv::Aes(made.kcv) };
    (combined, key)
}

/// A DIK1 of suite 02 as an RKS exports it.
pub(crate) fn exported_dik1(exchange: &AesKey, label: &str) -> (Dik1, String) {
    let header = Header::new(
        Version::D,
        Usage::parse("B3").unwrap(),
        Algorithm::AES,
        Mode::DERIVE,
        Exportability::NOT_EXPORTABLE,
    )
    .with_optional("LB", label)
    .unwrap();
    let dik1 = Dik1::generate().unwrap();
    let block = Kbpk::new(Version::D, exchange.expose()).unwrap().wrap(&header, dik1.expose()).unwrap();
    (dik1, block)
}

/// Opens a run of suite 02 under the good cards.
pub(crate) fn open_run(kld: &Kld, serials: &str, wanted: &[&str]) -> Run {
    kld.open_run(Suite::EC_AES, &BOTH.1, &EC.checks(), &listed(serials), &what(wanted)).unwrap()
}

/// Loads what listens there, under the good cards.
pub(crate) fn load(kld: &mut Kld, run: &mut Run, address: SocketAddr) -> Result<LoadedTerminal, LoadFailure> {
    load_with(kld, run, &EC.checks(), address)
}

pub(crate) fn load_with(
    kld: &mut Kld,
    run: &mut Run,
    checks: &Checks,
    address: SocketAddr,
) -> Result<LoadedTerminal, LoadFailure> {
    kld.load(run, &BOTH.1, checks, None, || {
        Link::connect(&address.to_string(), LinkLimits::default()).map_err(LoadFault::Link)
    })
}
