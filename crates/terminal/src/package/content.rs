//! Whether a part holds what was signed: all of it, read back from the disk.

use sha2::{Digest as _, Sha256};
use wire::Manifest;

use super::PackageRefusal;
use crate::area::{AreaError, Areas, Part};

/// Bytes read at a time.
const CHUNK: usize = 32 * 1024;

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
