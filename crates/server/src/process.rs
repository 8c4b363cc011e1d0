use std::io;

use rustix::process::{Resource, Rlimit, setrlimit};

/// Turns core dumps off for this process and those that it starts. A server holds no key, but card numbers pass through
/// its memory.
///
/// # Errors
/// The system's.
pub fn no_core_dumps() -> io::Result<()> {
    Ok(setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) })?)
}
