//! Suite 02: ephemeral keys, what both sides' DMK makes of them, and a receipt in TMS_KEY (3-hardened.md, flow E).

use flows::{
    EcAes,
    suite::{Confirmation, Opened as Opening, Receipt},
    tms_session::{
        Fault,
        messages::{Answer as Challenge, Heard},
        tms::Hello,
    },
};
use hsm::{
    Hsm, HsmError, KeyBlock, Refusal,
    commands::{
        AnswerHello, HelloFlow, HelloSecret, OpenTmsEc, OpenTmsSessionEc, OperatorClaim, SealTmsEc,
        TmkWantedEc, TmsReceipt,
    },
};
use rustls::crypto::aws_lc_rs;
use wire::{BcdTime, Malformed, SData, Tag};

use super::{
    end::TmsEnd,
    handshake::internal,
    suite::{Answer, Asked, Asking, Channel, NotAnswered, Opened, Run, TmsServerSuite, Wanted},
};
use crate::{
    kms::Failure,
    slots::{self, Released},
    suite::ec_aes::{hole, made, peer},
};

impl TmsServerSuite for EcAes {
    type Begins = ();

    async fn answer<H: Hsm>(
        asking: &Asking<'_, H>,
        hello: &Hello<Self>,
        dmk: Option<KeyBlock>,
        when: Option<BcdTime>,
        operator_demanded: bool,
    ) -> Result<Answer<Self>, NotAnswered> {
        let s_data = SData::new(random()?, when);
        let command = AnswerHello {
            secret: dmk.map_or(HelloSecret::Stranger, HelloSecret::Dmk),
            flow: HelloFlow::Tms,
            pin_pad: hello.identification().device.pin_pad().to_string(),
            owner: asking.owner.to_owned(),
            hello: hello.frame().bytes().to_vec(),
            peer: peer(hello.peer()),
            hole: hole(hello.hole(&s_data, operator_demanded).map_err(ended)?),
        };
        let answer = asking.hsm.call(command).await.map_err(|error| match error {
            // No point of the curve: malformed, as any other field, and to everybody.
            HsmError::Refused(Refusal::FromTerminal { .. }) => {
                ended(Malformed::FieldValue { tag: Tag::EPHEMERAL_KEY }.into())
            }
            other => other.into(),
        })?;
        let ephemeral = made(&answer.point, answer.nonce, "AnswerHello")?;
        let confirmation = Confirmation(answer.confirmation);
        Ok(Answer {
            challenge: Challenge(Opening { ephemeral, confirmation }),
            s_data,
            ticket: answer.ticket,
        })
    }

    async fn open<H: Hsm>(
        asking: &Asking<'_, H>,
        run: &Run<Self>,
        operator: Option<OperatorClaim>,
        tmk: Option<Wanted>,
    ) -> Result<Opened<Self>, Asked> {
        let (t_data, s_data) = run.data;
        let tmk = tmk.map(|tmk| TmkWantedEc {
            slot: tmk.slot,
            counter: tmk.counter.unwrap_or_default(),
            pending: tmk.pending,
            avoid: slots::aes_kcvs(&tmk.avoid),
        });
        let command = OpenTmsSessionEc {
            ticket: run.ticket.clone(),
            confirmation: run.proof.confirmation().0,
            said: run.proof.said_bare()?,
            transcript: run.proof.said().bytes().to_vec(),
            pin_pad: run.proof.identification().device.pin_pad().to_string(),
            owner: asking.owner.to_owned(),
            t_data,
            s_data,
            operator,
            tmk,
        };
        let opened = asking.hsm.call(command).await?;
        Ok(Opened {
            session: opened.session,
            begins: (),
            tmk: opened.tmk.map(Released::from),
            ticket: opened.ticket,
        })
    }

    async fn key<H: Hsm>(
        asking: &Asking<'_, H>,
        run: &Run<Self>,
        opened: &Opened<Self>,
        tmk: Option<&str>,
    ) -> Result<Heard, TmsEnd> {
        let command = TmsReceipt {
            session: opened.session.clone(),
            pin_pad: run.proof.identification().device.pin_pad().to_string(),
            owner: asking.owner.to_owned(),
            said: run.proof.said_with_key(tmk)?,
        };
        let receipt = asking.hsm.call(command).await.map_err(Failure::from)?;
        Ok(Heard(Receipt(receipt)))
    }

    async fn seal<H: Hsm>(
        hsm: &H,
        channel: &Channel,
        counter: u64,
        payload: Vec<u8>,
    ) -> Result<Vec<u8>, HsmError> {
        let (session, pin_pad) = (channel.session.clone(), channel.pin_pad.clone());
        let owner = channel.owner.clone();
        hsm.call(SealTmsEc { session, pin_pad, owner, counter, payload }).await
    }

    async fn unseal<H: Hsm>(
        hsm: &H,
        channel: &Channel,
        counter: u64,
        sealed: Vec<u8>,
    ) -> Result<Vec<u8>, HsmError> {
        let (session, pin_pad) = (channel.session.clone(), channel.pin_pad.clone());
        let owner = channel.owner.clone();
        hsm.call(OpenTmsEc { session, pin_pad, owner, counter, sealed }).await
    }
}

/// S_DATA's random number. What makes a run fresh is the HSM's nonce; this one only has to differ.
fn random() -> Result<[u8; 4], NotAnswered> {
    let mut random = [0; 4];
    let filled = aws_lc_rs::default_provider().secure_random.fill(&mut random);
    filled.map_err(|_| NotAnswered::End(internal("the system gives no random numbers")))?;
    Ok(random)
}

fn ended(fault: Fault) -> NotAnswered {
    NotAnswered::End(fault.into())
}
