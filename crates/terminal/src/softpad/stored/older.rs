//! The older versions of the state's bytes, which are read and never written: all of suite 01.

use std::collections::VecDeque;

use wire::Slot;

use super::{collector, read_refusal};
use crate::Latch;
use crate::refusals::ChainedRefusal;
use crate::softpad::codec::Reader;
use crate::softpad::held_tk::HeldTk;
use crate::softpad::keys::{HeldDmk, Identity};
use crate::softpad::pin_budget::PinBudget;
use crate::softpad::slot_keys::SlotKeys;
use crate::softpad::state::PadState;

/// The form without board, identity, DMK and refusals.
const VERSION_1: u8 = 1;
/// The form without DMK as an owner and without the budget of PINs.
const VERSION_2: u8 = 2;
/// The form without suite 02: no counters, no device key, no signed records.
const VERSION_3: u8 = 3;

/// Reads what stands behind serial, life cycle and the key for owners; nothing for a version that is none of these.
pub(super) fn read_rest(state: &mut PadState, version: u8, reader: &mut Reader<'_>) -> Option<()> {
    if ![VERSION_1, VERSION_2, VERSION_3].contains(&version) {
        return None;
    }
    state.tk = match reader.sized()? {
        [] => None,
        tk => Some(HeldTk::of_older(tk)),
    };
    state.latch = match reader.byte()? {
        0 => None,
        number => Some(Latch {
            collector: collector(number)?,
            digest: reader.array()?,
            ctk_pu: reader.sized()?.to_vec(),
            refusals: if version == VERSION_1 { Vec::new() } else { records(reader)?.into_iter().collect() },
            signed: None,
        }),
    };
    for _ in 0..reader.byte()? {
        let slot = Slot::new(reader.byte()?).ok()?;
        let keys =
            if version == VERSION_1 { SlotKeys::read_version_1(reader)? } else { SlotKeys::read(reader)? };
        state.tdes.slots.insert(slot, keys);
    }
    if version != VERSION_1 {
        if reader.flag()? {
            state.tdes.identity = Some(Identity::read_alone(reader)?);
        }
        if reader.flag()? {
            state.tdes.dmk = Some(HeldDmk::read_alone(reader)?);
        }
        state.read_board_and_log(reader, records)?;
    }
    if version == VERSION_3 {
        state.pins = PinBudget::read(reader)?;
    }
    Some(())
}

fn records(reader: &mut Reader<'_>) -> Option<VecDeque<ChainedRefusal>> {
    (0..u16::from_be_bytes(reader.array()?)).map(|_| read_refusal(reader)).collect()
}
