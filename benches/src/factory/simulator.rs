//! A factory's terminals and its station in one: TKs made as PIN pads make them, encrypted to the MTMS's certificate,
//! packed, signed by the operator's card and uploaded. A package at a time, so that memory does not grow with the order.

use std::{net::SocketAddr, path::Path, time::Instant};

use anyhow::{Context as _, Result, ensure};
use base64ct::{Base64, Encoding as _};
use custody::card;
use paycrypto::{rsa::PublicKey, tk::CheckedTk};
use pki::Certificate;
use serde_json::{Value, json};

use super::houses::{House, MODEL, VENDOR};
use crate::{estate::now, measure::Rate, upload};

/// Terminals in one package.
const PER_PACKAGE: usize = 1000;

/// The serials of an order.
pub(super) fn serials(count: usize) -> Vec<String> {
    (1..=count).map(|n| format!("FAB-{n:06}")).collect()
}

/// The simulator.
pub(super) struct Simulator {
    address: SocketAddr,
    root: Vec<u8>,
    operator: card::Card,
    work: PublicKey,
    certificate: String,
}

impl Simulator {
    /// With the vendor's operator card.
    pub(super) fn new(vendor: &House) -> Result<Simulator> {
        let certificate = |path: &Path| -> Result<Certificate> {
            Ok(Certificate::from_pem(&std::fs::read_to_string(path)?)?)
        };
        let work = certificate(&vendor.path("work-certificate.pem"))?;
        Ok(Simulator {
            address: vendor.https()?,
            root: certificate(&vendor.path("ca/root.pem"))?.der().to_vec(),
            operator: card::read_card(&vendor.path("cards/operator.pem"), vendor.pin("operator-pin")?)?,
            work: PublicKey::from_spki(work.spki_der())?,
            certificate: work.sha256_hex(),
        })
    }

    /// Collects all of them. The time is that of the uploads alone.
    pub(super) fn collect(&mut self, serials: &[String]) -> Result<Rate> {
        let mut taken = Rate::default();
        for some in serials.chunks(PER_PACKAGE) {
            let package = self.package(some)?;
            let began = Instant::now();
            let answer = upload::request(self.address, self.root.clone(), "/v1/collections", &package)?;
            taken.add(Rate { done: u64::try_from(some.len())?, time: began.elapsed() });
            let results = answer["results"].as_array().context("an upload is answered by results")?;
            let good = results.iter().filter(|result| result["ok"] == Value::Bool(true)).count();
            ensure!(good == some.len(), "{good} of {} terminals were taken: {answer}", some.len());
        }
        Ok(taken)
    }

    fn package(&self, serials: &[String]) -> Result<Vec<u8>> {
        let entries = serials.iter().map(|sn| {
            let ctk_pu = self.work.oaep_encrypt(&CheckedTk::generate()?.to_clear())?;
            Ok(json!({
                "sn": sn,
                "vendor": VENDOR,
                "model": MODEL,
                "ctk_pu": Base64::encode_string(&ctk_pu),
                "work_certificate_sha256": self.certificate,
            }))
        });
        let content = json!({
            "version": 1,
            "station": "simulator",
            "collected_at": "2026-01-02T03:04:05Z",
            "terminals": entries.collect::<Result<Vec<_>>>()?,
        });
        let (signer, certificate) = (&self.operator.signer, &self.operator.certificate);
        Ok(pki::cms::sign(content.to_string().as_bytes(), signer, certificate, &[], now())?)
    }
}
