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

use hsm::conformance::{Exchange, OWNER};
use hsm::{
    Client, Hsm, HsmError,
    commands::{MakeWorkKey, Status},
};
use keyferry_hsm_soft::{
    Duty, HsmSoftError, Offline, SoftHsm,
    components::{self, Ceremony, Component, Target},
    create, next_generation,
    serve::Server,
};
use paycrypto::TdesKey;
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
    let exchange = exchange_key(&Offline::open(&folder.path().join("hsm"), PASSPHRASE).unwrap());
    hsm::conformance::run(&Client::connect(&socket).await.unwrap(), &exchange).await;
}

/// Three people enter a key.
fn exchange_key(hsm: &Offline) -> Exchange {
    let ceremony = Ceremony {
        name: "KLD-7".into(),
        owner: OWNER.into(),
        session: "S1".into(),
        of: 3,
        target: Target::Exchange,
    };
    let typed: Vec<_> = (0..3).map(|_| TdesKey::generate24().unwrap()).collect();
    let blocks: Vec<_> = (1..)
        .zip(["Ada", "Grace", "Mary"])
        .zip(&typed)
        .map(|((part, person), key)| {
            let clear = Zeroizing::new(key.expose().to_vec());
            let component = Component { part, person: person.into(), clear, check_value: key.kcv() };
            components::enter(hsm, &ceremony, &component).unwrap()
        })
        .collect();
    let xor: Vec<u8> = (0..24).map(|at| typed.iter().fold(0, |sum, key| sum ^ key.expose()[at])).collect();
    let key = TdesKey::from_bytes(&xor).unwrap();
    let block = components::combine(hsm, &ceremony, &blocks, key.kcv()).unwrap().block;
    Exchange { block, key }
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
