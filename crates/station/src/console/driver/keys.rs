//! The keyboard, and the signals that end the console.

use std::{
    sync::{Arc, mpsc::Sender},
    thread::JoinHandle,
    time::Duration,
};

use ratatui::crossterm::event::{self, Event as Input, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use signal_hook::{
    consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM},
    iterator::{Handle, Signals},
};

use super::{
    super::{Event, Key},
    Note,
    shared::{Shared, spawn, tell},
};
use crate::Error;

/// How long one look at the keyboard takes at most, so that the thread sees the console's end.
const LOOK: Duration = Duration::from_millis(100);

pub(super) struct Threads {
    keys: JoinHandle<()>,
    signals: JoinHandle<()>,
    close: Handle,
}

impl Threads {
    /// Waits for their end, so that whoever reads the keyboard next gets every key.
    pub(super) fn end(self) {
        self.close.close();
        let _ = self.signals.join();
        let _ = self.keys.join();
    }
}

pub(super) fn start(shared: &Arc<Shared>, notes: &Sender<Note>) -> Result<Threads, Error> {
    let no_signals = |source| Error::Screen { source };
    let mut signals = Signals::new([SIGTERM, SIGINT, SIGHUP, SIGQUIT]).map_err(no_signals)?;
    let close = signals.handle();
    let to = notes.clone();
    let signals = spawn("signals", notes, move || {
        for signal in signals.forever() {
            let _ = to.send(Note::Signal(signal));
        }
    })?;
    let (shared, to) = (Arc::clone(shared), notes.clone());
    let keys = spawn("keys", notes, move || read(&shared, &to))?;
    Ok(Threads { keys, signals, close })
}

fn read(shared: &Shared, notes: &Sender<Note>) {
    while !shared.ends() {
        match event::poll(LOOK) {
            Ok(false) => continue,
            Ok(true) => {}
            // The terminal is gone.
            Err(_) => return tell(notes, Event::Ended),
        }
        match event::read() {
            Ok(Input::Key(key)) if key.kind != KeyEventKind::Release => {
                if let Some(key) = meant(key) {
                    tell(notes, Event::Key(key));
                }
            }
            Ok(Input::Resize(..)) => drop(notes.send(Note::Redraw)),
            Ok(_) => {}
            Err(_) => return tell(notes, Event::Ended),
        }
    }
}

/// What a key means here, if anything.
fn meant(key: KeyEvent) -> Option<Key> {
    let control = key.modifiers.contains(KeyModifiers::CONTROL);
    match key.code {
        KeyCode::Char('c' | 'C') if control => Some(Key::Interrupt),
        KeyCode::Char(_) if control || key.modifiers.contains(KeyModifiers::ALT) => None,
        KeyCode::Char(c) => Some(Key::Char(c)),
        KeyCode::Enter => Some(Key::Enter),
        KeyCode::Esc => Some(Key::Escape),
        KeyCode::Backspace => Some(Key::Backspace),
        KeyCode::Up => Some(Key::Up),
        KeyCode::Down => Some(Key::Down),
        KeyCode::Tab => Some(Key::Tab),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_with_control_or_alt_are_no_characters_of_a_pin() {
        let with = |code, modifiers| meant(KeyEvent::new(code, modifiers));
        assert_eq!(with(KeyCode::Char('c'), KeyModifiers::CONTROL), Some(Key::Interrupt));
        assert_eq!(with(KeyCode::Char('c'), KeyModifiers::NONE), Some(Key::Char('c')));
        assert_eq!(with(KeyCode::Char('C'), KeyModifiers::SHIFT), Some(Key::Char('C')));
        assert_eq!(with(KeyCode::Char('x'), KeyModifiers::CONTROL), None);
        assert_eq!(with(KeyCode::Char('x'), KeyModifiers::ALT), None);
        assert_eq!(with(KeyCode::F(1), KeyModifiers::NONE), None);
    }
}
