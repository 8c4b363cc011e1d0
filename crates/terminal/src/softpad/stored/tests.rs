//! The state is written as it is read, in every version.

use paycrypto::ec;
use paycrypto::ec::blocks::LoadCounter;
use paycrypto::keys::{Dik2, Dmk, Tmk};
use paycrypto::tk::{CheckedTk, TkDefect};
use wire::{Slot, Suite};

use super::*;
use crate::softpad::counters::KeyName;
use crate::softpad::keys::{EcAes, HeldDmk, Identity, KeptKey as _};
use crate::softpad::owner::OwnerKind;
use crate::softpad::slot_keys::SlotKeys;

fn latch() -> Latch {
    Latch {
        digest: [7; 32],
        collector: Collector::Mtms,
        ctk_pu: vec![9; 256],
        refusals: Vec::new(),
        signed: None,
    }
}

fn last_slot() -> Slot {
    Slot::new(99).unwrap()
}

/// A state of suite 01 with something in every place, without a device key.
fn full() -> PadState {
    let owner_key = Zeroizing::new([3; 32]);
    let mut state = PadState::empty(Serial::parse("SN-1").unwrap(), owner_key);
    state.refusals.add("lid", "open", 1_700_000_000);
    state.refusals.add("voltage", "2500 mV", 1_700_000_001);
    state.refusals.report(1);
    let tk = CheckedTk::generate().unwrap();
    state.set_tk(HeldTk::tdes(&tk), Latch { refusals: state.refusals.unreported().0, ..latch() });
    state.life_cycle = LifeCycle::Deployed;
    let owner = state.owner(&tk, Suite::TDES);
    state.tdes.slots.insert(last_slot(), SlotKeys::first(owner, Tmk::generate().unwrap()));
    let root = state.owner_by(OwnerKind::Root, Suite::TDES, b"root");
    let factor = Zeroizing::new(b"KLD-7/2026".to_vec());
    let mut identity = Identity::first(root, Dik2::generate().unwrap(), factor);
    identity.finish();
    state.tdes.identity = Some(identity);
    state.tdes.dmk = Some(HeldDmk::first(root, Dmk::generate().unwrap()));
    state.lid_openings = 3;
    state.challenge = Some([5; 16]);
    state
}

/// A state of suite 02 with something in every place.
fn full_ec_aes() -> PadState {
    let mut state = PadState::new(Serial::parse("SN-1").unwrap()).unwrap();
    let tk = ec::Tk::generate().unwrap();
    let frame = Frame::from_payload(&[1, 0x52, 0xDF, 0x09, 0]).unwrap();
    let latch = Latch { signed: Some(SignedCollected { collect: [8; 32], frame }), ..latch() };
    state.set_tk(HeldTk::ec_aes(&tk), latch);
    let owner = state.owner_by(OwnerKind::Tk, Suite::EC_AES, tk.tek().expose());
    let tmk = ec::keys::Tmk::generate().unwrap();
    state.put_counted_tmk(last_slot(), owner, (tmk, LoadCounter::new(9)));
    state.generation = 5;
    state.completed.raise(KeyName::Tk, Suite::EC_AES);
    let root = state.owner_by(OwnerKind::Root, Suite::EC_AES, b"root");
    let factor = Zeroizing::new(b"KLD-7".to_vec());
    state.ec_aes.identity = Some(Identity::first(root, ec::keys::Dik2::generate().unwrap(), factor));
    state.ec_aes.dmk = Some(HeldDmk::first(root, ec::keys::Dmk::generate().unwrap()));
    state.refusals.add("lid", "open", 1_700_000_000);
    state.refusals.sign_newest([6; 64]);
    state
}

#[test]
fn a_state_is_written_as_it_is_read() {
    let state = full();
    let bytes = state.encode().unwrap();
    let read = PadState::decode(&bytes).unwrap();
    assert_eq!(*read.encode().unwrap(), *bytes);
    assert_eq!((read.serial.as_str(), read.life_cycle), ("SN-1", LifeCycle::Deployed));
    assert_eq!(read.latch, state.latch);
    let tk = read.tk().unwrap().unwrap();
    let slot = &read.tdes.slots[&last_slot()];
    assert!(read.owner(&tk, Suite::TDES).admits(&slot.owner));
    assert_eq!(read.refusals, state.refusals);
    assert_eq!((read.lid_openings, read.challenge), (3, Some([5; 16])));
    assert_eq!(read.tdes.identity.unwrap().factor.as_slice(), b"KLD-7/2026");
}

#[test]
fn a_state_of_suite_02_is_written_as_it_is_read() {
    let state = full_ec_aes();
    let bytes = state.encode().unwrap();
    let read = PadState::decode(&bytes).unwrap();
    assert_eq!(*read.encode().unwrap(), *bytes);
    assert_eq!(read.latch, state.latch);
    let owner = read.slot_owner(last_slot()).unwrap();
    assert_eq!((read.load_counter(last_slot(), &owner).value(), read.generation), (9, 5));
    assert!(!read.completed.allows(KeyName::Tk, Suite::TDES));
    let tk = read.ec_tk().unwrap().unwrap();
    assert!(owner.is(&read.owner_by(OwnerKind::Tk, Suite::EC_AES, tk.tek().expose())));
    assert!(read.tk().unwrap().is_none(), "it is no TK of suite 01");
    assert_eq!(
        read.slot::<EcAes>(last_slot()).unwrap().tmk.kcv(),
        state.ec_aes.slots[&last_slot()].tmk.kcv()
    );
    assert_eq!(read.refusals.newest().unwrap().signature, Some([6; 64]));
    assert!(read.device_key.is_some() && read.ec_aes.dmk.is_some());
}

#[test]
fn every_cut_and_every_addition_is_refused() {
    for state in [full(), full_ec_aes()] {
        let bytes = state.encode().unwrap();
        for length in 0..bytes.len() {
            assert!(PadState::decode(&bytes[..length]).is_err(), "{length}");
        }
        let longer = [&bytes[..], &[0]].concat();
        assert!(matches!(PadState::decode(&longer), Err(Error::StateDamaged { .. })));
    }
}

#[test]
fn a_version_to_come_and_version_0_are_refused() {
    for version in [0, VERSION + 1] {
        let mut bytes = full().encode().unwrap();
        bytes[MAGIC.len()] = version;
        assert!(matches!(PadState::decode(&bytes), Err(Error::StateDamaged { .. })));
    }
}

#[test]
fn a_log_that_was_changed_is_refused() {
    let mut state = full();
    let mut kept: VecDeque<_> = state.refusals.records().cloned().collect();
    kept[0].reading = "shut".into();
    assert_eq!(RefusalLog::restore(state.refusals.before(), kept, 2, 1), None);
    state.refusals.add("lid", "open", 0);
    assert!(PadState::decode(&state.encode().unwrap()).is_ok());
}

/// A state as version 1 wrote it: latch and slots without what came later, and nothing behind them.
fn version_1(state: &PadState, tmk: &Tmk) -> Vec<u8> {
    let mut writer = Writer::new();
    write_head(&mut writer, 1, state);
    writer.byte(2);
    writer.bytes(&[7; 32]);
    writer.sized(&[9; 256]);
    writer.byte(1);
    writer.byte(99);
    let owner = state.owner(&state.tk().unwrap().unwrap(), Suite::TDES);
    writer.byte(Suite::TDES.byte());
    writer.bytes(&owner.id);
    writer.byte(1);
    writer.sized(tmk.expose());
    writer.sized(&[]);
    writer.finish().to_vec()
}

/// What every older version began with.
fn write_head(writer: &mut Writer, version: u8, state: &PadState) {
    writer.bytes(MAGIC);
    writer.byte(version);
    writer.sized(state.serial.as_bytes());
    writer.byte(2);
    writer.bytes(state.owner_key.as_slice());
    writer.sized(&state.tk().unwrap().unwrap().to_clear());
}

/// A state as versions 2 and 3 wrote it.
fn version_2_or_3(version: u8, state: &PadState) -> Vec<u8> {
    let mut writer = Writer::new();
    write_head(&mut writer, version, state);
    let latch = state.latch.as_ref().unwrap();
    writer.byte(2);
    writer.bytes(&latch.digest);
    writer.sized(&latch.ctk_pu);
    write_unsigned(&mut writer, latch.refusals.iter());
    writer.byte(1);
    writer.byte(99);
    state.tdes.slots[&last_slot()].write(&mut writer);
    let (identity, dmk) = (state.tdes.identity.as_ref().unwrap(), state.tdes.dmk.as_ref().unwrap());
    writer.byte(1);
    identity.owner.write(&mut writer);
    writer.sized(identity.dik2.clear());
    writer.sized(&identity.factor);
    writer.byte(1);
    writer.byte(1);
    dmk.owner.write(&mut writer);
    writer.sized(dmk.dmk.clear());
    writer.byte(0);
    writer.bytes(&state.lid_openings.to_be_bytes());
    writer.sized(&[5; 16]);
    writer.bytes(&state.refusals.total().to_be_bytes());
    writer.bytes(&state.refusals.reported().to_be_bytes());
    writer.bytes(&state.refusals.before());
    write_unsigned(&mut writer, state.refusals.records());
    if version == 3 {
        state.pins.write(&mut writer);
    }
    writer.finish().to_vec()
}

fn write_unsigned<'a>(writer: &mut Writer, records: impl ExactSizeIterator<Item = &'a ChainedRefusal>) {
    writer.bytes(&u16::try_from(records.len()).unwrap().to_be_bytes());
    for record in records {
        writer.sized(record.check.as_bytes());
        writer.sized(record.reading.as_bytes());
        writer.bytes(&record.when.to_be_bytes());
        writer.bytes(&record.hash);
    }
}

/// Every cut and every addition is refused, and what is stored from now on is the present version.
fn assert_taken_over(old: &[u8], read: &PadState) {
    let new = read.encode().unwrap();
    assert_eq!(new[MAGIC.len()], VERSION);
    PadState::decode(&new).unwrap();
    for length in 0..old.len() {
        assert!(PadState::decode(&old[..length]).is_err(), "{length}");
    }
    assert!(PadState::decode(&[old, &[0]].concat()).is_err());
    // An older terminal begins in suite 02 with nothing counted, and without a device key until it is asked for one.
    assert_eq!(read.generation, 0);
    assert!(read.ec_aes.is_empty() && read.device_key.is_none());
    assert!(read.completed.allows(KeyName::Tk, Suite::TDES));
}

#[test]
fn a_state_of_version_1_is_taken_over() {
    let state = full();
    let tmk = Tmk::generate().unwrap();
    let old = version_1(&state, &tmk);
    let read = PadState::decode(&old).unwrap();
    assert_eq!((read.life_cycle, read.latch.clone()), (LifeCycle::Deployed, Some(latch())));
    let slot = &read.tdes.slots[&last_slot()];
    assert!(slot.tmk.holds(&tmk) && slot.tmk.is_done());
    let tk = read.tk().unwrap().unwrap();
    assert!(slot.owner.admits(&read.owner(&tk, Suite::TDES)));
    assert!(read.tdes.identity.is_none() && read.tdes.dmk.is_none() && read.challenge.is_none());
    assert_eq!((read.lid_openings, read.refusals.total()), (0, 0));
    assert_taken_over(&old, &read);
}

#[test]
fn states_of_versions_2_and_3_are_taken_over() {
    let mut state = full();
    state.pins.fill(std::time::Duration::ZERO);
    state.pins.take().unwrap();
    for version in [2, 3] {
        let old = version_2_or_3(version, &state);
        let read = PadState::decode(&old).unwrap();
        // Version 2 had no budget of PINs: it is full.
        assert_eq!(read.pins.pins(), if version == 2 { 120 } else { 119 });
        assert_eq!((&read.refusals, &read.latch), (&state.refusals, &state.latch));
        let (identity, dmk) = (read.tdes.identity.as_ref().unwrap(), read.tdes.dmk.as_ref().unwrap());
        assert!(identity.done && !dmk.done);
        assert_eq!(identity.dik2.kcv(), state.tdes.identity.as_ref().unwrap().dik2.kcv());
        assert_taken_over(&old, &read);
    }
}

#[test]
fn a_tk_with_a_wrong_hash_is_neither_stored_nor_used() {
    for mut state in [full(), full_ec_aes()] {
        state.damage_tk();
        let used = state.tk().map(|_| ()).and(state.ec_tk().map(|_| ()));
        assert_eq!(used, Err(TkDefect::Hash));
        assert!(matches!(state.encode(), Err(Error::Tk(TkDefect::Hash))));
    }
}

/// What only goes upward is stored with the key, and stays when the key goes.
#[test]
fn r21_counters_survive_a_wipe_and_a_repair_lifts_no_counter() {
    use crate::life_cycle::Milestone;
    let mut state = full_ec_aes();
    let owner = state.slot_owner(last_slot()).unwrap();
    state.life_cycle = LifeCycle::Deployed;
    state.pass(Milestone::Tamper);
    assert!(!state.has_keys() && state.device_key.is_none());
    assert!(!state.completed.allows(KeyName::Tk, Suite::TDES), "a wipe is no repair authorisation");
    state.pass(Milestone::RepairAuthorised);
    let read = PadState::decode(&state.encode().unwrap()).unwrap();
    assert_eq!((read.load_counter(last_slot(), &owner).value(), read.generation), (9, 5));
    assert!(read.completed.allows(KeyName::Tk, Suite::TDES));
}

#[test]
fn a_repair_keeps_the_device_key_and_retirement_wipes_it() {
    use crate::life_cycle::Milestone;
    let mut state = full_ec_aes();
    state.pass(Milestone::Deploy);
    state.pass(Milestone::RepairAuthorised);
    assert!(state.device_key.is_some() && !state.has_keys());
    state.pass(Milestone::Retire);
    assert!(state.device_key.is_none());
}
