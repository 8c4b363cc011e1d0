//! Areas: switching, first starts, parts; then power cuts and full disks.

mod cuts;
pub(crate) mod disk;
mod folder;
mod parts;
mod starts;

use paycrypto::digest::sha256;
use wire::{Manifest, PackageId, PackageKind, PackageName};

use super::*;
use crate::package::{Arrived, PackageRefusal, install};

pub(crate) fn name(text: &str) -> PackageName {
    text.parse().unwrap()
}

pub(crate) fn manifest(name: &str, version: &str, kind: PackageKind, content: &[u8]) -> Manifest {
    let id = PackageId { name: self::name(name), version: version.parse().unwrap(), kind };
    Manifest { id, size: content.len() as u64, sha256: sha256(content) }
}

/// An application and a data file of this version, which belong together.
pub(crate) fn pair(version: &str) -> [(Manifest, Vec<u8>); 2] {
    let app = format!("application {version}").repeat(10).into_bytes();
    let data = format!("data {version}").repeat(5).into_bytes();
    [
        (manifest("app", version, PackageKind::Application, &app), app),
        (manifest("data", version, PackageKind::DataFile, &data), data),
    ]
}

/// Downloads a package, from where it stands, in pieces of 40 bytes, each made safe.
pub(crate) fn arrive(areas: &mut Areas, manifest: &Manifest, content: &[u8]) -> Result<Arrived, AreaError> {
    let mut part = areas.part(manifest)?;
    areas.touch(&part)?;
    while !part.is_whole() {
        let rest = &content[usize::try_from(part.have()).unwrap()..];
        areas.append(&mut part, &rest[..rest.len().min(40)])?;
        areas.secure(&mut part)?;
    }
    assert_eq!(crate::package::check_content(areas, &part, manifest)?, Ok(()));
    Ok(Arrived { manifest: manifest.clone(), part })
}

/// Downloads packages and switches to them, without a start.
pub(crate) fn switch(
    areas: &mut Areas,
    packages: &[(Manifest, Vec<u8>)],
) -> Result<Vec<(PackageId, PackageRefusal)>, AreaError> {
    let mut set = Vec::new();
    for (manifest, content) in packages {
        set.push(arrive(areas, manifest, content)?);
    }
    let mut refused = Vec::new();
    install(areas, set, &mut refused)?;
    areas.keep_only([])?;
    Ok(refused)
}

/// As [`switch`], with a first start that goes well.
pub(crate) fn update(
    areas: &mut Areas,
    packages: &[(Manifest, Vec<u8>)],
) -> Result<Vec<(PackageId, PackageRefusal)>, AreaError> {
    let refused = switch(areas, packages)?;
    areas.start(&mut |_| Ok(()))?;
    Ok(refused)
}

pub(crate) fn content(running: Running<'_>, name: &PackageName) -> Vec<u8> {
    let mut bytes = vec![0; usize::try_from(running.length(name).unwrap()).unwrap()];
    assert_eq!(running.read(name, 0, &mut bytes).unwrap(), bytes.len());
    bytes
}

/// The version of the pair that runs, all of it, and nothing else; none when nothing was ever installed.
pub(crate) fn version(running: Running<'_>) -> Option<String> {
    let version = running.installed().next()?.version.to_string();
    let pair = pair(&version);
    let expected: Vec<_> = pair.iter().map(|(manifest, _)| &manifest.id).collect();
    assert_eq!(running.installed().collect::<Vec<_>>(), expected);
    for (manifest, bytes) in &pair {
        assert_eq!(content(running, &manifest.id.name), *bytes);
    }
    Some(version)
}
