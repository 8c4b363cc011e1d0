//! Lines that are slow, and say what nobody said.

use std::time::Duration;

use terminal::listen::Event;

use crate::{
    cable::{Act, To},
    world::{Rig, Suite, settings},
};

/// One byte, a length of zero, a length that never comes, text, and what looks like a message.
const NOISES: [&[u8]; 6] =
    [&[0xFF], &[0, 0], &[0x7F, 0xFF, 1], b"AT\r\nOK\r\n", &[0, 3, 1, 0x51, 0xDF], &[0, 2, 1, 0x7F]];

/// The run ends well, and nothing is left; how often the terminal was asked again.
fn survives(rig: &Rig, question: &[u8], answer: &mut Vec<u8>, acts: &[Act]) -> usize {
    let told = rig.collect(acts, &settings());
    *answer = rig.ended_well(&told, answer).unwrap_or_else(|why| panic!("{:?} {acts:?}: {why}", rig.suite));
    assert!(
        rig.is_clean(question, answer) || is_clean_after_noise_at_the_end(rig, question, answer),
        "{acts:?}: {:?}",
        told.again
    );
    told.again.len()
}

/// Noise behind the last byte is still there until the terminal's time for it is over; then it is not.
fn is_clean_after_noise_at_the_end(rig: &Rig, question: &[u8], answer: &[u8]) -> bool {
    std::thread::sleep(Duration::from_millis(2_500));
    rig.is_clean(question, answer)
}

#[test]
fn bytes_that_come_one_by_one_are_collected_at_the_first_try() {
    for suite in [Suite::Tdes, Suite::EcAes] {
        let rig = Rig::new(suite, "SN-1");
        let (question, mut answer) = rig.said();
        let again = survives(&rig, &question, &mut answer, &[Act::Slow(Duration::from_millis(1))]);
        assert_eq!(again, 0);
    }
}

#[test]
fn noise_before_inside_and_behind_either_message_costs_a_retry_at_most_and_leaves_nothing() {
    for suite in [Suite::Tdes, Suite::EcAes] {
        std::thread::scope(|scope| {
            for (number, noise) in NOISES.into_iter().enumerate() {
                scope.spawn(move || {
                    let rig = Rig::new(suite, &format!("SN-{number}"));
                    let (question, mut answer) = rig.said();
                    for (to, length) in [(To::Terminal, question.len()), (To::Station, answer.len())] {
                        // Before its first byte, in its length, in its type, inside, and before its last byte.
                        for at in [0, 1, 3, length / 2, length - 1] {
                            let acts = [Act::Noise(to, at, noise.to_vec())];
                            survives(&rig, &question, &mut answer, &acts);
                        }
                    }
                });
            }
        });
    }
}

#[test]
fn a_byte_turned_over_anywhere_is_never_collected() {
    for suite in [Suite::Tdes, Suite::EcAes] {
        std::thread::scope(|scope| {
            for part in 0..24_usize {
                scope.spawn(move || {
                    let rig = Rig::new(suite, &format!("SN-{part}"));
                    let (question, mut answer) = rig.said();
                    let step = 24 * if suite == Suite::Tdes { 2 } else { 5 };
                    for (to, length) in [(To::Terminal, question.len()), (To::Station, answer.len())] {
                        for at in (part..length).step_by(step) {
                            let bits = if at % 2 == 0 { 0x01 } else { 0x80 };
                            let again = survives(&rig, &question, &mut answer, &[Act::Turn(to, at, bits)]);
                            // A question may be understood all the same: intermediates that nobody needs.
                            assert!(again > 0 || to == To::Terminal, "{suite:?} byte {at} of the answer");
                        }
                    }
                });
            }
        });
    }
}

#[test]
fn noise_while_nobody_asks_is_forgotten() {
    let rig = Rig::new(Suite::Tdes, "SN-1");
    let (question, answer) = rig.said();
    for noise in NOISES {
        rig.cable.probe(noise, 1);
        assert!(is_clean_after_noise_at_the_end(&rig, &question, &answer), "{noise:?}");
    }
    let events = rig.events.lock().unwrap();
    let collected = |event: &&Event| matches!(event, Event::Collected { again: false, .. });
    assert_eq!(events.iter().filter(collected).count(), 1, "{events:?}");
}
