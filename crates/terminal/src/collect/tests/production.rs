//! What stands before a TK beside the certificate: self test, sensors, states; and what is told of it.

use flows::RefusalRecord;

use super::*;
use crate::SelfTest;
use crate::testing::peers::load;

/// The checks that the ERROR of a refusal names.
fn checks(refusal: &Refusal) -> Vec<String> {
    let fields = refusal.frame().unwrap().message().unwrap().fields;
    let records = ErrorMessage::read(&fields).refusals;
    records.iter().map(|record| RefusalRecord::read(record).unwrap().check).collect()
}

#[test]
fn a_failed_self_test_makes_no_tk_is_0008_and_named() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    for (test, check) in [
        (SelfTest { interface: true, ..SelfTest::default() }, "interface"),
        (SelfTest { network: Some(free.clone()), ..SelfTest::default() }, "network"),
        (SelfTest { application: Some(format!("http://{free}/app")), ..SelfTest::default() }, "application"),
    ] {
        let mut new = estate().new_terminal();
        new.settings.self_test = test;
        let mut terminal = Terminal::in_memory(new).unwrap();
        terminal.set_interface_check(|| false);
        let refusal = refusal(&mut terminal, &estate().collect());
        assert_eq!(refusal.fault.code, ErrorCode::NotPermittedNow);
        assert_eq!(checks(&refusal), [check]);
        assert_eq!(terminal.pad().latch(), None);
    }
}

#[test]
fn the_self_test_is_asked_once_and_not_for_what_was_collected_already() {
    let mut new = estate().new_terminal();
    new.settings.self_test = SelfTest { interface: true, ..SelfTest::default() };
    let mut terminal = Terminal::in_memory(new).unwrap();
    let collect = estate().collect();
    answer(&mut terminal, &collect).unwrap();
    terminal.set_interface_check(|| false);
    assert!(answer(&mut terminal, &collect).unwrap().again);
}

#[test]
fn each_refusal_names_its_check() {
    let mut terminal = estate().terminal();
    let operator = collect_frame(&estate().certificate(Role::Operator));
    assert_eq!(checks(&refusal(&mut terminal, &operator)), ["certificate"]);
    let bare = collect_key(CollectKey::BareKey(estate().work_key.spki_der().to_vec()));
    assert_eq!(checks(&refusal(&mut terminal, &bare)), ["bare-key"]);
    let key = CollectKey::Certificate {
        leaf: estate().certificate(Role::KmsWork).der().to_vec(),
        intermediates: Vec::new(),
    };
    let suite = Collect::<flows::Tdes> { suite: Suite::new(3), key, nonce: () }.write().unwrap();
    assert_eq!(checks(&refusal(&mut terminal, &suite)), ["suite"]);
    answer(&mut terminal, &estate().collect()).unwrap();
    assert_eq!(checks(&refusal(&mut terminal, &estate().collect())), ["latch"]);
    terminal.deploy().unwrap();
    assert_eq!(checks(&refusal(&mut terminal, &estate().collect())), ["life-cycle"]);
    assert_eq!(terminal.pad().refusals().total(), 5);
    let status = terminal.status().refusals;
    assert_eq!((status.total, status.reported, status.records.len()), (5, 0, 5));
    assert_eq!(status.records[3].check, "latch");
}

#[test]
fn what_cannot_be_read_leaves_no_record() {
    let mut terminal = estate().terminal();
    let garbage = Frame::from_payload(&[1, 0x51]).unwrap();
    assert!(checks(&refusal(&mut terminal, &garbage)).is_empty());
    assert_eq!(terminal.pad().refusals().total(), 0);
}

#[test]
fn a_key_loaded_by_cable_ends_collecting() {
    let (mut terminal, _) = estate().full_terminal();
    load(&mut terminal, &paycrypto::keys::Tmk::generate().unwrap(), "SN-1001/03", None).unwrap();
    let refusal = refusal(&mut terminal, &estate().collect());
    assert_eq!(refusal.fault.code, ErrorCode::NotPermittedNow);
}
