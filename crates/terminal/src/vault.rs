//! Records sealed under the battery key.

use paycrypto::AesKey;
use paycrypto::gcm::GcmKey;
use zeroize::Zeroizing;

use crate::Error;
use crate::storage::{Record, Storage};

/// Seals what goes into a [`Storage`] and opens what comes out: AES-256-GCM, the record's name as associated data, so
/// that one record cannot be put in another's place.
pub(crate) struct Vault {
    storage: Box<dyn Storage>,
    key: GcmKey,
}

impl Vault {
    /// Takes the storage and its battery key.
    pub(crate) fn new(storage: impl Storage + 'static) -> Result<Vault, Error> {
        let key = GcmKey::new(&AesKey::from_bytes(storage.battery_key()?.as_slice())?)?;
        Ok(Vault { storage: Box::new(storage), key })
    }

    /// The record in clear.
    pub(crate) fn load(&self, record: Record) -> Result<Zeroizing<Vec<u8>>, Error> {
        let what = record.name();
        let sealed = self.storage.load(record)?.ok_or(Error::StateMissing { what })?;
        self.key.open(associated(record), &sealed).map_err(|_| Error::StateDamaged { what })
    }

    /// Replaces the record; it survives a power cut when this returns.
    pub(crate) fn store(&self, record: Record, clear: &[u8]) -> Result<(), Error> {
        let sealed = self.key.seal(associated(record), clear)?;
        self.storage.store(record, &sealed)
    }
}

impl std::fmt::Debug for Vault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Vault")
    }
}

fn associated(record: Record) -> &'static [u8] {
    match record {
        Record::Pad => b"keyferry terminal pad 1",
        Record::Device => b"keyferry terminal device 1",
    }
}
