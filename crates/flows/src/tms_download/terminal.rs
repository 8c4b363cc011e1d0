//! The terminal's driver of one file: what to ask for next, and whether the answer is that. Pure: the file itself, the
//! PIN pad and the link are outside.

use alloc::vec::Vec;

use wire::{Manifest, limits::MAX_LENGTH_WANTED};

use super::{
    Fault, Reason, SealSuite,
    messages::{Data, Get},
};

/// Least that is asked for at a time, bytes, however slow the line is: less would be mostly frames.
const MIN_LENGTH_WANTED: u32 = 256;
/// Seconds that the data of one TMS_DATA may take on a slow line: far below the limits of a link, so that a cut costs
/// little and a person sees progress.
const SECONDS_A_PIECE: u32 = 5;
/// Bits on a serial line for a byte: start, eight, stop.
const BITS_A_BYTE: u32 = 10;
/// Bytes of TMS_DATA beside name, version and data: version, type, four tags with their longest lengths, the offset.
const DATA_OVERHEAD: usize = 2 + 2 * 3 + (3 + 8) + 5;
/// Bytes of TMS_GET beside name and version: version, type, four tags with lengths, offset and length.
const GET_OVERHEAD: usize = 2 + 2 * 3 + (3 + 8) + (3 + 4);

/// How much to ask for at a time on a serial line of this speed, in bits a second; as much as there may be elsewhere.
pub fn length_for(bits_a_second: Option<u32>) -> u32 {
    match bits_a_second {
        Some(speed) => {
            (speed / BITS_A_BYTE).saturating_mul(SECONDS_A_PIECE).clamp(MIN_LENGTH_WANTED, MAX_LENGTH_WANTED)
        }
        None => MAX_LENGTH_WANTED,
    }
}

/// What to do next for a file.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub enum Next {
    /// Send this.
    Get(Get),
    /// The session's keys cannot protect question and answer any more: open a new session and ask again.
    NeedsNewSession,
    /// All bytes are there; whether they are the right ones, size and hash say.
    Complete,
}

/// One file that is being fetched.
#[derive(Debug)]
pub struct Fetch {
    manifest: Manifest,
    have: u64,
    asked: Option<u32>,
}

impl Fetch {
    /// Goes on with a package of which this many bytes are safely kept.
    pub fn new(manifest: &Manifest, have: u64) -> Fetch {
        Fetch { manifest: manifest.clone(), have, asked: None }
    }

    /// Bytes that are there: those kept when it began, and all that [`Fetch::on_data`] gave.
    pub fn have(&self) -> u64 {
        self.have
    }

    /// What to do next, asking for at most `length` bytes ([`length_for`]) with so many blocks left to the session's
    /// keys. Asking again, after a cut, is allowed at any time.
    pub fn next<S: SealSuite>(&mut self, length: u32, blocks_left: u64) -> Next {
        self.asked = None;
        let left = self.manifest.size.saturating_sub(self.have);
        if left == 0 {
            return Next::Complete;
        }
        let wanted = length.clamp(1, MAX_LENGTH_WANTED);
        let expected = u32::try_from(left).map_or(wanted, |left| left.min(wanted));
        if self.blocks::<S>(expected).saturating_add(S::FOR_AN_ERROR) > blocks_left {
            return Next::NeedsNewSession;
        }
        self.asked = Some(expected);
        let id = &self.manifest.id;
        Next::Get(Get { name: id.name.clone(), version: id.version.clone(), offset: self.have, wanted })
    }

    /// Takes TMS_DATA; gives the bytes to write at [`Fetch::have`] as it was before.
    ///
    /// # Errors
    /// [`Reason::OtherData`] (0002) for anything but exactly what was asked for.
    pub fn on_data(&mut self, data: Data) -> Result<Vec<u8>, Fault> {
        let other = |why| Err(Reason::OtherData { why }.into());
        let Some(expected) = self.asked.take() else { return other("nothing was") };
        let id = &self.manifest.id;
        if data.name != id.name || data.version != id.version {
            return other("it is of another package");
        }
        if data.offset != self.have {
            return other("it has another offset");
        }
        if u32::try_from(data.data.len()) != Ok(expected) {
            return other("it has another length");
        }
        self.have = self.have.saturating_add(u64::from(expected));
        Ok(data.data)
    }

    /// Blocks that question and answer take at most.
    fn blocks<S: SealSuite>(&self, expected: u32) -> u64 {
        let id = &self.manifest.id;
        // A version has no text at hand, so its longest is reckoned with.
        let names = id.name.as_str().len() + wire::limits::MAX_PACKAGE_VERSION;
        let data = usize::try_from(expected).unwrap_or(usize::MAX).saturating_add(DATA_OVERHEAD + names);
        S::blocks(GET_OVERHEAD + names).saturating_add(S::blocks(data))
    }
}
