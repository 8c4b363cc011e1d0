//! The bytes of the PIN pad's state. Those of its older versions are in `stored/older.rs`.

mod older;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;

use wire::{Frame, Serial};
use zeroize::Zeroizing;

use super::codec::{Reader, Writer};
use super::counters::{Completed, LoadCounters};
use super::device_key::DeviceKey;
use super::held_tk::HeldTk;
use super::keys::SuiteKeys;
use super::pin_budget::PinBudget;
use super::state::PadState;
use crate::pad::SignedCollected;
use crate::refusals::{ChainedRefusal, RefusalLog};
use crate::storage::Record;
use crate::{Collector, Error, Latch, LifeCycle};

/// First bytes of a state: what it is; the version of its form follows.
const MAGIC: &[u8; 4] = b"KFPP";
/// The form that is written. The lower ones are read.
const VERSION: u8 = 4;

impl PadState {
    /// The bytes to be sealed.
    ///
    /// # Errors
    /// [`Error::Tk`]: a TK that fails its check is not stored. [`Error::Crypto`] when the device key cannot be.
    pub(super) fn encode(&self) -> Result<Zeroizing<Vec<u8>>, Error> {
        let mut writer = Writer::new();
        writer.bytes(MAGIC);
        writer.byte(VERSION);
        writer.sized(self.serial.as_bytes());
        writer.byte(self.life_cycle.number());
        writer.bytes(self.owner_key.as_slice());
        writer.byte(u8::from(self.tk.is_some()));
        if let Some(tk) = &self.tk {
            tk.check()?;
            tk.write(&mut writer);
        }
        write_latch(&mut writer, self.latch.as_ref());
        self.tdes.write(&mut writer);
        self.ec_aes.write(&mut writer);
        writer.bytes(&self.lid_openings.to_be_bytes());
        writer.sized(self.challenge.as_ref().map_or(&[][..], |challenge| challenge));
        writer.bytes(&self.refusals.total().to_be_bytes());
        writer.bytes(&self.refusals.reported().to_be_bytes());
        writer.bytes(&self.refusals.before());
        write_refusals(&mut writer, self.refusals.records());
        self.pins.write(&mut writer);
        self.counters.write(&mut writer);
        writer.bytes(&self.generation.to_be_bytes());
        self.completed.write(&mut writer);
        writer.byte(u8::from(self.device_key.is_some()));
        if let Some(key) = &self.device_key {
            key.write(&mut writer)?;
        }
        Ok(writer.finish())
    }

    /// Reads what was unsealed.
    ///
    /// # Errors
    /// [`Error::StateDamaged`] for an unknown version, [`Error::Tk`] for a TK that fails its check.
    pub(super) fn decode(bytes: &[u8]) -> Result<PadState, Error> {
        let state = Self::read(bytes).ok_or(Error::StateDamaged { what: Record::Pad.name() })?;
        state.tk.as_ref().map_or(Ok(()), HeldTk::check)?;
        Ok(state)
    }

    fn read(bytes: &[u8]) -> Option<PadState> {
        let mut reader = Reader::new(bytes);
        if reader.array()? != *MAGIC {
            return None;
        }
        let version = reader.byte()?;
        let serial = Serial::from_bytes(reader.sized()?).ok()?;
        let life_cycle = LifeCycle::from_number(reader.byte()?)?;
        let owner_key = Zeroizing::new(reader.array()?);
        let mut state = PadState { life_cycle, ..PadState::empty(serial, owner_key) };
        if version == VERSION {
            state.read_rest(&mut reader)?;
        } else {
            older::read_rest(&mut state, version, &mut reader)?;
        }
        reader.is_at_end().then_some(state)
    }

    /// What stands behind serial, life cycle and the key for owners.
    fn read_rest(&mut self, reader: &mut Reader<'_>) -> Option<()> {
        if reader.flag()? {
            self.tk = Some(HeldTk::read(reader)?);
        }
        self.latch = read_latch(reader)?;
        self.tdes = SuiteKeys::read(reader)?;
        self.ec_aes = SuiteKeys::read(reader)?;
        self.read_board_and_log(reader, read_refusals)?;
        self.pins = PinBudget::read(reader)?;
        self.counters = LoadCounters::read(reader)?;
        self.generation = u64::from_be_bytes(reader.array()?);
        self.completed = Completed::read(reader)?;
        if reader.flag()? {
            self.device_key = Some(DeviceKey::read(reader)?);
        }
        Some(())
    }

    /// Lid, challenge and the log of refusals, whose records are of this form.
    fn read_board_and_log<'a>(
        &mut self,
        reader: &mut Reader<'a>,
        records: impl FnOnce(&mut Reader<'a>) -> Option<VecDeque<ChainedRefusal>>,
    ) -> Option<()> {
        self.lid_openings = u64::from_be_bytes(reader.array()?);
        self.challenge = match reader.sized()? {
            [] => None,
            challenge => Some(challenge.try_into().ok()?),
        };
        let (total, reported) = (u64::from_be_bytes(reader.array()?), u64::from_be_bytes(reader.array()?));
        let before = reader.array()?;
        self.refusals = RefusalLog::restore(before, records(reader)?, total, reported)?;
        Some(())
    }
}

fn write_latch(writer: &mut Writer, latch: Option<&Latch>) {
    let Some(Latch { digest, collector, ctk_pu, refusals, signed }) = latch else {
        return writer.byte(0);
    };
    writer.byte(collector_number(*collector));
    writer.bytes(digest);
    writer.sized(ctk_pu);
    write_refusals(writer, refusals.iter());
    writer.byte(u8::from(signed.is_some()));
    if let Some(SignedCollected { collect, frame }) = signed {
        writer.bytes(collect);
        writer.sized(frame.payload());
    }
}

/// Nothing where the bytes are no latch, and nothing in it where there is none.
fn read_latch(reader: &mut Reader<'_>) -> Option<Option<Latch>> {
    let number = reader.byte()?;
    if number == 0 {
        return Some(None);
    }
    Some(Some(Latch {
        collector: collector(number)?,
        digest: reader.array()?,
        ctk_pu: reader.sized()?.to_vec(),
        refusals: read_refusals(reader)?.into_iter().collect(),
        signed: if reader.flag()? {
            let collect = reader.array()?;
            Some(SignedCollected { collect, frame: Frame::from_payload(reader.sized()?).ok()? })
        } else {
            None
        },
    }))
}

fn write_refusals<'a>(writer: &mut Writer, records: impl ExactSizeIterator<Item = &'a ChainedRefusal>) {
    // At most 256 records, by the log's limit.
    writer.bytes(&u16::try_from(records.len()).unwrap_or(u16::MAX).to_be_bytes());
    for ChainedRefusal { check, reading, when, hash, signature } in records {
        writer.sized(check.as_bytes());
        writer.sized(reading.as_bytes());
        writer.bytes(&when.to_be_bytes());
        writer.bytes(hash);
        writer.byte(u8::from(signature.is_some()));
        writer.bytes(signature.as_ref().map_or(&[][..], |signature| signature));
    }
}

fn read_refusals(reader: &mut Reader<'_>) -> Option<VecDeque<ChainedRefusal>> {
    (0..u16::from_be_bytes(reader.array()?))
        .map(|_| {
            let mut record = read_refusal(reader)?;
            record.signature = if reader.flag()? { Some(reader.array()?) } else { None };
            Some(record)
        })
        .collect()
}

/// A record without its signature.
fn read_refusal(reader: &mut Reader<'_>) -> Option<ChainedRefusal> {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).ok();
    Some(ChainedRefusal {
        check: text(reader.sized()?)?,
        reading: text(reader.sized()?)?,
        when: i64::from_be_bytes(reader.array()?),
        hash: reader.array()?,
        signature: None,
    })
}

/// The number of a collector in the state; 0 says that there is no latch.
fn collector_number(collector: Collector) -> u8 {
    match collector {
        Collector::Kms => 1,
        Collector::Mtms => 2,
        Collector::BareKey => 3,
    }
}

fn collector(number: u8) -> Option<Collector> {
    [Collector::Kms, Collector::Mtms, Collector::BareKey]
        .into_iter()
        .find(|collector| collector_number(*collector) == number)
}
