//! What is plugged in.

use std::{
    sync::{Arc, mpsc::Sender},
    thread,
    time::Duration,
};

use super::{
    super::{Event, Port},
    Note,
    shared::{Shared, spawn, tell},
};
use crate::{
    Error,
    ports::{Change, Watcher},
};

/// Between two looks.
const PAUSE: Duration = Duration::from_millis(300);

pub(super) fn start(shared: &Arc<Shared>, notes: &Sender<Note>, mut watcher: Watcher) -> Result<(), Error> {
    let (shared, to) = (Arc::clone(shared), notes.clone());
    spawn("ports", notes, move || {
        while !shared.ends() {
            for change in watcher.look() {
                match change {
                    Change::Plugged(port) => {
                        shared.plug(&port.target);
                        let (address, about) = (port.target.to_string(), port.about);
                        tell(&to, Event::Plugged(Port { address, about }));
                    }
                    Change::Gone(port) => tell(&to, Event::Unplugged(port.target.to_string())),
                }
            }
            thread::sleep(PAUSE);
        }
    })
    .map(drop)
}
