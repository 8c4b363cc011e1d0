//! Sign-ins of suite 01: TDES working keys, MACs of 8 bytes (2-wire.md section 4, flow F).

use flows::{Tdes, sign_in::messages::Mac};
use hsm::{
    Hsm, HsmError, Refusal,
    commands::{ConfirmSignIn, MakeWorkingKeys, PikLength},
};

use super::suite::{Confirming, HostSuite, Making};
use crate::slots::{self, Released};

impl HostSuite for Tdes {
    async fn make<H: Hsm>(hsm: &H, making: Making) -> Result<Vec<Released>, HsmError> {
        let Making { tmk, pin_pad, owner, slot, sign_in, settings, avoid } = making;
        let command = MakeWorkingKeys {
            tmk,
            pin_pad,
            owner,
            slot: slot.index(),
            transcript: sign_in,
            pik: if settings.pik_length == 16 { PikLength::Double } else { PikLength::Triple },
            tdk: settings.tdk,
            avoid: slots::tdes_kcvs(&avoid),
        };
        Ok(hsm.call(command).await?.into_iter().map(Released::from).collect())
    }

    async fn confirm<H: Hsm>(hsm: &H, confirming: Confirming, mac: Mac<8>) -> Result<Mac<8>, HsmError> {
        let Confirming { pin_pad, owner, slot, nonce, mak, kcvs, sn: _ } = confirming;
        // An offer of another suite is no offer of this confirmation's.
        let rnd1 = nonce.try_into().map_err(|_| HsmError::Refused(Refusal::NotProven))?;
        let command = ConfirmSignIn {
            mak,
            pin_pad,
            owner,
            slot: slot.index(),
            rnd1,
            kcvs: slots::tdes_kcvs(&kcvs),
            mac: mac.0,
        };
        Ok(Mac(hsm.call(command).await?))
    }
}
