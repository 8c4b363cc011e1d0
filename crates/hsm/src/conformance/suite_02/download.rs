//! Flow A of suite 02, downloading: the suite plays the terminal from TK_HELLO to DONE.

use keyblock::Header;
use paycrypto::ec::{
    LoadedKey, Schedule, StaticSecret, Tk,
    blocks::{self, BlockRefusal, LoadCounter},
};

use super::{
    super::{OWNER, PAD, refused},
    collect::collected,
    peer::{Server, Side, context, filled, frame, hole, malformed, th, with},
};
use crate::{
    Hsm, HsmError, KeyBlock, Refusal,
    commands::{
        Acknowledge, AnswerHello, CheckAnswerEc, HelloAnswer, HelloFlow, HelloSecret, Hole, MAX_TRANSCRIPT,
        Peer, ReleaseTmkEc, ReleasedEc, TransportKeyBlocks,
    },
};

const CONFIRMATION: [u8; 2] = [0xDF, 0x15];
const RECEIPT: [u8; 2] = [0xDF, 0x17];
const SLOT: u8 = 3;
const PLACE: &str = "SN-1001/03";

pub(super) async fn run(hsm: &impl Hsm) {
    let suite = Suite::prepare(hsm).await;
    suite.a_hello_is_answered_anew_each_time(hsm).await;
    suite.a_stranger_is_answered_alike_and_proves_nothing(hsm).await;
    suite.what_does_not_fit_is_refused_alike(hsm).await;
    suite.a_tmk_is_released_to_a_proven_terminal_only(hsm).await;
    suite.a_load_counter_is_in_the_block(hsm).await;
    suite.steps_have_an_order_and_tickets_a_party(hsm).await;
    suite.a_receipt_is_for_these_keys_and_frames(hsm).await;
    suite.keys_are_refused_out_of_place(hsm).await;
}

/// One terminal collected.
struct Suite {
    tk: Tk,
    blocks: TransportKeyBlocks,
}

/// A terminal that was answered.
struct Run {
    schedule: Schedule,
    ticket: Vec<u8>,
    said: Vec<u8>,
    transcript: Vec<u8>,
    proof: [u8; 32],
}

impl Suite {
    async fn prepare(hsm: &impl Hsm) -> Self {
        let tk = Tk::generate().unwrap();
        let blocks = collected(hsm, &tk).await;
        Self { tk, blocks }
    }

    fn known(&self) -> HelloSecret {
        HelloSecret::Tk(self.blocks.clone())
    }

    /// A terminal plays the flow up to its proof.
    async fn run(&self, hsm: &impl Hsm, secret: HelloSecret) -> Run {
        let side = Side::new();
        let ask = ask(&side, secret);
        let answer = hsm.call(ask.clone()).await.unwrap();
        let server = Server { point: &answer.point, nonce: &answer.nonce };
        let bare = filled(&ask.hole, &server);
        let schedule =
            side.opened(&StaticSecret::TmkDownload(&self.tk), &server, &th(b'A', &[&ask.hello, &bare]));
        let before = [ask.hello.as_slice(), &with(&bare, CONFIRMATION, &answer.confirmation)].concat();
        let reply = frame(0x03, &[]);
        let said = [before.as_slice(), &reply].concat();
        let proof = schedule.terminal_confirm().confirm(&th(b'A', &[&said]));
        let transcript = [before.as_slice(), &with(&reply, CONFIRMATION, &proof)].concat();
        Run { schedule, ticket: answer.ticket, said, transcript, proof }
    }

    async fn a_hello_is_answered_anew_each_time(&self, hsm: &impl Hsm) {
        let side = Side::new();
        let ask = ask(&side, self.known());
        let mut seen: Vec<HelloAnswer> = vec![];
        for _ in 0..3 {
            let answer = hsm.call(ask.clone()).await.unwrap();
            let server = Server { point: &answer.point, nonce: &answer.nonce };
            let th12 = th(b'A', &[&ask.hello, &filled(&ask.hole, &server)]);
            let schedule = side.opened(&StaticSecret::TmkDownload(&self.tk), &server, &th12);
            assert!(schedule.server_confirm().confirms(&th12, &answer.confirmation));
            assert!(seen.iter().all(|before| before.point != answer.point && before.nonce != answer.nonce));
            seen.push(answer);
        }
    }

    async fn a_stranger_is_answered_alike_and_proves_nothing(&self, hsm: &impl Hsm) {
        let side = Side::new();
        let known = hsm.call(ask(&side, self.known())).await.unwrap();
        for flow in [HelloFlow::Download, HelloFlow::Tms] {
            let ask = AnswerHello { flow, ..ask(&side, HelloSecret::Stranger) };
            let stranger = hsm.call(ask).await.unwrap();
            assert_eq!(stranger.point.len(), known.point.len());
            assert_eq!(stranger.ticket.len(), known.ticket.len());
        }
        // Were the terminal's own confirmation right for a stranger's ticket: it would still get nothing.
        let run = self.run(hsm, HelloSecret::Stranger).await;
        refused(hsm.call(check(&run)).await, |r| *r == Refusal::NotProven);
        refused(hsm.call(release(&run)).await, |r| *r == Refusal::NotProven);
    }

    async fn what_does_not_fit_is_refused_alike(&self, hsm: &impl Hsm) {
        let side = Side::new();
        for secret in [self.known(), HelloSecret::Stranger] {
            let good = ask(&side, secret);
            let at = good.hello.windows(65).position(|window| window == side.key.public()).unwrap();
            let mut off = good.clone();
            off.hello[at + 64] ^= 1;
            off.peer.point[64] ^= 1;
            refused(hsm.call(off).await, |r| matches!(r, Refusal::FromTerminal { .. }));
            let mut infinity = good.clone();
            infinity.peer.point = vec![0];
            refused(hsm.call(infinity).await, |r| matches!(r, Refusal::FromTerminal { .. }));
            let mut compressed = good.clone();
            compressed.peer.point.truncate(33);
            compressed.peer.point[0] = 2;
            refused(hsm.call(compressed).await, |r| matches!(r, Refusal::FromTerminal { .. }));

            let other = Side::new();
            let cut = Hole { before: good.hole.before[..3].to_vec(), after: vec![] };
            let longer = Hole { before: good.hole.before.clone(), after: vec![0] };
            for bad in [
                AnswerHello { hole: cut, ..good.clone() },
                AnswerHello { hole: longer, ..good.clone() },
                AnswerHello { hole: Hole { before: vec![], after: vec![] }, ..good.clone() },
                AnswerHello { peer: other.peer(), ..good.clone() },
                AnswerHello { peer: Peer { nonce: other.nonce, ..side.peer() }, ..good.clone() },
                AnswerHello { hello: good.hello[..good.hello.len() - 1].to_vec(), ..good.clone() },
                AnswerHello { hello: vec![], ..good.clone() },
                AnswerHello { pin_pad: "a serial".into(), ..good.clone() },
            ] {
                refused(hsm.call(bad).await, |r| matches!(r, Refusal::Malformed { .. }));
            }
        }
        let of_another_flow = AnswerHello { flow: HelloFlow::Tms, ..ask(&side, self.known()) };
        refused(hsm.call(of_another_flow).await, |r| matches!(r, Refusal::Malformed { .. }));
        let of_another_flow = ask(&side, HelloSecret::Dmk(self.blocks.tek.clone()));
        refused(hsm.call(of_another_flow).await, |r| matches!(r, Refusal::Malformed { .. }));
    }

    async fn a_tmk_is_released_to_a_proven_terminal_only(&self, hsm: &impl Hsm) {
        let run = self.run(hsm, self.known()).await;
        hsm.call(check(&run)).await.unwrap();
        for at in [0, 31] {
            let mut wrong = run.proof;
            wrong[at] ^= 1;
            let refuses = |r: &Refusal| *r == Refusal::NotProven;
            refused(hsm.call(CheckAnswerEc { confirmation: wrong, ..check(&run) }).await, refuses);
            refused(hsm.call(ReleaseTmkEc { confirmation: wrong, ..release(&run) }).await, refuses);
        }
        // MAC_S sent back is no MAC_T.
        let reflected = run.schedule.server_confirm().confirm(&th(b'A', &[&run.said]));
        let reflected = ReleaseTmkEc { confirmation: reflected, ..release(&run) };
        refused(hsm.call(reflected).await, |r| *r == Refusal::NotProven);
        let mut said = run.said.clone();
        said[10] ^= 1;
        let other_frames = ReleaseTmkEc { said, ..release(&run) };
        refused(hsm.call(other_frames).await, |r| *r == Refusal::NotProven);

        let released = hsm.call(release(&run)).await.unwrap();
        opens(&run, &released, 1).unwrap();
        let fresh = hsm.call(release(&run)).await.unwrap();
        assert_ne!(fresh.keys[0].kcv, released.keys[0].kcv, "each new key is another");
    }

    async fn a_load_counter_is_in_the_block(&self, hsm: &impl Hsm) {
        let run = self.run(hsm, self.known()).await;
        let released = hsm.call(ReleaseTmkEc { counter: 0xAB, ..release(&run) }).await.unwrap();
        opens(&run, &released, 0xAB).unwrap();
        let header = Header::parse(&released.keys[0].wrapped).unwrap().0;
        assert_eq!(header.optional("12"), Some("00000000000000AB"));
        assert_eq!(
            open(&run, &released, 0xAB),
            Err(BlockRefusal::LoadCounter),
            "the terminal has it already"
        );

        // The same pending key, with the next counter.
        let pending = Some(released.keys[0].block.clone());
        let again = ReleaseTmkEc { counter: 0xAC, pending: pending.clone(), ..release(&run) };
        let again = hsm.call(again).await.unwrap();
        assert_eq!(
            (again.keys[0].kcv, &again.keys[0].block),
            (released.keys[0].kcv, &released.keys[0].block)
        );
        opens(&run, &again, 0xAC).unwrap();
        let none = ReleaseTmkEc { counter: 0, pending, ..release(&run) };
        refused(hsm.call(none).await, |r| matches!(r, Refusal::Malformed { .. }));
        let last = hsm.call(ReleaseTmkEc { counter: u64::MAX, ..release(&run) }).await.unwrap();
        opens(&run, &last, u64::MAX).unwrap();
    }

    async fn steps_have_an_order_and_tickets_a_party(&self, hsm: &impl Hsm) {
        let run = self.run(hsm, self.known()).await;
        let other = self.run(hsm, self.known()).await;
        let released = hsm.call(release(&run)).await.unwrap();
        for ticket in [vec![], vec![0; 101], other.ticket.clone(), released.ticket.clone()] {
            refused(hsm.call(CheckAnswerEc { ticket: ticket.clone(), ..check(&run) }).await, not_proven);
            refused(hsm.call(ReleaseTmkEc { ticket, ..release(&run) }).await, not_proven);
        }
        let acknowledge = acknowledge(&run, &released);
        for ticket in [vec![], run.ticket.clone(), hsm.call(release(&other)).await.unwrap().ticket] {
            refused(hsm.call(Acknowledge { ticket, ..acknowledge.clone() }).await, not_proven);
        }
        for (pin_pad, owner) in [("SN-2002", OWNER), (PAD, "ACQ-2")] {
            let (pin_pad, owner) = (pin_pad.to_owned(), owner.to_owned());
            let (pad, own) = (pin_pad.clone(), owner.clone());
            refused(hsm.call(CheckAnswerEc { pin_pad: pad, owner: own, ..check(&run) }).await, not_proven);
            let (pad, own) = (pin_pad.clone(), owner.clone());
            refused(hsm.call(ReleaseTmkEc { pin_pad: pad, owner: own, ..release(&run) }).await, not_proven);
            refused(hsm.call(Acknowledge { pin_pad, owner, ..acknowledge.clone() }).await, not_proven);
        }
        for said in [vec![], vec![0; MAX_TRANSCRIPT + 1]] {
            let outcome = hsm.call(CheckAnswerEc { said: said.clone(), ..check(&run) }).await;
            refused(outcome, malformed);
            let outcome = hsm.call(ReleaseTmkEc { said: said.clone(), ..release(&run) }).await;
            refused(outcome, malformed);
            let outcome = hsm.call(ReleaseTmkEc { transcript: said, ..release(&run) }).await;
            refused(outcome, malformed);
        }
    }

    async fn a_receipt_is_for_these_keys_and_frames(&self, hsm: &impl Hsm) {
        let run = self.run(hsm, self.known()).await;
        let released = hsm.call(release(&run)).await.unwrap();
        let good = acknowledge(&run, &released);
        let receipt = hsm.call(good.clone()).await.unwrap();
        let loaded = [LoadedKey { index: SLOT, kcv: released.keys[0].kcv }];
        let done = th(b'A', &[&good.said_before_done]);
        assert!(run.schedule.receipt_server().acknowledges(&done, &loaded, &receipt));
        assert_eq!(hsm.call(good.clone()).await.unwrap(), receipt, "the same question is answered the same");

        let before = th(b'A', &[&good.said_before_confirm]);
        let make = |loaded: &[LoadedKey]| run.schedule.receipt_terminal().receipt(&before, loaded);
        let mut kcv = loaded[0].kcv;
        kcv[4] ^= 1;
        for (case, receipt) in [
            ("another slot", make(&[LoadedKey { index: SLOT + 1, ..loaded[0] }])),
            ("another check value", make(&[LoadedKey { kcv, ..loaded[0] }])),
            ("no key", make(&[])),
            ("a key twice", make(&[loaded[0], loaded[0]])),
            ("the server's own", run.schedule.receipt_server().receipt(&before, &loaded)),
            ("other frames", run.schedule.receipt_terminal().receipt(&done, &loaded)),
            ("zeros", [0; 32]),
        ] {
            let outcome = hsm.call(with_receipt(&good, receipt)).await;
            let named = matches!(outcome, Err(HsmError::Refused(Refusal::NotProven)));
            assert!(named, "{case}: {outcome:?}");
        }
        let mut other_start = good.said_before_done.clone();
        other_start[5] ^= 1;
        let long = vec![0; MAX_TRANSCRIPT + 1];
        for bad in [
            Acknowledge { said_before_done: other_start, ..good.clone() },
            Acknowledge { said_before_done: good.said_before_confirm.clone(), ..good.clone() },
            Acknowledge { receipt: [0; 32], ..good.clone() },
            Acknowledge { said_before_confirm: vec![], ..good.clone() },
            Acknowledge { said_before_confirm: long.clone(), said_before_done: long, ..good },
        ] {
            refused(hsm.call(bad).await, malformed);
        }
    }

    async fn keys_are_refused_out_of_place(&self, hsm: &impl Hsm) {
        let run = self.run(hsm, self.known()).await;
        let released = hsm.call(release(&run)).await.unwrap();
        let pending = |block: &KeyBlock| ReleaseTmkEc { pending: Some(block.clone()), ..release(&run) };
        let tmk = &released.keys[0].block;
        let other_slot = ReleaseTmkEc { slot: 4, ..pending(tmk) };
        refused(hsm.call(other_slot).await, |r| matches!(r, Refusal::WrongPlace { .. }));
        refused(hsm.call(pending(&self.blocks.tek)).await, |r| matches!(r, Refusal::WrongUse { .. }));
        refused(hsm.call(ReleaseTmkEc { slot: 100, ..release(&run) }).await, malformed);

        let side = Side::new();
        let with_tk = |blocks| ask(&side, HelloSecret::Tk(blocks));
        let borrowed = AnswerHello { pin_pad: "SN-2002".into(), ..ask(&side, self.known()) };
        refused(hsm.call(borrowed).await, |r| matches!(r, Refusal::WrongPlace { .. }));
        let foreign = AnswerHello { owner: "ACQ-2".into(), ..ask(&side, self.known()) };
        refused(hsm.call(foreign).await, |r| matches!(r, Refusal::WrongOwner { .. }));
        let (tek, auk) = (self.blocks.tek.clone(), self.blocks.auk.clone());
        let swapped = with_tk(TransportKeyBlocks { tek: auk.clone(), auk: tek });
        refused(hsm.call(swapped).await, |r| matches!(r, Refusal::WrongUse { .. }));
        let other = collected(hsm, &Tk::generate().unwrap()).await;
        let mixed = with_tk(TransportKeyBlocks { tek: other.tek, auk });
        refused(hsm.call(mixed).await, |r| matches!(r, Refusal::TransportKey { .. }));
    }
}

fn not_proven(refusal: &Refusal) -> bool {
    *refusal == Refusal::NotProven
}

fn ask(side: &Side, secret: HelloSecret) -> AnswerHello {
    AnswerHello {
        secret,
        flow: HelloFlow::Download,
        pin_pad: PAD.into(),
        owner: OWNER.into(),
        hello: side.frame(0x01, &[0xDF, 0x01, 0x01, 0x02]),
        peer: side.peer(),
        hole: hole(0x02, &[], &[]),
    }
}

fn check(run: &Run) -> CheckAnswerEc {
    CheckAnswerEc {
        ticket: run.ticket.clone(),
        confirmation: run.proof,
        said: run.said.clone(),
        pin_pad: PAD.into(),
        owner: OWNER.into(),
    }
}

fn release(run: &Run) -> ReleaseTmkEc {
    ReleaseTmkEc {
        ticket: run.ticket.clone(),
        confirmation: run.proof,
        said: run.said.clone(),
        transcript: run.transcript.clone(),
        pin_pad: PAD.into(),
        owner: OWNER.into(),
        slot: SLOT,
        counter: 1,
        pending: None,
        avoid: vec![],
    }
}

/// Opens the key as a terminal that stored `stored`, and compares its check value.
fn open(run: &Run, released: &ReleasedEc, stored: u64) -> Result<LoadCounter, BlockRefusal> {
    let [key] = released.keys.as_slice() else { panic!("{} keys", released.keys.len()) };
    let (context, stored) = (context(&run.transcript), LoadCounter::new(stored));
    let (tmk, counter) = blocks::unwrap_tmk(&run.schedule.kbpk(), &key.wrapped, PLACE, &context, stored)?;
    assert_eq!(tmk.kcv(), key.kcv);
    Ok(counter)
}

/// Opens the key, which must have this counter.
fn opens(run: &Run, released: &ReleasedEc, counter: u64) -> Result<(), BlockRefusal> {
    assert_eq!(open(run, released, counter - 1)?, LoadCounter::new(counter));
    Ok(())
}

/// The terminal's KEY_CONFIRM behind a TK_KEY with what was released.
fn acknowledge(run: &Run, released: &ReleasedEc) -> Acknowledge {
    let block = released.keys[0].wrapped.as_bytes();
    let field = [&[0xDF, 0x40, 0x81, u8::try_from(block.len()).unwrap()], block].concat();
    let before = [run.transcript.as_slice(), &frame(0x04, &field)].concat();
    let loaded = [LoadedKey { index: SLOT, kcv: released.keys[0].kcv }];
    let receipt = run.schedule.receipt_terminal().receipt(&th(b'A', &[&before]), &loaded);
    let bare = Acknowledge {
        ticket: released.ticket.clone(),
        said_before_confirm: before,
        said_before_done: vec![],
        receipt,
        pin_pad: PAD.into(),
        owner: OWNER.into(),
    };
    with_receipt(&bare, receipt)
}

/// The same with another receipt in its KEY_CONFIRM.
fn with_receipt(good: &Acknowledge, receipt: [u8; 32]) -> Acknowledge {
    let confirm = with(&frame(0x05, &[]), RECEIPT, &receipt);
    let said_before_done = [good.said_before_confirm.as_slice(), &confirm].concat();
    Acknowledge { said_before_done, receipt, ..good.clone() }
}
