//! The backup of a work key pair: any enough of its shares bring it back, and nothing else does.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use hsm::{
    KeyBlock, Refusal,
    commands::{
        CheckCollected, CheckWorkKey, EcKeyKind, MakeEcKey, MakeRksKey, MakeTlsKey, MakeWorkKey, Reply,
        Request, WorkKey, WorkKeyOf,
    },
};
use keyferry_hsm_soft::{
    HsmSoftError, Offline, SoftHsm,
    backup::{Backup, BackupRefusal, back_up, restore},
    create,
};
use zeroize::Zeroizing;

const PASSPHRASE: &str = "only for this test";
const OWNER: &str = "ACQ";

fn hsm() -> (tempfile::TempDir, Offline) {
    let folder = tempfile::tempdir().unwrap();
    create(folder.path(), PASSPHRASE).unwrap();
    let hsm = Offline::open(folder.path(), PASSPHRASE).unwrap();
    (folder, hsm)
}

fn make(folder: &tempfile::TempDir, request: Request) -> WorkKey {
    let hsm = SoftHsm::open(folder.path(), PASSPHRASE, vec![]).unwrap();
    match hsm.handle(request).unwrap() {
        Reply::MakeWorkKey(key) | Reply::MakeRksKey(key) | Reply::MakeTlsKey(key) | Reply::MakeEcKey(key) => {
            key
        }
        other => panic!("{other:?}"),
    }
}

fn kms_key(folder: &tempfile::TempDir) -> WorkKey {
    let make_key = MakeWorkKey { bits: 2048, subject: "KMS".into(), owner: OWNER.into() };
    make(folder, Request::MakeWorkKey(make_key))
}

/// A key pair and its backup, 3 of 5.
fn backed_up() -> (tempfile::TempDir, Offline, WorkKey, Backup) {
    let (folder, offline) = hsm();
    let key = kms_key(&folder);
    let backup = back_up(&offline, &key.private, OWNER, 5, 3).unwrap();
    (folder, offline, key, backup)
}

fn pick(backup: &Backup, numbers: &[usize]) -> Vec<Zeroizing<String>> {
    numbers.iter().map(|number| backup.shares[*number].clone()).collect()
}

fn refusal<T>(outcome: Result<T, HsmSoftError>) -> BackupRefusal {
    match outcome {
        Err(HsmSoftError::Backup(refusal)) => refusal,
        Err(other) => panic!("{other}"),
        Ok(_) => panic!("not refused"),
    }
}

#[test]
fn any_three_of_five_bring_the_key_back_in_another_hsm() {
    let (_folder, _, key, backup) = backed_up();
    let (other_folder, other) = hsm();
    for numbers in [[0, 1, 2], [4, 2, 0], [3, 4, 1]] {
        let restored = restore(&other, &backup.file, &pick(&backup, &numbers), OWNER).unwrap();
        assert_eq!(restored.public, key.public);
        // It does its work there: opens a collected key.
        let tk = paycrypto::tk::CheckedTk::generate().unwrap();
        let public = paycrypto::rsa::PublicKey::from_spki(&key.public).unwrap();
        let ctk_pu = public.oaep_encrypt(&tk.to_clear()).unwrap();
        let there = SoftHsm::open(other_folder.path(), PASSPHRASE, vec![]).unwrap();
        let check =
            |work_key: KeyBlock| CheckCollected { work_key, ctk_pu: ctk_pu.clone(), owner: OWNER.into() };
        there.handle(Request::CheckCollected(check(restored.private))).unwrap();
        let foreign = there.handle(Request::CheckCollected(check(key.private.clone())));
        assert!(matches!(foreign, Err(Refusal::UnknownKey { .. })), "the first HSM's block stays there");
    }
    restore(&other, &backup.file, &backup.shares, OWNER).unwrap();
}

#[test]
fn too_few_shares_are_refused() {
    let (_folder, offline, _, backup) = backed_up();
    for numbers in [&[][..], &[0], &[0, 4]] {
        let outcome = restore(&offline, &backup.file, &pick(&backup, numbers), OWNER);
        assert_eq!(refusal(outcome), BackupRefusal::TooFew { found: numbers.len(), wanted: 3 });
    }
}

#[test]
fn a_share_given_twice_counts_once() {
    let (_folder, offline, _, backup) = backed_up();
    let outcome = restore(&offline, &backup.file, &pick(&backup, &[0, 1, 0]), OWNER);
    assert_eq!(refusal(outcome), BackupRefusal::ShareTwice { number: 3 });
}

#[test]
fn a_share_may_be_typed_in_lower_case_and_without_dashes() {
    let (_folder, offline, _, backup) = backed_up();
    let mut shares = pick(&backup, &[0, 1, 2]);
    shares[1] = Zeroizing::new(shares[1].to_lowercase());
    shares[2] = Zeroizing::new(format!(" {} \n", shares[2].replace('-', " ")));
    restore(&offline, &backup.file, &shares, OWNER).unwrap();
}

#[test]
fn every_mistyped_digit_is_found() {
    let (_folder, offline, _, backup) = backed_up();
    let text = backup.shares[1].as_str();
    for at in 0..text.len() {
        if text.as_bytes()[at] == b'-' {
            continue;
        }
        let mut shares = pick(&backup, &[0, 1, 2]);
        let other = if text.as_bytes()[at] == b'7' { "8" } else { "7" };
        shares[1].replace_range(at..=at, other);
        let outcome = restore(&offline, &backup.file, &shares, OWNER);
        assert_eq!(refusal(outcome), BackupRefusal::Mistyped { number: 2 }, "character {at}");
    }
    for text in ["", "KFS1", &text[..text.len() - 1], &format!("{text}0"), "KFS1-ÄÖ"] {
        let mut shares = pick(&backup, &[0, 1, 2]);
        shares[0] = Zeroizing::new(text.into());
        let outcome = restore(&offline, &backup.file, &shares, OWNER);
        assert_eq!(refusal(outcome), BackupRefusal::Mistyped { number: 1 });
    }
}

#[test]
fn a_share_of_another_backup_is_refused() {
    let (_folder, offline, key, backup) = backed_up();
    let other = back_up(&offline, &key.private, OWNER, 5, 3).unwrap();
    let mut shares = pick(&backup, &[0, 1, 2]);
    shares[2] = other.shares[2].clone();
    let outcome = restore(&offline, &backup.file, &shares, OWNER);
    assert_eq!(refusal(outcome), BackupRefusal::OtherBackup { number: 3 });
}

#[test]
fn a_changed_or_cut_file_is_refused() {
    let (_folder, offline, _, backup) = backed_up();
    let shares = pick(&backup, &[0, 1, 2]);
    let wrong = |file: &[u8]| refusal(restore(&offline, file, &shares, OWNER));
    for at in 0..backup.file.len() {
        let mut changed = backup.file.clone();
        changed[at] ^= 1;
        wrong(&changed);
    }
    for length in [0, 8, 17, 20, 30] {
        let cut = wrong(&backup.file[..length]);
        assert!(matches!(cut, BackupRefusal::NotABackup | BackupRefusal::Changed), "{length}: {cut}");
    }
    assert_eq!(wrong(&backup.file[..backup.file.len() - 1]), BackupRefusal::Changed);
    // A threshold lowered in the file does not make fewer shares enough.
    let mut lowered = backup.file.clone();
    lowered[16] = 2;
    let outcome = restore(&offline, &lowered, &pick(&backup, &[0, 1]), OWNER);
    assert_eq!(refusal(outcome), BackupRefusal::OtherBackup { number: 1 });
    lowered[16] = 1;
    assert_eq!(wrong(&lowered), BackupRefusal::NotABackup);
}

#[test]
fn the_file_and_the_shares_hold_nothing_of_the_key_in_clear() {
    let (_folder, _, key, backup) = backed_up();
    let modulus_part = &key.public[40..56];
    assert!(!backup.file.windows(16).any(|window| window == modulus_part));
    let all: std::collections::HashSet<_> = backup.shares.iter().map(|share| share.as_str()).collect();
    assert_eq!(all.len(), 5);
}

#[test]
fn one_person_alone_can_never_be_enough() {
    let (folder, offline) = hsm();
    let key = kms_key(&folder).private;
    for (shares, threshold) in [(5, 1), (5, 0), (1, 1), (0, 0), (2, 3), (17, 3), (255, 2)] {
        let outcome = back_up(&offline, &key, OWNER, shares, threshold);
        assert_eq!(refusal(outcome), BackupRefusal::Numbers { threshold, shares });
    }
    back_up(&offline, &key, OWNER, 2, 2).unwrap();
    assert_eq!(back_up(&offline, &key, OWNER, 16, 16).unwrap().shares.len(), 16);
}

#[test]
fn a_key_for_key_agreement_is_backed_up_and_a_signing_key_is_not() {
    let (folder, offline) = hsm();
    let key = |kind| {
        let command = MakeEcKey { kind, subject: "suite 02".into(), owner: OWNER.into() };
        make(&folder, Request::MakeEcKey(command))
    };
    let agreement = key(EcKeyKind::KmsAgreement);
    let backup = back_up(&offline, &agreement.private, OWNER, 3, 2).unwrap();
    let (other_folder, other) = self::hsm();
    let restored = restore(&other, &backup.file, &pick(&backup, &[2, 0]), OWNER).unwrap();
    assert_eq!(restored.public, agreement.public);
    // It is the same pair there, and has the same one kind.
    let there = SoftHsm::open(other_folder.path(), PASSPHRASE, vec![]).unwrap();
    let check = |kind| {
        let (work_key, public) = (restored.private.clone(), agreement.public.clone());
        let command = CheckWorkKey { work_key, public, owner: OWNER.into(), of: WorkKeyOf::Ec(kind) };
        there.handle(Request::CheckWorkKey(command)).map(drop)
    };
    assert_eq!(check(EcKeyKind::KmsAgreement), Ok(()));
    assert!(matches!(check(EcKeyKind::RksSigning), Err(Refusal::WrongUse { .. })));
    let outcome = back_up(&offline, &key(EcKeyKind::RksSigning).private, OWNER, 3, 2);
    assert!(matches!(outcome, Err(HsmSoftError::Refused(Refusal::WrongUse { .. }))));
}

#[test]
fn another_owner_is_refused() {
    let (folder, offline) = hsm();
    let key = kms_key(&folder).private;
    let outcome = back_up(&offline, &key, "ACQ-2", 3, 2);
    assert!(matches!(outcome, Err(HsmSoftError::Refused(Refusal::WrongOwner { .. }))));
    let backup = back_up(&offline, &key, OWNER, 3, 2).unwrap();
    let outcome = restore(&offline, &backup.file, &backup.shares, "ACQ-2");
    assert_eq!(refusal(outcome), BackupRefusal::OtherOwner { found: OWNER.into() });
}

#[test]
fn a_pair_comes_back_for_its_own_purpose_and_a_tls_key_is_not_backed_up() {
    let (folder, offline) = hsm();
    let rks = MakeRksKey { bits: 2048, subject: "RKS".into(), owner: OWNER.into() };
    let rks = make(&folder, Request::MakeRksKey(rks));
    let backup = back_up(&offline, &rks.private, OWNER, 3, 2).unwrap();
    let restored = restore(&offline, &backup.file, &backup.shares, OWNER).unwrap();
    let there = SoftHsm::open(folder.path(), PASSPHRASE, vec![]).unwrap();
    let check = CheckCollected { work_key: restored.private, ctk_pu: vec![0; 256], owner: OWNER.into() };
    let outcome = there.handle(Request::CheckCollected(check));
    assert!(matches!(outcome, Err(Refusal::WrongUse { .. })), "an RKS pair stays one");
    let tls = MakeTlsKey { bits: 2048, subject: "TLS".into(), owner: OWNER.into() };
    let tls = make(&folder, Request::MakeTlsKey(tls));
    let outcome = back_up(&offline, &tls.private, OWNER, 3, 2);
    assert!(matches!(outcome, Err(HsmSoftError::Refused(Refusal::WrongUse { .. }))));
}
