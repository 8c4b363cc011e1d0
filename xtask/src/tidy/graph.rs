//! What a crate can reach. Clear keys have one home at each end, and this is the proof: what is not in the tree of a
//! crate cannot be called from it.

use std::path::Path;

use anyhow::Result;

use super::{
    repo::{Problem, Repo},
    rooms::{ANYTHING, ROOMS, Room},
};
use crate::run::cargo;

/// Checks the tree of every crate of the table, and that every crate is in the table.
///
/// # Errors
/// When cargo does not tell.
pub(super) fn check(root: &Path, repo: &Repo) -> Result<Vec<Problem>> {
    let ours = our_packages(repo);
    let mut problems = Vec::new();
    for (package, manifest) in &ours {
        let rooms: Vec<_> = ROOMS.iter().filter(|room| room.package == *package).collect();
        if rooms.is_empty() && !ANYTHING.contains(&package.as_str()) {
            problems
                .push(manifest.problem(1, "xtask/src/tidy/rooms.rs does not say what this crate may reach"));
        }
        for room in rooms {
            let found = breaches(room, &reached(root, room)?, &ours);
            problems.extend(found.into_iter().map(|what| manifest.problem(1, what)));
        }
    }
    let absent = ROOMS.iter().map(|room| room.package).chain(ANYTHING.iter().copied());
    for package in absent.filter(|package| ours.iter().all(|(name, _)| name != package)) {
        problems.extend(repo.files.iter().find(|file| file.path == "Cargo.toml").map(|file| {
            file.problem(1, format!("xtask/src/tidy/rooms.rs names {package}, which is no crate here"))
        }));
    }
    Ok(problems)
}

/// The packages of the workspace, and the manifest of each.
fn our_packages(repo: &Repo) -> Vec<(String, &super::repo::TextFile)> {
    let name = |text: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix("name = \""))?;
        Some(line.trim_end_matches('"').to_owned())
    };
    repo.manifests().filter_map(|file| Some((name(&file.text)?, file))).collect()
}

/// A package in the tree of another, and its features there.
struct Reached {
    package: String,
    features: String,
}

/// What a crate is linked with: no dependencies of tests or build scripts, and no procedural macros, which run in the
/// compiler.
fn reached(root: &Path, room: &Room) -> Result<Vec<Reached>> {
    let tree = cargo(root, &["tree", "--package", room.package, "--edges", "normal,no-proc-macro"])
        .args(&["--prefix", "none", "--format", "{p};{f}"])
        .args(room.options)
        .output()?;
    Ok(parse(&tree))
}

/// Lines such as `sha2 v0.11.0;alloc,std (*)`.
fn parse(tree: &str) -> Vec<Reached> {
    let lines = tree.lines().filter_map(|line| {
        let (package, features) = line.trim_end_matches(" (*)").rsplit_once(';')?;
        let package = package.split(' ').next()?.to_owned();
        Some(Reached { package, features: features.to_owned() })
    });
    lines.collect()
}

fn breaches(room: &Room, tree: &[Reached], ours: &[(String, &super::repo::TextFile)]) -> Vec<String> {
    let of_ours = |package: &str| ours.iter().any(|(name, _)| name == package);
    let mut found = Vec::new();
    for Reached { package, features } in tree.iter().filter(|reached| reached.package != room.package) {
        let options = room.options.join(" ");
        let crate_name = format!("{} {options}", room.package);
        let crate_name = crate_name.trim_end();
        if of_ours(package) && !room.may_reach.contains(&package.as_str()) {
            found.push(format!("{crate_name} reaches {package}, which is not among its rooms: {}", room.why));
        }
        if room.never.iter().any(|group| group.contains(&package.as_str())) {
            found.push(format!("{crate_name} reaches {package}: {}", room.why));
        }
        if room.no_std && features.split(',').any(|feature| feature == "std") {
            found.push(format!("{crate_name} reaches {package} with its feature `std`: {}", room.why));
        }
    }
    found.sort();
    found.dedup();
    found
}

#[cfg(test)]
mod tests {
    use super::{Room, breaches, our_packages, parse};
    use crate::tidy::repo::Repo;

    const TREE: &str = "server v0.1.0 (/a b/server);default\n\
                        wire v0.1.0 (/a b/wire);\n\
                        sha2 v0.11.0;alloc,std\n\
                        paycrypto v0.1.0 (/a b/paycrypto);\n\
                        tokio v1.0.0;net,rt (*)\n";

    fn breaches_of(room: &Room) -> Vec<String> {
        let manifests = [("server", "a/Cargo.toml"), ("wire", "b/Cargo.toml"), ("paycrypto", "c/Cargo.toml")]
            .map(|(name, path)| (path, format!("[package]\nname = \"{name}\"\n")));
        let files = manifests.each_ref().map(|(path, text)| (*path, text.as_str()));
        let repo = Repo::of(&files);
        breaches(room, &parse(TREE), &our_packages(&repo))
    }

    const ROOM: Room = Room {
        package: "server",
        options: &[],
        may_reach: &["wire", "paycrypto"],
        never: &[],
        no_std: false,
        why: "because",
    };

    #[test]
    fn a_room_within_its_bounds_is_left_alone() {
        assert_eq!(breaches_of(&ROOM), [""; 0]);
    }

    #[test]
    fn a_room_out_of_reach_is_found() {
        let found = breaches_of(&Room { may_reach: &["wire"], ..ROOM });
        assert_eq!(found, ["server reaches paycrypto, which is not among its rooms: because"]);
    }

    #[test]
    fn a_forbidden_package_is_found_also_where_cargo_shortens_the_tree() {
        let found = breaches_of(&Room { never: &[&["ureq"], &["tokio", "hyper"]], ..ROOM });
        assert_eq!(found, ["server reaches tokio: because"]);
    }

    #[test]
    fn std_is_found_where_there_is_none() {
        let found = breaches_of(&Room { no_std: true, ..ROOM });
        assert_eq!(found, ["server reaches sha2 with its feature `std`: because"]);
    }
}
