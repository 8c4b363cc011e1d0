//! Areas without a disk, for simulators and benches: gone with the process.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

use super::storage::path;
use super::{AreaError, FileName, PackageStorage, Room};

/// Files in memory. A link shares its bytes.
#[derive(Debug, Default)]
pub struct MemoryPackages {
    files: BTreeMap<(Room, FileName), Arc<Vec<u8>>>,
}

impl MemoryPackages {
    fn file(&self, act: &'static str, room: Room, name: &FileName) -> Result<&Arc<Vec<u8>>, AreaError> {
        self.files.get(&(room, name.clone())).ok_or_else(|| AreaError::Io {
            act,
            path: path(room, name),
            source: io::ErrorKind::NotFound.into(),
        })
    }
}

impl PackageStorage for MemoryPackages {
    fn list(&self, room: Room) -> Result<Vec<FileName>, AreaError> {
        let here = self.files.keys().filter(|(there, _)| *there == room);
        Ok(here.map(|(_, name)| name.clone()).collect())
    }

    fn length(&self, room: Room, name: &FileName) -> Result<Option<u64>, AreaError> {
        let file = self.files.get(&(room, name.clone()));
        Ok(file.map(|bytes| u64::try_from(bytes.len()).unwrap_or(u64::MAX)))
    }

    fn read(&self, room: Room, name: &FileName, offset: u64, buffer: &mut [u8]) -> Result<usize, AreaError> {
        let file = self.file("read", room, name)?;
        let rest = usize::try_from(offset).ok().and_then(|offset| file.get(offset..)).unwrap_or_default();
        let count = rest.len().min(buffer.len());
        for (to, from) in buffer.iter_mut().zip(rest) {
            *to = *from;
        }
        Ok(count)
    }

    fn write(&mut self, room: Room, name: &FileName, offset: u64, bytes: &[u8]) -> Result<(), AreaError> {
        let file = Arc::make_mut(self.files.entry((room, name.clone())).or_default());
        file.truncate(usize::try_from(offset).unwrap_or(usize::MAX));
        file.extend_from_slice(bytes);
        Ok(())
    }

    fn sync(&mut self, _: Room, _: &FileName) -> Result<(), AreaError> {
        Ok(())
    }

    fn replace(&mut self, room: Room, name: &FileName, bytes: &[u8]) -> Result<(), AreaError> {
        self.files.insert((room, name.clone()), Arc::new(bytes.to_vec()));
        Ok(())
    }

    fn link(&mut self, from: (Room, &FileName), to: (Room, &FileName)) -> Result<(), AreaError> {
        let file = Arc::clone(self.file("link", from.0, from.1)?);
        self.files.insert((to.0, to.1.clone()), file);
        Ok(())
    }

    fn remove(&mut self, room: Room, name: &FileName) -> Result<(), AreaError> {
        self.files.remove(&(room, name.clone()));
        Ok(())
    }

    fn settle(&mut self, _: Room) -> Result<(), AreaError> {
        Ok(())
    }
}
