//! Flow A: collected keys, challenges, TMKs; and the TLS key.

use paycrypto::{TdesKey, blocks, tk::CheckedTk};

use super::{CONTEXT, OWNER, PAD, encrypt, refused};

use crate::{
    Hsm, HsmError, KeyBlock, Refusal,
    commands::{
        AnswerChallenge, AnswerStranger, Challenge, CheckAnswer, CheckCollected, CheckWorkKey, MakeTlsKey,
        MakeWorkKey, OpenCollected, ReleaseTmk, ReleasedTmk, Rewrap, SignTls, TlsScheme, TransportKeyBlocks,
        WorkKey, WorkKeyOf,
    },
};

const RND1: [u8; 8] = [0x01, 2, 3, 4, 5, 6, 7, 8];

pub(super) async fn run(hsm: &impl Hsm) {
    let suite = Suite::prepare(hsm).await;
    suite.collected_keys_are_checked(hsm).await;
    suite.challenges_are_answered_and_checked(hsm).await;
    suite.strangers_are_answered_alike(hsm).await;
    suite.a_tmk_is_released_to_a_proven_terminal_only(hsm).await;
    suite.keys_are_refused_out_of_place(hsm).await;
    suite.a_tls_key_signs_and_opens_nothing(hsm).await;
    suite.a_work_key_belongs_to_its_public_half(hsm).await;
    suite.answers_to_many_come_back_to_each(hsm).await;
}

/// One work key and one terminal collected under it.
struct Suite {
    work: WorkKey,
    tk: CheckedTk,
    blocks: TransportKeyBlocks,
}

impl Suite {
    async fn prepare(hsm: &impl Hsm) -> Self {
        let work = hsm
            .call(MakeWorkKey { bits: 2048, subject: "conformance KMS".into(), owner: OWNER.into() })
            .await
            .unwrap();
        assert!(work.private.as_str().starts_with('D'), "keys leave as version D blocks");
        assert_eq!(work.private.as_str().chars().nth(11), Some('E'), "exportability E");
        let tk = CheckedTk::generate().unwrap();
        let blocks = open(hsm, &work, &tk, PAD).await.unwrap();
        Self { work, tk, blocks }
    }

    async fn collected_keys_are_checked(&self, hsm: &impl Hsm) {
        let check = |clear: Vec<u8>| {
            let ctk_pu = encrypt(&self.work, &clear);
            hsm.call(CheckCollected { work_key: self.work.private.clone(), ctk_pu, owner: OWNER.into() })
        };
        check(self.tk.to_clear().to_vec()).await.unwrap();

        let mut wrong_hash = self.tk.to_clear().to_vec();
        wrong_hash[79] ^= 1;
        let good = TdesKey::generate24().unwrap();
        let weak = [[0x01; 8], [0x1F; 8], [0x0E; 8]].concat();
        let equal_parts = [&good.expose()[..16], &good.expose()[..8]].concat();
        for (case, clear) in [
            ("wrong hash", wrong_hash),
            ("short", self.tk.to_clear()[..79].to_vec()),
            ("weak TEK", with_hash(&weak, good.expose())),
            ("weak AUK", with_hash(good.expose(), &weak)),
            ("equal parts", with_hash(&equal_parts, self.tk.auk().expose())),
            ("TEK equals AUK", with_hash(good.expose(), good.expose())),
        ] {
            let refused = check(clear).await;
            assert!(matches!(refused, Err(HsmError::Refused(Refusal::TransportKey { .. }))), "{case}");
        }
        for ctk_pu in [vec![], vec![0; 255], vec![0; 256], vec![0xFF; 256], vec![1; 257]] {
            let command = CheckCollected { work_key: self.work.private.clone(), ctk_pu, owner: OWNER.into() };
            let refused = hsm.call(command).await;
            assert!(matches!(refused, Err(HsmError::Refused(Refusal::TransportKey { .. }))));
        }
        // A TEK is no work key, and the work key of one acquirer is not another's.
        let ctk_pu = encrypt(&self.work, &self.tk.to_clear());
        let misused =
            CheckCollected { work_key: self.blocks.tek.clone(), ctk_pu: ctk_pu.clone(), owner: OWNER.into() };
        refused(hsm.call(misused).await, |r| matches!(r, Refusal::WrongUse { .. }));
        let foreign = CheckCollected { work_key: self.work.private.clone(), ctk_pu, owner: "ACQ-2".into() };
        refused(hsm.call(foreign).await, |r| matches!(r, Refusal::WrongOwner { .. }));
    }

    async fn challenges_are_answered_and_checked(&self, hsm: &impl Hsm) {
        let first = self.challenge(hsm).await.unwrap();
        assert_eq!(first.crnd1, self.tk.auk().answer(RND1));
        assert_eq!(first.rnd2[0] & 0x80, 0x80, "the top bit of Rnd2 is 1");
        assert_ne!(self.challenge(hsm).await.unwrap().rnd2, first.rnd2);

        let mut reflected = RND1;
        reflected[0] |= 0x80;
        let oracle = AnswerChallenge { rnd1: reflected, ..self.ask() };
        refused(hsm.call(oracle).await, |r| matches!(r, Refusal::Malformed { .. }));

        let right = self.tk.auk().answer(first.rnd2);
        hsm.call(self.check(&first.ticket, right)).await.unwrap();
        let mut wrong = right;
        wrong[7] ^= 1;
        refused(hsm.call(self.check(&first.ticket, wrong)).await, |r| *r == Refusal::NotProven);
        let other = self.challenge(hsm).await.unwrap();
        refused(hsm.call(self.check(&other.ticket, right)).await, |r| *r == Refusal::NotProven);
        refused(hsm.call(self.check(&[], right)).await, |r| *r == Refusal::NotProven);
    }

    async fn strangers_are_answered_alike(&self, hsm: &impl Hsm) {
        let ask = |sn: &str, rnd1| AnswerStranger { sn: sn.into(), pin_pad: sn.into(), rnd1 };
        let one = hsm.call(ask("SN-X", RND1)).await.unwrap();
        let again = hsm.call(ask("SN-X", RND1)).await.unwrap();
        assert_eq!(one.crnd1, again.crnd1, "the same question twice is answered the same");
        assert_ne!(one.rnd2, again.rnd2);
        assert_ne!(one.crnd1, hsm.call(ask("SN-Y", RND1)).await.unwrap().crnd1);
        assert_eq!(one.rnd2[0] & 0x80, 0x80);
        assert_eq!(one.ticket.len(), self.challenge(hsm).await.unwrap().ticket.len());
        let nothing = ReleaseTmk { transport_key: None, ..self.release(&one, [0; 8]) };
        refused(hsm.call(nothing).await, |r| *r == Refusal::NotProven);
        let borrowed = self.release(&one, self.tk.auk().answer(one.rnd2));
        refused(hsm.call(borrowed).await, |r| *r == Refusal::NotProven);
    }

    async fn a_tmk_is_released_to_a_proven_terminal_only(&self, hsm: &impl Hsm) {
        let challenge = self.challenge(hsm).await.unwrap();
        let proof = self.tk.auk().answer(challenge.rnd2);
        refused(hsm.call(self.release(&challenge, [0; 8])).await, |r| *r == Refusal::NotProven);

        let released = hsm.call(self.release(&challenge, proof)).await.unwrap();
        self.opens(&released, "SN-1001/03", &CONTEXT).unwrap();
        assert!(self.opens(&released, "SN-1001/04", &CONTEXT).is_err());
        assert!(self.opens(&released, "SN-1001/03", &[0; 16]).is_err());

        let again = ReleaseTmk { pending: Some(released.tmk.clone()), ..self.release(&challenge, proof) };
        let again = hsm.call(again).await.unwrap();
        assert_eq!((again.kcv, &again.tmk), (released.kcv, &released.tmk), "the same pending key again");
        self.opens(&again, "SN-1001/03", &CONTEXT).unwrap();

        let fresh = hsm.call(self.release(&challenge, proof)).await.unwrap();
        assert_ne!(fresh.kcv, released.kcv, "each new key is another");
        let moved = hsm.call(Rewrap { block: released.tmk.clone() }).await.unwrap();
        assert_eq!(moved, released.tmk, "a block of the present LMK stays");
    }

    async fn keys_are_refused_out_of_place(&self, hsm: &impl Hsm) {
        let challenge = self.challenge(hsm).await.unwrap();
        let proof = self.tk.auk().answer(challenge.rnd2);
        let released = hsm.call(self.release(&challenge, proof)).await.unwrap();
        let pending =
            |tmk: &KeyBlock| ReleaseTmk { pending: Some(tmk.clone()), ..self.release(&challenge, proof) };

        let other_slot = ReleaseTmk { slot: 4, ..pending(&released.tmk) };
        refused(hsm.call(other_slot).await, |r| matches!(r, Refusal::WrongPlace { .. }));
        refused(hsm.call(pending(&self.blocks.tek)).await, |r| matches!(r, Refusal::WrongUse { .. }));
        let past = ReleaseTmk { slot: 100, ..self.release(&challenge, proof) };
        refused(hsm.call(past).await, |r| matches!(r, Refusal::Malformed { .. }));

        let other = CheckedTk::generate().unwrap();
        let other_pad = open(hsm, &self.work, &other, "SN-2002").await.unwrap();
        let borrowed = AnswerChallenge { transport_key: other_pad, ..self.ask() };
        refused(hsm.call(borrowed).await, |r| matches!(r, Refusal::WrongPlace { .. }));

        let same_pad = open(hsm, &self.work, &other, PAD).await.unwrap();
        let mixed = TransportKeyBlocks { tek: same_pad.tek.clone(), auk: self.blocks.auk.clone() };
        let mixed = AnswerChallenge { transport_key: mixed, ..self.ask() };
        refused(hsm.call(mixed).await, |r| matches!(r, Refusal::TransportKey { .. }));
        let swapped = TransportKeyBlocks { tek: self.blocks.auk.clone(), auk: self.blocks.tek.clone() };
        let swapped = AnswerChallenge { transport_key: swapped, ..self.ask() };
        refused(hsm.call(swapped).await, |r| matches!(r, Refusal::WrongUse { .. }));
        let foreign = AnswerChallenge { owner: "ACQ-2".into(), ..self.ask() };
        refused(hsm.call(foreign).await, |r| matches!(r, Refusal::WrongOwner { .. }));
        let garbage = AnswerChallenge {
            transport_key: TransportKeyBlocks {
                tek: KeyBlock::from_text("D0000".into()),
                auk: self.blocks.auk.clone(),
            },
            ..self.ask()
        };
        refused(hsm.call(garbage).await, |r| matches!(r, Refusal::UnknownKey { .. }));
    }

    async fn a_tls_key_signs_and_opens_nothing(&self, hsm: &impl Hsm) {
        let tls = MakeTlsKey { bits: 2048, subject: "server".into(), owner: OWNER.into() };
        let tls = hsm.call(tls).await.unwrap();
        let sign = |key: &KeyBlock, scheme| SignTls {
            key: key.clone(),
            owner: OWNER.into(),
            scheme,
            message: b"a handshake".to_vec(),
        };
        for scheme in [TlsScheme::PssSha256, TlsScheme::Pkcs1Sha256] {
            assert_eq!(hsm.call(sign(&tls.private, scheme)).await.unwrap().len(), 256);
            let misused = hsm.call(sign(&self.work.private, scheme)).await;
            refused(misused, |r| matches!(r, Refusal::WrongUse { .. }));
        }
        let ctk_pu = encrypt(&tls, &self.tk.to_clear());
        let opens = CheckCollected { work_key: tls.private.clone(), ctk_pu, owner: OWNER.into() };
        refused(hsm.call(opens).await, |r| matches!(r, Refusal::WrongUse { .. }));
    }

    async fn a_work_key_belongs_to_its_public_half(&self, hsm: &impl Hsm) {
        let other = MakeWorkKey { bits: 2048, subject: "other".into(), owner: OWNER.into() };
        let other = hsm.call(other).await.unwrap();
        let check = |owner: &str, private: &KeyBlock, public: &[u8]| CheckWorkKey {
            work_key: private.clone(),
            public: public.to_vec(),
            owner: owner.into(),
            of: WorkKeyOf::Kms,
        };
        hsm.call(check(OWNER, &self.work.private, &self.work.public)).await.unwrap();
        hsm.call(check(OWNER, &other.private, &other.public)).await.unwrap();
        let mixed = hsm.call(check(OWNER, &other.private, &self.work.public)).await;
        refused(mixed, |r| matches!(r, Refusal::WrongUse { .. }));
        let foreign = hsm.call(check("ACQ-2", &other.private, &other.public)).await;
        refused(foreign, |r| matches!(r, Refusal::WrongOwner { .. }));
        let no_work_key = hsm.call(check(OWNER, &self.blocks.tek, &self.work.public)).await;
        refused(no_work_key, |r| matches!(r, Refusal::WrongUse { .. }));
        let of_the_rks = CheckWorkKey { of: WorkKeyOf::Rks, ..check(OWNER, &other.private, &other.public) };
        refused(hsm.call(of_the_rks).await, |r| matches!(r, Refusal::WrongUse { .. }));
    }

    async fn answers_to_many_come_back_to_each(&self, hsm: &impl Hsm) {
        let slow = open(hsm, &self.work, &self.tk, PAD);
        let quick = async {
            for n in 0..50 {
                let mut rnd1 = RND1;
                rnd1[7] = n;
                let answer = hsm.call(AnswerChallenge { rnd1, ..self.ask() }).await.unwrap();
                assert_eq!(answer.crnd1, self.tk.auk().answer(rnd1));
            }
        };
        let (opened, ()) = tokio::join!(slow, quick);
        opened.unwrap();
    }

    fn ask(&self) -> AnswerChallenge {
        AnswerChallenge {
            transport_key: self.blocks.clone(),
            pin_pad: PAD.into(),
            owner: OWNER.into(),
            rnd1: RND1,
        }
    }

    async fn challenge(&self, hsm: &impl Hsm) -> Result<Challenge, HsmError> {
        hsm.call(self.ask()).await
    }

    fn check(&self, ticket: &[u8], crnd2: [u8; 8]) -> CheckAnswer {
        CheckAnswer {
            ticket: ticket.to_vec(),
            crnd2,
            transport_key: self.blocks.clone(),
            pin_pad: PAD.into(),
            owner: OWNER.into(),
        }
    }

    fn release(&self, challenge: &Challenge, crnd2: [u8; 8]) -> ReleaseTmk {
        ReleaseTmk {
            ticket: challenge.ticket.clone(),
            crnd2,
            transport_key: Some(self.blocks.clone()),
            pin_pad: PAD.into(),
            owner: OWNER.into(),
            slot: 3,
            context: CONTEXT,
            pending: None,
            avoid: vec![],
        }
    }

    /// Opens a released key as the terminal does and compares its check value.
    fn opens(&self, released: &ReleasedTmk, place: &str, context: &[u8; 16]) -> Result<(), String> {
        let tmk = blocks::unwrap_tmk(self.tk.tek(), &released.under_tek, place, context)
            .map_err(|e| e.to_string())?;
        if tmk.kcv() == released.kcv { Ok(()) } else { Err("check value".into()) }
    }
}

async fn open(
    hsm: &impl Hsm,
    work: &WorkKey,
    tk: &CheckedTk,
    pin_pad: &str,
) -> Result<TransportKeyBlocks, HsmError> {
    let ctk_pu = encrypt(work, &tk.to_clear());
    let (work_key, pin_pad, owner) = (work.private.clone(), pin_pad.into(), OWNER.into());
    hsm.call(OpenCollected { work_key, ctk_pu, pin_pad, owner }).await
}

fn with_hash(tek: &[u8], auk: &[u8]) -> Vec<u8> {
    let keys = [tek, auk].concat();
    [keys.as_slice(), &paycrypto::digest::sha256(&keys)].concat()
}
