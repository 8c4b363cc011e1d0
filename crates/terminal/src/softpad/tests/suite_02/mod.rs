//! The PIN pad's steps of suite 02 in flows B and C: what is taken, and every refusal by name.

mod collect;
mod download;
mod driven;
mod fuzz;
mod identity;
mod load;
pub(crate) mod peers;

use flows::PadRefusal;
use wire::{Frame, Malformed, Tag};

use crate::Terminal;

/// A refusal's code, for those whose words do not matter.
fn code(refusal: &PadRefusal) -> u16 {
    refusal.code().number()
}

/// A frame with its fields changed, in the order that the change gives.
fn changed(good: &Frame, change: impl FnOnce(&mut Vec<(Tag, Vec<u8>)>)) -> Frame {
    let message = good.message().unwrap();
    let value = |field: &wire::Field| match field.value() {
        wire::Value::Bytes(bytes) => bytes.clone(),
        wire::Value::Template(fields) => fields.encode().unwrap(),
    };
    let mut fields: Vec<_> = message.fields.iter().map(|field| (field.tag(), value(field))).collect();
    change(&mut fields);
    let encoded: Vec<_> =
        fields.iter().map(|(tag, value)| crate::testing::peers::tlv(tag.number(), value)).collect();
    crate::testing::peers::frame(message.kind.byte(), &encoded)
}

/// A frame with one field's last byte changed.
fn spoiled(good: &Frame, tag: Tag) -> Frame {
    changed(good, |fields| {
        let value = fields.iter_mut().find(|(own, _)| *own == tag).map(|(_, value)| value).unwrap();
        *value.last_mut().unwrap() ^= 1;
    })
}

/// What every message of this suite refuses for its form: fields in another order, a proof where another belongs, a
/// field of another length.
fn malformed(good: &Frame, proof: Option<Tag>) -> Vec<(Frame, Malformed)> {
    let last = Tag::new(0xDF7F).unwrap();
    let turned = changed(good, |fields| fields.insert(0, (last, Vec::new())));
    let first = good.message().unwrap().fields.iter().next().map(wire::Field::tag);
    let mut all: Vec<_> = first.map(|tag| (turned, Malformed::FieldOrder { tag })).into_iter().collect();
    for other in [Tag::CONFIRMATION, Tag::TRANSCRIPT_SIGNATURE, Tag::RECEIPT] {
        if let Some(own) = proof.filter(|own| *own != other) {
            let instead = changed(good, |fields| {
                fields.iter_mut().filter(|(tag, _)| *tag == own).for_each(|(tag, _)| *tag = other);
                fields.sort_by_key(|(tag, _)| *tag);
            });
            all.push((instead, Malformed::UnwantedField { tag: other }));
        }
    }
    for (tag, length) in [(Tag::EPHEMERAL_KEY, 65), (Tag::NONCE, 32)] {
        if good.message().unwrap().fields.get(tag).is_none() {
            continue;
        }
        for found in [length - 1, length + 1] {
            let other = changed(good, |fields| {
                let own = fields.iter_mut().filter(|(own, _)| *own == tag);
                own.for_each(|(_, value)| value.resize(found, 7));
            });
            all.push((other, Malformed::FieldLength { tag, found }));
        }
    }
    all
}

/// A point that is on no curve, in place of DF13.
fn off_the_curve(good: &Frame) -> Frame {
    spoiled(good, Tag::EPHEMERAL_KEY)
}

/// What the log of refusals has, in its order.
fn refusals(terminal: &Terminal) -> Vec<String> {
    use crate::PinPad;
    terminal.pad().refusals().records().map(|record| record.check.clone()).collect()
}
