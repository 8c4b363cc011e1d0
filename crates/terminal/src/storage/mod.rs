//! Where a terminal keeps what must survive a power cut.
//!
//! A [`Storage`] keeps two sealed records and the battery key. It sees no clear key but that one, which seals
//! everything else: losing it is wiping the terminal.

mod folder;
mod memory;
#[cfg(test)]
mod tests;

use zeroize::Zeroizing;

use crate::Error;

pub use folder::Folder;
pub use memory::Memory;

/// Bytes of the battery key: AES-256.
pub const BATTERY_KEY: usize = 32;

/// The key that seals the records, in battery-backed memory.
pub type BatteryKey = Zeroizing<[u8; BATTERY_KEY]>;

/// What is kept, each replaced as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Record {
    /// The PIN pad's state: TK, slots, latch, life cycle.
    Pad,
    /// The device's state: serials, roots, settings, last known time.
    Device,
}

impl Record {
    /// Every record.
    pub const ALL: [Record; 2] = [Record::Pad, Record::Device];

    /// What a person calls it.
    pub fn name(self) -> &'static str {
        match self {
            Record::Pad => "PIN pad state",
            Record::Device => "device state",
        }
    }
}

/// Keeps a terminal's records. Everything but the battery key is sealed before it comes here.
pub trait Storage: Send + Sync {
    /// The battery key.
    ///
    /// # Errors
    /// [`Error::BatteryRemoved`] when it is gone, or what reading it failed with.
    fn battery_key(&self) -> Result<BatteryKey, Error>;

    /// The record, if it was ever stored.
    ///
    /// # Errors
    /// When it cannot be read.
    fn load(&self, record: Record) -> Result<Option<Vec<u8>>, Error>;

    /// Replaces the record: when this returns the new one survives a power cut; until then the old one does.
    ///
    /// # Errors
    /// When it cannot be written, for instance to a full disk.
    fn store(&self, record: Record, sealed: &[u8]) -> Result<(), Error>;
}
