//! Storage without a disk, for simulators and benches: the same terminal, gone with its process.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use zeroize::Zeroizing;

use super::{BATTERY_KEY, BatteryKey, Record, Storage};
use crate::Error;

/// Records in memory. Nothing survives the process; sealing is as on disk, so that a bench measures it.
pub struct Memory {
    battery_key: BatteryKey,
    records: Mutex<HashMap<Record, Vec<u8>>>,
}

impl Memory {
    /// Empty storage with a fresh battery key.
    ///
    /// # Errors
    /// [`Error::Crypto`] without random numbers.
    pub fn new() -> Result<Memory, Error> {
        let mut battery_key = Zeroizing::new([0; BATTERY_KEY]);
        paycrypto::random::fill(battery_key.as_mut_slice())?;
        Ok(Memory { battery_key, records: Mutex::default() })
    }

    /// A panic elsewhere while the lock was held leaves a map that is still whole.
    fn records(&self) -> MutexGuard<'_, HashMap<Record, Vec<u8>>> {
        self.records.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for Memory {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Memory")
    }
}

impl Storage for Memory {
    fn battery_key(&self) -> Result<BatteryKey, Error> {
        Ok(self.battery_key.clone())
    }

    fn load(&self, record: Record) -> Result<Option<Vec<u8>>, Error> {
        Ok(self.records().get(&record).cloned())
    }

    fn store(&self, record: Record, sealed: &[u8]) -> Result<(), Error> {
        self.records().insert(record, sealed.to_vec());
        Ok(())
    }
}
