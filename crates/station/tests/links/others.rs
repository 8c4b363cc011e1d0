//! What else a station does at a terminal, over the same lines.

use keyferry_station::{
    device::{self, DeviceFault},
    link::{Link, LinkError},
};

use crate::{
    cable::{Act, To},
    fake_terminal::serial,
    world::{Rig, Suite, settings},
};

#[test]
fn a_device_key_is_certified_over_a_line_and_a_cut_one_is_told_by_port_and_step() {
    let rig = Rig::new(Suite::EcAes, "SN-1");
    let ask =
        || device::request(Some(&serial("SN-1")), || Link::connect(rig.target.address(), settings().limits));
    let request = ask().unwrap();
    assert_eq!(request.device().sn(), &serial("SN-1"));
    rig.cable.plan(&[Act::Slow(std::time::Duration::from_micros(300)), Act::PullForGood(To::Station, 40)]);
    let fault = ask().unwrap_err();
    assert!(matches!(&fault, DeviceFault::Link(LinkError::Unplugged { .. })), "{fault}");
    let said = fault.to_string();
    assert!(said.contains("port was unplugged in the middle of the answer to DEVICE_ASK"), "{said}");
    assert!(matches!(ask().unwrap_err(), DeviceFault::Link(LinkError::NothingPlugged { .. })));
}
