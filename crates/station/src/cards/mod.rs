//! Kinds of cards.

mod file;

pub use file::FileCard;
