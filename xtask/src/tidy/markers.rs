//! Nothing is left to do: what is here works, what is not here is an issue.

use super::repo::{Problem, Repo};

// In two parts, so that this file does not hold them.
const MACROS: &[&str] = &[concat!("to", "do!"), concat!("un", "implemented!"), concat!("db", "g!")];
const WORDS: &[&str] = &[concat!("FIX", "ME"), concat!("XX", "X"), concat!("TO", "DO")];
/// Vectors are other people's bytes, where any three letters can follow each other.
const KINDS: &[&str] = &[".rs", ".toml", ".md", ".sql", ".sh", "/run"];

pub(super) fn check(repo: &Repo) -> Vec<Problem> {
    let mut problems = Vec::new();
    for file in repo.files.iter().filter(|file| KINDS.iter().any(|kind| file.path.ends_with(kind))) {
        for (number, line) in file.lines() {
            for marker in MACROS.iter().filter(|name| file.path.ends_with(".rs") && has_word(line, name)) {
                problems.push(file.problem(number, format!("`{marker}` is not for committed code")));
            }
            for marker in WORDS.iter().filter(|word| has_word(line, word)) {
                problems.push(file.problem(number, format!("{marker}: do it, or file an issue")));
            }
        }
    }
    problems
}

/// Whether the word is there and no part of a longer one.
fn has_word(line: &str, word: &str) -> bool {
    let in_word = |c: char| c.is_alphanumeric() || c == '_';
    line.match_indices(word).any(|(at, _)| {
        let before = line.get(..at).and_then(|text| text.chars().next_back());
        let after = line.get(at + word.len()..).and_then(|text| text.chars().next());
        !before.is_some_and(in_word) && !after.is_some_and(in_word)
    })
}

#[cfg(test)]
mod tests {
    use super::{MACROS, WORDS, check};
    use crate::tidy::repo::{Repo, places};

    #[test]
    fn every_marker_is_found() {
        for marker in MACROS.iter().chain(WORDS) {
            let repo = Repo::of(&[("a.rs", &format!("fn f() {{\n    {marker}(1) // here\n}}\n"))]);
            assert_eq!(places(&check(&repo)), [("a.rs", 2)], "{marker}");
        }
    }

    #[test]
    fn parts_of_words_and_vectors_are_left_alone() {
        let word = WORDS[1];
        let repo = Repo::of(&[("a.rs", &format!("let s = \"{word}YZ\";\n")), ("v.json", word)]);
        assert_eq!(check(&repo), []);
    }
}
