//! A terminal written from 2-wire.md alone: bytes, clear keys and a hash; no role of `flows`.

#![allow(clippy::cast_possible_truncation, reason = "lengths of messages that the test itself makes")]

use std::{
    io::{ErrorKind, Read, Write},
    net::{SocketAddr, TcpListener},
    thread::{self, JoinHandle},
};

use paycrypto::{
    TdesKey,
    blocks::{self, BlockKey, BlockRefusal, Protects},
    digest::sha256,
    keys::{Dik2, Dmk, Rnd1, Tmk},
    rsa::PublicKey,
};
use pki::Certificate;

/// What it does otherwise than it should.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Quirk {
    None,
    /// Rnd1 is a weak key.
    WeakRnd1,
    /// Rnd1 and Rnd2 are encrypted to nobody.
    Gibberish,
    /// Says another check value than the key's.
    WrongCheckValue,
    /// Closes when KLD_KEY has come.
    CutAfterKey,
    /// Refuses KLD_KEY with 0008.
    RefuseKey,
    /// Closes when KLD_CONNECT has come.
    CutAfterConnect,
    /// Answers KLD_CONNECT with another message.
    OutOfOrder,
    /// Gives another serial at the second key.
    ChangeSerial,
}

/// What it got.
#[derive(Debug, Default)]
pub(crate) struct Got {
    /// Check values of the keys, in order.
    pub(crate) kcvs: Vec<[u8; 3]>,
    /// The factor of a DIK2, and the DIK2.
    pub(crate) identity: Option<(Vec<u8>, Vec<u8>)>,
    /// DONEs.
    pub(crate) done: usize,
    /// The code of the KLD's ERROR.
    pub(crate) error: Option<u16>,
}

/// Listens for one KLD.
pub(crate) fn start(
    sn: &'static str,
    pin_pad: Option<&'static str>,
    quirk: Quirk,
) -> (SocketAddr, JoinHandle<Got>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    (address, thread::spawn(move || serve(&mut listener.accept().unwrap().0, sn, pin_pad, quirk)))
}

/// Serves one KLD on this stream until it closes.
pub(crate) fn serve(stream: &mut (impl Read + Write), sn: &str, pin_pad: Option<&str>, quirk: Quirk) -> Got {
    let mut got = Got::default();
    let mut sn = sn.to_owned();
    while let Some(connect) = frame(stream) {
        if let Some(code) = error(&connect) {
            got.error = Some(code);
            break;
        }
        assert_eq!(&connect[2..4], [1, 0x21], "KLD_CONNECT");
        if quirk == Quirk::CutAfterConnect {
            break;
        }
        if quirk == Quirk::OutOfOrder {
            send(stream, 0x05, &field(0xFF21, &field(0xDF0B, &[1, 2, 3])));
            continue;
        }
        if quirk == Quirk::ChangeSerial && !got.kcvs.is_empty() {
            sn.push('X');
        }
        let fields = fields(&connect[4..]);
        assert_eq!(value(&fields, 0xDF01), [1]);
        let certificate = Certificate::from_der(value(&fields, 0xDF0C)).unwrap();
        let kld = PublicKey::from_spki(certificate.spki_der()).unwrap();

        let rnd1 = Rnd1::generate().unwrap();
        let rnd2 = [7, 6, 5, 4, 3, 2, 1, 0];
        let clear = match quirk {
            Quirk::WeakRnd1 => [&[1; 8][..], &[0x1F; 8], &[0xE0; 8], &rnd2].concat(),
            _ => [rnd1.expose(), &rnd2].concat(),
        };
        let c_rnd1_rnd2 = match quirk {
            Quirk::Gibberish => vec![0x42; 256],
            _ => kld.oaep_encrypt(&clear).unwrap(),
        };
        let mut accept = field(0xDF02, sn.as_bytes());
        pin_pad.iter().for_each(|pin_pad| accept.extend(field(0xDF03, pin_pad.as_bytes())));
        accept.extend(field(0xDF10, &c_rnd1_rnd2));
        let accept = send(stream, 0x22, &accept);
        let Some(key) = frame(stream) else { break };
        if let Some(code) = error(&key) {
            got.error = Some(code);
            break;
        }
        assert_eq!(&key[2..4], [1, 0x23], "KLD_KEY");
        match quirk {
            Quirk::CutAfterKey => break,
            Quirk::RefuseKey => {
                send(stream, 0x7F, &field(0xDF60, &[0, 8]));
                break;
            }
            _ => {}
        }
        let context: [u8; 16] = *sha256(&[connect, accept].concat()).first_chunk().unwrap();
        let kcv = take(&mut got, &kld, &rnd1, &key, rnd2, pin_pad.unwrap_or(&sn), &context);
        let said = if quirk == Quirk::WrongCheckValue { [kcv[0] ^ 1, kcv[1], kcv[2]] } else { kcv };
        send(stream, 0x05, &field(0xFF21, &field(0xDF0B, &said)));
        let Some(done) = frame(stream) else { break };
        match error(&done) {
            Some(code) => {
                got.error = Some(code);
                break;
            }
            None => {
                assert_eq!(done, [0, 2, 1, 0x06], "DONE");
                got.kcvs.push(kcv);
                got.done += 1;
            }
        }
    }
    got
}

/// Recovers what the KLD signed and opens the block.
fn take(
    got: &mut Got,
    kld: &PublicKey,
    rnd1: &Rnd1,
    key: &[u8],
    rnd2: [u8; 8],
    pin_pad: &str,
    context: &[u8; 16],
) -> [u8; 3] {
    let signed = kld.type1_recover(value(&fields(&key[4..]), 0xDF11)).unwrap();
    let signed = fields(&signed);
    let tags: Vec<u16> = signed.iter().map(|(tag, _)| *tag).collect();
    assert_eq!(value(&signed, 0xDF06), rnd2, "Rnd2'");
    let block = std::str::from_utf8(value(&signed, 0xDF40)).unwrap().to_owned();
    let place = |index: &str| format!("{pin_pad}/{index}");
    match &block[5..7] {
        "K1" => {
            assert_eq!(tags, [0xDF40, 0xDF06]);
            let index = block.split(&format!("{pin_pad}/")).nth(1).unwrap().get(..2).unwrap().to_owned();
            open::<Tmk>(rnd1, &block, &place(&index), context).unwrap().key().kcv()
        }
        "11" => {
            assert_eq!(tags, [0xDF40, 0xDF06]);
            open::<Dmk>(rnd1, &block, &place("00"), context).unwrap().key().kcv()
        }
        "12" => {
            assert_eq!(tags, [0xDF40, 0xDF06, 0xDF23]);
            let dik2 = open::<Dik2>(rnd1, &block, &place("00"), context).unwrap();
            got.identity = Some((value(&signed, 0xDF23).to_vec(), dik2.key().expose().to_vec()));
            dik2.key().kcv()
        }
        other => panic!("a block of usage {other}"),
    }
}

fn open<K: BlockKey>(rnd1: &Rnd1, block: &str, place: &str, context: &[u8; 16]) -> Result<K, BlockRefusal>
where
    Rnd1: Protects<K>,
{
    blocks::unwrap(rnd1, block, place, context)
}

/// Reads one frame, its two length bytes included; nothing when the KLD closed.
pub(crate) fn frame(stream: &mut impl Read) -> Option<Vec<u8>> {
    let mut frame = vec![0; 2];
    read(stream, &mut frame)?;
    let length = usize::from(u16::from_be_bytes([frame[0], frame[1]]));
    frame.resize(2 + length, 0);
    read(stream, &mut frame[2..])?;
    Some(frame)
}

fn read(stream: &mut impl Read, bytes: &mut [u8]) -> Option<()> {
    match stream.read_exact(bytes) {
        Ok(()) => Some(()),
        Err(error) if matches!(error.kind(), ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset) => None,
        // A pseudo-terminal whose other end was closed: EIO.
        Err(error) if error.raw_os_error() == Some(5) => None,
        Err(error) => panic!("{error}"),
    }
}

pub(crate) fn send(stream: &mut impl Write, kind: u8, fields: &[u8]) -> Vec<u8> {
    let mut frame = u16::try_from(2 + fields.len()).unwrap().to_be_bytes().to_vec();
    frame.extend([1, kind]);
    frame.extend(fields);
    stream.write_all(&frame).unwrap();
    frame
}

pub(crate) fn error(frame: &[u8]) -> Option<u16> {
    (frame[3] == 0x7F).then(|| {
        let fields = fields(&frame[4..]);
        u16::from_be_bytes(value(&fields, 0xDF60).try_into().unwrap())
    })
}

pub(crate) fn field(tag: u16, value: &[u8]) -> Vec<u8> {
    let mut field = tag.to_be_bytes().to_vec();
    match value.len() {
        length @ ..=127 => field.push(length as u8),
        length @ 128..=255 => field.extend([0x81, length as u8]),
        length => {
            field.push(0x82);
            field.extend((length as u16).to_be_bytes());
        }
    }
    field.extend(value);
    field
}

pub(crate) fn fields(mut bytes: &[u8]) -> Vec<(u16, Vec<u8>)> {
    let mut fields = Vec::new();
    while let [high, low, length, rest @ ..] = bytes {
        let (length, rest) = match (length, rest) {
            (0x81, [one, rest @ ..]) => (usize::from(*one), rest),
            (0x82, [one, two, rest @ ..]) => (usize::from(u16::from_be_bytes([*one, *two])), rest),
            (short, rest) => (usize::from(*short), rest),
        };
        fields.push((u16::from_be_bytes([*high, *low]), rest[..length].to_vec()));
        bytes = &rest[length..];
    }
    assert!(bytes.is_empty());
    fields
}

pub(crate) fn value(fields: &[(u16, Vec<u8>)], tag: u16) -> &[u8] {
    &fields.iter().find(|(found, _)| *found == tag).unwrap().1
}

/// The DIK2 that a device derives.
pub(crate) fn derive(dik1: &TdesKey, dsn: &str, factor: &[u8]) -> Vec<u8> {
    paycrypto::derive::derive_dik2(dik1, dsn, factor).unwrap().key().expose().to_vec()
}
