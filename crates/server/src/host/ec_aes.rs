//! Sign-ins of suite 02: AES working keys, MACs of 16 bytes (3-hardened.md, flow F).

use flows::{EcAes, sign_in::messages::Mac};
use hsm::{
    Hsm, HsmError, Refusal,
    commands::{ConfirmSignInEc, MakeWorkingKeysEc},
};

use super::suite::{Confirming, HostSuite, Making};
use crate::slots::{self, Released};

impl HostSuite for EcAes {
    async fn make<H: Hsm>(hsm: &H, making: Making) -> Result<Vec<Released>, HsmError> {
        let Making { tmk, pin_pad, owner, slot, sign_in, settings, avoid } = making;
        let command = MakeWorkingKeysEc {
            tmk,
            pin_pad,
            owner,
            slot: slot.index(),
            transcript: sign_in,
            tdk: settings.tdk,
            avoid: slots::aes_kcvs(&avoid),
        };
        Ok(hsm.call(command).await?.into_iter().map(Released::from).collect())
    }

    async fn confirm<H: Hsm>(hsm: &H, confirming: Confirming, mac: Mac<16>) -> Result<Mac<16>, HsmError> {
        let Confirming { pin_pad, owner, slot, nonce, mak, kcvs, sn: _ } = confirming;
        // An offer of another suite is no offer of this confirmation's.
        let nonce = nonce.try_into().map_err(|_| HsmError::Refused(Refusal::NotProven))?;
        let command = ConfirmSignInEc {
            mak,
            pin_pad,
            owner,
            slot: slot.index(),
            nonce,
            kcvs: slots::aes_kcvs(&kcvs),
            mac: mac.0,
        };
        Ok(Mac(hsm.call(command).await?))
    }
}
