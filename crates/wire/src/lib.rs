//! Frames, TLV fields, serials and codes of the Keyferry wire.
