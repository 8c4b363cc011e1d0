//! Behaviour of the crate, by subject.
