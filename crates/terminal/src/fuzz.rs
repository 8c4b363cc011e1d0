//! Frames that nobody would send, at each state: nothing panics, and no key is lost.

use flows::tmk_download::DownloadPad;
use flows::tmk_download::messages::TkReply;
use flows::tmk_download::terminal::Start;
use paycrypto::keys::Tmk;
use proptest::prelude::*;
use wire::Frame;

use crate::testing::{estate, slot};
use crate::{PinPad, collect};

/// Any payload, or one that begins as a message does.
fn payload() -> impl Strategy<Value = Vec<u8>> {
    let anything = proptest::collection::vec(any::<u8>(), 2..300);
    let plausible = (any::<u8>(), proptest::collection::vec((0xDF01..0xDF62_u16, field()), 0..6)).prop_map(
        |(kind, fields)| {
            let mut payload = vec![1, kind % 0x58];
            for (tag, value) in fields {
                payload.extend_from_slice(&tag.to_be_bytes());
                payload.push(u8::try_from(value.len()).unwrap());
                payload.extend_from_slice(&value);
            }
            payload
        },
    );
    prop_oneof![anything, plausible]
}

fn field() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        Just(vec![1]),
        any::<[u8; 8]>().prop_map(Vec::from),
        proptest::collection::vec(any::<u8>(), 0..80)
    ]
}

/// A real frame with some bytes changed.
fn changed(frame: &Frame, changes: &[(usize, u8)]) -> Frame {
    let mut payload = frame.payload().to_vec();
    for (at, byte) in changes {
        let at = at % payload.len();
        payload[at] ^= byte;
    }
    Frame::from_payload(&payload).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn any_frames_at_any_state_of_the_pad(
        frames in proptest::collection::vec(payload(), 3),
        changes in proptest::collection::vec((any::<usize>(), any::<u8>()), 0..4),
        depth in 0..4_usize,
    ) {
        let mut terminal = estate().terminal();
        let kms = estate().collected(&mut terminal);
        let kcv = kms.load(&mut terminal, slot(3), &Tmk::generate().unwrap()).unwrap();
        let device = terminal.device().clone();
        let pad = terminal.pad_mut();
        let frames: Vec<Frame> =
            frames.iter().map(|payload| Frame::from_payload(payload).unwrap()).collect();

        let (hello, _) = Start::new(device, slot(3)).begin(pad).unwrap();
        let (challenge, state) = kms.challenge(&hello).unwrap();
        match depth {
            0 => { let _ = pad.challenge(&frames[0], &frames[1]); }
            1 => { let _ = pad.challenge(&hello, &changed(&challenge, &changes)); }
            _ => {
                let reply = TkReply { crnd2: pad.challenge(&hello, &challenge).unwrap() }.write().unwrap();
                let (key, _) = kms.key(state, &reply, &Tmk::generate().unwrap()).unwrap();
                if depth == 2 {
                    let _ = pad.key(&reply, &frames[0]);
                } else {
                    let _ = pad.key(&reply, &changed(&key, &changes));
                }
            }
        }
        let _ = pad.key(&frames[0], &frames[1]);
        let _ = pad.done(&frames[1], &frames[2]);
        let slots = terminal.pad().slots();
        prop_assert!(slots[0].kcv == kcv || slots[0].previous == Some(kcv));
    }

    #[test]
    fn any_frame_to_collecting(
        payload in payload(),
        changes in proptest::collection::vec((any::<usize>(), any::<u8>()), 1..4),
    ) {
        let mut terminal = estate().terminal();
        let _ = collect::answer(&mut terminal, &Frame::from_payload(&payload).unwrap());
        let frame = changed(&estate().collect(), &changes);
        let _ = collect::answer(&mut terminal, &frame);
    }
}
