//! Devices of flow C in suite 02, as cheap as can be: they know the signing key already and check no chain.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use anyhow::{Result, ensure};
use paycrypto::{
    digest::sha256,
    ec::{
        FactorKey, StaticSecret, VerifyingKey, derive_dik2,
        keys::{Dik1, Dik2},
    },
    random,
};
use store::{ReportedKey, ReportedTerminal};
use wire::{Kcv, MessageType, Serial, Tag};

use super::{
    estate::DIK1,
    fleet::Fetches,
    run::{Agreed, Answer, Run, Side, th},
};
use crate::{
    devices::registered,
    estate::{Estate, SLOTS},
    line::Line,
    messages::frame,
};

/// Bytes of a factor.
const FACTOR: usize = 16;
/// About as long as a factor's block under the LMK: the store only keeps it.
const FACTOR_BLOCK: usize = 256;

/// One device with its DIK2.
pub(super) struct Device {
    sn: Serial,
    factor: [u8; FACTOR],
    dik2: Dik2,
    signed_by: Arc<VerifyingKey>,
    downloads: AtomicU64,
}

/// A run up to RKS_TOKEN.
struct Asked {
    agreed: Agreed,
    th12: [u8; 32],
    auth: Vec<u8>,
    cert: Answer,
    factor: Vec<u8>,
    token: Answer,
}

impl Device {
    pub(super) fn new(sn: &str, dik1: &Dik1, signed_by: &Arc<VerifyingKey>) -> Result<Device> {
        let mut factor = [0; FACTOR];
        random::fill(&mut factor)?;
        let dik2 = derive_dik2(dik1, sn, &factor)?;
        let (sn, signed_by) = (Serial::parse(sn)?, Arc::clone(signed_by));
        Ok(Device { sn, factor, dik2, signed_by, downloads: AtomicU64::new(0) })
    }

    /// What a KLD reports of it.
    fn reported(&self) -> ReportedTerminal {
        let dik2 = ReportedKey::Dik2 {
            dik1: DIK1.into(),
            factor_digest: sha256(&self.factor),
            factor: "0".repeat(FACTOR_BLOCK),
            kcv: Kcv::Aes(self.dik2.kcv()),
        };
        let device = wire::Device::built_in(self.sn.clone());
        ReportedTerminal { device, keys: vec![dik2], failed: None, refused: None }
    }

    async fn ask(&self, line: &mut Line, slot: u8) -> Result<Asked> {
        let side = Side::new()?;
        let auth = frame(MessageType::RksAuth, |fields| {
            fields.push(Tag::SUITE, &[2])?;
            fields.push(Tag::SERIAL, self.sn.as_str().as_bytes())?;
            fields.push(Tag::SLOT, &[slot])?;
            side.push(fields)
        })?;
        let auth = auth.bytes().to_vec();
        line.send(&auth).await?;
        let cert = Answer::take(line, &self.sn, MessageType::RksCert).await?;
        let bare = cert.without(MessageType::RksCert, Tag::TRANSCRIPT_SIGNATURE)?;
        let th12 = th(b'C', &[&auth, &bare]);
        let signature = cert.get(Tag::TRANSCRIPT_SIGNATURE)?;
        ensure!(self.signed_by.verifies_transcript(&th12, signature), "RKS_CERT is not signed by the RKS");
        let agreed = side.agree(&cert)?;
        let df19 = FactorKey::derive(&agreed.z, &agreed.nonces(), &th12).seal(&self.factor)?;
        let factor = frame(MessageType::RksFactor, |fields| fields.push(Tag::ENCRYPTED_DATA, &df19))?;
        line.send(factor.bytes()).await?;
        let token = Answer::take(line, &self.sn, MessageType::RksToken).await?;
        Ok(Asked { agreed, th12, auth, cert, factor: factor.bytes().to_vec(), token })
    }
}

impl Fetches for Device {
    async fn fetch(&self, line: &mut Line) -> Result<Vec<usize>> {
        let slot = u8::try_from(self.downloads.fetch_add(1, Ordering::Relaxed) % u64::from(SLOTS))?;
        let Asked { agreed, th12, auth, cert, factor, token } = self.ask(line, slot).await?;
        let secret = StaticSecret::RksLoad(&self.dik2);
        let mut run = Run::new(b'C', &secret, &agreed, &th12, &[&auth, &cert.bytes, &factor]);
        let bare = token.without(MessageType::RksToken, Tag::CONFIRMATION)?;
        run.check(&run.said, &bare, token.get(Tag::CONFIRMATION)?)?;
        run.push(&token.bytes);
        run.fetch(line, &self.sn, slot, (MessageType::RksProof, MessageType::RksKeys)).await?;
        Ok(run.sizes)
    }

    async fn first_proof(&self, line: &mut Line) -> Result<()> {
        self.ask(line, 0).await.map(drop)
    }
}

/// Makes devices and enters them as a KLD's report does.
pub(super) async fn register(estate: &Estate, count: usize) -> Result<Vec<Device>> {
    let signed_by = Arc::new(VerifyingKey::from_spki(estate.ec.signing.spki_der())?);
    let devices = (0..count).map(|n| Device::new(&format!("RE-{n:06}"), &estate.ec.dik1, &signed_by));
    let devices = devices.collect::<Result<Vec<_>>>()?;
    registered(estate, "devices-02", devices.iter().map(Device::reported).collect()).await?;
    Ok(devices)
}

/// Devices that no KLD has reported.
pub(super) fn strangers(estate: &Estate, count: usize) -> Result<Vec<Device>> {
    let signed_by = Arc::new(VerifyingKey::from_spki(estate.ec.signing.spki_der())?);
    (0..count).map(|n| Device::new(&format!("RX-{n:06}"), &estate.ec.dik1, &signed_by)).collect()
}
