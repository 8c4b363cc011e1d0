//! Where a transport key parts: what terminal, station, MTMS and KMS hold of one TK, compared hop by hop.
//!
//! A TK is made in a PIN pad and carried over several hands. When a download fails because the two ends have different
//! TKs, [`diagnose`] names the two neighbours between whom they part and says what to do. It sees check values and
//! fingerprints, never a key: those who hold one compute its check values themselves ([`Evidence`]).
//!
//! The check value says which key it is; the fingerprint says which ciphertext of it was carried. In suite 02 a PIN pad
//! seals the same TK anew for another ceremony, so equal check values weigh more than different fingerprints.

mod collected;
mod compare;
mod evidence;
#[cfg(test)]
mod tests;

use serde::Serialize;

use self::compare::{Compared, compare};

pub use evidence::{Evidence, EvidenceError, Hop, KeyState, MAX_EVIDENCE};

/// What the comparison comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "verdict")]
pub enum Verdict {
    /// All have the same TK.
    Agree,
    /// Two neighbours hold different TKs, or one of them none.
    Part {
        /// The one nearer to the terminal.
        from: Hop,
        /// The one nearer to the KMS.
        to: Hop,
    },
    /// Nothing parts, and not everything could be compared.
    Missing,
}

impl Verdict {
    /// What a program ends with: 0 all agree, 1 they part, 2 something is missing.
    #[must_use]
    pub fn exit_code(self) -> u8 {
        match self {
            Verdict::Agree => 0,
            Verdict::Part { .. } => 1,
            Verdict::Missing => 2,
        }
    }
}

/// A diagnosis of one terminal's TK.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Diagnosis {
    /// The terminal.
    pub sn: String,
    /// What the comparison comes to.
    #[serde(flatten)]
    pub verdict: Verdict,
    /// What was found, for people.
    pub found: Vec<String>,
    /// What to do next, in this order.
    pub advice: Vec<String>,
}

/// Compares what the hops hold of one terminal's TK. The order in which the evidence is given means nothing.
///
/// # Errors
/// [`EvidenceError::Nothing`], [`EvidenceError::OtherTerminal`], [`EvidenceError::HopTwice`].
pub fn diagnose(evidence: &[Evidence]) -> Result<Diagnosis, EvidenceError> {
    let mut path = evidence::path(evidence)?;
    let sn = path.first().map(|one| one.sn.clone()).unwrap_or_default();
    let mut found = Vec::new();
    // A journal forgets what was answered long ago; that the TK went past it, its further hops show.
    if path.iter().any(|one| one.hop > Hop::Station && one.key == KeyState::Held) {
        let known = path.len();
        path.retain(|one| one.hop != Hop::Station || one.key != KeyState::UnknownTerminal);
        if path.len() < known {
            found.push("the station's journal does not know the terminal, or not any more".to_owned());
        }
    }
    let mut advice = Vec::new();
    let mut parted = None;
    let mut compared_all = true;
    for pair in path.windows(2) {
        let [near, far] = pair else { continue };
        match compare(near, far) {
            Compared::Same(how) => found.push(how),
            Compared::Different(why) => {
                found.push(why);
                parted.get_or_insert((*near, *far));
            }
            Compared::NotComparable(why) => {
                compared_all = false;
                found.push(why);
            }
        }
    }
    let verdict = match parted {
        // The two ends decide whether a download can work: what differs between them only by its ciphertext is no fault.
        Some(_) if ends_have_one_key(&path) => {
            found.push("terminal and KMS hold the same key nevertheless".to_owned());
            Verdict::Agree
        }
        Some((near, far)) => {
            advice.extend(compare::advice(near, far));
            Verdict::Part { from: near.hop, to: far.hop }
        }
        None => {
            let lacking = lacking(&path);
            let whole = lacking.is_empty() && (compared_all || ends_have_one_key(&path));
            advice.extend(lacking);
            if whole { Verdict::Agree } else { Verdict::Missing }
        }
    };
    if verdict == Verdict::Agree {
        advice.extend(elsewhere(&path));
    }
    if verdict == Verdict::Missing && advice.is_empty() {
        advice.push(
            "have terminal, MTMS and KMS give the check values of their TK: a fingerprint alone does not tell all"
                .to_owned(),
        );
    }
    Ok(Diagnosis { sn, verdict, found, advice })
}

/// Whether terminal and KMS both told check values, and the same ones.
fn ends_have_one_key(path: &[&Evidence]) -> bool {
    let of = |hop: Hop| path.iter().find(|one| one.hop == hop).and_then(|one| one.check_values());
    match (of(Hop::Terminal), of(Hop::Kms)) {
        (Some(terminal), Some(kms)) => terminal == kms,
        _ => false,
    }
}

/// Whose word is missing for a whole comparison.
fn lacking(path: &[&Evidence]) -> Vec<String> {
    let has = |hop: Hop| path.iter().any(|one| one.hop == hop);
    let mut lacking = Vec::new();
    if !has(Hop::Terminal) {
        lacking.push("ask the terminal: keyferry terminal evidence, at the terminal".to_owned());
    }
    if !has(Hop::Kms) {
        lacking.push("ask the KMS: keyferry kms evidence, at the acquirer".to_owned());
    }
    lacking
}

/// Where to look when the TK is not what keeps a download from working.
fn elsewhere(path: &[&Evidence]) -> Vec<String> {
    let mut advice = vec![
        "the TK is not the cause: look at the KMS's refusals (keyferry kms refusals) and its audit"
            .to_owned(),
    ];
    if path.iter().any(|one| one.hop == Hop::Kms && one.suite == Some(1)) {
        advice.push(
            "a slot owned by another key, suite or acquirer is refused with 0008 until a repair names it"
                .to_owned(),
        );
    }
    advice
        .push("see that the terminal reaches the port, knows the date, and is not tampered with".to_owned());
    advice
}
