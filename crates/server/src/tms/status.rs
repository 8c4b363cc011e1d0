//! What a terminal says of itself (DF2D): kept as it is, without card data.

use serde_json::{Map, Value};
use store::limits::STATUS;

/// Digits of the shortest and of the longest card number (ISO/IEC 7812-1).
const PAN_DIGITS: std::ops::RangeInclusive<usize> = 13..=19;

/// Why a status is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum StatusError {
    /// It is too long.
    #[error("the status has more than {STATUS} bytes")]
    TooLong,
    /// It is no JSON object.
    #[error("the status is no JSON object")]
    NoObject,
}

/// Checks a status, and gives it as it is kept: whatever may be a card number has stars in place of its digits. A
/// terminal must not send one (2-wire.md section 2); a fault in its application must not fill our database with them.
///
/// # Errors
/// [`StatusError`].
pub fn clean(status: &str) -> Result<String, StatusError> {
    if status.len() > STATUS {
        return Err(StatusError::TooLong);
    }
    match serde_json::from_str(status) {
        Ok(Value::Object(object)) => Ok(Value::Object(clean_object(object)).to_string()),
        _ => Err(StatusError::NoObject),
    }
}

fn clean_object(object: Map<String, Value>) -> Map<String, Value> {
    object.into_iter().map(|(name, value)| (masked(&name).unwrap_or(name), clean_value(value))).collect()
}

fn clean_value(value: Value) -> Value {
    match value {
        Value::Object(object) => Value::Object(clean_object(object)),
        Value::Array(values) => Value::Array(values.into_iter().map(clean_value).collect()),
        Value::String(text) => Value::String(masked(&text).unwrap_or(text)),
        Value::Number(number) => masked(&number.to_string()).map_or(Value::Number(number), Value::String),
        other => other,
    }
}

/// The text with stars for card numbers; nothing if there are none. Digits count as one number with single spaces or
/// hyphens between them, as people write card numbers.
fn masked(text: &str) -> Option<String> {
    let mut bytes = text.as_bytes().to_vec();
    let (mut run, mut found): (Vec<usize>, bool) = (Vec::new(), false);
    for (at, byte) in text.bytes().enumerate() {
        if byte.is_ascii_digit() {
            run.push(at);
            continue;
        }
        let joins = matches!(byte, b' ' | b'-')
            && run.last().is_some_and(|last| last + 1 == at)
            && text.as_bytes().get(at + 1).is_some_and(u8::is_ascii_digit);
        if !joins {
            found |= mask(&mut bytes, &run);
            run.clear();
        }
    }
    found |= mask(&mut bytes, &run);
    // Digits became stars, byte for byte: it is still UTF-8.
    found.then(|| String::from_utf8_lossy(&bytes).into_owned())
}

/// Puts stars over the digits at these places if they are a card number, or hold one.
fn mask(bytes: &mut [u8], run: &[usize]) -> bool {
    let digits: Vec<u8> = run.iter().filter_map(|at| bytes.get(*at).copied()).collect();
    let longest = *PAN_DIGITS.end();
    let holds_one = if digits.len() <= longest {
        PAN_DIGITS.contains(&digits.len()) && luhn(&digits)
    } else {
        PAN_DIGITS.clone().any(|length| digits.windows(length).any(luhn))
    };
    if holds_one {
        for at in run {
            if let Some(byte) = bytes.get_mut(*at) {
                *byte = b'*';
            }
        }
    }
    holds_one
}

/// The check digit of ISO/IEC 7812-1, annex B, over ASCII digits.
fn luhn(digits: &[u8]) -> bool {
    let weigh = |(at, digit): (usize, &u8)| {
        let digit = u32::from(digit.saturating_sub(b'0'));
        if at % 2 == 0 { digit } else { digit * 2 / 10 + digit * 2 % 10 }
    };
    digits.iter().rev().enumerate().map(weigh).sum::<u32>() % 10 == 0
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_status_is_kept_as_it_is() {
        let status = json!({ "battery": 87, "uptime": 1_795_178_096, "sim": "8986012345", "ok": true, "x": [null, -1.5] });
        assert_eq!(serde_json::from_str::<Value>(&clean(&status.to_string()).unwrap()).unwrap(), status);
        assert_eq!(clean("{}").unwrap(), "{}");
    }

    #[test]
    fn what_is_too_long_or_no_object_is_refused() {
        let of_length = |length: usize| format!("{{\"a\":\"{}\"}}", "x".repeat(length - 8));
        assert!(clean(&of_length(4_096)).is_ok());
        assert_eq!(clean(&of_length(4_097)), Err(StatusError::TooLong));
        for text in ["", "[]", "\"a\"", "7", "null", "{", "{}{}", "{\"a\":1,}"] {
            assert_eq!(clean(text), Err(StatusError::NoObject), "{text}");
        }
        assert_eq!(clean(&"[".repeat(4_000)), Err(StatusError::NoObject), "and not too deep to be looked at");
    }

    /// The networks' public test numbers.
    #[test]
    fn r33_card_numbers_are_masked_wherever_they_stand() {
        for (given, kept) in [
            (json!({ "a": "4111111111111111" }), json!({ "a": "****************" })),
            (json!({ "a": 4111111111111111_u64 }), json!({ "a": "****************" })),
            (json!({ "4111111111111111": 1 }), json!({ "****************": 1 })),
            (
                json!({ "a": [{ "b": ["5555555555554444"] }] }),
                json!({ "a": [{ "b": ["****************"] }] }),
            ),
            (json!({ "a": "378282246310005" }), json!({ "a": "***************" })),
            (json!({ "a": "card 4111 1111 1111 1111!" }), json!({ "a": "card **** **** **** ****!" })),
            (json!({ "a": "4111-1111-1111-1111" }), json!({ "a": "****-****-****-****" })),
            (json!({ "a": ";4111111111111111=2512?" }), json!({ "a": ";****************=2512?" })),
            (json!({ "a": "ü4222222222222ü" }), json!({ "a": "ü*************ü" })),
            (json!({ "a": "00004111111111111111251200" }), json!({ "a": "**************************" })),
        ] {
            let cleaned: Value = serde_json::from_str(&clean(&given.to_string()).unwrap()).unwrap();
            assert_eq!(cleaned, kept);
        }
    }

    #[test]
    fn numbers_that_no_card_has_stay() {
        for text in [
            "4111111111111112",
            "411111111111",
            "2026-11-21 00:27:41",
            "4111  1111 1111 1111",
            "4111.1111.1111.1111",
        ] {
            let given = json!({ "a": text }).to_string();
            assert_eq!(clean(&given).unwrap(), given, "{text}");
        }
    }
}
