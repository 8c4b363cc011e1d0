//! Operators of flow E: enrolled with a password, proven with what was derived from it (2-wire.md section 7).

use hsm::{
    KeyBlock, Refusal,
    commands::{EnrolOperator, MAX_PASSWORD, OperatorClaim},
};
use keyblock::KeyVersion;
use paycrypto::operator::{VERIFIER, Verifier};
use zeroize::Zeroizing;

use crate::{
    SoftHsm,
    lmk::{Binding, Lmk, NAME},
    purpose::Purpose,
    soft_hsm::check_name,
};

/// The longest operator id (2-wire.md section 2, DF3D).
const MAX_ID: usize = 16;
/// Who an unknown operator is taken for: an owner and an id that nobody is enrolled with.
const NOBODY: &str = "-";

/// A verifier of no password, so that an unknown operator costs the same work as a known one.
pub(crate) fn strangers(lmk: &Lmk) -> Result<Vec<u8>, Refusal> {
    let mut none = Zeroizing::new([0; VERIFIER]);
    paycrypto::random::fill(&mut *none).map_err(|e| Refusal::NotMade { why: e.to_string() })?;
    seal(lmk, NOBODY, NOBODY, &Verifier::from_bytes(&none))
}

pub(crate) fn enrol_operator(hsm: &SoftHsm, command: &EnrolOperator) -> Result<Vec<u8>, Refusal> {
    check_id(&command.operator)?;
    let password = command.password.expose();
    if !(1..=MAX_PASSWORD).contains(&password.len()) {
        return Err(Refusal::Malformed { what: format!("a password has 1 to {MAX_PASSWORD} bytes") });
    }
    seal(&hsm.lmk, &command.owner, &command.operator, &Verifier::derive(&command.operator, password))
}

/// Whether the operator's proof is right, as his verifier's holder finds. An unknown one is refused after the same work.
pub(super) fn check(
    hsm: &SoftHsm,
    owner: &str,
    claim: &OperatorClaim,
    proves: impl FnOnce(&Verifier) -> bool,
) -> Result<(), Refusal> {
    check_id(&claim.operator)?;
    let verifier = match &claim.verifier {
        Some(sealed) => open(&hsm.lmk, owner, &claim.operator, sealed)?,
        None => open(&hsm.lmk, NOBODY, NOBODY, &hsm.stranger_operator)?,
    };
    if proves(&verifier) && claim.verifier.is_some() { Ok(()) } else { Err(Refusal::OperatorNotProven) }
}

/// A key block's text: bound to operator and owner, and moved to a new LMK like any other.
fn seal(lmk: &Lmk, owner: &str, operator: &str, verifier: &Verifier) -> Result<Vec<u8>, Refusal> {
    let notes = [(NAME, operator)];
    let block =
        lmk.wrap_noted(Purpose::Operator, bound(owner), KeyVersion::UNUSED, &notes, verifier.expose())?;
    Ok(String::from(block).into_bytes())
}

fn open(lmk: &Lmk, owner: &str, operator: &str, sealed: &[u8]) -> Result<Verifier, Refusal> {
    const WHAT: &str = "the operator's verifier";
    let text = std::str::from_utf8(sealed).map_err(|_| Refusal::UnknownKey { what: WHAT.into() })?;
    let block = KeyBlock::from_text(text.to_owned());
    let opened = lmk.open(WHAT, &block, Purpose::Operator, bound(owner))?;
    let found = opened.note(NAME).unwrap_or_default();
    if found != operator {
        return Err(Refusal::WrongPlace { what: WHAT.into(), wanted: operator.into(), found: found.into() });
    }
    let wrong =
        |found: &[u8]| Refusal::WrongUse { what: WHAT.into(), found: format!("{} bytes", found.len()) };
    let bytes = opened.key.as_slice().try_into().map_err(|_| wrong(&opened.key))?;
    Ok(Verifier::from_bytes(bytes))
}

fn check_id(operator: &str) -> Result<(), Refusal> {
    check_name("an operator id", operator)?;
    if operator.len() > MAX_ID {
        return Err(Refusal::Malformed { what: format!("an operator id has 1 to {MAX_ID} characters") });
    }
    Ok(())
}

/// An operator belongs to no PIN pad.
fn bound(owner: &str) -> Binding<'_> {
    Binding { place: None, owner, tk_hash: None }
}
