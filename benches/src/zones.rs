//! Zone keys: what PINs leave the server under.

use anyhow::Result;
use hsm::{KeyBlock, commands::ZoneAlgorithm};
use hsm_soft::{
    Offline,
    components::{Ceremony, Component, Target, combine, enter},
};
use keyblock::{Kbpk, Version};
use paycrypto::AesKey;
use server::host::zone::{self, By};

use crate::estate::{ACQUIRER, Estate};

/// The key that zone keys are exchanged under: AES, so that both sorts of zone keys go under it.
pub(crate) struct ZoneMaster {
    block: KeyBlock,
    clear: AesKey,
}

impl ZoneMaster {
    /// Enters two components, before the HSM runs.
    pub(crate) fn enter(hsm: &Offline) -> Result<ZoneMaster> {
        let ceremony = Ceremony {
            name: "issuer-1".into(),
            owner: ACQUIRER.into(),
            session: "benchmark".into(),
            of: 2,
            target: Target::ZoneMaster { algorithm: ZoneAlgorithm::Aes },
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
        Ok(ZoneMaster { block: combine(hsm, &ceremony, &parts, clear.kcv())?.block, clear })
    }

    /// Has the HSM make a zone's key, and gives it as the other side has it.
    pub(crate) async fn make_zone(
        &self,
        estate: &Estate,
        zone: &str,
        algorithm: ZoneAlgorithm,
    ) -> Result<Vec<u8>> {
        let by = By { owner: ACQUIRER, actor: "benchmark" };
        let (_, block) = zone::make(&estate.hsm, &estate.store, &self.block, (zone, algorithm), by).await?;
        let opened = Kbpk::new(Version::D, self.clear.expose())?.unwrap(&block)?;
        Ok(opened.key.to_vec())
    }
}
