//! Frames that nobody would send, at each state: nothing panics, and no key is lost.

use flows::tmk_download::DownloadPad;
use flows::tmk_download::terminal::Start;
use flows::tms_session::SealPad;
use paycrypto::keys::Tmk;
use pki::Role;
use proptest::prelude::*;
use wire::Frame;

use crate::testing::peers::{Rks, accepted, checked, frame, kld_key, load, rks_keys, tlv};
use crate::testing::session_peers::{Host, Tms, confirm, hello, sign_in};
use crate::testing::sessions_01::Sessions01 as _;
use crate::testing::suite_01::Suite01;
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
            0 => { let _ = DownloadPad::<flows::Tdes>::challenge(pad, &frames[0], &frames[1]); }
            1 => { let _ = DownloadPad::<flows::Tdes>::challenge(pad, &hello, &changed(&challenge, &changes)); }
            _ => {
                let reply = DownloadPad::<flows::Tdes>::challenge(pad, &hello, &challenge).unwrap().write().unwrap();
                let (key, _) = kms.key(state, &reply, &Tmk::generate().unwrap()).unwrap();
                if depth == 2 {
                    let _ = DownloadPad::<flows::Tdes>::key(pad, &reply, &frames[0]);
                } else {
                    let _ = DownloadPad::<flows::Tdes>::key(pad, &reply, &changed(&key, &changes));
                }
            }
        }
        let _ = DownloadPad::<flows::Tdes>::key(pad, &frames[0], &frames[1]);
        let _ = DownloadPad::<flows::Tdes>::done(pad, &frames[1], &frames[2]);
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

    #[test]
    fn any_frames_at_any_state_of_a_loading_and_of_the_rks(
        frames in proptest::collection::vec(payload(), 4),
        changes in proptest::collection::vec((any::<usize>(), any::<u8>()), 1..4),
        garbage in proptest::collection::vec(any::<u8>(), 0..100),
        depth in 0..5_usize,
    ) {
        let (mut terminal, _) = estate().full_terminal();
        let mut rks = Rks::new();
        let dik2 = load(&mut terminal, &rks.dik2(b"f"), "SN-1001/00", Some(b"f")).unwrap();
        let old = load(&mut terminal, &Tmk::generate().unwrap(), "SN-1001/03", None).unwrap();
        let frames: Vec<Frame> =
            frames.iter().map(|payload| Frame::from_payload(payload).unwrap()).collect();

        let (kld, accept) = accepted(&mut terminal).unwrap();
        let good = kld_key(&kld.fields(&kld.block(&Tmk::generate().unwrap(), "SN-1001/03"), None));
        let pad = terminal.pad_mut();
        let _ = match depth {
            0 => Suite01::load(pad, &frames[0], &frames[1]),
            1 => Suite01::load(pad, &accept, &changed(&good, &changes)),
            2 => Suite01::load(pad, &changed(&accept, &changes), &good),
            // Signed by a true KLD that went mad.
            _ => Suite01::load(pad, &accept, &kld_key(&garbage)),
        };
        let _ = pad.loaded(&frames[2], &frames[3]);

        let key = checked(&terminal, Role::RksWork);
        let pad = terminal.pad_mut();
        let auth = frame(0x11, &[tlv(0xDF01, &[1]), tlv(0xDF02, b"SN-1001"), tlv(0xDF04, &[9])]);
        Suite01::begin(pad, slot(9)).unwrap();
        let cert = rks.cert(&auth, &estate().certificate(Role::RksWork));
        if depth == 0 {
            let _ = pad.factor(&key, &frames[0], &frames[1]);
        }
        Suite01::begin(pad, slot(9)).unwrap();
        let factor = frame(0x13, &[tlv(0xDF20, &pad.factor(&key, &auth, &cert).unwrap())]);
        let token = rks.token(&factor);
        if depth == 1 {
            let _ = pad.proof(&factor, &changed(&token, &changes));
        } else if let Ok(df22) = pad.proof(&factor, &token) {
            let proof = frame(0x15, &[tlv(0xDF22, &df22)]);
            rks.prove(&proof);
            let keys = rks_keys(&[&rks.block(&Tmk::generate().unwrap(), "SN-1001/09", &[])], false);
            let _ = match depth {
                2 => Suite01::keys(pad, &frames[0], &keys),
                3 => Suite01::keys(pad, &proof, &frames[1]),
                _ => Suite01::keys(pad, &proof, &changed(&keys, &changes)),
            };
            let _ = Suite01::done(pad, &frames[2], &frames[3]);
        }
        let pad = terminal.pad();
        prop_assert!(pad.slots().iter().any(|status| status.kcv == old || status.previous == Some(old)));
        prop_assert_eq!(pad.identity().unwrap().kcv, dik2);
    }

    #[test]
    fn any_frames_at_any_state_of_a_session_with_the_tms(
        frames in proptest::collection::vec(payload(), 4),
        changes in proptest::collection::vec((any::<usize>(), any::<u8>()), 1..4),
        garbage in proptest::collection::vec(any::<u8>(), 0..100),
        depth in 0..6_usize,
        wants in prop_oneof![Just(None), Just(Some(9))],
    ) {
        let (mut terminal, _) = estate().full_terminal();
        let mut tms = Tms::of(&mut terminal);
        let old = load(&mut terminal, &Tmk::generate().unwrap(), "SN-1001/03", None).unwrap();
        let dmk = terminal.pad().dmk();
        let pad = terminal.pad_mut();
        let frames: Vec<Frame> =
            frames.iter().map(|payload| Frame::from_payload(payload).unwrap()).collect();

        let hello = hello(&pad.tms_begin(None).unwrap().t_data.bytes(), wants);
        let challenge = tms.challenge(&hello);
        if depth == 0 {
            let _ = pad.tms_prove(&frames[0], &frames[1], None);
        } else if depth == 1 {
            let _ = pad.tms_prove(&hello, &changed(&challenge, &changes), None);
        } else {
            let proof = tms.proof(&pad.tms_prove(&hello, &challenge, None).unwrap().proof.0);
            let key = match wants {
                Some(_) => tms.tmk_key(&Tmk::generate().unwrap(), "SN-1001/09"),
                None => tms.program_key(),
            };
            let _ = match depth {
                2 => pad.tms_keys(&frames[0], &key),
                3 => pad.tms_keys(&proof, &frames[1]),
                4 => pad.tms_keys(&proof, &changed(&key, &changes)),
                _ => pad.tms_keys(&proof, &key),
            };
            let _ = if wants.is_some() { pad.tms_done(&frames[2], &frames[3]) } else { Ok(()) };
        }
        // Nothing that is not sealed with the session's keys opens, and it ends the session.
        prop_assert!(pad.tms_open(&garbage).is_err());
        prop_assert!(pad.tms_seal(&garbage).is_err());
        let slots = pad.slots();
        prop_assert!(slots.iter().any(|status| status.kcv == old && status.previous.is_none()));
        prop_assert!(slots.iter().all(|status| status.slot == slot(3) || !status.done));
        prop_assert_eq!(pad.dmk(), dmk);
    }

    #[test]
    fn any_frames_at_any_state_of_a_sign_in(
        frames in proptest::collection::vec(payload(), 4),
        changes in proptest::collection::vec((any::<usize>(), any::<u8>()), 1..4),
        depth in 0..5_usize,
    ) {
        let (mut terminal, _) = estate().full_terminal();
        let host = Host::new(&Tmk::generate().unwrap());
        load(&mut terminal, &host.tmk, "SN-1001/03", None).unwrap();
        let pad = terminal.pad_mut();
        let frames: Vec<Frame> =
            frames.iter().map(|payload| Frame::from_payload(payload).unwrap()).collect();

        let (rnd1, kcv) = pad.sign_in_begin(slot(3), 0).unwrap();
        let said = sign_in(3, &rnd1.0, kcv.as_bytes());
        let keys = host.working_keys(&said, "SN-1001/03");
        let good = host.done(&said);
        match depth {
            0 => { let _ = pad.sign_in_keys(&frames[0], &keys); }
            1 => { let _ = pad.sign_in_keys(&said, &frames[1]); }
            2 => { let _ = pad.sign_in_keys(&said, &changed(&keys, &changes)); }
            _ => { pad.sign_in_keys(&said, &keys).unwrap(); }
        }
        let own = confirm(&host.confirmed(&said));
        let done = if depth == 3 { changed(&good, &changes) } else { frames[3].clone() };
        let is_done = done.bytes() == good.bytes();
        // Without its own confirm and the true DONE no key is worked with.
        let taken = pad.sign_in_done(&own, &done).is_ok();
        prop_assert!(!taken || is_done || depth == 3);
        prop_assert_eq!(pad.slots()[0].working.pik.is_some(), taken);
        prop_assert!(pad.sign_in_done(&own, &good).is_err());
        prop_assert_eq!(pad.slots()[0].kcv, kcv);
    }
}
