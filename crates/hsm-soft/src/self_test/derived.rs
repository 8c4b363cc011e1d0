//! Known answers of hashes, derivations and what the flows build of them.

use argon2::{Algorithm, Argon2, AssociatedData, ParamsBuilder, Version};
use aws_lc_rs::pbkdf2;
use paycrypto::{
    TdesKey, derive, digest,
    ec::{
        self, FrameServer, FrameTerminal, Nonces, Schedule, SharedSecret, StaticSecret, Tk, keys as ec_keys,
    },
    keys::{Dwk, SessionKey},
    operator::Verifier,
    seal::{self, Direction},
};

use super::{KnownAnswer, unhex};

pub(super) const TESTS: &[KnownAnswer] = &[
    KnownAnswer { name: "SHA-256", answer: sha_256, known: ABC },
    KnownAnswer { name: "HMAC-SHA-256", answer: hmac, known: JEFE },
    KnownAnswer { name: "HKDF-SHA-256", answer: hkdf, known: MAC_S },
    KnownAnswer { name: "PBKDF2", answer: pbkdf2, known: PASSWD },
    KnownAnswer { name: "Argon2id", answer: argon2id, known: ARGON2ID },
    KnownAnswer { name: "DIK2", answer: dik2, known: DIK2 },
    KnownAnswer { name: "DIK2 of suite 02", answer: dik2_ec, known: DIK2_EC },
    KnownAnswer { name: "sealed messages", answer: sealed_message, known: "DE45D46C0137DF41" },
    KnownAnswer { name: "sealed messages of suite 02", answer: frame, known: FRAME },
    KnownAnswer { name: "operator proof", answer: operator_proof, known: PROOF },
];

/// FIPS 180-4, the digest of "abc".
const ABC: &str = "BA7816BF8F01CFEA414140DE5DAE2223B00361A396177A9CB410FF61F20015AD";

fn sha_256() -> Option<Vec<u8>> {
    Some(digest::sha256(b"abc").to_vec())
}

/// RFC 4231, test case 2.
const JEFE: &str = "5BDCC146BF60754E6A042426089575C75A003F089D2739839DEC58B964EC3843";

fn hmac() -> Option<Vec<u8>> {
    Some(digest::hmac_sha256(b"Jefe", b"what do ya want for nothing?").to_vec())
}

/// `vectors/ec-suite.json`, download: PRK (extract), and DF15 of TK_CHALLENGE, made with K(server) (expand).
const MAC_S: &str = "\
    8FBFFFA8B59B6D17B2958F3B74AB28F830659676F8EC984537D3143A4DE323B7\
    60301019A8094116A0684C2FD3B242FF188D4E682B1506FA4C3E637E1A49B3AC";

fn hkdf() -> Option<Vec<u8>> {
    let bytes = |text| unhex(text)?.try_into().ok();
    let tek = bytes("EC22019B737FBAD759251F2766D36889D06FDA044236B326AE9E358EA2F3ED00")?;
    let auk = bytes("B22A4AA3B70FEA26FA945C7858EB9E2837C4A2D21D1547A9934363FF92FFA4D8")?;
    let z = bytes("19CFBCAA5B6F16B6D0D45634ACD7AAA05B764A17E520771158A8DB8688BA1F87")?;
    let opener = bytes("93797144B3D31E8897A3920DDDAE96B83248C3E6DA896F32E8AC4EC97BF46621")?;
    let answerer = bytes("7BFBA6E0021F1FD1183DFEFE60216F13140365788780F2A26FD8FC1F08B2AA2C")?;
    let th12 = bytes("1B14631A368FFEBE817007333F9B528EAA2446E65785AF01F7056A9C77FD9082")?;
    let tk = Tk::from_keys(ec_keys::Tek::from_bytes(&tek), ec_keys::Auk::from_bytes(&auk)).ok()?;
    let nonces = Nonces { opener: &opener, answerer: &answerer };
    let secret = StaticSecret::TmkDownload(&tk);
    let schedule = Schedule::new(&secret, &SharedSecret::from_bytes(&z), &nonces, &th12);
    // The flow's letter stands before PRK, TH behind it.
    let kept = schedule.keep();
    let prk = kept.get(1..33)?;
    Some([prk, &schedule.server_confirm().confirm(&th12)].concat())
}

/// RFC 7914 section 11: "passwd", "salt", one iteration.
const PASSWD: &str = "\
    55AC046E56E3089FEC1691C22544B605F94185216DDE0465E68B9D57C20DACBC\
    49CA9CCCF179B645991664B39D77EF317C71B845B1E30BD509112041D3A19783";

fn pbkdf2() -> Option<Vec<u8>> {
    let mut out = vec![0; 64];
    let once = 1.try_into().ok()?;
    pbkdf2::derive(pbkdf2::PBKDF2_HMAC_SHA256, once, b"salt", b"passwd", &mut out);
    Some(out)
}

/// RFC 9106 section 5.3.
const ARGON2ID: &str = "0D640DF58D78766C08C037A34A8B53C9D01EF0452D75B65EB52520E96B01E659";

fn argon2id() -> Option<Vec<u8>> {
    let mut params = ParamsBuilder::new();
    params.m_cost(32).t_cost(3).p_cost(4).output_len(32).data(AssociatedData::new(&[4; 12]).ok()?);
    let (params, secret) = (params.build().ok()?, [3; 8]);
    let argon2 = Argon2::new_with_secret(&secret, Algorithm::Argon2id, Version::V0x13, params).ok()?;
    let mut out = vec![0; 32];
    argon2.hash_password_into(&[1; 32], &[2; 16], &mut out).ok()?;
    Some(out)
}

/// `vectors/tdes-suite.json`, flow_c.
const DIK2: &str = "0FE2096FE1FC3C8A77927F1C054A17B812FBABD93301F342";
/// DSN and factor of both suites' worked values.
const DSN: &str = "N7-00012345";
const FACTOR: &[u8] = b"KLD-7/20261120/B042";

fn dik2() -> Option<Vec<u8>> {
    let dik1 = TdesKey::from_bytes(&unhex("F66E0FCFFC6BDB24D83ABE4AE5275182F89D687A2A6CC904")?).ok()?;
    derive::derive_dik2(&dik1, DSN, FACTOR).ok().map(|key| key.expose().to_vec())
}

/// `vectors/ec-suite.json`, flow_c.
const DIK2_EC: &str = "0A7528F85B78096072CA30168EC99C9D1CA776827F802133CC1BC9B80FFDF0F6";

fn dik2_ec() -> Option<Vec<u8>> {
    let dik1 = unhex("D5C0C81B9F72B6493C9CCBA4886160BF780BCD3FD15B87E03CECA641E79ACA6C")?;
    let dik1 = ec_keys::Dik1::from_bytes(&dik1.try_into().ok()?);
    ec::derive_dik2(&dik1, DSN, FACTOR).ok().map(|key| key.expose().to_vec())
}

/// `vectors/tdes-suite.json`, flow_e: the session's DWK.
const DWK: &str = "29ADB10692603DE2E1F1DBB2602F7C795AD5E2FC0C371A53";
const T_DATA: [u8; 10] = [0x5E, 0xAD, 0xBE, 0xEF, 0x26, 0x11, 0x20, 0x12, 0x34, 0x56];
const S_DATA: [u8; 10] = [0xCA, 0xFE, 0xF0, 0x0D, 0x26, 0x11, 0x20, 0x12, 0x34, 0x57];

fn dwk() -> Option<Dwk> {
    TdesKey::from_bytes(&unhex(DWK)?).and_then(Dwk::from_key).ok()
}

/// `vectors/tdes-suite.json`, flow_e: TAC_1, and the first bytes of a sealed message. Not as another number.
fn sealed_message() -> Option<Vec<u8>> {
    const SESSION: &str = "D0AB1504C2ADE69C8F96DB79F7D3C3EFC5A30BD1EE1DCD5A";
    const SEALED: &str = "\
        0001020304050607260CD0E55D0EAA0C0518B33EA70F76420DA3B27F794019C5\
        BCA35D6D1D466EBA454EA0C8456F4C5E00C5A5A74655B169";
    let dwk = dwk()?;
    let key = TdesKey::from_bytes(&unhex(SESSION)?).and_then(SessionKey::from_key).ok()?;
    let sealed = unhex(SEALED)?;
    let open = |number| seal::open(&key, &dwk, Direction::FromTerminal, number, &sealed);
    let opened = open(0).ok()?;
    open(1).is_err().then(|| [&dwk.mac(&T_DATA), opened.get(..4).unwrap_or_default()].concat())
}

/// `vectors/ec-suite.json`, frame: the terminal's first message. Not as the server's, and not as another number.
const FRAME: &str = "83D846282DAA0CF5E56573ADB611DB9B3FB0";

fn frame() -> Option<Vec<u8>> {
    const KEY: &str = "9A74D2347682EA910FB8139C7DFD92D192AE006651C4BE30E5B4F9B0BAD490CB";
    let key = unhex(KEY)?.try_into().ok()?;
    let sealed = FrameTerminal::from_bytes(&key).sealing(0).ok()?.seal(&unhex("0135")?).ok()?;
    let turned = FrameServer::from_bytes(&key).opening(0).ok()?.open(&sealed);
    let moved = FrameTerminal::from_bytes(&key).opening(1).ok()?.open(&sealed);
    let opens = FrameTerminal::from_bytes(&key).opening(0).ok()?.open(&sealed).is_ok();
    (opens && turned.is_err() && moved.is_err()).then_some(sealed)
}

/// `vectors/tdes-suite.json`, flow_e: the operator's proof. P, 600 000 rounds from his password, was worked out with
/// Python's `hashlib`: deriving it here would double the time of a start.
const PROOF: &str = "3ADA779F4D4DA19EE20359AF36FA204A5EFBB4AE41D6CE7A728F2D5472A218F9";

fn operator_proof() -> Option<Vec<u8>> {
    const P: &str = "6AE2720548C0BCA51E2C1DE2437EBA2C40759AAD53D154603987C6E088236B1A";
    let verifier = Verifier::from_bytes(&unhex(P)?.try_into().ok()?);
    Some(verifier.proof(&dwk()?, &T_DATA, &S_DATA).to_vec())
}
