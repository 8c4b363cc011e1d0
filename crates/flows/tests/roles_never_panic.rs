//! Whole roles under any frames: they refuse or go on, and never panic.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails, as it should")]

use keyferry_flows::{
    collect::{CollectKey, station, terminal as collect_terminal},
    tmk_download::{
        DownloadPad, PadRefusal,
        kms::{Confirm, ExpectHello},
        terminal::Start,
    },
};
use proptest::{collection::vec, prelude::*};
use wire::{Device, Fields, Frame, Kcv, MessageType, Serial, Slot, Tag};

/// A PIN pad that says yes to everything, so that the role itself is what refuses.
struct Yes;

impl DownloadPad for Yes {
    fn start(&mut self, _: Slot) -> Result<[u8; 8], PadRefusal> {
        Ok([1; 8])
    }

    fn challenge(&mut self, _: &Frame, _: &Frame) -> Result<[u8; 8], PadRefusal> {
        Ok([2; 8])
    }

    fn key(&mut self, _: &Frame, _: &Frame) -> Result<Kcv, PadRefusal> {
        Ok(Kcv::Tdes([3; 3]))
    }

    fn done(&mut self, _: &Frame, _: &Frame) -> Result<(), PadRefusal> {
        Ok(())
    }
}

/// Frames of the types that the roles know, with fields that they look for, mostly of the right length, or any bytes.
fn frame() -> impl Strategy<Value = Frame> {
    let known = prop::sample::select(vec![
        (Tag::SUITE, 1_usize),
        (Tag::SERIAL, 5),
        (Tag::PIN_PAD_SERIAL, 5),
        (Tag::SLOT, 1),
        (Tag::RND1, 8),
        (Tag::RND2, 8),
        (Tag::CRND1, 8),
        (Tag::CRND2, 8),
        (Tag::CTK_PU, 256),
        (Tag::CERTIFICATE, 2),
        (Tag::INTERMEDIATES, 2),
        (Tag::KEY_BLOCK, 16),
    ]);
    let value = prop_oneof![Just(0x30_u8), Just(0x41), Just(0), Just(0xFF)];
    let field = (known, value, 0_usize..20);
    let fields = vec(field, 0..14).prop_map(|drawn| {
        let mut fields = Fields::new();
        for ((tag, length), value, odd) in drawn {
            let length = if odd == 0 { length + 1 } else { length };
            let _ = fields.push(tag, &vec![value; length]);
        }
        let mut entry = Fields::new();
        entry.push(Tag::KCV, &[3; 3]).unwrap();
        fields.push_template(Tag::KEY_ENTRY, entry).unwrap();
        fields
    });
    let kind = prop::sample::select(vec![
        MessageType::TkHello,
        MessageType::TkChallenge,
        MessageType::TkReply,
        MessageType::TkKey,
        MessageType::KeyConfirm,
        MessageType::Done,
        MessageType::Collect,
        MessageType::Collected,
        MessageType::Error,
    ]);
    let formed = (kind, fields).prop_map(|(kind, fields)| Frame::new(kind, &fields).unwrap());
    let any_bytes = vec(any::<u8>(), 2..80).prop_map(|payload| Frame::from_payload(&payload).unwrap());
    prop_oneof![4 => formed, 1 => any_bytes]
}

fn terminal(frames: &[Frame; 3]) -> Option<()> {
    let device = Device::built_in(Serial::parse("SN-1").unwrap());
    let (_, state) = Start::new(device, Slot::new(0).unwrap()).begin(&mut Yes).ok()?;
    let (_, state) = state.on_frame(&mut Yes, &frames[0]).ok()?;
    let (_, state) = state.on_frame(&mut Yes, &frames[1]).ok()?;
    state.on_frame(&mut Yes, &frames[2]).ok().map(drop)
}

fn kms(frames: &[Frame; 3]) -> Option<()> {
    let (_, state) = ExpectHello::new().on_frame(&frames[0]).ok()?.challenge([0; 8], [0x80; 8]).ok()?;
    let (_, state) = state.on_frame(&frames[1]).ok()?.deliver("B", Kcv::Tdes([3; 3])).ok()?;
    match state.on_frame(&frames[2]).ok()? {
        Confirm::Opened(confirmed) => confirmed.done().ok().map(drop),
        Confirm::WrongCheckValue(fault) => fault.answer().map(drop),
    }
}

proptest! {
    #[test]
    fn every_role_takes_any_frames(frames in [frame(), frame(), frame()]) {
        let _ = (terminal(&frames), kms(&frames));
        for frame in &frames {
            if let Ok(ask) = collect_terminal::Ask::read(frame) {
                let _ = (ask.suite(), ask.digest());
            }
            let (_, state) = station::Start::new(CollectKey::BareKey(vec![0x30, 0]), 256).begin().unwrap();
            if let Err(fault) = state.on_frame(frame) {
                prop_assert_eq!(fault.answer().is_none(), fault.peer_error().is_some());
            }
        }
    }
}
