//! Suite 01: Ctk_Pu under the work certificate's RSA key, one signer. Who made a TK nobody can tell; the fingerprint, which
//! people compare, stands in for it.

use base64ct::{Base64, Encoding};
use flows::{Tdes, collect::messages::Collected};
use hsm::{Hsm, HsmError, KeyBlock, Refusal as HsmRefusal, commands::CheckCollected};
use pki::{Certificate, PublicKey, Role, cms::SignedPackage};
use serde::Deserialize;
use store::{CollectedTk, Refusal, Store, WindowRecord};
use wire::{Device, Fields, Frame};

use super::{
    refusal,
    suite::{CollectingSuite, Named, Work},
};
use crate::{
    kms::{
        Failure, Kms,
        package::{Authentic, UploadRefusal},
    },
    trust::Trust,
};

/// What a package has of a TK.
#[derive(Debug, Deserialize)]
pub(crate) struct Entry {
    ctk_pu: String,
}

/// Nothing.
#[derive(Debug, Deserialize)]
pub(crate) struct Head {}

impl CollectingSuite for Tdes {
    type Head = Head;
    type Entry = Entry;
    type Sealed = Vec<u8>;

    fn authenticate(trust: &Trust, package: SignedPackage) -> Result<Authentic, UploadRefusal> {
        Authentic::of_one(trust, package, Role::Operator)
    }

    async fn nonce_of<S: Store, H: Hsm>(_: &Kms<S, H>, _: &Head, _: &str) -> Result<(), UploadRefusal> {
        Ok(())
    }

    async fn nonce_in<S: Store, H: Hsm>(_: &Kms<S, H>, _: &WindowRecord) -> Result<(), Failure> {
        Ok(())
    }

    fn sealed_bytes(certificate: &Certificate) -> Result<usize, Failure> {
        let key = PublicKey::from_spki(certificate.spki_der());
        let key = key.map_err(|defect| pki::Error::Key { what: "the work certificate's key", defect })?;
        Ok(key.bits().div_ceil(8))
    }

    fn entry(entry: &Entry, _: &Named<'_>) -> Result<Vec<u8>, Refusal> {
        let malformed = |what: &str| refusal("malformed", what);
        let ctk_pu = Base64::decode_vec(&entry.ctk_pu).map_err(|_| malformed("ctk_pu is no base64"))?;
        if ctk_pu.is_empty() || ctk_pu.len() > store::limits::CTK_PU {
            return Err(malformed("ctk_pu is not as long as an RSA modulus of 2048 to 4096 bits"));
        }
        Ok(ctk_pu)
    }

    fn answer(_: &Frame, collected: &Collected) -> Vec<u8> {
        collected.ctk_pu.clone()
    }

    fn refusals(_: &Vec<u8>) -> &[Fields] {
        &[]
    }

    fn df09(sealed: &Vec<u8>) -> &[u8] {
        sealed
    }

    fn unopened(sealed: &Vec<u8>) -> CollectedTk {
        CollectedTk::Ciphertext(sealed.clone())
    }

    /// Has the HSM open TK, check it and forget it.
    async fn open<S: Store, H: Hsm>(
        kms: &Kms<S, H>,
        work: &Work,
        (): &(),
        _: &Device,
        sealed: &Vec<u8>,
    ) -> Result<Result<CollectedTk, Refusal>, Failure> {
        let command = CheckCollected {
            work_key: KeyBlock::from_text(work.record.private_block.clone()),
            ctk_pu: sealed.clone(),
            owner: kms.acquirer.id.clone(),
        };
        match kms.hsm.call(command).await {
            Ok(()) => Ok(Ok(Self::unopened(sealed))),
            Err(HsmError::Refused(refused @ HsmRefusal::TransportKey { .. })) => {
                Ok(Err(refusal("transport-key-refused", &refused.to_string())))
            }
            Err(failed) => Err(failed.into()),
        }
    }
}
