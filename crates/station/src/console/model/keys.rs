//! What each key does.

use super::{
    super::{Effect, Key},
    Focus, Model, Session, Wish,
};

impl Model {
    pub(super) fn key(&mut self, key: Key) -> Vec<Effect> {
        self.last_key = self.now;
        // What must be seen comes first, then what was asked, then the PIN, then everything else.
        if !self.stops.is_empty() {
            if matches!(key, Key::Enter) {
                self.stops.remove(0);
            }
            return if key == Key::Interrupt { self.quit() } else { Vec::new() };
        }
        if self.asks_to_quit {
            return match key {
                Key::Char('y' | 'Y') => vec![Effect::Close, Effect::Quit],
                Key::Char('n' | 'N') | Key::Escape => {
                    self.asks_to_quit = false;
                    Vec::new()
                }
                _ => Vec::new(),
            };
        }
        if let Session::Asking { pin, .. } = &mut self.session {
            match key {
                Key::Char(typed) => pin.push(typed),
                Key::Backspace => pin.pop(),
                Key::Enter => return self.enter_pin(),
                Key::Escape => return self.close("No PIN was given; nothing was collected.".to_owned()),
                Key::Interrupt => {
                    let mut effects = self.close(String::new());
                    effects.extend(self.quit());
                    return effects;
                }
                Key::Up | Key::Down | Key::Tab => {}
            }
            return Vec::new();
        }
        self.command(key)
    }

    fn command(&mut self, key: Key) -> Vec<Effect> {
        match key {
            Key::Char(' ') => return self.wish(Wish::All),
            Key::Enter => {
                if let (Focus::Terminals, Some((_, row))) = (self.focus, self.terminals.selected()) {
                    let address = row.address.clone();
                    return self.wish(Wish::One(address));
                }
            }
            Key::Up => match self.focus {
                Focus::Terminals => self.terminals.up(),
                Focus::Queue => self.queue.up(),
            },
            Key::Down => match self.focus {
                Focus::Terminals => self.terminals.down(),
                Focus::Queue => self.queue.down(),
            },
            Key::Tab => {
                self.focus = match self.focus {
                    Focus::Terminals => Focus::Queue,
                    Focus::Queue => Focus::Terminals,
                };
            }
            Key::Char('u') => {
                self.said = "Asking the server.".to_owned();
                return vec![Effect::Upload];
            }
            Key::Char('l') if self.run.is_some() => {
                self.said = "Collecting runs: pull a card to stop it.".to_owned();
            }
            Key::Char('l') => return self.close("Both cards are closed.".to_owned()),
            Key::Char('q') | Key::Interrupt => return self.quit(),
            _ => {}
        }
        Vec::new()
    }

    /// Ends, or asks first where that would cut work.
    fn quit(&mut self) -> Vec<Effect> {
        if self.works() {
            self.asks_to_quit = true;
            Vec::new()
        } else {
            vec![Effect::Close, Effect::Quit]
        }
    }
}
