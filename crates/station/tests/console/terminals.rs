//! The list of what is plugged in.

use keyferry_station::console::{Event, Key, Parcel};

use crate::desk::{Desk, PORTS, sn, wanted};

#[test]
fn a_terminal_that_is_plugged_in_stands_there_with_what_the_system_knows() {
    let desk = Desk::ready();
    desk.shows("> /dev/ttyUSB0");
    desk.shows("FTDI FT232R USB UART");
    desk.shows("serial not known yet");
}

#[test]
fn unplugged_before_it_was_asked_it_is_gone_and_with_a_result_it_stays() {
    let mut desk = Desk::collecting();
    desk.collect(0);
    desk.fail(1, "the line was cut", "plug it in again");
    desk.pack("package", &[0]);
    (0..3).for_each(|port| desk.unplug(port));
    desk.shows("(out) /dev/ttyUSB0");
    desk.shows("SN-1001");
    desk.shows("FAILED");
    desk.hides("ttyACM0");
    desk.shows("Plugged in: 0 terminals");
}

#[test]
fn another_terminal_at_the_same_port_gets_a_line_of_its_own() {
    let mut desk = Desk::collecting();
    desk.collect(0);
    desk.pack("package", &[0]);
    desk.unplug(0);
    desk.plug(0);
    desk.shows("Plugged in: 3 terminals");
    desk.shows("SN-1001");
    let effects = desk.key(Key::Char(' '));
    assert!(wanted(&effects).contains(&PORTS[0].0));
    // Its answer is not taken for the first one's.
    desk.on(Event::Collected {
        address: PORTS[0].0.to_owned(),
        sn: "SN-2001".to_owned(),
        pin_pad: None,
        fingerprint: "FFFFFFFFFFFFFFFFFFFF".to_owned(),
    });
    desk.shows("0A1B 2C3D 4E5F 6071 8293");
    desk.shows("FFFF FFFF FFFF FFFF FFFF");
}

#[test]
fn a_cable_pulled_while_it_is_asked_keeps_its_line_and_gets_its_reason() {
    let mut desk = Desk::collecting();
    desk.ask(0);
    desk.unplug(0);
    desk.shows("asking");
    desk.fail(0, "the line ended", "check its cable");
    desk.shows("the line ended");
    desk.shows("1 FAILED");
}

#[test]
fn what_a_stopped_run_did_not_come_to_is_ready_again() {
    let mut desk = Desk::collecting();
    desk.collect(0);
    desk.ask(1);
    desk.on(Event::RunEnded(Err("the operator card is not present".to_owned())));
    desk.shows("Collecting ended: the operator card is not present");
    assert_eq!(wanted(&desk.key(Key::Char(' '))).len(), 2);
}

#[test]
fn an_answer_that_is_withdrawn_loses_its_fingerprint() {
    let mut desk = Desk::collecting();
    desk.collect(0);
    desk.fail(0, "SN-1001 answered at /dev/ttyUSB1 too", "look at both serial plates");
    desk.hides("0A1B 2C3D");
    desk.shows("What to do: look at both serial plates.");
}

#[test]
fn progress_counts_what_has_answered() {
    let mut desk = Desk::collecting();
    desk.shows("COLLECTING [....................] 0 of 3 answered");
    desk.collect(0);
    desk.fail(1, "no answer", "try again");
    desk.wait(61);
    desk.shows("COLLECTING [#############.......] 2 of 3 answered, 1 FAILED, 1 min");
}

#[test]
fn many_terminals_scroll_with_the_selection() {
    let mut desk = Desk::new();
    for port in 0..300 {
        let address = format!("till-{port}:7802");
        desk.on(Event::Plugged(keyferry_station::console::Port { address, about: String::new() }));
    }
    desk.shows("till-0:7802");
    (0..299).for_each(|_| drop(desk.key(Key::Down)));
    desk.shows("> till-299:7802");
    desk.hides("till-0:7802");
}

#[test]
fn a_package_of_another_day_changes_no_line() {
    let mut desk = Desk::collecting();
    desk.collect(0);
    desk.pack("today", &[0]);
    desk.on(Event::Queued(Parcel { id: "older".to_owned(), serials: vec![sn(0)] }));
    let told = vec![crate::desk::refused(0, "wrong-key")];
    desk.send("older", keyferry_station::console::Answer::Taken(told));
    desk.shows("Packed and signed; it waits for the server.");
}

#[test]
fn a_cable_that_is_put_back_during_a_run_keeps_its_line() {
    let mut desk = Desk::collecting();
    desk.ask(0);
    desk.unplug(0);
    let (address, why) = (PORTS[0].0.to_owned(), "the line was unplugged".to_owned());
    desk.on(Event::Again { address, why });
    desk.shows("(out) /dev/ttyUSB0");
    desk.shows("ASKED AGAIN the line was unplugged");
    desk.shows("Leave its cable in, or plug it in again.");
    desk.plug(0);
    desk.hides("(out)");
    desk.shows("ASKED AGAIN");
    desk.collect(0);
    desk.shows("0A1B 2C3D 4E5F 6071 8293");
    desk.shows("1 of 3 answered");
}
