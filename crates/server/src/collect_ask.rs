//! Collecting a terminal that asks for it on the terminal port (2-wire.md section 3, type 53): only inside a window that
//! two people opened for its serial. Who the terminal is nobody can tell in suite 01; the window and the fingerprint,
//! which people compare, stand in for it. In suite 02 the device key tells, and the nonce is the KMS's own.

use std::net::IpAddr;

use flows::{
    EcAes, Tdes,
    collect::{
        Collected, Fault, Reason,
        ask::server::{Asked, ExpectAsk, Received},
    },
};
use hsm::Hsm;
use serde_json::json;
use sha2::{Digest, Sha256};
use store::{
    CollectedTerminal, CollectionImport, ImportOutcome, PerTerminal, Store, WindowOutcome, WindowRecord,
};
use tokio::io::{AsyncRead, AsyncWrite};
use wire::{Frame, Suite};

use crate::{
    clock::now_ms,
    flow_end::FlowEnd,
    kms::{
        Failure, Kms,
        collections::{CollectingSuite, Work},
        event,
    },
    link::{Link, LinkError},
};

/// What stands for the station in such a collection.
pub(crate) const STATION: &str = "terminal port";

/// How such a collection ended early.
pub(crate) type AskEnd = FlowEnd<Reason>;

/// What a collection in a window is about.
struct Asking<'a, U: CollectingSuite> {
    window: &'a WindowRecord,
    work: &'a Work,
    nonce: &'a U::Nonce,
}

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
        match asked.suite() {
            Suite::EC_AES => self.collect_in::<EcAes, T>(link, asked, &window).await,
            _ => self.collect_in::<Tdes, T>(link, asked, &window).await,
        }
    }

    async fn collect_in<U: CollectingSuite, T: AsyncRead + AsyncWrite + Unpin>(
        &self,
        link: &mut Link<T>,
        asked: Asked,
        window: &WindowRecord,
    ) -> Result<(), AskEnd> {
        let sn = asked.device().sn().clone();
        let none = || Failure::NoWorkKey("of the role kms-work".into());
        let active = self.store.active_work_key(U::ID).await?.ok_or_else(none)?;
        let work = self.work_of(&active.certificate_sha256).await?.ok_or_else(none)?;
        let nonce = U::nonce_in(self, window).await?;
        let key = work.collect_key().map_err(Failure::from)?;
        let sealed = U::sealed_bytes(&work.certificate)?;
        let (frame, expect) = asked.collect_of::<U>(key, nonce.clone(), sealed)?;
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
        let asking = Asking::<U> { window, work: &work, nonce: &nonce };
        let (done, collected) = self.keep(received, &frame, &asking).await?;
        match link.send(&done).await {
            // It is stored; a terminal that missed DONE asks again and gets it.
            Ok(()) | Err(LinkError::Closed | LinkError::Broken(_)) => {}
            Err(error) => return Err(error.into()),
        }
        tracing::info!(%sn, fingerprint = collected.fingerprint(), "collected at the terminal port");
        Ok(())
    }

    /// Has the HSM check what was collected, and stores it before DONE leaves.
    async fn keep<U: CollectingSuite>(
        &self,
        received: Received<U>,
        frame: &Frame,
        Asking { window, work, nonce }: &Asking<'_, U>,
    ) -> Result<(Frame, Collected<U>), AskEnd> {
        let collected = received.collected();
        let (sn, fingerprint) = (collected.device.sn().clone(), collected.fingerprint());
        match &window.used_for {
            // Its latch gave the same bytes: DONE was lost.
            Some(used_for) if *used_for == fingerprint => return Ok(received.done()?),
            Some(_) => return Err(Fault::from(Reason::NoWindow { sn }).into()),
            None => {}
        }
        let model = collected.model.as_ref().map(ToString::to_string);
        let orders = self.orders_for(vec![sn.clone()]).await?;
        if let Err(refusal) = orders.allow(&sn, model.as_deref()) {
            let detail = json!({ "fingerprint": fingerprint, "code": refusal.code, "reason": refusal.text,
                                 "window": window.id });
            let refused = event("collection.refused", sn.as_str(), sn.as_str(), detail);
            self.store.audit_append(refused).await?;
            return Err(Fault::from(Reason::NotPermitted { why: refusal.text }).into());
        }
        let sealed = U::answer(frame, collected);
        let opened = U::open(self, work, nonce, &collected.device, &sealed).await?;
        let tk = match opened {
            Ok(tk) => tk,
            Err(refusal) => {
                let detail = json!({ "fingerprint": fingerprint, "code": refusal.code, "reason": refusal.text,
                                     "window": window.id });
                let refused = event("collection.refused", sn.as_str(), sn.as_str(), detail);
                self.store.audit_append(refused).await?;
                return Err(match refusal.code.as_str() {
                    "000D" => Fault::from(Reason::CertificateRefused { why: refusal.text }).into(),
                    _ => received.refused(refusal.text).into(),
                });
            }
        };
        let terminal = CollectedTerminal {
            device: collected.device.clone(),
            vendor: collected.vendor.as_ref().map(ToString::to_string),
            model: collected.model.as_ref().map(ToString::to_string),
            tk,
            work_certificate_sha256: work.record.certificate_sha256.clone(),
            fingerprint: fingerprint.clone(),
            // A known terminal's new key waits for someone who looks at its fingerprint.
            replaces: true,
            refused: None,
        };
        let detail = json!({ "station": STATION, "opened_by": window.opened_by.subject,
                             "asked_by": window.asked_by.subject, "fingerprint": fingerprint,
                             "suite": U::ID.byte() });
        let import = CollectionImport {
            digest: Sha256::digest([&window.id.to_be_bytes(), frame.bytes()].concat()).into(),
            package: frame.bytes().to_vec(),
            signer: window.asked_by.clone(),
            second_signer: None,
            acquirer: self.acquirer.id.clone(),
            station: STATION.to_owned(),
            collected_at: now_ms(),
            terminals: vec![terminal],
        };
        let event = event("collection.asked", sn.as_str(), sn.as_str(), detail);
        match self.store.collect_in_window(window.id, import, event).await? {
            WindowOutcome::Collected(_) => Ok(received.done()?),
            WindowOutcome::NotTaken(outcome) => {
                let why = refused_by_the_store(&outcome);
                Err(Fault::from(Reason::NotPermitted { why }).into())
            }
            WindowOutcome::Closed => Err(Fault::from(Reason::NoWindow { sn }).into()),
        }
    }
}

fn refused_by_the_store(outcome: &ImportOutcome) -> String {
    match outcome {
        ImportOutcome::Stored(terminals) => match terminals.as_slice() {
            [PerTerminal::Refused(refusal)] => refusal.text.clone(),
            _ => "its serials are recorded with another terminal or acquirer".into(),
        },
        ImportOutcome::Duplicate => "these very bytes came before".into(),
    }
}
