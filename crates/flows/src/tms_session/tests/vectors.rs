//! Flow E of `vectors/tdes-suite.json`: its handshake, as the messages carry it.

use std::borrow::ToOwned;

use serde_json::Value;
use wire::{BcdTime, Frame, SData, TData};

use super::fake::{Pad, Tms, identification, until_challenge};
use crate::{
    Tdes, Transcript,
    testing::{hex, vector},
    tms_session::{
        Transaction,
        messages::{Challenge, Sac1, SessionBlock, TacAndDwk, TmsChallenge, TmsHello, TmsProof},
    },
};

fn hello(flow: &Value) -> Frame {
    Frame::from_payload(&hex(&flow["hello"])).unwrap()
}

#[test]
fn worked_hello_is_written_to_the_byte() {
    let flow = vector("flow_e");
    let t_data = TData::from_bytes(hex(&flow["t_data"]).try_into().unwrap()).unwrap();
    let message = TmsHello::<Tdes> {
        suite: wire::Suite::TDES,
        identification: identification(),
        version: wire::TmsVersion::CURRENT,
        transaction: Ok(Transaction::ProgramDownload),
        t_data,
        opening: (),
        refusals: [].into(),
    };
    assert_eq!(message.write().unwrap(), hello(&flow));
    assert_eq!(<TmsHello>::read(&hello(&flow)), Ok(message));
    assert_eq!(t_data.when(), BcdTime::from_bytes([0x26, 0x11, 0x20, 0x12, 0x34, 0x56]).ok());
    assert_eq!(t_data, TData::new([0x5E, 0xAD, 0xBE, 0xEF], t_data.when()));
}

#[test]
fn worked_hello_gives_the_context_of_the_dwk() {
    let flow = vector("flow_e");
    let mut transcript = Transcript::new();
    transcript.push(&hello(&flow));
    assert_eq!(transcript.context().to_hex(), flow["context_of_dwk"].as_str().unwrap());
}

/// Worked out by hand from sections 1 to 3, with the vector's values.
#[test]
fn worked_challenge_and_proof_are_as_their_rows_say() {
    let flow = vector("flow_e");
    let dwk_1 = flow["dwk_key_block_under_dmk"].as_str().unwrap().to_owned();
    let (tac_1, s_data) = (hex(&flow["tac_1"]), hex(&flow["s_data"]));
    let named = <TmsHello>::read(&hello(&flow)).unwrap().named();
    let challenge = Challenge::<Tdes> {
        proof: TacAndDwk { tac_1: tac_1.clone().try_into().unwrap(), dwk_1: dwk_1.clone() },
        s_data: SData::from_bytes(s_data.clone().try_into().unwrap()).unwrap(),
        operator_demanded: true,
    };
    let frame = TmsChallenge { named: named.clone(), answer: Ok(challenge) }.write().unwrap();
    let identification = [
        &[0xDF, 0x30, 2][..],
        b"KF",
        &[0xDF, 0x31, 5],
        b"SIM-1",
        &[0xDF, 0x02, 7],
        b"SN-1001",
        &[0xDF, 0x32, 5],
        b"01.00",
    ]
    .concat();
    let expected = [
        &[1, 0x32],
        &identification[..],
        &[0xDF, 0x3A, 1, 2, 0xDF, 0x3B, 2, b'0', b'0', 0xDF, 0x39, 1, 1, 0xDF, 0x35, 10],
        &s_data,
        &[0xDF, 0x3F, 1, 1, 0xDF, 0x36, 4],
        &tac_1,
        &[0xDF, 0x37, 0x81, 152],
        dwk_1.as_bytes(),
    ];
    assert_eq!(frame.payload(), expected.concat());

    let (sac_1, proof) = (hex(&flow["sac_1"]), hex(&flow["operator"]["proof"]));
    let id = flow["operator"]["id"].as_str().unwrap();
    let message = TmsProof::<Tdes> {
        named,
        good: true,
        proof: Some(Sac1(sac_1.clone().try_into().unwrap())),
        operator: Some((id.parse().unwrap(), proof.clone().try_into().unwrap())),
    };
    let expected = [
        &[1, 0x33],
        &identification[..],
        &[0xDF, 0x3A, 1, 3, 0xDF, 0x3B, 2, b'0', b'0', 0xDF, 0x3C, 1, 0, 0xDF, 0x38, 4],
        &sac_1,
        &[0xDF, 0x3D, 3],
        id.as_bytes(),
        &[0xDF, 0x3E, 32],
        &proof,
    ];
    assert_eq!(message.write().unwrap().payload(), expected.concat());
}

/// TMS_KEY's row, worked out by hand.
#[test]
fn key_is_as_its_row_says() {
    let (mut pad, mut tms) = (Pad::default(), Tms::default());
    let (_, _, [hello, _]) = until_challenge(&mut pad, &mut tms, Transaction::ProgramDownload);
    let named = <TmsHello>::read(&hello).unwrap().named();
    let keys = crate::tms_session::messages::SessionKeys::<Tdes> {
        transaction: wire::TransactionCode::KeyDownload,
        key: SessionBlock("AB".into()),
        tmk: Some("C".into()),
    };
    let frame = crate::tms_session::messages::TmsKey { named, answer: Ok(keys) }.write().unwrap();
    let tail = [
        &[0xDF, 0x3A, 1, 4, 0xDF, 0x3B, 2, b'0', b'0', 0xDF, 0x33, 4][..],
        b"0001",
        &[0xFF, 0x21, 4, 0xDF, 0x40, 1, b'C', 0xDF, 0x40, 2, b'A', b'B'],
    ]
    .concat();
    assert!(frame.payload().ends_with(&tail));
}
