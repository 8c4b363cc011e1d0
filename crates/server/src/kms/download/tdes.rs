//! Suite 01: random numbers, and what AUK makes of them (2-wire.md section 4, flow A).

use flows::{
    Tdes,
    tmk_download::kms::{ExpectReply, Hello, Reply},
};
use hsm::{
    Hsm,
    commands::{AnswerChallenge, AnswerStranger, CheckAnswer, ReleaseTmk},
};
use store::SlotRecord;
use wire::Frame;

use super::{
    DownloadError,
    suite::{Asked, Asking, KmsSuite, Release},
};
use crate::slots::{self, Released};

impl KmsSuite for Tdes {
    type Ticket = Vec<u8>;

    async fn challenge<H: Hsm>(
        asking: &Asking<'_, H>,
        hello: Hello,
    ) -> Result<(Frame, ExpectReply, Vec<u8>), DownloadError> {
        let device = hello.device();
        let (sn, pin_pad, rnd1) = (device.sn().to_string(), device.pin_pad().to_string(), hello.rnd1());
        let challenge = match asking.transport_key.cloned() {
            Some(transport_key) => {
                let owner = asking.owner.to_owned();
                asking.hsm.call(AnswerChallenge { transport_key, pin_pad, owner, rnd1 }).await?
            }
            None => asking.hsm.call(AnswerStranger { sn, pin_pad, rnd1 }).await?,
        };
        let (frame, expect) = hello.challenge(challenge.crnd1, challenge.rnd2)?;
        Ok((frame, expect, challenge.ticket))
    }

    async fn prove<H: Hsm>(asking: &Asking<'_, H>, ticket: &Vec<u8>, reply: &Reply) -> Result<(), Asked> {
        let Some(transport_key) = asking.transport_key.cloned() else {
            // A stranger's proof is worth what his release is.
            return Self::release(asking, ticket, reply, None).await.map(drop);
        };
        let command = CheckAnswer {
            ticket: ticket.clone(),
            crnd2: reply.crnd2(),
            transport_key,
            pin_pad: reply.device().pin_pad().to_string(),
            owner: asking.owner.to_owned(),
        };
        Ok(asking.hsm.call(command).await?)
    }

    async fn release<H: Hsm>(
        asking: &Asking<'_, H>,
        ticket: &Vec<u8>,
        reply: &Reply,
        slot: Option<&SlotRecord>,
    ) -> Result<Release, Asked> {
        let command = ReleaseTmk {
            ticket: ticket.clone(),
            crnd2: reply.crnd2(),
            transport_key: asking.transport_key.cloned(),
            pin_pad: reply.device().pin_pad().to_string(),
            owner: asking.owner.to_owned(),
            slot: reply.slot().index(),
            context: *reply.context().as_bytes(),
            pending: slot.and_then(slots::pending_block::<Self>),
            avoid: slot.map(|slot| slots::tdes_kcvs(&slots::held_kcvs(slot))).unwrap_or_default(),
        };
        let released = asking.hsm.call(command).await?;
        let key = Released { block: released.tmk, kcv: released.kcv.into(), wrapped: released.under_tek };
        Ok(Release { key, ticket: Vec::new() })
    }
}
