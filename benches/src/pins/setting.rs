//! Terminals that are signed in, two zones, and PIN blocks between them.

use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use flows::sign_in::terminal::Start;
use hsm::{
    KeyBlock, Sensitive,
    commands::{PinFormat, PinTranslation, TranslatePins, ZoneAlgorithm},
};
use paycrypto::TdesKey;
use pinblock::{Format, Format4Key, Pan, Pin};
use serde_json::{Value, json};
use store::{HostStore, WorkingKind};
use wire::{Frame, Serial, Slot};

use crate::{
    children::Children,
    estate::{ACQUIRER, Estate},
    line::Line,
    managed::{Managed, ManagedFleet, Pad, SLOT},
};

const PAN: &str = "4012345678909";
const PIN: &str = "4931";
/// Sign-ins at once while the setting is made.
const AT_ONCE: usize = 16;

/// From one format to another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Formats {
    pub(super) from: u8,
    pub(super) to: u8,
}

/// What is measured: TDES to TDES, and TDES to AES.
pub(super) const FORMATS: [Formats; 3] =
    [Formats { from: 0, to: 0 }, Formats { from: 0, to: 3 }, Formats { from: 0, to: 4 }];

/// Everything that translations need.
pub(crate) struct Setting {
    /// Each terminal's PIN block in format 0, and its PIK under the LMK.
    terminals: Arc<[SignedIn]>,
    tdes: Zone<TdesKey>,
    aes: Zone<Format4Key>,
}

struct SignedIn {
    sn: Serial,
    pik: KeyBlock,
    block: [u8; 8],
}

/// A zone with its key as the other side has it, and as the HSM has it.
struct Zone<K> {
    name: &'static str,
    key: K,
    block: KeyBlock,
}

impl Formats {
    pub(super) fn text(self) -> String {
        format!("{}→{}", self.from, self.to)
    }

    pub(super) fn name(self) -> String {
        format!("{}-{}", self.from, self.to)
    }
}

impl Setting {
    /// Signs the terminals in and makes the zones.
    pub(crate) async fn make(estate: &Estate, children: &Children, fleet: &ManagedFleet) -> Result<Setting> {
        let address = children.terminal_port()?;
        let mut tasks = Vec::new();
        for start in 0..AT_ONCE.min(fleet.0.len()) {
            let all = Arc::clone(&fleet.0);
            tasks.push(tokio::spawn(async move {
                let mut line = Line::connect(address).await?;
                let mut signed_in = Vec::new();
                for terminal in all.iter().skip(start).step_by(AT_ONCE) {
                    signed_in.push((terminal.sn.clone(), sign_in(&mut line, terminal).await?));
                }
                Ok::<_, anyhow::Error>(signed_in)
            }));
        }
        let mut terminals = Vec::new();
        for task in tasks {
            for (sn, block) in task.await?? {
                let wanted = vec![(sn.clone(), Slot::new(SLOT)?, WorkingKind::Pik)];
                let found = estate.store.active_working(wanted).await?.into_iter().flatten().next();
                let pik = KeyBlock::from_text(found.context("a signed-in terminal has a PIK")?.key.block);
                terminals.push(SignedIn { sn, pik, block });
            }
        }
        let (tdes, tdes_block) = zone(estate, "issuer-tdes", ZoneAlgorithm::Tdes).await?;
        let (aes, aes_block) = zone(estate, "issuer-aes", ZoneAlgorithm::Aes).await?;
        Ok(Setting {
            terminals: terminals.into(),
            tdes: Zone { name: "issuer-tdes", key: TdesKey::from_bytes(&tdes)?, block: tdes_block },
            aes: Zone { name: "issuer-aes", key: Format4Key::new(&aes)?, block: aes_block },
        })
    }

    fn zone_of(&self, formats: Formats) -> (&'static str, &KeyBlock) {
        if formats.to == 4 { (self.aes.name, &self.aes.block) } else { (self.tdes.name, &self.tdes.block) }
    }

    /// So many terminals in turn, from this one on.
    fn some(&self, from: usize, count: usize) -> impl Iterator<Item = &SignedIn> {
        self.terminals.iter().cycle().skip(from % self.terminals.len().max(1)).take(count)
    }

    /// Items of requests.
    pub(super) fn items(&self, formats: Formats, from: usize, count: usize) -> Vec<Value> {
        let (zone, _) = self.zone_of(formats);
        let item = |terminal: &SignedIn| {
            json!({ "sn": terminal.sn.as_str(), "slot": SLOT, "pan": PAN, "from": formats.from,
                "to": formats.to, "pin_block": crate::managed::hex(&terminal.block), "zone": zone })
        };
        self.some(from, count).map(item).collect()
    }

    /// The same as the HSM's command.
    pub(super) fn command(&self, formats: Formats, from: usize, count: usize) -> TranslatePins {
        let (zone, zone_key) = self.zone_of(formats);
        let to = match formats.to {
            0 => PinFormat::Iso0,
            3 => PinFormat::Iso3,
            _ => PinFormat::Iso4,
        };
        let item = |terminal: &SignedIn| PinTranslation {
            pin_pad: terminal.sn.to_string(),
            slot: SLOT,
            pik: terminal.pik.clone(),
            zone: zone.to_owned(),
            zone_key: zone_key.clone(),
            from: PinFormat::Iso0,
            to,
            block: Sensitive::new(terminal.block.to_vec()),
            pan: Sensitive::new(PAN.to_owned()),
        };
        TranslatePins { owner: ACQUIRER.into(), items: self.some(from, count).map(item).collect() }
    }

    /// Opens a translated block at the other side: it must hold the PIN.
    pub(super) fn check(&self, formats: Formats, block: &[u8]) -> Result<()> {
        let pan = Pan::new(PAN)?;
        let pin = if formats.to == 4 {
            pinblock::decode_format4(block.try_into()?, &pan, &self.aes.key)?
        } else {
            let format = if formats.to == 3 { Format::Iso3 } else { Format::Iso0 };
            pinblock::decode(format, &self.tdes.key.decrypt_block(block.try_into()?), Some(&pan))?
        };
        ensure!(pin.matches(&Pin::new(PIN)?), "another PIN was translated");
        Ok(())
    }
}

async fn zone(estate: &Estate, name: &str, algorithm: ZoneAlgorithm) -> Result<(Vec<u8>, KeyBlock)> {
    let key = estate.zone_master.make_zone(estate, name, algorithm).await?;
    let record = estate.store.zone_key(name).await?.context("a zone that was made is there")?;
    Ok((key, KeyBlock::from_text(record.key.block)))
}

/// A whole sign-in; gives a PIN block under the new PIK.
async fn sign_in(line: &mut Line, terminal: &Arc<Managed>) -> Result<[u8; 8]> {
    let mut pad = Pad::new(terminal);
    let device = terminal.identification.device.clone();
    let (sign_in, expect) = Start::new(device, Slot::new(SLOT)?, 0).begin(&mut pad)?;
    line.send(sign_in.bytes()).await?;
    let keys = Frame::from_bytes(line.expect().await?)?;
    let (confirm, expect) = expect.on_frame(&mut pad, &keys)?;
    line.send(confirm.bytes()).await?;
    let done = Frame::from_bytes(line.expect().await?)?;
    expect.on_frame(&mut pad, &done)?;
    let pik = pad.working.pik().context("a signed-in terminal has a PIK")?;
    let clear = pinblock::encode(Format::Iso0, &Pin::new(PIN)?, Some(&Pan::new(PAN)?))?;
    Ok(pik.encrypt_block(clear.expose()))
}
