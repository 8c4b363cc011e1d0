//! An exception from a lint says why it is one; a test that never runs is none.

use super::repo::{Problem, Repo};

/// How a doctest says that nobody compiles it.
const UNCHECKED: &str = "```ignore";

pub(super) fn check(repo: &Repo) -> Vec<Problem> {
    let mut problems = Vec::new();
    for file in repo.rust() {
        // Where each line starts. Attributes stand at the start of a line: rustfmt puts them there.
        let mut start = 0;
        for (number, line) in (1..).zip(file.text.split_inclusive('\n')) {
            let rest = file.text.get(start..).unwrap_or_default().trim_start_matches([' ', '\n']);
            start += line.len();
            let line = line.trim_start();
            if line.starts_with("//") && line.contains(UNCHECKED) {
                problems.push(file.problem(number, "a doctest that is not compiled goes stale"));
            }
            let Some(content) = line.starts_with('#').then(|| content(rest)).flatten() else { continue };
            if lifts_a_lint(content) && !content.contains("reason") {
                problems.push(file.problem(number, "a lint is lifted without `reason = \"…\"`"));
            }
            if content.starts_with("ignore") && !another_test_runs(&file.text, rest) {
                problems.push(file.problem(number, "an ignored test is no test: run it or remove it"));
            }
        }
    }
    problems
}

/// Whether the function after this attribute is one that another test of the file starts as a process of its own, to
/// kill it or to have two: its name stands in an argument, next to the one that runs ignored tests.
fn another_test_runs(file: &str, attribute: &str) -> bool {
    let name = attribute.split_once("fn ").and_then(|(_, after)| after.split('(').next());
    name.is_some_and(|name| file.contains("\"--ignored\"") && file.contains(&format!("{name}\"")))
}

/// What stands between the brackets of the attribute that the text begins with.
fn content(text: &str) -> Option<&str> {
    let inner = text.strip_prefix("#![").or_else(|| text.strip_prefix("#["))?;
    let mut depth = 1_usize;
    let mut quoted = false;
    for (at, c) in inner.char_indices() {
        match c {
            '"' => quoted = !quoted,
            '[' if !quoted => depth += 1,
            ']' if !quoted => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return inner.get(..at);
        }
    }
    None
}

fn lifts_a_lint(attribute: &str) -> bool {
    let lifts = |text: &str| text.starts_with("allow(") || text.starts_with("expect(");
    let conditional = attribute.starts_with("cfg_attr(");
    lifts(attribute)
        || conditional
            && attribute.split([',', ' ', '\n', '(']).any(|part| matches!(part, "allow" | "expect"))
}

#[cfg(test)]
mod tests {
    use super::check;
    use crate::tidy::repo::{Repo, places};

    #[track_caller]
    fn assert_lines(text: &str, lines: &[usize]) {
        let repo = Repo::of(&[("a.rs", text)]);
        let expected: Vec<_> = lines.iter().map(|line| ("a.rs", *line)).collect();
        assert_eq!(places(&check(&repo)), expected, "{text}");
    }

    #[test]
    fn lifted_lints_need_a_reason() {
        assert_lines("#![allow(dead_code)]\n", &[1]);
        assert_lines("fn f() {}\n\n    #[expect(\n    dead_code\n)]\n", &[3]);
        assert_lines("#![cfg_attr(test, allow(dead_code))]\n", &[1]);
        assert_lines("#[allow(dead_code, reason = \"see [1]\")]\nfn f() {}\n", &[]);
        assert_lines("#[expect(\n    dead_code,\n    reason = \"because\"\n)]\n", &[]);
        assert_lines("#[cfg_attr(test, derive(Debug))]\n#[derive(Clone)]\nstruct S;\n", &[]);
    }

    #[test]
    fn ignored_tests_are_found() {
        assert_lines("#[test]\n#[ignore]\nfn t() {}\n", &[2]);
        assert_lines("#[test]\n#[ignore = \"slow\"]\nfn t() {}\n", &[2]);
        let child = "#[ignore = \"the process of a\"]\nfn child() {}\n";
        assert_lines(child, &[1]);
        let parent = "fn a() {\n    run([\"--exact\", \"tests::child\", \"--ignored\"]);\n}\n";
        assert_lines(&format!("{parent}{child}"), &[]);
        assert_lines(&format!("{parent}{}", child.replace("child", "other")), &[4]);
        assert_lines(&format!("/// {}\n/// a\n/// ```\nfn t() {{}}\n", super::UNCHECKED), &[1]);
    }
}
