//! The terminal: PIN pad, software PIN pad, device state, links.
