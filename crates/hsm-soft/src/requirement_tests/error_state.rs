//! R44: what an HSM does once a self-test has failed.

use std::time::Duration;

use hsm::{
    Refusal,
    commands::{MakeDik1, Reply, Request, Status},
};

use crate::policy_tests::{OWNER, Room};

const DAY: Duration = Duration::from_secs(24 * 3600);

fn warnings(room: &Room) -> Vec<String> {
    let Reply::Status(status) = room.hsm.handle(Request::Status(Status {})).unwrap() else {
        panic!("another reply")
    };
    status.warnings
}

#[test]
fn r44_in_the_error_state_every_command_is_refused_but_the_status() {
    let mut room = Room::new();
    room.hsm.watch.break_an_answer();
    let make = || Request::MakeDik1(MakeDik1 { owner: OWNER.into(), label: "batch".into() });
    room.hsm.test_again();
    room.hsm.handle(make()).unwrap();
    assert_eq!(warnings(&room), Vec::<String>::new());

    // Some of these are made with what the HSM gives out, so beforehand.
    let requests: Vec<_> =
        room.fields().iter().map(|field| (field.request)(room.block(field.takes[0], field.place))).collect();
    room.hsm.watch.pass_time(DAY);
    room.hsm.test_again();
    let out_of_service = |refusal| matches!(refusal, Some(Refusal::OutOfService { .. }));
    assert!(out_of_service(room.hsm.handle(make()).err()));
    for request in requests {
        let name = request.name();
        assert!(out_of_service(room.hsm.handle(request).err()), "{name}");
    }
    assert_eq!(warnings(&room), ["out of service: self-test failed: a broken one"]);
    room.hsm.test_again();
    assert!(out_of_service(room.hsm.handle(make()).err()), "it stays");
}
