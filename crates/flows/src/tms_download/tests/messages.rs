//! The five messages and DONE: fields that a row of section 3 does not allow, and what fits.

use std::{string::String, vec, vec::Vec};

use wire::{ErrorCode, Fields, Malformed, MessageType, PlanEntry, Tag, limits::MAX_STATUS};

use super::{entry, package};
use crate::{
    ProtocolError, RefusalRecord, Tdes,
    testing::with,
    tms_download::{Data, Done, Get, INNER_MAX, Inventory, Plan, Report, messages::error_payload},
};

const PACKAGE: [(Tag, &[u8]); 2] = [(Tag::PACKAGE_NAME, b"pay-app"), (Tag::PACKAGE_VERSION, b"1.2.0")];

fn inner(kind: MessageType, good: &[(Tag, &[u8])], tag: Tag, value: Option<&[u8]>) -> Vec<u8> {
    with(kind, good, tag, value).payload().to_vec()
}

#[track_caller]
fn assert_malformed<T: core::fmt::Debug>(result: Result<T, ProtocolError>, expected: Malformed) {
    assert_eq!(result.unwrap_err(), ProtocolError::Malformed(expected));
}

fn get_with(tag: Tag, value: Option<&[u8]>) -> Result<Get, ProtocolError> {
    let good: [(Tag, &[u8]); 2] = [(Tag::OFFSET, &[0; 8]), (Tag::LENGTH_WANTED, &[0, 0, 0x10, 0])];
    Get::from_payload::<Tdes>(&inner(MessageType::TmsGet, &[PACKAGE, good].concat(), tag, value))
}

fn data_with(tag: Tag, value: Option<&[u8]>) -> Result<Data, ProtocolError> {
    let good: [(Tag, &[u8]); 2] = [(Tag::OFFSET, &[0; 8]), (Tag::DATA, &[1, 2, 3])];
    Data::from_payload::<Tdes>(&inner(MessageType::TmsData, &[PACKAGE, good].concat(), tag, value))
}

fn report_with(tag: Tag, value: Option<&[u8]>) -> Result<Report, ProtocolError> {
    let good: [(Tag, &[u8]); 2] = [(Tag::RESULT, &[0]), (Tag::STATUS, b"{}")];
    Report::from_payload::<Tdes>(&inner(MessageType::TmsReport, &good, tag, value))
}

fn inventory_with(tag: Tag, value: Option<&[u8]>) -> Result<Inventory, ProtocolError> {
    Inventory::from_payload::<Tdes>(&inner(MessageType::TmsInventory, &[(Tag::STATUS, b"{}")], tag, value))
}

fn plan_with(tag: Tag, value: Option<&[u8]>) -> Result<Plan, ProtocolError> {
    Plan::from_payload::<Tdes>(&inner(MessageType::TmsPlan, &[], tag, value))
}

#[test]
fn get_needs_every_field_of_its_row() {
    for tag in [Tag::PACKAGE_NAME, Tag::PACKAGE_VERSION, Tag::OFFSET, Tag::LENGTH_WANTED] {
        assert_malformed(get_with(tag, None), Malformed::MissingField { tag });
    }
    for (tag, found) in [(Tag::OFFSET, 7), (Tag::OFFSET, 9), (Tag::LENGTH_WANTED, 3), (Tag::LENGTH_WANTED, 5)]
    {
        assert_malformed(get_with(tag, Some(&vec![0; found])), Malformed::FieldLength { tag, found });
    }
    assert_malformed(get_with(Tag::PACKAGE_NAME, Some(b"../x")), Malformed::PackageName);
    assert_malformed(get_with(Tag::PACKAGE_VERSION, Some(b"1.2")), Malformed::PackageVersion);
}

#[test]
fn get_wants_1_to_32768_bytes() {
    let tag = Tag::LENGTH_WANTED;
    for (wanted, good) in [(0, false), (1, true), (32_768, true), (32_769, false), (u32::MAX, false)] {
        match get_with(tag, Some(&wanted.to_be_bytes())) {
            Ok(get) => assert_eq!((get.wanted, good), (wanted, true)),
            refused => {
                assert!(!good, "{wanted}");
                assert_malformed(refused, Malformed::FieldValue { tag });
            }
        }
    }
}

#[test]
fn data_needs_every_field_of_its_row_and_holds_no_more_than_can_be_asked_for() {
    for tag in [Tag::PACKAGE_NAME, Tag::PACKAGE_VERSION, Tag::OFFSET, Tag::DATA] {
        assert_malformed(data_with(tag, None), Malformed::MissingField { tag });
    }
    assert_eq!(data_with(Tag::DATA, Some(&vec![7; 32_768])).unwrap().data.len(), 32_768);
    let found = 32_769;
    let too_much = data_with(Tag::DATA, Some(&vec![7; found]));
    assert_malformed(too_much, Malformed::FieldLength { tag: Tag::DATA, found });
}

#[test]
fn debug_of_data_shows_no_bytes() {
    let shown = std::format!("{:?}", data_with(Tag::SUITE, None).unwrap());
    assert_eq!(shown, "Data(pay-app 1.2.0, 3 bytes from 0)");
}

#[test]
fn report_has_a_result_of_00_or_01() {
    let tag = Tag::RESULT;
    assert_malformed(report_with(tag, None), Malformed::MissingField { tag });
    assert_malformed(report_with(tag, Some(&[2])), Malformed::FieldValue { tag });
    assert_malformed(report_with(tag, Some(&[0, 0])), Malformed::FieldLength { tag, found: 2 });
    for (byte, good) in [(0, true), (1, false)] {
        assert_eq!(report_with(tag, Some(&[byte])).unwrap().good, good);
    }
}

#[test]
fn status_is_utf_8_of_up_to_4096_bytes() {
    let tag = Tag::STATUS;
    let longest = vec![b' '; MAX_STATUS];
    let too_long = vec![b' '; MAX_STATUS + 1];
    let found = MAX_STATUS + 1;
    assert!(inventory_with(tag, Some(&longest)).is_ok() && report_with(tag, Some(&longest)).is_ok());
    assert_eq!(inventory_with(tag, None).unwrap().status, None);
    assert_malformed(inventory_with(tag, Some(&too_long)), Malformed::FieldLength { tag, found });
    assert_malformed(report_with(tag, Some(&too_long)), Malformed::FieldLength { tag, found });
    assert_malformed(inventory_with(tag, Some(&[0xFF])), Malformed::FieldValue { tag });
    let own = Inventory { installed: vec![], status: Some(String::from_utf8(too_long).unwrap()) };
    assert_eq!(own.to_payload(), Err(ProtocolError::Unwritable(Malformed::FieldLength { tag, found })));
}

#[test]
fn entries_keep_their_order_and_a_broken_one_is_0002() {
    let installed = vec![package("b", "2.0.0"), package("a", "1.0.0-rc.1"), package("b", "1.0.0")];
    let inventory = Inventory { installed: installed.clone(), status: None };
    assert_eq!(Inventory::from_payload::<Tdes>(&inventory.to_payload().unwrap()), Ok(inventory));
    let record = RefusalRecord { check: "lid".into(), reading: "open".into(), when: None }.fields();
    let report = Report { installed, good: false, status: Some("{}".into()), refusals: vec![record] };
    assert_eq!(Report::from_payload::<Tdes>(&report.to_payload().unwrap()), Ok(report));

    let mut broken = package("a", "1.0.0").to_fields();
    broken = Fields::parse(&broken.encode().unwrap()[..10]).unwrap_or_default();
    let value = broken.encode().unwrap();
    for result in [
        inventory_with(Tag::PACKAGE_ENTRY, Some(&value)).map(drop),
        report_with(Tag::PACKAGE_ENTRY, Some(&value)).map(drop),
        plan_with(Tag::PACKAGE_ENTRY, Some(&value)).map(drop),
    ] {
        assert!(matches!(result, Err(ProtocolError::Malformed(Malformed::MissingField { .. }))));
    }
}

#[test]
fn more_is_one_byte_01() {
    let tag = Tag::MORE;
    assert!(plan_with(tag, Some(&[1])).unwrap().more && !plan_with(tag, None).unwrap().more);
    assert_malformed(plan_with(tag, Some(&[0])), Malformed::FieldValue { tag });
    for found in [0, 2] {
        assert_malformed(plan_with(tag, Some(&[1; 2][..found])), Malformed::FieldLength { tag, found });
    }
}

#[test]
fn plan_takes_as_many_entries_as_fit_and_says_that_there_is_more() {
    let entries: Vec<PlanEntry> = (0..40).map(entry).collect();
    let plan = Plan::fitting(entries.clone(), false);
    let payload = plan.to_payload().unwrap();
    assert!(plan.more && payload.len() <= INNER_MAX);
    assert_eq!(plan.entries, entries[..plan.entries.len()], "the first ones, in order");
    assert_eq!(Plan::from_payload::<Tdes>(&payload), Ok(plan.clone()));
    let one_more = Plan { entries: entries[..=plan.entries.len()].to_vec(), more: true };
    assert!(matches!(one_more.to_payload(), Err(ProtocolError::Unwritable(Malformed::FrameTooLong { .. }))));

    assert_eq!(
        Plan::fitting(entries[..3].to_vec(), false),
        Plan { entries: entries[..3].to_vec(), more: false }
    );
    assert!(Plan::fitting(entries[..3].to_vec(), true).more);
    assert_eq!(Plan::fitting(vec![], false), Plan { entries: vec![], more: false });
}

#[test]
fn entry_that_fits_nowhere_is_left_for_later() {
    let mut big = entry(1);
    big.signature.certificate = vec![0x30; 65_400];
    assert_eq!(Plan::fitting(vec![big.clone(), entry(2)], false), Plan { entries: vec![], more: true });
    assert_eq!(Plan::fitting(vec![entry(2), big], false).entries, [entry(2)]);
}

#[test]
fn message_longer_than_an_inner_payload_is_not_written() {
    let installed: Vec<_> = (0..5_000).map(|n| package(&std::format!("package-{n}"), "1.0.0")).collect();
    let inventory = Inventory { installed, status: None };
    assert!(matches!(inventory.to_payload(), Err(ProtocolError::Unwritable(Malformed::FrameTooLong { .. }))));
}

#[test]
fn answers_are_taken_in_their_place_only() {
    let plan = Plan { entries: vec![], more: false }.to_payload().unwrap();
    let done = Done.to_payload().unwrap();
    assert_eq!(done, [1, 0x06]);
    assert_eq!(Done::from_payload::<Tdes>(&done), Ok(Done));
    let (expected, found) = (MessageType::TmsPlan, MessageType::Done);
    assert_eq!(Plan::from_payload::<Tdes>(&done), Err(ProtocolError::Unexpected { expected, found }));
    assert_eq!(
        Done::from_payload::<Tdes>(&plan),
        Err(ProtocolError::Unexpected { expected: found, found: expected })
    );
    let (expected, found) = (MessageType::TmsData, MessageType::TmsPlan);
    assert_eq!(Data::from_payload::<Tdes>(&plan), Err(ProtocolError::Unexpected { expected, found }));
}

#[test]
fn sealed_error_is_the_peers_in_every_place() {
    let error = error_payload(ErrorCode::Busy, "this session key has protected enough");
    for refused in [
        Plan::from_payload::<Tdes>(&error).map(drop),
        Data::from_payload::<Tdes>(&error).map(drop),
        Done::from_payload::<Tdes>(&error).map(drop),
        Get::from_payload::<Tdes>(&error).map(drop),
    ] {
        let Err(ProtocolError::Peer(message)) = refused else { panic!("it ends the session") };
        assert_eq!(message.known_code(), Some(ErrorCode::Busy));
    }
}
