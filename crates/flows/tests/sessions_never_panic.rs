//! The roles of suite 02 of a session with the TMS and of a sign-in, under any frames: they refuse or go on, and never
//! panic.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails, as it should")]

use keyferry_flows::{
    EcAes, Loaded, PadRefusal,
    sign_in::{
        self, SignInPad,
        messages::{Mac, Nonce},
    },
    suite::{Confirmation, Ephemeral, Opened, Receipt},
    tms_download::{Counters, Data, Done, Plan, Request, sealed::unseal},
    tms_session::{
        self, Identification, OperatorPassword, PadOpening, PadProof, SealPad, TmsPad, Transaction,
        messages::{Answer, Heard},
        terminal::Keyed,
    },
};
use proptest::{collection::vec, prelude::*};
use wire::{BcdTime, Device, Fields, Frame, Kcv, MessageType, SData, Serial, Slot, TData, Tag};

/// A PIN pad that says yes to everything, so that the role itself is what refuses.
struct Yes;

fn ephemeral() -> Ephemeral {
    Ephemeral { point: [4; 65], nonce: [5; 32] }
}

impl TmsPad<EcAes> for Yes {
    fn tms_begin(&mut self, when: Option<BcdTime>) -> Result<PadOpening<EcAes>, PadRefusal> {
        Ok(PadOpening { t_data: TData::new([1; 4], when), opening: ephemeral() })
    }

    fn tms_prove(
        &mut self,
        _: &Frame,
        _: &Frame,
        operator: Option<&OperatorPassword<'_>>,
    ) -> Result<PadProof<EcAes>, PadRefusal> {
        Ok(PadProof { proof: Confirmation([2; 32]), operator: operator.map(|_| [3; 32]) })
    }

    fn tms_keys(&mut self, _: &Frame, _: &Frame) -> Result<Option<Loaded<EcAes>>, PadRefusal> {
        Ok(Some(Loaded { kcvs: vec![Kcv::Aes([3; 5])], confirmation: Receipt([6; 32]) }))
    }

    fn tms_done(&mut self, _: &Frame, _: &Frame) -> Result<(), PadRefusal> {
        Ok(())
    }
}

impl SealPad for Yes {
    fn tms_seal(&mut self, inner: &[u8]) -> Result<Vec<u8>, PadRefusal> {
        Ok(inner.to_vec())
    }

    fn tms_open(&mut self, sealed: &[u8]) -> Result<Vec<u8>, PadRefusal> {
        Ok(sealed.to_vec())
    }

    fn tms_blocks_left(&self) -> u64 {
        1 << 34
    }

    fn tms_forget(&mut self) {}
}

impl SignInPad<EcAes> for Yes {
    fn sign_in_begin(&mut self, _: Slot, _: u8) -> Result<(Nonce, Kcv), PadRefusal> {
        Ok((Nonce([1; 32]), Kcv::Aes([3; 5])))
    }

    fn sign_in_keys(&mut self, _: &Frame, _: &Frame) -> Result<Mac<16>, PadRefusal> {
        Ok(Mac([4; 16]))
    }

    fn sign_in_done(&mut self, _: &Frame, _: &Frame) -> Result<Vec<Kcv>, PadRefusal> {
        Ok(vec![Kcv::Aes([3; 5]); 2])
    }

    fn sign_in_forget(&mut self) {}
}

/// Frames of these flows with fields that they look for, mostly in order and of the right form, or any bytes.
fn frame() -> impl Strategy<Value = Frame> {
    let drawn = prop::sample::select(vec![
        (Tag::SUITE, 1_usize),
        (Tag::SLOT, 1),
        (Tag::KCV, 5),
        (Tag::EPHEMERAL_KEY, 65),
        (Tag::NONCE, 32),
        (Tag::CONFIRMATION, 32),
        (Tag::TRANSCRIPT_SIGNATURE, 64),
        (Tag::RECEIPT, 32),
        (Tag::RESULT, 1),
        (Tag::OPERATOR_ID, 5),
        (Tag::OPERATOR_PROOF, 32),
        (Tag::OPERATOR_DEMANDED, 1),
        (Tag::KEY_BLOCK, 16),
        (Tag::DWK_1, 16),
        (Tag::SEALED_MESSAGE, 20),
        (Tag::MESSAGE_MAC, 16),
        (Tag::OFFSET, 8),
        (Tag::LENGTH_WANTED, 4),
    ]);
    let special = prop::sample::select(vec![
        (Tag::SERIAL, &b"AAAAA"[..]),
        (Tag::VENDOR_ID, b"AAAAA"),
        (Tag::MODEL_ID, b"AAAAA"),
        (Tag::TMS_VERSION, b"01.00"),
        (Tag::TRANSACTION_CODE, b"0001"),
        (Tag::TRANSACTION_CODE, b"0002"),
        (Tag::DWK_MODE, &[2]),
        (Tag::DWK_MODE, &[1]),
        (Tag::STAGE, &[1]),
        (Tag::STAGE, &[2]),
        (Tag::STAGE, &[3]),
        (Tag::STAGE, &[4]),
        (Tag::SRC, b"00"),
        (Tag::SRC, b"06"),
        (Tag::T_DATA, &[0; 10]),
        (Tag::S_DATA, &[0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0]),
    ]);
    let value = prop_oneof![Just(0x41_u8), Just(0), Just(1), Just(2), Just(0xFF)];
    let fields = (vec(special, 0..24), vec((drawn, value, 0_usize..20), 0..24), 0_usize..4).prop_map(
        |(special, drawn, entries)| {
            let mut fields = Fields::new();
            for (tag, value) in special {
                let _ = fields.push(tag, value);
            }
            for ((tag, length), value, odd) in drawn {
                let length = if odd == 0 { length + 1 } else { length };
                let _ = fields.push(tag, &vec![value; length]);
            }
            for _ in 0..entries {
                let mut entry = Fields::new();
                entry.push(Tag::KEY_BLOCK, b"D").unwrap();
                fields.push_template(Tag::KEY_ENTRY, entry).unwrap();
            }
            fields
        },
    );
    let kind = prop::sample::select(vec![
        MessageType::TmsHello,
        MessageType::TmsChallenge,
        MessageType::TmsProof,
        MessageType::TmsKey,
        MessageType::TmsInventory,
        MessageType::TmsGet,
        MessageType::KeyConfirm,
        MessageType::Done,
        MessageType::Sealed,
        MessageType::SignIn,
        MessageType::WorkingKeys,
        MessageType::SignInConfirm,
        MessageType::Error,
    ]);
    let formed = (kind, fields, 0_usize..10).prop_map(|(kind, fields, order)| {
        let fields = if order == 0 { fields } else { fields.ascending() };
        Frame::new(kind, &fields).unwrap()
    });
    let any_bytes = vec(any::<u8>(), 2..80).prop_map(|payload| Frame::from_payload(&payload).unwrap());
    prop_oneof![8 => formed, 1 => any_bytes]
}

fn identification() -> Identification {
    let device = Device::built_in(Serial::parse("AAAAA").unwrap());
    Identification { vendor: "AAAAA".parse().unwrap(), model: "AAAAA".parse().unwrap(), device }
}

fn s_data() -> SData {
    SData::new([0; 4], None)
}

fn slot() -> Slot {
    Slot::new(0).unwrap()
}

fn terminal(transaction: Transaction, frames: &[Frame; 3]) -> Option<()> {
    let start = tms_session::terminal::Start::<EcAes>::of(identification(), transaction, None);
    let (_, state) = start.begin(&mut Yes).unwrap();
    let operator = OperatorPassword { id: "op7".parse().unwrap(), password: b"secret" };
    let (_, state) = state.on_frame(&mut Yes, &frames[0], Some(&operator)).ok()?;
    if let Keyed::Key { expect, .. } = state.on_frame(&mut Yes, &frames[1]).ok()? {
        expect.on_frame(&mut Yes, &frames[2]).ok()?;
    }
    Some(())
}

fn tms(frames: &[Frame; 3]) -> Option<()> {
    let hello = tms_session::tms::ExpectHello::new().on_frame_of::<EcAes>(&frames[0]).ok()?;
    hello.hole(&s_data(), true).unwrap();
    let opened = Opened { ephemeral: ephemeral(), confirmation: Confirmation([1; 32]) };
    let (_, state) = hello.answer(Answer(opened), &s_data(), true).ok()?;
    let proof = state.on_frame(&frames[1]).ok()?;
    let _ = (proof.confirmation(), proof.said_bare().unwrap());
    let tmk = proof.transaction().slot().map(|_| "D");
    proof.said_with_key(tmk).unwrap();
    let heard = Heard(Receipt([7; 32]));
    let Some(tmk) = tmk else { return proof.begin_program(heard).ok().map(drop) };
    let (_, state) = proof.load_key(heard, tmk, Kcv::Aes([3; 5])).ok()?;
    state.on_frame(&frames[2]).ok()?.acknowledged(Receipt([8; 32])).done().ok().map(drop)
}

fn signing_in(frames: &[Frame; 3]) -> Option<()> {
    let device = Device::built_in(Serial::parse("SN-1").unwrap());
    let (_, state) = sign_in::terminal::Start::<EcAes>::of(device, slot(), 0).begin(&mut Yes).unwrap();
    let (_, state) = state.on_frame(&mut Yes, &frames[0]).ok()?;
    state.on_frame(&mut Yes, &frames[1]).ok().map(drop)
}

fn host(frames: &[Frame; 3]) -> Option<()> {
    let asked = sign_in::host::ExpectSignIn::new().on_frame_of::<EcAes>(&frames[0]).ok()?;
    let _ = asked.nonce();
    let (_, state) = asked.deliver(&["P".into(), "M".into()]).ok()?;
    state.on_frame(&frames[1]).ok()?.done(Mac([0; 16])).ok().map(drop)
}

fn sealed(frame: &Frame) {
    let mut counters = Counters::<EcAes>::of();
    let inner = match unseal::<EcAes>(frame) {
        Ok(sealed) => {
            counters.in_(sealed.len()).unwrap();
            sealed
        }
        Err(_) => frame.payload().to_vec(),
    };
    let _ = (Request::read::<EcAes>(&inner), Plan::from_payload::<EcAes>(&inner));
    let _ = (Data::from_payload::<EcAes>(&inner), Done::from_payload::<EcAes>(&inner));
}

proptest! {
    #[test]
    fn every_role_takes_any_frames(frames in [frame(), frame(), frame()]) {
        for transaction in [Transaction::ProgramDownload, Transaction::KeyDownload { slot: slot() }] {
            let _ = terminal(transaction, &frames);
        }
        let _ = (tms(&frames), signing_in(&frames), host(&frames));
        frames.iter().for_each(sealed);
    }
}
