//! JSON read strictly, and its canonical form.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Unexpected, Visitor};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Number, Value};

use crate::limits;

/// The RFC 8785 form of anything that serialises to JSON: what MACs are over.
///
/// # Errors
/// What no JSON can say: a map whose keys are no texts, a number that is none.
pub fn canonical<T: Serialize>(value: &T) -> Result<Vec<u8>, serde_json::Error> {
    serde_json_canonicalizer::to_vec(value)
}

/// Reads a text in which each name stands once in its object and each number is one that all programs read alike.
pub(crate) fn read(text: &[u8]) -> Result<Value, serde_json::Error> {
    serde_json::from_slice::<Strict>(text).map(|strict| strict.0)
}

struct Strict(Value);

impl<'de> Deserialize<'de> for Strict {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Strict, D::Error> {
        StrictValue.deserialize(deserializer).map(Strict)
    }
}

#[derive(Clone, Copy)]
struct StrictValue;

impl<'de> DeserializeSeed<'de> for StrictValue {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for StrictValue {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON whose names stand once and whose numbers all programs read alike")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_u64<E: serde::de::Error>(self, value: u64) -> Result<Value, E> {
        if value > limits::WHOLE {
            return Err(E::invalid_value(Unexpected::Unsigned(value), &self));
        }
        Ok(Value::from(value))
    }

    fn visit_i64<E: serde::de::Error>(self, value: i64) -> Result<Value, E> {
        if value.unsigned_abs() > limits::WHOLE {
            return Err(E::invalid_value(Unexpected::Signed(value), &self));
        }
        Ok(Value::from(value))
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Value, E> {
        Number::from_f64(value)
            .map(Value::Number)
            .ok_or_else(|| E::invalid_value(Unexpected::Float(value), &self))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value::String(value))
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
        let mut values = Vec::new();
        while let Some(value) = seq.next_element_seed(self)? {
            values.push(value);
        }
        Ok(Value::Array(values))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let mut object = Map::new();
        while let Some(name) = members.next_key::<String>()? {
            if object.contains_key(&name) {
                return Err(A::Error::custom(format_args!("the name {name:?} stands twice in an object")));
            }
            let value = members.next_value_seed(self)?;
            object.insert(name, value);
        }
        Ok(Value::Object(object))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn why(text: &str) -> String {
        read(text.as_bytes()).unwrap_err().to_string()
    }

    #[test]
    fn a_name_twice_is_refused_at_any_depth() {
        assert!(why(r#"{"a":1,"a":1}"#).contains("\"a\" stands twice"));
        assert!(why(r#"[{"x":{"b":1,"b":2}}]"#).contains("\"b\" stands twice"));
        // The same name in two writings is one name.
        assert!(why(r#"{"a":1,"\u0061":2}"#).contains("\"a\" stands twice"));
        assert!(read(br#"{"a":{"a":1},"b":[{"a":1},{"a":1}]}"#).is_ok());
    }

    #[test]
    fn whole_numbers_end_where_programs_begin_to_differ() {
        assert!(read(b"9007199254740991").is_ok());
        assert!(read(b"9007199254740992").is_err());
        assert!(read(b"-9007199254740991").is_ok());
        assert!(read(b"-9007199254740992").is_err());
        assert!(read(b"1e400").is_err());
    }

    #[test]
    fn a_text_is_one_document_and_not_without_end_deep() {
        assert!(read(b"{} {}").is_err());
        assert!(read("[".repeat(100_000).as_bytes()).is_err());
        assert!(read(b"\"\xff\"").is_err());
        assert!(read(br#""\ud800""#).is_err());
    }
}
