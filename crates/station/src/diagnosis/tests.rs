//! A story each: what went wrong, and whom the diagnosis names.

use wire::Serial;

use super::*;

/// Keys and ciphertexts: the number tells which TK.
fn tk(number: u8) -> (String, String, String) {
    (format!("{number:02X}AAAA"), format!("{number:02X}BBBB"), format!("{number:020X}"))
}

fn sn() -> Serial {
    Serial::parse("SN-1001").unwrap()
}

/// A hop that holds this TK, and tells what such a hop can tell.
fn holds(hop: Hop, number: u8) -> Evidence {
    let (tek, auk, fingerprint) = tk(number);
    let told = Evidence {
        suite: Some(1),
        fingerprint: Some(fingerprint),
        ..Evidence::of(hop, &sn(), KeyState::Held)
    };
    if hop == Hop::Station {
        return told;
    }
    Evidence { tek: Some(tek), auk: Some(auk), ..told }
}

fn of(evidence: &[Evidence]) -> Diagnosis {
    diagnose(evidence).unwrap()
}

fn parts(from: Hop, to: Hop) -> Verdict {
    Verdict::Part { from, to }
}

const ALL: [Hop; 4] = [Hop::Terminal, Hop::Station, Hop::Mtms, Hop::Kms];

#[test]
fn everything_agrees_and_the_cause_is_elsewhere() {
    for path in [&ALL[..], &[Hop::Terminal, Hop::Station, Hop::Kms], &[Hop::Terminal, Hop::Kms]] {
        let mut evidence: Vec<_> = path.iter().map(|hop| holds(*hop, 7)).collect();
        let diagnosis = of(&evidence);
        assert_eq!((diagnosis.verdict, diagnosis.sn.as_str()), (Verdict::Agree, "SN-1001"));
        assert_eq!(diagnosis.verdict.exit_code(), 0);
        assert!(diagnosis.advice[0].contains("not the cause"), "{diagnosis:?}");
        evidence.reverse();
        assert_eq!(of(&evidence), diagnosis, "the order means nothing");
    }
}

#[test]
fn a_tk_that_was_collected_again_and_never_uploaded_parts_after_the_station() {
    let station = Evidence { waiting: true, earlier: vec![tk(1).2], ..holds(Hop::Station, 2) };
    let diagnosis = of(&[holds(Hop::Terminal, 2), station, holds(Hop::Kms, 1)]);
    assert_eq!(diagnosis.verdict, parts(Hop::Station, Hop::Kms));
    assert_eq!(diagnosis.verdict.exit_code(), 1);
    assert!(diagnosis.advice[0].contains("station upload"), "{diagnosis:?}");
    assert!(diagnosis.advice[1].contains("earlier collecting"), "{diagnosis:?}");
}

#[test]
fn a_ciphertext_swapped_at_the_station_parts_at_the_station() {
    let swapped = [holds(Hop::Terminal, 1), holds(Hop::Station, 9), holds(Hop::Mtms, 9), holds(Hop::Kms, 9)];
    let diagnosis = of(&swapped);
    assert_eq!(diagnosis.verdict, parts(Hop::Terminal, Hop::Station));
    assert!(diagnosis.found[0].contains("fingerprint"), "{diagnosis:?}");
    assert!(diagnosis.advice.iter().any(|line| line.contains("audit the station")), "{diagnosis:?}");
}

#[test]
fn another_terminals_tk_in_the_batch_parts_between_mtms_and_kms() {
    let mut kms = holds(Hop::Kms, 9);
    // The batch says which ciphertext it was, and the KMS believes it: the key gives it away.
    kms.fingerprint = Some(tk(1).2);
    let diagnosis = of(&[holds(Hop::Terminal, 1), holds(Hop::Station, 1), holds(Hop::Mtms, 1), kms]);
    assert_eq!(diagnosis.verdict, parts(Hop::Mtms, Hop::Kms));
    assert!(diagnosis.advice.iter().any(|line| line.contains("PK")), "{diagnosis:?}");
    // Swapped before the batch, the MTMS has it already.
    let mtms = Evidence { fingerprint: Some(tk(9).2), ..holds(Hop::Mtms, 9) };
    let diagnosis = of(&[holds(Hop::Terminal, 1), holds(Hop::Station, 1), mtms, holds(Hop::Kms, 9)]);
    assert_eq!(diagnosis.verdict, parts(Hop::Station, Hop::Mtms));
}

#[test]
fn a_kms_with_an_older_generation_is_named_with_its_reason() {
    let mtms =
        Evidence { tk_generation: Some(2), earlier: vec![tk(1).2], waiting: true, ..holds(Hop::Mtms, 2) };
    let diagnosis = of(&[holds(Hop::Terminal, 2), holds(Hop::Station, 2), mtms, holds(Hop::Kms, 1)]);
    assert_eq!(diagnosis.verdict, parts(Hop::Mtms, Hop::Kms));
    assert!(diagnosis.advice[0].contains("mtms dispatch"), "{diagnosis:?}");
    assert!(diagnosis.advice[1].contains("earlier collecting"), "{diagnosis:?}");
}

#[test]
fn a_kms_with_a_newer_tk_tells_that_somebody_collected_elsewhere() {
    let kms = Evidence { earlier: vec![tk(1).2], ..holds(Hop::Kms, 2) };
    let diagnosis = of(&[holds(Hop::Station, 1), kms, holds(Hop::Terminal, 3)]);
    assert_eq!(diagnosis.verdict, parts(Hop::Terminal, Hop::Station));
    let kms = Evidence { earlier: vec![tk(1).2], ..holds(Hop::Kms, 2) };
    let diagnosis = of(&[holds(Hop::Station, 1), kms, holds(Hop::Terminal, 1)]);
    assert_eq!(diagnosis.verdict, parts(Hop::Station, Hop::Kms));
    assert!(diagnosis.advice[0].contains("collected the terminal elsewhere"), "{diagnosis:?}");
}

#[test]
fn a_terminal_wiped_by_tampering_is_named_and_brought_to_repair() {
    let mut wiped = Evidence::of(Hop::Terminal, &sn(), KeyState::None);
    wiped.said.push("state: tampered".into());
    for path in [&ALL[1..], &ALL[3..]] {
        let mut evidence: Vec<_> = path.iter().map(|hop| holds(*hop, 1)).collect();
        evidence.push(wiped.clone());
        let diagnosis = of(&evidence);
        assert_eq!(diagnosis.verdict, parts(Hop::Terminal, path[0]));
        assert!(diagnosis.advice[0].contains("repair"), "{diagnosis:?}");
    }
}

#[test]
fn a_terminal_that_the_kms_does_not_know_parts_before_it() {
    let unknown = Evidence::of(Hop::Kms, &sn(), KeyState::UnknownTerminal);
    let diagnosis = of(&[holds(Hop::Terminal, 1), holds(Hop::Station, 1), unknown]);
    assert_eq!(diagnosis.verdict, parts(Hop::Station, Hop::Kms));
    assert!(diagnosis.advice[0].contains("reached the KMS"), "{diagnosis:?}");
}

#[test]
fn a_journal_that_forgot_the_terminal_hides_nothing() {
    let forgot = Evidence::of(Hop::Station, &sn(), KeyState::UnknownTerminal);
    let diagnosis = of(&[holds(Hop::Terminal, 1), forgot.clone(), holds(Hop::Kms, 2)]);
    assert_eq!(diagnosis.verdict, parts(Hop::Terminal, Hop::Kms));
    let diagnosis = of(&[holds(Hop::Terminal, 1), forgot, holds(Hop::Kms, 1)]);
    assert_eq!(diagnosis.verdict, Verdict::Agree);
}

#[test]
fn the_same_key_in_another_ciphertext_is_no_fault() {
    // Suite 02 seals a TK anew for another ceremony.
    let station = Evidence { fingerprint: Some(tk(8).2), ..holds(Hop::Station, 1) };
    let diagnosis = of(&[holds(Hop::Terminal, 1), station, holds(Hop::Kms, 1)]);
    assert_eq!(diagnosis.verdict, Verdict::Agree);
    let kms = Evidence { fingerprint: Some(tk(8).2), ..holds(Hop::Kms, 1) };
    assert_eq!(of(&[holds(Hop::Terminal, 1), kms]).verdict, Verdict::Agree);
}

#[test]
fn keys_of_two_suites_part() {
    let (tek, auk) = (Some("01AAAAAAAA".to_owned()), Some("01BBBBBBBB".to_owned()));
    let kms = Evidence { suite: Some(2), tek, auk, ..holds(Hop::Kms, 1) };
    let diagnosis = of(&[holds(Hop::Terminal, 1), kms]);
    assert_eq!(diagnosis.verdict, parts(Hop::Terminal, Hop::Kms));
    assert!(diagnosis.found[0].contains("suite"), "{diagnosis:?}");
}

#[test]
fn what_is_missing_is_asked_for() {
    for (evidence, asked) in [
        (vec![holds(Hop::Terminal, 1)], "kms evidence"),
        (vec![holds(Hop::Kms, 1), holds(Hop::Station, 1)], "terminal evidence"),
    ] {
        let diagnosis = of(&evidence);
        assert_eq!((diagnosis.verdict, diagnosis.verdict.exit_code()), (Verdict::Missing, 2));
        assert!(diagnosis.advice[0].contains(asked), "{diagnosis:?}");
    }
    // Neighbours that told nothing in common.
    let bare = Evidence { fingerprint: None, ..holds(Hop::Kms, 1) };
    let terminal = Evidence { tek: None, auk: None, ..holds(Hop::Terminal, 1) };
    let diagnosis = of(&[terminal, bare]);
    assert_eq!(diagnosis.verdict, Verdict::Missing);
    assert!(!diagnosis.advice.is_empty());
}

#[test]
fn evidence_of_two_terminals_or_of_one_hop_twice_is_refused() {
    assert_eq!(diagnose(&[]), Err(EvidenceError::Nothing));
    let other = Evidence { sn: "SN-2002".into(), ..holds(Hop::Kms, 1) };
    let refused = diagnose(&[holds(Hop::Terminal, 1), other]);
    assert!(matches!(refused, Err(EvidenceError::OtherTerminal { hop: Hop::Kms, .. })));
    let refused = diagnose(&[holds(Hop::Kms, 1), holds(Hop::Kms, 1)]);
    assert_eq!(refused, Err(EvidenceError::HopTwice(Hop::Kms)));
}

#[test]
fn evidence_is_read_as_it_was_written_and_nothing_else_is_evidence() {
    let mut good = holds(Hop::Mtms, 1);
    good.earlier.push(tk(3).2);
    good.said.push("batch 7: stored".into());
    let json = good.to_json().unwrap();
    assert_eq!(Evidence::read(json.as_bytes()).unwrap(), good);
    assert!(json.contains("\"hop\": \"mtms\"") && json.contains("\"key\": \"held\""), "{json}");
    for (case, bad) in [
        ("another version", json.replace("\"version\": 1", "\"version\": 2")),
        ("a member more", json.replace("\"version\": 1", "\"version\": 1, \"tek_clear\": \"00\"")),
        // A whole key in place of a check value.
        ("a key", json.replace(&tk(1).0, &"A5".repeat(24))),
        ("half", json.replace(&format!("\"tek\": \"{}\",", tk(1).0), "")),
        ("a long fingerprint", json.replace(&tk(1).2, &"0".repeat(40))),
        ("no serial", json.replace("SN-1001", "SN 1001")),
        ("no JSON", "evidence".into()),
    ] {
        assert_ne!(bad, json, "{case}");
        assert!(matches!(Evidence::read(bad.as_bytes()), Err(EvidenceError::Malformed(_))), "{case}");
    }
    let mut loud = good;
    loud.said = vec!["\u{1b}[2Jgone".into(); 1000];
    let read = Evidence::read(loud.to_json().unwrap().as_bytes()).unwrap();
    assert_eq!(read.said.len(), 64);
    assert!(!read.said[0].contains('\u{1b}'), "made fit to be shown");
}
