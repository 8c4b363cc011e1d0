//! A stream of requests, a line each.

use std::io::{self, BufRead, Write};

use zeroize::{Zeroize as _, Zeroizing};

use crate::Error;
use crate::answer::{refusal, respond};

/// The longest line, in bytes without its line break.
pub const MAX_LINE: usize = 1 << 20;
/// The largest buffer that is kept from line to line, in bytes.
const KEPT_BUFFER: usize = 64 << 10;

/// Answers every line of `input` with a line on `output`, in order, until `input` ends. Each answer is flushed, so that
/// a program can wait for it. No line ends the stream: one that is no JSON, no text or too long gets its refusal.
///
/// # Errors
/// Those of reading and writing.
pub fn run_jsonl(mut input: impl BufRead, mut output: impl Write) -> io::Result<()> {
    let mut line = Zeroizing::new(Vec::new());
    loop {
        line.zeroize();
        if line.capacity() > KEPT_BUFFER {
            // One long line does not make the wiping of all later ones slow.
            *line = Vec::new();
        }
        let answer = match read_line(&mut input, &mut line)? {
            Line::End => return Ok(()),
            Line::TooLong => refusal(Error::LineTooLong),
            Line::Whole => respond(&line),
        };
        // The answer may hold a key.
        let answer = Zeroizing::new(answer);
        output.write_all(answer.as_bytes())?;
        output.write_all(b"\n")?;
        output.flush()?;
    }
}

enum Line {
    Whole,
    TooLong,
    End,
}

/// Reads to the next line break, keeping at most [`MAX_LINE`] bytes and passing over the rest.
fn read_line(input: &mut impl BufRead, line: &mut Vec<u8>) -> io::Result<Line> {
    let (mut started, mut too_long) = (false, false);
    loop {
        let available = match input.fill_buf() {
            Ok(available) => available,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        if available.is_empty() {
            return Ok(match (started, too_long) {
                (false, _) => Line::End,
                (true, true) => Line::TooLong,
                (true, false) => Line::Whole,
            });
        }
        started = true;
        let end = available.iter().position(|byte| *byte == b'\n');
        let piece = available.get(..end.unwrap_or(available.len())).unwrap_or_default();
        if line.len().saturating_add(piece.len()) > MAX_LINE {
            too_long = true;
        }
        if !too_long {
            line.extend_from_slice(piece);
        }
        let consumed = piece.len() + usize::from(end.is_some());
        input.consume(consumed);
        if end.is_some() {
            return Ok(if too_long { Line::TooLong } else { Line::Whole });
        }
    }
}
