//! The software HSM passes the suite of all backends, over its real socket; and the socket keeps others out.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    fs,
    io::{Read, Write},
    os::unix::{fs::PermissionsExt, net::UnixStream},
    path::PathBuf,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use hsm::conformance::{Agreed, BatchKeys, Entered, Exchange, ExchangeAes, OWNER, PARTNER, ZoneMaster};
use hsm::{
    Client, Hsm, HsmError, KeyBlock,
    commands::{MakeWorkKey, Status, ZoneAlgorithm},
};
use keyferry_hsm_soft::{
    Duty, HsmSoftError, Offline, SoftHsm,
    components::{self, Ceremony, Component, Target},
    create, next_generation,
    serve::Server,
};
use paycrypto::{AesKey, TdesKey};
use zeroize::Zeroizing;

const PASSPHRASE: &str = "only for this test";

fn serve() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    create(&folder.path().join("hsm"), PASSPHRASE).unwrap();
    let hsm = SoftHsm::open(&folder.path().join("hsm"), PASSPHRASE, vec![]).unwrap();
    let hsm = hsm.on_duty(Duty::Laboratory);
    let socket = folder.path().join("hsm.sock");
    let server = Server::bind(&socket, Arc::new(hsm)).unwrap();
    thread::spawn(move || server.run());
    (folder, socket)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_software_hsm_conforms() {
    let (folder, socket) = serve();
    let offline = Offline::open(&folder.path().join("hsm"), PASSPHRASE).unwrap();
    let (block, key) = enter(&offline, Target::Exchange);
    let (exchange_block, exchange_key) = enter_aes(&offline, Target::ExchangeAes);
    let (tdes_block, tdes_key) = enter(&offline, zone_master(ZoneAlgorithm::Tdes));
    let (aes_block, aes_key) = enter_aes(&offline, zone_master(ZoneAlgorithm::Aes));
    let entered = Entered {
        exchange: Exchange { block, key },
        exchange_aes: ExchangeAes { block: exchange_block, key: exchange_key },
        zone_tdes: ZoneMaster { block: tdes_block, key: tdes_key },
        zone_aes: ZoneMaster { block: aes_block, key: aes_key },
        batch: batch_keys(&offline),
    };
    hsm::conformance::run(&Client::connect(&socket).await.unwrap(), &entered).await;
}

fn batch_keys(hsm: &Offline) -> BatchKeys {
    let partner = || PARTNER.to_owned();
    let protect = |algorithm| Target::BatchProtect { partner: partner(), algorithm };
    let mac = |algorithm| Target::BatchMac { partner: partner(), algorithm };
    let tdes = |target| {
        let (block, key) = enter(hsm, target);
        Agreed { block, key }
    };
    let aes = |target| {
        let (block, key) = enter_aes(hsm, target);
        Agreed { block, key }
    };
    BatchKeys {
        pk: tdes(protect(ZoneAlgorithm::Tdes)),
        mak: tdes(mac(ZoneAlgorithm::Tdes)),
        pk_aes: aes(protect(ZoneAlgorithm::Aes)),
        mak_aes: aes(mac(ZoneAlgorithm::Aes)),
    }
}

fn zone_master(algorithm: ZoneAlgorithm) -> Target {
    Target::ZoneMaster { algorithm }
}

/// Three people enter a TDES key.
fn enter(hsm: &Offline, target: Target) -> (KeyBlock, TdesKey) {
    let typed = [(); 3].map(|()| TdesKey::generate24().unwrap());
    let key = TdesKey::from_bytes(&xor(typed.each_ref().map(TdesKey::expose))).unwrap();
    let parts = typed.each_ref().map(|key| (key.expose(), key.kcv()));
    (combine(hsm, target, parts, key.kcv()), key)
}

/// Three people enter an AES key.
fn enter_aes(hsm: &Offline, target: Target) -> (KeyBlock, AesKey) {
    let typed = [(); 3].map(|()| AesKey::generate32().unwrap());
    let key = AesKey::from_bytes(&xor(typed.each_ref().map(AesKey::expose))).unwrap();
    let parts = typed.each_ref().map(|key| (key.expose(), key.kcv()));
    (combine(hsm, target, parts, key.kcv()), key)
}

fn xor(typed: [&[u8]; 3]) -> Vec<u8> {
    (0..typed[0].len()).map(|at| typed[0][at] ^ typed[1][at] ^ typed[2][at]).collect()
}

fn combine<const KCV: usize>(
    hsm: &Offline,
    target: Target,
    typed: [(&[u8], [u8; KCV]); 3],
    expected: [u8; KCV],
) -> KeyBlock {
    let (name, owner, session) = ("KLD-7".into(), OWNER.into(), "S1".into());
    let ceremony = Ceremony { name, owner, session, of: 3, target };
    let people = (1..).zip(["Ada", "Grace", "Mary"]);
    let blocks: Vec<_> = people
        .zip(typed)
        .map(|((part, person), (clear, check_value))| {
            let clear = Zeroizing::new(clear.to_vec());
            let component = Component { part, person: person.into(), clear, check_value };
            components::enter(hsm, &ceremony, &component).unwrap()
        })
        .collect();
    components::combine(hsm, &ceremony, &blocks, expected).unwrap().block
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_command_does_not_hold_up_a_quick_one() {
    let (_folder, socket) = serve();
    let client = Client::connect(&socket).await.unwrap();
    let slow = {
        let client = client.clone();
        tokio::spawn(async move {
            let command = MakeWorkKey { bits: 4096, subject: "slow".into(), owner: "ACQ".into() };
            client.call(command).await.map(|_| Instant::now())
        })
    };
    // Many quick ones are answered while the slow one is at work.
    let mut before = 0;
    while !slow.is_finished() {
        client.call(Status {}).await.unwrap();
        before += 1;
    }
    slow.await.unwrap().unwrap();
    assert!(before > 20, "only {before} quick commands were answered meanwhile");
}

#[test]
fn the_socket_is_for_its_owner_only() {
    let (_folder, socket) = serve();
    assert_eq!(fs::metadata(&socket).unwrap().permissions().mode() & 0o777, 0o600);
}

#[test]
fn a_second_hsm_on_the_same_socket_is_refused() {
    let (folder, socket) = serve();
    let hsm = SoftHsm::open(&folder.path().join("hsm"), PASSPHRASE, vec![]).unwrap();
    assert!(matches!(Server::bind(&socket, Arc::new(hsm)), Err(HsmSoftError::File { .. })));
}

#[test]
fn garbage_ends_its_own_connection_only() {
    let (_folder, socket) = serve();
    for garbage in [&[0xFF; 64][..], &[3, 0, 0, 0, 1, 2, 3], &[9, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 200]] {
        let mut stream = UnixStream::connect(&socket).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        stream.write_all(garbage).unwrap();
        assert_eq!(stream.read(&mut [0; 16]).unwrap(), 0, "closed without an answer");
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        Client::connect(&socket).await.unwrap().call(Status {}).await.unwrap();
    });
}

#[tokio::test]
async fn no_hsm_is_a_clear_error() {
    let Err(error) = Client::connect("/nonexistent/hsm.sock").await else { panic!("connected") };
    assert!(matches!(error, HsmError::Connect { .. }));
    assert!(error.to_string().contains("keyferry hsm"), "says what to do: {error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn blocks_of_an_earlier_generation_are_moved() {
    let folder = tempfile::tempdir().unwrap();
    create(folder.path(), PASSPHRASE).unwrap();
    let before = SoftHsm::open(folder.path(), PASSPHRASE, vec![]).unwrap();
    next_generation(folder.path(), PASSPHRASE).unwrap();
    let after = SoftHsm::open(folder.path(), PASSPHRASE, vec![]).unwrap();
    let made = |hsm: &SoftHsm| {
        let command = MakeWorkKey { bits: 2048, subject: "x".into(), owner: "ACQ".into() };
        match hsm.handle(hsm::Command::into_request(command)).unwrap() {
            hsm::commands::Reply::MakeWorkKey(made) => made.private,
            other => panic!("{other:?}"),
        }
    };
    let old = made(&before);
    let rewrap =
        |hsm: &SoftHsm, block| hsm.handle(hsm::Command::into_request(hsm::commands::Rewrap { block }));
    let hsm::commands::Reply::Rewrap(new) = rewrap(&after, old.clone()).unwrap() else {
        panic!("wrong reply")
    };
    assert_ne!(old, new);
    assert!(rewrap(&before, new).is_err(), "no way back to the earlier generation");
}
