//! Suite 01: AT ‖ TK1 under DIK2, TK2 under the RKS's RSA key (2-wire.md section 4, flow C).

use flows::{
    Chain, Tdes,
    rks_load::{
        messages::RksToken,
        rks::{Auth, Factor, Proof},
    },
};
use hsm::{
    Hsm,
    commands::{ReleaseRksKeys, RksWanted, SealRksToken},
};

use super::{
    end::LoadEnd,
    suite::{Asked, Asking, Registered, Release, RksServerSuite, Token, Wanted},
};
use crate::slots::{self, Released};

impl RksServerSuite for Tdes {
    type Begun = ();

    async fn begin<H: Hsm>(
        _: &Asking<'_, H>,
        _: &Auth<Self>,
        _: &Chain,
    ) -> Result<((), Self::Begun), LoadEnd> {
        Ok(((), ()))
    }

    async fn token<H: Hsm>(
        asking: &Asking<'_, H>,
        (): (),
        factor: &Factor<Self>,
        registered: Option<Registered>,
    ) -> Result<Token<Self>, LoadEnd> {
        let (dik1, factor_digest) = registered.map(|known| (known.dik1, known.factor_digest)).unzip();
        let command = SealRksToken {
            work_key: asking.work_key.clone(),
            df20: factor.df20().to_vec(),
            dik1,
            dsn: factor.device().sn().to_string(),
            pin_pad: factor.device().pin_pad().to_string(),
            owner: asking.owner.to_owned(),
            factor_digest,
            context: *factor.context().as_bytes(),
        };
        let made = asking.hsm.call(command).await?;
        Ok(Token { token: RksToken { at_tk1: made.df21 }, ticket: made.ticket, doubt: made.doubt })
    }

    async fn release<H: Hsm>(
        asking: &Asking<'_, H>,
        ticket: &[u8],
        proof: &Proof<Self>,
        wanted: Vec<Wanted>,
    ) -> Result<Release, Asked> {
        let wanted = wanted.into_iter().map(|key| RksWanted {
            slot: key.slot,
            kind: key.kind,
            pending: key.pending,
            avoid: slots::tdes_kcvs(&key.avoid),
        });
        let command = ReleaseRksKeys {
            work_key: asking.work_key.clone(),
            df22: proof.df22().to_vec(),
            ticket: ticket.to_vec(),
            owner: asking.owner.to_owned(),
            pin_pad: proof.device().pin_pad().to_string(),
            wanted: wanted.collect(),
            transcript: proof.said().bytes().to_vec(),
        };
        let keys = asking.hsm.call(command).await?.into_iter().map(Released::from).collect();
        Ok(Release { keys, ticket: Vec::new() })
    }
}
