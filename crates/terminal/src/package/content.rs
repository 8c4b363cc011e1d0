//! The content of a package: whether there may be so much of it, and whether a part holds what was signed: all of it,
//! read back from the disk.

use sha2::{Digest as _, Sha256};
use wire::{Manifest, PackageKind};

use super::PackageRefusal;
use crate::area::{AreaError, Areas, MAX_DOCUMENT, Part};

/// Bytes read at a time.
const CHUNK: usize = 32 * 1024;

/// Largest package, bytes: 4 GiB.
pub const MAX_PACKAGE: u64 = 1 << 32;

/// Checks the size that was signed, before anything is loaded.
pub(crate) fn check_size(manifest: &Manifest) -> Result<(), PackageRefusal> {
    let most = match manifest.id.kind {
        // A patch is read whole.
        PackageKind::Parameters => u64::try_from(MAX_DOCUMENT).unwrap_or(u64::MAX),
        PackageKind::Application | PackageKind::DataFile => MAX_PACKAGE,
    };
    if manifest.size <= most { Ok(()) } else { Err(PackageRefusal::Size { size: manifest.size, most }) }
}

/// Hashes a whole part as it lies on the disk, and compares.
pub(crate) fn check(
    areas: &Areas,
    part: &Part,
    manifest: &Manifest,
) -> Result<Result<(), PackageRefusal>, AreaError> {
    let mut hash = Sha256::new();
    let mut buffer = vec![0; CHUNK];
    let mut offset = 0_u64;
    loop {
        let count = areas.read_part(part, offset, &mut buffer)?;
        if count == 0 {
            break;
        }
        hash.update(buffer.get(..count).unwrap_or_default());
        offset = offset.saturating_add(u64::try_from(count).unwrap_or(u64::MAX));
    }
    let right = offset == manifest.size && hash.finalize().as_slice() == manifest.sha256;
    Ok(if right { Ok(()) } else { Err(PackageRefusal::Hash) })
}
