//! Suite 02 against the worked values of the wire (`vectors/ec-suite.json`): the HSM's side of collecting, downloading
//! and DIK2, with the ephemeral keys that the values name.

use std::path::Path;

use hsm::{
    KeyBlock, Refusal,
    commands::{
        Acknowledge, AnswerHello, CheckAnswerEc, HelloAnswer, HelloFlow, HelloSecret, Hole, LoadEc,
        LoadTerminalEc, OpenCollectedEc, OpenLoading, Peer, ReleaseTmkEc, Reply, Request, TransportKeyBlocks,
    },
};
use paycrypto::{
    digest,
    ec::{
        AgreementKey, NONCE, Nonces, POINT, PublicPoint, Schedule, SigningKey, StaticSecret, Tk,
        VerifyingKey,
        blocks::{self, LoadCounter},
        keys::{Auk, Dik1, Dik2, Tek, Tmk},
    },
};
use serde_json::Value;

use super::{OWNER, bound, unhex};
use crate::{Duty, SoftHsm, acts::fixed, create, purpose::Purpose};

const PAD: &str = "SN-1001";

/// The worked values, and an HSM that holds nothing.
struct Worked {
    values: Value,
    hsm: SoftHsm,
    _folder: tempfile::TempDir,
}

impl Worked {
    fn new() -> Self {
        let root = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."));
        let values = std::fs::read_to_string(root.join("vectors/ec-suite.json")).unwrap();
        let folder = tempfile::tempdir().unwrap();
        create(folder.path(), "only for this test").unwrap();
        let hsm =
            SoftHsm::open(folder.path(), "only for this test", vec![]).unwrap().on_duty(Duty::Laboratory);
        Self { values: serde_json::from_str(&values).unwrap(), hsm, _folder: folder }
    }

    fn text(&self, flow: &str, name: &str) -> &str {
        self.values[flow][name].as_str().unwrap()
    }

    fn bytes<const N: usize>(&self, flow: &str, name: &str) -> [u8; N] {
        unhex(self.text(flow, name)).try_into().unwrap()
    }

    /// A message of the download, with its length.
    fn message(&self, name: &str) -> Vec<u8> {
        framed(&unhex(self.text("download", name)))
    }

    /// Messages of the download up to this one, each with its length.
    fn said(&self, to: usize) -> Vec<u8> {
        ["m1", "m2", "m3", "m4", "m5"][..to].iter().flat_map(|name| self.message(name)).collect()
    }

    fn agreement(&self, flow: &str, name: &str) -> AgreementKey {
        AgreementKey::from_scalar(&self.scalar(flow, name)).unwrap()
    }

    fn scalar(&self, flow: &str, name: &str) -> [u8; 32] {
        let text = self.text(flow, name);
        unhex(&format!("{text:0>64}")).try_into().unwrap()
    }

    fn transport_key(&self) -> TransportKeyBlocks {
        let scalar = self.scalar("collect", "kms_scalar");
        let collected = unhex(self.text("collect", "collected_without_df16"));
        let command = OpenCollectedEc {
            work_key: self.hsm.lmk.wrap(Purpose::KmsAgreement, bound(None), &scalar).unwrap(),
            collect: framed(&unhex(self.text("collect", "collect"))),
            sn: PAD.into(),
            pin_pad: PAD.into(),
            generation: u64::from_be_bytes(field(&collected, [0xDF, 0x18])),
            df09: unhex(self.text("collect", "df09")),
            owner: OWNER.into(),
        };
        match self.hsm.handle(Request::OpenCollectedEc(command)).unwrap() {
            Reply::OpenCollectedEc(blocks) => blocks,
            other => panic!("{other:?}"),
        }
    }

    /// TK_HELLO of the values and the challenge whose hole the HSM fills.
    fn hello(&self, secret: HelloSecret) -> AnswerHello {
        let hello = self.message("m1");
        let challenge = without(&self.message("m2"), [0xDF, 0x15]);
        AnswerHello {
            secret,
            flow: HelloFlow::Download,
            pin_pad: PAD.into(),
            owner: OWNER.into(),
            peer: peer(&hello),
            hello,
            hole: Hole { before: challenge[..4].to_vec(), after: vec![] },
        }
    }

    /// Answers with the server's ephemeral key of the values.
    fn answer(&self, secret: HelloSecret) -> HelloAnswer {
        let scalar = self.scalar("download", "server_ephemeral_scalar");
        fixed::next(&scalar, field(&self.message("m2"), [0xDF, 0x14]));
        match self.hsm.handle(Request::AnswerHello(self.hello(secret))).unwrap() {
            Reply::AnswerHello(answer) => answer,
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn flow_a_collects_the_worked_transport_key() {
    let worked = Worked::new();
    let blocks = worked.transport_key();
    let place = format!("{PAD}/00");
    let open = |block: &KeyBlock, purpose| worked.hsm.lmk.open("key", block, purpose, bound(Some(&place)));
    for (block, purpose, name) in
        [(&blocks.tek, Purpose::TekAes, "tek"), (&blocks.auk, Purpose::AukAes, "auk")]
    {
        let opened = open(block, purpose).unwrap();
        assert_eq!(opened.key.as_slice(), unhex(worked.text("download", name)), "{name}");
    }
}

#[test]
fn flow_a_answers_the_worked_hello_to_the_byte() {
    let worked = Worked::new();
    let answer = worked.answer(HelloSecret::Tk(worked.transport_key()));
    let challenge = worked.message("m2");
    assert_eq!(answer.point, field::<POINT>(&challenge, [0xDF, 0x13]));
    assert_eq!(answer.nonce, field::<NONCE>(&challenge, [0xDF, 0x14]));
    assert_eq!(answer.confirmation, field::<32>(&challenge, [0xDF, 0x15]));
    let stranger = worked.answer(HelloSecret::Stranger);
    assert_eq!((&stranger.point, stranger.ticket.len()), (&answer.point, answer.ticket.len()));
    assert_ne!(stranger.confirmation, answer.confirmation);
}

#[test]
fn flow_a_takes_the_worked_proof_and_receipt_and_gives_the_worked_ones() {
    let worked = Worked::new();
    let tk = worked.transport_key();
    let (answer, stranger) = (worked.answer(HelloSecret::Tk(tk)), worked.answer(HelloSecret::Stranger));
    let reply = worked.message("m3");
    let confirmation = field::<32>(&reply, [0xDF, 0x15]);
    let said = [worked.said(2), without(&reply, [0xDF, 0x15])].concat();
    let (pin_pad, owner) = (PAD.to_owned(), OWNER.to_owned());
    let check = |ticket: &[u8]| {
        let (pin_pad, owner) = (pin_pad.clone(), owner.clone());
        let command =
            CheckAnswerEc { ticket: ticket.to_vec(), confirmation, said: said.clone(), pin_pad, owner };
        worked.hsm.handle(Request::CheckAnswerEc(command)).map(drop)
    };
    assert_eq!(check(&answer.ticket), Ok(()));
    assert_eq!(check(&stranger.ticket), Err(Refusal::NotProven));

    let tmk: [u8; 16] = worked.bytes("download", "tmk");
    let place = worked.text("download", "place");
    let pending = worked.hsm.lmk.wrap(Purpose::TmkAes, bound(Some(place)), &tmk).unwrap();
    let release = ReleaseTmkEc {
        ticket: answer.ticket,
        confirmation,
        said,
        transcript: worked.said(3),
        pin_pad: pin_pad.clone(),
        owner: owner.clone(),
        slot: 3,
        counter: worked.values["download"]["load_counter"].as_u64().unwrap(),
        pending: Some(pending.clone()),
        avoid: vec![],
    };
    let released = match worked.hsm.handle(Request::ReleaseTmkEc(release)).unwrap() {
        Reply::ReleaseTmkEc(released) => released,
        other => panic!("{other:?}"),
    };
    let [key] = released.keys.as_slice() else { panic!("one key") };
    assert_eq!((&key.block, key.kcv), (&pending, Tmk::from_bytes(&tmk).kcv()));
    // The header is the worked one; ciphertext and MAC are random but open alike, under the run's key.
    let example = worked.text("download", "key_block");
    let header = keyblock::Header::parse(example).unwrap().1;
    assert_eq!((key.wrapped.len(), &key.wrapped[..header]), (example.len(), &example[..header]));
    let context = worked.bytes("download", "context");
    for block in [example, &key.wrapped] {
        let run = worked.run();
        let opened = blocks::unwrap_tmk(&run.kbpk(), block, place, &context, LoadCounter::new(6)).unwrap();
        assert_eq!((opened.0.expose(), opened.1), (tmk.as_slice(), LoadCounter::new(7)));
    }

    let acknowledge = Acknowledge {
        ticket: released.ticket,
        said_before_confirm: worked.said(4),
        said_before_done: worked.said(5),
        receipt: worked.bytes("download", "receipt_t"),
        pin_pad,
        owner,
    };
    match worked.hsm.handle(Request::Acknowledge(acknowledge)).unwrap() {
        Reply::Acknowledge(receipt) => assert_eq!(receipt, worked.bytes("download", "receipt_s")),
        other => panic!("{other:?}"),
    }
}

#[test]
fn flow_b_loads_the_worked_dik2() {
    let worked = Worked::new();
    let dik1: [u8; 32] = worked.bytes("flow_c", "dik1");
    let signing = SigningKey::generate().unwrap();
    let scalar = signing.expose().unwrap();
    let opened = match worked.hsm.handle(Request::OpenLoading(OpenLoading { owner: OWNER.into() })).unwrap() {
        Reply::OpenLoading(opened) => opened,
        other => panic!("{other:?}"),
    };
    let theirs = worked.agreement("download", "terminal_ephemeral_scalar");
    let connect = frame(0x21, &opened.point.clone().try_into().unwrap(), &opened.nonce);
    let accept = frame(0x22, theirs.public(), &[2; 32]);
    let command = LoadTerminalEc {
        ticket: opened.ticket,
        work_key: worked.hsm.lmk.wrap(Purpose::KldSigning, bound(None), &*scalar).unwrap(),
        pin_pad: PAD.into(),
        owner: OWNER.into(),
        peer: peer(&accept),
        connect: connect.clone(),
        accept: accept.clone(),
        accept_bare: accept.clone(),
        load: LoadEc::Dik2 {
            dik1: worked
                .hsm
                .lmk
                .wrap(Purpose::Dik1Aes, bound(None), Dik1::from_bytes(&dik1).expose())
                .unwrap(),
            dsn: worked.text("flow_c", "dsn").into(),
            factor: Some(unhex(worked.text("flow_c", "factor"))),
        },
        escrow_under: None,
    };
    let loaded = match worked.hsm.handle(Request::LoadTerminalEc(command)).unwrap() {
        Reply::LoadTerminalEc(loaded) => loaded,
        other => panic!("{other:?}"),
    };
    // The terminal's side.
    let z = theirs.agree(&PublicPoint::from_bytes(&opened.point).unwrap()).unwrap();
    let th = |frames: &[&[u8]]| digest::sha256(&[b"KF2B".to_vec(), frames.concat()].concat());
    let nonces = Nonces { opener: &opened.nonce, answerer: &[2; 32] };
    let run = Schedule::new(&StaticSecret::LocalLoad, &z, &nonces, &th(&[&connect, &accept]));
    let context = digest::sha256(&[connect.clone(), accept.clone()].concat())[..16].try_into().unwrap();
    let dik2: Dik2 = blocks::unwrap(&run.kbpk(), &loaded.wrapped, "SN-1001/00", &context).unwrap();
    assert_eq!(dik2.expose(), &worked.bytes::<32>("flow_c", "dik2"));
    assert_eq!(loaded.kcv, dik2.kcv());
    let factor = loaded.factor.unwrap();
    let block = loaded.wrapped.as_bytes();
    let entry = [&[0xDF, 0x40, 0x81, u8::try_from(block.len()).unwrap()], block].concat();
    let key = [
        &[0x01, 0x23, 0xDF, 0x23, u8::try_from(factor.len()).unwrap()],
        factor.as_slice(),
        &[0xFF, 0x21, 0x81, u8::try_from(entry.len()).unwrap()],
        &entry,
    ];
    let th = th(&[&connect, &accept, &framed(&key.concat())]);
    let public = VerifyingKey::from_spki(&signing.spki_der()).unwrap();
    assert!(public.verifies_transcript(&th, &loaded.signature));
}

impl Worked {
    /// The run of the download, as the terminal comes to it.
    fn run(&self) -> Schedule {
        let (hello, challenge) = (self.message("m1"), self.message("m2"));
        let theirs = self.agreement("download", "terminal_ephemeral_scalar");
        let server = PublicPoint::from_bytes(&field::<POINT>(&challenge, [0xDF, 0x13])).unwrap();
        let nonces =
            Nonces { opener: &field(&hello, [0xDF, 0x14]), answerer: &field(&challenge, [0xDF, 0x14]) };
        let tek = Tek::from_bytes(&self.bytes("download", "tek"));
        let tk = Tk::from_keys(tek, Auk::from_bytes(&self.bytes("download", "auk"))).unwrap();
        let z = theirs.agree(&server).unwrap();
        Schedule::new(&StaticSecret::TmkDownload(&tk), &z, &nonces, &self.bytes("download", "th_1_2"))
    }
}

/// A frame of nothing but an ephemeral key and a nonce.
fn frame(message: u8, point: &[u8; POINT], nonce: &[u8; NONCE]) -> Vec<u8> {
    let fields = [&[0x01, message, 0xDF, 0x13, 0x41], point.as_slice(), &[0xDF, 0x14, 0x20], nonce];
    framed(&fields.concat())
}

fn framed(payload: &[u8]) -> Vec<u8> {
    [u16::try_from(payload.len()).unwrap().to_be_bytes().as_slice(), payload].concat()
}

/// A field whose length takes one byte.
fn field<const N: usize>(frame: &[u8], tag: [u8; 2]) -> [u8; N] {
    let head = [tag[0], tag[1], u8::try_from(N).unwrap()];
    let at = frame.windows(3).position(|window| window == head).unwrap();
    frame[at + 3..at + 3 + N].try_into().unwrap()
}

/// The frame without its field of 32 bytes, which stands at its end.
fn without(frame: &[u8], tag: [u8; 2]) -> Vec<u8> {
    let cut = frame.len() - 35;
    assert_eq!(frame[cut..cut + 2], tag);
    framed(&frame[2..cut])
}

fn peer(frame: &[u8]) -> Peer {
    Peer { point: field::<POINT>(frame, [0xDF, 0x13]).to_vec(), nonce: field(frame, [0xDF, 0x14]) }
}
