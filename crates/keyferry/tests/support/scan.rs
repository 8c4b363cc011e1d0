//! Looks for keys where none may be.

use std::{
    fs::{self, File},
    io,
    os::unix::fs::FileExt,
    path::Path,
};

use memchr::memmem::Finder;

use super::folders::files;

/// Something to look for.
pub(crate) struct Needle {
    what: String,
    finder: Finder<'static>,
}

/// Bytes as they are.
pub(crate) fn raw(what: &str, bytes: &[u8]) -> Needle {
    assert!(bytes.len() >= 8, "{what} is too short to be told from chance");
    Needle { what: what.to_owned(), finder: Finder::new(bytes).into_owned() }
}

/// A key: each of its 8-byte parts (a DES key, a quarter of an AES-256 key), as bytes, as bytes turned round (as
/// numbers lie in memory), and as hex in either case.
pub(crate) fn key(what: &str, bytes: &[u8]) -> Vec<Needle> {
    let mut needles = Vec::new();
    for (part, bytes) in bytes.chunks_exact(8).enumerate() {
        let turned: Vec<u8> = bytes.iter().rev().copied().collect();
        let lower: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        let forms = [
            ("bytes", bytes),
            ("turned", &turned),
            ("hex", lower.as_bytes()),
            ("HEX", lower.to_uppercase().as_bytes()),
        ]
        .map(|(form, bytes)| raw(&format!("{what}, part {part}, {form}"), bytes));
        needles.extend(forms);
    }
    needles
}

/// What of these is in some bytes.
pub(crate) fn found_in<'a>(bytes: &[u8], needles: &'a [Needle]) -> Vec<&'a str> {
    let found = needles.iter().filter(|needle| needle.finder.find(bytes).is_some());
    found.map(|needle| needle.what.as_str()).collect()
}

/// What of these is in any file below a folder, or in a file's name.
pub(crate) fn found_in_files(folder: &Path, needles: &[Needle]) -> Vec<String> {
    let mut all = Vec::new();
    for path in files(folder) {
        let mut bytes = path.to_string_lossy().into_owned().into_bytes();
        bytes.extend(fs::read(&path).unwrap());
        all.extend(found_in(&bytes, needles).iter().map(|what| format!("{what} in {}", path.display())));
    }
    all
}

/// What of these is in a process's memory.
///
/// # Errors
/// When this process may not look.
pub(crate) fn found_in_memory(pid: i32, needles: &[Needle]) -> io::Result<Vec<String>> {
    let memory = File::open(format!("/proc/{pid}/mem"))?;
    let maps = fs::read_to_string(format!("/proc/{pid}/maps"))?;
    let mut all = Vec::new();
    let mut scanned = 0;
    for line in maps.lines() {
        let mut words = line.split_whitespace();
        let (range, rights) = (words.next().unwrap(), words.next().unwrap());
        if !rights.starts_with('r') || line.ends_with("[vvar]") || line.ends_with("[vsyscall]") {
            continue;
        }
        let (start, end) = range.split_once('-').unwrap();
        let number = |hex| u64::from_str_radix(hex, 16).unwrap();
        let (start, end) = (number(start), number(end));
        let mut bytes = vec![0; usize::try_from(end - start).unwrap()];
        // What was unmapped meanwhile, or belongs to a device, cannot be read.
        let Ok(read) = memory.read_at(&mut bytes, start) else { continue };
        scanned += read;
        all.extend(found_in(&bytes[..read], needles).iter().map(|what| format!("{what} in {line}")));
    }
    assert!(scanned > 1 << 20, "{scanned} bytes are no process");
    Ok(all)
}
