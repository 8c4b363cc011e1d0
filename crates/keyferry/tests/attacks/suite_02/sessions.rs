//! Whole sessions between the product's terminal and the product's server, with a tester on the line.

use std::collections::BTreeMap;

use super::{
    peer::{SLOT_A, SLOT_C, SLOT_E},
    real::{FLOWS, Product},
};

/// Attack 3: every message of one session, in both directions, played into the next. None is the same in two sessions,
/// and each ends the second one; an old message that brought a key brings none.
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
        let last = old.keys().filter(|(down, _)| *down).map(|(_, number)| *number).max().unwrap();
        for (at, frame) in &old {
            let before = [SLOT_A, SLOT_C, SLOT_E].map(|slot| product.held(slot));
            let content = product.run_with(flow, &mut |down, number, message| {
                let this = *at == (down, number);
                assert!(!this || message.frame != *frame, "{flow:?} {at:?} is fresh in every session");
                Some(if this { frame.clone() } else { message.frame.clone() })
            });
            assert!(!content, "{flow:?} {at:?}");
            // A new key is there when only KEY_CONFIRM or DONE was an old one: it is both sides'.
            let late = *at == (true, last) || *at == (false, last);
            let after = [SLOT_A, SLOT_C, SLOT_E].map(|slot| product.held(slot));
            assert!(late || after == before, "{flow:?} {at:?}: an old message loads nothing");
            product.assert_agreed();
        }
        assert!(product.run(flow), "{flow:?} goes on");
    }
    product.assert_agreed();
}
