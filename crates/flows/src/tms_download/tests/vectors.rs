//! Flow E of `vectors/tdes-suite.json`: its sealed TMS_GET, as the messages carry it.

use wire::Frame;

use super::package;
use crate::{
    Tdes,
    testing::{hex, vector},
    tms_download::{
        Get, Request,
        sealed::{ciphertext_blocks, sealed_frame, unseal},
    },
};

#[test]
fn worked_inner_payload_is_written_to_the_byte() {
    let sealed = &vector("flow_e")["sealed"];
    let inner = hex(&sealed["inner_payload"]);
    let id = package("pay-app", "1.2.0");
    let get = Get { name: id.name, version: id.version, offset: 0, wanted: 4_096 };
    assert_eq!(get.to_payload().unwrap(), inner);
    assert_eq!(Request::read::<Tdes>(&inner).unwrap(), Request::Get(get));
}

#[test]
fn worked_sealed_message_is_framed_to_the_byte() {
    let sealed = &vector("flow_e")["sealed"];
    let frame = Frame::from_payload(&hex(&sealed["message"])).unwrap();
    let df4a = unseal::<Tdes>(&frame).unwrap();
    assert_eq!(sealed_frame(&df4a), Ok(frame));
    assert_eq!(df4a[..8], hex(&sealed["iv"]));
    let blocks = usize::try_from(ciphertext_blocks(hex(&sealed["inner_payload"]).len())).unwrap();
    assert_eq!(df4a.len(), 8 + 8 * blocks + 8, "IV, ciphertext, tag");
}
