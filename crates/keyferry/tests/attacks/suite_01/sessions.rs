//! Whole sessions between the product's terminal and the product's server, with a tester on the line.

use std::collections::BTreeMap;

use super::{
    forge::{SLOT_A, SLOT_C, SLOT_E},
    real::{FLOWS, Flow, Product},
};
use crate::{packages, support::tlv};

fn assert_agreed(product: &Product) {
    [SLOT_A, SLOT_C, SLOT_E].into_iter().for_each(|slot| product.assert_agreed(slot));
    product.shop.world.assert_audit_good();
}

/// Attack 3: every message of one session, in both directions, played into the next. What is not the same in every
/// session ends the second one.
#[test]
fn replay() {
    let mut product = Product::new();
    for flow in FLOWS {
        let mut old = BTreeMap::new();
        let recorded = product.run_with(flow, &mut |down, number, message| {
            old.insert((down, number), message.frame.clone());
            Some(message.frame.clone())
        });
        assert!(recorded, "{flow:?}");
        let mut replayed = 0;
        for (at, frame) in &old {
            let before = product.held(SLOT_A);
            let mut same = true;
            let content = product.run_with(flow, &mut |down, number, message| {
                let this = *at == (down, number);
                same &= !this || message.frame == *frame;
                Some(if this { frame.clone() } else { message.frame.clone() })
            });
            // RKS_AUTH, RKS_CERT and a DONE without a MAC are the same in every session.
            assert_eq!(content, same, "{flow:?} {at:?}");
            replayed += usize::from(!same);
            let loads = flow == Flow::Kms && *at == (true, 1);
            assert!(!loads || product.held(SLOT_A) == before, "an old TK_KEY loads nothing");
            assert_agreed(&product);
        }
        assert!(replayed >= old.len() / 2, "{flow:?}: {replayed} of {}", old.len());
        assert!(product.run(flow), "{flow:?} goes on");
    }
    assert_agreed(&product);
}

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
                assert_agreed(&product);
            };
            meddle("dropped", &|_| None);
            meddle("doubled", &|frame| Some([frame, frame].concat()));
            meddle("reordered", &|_| Some(other.clone()));
            meddle("one byte more", &|frame| Some(tlv::frame_of(&[&frame[2..], &[0]].concat())));
            if all[at].1.len() > 4 {
                meddle("truncated", &|frame| Some(tlv::frame_of(&frame[2..frame.len() - 1])));
                meddle("cut to its head", &|frame| Some(tlv::frame_of(&frame[2..4])));
            }
        }
        assert!(product.run(flow), "{flow:?} goes on");
    }
    assert_agreed(&product);
    let mut product = Product::new();
    packages::old_or_renamed(&product.shop, &mut product.terminal);
}
