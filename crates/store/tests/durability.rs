//! A process that is killed with SIGKILL in the middle of its acts has lost none that it was told of
//! (4-requirements.md R37), and two processes on one file keep one chain.
//!
//! This shows that recovery after a crash of the program is right. That a commit survives a power cut rests on
//! `synchronous = FULL` and a disk that keeps its word.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking, in its helpers too")]

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use keyferry_store::{Event, NewAcquirer, SqliteOptions, SqliteStore, Store, verify_audit_file};
use serde_json::json;

/// Tells the child which file to write to, and what to name its acts.
const FILE: &str = "KEYFERRY_TEST_STORE";
const NAME: &str = "KEYFERRY_TEST_NAME";

const ACKNOWLEDGED: &str = "acknowledged ";

/// Writers at once in the child: enough that groups form.
const TASKS: usize = 16;

#[tokio::test(flavor = "multi_thread")]
async fn no_acknowledged_act_is_lost_when_the_process_is_killed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.sqlite");
    let mut acknowledged = BTreeSet::new();
    // Killed after few acts, after more, and after enough that the log has gone into the file meanwhile.
    for (round, acts) in [1, 7, 400, 3_000].into_iter().enumerate() {
        let child = child(&path, &format!("round-{round}"));
        acknowledged.extend(kill_after(child, acts));

        let store = SqliteStore::open(&path, SqliteOptions::default()).unwrap();
        let kept: BTreeSet<_> = store.acquirers().await.unwrap().into_iter().map(|a| a.id).collect();
        let lost: Vec<_> = acknowledged.difference(&kept).collect();
        assert_eq!(lost, Vec::<&String>::new());
        // Neither half of an act without the other.
        let verdict = store.audit_verify().await.unwrap();
        assert_eq!((verdict.events, verdict.broken_at), (kept.len() as u64, None));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_processes_that_write_at_once_keep_one_chain() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.sqlite");
    let store = SqliteStore::open(&path, SqliteOptions::default()).unwrap();
    let other = child(&path, "other");
    let mut acknowledged = BTreeSet::new();
    for n in 0..200 {
        let id = format!("here-{n}");
        enter(&store, &id).await;
        acknowledged.insert(id);
    }
    acknowledged.extend(kill_after(other, 50));
    let kept: BTreeSet<_> = store.acquirers().await.unwrap().into_iter().map(|a| a.id).collect();
    assert!(acknowledged.is_subset(&kept));
    drop(store);
    let verdict = verify_audit_file(&path).unwrap();
    assert_eq!((verdict.events, verdict.broken_at), (kept.len() as u64, None));
}

/// Not a test by itself: the process that the others start and kill.
#[test]
#[ignore = "the other tests start it as a process of its own"]
fn writes_until_killed() {
    let path = std::env::var_os(FILE).unwrap();
    let name = std::env::var(NAME).unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let store = SqliteStore::open(Path::new(&path), SqliteOptions::default()).unwrap();
        let mut tasks = Vec::new();
        for task in 0..TASKS {
            let (store, name) = (store.clone(), name.clone());
            tasks.push(tokio::spawn(async move {
                for n in 0_u64.. {
                    let id = format!("{name}-{task}-{n}");
                    enter(&store, &id).await;
                    // One write for each line, so that a line is whole or not there.
                    let line = format!("\n{ACKNOWLEDGED}{id}\n");
                    std::io::stdout().lock().write_all(line.as_bytes()).unwrap();
                }
            }));
        }
        for task in tasks {
            task.await.unwrap();
        }
    });
}

async fn enter(store: &SqliteStore, id: &str) {
    let event = Event::new(1_700_000_000_000, "acquirer", "test", id, json!({ "id": id }));
    store.put_acquirer(NewAcquirer { id: id.into(), name: id.into() }, event).await.unwrap();
}

fn child(path: &Path, name: &str) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "writes_until_killed", "--ignored", "--nocapture"])
        .env(FILE, path)
        .env(NAME, name)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

/// Kills with SIGKILL once `acts` acts have been acknowledged; gives all that had been by then.
fn kill_after(mut child: Child, acts: usize) -> Vec<String> {
    let lines = BufReader::new(child.stdout.take().unwrap()).split(b'\n');
    let mut ids = Vec::new();
    let mut killed = false;
    for line in lines {
        let line = String::from_utf8(line.unwrap()).unwrap();
        if let Some(id) = line.strip_prefix(ACKNOWLEDGED) {
            ids.push(id.to_owned());
        }
        if !killed && ids.len() >= acts {
            child.kill().unwrap();
            killed = true;
        }
    }
    child.wait().unwrap();
    assert!(ids.len() >= acts, "the child ended by itself after {} acts", ids.len());
    // The pipe may end in the middle of the last line; its act is then one that nobody was told of.
    ids.pop();
    ids
}
