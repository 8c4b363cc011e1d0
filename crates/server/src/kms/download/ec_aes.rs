//! Suite 02: ephemeral keys, and what both sides' AUK and TEK make of them (3-hardened.md, "A, downloading").

use flows::{
    EcAes,
    suite::{Confirmation, Opened},
    tmk_download::{
        Fault,
        kms::{ExpectReply, Hello, Reply},
    },
};
use hsm::{
    Hsm, HsmError, Refusal,
    commands::{AnswerHello, CheckAnswerEc, HelloFlow, HelloSecret, MAX_TRANSCRIPT, ReleaseTmkEc},
};
use store::SlotRecord;
use wire::{Frame, Malformed, Tag};

use super::{
    DownloadError,
    suite::{Asked, Asking, KmsSuite, Release},
};
use crate::{
    slots,
    suite::{
        LoadingSuite,
        ec_aes::{hole, made, peer},
    },
};

/// The load counter in a stranger's release, which is never made: any will do.
const NO_COUNTER: u64 = 1;

impl KmsSuite for EcAes {
    type Ticket = Vec<u8>;

    async fn challenge<H: Hsm>(
        asking: &Asking<'_, H>,
        hello: Hello<Self>,
    ) -> Result<(Frame, ExpectReply<Self>, Vec<u8>), DownloadError> {
        let command = AnswerHello {
            secret: asking.transport_key.cloned().map_or(HelloSecret::Stranger, HelloSecret::Tk),
            flow: HelloFlow::Download,
            pin_pad: hello.device().pin_pad().to_string(),
            owner: asking.owner.to_owned(),
            hello: hello.said().bytes().to_vec(),
            peer: peer(hello.peer()),
            hole: hole(hello.hole()?),
        };
        let answer = asking.hsm.call(command).await.map_err(|error| match error {
            HsmError::Refused(Refusal::FromTerminal { .. }) => no_point().into(),
            other => DownloadError::from(other),
        })?;
        let ephemeral = made(&answer.point, answer.nonce, "AnswerHello")?;
        let confirmation = Confirmation(answer.confirmation);
        let (frame, expect) = hello.answer(Opened { ephemeral, confirmation })?;
        Ok((frame, expect, answer.ticket))
    }

    async fn prove<H: Hsm>(
        asking: &Asking<'_, H>,
        ticket: &Vec<u8>,
        reply: &Reply<Self>,
    ) -> Result<(), Asked> {
        let command = CheckAnswerEc {
            ticket: ticket.clone(),
            confirmation: reply.confirmation().0,
            said: said(reply)?,
            pin_pad: reply.device().pin_pad().to_string(),
            owner: asking.owner.to_owned(),
        };
        Ok(asking.hsm.call(command).await?)
    }

    async fn release<H: Hsm>(
        asking: &Asking<'_, H>,
        ticket: &Vec<u8>,
        reply: &Reply<Self>,
        slot: Option<&SlotRecord>,
    ) -> Result<Release, Asked> {
        let command = ReleaseTmkEc {
            ticket: ticket.clone(),
            confirmation: reply.confirmation().0,
            said: said(reply)?,
            transcript: reply.said().bytes().to_vec(),
            pin_pad: reply.device().pin_pad().to_string(),
            owner: asking.owner.to_owned(),
            slot: reply.slot().index(),
            counter: slot.and_then(Self::next_counter).unwrap_or(NO_COUNTER),
            pending: slot.and_then(slots::pending_block::<Self>),
            avoid: slot.map(|slot| slots::aes_kcvs(&slots::held_kcvs(slot))).unwrap_or_default(),
        };
        let released = asking.hsm.call(command).await?;
        let [key] = <[_; 1]>::try_from(released.keys).map_err(|_| HsmError::WrongReply("ReleaseTmkEc"))?;
        Ok(Release { key: key.into(), ticket: released.ticket })
    }
}

/// What MAC_T is over. More than the HSM takes is too long a message, and so it is told to everybody.
fn said(reply: &Reply<EcAes>) -> Result<Vec<u8>, Fault> {
    let length = reply.said().bytes().len();
    if length > MAX_TRANSCRIPT {
        return Err(Malformed::FrameTooLong { length }.into());
    }
    reply.said_bare()
}

/// DF13 is no point of the curve: malformed, as any other field, and to everybody.
fn no_point() -> Fault {
    Malformed::FieldValue { tag: Tag::EPHEMERAL_KEY }.into()
}
