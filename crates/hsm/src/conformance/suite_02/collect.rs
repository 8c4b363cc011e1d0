//! Flow A of suite 02, collecting: key pairs, and TKs that come sealed to one of them.

use paycrypto::ec::{CollectInfo, PublicPoint, Tk};

use super::{
    super::{OWNER, PAD, refused},
    peer::frame,
};
use crate::{
    Hsm, HsmError, KeyBlock, Refusal,
    commands::{
        CheckWorkKey, EcKeyKind, MakeEcKey, MakeWorkKey, OpenCollectedEc, TransportKeyBlocks, WorkKey,
        WorkKeyOf,
    },
};

const KINDS: [EcKeyKind; 3] = [EcKeyKind::KmsAgreement, EcKeyKind::RksSigning, EcKeyKind::KldSigning];
const GENERATION: u64 = 7;

pub(super) async fn run(hsm: &impl Hsm) {
    key_pairs_have_one_kind(hsm).await;
    a_tk_opens_for_its_own_collecting_only(hsm).await;
    a_collected_key_is_refused_out_of_place(hsm).await;
}

/// Makes a key pair.
pub(super) async fn make(hsm: &impl Hsm, kind: EcKeyKind) -> WorkKey {
    let (subject, owner) = ("conformance".into(), OWNER.into());
    hsm.call(MakeEcKey { kind, subject, owner }).await.unwrap()
}

/// A TK that was collected for [`PAD`] under a KMS's key of its own.
pub(in super::super) async fn collected(hsm: &impl Hsm, tk: &Tk) -> TransportKeyBlocks {
    let work = make(hsm, EcKeyKind::KmsAgreement).await;
    hsm.call(ask(&work, tk)).await.unwrap()
}

fn ask(work: &WorkKey, tk: &Tk) -> OpenCollectedEc {
    let collect = frame(0x51, &[0xDF, 0x01, 0x01, 0x02]);
    let info = CollectInfo::new(&collect, PAD, PAD, GENERATION);
    let df09 = tk.seal(&PublicPoint::from_spki(&work.public).unwrap(), &info).unwrap();
    OpenCollectedEc {
        work_key: work.private.clone(),
        collect,
        sn: PAD.into(),
        pin_pad: PAD.into(),
        generation: GENERATION,
        df09,
        owner: OWNER.into(),
    }
}

async fn key_pairs_have_one_kind(hsm: &impl Hsm) {
    for kind in KINDS {
        let made = make(hsm, kind).await;
        assert!(made.private.as_str().starts_with('D'), "keys leave as version D blocks");
        PublicPoint::from_spki(&made.public).unwrap();
        let point = &made.public[26..];
        assert!(made.request.windows(point.len()).any(|window| window == point), "a request for this key");
        assert_ne!(make(hsm, kind).await.public, made.public, "each new key is another");
        for of in KINDS.map(WorkKeyOf::Ec).into_iter().chain([WorkKeyOf::Kms, WorkKeyOf::Rks]) {
            let (work_key, public) = (made.private.clone(), made.public.clone());
            let outcome = hsm.call(CheckWorkKey { work_key, public, owner: OWNER.into(), of }).await;
            if of == WorkKeyOf::Ec(kind) {
                outcome.unwrap();
            } else {
                refused(outcome, |r| matches!(r, Refusal::WrongUse { .. }));
            }
        }
        let (work_key, public) = (made.private, make(hsm, kind).await.public);
        let mixed = CheckWorkKey { work_key, public, owner: OWNER.into(), of: WorkKeyOf::Ec(kind) };
        refused(hsm.call(mixed).await, |r| matches!(r, Refusal::WrongUse { .. }));
    }
    let nameless = MakeEcKey { kind: EcKeyKind::RksSigning, subject: String::new(), owner: OWNER.into() };
    refused(hsm.call(nameless).await, |r| matches!(r, Refusal::Malformed { .. }));
}

async fn a_tk_opens_for_its_own_collecting_only(hsm: &impl Hsm) {
    let (work, tk) = (make(hsm, EcKeyKind::KmsAgreement).await, Tk::generate().unwrap());
    let good = ask(&work, &tk);
    let blocks = hsm.call(good.clone()).await.unwrap();
    assert!(blocks.tek.as_str().starts_with('D') && blocks.auk.as_str().starts_with('D'));
    let mut changed = good.df09.clone();
    changed[100] ^= 1;
    let mut off_the_curve = good.df09.clone();
    off_the_curve[64] ^= 1;
    let other_collect = frame(0x51, &[0xDF, 0x01, 0x01, 0x01]);
    for (case, ask) in [
        ("another COLLECT", OpenCollectedEc { collect: other_collect, ..good.clone() }),
        ("another serial", OpenCollectedEc { sn: "SN-2002".into(), ..good.clone() }),
        ("another PIN pad", OpenCollectedEc { pin_pad: "SN-2002".into(), ..good.clone() }),
        ("another generation", OpenCollectedEc { generation: GENERATION + 1, ..good.clone() }),
        ("a changed byte", OpenCollectedEc { df09: changed, ..good.clone() }),
        ("a point off the curve", OpenCollectedEc { df09: off_the_curve, ..good.clone() }),
        ("nothing", OpenCollectedEc { df09: vec![], ..good.clone() }),
        ("a byte more", OpenCollectedEc { df09: [good.df09.as_slice(), &[0]].concat(), ..good.clone() }),
        ("another work key", {
            let other = make(hsm, EcKeyKind::KmsAgreement).await;
            OpenCollectedEc { work_key: other.private, ..good.clone() }
        }),
    ] {
        let outcome = hsm.call(ask).await;
        let named = matches!(outcome, Err(HsmError::Refused(Refusal::TransportKey { .. })));
        assert!(named, "{case}: {outcome:?}");
    }
    let cut = good.collect[..good.collect.len() - 1].to_vec();
    for collect in [vec![], cut] {
        let ask = OpenCollectedEc { collect, ..good.clone() };
        refused(hsm.call(ask).await, |r| matches!(r, Refusal::Malformed { .. }));
    }
}

async fn a_collected_key_is_refused_out_of_place(hsm: &impl Hsm) {
    let (work, tk) = (make(hsm, EcKeyKind::KmsAgreement).await, Tk::generate().unwrap());
    let good = ask(&work, &tk);
    let opened = |work_key: KeyBlock| hsm.call(OpenCollectedEc { work_key, ..good.clone() });
    for kind in [EcKeyKind::RksSigning, EcKeyKind::KldSigning] {
        let signing = make(hsm, kind).await;
        refused(opened(signing.private).await, |r| matches!(r, Refusal::WrongUse { .. }));
    }
    let rsa = MakeWorkKey { bits: 2048, subject: "conformance".into(), owner: OWNER.into() };
    let rsa = hsm.call(rsa).await.unwrap();
    refused(opened(rsa.private).await, |r| matches!(r, Refusal::WrongUse { .. }));
    let foreign = OpenCollectedEc { owner: "ACQ-2".into(), ..good };
    refused(hsm.call(foreign).await, |r| matches!(r, Refusal::WrongOwner { .. }));
}
