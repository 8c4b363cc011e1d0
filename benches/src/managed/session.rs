//! A session over a connection, by the terminal's role.

use anyhow::{Result, bail};
use flows::{
    Tdes,
    tms_download::sealed::{sealed_frame, unseal},
    tms_session::{
        SealPad, Transaction,
        terminal::{Keyed, Start},
    },
};
use wire::Frame;

use super::pad::Pad;
use crate::line::Line;

/// The handshake; gives the sizes of its frames.
pub(super) async fn open(line: &mut Line, pad: &mut Pad) -> Result<[usize; 4]> {
    let start = Start::new(pad.terminal.identification.clone(), Transaction::ProgramDownload, None);
    let (hello, expect) = start.begin(pad)?;
    line.send(hello.bytes()).await?;
    let challenge = Frame::from_bytes(line.expect().await?)?;
    let (proof, expect) = expect.on_frame(pad, &challenge, None)?;
    line.send(proof.bytes()).await?;
    let key = Frame::from_bytes(line.expect().await?)?;
    match expect.on_frame(pad, &key)? {
        Keyed::Program(_) => Ok([&hello, &challenge, &proof, &key].map(|frame| frame.bytes().len())),
        Keyed::Key { .. } => bail!("a session for packages brought a key"),
    }
}

/// A sealed question and its answer, opened.
pub(super) async fn ask(line: &mut Line, pad: &mut Pad, question: &[u8]) -> Result<Vec<u8>> {
    send(line, pad, question).await?;
    let answer = Frame::from_bytes(line.expect().await?)?;
    Ok(pad.tms_open(&unseal::<Tdes>(&answer)?)?)
}

/// The same, but the answer is left sealed.
pub(super) async fn ask_unopened(line: &mut Line, pad: &mut Pad, question: &[u8]) -> Result<()> {
    send(line, pad, question).await?;
    let answer = Frame::from_bytes(line.expect().await?)?;
    pad.skip(&unseal::<Tdes>(&answer)?);
    Ok(())
}

async fn send(line: &mut Line, pad: &mut Pad, question: &[u8]) -> Result<()> {
    let sealed = pad.tms_seal(question)?;
    line.send(sealed_frame(&sealed)?.bytes()).await
}
