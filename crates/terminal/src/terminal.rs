//! The terminal: its device, its PIN pad and its clock together.

use std::path::Path;
use std::sync::Arc;

use pki::Crl;
use wire::Device;

use crate::board::{Board, SharedBoard, SimulatedBoard};
use crate::device::{DeviceState, check_acquirer_roles};
use crate::storage::{Folder, Memory, Record, Storage};
use crate::vault::Vault;
use crate::{Clock, Error, NewTerminal, PinPad, SoftPad, Status, SystemClock, TrustedRoot};

/// A terminal.
///
/// Its folder is locked while it lives: one process at a time. [`collect`](crate::collect) serves a station with it,
/// [`download`](crate::download()) fetches a key.
pub struct Terminal<P: PinPad = SoftPad> {
    pub(crate) device: DeviceState,
    pub(crate) pad: P,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) vault: Arc<Vault>,
    /// Whether the user interface has loaded.
    pub(crate) interface: Box<dyn FnMut() -> bool + Send>,
}

impl Terminal<SoftPad> {
    /// Makes a terminal in this folder, which is made unless it is there; its parent must be.
    ///
    /// # Errors
    /// [`Error::AlreadyATerminal`], [`Error::InUse`], [`Error::VendorWithoutModel`], [`Error::NotARoot`],
    /// [`Error::Malformed`], [`Error::Io`].
    pub fn new(folder: &Path, new: NewTerminal) -> Result<Terminal, Error> {
        // Checked before anything is on disk.
        let device = DeviceState::new(new, SystemClock.now())?;
        let mut terminal = Self::create(Folder::create(folder)?, device)?;
        terminal.set_board(SimulatedBoard::of(folder));
        Ok(terminal)
    }

    /// Opens the terminal in this folder, and looks at its sensors: a lid that was opened without power is tampering too.
    ///
    /// # Errors
    /// [`Error::NotATerminal`], [`Error::InUse`], [`Error::BatteryRemoved`] and what else can be wrong with its files.
    pub fn open(folder: &Path) -> Result<Terminal, Error> {
        let mut terminal = Self::open_from(Folder::open(folder)?)?;
        terminal.set_board(SimulatedBoard::of(folder));
        // What happened without power. What it demands is done and in the log; asking for something tells.
        let _ = terminal.pad.poll();
        Ok(terminal)
    }

    /// Makes a terminal without a disk, for simulators and benches: the same code, gone with the process.
    ///
    /// # Errors
    /// As [`Terminal::new`], as far as they can happen in memory.
    pub fn in_memory(new: NewTerminal) -> Result<Terminal, Error> {
        Self::new_in(Memory::new()?, new)
    }

    /// Makes a terminal in any storage.
    ///
    /// # Errors
    /// As [`Terminal::new`]; [`Error::StorageNotEmpty`].
    pub fn new_in(storage: impl Storage + 'static, new: NewTerminal) -> Result<Terminal, Error> {
        let device = DeviceState::new(new, SystemClock.now())?;
        for record in Record::ALL {
            if storage.load(record)?.is_some() {
                return Err(Error::StorageNotEmpty);
            }
        }
        Self::create(storage, device)
    }

    /// Opens the terminal in this storage.
    ///
    /// # Errors
    /// As [`Terminal::open`].
    pub fn open_from(storage: impl Storage + 'static) -> Result<Terminal, Error> {
        let vault = Arc::new(Vault::new(storage)?);
        let device = DeviceState::load(&vault)?;
        let pad = SoftPad::open(Arc::clone(&vault))?;
        let (expected, found) = (device.device.pin_pad(), pad.serial());
        if expected != found {
            return Err(Error::OtherPinPad { expected: expected.clone(), found: found.clone() });
        }
        Ok(Terminal::of(device, pad, vault))
    }

    /// Gives it another board. A folder's terminal has that of its file, others a nominal one.
    pub fn set_board(&mut self, board: impl Board + 'static) {
        self.pad.set_board(board, self.device.settings.sensors);
    }

    fn create(storage: impl Storage + 'static, device: DeviceState) -> Result<Terminal, Error> {
        let vault = Arc::new(Vault::new(storage)?);
        let pad = SoftPad::create(Arc::clone(&vault), device.device.pin_pad().clone())?;
        device.store(&vault)?;
        Ok(Terminal::of(device, pad, vault))
    }

    fn of(device: DeviceState, mut pad: SoftPad, vault: Arc<Vault>) -> Terminal {
        let limits = device.settings.sensors;
        pad.set_board(SharedBoard::default(), limits);
        Terminal { device, pad, clock: Arc::new(SystemClock), vault, interface: Box::new(|| true) }
    }
}

impl<P: PinPad> Terminal<P> {
    /// Its serial and its PIN pad's.
    pub fn device(&self) -> &Device {
        &self.device.device
    }

    /// Its PIN pad.
    pub fn pad(&self) -> &P {
        &self.pad
    }

    /// Its PIN pad, for a driver of one's own.
    pub fn pad_mut(&mut self) -> &mut P {
        &mut self.pad
    }

    /// Leaves production by command. No TK is made and none is collected from then on.
    ///
    /// # Errors
    /// [`Error::Pad`].
    pub fn deploy(&mut self) -> Result<(), Error> {
        Ok(self.pad.deploy()?)
    }

    /// What it is and what it holds, for a person or a program.
    pub fn status(&self) -> Status {
        Status::of(&self.device, &self.pad)
    }

    /// Gives it another clock. The last known time stays.
    pub fn set_clock(&mut self, clock: impl Clock + 'static) {
        self.clock = Arc::new(clock);
        self.pad.set_clock(Arc::clone(&self.clock));
    }

    /// Says how the self test finds out whether the user interface has loaded. Without one it has.
    pub fn set_interface_check(&mut self, check: impl FnMut() -> bool + Send + 'static) {
        self.interface = Box::new(check);
    }

    /// Looks at the sensors, as a terminal without anything else to do does all the time.
    ///
    /// # Errors
    /// [`Error::PinPad`] says what tampering was found; what it demands is done.
    pub fn poll(&mut self) -> Result<(), Error> {
        Ok(self.pad.poll()?)
    }

    /// Ends its life: everything is wiped, for good.
    ///
    /// # Errors
    /// [`Error::PinPad`].
    pub fn retire(&mut self) -> Result<(), Error> {
        Ok(self.pad.retire()?)
    }

    /// Privatisation: takes an acquirer's root in place of the one before, in production before there is any key, or in
    /// repair, where every key is wiped first. What other roots may issue stays.
    ///
    /// # Errors
    /// [`Error::VendorRole`], [`Error::NotARoot`], [`Error::PinPad`] in another state.
    pub fn install_root(&mut self, root: &TrustedRoot) -> Result<(), Error> {
        check_acquirer_roles(root)?;
        self.pad.wipe_for_root()?;
        self.device.install_root(root, &self.vault)
    }

    /// Takes a revocation list: every certificate that comes is held to it from then on. A terminal reaches none by
    /// itself; a station, a TMS or a technician brings it.
    ///
    /// # Errors
    /// [`Error::ForeignCrl`] when no root here signed it, [`Error::OldCrl`] for a number that does not rise;
    /// [`Error::Io`], [`Error::Crypto`].
    pub fn install_crl(&mut self, crl: Crl) -> Result<(), Error> {
        self.device.install_crl(crl, &self.vault)
    }

    /// The time to check dates against; it never goes back.
    pub(crate) fn time(&mut self) -> Result<i64, Error> {
        self.device.time(self.clock.as_ref(), &self.vault)
    }
}

impl<P: PinPad + std::fmt::Debug> std::fmt::Debug for Terminal<P> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Terminal")
            .field("device", &self.device.device)
            .field("pad", &self.pad)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_terminal_moves_between_threads() {
        fn assert_send<T: Send>() {}
        assert_send::<Terminal>();
    }
}
