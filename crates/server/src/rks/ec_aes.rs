//! Suite 02: ephemeral keys, RKS_CERT signed, and what DIK2 makes of both (3-hardened.md, "C").

use flows::{
    Chain, EcAes,
    rks_load::{
        Reason,
        messages::SignedOpening,
        rks::{Auth, Factor, Proof},
    },
    suite::{Confirmation, Signature},
};
use hsm::{
    Hsm, HsmError, Refusal,
    commands::{AnswerFactor, BeginRks, ReleaseRksKeysEc, RksWantedEc},
};
use wire::{Malformed, Tag};

use super::{
    end::LoadEnd,
    suite::{Asked, Asking, Registered, Release, RksServerSuite, Token, Wanted},
};
use crate::{
    slots::{self, Released},
    suite::ec_aes::{hole, made, peer},
};

/// The ticket of RKS_CERT.
pub(super) struct Begun(Vec<u8>);

impl RksServerSuite for EcAes {
    type Begun = Begun;

    async fn begin<H: Hsm>(
        asking: &Asking<'_, H>,
        auth: &Auth<Self>,
        chain: &Chain,
    ) -> Result<(SignedOpening, Begun), LoadEnd> {
        let command = BeginRks {
            work_key: asking.work_key.clone(),
            owner: asking.owner.to_owned(),
            pin_pad: auth.device().pin_pad().to_string(),
            auth: auth.said().bytes().to_vec(),
            peer: peer(auth.peer()),
            hole: hole(auth.hole(chain)?),
        };
        let begun = asking.hsm.call(command).await.map_err(|error| match error {
            HsmError::Refused(Refusal::FromTerminal { .. }) => no_point(),
            other => other.into(),
        })?;
        let ephemeral = made(&begun.point, begun.nonce, "BeginRks")?;
        let signature = begun.signature.try_into().map_err(|_| HsmError::WrongReply("BeginRks"))?;
        Ok((SignedOpening { ephemeral, signature: Signature(signature) }, Begun(begun.ticket)))
    }

    async fn token<H: Hsm>(
        asking: &Asking<'_, H>,
        Begun(ticket): Begun,
        factor: &Factor<Self>,
        registered: Option<Registered>,
    ) -> Result<Token<Self>, LoadEnd> {
        let (dik1, factor_digest) = registered.map(|known| (known.dik1, known.factor_digest)).unzip();
        let command = AnswerFactor {
            ticket,
            df19: factor.df19().to_vec(),
            dik1,
            dsn: factor.device().sn().to_string(),
            pin_pad: factor.device().pin_pad().to_string(),
            owner: asking.owner.to_owned(),
            factor_digest,
            said: factor.said_bare()?,
        };
        let answer = asking.hsm.call(command).await.map_err(|error| match error {
            // The HSM was started anew since RKS_CERT, or the device took too long.
            HsmError::Refused(refusal) if refusal.is_not_proven() => {
                Reason::NotProven { why: refusal.to_string() }.into()
            }
            other => LoadEnd::from(other),
        })?;
        let token = Confirmation(answer.confirmation);
        Ok(Token { token, ticket: answer.ticket, doubt: answer.doubt })
    }

    async fn release<H: Hsm>(
        asking: &Asking<'_, H>,
        ticket: &[u8],
        proof: &Proof<Self>,
        wanted: Vec<Wanted>,
    ) -> Result<Release, Asked> {
        let wanted = wanted.into_iter().map(|key| RksWantedEc {
            slot: key.slot,
            kind: key.kind,
            counter: key.counter,
            pending: key.pending,
            avoid: slots::aes_kcvs(&key.avoid),
        });
        let command = ReleaseRksKeysEc {
            ticket: ticket.to_vec(),
            confirmation: proof.confirmation().0,
            said: proof.said_bare()?,
            transcript: proof.said().bytes().to_vec(),
            pin_pad: proof.device().pin_pad().to_string(),
            owner: asking.owner.to_owned(),
            wanted: wanted.collect(),
        };
        let released = asking.hsm.call(command).await?;
        let keys = released.keys.into_iter().map(Released::from).collect();
        Ok(Release { keys, ticket: released.ticket })
    }
}

/// DF13 is no point of the curve: malformed, as any other field, and to everybody.
fn no_point() -> LoadEnd {
    flows::rks_load::Fault::from(Malformed::FieldValue { tag: Tag::EPHEMERAL_KEY }).into()
}
