use hsm::{
    Refusal,
    commands::{CheckWorkKey, WorkKeyOf},
};

use crate::{SoftHsm, purpose::Purpose};

pub(crate) fn check_work_key(hsm: &SoftHsm, command: &CheckWorkKey) -> Result<(), Refusal> {
    let purpose = match command.of {
        WorkKeyOf::Kms => Purpose::KmsWork,
        WorkKeyOf::Rks => Purpose::RksWork,
        WorkKeyOf::Ec(_) => return Err(Refusal::OutOfService { why: "CheckWorkKey".into() }),
    };
    let key = hsm.key_pairs.open(&hsm.lmk, &command.work_key, purpose, &command.owner)?;
    if key.spki_der() != command.public {
        let found = "the private half of another public key".into();
        return Err(Refusal::WrongUse { what: "the work key".into(), found });
    }
    Ok(())
}
