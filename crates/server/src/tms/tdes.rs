//! Suite 01: a DWK under DMK, TAC_1 and SAC_1, a session key under the DWK (2-wire.md section 4, flow E).

use flows::{
    Tdes,
    tms_session::{
        messages::{SessionBlock, TacAndDwk},
        tms::Hello,
    },
};
use hsm::{
    Hsm, HsmError, KeyBlock,
    commands::{AnswerTms, OpenTms, OpenTmsSession, OperatorClaim, SealTms, TmkWanted},
};
use wire::{BcdTime, SData};

use super::{
    end::TmsEnd,
    handshake::internal,
    suite::{Answer, Asked, Asking, Channel, NotAnswered, Opened, Run, TmsServerSuite, Wanted},
};
use crate::slots::{self, Released};

impl TmsServerSuite for Tdes {
    type Begins = SessionBlock;

    async fn answer<H: Hsm>(
        asking: &Asking<'_, H>,
        hello: &Hello<Self>,
        dmk: Option<KeyBlock>,
        when: Option<BcdTime>,
        _: bool,
    ) -> Result<Answer<Self>, NotAnswered> {
        let command = AnswerTms {
            dmk,
            pin_pad: hello.identification().device.pin_pad().to_string(),
            owner: asking.owner.to_owned(),
            t_data: hello.t_data().bytes(),
            when: when.map_or(BcdTime::UNKNOWN, |when| *when.as_bytes()),
            hello: hello.frame().bytes().to_vec(),
        };
        let made = asking.hsm.call(command).await?;
        let s_data = SData::from_bytes(made.s_data)
            .map_err(|_| NotAnswered::End(internal("the HSM's S_DATA is none")))?;
        let challenge = TacAndDwk { tac_1: made.tac_1, dwk_1: made.dwk_1 };
        Ok(Answer { challenge, s_data, ticket: made.ticket })
    }

    async fn open<H: Hsm>(
        asking: &Asking<'_, H>,
        run: &Run<Self>,
        operator: Option<OperatorClaim>,
        tmk: Option<Wanted>,
    ) -> Result<Opened<Self>, Asked> {
        let command = OpenTmsSession {
            ticket: run.ticket.clone(),
            pin_pad: run.proof.identification().device.pin_pad().to_string(),
            owner: asking.owner.to_owned(),
            sac_1: run.proof.sac_1(),
            operator,
            transcript: run.proof.said().bytes().to_vec(),
            tmk: tmk.map(|tmk| TmkWanted {
                slot: tmk.slot,
                pending: tmk.pending,
                avoid: slots::tdes_kcvs(&tmk.avoid),
            }),
        };
        let opened = asking.hsm.call(command).await?;
        Ok(Opened {
            session: opened.session,
            begins: SessionBlock(opened.session_block),
            tmk: opened.tmk.map(Released::from),
            ticket: Vec::new(),
        })
    }

    async fn key<H: Hsm>(
        _: &Asking<'_, H>,
        _: &Run<Self>,
        opened: &Opened<Self>,
        _: Option<&str>,
    ) -> Result<SessionBlock, TmsEnd> {
        Ok(opened.begins.clone())
    }

    async fn seal<H: Hsm>(
        hsm: &H,
        channel: &Channel,
        counter: u32,
        payload: Vec<u8>,
    ) -> Result<Vec<u8>, HsmError> {
        let (session, pin_pad) = (channel.session.clone(), channel.pin_pad.clone());
        let owner = channel.owner.clone();
        hsm.call(SealTms { session, pin_pad, owner, counter, payload }).await
    }

    async fn unseal<H: Hsm>(
        hsm: &H,
        channel: &Channel,
        counter: u32,
        sealed: Vec<u8>,
    ) -> Result<Vec<u8>, HsmError> {
        let (session, pin_pad) = (channel.session.clone(), channel.pin_pad.clone());
        let owner = channel.owner.clone();
        hsm.call(OpenTms { session, pin_pad, owner, counter, sealed }).await
    }
}
