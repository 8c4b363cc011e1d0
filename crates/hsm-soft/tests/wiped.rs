//! What the HSM's process has in memory after its work: none of the keys it worked with (1-systems.md C, step 10).
//!
//! The HSM runs in a process of its own, as in service; this one plays terminal and device, knows the keys, and looks
//! for them in the other's memory.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
#![cfg(target_os = "linux")]

mod memory;

use std::path::Path;

use hsm::{
    Hsm, KeyBlock,
    commands::{
        AnswerTms, EnrolOperator, Held, ImportUnderZone, ImportZoneKey, Load, LoadTerminal, MacItem,
        MakeDik1, MakeDownloaderKey, MakeRksKey, MakeWorkingKeys, OpenTmsSession, OperatorClaim, PikLength,
        PinFormat, PinTranslation, ReleaseRksKeys, RksKeyKind, RksWanted, SealRksToken, SealTms,
        TerminalMacs, TranslatePins, ZoneAlgorithm,
    },
};
use keyblock::{Algorithm, Exportability, Header, Kbpk, Mode, Usage, Version};
use keyferry_hsm_soft::{
    Offline,
    components::{self, Ceremony, Component, Target},
};
use memory::{PASSPHRASE, Process, connect};
use paycrypto::{
    TdesKey, blocks, digest,
    keys::{Dik2, Dmk, Dwk, Mak, Pik, Rnd1, SessionKey, Tmk},
    operator::Verifier,
    rsa::PublicKey,
};
use pinblock::{Format, Pan, Pin};
use zeroize::Zeroizing;

const OWNER: &str = "ACQ";
const PAD: &str = "SN-1001";
const FACTOR: &[u8] = b"KLD-7/20261120/B042";
const CONTEXT: [u8; 16] = [7; 16];
const TRANSCRIPT: &[u8] = b"frames";

#[tokio::test]
async fn r18_at_tk_and_the_keys_are_gone_when_the_commands_are_done() {
    let folder = tempfile::tempdir().unwrap();
    let process = Process::start(folder.path());
    let hsm = connect(&folder.path().join("hsm.sock")).await;
    let owner = || OWNER.to_owned();
    let make = MakeDownloaderKey { bits: 2048, subject: "KLD".into(), owner: owner() };
    let kld = hsm.call(make).await.unwrap();
    let make = MakeRksKey { bits: 2048, subject: "RKS".into(), owner: owner() };
    let rks = hsm.call(make).await.unwrap();
    let dik1 = hsm.call(MakeDik1 { owner: owner(), label: "batch".into() }).await.unwrap().block;
    let [kld_public, rks_public] = [&kld.public, &rks.public].map(|spki| PublicKey::from_spki(spki).unwrap());

    // Flow B: DIK2 goes into the device.
    let rnd1 = Rnd1::generate().unwrap();
    let rnd2 = [0x5A, 1, 9, 2, 8, 3, 7, 4];
    let load = LoadTerminal {
        work_key: kld.private,
        c_rnd1_rnd2: kld_public.oaep_encrypt(&[rnd1.expose(), &rnd2].concat()).unwrap(),
        pin_pad: PAD.into(),
        owner: owner(),
        context: CONTEXT,
        load: Load::Dik2 { dik1: dik1.clone(), dsn: PAD.into(), factor: Some(FACTOR.to_vec()) },
        escrow_under: None,
    };
    let loaded = hsm.call(load).await.unwrap();
    let signed = kld_public.type1_recover(&loaded.c_ctmk_rnd2).unwrap();
    let block = std::str::from_utf8(&signed[4..4 + usize::from(signed[3])]).unwrap();
    let dik2: Dik2 = blocks::unwrap(&rnd1, block, "SN-1001/00", &CONTEXT).unwrap();

    // Flow C: the device gets two keys.
    let seal = SealRksToken {
        work_key: rks.private.clone(),
        df20: rks_public.oaep_encrypt(FACTOR).unwrap(),
        dik1: Some(dik1),
        dsn: PAD.into(),
        pin_pad: PAD.into(),
        owner: owner(),
        factor_digest: Some(digest::sha256(FACTOR)),
        context: CONTEXT,
    };
    let token = hsm.call(seal).await.unwrap();
    let at_tk1 = blocks::unwrap_token(&dik2, &token.df21, "SN-1001/00", &CONTEXT).unwrap();
    let proof = at_tk1.prove().unwrap();
    let tk2 = proof.clear()[24..48].to_vec();
    let wanted = |kind| RksWanted { slot: 3, kind, pending: None, avoid: vec![] };
    let release = ReleaseRksKeys {
        work_key: rks.private,
        df22: rks_public.oaep_encrypt(proof.clear()).unwrap(),
        ticket: token.ticket,
        owner: owner(),
        pin_pad: PAD.into(),
        wanted: vec![wanted(RksKeyKind::Tmk), wanted(RksKeyKind::Mak)],
        transcript: TRANSCRIPT.to_vec(),
    };
    let keys = hsm.call(release).await.unwrap();
    let tk = proof.into_tk();
    let context = |said: &[u8]| digest::sha256(said)[..16].try_into().unwrap();
    let tmk: Tmk = blocks::unwrap(&tk, &keys[0].under_tk, "SN-1001/03", &context(TRANSCRIPT)).unwrap();
    let said = [TRANSCRIPT, keys[0].under_tk.as_bytes()].concat();
    let mak: Mak = blocks::unwrap(&tk, &keys[1].under_tk, "SN-1001/03", &context(&said)).unwrap();

    // What it does hold is found: a part of its modulus. So the search works.
    assert!(!process.find(&rks.public[100..124]).is_empty(), "the search finds nothing at all");
    for (name, key) in [
        ("AT", at_tk1.at().as_slice()),
        ("TK1", at_tk1.tk1()),
        ("TK2", &tk2),
        ("TK", tk.expose()),
        ("DIK2", dik2.expose()),
        ("Rnd1", rnd1.expose()),
        ("TMK", tmk.expose()),
        ("MAK", mak.expose()),
    ] {
        // Half a key is as bad as a whole one.
        let places = process.find(&key[..16]);
        assert!(places.is_empty(), "{name} is still there: {places:#?}");
    }
}

#[tokio::test]
async fn r18_session_working_and_pin_keys_are_gone_and_so_are_pin_and_password() {
    const ZONE: &str = "ISSUER-1";
    const PASSWORD: &[u8] = b"correct horse battery staple";
    let folder = tempfile::tempdir().unwrap();
    let process = Process::start(folder.path());
    let hsm = connect(&folder.path().join("hsm.sock")).await;
    let owner = || OWNER.to_owned();
    let (master_block, master) = zone_master(&folder.path().join("hsm"));
    let kbpk = Kbpk::new(Version::B, master.expose()).unwrap();
    let wrap = |usage, key: &[u8]| {
        let (algorithm, exportability) = (Algorithm::TDES, Exportability::NOT_EXPORTABLE);
        kbpk.wrap(&Header::new(Version::B, usage, algorithm, Mode::BOTH, exportability), key).unwrap()
    };

    // TMK and DMK move in from another system.
    let (tmk, dmk) = (Tmk::generate().unwrap(), Dmk::generate().unwrap());
    let import = |what, key: &[u8]| ImportUnderZone {
        under: master_block.clone(),
        block: wrap(Usage::KEY_ENCRYPTION, key),
        what,
        pin_pad: PAD.into(),
        owner: owner(),
    };
    let tmk_block = hsm.call(import(Held::Tmk { slot: 3 }, tmk.expose())).await.unwrap().block;
    let dmk_block = hsm.call(import(Held::Dmk, dmk.expose())).await.unwrap().block;

    // Flow E: a session, with an operator, and a sealed message.
    let password = PASSWORD.to_vec().into();
    let enrol = EnrolOperator { owner: owner(), operator: "op7".into(), password };
    let verifier = hsm.call(enrol).await.unwrap();
    let hello = AnswerTms {
        dmk: Some(dmk_block),
        pin_pad: PAD.into(),
        owner: owner(),
        t_data: [1; 10],
        when: [0; 6],
        hello: TRANSCRIPT.to_vec(),
    };
    let answer = hsm.call(hello).await.unwrap();
    let context = digest::sha256(TRANSCRIPT)[..16].try_into().unwrap();
    let dwk: Dwk = blocks::unwrap(&dmk, &answer.dwk_1, "SN-1001/00", &context).unwrap();
    let p = Verifier::derive("op7", PASSWORD);
    let proof = p.proof(&dwk, &[1; 10], &answer.s_data);
    let open = OpenTmsSession {
        ticket: answer.ticket,
        pin_pad: PAD.into(),
        owner: owner(),
        sac_1: dwk.mac(&answer.s_data),
        operator: Some(OperatorClaim { operator: "op7".into(), verifier: Some(verifier), proof }),
        transcript: TRANSCRIPT.to_vec(),
        tmk: None,
    };
    let session = hsm.call(open).await.unwrap();
    let key: SessionKey = blocks::unwrap(&dwk, &session.session_block, "SN-1001/00", &context).unwrap();
    let (session, pin_pad, payload) = (session.session, PAD.to_owned(), b"plan".to_vec());
    hsm.call(SealTms { session, pin_pad, owner: owner(), counter: 0, payload }).await.unwrap();

    // Flow F: working keys, a MAC, a PIN for an issuer.
    let sign_in = MakeWorkingKeys {
        tmk: tmk_block,
        pin_pad: PAD.into(),
        owner: owner(),
        slot: 3,
        transcript: TRANSCRIPT.to_vec(),
        pik: PikLength::Triple,
        tdk: false,
        avoid: vec![],
    };
    let keys = hsm.call(sign_in).await.unwrap();
    let pik: Pik = blocks::unwrap(&tmk, &keys[0].under_tk, "SN-1001/03", &context).unwrap();
    let said = [TRANSCRIPT, keys[0].under_tk.as_bytes()].concat();
    let context = digest::sha256(&said)[..16].try_into().unwrap();
    let mak: Mak = blocks::unwrap(&tmk, &keys[1].under_tk, "SN-1001/03", &context).unwrap();
    let (mak_block, data) = (keys[1].block.clone(), b"0200 a purchase".to_vec().into());
    let item = MacItem { pin_pad: PAD.into(), slot: 3, mak: mak_block, data, mac: None };
    hsm.call(TerminalMacs { owner: owner(), items: vec![item] }).await.unwrap();
    let zone = TdesKey::generate24().unwrap();
    let block = wrap(Usage::PIN_ENCRYPTION, zone.expose());
    let import = ImportZoneKey { under: master_block, block, owner: owner(), zone: ZONE.into() };
    let zone_key = hsm.call(import).await.unwrap().block;
    let pan = Pan::new("4012345678909").unwrap();
    // A PIN of twelve digits: eight bytes that nothing else has.
    let clear = pinblock::encode(Format::Iso0, &Pin::new("739105286431").unwrap(), Some(&pan)).unwrap();
    let item = PinTranslation {
        pin_pad: PAD.into(),
        slot: 3,
        pik: keys[0].block.clone(),
        zone: ZONE.into(),
        zone_key,
        from: PinFormat::Iso0,
        to: PinFormat::Iso0,
        block: pik.key().encrypt_block(*clear.expose()).to_vec().into(),
        pan: "4012345678909".to_owned().into(),
    };
    let items = vec![item; 256];
    let translated = hsm.call(TranslatePins { owner: owner(), items }).await.unwrap();
    assert!(translated.iter().all(Result::is_ok));

    // What it was told and need not hide is found. So the search works.
    assert!(!process.find(TRANSCRIPT).is_empty(), "the search finds nothing at all");
    for (name, secret) in [
        ("TMK", &tmk.expose()[..16]),
        ("DMK", &dmk.expose()[..16]),
        ("DWK", &dwk.expose()[..16]),
        ("session key", &key.expose()[..16]),
        ("P", &p.expose()[..16]),
        ("password", PASSWORD),
        ("PIK", &pik.expose()[..16]),
        ("MAK", &mak.expose()[..16]),
        ("zone key", &zone.expose()[..16]),
        ("zone master key", &master.expose()[..16]),
        ("PIN block", clear.expose()),
        ("PIN", b"739105286431"),
        ("PIN's digits", &[7, 3, 9, 1, 0, 5, 2, 8, 6, 4, 3, 1]),
    ] {
        let places = process.find(secret);
        assert!(places.is_empty(), "{name} is still there: {places:#?}");
    }
}

/// Two people enter a zone master key, in this process.
fn zone_master(folder: &Path) -> (KeyBlock, TdesKey) {
    let hsm = Offline::open(folder, PASSPHRASE).unwrap();
    let ceremony = Ceremony {
        name: "ZMK".into(),
        owner: OWNER.into(),
        session: "S1".into(),
        of: 2,
        target: Target::ZoneMaster { algorithm: ZoneAlgorithm::Tdes },
    };
    let typed = [(); 2].map(|()| TdesKey::generate24().unwrap());
    let blocks: Vec<_> = (1..)
        .zip(["Ada", "Grace"])
        .zip(&typed)
        .map(|((part, person), key)| {
            let clear = Zeroizing::new(key.expose().to_vec());
            let component = Component { part, person: person.into(), clear, check_value: key.kcv() };
            components::enter(&hsm, &ceremony, &component).unwrap()
        })
        .collect();
    let sum: Vec<u8> = typed[0].expose().iter().zip(typed[1].expose()).map(|(a, b)| a ^ b).collect();
    let key = TdesKey::from_bytes(&sum).unwrap();
    (components::combine(&hsm, &ceremony, &blocks, key.kcv()).unwrap().block, key)
}
