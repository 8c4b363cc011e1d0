//! A server process killed where it hurts most.

use std::{
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    thread,
    time::Duration,
};

use crate::cli::{
    estate::Estate,
    records,
    server::{self, Server},
};

fn receive(stream: &mut TcpStream) -> Option<Vec<u8>> {
    let mut frame = vec![0; 2];
    stream.read_exact(&mut frame).ok()?;
    frame.resize(2 + usize::from(u16::from_be_bytes([frame[0], frame[1]])), 0);
    stream.read_exact(&mut frame[2..]).ok()?;
    Some(frame)
}

const TK_KEY: u8 = 0x04;
const KEY_CONFIRM: u8 = 0x05;

/// A download of a terminal process during which the server process is killed: before TK_KEY goes on to the terminal, or
/// when KEY_CONFIRM has reached the server and its commit waits for somebody who has the database locked.
fn download_and_kill(estate: &Estate, at: u8) {
    let mut running = Some(Server::start_as(estate, &mut server::command(estate)));
    let address = running.as_ref().unwrap().terminals.clone();
    let middle = TcpListener::bind("127.0.0.1:0").unwrap();
    let here = middle.local_addr().unwrap().to_string();
    let database = estate.path("keyferry.db");
    thread::scope(|scope| {
        let terminal = estate.terminal("SN-1");
        let downloading = scope.spawn(move || terminal.download(&here, 0, &[]));
        let mut near = middle.accept().unwrap().0;
        let mut far = TcpStream::connect(address).unwrap();
        while let Some(said) = receive(&mut near) {
            if said[3] == KEY_CONFIRM && at == KEY_CONFIRM {
                let lock = rusqlite::Connection::open(&database).unwrap();
                lock.execute_batch("BEGIN IMMEDIATE").unwrap();
                far.write_all(&said).unwrap();
                thread::sleep(Duration::from_millis(300));
                running.take().unwrap().kill();
                lock.execute_batch("ROLLBACK").unwrap();
                break;
            }
            if far.write_all(&said).is_err() {
                break;
            }
            let Some(answer) = receive(&mut far) else { break };
            if answer[3] == TK_KEY && at == TK_KEY {
                running.take().unwrap().kill();
            }
            near.write_all(&answer).unwrap();
        }
        drop((near, far));
        assert_ne!(downloading.join().unwrap().code, Some(0), "the terminal had no DONE");
    });
    assert!(running.is_none(), "the server was killed");
}

/// Attack 23: the server killed between TK_KEY and KEY_CONFIRM, and between KEY_CONFIRM and the commit. The terminal
/// holds a key that the KMS holds too, and the next download brings that same one.
#[test]
fn kill_between() {
    let estate = Estate::collected();
    let database = estate.path("keyferry.db");
    let key = |state| records::kcv(&database, "SN-1", 0, state);
    for at in [TK_KEY, KEY_CONFIRM] {
        let before = key("active");
        download_and_kill(&estate, at);
        let held = estate.terminal("SN-1").kcv(0);
        assert!(held.is_some());
        assert_eq!((key("active"), key("pending")), (before, held.clone()), "nothing was committed");
        estate.verify_audit().good();
        let server = Server::start(&estate);
        assert_eq!(Some(estate.terminal("SN-1").key(&server.terminals, 0)), held, "the same key again");
        assert_eq!((key("active"), key("pending")), (held, None));
        assert!(server.stop().success());
        estate.verify_audit().good();
    }
}
