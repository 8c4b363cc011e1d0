//! Small disks.

use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
    process::Command,
};

/// A small disk; gone with the test.
pub(crate) struct Disk(PathBuf);

impl Disk {
    /// Nothing where mounting is not allowed.
    pub(crate) fn mount(at: &Path, size: &str) -> Option<Disk> {
        fs::create_dir(at).unwrap();
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &format!("size={size},mode=700"), "tmpfs"]).arg(at);
        let mounted = mount.status().is_ok_and(|status| status.success());
        if !mounted {
            eprintln!("not tested on a real small disk, because mounting is not allowed here");
        }
        mounted.then(|| Disk(at.to_owned()))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// Writes a file until nothing fits any more; gives its path.
    pub(crate) fn fill(&self) -> PathBuf {
        let path = self.0.join("filler");
        let mut file = fs::File::create(&path).unwrap();
        while file.write_all(&[0; 512]).is_ok() {}
        path
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}
