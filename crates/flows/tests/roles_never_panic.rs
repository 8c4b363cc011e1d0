//! Whole roles under any frames: they refuse or go on, and never panic.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails, as it should")]

use keyferry_flows::{
    PadRefusal as LoadRefusal,
    collect::{CollectKey, ask, station, terminal as collect_terminal},
    local_load::{self, LoadPad},
    repair,
    rks_load::{self, IdentityPad},
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

impl LoadPad for Yes {
    type Key = ();

    fn accept(&mut self, (): &(), _: &Frame) -> Result<Vec<u8>, LoadRefusal> {
        Ok(vec![1; 256])
    }

    fn load(&mut self, _: &Frame, _: &Frame) -> Result<Kcv, LoadRefusal> {
        Ok(Kcv::Tdes([3; 3]))
    }

    fn loaded(&mut self, _: &Frame, _: &Frame) -> Result<(), LoadRefusal> {
        Ok(())
    }
}

impl IdentityPad for Yes {
    type Key = ();

    fn begin(&mut self, _: Slot) -> Result<(), LoadRefusal> {
        Ok(())
    }

    fn factor(&mut self, (): &(), _: &Frame, _: &Frame) -> Result<Vec<u8>, LoadRefusal> {
        Ok(vec![1; 256])
    }

    fn proof(&mut self, _: &Frame, _: &Frame) -> Result<Vec<u8>, LoadRefusal> {
        Ok(vec![2; 256])
    }

    fn keys(&mut self, _: &Frame, _: &Frame) -> Result<Vec<Kcv>, LoadRefusal> {
        Ok(vec![Kcv::Tdes([3; 3])])
    }

    fn done(&mut self, _: &Frame, _: &Frame) -> Result<(), LoadRefusal> {
        Ok(())
    }

    fn forget(&mut self) {}
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
        (Tag::C_RND1_RND2, 256),
        (Tag::C_CTMK_RND2, 256),
        (Tag::FACTOR_CIPHERTEXT, 256),
        (Tag::AT_TK1, 16),
        (Tag::AT_TK2_TK_SHA2, 256),
        (Tag::REPAIR_CHALLENGE, 16),
        (Tag::REPAIR_EXPIRY, 6),
        (Tag::SIGNATURE, 256),
    ]);
    let value = prop_oneof![Just(0x30_u8), Just(0x41), Just(0), Just(1), Just(0xFF)];
    let field = (known, value, 0_usize..20);
    let fields = vec(field, 0..24).prop_map(|drawn| {
        let mut fields = Fields::new();
        for ((tag, length), value, odd) in drawn {
            let length = if odd == 0 { length + 1 } else { length };
            let _ = fields.push(tag, &vec![value; length]);
        }
        let mut entry = Fields::new();
        entry.push(Tag::KCV, &[3; 3]).unwrap();
        if fields.get(Tag::KEY_BLOCK).is_some() {
            entry.push(Tag::KEY_BLOCK, b"B").unwrap();
        }
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
        MessageType::CollectAsk,
        MessageType::KldConnect,
        MessageType::KldAccept,
        MessageType::KldKey,
        MessageType::RksAuth,
        MessageType::RksCert,
        MessageType::RksFactor,
        MessageType::RksToken,
        MessageType::RksProof,
        MessageType::RksKeys,
        MessageType::RepairAsk,
        MessageType::RepairChallenge,
        MessageType::Repair,
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

fn device() -> Device {
    Device::built_in(Serial::parse("SN-1").unwrap())
}

fn loaded_terminal(frames: &[Frame; 3]) -> Option<()> {
    let connect = local_load::terminal::Connect::read(&frames[0]).ok()?;
    let (_, state) = connect.accept(&mut Yes, &device(), &()).ok()?;
    let (_, state) = state.on_frame(&mut Yes, &frames[1]).ok()?;
    state.on_frame(&mut Yes, &frames[2]).ok().map(drop)
}

fn kld(frames: &[Frame; 3]) -> Option<()> {
    let (_, state) = local_load::kld::Start::new(vec![0x30, 0], Vec::new()).begin().ok()?;
    let (_, state) = state.on_frame(&frames[0]).ok()?.deliver(&[1; 256], Kcv::Tdes([3; 3])).ok()?;
    match state.on_frame(&frames[1]).ok()? {
        local_load::kld::Confirm::Opened(confirmed) => confirmed.done().ok().map(drop),
        local_load::kld::Confirm::WrongCheckValue(fault) => fault.answer().map(drop),
    }
}

fn rks_device(frames: &[Frame; 3]) -> Option<()> {
    let begin = || rks_load::device::Start::new(device(), Slot::new(0).unwrap()).begin(&mut Yes).unwrap().1;
    let (_, state) = begin().on_frame(&mut Yes, &frames[0]).ok()?.factor(&mut Yes, &()).ok()?;
    let (_, state) = state.on_frame(&mut Yes, &frames[1]).ok()?;
    let (_, state) = state.on_frame(&mut Yes, &frames[2]).ok()?;
    state.on_frame(&mut Yes, &frames[0]).ok().map(drop)
}

fn rks(frames: &[Frame; 3]) -> Option<()> {
    let auth = rks_load::rks::ExpectAuth::new().on_frame(&frames[0]).ok()?;
    let (_, state) = auth.certificate(vec![0x30, 0], Vec::new()).ok()?;
    let (_, state) = state.on_frame(&frames[1]).ok()?.token("B".into()).ok()?;
    let proof = state.on_frame(&frames[2]).ok()?;
    let (_, state) = proof.deliver(&[("B".into(), Kcv::Tdes([3; 3]))], true).ok()?;
    match state.on_frame(&frames[0]).ok()? {
        rks_load::rks::Confirm::Opened(confirmed) => confirmed.done().ok().map(drop),
        rks_load::rks::Confirm::WrongCheckValue(fault) => fault.answer().map(drop),
    }
}

fn repaired(frames: &[Frame; 3]) -> Option<()> {
    let ask = repair::terminal::Ask::read(&frames[0]).ok()?;
    let (_, state) = ask.challenge(device(), [0; repair::CHALLENGE]).ok()?;
    state.on_frame(&frames[1]).ok()?.done().ok().map(drop)
}

fn repair_station(frames: &[Frame; 3]) -> Option<()> {
    let (_, state) = repair::station::Start::new().begin().ok()?;
    let challenge = state.on_frame(&frames[0]).ok()?;
    let expiry = wire::BcdTime::from_unix(1_800_000_000).unwrap();
    let (_, state) = challenge.authorise(vec![0x30, 0], Vec::new(), expiry, vec![7]).ok()?;
    state.on_frame(&frames[1]).ok().map(drop)
}

fn asking(frames: &[Frame; 3]) -> Option<()> {
    let (_, state) = ask::terminal::Start::new(device()).begin().ok()?;
    let (_, state) = state.on_frame(&frames[0]).ok()?.answer_again(frames[1].clone()).ok()?;
    state.on_frame(&frames[2]).ok()
}

fn asked(frames: &[Frame; 3]) -> Option<()> {
    let key = CollectKey::BareKey(vec![0x30, 0]);
    let (_, state) = ask::server::ExpectAsk::new().on_frame(&frames[0]).ok()?.collect(key, 256).ok()?;
    state.on_frame(&frames[1]).ok()?.done().ok().map(drop)
}

proptest! {
    #[test]
    fn every_role_takes_any_frames(frames in [frame(), frame(), frame()]) {
        let _ = (terminal(&frames), kms(&frames));
        let _ = (loaded_terminal(&frames), kld(&frames), rks_device(&frames), rks(&frames));
        let _ = (repaired(&frames), repair_station(&frames), asking(&frames), asked(&frames));
        let _ = local_load::messages::SignedFields::read(frames[0].payload());
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
