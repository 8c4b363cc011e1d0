//! From what the host side says to what goes out as HTTP.

use axum::{
    http::{HeaderValue, StatusCode, header::CONTENT_TYPE},
    response::{IntoResponse, Response},
};
use serde::Serialize;

use super::types::{ErrorBody, ErrorText, ItemResult};
use crate::host::{
    MacResult,
    refusal::{HostError, HostRefusal},
};

/// 200 with this.
pub(super) fn ok<T: Serialize>(answer: &T) -> Response {
    json(StatusCode::OK, answer)
}

/// A refusal of the request.
pub(super) fn refuse(status: StatusCode, code: &'static str, text: impl Into<String>) -> Response {
    json(status, &ErrorBody { error: ErrorText { code, text: text.into() } })
}

/// What went wrong with a whole request.
pub(super) fn fail(error: &HostError) -> Response {
    match error {
        HostError::Refused(refusal) => refuse(status(*refusal), refusal.code(), refusal.to_string()),
        HostError::Failure(failure) => {
            tracing::error!(%failure, "a POSP's request failed");
            let text = "the server failed; its log says why. Try again later";
            refuse(StatusCode::INTERNAL_SERVER_ERROR, "internal", text)
        }
    }
}

/// A translation, one of a batch.
pub(super) fn translated(result: Result<Vec<u8>, HostRefusal>) -> ItemResult {
    match result {
        Ok(block) => ItemResult { ok: true, pin_block: Some(hex(&block)), ..ItemResult::default() },
        Err(refusal) => refused(refusal),
    }
}

/// A MAC, one of a batch.
pub(super) fn mac(result: Result<MacResult, HostRefusal>) -> ItemResult {
    match result {
        Ok(MacResult::Made(mac)) => ItemResult { ok: true, mac: Some(hex(&mac)), ..ItemResult::default() },
        Ok(MacResult::Checked(true)) => ItemResult { ok: true, ..ItemResult::default() },
        Ok(MacResult::Checked(false)) => {
            let text = Some("the MAC is not the one of this terminal and these data".into());
            ItemResult { code: Some("wrong-mac"), text, ..ItemResult::default() }
        }
        Err(refusal) => refused(refusal),
    }
}

/// An item that was refused.
pub(super) fn refused(refusal: HostRefusal) -> ItemResult {
    ItemResult { code: Some(refusal.code()), text: Some(refusal.to_string()), ..ItemResult::default() }
}

/// Upper-case hex.
pub(super) fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    let digit = |value: u8| char::from(DIGITS.get(usize::from(value & 0x0F)).copied().unwrap_or(b'0'));
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(*byte)]).collect()
}

/// Bytes of hex in either case; nothing when it is none.
pub(super) fn unhex(text: &str) -> Option<Vec<u8>> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|value| u8::try_from(value).ok());
    if !text.len().is_multiple_of(2) {
        return None;
    }
    text.as_bytes()
        .chunks_exact(2)
        .map(|pair| match pair {
            [high, low] => Some(digit(*high)? << 4 | digit(*low)?),
            _ => None,
        })
        .collect()
}

fn status(refusal: HostRefusal) -> StatusCode {
    match refusal {
        HostRefusal::Malformed(_) | HostRefusal::Unreadable { .. } => StatusCode::BAD_REQUEST,
        HostRefusal::UnknownTerminal => StatusCode::NOT_FOUND,
        HostRefusal::NoWorkingKey
        | HostRefusal::WorkingKeyExpired
        | HostRefusal::NoSignIn
        | HostRefusal::NoTmk => StatusCode::CONFLICT,
        HostRefusal::Busy => StatusCode::TOO_MANY_REQUESTS,
        HostRefusal::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        HostRefusal::UnknownZone
        | HostRefusal::Format
        | HostRefusal::Pan
        | HostRefusal::PinBlock
        | HostRefusal::MacData
        | HostRefusal::Suite
        | HostRefusal::NotProven => StatusCode::UNPROCESSABLE_ENTITY,
    }
}

fn json<T: Serialize>(status: StatusCode, answer: &T) -> Response {
    match serde_json::to_vec(answer) {
        Ok(body) => {
            (status, [(CONTENT_TYPE, HeaderValue::from_static("application/json"))], body).into_response()
        }
        Err(error) => {
            tracing::error!(%error, "an answer cannot be written");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hex_goes_there_and_back_and_nothing_else_is_hex() {
        assert_eq!(hex(&[0x00, 0x9A, 0xFF]), "009AFF");
        assert_eq!(unhex("009aFf"), Some(vec![0x00, 0x9A, 0xFF]));
        assert_eq!(unhex(""), Some(Vec::new()));
        for bad in ["0", "0g", "+1", " 1", "é"] {
            assert_eq!(unhex(bad), None, "{bad:?}");
        }
    }
}
