//! The sealed phase in memory. Sealing itself is tested where it lives; here its numbers and its messages are.

mod codes;
mod fetch;
mod messages;
mod requests;
mod sealed;
mod vectors;

use std::{string::String, vec, vec::Vec};

use wire::{Manifest, PackageId, PackageKind, PackageSignature, PlanEntry};

use crate::Tdes;

use super::{
    Counters, Data, Done, Fetch, Inventory, MAX_SEALED_BLOCKS, Next, Plan, Report, Request,
    sealed::ciphertext_blocks, terminal::length_for,
};

fn package(name: &str, version: &str) -> PackageId {
    PackageId {
        name: name.parse().unwrap(),
        version: version.parse().unwrap(),
        kind: PackageKind::Application,
    }
}

fn manifest(size: u64) -> Manifest {
    Manifest { id: package("pay-app", "1.2.0"), size, sha256: [0xAB; 32] }
}

fn entry(size: u64) -> PlanEntry {
    let signature = PackageSignature {
        certificate: vec![0x30; 1200],
        intermediates: vec![0x30; 1100],
        signature: vec![7; 256],
    };
    PlanEntry { manifest: manifest(size), signature: signature.clone(), approval: Some(signature) }
}

/// Byte `at` of the file that is fetched.
fn content(at: u64) -> u8 {
    u8::try_from(at.wrapping_mul(at ^ 0x5B) % 251).unwrap()
}

/// A TMS that holds one package, and the sessions that a terminal opened with it.
struct Tms {
    size: u64,
    counters: Counters,
    sessions: u32,
}

impl Tms {
    fn new(size: u64) -> Tms {
        Tms { size, counters: Counters::new(), sessions: 1 }
    }

    /// One question and its answer, each counted as a driver does.
    fn answer(&mut self, inner: &[u8]) -> Vec<u8> {
        let blocks = usize::try_from(ciphertext_blocks(inner.len())).unwrap();
        self.counters.in_(16 + 8 * blocks).unwrap();
        let answer = match Request::read::<Tdes>(inner).unwrap() {
            Request::Inventory(inventory) => {
                inventory.answer(&Plan { entries: vec![entry(self.size)], more: false }).unwrap()
            }
            Request::Get(get) => {
                let data = (get.offset..).take(get.length(self.size).unwrap() as usize).map(content);
                get.clone().answer(self.size, data.collect()).unwrap()
            }
            Request::Report(report) => report.answer().unwrap(),
        };
        self.counters.out(answer.len()).unwrap();
        answer
    }

    fn new_session(&mut self) {
        self.counters = Counters::new();
        self.sessions += 1;
    }
}

/// Fetches the rest of the file in pieces of this length.
fn fetch(tms: &mut Tms, fetch: &mut Fetch, length: u32, file: &mut Vec<u8>) {
    loop {
        match fetch.next::<Tdes>(length, tms.counters.blocks_left()) {
            Next::Get(get) => {
                let answer = tms.answer(&get.to_payload().unwrap());
                let bytes = fetch.on_data(Data::from_payload::<Tdes>(&answer).unwrap()).unwrap();
                file.extend_from_slice(&bytes);
            }
            Next::NeedsNewSession => tms.new_session(),
            Next::Complete => return,
        }
    }
}

fn assert_whole(file: &[u8], size: u64) {
    assert_eq!(u64::try_from(file.len()), Ok(size));
    assert!((0..).zip(file).all(|(at, byte)| *byte == content(at)));
}

#[test]
fn terminal_gets_its_plan_its_file_and_done() {
    let mut tms = Tms::new(100_000);
    let installed = vec![package("pay-app", "1.1.0")];
    let status: Option<String> = Some("{\"battery\":80}".into());
    let inventory = Inventory { installed: installed.clone(), status: status.clone() };
    let plan = Plan::from_payload::<Tdes>(&tms.answer(&inventory.to_payload().unwrap())).unwrap();
    assert_eq!((plan.entries.as_slice(), plan.more), (&[entry(100_000)][..], false));

    let mut file = Vec::new();
    fetch(&mut tms, &mut Fetch::new(&plan.entries[0].manifest, 0), length_for(None), &mut file);
    assert_whole(&file, 100_000);

    let report = Report { installed, good: true, status, refusals: Vec::new() };
    assert_eq!(Done::from_payload::<Tdes>(&tms.answer(&report.to_payload().unwrap())), Ok(Done));
    assert_eq!(tms.sessions, 1);
}

/// 20 MiB are two and a half times what a session key may protect: 2^20 blocks of 8 bytes.
#[test]
fn session_key_is_renewed_in_the_middle_of_a_file() {
    let size = 20 << 20;
    let (mut tms, mut file) = (Tms::new(size), Vec::new());
    fetch(&mut tms, &mut Fetch::new(&manifest(size), 0), length_for(None), &mut file);
    assert_whole(&file, size);
    assert_eq!(tms.sessions, 3);
    assert!(tms.counters.blocks_left() < MAX_SEALED_BLOCKS);
}

#[test]
fn file_goes_on_at_any_byte_after_a_cut() {
    let size = 5_000;
    for kept in [0, 1, 4_095, 4_096, 4_999, 5_000] {
        let mut tms = Tms::new(size);
        let mut file: Vec<u8> = (0..kept).map(content).collect();
        fetch(&mut tms, &mut Fetch::new(&manifest(size), kept), 1_000, &mut file);
        assert_whole(&file, size);
    }
}
