//! Terminals of flow A in suite 02, as cheap as can be: they check what is proved to them and keep nothing on a disk.

use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Context, Result};
use base64ct::{Base64, Encoding};
use paycrypto::ec::{CollectInfo, PublicPoint, StaticSecret, Tk};
use pki::{
    Certificate, Scheme, Signer,
    cms::{self, Signatory},
};
use serde_json::{Value, json};
use wire::{MessageType, Serial, Tag};

use super::{
    estate::{EcEstate, EcKey},
    fleet::Fetches,
    run::{Answer, Run, Side, th},
};
use crate::{
    children::Children,
    estate::{Estate, SLOTS, now},
    line::Line,
    messages::frame,
    upload::{self, PER_PACKAGE, Package, request},
};

const STATION: &str = "benchmark";

/// One terminal with its TK.
pub(super) struct Terminal {
    sn: Serial,
    tk: Tk,
    device: EcKey,
    certificate: Option<Certificate>,
    downloads: AtomicU64,
}

impl Terminal {
    fn new(sn: &str, ec: &EcEstate) -> Result<Terminal> {
        let device = EcKey::generate()?;
        let certificate = Some(ec.certify(sn, &device)?);
        let (sn, tk) = (Serial::parse(sn)?, Tk::generate()?);
        Ok(Terminal { sn, tk, device, certificate, downloads: AtomicU64::new(0) })
    }

    /// One that nobody has collected.
    pub(super) fn stranger(sn: &str) -> Result<Terminal> {
        let (sn, tk, device) = (Serial::parse(sn)?, Tk::generate()?, EcKey::generate()?);
        Ok(Terminal { sn, tk, device, certificate: None, downloads: AtomicU64::new(0) })
    }

    /// COLLECTED, its payload.
    fn collected(&self, collect: &[u8], ec: &EcEstate) -> Result<Vec<u8>> {
        const GENERATION: u64 = 1;
        let sn = self.sn.as_str();
        let info = CollectInfo::new(collect, sn, sn, GENERATION);
        let df09 = self.tk.seal(&PublicPoint::from_spki(ec.work.spki_der())?, &info)?;
        let certificate =
            self.certificate.as_ref().context("a terminal that is collected has a certificate")?;
        let write = |signature: Option<&[u8]>| {
            frame(MessageType::Collected, |fields| {
                fields.push(Tag::SERIAL, sn.as_bytes())?;
                fields.push(Tag::CTK_PU, &df09)?;
                signature.map_or(Ok(()), |made| fields.push(Tag::TRANSCRIPT_SIGNATURE, made))?;
                fields.push(Tag::COUNTER, &GENERATION.to_be_bytes())?;
                fields.push(Tag::DEVICE_CERTIFICATE, certificate.der())?;
                fields.push(Tag::VENDOR_ID, b"KF")?;
                fields.push(Tag::MODEL_ID, b"SIM-1")
            })
        };
        let over = [b"KF2K", collect, write(None)?.bytes()].concat();
        let signature = self.device.sign(Scheme::EcdsaP256Sha256, &over)?;
        Ok(write(Some(&signature))?.payload().to_vec())
    }

    /// TK_HELLO, and the answer to it.
    async fn ask(&self, line: &mut Line, slot: u8) -> Result<(Side, Vec<u8>, Answer)> {
        let side = Side::new()?;
        let hello = frame(MessageType::TkHello, |fields| {
            fields.push(Tag::SUITE, &[2])?;
            fields.push(Tag::SERIAL, self.sn.as_str().as_bytes())?;
            fields.push(Tag::SLOT, &[slot])?;
            side.push(fields)
        })?;
        line.send(hello.bytes()).await?;
        let challenge = Answer::take(line, &self.sn, MessageType::TkChallenge).await?;
        Ok((side, hello.bytes().to_vec(), challenge))
    }
}

impl Fetches for Terminal {
    async fn fetch(&self, line: &mut Line) -> Result<Vec<usize>> {
        let slot = u8::try_from(self.downloads.fetch_add(1, Ordering::Relaxed) % u64::from(SLOTS))?;
        let (side, hello, challenge) = self.ask(line, slot).await?;
        let bare = challenge.without(MessageType::TkChallenge, Tag::CONFIRMATION)?;
        let th12 = th(b'A', &[&hello, &bare]);
        let secret = StaticSecret::TmkDownload(&self.tk);
        let mut run = Run::new(b'A', &secret, &side.agree(&challenge)?, &th12, &[&hello, &challenge.bytes]);
        run.check(&hello, &bare, challenge.get(Tag::CONFIRMATION)?)?;
        run.fetch(line, &self.sn, slot, (MessageType::TkReply, MessageType::TkKey)).await?;
        Ok(run.sizes)
    }

    async fn first_proof(&self, line: &mut Line) -> Result<()> {
        self.ask(line, 0).await.map(drop)
    }
}

/// Makes terminals and has the server take them, as a station would.
pub(super) async fn collect(estate: &Estate, children: &Children, count: usize) -> Result<Vec<Terminal>> {
    let all = (0..count).map(|n| Terminal::new(&format!("EC-{n:06}"), &estate.ec));
    let all = all.collect::<Result<Vec<_>>>()?;
    let (address, root) = (children.https()?, estate.root.der().to_vec());
    let asked = json!({ "version": 1, "station": STATION, "at": stamp()? }).to_string();
    let cms = cms::sign(asked.as_bytes(), &estate.operator_key, &estate.operator, &[], now())?;
    let answer =
        tokio::task::spawn_blocking(move || request(address, root, "/v1/ceremonies", &cms)).await??;
    let ceremony = answer["ceremony"].as_str().context("a ceremony has a nonce")?;
    let nonce = Base64::decode_vec(ceremony).map_err(|e| anyhow::anyhow!("a nonce is base64: {e}"))?;
    let collect = frame(MessageType::Collect, |fields| {
        fields.push(Tag::SUITE, &[2])?;
        fields.push(Tag::CERTIFICATE, estate.ec.work.der())?;
        fields.push(Tag::NONCE, &nonce)
    })?;
    for some in all.chunks(PER_PACKAGE) {
        let entries = some.iter().map(|terminal| -> Result<Value> {
            let collected = terminal.collected(collect.bytes(), &estate.ec)?;
            Ok(json!({ "sn": terminal.sn.as_str(), "vendor": "KF", "model": "SIM-1",
                "collected": Base64::encode_string(&collected),
                "work_certificate_sha256": estate.ec.work.sha256_hex() }))
        });
        let content = json!({ "version": 1, "station": STATION, "collected_at": "2026-01-02T03:04:05Z",
            "ceremony": ceremony, "terminals": entries.collect::<Result<Vec<_>>>()? });
        let (administrator, key) = &estate.administrator;
        let both = [
            Signatory { signer: &estate.operator_key, certificate: &estate.operator, chain: &[] },
            Signatory { signer: key, certificate: administrator, chain: &[] },
        ];
        let cms = cms::sign_by_both(content.to_string().as_bytes(), both, now())?;
        upload::send(estate, children, Package { cms, terminals: some.len() }).await?;
    }
    Ok(all)
}

/// Now, as a request for a ceremony says it.
fn stamp() -> Result<String> {
    let now = time::OffsetDateTime::from_unix_timestamp(now())?;
    Ok(now.format(&time::format_description::well_known::Rfc3339)?)
}
