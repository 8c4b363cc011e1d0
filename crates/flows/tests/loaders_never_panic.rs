//! The roles of suite 02 that load keys by cable and from the RKS, under any frames: they refuse or go on, and never panic.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails, as it should")]

use keyferry_flows::{
    Chain, EcAes, Loaded, PadRefusal,
    local_load::{self, LoadPad, messages::DeviceAnswer, messages::SignedKey},
    rks_load::{self, IdentityPad, messages::SealedFactor, messages::SignedOpening},
    suite::{Confirmation, Ephemeral, Receipt, Signature},
};
use proptest::{collection::vec, prelude::*};
use wire::{Device, Fields, Frame, Kcv, MessageType, Serial, Slot, Tag};

/// A PIN pad that says yes to everything, so that the role itself is what refuses.
struct Yes;

fn ephemeral() -> Ephemeral {
    Ephemeral { point: [4; 65], nonce: [5; 32] }
}

fn loaded() -> Loaded<EcAes> {
    Loaded { kcvs: vec![Kcv::Aes([3; 5])], confirmation: Receipt([6; 32]) }
}

impl LoadPad<EcAes> for Yes {
    type Key = ();

    fn accept(&mut self, (): &(), _: &Frame, _: &Device) -> Result<DeviceAnswer, PadRefusal> {
        Ok(DeviceAnswer { ephemeral: ephemeral(), certificate: vec![0x30, 0], signature: Signature([7; 64]) })
    }

    fn load(&mut self, _: &Frame, _: &Frame) -> Result<Loaded<EcAes>, PadRefusal> {
        Ok(loaded())
    }

    fn loaded(&mut self, _: &Frame, _: &Frame) -> Result<(), PadRefusal> {
        Ok(())
    }
}

impl IdentityPad<EcAes> for Yes {
    type Key = ();

    fn begin(&mut self, _: Slot) -> Result<Ephemeral, PadRefusal> {
        Ok(ephemeral())
    }

    fn factor(&mut self, (): &(), _: &Frame, _: &Frame) -> Result<SealedFactor, PadRefusal> {
        Ok(SealedFactor(vec![1; 24]))
    }

    fn proof(&mut self, _: &Frame, _: &Frame) -> Result<Confirmation, PadRefusal> {
        Ok(Confirmation([2; 32]))
    }

    fn keys(&mut self, _: &Frame, _: &Frame) -> Result<Loaded<EcAes>, PadRefusal> {
        Ok(loaded())
    }

    fn done(&mut self, _: &Frame, _: &Frame) -> Result<(), PadRefusal> {
        Ok(())
    }

    fn forget(&mut self) {}
}

/// Frames of these flows with fields that they look for, mostly in order and of the right length, or any bytes.
fn frame() -> impl Strategy<Value = Frame> {
    let known = prop::sample::select(vec![
        (Tag::SUITE, 1_usize),
        (Tag::SERIAL, 5),
        (Tag::SLOT, 1),
        (Tag::CERTIFICATE, 2),
        (Tag::EPHEMERAL_KEY, 65),
        (Tag::NONCE, 32),
        (Tag::CONFIRMATION, 32),
        (Tag::TRANSCRIPT_SIGNATURE, 64),
        (Tag::RECEIPT, 32),
        (Tag::ENCRYPTED_DATA, 24),
        (Tag::DEVICE_CERTIFICATE, 2),
        (Tag::FACTOR, 5),
        (Tag::MORE, 1),
    ]);
    let value = prop_oneof![Just(0x30_u8), Just(0x41), Just(0), Just(1), Just(2), Just(0xFF)];
    let entries = vec(prop::sample::select(vec!["D0144K1AB00N0300", "D014412AN00N0200", ""]), 0..3);
    let fields = (vec((known, value, 0_usize..20), 0..24), entries).prop_map(|(drawn, entries)| {
        let mut fields = Fields::new();
        for ((tag, length), value, odd) in drawn {
            let length = if odd == 0 { length + 1 } else { length };
            let _ = fields.push(tag, &vec![value; length]);
        }
        for block in entries {
            let mut entry = Fields::new();
            entry.push(Tag::KEY_BLOCK, block.as_bytes()).unwrap();
            fields.push_template(Tag::KEY_ENTRY, entry).unwrap();
        }
        fields
    });
    let kind = prop::sample::select(vec![
        MessageType::KldConnect,
        MessageType::KldAccept,
        MessageType::KldKey,
        MessageType::RksAuth,
        MessageType::RksCert,
        MessageType::RksFactor,
        MessageType::RksToken,
        MessageType::RksProof,
        MessageType::RksKeys,
        MessageType::KeyConfirm,
        MessageType::Done,
        MessageType::Error,
    ]);
    let formed = (kind, fields, 0_usize..10).prop_map(|(kind, fields, order)| {
        let fields = if order == 0 { fields } else { fields.ascending() };
        Frame::new(kind, &fields).unwrap()
    });
    let any_bytes = vec(any::<u8>(), 2..80).prop_map(|payload| Frame::from_payload(&payload).unwrap());
    prop_oneof![8 => formed, 1 => any_bytes]
}

fn device() -> Device {
    Device::built_in(Serial::parse("SN-1").unwrap())
}

fn chain() -> Chain {
    Chain { leaf: vec![0x30, 0], intermediates: Vec::new() }
}

fn terminal(frames: &[Frame; 3]) -> Option<()> {
    let connect = local_load::terminal::Connect::<EcAes>::read_of(&frames[0]).ok()?;
    let (_, state) = connect.accept(&mut Yes, &device(), &()).ok()?;
    let (_, state) = state.on_frame(&mut Yes, &frames[1]).ok()?;
    state.on_frame(&mut Yes, &frames[2]).ok().map(drop)
}

fn kld(frames: &[Frame; 3]) -> Option<()> {
    let (_, state) = local_load::kld::Start::<EcAes>::of(chain(), ephemeral()).begin().ok()?;
    let accept = state.on_frame(&frames[0]).ok()?;
    accept.signed().unwrap();
    let key = SignedKey { factor: None, block: "D".into(), signature: Signature([7; 64]) };
    let (_, state) = accept.give(&key, Kcv::Aes([3; 5])).ok()?;
    state.on_frame(&frames[1]).ok()?.acknowledged(Receipt([8; 32])).done().ok().map(drop)
}

fn rks_device(frames: &[Frame; 3]) -> Option<()> {
    let start = rks_load::device::Start::<EcAes>::of(device(), Slot::new(0).unwrap());
    let (_, state) = start.begin(&mut Yes).unwrap();
    let (_, state) = state.on_frame(&mut Yes, &frames[0]).ok()?.factor(&mut Yes, &()).ok()?;
    let (_, state) = state.on_frame(&mut Yes, &frames[1]).ok()?;
    let (_, state) = state.on_frame(&mut Yes, &frames[2]).ok()?;
    state.on_frame(&mut Yes, &frames[0]).ok().map(drop)
}

fn rks(frames: &[Frame; 3]) -> Option<()> {
    let auth = rks_load::rks::ExpectAuth::new().on_frame_of::<EcAes>(&frames[0]).ok()?;
    auth.hole(&chain()).unwrap();
    let answer = SignedOpening { ephemeral: ephemeral(), signature: Signature([7; 64]) };
    let (_, state) = auth.answer(chain(), answer).ok()?;
    let factor = state.on_frame(&frames[1]).ok()?;
    factor.said_bare().unwrap();
    let (_, state) = factor.answer(&Confirmation([1; 32])).ok()?;
    let proof = state.on_frame(&frames[2]).ok()?;
    proof.said_bare().unwrap();
    let (_, state) = proof.deliver(&[("D".into(), Kcv::Aes([3; 5]))], true).ok()?;
    state.on_frame(&frames[0]).ok()?.acknowledged(Receipt([8; 32])).done().ok().map(drop)
}

proptest! {
    #[test]
    fn every_role_takes_any_frames(frames in [frame(), frame(), frame()]) {
        let _ = (terminal(&frames), kld(&frames), rks_device(&frames), rks(&frames));
    }
}
