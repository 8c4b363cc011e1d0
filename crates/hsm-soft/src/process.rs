//! What the HSM's process takes from the system: no core dump, no debugger, no swap (R2).

use rustix::{
    mm::{MlockAllFlags, mlockall},
    process::{DumpableBehavior, Resource, Rlimit, getrlimit, set_dumpable_behavior, setrlimit},
};

use crate::HsmSoftError;

/// Below this hard limit on locked memory, locking everything would make later allocations fail.
const ENOUGH_LOCKED_MEMORY: u64 = 1 << 30;

/// Protects the present process, before any key is in it. What could not be had and can be done without is returned
/// as warnings, in words for the log.
///
/// # Errors
/// [`HsmSoftError::Process`] when core dumps or debuggers cannot be shut out: then no key may be loaded.
pub fn protect() -> Result<Vec<String>, HsmSoftError> {
    let cannot =
        |what| move |source: rustix::io::Errno| HsmSoftError::Process { what, source: source.into() };
    setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) })
        .map_err(cannot("turn off core dumps"))?;
    // Also keeps other processes of the same user from reading /proc/PID/mem and from attaching a debugger.
    set_dumpable_behavior(DumpableBehavior::NotDumpable).map_err(cannot("shut out debuggers"))?;
    Ok(lock_memory().err().into_iter().collect())
}

fn lock_memory() -> Result<(), String> {
    let limit = getrlimit(Resource::Memlock);
    if limit.maximum.is_some_and(|bytes| bytes < ENOUGH_LOCKED_MEMORY)
        && !rustix::process::geteuid().is_root()
    {
        return Err("memory is not locked and may be swapped: raise the limit on locked memory \
                    (LimitMEMLOCK=infinity in a systemd unit) or turn swap off"
            .into());
    }
    let _ = setrlimit(Resource::Memlock, Rlimit { current: limit.maximum, maximum: limit.maximum });
    // On fault: what is never touched (guard pages, spare stack) needs no memory.
    mlockall(MlockAllFlags::CURRENT | MlockAllFlags::FUTURE | MlockAllFlags::ONFAULT)
        .map_err(|e| format!("memory is not locked and may be swapped: {e}"))
}
