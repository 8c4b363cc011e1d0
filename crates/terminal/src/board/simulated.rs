//! Boards without sensors: a file that a person writes, and one in memory.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use super::{Board, BoardError, Readings};
use crate::Error;

/// The file in a terminal's folder that stands for its sensors.
pub const BOARD_FILE: &str = "board.json";

/// Readings from a file, [`BOARD_FILE`] in a terminal's folder; nominal ones while it is not there.
///
/// Only who plays the environment writes it, also while a terminal runs; the terminal only reads. So no opening of the
/// lid is lost between the two.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SimulatedBoard {
    file: PathBuf,
}

impl SimulatedBoard {
    /// The board of the terminal in this folder.
    #[must_use]
    pub fn of(folder: &Path) -> SimulatedBoard {
        SimulatedBoard { file: folder.join(BOARD_FILE) }
    }

    /// What the file says.
    ///
    /// # Errors
    /// [`Error::Io`], [`Error::BoardFile`].
    pub fn read(&self) -> Result<Readings, Error> {
        match fs::read(&self.file) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Readings::NOMINAL),
            Err(source) => Err(Error::Io { act: "read", path: self.file.clone(), source }),
            Ok(bytes) => serde_json::from_slice(&bytes)
                .map_err(|source| Error::BoardFile { file: self.file.clone(), why: source.to_string() }),
        }
    }

    /// Changes what the file says, replacing it as a whole, and gives the new readings. A lid that opens is counted.
    ///
    /// # Errors
    /// As [`SimulatedBoard::read`].
    pub fn change(&self, act: impl FnOnce(&mut Readings)) -> Result<Readings, Error> {
        let readings = changed(self.read()?, act);
        let bytes = serde_json::to_vec_pretty(&readings)
            .map_err(|source| Error::BoardFile { file: self.file.clone(), why: source.to_string() })?;
        let new = self.file.with_extension("json.new");
        let io = |act| move |source| Error::Io { act, path: self.file.clone(), source };
        fs::write(&new, bytes).map_err(io("write"))?;
        fs::rename(&new, &self.file).map_err(io("replace"))?;
        Ok(readings)
    }
}

impl Board for SimulatedBoard {
    fn readings(&mut self) -> Result<Readings, BoardError> {
        self.read().map_err(|error| BoardError(error.to_string()))
    }
}

/// Readings in memory, shared by its clones: one goes into the terminal, the other is the environment's.
#[derive(Debug, Clone)]
pub struct SharedBoard(Arc<Mutex<Result<Readings, BoardError>>>);

impl Default for SharedBoard {
    fn default() -> SharedBoard {
        SharedBoard(Arc::new(Mutex::new(Ok(Readings::NOMINAL))))
    }
}

impl SharedBoard {
    /// Changes the readings. A lid that opens is counted. Sensors that could not be read work again, nominal.
    pub fn change(&self, act: impl FnOnce(&mut Readings)) {
        let mut readings = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *readings = Ok(changed(readings.clone().unwrap_or(Readings::NOMINAL), act));
    }

    /// Lets the sensors fail.
    pub fn fail(&self, why: &str) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Err(BoardError(why.to_owned()));
    }
}

impl Board for SharedBoard {
    fn readings(&mut self) -> Result<Readings, BoardError> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

fn changed(mut readings: Readings, act: impl FnOnce(&mut Readings)) -> Readings {
    let was_open = readings.lid_open;
    act(&mut readings);
    if readings.lid_open && !was_open {
        readings.lid_openings = readings.lid_openings.wrapping_add(1);
    }
    readings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_not_there_is_nominal_and_each_opening_is_counted_once() {
        let folder = tempfile::tempdir().unwrap();
        let mut board = SimulatedBoard::of(folder.path());
        assert_eq!(board.readings(), Ok(Readings::NOMINAL));
        for _ in 0..2 {
            board.change(|readings| readings.lid_open = true).unwrap();
        }
        board.change(|readings| readings.lid_open = false).unwrap();
        board.change(|readings| readings.lid_open = true).unwrap();
        assert_eq!(board.read().unwrap(), Readings { lid_open: true, lid_openings: 2, ..Readings::NOMINAL });
    }

    #[test]
    fn a_file_that_is_no_board_is_named_and_is_no_reading() {
        let folder = tempfile::tempdir().unwrap();
        let mut board = SimulatedBoard::of(folder.path());
        for text in ["", "{}", r#"{"lid_open":false,"lid_openings":0,"millivolts":1,"celsius":1,"x":1}"#] {
            fs::write(folder.path().join(BOARD_FILE), text).unwrap();
            assert!(matches!(board.read(), Err(Error::BoardFile { .. })), "{text}");
            assert!(board.readings().is_err());
            assert!(board.change(|_| ()).is_err());
        }
    }
}
