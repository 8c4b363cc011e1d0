//! Flow C of suite 02: the suite plays the device of a remote key server, from the injection of its DIK2.

use paycrypto::{
    digest,
    ec::{
        FactorKey, LoadedKey, Nonces, Schedule, StaticSecret, VerifyingKey,
        blocks::{self, BlockKey, LoadCounter, Protects},
        derive_dik2,
        keys::{Dik1, Dik2, Mak, Pik},
    },
};

use super::{
    super::{ExchangeAes, OWNER, PAD, refused},
    collect::make,
    peer::{Server, Side, context, filled, frame, hole, malformed, th, with},
};
use crate::{
    Hsm, KeyBlock, Refusal,
    commands::{
        Acknowledge, AnswerFactor, BeginRks, EcKeyKind, ExportDik1, FactorAnswer, Hole, MAX_RKS_KEYS,
        MAX_TRANSCRIPT, MakeDik1Ec, ReleaseRksKeysEc, ReleasedEc, RksBegun, RksKeyKind, RksWantedEc,
        TokenDoubt, WorkKey,
    },
};

const FACTOR: &[u8] = b"KLD-7/20261120/B042";
const KINDS: [RksKeyKind; 3] = [RksKeyKind::Tmk, RksKeyKind::Pik, RksKeyKind::Mak];

pub(super) async fn run(hsm: &impl Hsm, exchange: &ExchangeAes) {
    let rks = Rks::prepare(hsm, exchange).await;
    rks.a_beginning_is_signed_and_checked(hsm).await;
    rks.a_device_gets_its_keys_and_acknowledges_them(hsm).await;
    rks.pending_keys_are_sent_again(hsm).await;
    rks.whoever_is_not_the_device_is_answered_alike(hsm).await;
    rks.a_wrong_proof_gets_nothing(hsm).await;
    rks.steps_have_an_order_and_tickets_a_party(hsm).await;
    rks.keys_are_refused_out_of_place(hsm).await;
}

struct Rks {
    work: WorkKey,
    dik1: KeyBlock,
    /// What the device holds.
    dik2: Dik2,
}

/// A device that was given RKS_CERT.
struct Begun {
    side: Side,
    begun: RksBegun,
    /// RKS_AUTH and RKS_CERT.
    said: Vec<u8>,
    th12: [u8; 32],
}

/// A device that was given RKS_TOKEN.
struct Device {
    schedule: Schedule,
    answer: FactorAnswer,
    /// RKS_AUTH to RKS_TOKEN without its DF15, and to RKS_PROOF without and with it.
    token: Vec<u8>,
    said: Vec<u8>,
    transcript: Vec<u8>,
    proof: [u8; 32],
}

impl Begun {
    fn server(&self) -> Server<'_> {
        Server { point: &self.begun.point, nonce: &self.begun.nonce }
    }

    /// DF19.
    fn seal(&self, factor: &[u8]) -> Vec<u8> {
        let nonces = Nonces { opener: &self.side.nonce, answerer: &self.begun.nonce };
        FactorKey::derive(&self.side.agree(&self.server()), &nonces, &self.th12).seal(factor).unwrap()
    }

    /// RKS_AUTH to RKS_TOKEN, which has no DF15 yet.
    fn said(&self, df19: &[u8]) -> Vec<u8> {
        let df19 = [&[0xDF, 0x19, u8::try_from(df19.len()).unwrap()], df19].concat();
        [self.said.as_slice(), &frame(0x13, &df19), &frame(0x14, &[])].concat()
    }
}

impl Rks {
    async fn prepare(hsm: &impl Hsm, exchange: &ExchangeAes) -> Self {
        let work = make(hsm, EcKeyKind::RksSigning).await;
        let (owner, label) = (OWNER.to_owned(), "batch".into());
        let dik1 = hsm.call(MakeDik1Ec { owner: owner.clone(), label }).await.unwrap().block;
        let export = ExportDik1 { dik1: dik1.clone(), under: exchange.block.clone(), owner };
        let kbpk = keyblock::Kbpk::new(keyblock::Version::D, exchange.key.expose()).unwrap();
        let clear = kbpk.unwrap(&hsm.call(export).await.unwrap()).unwrap().key;
        let clear = Dik1::from_bytes(clear.as_slice().try_into().unwrap());
        Self { work, dik1, dik2: derive_dik2(&clear, PAD, FACTOR).unwrap() }
    }

    fn begin(&self, side: &Side) -> BeginRks {
        BeginRks {
            work_key: self.work.private.clone(),
            owner: OWNER.into(),
            pin_pad: PAD.into(),
            auth: side.frame(0x11, &[0xDF, 0x01, 0x01, 0x02]),
            peer: side.peer(),
            hole: hole(0x12, b"\xDF\x0C\x04cert", &[]),
        }
    }

    async fn begun(&self, hsm: &impl Hsm) -> Begun {
        let side = Side::new();
        let ask = self.begin(&side);
        let begun = hsm.call(ask.clone()).await.unwrap();
        let cert = filled(&ask.hole, &Server { point: &begun.point, nonce: &begun.nonce });
        let th12 = th(b'C', &[&ask.auth, &cert]);
        let key = VerifyingKey::from_spki(&self.work.public).unwrap();
        assert!(key.verifies_transcript(&th12, &begun.signature));
        let signed = frame(0x12, &[&cert[4..], &[0xDF, 0x16, 0x40], &begun.signature].concat());
        Begun { side, begun, said: [ask.auth, signed].concat(), th12 }
    }

    fn ask(&self, begun: &Begun, df19: &[u8]) -> AnswerFactor {
        AnswerFactor {
            ticket: begun.begun.ticket.clone(),
            df19: df19.to_vec(),
            dik1: Some(self.dik1.clone()),
            dsn: PAD.into(),
            pin_pad: PAD.into(),
            owner: OWNER.into(),
            factor_digest: Some(digest::sha256(FACTOR)),
            said: begun.said(df19),
        }
    }

    /// The device goes on from an answer, whether it is one to it or not.
    fn go_on(&self, begun: &Begun, token: Vec<u8>, answer: FactorAnswer) -> Device {
        let schedule = begun.side.opened(&StaticSecret::RksLoad(&self.dik2), &begun.server(), &begun.th12);
        let before = &token[..token.len() - 4];
        let whole = with(&frame(0x14, &[]), [0xDF, 0x15], &answer.confirmation);
        let before = [before, &whole].concat();
        let said = [before.as_slice(), &frame(0x15, &[])].concat();
        let proof = schedule.terminal_confirm().confirm(&th(b'C', &[&said]));
        let transcript = [before, with(&frame(0x15, &[]), [0xDF, 0x15], &proof)].concat();
        Device { schedule, answer, token, said, transcript, proof }
    }

    /// A device that has proved itself.
    async fn device(&self, hsm: &impl Hsm) -> Device {
        let begun = self.begun(hsm).await;
        let df19 = begun.seal(FACTOR);
        let ask = self.ask(&begun, &df19);
        let token = ask.said.clone();
        let answer = hsm.call(ask).await.unwrap();
        assert_eq!(answer.doubt, None);
        let device = self.go_on(&begun, token, answer);
        let right = device.schedule.server_confirm();
        assert!(right.confirms(&th(b'C', &[&device.token]), &device.answer.confirmation));
        device
    }

    async fn a_beginning_is_signed_and_checked(&self, hsm: &impl Hsm) {
        let (one, other) = (self.begun(hsm).await, self.begun(hsm).await);
        assert!(one.begun.point != other.begun.point && one.begun.nonce != other.begun.nonce);
        let side = Side::new();
        let good = self.begin(&side);
        let mut off = good.clone();
        off.peer.point[64] ^= 1;
        refused(hsm.call(off).await, |r| matches!(r, Refusal::FromTerminal { .. }));
        let cut = Hole { before: good.hole.before[..6].to_vec(), after: vec![] };
        for bad in [
            BeginRks { hole: cut, ..good.clone() },
            BeginRks { peer: Side::new().peer(), ..good.clone() },
            BeginRks { auth: good.auth[..90].to_vec(), ..good.clone() },
            BeginRks { pin_pad: "a serial".into(), ..good.clone() },
        ] {
            refused(hsm.call(bad).await, malformed);
        }
        for kind in [EcKeyKind::KmsAgreement, EcKeyKind::KldSigning] {
            let misused = BeginRks { work_key: make(hsm, kind).await.private, ..good.clone() };
            refused(hsm.call(misused).await, |r| matches!(r, Refusal::WrongUse { .. }));
        }
        let foreign = BeginRks { owner: "ACQ-2".into(), ..good };
        refused(hsm.call(foreign).await, |r| matches!(r, Refusal::WrongOwner { .. }));
    }

    async fn a_device_gets_its_keys_and_acknowledges_them(&self, hsm: &impl Hsm) {
        let device = self.device(hsm).await;
        let all = [KINDS.map(|kind| wanted(3, kind)).to_vec(), vec![wanted(4, RksKeyKind::Tmk)]].concat();
        let released = hsm.call(release(&device, all)).await.unwrap();
        let [tmk, pik, mak, other] = released.keys.as_slice() else { panic!("{} keys", released.keys.len()) };
        let kbpk = device.schedule.kbpk();
        // Each block is bound to those before it.
        let after = |before: &[&str]| context(&[&device.transcript, before.concat().as_bytes()].concat());
        let open_tmk = |block: &str, place: &str, context| {
            let (tmk, counter) =
                blocks::unwrap_tmk(&kbpk, block, place, &context, LoadCounter::NONE).unwrap();
            assert_eq!(counter, LoadCounter::new(1));
            tmk.kcv()
        };
        assert_eq!(open_tmk(&tmk.wrapped, "SN-1001/03", after(&[])), tmk.kcv);
        opens::<Pik>(&kbpk, &pik.wrapped, &after(&[&tmk.wrapped])).unwrap();
        opens::<Mak>(&kbpk, &mak.wrapped, &after(&[&tmk.wrapped, &pik.wrapped])).unwrap();
        let last = after(&[&tmk.wrapped, &pik.wrapped, &mak.wrapped]);
        assert_eq!(open_tmk(&other.wrapped, "SN-1001/04", last), other.kcv);
        assert!(opens::<Pik>(&kbpk, &pik.wrapped, &after(&[])).is_err(), "alone");

        let keys: Vec<_> = [3, 3, 3, 4]
            .into_iter()
            .zip(&released.keys)
            .map(|(index, key)| LoadedKey { index, kcv: key.kcv })
            .collect();
        let good = acknowledge(&device, &released, &keys);
        let receipt = hsm.call(good.clone()).await.unwrap();
        let done = th(b'C', &[&good.said_before_done]);
        assert!(device.schedule.receipt_server().acknowledges(&done, &keys, &receipt));
        let turned: Vec<_> = keys.iter().rev().copied().collect();
        for wrong in [&turned[..], &keys[..3], &[]] {
            let wrong = acknowledge(&device, &released, wrong);
            refused(hsm.call(wrong).await, |r| *r == Refusal::NotProven);
        }
    }

    async fn pending_keys_are_sent_again(&self, hsm: &impl Hsm) {
        let first = self.device(hsm).await;
        let all = || KINDS.map(|kind| wanted(3, kind)).to_vec();
        let keys = hsm.call(release(&first, all())).await.unwrap().keys;
        let second = self.device(hsm).await;
        let pending = all().into_iter().zip(&keys);
        let pending = pending.map(|(one, key)| RksWantedEc { pending: Some(key.block.clone()), ..one });
        let again = hsm.call(release(&second, pending.collect())).await.unwrap().keys;
        for (again, key) in again.iter().zip(&keys) {
            assert_eq!((again.kcv, &again.block), (key.kcv, &key.block), "the same pending key again");
            assert_ne!(again.wrapped, key.wrapped);
        }
        let fresh = hsm.call(release(&second, all())).await.unwrap().keys;
        assert!(fresh.iter().zip(&keys).all(|(new, old)| new.kcv != old.kcv), "each new key is another");
    }

    async fn whoever_is_not_the_device_is_answered_alike(&self, hsm: &impl Hsm) {
        let begun = self.begun(hsm).await;
        let df19 = begun.seal(FACTOR);
        let good = self.ask(&begun, &df19);
        let known = hsm.call(good.clone()).await.unwrap();
        let mut changed = df19.clone();
        changed[3] ^= 1;
        let other_run = self.begun(hsm).await.seal(FACTOR);
        let with_factor = |df19: &[u8]| self.ask(&begun, df19);
        for (doubt, ask) in [
            (TokenDoubt::Stranger, AnswerFactor { dik1: None, ..good.clone() }),
            (TokenDoubt::Stranger, AnswerFactor { dik1: None, factor_digest: None, ..with_factor(&[]) }),
            (TokenDoubt::Unregistered, AnswerFactor { factor_digest: None, ..good.clone() }),
            (TokenDoubt::WrongFactor, with_factor(&begun.seal(b"another factor"))),
            (TokenDoubt::WrongFactor, AnswerFactor { factor_digest: Some([0; 32]), ..good.clone() }),
            (TokenDoubt::Ciphertext, with_factor(&changed)),
            (TokenDoubt::Ciphertext, with_factor(&other_run)),
            (TokenDoubt::Ciphertext, with_factor(&begun.seal(&[]))),
            (TokenDoubt::Ciphertext, with_factor(&begun.seal(&[1; 33]))),
        ] {
            let token = ask.said.clone();
            let answer = hsm.call(ask).await.unwrap();
            assert_eq!(answer.doubt, Some(doubt));
            assert_eq!(answer.ticket.len(), known.ticket.len());
            assert_ne!(answer.confirmation, known.confirmation);
            let device = self.go_on(&begun, token, answer);
            let right = device.schedule.server_confirm();
            assert!(!right.confirms(&th(b'C', &[&device.token]), &device.answer.confirmation));
            let outcome = hsm.call(release(&device, vec![wanted(3, RksKeyKind::Tmk)])).await;
            refused(outcome, device_not_proven);
        }
    }

    async fn a_wrong_proof_gets_nothing(&self, hsm: &impl Hsm) {
        let device = self.device(hsm).await;
        let good = || release(&device, vec![wanted(3, RksKeyKind::Tmk)]);
        let mut wrong = device.proof;
        wrong[31] ^= 1;
        let reflected = device.schedule.server_confirm().confirm(&th(b'C', &[&device.said]));
        for confirmation in [wrong, [0; 32], device.answer.confirmation, reflected] {
            refused(hsm.call(ReleaseRksKeysEc { confirmation, ..good() }).await, device_not_proven);
        }
        let other_frames = ReleaseRksKeysEc { said: device.token.clone(), ..good() };
        refused(hsm.call(other_frames).await, device_not_proven);
        hsm.call(good()).await.unwrap();
    }

    async fn steps_have_an_order_and_tickets_a_party(&self, hsm: &impl Hsm) {
        let begun = self.begun(hsm).await;
        let (device, other) = (self.device(hsm).await, self.device(hsm).await);
        let tmk = || vec![wanted(3, RksKeyKind::Tmk)];
        let released = hsm.call(release(&device, tmk())).await.unwrap();
        let begins = || self.ask(&begun, &begun.seal(FACTOR));
        for ticket in [vec![], vec![0; 188], device.answer.ticket.clone(), released.ticket.clone()] {
            refused(hsm.call(AnswerFactor { ticket, ..begins() }).await, device_not_proven);
        }
        for ticket in
            [vec![], begun.begun.ticket.clone(), other.answer.ticket.clone(), released.ticket.clone()]
        {
            let forged = ReleaseRksKeysEc { ticket, ..release(&device, tmk()) };
            refused(hsm.call(forged).await, device_not_proven);
        }
        let keys = [LoadedKey { index: 3, kcv: released.keys[0].kcv }];
        let done = acknowledge(&device, &released, &keys);
        for ticket in [vec![], begun.begun.ticket.clone(), device.answer.ticket.clone()] {
            refused(hsm.call(Acknowledge { ticket, ..done.clone() }).await, |r| *r == Refusal::NotProven);
        }
        let pin_pad = || "SN-2002".to_owned();
        refused(hsm.call(AnswerFactor { pin_pad: pin_pad(), ..begins() }).await, device_not_proven);
        let elsewhere = ReleaseRksKeysEc { pin_pad: pin_pad(), ..release(&device, tmk()) };
        refused(hsm.call(elsewhere).await, device_not_proven);
        let owner = || "ACQ-2".to_owned();
        refused(hsm.call(AnswerFactor { owner: owner(), ..begins() }).await, device_not_proven);
        let foreign = ReleaseRksKeysEc { owner: owner(), ..release(&device, tmk()) };
        refused(hsm.call(foreign).await, device_not_proven);
        hsm.call(done).await.unwrap();
    }

    async fn keys_are_refused_out_of_place(&self, hsm: &impl Hsm) {
        let device = self.device(hsm).await;
        let made = hsm.call(release(&device, vec![wanted(3, RksKeyKind::Tmk)])).await.unwrap().keys;
        let pending = |slot, kind| RksWantedEc { pending: Some(made[0].block.clone()), ..wanted(slot, kind) };
        let other_slot = release(&device, vec![pending(4, RksKeyKind::Tmk)]);
        refused(hsm.call(other_slot).await, |r| matches!(r, Refusal::WrongPlace { .. }));
        let as_pik = release(&device, vec![pending(3, RksKeyKind::Pik)]);
        refused(hsm.call(as_pik).await, |r| matches!(r, Refusal::WrongUse { .. }));

        let most = u8::try_from(MAX_RKS_KEYS).unwrap();
        for bad in [
            vec![],
            vec![wanted(100, RksKeyKind::Tmk)],
            vec![wanted(3, RksKeyKind::Tmk), wanted(3, RksKeyKind::Tmk)],
            (0..=most).map(|slot| wanted(slot, RksKeyKind::Tmk)).collect(),
            vec![RksWantedEc { counter: None, ..wanted(3, RksKeyKind::Tmk) }],
            vec![RksWantedEc { counter: Some(0), ..wanted(3, RksKeyKind::Tmk) }],
            vec![RksWantedEc { counter: Some(1), ..wanted(3, RksKeyKind::Mak) }],
        ] {
            refused(hsm.call(release(&device, bad)).await, malformed);
        }
        let tmk = || vec![wanted(3, RksKeyKind::Tmk)];
        let begun = self.begun(hsm).await;
        let asks = || self.ask(&begun, &begun.seal(FACTOR));
        for said in [vec![], vec![0; MAX_TRANSCRIPT + 1]] {
            let bad = ReleaseRksKeysEc { said: said.clone(), ..release(&device, tmk()) };
            refused(hsm.call(bad).await, malformed);
            let bad = ReleaseRksKeysEc { transcript: said.clone(), ..release(&device, tmk()) };
            refused(hsm.call(bad).await, malformed);
            refused(hsm.call(AnswerFactor { said, ..asks() }).await, malformed);
        }
        // As many as one answer carries, with the longest transcript: the protocol has room for it.
        let all: Vec<_> = (0..most).map(|slot| wanted(slot, RksKeyKind::Tmk)).collect();
        let all = ReleaseRksKeysEc { transcript: vec![0; MAX_TRANSCRIPT], ..release(&device, all) };
        assert_eq!(hsm.call(all).await.unwrap().keys.len(), MAX_RKS_KEYS);

        refused(hsm.call(AnswerFactor { dsn: "a serial".into(), ..asks() }).await, malformed);
        let misused = AnswerFactor { dik1: Some(made[0].block.clone()), ..asks() };
        refused(hsm.call(misused).await, |r| matches!(r, Refusal::WrongUse { .. }));
    }
}

fn device_not_proven(refusal: &Refusal) -> bool {
    matches!(refusal, Refusal::DeviceNotProven { .. })
}

fn wanted(slot: u8, kind: RksKeyKind) -> RksWantedEc {
    let counter = (kind == RksKeyKind::Tmk).then_some(1);
    RksWantedEc { slot, kind, counter, pending: None, avoid: vec![] }
}

fn release(device: &Device, wanted: Vec<RksWantedEc>) -> ReleaseRksKeysEc {
    ReleaseRksKeysEc {
        ticket: device.answer.ticket.clone(),
        confirmation: device.proof,
        said: device.said.clone(),
        transcript: device.transcript.clone(),
        pin_pad: PAD.into(),
        owner: OWNER.into(),
        wanted,
    }
}

fn opens<K: BlockKey>(kbpk: &paycrypto::ec::Kbpk, block: &str, context: &[u8; 16]) -> Result<K, String>
where
    paycrypto::ec::Kbpk: Protects<K>,
{
    blocks::unwrap(kbpk, block, "SN-1001/03", context).map_err(|e| e.to_string())
}

/// The device's KEY_CONFIRM behind RKS_KEYS; the HSM hashes whatever frames are said.
fn acknowledge(device: &Device, released: &ReleasedEc, keys: &[LoadedKey]) -> Acknowledge {
    let said = [device.transcript.as_slice(), &frame(0x16, released.keys[0].wrapped.as_bytes())].concat();
    let receipt = device.schedule.receipt_terminal().receipt(&th(b'C', &[&said]), keys);
    let confirm = with(&frame(0x05, &[]), [0xDF, 0x17], &receipt);
    Acknowledge {
        ticket: released.ticket.clone(),
        said_before_done: [said.as_slice(), &confirm].concat(),
        said_before_confirm: said,
        receipt,
        pin_pad: PAD.into(),
        owner: OWNER.into(),
    }
}
