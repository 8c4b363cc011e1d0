//! The worked values of `vectors/ec-suite.json`, flow by flow.

use paycrypto::digest::sha256;
use paycrypto::ec::blocks::{self, LoadCounter};
use paycrypto::ec::keys::{Auk, Dik1, Mak, Tek, Tmk};
use paycrypto::ec::{
    AgreementKey, CollectInfo, FactorKey, LoadedKey, Nonces, PublicPoint, Schedule, SigningKey, StaticSecret,
    TK_CIPHERTEXT, Tk, VerifyingKey, derive_dik2,
};
use paycrypto::{AesKey, Error, mac};

use crate::support::{array, bytes, hex, rows, text, unhex, vectors};

fn flow(name: &str) -> serde_json::Value {
    vectors("ec-suite.json")[name].take()
}

fn frame(payload: &[u8]) -> Vec<u8> {
    [u16::try_from(payload.len()).unwrap().to_be_bytes().as_slice(), payload].concat()
}

/// The value of a field of 32 or 65 bytes in a message of primitive fields.
fn field(payload: &[u8], tag: [u8; 2]) -> Vec<u8> {
    let mut rest = &payload[2..];
    while let [a, b, length, after @ ..] = rest {
        let (value, next) = after.split_at(usize::from(*length));
        if [*a, *b] == tag {
            return value.to_vec();
        }
        rest = next;
    }
    panic!("no field {tag:02X?}")
}

/// A message that ends with a field of 32 bytes, without it.
fn without_last(payload: &[u8]) -> Vec<u8> {
    payload[..payload.len() - 35].to_vec()
}

fn th(letter: u8, frames: &[&[u8]]) -> [u8; 32] {
    let mut said = b"KF2".to_vec();
    said.push(letter);
    frames.iter().for_each(|payload| said.extend_from_slice(&frame(payload)));
    sha256(&said)
}

/// A private key by the scalar that the vectors give, which may leave out zeros in front.
fn scalar(digits: &str) -> [u8; 32] {
    unhex(&format!("{digits:0>64}")).try_into().unwrap()
}

fn agreement(digits: &str) -> AgreementKey {
    AgreementKey::from_scalar(&scalar(digits)).unwrap()
}

fn point(key: &AgreementKey) -> PublicPoint {
    PublicPoint::from_bytes(key.public()).unwrap()
}

#[test]
fn a_download_from_z_to_the_servers_receipt() {
    let v = flow("download");
    let (m1, m2, m3) = (bytes(&v, "m1"), bytes(&v, "m2"), bytes(&v, "m3"));
    let (m4, m5) = (bytes(&v, "m4"), bytes(&v, "m5"));
    let terminal = agreement(text(&v, "terminal_ephemeral_scalar"));
    let server = agreement(text(&v, "server_ephemeral_scalar"));
    assert_eq!(terminal.public().as_slice(), field(&m1, [0xDF, 0x13]));
    assert_eq!(server.public().as_slice(), field(&m2, [0xDF, 0x13]));
    let z = terminal.agree(&point(&server)).unwrap();
    assert_eq!(hex(z.expose()), text(&v, "z"));
    assert_eq!(server.agree(&point(&terminal)).unwrap().expose(), z.expose());

    let th12 = th(b'A', &[&m1, &without_last(&m2)]);
    assert_eq!(hex(&th12), text(&v, "th_1_2"));
    let tek = Tek::from_bytes(&array(&v, "tek"));
    let tk = Tk::from_keys(tek, Auk::from_bytes(&array(&v, "auk"))).unwrap();
    let opener = field(&m1, [0xDF, 0x14]).try_into().unwrap();
    let answerer = field(&m2, [0xDF, 0x14]).try_into().unwrap();
    let nonces = Nonces { opener: &opener, answerer: &answerer };
    let schedule = Schedule::new(&StaticSecret::TmkDownload(&tk), &z, &nonces, &th12);

    let mac_s = field(&m2, [0xDF, 0x15]);
    assert_eq!(schedule.server_confirm().confirm(&th12).as_slice(), mac_s);
    assert!(schedule.server_confirm().confirms(&th12, &mac_s));
    let th123 = th(b'A', &[&m1, &m2, &without_last(&m3)]);
    let mac_t = field(&m3, [0xDF, 0x15]);
    assert_eq!(schedule.terminal_confirm().confirm(&th123).as_slice(), mac_t);
    assert!(schedule.terminal_confirm().confirms(&th123, &mac_t));
    assert!(!schedule.server_confirm().confirms(&th123, &mac_t), "a key for each direction");
    assert!(!schedule.terminal_confirm().confirms(&th123, &mac_t[..31]));

    let said = [frame(&m1), frame(&m2), frame(&m3)].concat();
    let context = blocks::context_after(&said, &[]);
    assert_eq!(hex(&context), text(&v, "context"));
    let (block, place) = (text(&v, "key_block"), text(&v, "place"));
    assert_eq!(&m4[6..], block.as_bytes(), "DF40 81 E0 stand in front of it");
    let counter = LoadCounter::new(v["load_counter"].as_u64().unwrap());
    let stored = LoadCounter::new(counter.value() - 1);
    let (tmk, taken) = blocks::unwrap_tmk(&schedule.kbpk(), block, place, &context, stored).unwrap();
    assert_eq!((hex(tmk.expose()), taken), (text(&v, "tmk").to_owned(), counter));
    let made = blocks::wrap_tmk(&schedule.kbpk(), &tmk, place, &context, counter).unwrap();
    assert_eq!((made.len(), &made[..96]), (block.len(), &block[..96]), "the header is the worked one");
    assert_ne!(made, block, "the padding is random");

    let loaded = [LoadedKey { index: 3, kcv: tmk.kcv() }];
    let th1234 = th(b'A', &[&m1, &m2, &m3, &m4]);
    let receipt = bytes(&v, "receipt_t");
    assert_eq!(schedule.receipt_terminal().receipt(&th1234, &loaded).as_slice(), receipt);
    assert!(schedule.receipt_terminal().acknowledges(&th1234, &loaded, &receipt));
    assert!(!schedule.receipt_terminal().acknowledges(&th1234, &[], &receipt));
    let other = [LoadedKey { index: 4, ..loaded[0] }];
    assert!(!schedule.receipt_terminal().acknowledges(&th1234, &other, &receipt), "another slot");
    let all = th(b'A', &[&m1, &m2, &m3, &m4, &m5]);
    assert_eq!(hex(&schedule.receipt_server().receipt(&all, &loaded)), text(&v, "receipt_s"));
    assert!(schedule.receipt_server().acknowledges(&all, &loaded, &bytes(&v, "receipt_s")));
}

#[test]
fn a_collected_tk_opens_and_its_signature_verifies() {
    let v = flow("collect");
    let (collect, collected) = (bytes(&v, "collect"), bytes(&v, "collected_without_df16"));
    let kms = agreement(text(&v, "kms_scalar"));
    let info = CollectInfo::new(&frame(&collect), "SN-1001", "SN-1001", 5);
    assert_eq!(hex(info.as_bytes()), text(&v, "info_hash"));
    let df09 = bytes(&v, "df09");
    assert_eq!(df09.len(), TK_CIPHERTEXT);
    let tk = Tk::open(&kms, &info, &df09).unwrap();
    let download = flow("download");
    assert_eq!(hex(tk.tek().expose()), text(&download, "tek"));
    assert_eq!(hex(tk.auk().expose()), text(&download, "auk"));
    let again = Tk::open(&kms, &info, &tk.seal(&point(&kms), &info).unwrap()).unwrap();
    assert_eq!(again.auk().expose(), tk.auk().expose());
    for other in [
        CollectInfo::new(&frame(&collect), "SN-1001", "SN-1001", 6),
        CollectInfo::new(&frame(&collect), "SN-1002", "SN-1001", 5),
        CollectInfo::new(&frame(&collect), "SN-1001", "PP-1", 5),
        CollectInfo::new(&collect, "SN-1001", "SN-1001", 5),
    ] {
        assert_eq!(Tk::open(&kms, &other, &df09).err(), Some(Error::Open));
    }
    assert_eq!(Tk::open(&kms, &info, &[df09.as_slice(), &[0]].concat()).err(), Some(Error::Open));

    let th = th(b'K', &[&collect, &collected]);
    assert_eq!(hex(&th), text(&v, "th"));
    let device = SigningKey::from_scalar(&scalar(text(&v, "device_scalar"))).unwrap();
    let public = VerifyingKey::from_spki(&device.spki_der()).unwrap();
    assert!(public.verifies_transcript(&th, &bytes(&v, "df16")));
    let transcript = [b"KF2K".to_vec(), frame(&collect), frame(&collected)].concat();
    assert!(public.verifies(&transcript, &bytes(&v, "df16")), "over the transcript string itself");
    assert!(!public.verifies(&th, &bytes(&v, "df16")), "TH is not hashed again");
    assert!(public.verifies_transcript(&th, &device.sign_transcript(&th).unwrap()));
    assert!(public.verifies_transcript(&th, &device.sign(&transcript).unwrap()));
}

#[test]
fn dik2_is_derived_as_worked_out() {
    let v = flow("flow_c");
    let dik1 = Dik1::from_bytes(&array(&v, "dik1"));
    let (dsn, factor) = (text(&v, "dsn"), bytes(&v, "factor"));
    assert_eq!(hex(derive_dik2(&dik1, dsn, &factor).unwrap().expose()), text(&v, "dik2"));
    // The lengths keep serial and factor apart.
    let (left, right) = (derive_dik2(&dik1, "AB", b"C").unwrap(), derive_dik2(&dik1, "A", b"BC").unwrap());
    assert_ne!(left.expose(), right.expose());
    assert!(derive_dik2(&dik1, &"x".repeat(32), &[0; 32]).is_ok());
    for (dsn, factor) in [("", &[1][..]), ("A", &[]), ("A", &[0; 33])] {
        assert_eq!(derive_dik2(&dik1, dsn, factor).err(), Some(Error::Diversification));
    }
    assert_eq!(derive_dik2(&dik1, &"x".repeat(33), &[1]).err(), Some(Error::Diversification));
}

#[test]
fn a_factor_opens_only_in_its_own_conversation() {
    let (device, rks) = (AgreementKey::generate().unwrap(), AgreementKey::generate().unwrap());
    let z = || device.agree(&point(&rks)).unwrap();
    let (ours, theirs) = ([1; 32], [2; 32]);
    let nonces = Nonces { opener: &ours, answerer: &theirs };
    let sealed = FactorKey::derive(&z(), &nonces, &[3; 32]).seal(b"KLD-7/20261120/B042").unwrap();
    let key = |nonces: &Nonces<'_>, th12| FactorKey::derive(&z(), nonces, &th12);
    assert_eq!(key(&nonces, [3; 32]).open(&sealed).unwrap().as_slice(), b"KLD-7/20261120/B042");
    assert_eq!(key(&nonces, [4; 32]).open(&sealed).err(), Some(Error::Open));
    let swapped = Nonces { opener: &theirs, answerer: &ours };
    assert_eq!(key(&swapped, [3; 32]).open(&sealed).err(), Some(Error::Open));
}

/// `E(AES)` check values and CMAC under the types of this suite are those of the primitives.
#[test]
fn check_values_are_five_bytes_of_cmac() {
    let all = vectors("external/kcv.json");
    let row = rows(&all["cases"])
        .iter()
        .find(|row| text(row, "key").len() == 32 && text(row, "kcv").len() == 10)
        .unwrap();
    assert_eq!(hex(&Tmk::from_bytes(&array(row, "key")).kcv()), text(row, "kcv"));
    let key = [0x5A; 32];
    assert_eq!(Dik1::from_bytes(&key).kcv(), AesKey::from_bytes(&key).unwrap().kcv());
    let mak = Mak::from_bytes(&[7; 16]);
    let tag = mac::cmac_aes(&AesKey::from_bytes(&[7; 16]).unwrap(), b"OK");
    assert_eq!(mak.mac(b"OK"), tag);
    assert!(mak.verifies(b"OK", &tag) && !mak.verifies(b"OK", &tag[..15]) && !mak.verifies(b"KO", &tag));
}
