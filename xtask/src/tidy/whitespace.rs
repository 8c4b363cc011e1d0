//! Whitespace that nobody sees does not show up in reviews.

use super::repo::{Problem, Repo};

pub(super) fn check(repo: &Repo) -> Vec<Problem> {
    let mut problems = Vec::new();
    for file in &repo.files {
        let mut last = 1;
        for (number, line) in (1..).zip(file.text.split_terminator('\n')) {
            if line.ends_with([' ', '\t', '\r']) {
                problems.push(file.problem(number, "whitespace at the end of the line"));
            }
            if file.path.ends_with(".rs") && line.contains('\t') {
                problems.push(file.problem(number, "a tab; rustfmt writes spaces, a string writes \\t"));
            }
            last = number;
        }
        if !file.text.is_empty() && !file.text.ends_with('\n') {
            problems.push(file.problem(last, "the file does not end with a newline"));
        }
    }
    problems
}

#[cfg(test)]
mod tests {
    use super::check;
    use crate::tidy::repo::{Repo, places};

    #[test]
    fn invisible_whitespace_is_found() {
        let repo = Repo::of(&[
            ("clean.rs", "a\n\nb\n"),
            ("cut.md", "a\nb"),
            ("dos.md", "a\r\n"),
            ("empty", ""),
            ("tab.rs", "a\n\tb\n"),
            ("tab.tsv", "a\tb\n"),
            ("trailing.json", "a \n"),
        ]);
        let found = check(&repo);
        assert_eq!(places(&found), [("cut.md", 2), ("dos.md", 1), ("tab.rs", 2), ("trailing.json", 1)]);
    }
}
