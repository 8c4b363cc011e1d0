//! Other processes, as /proc shows them.

use std::{fs, path::PathBuf};

fn path(pid: i32, name: &str) -> PathBuf {
    PathBuf::from(format!("/proc/{pid}/{name}"))
}

/// A field of /proc/PID/status.
pub(crate) fn status(pid: i32, field: &str) -> Option<String> {
    let text = fs::read_to_string(path(pid, "status")).ok()?;
    let value = text.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'))?;
    Some(value.trim().to_owned())
}

/// Whether it runs; one that has ended and waits for its parent does not.
pub(crate) fn runs(pid: i32) -> bool {
    status(pid, "State").is_some_and(|state| !state.starts_with(['Z', 'X']))
}

/// The running children of a process.
pub(crate) fn children(parent: i32) -> Vec<i32> {
    let pids =
        fs::read_dir("/proc").unwrap().filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    let parent = parent.to_string();
    pids.filter(|pid| status(*pid, "PPid").as_deref() == Some(&parent) && runs(*pid)).collect()
}

/// A limit in /proc/PID/limits: soft and hard.
pub(crate) fn limit(pid: i32, name: &str) -> (String, String) {
    let text = fs::read_to_string(path(pid, "limits")).unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix(name)).unwrap();
    let mut words = line.split_whitespace().map(str::to_owned);
    (words.next().unwrap(), words.next().unwrap())
}

/// Command line and environment, as far as they can be read.
pub(crate) fn told_to_all(pid: i32) -> Vec<u8> {
    ["cmdline", "environ"].iter().flat_map(|name| fs::read(path(pid, name)).unwrap_or_default()).collect()
}

/// Owner of its files in /proc: root's when it is not dumpable, whoever runs it.
pub(crate) fn owner_of_environ(pid: i32) -> u32 {
    use std::os::unix::fs::MetadataExt as _;
    fs::metadata(path(pid, "environ")).unwrap().uid()
}
