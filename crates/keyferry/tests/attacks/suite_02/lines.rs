//! Messages dropped, doubled, put elsewhere and cut, and packages that are not what they say.

use super::real::{FLOWS, Product};
use crate::{packages, support::tlv};

/// Attack 18, the line: every message of every flow dropped, doubled, put in another's place and cut short. Both ends
/// keep a key in common, and the next run is good.
#[test]
fn frames() {
    let mut product = Product::new();
    for flow in FLOWS {
        let mut all = Vec::new();
        assert!(product.run_with(flow, &mut |down, number, message| {
            all.push(((down, number), message.frame.clone()));
            Some(message.frame.clone())
        }));
        for (at, (place, _)) in all.iter().enumerate() {
            let (_, other) = &all[(at + 2) % all.len()];
            let mut meddle = |what: &str, change: &dyn Fn(&[u8]) -> Option<Vec<u8>>| {
                let content = product.run_with(flow, &mut |down, number, message| {
                    if (down, number) == *place {
                        change(&message.frame)
                    } else {
                        Some(message.frame.clone())
                    }
                });
                // What was said last is good, whatever comes after it.
                let last = all.iter().all(|((down, number), _)| *down != place.0 || *number <= place.1);
                assert!(!content || (last && what == "doubled"), "{flow:?} {place:?} {what}");
                product.assert_agreed();
            };
            meddle("dropped", &|_| None);
            meddle("doubled", &|frame| Some([frame, frame].concat()));
            meddle("reordered", &|_| Some(other.clone()));
            meddle("one byte more", &|frame| Some(tlv::frame_of(&[&frame[2..], &[0]].concat())));
            meddle("truncated", &|frame| Some(tlv::frame_of(&frame[2..frame.len() - 1])));
            meddle("cut to its head", &|frame| Some(tlv::frame_of(&frame[2..4])));
        }
        assert!(product.run(flow), "{flow:?} goes on");
    }
    product.assert_agreed();
    let mut product = Product::new();
    packages::old_or_renamed(&product.shop, &mut product.terminal);
}
