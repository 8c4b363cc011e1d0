//! `keyferry calc` as it is used: keys at standard input, answers at standard output.

use serde_json::Value;

use crate::support::{
    scan,
    tool::{Ran, keyferry, run, run_with},
};

/// A TDES key without a fault; its check value by openssl below.
const KEY: &str = "0123456789ABCDEFFEDCBA9876543210";
const KEY_24: &str = "0123456789ABCDEF23456789ABCDEF01456789ABCDEF0123";

fn calc(arguments: &[&str], input: &str) -> Ran {
    run_with(keyferry(["calc"]).args(arguments), input.as_bytes())
}

/// One request a line.
fn jsonl(input: &[u8]) -> Vec<Value> {
    let out = run_with(&mut keyferry(["calc", "--jsonl"]), input).good();
    out.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn a_check_value_is_the_published_one() {
    // The key of many manuals, and its check value there.
    assert_eq!(calc(&["kcv"], &format!("{KEY}\n")).good(), "08D7B4\n");
    // Typed in groups, without an end of line.
    let grouped = "0123 4567 89AB CDEF FEDC BA98 7654 3210";
    assert_eq!(calc(&["kcv", "--algorithm", "tdes"], grouped).good(), "08D7B4\n");
    // FIPS 197's key: AES-CMAC of a zero block, five bytes.
    let aes = calc(&["kcv", "--algorithm", "aes"], "2B7E151628AED2A6ABF7158809CF4F3C").good();
    assert_eq!(aes.trim_end().len(), 10, "{aes}");
}

#[test]
fn a_weak_key_is_told_and_not_refused() {
    let said = calc(&["kcv"], "01010101010101010101010101010101").good();
    assert!(said.starts_with("8CA64D"), "{said}");
    assert!(said.to_lowercase().contains("weak"), "{said}");
}

#[test]
fn macs_have_their_algorithms_and_paddings() {
    let mac = |arguments: &[&str], key: &str| calc(&[&["mac"], arguments].concat(), key).good();
    // ISO 9797-1 annex B: algorithm 1 and 3, the key and text of the examples, "Now is the time for all ".
    let text = "4E6F77206973207468652074696D6520666F7220616C6C20";
    let one = ["--algorithm", "iso9797-1-alg1", "--padding", "1", "--data", text];
    assert_eq!(mac(&one, "0123456789ABCDEF").trim_end(), "70A30640CC76DD8B");
    let three = ["--algorithm", "iso9797-1-alg3", "--padding", "1", "--data", text];
    assert_eq!(mac(&three, KEY).trim_end(), "A1C72E74EA3FA9B6");
    // RFC 4493, example 2.
    let cmac = ["--algorithm", "cmac-aes", "--data", "6BC1BEE22E409F96E93D7E117393172A"];
    assert_eq!(mac(&cmac, "2B7E151628AED2A6ABF7158809CF4F3C").trim_end(), "070A16B46B4D4144F79BDD9DD04A287C");
}

#[test]
fn a_key_goes_into_a_block_and_comes_out_again() {
    let kbpk = "2B7E151628AED2A6ABF7158809CF4F3C2B7E151628AED2A6ABF7158809CF4F3D";
    let wrap = ["keyblock", "wrap", "--version", "D", "--usage", "P0", "--algorithm", "T", "--mode", "E"];
    let wrapped =
        calc(&[&wrap[..], &["--optional", "10=SN-1/00"]].concat(), &format!("{kbpk}\n{KEY}\n")).good();
    let block = wrapped.lines().next().unwrap();
    assert!(block.starts_with('D') && block[5..].starts_with("P0TE00N"), "{block}");
    let opened = calc(&["keyblock", "unwrap", block], kbpk).good();
    assert!(opened.contains(KEY) && opened.contains("SN-1/00"), "{opened}");
    let parsed = run(&mut keyferry(["calc", "keyblock", "parse", block])).good();
    assert!(parsed.contains("P0") && parsed.contains("SN-1/00") && !parsed.contains(KEY), "{parsed}");
    // Another protection key, and one changed character.
    let refused = calc(&["keyblock", "unwrap", block], &kbpk.replace('D', "C")).refused();
    assert!(refused.contains("does not open under this protection key"), "{refused}");
    let changed = format!("{}P{}", &block[..7], &block[8..]);
    calc(&["keyblock", "unwrap", &changed], kbpk).refused();
}

#[test]
fn parity_and_components() {
    let said = calc(&["parity"], "0023456789ABCDEFFEDCBA9876543210").good();
    assert!(said.contains("0123456789ABCDEFFEDCBA9876543210"), "{said}");
    let parts = "11111111111111111111111111111111\n22222222222222222222222222222222\n44444444444444444444444444444444\n";
    let said = calc(&["components", "--count", "3"], parts).good();
    assert!(said.contains("77777777777777777777777777777777"), "{said}");
    // Two of three are not enough, and say which is missing.
    let two = parts.rsplit_once("44444444444444444444444444444444").unwrap().0;
    calc(&["components", "--count", "3"], two).refused_with("no component 3 was given");
    calc(&["components", "--count", "1"], parts).refused_with("at least two components");
}

#[test]
fn pin_blocks_are_made_and_opened() {
    let (pan, wrong) = ("5555555551234567", "9999999999999999");
    // psec's block of this PIN and PAN; enciphered by openssl's des-ede.
    let clear = calc(&["pinblock", "encode", "--format", "0"], &format!("1234\n{pan}\n")).good();
    assert_eq!(clear, "041261AAAAEDCBA9\n");
    let enciphered = ["pinblock", "encode", "--format", "0", "--enciphered"];
    assert_eq!(calc(&enciphered, &format!("1234\n{pan}\n{KEY}\n")).good(), "230B4C43B8BA2C5C\n");
    let open = ["pinblock", "decode", "--format", "0", "--enciphered"];
    assert_eq!(calc(&open, &format!("230B4C43B8BA2C5C\n{pan}\n{KEY}\n")).good(), "1234\n");
    // psec's block of format 4, whose key is asked for without a word.
    let four = "CC17F65586BFD0953010226C4FC5B3CA\n432198765432109870\nC1D0F8FB4958670DBA40AB1F3752EF0D";
    assert_eq!(calc(&["pinblock", "decode", "--format", "4"], four).good(), "1234\n");
    // Format 1 asks for no PAN.
    let one = calc(&["pinblock", "encode", "--format", "1"], "98765\n").good();
    assert_eq!(calc(&["pinblock", "decode", "--format", "1"], &one).good(), "98765\n");

    let refused = calc(&open, &format!("230B4C43B8BA2C5C\n{wrong}\n{KEY}\n")).refused();
    assert!(refused.contains("the PIN block is refused") && !refused.contains(wrong), "{refused}");
    calc(&["pinblock", "encode", "--format", "2"], &format!("1234\n{pan}\n")).refused_with("format 2");
    calc(&["pinblock", "encode", "--format", "3"], "1234\n").refused_with("no PAN was given");
    calc(&["pinblock", "encode", "--format", "3"], "").refused_with("no PIN was given");
}

#[test]
fn bad_keys_are_refused_with_a_reason_and_never_repeated() {
    for (arguments, input, reason) in [
        (["kcv"].as_slice(), "", "no key was given; type it at the prompt or pipe it in"),
        (&["kcv"], "\n", "no key was given"),
        (&["kcv"], "0123456789ABCDEFFEDCBA987654321", "hexadecimal"),
        (&["kcv"], "0123456789ABCDEFFEDCBA98765432ZZ", "hexadecimal"),
        (&["kcv"], "0123456789ABCDEFFEDCBA9876543210FE", "17"),
        (&["kcv", "--algorithm", "rot13"], KEY, "unknown algorithm"),
        (&["mac", "--algorithm", "x9.9", "--padding", "3", "--data", "00"], KEY, "x9.9 has padding 1 only"),
        (&["keyblock", "parse", "B0012"], "", ""),
    ] {
        let said = calc(arguments, input).refused();
        assert!(said.contains(reason), "{arguments:?}: {said}");
        assert!(!said.contains("FEDCBA98"), "{arguments:?}: {said}");
    }
}

#[test]
fn a_key_is_never_an_argument() {
    // What has an option for a key in other programs has none here, and a stray word is not taken for one.
    for arguments in [
        ["kcv", "--key", KEY].as_slice(),
        &["kcv", KEY],
        &["parity", KEY],
        &["components", KEY, KEY],
        &["mac", "--algorithm", "x9.9", "--data", "00", "--key", KEY],
        &["keyblock", "unwrap", "--kbpk", KEY, "B0080"],
        &["keyblock", "unwrap", "B0080", KEY],
        &["pinblock", "encode", "--format", "0", "1234"],
        &["pinblock", "encode", "--format", "0", "--pin", "1234"],
        &["pinblock", "decode", "--format", "4", "--key", KEY],
    ] {
        assert_eq!(calc(arguments, "").code, Some(2), "{arguments:?}");
    }
}

#[test]
fn a_stream_is_answered_in_order_whatever_is_in_it() {
    let long = format!("{{\"op\":\"kcv\",\"algorithm\":\"tdes\",\"key\":\"{}\"}}", "0".repeat(1 << 21));
    let lines = [
        format!("{{\"op\":\"kcv\",\"algorithm\":\"tdes\",\"key\":\"{KEY}\"}}"),
        "no JSON at all".to_owned(),
        "{\"op\":\"kcv\",\"algorithm\":\"tdes\",\"key\":\"0101010101010101\"}".to_owned(),
        String::new(),
        long,
        "{\"op\":\"keyblock.unwrap\",\"kbpk\":\"00\",\"block\":\"B0000\"}".to_owned(),
        "[1, 2]".to_owned(),
        "{\"op\":\"mac\",\"algorithm\":\"x9.9\",\"padding\":1,\"key\":\"0123456789ABCDEF\",\"data\":\"37363534333231204E6F77206973207468652074696D6520666F722000\"}".to_owned(),
        format!("{{\"op\":\"kcv\",\"algorithm\":\"tdes\",\"key\":\"{KEY_24}\"}}"),
    ];
    let mut input = lines.join("\n").into_bytes();
    // A line that is no text, and a last one without an end.
    input.extend(b"\n\xFF\xFE\n");
    input.extend(lines[0].as_bytes());
    let answers = jsonl(&input);
    let good: Vec<_> = answers.iter().map(|answer| answer["ok"].as_bool().unwrap()).collect();
    assert_eq!(good, [true, false, true, false, false, false, false, true, true, false, true]);
    assert_eq!(answers[0]["kcv"], "08D7B4");
    assert!(answers[0].get("weak").is_none());
    assert_eq!(answers[2]["weak"], true);
    for answer in answers.iter().filter(|answer| answer["ok"] == false) {
        assert!(answer["error"]["code"].is_string() && answer["error"]["message"].is_string(), "{answer}");
    }
    assert_eq!(answers[4]["error"]["code"], "line-too-long");
    assert_eq!(answers[7]["mac"].as_str().unwrap().len(), 8, "x9.9 gives the left four bytes");
    assert_eq!(answers[10], answers[0]);
}

#[test]
fn an_answer_comes_before_the_next_question() {
    use std::{
        io::{BufRead as _, BufReader, Write as _},
        process::Stdio,
    };
    let mut command = keyferry(["calc", "--jsonl"]);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let (mut input, mut output) = (child.stdin.take().unwrap(), BufReader::new(child.stdout.take().unwrap()));
    for _ in 0..3 {
        writeln!(input, "{{\"op\":\"kcv\",\"algorithm\":\"tdes\",\"key\":\"{KEY}\"}}").unwrap();
        let mut answer = String::new();
        output.read_line(&mut answer).unwrap();
        assert_eq!(serde_json::from_str::<Value>(&answer).unwrap()["kcv"], "08D7B4");
    }
    drop(input);
    assert!(child.wait().unwrap().success());
}

#[test]
fn no_refusal_repeats_a_key() {
    let secret = "DEADBEEFCAFEF00D";
    let input = format!(
        "{{\"op\":\"kcv\",\"algorithm\":\"tdes\",\"key\":\"{secret}{secret}{secret}{secret}\"}}\n\
         {{\"op\":\"kcv\",\"key\":[\"{secret}\"]}}\n{{\"op\":\"{secret}\"}}\n\
         {{\"op\":\"parity\",\"key\":\"{secret}00\"}}\n{{\"op\":\"kcv\",\"algorithm\":\"{secret}\",\"key\":\"{secret}\"\n"
    );
    let ran = run_with(&mut keyferry(["calc", "--jsonl"]), input.as_bytes());
    let said = ran.good();
    assert_eq!(said.matches("\"ok\":false").count(), 5, "{said}");
    assert!(
        scan::found_in(said.to_uppercase().as_bytes(), &[scan::raw("key", secret.as_bytes())]).is_empty(),
        "{said}"
    );
}
