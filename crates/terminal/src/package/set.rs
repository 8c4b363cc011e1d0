//! A set of packages becomes the next area.
//!
//! Each package of the set was checked alone. Here they meet: parameters are merged and must hold to the schema that the
//! next area has, and a new schema must suit the parameters that stay. What does not fit is left out by name, and what
//! depends on it; the rest goes on.

use serde_json::{Map, Value};
use wire::{Manifest, PackageId, PackageKind, PackageName};

use super::{PackageRefusal, merge, schema};
use crate::area::{AreaError, Areas, MAX_DOCUMENT, Next, Part};

/// A package of a set, whole and checked.
#[derive(Debug)]
pub(crate) struct Arrived {
    pub(crate) manifest: Manifest,
    pub(crate) part: Part,
}

/// A package and why it is left out.
type Refused = (PackageId, PackageRefusal);

/// Makes the next area of what is installed and this set, and switches to it; its first start is the next act. What
/// cannot be installed is added to `refused`, which also says what was refused before. Gives what is new; nothing is
/// switched when that is nothing.
pub(crate) fn install(
    areas: &mut Areas,
    mut set: Vec<Arrived>,
    refused: &mut Vec<Refused>,
) -> Result<Vec<PackageId>, AreaError> {
    leave_out_dependents(&mut set, refused);
    let mut made_room = false;
    while !set.is_empty() {
        match attempt(areas, &set) {
            Ok(Ok(())) => return Ok(set.into_iter().map(|arrived| arrived.manifest.id).collect()),
            Ok(Err((id, refusal))) => {
                set.retain(|arrived| arrived.manifest.id != id);
                refused.push((id, refusal));
                leave_out_dependents(&mut set, refused);
            }
            Err(AreaError::Full { .. }) => {
                // Half an area would only take room from the terminal's own state.
                areas.empty_next()?;
                if made_room || !areas.keep_only(set.iter().map(|arrived| &arrived.manifest))? {
                    refused
                        .extend(set.drain(..).map(|arrived| (arrived.manifest.id, PackageRefusal::NoRoom)));
                }
                made_room = true;
            }
            Err(error) => return Err(error),
        }
    }
    Ok(Vec::new())
}

fn attempt(areas: &mut Areas, set: &[Arrived]) -> Result<Result<(), Refused>, AreaError> {
    let mut next = areas.next()?;
    match fill(&mut next, set)? {
        Ok(()) => next.switch().map(Ok),
        Err(refused) => Ok(Err(refused)),
    }
}

/// Parameters need the schema that came with them: with one that did not, they would be judged by another.
fn leave_out_dependents(set: &mut Vec<Arrived>, refused: &mut Vec<Refused>) {
    let missing = |name: &PackageName| {
        let schema = schema::name_of(name)?;
        refused.iter().any(|(id, _)| id.name == schema).then_some(schema)
    };
    let dependents: Vec<Refused> = (set.iter().map(|arrived| &arrived.manifest.id))
        .filter(|id| id.kind == PackageKind::Parameters)
        .filter_map(|id| Some((id.clone(), PackageRefusal::DependsOn { name: missing(&id.name)? })))
        .collect();
    set.retain(|arrived| dependents.iter().all(|(id, _)| *id != arrived.manifest.id));
    refused.extend(dependents);
}

fn fill(next: &mut Next<'_>, set: &[Arrived]) -> Result<Result<(), Refused>, AreaError> {
    let of_kind = |parameters: bool| {
        let is =
            move |arrived: &&Arrived| (arrived.manifest.id.kind == PackageKind::Parameters) == parameters;
        set.iter().filter(is)
    };
    // Files first: a schema among them is the one that the parameters must hold to.
    for Arrived { manifest, part } in of_kind(false) {
        next.put_file(manifest, part)?;
    }
    for Arrived { manifest, part } in of_kind(true) {
        match document(next, &manifest.id.name, part)? {
            Ok(document) => next.put_document(manifest, &document)?,
            Err(refusal) => return Ok(Err((manifest.id.clone(), refusal))),
        }
    }
    for Arrived { manifest, .. } in of_kind(false) {
        if let Err(refusal) = suits_what_stays(next, &manifest.id.name)? {
            return Ok(Err((manifest.id.clone(), refusal)));
        }
    }
    Ok(Ok(()))
}

/// The document that a patch makes of the one there is, checked against its schema.
fn document(
    next: &Next<'_>,
    name: &PackageName,
    part: &Part,
) -> Result<Result<Vec<u8>, PackageRefusal>, AreaError> {
    let bad = |why: String| Ok(Err(PackageRefusal::Patch { why }));
    let Some(patch) = next.part(part)? else {
        return bad(format!("they are longer than {MAX_DOCUMENT} bytes"));
    };
    let patch: Value = match serde_json::from_slice(&patch) {
        Ok(patch) => patch,
        // Line and column, and no content.
        Err(error) => return bad(format!("no JSON at line {}, column {}", error.line(), error.column())),
    };
    let mut result = match next.document(name)? {
        Some(before) => serde_json::from_slice(&before).unwrap_or(Value::Null),
        None => Value::Object(Map::new()),
    };
    merge(&mut result, patch);
    let Some(schema) = schema::name_of(name) else {
        let why = "would have no name: take a shorter one for the parameters".into();
        return Ok(Err(PackageRefusal::Schema { name: name.to_string(), why }));
    };
    let Some(text) = next.data_file(&schema)? else {
        let why = "is missing: publish it as a data file and deploy both".into();
        return Ok(Err(PackageRefusal::Schema { name: schema.to_string(), why }));
    };
    if let Err(refusal) = schema::check(&schema, &text, &result) {
        return Ok(Err(refusal));
    }
    match serde_json::to_vec(&result) {
        Ok(bytes) if bytes.len() <= MAX_DOCUMENT => Ok(Ok(bytes)),
        _ => bad(format!("the document would be longer than {MAX_DOCUMENT} bytes")),
    }
}

/// A new schema must suit the parameters that are installed, be they new or not.
fn suits_what_stays(
    next: &Next<'_>,
    data_file: &PackageName,
) -> Result<Result<(), PackageRefusal>, AreaError> {
    let Some(parameters) = schema::parameters_of(data_file) else { return Ok(Ok(())) };
    let (Some(document), Some(text)) = (next.document(&parameters)?, next.data_file(data_file)?) else {
        return Ok(Ok(()));
    };
    let document: Value = serde_json::from_slice(&document).unwrap_or(Value::Null);
    Ok(schema::check(data_file, &text, &document))
}
