//! R10: an estate for production believes no root for trials, and one for trials no other.

use std::fs;

use keyferry_server::{Config, StartError};
use pki::issue;

use crate::support::{
    estate::{ESTATE, root_valid},
    raw::Raw,
    world::{Options, World},
};

/// The root of all tests under its own name and key, but for trials.
fn trial_root() -> String {
    issue::trial_root(ESTATE.root.subject(), ESTATE.root_key(), root_valid(), 1).unwrap().pem()
}

fn refused(world: &World, production: bool) -> String {
    let refused = world.try_start(&Options { production, ..Options::default() }).err().unwrap();
    assert!(matches!(refused, StartError::Trust(_)), "{refused}");
    refused.to_string()
}

#[test]
fn r10_a_root_for_trials_is_refused_in_production_and_the_reverse() {
    let world = World::new();
    let said = refused(&world, false);
    assert!(said.contains("root.pem") && said.contains("is for production"), "{said}");
    world.write("root.pem", &trial_root());
    let said = refused(&world, true);
    assert!(said.contains("root.pem") && said.contains("is for trials"), "{said}");
    // What they refuse is the mixture: among trials all works as it does in production.
    let server = world.start(&Options { production: false, ..Options::default() });
    let terminal = Raw::new("SN-1");
    server.collect(&[&terminal]);
    terminal.download(server.terminals, 0).unwrap();
}

#[test]
fn r10_two_roots_are_of_one_estate() {
    let world = World::new();
    world.write("trial.pem", &trial_root());
    let path = world.folder().join("keyferry.toml");
    assert!(world.try_start(&Options::default()).is_ok());
    let text = fs::read_to_string(&path).unwrap();
    let mixed = text.replace("roots = [", "roots = [{ certificate = \"trial.pem\", roles = [\"mtms\"] }, ");
    for production in ["true", "false"] {
        let mixed = mixed.replace("production = true", &format!("production = {production}"));
        fs::write(&path, mixed).unwrap();
        let refused = world.try_start_as_written().err().unwrap();
        assert!(matches!(refused, StartError::Trust(_)), "{refused}");
    }
}

#[test]
fn r10_a_configuration_that_says_nothing_is_for_production() {
    let world = World::new();
    assert!(world.try_start(&Options::default()).is_ok());
    let path = world.folder().join("keyferry.toml");
    let text = fs::read_to_string(&path).unwrap().replace("production = true\n", "");
    fs::write(&path, text).unwrap();
    assert!(Config::read(&path).unwrap().trust.production);
}
