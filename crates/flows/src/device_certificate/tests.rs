//! Both roles in memory, with a PIN pad whose request is its key, and whose certificate is a SEQUENCE around it.

use std::{vec, vec::Vec};

use wire::{Device, ErrorCode, Frame, Malformed, MessageType, Serial, Tag};

use super::{
    DevicePad, Fault, InstallRefusal, Reason,
    messages::{DeviceAsk, DeviceCertificate, Done},
    station::{ExpectDone, Start},
    terminal::{Ask, ExpectCertificate, Offered},
};
use crate::{
    PadRefusal,
    testing::{
        State, assert_malformed, der, every_message_in_every_state, every_reason_has_its_code, why, with,
    },
};

struct Pad {
    permitted: bool,
    installed: Option<(Vec<u8>, Vec<Vec<u8>>)>,
}

fn pad() -> Pad {
    Pad { permitted: true, installed: None }
}

impl DevicePad for Pad {
    fn device_request(&mut self) -> Result<Vec<u8>, PadRefusal> {
        if self.permitted { Ok(vec![0x30, 1, 7]) } else { Err(PadRefusal::NotPermitted { why: why() }) }
    }

    fn install_device_certificate(
        &mut self,
        leaf: &[u8],
        intermediates: &[Vec<u8>],
    ) -> Result<(), InstallRefusal> {
        if !self.permitted {
            return Err(PadRefusal::NotPermitted { why: why() }.into());
        }
        if leaf != der(70) {
            return Err(InstallRefusal::Certificate { why: why() });
        }
        self.installed = Some((leaf.to_vec(), intermediates.to_vec()));
        Ok(())
    }
}

fn device() -> Device {
    Device::new("SN-1001".parse().unwrap(), Some("PP-7".parse().unwrap())).unwrap()
}

/// Both roles up to the point where the certificate is to be installed.
fn run() -> (ExpectDone, Offered, [Frame; 4]) {
    let (ask, station) = Start::new().begin().unwrap();
    let (request, terminal) = Ask::read(&ask).unwrap().request(&mut pad(), &device()).unwrap();
    let requested = station.on_frame(&request).unwrap();
    assert_eq!((requested.device(), requested.request()), (&device(), &[0x30, 1, 7][..]));
    let (certificate, station) = requested.certify(der(70), vec![der(5)]).unwrap();
    let offered = terminal.on_frame(&certificate).unwrap();
    (station, offered, [ask, request, certificate, Done.write().unwrap()])
}

#[test]
fn a_request_goes_out_and_its_certificate_is_installed() {
    let (station, offered, _) = run();
    let mut pad = pad();
    let done = offered.install(&mut pad).unwrap();
    assert_eq!(pad.installed, Some((der(70), vec![der(5)])));
    assert_eq!(station.on_frame(&done).unwrap(), device());
}

#[test]
fn fields_are_in_ascending_order_and_the_certificate_may_come_on_a_later_connection() {
    let (_, _, [_, request, certificate, _]) = run();
    let tags = |frame: &Frame| {
        let fields = frame.message().unwrap().fields;
        fields.iter().map(wire::Field::tag).collect::<Vec<_>>()
    };
    assert_eq!(tags(&request), [Tag::SERIAL, Tag::PIN_PAD_SERIAL, Tag::CERTIFICATION_REQUEST]);
    assert_eq!(tags(&certificate), [Tag::INTERMEDIATES, Tag::DEVICE_CERTIFICATE]);
    assert!(ExpectCertificate::resume().on_frame(&certificate).unwrap().install(&mut pad()).is_ok());
}

#[test]
fn a_pin_pad_that_may_not_neither_requests_nor_installs() {
    let mut closed = Pad { permitted: false, ..pad() };
    let refused = Ask::read(&DeviceAsk.write().unwrap()).unwrap().request(&mut closed, &device());
    assert_eq!(refused.unwrap_err().code, ErrorCode::NotPermittedNow);
    let fault = run().1.install(&mut closed).unwrap_err();
    assert_eq!(fault.code, ErrorCode::NotPermittedNow);
    assert!(closed.installed.is_none());
}

#[test]
fn a_certificate_of_another_key_is_000d() {
    let frame = DeviceCertificate { leaf: der(71), intermediates: vec![] }.write().unwrap();
    let mut pad = pad();
    let fault = ExpectCertificate::resume().on_frame(&frame).unwrap().install(&mut pad).unwrap_err();
    assert_eq!(fault.code, ErrorCode::CertificateRefused);
    assert!(pad.installed.is_none());
    assert_eq!(run().1.refused(why()).code, ErrorCode::CertificateRefused);
}

#[test]
fn the_station_refuses_by_name() {
    let requested = || {
        let (_, _, [_, request, ..]) = run();
        Start::new().begin().unwrap().1.on_frame(&request).unwrap()
    };
    let sn: Serial = "SN-1001".parse().unwrap();
    assert_eq!(requested().unknown_terminal().reason, Reason::UnknownTerminal { sn });
    assert_eq!(requested().request_refused(why()).code, ErrorCode::Malformed);
    assert_eq!(requested().other_certificate(why()).code, ErrorCode::NotPermittedNow);
}

#[test]
fn every_message_is_taken_in_its_state_and_refused_in_every_other() {
    let states: [State<Reason>; 5] = [
        State {
            name: "terminal, at the start",
            expected: MessageType::DeviceAsk,
            take: |frame| Ask::read(frame).map(drop),
        },
        State {
            name: "terminal, a request has left",
            expected: MessageType::DeviceCertificate,
            take: |frame| ExpectCertificate::resume().on_frame(frame).map(drop),
        },
        State {
            name: "station, DEVICE_ASK has left",
            expected: MessageType::DeviceRequest,
            take: |frame| Start::new().begin()?.1.on_frame(frame).map(drop),
        },
        State {
            name: "station, DEVICE_CERTIFICATE has left",
            expected: MessageType::Done,
            take: |frame| run().0.on_frame(frame).map(drop),
        },
        State {
            name: "terminal, resumed",
            expected: MessageType::DeviceCertificate,
            take: |frame| ExpectCertificate::resume().on_frame(frame).map(drop),
        },
    ];
    every_message_in_every_state(&states, &run().2);
}

#[test]
fn missing_empty_and_misplaced_fields_are_malformed() {
    let request = |tag, value: Option<&[u8]>| {
        let good: [(Tag, &[u8]); 2] = [(Tag::SERIAL, b"SN-1"), (Tag::CERTIFICATION_REQUEST, &[0x30, 0])];
        let frame = with(MessageType::DeviceRequest, &good, tag, value);
        Start::new().begin().unwrap().1.on_frame(&frame).map(drop)
    };
    let missing = |tag| Malformed::MissingField { tag };
    assert_malformed(request(Tag::SERIAL, None), missing(Tag::SERIAL));
    assert_malformed(request(Tag::CERTIFICATION_REQUEST, None), missing(Tag::CERTIFICATION_REQUEST));
    let empty = Malformed::FieldLength { tag: Tag::CERTIFICATION_REQUEST, found: 0 };
    assert_malformed(request(Tag::CERTIFICATION_REQUEST, Some(&[])), empty);
    // The serial behind the request: another order than ascending.
    assert_malformed(request(Tag::SERIAL, Some(b"SN-1")), Malformed::FieldOrder { tag: Tag::SERIAL });

    let offered = |value: Option<&[u8]>| -> Result<(), Fault> {
        let frame = with(MessageType::DeviceCertificate, &[], Tag::DEVICE_CERTIFICATE, value);
        ExpectCertificate::resume().on_frame(&frame).map(drop)
    };
    offered(Some(&[0x30, 0])).unwrap();
    assert_malformed(offered(None), missing(Tag::DEVICE_CERTIFICATE));
    let empty = Malformed::FieldLength { tag: Tag::DEVICE_CERTIFICATE, found: 0 };
    assert_malformed(offered(Some(&[])), empty);
}

#[test]
fn every_reason_has_its_code_of_section_8() {
    every_reason_has_its_code([
        (Reason::Pad(PadRefusal::NotPermitted { why: why() }), ErrorCode::NotPermittedNow),
        (Reason::CertificateRefused { why: why() }, ErrorCode::CertificateRefused),
        (Reason::UnknownTerminal { sn: "SN-1".parse().unwrap() }, ErrorCode::UnknownTerminal),
        (Reason::RequestRefused { why: why() }, ErrorCode::Malformed),
        (Reason::OtherCertificate { why: why() }, ErrorCode::NotPermittedNow),
        (Reason::Internal { why: why() }, ErrorCode::Internal),
    ]);
}
