//! Every crate says what it is and takes the workspace's lints.

use super::repo::{Problem, Repo};

pub(super) fn check(repo: &Repo) -> Vec<Problem> {
    let mut problems = Vec::new();
    for file in repo.manifests() {
        let mut section = "";
        let (mut described, mut linted) = (false, false);
        for (_, line) in file.lines() {
            if line.starts_with('[') {
                section = line;
            }
            described |=
                section == "[package]" && line.starts_with("description = \"") && !line.ends_with("= \"\"");
            linted |= section == "[lints]" && line == "workspace = true";
        }
        if !described {
            problems.push(file.problem(1, "no description: what is the crate for, in one line?"));
        }
        if !linted {
            problems.push(file.problem(1, "no `[lints]` with `workspace = true`"));
        }
    }
    problems
}

#[cfg(test)]
mod tests {
    use super::check;
    use crate::tidy::repo::{Repo, places};

    #[test]
    fn manifests_without_description_or_lints_are_found() {
        let repo = Repo::of(&[
            ("Cargo.toml", "[workspace]\n"),
            ("good/Cargo.toml", "[package]\ndescription = \"It\"\n\n[lints]\nworkspace = true\n"),
            ("mute/Cargo.toml", "[package]\ndescription = \"\"\n\n[lints]\nworkspace = true\n"),
            ("loose/Cargo.toml", "[package]\ndescription = \"It\"\n\n[dependencies]\nworkspace = true\n"),
        ]);
        assert_eq!(places(&check(&repo)), [("mute/Cargo.toml", 1), ("loose/Cargo.toml", 1)]);
    }
}
