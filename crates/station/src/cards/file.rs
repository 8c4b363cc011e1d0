//! A card as a PIN-protected file, in place of a smart card.
//!
//! It cannot lock itself after wrong PINs (see `custody`). Taken out means: the file is gone, unreadable, or another
//! card's. So a card on a USB stick works as one would expect.

use std::path::{Path, PathBuf};

use custody::card::{CardFace, read_card, read_face};
use pki::{Certificate, Signer};

use crate::{Card, Error};

/// A card in a file, or in a folder with a `card.pem`.
#[derive(Debug, Clone)]
pub struct FileCard {
    path: PathBuf,
    name: String,
    face: CardFace,
}

impl FileCard {
    /// Reads what the card shows without its PIN.
    ///
    /// # Errors
    /// [`Error::CardMissing`] when there is nothing there, [`Error::CardUnreadable`].
    pub fn insert(path: &Path) -> Result<FileCard, Error> {
        let name = path.display().to_string();
        if !path.exists() {
            return Err(Error::CardMissing { card: name });
        }
        match read_face(path) {
            Ok(face) => Ok(FileCard { path: path.to_owned(), name, face }),
            Err(error) => Err(Error::CardUnreadable { card: name, why: error.to_string() }),
        }
    }
}

impl Card for FileCard {
    fn name(&self) -> &str {
        &self.name
    }

    fn certificate(&self) -> &Certificate {
        &self.face.certificate
    }

    fn chain(&self) -> &[Certificate] {
        &self.face.chain
    }

    fn present(&self) -> bool {
        read_face(&self.path).is_ok_and(|now| now.certificate == self.face.certificate)
    }

    fn open(&self, pin: &str) -> Result<Box<dyn Signer + Send + Sync>, Error> {
        match read_card(&self.path, pin) {
            Ok(card) => Ok(Box::new(card.signer)),
            Err(custody::Error::KeyMismatch { .. }) => Err(Error::CardKey { card: self.name.clone() }),
            Err(error) => Err(Error::CardPin { card: self.name.clone(), why: error.to_string() }),
        }
    }
}
