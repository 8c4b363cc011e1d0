//! R8 and R26: no command is left out of the tables.

use std::collections::BTreeSet;

use hsm::commands::Request;

use crate::policy_tests::Room;

/// Commands that take no key block: they make a key, or go by what this process has sealed itself.
const WITHOUT_A_KEY: &[&str] = &[
    "Acknowledge",
    "AnswerStranger",
    "CheckAnswerEc",
    "EnrolOperator",
    "MakeDik1",
    "MakeDik1Ec",
    "MakeDownloaderKey",
    "MakeEcKey",
    "MakeRksKey",
    "MakeTlsKey",
    "MakeWorkKey",
    "OpenLoading",
    "OpenTms",
    "OpenTmsEc",
    "SealTms",
    "SealTmsEc",
    "Status",
    "TmsReceipt",
];

/// Takes a block of any purpose, gives it back as it was, and opens it for nobody.
const OF_ANY_PURPOSE: &str = "Rewrap";

#[test]
fn r8_every_command_that_takes_a_key_is_in_the_table() {
    let room = Room::new();
    let tried: BTreeSet<_> =
        room.fields().iter().map(|field| field.name.split('.').next().unwrap().to_owned()).collect();
    let others = WITHOUT_A_KEY.iter().chain(&[OF_ANY_PURPOSE]).map(|name| (*name).to_owned());
    let all: BTreeSet<_> = Request::NAMES.iter().map(|name| (*name).to_owned()).collect();
    assert!(WITHOUT_A_KEY.iter().all(|name| !tried.contains(*name)));
    assert_eq!(tried.into_iter().chain(others).collect::<BTreeSet<_>>(), all);
}

/// There is no command to decrypt, encrypt or give a key in clear (R8, R26).
#[test]
fn r26_no_command_does_what_its_caller_likes_with_a_key() {
    for name in Request::NAMES {
        for plain in ["Decrypt", "Encrypt", "Derive", "Clear", "Unwrap", "Raw", "Xor"] {
            assert!(!name.contains(plain), "{name}");
        }
    }
}
