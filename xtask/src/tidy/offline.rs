//! The certificate authority has no network code of its own (docs/spec/4-requirements.md, R23); `graph` sees to the
//! code of others.

use super::repo::{Problem, Repo};

/// Where nothing may speak to a network, not even through the standard library.
const OFFLINE: &[&str] = &["crates/custody/src/"];

pub(super) fn check(repo: &Repo) -> Vec<Problem> {
    let mut problems = Vec::new();
    for file in repo.rust().filter(|file| OFFLINE.iter().any(|folder| file.path.starts_with(folder))) {
        for (number, line) in file.lines().filter(|(_, line)| names_net(line)) {
            problems
                .push(file.problem(number, format!("network code in an offline crate: `{}`", line.trim())));
        }
    }
    problems
}

/// Whether the line names a module `net`, such as the standard library's, in a path or an import.
fn names_net(line: &str) -> bool {
    let code = line.split("//").next().unwrap_or_default();
    let in_word = |c: char| c.is_alphanumeric() || c == '_';
    let words: Vec<&str> = code.split(|c| !in_word(c)).filter(|word| !word.is_empty()).collect();
    words.contains(&"net") && (code.contains("::") || code.trim_start().starts_with("net"))
}

#[cfg(test)]
mod tests {
    use super::check;
    use crate::tidy::repo::{Repo, places};

    #[test]
    fn network_code_is_found_in_custody_only() {
        let uses = "use std::net::TcpStream;\n\
                    use std::{fs, net};\n\
                    use std::os::unix::net::UnixStream;\n\
                    // std::net is not for us\n\
                    let planet = crate::planet::here();\n";
        let repo = Repo::of(&[("crates/custody/src/ca.rs", uses), ("crates/server/src/link.rs", uses)]);
        let file = "crates/custody/src/ca.rs";
        assert_eq!(places(&check(&repo)), [(file, 1), (file, 2), (file, 3)]);
    }
}
