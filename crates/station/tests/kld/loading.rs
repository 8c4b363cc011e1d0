//! Whole runs with the product's terminal over TCP.

use crate::estate::BOTH;
use crate::world::{Listening, World, load, new_terminal, open_run};

#[test]
fn a_tmk_is_loaded_and_both_sides_have_its_check_value() {
    let world = World::ready();
    let mut kld = world.kld();
    let mut run = open_run(&kld, "SN-1001", &["tmk:3"]);
    let listening = Listening::start(new_terminal("SN-1001", None));
    let loaded = load(&mut kld, &mut run, listening.address).unwrap();
    let status = listening.take().status();
    assert_eq!(loaded.terminal.sn, "SN-1001");
    let (slot, kcv) = (&status.slots[0], loaded.keys[0].1.to_string());
    assert_eq!((slot.slot, slot.kcv.as_str(), slot.done), (3, kcv.as_str(), true));
    assert_eq!((run.status().loaded, run.status().missing.len()), (1, 0));
    let report = kld.close_run(&BOTH.1).unwrap();
    assert!(report.path.exists());
}
