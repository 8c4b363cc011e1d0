//! Small disks.

use std::{fs, io::Write, path::Path, process::Command};

use super::tool::run;

/// A small disk; gone with the test.
pub(crate) struct Disk<'a>(&'a Path);

impl Disk<'_> {
    /// Nothing where mounting is not allowed.
    pub(crate) fn mount<'a>(at: &'a Path, size: &str) -> Option<Disk<'a>> {
        fs::create_dir(at).unwrap();
        let mut mount = Command::new("mount");
        let mounted =
            run(mount.args(["-t", "tmpfs", "-o", &format!("size={size},mode=700"), "tmpfs"]).arg(at));
        if mounted.code != Some(0) {
            eprintln!(
                "not tested on a real small disk, because mounting is not allowed here: {}",
                mounted.err
            );
            return None;
        }
        Some(Disk(at))
    }

    /// Writes a file until nothing fits any more.
    pub(crate) fn fill(&self) -> std::path::PathBuf {
        let path = self.0.join("filler");
        let mut file = fs::File::create(&path).unwrap();
        while file.write_all(&[0; 512]).is_ok() {}
        path
    }
}

impl Drop for Disk<'_> {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.0).status();
    }
}
