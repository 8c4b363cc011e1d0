//! Partners in the configuration: what was agreed is checked when a server starts.

use super::World;
use crate::support::{
    partner::{VENDOR_01, VENDOR_02, sections},
    world::{Options, Server},
};

fn start(world: &World, more: String) -> Result<Server, String> {
    world.try_start(&Options { more, ..Options::default() }).map_err(|error| error.to_string())
}

fn why(world: &World, more: String) -> String {
    start(world, more).err().expect("the server does not start")
}

#[test]
fn partners_keys_are_checked_at_the_start() {
    let world = World::new();
    let good = sections(&world, &[&VENDOR_01, &VENDOR_02]);
    let fails = |more: String, wanted: &str| {
        let why = why(&world, more.clone());
        assert!(why.contains(wanted), "{more}: {why}");
    };
    fails(good.replace("VENDOR-pk.json", "nowhere.json"), "cannot read");
    fails(good.replace("VENDOR-pk.json", "VENDOR-mak.json"), "holds no key for pk");
    fails(good.replace("mak = \"VENDOR-mak.json\"", "mak = \"VENDOR-pk.json\""), "holds no key for mak");
    fails(good.replace("VENDOR-mak.json", "VENDOR-mak-aes.json"), "different suites");
    fails(good.replace("name = \"VENDOR\"", "name = \"ANOTHER\""), "holds no key for pk");
    fails(format!("{good}{}", sections(&world, &[&VENDOR_01])), "stands twice");
    let with_root = |file: &str| {
        good.replace("pk = \"VENDOR-pk.json\"", &format!("pk = \"VENDOR-pk.json\"\nroot = \"{file}\""))
    };
    fails(with_root("nowhere.pem"), "cannot read");
    fails(with_root("VENDOR-pk.json"), "no certificate");
    // A file that says another partner than the key inside.
    let text = std::fs::read_to_string(world.folder().join("VENDOR-mak.json")).unwrap();
    world.write("other-mak.json", &text.replace("\"partner\":\"VENDOR\"", "\"partner\":\"ANOTHER\""));
    let text = std::fs::read_to_string(world.folder().join("VENDOR-pk.json")).unwrap();
    world.write("other-pk.json", &text.replace("\"partner\":\"VENDOR\"", "\"partner\":\"ANOTHER\""));
    let other =
        "[[partners]]\nname = \"ANOTHER\"\npk = \"other-pk.json\"\nmak = \"other-mak.json\"\n".to_owned();
    fails(other, "the HSM does not take");
    start(&world, good).unwrap();
}

#[test]
fn an_mtms_serves_nothing_else() {
    let world = World::new();
    let options = Options { more: "[mtms]\n".into(), ..Options::default() };
    let refused = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| world.try_start(&options)));
    assert!(refused.is_err(), "the configuration has [rks] too");
    world.try_start(&Options { rks: None, ..options }).map(drop).unwrap();
}
