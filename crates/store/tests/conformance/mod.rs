//! What every store must do, as cases generic over the store. A database's own test file makes the stores and calls
//! [`suite!`]: see `tests/sqlite.rs`.

use keyferry_store::{
    Approval, CollectedTerminal, CollectedTk, CollectionImport, Event, HeldKey, ImportOutcome, NewAcquirer,
    NewCertificate, NewWorkKey, PendingOutcome, PerTerminal, Person, PutPending, Store, WorkKeyState,
};
use serde_json::json;
use wire::{Device, Kcv, Serial, Slot, Suite};

pub mod acquirers;
pub mod audit;
pub mod batches;
pub mod certificates;
pub mod collections;
pub mod deployments;
pub mod devices;
pub mod estate;
pub mod files;
pub mod imports;
pub mod operators;
pub mod orders;
pub mod received_batches;
pub mod replacements;
pub mod seen_tks;
pub mod sign_ins;
pub mod slots;
pub mod suites;
pub mod tks;
pub mod windows;
pub mod zones;

/// One test for each case; `$make` is an async function that gives a fresh store and whatever must outlive it.
macro_rules! suite {
    ($make:path, $($group:ident :: { $($case:ident),+ $(,)? }),+ $(,)?) => {
        $(mod $group {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $case() {
                let (store, _keep) = $make().await;
                crate::conformance::$group::$case(&store).await;
            })+
        })+
    };
    ($make:path) => {
        crate::conformance::suite! {
            $make,
            acquirers::{ entered_once, listed_by_id },
            audit::{
                an_event_that_is_too_large_stops_its_act,
                detail_is_canonical_and_chained,
                events_are_numbered_without_gaps,
                pages_go_on_where_the_last_one_ended,
                verify_finds_a_good_chain_good,
            },
            batches::{
                a_batch_is_answered_once,
                a_batch_takes_only_what_its_order_has,
                a_tk_goes_into_one_batch_once,
                a_tk_that_was_replaced_goes_out_again,
                an_answer_names_the_terminals_of_its_batch,
                many_dispatchers_at_once_send_a_tk_once,
                the_work_certificate_stays_known_when_a_tk_becomes_blocks,
                what_is_collected_and_in_no_batch_is_undelivered,
            },
            certificates::{
                a_work_key_needs_its_certificate,
                a_work_key_is_entered_once,
                only_one_work_key_is_active,
                revocation_numbers_only_rise,
                the_same_certificate_twice_is_one,
            },
            collections::{
                a_known_terminal_is_not_replaced_unasked,
                a_pin_pad_belongs_to_one_terminal,
                a_refused_terminal_does_not_spoil_the_others,
                an_unknown_acquirer_is_refused,
                an_unknown_work_certificate_is_refused_and_nothing_is_kept,
                another_acquirers_terminal_is_refused,
                each_terminal_has_its_event,
                the_same_bytes_are_taken_once,
                the_same_terminal_twice_in_one_package_is_taken_once,
                terminals_are_listed_in_pages,
            },
            deployments::{
                a_deployment_is_kept_as_told,
                a_report_moves_a_terminal_between_counts,
                a_stage_goes_on_from_what_was_seen,
                an_inventory_is_kept_and_written_over,
                an_offer_counts_once,
                deployments_whose_time_is_over_are_found,
                numbers_that_no_plan_follows_are_refused,
                many_stops_at_once_stop_once,
                only_a_vendors_own_package_that_stands_is_deployed,
                states_change_from_what_was_seen,
                the_version_tells_of_every_change,
            },
            devices::{
                a_compromised_serial_is_believed_no_more,
                a_dik1_is_entered_once_and_found,
                a_key_that_is_known_changes_nothing,
                a_report_enters_terminals_and_activates_their_keys,
                a_tmk_takes_the_slot_from_pending_and_active_ones,
                an_earlier_run_takes_nothing_back,
                another_dik2_or_dmk_drops_pending_keys,
                keys_of_one_message_are_confirmed_together,
                one_bad_terminal_does_not_spoil_the_others,
                the_same_content_is_taken_once,
                work_keys_of_kms_and_rks_are_apart,
                working_keys_are_pending_once_then_active,
            },
            estate::{
                a_make_is_recorded_where_none_is_known,
                a_package_is_published_once,
                a_package_is_withdrawn_once,
                a_package_that_no_terminal_can_take_is_refused,
                a_vendor_is_entered_and_changed,
                an_approval_and_a_new_place_come_later,
                another_content_needs_another_version,
                groups_hold_known_terminals,
            },
            files::{
                a_file_has_its_limits,
                a_file_is_there_when_it_is_finished,
                a_file_with_a_gap_is_not_finished,
                a_finished_file_never_changes,
                chunks_beyond_the_end_are_erased,
            },
            imports::{
                a_terminal_moves_in_with_its_keys,
                an_import_has_its_limits,
                an_import_is_run_again_from_any_point,
                an_imported_terminal_is_one_of_the_estate,
                one_bad_terminal_does_not_spoil_the_others,
            },
            operators::{
                a_person_unlocks,
                a_right_proof_after_the_lock_does_not_count,
                an_unknown_operator_leaves_no_trace,
                five_wrong_proofs_in_a_row_lock,
            },
            orders::{
                a_serial_stands_in_one_open_order,
                an_order_has_its_limits,
                an_order_is_closed_once,
                an_order_is_entered_and_found,
                another_order_of_a_name_is_refused,
                one_person_enters_no_order,
                serials_are_found_in_their_open_order,
                serials_are_shown_in_pages_with_what_is_collected,
                the_same_order_again_changes_nothing,
            },
            received_batches::{
                a_batch_brings_terminals_that_can_download,
                a_batch_of_no_open_order_of_this_vendor_is_refused,
                a_replacement_by_batch_waits_for_a_second_person,
                a_serial_of_another_open_order_is_not_taken,
                an_order_without_a_list_takes_any_serial,
                another_vendor_replaces_no_key,
                one_bad_terminal_does_not_spoil_the_others,
                only_an_order_that_lists_it_replaces_a_key_of_our_stations,
                the_same_batch_again_has_the_same_receipt,
                what_cannot_be_a_batch_is_refused,
            },
            seen_tks::{
                a_batch_brings_one_tk_to_one_terminal,
                a_rejected_device_key_leaves_no_trace,
                a_replaced_tk_never_comes_back,
                a_tk_whose_replacement_waits_leaves_in_no_batch,
                already_stored_means_the_same_key,
                one_tk_is_not_two_terminals,
            },
            replacements::{
                a_later_collection_overtakes_a_waiting_one,
                a_rejected_one_is_never_approved,
                another_card_of_the_signer_may_not_approve,
                another_pin_pad_retires_the_old_ones_keys,
                approval_binds_the_fingerprint,
                approval_drops_pending_keys_and_starts_a_new_generation,
                approved_once_only,
                the_signer_may_not_approve,
                the_signers_card_under_another_name_may_not_approve,
                two_approvers_at_once_one_wins,
                waiting_ones_take_no_pin_pad_from_another_terminal,
            },
            sign_ins::{
                a_later_sign_in_takes_an_earlier_ones_place,
                a_new_tk_drops_sign_ins,
                a_pending_tmk_becomes_active_with_its_sign_in,
                a_sign_in_has_keys_one_of_a_kind,
                a_tmk_that_is_not_held_signs_nobody_in,
                dropping_pending_keys_drops_sign_ins,
                exactly_the_keys_that_were_sent_are_confirmed,
                keys_become_active_when_confirmed,
                keys_in_use_are_found_in_the_order_asked_for,
                keys_of_the_rks_and_of_sign_ins_share_a_slot,
                old_keys_work_until_the_new_ones_are_confirmed,
                uses_are_counted,
                a_key_in_use_is_stopped_once,
                what_a_kld_loads_drops_sign_ins,
            },
            slots::{
                a_confirmed_key_confirms_again_without_change,
                a_dropped_key_is_gone,
                a_key_of_an_older_tk_is_refused,
                a_pending_key_is_sent_again_and_counted,
                a_second_pending_key_loses,
                an_unknown_terminal_has_no_slots,
                check_values_in_a_slot_differ,
                ids_are_never_used_again,
                many_requests_at_once_leave_one_pending_key,
                many_confirmations_at_once_activate_once,
                pending_then_active_then_retired,
                retired_keys_are_shown_newest_first_up_to_the_limit,
                slots_are_apart,
            },
            suites::{
                a_ceremony_is_given_and_found,
                a_confirmed_key_moves_its_slot_up,
                a_counter_is_taken_once,
                a_device_key_and_a_generation_come_once,
                a_generation_that_cannot_be_kept_spoils_no_package,
                a_key_has_a_counter_as_its_suite_wants,
                a_lower_suite_is_refused,
                a_pending_key_of_another_suite_gives_way,
                a_tk_goes_down_only_by_an_allowance,
                a_tk_goes_up_by_a_replacement,
                a_tk_of_suite_02_is_kept_as_blocks_at_once,
                a_window_has_one_nonce,
                a_work_key_of_each_suite_is_active,
                an_allowance_is_ended_by_two_people,
                an_allowance_runs_until_its_end,
                load_counters_rise_with_each_sending,
                terminals_on_a_lower_suite_are_listed,
                two_people_allow,
            },
            tks::{
                blocks_take_the_place_of_the_ciphertext,
                blocks_of_an_older_generation_are_refused,
                blocks_of_an_unknown_terminal_are_refused,
                blocks_are_set_once,
            },
            windows::{
                a_window_stays_open_for_what_was_not_taken,
                a_window_takes_one_collection,
                refusals_are_kept_once_and_shown_newest_first,
                the_oldest_refusals_go,
                two_people_open_a_window_once,
            },
            zones::{
                a_zone_has_one_active_key,
                a_zone_key_that_is_too_long_is_refused,
                an_identity_is_changed_and_its_terminal_id_free_again,
                identities_are_found_either_way,
            },
        }
    };
}
pub(crate) use suite;

/// A moment; cases that need several count up from it.
pub const NOW: i64 = 1_700_000_000_000;

/// SHA-256 of the work certificate that [`estate`] enters.
pub const WORK_CERTIFICATE: &str = "abababababababababababababababababababababababababababababababab";

pub fn sn(text: &str) -> Serial {
    Serial::parse(text).unwrap()
}

pub fn slot(index: u8) -> Slot {
    Slot::new(index).unwrap()
}

pub fn kcv(n: u32) -> Kcv {
    let [_, a, b, c] = n.to_be_bytes();
    Kcv::Tdes([a, b, c])
}

pub fn event(kind: &'static str) -> Event {
    Event::new(NOW, kind, "server", "subject", json!({ "why": "test" }))
}

pub fn operator() -> Person {
    Person { subject: "CN=Olga Operator".into(), certificate_serial: "0A01".into() }
}

pub fn administrator() -> Person {
    Person { subject: "CN=Adam Administrator".into(), certificate_serial: "0B02".into() }
}

/// An acquirer and a work key: what collections need.
pub async fn estate(store: &impl Store) {
    store
        .put_acquirer(NewAcquirer { id: "acq".into(), name: "First".into() }, event("acquirer"))
        .await
        .unwrap();
    let certificate =
        NewCertificate { role: "kms-work".into(), sha256: WORK_CERTIFICATE.into(), der: vec![0x30, 1] };
    store.put_certificate(certificate, event("certificate")).await.unwrap();
    store.put_work_key(work_key(WORK_CERTIFICATE), event("work-key")).await.unwrap();
}

pub fn work_key(certificate_sha256: &str) -> NewWorkKey {
    NewWorkKey {
        certificate_sha256: certificate_sha256.into(),
        private_block: "D0016RSA".into(),
        spki: vec![0x30, 2],
        state: WorkKeyState::Active,
        suite: Suite::TDES,
        intermediates: vec![],
    }
}

pub fn collected(device: Device, n: u8) -> CollectedTerminal {
    CollectedTerminal {
        device,
        vendor: Some("ACME".into()),
        model: Some("T-1".into()),
        tk: CollectedTk::Ciphertext(vec![n; 256]),
        work_certificate_sha256: WORK_CERTIFICATE.into(),
        fingerprint: format!("{n:020X}"),
        replaces: false,
        refused: None,
    }
}

pub fn built_in(serial: &str, n: u8) -> CollectedTerminal {
    collected(Device::built_in(sn(serial)), n)
}

pub fn external(serial: &str, pad: &str, n: u8) -> CollectedTerminal {
    collected(Device::new(sn(serial), Some(sn(pad))).unwrap(), n)
}

pub fn replacing(terminal: CollectedTerminal) -> CollectedTerminal {
    CollectedTerminal { replaces: true, ..terminal }
}

pub fn package(digest: u8, terminals: Vec<CollectedTerminal>) -> CollectionImport {
    CollectionImport {
        digest: [digest; 32],
        package: vec![0x30, digest],
        signer: operator(),
        second_signer: None,
        acquirer: "acq".into(),
        station: "bench 3".into(),
        collected_at: NOW - 1_000,
        terminals,
    }
}

/// Imports and unpacks the outcomes.
pub async fn import(store: &impl Store, import: CollectionImport) -> Vec<PerTerminal> {
    match store.import_collection(import, event("collection")).await.unwrap() {
        ImportOutcome::Stored(outcomes) => outcomes,
        ImportOutcome::Duplicate => panic!("these bytes are new"),
    }
}

/// The estate with one terminal `SN-1`, PIN pad built in.
pub async fn one_terminal(store: &impl Store) {
    estate(store).await;
    assert_eq!(import(store, package(1, vec![built_in("SN-1", 1)])).await, [PerTerminal::Stored]);
}

/// A replacement of `SN-1`'s TK, waiting; its id.
pub async fn waiting(store: &impl Store, digest: u8, terminal: CollectedTerminal) -> i64 {
    match import(store, package(digest, vec![replacing(terminal)])).await.as_slice() {
        [PerTerminal::AwaitsApproval { id }] => *id,
        other => panic!("should wait: {other:?}"),
    }
}

pub fn approval(id: i64, n: u8, approver: Person) -> Approval {
    Approval { id, fingerprint: format!("{n:020X}"), approver }
}

pub fn fresh(serial: &str, index: u8, generation: i64, n: u32) -> PutPending {
    PutPending {
        sn: sn(serial),
        slot: slot(index),
        tk_generation: generation,
        block: format!("D0096BLOCK{n}"),
        kcv: kcv(n),
        load_counter: None,
    }
}

/// Makes a pending key that must be stored.
pub async fn pending(store: &impl Store, serial: &str, index: u8, n: u32) -> HeldKey {
    match store.put_pending(fresh(serial, index, 1, n), event("tmk.pending")).await.unwrap() {
        PendingOutcome::Stored(key) => key,
        other => panic!("should be stored: {other:?}"),
    }
}

/// How many events there are: to see that an act wrote none.
pub async fn events(store: &impl Store) -> u64 {
    store.overview().await.unwrap().events
}
