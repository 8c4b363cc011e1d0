//! Flows E and F: `flow_e` and `flow_f` of the worked values.

use hsm::{
    Refusal,
    commands::{
        AnswerTms, ConfirmSignIn, EnrolOperator, MacAnswer, MacItem, MakeWorkingKeys, OpenTms,
        OpenTmsSession, OperatorClaim, PikLength, Reply, Request, SealTms, TerminalMacs,
    },
};
use keyblock::Header;
use paycrypto::{
    blocks,
    keys::{Dmk, Dwk, Pik, SessionKey, Tmk},
    seal::{self, Direction},
};

use super::{OWNER, Worked};
use crate::{
    SoftHsm,
    purpose::Purpose,
    tms_tickets::{Challenge, Session},
};

const PAD: &str = "SN-1001";
const PLACE: &str = "SN-1001/00";

/// The reply of one command.
macro_rules! reply {
    ($hsm:expr, $name:ident, $command:expr) => {
        match SoftHsm::handle($hsm, Request::$name($command)).unwrap() {
            Reply::$name(reply) => reply,
            other => panic!("{other:?}"),
        }
    };
}

/// A frame: the payload with its length.
fn frame(payload: &[u8]) -> Vec<u8> {
    [u16::try_from(payload.len()).unwrap().to_be_bytes().as_slice(), payload].concat()
}

/// A block but for its ciphertext and MAC, which are random.
fn head(block: &str) -> &str {
    &block[..Header::parse(block).unwrap().1]
}

impl Worked {
    fn dwk(&self) -> Dwk {
        Dwk::from_key(self.tdes("dwk")).unwrap()
    }

    fn session_key(&self) -> SessionKey {
        SessionKey::from_key(self.tdes("session_key")).unwrap()
    }

    fn array<const N: usize>(&self, name: &str) -> [u8; N] {
        self.bytes(name).try_into().unwrap()
    }
}

#[test]
fn flow_e_answers_the_worked_hello() {
    let worked = Worked::new("flow_e", Purpose::KmsWork);
    let dmk = worked.held(Purpose::Dmk, Some(PLACE), &worked.tdes("dmk")).block;
    let s_data: [u8; 10] = worked.array("s_data");
    let command = AnswerTms {
        dmk: Some(dmk),
        pin_pad: PAD.into(),
        owner: OWNER.into(),
        t_data: worked.array("t_data"),
        when: s_data[4..].try_into().unwrap(),
        hello: frame(&worked.bytes("hello")),
    };
    let answer = reply!(&worked.hsm, AnswerTms, command);
    assert_eq!(head(&answer.dwk_1), head(worked.text("dwk_key_block_under_dmk")));
    assert_eq!(answer.s_data[4..], s_data[4..]);
    let dmk = Dmk::from_key(worked.tdes("dmk")).unwrap();
    let context = worked.array("context_of_dwk");
    let dwk: Dwk = blocks::unwrap(&dmk, &answer.dwk_1, PLACE, &context).unwrap();
    assert_eq!(dwk.mac(&worked.bytes("t_data")), answer.tac_1);
    assert_eq!(worked.dwk().mac(&worked.bytes("t_data")).to_vec(), worked.bytes("tac_1"));
}

#[test]
fn flow_e_takes_the_worked_proof_and_the_worked_operator() {
    let worked = Worked::new("flow_e", Purpose::KmsWork);
    let challenge = Challenge {
        dwk: worked.dwk(),
        t_data: worked.array("t_data"),
        s_data: worked.array("s_data"),
        counts: true,
    };
    let operator = worked.flow["operator"].clone();
    let text = |name: &str| operator[name].as_str().unwrap();
    let enrol = EnrolOperator {
        owner: OWNER.into(),
        operator: text("id").into(),
        password: text("password").as_bytes().to_vec().into(),
    };
    let verifier = reply!(&worked.hsm, EnrolOperator, enrol);
    let command = OpenTmsSession {
        ticket: worked.hsm.tms_tickets.issue(PAD, OWNER, &challenge).unwrap(),
        pin_pad: PAD.into(),
        owner: OWNER.into(),
        sac_1: worked.array("sac_1"),
        operator: Some(OperatorClaim {
            operator: text("id").into(),
            verifier: Some(verifier),
            proof: super::unhex(text("proof")).try_into().unwrap(),
        }),
        transcript: b"frames".to_vec(),
        tmk: None,
    };
    // The same proof to a stranger's ticket is worth nothing, were its DWK ever guessed.
    let stranger = Challenge { dwk: worked.dwk(), counts: false, ..challenge };
    let ticket = worked.hsm.tms_tickets.issue(PAD, OWNER, &stranger).unwrap();
    let outcome = worked.hsm.handle(Request::OpenTmsSession(OpenTmsSession { ticket, ..command.clone() }));
    assert_eq!(outcome.err(), Some(Refusal::NotProven));
    let session = reply!(&worked.hsm, OpenTmsSession, command);
    let context = paycrypto::digest::sha256(b"frames")[..16].try_into().unwrap();
    let key: SessionKey = blocks::unwrap(&worked.dwk(), &session.session_block, PLACE, &context).unwrap();
    let opened = worked.hsm.tms_tickets.session(&session.session, PAD, OWNER).unwrap();
    assert!(opened.key.expose() == key.expose());
}

#[test]
fn flow_e_opens_the_worked_message_and_seals_one() {
    let worked = Worked::new("flow_e", Purpose::KmsWork);
    let session = Session { dwk: worked.dwk(), key: worked.session_key() };
    let session = worked.hsm.tms_tickets.begin(PAD, OWNER, &session).unwrap();
    let sealed = worked.flow["sealed"].clone();
    let bytes = |name: &str| super::unhex(sealed[name].as_str().unwrap());
    // The frame's payload: version, type, DF4A and a length of one byte.
    let message = bytes("message");
    assert_eq!(message[..4], [0x01, 0x3F, 0xDF, 0x4A]);
    let (pin_pad, owner) = (PAD.to_owned(), OWNER.to_owned());
    let open = OpenTms {
        session: session.clone(),
        pin_pad: pin_pad.clone(),
        owner: owner.clone(),
        counter: 0,
        sealed: message[5..].to_vec(),
    };
    assert_eq!(reply!(&worked.hsm, OpenTms, open), bytes("inner_payload"));
    let payload = b"data".to_vec();
    let sealed = reply!(&worked.hsm, SealTms, SealTms { session, pin_pad, owner, counter: 9, payload });
    let opened = seal::open(&worked.session_key(), &worked.dwk(), Direction::FromTms, 9, &sealed);
    assert_eq!(opened.unwrap().as_slice(), b"data");
}

#[test]
fn flow_f_makes_working_keys_for_the_worked_sign_in() {
    let worked = Worked::new("flow_f", Purpose::KmsWork);
    let tmk = worked.held(Purpose::Tmk, Some("SN-1001/03"), &worked.tdes("tmk")).block;
    let command = MakeWorkingKeys {
        tmk,
        pin_pad: PAD.into(),
        owner: OWNER.into(),
        slot: 3,
        transcript: frame(&worked.bytes("sign_in")),
        pik: PikLength::Triple,
        tdk: false,
        avoid: vec![],
    };
    let keys = reply!(&worked.hsm, MakeWorkingKeys, command);
    let example = worked.text("pik_key_block_under_tmk");
    assert_eq!(head(&keys[0].under_tk), head(example));
    let tmk = Tmk::from_key(worked.tdes("tmk")).unwrap();
    let context = worked.array("context");
    let pik: Pik = blocks::unwrap(&tmk, &keys[0].under_tk, "SN-1001/03", &context).unwrap();
    assert_eq!(pik.kcv(), keys[0].kcv);
    // The context of the MAK's block is over the PIK's block too: seen with the worked one.
    let said = [frame(&worked.bytes("sign_in")).as_slice(), example.as_bytes()].concat();
    assert_eq!(crate::acts::context(&said).to_vec(), worked.bytes("context_of_mak"));
    assert_eq!(keys[1].under_tk.len(), worked.text("mak_key_block_under_tmk").len());
}

#[test]
fn flow_f_confirms_with_the_worked_macs() {
    let worked = Worked::new("flow_f", Purpose::KmsWork);
    let mak = worked.held(Purpose::Mak, Some("SN-1001/03"), &worked.tdes("mak"));
    assert_eq!(mak.kcv.to_vec(), worked.bytes("mak_kcv"));
    let command = ConfirmSignIn {
        mak: mak.block.clone(),
        pin_pad: PAD.into(),
        owner: OWNER.into(),
        slot: 3,
        rnd1: worked.array("rnd1"),
        kcvs: vec![worked.array("pik_kcv"), worked.array("mak_kcv")],
        mac: worked.array("confirm_mac"),
    };
    assert_eq!(reply!(&worked.hsm, ConfirmSignIn, command).to_vec(), worked.bytes("done_mac"));
    let item = MacItem {
        pin_pad: PAD.into(),
        slot: 3,
        mak: mak.block,
        data: [b"DONE".as_slice(), &worked.bytes("rnd1")].concat().into(),
        mac: Some(worked.bytes("done_mac")),
    };
    let macs = TerminalMacs { owner: OWNER.into(), items: vec![item] };
    assert_eq!(reply!(&worked.hsm, TerminalMacs, macs), [Ok(MacAnswer::Right)]);
}
