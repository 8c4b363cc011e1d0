//! Two processes that send one terminal's pending key at once, one of them killed with SIGKILL: no load counter is given
//! twice, and none that was told is forgotten (3-hardened.md, Transcript and keys; `race`).

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking, in its helpers too")]

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};

use keyferry_store::{
    CollectedTerminal, CollectedTk, CollectionImport, Event, NewAcquirer, NewCertificate, NewWorkKey,
    PendingOutcome, Person, PutPending, ResendOutcome, SqliteOptions, SqliteStore, Store, WorkKeyState,
    verify_audit_file,
};
use serde_json::json;
use wire::{Device, Kcv, Serial, Slot, Suite};

const FILE: &str = "KEYFERRY_TEST_STORE";
const TAKEN: &str = "taken ";

#[tokio::test(flavor = "multi_thread")]
async fn r21_two_processes_never_take_one_load_counter() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.sqlite");
    let store = SqliteStore::open(&path, SqliteOptions::default()).unwrap();
    estate(&store).await;
    let mut other = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "sends_until_killed", "--ignored", "--nocapture"])
        .env(FILE, &path)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(other.stdout.take().unwrap()).split(b'\n');
    let reader = std::thread::spawn(move || {
        let mut theirs = Vec::new();
        for line in lines {
            let line = String::from_utf8(line.unwrap()).unwrap();
            theirs.extend(line.strip_prefix(TAKEN).and_then(|counter| counter.parse::<u64>().ok()));
            if theirs.len() == 60 {
                other.kill().unwrap();
            }
        }
        other.wait().unwrap();
        theirs
    });
    let mut ours = Vec::new();
    while !reader.is_finished() {
        ours.extend(send(&store).await);
    }
    let mut theirs = reader.join().unwrap();
    // The pipe may end in the middle of the last line; its counter is then one that nobody was told of.
    theirs.pop();
    let all: BTreeSet<u64> = ours.iter().chain(&theirs).copied().collect();
    assert_eq!(all.len(), ours.len() + theirs.len(), "a counter was given twice");
    assert!(theirs.len() >= 59 && !ours.is_empty(), "{} and {}", theirs.len(), ours.len());
    let kept = store.slot(&sn(), slot()).await.unwrap();
    assert!(kept.load_counter >= *all.last().unwrap());
    // One of each sending, its event with it.
    assert_eq!(kept.pending.unwrap().sent_count, i64::try_from(kept.load_counter).unwrap());
    drop(store);
    assert_eq!(verify_audit_file(&path).unwrap().broken_at, None);
}

/// Not a test by itself: the process that the other starts and kills.
#[test]
#[ignore = "the other test starts it as a process of its own"]
fn sends_until_killed() {
    let path = std::env::var_os(FILE).unwrap();
    tokio::runtime::Runtime::new().unwrap().block_on(async {
        let store = SqliteStore::open(Path::new(&path), SqliteOptions::default()).unwrap();
        loop {
            if let Some(counter) = send(&store).await {
                let line = format!("\n{TAKEN}{counter}\n");
                std::io::stdout().lock().write_all(line.as_bytes()).unwrap();
            }
        }
    });
}

/// What a server does before a frame with a TMK leaves; the counter that it took.
async fn send(store: &SqliteStore) -> Option<u64> {
    let slot = store.slot(&sn(), slot()).await.unwrap();
    let counter = slot.load_counter + 1;
    match store.resend_pending(slot.pending.unwrap().id, Some(counter), event("tmk.sent-again")).await {
        Ok(ResendOutcome::Counted(_)) => Some(counter),
        Ok(ResendOutcome::CounterTaken) => None,
        other => panic!("{other:?}"),
    }
}

async fn estate(store: &SqliteStore) {
    let acquirer = NewAcquirer { id: "acq".into(), name: "First".into() };
    store.put_acquirer(acquirer, event("acquirer")).await.unwrap();
    let certificate = NewCertificate { role: "kms-work".into(), sha256: "ab".into(), der: vec![0x30] };
    store.put_certificate(certificate, event("certificate")).await.unwrap();
    let key = NewWorkKey {
        certificate_sha256: "ab".into(),
        private_block: "D".into(),
        spki: vec![0x30],
        intermediates: vec![],
        state: WorkKeyState::Active,
        suite: Suite::TDES,
    };
    store.put_work_key(key, event("work-key")).await.unwrap();
    let terminal = CollectedTerminal {
        device: Device::built_in(sn()),
        vendor: None,
        model: None,
        tk: CollectedTk::Ciphertext(vec![1; 256]),
        work_certificate_sha256: "ab".into(),
        fingerprint: "00".into(),
        replaces: false,
        refused: None,
    };
    let import = CollectionImport {
        digest: [1; 32],
        package: vec![0x30],
        signer: Person { subject: "CN=Olga".into(), certificate_serial: "01".into() },
        second_signer: None,
        acquirer: "acq".into(),
        station: "bench".into(),
        collected_at: 1,
        terminals: vec![terminal],
    };
    store.import_collection(import, event("collection")).await.unwrap();
    let put = PutPending {
        sn: sn(),
        slot: slot(),
        tk_generation: 1,
        block: "D".into(),
        kcv: Kcv::Aes([1; 5]),
        load_counter: Some(1),
    };
    let made = store.put_pending(put, event("tmk.made")).await.unwrap();
    assert!(matches!(made, PendingOutcome::Stored(_)), "{made:?}");
}

fn event(kind: &'static str) -> Event {
    Event::new(1_700_000_000_000, kind, "test", "SN-1", json!({}))
}

fn sn() -> Serial {
    Serial::parse("SN-1").unwrap()
}

fn slot() -> Slot {
    Slot::new(3).unwrap()
}
