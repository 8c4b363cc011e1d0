//! Self-tests (R44): a known answer of every algorithm that the HSM uses, and the program's own file.
//!
//! They run before anything is served and every 24 hours ([`Watch`]). A known answer is of a standard or of another
//! implementation where there is one, else a worked value of the project; each names its source. What must not open is
//! tried where there is such a thing: a test that cannot fail tests nothing.

mod binary;
mod derived;
mod public;
mod symmetric;
mod watch;

use crate::HsmSoftError;

pub(crate) use watch::Watch;

/// One algorithm's known answer.
#[derive(Clone, Copy)]
pub(crate) struct KnownAnswer {
    name: &'static str,
    /// What the algorithm gives; nothing where it fails, or does not refuse what it must.
    answer: fn() -> Option<Vec<u8>>,
    /// What it must give, in upper-case hex.
    known: &'static str,
}

/// All of them.
pub(crate) fn known_answers() -> Vec<KnownAnswer> {
    [symmetric::TESTS, derived::TESTS, public::TESTS].concat()
}

/// Runs all known answers.
///
/// # Errors
/// [`HsmSoftError::SelfTest`] naming the first that fails.
pub(crate) fn run() -> Result<(), HsmSoftError> {
    run_these(&known_answers())
}

fn run_these(answers: &[KnownAnswer]) -> Result<(), HsmSoftError> {
    let fails = |test: &&KnownAnswer| (test.answer)().is_none_or(|found| crate::hex(&found) != test.known);
    match answers.iter().find(fails) {
        Some(test) => Err(HsmSoftError::SelfTest(test.name)),
        None => Ok(()),
    }
}

/// The bytes of upper- or lower-case hex.
fn unhex(text: &str) -> Option<Vec<u8>> {
    let (pairs, odd) = text.as_bytes().as_chunks::<2>();
    let digit = |digit: u8| char::from(digit).to_digit(16);
    let byte = |[high, low]: &[u8; 2]| u8::try_from(digit(*high)? << 4 | digit(*low)?).ok();
    if odd.is_empty() { pairs.iter().map(byte).collect() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r44_every_known_answer_holds() {
        run().unwrap();
    }

    /// Every algorithm that stands in the requirement is there.
    #[test]
    fn r44_every_algorithm_has_its_known_answer() {
        let names: Vec<_> = known_answers().iter().map(|test| test.name).collect();
        assert_eq!(
            names,
            [
                "TDES",
                "CBC-MAC",
                "retail MAC",
                "TDES-CMAC",
                "AES-128",
                "AES-256",
                "AES-CMAC",
                "AES-GCM",
                "key block, version B",
                "key block, version D",
                "PIN block, format 0",
                "PIN block, format 4",
                "SHA-256",
                "HMAC-SHA-256",
                "HKDF-SHA-256",
                "PBKDF2",
                "Argon2id",
                "DIK2",
                "DIK2 of suite 02",
                "sealed messages",
                "sealed messages of suite 02",
                "operator proof",
                "RSA-OAEP",
                "RSA signature, PKCS #1",
                "RSA signature, PSS",
                "RSA signature with recovery",
                "ECDH P-256",
                "ECDSA P-256",
                "HPKE",
            ]
        );
    }

    #[test]
    fn r44_one_broken_known_answer_fails_and_is_named() {
        for broken in 0..known_answers().len() {
            let mut tests = known_answers();
            let test = tests.get_mut(broken).unwrap();
            let (name, known) = (test.name, test.known);
            // The last digit is another one.
            let (rest, last) = known.split_at(known.len() - 1);
            let other = if last == "0" { "1" } else { "0" };
            test.known = Box::leak(format!("{rest}{other}").into_boxed_str());
            assert!(
                matches!(run_these(&tests), Err(HsmSoftError::SelfTest(found)) if found == name),
                "{name}"
            );
            tests[broken] = KnownAnswer { answer: || None, known, name };
            assert!(matches!(run_these(&tests), Err(HsmSoftError::SelfTest(found)) if found == name));
        }
    }

    #[test]
    fn hex_is_read_whole_or_not_at_all() {
        assert_eq!(unhex("00aFFf"), Some(vec![0, 0xAF, 0xFF]));
        for bad in ["0", "0G", "é0", "+1"] {
            assert_eq!(unhex(bad), None, "{bad}");
        }
    }
}
