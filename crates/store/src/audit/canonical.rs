//! One text for one JSON value, so that two servers write the same bytes for the same event.

use std::fmt::Write;

use serde_json::Value;

/// The value without spaces and with its members in the order of their names (UTF-16 code units, as in
/// RFC 8785 section 3.2.3). Numbers are as `serde_json` prints them, which is enough for one program's own texts.
pub(crate) fn canonical_json(value: &Value) -> String {
    let mut text = String::new();
    write_value(&mut text, value);
    text
}

fn write_value(out: &mut String, value: &Value) {
    match value {
        Value::Array(items) => {
            out.push('[');
            for (i, item) in items.iter().enumerate() {
                if i > 0 {
                    out.push(',');
                }
                write_value(out, item);
            }
            out.push(']');
        }
        Value::Object(members) => {
            let mut sorted: Vec<_> = members.iter().collect();
            sorted.sort_by(|(a, _), (b, _)| a.encode_utf16().cmp(b.encode_utf16()));
            out.push('{');
            for (i, (name, member)) in sorted.into_iter().enumerate() {
                if i > 0 {
                    out.push(',');
                }
                write_value(out, &Value::String(name.clone()));
                out.push(':');
                write_value(out, member);
            }
            out.push('}');
        }
        // Writing to a String cannot fail.
        scalar => write!(out, "{scalar}").unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn members_are_sorted_at_every_depth_and_no_space_is_left() {
        let value = json!({"b": [1, {"z": null, "a": true}], "a": "x y"});
        assert_eq!(canonical_json(&value), r#"{"a":"x y","b":[1,{"a":true,"z":null}]}"#);
    }

    #[test]
    fn names_sort_by_utf16_as_rfc_8785_says() {
        // RFC 8785 section 3.2.3, the example's order: "\r", "1", "\u{80}", "ö", "€", "😀", "\u{fb33}".
        let value = json!({"€": 1, "\r": 2, "\u{fb33}": 3, "1": 4, "😀": 5, "\u{80}": 6, "ö": 7});
        assert_eq!(
            canonical_json(&value),
            "{\"\\r\":2,\"1\":4,\"\u{80}\":6,\"ö\":7,\"€\":1,\"😀\":5,\"\u{fb33}\":3}"
        );
    }

    #[test]
    fn text_survives_a_round_trip() {
        let value = json!({"quote": "\"\\\u{0}\u{7f}é"});
        let back: Value = serde_json::from_str(&canonical_json(&value)).unwrap();
        assert_eq!(back, value);
    }
}
