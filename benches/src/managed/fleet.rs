//! Terminals with the keys that a KLD has injected.

use std::sync::Arc;

use anyhow::{Result, bail};
use flows::tms_session::Identification;
use hsm::{
    Hsm,
    commands::{Held, HeldKey, ImportLoaded, Imported},
};
use keyblock::{Algorithm, Exportability, Header, Kbpk, Mode, Usage, Version};
use paycrypto::keys::{Dmk, Tmk};
use store::{ReportedKey, ReportedTerminal};
use wire::{Device, Kcv, Serial, Slot};

use super::shop::VENDOR;
use crate::{
    devices::registered,
    estate::{ACQUIRER, Estate},
};

/// The slot of every terminal's TMK.
pub(crate) const SLOT: u8 = 0;
/// Terminals in one report.
const PER_REPORT: usize = 500;

/// One terminal.
pub(crate) struct Managed {
    pub(crate) sn: Serial,
    pub(crate) identification: Identification,
    pub(crate) dmk: Dmk,
    pub(crate) tmk: Tmk,
}

/// Terminals that the server knows.
pub(crate) struct ManagedFleet(pub(crate) Arc<[Arc<Managed>]>);

impl Managed {
    fn new(sn: &str, model: &str) -> Result<Managed> {
        let sn = Serial::parse(sn)?;
        let identification = Identification {
            vendor: VENDOR.parse()?,
            model: model.parse()?,
            device: Device::built_in(sn.clone()),
        };
        Ok(Managed { sn, identification, dmk: Dmk::generate()?, tmk: Tmk::generate()? })
    }

    /// What a KLD reports of it, its keys imported by the HSM.
    async fn reported(&self, estate: &Estate) -> Result<ReportedTerminal> {
        let dmk = self.import(estate, Held::Dmk, ("11", "N"), self.dmk.expose()).await?;
        let tmk = self.import(estate, Held::Tmk { slot: SLOT }, ("K1", "B"), self.tmk.expose()).await?;
        let keys = vec![
            ReportedKey::Dmk { block: dmk.block.into(), kcv: Kcv::Tdes(dmk.kcv) },
            ReportedKey::Tmk {
                slot: Slot::new(SLOT)?,
                block: tmk.block.into(),
                kcv: Kcv::Tdes(tmk.kcv),
                load_counter: None,
            },
        ];
        let device = self.identification.device.clone();
        Ok(ReportedTerminal { device, keys, failed: None, refused: None })
    }

    async fn import(
        &self,
        estate: &Estate,
        what: Held,
        (usage, mode): (&str, &str),
        key: &[u8],
    ) -> Result<HeldKey> {
        let header = Header::new(
            Version::B,
            Usage::parse(usage)?,
            Algorithm::TDES,
            Mode::parse(mode)?,
            Exportability::NOT_EXPORTABLE,
        );
        let header = header.with_optional("10", format!("{}/{SLOT:02}", self.sn))?;
        let block = Kbpk::new(Version::B, estate.exchange.clear.expose())?.wrap(&header, key)?;
        let (under, pin_pad) = (estate.exchange.block.clone(), self.sn.to_string());
        let import = ImportLoaded { under, block, pin_pad, what, owner: ACQUIRER.into() };
        match estate.hsm.call(import).await? {
            Imported::Key(held) => Ok(held),
            _ => bail!("a key of suite 01 was imported as something else"),
        }
    }
}

impl ManagedFleet {
    /// Makes so many terminals, of these models in turn, and enters them as a KLD's report does.
    pub(crate) async fn register(
        estate: &Estate,
        prefix: &str,
        models: &[&str],
        count: usize,
    ) -> Result<ManagedFleet> {
        let mut all = Vec::with_capacity(count);
        for (n, model) in (0..count).zip(models.iter().cycle()) {
            all.push(Arc::new(Managed::new(&format!("{prefix}-{n:06}"), model)?));
        }
        for (run, terminals) in all.chunks(PER_REPORT).enumerate() {
            let mut reported = Vec::with_capacity(terminals.len());
            for terminal in terminals {
                reported.push(terminal.reported(estate).await?);
            }
            registered(estate, &format!("{prefix}-{run}"), reported).await?;
        }
        Ok(ManagedFleet(all.into()))
    }
}
