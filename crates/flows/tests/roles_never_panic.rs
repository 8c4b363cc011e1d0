//! Whole roles under any frames: they refuse or go on, and never panic.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails, as it should")]

mod support;

use keyferry_flows::{
    Tdes,
    collect::{CollectKey, ask, station, terminal as collect_terminal},
    device_certificate, local_load, repair, rks_load, sign_in,
    tmk_download::{
        kms::{Confirm, ExpectHello},
        terminal::Start,
    },
    tms_download::{Data, Done, Fetch, Inventory, Next, Plan, Request, sealed::unseal},
    tms_session::{self, Identification, OperatorPassword, Transaction, terminal::Keyed},
};
use proptest::{collection::vec, prelude::*};
use wire::{Device, Fields, Frame, Kcv, MessageType, SData, Serial, Slot, Tag};

use support::Yes;

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
        (Tag::KCV, 3),
        (Tag::VENDOR_ID, 5),
        (Tag::MODEL_ID, 5),
        (Tag::DWK_MODE, 1),
        (Tag::TAC_1, 4),
        (Tag::DWK_1, 16),
        (Tag::SAC_1, 4),
        (Tag::RESULT, 1),
        (Tag::OPERATOR_ID, 5),
        (Tag::OPERATOR_PROOF, 32),
        (Tag::OPERATOR_DEMANDED, 1),
        (Tag::PACKAGE_NAME, 5),
        (Tag::OFFSET, 8),
        (Tag::LENGTH_WANTED, 4),
        (Tag::DATA, 5),
        (Tag::SEALED_MESSAGE, 24),
        (Tag::MESSAGE_MAC, 8),
        (Tag::MORE, 1),
        (Tag::STATUS, 5),
        (Tag::CERTIFICATION_REQUEST, 2),
        (Tag::DEVICE_CERTIFICATE, 2),
    ]);
    // Fields with few right values, each mostly right.
    let special = prop::sample::select(vec![
        (Tag::TMS_VERSION, &b"01.00"[..]),
        (Tag::TMS_VERSION, b"02.00"),
        (Tag::TRANSACTION_CODE, b"0001"),
        (Tag::TRANSACTION_CODE, b"0002"),
        (Tag::TRANSACTION_CODE, b"0009"),
        (Tag::STAGE, &[1]),
        (Tag::STAGE, &[2]),
        (Tag::STAGE, &[3]),
        (Tag::STAGE, &[4]),
        (Tag::SRC, b"00"),
        (Tag::SRC, b"06"),
        (Tag::T_DATA, &[0; 10]),
        (Tag::S_DATA, &[0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0]),
        (Tag::PACKAGE_VERSION, b"1.2.0"),
        (Tag::PACKAGE_KIND, &[1]),
    ]);
    let value = prop_oneof![Just(0x30_u8), Just(0x41), Just(0), Just(1), Just(0xFF)];
    let field = (known, value, 0_usize..20);
    let fields = (vec(field, 0..40), vec(special, 0..16)).prop_map(|(drawn, special)| {
        let mut fields = Fields::new();
        for (tag, value) in special {
            let _ = fields.push(tag, value);
        }
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
        if fields.get(Tag::PACKAGE_KIND).is_some() {
            let mut package = Fields::new();
            package.push(Tag::PACKAGE_NAME, b"pay-app").unwrap();
            package.push(Tag::PACKAGE_VERSION, b"1.2.0").unwrap();
            package.push(Tag::PACKAGE_KIND, &[1]).unwrap();
            fields.push_template(Tag::PACKAGE_ENTRY, package).unwrap();
        }
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
        MessageType::DeviceAsk,
        MessageType::DeviceRequest,
        MessageType::DeviceCertificate,
        MessageType::TmsHello,
        MessageType::TmsChallenge,
        MessageType::TmsProof,
        MessageType::TmsKey,
        MessageType::TmsInventory,
        MessageType::TmsPlan,
        MessageType::TmsGet,
        MessageType::TmsData,
        MessageType::TmsReport,
        MessageType::Sealed,
        MessageType::SignIn,
        MessageType::WorkingKeys,
        MessageType::SignInConfirm,
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
    match state.on_frame(&frames[2]).ok()?.compare() {
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
    match state.on_frame(&frames[1]).ok()?.compare() {
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
    match state.on_frame(&frames[0]).ok()?.compare() {
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

fn certifying(frames: &[Frame; 3]) -> Option<()> {
    let requested = device_certificate::station::Start::new().begin().ok()?.1.on_frame(&frames[0]).ok()?;
    let (_, state) = requested.certify(vec![0x30, 0], Vec::new()).ok()?;
    state.on_frame(&frames[1]).ok().map(drop)
}

fn certified(frames: &[Frame; 3]) -> Option<()> {
    let ask = device_certificate::terminal::Ask::read(&frames[0]).ok()?;
    let (_, state) = ask.request(&mut Yes, &device()).ok()?;
    state.on_frame(&frames[1]).ok()?.install(&mut Yes).ok().map(drop)
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

fn identification() -> Identification {
    let [vendor, model] = ["AAAAA"; 2];
    let device = Device::built_in(Serial::parse("AAAAA").unwrap());
    Identification { vendor: vendor.parse().unwrap(), model: model.parse().unwrap(), device }
}

/// Gives the frames to a terminal that wants a key, and to one that wants packages.
fn tms_terminal(frames: &[Frame; 3]) -> Option<()> {
    for transaction in
        [Transaction::ProgramDownload, Transaction::KeyDownload { slot: Slot::new(0).unwrap() }]
    {
        let start = tms_session::terminal::Start::new(identification(), transaction, None);
        let (_, state) = start.begin(&mut Yes).ok()?;
        let operator = OperatorPassword { id: "op7".parse().unwrap(), password: b"secret" };
        let (_, state) = state.on_frame(&mut Yes, &frames[0], Some(&operator)).ok()?;
        if let Keyed::Key { expect, .. } = state.on_frame(&mut Yes, &frames[1]).ok()? {
            expect.on_frame(&mut Yes, &frames[2]).ok()?;
        }
    }
    Some(())
}

fn tms(frames: &[Frame; 3]) -> Option<()> {
    let hello = tms_session::tms::ExpectHello::new().on_frame(&frames[0]).ok()?;
    let (_, state) = hello.challenge([0; 4], &SData::new([0; 4], None), "B", true).ok()?;
    let proof = state.on_frame(&frames[1]).ok()?;
    if proof.transaction() == Transaction::ProgramDownload {
        return proof.open_program("B").ok().map(drop);
    }
    let (_, state) = proof.open_key("B", "B", Kcv::Tdes([3; 3])).ok()?;
    match state.on_frame(&frames[2]).ok()?.compare() {
        tms_session::tms::Confirm::Opened(confirmed) => confirmed.done().ok().map(drop),
        tms_session::tms::Confirm::WrongCheckValue(fault) => fault.answer().map(drop),
    }
}

/// What both sides make of an opened payload.
fn sealed_phase(frame: &Frame) {
    let inner = unseal::<Tdes>(frame).unwrap_or_else(|_| frame.payload().to_vec());
    match Request::read::<Tdes>(&inner) {
        Ok(Request::Get(get)) => drop((get.length(7), get.clone().answer(7, vec![0; 7]), get.not_offered())),
        Ok(Request::Inventory(inventory)) => {
            drop(Inventory::from_payload::<Tdes>(&inventory.to_payload().unwrap()));
        }
        Ok(Request::Report(report)) => drop((report.to_payload(), report.answer())),
        Err(fault) => drop(fault.answer()),
    }
    let _ = (Plan::from_payload::<Tdes>(&inner), Done::from_payload::<Tdes>(&inner));
    let Ok(data) = Data::from_payload::<Tdes>(&inner) else { return };
    let id = wire::PackageId {
        name: data.name.clone(),
        version: data.version.clone(),
        kind: wire::PackageKind::Application,
    };
    let mut fetch = Fetch::new(&wire::Manifest { id, size: u64::MAX, sha256: [0; 32] }, data.offset);
    if let Next::Get(_) = fetch.next::<Tdes>(5, 1 << 20) {
        let _ = fetch.on_data(data);
    }
}

fn signing_in(frames: &[Frame; 3]) -> Option<()> {
    let (_, state) =
        sign_in::terminal::Start::new(device(), Slot::new(0).unwrap(), 0).begin(&mut Yes).ok()?;
    let (_, state) = state.on_frame(&mut Yes, &frames[0]).ok()?;
    state.on_frame(&mut Yes, &frames[1]).ok().map(drop)
}

fn host(frames: &[Frame; 3]) -> Option<()> {
    let asked = sign_in::host::ExpectSignIn::new().on_frame(&frames[0]).ok()?;
    let (_, state) = asked.deliver(&["P".into(), "M".into()]).ok()?;
    state.on_frame(&frames[1]).ok()?.done(sign_in::messages::Mac([0; 8])).ok().map(drop)
}

proptest! {
    #[test]
    fn every_role_takes_any_frames(frames in [frame(), frame(), frame()]) {
        let _ = (terminal(&frames), kms(&frames));
        let _ = (loaded_terminal(&frames), kld(&frames), rks_device(&frames), rks(&frames));
        let _ = (repaired(&frames), repair_station(&frames), asking(&frames), asked(&frames));
        let _ = (certifying(&frames), certified(&frames));
        let _ = (tms_terminal(&frames), tms(&frames), signing_in(&frames), host(&frames));
        frames.iter().for_each(sealed_phase);
        let _ = local_load::messages::SignedFields::read(frames[0].payload());
        for frame in &frames {
            if let Ok(ask) = <collect_terminal::Ask>::read(frame) {
                let _ = (ask.suite(), ask.digest());
            }
            let (_, state) = station::Start::new(CollectKey::BareKey(vec![0x30, 0]), 256).begin().unwrap();
            if let Err(fault) = state.on_frame(frame) {
                prop_assert_eq!(fault.answer().is_none(), fault.peer_error().is_some());
            }
        }
    }
}
