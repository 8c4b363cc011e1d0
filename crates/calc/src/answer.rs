//! One request, one answer.

use keyblock::{Header, KeyContext};
use serde::de::{DeserializeOwned, IgnoredAny};
use serde::{Serialize, Serializer};
use zeroize::Zeroizing;

use crate::{Algorithm, CheckValue, Error, MacAlgorithm, OpenedPin, Remarks, request, to_hex};

/// Bytes of an answer besides what the request holds.
const ANSWER_ROOM: usize = 1024;

/// The answer to one line, without a line break. There is always one: a line that is no JSON, or asks for what cannot
/// be, gets `{"ok":false,"error":{"code":…,"message":…}}`.
#[must_use]
pub fn answer(line: &str) -> String {
    respond(line.as_bytes())
}

/// [`answer`] for a line that may be no text at all.
pub(crate) fn respond(line: &[u8]) -> String {
    // Room for all of it: a growing buffer would leave pieces of a key behind.
    let mut text = Vec::with_capacity(line.len() + ANSWER_ROOM);
    let result = handle(line).and_then(|reply| {
        serde_json::to_writer(&mut text, &Good { ok: true, reply }).map_err(|_| Error::Internal)
    });
    if let Err(error) = result {
        return refusal(error);
    }
    String::from_utf8(text).unwrap_or_else(|_| refusal(Error::Internal))
}

/// The answer that says why there is none.
pub(crate) fn refusal(error: Error) -> String {
    let refusal = Bad { ok: false, error: Reason { code: error.code(), message: error.to_string() } };
    serde_json::to_string(&refusal).unwrap_or_else(|_| r#"{"ok":false}"#.to_owned())
}

#[derive(Serialize)]
struct Good {
    ok: bool,
    #[serde(flatten)]
    reply: Reply,
}

#[derive(Serialize)]
struct Bad {
    ok: bool,
    error: Reason,
}

#[derive(Serialize)]
struct Reason {
    code: &'static str,
    message: String,
}

/// Clear hexadecimal that is wiped when the answer was written.
struct Hex(Zeroizing<String>);

impl Hex {
    fn of(bytes: &[u8]) -> Self {
        Self(to_hex(bytes))
    }
}

impl Serialize for Hex {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

/// A clear PIN that is wiped when the answer was written.
struct Digits(OpenedPin);

impl Serialize for Digits {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.0.pin())
    }
}

#[derive(Serialize)]
#[serde(untagged)]
enum Reply {
    Opened {
        key: Hex,
        header: HeaderFields,
        optional: Vec<(String, String)>,
        #[serde(skip_serializing_if = "is_false")]
        weak: bool,
    },
    Wrapped {
        block: String,
        #[serde(skip_serializing_if = "is_false")]
        weak: bool,
    },
    Read {
        authenticated: bool,
        header: HeaderFields,
        optional: Vec<(String, String)>,
        encrypted_bytes: usize,
        mac: String,
    },
    CheckValue {
        kcv: Hex,
        #[serde(skip_serializing_if = "is_false")]
        weak: bool,
    },
    Mac {
        mac: Hex,
        #[serde(skip_serializing_if = "is_false")]
        weak: bool,
    },
    Parity {
        odd_parity: bool,
        with_odd_parity: Hex,
        #[serde(skip_serializing_if = "is_false")]
        weak: bool,
        weak_part: bool,
        semi_weak_part: bool,
        possibly_weak_part: bool,
        equal_parts: bool,
    },
    PinBlock {
        block: Hex,
        #[serde(skip_serializing_if = "is_false")]
        weak: bool,
    },
    Pin {
        pin: Digits,
        #[serde(skip_serializing_if = "is_false")]
        weak: bool,
    },
    Combined {
        key: Hex,
        kcv: Hex,
        components: Vec<ComponentFields>,
        #[serde(skip_serializing_if = "is_false")]
        weak: bool,
    },
}

#[derive(Serialize)]
struct HeaderFields {
    version: String,
    usage: String,
    algorithm: String,
    mode: String,
    key_version: String,
    exportability: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    key_context: Option<String>,
}

#[derive(Serialize)]
struct ComponentFields {
    kcv: Hex,
    #[serde(skip_serializing_if = "Option::is_none")]
    odd_parity: Option<bool>,
    #[serde(skip_serializing_if = "is_false")]
    weak: bool,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde gives a reference")]
fn is_false(value: &bool) -> bool {
    !*value
}

fn handle(line: &[u8]) -> Result<Reply, Error> {
    let op: request::Op =
        from_object(line).map_err(|_| match serde_json::from_slice::<IgnoredAny>(line) {
            Ok(_) => Error::NoOp,
            Err(_) => Error::NotJson,
        })?;
    match op.op.as_str() {
        "keyblock.unwrap" => unwrap(&read(line, "the texts kbpk and block")?),
        "keyblock.wrap" => wrap(&read(
            line,
            "the texts kbpk and key, the object header (version, usage, algorithm, mode, exportability, and perhaps \
             key_version and key_context), and perhaps the array optional of [id, text] and the number padded_length",
        )?),
        "keyblock.parse" => parse(&read(line, "the text block")?),
        "kcv" => kcv(&read(line, "the texts algorithm and key")?),
        "mac" => mac(&read(line, "the texts algorithm, key and data, and perhaps the number padding")?),
        "parity" => parity(&read(line, "the text key")?),
        "components" => {
            components(&read(line, "the array components of texts, and perhaps the text algorithm")?)
        }
        "pinblock.encode" => encode_pin(&read(
            line,
            "the number format, the text pin, and perhaps the texts pan (not format 1) and key (format 4, or to \
             encipher)",
        )?),
        "pinblock.decode" => decode_pin(&read(
            line,
            "the number format, the text block, and perhaps the texts pan (not format 1) and key (format 4, or to \
             decipher)",
        )?),
        _ => Err(Error::UnknownOp),
    }
}

/// Reads the request's own fields. What serde says of a defect may quote a key, so it is not passed on.
fn read<T: DeserializeOwned>(line: &[u8], fields: &'static str) -> Result<T, Error> {
    from_object(line).map_err(|_| Error::Fields { fields })
}

/// Reads one object that is the whole line.
fn from_object<T: DeserializeOwned>(line: &[u8]) -> serde_json::Result<T> {
    let mut deserializer = serde_json::Deserializer::from_slice(line);
    let value = request::object(&mut deserializer)?;
    deserializer.end()?;
    Ok(value)
}

fn unwrap(request: &request::Unwrap) -> Result<Reply, Error> {
    let opened = crate::unwrap(&request.kbpk.bytes("kbpk")?, &request.block)?;
    let (header, optional) = fields(&opened.header);
    Ok(Reply::Opened { key: Hex::of(opened.key()), header, optional, weak: opened.remarks.is_weak() })
}

fn wrap(request: &request::Wrap) -> Result<Reply, Error> {
    let kbpk = request.kbpk.bytes("kbpk")?;
    let key = request.key.bytes("key")?;
    let wrapped = crate::wrap(&kbpk, &request.header()?, &key, request.padded_length)?;
    Ok(Reply::Wrapped { block: wrapped.block, weak: wrapped.remarks.is_weak() })
}

fn parse(request: &request::Parse) -> Result<Reply, Error> {
    let block = crate::parse(&request.block)?;
    let (header, optional) = fields(&block.header);
    let crate::ReadBlock { encrypted_bytes, mac, .. } = block;
    Ok(Reply::Read { authenticated: false, header, optional, encrypted_bytes, mac })
}

fn kcv(request: &request::Kcv) -> Result<Reply, Error> {
    let check = crate::kcv(Algorithm::parse(&request.algorithm)?, &request.key.bytes("key")?)?;
    Ok(Reply::CheckValue { kcv: Hex::of(&check.value), weak: check.remarks.is_weak() })
}

fn mac(request: &request::Mac) -> Result<Reply, Error> {
    let algorithm = MacAlgorithm::parse(&request.algorithm)?;
    let padding = algorithm.padding(request.padding)?;
    let mac = crate::mac(algorithm, padding, &request.key.bytes("key")?, &request.data.bytes("data")?)?;
    Ok(Reply::Mac { mac: Hex::of(&mac.value), weak: mac.remarks.is_weak() })
}

fn parity(request: &request::Parity) -> Result<Reply, Error> {
    let parity = crate::parity(&request.key.bytes("key")?)?;
    Ok(Reply::Parity {
        odd_parity: parity.quality.odd_parity,
        with_odd_parity: Hex::of(parity.with_odd_parity()),
        weak: parity.is_weak(),
        weak_part: parity.quality.weak,
        semi_weak_part: parity.quality.semi_weak,
        possibly_weak_part: parity.quality.possibly_weak,
        equal_parts: parity.quality.equal_parts,
    })
}

fn components(request: &request::Components) -> Result<Reply, Error> {
    let algorithm = request.algorithm.as_deref().map_or(Ok(Algorithm::Tdes), Algorithm::parse)?;
    let bytes = request
        .components
        .iter()
        .map(|component| component.bytes("each component"))
        .collect::<Result<Vec<_>, _>>()?;
    let slices: Vec<&[u8]> = bytes.iter().map(|component| component.as_slice()).collect();
    let combined = crate::combine(algorithm, &slices)?;
    Ok(Reply::Combined {
        key: Hex::of(combined.key()),
        kcv: Hex::of(&combined.check.value),
        components: combined.components.iter().map(|component| component_fields(&component.check)).collect(),
        weak: combined.check.remarks.is_weak(),
    })
}

fn encode_pin(request: &request::EncodePin) -> Result<Reply, Error> {
    let key = request.key.as_ref().map(|key| key.bytes("key")).transpose()?;
    let pan = request.pan.as_ref().map(request::Secret::digits);
    let made =
        crate::encode_pin(request.format, request.pin.digits(), pan, key.as_deref().map(Vec::as_slice))?;
    Ok(Reply::PinBlock { block: Hex::of(made.block()), weak: made.remarks.is_weak() })
}

fn decode_pin(request: &request::DecodePin) -> Result<Reply, Error> {
    let (block, key) =
        (request.block.bytes("block")?, request.key.as_ref().map(|key| key.bytes("key")).transpose()?);
    let pan = request.pan.as_ref().map(request::Secret::digits);
    let opened = crate::decode_pin(request.format, &block, pan, key.as_deref().map(Vec::as_slice))?;
    Ok(Reply::Pin { weak: opened.remarks.is_weak(), pin: Digits(opened) })
}

fn component_fields(check: &CheckValue) -> ComponentFields {
    let remarks: &Remarks = &check.remarks;
    ComponentFields { kcv: Hex::of(&check.value), odd_parity: remarks.odd_parity(), weak: remarks.is_weak() }
}

fn fields(header: &Header) -> (HeaderFields, Vec<(String, String)>) {
    let context =
        (header.key_context != KeyContext::Unspecified).then(|| header.key_context.digit().to_string());
    let fields = HeaderFields {
        version: header.version.to_string(),
        usage: header.usage.to_string(),
        algorithm: header.algorithm.to_string(),
        mode: header.mode.to_string(),
        key_version: header.key_version.to_string(),
        exportability: header.exportability.to_string(),
        key_context: context,
    };
    let optional =
        header.optional.iter().map(|block| (block.id().to_owned(), block.text().to_owned())).collect();
    (fields, optional)
}
