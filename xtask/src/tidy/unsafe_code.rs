//! Unsafe code is in few files, each named here: a reviewer of memory safety reads these and nothing else.

use super::repo::{Problem, Repo, TextFile};

/// The files, and why each needs it.
const ALLOWED: &[(&str, &str)] =
    &[("crates/paycrypto/src/rsa/library.rs", "no safe API offers RSA type 1 with message recovery")];

const KEYWORD: &str = concat!("un", "safe");
/// What follows the keyword where it is one.
const FOLLOWS: &[&str] = &[" {", " fn ", " impl", " extern ", " trait ", "("];

pub(super) fn check(repo: &Repo) -> Vec<Problem> {
    check_against(repo, ALLOWED)
}

fn check_against(repo: &Repo, allowed: &[(&str, &str)]) -> Vec<Problem> {
    let mut problems = Vec::new();
    for file in repo.rust() {
        let uses = uses(file);
        match (allowed.iter().find(|(path, _)| *path == file.path), uses.as_slice()) {
            (Some((_, why)), []) => {
                let what =
                    format!("holds no unsafe code any more; take it off the list of this rule ({why})");
                problems.push(file.problem(1, what));
            }
            (Some(_), _) => {}
            (None, uses) => {
                let what = "unsafe code outside of the listed files (xtask/src/tidy/unsafe_code.rs)";
                problems.extend(uses.iter().map(|line| file.problem(*line, what)));
            }
        }
    }
    problems
}

/// The lines with unsafe code.
fn uses(file: &TextFile) -> Vec<usize> {
    file.lines()
        .filter(|(_, line)| {
            let code = line.split("//").next().unwrap_or_default();
            code.match_indices(KEYWORD).any(|(at, _)| {
                let rest = code.get(at + KEYWORD.len()..).unwrap_or_default();
                FOLLOWS.iter().any(|follows| rest.starts_with(follows))
            })
        })
        .map(|(number, _)| number)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::{KEYWORD, check_against};
    use crate::tidy::repo::{Repo, places};

    #[test]
    fn only_listed_files_may_and_a_listed_one_must() {
        let block = format!("fn f() {{\n    {KEYWORD} {{ g() }}\n}}\n");
        let item = format!("{KEYWORD} impl Send for S {{}}\n");
        let talk = format!("// {KEYWORD} {{ is spoken of }}\n#![deny({KEYWORD}_code)]\n");
        let repo = Repo::of(&[("block.rs", &block), ("item.rs", &item), ("talk.rs", &talk)]);
        assert_eq!(places(&check_against(&repo, &[])), [("block.rs", 2), ("item.rs", 1)]);
        assert_eq!(check_against(&repo, &[("block.rs", ""), ("item.rs", "")]), []);
        let stale = check_against(&repo, &[("block.rs", ""), ("item.rs", ""), ("talk.rs", "")]);
        assert_eq!(places(&stale), [("talk.rs", 1)]);
    }
}
