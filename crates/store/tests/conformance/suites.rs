//! Suites: what a key has proved never goes down, but in use while two people allow it; load counters; ceremonies; device
//! keys.

use keyferry_store::{
    AllowOutcome, AllowSuite, ApprovalOutcome, CollectedTerminal, CollectedTk, ConfirmOutcome, KeyName,
    KeySuite, NewCeremony, NewDeviceCertificate, NewWorkKey, PendingOutcome, PerTerminal, PutPending,
    ResendOutcome, Store, StoreError, SuiteAllowance, TkRecord,
};
use wire::{Device, Kcv, Suite};

use super::slots::all;
use super::{
    NOW, administrator, approval, built_in, estate, event, events, external, import, kcv, one_terminal,
    operator, package, pending, replacing, slot, sn, work_key,
};

/// SHA-256 of the work certificate of suite 02 that [`both_suites`] enters.
const EC_WORK: &str = "ecececececececececececececececececececececececececececececececec";
const HOUR: i64 = 3_600_000;

fn aes(n: u8) -> Kcv {
    Kcv::Aes([n; 5])
}

fn fresh_ec(index: u8, n: u8, counter: u64) -> PutPending {
    PutPending {
        sn: sn("SN-1"),
        slot: slot(index),
        tk_generation: 1,
        block: format!("D0144EC{n}"),
        kcv: aes(n),
        load_counter: Some(counter),
    }
}

async fn pending_ec(store: &impl Store, index: u8, n: u8, counter: u64) -> i64 {
    match store.put_pending(fresh_ec(index, n, counter), event("tmk.made")).await.unwrap() {
        PendingOutcome::Stored(key) => key.id,
        other => panic!("should be stored: {other:?}"),
    }
}

/// The estate with work keys of both suites.
pub async fn both_suites(store: &impl Store) {
    estate(store).await;
    let certificate = keyferry_store::NewCertificate {
        role: "kms-work".into(),
        sha256: EC_WORK.into(),
        der: vec![0x30, 3],
    };
    store.put_certificate(certificate, event("certificate")).await.unwrap();
    let key = NewWorkKey { suite: Suite::EC_AES, ..work_key(EC_WORK) };
    store.put_work_key(key, event("work-key")).await.unwrap();
}

fn collected_ec(device: Device, key: u8, generation: u64) -> CollectedTerminal {
    let terminal = super::collected(device, key);
    CollectedTerminal {
        tk: CollectedTk::Blocks {
            tek: format!("D0144TEK{generation}"),
            auk: format!("D0144AUK{generation}"),
            device: NewDeviceCertificate {
                sha256: format!("{key:064x}"),
                spki_sha256: format!("{:064x}", 0x1000 + u32::from(key)),
                der: vec![0x30, key],
            },
            generation,
            digest: None,
        },
        work_certificate_sha256: EC_WORK.into(),
        fingerprint: format!("{generation:020X}"),
        ..terminal
    }
}

pub fn ec(serial: &str, key: u8, generation: u64) -> CollectedTerminal {
    collected_ec(Device::built_in(sn(serial)), key, generation)
}

fn allow(n: u8, until: i64) -> AllowSuite {
    AllowSuite {
        digest: [n; 32],
        sn: sn("SN-1"),
        suite: Suite::TDES,
        reason: "the new firmware fails".into(),
        asked_by: operator(),
        approved_by: administrator(),
        until,
    }
}

async fn of(store: &impl Store, key: KeyName) -> Option<(Suite, Suite)> {
    let records = store.suite_records(&sn("SN-1")).await.unwrap();
    records.keys.iter().find(|record| record.key == key).map(|record| (record.proved, record.in_use))
}

/// 3-hardened.md: a terminal moves up by itself when it has proved that it can.
pub async fn a_confirmed_key_moves_its_slot_up(store: &impl Store) {
    one_terminal(store).await;
    let old = pending(store, "SN-1", 3, 1).await;
    store.confirm(old.id, event("tmk.confirmed")).await.unwrap();
    assert_eq!(of(store, KeyName::Slot(slot(3))).await, Some((Suite::TDES, Suite::TDES)));
    let new = pending_ec(store, 3, 1, 1).await;
    // Sent is not proved.
    assert_eq!(of(store, KeyName::Slot(slot(3))).await, Some((Suite::TDES, Suite::TDES)));
    assert_eq!(store.confirm(new, event("tmk.confirmed")).await, Ok(ConfirmOutcome::Activated));
    assert_eq!(of(store, KeyName::Slot(slot(3))).await, Some((Suite::EC_AES, Suite::EC_AES)));
    assert_eq!(of(store, KeyName::Tk).await, Some((Suite::TDES, Suite::TDES)), "each key by itself");
    assert_eq!(of(store, KeyName::Slot(slot(4))).await, None);
}

/// `downgrade`: nothing of a lower suite comes into a slot that has held a higher one.
pub async fn a_lower_suite_is_refused(store: &impl Store) {
    one_terminal(store).await;
    let waits = pending(store, "SN-1", 5, 9).await;
    let key = pending_ec(store, 3, 1, 1).await;
    store.confirm(key, event("tmk.confirmed")).await.unwrap();
    let before = events(store).await;
    let put = store.put_pending(super::fresh("SN-1", 3, 1, 2), event("tmk.made")).await;
    assert_eq!(put, Ok(PendingOutcome::LowerSuite));
    assert_eq!(events(store).await, before);
    // A key that waited when its slot moved up.
    let newer = pending_ec(store, 5, 2, 1).await;
    assert_eq!(store.confirm(waits.id, event("tmk.confirmed")).await, Ok(ConfirmOutcome::Gone));
    store.confirm(newer, event("tmk.confirmed")).await.unwrap();
    assert_eq!(store.resend_pending(waits.id, None, event("again")).await, Ok(ResendOutcome::Gone));
}

/// A pending key of the other suite is one that the terminal, which proved itself in this one, cannot open.
pub async fn a_pending_key_of_another_suite_gives_way(store: &impl Store) {
    one_terminal(store).await;
    let old = pending(store, "SN-1", 3, 1).await;
    let new = pending_ec(store, 3, 1, 1).await;
    assert_eq!(store.confirm(old.id, event("tmk.confirmed")).await, Ok(ConfirmOutcome::Gone));
    assert_eq!(store.slot(&sn("SN-1"), slot(3)).await.unwrap().pending.map(|key| key.id), Some(new));
    let put = store.put_pending(fresh_ec(3, 2, 2), event("tmk.made")).await.unwrap();
    assert!(matches!(put, PendingOutcome::Lost(first) if first.id == new));
}

/// An allowance lets a terminal down while it runs, and no longer.
pub async fn an_allowance_runs_until_its_end(store: &impl Store) {
    one_terminal(store).await;
    let key = pending_ec(store, 3, 1, 1).await;
    store.confirm(key, event("tmk.confirmed")).await.unwrap();
    let allowed = store.allow_suite(allow(1, NOW + HOUR), event("suite.allowed")).await.unwrap();
    assert!(matches!(allowed, AllowOutcome::Allowed { .. }));
    let again = store.allow_suite(allow(1, NOW + HOUR), event("suite.allowed")).await;
    assert_eq!(again, Ok(AllowOutcome::Duplicate));

    let records = store.suite_records(&sn("SN-1")).await.unwrap();
    let allowance: &SuiteAllowance = records.allowance.as_ref().unwrap();
    assert_eq!((allowance.suite, allowance.until), (Suite::TDES, NOW + HOUR));
    assert_eq!((&allowance.asked_by, &allowance.approved_by), (&operator(), &administrator()));
    let key = KeyName::Slot(slot(3));
    assert!(records.permits(key, Suite::TDES, NOW) && !records.permits(key, Suite::TDES, NOW + HOUR));

    let down = pending(store, "SN-1", 3, 7).await;
    store.confirm(down.id, event("tmk.confirmed")).await.unwrap();
    // What was proved stays: when the allowance is over, so is the lower suite.
    assert_eq!(of(store, key).await, Some((Suite::EC_AES, Suite::TDES)));
    let late = |kind| keyferry_store::Event { at: NOW + HOUR, ..event(kind) };
    let put = store.put_pending(super::fresh("SN-1", 3, 1, 8), late("tmk.made")).await;
    assert_eq!(put, Ok(PendingOutcome::LowerSuite));
    let made = pending(store, "SN-1", 3, 9).await;
    assert_eq!(store.confirm(made.id, late("tmk.confirmed")).await, Ok(ConfirmOutcome::Gone));
}

/// R12: one person alone, the same person twice, the same card twice.
pub async fn two_people_allow(store: &impl Store) {
    one_terminal(store).await;
    let before = events(store).await;
    let other_card = keyferry_store::Person { certificate_serial: "FF".into(), ..operator() };
    let other_name = keyferry_store::Person { subject: "CN=Other".into(), ..operator() };
    for second in [operator(), other_card, other_name] {
        let alone = AllowSuite { approved_by: second, ..allow(1, NOW + HOUR) };
        let outcome = store.allow_suite(alone, event("suite.allowed")).await;
        assert_eq!(outcome, Ok(AllowOutcome::SamePerson));
    }
    let unknown = AllowSuite { sn: sn("SN-9"), ..allow(7, NOW + HOUR) };
    let outcome = store.allow_suite(unknown, event("suite.allowed")).await;
    assert_eq!(outcome, Err(StoreError::NoSuchTerminal(sn("SN-9"))));
    let silent = AllowSuite { reason: String::new(), ..allow(8, NOW + HOUR) };
    assert!(matches!(store.allow_suite(silent, event("e")).await, Err(StoreError::Invalid(_))));
    assert_eq!(events(store).await, before);
}

pub async fn an_allowance_is_ended_by_two_people(store: &impl Store) {
    one_terminal(store).await;
    let end = |n| store.allow_suite(allow(n, NOW), event("suite.allowance-ended"));
    assert_eq!(end(1).await, Ok(AllowOutcome::NothingToEnd));
    store.allow_suite(allow(2, NOW + HOUR), event("suite.allowed")).await.unwrap();
    // A later one takes the place of the one before.
    store.allow_suite(allow(3, NOW + 2 * HOUR), event("suite.allowed")).await.unwrap();
    let running = store.suite_records(&sn("SN-1")).await.unwrap().allowance.unwrap();
    assert_eq!(running.until, NOW + 2 * HOUR);
    assert_eq!(end(4).await, Ok(AllowOutcome::Ended));
    assert_eq!(store.suite_records(&sn("SN-1")).await.unwrap().allowance, None);
    assert_eq!(end(5).await, Ok(AllowOutcome::NothingToEnd));
}

/// The console shows which terminals are on suite 01 and until when.
pub async fn terminals_on_a_lower_suite_are_listed(store: &impl Store) {
    both_suites(store).await;
    import(store, package(1, vec![built_in("SN-1", 1), built_in("SN-2", 2), ec("SN-3", 3, 1)])).await;
    store.allow_suite(allow(1, NOW + HOUR), event("suite.allowed")).await.unwrap();
    let listed = store.estate_suites(Suite::EC_AES, None, 10).await.unwrap();
    let told: Vec<_> =
        listed.iter().map(|one| (one.sn.as_str(), one.allowance.as_ref().map(|a| a.until))).collect();
    assert_eq!(told, [("SN-1", Some(NOW + HOUR)), ("SN-2", None)]);
    let expected = KeySuite { key: KeyName::Tk, proved: Suite::TDES, in_use: Suite::TDES, since: NOW };
    assert_eq!(listed[0].keys, [expected]);
    let rest = store.estate_suites(Suite::EC_AES, Some(&sn("SN-1")), 10).await.unwrap();
    assert_eq!(rest.len(), 1);
}

/// 3-hardened.md: every frame that carries a TMK takes the next counter, stored before it is sent.
pub async fn load_counters_rise_with_each_sending(store: &impl Store) {
    one_terminal(store).await;
    let counter = async || store.slot(&sn("SN-1"), slot(3)).await.unwrap().load_counter;
    assert_eq!(counter().await, 0);
    let key = pending_ec(store, 3, 1, 1).await;
    assert_eq!(counter().await, 1);
    let before = events(store).await;
    for taken in [0, 1] {
        let outcome = store.resend_pending(key, Some(taken), event("again")).await;
        assert!(matches!(outcome, Ok(ResendOutcome::CounterTaken) | Err(StoreError::Invalid(_))));
    }
    assert_eq!((counter().await, events(store).await), (1, before));
    assert!(matches!(
        store.resend_pending(key, Some(2), event("again")).await,
        Ok(ResendOutcome::Counted(held)) if held.sent_count == 2
    ));
    // It stays with the PIN pad's slot, whatever becomes of keys.
    store.drop_pending(&sn("SN-1"), event("tamper")).await.unwrap();
    let stale = store.put_pending(fresh_ec(3, 2, 2), event("tmk.made")).await;
    assert_eq!(stale, Ok(PendingOutcome::CounterTaken));
    pending_ec(store, 3, 2, 3).await;
    assert_eq!(counter().await, 3);
    assert_eq!(store.slots(&sn("SN-1")).await.unwrap()[0].1.load_counter, 3);
    pending_ec(store, 4, 3, 1).await;
}

pub async fn a_key_has_a_counter_as_its_suite_wants(store: &impl Store) {
    one_terminal(store).await;
    let without = PutPending { load_counter: None, ..fresh_ec(3, 1, 1) };
    assert!(matches!(store.put_pending(without, event("e")).await, Err(StoreError::Invalid(_))));
    let with = PutPending { load_counter: Some(1), kcv: kcv(1), ..fresh_ec(3, 1, 1) };
    assert!(matches!(store.put_pending(with, event("e")).await, Err(StoreError::Invalid(_))));
    for outside in [0, u64::MAX] {
        let put = store.put_pending(fresh_ec(3, 1, outside), event("e")).await;
        assert!(matches!(put, Err(StoreError::Invalid(_))), "{put:?}");
    }
}

/// `race`: two servers that send the same pending key never send one counter twice.
pub async fn a_counter_is_taken_once(store: &impl Store) {
    one_terminal(store).await;
    let key = pending_ec(store, 3, 1, 1).await;
    let asks = (0..16).map(|_| store.resend_pending(key, Some(2), event("again")));
    let outcomes = all(asks).await;
    let counted = outcomes.iter().filter(|o| matches!(o, Ok(ResendOutcome::Counted(_)))).count();
    let taken = outcomes.iter().filter(|o| matches!(o, Ok(ResendOutcome::CounterTaken))).count();
    assert_eq!((counted, taken), (1, 15));
}

pub async fn a_tk_of_suite_02_is_kept_as_blocks_at_once(store: &impl Store) {
    both_suites(store).await;
    assert_eq!(import(store, package(1, vec![ec("SN-1", 1, 4)])).await, [PerTerminal::Stored]);
    let terminal = store.terminal(&sn("SN-1")).await.unwrap().unwrap();
    assert_eq!(terminal.suite, Suite::EC_AES);
    assert_eq!(terminal.tk, TkRecord::Blocks { tek: "D0144TEK4".into(), auk: "D0144AUK4".into() });
    assert_eq!(of(store, KeyName::Tk).await, Some((Suite::EC_AES, Suite::EC_AES)));
    let device = store.device_certificate(&sn("SN-1")).await.unwrap().unwrap();
    assert_eq!((device.key_serial.as_str(), device.generation), ("SN-1", 4));
    // Sealed anew for the next day's ceremony: the same generation is the same TK.
    let again = CollectedTerminal { fingerprint: "0F".into(), ..ec("SN-1", 1, 4) };
    assert_eq!(import(store, package(2, vec![again])).await, [PerTerminal::AlreadyKnown { same: true }]);
    // A work key of the other suite opens nothing of this one.
    let mixed =
        CollectedTerminal { work_certificate_sha256: super::WORK_CERTIFICATE.into(), ..ec("SN-2", 2, 1) };
    let outcome = store.import_collection(package(3, vec![mixed]), event("collection")).await;
    assert!(matches!(outcome, Err(StoreError::NoSuchCertificate(_))));
}

/// A key belongs to one PIN pad over the estate; a generation comes once.
pub async fn a_device_key_and_a_generation_come_once(store: &impl Store) {
    both_suites(store).await;
    import(store, package(1, vec![ec("SN-1", 1, 4)])).await;
    let refused = |outcome: &PerTerminal| match outcome {
        PerTerminal::Refused(refusal) => refusal.code.clone(),
        other => panic!("should be refused: {other:?}"),
    };
    let outcomes = import(store, package(2, vec![ec("SN-2", 1, 9), replacing(ec("SN-1", 1, 3))])).await;
    assert_eq!(refused(&outcomes[0]), "device-key-taken");
    assert_eq!(refused(&outcomes[1]), "generation-not-higher");
    assert_eq!(store.terminal(&sn("SN-2")).await.unwrap(), None);
    // Another device key in the same PIN pad starts no generation over.
    let outcomes = import(store, package(3, vec![replacing(ec("SN-1", 2, 2))])).await;
    assert_eq!(refused(&outcomes[0]), "generation-not-higher");
    // Higher: it waits for a second person; the same one again, under another ceremony, is the one that waits.
    let first = import(store, package(4, vec![replacing(ec("SN-1", 1, 5))])).await;
    let [PerTerminal::AwaitsApproval { id }] = first.as_slice() else { panic!("{first:?}") };
    assert_eq!(import(store, package(5, vec![replacing(ec("SN-1", 1, 5))])).await, first);
    let outcome = store.approve_replacement(approval(*id, 5, administrator()), event("tk.replaced")).await;
    assert!(matches!(outcome, Ok(ApprovalOutcome::Approved { tk_generation: 2, .. })), "{outcome:?}");
    let terminal = store.terminal(&sn("SN-1")).await.unwrap().unwrap();
    assert_eq!(terminal.tk, TkRecord::Blocks { tek: "D0144TEK5".into(), auk: "D0144AUK5".into() });
}

/// A generation that no counter reaches is its terminal's fault alone: the others of the package are taken.
pub async fn a_generation_that_cannot_be_kept_spoils_no_package(store: &impl Store) {
    both_suites(store).await;
    let refused = |outcome: &PerTerminal| match outcome {
        PerTerminal::Refused(refusal) => refusal.code.clone(),
        other => panic!("should be refused: {other:?}"),
    };
    for (n, generation) in [(1, 1 << 63), (2, u64::MAX)] {
        let (good, bad) = (ec(&format!("SN-{n}"), n, 1), ec("SN-9", 9, generation));
        let outcomes = import(store, package(n, vec![bad, good])).await;
        assert_eq!(refused(&outcomes[0]), "generation-too-high");
        assert_eq!(outcomes[1], PerTerminal::Stored);
    }
    assert_eq!(store.terminal(&sn("SN-9")).await.unwrap(), None);
    let outcomes = import(store, package(3, vec![replacing(ec("SN-1", 1, u64::MAX))])).await;
    assert_eq!(refused(&outcomes[0]), "generation-too-high");
}

/// `downgrade`: a TK of suite 01 does not take the place of one of suite 02, unless two people allow it.
pub async fn a_tk_goes_down_only_by_an_allowance(store: &impl Store) {
    both_suites(store).await;
    import(store, package(1, vec![ec("SN-1", 1, 4)])).await;
    let outcomes = import(store, package(2, vec![replacing(built_in("SN-1", 2))])).await;
    assert!(matches!(&outcomes[0], PerTerminal::Refused(refusal) if refusal.code == "lower-suite"));
    store.allow_suite(allow(1, NOW + HOUR), event("suite.allowed")).await.unwrap();
    let waiting = super::waiting(store, 3, built_in("SN-1", 2)).await;
    // It ended before the second person came.
    store.allow_suite(allow(2, NOW), event("suite.allowance-ended")).await.unwrap();
    let outcome = store.approve_replacement(approval(waiting, 2, administrator()), event("e")).await;
    assert_eq!(outcome, Ok(ApprovalOutcome::LowerSuite));
    store.allow_suite(allow(3, NOW + HOUR), event("suite.allowed")).await.unwrap();
    let outcome = store.approve_replacement(approval(waiting, 2, administrator()), event("e")).await;
    assert!(matches!(outcome, Ok(ApprovalOutcome::Approved { .. })), "{outcome:?}");
    assert_eq!(of(store, KeyName::Tk).await, Some((Suite::EC_AES, Suite::TDES)));
}

/// And up: a TK of suite 02 in place of one of suite 01.
pub async fn a_tk_goes_up_by_a_replacement(store: &impl Store) {
    both_suites(store).await;
    import(store, package(1, vec![external("SN-1", "PP-1", 1)])).await;
    let device = Device::new(sn("SN-1"), Some(sn("PP-1"))).unwrap();
    let id = super::waiting(store, 2, collected_ec(device, 1, 1)).await;
    store.approve_replacement(approval(id, 1, administrator()), event("tk.replaced")).await.unwrap();
    let terminal = store.terminal(&sn("SN-1")).await.unwrap().unwrap();
    assert_eq!((terminal.suite, terminal.tk_generation), (Suite::EC_AES, 2));
    assert_eq!(of(store, KeyName::Tk).await, Some((Suite::EC_AES, Suite::EC_AES)));
}

pub async fn a_ceremony_is_given_and_found(store: &impl Store) {
    one_terminal(store).await;
    let ceremony = NewCeremony {
        nonce: [7; 32],
        station: "bench 3".into(),
        operator: operator(),
        window: None,
        expires_at: NOW + HOUR,
    };
    assert_eq!(store.ceremony([7; 32]).await.unwrap(), None);
    let given = store.put_ceremony(ceremony.clone(), event("ceremony.given")).await.unwrap();
    assert_eq!((&given.ceremony, given.given_at), (&ceremony, NOW));
    assert_eq!(store.ceremony([7; 32]).await.unwrap(), Some(given));
    // A nonce is given once.
    let again = store.put_ceremony(ceremony, event("ceremony.given")).await;
    assert!(matches!(again, Err(StoreError::Rule(_))), "{again:?}");
}

/// A terminal that missed DONE is asked with the same nonce, and gives the same bytes.
pub async fn a_window_has_one_nonce(store: &impl Store) {
    one_terminal(store).await;
    let open = keyferry_store::OpenWindows {
        request_digest: [1; 32],
        serials: vec![sn("SN-1")],
        asked_by: operator(),
        opened_by: administrator(),
        expires_at: NOW + HOUR,
    };
    store.open_windows(open, event("windows")).await.unwrap();
    let window = store.window(&sn("SN-1"), NOW).await.unwrap().unwrap();
    let ceremony = |n: u8| NewCeremony {
        nonce: [n; 32],
        station: "terminal port".into(),
        operator: operator(),
        window: Some(window.id),
        expires_at: window.expires_at,
    };
    store.put_ceremony(ceremony(1), event("ceremony.given")).await.unwrap();
    let before = events(store).await;
    let again = store.put_ceremony(ceremony(2), event("ceremony.given")).await.unwrap();
    assert_eq!((again.ceremony.nonce, events(store).await), ([1; 32], before));
}

pub async fn a_work_key_of_each_suite_is_active(store: &impl Store) {
    both_suites(store).await;
    let active = async |suite| store.active_work_key(suite).await.unwrap().unwrap().certificate_sha256;
    assert_eq!(active(Suite::TDES).await, super::WORK_CERTIFICATE);
    assert_eq!(active(Suite::EC_AES).await, EC_WORK);
}
