//! From what comes in as HTTP to what the host side takes.

use axum::{
    extract::{FromRequest, Request},
    response::Response,
};
use base64ct::{Base64, Encoding};
use hsm::{Sensitive, commands::MAX_ITEMS};
use serde::Deserialize;
use zeroize::Zeroizing;

use super::super::body::{self, Defect};
use super::{
    answers::{refuse, unhex},
    types::{Batch, MacCheckItem, MacItem, Text, TranslateItem},
};
use crate::host::{MacRequest, PinRequest, TerminalName, Whose, refusal::HostRefusal};

/// The media type of requests.
const JSON: &str = "application/json";
/// Bytes of a PIN block and of a MAC under working keys of suite 01.
const TDES_BLOCK: usize = 8;
/// Bytes of both under working keys of suite 02.
const AES_BLOCK: usize = 16;

/// A whole JSON body.
pub(super) struct Body(pub(super) Zeroizing<Vec<u8>>);

impl<S: Send + Sync> FromRequest<S> for Body {
    type Rejection = Response;

    async fn from_request(request: Request, _: &S) -> Result<Self, Response> {
        body::whole(request, JSON).await.map(Self).map_err(|defect| {
            let text = match defect {
                Defect::Media => "send the request as application/json",
                Defect::TooLarge => "the request is larger than this server takes; split it",
                Defect::Broken => "the request did not arrive whole",
            };
            refuse(defect.status(), defect.code(), text)
        })
    }
}

/// Reads a body.
pub(super) fn read<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, HostRefusal> {
    serde_json::from_slice(body)
        .map_err(|error| HostRefusal::Unreadable { line: error.line(), column: error.column() })
}

/// Reads a body of many items.
pub(super) fn read_batch<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<Vec<T>, HostRefusal> {
    let batch: Batch<T> = read(body)?;
    if batch.items.is_empty() || batch.items.len() > MAX_ITEMS {
        return Err(HostRefusal::Malformed("items must hold 1 to 1024"));
    }
    Ok(batch.items)
}

pub(super) fn pin_request<'a>(item: &'a TranslateItem<'_>) -> Result<PinRequest<'a>, HostRefusal> {
    let block = unhex(&item.pin_block).filter(|block| [TDES_BLOCK, AES_BLOCK].contains(&block.len()));
    Ok(PinRequest {
        whose: whose(item.sn.as_ref(), item.terminal_id.as_ref(), item.slot)?,
        zone: &item.zone,
        from: item.from,
        to: item.to,
        // A block of another length is one more bad block: its code says no more than that.
        block: Sensitive::new(block.ok_or(HostRefusal::PinBlock)?),
        pan: Sensitive::new(item.pan.to_string()),
    })
}

pub(super) fn mac_request<'a>(item: &'a MacItem<'_>) -> Result<MacRequest<'a>, HostRefusal> {
    let whose = whose(item.sn.as_ref(), item.terminal_id.as_ref(), item.slot)?;
    Ok(MacRequest { whose, data: base64(&item.data)?, mac: None })
}

pub(super) fn mac_check<'a>(item: &'a MacCheckItem<'_>) -> Result<MacRequest<'a>, HostRefusal> {
    let whose = whose(item.sn.as_ref(), item.terminal_id.as_ref(), item.slot)?;
    let mac = unhex(&item.mac).filter(|mac| [TDES_BLOCK, AES_BLOCK].contains(&mac.len()));
    let mac =
        mac.ok_or(HostRefusal::Malformed("mac must be 16 hex digits, or 32 under a key of suite 02"))?;
    Ok(MacRequest { whose, data: base64(&item.data)?, mac: Some(mac) })
}

fn base64(text: &str) -> Result<Sensitive<Vec<u8>>, HostRefusal> {
    let data = Base64::decode_vec(text);
    data.map(Sensitive::new).map_err(|_| HostRefusal::Malformed("data must be base64 with its padding"))
}

pub(super) fn whose<'a>(
    sn: Option<&'a Text<'_>>,
    terminal_id: Option<&'a Text<'_>>,
    slot: u8,
) -> Result<Whose<'a>, HostRefusal> {
    let terminal = match (sn, terminal_id) {
        (Some(sn), None) => TerminalName::Serial(&sn.0),
        (None, Some(id)) => TerminalName::Id(&id.0),
        _ => return Err(HostRefusal::Malformed("name the terminal by sn or by terminal_id, one of them")),
    };
    Ok(Whose { terminal, slot })
}
