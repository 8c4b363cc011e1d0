//! One file into `incoming`, from where it stands.

use flows::ProtocolError;
use flows::tms_download::messages::Data;
use flows::tms_download::terminal::{Fetch, Next, length_for};
use flows::tms_download::{Fault, Reason, SealSuite};
use wire::{ErrorCode, Manifest};

use super::line::End;
use super::session::Session;
use crate::area::{AreaError, Areas, Part};
use crate::conversation::Stop;
use crate::{PinPad, Stream};

/// How far it went.
pub(super) enum Fetched {
    /// All of it is here, whatever it is.
    Whole(Part),
    /// The session has done what it may; `came` says whether anything came in it.
    NewSession {
        /// Bytes of this file that came.
        came: u64,
    },
    /// The TMS does not give it, and has ended the session.
    NotGiven {
        /// Its words.
        why: String,
    },
}

/// Why fetching stopped.
pub(super) enum Stopped {
    End(End<Reason>),
    Areas(AreaError),
}

impl From<AreaError> for Stopped {
    fn from(error: AreaError) -> Stopped {
        Stopped::Areas(error)
    }
}

impl From<Fault> for Stopped {
    fn from(fault: Fault) -> Stopped {
        Stopped::End(End::Stop(Stop::Fault(fault)))
    }
}

/// Fetches what is missing of a file. However it ends, what came is safe, as far as the disk lets it be.
pub(super) fn fetch<C: SealSuite, P: PinPad, S: Stream>(
    session: &mut Session<C, S>,
    pad: &mut P,
    areas: &mut Areas,
    manifest: &Manifest,
    on_part: &mut dyn FnMut(u64),
) -> Result<Fetched, Stopped> {
    let mut part = areas.part(manifest)?;
    areas.touch(&part)?;
    let began = part.have();
    let result = pieces(session, pad, areas, manifest, &mut part, on_part);
    let secured = areas.secure(&mut part);
    match result? {
        Pieces::All => {
            secured?;
            Ok(Fetched::Whole(part))
        }
        Pieces::NewSession => {
            secured?;
            Ok(Fetched::NewSession { came: part.have().saturating_sub(began) })
        }
        Pieces::NotGiven { why } => Ok(Fetched::NotGiven { why }),
    }
}

enum Pieces {
    All,
    NewSession,
    NotGiven { why: String },
}

fn pieces<C: SealSuite, P: PinPad, S: Stream>(
    session: &mut Session<C, S>,
    pad: &mut P,
    areas: &mut Areas,
    manifest: &Manifest,
    part: &mut Part,
    on_part: &mut dyn FnMut(u64),
) -> Result<Pieces, Stopped> {
    let length = length_for(session.line.link.baud());
    let mut fetch = Fetch::new(manifest, part.have());
    loop {
        let get = match fetch.next::<C>(length, pad.tms_blocks_left()) {
            Next::Get(get) => get,
            Next::NeedsNewSession => return Ok(Pieces::NewSession),
            Next::Complete => return Ok(Pieces::All),
        };
        let question = get.to_payload().map_err(Fault::from)?;
        let answer = session.ask(pad, &question).map_err(Stopped::End)?;
        let data = match Data::from_payload::<C>(&answer) {
            Ok(data) => data,
            Err(ProtocolError::Peer(error)) if error.known_code() == Some(ErrorCode::Busy) => {
                return Ok(Pieces::NewSession);
            }
            Err(ProtocolError::Peer(error)) => return Ok(Pieces::NotGiven { why: error.to_string() }),
            Err(error) => return Err(Fault::from(error).into()),
        };
        areas.append(part, &fetch.on_data(data)?)?;
        on_part(part.have());
    }
}
