//! The certificate authority and the holders of cards have no network code (docs/spec/4-requirements.md, R23): neither their
//! crate nor the commands by which people use it. `graph` sees to the code of others in the crate's tree.

use super::repo::{Problem, Repo};

/// Where nothing may speak to a network, not even through the standard library.
const OFFLINE: &[&str] =
    &["crates/custody/src/", "crates/keyferry/src/commands/ca/", "crates/keyferry/src/commands/card/"];

/// Crates that speak to a network or to other processes, which the commands' own crate can reach.
const NETWORKED: &[&str] =
    &["axum", "hsm", "mtms", "rustls", "server", "station", "store", "terminal", "tokio", "ureq"];

pub(super) fn check(repo: &Repo) -> Vec<Problem> {
    let mut problems = Vec::new();
    for file in repo.rust().filter(|file| OFFLINE.iter().any(|folder| file.path.starts_with(folder))) {
        for (number, line) in file.lines().filter(|(_, line)| names_net(line)) {
            problems
                .push(file.problem(number, format!("network code in an offline place: `{}`", line.trim())));
        }
    }
    problems
}

/// Whether the line names a module `net`, such as the standard library's, or a crate with network code, in a path or an
/// import.
fn names_net(line: &str) -> bool {
    let code = line.split("//").next().unwrap_or_default();
    let in_word = |c: char| c.is_alphanumeric() || c == '_';
    let words: Vec<&str> = code.split(|c| !in_word(c)).filter(|word| !word.is_empty()).collect();
    let net = words.contains(&"net") && (code.contains("::") || code.trim_start().starts_with("net"));
    net || NETWORKED.iter().any(|name| begins_path(code, name))
}

/// Whether a path begins with this crate's name: `name::…`, and not `….name::…` or `…::name::…`.
fn begins_path(code: &str, name: &str) -> bool {
    let path = format!("{name}::");
    code.match_indices(&path).any(|(at, _)| {
        let before = code.get(..at).unwrap_or_default().chars().next_back();
        before.is_none_or(|c| !(c.is_alphanumeric() || matches!(c, '_' | ':' | '.')))
    })
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

    #[test]
    fn r23_the_commands_of_the_ca_and_of_cards_use_no_crate_with_network_code() {
        let uses = "use station::Server;\n\
                    use custody::ca::Ca;\n\
                    let hsm = hsm::Client::connect(socket);\n\
                    use super::server::Name;\n\
                    use tokio::{fs, io};\n";
        let (ca, card) =
            ("crates/keyferry/src/commands/ca/root.rs", "crates/keyferry/src/commands/card/show.rs");
        let other = "crates/keyferry/src/commands/station.rs";
        let repo = Repo::of(&[(ca, uses), (card, uses), (other, uses)]);
        let problems = check(&repo);
        let found = places(&problems);
        for file in [ca, card] {
            for line in [1, 3, 5] {
                assert!(found.contains(&(file, line)), "{file}:{line}");
            }
            assert!(!found.contains(&(file, 2)) && !found.contains(&(file, 4)), "{found:?}");
        }
        assert!(found.iter().all(|(file, _)| *file != other));
    }
}
