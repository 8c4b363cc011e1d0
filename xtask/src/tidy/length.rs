//! A Rust file is short: it has one purpose, and is read in one sitting.

use super::repo::{Problem, Repo};

/// Most lines of a Rust file.
const MAX_LINES: usize = 500;

pub(super) fn check(repo: &Repo) -> Vec<Problem> {
    repo.rust()
        .filter_map(|file| {
            let lines = file.text.lines().count();
            (lines > MAX_LINES).then(|| {
                file.problem(lines, format!("{lines} lines, at most {MAX_LINES}: split it by purpose"))
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::{MAX_LINES, check};
    use crate::tidy::repo::{Repo, places};

    #[test]
    fn only_rust_files_past_the_limit_are_found() {
        let full = "//\n".repeat(MAX_LINES);
        let over = "//\n".repeat(MAX_LINES + 1);
        let repo = Repo::of(&[("full.rs", &full), ("over.rs", &over), ("over.json", &over)]);
        assert_eq!(places(&check(&repo)), [("over.rs", MAX_LINES + 1)]);
    }
}
