//! An HSM in a process of its own, whose memory is looked through.

use std::{
    fs::{self, File},
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::Arc,
    thread,
    time::Duration,
};

use hsm::Client;
use keyferry_hsm_soft::{Duty, SoftHsm, create, serve::Server};

/// What opens the HSM's folder.
pub(crate) const PASSPHRASE: &str = "only for this test";
const FOLDER: &str = "KEYFERRY_TEST_WIPED_FOLDER";

/// The HSM's process: does nothing unless the test below starts it.
#[test]
fn serves_where_it_is_told_to() {
    let Some(folder) = std::env::var_os(FOLDER).map(PathBuf::from) else { return };
    create(&folder.join("hsm"), PASSPHRASE).unwrap();
    let hsm = SoftHsm::open(&folder.join("hsm"), PASSPHRASE, vec![]).unwrap().on_duty(Duty::Laboratory);
    Server::bind(&folder.join("hsm.sock"), Arc::new(hsm)).unwrap().run().unwrap();
}

/// Ends the HSM's process however the test ends.
pub(crate) struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Process {
    pub(crate) fn start(folder: &Path) -> Self {
        let child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "memory::serves_where_it_is_told_to"])
            .env(FOLDER, folder)
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        Self(child)
    }

    /// Where `bytes` stand in the process's writable memory.
    pub(crate) fn find(&self, bytes: &[u8]) -> Vec<String> {
        let pid = self.0.id();
        let memory = File::open(format!("/proc/{pid}/mem")).unwrap();
        let mut found = Vec::new();
        for line in fs::read_to_string(format!("/proc/{pid}/maps")).unwrap().lines() {
            let mut words = line.split_whitespace();
            let (range, access) = (words.next().unwrap(), words.next().unwrap());
            let (from, to) = range.split_once('-').unwrap();
            let [from, to] = [from, to].map(|text| u64::from_str_radix(text, 16).unwrap());
            if !access.starts_with("rw") {
                continue;
            }
            let mut buffer = vec![0; usize::try_from(to - from).unwrap()];
            // A mapping may have gone since it was listed.
            let Ok(read) = memory.read_at(&mut buffer, from) else { continue };
            for at in memchr(&buffer[..read], bytes) {
                found.push(format!("{line}, at {at}"));
            }
        }
        found
    }
}

/// Every place of `needle`.
fn memchr(hay: &[u8], needle: &[u8]) -> Vec<usize> {
    let first = needle[0];
    let starts = hay.iter().enumerate().filter(|(_, byte)| **byte == first).map(|(at, _)| at);
    starts.filter(|at| hay[*at..].starts_with(needle)).collect()
}

/// Connects as soon as the process serves.
pub(crate) async fn connect(socket: &Path) -> Client {
    for _ in 0..500 {
        match Client::connect(socket).await {
            Ok(client) => return client,
            Err(_) => thread::sleep(Duration::from_millis(20)),
        }
    }
    Client::connect(socket).await.unwrap()
}
