//! Running other programs, so that whoever reads the output sees what ran.

use std::{
    env,
    path::Path,
    process::{Command, Stdio},
};

use anyhow::{Context as _, Result, bail};

/// A program and its arguments.
pub(crate) struct Program {
    command: Command,
    shown: String,
}

/// `cargo` with these arguments, in the workspace.
pub(crate) fn cargo(root: &Path, args: &[&str]) -> Program {
    // The cargo that runs this, so that a `+toolchain` given by hand holds for every step.
    let mut cargo = Program::new(env::var("CARGO").as_deref().unwrap_or("cargo"), root);
    cargo.shown = "cargo".to_owned();
    // What cargo tells a running package about itself is not meant for the packages that the next cargo builds: a build
    // script that watches such a variable would run again at every change between here and a plain `cargo build`.
    for (name, _) in env::vars_os() {
        if name.to_str().is_some_and(about_this_package) {
            cargo.command.env_remove(name);
        }
    }
    cargo.args(args)
}

fn about_this_package(variable: &str) -> bool {
    ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_BIN_", "CARGO_CRATE_"]
        .iter()
        .any(|prefix| variable.starts_with(prefix))
}

impl Program {
    /// A program by its name or path. It gets no standard input: nothing here may wait for an answer.
    pub(crate) fn new(name: &str, folder: &Path) -> Program {
        let mut command = Command::new(name);
        command.current_dir(folder).stdin(Stdio::null());
        Program { command, shown: name.to_owned() }
    }

    /// Adds arguments.
    pub(crate) fn args(mut self, args: &[&str]) -> Program {
        for arg in args {
            self.shown = format!("{} {arg}", self.shown);
        }
        self.command.args(args);
        self
    }

    /// Sets a variable of the environment.
    pub(crate) fn env(mut self, name: &str, value: &str) -> Program {
        self.shown = format!("{name}='{value}' {}", self.shown);
        self.command.env(name, value);
        self
    }

    /// Shows the command line and runs it, its output going where ours goes.
    pub(crate) fn run(mut self) -> Result<()> {
        eprintln!("$ {}", self.shown);
        let status = self.command.status().with_context(|| format!("`{}` cannot be started", self.shown))?;
        if status.success() { Ok(()) } else { bail!("`{}`: {status}", self.shown) }
    }

    /// What it prints, when it succeeds.
    pub(crate) fn output(mut self) -> Result<String> {
        let output = self.command.output().with_context(|| format!("`{}` cannot be started", self.shown))?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
            bail!("`{}`: {}: {said}", self.shown, output.status);
        }
        String::from_utf8(output.stdout).with_context(|| format!("`{}` printed no UTF-8", self.shown))
    }

    /// Whether it is there and succeeds; what it prints is dropped.
    pub(crate) fn works(mut self) -> bool {
        let status = self.command.stdout(Stdio::null()).stderr(Stdio::null()).status();
        status.is_ok_and(|status| status.success())
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::{Program, about_this_package};

    #[test]
    fn failure_names_the_command_line() {
        let error = Program::new("cargo", Path::new(".")).args(&["no-such-command"]).output().unwrap_err();
        assert!(error.to_string().starts_with("`cargo no-such-command`: exit status: 101"), "{error}");
    }

    #[test]
    fn a_program_that_is_not_there_does_not_work() {
        assert!(!Program::new("no-such-program-anywhere", Path::new(".")).works());
        assert!(Program::new("cargo", Path::new(".")).args(&["--version"]).works());
    }

    #[test]
    fn settings_of_the_user_are_kept() {
        assert!(about_this_package("CARGO_PKG_NAME"));
        assert!(about_this_package("CARGO_MANIFEST_DIR"));
        for kept in ["CARGO_HOME", "CARGO_TARGET_DIR", "CARGO_TERM_COLOR", "CARGO_BUILD_JOBS"] {
            assert!(!about_this_package(kept), "{kept}");
        }
    }
}
