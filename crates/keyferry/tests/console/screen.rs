//! A full-screen program on a pseudo-terminal, its screen read as a person would.

use std::{
    fs::File,
    io::{Read, Write},
    num::NonZeroU16,
    process::{Child, Command, ExitStatus},
    sync::{Arc, Mutex},
    thread,
    time::{Duration, Instant},
};

use rustix::{
    pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt},
    termios::{LocalModes, Winsize, tcgetattr, tcsetwinsize},
};

use crate::support::{process, tool::wait};

/// What is waited for longer never comes.
const LIMIT: Duration = Duration::from_secs(180);

/// A program and its screen.
pub(crate) struct Screen {
    master: File,
    shown: Arc<Mutex<Shown>>,
    child: Child,
}

struct Shown {
    parser: vt100::Parser,
    raw: Vec<u8>,
}

impl Screen {
    /// Starts a program on a terminal of this size, which is its controlling terminal.
    pub(crate) fn start(program: &Command, (width, height): (u16, u16)) -> Screen {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
        grantpt(&master).unwrap();
        unlockpt(&master).unwrap();
        let master = File::from(master);
        set_size(&master, width, height);
        let name = ptsname(&master, Vec::new()).unwrap().into_string().unwrap();
        let slave = File::options().read(true).write(true).open(name).unwrap();
        let mut command = Command::new("setsid");
        command.args(["--ctty", "--wait"]).arg(program.get_program()).args(program.get_args());
        command.envs(program.get_envs().filter_map(|(name, value)| Some((name, value?))));
        command.env("TERM", "xterm-256color");
        command.stdin(slave.try_clone().unwrap()).stdout(slave.try_clone().unwrap()).stderr(slave);
        let child = command.spawn().unwrap();
        drop(command);
        let (rows, columns) = (NonZeroU16::new(height).unwrap(), NonZeroU16::new(width).unwrap());
        let parser = vt100::Parser::new(rows, columns, 0);
        let shown = Arc::new(Mutex::new(Shown { parser, raw: Vec::new() }));
        let (mut reader, to) = (master.try_clone().unwrap(), Arc::clone(&shown));
        thread::spawn(move || {
            let mut buffer = [0; 4096];
            // A terminal that nobody has open any more reads as an error.
            while let Ok(read @ 1..) = reader.read(&mut buffer) {
                let mut shown = to.lock().unwrap();
                shown.parser.process(&buffer[..read]);
                shown.raw.extend_from_slice(&buffer[..read]);
            }
        });
        Screen { master, shown, child }
    }

    /// What stands on the screen now.
    pub(crate) fn text(&self) -> String {
        self.shown.lock().unwrap().parser.screen().contents()
    }

    /// Every byte that the program wrote.
    pub(crate) fn raw(&self) -> Vec<u8> {
        self.shown.lock().unwrap().raw.clone()
    }

    /// Waits until the screen is as wanted; gives it.
    #[track_caller]
    pub(crate) fn until(&mut self, what: &str, wanted: impl Fn(&str) -> bool) -> String {
        let began = Instant::now();
        loop {
            let text = self.text();
            if wanted(&text) {
                return text;
            }
            let over = self.child.try_wait().unwrap().is_some() && self.text() == text;
            assert!(!over && began.elapsed() < LIMIT, "{what} does not come:\n{text}");
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// Waits until this stands on the screen.
    #[track_caller]
    pub(crate) fn sees(&mut self, text: &str) -> String {
        self.until(&format!("{text:?}"), |screen| screen.contains(text))
    }

    /// Waits until this does not stand on the screen any more.
    #[track_caller]
    pub(crate) fn sees_no(&mut self, text: &str) -> String {
        self.until(&format!("a screen without {text:?}"), |screen| !screen.contains(text))
    }

    /// Presses keys.
    pub(crate) fn press(&mut self, keys: &str) {
        self.master.write_all(keys.as_bytes()).unwrap();
    }

    /// Types a PIN and Enter.
    pub(crate) fn enter(&mut self, pin: &str) {
        self.press(pin);
        self.press("\r");
    }

    /// Gives the window another size.
    pub(crate) fn resize(&mut self, (width, height): (u16, u16)) {
        let (rows, columns) = (NonZeroU16::new(height).unwrap(), NonZeroU16::new(width).unwrap());
        self.shown.lock().unwrap().parser.set_size(rows, columns);
        set_size(&self.master, width, height);
    }

    /// The process of the program itself.
    pub(crate) fn pid(&self) -> i32 {
        let children = process::children(self.child.id().try_into().unwrap());
        // `setsid` becomes the program where it need not fork.
        children.first().copied().unwrap_or_else(|| self.child.id().try_into().unwrap())
    }

    /// Waits for the end, and holds that the terminal is as it was found.
    #[track_caller]
    pub(crate) fn ends(mut self) -> ExitStatus {
        let status = wait(&mut self.child).unwrap_or_else(|| panic!("it does not end:\n{}", self.text()));
        let began = Instant::now();
        // Its last words may still be on their way.
        while self.shown.lock().unwrap().parser.screen().alternate_screen() {
            assert!(began.elapsed() < LIMIT, "it leaves its screen behind:\n{}", self.text());
            thread::sleep(Duration::from_millis(5));
        }
        assert!(!self.shown.lock().unwrap().parser.screen().hide_cursor(), "it leaves no cursor");
        let modes = tcgetattr(&self.master).unwrap().local_modes;
        assert!(modes.contains(LocalModes::ECHO | LocalModes::ICANON), "it leaves {modes:?}");
        status
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn set_size(terminal: &File, width: u16, height: u16) {
    let size = Winsize { ws_row: height, ws_col: width, ws_xpixel: 0, ws_ypixel: 0 };
    tcsetwinsize(terminal, size).unwrap();
}
