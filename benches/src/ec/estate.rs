//! Keys of suite 02: a root for devices and work keys, the KMS's agreement key, the RKS's signing key, DIK1.

use std::path::Path;

use anyhow::{Result, anyhow};
use hsm::{
    Client, Hsm, KeyBlock,
    commands::{EcKeyKind, ExportDik1, MakeDik1Ec, MakeEcKey},
};
use hsm_soft::{
    Offline,
    components::{Ceremony, Component, Target, combine, enter},
};
use keyblock::{Kbpk, Version};
use paycrypto::{
    AesKey,
    ec::{SigningKey, keys::Dik1},
};
use pki::{
    Certificate, Name, Role, Scheme, SignError, Signer,
    issue::{self, Issuer},
};
use store::{
    DeviceStore, Dik1Scope, NewCertificate, NewDik1, NewRksWorkKey, NewWorkKey, SqliteStore, Store,
    WorkKeyState,
};
use wire::{Kcv, Suite};

use crate::estate::{ACQUIRER, event, name, now, private, validity};

/// The label of suite 02's one DIK1.
pub(super) const DIK1: &str = "all-devices-02";
const DAY: i64 = 86_400;

/// The AES key that DIK1 leaves the HSM under.
pub(crate) struct ExchangeKeyEc {
    block: KeyBlock,
    clear: AesKey,
}

/// The keys.
pub(crate) struct EcEstate {
    root: Certificate,
    root_key: EcKey,
    /// The KMS's agreement key's.
    pub(super) work: Certificate,
    work_block: KeyBlock,
    /// The RKS's signing key's.
    pub(super) signing: Certificate,
    signing_block: KeyBlock,
    dik1_block: KeyBlock,
    /// DIK1 as KLDs have it.
    pub(super) dik1: Dik1,
}

/// A P-256 key that signs, with its public key's encoding.
pub(super) struct EcKey {
    key: SigningKey,
    spki: Vec<u8>,
}

impl EcKey {
    pub(super) fn generate() -> Result<EcKey> {
        let key = SigningKey::generate()?;
        let spki = key.spki_der();
        Ok(EcKey { key, spki })
    }
}

impl Signer for EcKey {
    fn spki_der(&self) -> &[u8] {
        &self.spki
    }

    fn sign(&self, _: Scheme, message: &[u8]) -> Result<Vec<u8>, SignError> {
        self.key.sign(message).map(Vec::from).map_err(|e| SignError::new(e.to_string()))
    }
}

impl ExchangeKeyEc {
    /// Enters two components, before the HSM runs.
    pub(crate) fn enter(hsm: &Offline) -> Result<ExchangeKeyEc> {
        let ceremony = Ceremony {
            name: "KLD-1-aes".into(),
            owner: ACQUIRER.into(),
            session: "benchmark".into(),
            of: 2,
            target: Target::ExchangeAes,
        };
        let typed = [AesKey::generate32()?, AesKey::generate32()?];
        let mut parts = Vec::new();
        for ((part, person), key) in (1..).zip(["Ada Lovelace", "Grace Hopper"]).zip(&typed) {
            let clear = key.expose().to_vec().into();
            let component = Component { part, person: person.into(), clear, check_value: key.kcv() };
            parts.push(enter(hsm, &ceremony, &component)?);
        }
        let [one, other] = typed;
        let sum: Vec<u8> = one.expose().iter().zip(other.expose()).map(|(a, b)| a ^ b).collect();
        let clear = AesKey::from_bytes(&sum)?;
        Ok(ExchangeKeyEc { block: combine(hsm, &ceremony, &parts, clear.kcv())?.block, clear })
    }
}

impl EcEstate {
    /// Has the HSM make them.
    pub(crate) async fn make(hsm: &Client, exchange: &ExchangeKeyEc) -> Result<EcEstate> {
        let owner = || ACQUIRER.to_owned();
        let make = |kind, subject: &str| MakeEcKey { kind, subject: subject.into(), owner: owner() };
        let root_key = EcKey::generate()?;
        let root = issue::root(&name("Benchmark root of suite 02")?, &root_key, validity(), 1)?;
        let issuer = Issuer::new(&root, &root_key)?;
        let issued = |role, subject: &str, spki: &[u8]| -> Result<Certificate> {
            Ok(issue::leaf(&issuer, role, &name(subject)?, spki, validity())?)
        };
        let kms = hsm.call(make(EcKeyKind::KmsAgreement, "KMS work 02")).await?;
        let work = issued(Role::KmsWork, "KMS work 02", &kms.public)?;
        let rks = hsm.call(make(EcKeyKind::RksSigning, "RKS signing")).await?;
        let signing = issued(Role::RksSigning, "RKS signing", &rks.public)?;

        let dik1_block = hsm.call(MakeDik1Ec { owner: owner(), label: DIK1.into() }).await?.block;
        let export = ExportDik1 { dik1: dik1_block.clone(), under: exchange.block.clone(), owner: owner() };
        let exported = hsm.call(export).await?;
        let opened = Kbpk::new(Version::D, exchange.clear.expose())?.unwrap(&exported)?;
        let dik1 = opened.key.as_slice().try_into().map_err(|_| anyhow!("DIK1 has 32 bytes"))?;
        let (work_block, signing_block) = (kms.private, rks.private);
        let dik1 = Dik1::from_bytes(dik1);
        Ok(EcEstate { root, root_key, work, work_block, signing, signing_block, dik1_block, dik1 })
    }

    /// Puts root and revocation list where the configuration has them, and the keys into a store with the acquirer.
    pub(crate) async fn install(&self, folder: &Path, store: &SqliteStore) -> Result<()> {
        let issuer = Issuer::new(&self.root, &self.root_key)?;
        let list = issue::build_crl(&issuer, 1, now() - 60, now() + DAY, &[])?;
        private(&folder.join("root-02.pem"), &self.root.pem())?;
        private(&folder.join("crl-02.pem"), &list.pem())?;
        for (role, certificate) in [("kms-work", &self.work), ("rks-signing", &self.signing)] {
            let (sha256, der) = (certificate.sha256_hex(), certificate.der().to_vec());
            let kept = NewCertificate { role: role.into(), sha256, der };
            store.put_certificate(kept, event("certificate.kept", ACQUIRER)).await?;
        }
        let work = NewWorkKey {
            certificate_sha256: self.work.sha256_hex(),
            private_block: self.work_block.as_str().to_owned(),
            spki: self.work.spki_der().to_vec(),
            intermediates: Vec::new(),
            state: WorkKeyState::Active,
            suite: Suite::EC_AES,
        };
        store.put_work_key(work, event("work-key.installed", ACQUIRER)).await?;
        let signing = NewRksWorkKey {
            certificate_sha256: self.signing.sha256_hex(),
            private_block: self.signing_block.as_str().to_owned(),
            spki: self.signing.spki_der().to_vec(),
            intermediates: Vec::new(),
            suite: Suite::EC_AES,
        };
        store.put_rks_work_key(signing, event("rks.work-key-installed", ACQUIRER)).await?;
        let dik1 = NewDik1 {
            label: DIK1.into(),
            acquirer: ACQUIRER.into(),
            scope: Dik1Scope::Acquirer,
            block: self.dik1_block.as_str().to_owned(),
            kcv: Kcv::Aes(self.dik1.kcv()),
        };
        Ok(store.put_dik1(dik1, event("rks.dik1-made", ACQUIRER)).await.map(drop)?)
    }

    /// A device certificate for this serial.
    pub(super) fn certify(&self, serial: &str, key: &EcKey) -> Result<Certificate> {
        let subject = Name::device("PIN pad", Some("Benchmark"), serial)?;
        let issuer = Issuer::new(&self.root, &self.root_key)?;
        Ok(issue::leaf(&issuer, Role::Device, &subject, key.spki_der(), validity())?)
    }
}
