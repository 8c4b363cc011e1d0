//! The repository speaks of itself only: a path of somebody's machine, or the name of a tool at somebody's desk, means
//! nothing to a reader.

use super::repo::{Problem, Repo};

/// First parts of absolute paths that are a machine's, not a system's.
const FOLDERS: &[&str] = &["work", "farm", "root"];
/// Names of tools. In two parts, so that this file does not hold them.
const TOOLS: &[&str] = &[concat!("find", "_string")];

pub(super) fn check(repo: &Repo) -> Vec<Problem> {
    let mut problems = Vec::new();
    for file in &repo.files {
        for (number, line) in file.lines() {
            for folder in FOLDERS.iter().filter(|folder| has_absolute_path(line, folder)) {
                problems.push(file.problem(number, format!("a path of somebody's machine: /{folder}")));
            }
            for tool in TOOLS.iter().filter(|tool| line.contains(**tool)) {
                problems.push(file.problem(number, format!("a tool that readers do not have: {tool}")));
            }
        }
    }
    problems
}

fn has_absolute_path(line: &str, folder: &str) -> bool {
    // After one of these the path goes on from something, and is not absolute.
    let goes_on = |c: char| c.is_alphanumeric() || "_-.~$*)}>".contains(c);
    line.match_indices(&format!("/{folder}/"))
        .any(|(at, _)| !line.get(..at).and_then(|text| text.chars().next_back()).is_some_and(goes_on))
}

#[cfg(test)]
mod tests {
    use super::{FOLDERS, TOOLS, check};
    use crate::tidy::repo::{Repo, places};

    #[test]
    fn machine_paths_are_found() {
        for folder in FOLDERS {
            let absolute = format!("see\n`/{folder}/x`\n/{folder}/y\n");
            let relative = format!("a/{folder}/x\n{{dir}}/{folder}/x\n../{folder}/x\n/{folder}s/x\n");
            let repo = Repo::of(&[("absolute.md", &absolute), ("relative.md", &relative)]);
            assert_eq!(places(&check(&repo)), [("absolute.md", 2), ("absolute.md", 3)]);
        }
    }

    #[test]
    fn tools_are_found() {
        let repo = Repo::of(&[("v.json", &format!("{{\"origin\": \"{} 1\"}}\n", TOOLS[0]))]);
        assert_eq!(places(&check(&repo)), [("v.json", 1)]);
    }
}
