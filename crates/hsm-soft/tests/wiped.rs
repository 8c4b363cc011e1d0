//! What the HSM's process has in memory after its work: none of the keys it worked with (1-systems.md C, step 10).
//!
//! The HSM runs in a process of its own, as in service; this one plays terminal and device, knows the keys, and looks
//! for them in the other's memory.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
#![cfg(target_os = "linux")]

use std::{
    fs::{self, File},
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::Arc,
    thread,
    time::Duration,
};

use hsm::{
    Client, Hsm,
    commands::{
        Load, LoadTerminal, MakeDik1, MakeDownloaderKey, MakeRksKey, ReleaseRksKeys, RksKeyKind, RksWanted,
        SealRksToken,
    },
};
use keyferry_hsm_soft::{Duty, SoftHsm, create, serve::Server};
use paycrypto::{
    blocks, digest,
    keys::{Dik2, Mak, Rnd1, Tmk},
    rsa::PublicKey,
};

const FOLDER: &str = "KEYFERRY_TEST_WIPED_FOLDER";
const PASSPHRASE: &str = "only for this test";
const OWNER: &str = "ACQ";
const PAD: &str = "SN-1001";
const FACTOR: &[u8] = b"KLD-7/20261120/B042";
const CONTEXT: [u8; 16] = [7; 16];
const TRANSCRIPT: &[u8] = b"frames";

/// The HSM's process: does nothing unless the test below starts it.
#[test]
fn serves_where_it_is_told_to() {
    let Some(folder) = std::env::var_os(FOLDER).map(PathBuf::from) else { return };
    create(&folder.join("hsm"), PASSPHRASE).unwrap();
    let hsm = SoftHsm::open(&folder.join("hsm"), PASSPHRASE, vec![]).unwrap().on_duty(Duty::Laboratory);
    Server::bind(&folder.join("hsm.sock"), Arc::new(hsm)).unwrap().run().unwrap();
}

/// Ends the HSM's process however the test ends.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Process {
    fn start(folder: &Path) -> Self {
        let child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "serves_where_it_is_told_to"])
            .env(FOLDER, folder)
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        Self(child)
    }

    /// Where `bytes` stand in the process's writable memory.
    fn find(&self, bytes: &[u8]) -> Vec<String> {
        let pid = self.0.id();
        let memory = File::open(format!("/proc/{pid}/mem")).unwrap();
        let mut found = Vec::new();
        for line in fs::read_to_string(format!("/proc/{pid}/maps")).unwrap().lines() {
            let mut words = line.split_whitespace();
            let (range, access) = (words.next().unwrap(), words.next().unwrap());
            let (from, to) = range.split_once('-').unwrap();
            let [from, to] = [from, to].map(|text| u64::from_str_radix(text, 16).unwrap());
            if !access.starts_with("rw") {
                continue;
            }
            let mut buffer = vec![0; usize::try_from(to - from).unwrap()];
            // A mapping may have gone since it was listed.
            let Ok(read) = memory.read_at(&mut buffer, from) else { continue };
            for at in memchr(&buffer[..read], bytes) {
                found.push(format!("{line}, at {at}"));
            }
        }
        found
    }
}

/// Every place of `needle`.
fn memchr(hay: &[u8], needle: &[u8]) -> Vec<usize> {
    let first = needle[0];
    let starts = hay.iter().enumerate().filter(|(_, byte)| **byte == first).map(|(at, _)| at);
    starts.filter(|at| hay[*at..].starts_with(needle)).collect()
}

#[tokio::test]
async fn at_tk_and_the_keys_are_gone_when_the_commands_are_done() {
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

async fn connect(socket: &Path) -> Client {
    for _ in 0..500 {
        match Client::connect(socket).await {
            Ok(client) => return client,
            Err(_) => thread::sleep(Duration::from_millis(20)),
        }
    }
    Client::connect(socket).await.unwrap()
}
