use hsm::{
    Refusal,
    commands::{CheckWorkKey, WorkKeyOf},
};

use super::make_ec_key;
use crate::{SoftHsm, key_pairs, purpose::Purpose};

pub(crate) fn check_work_key(hsm: &SoftHsm, command: &CheckWorkKey) -> Result<(), Refusal> {
    let rsa = |purpose| {
        let key = hsm.key_pairs.open(&hsm.lmk, &command.work_key, purpose, &command.owner)?;
        Ok(key.spki_der().to_vec())
    };
    let public = match command.of {
        WorkKeyOf::Kms => rsa(Purpose::KmsWork)?,
        WorkKeyOf::Rks => rsa(Purpose::RksWork)?,
        WorkKeyOf::Ec(kind) => {
            key_pairs::ec_public(&hsm.lmk, &command.work_key, make_ec_key::purpose_of(kind), &command.owner)?
        }
    };
    if public != command.public {
        let found = "the private half of another public key".into();
        return Err(Refusal::WrongUse { what: "the work key".into(), found });
    }
    Ok(())
}
