//! A server process killed where it hurts most.

use std::{
    io::{BufRead, BufReader},
    net::SocketAddr,
    process::{Child, Stdio},
    thread,
    time::Duration,
};

use crate::{
    cli::tool::keyferry,
    support::{
        ec,
        kms_ec::{self, Ec},
        line::{Line, connect},
        rks::hex,
        world::{Options, World},
    },
};

/// The program's server, as a process of its own, on this world's folder and this estate's HSM.
struct Process(Child, SocketAddr);

impl Process {
    fn start(world: &World) -> Process {
        let mut command = keyferry(["server", "--config"]);
        command.arg(world.folder().join("keyferry.toml")).stdin(Stdio::null()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        let address = line.trim_end().strip_prefix("terminal port ").expect(&line).parse().unwrap();
        Process(child, address)
    }

    fn connect(&self) -> Line {
        connect(self.1)
    }

    /// SIGKILL.
    fn kill(mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

/// Attack 23: the server killed between TK_KEY and KEY_CONFIRM, and between KEY_CONFIRM and the commit. The terminal
/// holds a key that the KMS holds too, the next download brings that same one, and its load counter is higher.
#[test]
fn kill_between() {
    let terminal = Ec::new("SN-1");
    let world = World::new();
    let server = world.start(&Options { suite_02: true, ..Options::default() });
    kms_ec::install(&server);
    kms_ec::collect_all(&server, &[&terminal]);
    server.stop();
    let mut last = 0;
    for confirms in [false, true] {
        let before = world.keys("SN-1", 0, "active");
        let server = Process::start(&world);
        let mut line = server.connect();
        let fetched = terminal.fetch(&mut line, 0).unwrap();
        let pending = vec![hex(&fetched.tmk.kcv)];
        if confirms {
            // The commit waits for somebody who has the database locked.
            let lock = world.sql();
            lock.execute_batch("BEGIN IMMEDIATE").unwrap();
            line.send(&ec::confirm(&fetched.receipt()));
            thread::sleep(Duration::from_millis(300));
            server.kill();
            lock.execute_batch("ROLLBACK").unwrap();
        } else {
            server.kill();
        }
        assert_eq!(world.keys("SN-1", 0, "active"), before, "nothing was committed");
        assert_eq!(world.keys("SN-1", 0, "pending"), pending);
        world.assert_audit_good();

        let server = Process::start(&world);
        let again = terminal.download_on(&mut server.connect(), 0).unwrap();
        assert_eq!(again.key, fetched.tmk.key, "the same key again");
        assert!(again.counter > fetched.tmk.counter && fetched.tmk.counter > Some(last));
        last = again.counter.unwrap();
        assert_eq!(world.keys("SN-1", 0, "active"), pending);
        assert!(world.keys("SN-1", 0, "pending").is_empty());
        server.kill();
        world.assert_audit_good();
    }
}
