//! Flow E: the suite plays a terminal with a DMK, and its operator.

use paycrypto::{
    blocks, digest,
    keys::{Dmk, Dwk, SessionKey, Tmk},
    operator::Verifier,
    seal::{self, Direction},
};

use super::{Exchange, OWNER, PAD, exchange::imported, refused};
use crate::{
    Hsm, KeyBlock, Refusal,
    commands::{
        AnswerTms, EnrolOperator, Held, MAX_FRAME, MAX_PASSWORD, MAX_SEALED_PAYLOAD, MAX_TRANSCRIPT, OpenTms,
        OpenTmsSession, OperatorClaim, SealTms, TmkWanted, TmsAnswer, TmsSession,
    },
};

const PLACE: &str = "SN-1001/00";
const T_DATA: [u8; 10] = [0x5E, 0xAD, 0xBE, 0xEF, 0x26, 0x11, 0x20, 0x12, 0x34, 0x56];
const NOW: [u8; 6] = [0x26, 0x11, 0x20, 0x12, 0x34, 0x57];
const HELLO: &[u8] = b"hello";
const TRANSCRIPT: &[u8] = b"hello challenge proof";
const OPERATOR: &str = "op7";
const PASSWORD: &[u8] = b"correct horse";

pub(super) async fn run(hsm: &impl Hsm, exchange: &Exchange) {
    let dmk = Dmk::generate().unwrap();
    let held = imported(hsm, exchange, Held::Dmk, dmk.key()).await.block;
    let tms = Terminal { dmk, held };
    tms.it_gets_a_session(hsm).await;
    tms.it_gets_its_tmk_and_a_pending_one_again(hsm).await;
    tms.a_stranger_cannot_tell(hsm).await;
    tms.a_wrong_proof_gets_nothing(hsm).await;
    tms.an_operator_proves_himself_after_the_terminal(hsm).await;
    tms.sealed_messages_open_once_in_their_place(hsm).await;
    tms.what_is_out_of_range_is_refused(hsm).await;
}

struct Terminal {
    dmk: Dmk,
    held: KeyBlock,
}

impl Terminal {
    fn hello(&self) -> AnswerTms {
        AnswerTms {
            dmk: Some(self.held.clone()),
            pin_pad: PAD.into(),
            owner: OWNER.into(),
            t_data: T_DATA,
            when: NOW,
            hello: HELLO.to_vec(),
        }
    }

    /// What the terminal does with a challenge.
    fn open(&self, answer: &TmsAnswer) -> Dwk {
        let dwk: Dwk = blocks::unwrap(&self.dmk, &answer.dwk_1, PLACE, &context(HELLO)).unwrap();
        assert_eq!(dwk.mac(&T_DATA), answer.tac_1);
        dwk
    }

    async fn begin(&self, hsm: &impl Hsm) -> (Dwk, OpenTmsSession) {
        let answer = hsm.call(self.hello()).await.unwrap();
        let dwk = self.open(&answer);
        let sac_1 = dwk.mac(&answer.s_data);
        (dwk, proof(answer.ticket, sac_1))
    }

    async fn it_gets_a_session(&self, hsm: &impl Hsm) {
        let answer = hsm.call(self.hello()).await.unwrap();
        assert_eq!(answer.s_data[4..], NOW);
        assert_eq!(answer.s_data[0] & 0x80, 0x80, "the server's bit");
        let dwk = self.open(&answer);
        let session = hsm.call(proof(answer.ticket, dwk.mac(&answer.s_data))).await.unwrap();
        let key = session_key(&dwk, &session);
        assert_eq!(session.tmk, None);

        let down = hsm.call(down(&session, 0, b"plan")).await.unwrap();
        assert_eq!(seal::open(&key, &dwk, Direction::FromTms, 0, &down).unwrap().as_slice(), b"plan");
        let up_0 = seal::seal(&key, &dwk, Direction::FromTerminal, 0, b"inventory").unwrap();
        assert_eq!(hsm.call(up(&session, 0, up_0)).await.unwrap(), b"inventory");

        let again = hsm.call(self.hello()).await.unwrap();
        assert_ne!(again.dwk_1, answer.dwk_1, "each session has a DWK of its own");
        assert_ne!(again.s_data[..4], answer.s_data[..4]);
    }

    async fn it_gets_its_tmk_and_a_pending_one_again(&self, hsm: &impl Hsm) {
        let wanted = |pending, avoid| Some(TmkWanted { slot: 3, pending, avoid });
        let (dwk, open) = self.begin(hsm).await;
        let session = hsm.call(OpenTmsSession { tmk: wanted(None, vec![]), ..open }).await.unwrap();
        let first = session.tmk.clone().unwrap();
        let said = [TRANSCRIPT, session.session_block.as_bytes()].concat();
        let tmk: Tmk = blocks::unwrap(&dwk, &first.under_tk, "SN-1001/03", &context(&said)).unwrap();
        assert_eq!(tmk.kcv(), first.kcv);
        let alone = blocks::unwrap::<Tmk, _>(&dwk, &first.under_tk, "SN-1001/03", &context(TRANSCRIPT));
        assert!(alone.is_err(), "bound to the session key's block before it");

        let (_, open) = self.begin(hsm).await;
        let again = wanted(Some(first.block.clone()), vec![]);
        let again = hsm.call(OpenTmsSession { tmk: again, ..open }).await.unwrap().tmk.unwrap();
        assert_eq!((again.kcv, &again.block), (first.kcv, &first.block), "the same pending key again");
        let (_, open) = self.begin(hsm).await;
        let fresh = wanted(None, vec![first.kcv]);
        let fresh = hsm.call(OpenTmsSession { tmk: fresh, ..open }).await.unwrap().tmk.unwrap();
        assert_ne!(fresh.kcv, first.kcv);

        for (slot, pending, malformed) in [(4, Some(first.block), false), (100, None, true)] {
            let (_, open) = self.begin(hsm).await;
            let tmk = Some(TmkWanted { slot, pending, avoid: vec![] });
            let outcome = hsm.call(OpenTmsSession { tmk, ..open }).await;
            refused(outcome, |r| match r {
                Refusal::Malformed { .. } => malformed,
                Refusal::WrongPlace { .. } => !malformed,
                _ => false,
            });
        }
    }

    async fn a_stranger_cannot_tell(&self, hsm: &impl Hsm) {
        let known = hsm.call(self.hello()).await.unwrap();
        let stranger = hsm.call(AnswerTms { dmk: None, ..self.hello() }).await.unwrap();
        assert_eq!(stranger.dwk_1.len(), known.dwk_1.len());
        assert_eq!(stranger.dwk_1[..70], known.dwk_1[..70], "the same header, place and context");
        assert_eq!(stranger.ticket.len(), known.ticket.len());
        assert_eq!((stranger.s_data[0] & 0x80, &stranger.s_data[4..]), (0x80, NOW.as_slice()));
        assert!(blocks::unwrap::<Dwk, _>(&self.dmk, &stranger.dwk_1, PLACE, &context(HELLO)).is_err());
        for sac_1 in [[0; 4], self.open(&known).mac(&stranger.s_data)] {
            let outcome = hsm.call(proof(stranger.ticket.clone(), sac_1)).await;
            refused(outcome, |r| *r == Refusal::NotProven);
        }
    }

    async fn a_wrong_proof_gets_nothing(&self, hsm: &impl Hsm) {
        let (dwk, good) = self.begin(hsm).await;
        let not_proven = |r: &Refusal| *r == Refusal::NotProven;
        for sac_1 in [[0; 4], dwk.mac(&T_DATA), good.sac_1.map(|byte| byte ^ 1)] {
            refused(hsm.call(OpenTmsSession { sac_1, ..good.clone() }).await, not_proven);
        }
        let (_, other) = self.begin(hsm).await;
        for ticket in [vec![], vec![0; other.ticket.len()], other.ticket] {
            refused(hsm.call(OpenTmsSession { ticket, ..good.clone() }).await, not_proven);
        }
        let other_pad = OpenTmsSession { pin_pad: "SN-2002".into(), ..good.clone() };
        refused(hsm.call(other_pad).await, not_proven);
        let other_owner = OpenTmsSession { owner: "ACQ-2".into(), ..good.clone() };
        refused(hsm.call(other_owner).await, not_proven);
        hsm.call(good).await.unwrap();
    }

    async fn an_operator_proves_himself_after_the_terminal(&self, hsm: &impl Hsm) {
        let verifier = hsm.call(enrol(OPERATOR, PASSWORD)).await.unwrap();
        let claim = |verifier: &[u8], proof| OperatorClaim {
            operator: OPERATOR.into(),
            verifier: Some(verifier.to_vec()),
            proof,
        };
        let answer = hsm.call(self.hello()).await.unwrap();
        let dwk = self.open(&answer);
        let sac_1 = dwk.mac(&answer.s_data);
        let good = proof(answer.ticket.clone(), sac_1);
        let right = Verifier::derive(OPERATOR, PASSWORD).proof(&dwk, &T_DATA, &answer.s_data);
        let with = |operator| OpenTmsSession { operator: Some(operator), ..good.clone() };
        hsm.call(with(claim(&verifier, right))).await.unwrap();

        let not_proven = |r: &Refusal| *r == Refusal::OperatorNotProven;
        let mut wrong = right;
        wrong[31] ^= 1;
        refused(hsm.call(with(claim(&verifier, wrong))).await, not_proven);
        let unknown = OperatorClaim { verifier: None, ..claim(&[], right) };
        refused(hsm.call(with(unknown)).await, not_proven);
        let before = OpenTmsSession { sac_1: [0; 4], ..with(claim(&verifier, right)) };
        refused(hsm.call(before).await, |r| *r == Refusal::NotProven);

        // One operator's verifier is no other's, and nothing else is one.
        let another = OperatorClaim { operator: "op8".into(), ..claim(&verifier, right) };
        refused(hsm.call(with(another)).await, |r| matches!(r, Refusal::WrongPlace { .. }));
        for garbage in [vec![], b"D0000".to_vec(), vec![0xFF; 40]] {
            let outcome = hsm.call(with(claim(&garbage, right))).await;
            refused(outcome, |r| matches!(r, Refusal::UnknownKey { .. }));
        }
        let dmk = with(claim(self.held.as_str().as_bytes(), right));
        refused(hsm.call(dmk).await, |r| matches!(r, Refusal::WrongUse { .. }));
        for (operator, password) in [
            ("", PASSWORD),
            ("op 7", PASSWORD),
            ("seventeen-letters", PASSWORD),
            (OPERATOR, &[]),
            (OPERATOR, &[1; MAX_PASSWORD + 1]),
        ] {
            let outcome = hsm.call(enrol(operator, password)).await;
            refused(outcome, |r| matches!(r, Refusal::Malformed { .. }));
        }
    }

    async fn sealed_messages_open_once_in_their_place(&self, hsm: &impl Hsm) {
        let (dwk, open) = self.begin(hsm).await;
        let session = hsm.call(open).await.unwrap();
        let key = session_key(&dwk, &session);
        let sealed = |direction, counter| seal::seal(&key, &dwk, direction, counter, b"get 1.2.0").unwrap();
        let message = sealed(Direction::FromTerminal, 5);
        assert_eq!(hsm.call(up(&session, 5, message.clone())).await.unwrap(), b"get 1.2.0");

        let not_proven = |r: &Refusal| *r == Refusal::NotProven;
        for counter in [4, 6, 0, u32::MAX] {
            refused(hsm.call(up(&session, counter, message.clone())).await, not_proven);
        }
        refused(hsm.call(up(&session, 5, sealed(Direction::FromTms, 5))).await, not_proven);
        // What the HSM itself sealed does not come back through it.
        let own = hsm.call(down(&session, 5, b"plan")).await.unwrap();
        refused(hsm.call(up(&session, 5, own)).await, not_proven);
        for at in [0, 8, message.len() - 1] {
            let mut changed = message.clone();
            changed[at] ^= 1;
            refused(hsm.call(up(&session, 5, changed)).await, not_proven);
        }
        for short in [vec![], message[..16].to_vec(), message[..message.len() - 8].to_vec()] {
            refused(hsm.call(up(&session, 5, short)).await, not_proven);
        }

        // A session is of its party, and no ticket is one.
        let (_, open) = self.begin(hsm).await;
        let ticket = open.ticket.clone();
        let other = hsm.call(open).await.unwrap();
        refused(hsm.call(up(&other, 5, message.clone())).await, not_proven);
        let good = up(&session, 5, message);
        for bad in [
            OpenTms { pin_pad: "SN-2002".into(), ..good.clone() },
            OpenTms { owner: "ACQ-2".into(), ..good.clone() },
            OpenTms { session: ticket, ..good.clone() },
            OpenTms { session: vec![], ..good.clone() },
        ] {
            refused(hsm.call(bad).await, not_proven);
        }
        let stolen = SealTms { pin_pad: "SN-2002".into(), ..down(&session, 0, b"plan") };
        refused(hsm.call(stolen).await, not_proven);

        let most = hsm.call(down(&session, 0, &vec![7; MAX_SEALED_PAYLOAD])).await.unwrap();
        let opened = seal::open(&key, &dwk, Direction::FromTms, 0, &most).unwrap();
        assert_eq!(opened.len(), MAX_SEALED_PAYLOAD);
        let past = hsm.call(down(&session, 0, &vec![7; MAX_SEALED_PAYLOAD + 1])).await;
        refused(past, |r| matches!(r, Refusal::Malformed { .. }));
    }

    async fn what_is_out_of_range_is_refused(&self, hsm: &impl Hsm) {
        let mut reflected = T_DATA;
        reflected[0] |= 0x80;
        for bad in [
            AnswerTms { t_data: reflected, ..self.hello() },
            AnswerTms { t_data: reflected, dmk: None, ..self.hello() },
            AnswerTms { when: [0x2A, 0x11, 0x20, 0, 0, 0], ..self.hello() },
            AnswerTms { hello: vec![], ..self.hello() },
            AnswerTms { hello: vec![0; MAX_FRAME + 1], ..self.hello() },
            AnswerTms { pin_pad: "a serial".into(), dmk: None, ..self.hello() },
        ] {
            refused(hsm.call(bad).await, |r| matches!(r, Refusal::Malformed { .. }));
        }
        let other_pad = AnswerTms { pin_pad: "SN-2002".into(), ..self.hello() };
        refused(hsm.call(other_pad).await, |r| matches!(r, Refusal::WrongPlace { .. }));
        let foreign = AnswerTms { owner: "ACQ-2".into(), ..self.hello() };
        refused(hsm.call(foreign).await, |r| matches!(r, Refusal::WrongOwner { .. }));
        hsm.call(AnswerTms { hello: vec![0; MAX_FRAME], ..self.hello() }).await.unwrap();
        let (_, good) = self.begin(hsm).await;
        for transcript in [vec![], vec![0; MAX_TRANSCRIPT + 1]] {
            let outcome = hsm.call(OpenTmsSession { transcript, ..good.clone() }).await;
            refused(outcome, |r| matches!(r, Refusal::Malformed { .. }));
        }
    }
}

fn proof(ticket: Vec<u8>, sac_1: [u8; 4]) -> OpenTmsSession {
    OpenTmsSession {
        ticket,
        pin_pad: PAD.into(),
        owner: OWNER.into(),
        sac_1,
        operator: None,
        transcript: TRANSCRIPT.to_vec(),
        tmk: None,
    }
}

fn session_key(dwk: &Dwk, session: &TmsSession) -> SessionKey {
    blocks::unwrap(dwk, &session.session_block, PLACE, &context(TRANSCRIPT)).unwrap()
}

fn down(session: &TmsSession, counter: u32, payload: &[u8]) -> SealTms {
    let (session, payload) = (session.session.clone(), payload.to_vec());
    SealTms { session, pin_pad: PAD.into(), owner: OWNER.into(), counter, payload }
}

fn up(session: &TmsSession, counter: u32, sealed: Vec<u8>) -> OpenTms {
    let session = session.session.clone();
    OpenTms { session, pin_pad: PAD.into(), owner: OWNER.into(), counter, sealed }
}

fn enrol(operator: &str, password: &[u8]) -> EnrolOperator {
    EnrolOperator { owner: OWNER.into(), operator: operator.into(), password: password.to_vec().into() }
}

fn context(said: &[u8]) -> [u8; 16] {
    digest::sha256(said)[..16].try_into().unwrap()
}
