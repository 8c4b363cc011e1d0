//! Two neighbours on the way of a TK.

use super::evidence::{Evidence, Hop, KeyState};

/// What two neighbours' words come to, with a sentence for people.
pub(super) enum Compared {
    Same(String),
    Different(String),
    NotComparable(String),
}

pub(super) fn compare(near: &Evidence, far: &Evidence) -> Compared {
    let (a, b) = (near.hop, far.hop);
    match (near.key, far.key) {
        (KeyState::Held, KeyState::Held) => {}
        (KeyState::Held, _) => return Compared::Different(format!("the {a} has a TK, {}", has_none(far))),
        (_, KeyState::Held) => {
            return Compared::Different(format!("{}, and the {b} has one", has_none(near)));
        }
        (_, _) => {
            return Compared::NotComparable(format!("{}, and {}", has_none(near), has_none(far)));
        }
    }
    if let (Some(one), Some(other)) = (near.suite, far.suite)
        && one != other
    {
        return Compared::Different(format!("the {a} has a TK of suite {one}, the {b} one of suite {other}"));
    }
    if let (Some(one), Some(other)) = (near.check_values(), far.check_values()) {
        let shown = |(tek, auk): &(String, String)| format!("TEK {tek}, AUK {auk}");
        return if one == other {
            Compared::Same(format!("{a} and {b} have the same key: {}", shown(&one)))
        } else {
            Compared::Different(format!("the {a}'s TK has {}; the {b}'s has {}", shown(&one), shown(&other)))
        };
    }
    match (near.fingerprint(), far.fingerprint()) {
        (Some(one), Some(other)) if one == other => {
            Compared::Same(format!("{a} and {b} have the same ciphertext: fingerprint {one}"))
        }
        (Some(one), Some(other)) => {
            Compared::Different(format!("the {a}'s TK has fingerprint {one}; the {b}'s has {other}"))
        }
        _ => Compared::NotComparable(format!("{a} and {b} told nothing that both of them have")),
    }
}

fn has_none(one: &Evidence) -> String {
    match one.key {
        KeyState::UnknownTerminal => format!("the {} does not know the terminal", one.hop),
        KeyState::None | KeyState::Held => format!("the {} has no TK that may be used", one.hop),
    }
}

/// What to do where these two part, the likeliest cause first.
pub(super) fn advice(near: &Evidence, far: &Evidence) -> Vec<String> {
    let mut advice = Vec::new();
    if near.hop == Hop::Terminal && near.key != KeyState::Held {
        advice.push(
            "the terminal lost its TK: see its refusals and its state, then bring it to repair".to_owned(),
        );
        advice.push(
            "in repair or production collect it again, with a replacement that a second person approves"
                .to_owned(),
        );
        return advice;
    }
    if near.waiting {
        advice.push(handed_on(near.hop));
    }
    let older = near
        .earlier
        .iter()
        .any(|earlier| far.fingerprint().is_some_and(|has| has.eq_ignore_ascii_case(earlier)));
    if older {
        advice.push(format!(
            "the {} has the TK of an earlier collecting: the newer one did not arrive or waits for approval there",
            far.hop
        ));
    }
    if near.fingerprint().is_some_and(|has| far.had(&has)) {
        advice.push(format!(
            "the {} had this very TK and has another one since: somebody collected the terminal elsewhere",
            far.hop
        ));
    }
    advice.extend(by_hop(near, far));
    advice
}

fn handed_on(hop: Hop) -> String {
    match hop {
        Hop::Terminal | Hop::Station => {
            "the station has it and has not uploaded it: keyferry station upload".to_owned()
        }
        Hop::Mtms => "the MTMS has it in no answered batch: keyferry mtms dispatch ORDER".to_owned(),
        Hop::Kms => "the KMS keeps it as a replacement that waits for a second person's approval".to_owned(),
    }
}

fn by_hop(near: &Evidence, far: &Evidence) -> Vec<String> {
    let replaced =
        "collect the terminal again and have the replacement approved: then all hops have one TK".to_owned();
    let look = |text: &str| text.to_owned();
    match (near.hop, far.hop) {
        (_, _) if far.key == KeyState::UnknownTerminal => vec![
            format!(
                "nothing of this terminal reached the {}: see the {}'s uploads and the answers to them",
                far.hop, near.hop
            ),
            format!("see that the serial is right, and that the {} is the one that should have it", far.hop),
        ],
        (Hop::Terminal, Hop::Station) => vec![
            look(
                "what the station keeps is not what the terminal sent it: compare the fingerprint on the terminal's display",
            ),
            look(
                "if the terminal was collected by another station since, diagnose with that one; else keep the journal as evidence and audit the station",
            ),
            replaced,
        ],
        (Hop::Station, Hop::Mtms | Hop::Kms) => vec![
            format!(
                "see what the {} answered to the package (station console, or its audit): refused, or waiting for approval",
                far.hop
            ),
            replaced,
        ],
        (Hop::Mtms, Hop::Kms) => vec![
            look(
                "see the batch's receipt (keyferry mtms history SERIAL): refused, waiting for approval, or never sent",
            ),
            look(
                "compare the check values of PK with the acquirer; if they differ agree on new keys (keyferry hsm agree)",
            ),
            look(
                "if the receipt says stored and the keys differ, one side's database was changed: verify both audits",
            ),
            replaced,
        ],
        _ => {
            vec![format!("ask what lies between {} and {}, then diagnose again", near.hop, far.hop), replaced]
        }
    }
}
