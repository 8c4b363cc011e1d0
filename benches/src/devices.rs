//! Devices of the remote key server, as cheap as can be: they know the work key already, check no chain and no context,
//! and keep their keys ready. All frames and keys are real, so each still encrypts twice to the work key.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use anyhow::{Context, Result, bail, ensure};
use keyblock::{Kbpk, Version};
use paycrypto::{TdesKey, derive::derive_dik2, digest::sha256, random, rks::AtTk1, rsa::PublicKey};
use store::{DeviceStore, KldReport, PerReported, Person, ReportOutcome, ReportedKey, ReportedTerminal};
use wire::{Fields, Kcv, MessageType, Serial, Tag};

use crate::{
    children::Children,
    estate::{ACQUIRER, Estate, SLOTS, event, now},
    line::{Keep, Line},
    measure::{Rate, Work, repeat},
    messages::{answer, frame},
    rks::DIK1,
};

/// Bytes of a factor.
const FACTOR: usize = 16;
/// About as long as a factor's block under the LMK: the store only keeps it.
const FACTOR_BLOCK: usize = 256;

/// Devices that the server knows.
pub(crate) struct Devices {
    devices: Arc<[Device]>,
    work: Arc<WorkKey>,
    address: SocketAddr,
}

/// The RKS's public key.
struct WorkKey {
    certificate: Vec<u8>,
    public: PublicKey,
}

/// One device with its DIK2.
struct Device {
    sn: Serial,
    factor: [u8; FACTOR],
    dik2_check: [u8; 3],
    /// DIK2, ready to open tokens.
    dik2: Kbpk,
    downloads: AtomicU64,
}

impl Device {
    fn new(sn: &str, dik1: &TdesKey) -> Result<Device> {
        let mut factor = [0; FACTOR];
        random::fill(&mut factor)?;
        let dik2 = derive_dik2(dik1, sn, &factor)?;
        Ok(Device {
            sn: Serial::parse(sn)?,
            factor,
            dik2_check: dik2.kcv(),
            dik2: Kbpk::new(Version::B, dik2.expose())?,
            downloads: AtomicU64::new(0),
        })
    }

    /// What a KLD reports of it.
    fn reported(&self) -> ReportedTerminal {
        let dik2 = ReportedKey::Dik2 {
            dik1: DIK1.into(),
            factor_digest: sha256(&self.factor),
            factor: "0".repeat(FACTOR_BLOCK),
            kcv: Kcv::Tdes(self.dik2_check),
        };
        let device = wire::Device::built_in(self.sn.clone());
        ReportedTerminal { device, keys: vec![dik2], failed: None, refused: None }
    }

    /// Fetches a TMK for the next of its slots.
    async fn download(&self, line: &mut Line, work: &WorkKey) -> Result<()> {
        let count = self.downloads.fetch_add(1, Ordering::Relaxed);
        let slot = u8::try_from(count % u64::from(SLOTS))?;
        let auth = frame(MessageType::RksAuth, |fields| {
            fields.push(Tag::SUITE, &[1])?;
            fields.push(Tag::SERIAL, self.sn.as_str().as_bytes())?;
            fields.push(Tag::SLOT, &[slot])
        })?;
        line.send(auth.bytes()).await?;
        let (cert, _) = answer(line, &self.sn, MessageType::RksCert).await?;
        ensure!(cert.get(Tag::CERTIFICATE) == Some(&*work.certificate), "not the RKS's certificate");

        let df20 = work.public.oaep_encrypt(&self.factor)?;
        let factor = frame(MessageType::RksFactor, |fields| fields.push(Tag::FACTOR_CIPHERTEXT, &df20))?;
        line.send(factor.bytes()).await?;
        let (token, _) = answer(line, &self.sn, MessageType::RksToken).await?;
        let token = self.dik2.unwrap(text(&token, Tag::AT_TK1)?)?;
        let proof = AtTk1::from_clear(&token.key).context("a token is AT and TK1")?.prove()?;

        let df22 = work.public.oaep_encrypt(proof.clear())?;
        let message = frame(MessageType::RksProof, |fields| fields.push(Tag::AT_TK2_TK_SHA2, &df22))?;
        line.send(message.bytes()).await?;
        let (keys, _) = answer(line, &self.sn, MessageType::RksKeys).await?;
        let tk = Kbpk::new(Version::B, proof.tk.expose())?;
        let mut kcvs = Vec::new();
        for entry in keys.templates(Tag::KEY_ENTRY) {
            kcvs.push(TdesKey::from_bytes(&tk.unwrap(text(entry, Tag::KEY_BLOCK)?)?.key)?.kcv());
        }
        ensure!(kcvs.len() == 1, "{} keys came to {}; the server is to give one", kcvs.len(), self.sn);

        let confirm = frame(MessageType::KeyConfirm, |fields| {
            kcvs.iter().try_for_each(|kcv| {
                let mut entry = Fields::new();
                entry.push(Tag::KCV, kcv)?;
                fields.push_template(Tag::KEY_ENTRY, entry)
            })
        })?;
        line.send(confirm.bytes()).await?;
        answer(line, &self.sn, MessageType::Done).await?;
        Ok(())
    }
}

impl Devices {
    /// Makes devices and enters them as a KLD's report does.
    pub(crate) async fn register(estate: &Estate, children: &Children, count: usize) -> Result<Devices> {
        let devices = (0..count)
            .map(|n| Device::new(&format!("RK-{n:06}"), &estate.rks.dik1))
            .collect::<Result<Vec<_>>>()?;
        registered(estate, "devices", devices.iter().map(Device::reported).collect()).await?;
        let work = &estate.rks.work;
        let work =
            WorkKey { certificate: work.der().to_vec(), public: PublicKey::from_spki(work.spki_der())? };
        Ok(Devices { devices: devices.into(), work: work.into(), address: children.terminal_port()? })
    }

    /// Downloads a second, each connection with devices of its own.
    pub(crate) async fn download(&self, concurrency: usize, time: Duration, keep: Keep) -> Result<Rate> {
        let worker = |start| Downloads {
            devices: Arc::clone(&self.devices),
            work: Arc::clone(&self.work),
            address: self.address,
            keep,
            line: None,
            at: start,
            start,
            step: concurrency,
        };
        repeat((0..concurrency).map(worker).collect(), time).await
    }
}

struct Downloads {
    devices: Arc<[Device]>,
    work: Arc<WorkKey>,
    address: SocketAddr,
    keep: Keep,
    line: Option<Line>,
    at: usize,
    start: usize,
    step: usize,
}

impl Work for Downloads {
    async fn once(&mut self) -> Result<()> {
        if self.at >= self.devices.len() {
            self.at = self.start;
        }
        let device = self.devices.get(self.at).context("each connection has a device")?;
        self.at += self.step;
        let mut line = Line::kept(&mut self.line, self.address).await?;
        device.download(&mut line, &self.work).await?;
        self.line = (self.keep == Keep::Yes).then_some(line);
        Ok(())
    }
}

/// Enters what a KLD reports of one run.
pub(crate) async fn registered(estate: &Estate, run: &str, terminals: Vec<ReportedTerminal>) -> Result<()> {
    let report = KldReport {
        content_digest: sha256(run.as_bytes()),
        digest: sha256(run.as_bytes()),
        package: run.into(),
        signer: Person {
            subject: estate.operator.subject().to_string(),
            certificate_serial: estate.operator.serial_hex(),
        },
        acquirer: ACQUIRER.into(),
        kld: "KLD-1".into(),
        run: run.into(),
        opened_at: now() * 1000,
        closed_at: now() * 1000,
        terminals,
        compromised: Vec::new(),
    };
    match estate.store.import_kld_report(report, event("kld.report-taken", "KLD-1")).await? {
        ReportOutcome::Stored(each) if each.iter().all(|one| matches!(one, PerReported::Taken { .. })) => {
            Ok(())
        }
        other => bail!("{run}: not registered: {other:?}"),
    }
}

fn text(fields: &Fields, tag: Tag) -> Result<&str> {
    Ok(std::str::from_utf8(fields.get(tag).with_context(|| format!("{tag} is missing"))?)?)
}
