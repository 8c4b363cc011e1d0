//! How much memory a process holds and has held (proc(5), `/proc/PID/status`).

use std::fs;

/// Bytes of memory; nothing where the system does not tell.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Memory {
    /// Now (`VmRSS`).
    pub(crate) now: u64,
    /// At most so far (`VmHWM`).
    pub(crate) peak: u64,
}

impl Memory {
    pub(crate) fn of(pid: Option<u32>) -> Memory {
        let status = pid.and_then(|pid| fs::read_to_string(format!("/proc/{pid}/status")).ok());
        let status = status.unwrap_or_default();
        let field = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name))?;
            Some(line.split_whitespace().next()?.parse::<u64>().ok()? << 10)
        };
        Memory { now: field("VmRSS:").unwrap_or_default(), peak: field("VmHWM:").unwrap_or_default() }
    }

    /// Lets the peak begin anew, where that is allowed: what came before is not to count.
    pub(crate) fn begin_anew(pid: Option<u32>) {
        if let Some(pid) = pid {
            // 5: the peak becomes what is held now. Without it the peak is that of the whole run, which is no less.
            let _ = fs::write(format!("/proc/{pid}/clear_refs"), "5");
        }
    }
}
