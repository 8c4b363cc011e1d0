//! A disk that loses in a power cut exactly what it may lose, that can be cut at every act, and that can be full.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex};

use crate::area::storage::path;
use crate::area::{AreaError, FileName, PackageStorage, Room};

type Names = BTreeMap<(Room, FileName), usize>;

/// What a power cut leaves of what was not made safe.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Survives {
    /// Nothing of it.
    TheSafe,
    /// All of it: a system may write before it is asked to.
    Everything,
}

#[derive(Default)]
struct Inode {
    live: Vec<u8>,
    safe: Vec<u8>,
}

struct State {
    inodes: Vec<Inode>,
    live: Names,
    safe: Names,
    acts: usize,
    acts_left: usize,
    bytes_left: usize,
    reserve: bool,
    gives_back: bool,
}

/// The disk; clones are the same one.
#[derive(Clone)]
pub(crate) struct Disk(Arc<Mutex<State>>);

impl Disk {
    pub(crate) fn new() -> Disk {
        let (live, safe) = (Names::new(), Names::new());
        let inodes = Vec::new();
        let (acts, acts_left, bytes_left) = (0, usize::MAX, usize::MAX);
        let (reserve, gives_back) = (false, false);
        let state = State { inodes, live, safe, acts, acts_left, bytes_left, reserve, gives_back };
        Disk(Arc::new(Mutex::new(state)))
    }

    /// Cuts the power before the act that would follow so many.
    pub(crate) fn cut_after(&self, acts: usize) {
        self.0.lock().unwrap().acts_left = acts;
    }

    /// Acts that were carried out.
    pub(crate) fn acts(&self) -> usize {
        self.0.lock().unwrap().acts
    }

    /// Lets so many more bytes be written.
    pub(crate) fn full_after(&self, bytes: usize) {
        self.0.lock().unwrap().bytes_left = bytes;
    }

    /// As [`full_after`](Disk::full_after), but a file whose last name is removed gives its bytes back.
    pub(crate) fn full_until_something_goes(&self, bytes: usize) {
        self.full_after(bytes);
        self.0.lock().unwrap().gives_back = true;
    }

    /// As [`full_after`](Disk::full_after), but small files that are replaced find room, as a folder's reserve gives it.
    pub(crate) fn full_but_for_the_reserve_after(&self, bytes: usize) {
        self.full_after(bytes);
        self.0.lock().unwrap().reserve = true;
    }

    /// Ends a power cut.
    pub(crate) fn power_back(&self, survives: Survives) {
        let state = &mut *self.0.lock().unwrap();
        state.acts_left = usize::MAX;
        match survives {
            Survives::TheSafe => {
                state.live = state.safe.clone();
                state.inodes.iter_mut().for_each(|inode| inode.live = inode.safe.clone());
            }
            Survives::Everything => {
                state.safe = state.live.clone();
                state.inodes.iter_mut().for_each(|inode| inode.safe = inode.live.clone());
            }
        }
    }

    /// Bytes of a file as they are now.
    pub(crate) fn bytes(&self, room: Room, name: &FileName) -> Option<Vec<u8>> {
        let state = self.0.lock().unwrap();
        state.live.get(&(room, name.clone())).map(|inode| state.inodes[*inode].live.clone())
    }

    fn act<T>(&self, act: impl FnOnce(&mut State) -> Result<T, AreaError>) -> Result<T, AreaError> {
        let state = &mut *self.0.lock().unwrap();
        let Some(left) = state.acts_left.checked_sub(1) else {
            return Err(AreaError::of("write", "disk".into(), io::Error::other("no power")));
        };
        state.acts_left = left;
        let done = act(state)?;
        state.acts += 1;
        Ok(done)
    }
}

impl State {
    fn inode(&self, room: Room, name: &FileName) -> Result<usize, AreaError> {
        let found = self.live.get(&(room, name.clone())).copied();
        found.ok_or_else(|| AreaError::of("find", path(room, name), io::ErrorKind::NotFound.into()))
    }

    fn take_room(&mut self, room: Room, name: &FileName, bytes: &[u8]) -> Result<(), AreaError> {
        match self.bytes_left.checked_sub(bytes.len()) {
            Some(left) => {
                self.bytes_left = left;
                Ok(())
            }
            None => Err(AreaError::of("write", path(room, name), io::ErrorKind::StorageFull.into())),
        }
    }

    fn add(&mut self) -> usize {
        self.inodes.push(Inode::default());
        self.inodes.len() - 1
    }
}

impl PackageStorage for Disk {
    fn list(&self, room: Room) -> Result<Vec<FileName>, AreaError> {
        let state = self.0.lock().unwrap();
        let here = state.live.keys().filter(|(there, _)| *there == room);
        Ok(here.map(|(_, name)| name.clone()).collect())
    }

    fn length(&self, room: Room, name: &FileName) -> Result<Option<u64>, AreaError> {
        Ok(self.bytes(room, name).map(|bytes| bytes.len() as u64))
    }

    fn read(&self, room: Room, name: &FileName, offset: u64, buffer: &mut [u8]) -> Result<usize, AreaError> {
        let state = self.0.lock().unwrap();
        let file = &state.inodes[state.inode(room, name)?].live;
        let rest = file.get(usize::try_from(offset).unwrap()..).unwrap_or_default();
        let count = rest.len().min(buffer.len());
        buffer[..count].copy_from_slice(&rest[..count]);
        Ok(count)
    }

    fn write(&mut self, room: Room, name: &FileName, offset: u64, bytes: &[u8]) -> Result<(), AreaError> {
        self.act(|state| {
            let inode = match state.inode(room, name) {
                Ok(inode) => inode,
                Err(_) => {
                    let inode = state.add();
                    state.live.insert((room, name.clone()), inode);
                    inode
                }
            };
            let offset = usize::try_from(offset).unwrap();
            assert!(offset <= state.inodes[inode].live.len(), "a hole in {name}");
            state.inodes[inode].live.truncate(offset);
            // A full disk takes what fits.
            let fits = bytes.len().min(state.bytes_left);
            state.inodes[inode].live.extend_from_slice(&bytes[..fits]);
            state.take_room(room, name, bytes)
        })
    }

    fn sync(&mut self, room: Room, name: &FileName) -> Result<(), AreaError> {
        self.act(|state| {
            let inode = state.inode(room, name)?;
            state.inodes[inode].safe = state.inodes[inode].live.clone();
            Ok(())
        })
    }

    fn replace(&mut self, room: Room, name: &FileName, bytes: &[u8]) -> Result<(), AreaError> {
        self.act(|state| {
            if !state.reserve {
                state.take_room(room, name, bytes)?;
            }
            state.inodes.push(Inode { live: bytes.to_vec(), safe: bytes.to_vec() });
            let inode = state.inodes.len() - 1;
            state.live.insert((room, name.clone()), inode);
            state.safe.insert((room, name.clone()), inode);
            Ok(())
        })
    }

    fn link(&mut self, from: (Room, &FileName), to: (Room, &FileName)) -> Result<(), AreaError> {
        self.act(|state| {
            let inode = state.inode(from.0, from.1)?;
            state.live.insert((to.0, to.1.clone()), inode);
            Ok(())
        })
    }

    fn remove(&mut self, room: Room, name: &FileName) -> Result<(), AreaError> {
        self.act(|state| {
            let removed = state.live.remove(&(room, name.clone()));
            if let Some(inode) =
                removed.filter(|inode| state.gives_back && !state.live.values().any(|i| i == inode))
            {
                state.bytes_left = state.bytes_left.saturating_add(state.inodes[inode].live.len());
            }
            Ok(())
        })
    }

    fn settle(&mut self, room: Room) -> Result<(), AreaError> {
        self.act(|state| {
            state.safe.retain(|(there, _), _| *there != room);
            let here = state.live.iter().filter(|((there, _), _)| *there == room);
            state.safe.extend(here.map(|(name, inode)| (name.clone(), *inode)));
            Ok(())
        })
    }
}
