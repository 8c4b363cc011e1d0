use hsm::{Refusal, commands::MAX_FRAME};
use paycrypto::{blocks::CONTEXT_BYTES, digest};

/// Optional block `11` after `said`: all frames, and the texts of the blocks before it in the same message.
pub(crate) fn context(said: &[u8]) -> [u8; CONTEXT_BYTES] {
    let hash = digest::sha256(said);
    std::array::from_fn(|index| hash.get(index).copied().unwrap_or_default())
}

/// Refuses what cannot be frames of a flow: nothing, or more than `most` bytes.
pub(super) fn check_frames(frames: &[u8], most: usize) -> Result<(), Refusal> {
    if frames.is_empty() || frames.len() > most {
        return Err(Refusal::Malformed { what: format!("a transcript has 1 to {most} bytes") });
    }
    Ok(())
}

/// Refuses what cannot be one frame.
pub(super) fn check_frame(frame: &[u8]) -> Result<(), Refusal> {
    check_frames(frame, MAX_FRAME)
}
