//! Messages as terminals and devices send and take them: built and parsed, no more.

use anyhow::{Result, bail};
use wire::{Fields, Frame, MessageType, Serial};

use crate::line::Line;

pub(crate) fn frame(
    kind: MessageType,
    fill: impl FnOnce(&mut Fields) -> Result<(), wire::Malformed>,
) -> Result<Frame> {
    let mut fields = Fields::new();
    fill(&mut fields)?;
    Ok(Frame::new(kind, &fields)?)
}

/// The next message to this serial, which must be of this kind, and the size of its frame.
pub(crate) async fn answer(line: &mut Line, sn: &Serial, kind: MessageType) -> Result<(Fields, usize)> {
    let bytes = line.expect().await?;
    let message = Frame::from_bytes(bytes)?.message()?;
    if message.kind != kind {
        bail!("{} came to {sn} instead of {kind}: {:?}", message.kind, message.fields);
    }
    Ok((message.fields, bytes.len()))
}
