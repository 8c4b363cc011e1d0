//! Flow E of suite 02: the suite plays a terminal with a DMK, and its operator.

use paycrypto::{
    ec::{
        LoadedKey, Schedule, StaticSecret,
        blocks::{self, LoadCounter},
        keys::Dmk,
    },
    operator::Verifier,
};

use super::{
    super::{ExchangeAes, OWNER, PAD, refused},
    exchange::imported,
    peer::{Server, Side, context, filled, frame, hole, th, with},
};
use crate::{
    Hsm, KeyBlock, Refusal,
    commands::{
        Acknowledge, AnswerHello, EnrolOperator, Held, HelloFlow, HelloSecret, MAX_SEALED_PAYLOAD,
        MAX_TRANSCRIPT, OpenTmsEc, OpenTmsSessionEc, OperatorClaim, SealTmsEc, TmkWantedEc, TmsReceipt,
        TmsSessionEc,
    },
};

const CONFIRMATION: [u8; 2] = [0xDF, 0x15];
const RECEIPT: [u8; 2] = [0xDF, 0x17];
const T_DATA: [u8; 10] = [0x5E, 0xAD, 0xBE, 0xEF, 0x26, 0x11, 0x20, 0x12, 0x34, 0x56];
const S_DATA: [u8; 10] = [0xCA, 0xFE, 0xF0, 0x0D, 0x26, 0x11, 0x20, 0x12, 0x34, 0x57];
const SLOT: u8 = 3;
const OPERATOR: &str = "op9";
const PASSWORD: &[u8] = b"battery staple";

pub(super) async fn run(hsm: &impl Hsm, exchange: &ExchangeAes) {
    let dmk = Dmk::generate().unwrap();
    let held = imported(hsm, exchange, Held::Dmk, dmk.expose()).await.block;
    let terminal = Terminal { dmk, held };
    terminal.it_gets_one_session_of_a_run(hsm).await;
    terminal.a_wrong_proof_gets_nothing(hsm).await;
    terminal.it_gets_its_tmk_with_a_counter_and_acknowledges_it(hsm).await;
    terminal.an_operator_proves_himself_after_the_terminal(hsm).await;
    terminal.a_receipt_is_for_four_frames_of_its_session(hsm).await;
    terminal.sealed_messages_have_each_number_once(hsm).await;
    terminal.a_session_is_of_its_party(hsm).await;
    terminal.what_is_out_of_range_is_refused(hsm).await;
}

struct Terminal {
    dmk: Dmk,
    held: KeyBlock,
}

/// A terminal that was answered.
struct Run {
    schedule: Schedule,
    open: OpenTmsSessionEc,
}

impl Terminal {
    async fn hello(&self, hsm: &impl Hsm, secret: HelloSecret) -> Run {
        let (side, hole) = (Side::new(), hole(0x32, &[], &[]));
        let hello = side.frame(0x31, &[0xDF, 0x01, 0x01, 0x02]);
        let asked = AnswerHello {
            secret,
            flow: HelloFlow::Tms,
            pin_pad: PAD.into(),
            owner: OWNER.into(),
            hello: hello.clone(),
            peer: side.peer(),
            hole: hole.clone(),
        };
        let answer = hsm.call(asked).await.unwrap();
        let server = Server { point: &answer.point, nonce: &answer.nonce };
        let bare = filled(&hole, &server);
        let th12 = th(b'E', &[&hello, &bare]);
        let schedule = side.opened(&StaticSecret::TmsSession(&self.dmk), &server, &th12);
        let challenge = with(&bare, CONFIRMATION, &answer.confirmation);
        let said = [hello, challenge, frame(0x33, &[])].concat();
        let confirmation = schedule.terminal_confirm().confirm(&th(b'E', &[&said]));
        let whole = with(&frame(0x33, &[]), CONFIRMATION, &confirmation);
        let transcript = [&said[..said.len() - 4], &whole].concat();
        let open = OpenTmsSessionEc {
            ticket: answer.ticket,
            confirmation,
            said,
            transcript,
            pin_pad: PAD.into(),
            owner: OWNER.into(),
            t_data: T_DATA,
            s_data: S_DATA,
            operator: None,
            tmk: None,
        };
        Run { schedule, open }
    }

    async fn known(&self, hsm: &impl Hsm) -> Run {
        self.hello(hsm, HelloSecret::Dmk(self.held.clone())).await
    }

    /// A terminal with an open session.
    async fn session(&self, hsm: &impl Hsm) -> (Run, TmsSessionEc) {
        let run = self.known(hsm).await;
        let session = hsm.call(run.open.clone()).await.unwrap();
        (run, session)
    }

    async fn it_gets_one_session_of_a_run(&self, hsm: &impl Hsm) {
        let (run, session) = self.session(hsm).await;
        assert_eq!(session.tmk, None);
        let down = hsm.call(seal(&session, 0, b"plan")).await.unwrap();
        let mut opener = run.schedule.frame_server().opening(0).unwrap();
        assert_eq!(opener.open(&down).unwrap().as_slice(), b"plan");
        let up = run.schedule.frame_terminal().sealing(0).unwrap().seal(b"inventory").unwrap();
        assert_eq!(hsm.call(open(&session, 0, up)).await.unwrap(), b"inventory");
        // The keys would be the same: so would the nonces.
        refused(hsm.call(run.open.clone()).await, not_proven);
    }

    async fn a_wrong_proof_gets_nothing(&self, hsm: &impl Hsm) {
        let run = self.known(hsm).await;
        let good = &run.open;
        for at in [0, 31] {
            let mut confirmation = good.confirmation;
            confirmation[at] ^= 1;
            refused(hsm.call(OpenTmsSessionEc { confirmation, ..good.clone() }).await, not_proven);
        }
        let reflected = run.schedule.server_confirm().confirm(&th(b'E', &[&good.said]));
        let reflected = OpenTmsSessionEc { confirmation: reflected, ..good.clone() };
        refused(hsm.call(reflected).await, not_proven);
        let other = self.known(hsm).await;
        for ticket in [vec![], vec![0; other.open.ticket.len()], other.open.ticket] {
            refused(hsm.call(OpenTmsSessionEc { ticket, ..good.clone() }).await, not_proven);
        }
        for (pin_pad, owner) in [("SN-2002", OWNER), (PAD, "ACQ-2")] {
            let (pin_pad, owner) = (pin_pad.into(), owner.into());
            refused(hsm.call(OpenTmsSessionEc { pin_pad, owner, ..good.clone() }).await, not_proven);
        }
        let stranger = self.hello(hsm, HelloSecret::Stranger).await;
        assert_eq!(stranger.open.ticket.len(), good.ticket.len());
        refused(hsm.call(stranger.open).await, not_proven);
        // What was refused used nothing up.
        hsm.call(good.clone()).await.unwrap();
    }

    async fn it_gets_its_tmk_with_a_counter_and_acknowledges_it(&self, hsm: &impl Hsm) {
        let run = self.known(hsm).await;
        let session = hsm.call(wanting(&run, 7, None, vec![])).await.unwrap();
        let first = session.tmk.unwrap();
        let place = format!("{PAD}/{SLOT:02}");
        let context = context(&run.open.transcript);
        let kbpk = run.schedule.kbpk();
        let stored = LoadCounter::new(6);
        let (tmk, counter) = blocks::unwrap_tmk(&kbpk, &first.wrapped, &place, &context, stored).unwrap();
        assert_eq!((tmk.kcv(), counter), (first.kcv, LoadCounter::new(7)));

        let before = [run.open.transcript.as_slice(), &frame(0x34, &[])].concat();
        let loaded = [LoadedKey { index: SLOT, kcv: first.kcv }];
        let receipt = run.schedule.receipt_terminal().receipt(&th(b'E', &[&before]), &loaded);
        let confirm = with(&frame(0x05, &[]), RECEIPT, &receipt);
        let acknowledge = Acknowledge {
            ticket: session.ticket,
            said_before_confirm: before.clone(),
            said_before_done: [before, confirm].concat(),
            receipt,
            pin_pad: PAD.into(),
            owner: OWNER.into(),
        };
        let done = hsm.call(acknowledge.clone()).await.unwrap();
        let th_done = th(b'E', &[&acknowledge.said_before_done]);
        assert!(run.schedule.receipt_server().acknowledges(&th_done, &loaded, &done));

        let run = self.known(hsm).await;
        let again = hsm.call(wanting(&run, 8, Some(first.block.clone()), vec![])).await.unwrap().tmk.unwrap();
        assert_eq!((again.kcv, &again.block), (first.kcv, &first.block), "the same pending key again");
        let run = self.known(hsm).await;
        let fresh = hsm.call(wanting(&run, 9, None, vec![first.kcv])).await.unwrap().tmk.unwrap();
        assert_ne!(fresh.kcv, first.kcv);
        // Another run's ticket acknowledges nothing of this one.
        let other = self.known(hsm).await;
        let ticket = hsm.call(wanting(&other, 10, None, vec![])).await.unwrap().ticket;
        refused(hsm.call(Acknowledge { ticket, ..acknowledge }).await, not_proven);
        // A refused key is no session.
        let run = self.known(hsm).await;
        let mut elsewhere = wanting(&run, 11, Some(first.block), vec![]);
        if let Some(tmk) = &mut elsewhere.tmk {
            tmk.slot = 4;
        }
        refused(hsm.call(elsewhere).await, |r| matches!(r, Refusal::WrongPlace { .. }));
        refused(hsm.call(wanting(&run, 0, None, vec![])).await, malformed);
        hsm.call(wanting(&run, 11, None, vec![])).await.unwrap();
    }

    async fn an_operator_proves_himself_after_the_terminal(&self, hsm: &impl Hsm) {
        let enrol = EnrolOperator {
            owner: OWNER.into(),
            operator: OPERATOR.into(),
            password: PASSWORD.to_vec().into(),
        };
        let verifier = hsm.call(enrol).await.unwrap();
        let run = self.known(hsm).await;
        let right = run.schedule.operator().proof(&Verifier::derive(OPERATOR, PASSWORD), &T_DATA, &S_DATA);
        let claim = OperatorClaim { operator: OPERATOR.into(), verifier: Some(verifier), proof: right };
        let claiming =
            |claim: &OperatorClaim| OpenTmsSessionEc { operator: Some(claim.clone()), ..run.open.clone() };
        let not_he = |r: &Refusal| *r == Refusal::OperatorNotProven;
        let mut wrong = right;
        wrong[31] ^= 1;
        refused(hsm.call(claiming(&OperatorClaim { proof: wrong, ..claim.clone() })).await, not_he);
        let unknown = OperatorClaim { verifier: None, ..claim.clone() };
        refused(hsm.call(claiming(&unknown)).await, not_he);
        for (t_data, s_data) in [(S_DATA, T_DATA), (T_DATA, T_DATA)] {
            let other = OpenTmsSessionEc { t_data, s_data, ..claiming(&claim) };
            refused(hsm.call(other).await, not_he);
        }
        let before = OpenTmsSessionEc { confirmation: [0; 32], ..claiming(&claim) };
        refused(hsm.call(before).await, not_proven);
        // A proof is of its run.
        let next = self.known(hsm).await;
        let replayed = OpenTmsSessionEc { operator: Some(claim.clone()), ..next.open.clone() };
        refused(hsm.call(replayed).await, not_he);
        let another = OperatorClaim { operator: "op8".into(), ..claim.clone() };
        refused(hsm.call(claiming(&another)).await, |r| matches!(r, Refusal::WrongPlace { .. }));
        hsm.call(claiming(&claim)).await.unwrap();
    }

    async fn a_receipt_is_for_four_frames_of_its_session(&self, hsm: &impl Hsm) {
        let (run, session) = self.session(hsm).await;
        let said = [run.open.transcript.as_slice(), &frame(0x34, &[0xDF, 0x39, 0x01, 0x02])].concat();
        let ask = |said: Vec<u8>| TmsReceipt {
            session: session.session.clone(),
            pin_pad: PAD.into(),
            owner: OWNER.into(),
            said,
        };
        let receipt = hsm.call(ask(said.clone())).await.unwrap();
        let key = run.schedule.receipt_server();
        assert!(key.acknowledges(&th(b'E', &[&said]), &[], &receipt));
        let other = self.known(hsm).await.open.transcript;
        for bad in [
            vec![],
            run.open.transcript.clone(),
            said[..said.len() - 1].to_vec(),
            [said.as_slice(), &frame(0x05, &[])].concat(),
            [other.as_slice(), &frame(0x34, &[])].concat(),
            vec![0; MAX_TRANSCRIPT + 1],
        ] {
            refused(hsm.call(ask(bad)).await, malformed);
        }
        let foreign = TmsReceipt { pin_pad: "SN-2002".into(), ..ask(said.clone()) };
        refused(hsm.call(foreign).await, not_proven);
        refused(hsm.call(TmsReceipt { session: run.open.ticket, ..ask(said) }).await, not_proven);
    }

    async fn sealed_messages_have_each_number_once(&self, hsm: &impl Hsm) {
        let (run, session) = self.session(hsm).await;
        for counter in [1, u64::MAX] {
            refused(hsm.call(seal(&session, counter, b"plan")).await, malformed);
        }
        let first = hsm.call(seal(&session, 0, b"plan")).await.unwrap();
        refused(hsm.call(seal(&session, 0, b"other")).await, malformed);
        let second = hsm.call(seal(&session, 1, &vec![7; MAX_SEALED_PAYLOAD])).await.unwrap();
        let mut opener = run.schedule.frame_server().opening(0).unwrap();
        assert_eq!(opener.open(&first).unwrap().as_slice(), b"plan");
        assert_eq!(opener.open(&second).unwrap().len(), MAX_SEALED_PAYLOAD);
        refused(hsm.call(seal(&session, 2, &vec![7; MAX_SEALED_PAYLOAD + 1])).await, malformed);
        hsm.call(seal(&session, 2, b"")).await.unwrap();

        let mut terminal = run.schedule.frame_terminal().sealing(0).unwrap();
        let messages = [(); 3].map(|()| terminal.seal(b"get 1.2.0").unwrap());
        refused(hsm.call(open(&session, 1, messages[1].clone())).await, not_proven);
        let mut changed = messages[0].clone();
        changed[0] ^= 1;
        let own = first.clone();
        let joined = [messages[0].as_slice(), &messages[1]].concat();
        for bad in [changed, own, joined, vec![], messages[0][..15].to_vec(), messages[1].clone()] {
            refused(hsm.call(open(&session, 0, bad)).await, not_proven);
        }
        for (counter, message) in (0..).zip(&messages) {
            assert_eq!(hsm.call(open(&session, counter, message.clone())).await.unwrap(), b"get 1.2.0");
            refused(hsm.call(open(&session, counter, message.clone())).await, not_proven);
        }
    }

    async fn a_session_is_of_its_party(&self, hsm: &impl Hsm) {
        let (run, session) = self.session(hsm).await;
        let up = run.schedule.frame_terminal().sealing(0).unwrap().seal(b"inventory").unwrap();
        for (pin_pad, owner, other) in [
            ("SN-2002", OWNER, session.session.clone()),
            (PAD, "ACQ-2", session.session.clone()),
            (PAD, OWNER, run.open.ticket.clone()),
            (PAD, OWNER, session.ticket.clone()),
            (PAD, OWNER, vec![]),
        ] {
            let (pin_pad, owner) = (pin_pad.to_owned(), owner.to_owned());
            let sealing = SealTmsEc {
                session: other.clone(),
                pin_pad: pin_pad.clone(),
                owner: owner.clone(),
                ..seal(&session, 0, b"plan")
            };
            refused(hsm.call(sealing).await, not_proven);
            let opening = OpenTmsEc { session: other, pin_pad, owner, ..open(&session, 0, up.clone()) };
            refused(hsm.call(opening).await, not_proven);
        }
        let (_, other) = self.session(hsm).await;
        refused(hsm.call(open(&other, 0, up.clone())).await, not_proven);
        hsm.call(open(&session, 0, up)).await.unwrap();
    }

    async fn what_is_out_of_range_is_refused(&self, hsm: &impl Hsm) {
        let run = self.known(hsm).await;
        let good = &run.open;
        let mut two_forms = good.transcript.clone();
        two_forms[4] ^= 1;
        for bad in [
            OpenTmsSessionEc { said: vec![], ..good.clone() },
            OpenTmsSessionEc { said: vec![0; MAX_TRANSCRIPT + 1], ..good.clone() },
            OpenTmsSessionEc { said: [good.said.as_slice(), &frame(0x33, &[])].concat(), ..good.clone() },
            OpenTmsSessionEc { transcript: vec![], ..good.clone() },
            OpenTmsSessionEc { transcript: two_forms, ..good.clone() },
        ] {
            refused(hsm.call(bad).await, malformed);
        }
        let slot = TmkWantedEc { slot: 100, counter: 1, pending: None, avoid: vec![] };
        refused(hsm.call(OpenTmsSessionEc { tmk: Some(slot), ..good.clone() }).await, malformed);
    }
}

fn wanting(run: &Run, counter: u64, pending: Option<KeyBlock>, avoid: Vec<[u8; 5]>) -> OpenTmsSessionEc {
    let tmk = Some(TmkWantedEc { slot: SLOT, counter, pending, avoid });
    OpenTmsSessionEc { tmk, ..run.open.clone() }
}

fn seal(session: &TmsSessionEc, counter: u64, payload: &[u8]) -> SealTmsEc {
    let (session, payload) = (session.session.clone(), payload.to_vec());
    SealTmsEc { session, pin_pad: PAD.into(), owner: OWNER.into(), counter, payload }
}

fn open(session: &TmsSessionEc, counter: u64, sealed: Vec<u8>) -> OpenTmsEc {
    let session = session.session.clone();
    OpenTmsEc { session, pin_pad: PAD.into(), owner: OWNER.into(), counter, sealed }
}

fn not_proven(refusal: &Refusal) -> bool {
    *refusal == Refusal::NotProven
}

fn malformed(refusal: &Refusal) -> bool {
    matches!(refusal, Refusal::Malformed { .. })
}
