//! What a terminal does with its working keys: PIN blocks, MACs, track data (1-systems.md F).
//!
//! Each key has its own call, which takes nothing that would let it stand in for another: the application names a slot and
//! gives data, never a key, a usage or a ready block.

use flows::PadRefusal;
use pinblock::{Format, Pan, Pin};
use wire::Slot;

/// Longest data for one MAC, bytes.
pub const MAX_MAC_DATA: usize = 64 * 1024;
/// Longest track data at once, bytes: all three tracks of ISO/IEC 7813 and 4909 have 226 characters together.
pub const MAX_TRACK: usize = 512;
/// PINs that a PIN pad encrypts in an hour, on average; and at once, when it has not been asked for an hour.
pub const PINS_AN_HOUR: u32 = 120;

/// A PIN pad's part of a transaction.
///
/// Sensors and life cycle come first: only a deployed terminal does transactions. Keys are those of the slot's last
/// finished sign-in, or of the RKS.
pub trait TransactionPad {
    /// Encrypts a PIN under the slot's PIK: a key of suite 01 makes formats 0 and 3, 8 bytes, one of suite 02 format 4, 16
    /// bytes (ISO 9564-1). The PIN is wiped whatever comes out; it is never stored.
    ///
    /// At most [`PINS_AN_HOUR`] on average, over power cuts and changes of the clock: after as many at once it is one in
    /// 30 seconds. What one PIN takes of it is on disk before the block is given out.
    ///
    /// # Errors
    /// [`PadRefusal::NotPermitted`] for the state, the format, the rate, or without a PIK; [`PadRefusal::Failed`].
    fn pin_block(&mut self, slot: Slot, pin: Pin, pan: &Pan, format: Format) -> Result<Vec<u8>, PadRefusal>;

    /// The MAC of a message under the slot's MAK: in suite 01 ISO 9797-1 algorithm 3, padding method 2, all 8 bytes; in
    /// suite 02 CMAC, all 16 bytes.
    ///
    /// # Errors
    /// [`PadRefusal::NotPermitted`] for the state, for more than [`MAX_MAC_DATA`], or without a MAK;
    /// [`PadRefusal::Failed`].
    fn mac(&mut self, slot: Slot, data: &[u8]) -> Result<Vec<u8>, PadRefusal>;

    /// Track data encrypted under the slot's TDK: a random IV of a block, then CBC with padding method 2; TDES in suite 01,
    /// AES in suite 02.
    ///
    /// # Errors
    /// [`PadRefusal::NotPermitted`] for the state, for more than [`MAX_TRACK`], or without a TDK;
    /// [`PadRefusal::Failed`].
    fn encrypt_track(&mut self, slot: Slot, track: &[u8]) -> Result<Vec<u8>, PadRefusal>;

    /// How many PINs could be encrypted now.
    fn pins_left(&self) -> u32;
}
