//! Keys from components: who and what is refused, by name.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use hsm::{
    KeyBlock, Refusal,
    commands::{
        BatchText, Held, ImportLoaded, Imported, Load, LoadTerminal, MacBatch, MakeZoneKey, Reply, Request,
        ZoneAlgorithm,
    },
};
use keyferry_hsm_soft::{
    Duty, HsmSoftError, Offline, SoftHsm,
    components::{Ceremony, Combined, Component, ComponentRefusal, Target, combine, enter},
    create,
};
use paycrypto::{AesKey, TdesKey, hygiene::PoorKey};
use zeroize::Zeroizing;

const PASSPHRASE: &str = "only for this test";
const PEOPLE: [&str; 3] = ["Ada Lovelace", "Grace Hopper", "Mary Somerville"];

struct Room {
    folder: tempfile::TempDir,
    hsm: Offline,
    typed: Vec<TdesKey>,
}

impl Room {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        create(folder.path(), PASSPHRASE).unwrap();
        let hsm = Offline::open(folder.path(), PASSPHRASE).unwrap();
        Self { folder, hsm, typed: (0..3).map(|_| TdesKey::generate24().unwrap()).collect() }
    }

    /// The component of `part`, as its person types it.
    fn component(&self, part: u8) -> Component {
        let at = usize::from(part) - 1;
        component(part, PEOPLE[at], self.typed[at].expose())
    }

    fn enter(&self, ceremony: &Ceremony, part: u8) -> KeyBlock {
        enter(&self.hsm, ceremony, &self.component(part)).unwrap()
    }

    fn all(&self, ceremony: &Ceremony) -> Vec<KeyBlock> {
        (1..=ceremony.of).map(|part| self.enter(ceremony, part)).collect()
    }

    /// The key that the first `of` components make.
    fn key(&self, of: usize) -> TdesKey {
        let sum = |at: usize| self.typed[..of].iter().fold(0, |sum, key| sum ^ key.expose()[at]);
        TdesKey::from_bytes(&(0..24).map(sum).collect::<Vec<u8>>()).unwrap()
    }

    fn combine(&self, ceremony: &Ceremony, blocks: &[KeyBlock]) -> Result<Combined, HsmSoftError> {
        combine(&self.hsm, ceremony, blocks, self.key(usize::from(ceremony.of)).kcv())
    }
}

fn component(part: u8, person: &str, clear: &[u8]) -> Component {
    let check_value = TdesKey::from_bytes(clear).map(|key| key.kcv()).unwrap_or_default();
    Component { part, person: person.into(), clear: Zeroizing::new(clear.to_vec()), check_value }
}

fn exchange(of: u8) -> Ceremony {
    let (name, owner, session) = ("KLD-7".into(), "ACQ".into(), "2026-11".into());
    Ceremony { name, owner, session, of, target: Target::Exchange }
}

fn refusal<T>(outcome: Result<T, HsmSoftError>) -> ComponentRefusal {
    match outcome {
        Err(HsmSoftError::Component(refusal)) => refusal,
        Err(other) => panic!("{other}"),
        Ok(_) => panic!("not refused"),
    }
}

#[test]
fn r15_two_and_three_people_make_the_key_in_any_order() {
    let room = Room::new();
    for of in [2, 3] {
        let ceremony = exchange(of);
        let mut blocks = room.all(&ceremony);
        let made = room.combine(&ceremony, &blocks).unwrap();
        assert_eq!(made.kcv, room.key(usize::from(of)).kcv());
        blocks.reverse();
        assert_eq!(room.combine(&ceremony, &blocks).unwrap().kcv, made.kcv);
    }
}

#[test]
fn a_component_leaves_as_a_block_numbered_by_its_key_version() {
    let room = Room::new();
    for part in [1, 2, 3] {
        let block = room.enter(&exchange(3), part);
        assert_eq!(&block.as_str()[9..11], format!("c{part}"));
        assert!(
            !block
                .as_str()
                .contains(&room.typed[usize::from(part) - 1].kcv().map(|b| format!("{b:02X}")).concat())
        );
    }
}

#[test]
fn a_tmk_of_components_goes_to_its_terminal_only() {
    let room = Room::new();
    let target = Target::Tmk { pin_pad: "SN-1001".into(), slot: 3 };
    let ceremony = Ceremony { target, ..exchange(2) };
    let tmk = room.combine(&ceremony, &room.all(&ceremony)).unwrap();
    let hsm = SoftHsm::open(room.folder.path(), PASSPHRASE, vec![]).unwrap().on_duty(Duty::Kld);
    let make = hsm::commands::MakeDownloaderKey { bits: 2048, subject: "KLD".into(), owner: "ACQ".into() };
    let Reply::MakeDownloaderKey(kld) = hsm.handle(Request::MakeDownloaderKey(make)).unwrap() else {
        panic!("another reply")
    };
    let rnd1 = TdesKey::generate24().unwrap();
    let public = paycrypto::rsa::PublicKey::from_spki(&kld.public).unwrap();
    let load = |pin_pad: &str, slot| {
        Request::LoadTerminal(LoadTerminal {
            work_key: kld.private.clone(),
            c_rnd1_rnd2: public.oaep_encrypt(&[rnd1.expose(), &[1; 8]].concat()).unwrap(),
            pin_pad: pin_pad.into(),
            owner: "ACQ".into(),
            context: [0; 16],
            load: Load::Tmk { slot, held: Some(tmk.block.clone()), avoid: vec![] },
            escrow_under: None,
        })
    };
    let Reply::LoadTerminal(loaded) = hsm.handle(load("SN-1001", 3)).unwrap() else {
        panic!("another reply")
    };
    assert_eq!(loaded.kcv, tmk.kcv);
    for (pin_pad, slot) in [("SN-1001", 4), ("SN-1002", 3)] {
        assert!(matches!(hsm.handle(load(pin_pad, slot)), Err(Refusal::WrongPlace { .. })));
    }
}

#[test]
fn a_component_is_no_exchange_key() {
    let room = Room::new();
    let under = room.enter(&exchange(2), 1);
    let hsm = SoftHsm::open(room.folder.path(), PASSPHRASE, vec![]).unwrap().on_duty(Duty::Kld);
    let import = ImportLoaded {
        under,
        block: String::new(),
        pin_pad: "SN-1".into(),
        what: Held::Dmk,
        owner: "ACQ".into(),
    };
    let outcome = hsm.handle(Request::ImportLoaded(import));
    assert!(matches!(outcome, Err(Refusal::WrongUse { .. })), "{outcome:?}");
    assert!(!matches!(outcome, Ok(Reply::ImportLoaded(Imported::Key(_)))));
}

#[test]
fn r15_what_is_mistyped_is_refused() {
    let room = Room::new();
    let clear = room.typed[0].expose();
    let wrong = |clear: &[u8]| refusal(enter(&room.hsm, &exchange(2), &component(1, "Ada", clear)));
    assert_eq!(wrong(&clear[..23]), ComponentRefusal::Length { found: 23, wanted: 24 });
    assert_eq!(wrong(&clear[..16]), ComponentRefusal::Length { found: 16, wanted: 24 });
    let mut changed = clear.to_vec();
    changed[5] ^= 0x10;
    assert_eq!(wrong(&changed), ComponentRefusal::Parity);
    changed[5] ^= 0x20; // two bits: the parity is right again
    let mistyped = Component { check_value: room.typed[0].kcv(), ..component(1, "Ada", &changed) };
    assert_eq!(refusal(enter(&room.hsm, &exchange(2), &mistyped)), ComponentRefusal::CheckValue);
}

#[test]
fn r6_a_weak_component_is_refused() {
    let room = Room::new();
    let clear = room.typed[0].expose();
    let wrong = |clear: &[u8]| refusal(enter(&room.hsm, &exchange(2), &component(1, "Ada", clear)));
    assert_eq!(wrong(&[0x01; 24]), ComponentRefusal::Poor(PoorKey::Weak));
    let semi_weak = 0x01FE_01FE_01FE_01FE_u64.to_be_bytes();
    assert_eq!(wrong(&[&clear[..16], &semi_weak].concat()), ComponentRefusal::Poor(PoorKey::SemiWeak));
    let equal = [&clear[..16], &clear[..8]].concat();
    assert_eq!(wrong(&equal), ComponentRefusal::Poor(PoorKey::EqualParts));
}

#[test]
fn part_numbers_and_names_out_of_range_are_refused() {
    let room = Room::new();
    for (part, of) in [(0, 2), (3, 2), (4, 3), (1, 1), (1, 4)] {
        let entry = component(part, "Ada", room.typed[0].expose());
        let outcome = enter(&room.hsm, &exchange(of), &entry);
        assert!(matches!(refusal(outcome), ComponentRefusal::Part { .. }), "{part} of {of}");
    }
    for person in ["", "  ", "Ada|Grace", "Zoë", &"x".repeat(65)] {
        let entry = component(1, person, room.typed[0].expose());
        assert_eq!(refusal(enter(&room.hsm, &exchange(2), &entry)), ComponentRefusal::Person);
    }
    for ceremony in [
        Ceremony { name: "a name".into(), ..exchange(2) },
        Ceremony { session: String::new(), ..exchange(2) },
        Ceremony { target: Target::Dmk { pin_pad: "a pad".into() }, ..exchange(2) },
    ] {
        let outcome = enter(&room.hsm, &ceremony, &room.component(1));
        assert!(matches!(outcome, Err(HsmSoftError::Refused(Refusal::Malformed { .. }))));
    }
}

#[test]
fn one_person_cannot_type_two_components() {
    let room = Room::new();
    for person in ["Ada Lovelace", "ADA lovelace", " Ada Lovelace "] {
        let second = component(2, person, room.typed[1].expose());
        let second = enter(&room.hsm, &exchange(2), &second).unwrap();
        let outcome = room.combine(&exchange(2), &[room.enter(&exchange(2), 1), second]);
        assert!(matches!(refusal(outcome), ComponentRefusal::SamePerson { .. }), "{person}");
    }
}

#[test]
fn r15_a_missing_part_and_a_part_given_twice_are_refused() {
    let room = Room::new();
    let ceremony = exchange(3);
    let blocks = room.all(&ceremony);
    assert_eq!(refusal(room.combine(&ceremony, &[])), ComponentRefusal::Missing { part: 1, of: 3 });
    assert_eq!(refusal(room.combine(&ceremony, &blocks[..2])), ComponentRefusal::Missing { part: 3, of: 3 });
    let twice = [blocks[0].clone(), blocks[1].clone(), blocks[1].clone()];
    assert_eq!(refusal(room.combine(&ceremony, &twice)), ComponentRefusal::PartTwice { part: 2 });
}

#[test]
fn r15_components_of_another_key_session_owner_or_number_are_refused() {
    let room = Room::new();
    let ceremony = exchange(2);
    let first = room.enter(&ceremony, 1);
    for other in [
        Ceremony { name: "KLD-8".into(), ..exchange(2) },
        Ceremony { session: "2026-12".into(), ..exchange(2) },
        Ceremony { target: Target::Dmk { pin_pad: "SN-1".into() }, ..exchange(2) },
        exchange(3),
    ] {
        let outcome = room.combine(&ceremony, &[first.clone(), room.enter(&other, 2)]);
        assert!(matches!(refusal(outcome), ComponentRefusal::OtherKey { .. }), "{other:?}");
    }
    let foreign = Ceremony { owner: "ACQ-2".into(), ..exchange(2) };
    let outcome = room.combine(&ceremony, &[first.clone(), room.enter(&foreign, 2)]);
    assert!(matches!(outcome, Err(HsmSoftError::Refused(Refusal::WrongOwner { .. }))));
    let other_hsm = Room::new().enter(&ceremony, 2);
    let outcome = room.combine(&ceremony, &[first, other_hsm]);
    assert!(matches!(outcome, Err(HsmSoftError::Refused(Refusal::UnknownKey { .. }))));
}

#[test]
fn r15_equal_components_are_refused_and_so_is_a_poor_sum() {
    let room = Room::new();
    let ceremony = exchange(2);
    let first = room.enter(&ceremony, 1);
    let same = component(2, "Grace", room.typed[0].expose());
    let same = enter(&room.hsm, &ceremony, &same).unwrap();
    let outcome = room.combine(&ceremony, &[first.clone(), same]);
    assert_eq!(refusal(outcome), ComponentRefusal::EqualComponents);

    // A second component that makes the first two parts of the sum equal.
    let typed = room.typed[0].expose();
    let second = &room.typed[1].expose()[..8];
    let mirrored: Vec<u8> = (0..8).map(|at| second[at] ^ typed[at] ^ typed[at + 8]).collect();
    let mut poor = [second, &mirrored, &room.typed[2].expose()[..8]].concat();
    paycrypto::hygiene::set_odd_parity(&mut poor);
    let poor = enter(&room.hsm, &ceremony, &component(2, "Grace", &poor)).unwrap();
    let outcome = room.combine(&ceremony, &[first, poor]);
    assert_eq!(refusal(outcome), ComponentRefusal::PoorKey(PoorKey::EqualParts));
}

#[test]
fn r15_a_sum_with_another_check_value_is_refused() {
    let room = Room::new();
    let blocks = room.all(&exchange(2));
    let outcome = combine(&room.hsm, &exchange(2), &blocks, [0; 3]);
    assert_eq!(refusal(outcome), ComponentRefusal::KeyCheckValue);
}

/// PK and MAK between an MTMS and a KMS.
fn agreed(target: fn(String, ZoneAlgorithm) -> Target, partner: &str) -> Ceremony {
    let target = target(partner.into(), ZoneAlgorithm::Tdes);
    Ceremony { name: "BATCHES".into(), target, ..exchange(2) }
}

fn protect(partner: String, algorithm: ZoneAlgorithm) -> Target {
    Target::BatchProtect { partner, algorithm }
}

fn batch_mac(partner: String, algorithm: ZoneAlgorithm) -> Target {
    Target::BatchMac { partner, algorithm }
}

#[test]
fn r15_components_of_a_key_with_another_partner_or_of_another_use_are_refused() {
    let room = Room::new();
    let bank = agreed(protect, "BANK");
    let first = room.enter(&bank, 1);
    for other in [
        agreed(protect, "OTHER-BANK"),
        agreed(batch_mac, "BANK"),
        Ceremony { target: Target::Exchange, ..bank.clone() },
    ] {
        let outcome = room.combine(&bank, &[first.clone(), room.enter(&other, 2)]);
        assert!(matches!(refusal(outcome), ComponentRefusal::OtherKey { .. }), "{other:?}");
    }
    let aes = Ceremony { target: protect("BANK".into(), ZoneAlgorithm::Aes), ..bank.clone() };
    let key = AesKey::generate32().unwrap();
    let second = enter(&room.hsm, &aes, &aes_component(2, "Grace", &key)).unwrap();
    let outcome = room.combine(&bank, &[first, second]);
    assert!(matches!(outcome, Err(HsmSoftError::Refused(Refusal::WrongUse { .. }))));
    let nobody = enter(&room.hsm, &agreed(protect, ""), &room.component(1));
    assert!(matches!(nobody, Err(HsmSoftError::Refused(Refusal::Malformed { .. }))));
}

#[test]
fn a_batch_key_of_components_serves_its_partner_only() {
    let room = Room::new();
    let bank = agreed(batch_mac, "BANK");
    let mak = room.combine(&bank, &room.all(&bank)).unwrap();
    assert_eq!(mak.kcv, room.key(2).kcv());
    let hsm = SoftHsm::open(room.folder.path(), PASSPHRASE, vec![]).unwrap().on_duty(Duty::Mtms);
    let mac = |partner: &str| {
        let (mak, partner, owner) = (mak.block.clone(), partner.into(), "ACQ".into());
        hsm.handle(Request::MacBatch(MacBatch {
            mak,
            partner,
            owner,
            what: BatchText::Batch,
            text: b"{}".to_vec(),
        }))
    };
    assert!(matches!(mac("BANK"), Ok(Reply::MacBatch(mac)) if mac.len() == 8));
    assert!(matches!(mac("OTHER-BANK"), Err(Refusal::WrongPlace { .. })));
}

fn zone_master(algorithm: ZoneAlgorithm) -> Ceremony {
    let target = Target::ZoneMaster { algorithm };
    Ceremony { name: "ISSUER-1".into(), target, ..exchange(2) }
}

fn aes_component(part: u8, person: &str, key: &AesKey) -> Component<5> {
    let clear = Zeroizing::new(key.expose().to_vec());
    Component { part, person: person.into(), clear, check_value: key.kcv() }
}

#[test]
fn people_make_a_zone_master_key_of_either_cipher() {
    let room = Room::new();
    let tdes = zone_master(ZoneAlgorithm::Tdes);
    assert_eq!(room.combine(&tdes, &room.all(&tdes)).unwrap().kcv, room.key(2).kcv());

    let aes = zone_master(ZoneAlgorithm::Aes);
    let typed = [(); 2].map(|()| AesKey::generate32().unwrap());
    let blocks: Vec<_> = (1..)
        .zip(&typed)
        .map(|(part, key)| {
            let person = PEOPLE[usize::from(part) - 1];
            enter(&room.hsm, &aes, &aes_component(part, person, key)).unwrap()
        })
        .collect();
    let sum: Vec<u8> = (0..32).map(|at| typed[0].expose()[at] ^ typed[1].expose()[at]).collect();
    let sum = AesKey::from_bytes(&sum).unwrap();
    let made = combine(&room.hsm, &aes, &blocks, sum.kcv()).unwrap();
    assert_eq!(made.kcv, sum.kcv());

    // A component of it is no component of a TDES key, and none is a key.
    let mixed = combine(&room.hsm, &tdes, &[room.enter(&tdes, 1), blocks[1].clone()], [0; 3]);
    assert!(matches!(mixed, Err(HsmSoftError::Refused(Refusal::WrongUse { .. }))));
    let hsm = SoftHsm::open(room.folder.path(), PASSPHRASE, vec![]).unwrap();
    let make = |under: &KeyBlock| {
        let (under, owner, zone) = (under.clone(), "ACQ".into(), "ISSUER-1".into());
        hsm.handle(Request::MakeZoneKey(MakeZoneKey { under, owner, zone, algorithm: ZoneAlgorithm::Aes }))
    };
    assert!(matches!(make(&made.block), Ok(Reply::MakeZoneKey(_))));
    assert!(matches!(make(&blocks[0]), Err(Refusal::WrongUse { .. })));
}

#[test]
fn r15_a_mistyped_aes_component_is_refused() {
    let room = Room::new();
    let aes = zone_master(ZoneAlgorithm::Aes);
    let key = AesKey::generate32().unwrap();
    let good = aes_component(1, "Ada", &key);
    let short =
        Component { clear: Zeroizing::new(key.expose()[..24].to_vec()), ..aes_component(1, "Ada", &key) };
    assert_eq!(refusal(enter(&room.hsm, &aes, &short)), ComponentRefusal::Length { found: 24, wanted: 32 });
    let mut changed = key.expose().to_vec();
    changed[5] ^= 0x10;
    let changed = Component { clear: Zeroizing::new(changed), ..aes_component(1, "Ada", &key) };
    assert_eq!(refusal(enter(&room.hsm, &aes, &changed)), ComponentRefusal::CheckValue);
    let three = Component { part: 1, person: "Ada".into(), clear: good.clear.clone(), check_value: [0; 3] };
    let outcome = enter(&room.hsm, &aes, &three);
    assert_eq!(refusal(outcome), ComponentRefusal::CheckValueLength { found: 3 });
    let five =
        Component { part: 1, person: "Ada".into(), clear: room.component(1).clear, check_value: [0; 5] };
    let outcome = enter(&room.hsm, &exchange(2), &five);
    assert_eq!(refusal(outcome), ComponentRefusal::CheckValueLength { found: 5 });

    let first = enter(&room.hsm, &aes, &good).unwrap();
    let same = enter(&room.hsm, &aes, &aes_component(2, "Grace", &key)).unwrap();
    let outcome = combine(&room.hsm, &aes, &[first.clone(), same], [0; 5]);
    assert_eq!(refusal(outcome), ComponentRefusal::EqualComponents);
    let other = AesKey::generate32().unwrap();
    let second = enter(&room.hsm, &aes, &aes_component(2, "Grace", &other)).unwrap();
    let outcome = combine(&room.hsm, &aes, &[first, second], [0; 5]);
    assert_eq!(refusal(outcome), ComponentRefusal::KeyCheckValue);
}

#[test]
fn r6_poor_aes_components_and_a_poor_aes_key_are_refused() {
    let room = Room::new();
    let aes = Ceremony { target: Target::ExchangeAes, ..exchange(3) };
    let key = |bytes: &[u8]| AesKey::from_bytes(bytes).unwrap();
    for poor in [[0; 32], [0x5A; 32]] {
        let refused = refusal(enter(&room.hsm, &aes, &aes_component(1, "Ada", &key(&poor))));
        assert_eq!(refused, ComponentRefusal::Poor(PoorKey::Repeated));
    }
    // The third is the sum of the others: together they make a key of zeros.
    let typed = [(); 2].map(|()| AesKey::generate32().unwrap());
    let sum: Vec<u8> = typed[0].expose().iter().zip(typed[1].expose()).map(|(a, b)| a ^ b).collect();
    let third = key(&sum);
    let people = ["Ada", "Grace", "Mary"].into_iter().zip([&typed[0], &typed[1], &third]);
    let blocks: Vec<_> = (1..)
        .zip(people)
        .map(|(part, (person, key))| enter(&room.hsm, &aes, &aes_component(part, person, key)).unwrap())
        .collect();
    let outcome = combine(&room.hsm, &aes, &blocks, key(&[0; 32]).kcv());
    assert_eq!(refusal(outcome), ComponentRefusal::PoorKey(PoorKey::Repeated));
}
