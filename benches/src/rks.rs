//! The keys of the remote key server: DIK1, which the benchmark gets as a KLD does, and the work key with its chain.

use anyhow::Result;
use hsm::{
    Client, Hsm, KeyBlock,
    commands::{ExportDik1, MakeDik1, MakeRksKey},
};
use hsm_soft::{
    Offline,
    components::{Ceremony, Component, Target, combine, enter},
};
use keyblock::{Kbpk, Version};
use paycrypto::{TdesKey, rsa::PrivateKey};
use pki::{
    Certificate, Role, Signer,
    issue::{self, Issuer, Validity},
};
use store::{DeviceStore, Dik1Scope, NewCertificate, NewDik1, NewRksWorkKey, SqliteStore, Store};
use wire::{Kcv, Suite};

use crate::estate::{ACQUIRER, BITS, Key, event, name};

/// The label of the one DIK1.
pub(crate) const DIK1: &str = "all-devices";

/// The key that DIK1 leaves the HSM under, and terminals' keys come to it.
pub(crate) struct ExchangeKey {
    pub(crate) block: KeyBlock,
    pub(crate) clear: TdesKey,
}

/// The keys of the remote key server.
pub(crate) struct RksKeys {
    /// The certificate of the work key.
    pub(crate) work: Certificate,
    /// DIK1 as KLDs have it.
    pub(crate) dik1: TdesKey,
    intermediate: Certificate,
    work_block: KeyBlock,
    dik1_block: KeyBlock,
}

impl ExchangeKey {
    /// Enters two components, before the HSM runs.
    pub(crate) fn enter(hsm: &Offline) -> Result<ExchangeKey> {
        let ceremony = Ceremony {
            name: "KLD-1".into(),
            owner: ACQUIRER.into(),
            session: "benchmark".into(),
            of: 2,
            target: Target::Exchange,
        };
        let typed = [TdesKey::generate24()?, TdesKey::generate24()?];
        let mut parts = Vec::new();
        for ((part, person), key) in (1..).zip(["Ada Lovelace", "Grace Hopper"]).zip(&typed) {
            let clear = key.expose().to_vec().into();
            let component = Component { part, person: person.into(), clear, check_value: key.kcv() };
            parts.push(enter(hsm, &ceremony, &component)?);
        }
        let [one, other] = typed;
        let sum: Vec<u8> = one.expose().iter().zip(other.expose()).map(|(a, b)| a ^ b).collect();
        let clear = TdesKey::from_bytes(&sum)?;
        Ok(ExchangeKey { block: combine(hsm, &ceremony, &parts, clear.kcv())?.block, clear })
    }
}

impl RksKeys {
    /// Has the HSM make them; the work key's certificate comes from an intermediate, as in life.
    pub(crate) async fn make(
        hsm: &Client,
        root: &Issuer<'_>,
        validity: Validity,
        exchange: &ExchangeKey,
    ) -> Result<RksKeys> {
        let owner = || ACQUIRER.to_owned();
        let made = hsm.call(MakeRksKey { bits: BITS, subject: "RKS work".into(), owner: owner() }).await?;
        let between_key = Key::new(PrivateKey::generate(BITS)?);
        let intermediate =
            issue::intermediate(root, &name("Benchmark RKS")?, between_key.spki_der(), validity, 0)?;
        let issuer = Issuer::new(&intermediate, &between_key)?;
        let work = issue::leaf(&issuer, Role::RksWork, &name("RKS work")?, &made.public, validity)?;

        let dik1_block = hsm.call(MakeDik1 { owner: owner(), label: DIK1.into() }).await?.block;
        let export = ExportDik1 { dik1: dik1_block.clone(), under: exchange.block.clone(), owner: owner() };
        let exported = hsm.call(export).await?;
        let opened = Kbpk::new(Version::B, exchange.clear.expose())?.unwrap(&exported)?;
        let dik1 = TdesKey::from_bytes(&opened.key)?;
        Ok(RksKeys { work, dik1, intermediate, work_block: made.private, dik1_block })
    }

    /// Puts them into a store that has the acquirer.
    pub(crate) async fn install(&self, store: &SqliteStore) -> Result<()> {
        let (sha256, der) = (self.work.sha256_hex(), self.work.der().to_vec());
        let certificate = NewCertificate { role: "rks-work".into(), sha256: sha256.clone(), der };
        store.put_certificate(certificate, event("certificate.kept", ACQUIRER)).await?;
        let key = NewRksWorkKey {
            certificate_sha256: sha256,
            private_block: self.work_block.as_str().to_owned(),
            spki: self.work.spki_der().to_vec(),
            intermediates: self.intermediate.der().to_vec(),
            suite: Suite::TDES,
        };
        store.put_rks_work_key(key, event("rks.work-key-installed", ACQUIRER)).await?;
        let dik1 = NewDik1 {
            label: DIK1.into(),
            acquirer: ACQUIRER.into(),
            scope: Dik1Scope::Acquirer,
            block: self.dik1_block.as_str().to_owned(),
            kcv: Kcv::Tdes(self.dik1.kcv()),
        };
        store.put_dik1(dik1, event("rks.dik1-made", ACQUIRER)).await?;
        Ok(())
    }
}
