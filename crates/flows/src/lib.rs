//! The flows of Keyferry as pure roles: no socket, no clock, no runtime, no log.
