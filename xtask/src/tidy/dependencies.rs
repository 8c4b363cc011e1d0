//! Every third-party dependency has its reason written beside it: somebody has to trust, update and compile it.

use super::repo::{Problem, Repo, TextFile};

pub(super) fn check(repo: &Repo) -> Vec<Problem> {
    let workspace = repo.files.iter().filter(|file| file.path == "Cargo.toml");
    let shared =
        workspace.flat_map(|file| without_reason(file, |section| section == "workspace.dependencies", true));
    // A crate takes what the workspace has; where it does not, it says why.
    let of_section = |section: &str| section.ends_with("dependencies");
    let own = repo.manifests().flat_map(|file| without_reason(file, of_section, false));
    shared.chain(own).collect()
}

/// The dependencies with no comment on their line, none above and, where `headings` count, none that heads their group.
fn without_reason(file: &TextFile, is_dependencies: fn(&str) -> bool, headings: bool) -> Vec<Problem> {
    let mut problems = Vec::new();
    let mut inside = false;
    let mut headed = false;
    let mut above = "";
    for (number, line) in file.lines() {
        let before = std::mem::replace(&mut above, line);
        if let Some(section) = line.strip_prefix('[') {
            inside = is_dependencies(section.trim_end_matches(']'));
            headed = false;
        } else if line.is_empty() {
            headed = false;
        } else if line.starts_with('#') {
            headed = true;
        } else if inside && line.contains('=') && !line.starts_with([' ', '}', ']']) {
            let reason = line.contains(" # ") || before.starts_with('#') || headings && headed;
            if third_party(line) && !reason {
                problems.push(file.problem(number, "a dependency without its reason as a comment"));
            }
        }
    }
    problems
}

fn third_party(line: &str) -> bool {
    !line.contains("path = ") && !line.contains("workspace = true")
}

#[cfg(test)]
mod tests {
    use super::check;
    use crate::tidy::repo::{Repo, places};

    #[test]
    fn dependencies_without_a_reason_are_found() {
        let root = "[workspace.dependencies]\n\
                    ours = { path = \"crates/ours\" }\n\
                    bare = \"1\"\n\
                    said = \"1\"    # for this\n\
                    \n\
                    # These are for that.\n\
                    one = \"1\"\n\
                    two = \"1\"\n\
                    \n\
                    later = \"1\"\n\
                    \n\
                    [profile.dev]\n\
                    debug = 1\n";
        let member = "[dependencies]\n\
                      shared.workspace = true\n\
                      shared2 = { workspace = true, optional = true }\n\
                      # Without std.\n\
                      own = \"1\"\n\
                      bare = \"1\"\n\
                      \n\
                      [dev-dependencies]\n\
                      bare = \"1\"\n";
        let repo = Repo::of(&[("Cargo.toml", root), ("crates/a/Cargo.toml", member)]);
        assert_eq!(
            places(&check(&repo)),
            [("Cargo.toml", 3), ("Cargo.toml", 10), ("crates/a/Cargo.toml", 6), ("crates/a/Cargo.toml", 9)]
        );
    }
}
