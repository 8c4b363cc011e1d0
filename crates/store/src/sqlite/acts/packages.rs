//! Packages: published once, withdrawn once.

use rusqlite::{OptionalExtension, params};
use serde_json::json;

use super::super::error::Db;
use super::super::reads;
use super::super::writer::Tx;
use super::{at_most, integer, to_json, vendors, with_facts};
use crate::audit::hex;
use crate::{Event, NewPackage, Package, PackageOutcome, StoreError, StoredSignature, limits};

pub(in crate::sqlite) fn put(
    tx: &Tx<'_>,
    package: &NewPackage,
    event: &Event,
) -> Result<PackageOutcome, StoreError> {
    at_most("a package's name", package.name.len(), limits::NAME)?;
    at_most("a package's version", package.version.len(), limits::VERSION)?;
    at_most("a package's path", package.path.len(), limits::PATH)?;
    for signature in std::iter::once(&package.signature).chain(&package.approval) {
        at_most("a package's certificate", signature.certificate.len(), limits::DER)?;
        at_most("a package's intermediate certificates", signature.intermediates.len(), limits::DER)?;
        at_most("a package's signature", signature.signature.len(), limits::DER)?;
    }
    if package.kind == 0 {
        return Err(StoreError::Invalid("a package's kind is 1 or more (DF43)"));
    }
    if package.size > limits::FILE {
        return Err(StoreError::Invalid("a package has at most 4 GiB"));
    }
    vendors::known(tx, &package.vendor)?;
    match tx.read(|db| reads::packages::find(db, &package.vendor, &package.name, &package.version))? {
        Some(there) => again(tx, package, &there, event),
        None => insert(tx, package, event).map(PackageOutcome::Stored),
    }
}

fn insert(tx: &Tx<'_>, package: &NewPackage, event: &Event) -> Result<i64, StoreError> {
    let models = to_json("a package's models", &package.models, limits::JSON)?;
    let requires = to_json("a package's requirements", &package.requires, limits::JSON)?;
    let approval = package.approval.as_ref();
    let id: i64 = tx
        .prepare(
            "INSERT INTO packages (vendor, name, version, kind, models, size, sha256, certificate, intermediates,
                signature, approval_certificate, approval_intermediates, approval_signature, requires, path,
                published_at)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16) RETURNING id",
        )?
        .query_row(
            params![
                package.vendor,
                package.name,
                package.version,
                package.kind,
                models,
                integer("a package has at most 4 GiB", package.size)?,
                package.sha256,
                package.signature.certificate,
                package.signature.intermediates,
                package.signature.signature,
                approval.map(|a| &a.certificate),
                approval.map(|a| &a.intermediates),
                approval.map(|a| &a.signature),
                requires,
                package.path,
                event.at
            ],
            |row| row.get(0),
        )
        .db()?;
    tx.append(&with_facts(event, facts(id, package)))?;
    Ok(id)
}

/// The same name and version again: what a signature is over must be the same; where it lies and who approved it may
/// have changed.
fn again(
    tx: &Tx<'_>,
    package: &NewPackage,
    there: &Package,
    event: &Event,
) -> Result<PackageOutcome, StoreError> {
    let same = there.kind == package.kind
        && there.size == package.size
        && there.sha256 == package.sha256
        && there.models == package.models
        && there.requires == package.requires;
    if !same {
        return Ok(PackageOutcome::Differs);
    }
    let approval = there.approval.as_ref().or(package.approval.as_ref());
    if there.path == package.path && there.approval.as_ref() == approval {
        return Ok(PackageOutcome::AlreadyThere(there.id));
    }
    let part = |part: fn(&StoredSignature) -> &Vec<u8>| approval.map(part);
    tx.prepare(
        "UPDATE packages SET path = ?2, approval_certificate = ?3, approval_intermediates = ?4,
            approval_signature = ?5 WHERE id = ?1",
    )?
    .execute(params![
        there.id,
        package.path,
        part(|a| &a.certificate),
        part(|a| &a.intermediates),
        part(|a| &a.signature)
    ])
    .db()?;
    tx.append(&with_facts(event, facts(there.id, package)))?;
    Ok(PackageOutcome::AlreadyThere(there.id))
}

fn facts(id: i64, package: &NewPackage) -> serde_json::Value {
    json!({
        "package": id,
        "sha256": hex(&package.sha256),
        "size": package.size,
        "approved": package.approval.is_some(),
    })
}

pub(in crate::sqlite) fn withdraw(tx: &Tx<'_>, id: i64, event: &Event) -> Result<bool, StoreError> {
    let withdrawn: Option<String> = tx
        .prepare(
            "UPDATE packages SET withdrawn_at = ?2 WHERE id = ?1 AND withdrawn_at IS NULL
             RETURNING name || ' ' || version",
        )?
        .query_row(params![id, event.at], |row| row.get(0))
        .optional()
        .db()?;
    let Some(withdrawn) = withdrawn else { return Ok(false) };
    tx.append(&with_facts(event, json!({ "package": id, "withdrawn": withdrawn })))?;
    Ok(true)
}
