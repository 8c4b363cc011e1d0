//! Frames that nobody would send, at each state of both flows: nothing panics, and no key is lost.

use flows::EcAes;
use flows::local_load::LoadPad;
use flows::rks_load::IdentityPad;
use paycrypto::ec::keys::Tmk;
use pki::Role;
use proptest::prelude::*;
use wire::{Device, Frame, Serial};

use super::identity::{begin, factor, fetch, identified, proof};
use super::load::{accept, accepted};
use super::peers::{acquirer, rks_keys};
use crate::PinPad;

const PLACE: &str = "SN-1001/03";

/// A payload of some message, or any bytes.
fn payload() -> impl Strategy<Value = Vec<u8>> {
    let anything = proptest::collection::vec(any::<u8>(), 2..300);
    let plausible = (any::<u8>(), proptest::collection::vec(any::<u8>(), 0..80))
        .prop_map(|(kind, fields)| [vec![1, kind], fields].concat());
    prop_oneof![anything, plausible]
}

/// A frame with some of its bytes changed.
fn bent(good: &Frame, changes: &[(usize, u8)]) -> Frame {
    let mut payload = good.payload().to_vec();
    for (at, change) in changes {
        let at = at % payload.len();
        payload[at] ^= change | 1;
    }
    if payload == good.payload() {
        // Two changes took each other back.
        *payload.last_mut().unwrap() ^= 1;
    }
    Frame::from_payload(&payload).unwrap()
}

fn changes() -> impl Strategy<Value = Vec<(usize, u8)>> {
    proptest::collection::vec((any::<usize>(), any::<u8>()), 1..4)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn any_frames_at_any_state_of_a_loading(
        frames in proptest::collection::vec(payload(), 3),
        changes in changes(),
        depth in 0..5_usize,
    ) {
        let frames: Vec<_> = frames.iter().map(|payload| Frame::from_payload(payload).unwrap()).collect();
        let (mut terminal, mut rks) = identified();
        let old = Tmk::generate().unwrap();
        fetch(&mut terminal, &mut rks, &old, 1).unwrap();
        let signer = acquirer().checked(&terminal, Role::Downloader, &acquirer().work);
        let device = Device::built_in(Serial::parse("SN-1001").unwrap());
        let _ = LoadPad::<EcAes>::accept(terminal.pad_mut(), &signer, &frames[0], &device);
        let (kld, accepted) = accepted(&mut terminal);
        let _ = accept(&mut terminal, &bent(&kld.connect, &changes));
        let good = kld.key(&kld.tmk(&Tmk::generate().unwrap(), "SN-1001/09", 1), None);
        let pad = terminal.pad_mut();
        let result = match depth {
            0 => LoadPad::<EcAes>::load(pad, &frames[0], &frames[1]),
            1 => LoadPad::<EcAes>::load(pad, &accepted, &bent(&good, &changes)),
            2 => LoadPad::<EcAes>::load(pad, &bent(&accepted, &changes), &good),
            _ => LoadPad::<EcAes>::load(pad, &accepted, &frames[1]),
        };
        prop_assert!(result.is_err(), "another loading was begun, or what came is not what was sent");
        prop_assert!(LoadPad::<EcAes>::loaded(pad, &frames[1], &frames[2]).is_err());
        let slots = terminal.pad().slots();
        prop_assert_eq!((slots.len(), slots[0].kcv), (1, wire::Kcv::Aes(old.kcv())));
    }

    #[test]
    fn any_frames_at_any_state_of_a_download_from_the_rks(
        frames in proptest::collection::vec(payload(), 3),
        changes in changes(),
        depth in 0..5_usize,
    ) {
        let frames: Vec<_> = frames.iter().map(|payload| Frame::from_payload(payload).unwrap()).collect();
        let (mut terminal, mut rks) = identified();
        let old = Tmk::generate().unwrap();
        fetch(&mut terminal, &mut rks, &old, 1).unwrap();
        let auth = begin(&mut terminal);
        let cert = rks.cert(&auth, &acquirer().work);
        let sent = match depth {
            0 => factor(&mut terminal, &auth, &bent(&cert, &changes)),
            1 => factor(&mut terminal, &frames[0], &frames[1]),
            _ => factor(&mut terminal, &auth, &cert),
        };
        if let Ok(sent) = sent {
            prop_assert!(depth > 1, "RKS_CERT was changed on the way");
            let token = rks.token(&sent);
            let proved = match depth {
                2 => proof(&mut terminal, &sent, &bent(&token, &changes)),
                _ => proof(&mut terminal, &sent, &token),
            };
            if let Ok(proved) = proved {
                prop_assert!(depth > 2, "RKS_TOKEN was changed on the way");
                rks.take(&proved);
                let good = rks_keys(&[&rks.tmk(&Tmk::generate().unwrap(), PLACE, 2, &[])]);
                let pad = terminal.pad_mut();
                let result = match depth {
                    3 => IdentityPad::<EcAes>::keys(pad, &proved, &bent(&good, &changes)),
                    _ => IdentityPad::<EcAes>::keys(pad, &frames[0], &good),
                };
                prop_assert!(result.is_err());
            }
        }
        prop_assert!(IdentityPad::<EcAes>::done(terminal.pad_mut(), &frames[1], &frames[2]).is_err());
        prop_assert_eq!(terminal.pad().slots()[0].kcv, wire::Kcv::Aes(old.kcv()));
    }
}
