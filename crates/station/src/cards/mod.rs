//! Kinds of cards.

mod file;
mod source;
mod token;

pub use file::FileCard;
pub use source::CardSource;
pub use token::TokenCard;
