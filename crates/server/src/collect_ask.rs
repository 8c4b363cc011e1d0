//! Collecting a terminal that asks for it on the terminal port (2-wire.md section 3, type 53): only inside a window that
//! two people opened for its serial. Who the terminal is nobody can tell in this suite; the window and the fingerprint,
//! which people compare, stand in for it.

use std::net::IpAddr;

use flows::collect::{
    CollectKey, Collected, Fault, Reason,
    ask::server::{ExpectAsk, Received},
};
use hsm::Hsm;
use pki::{Certificate, PublicKey};
use serde_json::json;
use sha2::{Digest, Sha256};
use store::{CollectedTerminal, CollectionImport, Store, WindowOutcome, WindowRecord, WorkKeyRecord};
use tokio::io::{AsyncRead, AsyncWrite};
use wire::{Frame, Suite};

use crate::{
    clock::now_ms,
    flow_end::FlowEnd,
    kms::{Failure, Kms, event},
    link::{Link, LinkError},
};

/// What stands for the station in such a collection.
const STATION: &str = "terminal port";

/// How such a collection ended early.
pub(crate) type AskEnd = FlowEnd<Reason>;

impl<S: Store, H: Hsm> Kms<S, H> {
    /// Serves one collection whose first message is `ask`.
    pub(crate) async fn collect_asking<T: AsyncRead + AsyncWrite + Unpin>(
        &self,
        link: &mut Link<T>,
        ask: &Frame,
        source: IpAddr,
    ) -> Result<(), AskEnd> {
        let asked = match ExpectAsk::new().on_frame(ask) {
            Ok(asked) => asked,
            Err(fault) => {
                self.count_unnamed(source);
                return Err(fault.into());
            }
        };
        let sn = asked.device().sn().clone();
        let Some(window) = self.store.window(&sn, now_ms()).await? else {
            self.strangers.count(source, sn.as_str(), "no window is open for collecting it");
            return Err(asked.no_window().into());
        };
        let (work, certificate) = self.work_certificate().await?;
        let bits = PublicKey::from_spki(certificate.spki_der())
            .map_err(|defect| Reason::Internal { why: defect.to_string() })
            .map_err(Fault::from)?
            .bits();
        let key = CollectKey::Certificate { leaf: certificate.der().to_vec(), intermediates: Vec::new() };
        let (frame, expect) = asked.collect(key, bits.div_ceil(8))?;
        link.send(&frame).await?;
        let frame = link.receive().await?;
        let received = match expect.on_frame(&frame) {
            Ok(received) => received,
            Err(fault) => {
                // Why the terminal does not give its key is what people who opened the window want to know.
                let told = fault.peer_error().map(|error| error.refusals.clone()).unwrap_or_default();
                self.keep_refusals(&sn, "ERROR", &told).await?;
                return Err(fault.into());
            }
        };
        self.keep_refusals(&sn, "COLLECTED", &received.collected().refusals).await?;
        let (done, collected) = self.keep(received, &frame, &window, &work).await?;
        match link.send(&done).await {
            // It is stored; a terminal that missed DONE asks again and gets it.
            Ok(()) | Err(LinkError::Closed | LinkError::Broken(_)) => {}
            Err(error) => return Err(error.into()),
        }
        tracing::info!(%sn, fingerprint = collected.fingerprint(), "collected at the terminal port");
        Ok(())
    }

    async fn work_certificate(&self) -> Result<(WorkKeyRecord, Certificate), AskEnd> {
        let none = || Failure::NoWorkKey("of the role kms-work".into());
        let work = self.store.active_work_key().await?.ok_or_else(none)?;
        let record = self.store.certificate(&work.certificate_sha256).await?.ok_or_else(none)?;
        Ok((work, Certificate::from_der(&record.der).map_err(Failure::from)?))
    }

    /// Has the HSM check what was collected, and stores it before DONE leaves.
    async fn keep(
        &self,
        received: Received,
        frame: &Frame,
        window: &WindowRecord,
        work: &WorkKeyRecord,
    ) -> Result<(Frame, Collected), AskEnd> {
        let collected = received.collected();
        let (sn, fingerprint) = (collected.device.sn().clone(), collected.fingerprint());
        match &window.used_for {
            // Its latch gave the same bytes: DONE was lost.
            Some(used_for) if *used_for == fingerprint => return Ok(received.done()?),
            Some(_) => return Err(Fault::from(Reason::NoWindow { sn }).into()),
            None => {}
        }
        let terminal = CollectedTerminal {
            device: collected.device.clone(),
            vendor: collected.vendor.as_ref().map(ToString::to_string),
            model: collected.model.as_ref().map(ToString::to_string),
            suite: Suite::TDES.byte(),
            ctk_pu: collected.ctk_pu.clone(),
            work_certificate_sha256: work.certificate_sha256.clone(),
            fingerprint: fingerprint.clone(),
            // A known terminal's new key waits for someone who looks at its fingerprint.
            replaces: true,
            refused: None,
        };
        if let Some(refusal) = self.check_transport_key(&terminal).await? {
            let detail = json!({ "fingerprint": fingerprint, "reason": refusal.text, "window": window.id });
            let refused = event("collection.refused", sn.as_str(), sn.as_str(), detail);
            self.store.audit_append(refused).await?;
            return Err(received.refused(refusal.text).into());
        }
        let detail = json!({ "station": STATION, "opened_by": window.opened_by.subject,
                             "asked_by": window.asked_by.subject, "fingerprint": fingerprint });
        let import = CollectionImport {
            digest: Sha256::digest([&window.id.to_be_bytes(), frame.bytes()].concat()).into(),
            package: frame.bytes().to_vec(),
            signer: window.asked_by.clone(),
            acquirer: self.acquirer.id.clone(),
            station: STATION.to_owned(),
            collected_at: now_ms(),
            terminals: vec![terminal],
        };
        let event = event("collection.asked", sn.as_str(), sn.as_str(), detail);
        match self.store.collect_in_window(window.id, import, event).await? {
            WindowOutcome::Collected(_) => Ok(received.done()?),
            WindowOutcome::NotTaken(_) => {
                let why = "its serials are recorded with another terminal or acquirer".into();
                Err(Fault::from(Reason::NotPermitted { why }).into())
            }
            WindowOutcome::Closed => Err(Fault::from(Reason::NoWindow { sn }).into()),
        }
    }
}
