//! A link to a file of the repository leads there.

use super::repo::{Problem, Repo, TextFile};

pub(super) fn check(repo: &Repo) -> Vec<Problem> {
    let mut problems = Vec::new();
    for file in repo.files.iter().filter(|file| file.path.ends_with(".md")) {
        for (line, target) in links(file) {
            let local = target.split('#').next().unwrap_or_default();
            if local.is_empty() || is_address(local) {
                continue;
            }
            if !resolve(&file.path, local).is_some_and(|path| exists(repo, &path)) {
                problems.push(file.problem(line, format!("the link `{target}` leads nowhere")));
            }
        }
    }
    problems
}

/// The targets of all links, `[text](target)` and `[name]: target`, outside of code.
fn links(file: &TextFile) -> Vec<(usize, &str)> {
    let mut links = Vec::new();
    let mut in_code = false;
    for (number, line) in file.lines() {
        if line.trim_start().starts_with("```") {
            in_code = !in_code;
        }
        if in_code {
            continue;
        }
        for (at, opening) in line.match_indices("](") {
            let target = line.get(at + opening.len()..).and_then(|rest| rest.split([')', ' ']).next());
            links.extend(target.map(|target| (number, target)));
        }
        if line.starts_with('[')
            && let Some((_, target)) = line.split_once("]: ")
        {
            links.push((number, target.trim()));
        }
    }
    links
}

fn is_address(target: &str) -> bool {
    target.contains("://") || target.starts_with("mailto:")
}

/// The target's path from the root; none when it leads out of the repository.
fn resolve(from: &str, target: &str) -> Option<String> {
    let mut path: Vec<&str> = from.split('/').collect();
    path.pop();
    for part in target.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(path.pop()?),
            name => path.push(name),
        }
    }
    Some(path.join("/"))
}

fn exists(repo: &Repo, path: &str) -> bool {
    path.is_empty()
        || repo.paths.contains(path)
        || repo.paths.iter().any(|known| known.strip_prefix(path).is_some_and(|rest| rest.starts_with('/')))
}

#[cfg(test)]
mod tests {
    use super::check;
    use crate::tidy::repo::{Repo, places};

    #[test]
    fn dead_links_are_found() {
        let page = "[a](../b.rs#L1), [c](c.md), [folder](../docs) [up](..)\n\
                    [gone](gone.md)\n\
                    [out](../../b.rs) and [web](https://example.org/x), [here](#here)\n\
                    ```\n[code](gone.md)\n```\n\
                    [ref]: gone.md\n\
                    [ref]: https://example.org\n";
        let repo = Repo::of(&[("docs/a.md", page), ("docs/c.md", ""), ("b.rs", "")]);
        assert_eq!(places(&check(&repo)), [("docs/a.md", 2), ("docs/a.md", 3), ("docs/a.md", 7)]);
    }
}
