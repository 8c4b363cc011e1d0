//! The terminal that is drawn on, and that gets back what it was.

use std::{
    io::{self, IsTerminal as _, Stdout, Write as _},
    sync::{
        Once,
        atomic::{AtomicBool, Ordering},
    },
};

use ratatui::{
    Terminal,
    backend::CrosstermBackend,
    crossterm::{
        cursor::Show,
        execute,
        terminal::{
            Clear, ClearType, EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode,
        },
    },
};

use super::super::{Model, view};
use crate::Error;

/// Set by a panic.
static FAILED: AtomicBool = AtomicBool::new(false);

/// The terminal while it is drawn on.
pub(super) struct Screen(Terminal<CrosstermBackend<Stdout>>);

impl Screen {
    /// Takes the terminal. A panic of whatever thread gives it back first, and then says what it says.
    pub(super) fn open() -> Result<Screen, Error> {
        if !io::stdin().is_terminal() || !io::stdout().is_terminal() {
            let source =
                io::Error::new(io::ErrorKind::Unsupported, "standard input and output are no terminal");
            return Err(Error::Screen { source });
        }
        give_back_on_panic();
        enable_raw_mode().map_err(no_screen)?;
        // From here on the terminal is given back however this ends.
        let backend = CrosstermBackend::new(io::stdout());
        let screen = match Terminal::new(backend) {
            Ok(terminal) => Screen(terminal),
            Err(error) => {
                give_back();
                return Err(no_screen(error));
            }
        };
        // Cleared without asking where the cursor is: not every line answers that.
        execute!(io::stdout(), EnterAlternateScreen, Clear(ClearType::All)).map_err(no_screen)?;
        Ok(screen)
    }

    /// Draws, unless a thread has failed: its words then stand on the terminal.
    pub(super) fn draw(&mut self, model: &Model) -> Result<(), Error> {
        if FAILED.load(Ordering::SeqCst) {
            return Ok(());
        }
        self.0.draw(|frame| view(model, frame)).map(drop).map_err(no_screen)
    }

    pub(super) fn bell(&mut self) -> io::Result<()> {
        let mut out = io::stdout().lock();
        out.write_all(b"\x07")?;
        out.flush()
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        give_back();
    }
}

/// Whatever fails here: there is nothing left to do about it.
fn give_back() {
    let _ = execute!(io::stdout(), LeaveAlternateScreen, Show);
    let _ = disable_raw_mode();
}

fn give_back_on_panic() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            FAILED.store(true, Ordering::SeqCst);
            give_back();
            before(panic);
        }));
    });
}

fn no_screen(source: io::Error) -> Error {
    Error::Screen { source }
}

#[cfg(test)]
mod tests {
    use std::{fs::File, io::Read as _, process::Command, thread};

    use rustix::{
        pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt},
        termios::{LocalModes, Winsize, tcgetattr, tcsetwinsize},
    };

    use super::*;

    const LEAVE: &[u8] = b"\x1b[?1049l";

    #[test]
    fn a_panic_of_any_thread_gives_the_terminal_back_before_it_speaks() {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
        grantpt(&master).unwrap();
        unlockpt(&master).unwrap();
        let name = ptsname(&master, Vec::new()).unwrap().into_string().unwrap();
        let size = Winsize { ws_row: 24, ws_col: 80, ws_xpixel: 0, ws_ypixel: 0 };
        tcsetwinsize(&master, size).unwrap();
        let slave = File::options().read(true).write(true).open(name).unwrap();
        let stdio = || slave.try_clone().unwrap();
        let mut command = Command::new(std::env::current_exe().unwrap());
        let child = "console::driver::screen::tests::panicking";
        command.args(["--exact", child, "--ignored", "--nocapture"]);
        let mut child = command.stdin(stdio()).stdout(stdio()).stderr(stdio()).spawn().unwrap();
        drop(command);
        let mut reader = File::from(master.try_clone().unwrap());
        let reading = thread::spawn(move || {
            let (mut all, mut buffer) = (Vec::new(), [0; 4096]);
            // It reads as an error once nobody has it open any more.
            while let Ok(read @ 1..) = reader.read(&mut buffer) {
                all.extend_from_slice(&buffer[..read]);
            }
            all
        });
        child.wait().unwrap();
        let modes = tcgetattr(&slave).unwrap().local_modes;
        drop(slave);
        let said = reading.join().unwrap();
        let find = |text: &[u8]| said.windows(text.len()).position(|window| window == text);
        let (left, spoke) = (find(LEAVE).unwrap(), find(b"as a test wants it").unwrap());
        assert!(left < spoke, "{}", String::from_utf8_lossy(&said));
        assert!(find(b"drawn too late").is_none() && find(b"station-9").is_some());
        assert!(modes.contains(LocalModes::ECHO | LocalModes::ICANON), "{modes:?}");
    }

    #[test]
    #[ignore = "the process of a_panic_of_any_thread_gives_the_terminal_back_before_it_speaks"]
    fn panicking() {
        let mut screen = Screen::open().unwrap();
        screen.draw(&Model::new("station-9", "https://kms", true, 0)).unwrap();
        assert!(thread::spawn(|| panic!("as a test wants it")).join().is_err());
        screen.draw(&Model::new("drawn too late", "https://kms", true, 0)).unwrap();
        // What gives the terminal back is the panic alone.
        std::mem::forget(screen);
    }
}
