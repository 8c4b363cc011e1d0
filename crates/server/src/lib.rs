//! The servers: terminal port, upload endpoint, configuration.
