//! What a terminal asks for next, and which answers it takes.

use std::{vec, vec::Vec};

use wire::{ErrorCode, limits::MAX_LENGTH_WANTED};

use super::{content, manifest, package};
use crate::Tdes;
use crate::tms_download::{
    Data, Fetch, Get, INNER_MAX, MAX_SEALED_BLOCKS, Next, Reason, sealed::ciphertext_blocks,
    terminal::length_for,
};

const PLENTY: u64 = MAX_SEALED_BLOCKS;

fn asked(next: Next) -> Get {
    match next {
        Next::Get(get) => get,
        other => panic!("{other:?} where a question was expected"),
    }
}

fn data(offset: u64, length: u64) -> Data {
    let id = package("pay-app", "1.2.0");
    Data {
        name: id.name,
        version: id.version,
        offset,
        data: (offset..offset + length).map(content).collect(),
    }
}

#[test]
fn length_follows_the_speed_of_the_line() {
    for (speed, length) in
        [(1, 256), (300, 256), (1_200, 600), (9_600, 4_800), (115_200, 32_768), (u32::MAX, 32_768)]
    {
        assert_eq!(length_for(Some(speed)), length, "{speed} Bd");
    }
    assert_eq!(length_for(None), MAX_LENGTH_WANTED);
}

#[test]
fn question_wants_no_more_than_may_be_asked() {
    for (length, wanted) in [(0, 1), (1, 1), (32_768, 32_768), (32_769, 32_768), (u32::MAX, 32_768)] {
        let get = asked(Fetch::new(&manifest(1 << 40), 7).next::<Tdes>(length, PLENTY));
        assert_eq!((get.offset, get.wanted), (7, wanted));
    }
}

#[test]
fn pieces_follow_each_other_to_the_end() {
    let mut fetch = Fetch::new(&manifest(10), 0);
    let mut offsets = Vec::new();
    while let Next::Get(get) = fetch.next::<Tdes>(4, PLENTY) {
        offsets.push(get.offset);
        let left = 10 - get.offset;
        let bytes = fetch.on_data(data(get.offset, left.min(4))).unwrap();
        assert_eq!(bytes, data(get.offset, left.min(4)).data);
    }
    assert_eq!((offsets, fetch.have()), (vec![0, 4, 8], 10));
    assert_eq!(fetch.next::<Tdes>(4, PLENTY), Next::Complete);
}

#[test]
fn file_that_is_there_or_longer_is_complete() {
    for (size, have) in [(0, 0), (10, 10), (10, 11), (10, u64::MAX)] {
        assert_eq!(Fetch::new(&manifest(size), have).next::<Tdes>(4, PLENTY), Next::Complete);
    }
}

#[test]
fn anything_but_what_was_asked_for_is_0002_and_nothing_is_taken() {
    let other = |change: &dyn Fn(&mut Data)| {
        let mut fetch = Fetch::new(&manifest(10), 2);
        let _ = asked(fetch.next::<Tdes>(4, PLENTY));
        let mut answer = data(2, 4);
        change(&mut answer);
        let result = fetch.on_data(answer);
        assert_eq!(fetch.have(), if result.is_ok() { 6 } else { 2 });
        result
    };
    assert!(other(&|_| ()).is_ok());
    type Change = (fn(&mut Data), &'static str);
    let changes: [Change; 6] = [
        (|data| data.name = "pay-apq".parse().unwrap(), "it is of another package"),
        (|data| data.version = "1.2.1".parse().unwrap(), "it is of another package"),
        (|data| data.offset = 1, "it has another offset"),
        (|data| data.offset = 6, "it has another offset"),
        (|data| data.data.truncate(3), "it has another length"),
        (|data| data.data.push(0), "it has another length"),
    ];
    for (change, why) in changes {
        let fault = other(&change).unwrap_err();
        assert_eq!((fault.code, fault.reason), (ErrorCode::Malformed, Reason::OtherData { why }));
    }
}

#[test]
fn last_piece_is_exactly_what_is_left() {
    for (length, good) in [(1, false), (2, true), (3, false), (4, false)] {
        let mut fetch = Fetch::new(&manifest(10), 8);
        assert_eq!(asked(fetch.next::<Tdes>(4, PLENTY)).wanted, 4);
        assert_eq!(fetch.on_data(data(8, length)).is_ok(), good, "{length}");
    }
}

#[test]
fn answer_is_taken_once_and_only_to_a_question() {
    let mut fetch = Fetch::new(&manifest(10), 0);
    let nothing = Reason::OtherData { why: "nothing was" };
    assert_eq!(fetch.on_data(data(0, 4)).unwrap_err().reason, nothing);
    let _ = asked(fetch.next::<Tdes>(4, PLENTY));
    assert!(fetch.on_data(data(0, 4)).is_ok());
    assert_eq!(fetch.on_data(data(0, 4)).unwrap_err().reason, nothing, "the same again");
}

/// What a question and its answer take is never more than was reckoned with, so the PIN pad never refuses half-way.
#[test]
fn new_session_is_asked_for_before_the_blocks_run_out() {
    for length in [1, 7, 8, 9, 255, 256, 4_096, 32_768] {
        let size = 1 << 32;
        let data = data(0, length);
        let get = asked(Fetch::new(&manifest(size), 0).next::<Tdes>(u32::try_from(length).unwrap(), PLENTY));
        let (get, data) = (get.to_payload().unwrap().len(), data.to_payload().unwrap().len());
        assert!(data <= INNER_MAX);
        let blocks = ciphertext_blocks(get) + ciphertext_blocks(data);
        let mut fetch = Fetch::new(&manifest(size), 0);
        let enough = (blocks..)
            .find(|left| matches!(fetch.next::<Tdes>(u32::try_from(length).unwrap(), *left), Next::Get(_)));
        let spare = enough.unwrap() - blocks;
        assert!((1..=16).contains(&spare), "one for an ERROR, and little more: {spare}");
        for left in [0, 1, blocks] {
            let next = fetch.next::<Tdes>(u32::try_from(length).unwrap(), left);
            assert_eq!(next, Next::NeedsNewSession);
        }
    }
}
