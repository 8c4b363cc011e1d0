//! The messages of the sealed phase (2-wire.md section 3, types 35–39): inner payloads, without a frame's length field.
//! Every suite has the same; suite 02 takes their fields in ascending order only.

use alloc::{borrow::ToOwned, string::String, vec::Vec};

use wire::{
    ErrorCode, Fields, Frame, Malformed, MessageType, PackageId, PackageName, PackageVersion, PlanEntry, Tag,
    error_frame,
    limits::{MAX_LENGTH_WANTED, MAX_STATUS},
};

use super::sealed::INNER_MAX;
use crate::{ProtocolError, Suite, refusal_record};

/// DF24.
const YES: u8 = 0x01;
/// DF3C: good, failed.
const RESULT_GOOD: u8 = 0x00;
const RESULT_FAILED: u8 = 0x01;

/// TMS_INVENTORY: terminal → TMS. What is installed now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inventory {
    /// Each package with its version (FF22).
    pub installed: Vec<PackageId>,
    /// The terminal's status (DF2D): UTF-8, up to 4 096 bytes; that it is a JSON object is for the reader to check.
    pub status: Option<String>,
}

impl Inventory {
    /// Reads a TMS_INVENTORY.
    ///
    /// # Errors
    /// When the payload is another message or malformed.
    pub fn from_payload<S: Suite>(payload: &[u8]) -> Result<Inventory, ProtocolError> {
        let fields = read::<S>(payload, MessageType::TmsInventory)?;
        Ok(Inventory { installed: installed(&fields)?, status: status(&fields)? })
    }

    /// Writes it.
    ///
    /// # Errors
    /// [`ProtocolError::Unwritable`] for more packages than fit, or a status that is too long.
    pub fn to_payload(&self) -> Result<Vec<u8>, ProtocolError> {
        write(MessageType::TmsInventory, |fields| {
            push_installed(fields, &self.installed)?;
            push_status(fields, self.status.as_deref())
        })
    }
}

/// TMS_PLAN: TMS → terminal. What it may load.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// The packages (FF22), in the order in which they are to be loaded.
    pub entries: Vec<PlanEntry>,
    /// Whether there is more to ask for after these are loaded (DF24).
    pub more: bool,
}

impl Plan {
    /// As many of the first entries as fit into one message; `more` if not all do, or if it is so already.
    pub fn fitting(mut entries: Vec<PlanEntry>, more: bool) -> Plan {
        // Version, type, and DF24 with its value.
        let mut length = 2 + 4;
        let fit = entries.iter().take_while(|entry| {
            let Ok(bytes) = entry.to_fields().and_then(|fields| fields.encode()) else { return false };
            length += ENTRY_HEADER + bytes.len();
            length <= INNER_MAX
        });
        let fit = fit.count();
        let more = more || fit < entries.len();
        entries.truncate(fit);
        Plan { entries, more }
    }

    /// Reads a TMS_PLAN.
    ///
    /// # Errors
    /// When the payload is another message or malformed.
    pub fn from_payload<S: Suite>(payload: &[u8]) -> Result<Plan, ProtocolError> {
        let fields = read::<S>(payload, MessageType::TmsPlan)?;
        let entries = fields.templates(Tag::PACKAGE_ENTRY).map(PlanEntry::from_fields);
        let more = match fields.get(Tag::MORE) {
            None => false,
            Some([YES]) => true,
            Some([_]) => return Err(Malformed::FieldValue { tag: Tag::MORE }.into()),
            Some(other) => {
                return Err(Malformed::FieldLength { tag: Tag::MORE, found: other.len() }.into());
            }
        };
        Ok(Plan { entries: entries.collect::<Result<_, _>>()?, more })
    }

    /// Writes it.
    ///
    /// # Errors
    /// [`ProtocolError::Unwritable`] for more than fits; see [`Plan::fitting`].
    pub fn to_payload(&self) -> Result<Vec<u8>, ProtocolError> {
        write(MessageType::TmsPlan, |fields| {
            for entry in &self.entries {
                fields.push_template(Tag::PACKAGE_ENTRY, entry.to_fields()?)?;
            }
            if self.more { fields.push(Tag::MORE, &[YES]) } else { Ok(()) }
        })
    }
}

/// Most bytes of a tag and a length.
const ENTRY_HEADER: usize = 5;

/// TMS_GET: terminal → TMS. A piece of a package.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Get {
    /// The package's name (DF41).
    pub name: PackageName,
    /// Its version (DF42).
    pub version: PackageVersion,
    /// From which byte (DF46).
    pub offset: u64,
    /// How many bytes (DF47): 1 to [`MAX_LENGTH_WANTED`].
    pub wanted: u32,
}

impl Get {
    /// Reads a TMS_GET.
    ///
    /// # Errors
    /// When the payload is another message or malformed, or wants nothing or too much.
    pub fn from_payload<S: Suite>(payload: &[u8]) -> Result<Get, ProtocolError> {
        let fields = read::<S>(payload, MessageType::TmsGet)?;
        let (name, version) = fields.package()?;
        let wanted = u32::from_be_bytes(fields.exactly(Tag::LENGTH_WANTED)?);
        if !(1..=MAX_LENGTH_WANTED).contains(&wanted) {
            return Err(Malformed::FieldValue { tag: Tag::LENGTH_WANTED }.into());
        }
        Ok(Get { name, version, offset: offset(&fields)?, wanted })
    }

    /// Writes it.
    ///
    /// # Errors
    /// None in practice: its fields are short.
    pub fn to_payload(&self) -> Result<Vec<u8>, ProtocolError> {
        write(MessageType::TmsGet, |fields| {
            fields.push_package(&self.name, &self.version)?;
            fields.push(Tag::OFFSET, &self.offset.to_be_bytes())?;
            fields.push(Tag::LENGTH_WANTED, &self.wanted.to_be_bytes())
        })
    }
}

/// TMS_DATA: TMS → terminal. The piece that was asked for.
#[derive(Clone, PartialEq, Eq)]
pub struct Data {
    /// The package's name (DF41).
    pub name: PackageName,
    /// Its version (DF42).
    pub version: PackageVersion,
    /// From which byte (DF46).
    pub offset: u64,
    /// The bytes (DF48): as many as were wanted, or what is left.
    pub data: Vec<u8>,
}

impl Data {
    /// Reads a TMS_DATA.
    ///
    /// # Errors
    /// When the payload is another message or malformed, or holds more than can be asked for.
    pub fn from_payload<S: Suite>(payload: &[u8]) -> Result<Data, ProtocolError> {
        let fields = read::<S>(payload, MessageType::TmsData)?;
        let (name, version) = fields.package()?;
        let data = fields.required(Tag::DATA)?;
        if u32::try_from(data.len()).map_or(true, |length| length > MAX_LENGTH_WANTED) {
            return Err(Malformed::FieldLength { tag: Tag::DATA, found: data.len() }.into());
        }
        Ok(Data { name, version, offset: offset(&fields)?, data: data.to_owned() })
    }

    /// Writes it.
    ///
    /// # Errors
    /// [`ProtocolError::Unwritable`] for more data than fits.
    pub fn to_payload(&self) -> Result<Vec<u8>, ProtocolError> {
        write(MessageType::TmsData, |fields| {
            fields.push_package(&self.name, &self.version)?;
            fields.push(Tag::OFFSET, &self.offset.to_be_bytes())?;
            fields.push(Tag::DATA, &self.data)
        })
    }
}

/// Shows how much, not what.
impl core::fmt::Debug for Data {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let Data { name, version, offset, data } = self;
        write!(f, "Data({name} {version}, {} bytes from {offset})", data.len())
    }
}

/// TMS_REPORT: terminal → TMS. How it went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// What is installed now (FF22).
    pub installed: Vec<PackageId>,
    /// Whether everything that was planned is installed and started (DF3C).
    pub good: bool,
    /// The terminal's status (DF2D), as in [`Inventory`].
    pub status: Option<String>,
    /// Records of refusals (FF23), as they came.
    pub refusals: Vec<Fields>,
}

impl Report {
    /// Reads a TMS_REPORT.
    ///
    /// # Errors
    /// When the payload is another message or malformed.
    pub fn from_payload<S: Suite>(payload: &[u8]) -> Result<Report, ProtocolError> {
        let fields = read::<S>(payload, MessageType::TmsReport)?;
        let good = match fields.exactly(Tag::RESULT)? {
            [RESULT_GOOD] => true,
            [RESULT_FAILED] => false,
            [_] => return Err(Malformed::FieldValue { tag: Tag::RESULT }.into()),
        };
        Ok(Report {
            installed: installed(&fields)?,
            good,
            status: status(&fields)?,
            refusals: refusal_record::read(&fields)?,
        })
    }

    /// Writes it.
    ///
    /// # Errors
    /// [`ProtocolError::Unwritable`] for more than fits, or a status that is too long.
    pub fn to_payload(&self) -> Result<Vec<u8>, ProtocolError> {
        write(MessageType::TmsReport, |fields| {
            push_installed(fields, &self.installed)?;
            fields.push(Tag::RESULT, &[if self.good { RESULT_GOOD } else { RESULT_FAILED }])?;
            push_status(fields, self.status.as_deref())?;
            refusal_record::push(fields, &self.refusals)
        })
    }
}

/// DONE: TMS → terminal, the answer to TMS_REPORT.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Done;

impl Done {
    /// Reads a sealed DONE.
    ///
    /// # Errors
    /// When the payload is another message or malformed.
    pub fn from_payload<S: Suite>(payload: &[u8]) -> Result<Done, ProtocolError> {
        read::<S>(payload, MessageType::Done).map(|_| Done)
    }

    /// Writes it.
    ///
    /// # Errors
    /// None in practice: it has a fixed size.
    pub fn to_payload(&self) -> Result<Vec<u8>, ProtocolError> {
        write(MessageType::Done, |_| Ok(()))
    }
}

/// The inner payload of a sealed ERROR.
pub fn error_payload(code: ErrorCode, text: &str) -> Vec<u8> {
    error_frame(code, text).payload().to_owned()
}

/// The fields of the one message that may come. A sealed ERROR ends the flow as a clear one does.
fn read<S: Suite>(payload: &[u8], expected: MessageType) -> Result<Fields, ProtocolError> {
    S::read(&Frame::from_payload(payload)?, expected)
}

/// Fields in ascending order, which suite 02 demands and suite 01 takes.
fn write(
    kind: MessageType,
    fill: impl FnOnce(&mut Fields) -> Result<(), Malformed>,
) -> Result<Vec<u8>, ProtocolError> {
    let mut fields = Fields::new();
    fill(&mut fields).map_err(ProtocolError::Unwritable)?;
    let frame = Frame::new(kind, &fields.ascending()).map_err(ProtocolError::Unwritable)?;
    let length = frame.payload().len();
    if length > INNER_MAX {
        return Err(ProtocolError::Unwritable(Malformed::FrameTooLong { length }));
    }
    Ok(frame.payload().to_owned())
}

fn installed(fields: &Fields) -> Result<Vec<PackageId>, Malformed> {
    fields.templates(Tag::PACKAGE_ENTRY).map(PackageId::from_fields).collect()
}

fn push_installed(fields: &mut Fields, installed: &[PackageId]) -> Result<(), Malformed> {
    installed.iter().try_for_each(|id| fields.push_template(Tag::PACKAGE_ENTRY, id.to_fields()))
}

fn status(fields: &Fields) -> Result<Option<String>, Malformed> {
    let Some(status) = fields.get(Tag::STATUS) else { return Ok(None) };
    if status.len() > MAX_STATUS {
        return Err(Malformed::FieldLength { tag: Tag::STATUS, found: status.len() });
    }
    let text = core::str::from_utf8(status).map_err(|_| Malformed::FieldValue { tag: Tag::STATUS })?;
    Ok(Some(text.to_owned()))
}

fn push_status(fields: &mut Fields, status: Option<&str>) -> Result<(), Malformed> {
    match status {
        None => Ok(()),
        Some(status) if status.len() > MAX_STATUS => {
            Err(Malformed::FieldLength { tag: Tag::STATUS, found: status.len() })
        }
        Some(status) => fields.push(Tag::STATUS, status.as_bytes()),
    }
}

fn offset(fields: &Fields) -> Result<u64, Malformed> {
    fields.exactly(Tag::OFFSET).map(u64::from_be_bytes)
}
