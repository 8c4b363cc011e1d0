//! Suite 02: both roles in memory with real transcripts and toy keys, and what each side refuses.

use std::{string::String, vec, vec::Vec};

use wire::{ErrorCode, Fields, Frame, Kcv, Malformed, MessageType, Proof as FrameProof, Slot, Tag};

use super::fake::{device, slot};
use crate::{
    BoundTranscript, Chain, EcAes, FlowLetter, Loaded, PadRefusal, Th,
    rks_load::{
        Fault, IdentityPad, Reason,
        device::{ExpectKeys, ExpectToken, Start},
        messages::{RksCert, RksKeys, SealedFactor, SignedOpening},
        rks::{ExpectAuth, ExpectConfirm, ExpectFactor, ExpectProof, Factor, Proof, Told},
    },
    suite::{Confirmation, Ephemeral, Part, Receipt, write},
    testing::{
        assert_malformed, der,
        ec_aes::{changed, ephemeral, fields_of, mac, signature},
        frame,
    },
};

/// What both sides' schedule gives, and the RKS's signing key: toys of one byte.
const SERVER: u8 = 0x51;
const TERMINAL: u8 = 0x52;
const RECEIPT_T: u8 = 0x53;
const RECEIPT_S: u8 = 0x54;
const SIGNING: u8 = 0x55;

fn kcv(byte: u8) -> Kcv {
    Kcv::Aes([byte; 5])
}

fn said() -> BoundTranscript {
    BoundTranscript::new(FlowLetter::RksLoad)
}

/// The device's side. It checks what a PIN pad checks, and knows nothing but the frames that it is shown.
#[derive(Debug)]
struct Pad {
    transcript: BoundTranscript,
    keys: usize,
    finished: bool,
    forgotten: bool,
}

impl Pad {
    fn new() -> Pad {
        Pad { transcript: said(), keys: 0, finished: false, forgotten: false }
    }
}

fn not_proven(why: &str) -> PadRefusal {
    PadRefusal::ServerNotProven { why: why.into() }
}

impl IdentityPad<EcAes> for Pad {
    type Key = u8;

    fn begin(&mut self, _: Slot) -> Result<Ephemeral, PadRefusal> {
        *self = Pad::new();
        Ok(ephemeral(1))
    }

    fn factor(&mut self, key: &u8, auth: &Frame, cert: &Frame) -> Result<SealedFactor, PadRefusal> {
        self.transcript.push(auth);
        let th = self.transcript.th_without(cert, FrameProof::Signature)?;
        let RksCert { answer, .. } = RksCert::<EcAes>::read(cert).unwrap();
        if answer.signature != signature(*key, &th) {
            return Err(not_proven("signature"));
        }
        self.transcript.push(cert);
        Ok(SealedFactor(vec![9; 24]))
    }

    fn proof(&mut self, factor: &Frame, token: &Frame) -> Result<Confirmation, PadRefusal> {
        self.transcript.push(factor);
        let th = self.transcript.th_without(token, FrameProof::Confirmation)?;
        let told = Confirmation::read(&token.message()?.fields)?;
        if told.0 != mac(SERVER, &th) {
            return Err(not_proven("MAC_S"));
        }
        self.transcript.push(token);
        let bare = write::<EcAes>(MessageType::RksProof, |_| Ok(())).unwrap();
        Ok(Confirmation(mac(TERMINAL, &self.transcript.th_before_proof(&bare))))
    }

    fn keys(&mut self, proof: &Frame, keys: &Frame) -> Result<Loaded<EcAes>, PadRefusal> {
        self.transcript.push(proof);
        self.transcript.push(keys);
        self.keys = RksKeys::read::<EcAes>(keys).unwrap().blocks.len();
        let confirmation = Receipt(mac(RECEIPT_T, &self.transcript.th()));
        Ok(Loaded { kcvs: (1..=self.keys).map(|n| kcv(u8::try_from(n).unwrap())).collect(), confirmation })
    }

    fn done(&mut self, confirm: &Frame, done: &Frame) -> Result<(), PadRefusal> {
        self.transcript.push(confirm);
        if Receipt::read(&done.message()?.fields)?.0 != mac(RECEIPT_S, &self.transcript.th()) {
            return Err(not_proven("receipt"));
        }
        self.finished = true;
        Ok(())
    }

    fn forget(&mut self) {
        self.forgotten = true;
    }
}

/// TH of frames with their lengths, as an HSM hashes what it is given.
fn th_of(bytes: &[u8]) -> Th {
    let mut all = said();
    let mut rest = bytes;
    while let [high, low, ..] = rest {
        let (frame, after) = rest.split_at(2 + usize::from(u16::from_be_bytes([*high, *low])));
        all.push(&Frame::from_payload(&frame[2..]).unwrap());
        rest = after;
    }
    all.th()
}

fn chain() -> Chain {
    Chain { leaf: der(70), intermediates: vec![der(5)] }
}

/// RKS_CERT, signed as an HSM signs what its hole becomes.
fn certificate(auth: &Frame) -> (Frame, ExpectFactor<EcAes>) {
    let asked = ExpectAuth::new().on_frame_of::<EcAes>(auth).unwrap();
    assert_eq!((asked.device(), asked.slot(), asked.peer()), (&device(), slot(), &ephemeral(1)));
    let hole = asked.hole(&chain()).unwrap();
    let made = ephemeral(2);
    let bare =
        [&hole.before[..], &[0xDF, 0x13, 65], &made.point, &[0xDF, 0x14, 32], &made.nonce, &hole.after]
            .concat();
    let signature = signature(SIGNING, &th_of(&[asked.said().bytes(), &bare].concat()));
    asked.answer(chain(), SignedOpening { ephemeral: made, signature }).unwrap()
}

fn token(factor: Factor<EcAes>) -> (Frame, ExpectProof<EcAes>) {
    assert_eq!(factor.df19(), [9; 24]);
    let confirmation = mac(SERVER, &th_of(&factor.said_bare().unwrap()));
    factor.answer(&Confirmation(confirmation)).unwrap()
}

fn deliver(proof: Proof<EcAes>) -> Result<(Frame, ExpectConfirm<EcAes>), Fault> {
    if proof.confirmation().0 != mac(TERMINAL, &th_of(&proof.said_bare().unwrap())) {
        return Err(proof.not_proven("MAC_T".into()));
    }
    let blocks: [(String, Kcv); 2] = [("D0001".into(), kcv(1)), ("D0002".into(), kcv(2))];
    proof.deliver(&blocks, true)
}

/// Checks the receipt as an HSM does, and gives DONE.
fn acknowledge(told: Told<EcAes>) -> Result<Frame, Fault> {
    if told.told().0 != mac(RECEIPT_T, &th_of(told.said_before().bytes())) {
        return Err(told.wrong());
    }
    let receipt = Receipt(mac(RECEIPT_S, &th_of(told.said().bytes())));
    told.acknowledged(receipt).done()
}

fn until_cert(pad: &mut Pad) -> (crate::rks_load::device::ExpectCert<EcAes>, Frame, ExpectFactor<EcAes>) {
    let (auth, terminal) = Start::<EcAes>::of(device(), slot()).begin(pad).unwrap();
    let (cert, server) = certificate(&auth);
    (terminal, cert, server)
}

fn until_token(pad: &mut Pad) -> (ExpectToken<EcAes>, Frame, ExpectProof<EcAes>) {
    let (terminal, cert, server) = until_cert(pad);
    let (factor, terminal) = terminal.on_frame(pad, &cert).unwrap().factor(pad, &SIGNING).unwrap();
    let (token, server) = token(server.on_frame(&factor).unwrap());
    (terminal, token, server)
}

fn until_proof(pad: &mut Pad) -> (ExpectKeys<EcAes>, Frame, ExpectProof<EcAes>) {
    let (terminal, token, server) = until_token(pad);
    let (proof, terminal) = terminal.on_frame(pad, &token).unwrap();
    (terminal, proof, server)
}

#[test]
fn device_gets_the_keys_that_the_rks_holds() {
    let mut pad = Pad::new();
    let (terminal, proof, server) = until_proof(&mut pad);
    let proven = server.on_frame(&proof).unwrap();
    assert_eq!((proven.device(), proven.slot()), (&device(), slot()));
    let (keys, server) = deliver(proven).unwrap();
    let (confirm, terminal) = terminal.on_frame(&mut pad, &keys).unwrap();
    assert_eq!(terminal.kcvs(), [kcv(1), kcv(2)]);
    let done = acknowledge(server.on_frame(&confirm).unwrap()).unwrap();
    let finished = terminal.on_frame(&mut pad, &done).unwrap();
    assert_eq!((finished.kcvs(), finished.more()), (&[kcv(1), kcv(2)][..], true));
    assert!(pad.finished && pad.forgotten);
}

#[test]
fn signature_over_another_transcript_is_not_proven() {
    let mut pad = Pad::new();
    let (terminal, cert, _) = until_cert(&mut pad);
    // Everything is the RKS's own, and signed for another RKS_AUTH.
    let (other, _) = Start::<EcAes>::of(device(), Slot::new(4).unwrap()).begin(&mut Pad::new()).unwrap();
    let asked = ExpectAuth::new().on_frame_of::<EcAes>(&other).unwrap();
    let bare = cert.without(FrameProof::Signature).unwrap();
    let over = signature(SIGNING, &th_of(&asked.said().with(&bare)));
    let (replayed, _) =
        asked.answer(chain(), SignedOpening { ephemeral: ephemeral(2), signature: over }).unwrap();
    let fault = terminal.on_frame(&mut pad, &replayed).unwrap().factor(&mut pad, &SIGNING).unwrap_err();
    assert_eq!(fault.reason, Reason::Pad(not_proven("signature")));
    assert!(pad.forgotten);
}

#[test]
fn borrowed_certificate_is_not_proven() {
    let mut pad = Pad::new();
    let (terminal, cert, _) = until_cert(&mut pad);
    let offered = terminal.on_frame(&mut pad, &cert).unwrap();
    let fault = offered.factor(&mut pad, &0x66).unwrap_err();
    assert_eq!(
        (fault.reason, fault.code),
        (Reason::Pad(not_proven("signature")), ErrorCode::ServerAuthenticationFailed)
    );
}

#[test]
fn auth_changed_on_the_way_makes_a_certificate_that_the_device_refuses() {
    let mut pad = Pad::new();
    let (auth, terminal) = Start::<EcAes>::of(device(), slot()).begin(&mut pad).unwrap();
    // A field that nobody reads: it is in the transcript all the same.
    let more = changed(&auth, |fields| fields.push((Tag::new(0xDF7F).unwrap(), vec![])));
    let (cert, _) = certificate(&more);
    let fault = terminal.on_frame(&mut pad, &cert).unwrap().factor(&mut pad, &SIGNING).unwrap_err();
    assert_eq!(fault.reason, Reason::Pad(not_proven("signature")));
}

#[test]
fn token_of_another_run_is_not_proven() {
    let (_, old, _) = until_token(&mut Pad::new());
    let mut pad = Pad::new();
    let (terminal, cert, server) = until_cert(&mut pad);
    let (factor, terminal) = terminal.on_frame(&mut pad, &cert).unwrap().factor(&mut pad, &SIGNING).unwrap();
    let longer = changed(&factor, |fields| fields.push((Tag::new(0xDF7F).unwrap(), vec![])));
    let (token, _) = token(server.on_frame(&longer).unwrap());
    assert_ne!(token, old);
    let fault = terminal.on_frame(&mut pad, &token).unwrap_err();
    assert_eq!(fault.reason, Reason::Pad(not_proven("MAC_S")));
}

#[test]
fn servers_confirmation_sent_back_proves_no_device() {
    let mut pad = Pad::new();
    let (_, token, server) = until_token(&mut pad);
    let back = frame(MessageType::RksProof, &[(Tag::CONFIRMATION, &fields_of(&token)[0].1)]);
    let fault = deliver(server.on_frame(&back).unwrap()).unwrap_err();
    assert_eq!(
        (fault.code, fault.reason),
        (ErrorCode::TerminalAuthenticationFailed, Reason::NotProven { why: "MAC_T".into() })
    );
}

#[test]
fn wrong_receipt_of_the_device_is_an_alarm_and_no_done() {
    let mut pad = Pad::new();
    let (_, proof, server) = until_proof(&mut pad);
    let (_, server) = deliver(server.on_frame(&proof).unwrap()).unwrap();
    let confirm = frame(MessageType::KeyConfirm, &[(Tag::RECEIPT, &[7; 32])]);
    let fault = acknowledge(server.on_frame(&confirm).unwrap()).unwrap_err();
    assert_eq!((fault.code, fault.reason), (ErrorCode::KeyRefused, Reason::WrongCheckValue));
}

#[test]
fn wrong_receipt_of_the_server_is_not_proven_and_ends_nothing() {
    let mut pad = Pad::new();
    let (terminal, proof, server) = until_proof(&mut pad);
    let (keys, _) = deliver(server.on_frame(&proof).unwrap()).unwrap();
    let (confirm, terminal) = terminal.on_frame(&mut pad, &keys).unwrap();
    // The device's own receipt, sent back.
    let done = frame(MessageType::Done, &[(Tag::RECEIPT, &fields_of(&confirm)[0].1)]);
    let fault = terminal.on_frame(&mut pad, &done).unwrap_err();
    assert_eq!(fault.reason, Reason::Pad(not_proven("receipt")));
    assert!(!pad.finished && pad.forgotten);
}

#[test]
fn done_without_a_receipt_never_reaches_the_pin_pad() {
    let mut pad = Pad::new();
    let (terminal, proof, server) = until_proof(&mut pad);
    let (keys, _) = deliver(server.on_frame(&proof).unwrap()).unwrap();
    let (_, terminal) = terminal.on_frame(&mut pad, &keys).unwrap();
    let result = terminal.on_frame(&mut pad, &crate::Done.write().unwrap());
    assert_malformed(result, Malformed::MissingField { tag: Tag::RECEIPT });
    assert!(!pad.finished);
}

/// What a side waiting for each message makes of one: the message as it should be, and what takes it.
type Take = fn(&Frame) -> Result<(), Fault>;

fn messages() -> Vec<(Frame, Take)> {
    let mut pad = Pad::new();
    let (auth, _) = Start::<EcAes>::of(device(), slot()).begin(&mut pad).unwrap();
    let (_, cert, _) = until_cert(&mut pad);
    let factor = frame(MessageType::RksFactor, &[(Tag::ENCRYPTED_DATA, &[9; 24])]);
    let (_, token, _) = until_token(&mut pad);
    let (terminal, proof, server) = until_proof(&mut pad);
    let (keys, server) = deliver(server.on_frame(&proof).unwrap()).unwrap();
    let (confirm, _) = terminal.on_frame(&mut pad, &keys).unwrap();
    let done = acknowledge(server.on_frame(&confirm).unwrap()).unwrap();
    vec![
        (auth, |frame| ExpectAuth::new().on_frame_of::<EcAes>(frame).map(drop)),
        (cert, |frame| {
            let mut pad = Pad::new();
            until_cert(&mut pad).0.on_frame(&mut pad, frame).map(drop)
        }),
        (factor, |frame| until_cert(&mut Pad::new()).2.on_frame(frame).map(drop)),
        (token, |frame| {
            let mut pad = Pad::new();
            until_token(&mut pad).0.on_frame(&mut pad, frame).map(drop)
        }),
        (proof, |frame| until_token(&mut Pad::new()).2.on_frame(frame).map(drop)),
        (keys, |frame| {
            let mut pad = Pad::new();
            until_proof(&mut pad).0.on_frame(&mut pad, frame).map(drop)
        }),
        (confirm, |frame| {
            let (_, proof, server) = until_proof(&mut Pad::new());
            deliver(server.on_frame(&proof).unwrap())?.1.on_frame(frame).map(drop)
        }),
        (done, |frame| {
            let mut pad = Pad::new();
            let (terminal, proof, server) = until_proof(&mut pad);
            let (keys, _) = deliver(server.on_frame(&proof).unwrap())?;
            terminal.on_frame(&mut pad, &keys)?.1.on_frame(&mut pad, frame).map(drop)
        }),
    ]
}

#[test]
fn fields_out_of_order_are_refused_in_every_message() {
    for (good, take) in messages() {
        assert!(take(&good).is_ok(), "{:?}", good.kind());
        let turned = changed(&good, |fields| {
            fields.push((Tag::new(0xDF7F).unwrap(), vec![]));
            fields.push((Tag::new(0xDF7E).unwrap(), vec![]));
            // A template's tag is the highest, wherever there is one.
            fields.rotate_right(2);
        });
        let fault = take(&turned).expect_err("it is out of order");
        let refused = fault.reason;
        assert!(
            matches!(
                refused,
                Reason::Protocol(crate::ProtocolError::Malformed(Malformed::FieldOrder { .. }))
            ),
            "{:?}: {refused}",
            good.kind()
        );
    }
}

/// DF15, DF16 or DF17 in a message that has another of the three.
#[test]
fn another_proof_than_the_messages_own_is_malformed() {
    for (good, take) in messages() {
        let own = [Tag::CONFIRMATION, Tag::TRANSCRIPT_SIGNATURE, Tag::RECEIPT]
            .into_iter()
            .find(|tag| good.message().unwrap().fields.get(*tag).is_some());
        let Some(own) = own else { continue };
        for (other, bytes) in [(Tag::CONFIRMATION, 32), (Tag::TRANSCRIPT_SIGNATURE, 64), (Tag::RECEIPT, 32)] {
            if other == own {
                continue;
            }
            let beside = changed(&good, |fields| {
                fields.push((other, vec![7; bytes]));
                fields.sort_by_key(|(tag, _)| *tag);
            });
            assert_malformed(take(&beside), Malformed::UnwantedField { tag: other });
            let instead = changed(&good, |fields| {
                fields.retain(|(tag, _)| *tag != own);
                fields.push((other, vec![7; bytes]));
                fields.sort_by_key(|(tag, _)| *tag);
            });
            assert_malformed(take(&instead), Malformed::UnwantedField { tag: other });
        }
    }
}

#[test]
fn every_field_of_suite_02_has_its_one_length() {
    for (good, take) in messages() {
        for (tag, length) in [
            (Tag::EPHEMERAL_KEY, 65),
            (Tag::NONCE, 32),
            (Tag::CONFIRMATION, 32),
            (Tag::TRANSCRIPT_SIGNATURE, 64),
            (Tag::RECEIPT, 32),
        ] {
            if good.message().unwrap().fields.get(tag).is_none() {
                continue;
            }
            for found in [0, length - 1, length + 1] {
                let other = changed(&good, |fields| {
                    fields.iter_mut().filter(|(own, _)| *own == tag).for_each(|(_, value)| {
                        value.resize(found, 7);
                    });
                });
                assert_malformed(take(&other), Malformed::FieldLength { tag, found });
            }
            let missing = changed(&good, |fields| fields.retain(|(own, _)| *own != tag));
            assert_malformed(take(&missing), Malformed::MissingField { tag });
        }
    }
}

#[test]
fn sealed_factor_is_as_long_as_a_factor_and_a_tag() {
    let tag = Tag::ENCRYPTED_DATA;
    for (found, good) in [(0, false), (16, false), (17, true), (48, true), (49, false)] {
        let factor = frame(MessageType::RksFactor, &[(tag, &[9; 49][..found])]);
        let taken = until_cert(&mut Pad::new()).2.on_frame(&factor);
        if good {
            assert_eq!(taken.unwrap().df19(), &[9; 49][..found]);
        } else {
            assert_malformed(taken, Malformed::FieldLength { tag, found });
        }
    }
}

#[test]
fn keys_of_another_suite_are_not_delivered_and_none_to_who_asked_for_another() {
    let (_, proof, server) = until_proof(&mut Pad::new());
    let proven = server.on_frame(&proof).unwrap();
    let fault = proven.deliver(&[("D".into(), Kcv::Tdes([1; 3]))], false).unwrap_err();
    assert_eq!(fault.code, ErrorCode::Internal);

    let (auth, _) = Start::<EcAes>::of(device(), slot()).begin(&mut Pad::new()).unwrap();
    let other = changed(&auth, |fields| fields[0].1 = vec![3]);
    let (_, server) = certificate(&other);
    let factor = frame(MessageType::RksFactor, &[(Tag::ENCRYPTED_DATA, &[9; 24])]);
    let (_, server) = token(server.on_frame(&factor).unwrap());
    let proven = server.on_frame(&frame(MessageType::RksProof, &[(Tag::CONFIRMATION, &[0; 32])])).unwrap();
    let fault = proven.deliver(&[("D".into(), kcv(1))], false).unwrap_err();
    assert_eq!(fault.reason, Reason::SuiteNotSupported { suite: wire::Suite::new(3) });
}

#[test]
fn more_stands_before_the_blocks() {
    let keys = RksKeys { blocks: vec!["D1".into(), "D2".into()], more: true };
    let frame = keys.write::<EcAes>().unwrap();
    let expected = [
        &[1, 0x16, 0xDF, 0x24, 1, 1][..],
        &[0xFF, 0x21, 5, 0xDF, 0x40, 2, b'D', b'1'],
        &[0xFF, 0x21, 5, 0xDF, 0x40, 2, b'D', b'2'],
    ]
    .concat();
    assert_eq!(frame.payload(), expected);
    assert_eq!(RksKeys::read::<EcAes>(&frame), Ok(keys));
    assert_eq!(
        RksKeys::read::<EcAes>(&Frame::new(MessageType::RksKeys, &Fields::new()).unwrap()),
        Err(Malformed::MissingField { tag: Tag::KEY_ENTRY }.into())
    );
}
