//! The operator station: cards, collection, packages, upload.
