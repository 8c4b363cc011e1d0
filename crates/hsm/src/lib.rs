//! The HSM: its commands, the process protocol and its client.
