//! Toy keys over real transcripts, for tests of suite 02: a MAC is TH under one byte.

use std::vec::Vec;

use wire::{Frame, Tag};

use super::frame;
use crate::{
    Th,
    suite::{Ephemeral, Signature},
};

/// A MAC under a toy key.
pub(crate) fn mac(key: u8, th: &Th) -> [u8; 32] {
    th.as_bytes().map(|byte| byte ^ key)
}

/// A signature with a toy key.
pub(crate) fn signature(key: u8, th: &Th) -> Signature {
    let half = mac(key, th);
    let mut both = [0; 64];
    both[..32].copy_from_slice(&half);
    both[32..].copy_from_slice(&half);
    Signature(both)
}

/// What looks like an ephemeral key, and a nonce.
pub(crate) fn ephemeral(byte: u8) -> Ephemeral {
    let mut point = [byte; 65];
    point[0] = 4;
    Ephemeral { point, nonce: [byte; 32] }
}

/// The fields of a frame, each with its value's bytes.
pub(crate) fn fields_of(frame: &Frame) -> Vec<(Tag, Vec<u8>)> {
    let value = |field: &wire::Field| match field.value() {
        wire::Value::Bytes(bytes) => bytes.clone(),
        wire::Value::Template(fields) => fields.encode().unwrap(),
    };
    frame.message().unwrap().fields.iter().map(|field| (field.tag(), value(field))).collect()
}

/// A frame with its fields changed; what it becomes keeps the order that the change gives.
pub(crate) fn changed(good: &Frame, change: impl FnOnce(&mut Vec<(Tag, Vec<u8>)>)) -> Frame {
    let mut fields = fields_of(good);
    change(&mut fields);
    let fields: Vec<(Tag, &[u8])> = fields.iter().map(|(tag, value)| (*tag, value.as_slice())).collect();
    frame(good.kind().unwrap(), &fields)
}
