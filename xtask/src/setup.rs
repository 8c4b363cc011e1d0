//! Installing what the tests need and a machine with only the Rust toolchain, git and a C compiler may lack.

use std::{env, path::Path};

use anyhow::{Result, bail};

use crate::run::{Program, cargo};

/// A program that tests run.
struct Needed {
    /// The program, and arguments with which it does nothing but succeed.
    probe: [&'static str; 2],
    /// Its package in Debian and Ubuntu.
    package: &'static str,
    /// Its package in Fedora, Alpine and Homebrew.
    elsewhere: &'static str,
    /// What for.
    why: &'static str,
}

const NEEDED: &[Needed] = &[
    Needed {
        probe: ["openssl", "version"],
        package: "openssl",
        elsewhere: "openssl",
        why: "tests compare certificates, revocation lists and CMS with it",
    },
    Needed {
        probe: ["softhsm2-util", "--version"],
        package: "softhsm2",
        elsewhere: "softhsm",
        why: "tests of cards and of a root on a token use real PKCS #11 tokens, which SoftHSM keeps in folders",
    },
    Needed {
        probe: ["opensc-tool", "--version"],
        package: "opensc",
        elsewhere: "opensc",
        why: "tests compare what is on a token with what its pkcs11-tool sees there",
    },
];

/// Makes sure that everything the tests need is there.
///
/// # Errors
/// When something is missing and cannot be installed; the message says how a person installs it.
pub(crate) fn run(root: &Path) -> Result<()> {
    components(root)?;
    for needed in NEEDED {
        if !there(root, needed) {
            install(root, needed)?;
        }
    }
    Ok(())
}

fn there(root: &Path, needed: &Needed) -> bool {
    let [program, argument] = needed.probe;
    Program::new(program, root).args(&[argument]).works()
}

fn install(root: &Path, needed: &Needed) -> Result<()> {
    let by_hand = by_hand(needed);
    if !is_root(root) || !Program::new("apt-get", root).args(&["--version"]).works() {
        bail!("{by_hand}");
    }
    eprintln!("installing {}: {}", needed.package, needed.why);
    // A new machine has no package lists yet; one that is in use need not fetch them again.
    if apt_get(root, &["install", "--yes", "--no-install-recommends", needed.package]).is_err() {
        apt_get(root, &["update"])?;
        apt_get(root, &["install", "--yes", "--no-install-recommends", needed.package])?;
    }
    if there(root, needed) { Ok(()) } else { bail!("{by_hand}") }
}

fn by_hand(needed: &Needed) -> String {
    let Needed { probe: [program, _], package, elsewhere, why } = needed;
    format!(
        "the `{program}` command is missing ({why}). Install it and run this again: \
         `apt-get install {package}` on Debian and Ubuntu, `dnf install {elsewhere}` on Fedora, \
         `apk add {elsewhere}` on Alpine, `brew install {elsewhere}` on macOS"
    )
}

fn apt_get(root: &Path, args: &[&str]) -> Result<()> {
    Program::new("apt-get", root).args(args).env("DEBIAN_FRONTEND", "noninteractive").run()
}

fn is_root(root: &Path) -> bool {
    Program::new("id", root).args(&["-u"]).output().is_ok_and(|uid| uid.trim() == "0")
}

/// Formatter and linter come with rustup's default profile, not with its minimal one.
fn components(root: &Path) -> Result<()> {
    for (command, component) in [("fmt", "rustfmt"), ("clippy", "clippy")] {
        if cargo(root, &[command, "--version"]).works() {
            continue;
        }
        if !Program::new("rustup", root).args(&["--version"]).works() {
            bail!(
                "`cargo {command}` is missing; install your distribution's package of {component} for this Rust"
            );
        }
        // Named, since rustup's default toolchain need not be the one that runs this.
        let toolchain = env::var("RUSTUP_TOOLCHAIN").ok();
        let chosen = toolchain.iter().flat_map(|name| ["--toolchain", name]).collect::<Vec<_>>();
        Program::new("rustup", root).args(&["component", "add", component]).args(&chosen).run()?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{NEEDED, by_hand};

    #[test]
    fn a_person_is_told_what_to_install_and_why() {
        for needed in NEEDED {
            let text = by_hand(needed);
            assert!(text.contains(&format!("apt-get install {}", needed.package)), "{text}");
            assert!(text.contains(&format!("dnf install {}", needed.elsewhere)), "{text}");
            assert!(text.contains(needed.why), "{text}");
        }
    }
}
