//! The repository as the rules see it.

use std::{collections::BTreeSet, fmt, fs, path::Path};

use anyhow::{Context as _, Result};

use crate::run::Program;

/// Every file that git tracks or would add.
pub(crate) struct Repo {
    /// The text files.
    pub(crate) files: Vec<TextFile>,
    /// The paths of all files, binary ones too.
    pub(crate) paths: BTreeSet<String>,
}

/// A text file.
pub(crate) struct TextFile {
    /// Its path from the root, with `/`.
    pub(crate) path: String,
    /// What it says.
    pub(crate) text: String,
}

/// A place that breaks a rule.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Problem {
    path: String,
    line: usize,
    what: String,
}

impl Repo {
    /// Reads all files.
    ///
    /// # Errors
    /// When git does not answer, or a file cannot be read.
    pub(crate) fn read(root: &Path) -> Result<Repo> {
        // New files count before they are added, so that a problem shows before a commit. The owner of the folder does
        // not matter: nothing of the repository's configuration is run by listing files.
        let listed = Program::new("git", root)
            .args(&["-c", "safe.directory=*", "ls-files", "-z", "--cached", "--others", "--exclude-standard"])
            .output()
            .context("tidy reads the files that git knows; is this a git clone?")?;
        let mut repo = Repo { files: Vec::new(), paths: BTreeSet::new() };
        for path in listed.split_terminator('\0') {
            let file = root.join(path);
            if !file.is_file() {
                continue; // Deleted, not yet committed.
            }
            let bytes = fs::read(&file).with_context(|| format!("{path} cannot be read"))?;
            if let Some(text) = String::from_utf8(bytes).ok().filter(|text| !text.contains('\0')) {
                repo.files.push(TextFile { path: path.to_owned(), text });
            }
            repo.paths.insert(path.to_owned());
        }
        Ok(repo)
    }

    /// The Rust files.
    pub(crate) fn rust(&self) -> impl Iterator<Item = &TextFile> {
        self.files.iter().filter(|file| file.path.ends_with(".rs"))
    }

    /// The manifests of the crates, not the workspace's own.
    pub(crate) fn manifests(&self) -> impl Iterator<Item = &TextFile> {
        self.files.iter().filter(|file| file.path.ends_with("/Cargo.toml"))
    }

    #[cfg(test)]
    pub(crate) fn of(files: &[(&str, &str)]) -> Repo {
        Repo {
            files: files
                .iter()
                .map(|(path, text)| TextFile { path: (*path).to_owned(), text: (*text).to_owned() })
                .collect(),
            paths: files.iter().map(|(path, _)| (*path).to_owned()).collect(),
        }
    }
}

impl Problem {
    /// A problem of a file that may not be there.
    pub(crate) fn new(path: &str, line: usize, what: impl Into<String>) -> Problem {
        Problem { path: path.to_owned(), line, what: what.into() }
    }
}

impl TextFile {
    /// Its lines with their numbers, from 1.
    pub(crate) fn lines(&self) -> impl Iterator<Item = (usize, &str)> {
        (1..).zip(self.text.lines())
    }

    /// A problem in a line of this file.
    pub(crate) fn problem(&self, line: usize, what: impl Into<String>) -> Problem {
        Problem { path: self.path.clone(), line, what: what.into() }
    }
}

impl Problem {
    #[cfg(test)]
    pub(crate) fn place(&self) -> (&str, usize) {
        (&self.path, self.line)
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.path, self.line, self.what)
    }
}

/// The places of these problems, for tests.
#[cfg(test)]
pub(crate) fn places(problems: &[Problem]) -> Vec<(&str, usize)> {
    problems.iter().map(Problem::place).collect()
}
