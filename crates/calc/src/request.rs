//! Requests as JSON says them.

use core::fmt;
use core::marker::PhantomData;

use keyblock::Header;
use serde::de::value::MapAccessDeserializer;
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use zeroize::Zeroizing;

use crate::keys::strict_hex;
use crate::{Error, HeaderText, header};

/// Only the operation; the other fields are read when it is known.
#[derive(Deserialize)]
pub(crate) struct Op {
    pub(crate) op: String,
}

/// Hexadecimal that may be a key, or digits of a PIN or a PAN.
pub(crate) struct Secret(Zeroizing<String>);

impl Secret {
    pub(crate) fn bytes(&self, what: &'static str) -> Result<Zeroizing<Vec<u8>>, Error> {
        strict_hex(&self.0, what)
    }

    pub(crate) fn digits(&self) -> &str {
        &self.0
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(|text| Self(Zeroizing::new(text)))
    }
}

#[derive(Deserialize)]
pub(crate) struct Unwrap {
    pub(crate) kbpk: Secret,
    pub(crate) block: String,
}

#[derive(Deserialize)]
pub(crate) struct Parse {
    pub(crate) block: String,
}

#[derive(Deserialize)]
pub(crate) struct Wrap {
    pub(crate) kbpk: Secret,
    pub(crate) key: Secret,
    #[serde(deserialize_with = "object")]
    header: HeaderFields,
    #[serde(default)]
    optional: Vec<(String, String)>,
    pub(crate) padded_length: Option<usize>,
}

#[derive(Deserialize)]
struct HeaderFields {
    version: String,
    usage: String,
    algorithm: String,
    mode: String,
    key_version: Option<String>,
    exportability: String,
    key_context: Option<String>,
}

#[derive(Deserialize)]
pub(crate) struct Kcv {
    pub(crate) algorithm: String,
    pub(crate) key: Secret,
}

#[derive(Deserialize)]
pub(crate) struct Mac {
    pub(crate) algorithm: String,
    pub(crate) padding: Option<u64>,
    pub(crate) key: Secret,
    pub(crate) data: Secret,
}

#[derive(Deserialize)]
pub(crate) struct Parity {
    pub(crate) key: Secret,
}

#[derive(Deserialize)]
pub(crate) struct Components {
    pub(crate) algorithm: Option<String>,
    pub(crate) components: Vec<Secret>,
}

#[derive(Deserialize)]
pub(crate) struct EncodePin {
    pub(crate) format: u64,
    pub(crate) pin: Secret,
    pub(crate) pan: Option<Secret>,
    pub(crate) key: Option<Secret>,
}

#[derive(Deserialize)]
pub(crate) struct DecodePin {
    pub(crate) format: u64,
    pub(crate) block: Secret,
    pub(crate) pan: Option<Secret>,
    pub(crate) key: Option<Secret>,
}

impl Wrap {
    /// The header that the request asks for.
    pub(crate) fn header(&self) -> Result<Header, Error> {
        let fields = &self.header;
        let text = HeaderText {
            version: &fields.version,
            usage: &fields.usage,
            algorithm: &fields.algorithm,
            mode: &fields.mode,
            key_version: fields.key_version.as_deref().unwrap_or("00"),
            exportability: &fields.exportability,
            key_context: fields.key_context.as_deref().unwrap_or("0"),
        };
        header(&text, &self.optional)
    }
}

/// Reads `T` from a JSON object only; serde by itself would take an array of the fields, too.
pub(crate) fn object<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<T, D::Error> {
    struct Object<T>(PhantomData<T>);

    impl<'de, T: Deserialize<'de>> Visitor<'de> for Object<T> {
        type Value = T;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an object")
        }

        fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<T, A::Error> {
            T::deserialize(MapAccessDeserializer::new(map))
        }
    }

    deserializer.deserialize_map(Object(PhantomData))
}
