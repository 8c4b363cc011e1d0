//! When what the server relies on fails: nothing happens that the audit does not know of, and no key leaves (R30).

use std::{
    io::copy,
    net::Shutdown,
    os::unix::net::{UnixListener, UnixStream},
    path::Path,
    sync::{Arc, Mutex},
    thread,
};

use crate::support::{
    estate::ESTATE,
    https,
    line::{End, connect},
    package::{entry, package, signed},
    raw::{Raw, confirm},
    world::{Options, World},
};

const INTERNAL: End = End::Code(0x0001);

/// Makes every audit event fail, as a full disk would.
fn break_audit(world: &World) {
    let sql = "CREATE TRIGGER full BEFORE INSERT ON audit BEGIN SELECT RAISE(ABORT, 'the disk is full'); END";
    world.sql().execute_batch(sql).unwrap();
}

fn mend_audit(world: &World) {
    world.sql().execute_batch("DROP TRIGGER full").unwrap();
}

#[test]
fn r30_no_audit_no_upload() {
    let world = World::new();
    let server = world.start(&Options::default());
    let cms = signed(&ESTATE.operator, &package(&[entry(&Raw::new("SN-1"))]));
    break_audit(&world);
    let answer = server.upload(&cms);
    assert_eq!((answer.status, answer.code()), (500, "internal"));
    assert!(!answer.body.contains("disk"), "the reason is for the log");
    assert_eq!(world.count("terminals") + world.count("collections"), 0);
    mend_audit(&world);
    assert_eq!(server.upload(&cms).status, 200, "the same package, once it can be written down");
}

#[test]
fn r30_no_audit_no_key() {
    let terminal = Raw::new("SN-1");
    let (world, server) = World::with(&[&terminal]);
    break_audit(&world);
    assert_eq!(terminal.download(server.terminals, 0), Err(INTERNAL), "TK is not opened");
    mend_audit(&world);
    let old = terminal.download(server.terminals, 0).unwrap();
    break_audit(&world);
    assert_eq!(terminal.download(server.terminals, 0), Err(INTERNAL), "no key is made");
    assert_eq!(world.count("tmks"), 1);
    mend_audit(&world);

    let pending = terminal.fetch(&mut connect(server.terminals), 0).unwrap();
    break_audit(&world);
    assert_eq!(terminal.download(server.terminals, 0), Err(INTERNAL), "none is sent again");
    mend_audit(&world);
    let mut line = connect(server.terminals);
    let again = terminal.fetch(&mut line, 0).unwrap();
    assert_eq!(again.key, pending.key);
    break_audit(&world);
    line.send(&confirm(&again.kcv));
    assert_eq!(line.end(), INTERNAL, "none is confirmed");
    mend_audit(&world);
    assert_eq!(world.keys("SN-1", 0, "active"), [old.kcv.map(|byte| format!("{byte:02X}")).concat()]);
    assert_eq!(world.keys("SN-1", 0, "pending").len(), 1);
    assert_eq!(terminal.download(server.terminals, 0).unwrap().key, pending.key);
    world.assert_audit_good();
}

/// A way to the HSM that can be cut.
fn proxy(socket: &Path) -> Arc<Mutex<Vec<UnixStream>>> {
    let listener = UnixListener::bind(socket).unwrap();
    let open = Arc::new(Mutex::new(Vec::new()));
    let all = Arc::clone(&open);
    thread::spawn(move || {
        while let Ok((near, _)) = listener.accept() {
            let far = UnixStream::connect(ESTATE.socket()).unwrap();
            let ends = [&near, &far].map(|end| end.try_clone().unwrap());
            all.lock().unwrap().extend(ends);
            let (mut near_in, mut far_out) = (near.try_clone().unwrap(), far.try_clone().unwrap());
            thread::spawn(move || copy(&mut near_in, &mut far_out));
            let (mut far, mut near) = (far, near);
            thread::spawn(move || copy(&mut far, &mut near));
        }
    });
    open
}

#[test]
fn without_its_hsm_the_server_gives_no_key_and_says_that_it_is_ill() {
    let terminal = Raw::new("SN-1");
    let world = World::new();
    let socket = world.folder().join("proxy.sock");
    let open = proxy(&socket);
    let server = world.start_with_hsm(&Options::default(), &socket);
    server.collect(&[&terminal]);
    let mut line = connect(server.terminals);
    let asked = terminal.ask(&mut line, 0).unwrap();
    for end in open.lock().unwrap().drain(..) {
        let _ = end.shutdown(Shutdown::Both);
    }
    terminal.prove(&mut line, &asked);
    assert_eq!(line.end(), INTERNAL);
    // Known or not: one answer.
    for anybody in [&terminal, &Raw::new("SN-9")] {
        assert_eq!(anybody.download(server.terminals, 0), Err(INTERNAL));
    }
    assert_eq!(https::get(server.https, "/v1/health").status, 500);
    let cms = signed(&ESTATE.operator, &package(&[entry(&Raw::new("SN-2"))]));
    assert_eq!(server.upload(&cms).status, 500);
    assert_eq!(world.count("tmks"), 0);
    assert_eq!(world.count("terminals"), 1);
}
