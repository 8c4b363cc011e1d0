//! What the TMS is told: the status in DF2D.
//!
//! ```json
//! {"life_cycle":"deployed","refused":[{"name":"pay-app","version":"1.3.0","code":"signature","why":"…"}],"more_refused":0}
//! ```
//!
//! `code` is [`PackageRefusal::code`], `start` for a package whose first start failed. Nothing secret is in it.

use serde::Serialize;
use wire::PackageId;
use wire::limits::MAX_STATUS;

use crate::package::PackageRefusal;
use crate::{LifeCycle, PinPad};

/// Longest reason in a status, characters.
const MAX_WHY: usize = 160;

#[derive(Serialize)]
struct Status {
    life_cycle: LifeCycle,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    refused: Vec<Refused>,
    /// Refusals for which there was no room.
    #[serde(skip_serializing_if = "is_zero")]
    more_refused: usize,
}

#[derive(Serialize)]
struct Refused {
    name: String,
    version: String,
    code: &'static str,
    why: String,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde gives a reference")]
fn is_zero(number: &usize) -> bool {
    *number == 0
}

/// The status as JSON, with as many refusals as fit.
pub(super) fn status(pad: &impl PinPad, refused: &[(PackageId, PackageRefusal)]) -> Option<String> {
    let mut status = Status {
        life_cycle: pad.life_cycle(),
        refused: refused.iter().map(|(id, why)| Refused::of(id, why)).collect(),
        more_refused: 0,
    };
    loop {
        let text = serde_json::to_string(&status).ok()?;
        if text.len() <= MAX_STATUS {
            return Some(text);
        }
        status.refused.pop()?;
        status.more_refused = status.more_refused.saturating_add(1);
    }
}

impl Refused {
    fn of(id: &PackageId, why: &PackageRefusal) -> Refused {
        Refused {
            name: id.name.as_str().to_owned(),
            version: id.version.to_string(),
            code: why.code(),
            why: why.to_string().chars().take(MAX_WHY).collect(),
        }
    }
}
