//! The tester's keys and certificates of suite 02, the terminal that believes them, and what he says.

use std::sync::LazyLock;

use flows::device_certificate::DevicePad;
use paycrypto::ec::{AgreementKey, CollectInfo, Tk};
use pki::{Certificate, Role, Scheme, Signer};
use terminal::{NewTerminal, Terminal, TrustedRoot, collect};
use wire::Frame;

use crate::support::{
    ec::{CONFIRMATION, EcKey, NONCE, RECEIPT, SIGNATURE, Side, random},
    estate::{ESTATE, name},
    kms_ec::{COUNTER, KMS_EC},
    rks_ec::RKS_EC,
    tlv::{self, Message, field, frame},
    tms as e,
};

pub(crate) const SN: &str = "SN-1001";
/// The one slot of each flow: no flow fills another's.
pub(crate) const SLOT_A: u8 = 1;
pub(crate) const SLOT_B: u8 = 3;
pub(crate) const SLOT_C: u8 = 5;
pub(crate) const SLOT_E: u8 = 7;

pub(crate) const KLD_CONNECT: u8 = 0x21;
pub(crate) const KLD_ACCEPT: u8 = 0x22;
pub(crate) const KLD_KEY: u8 = 0x23;

/// S_DATA of a TMS whose random number and clock stand still.
pub(crate) const S_DATA: [u8; 10] = [0xCA, 0xFE, 0xF0, 0x0D, 0x26, 0x11, 0x20, 0x12, 0x34, 0x57];

/// The tester's own key; the acquirer's root of suite 02 certifies it for whatever role he needs.
pub(crate) static PEER: LazyLock<EcKey> = LazyLock::new(EcKey::new);

pub(crate) fn certificate(role: Role) -> Certificate {
    RKS_EC.issue(role, &name("Tester"), PEER.spki_der())
}

/// What a terminal is made from that believes both suites' roots for every role, and has nothing yet.
pub(crate) fn new_terminal() -> NewTerminal {
    let root = |certificate: &Certificate, roles: &[Role]| TrustedRoot {
        certificate: certificate.clone(),
        roles: roles.to_vec(),
    };
    NewTerminal {
        roots: vec![
            root(&RKS_EC.root, &Role::ALL),
            root(&KMS_EC.root, &Role::ALL),
            root(&ESTATE.root, &Role::SUITE_01),
        ],
        vendor: Some(e::VENDOR.parse().unwrap()),
        model: Some(e::MODEL.parse().unwrap()),
        ..NewTerminal::named(SN.parse().unwrap())
    }
}

/// The same, with its device key certified by the KMS's root.
pub(crate) fn terminal() -> Terminal {
    certified(new_terminal())
}

/// A terminal made from this, with its device certificate.
pub(crate) fn certified(new: NewTerminal) -> Terminal {
    let mut terminal = Terminal::in_memory(new).unwrap();
    certify(&mut terminal);
    terminal
}

/// Gives a terminal its device certificate.
pub(crate) fn certify(terminal: &mut Terminal) {
    let request = terminal.pad_mut().device_request().unwrap();
    let request = pki::csr::parse_and_verify(&request).unwrap();
    let device = KMS_EC.certify_spki(Role::Device, SN, &request.spki);
    terminal.pad_mut().install_device_certificate(device.der(), &[]).unwrap();
}

/// The tester's own agreement key, certified as the KMS's.
static AGREEMENT: LazyLock<AgreementKey> = LazyLock::new(|| AgreementKey::generate().unwrap());

/// COLLECT of suite 02 with this certificate and nonce.
pub(crate) fn collect_frame(certificate: &Certificate, nonce: &[u8; 32]) -> Frame {
    let fields = [field(tlv::SUITE, &[2]), field(tlv::CERTIFICATE, certificate.der()), field(NONCE, nonce)];
    Frame::from_payload(&[&[1, tlv::COLLECT][..], &fields.concat()].concat()).unwrap()
}

/// The tester's certificate as a KMS.
pub(crate) fn kms() -> Certificate {
    RKS_EC.issue(Role::KmsWork, &name("Tester"), &AGREEMENT.spki_der())
}

/// Collects the terminal for the tester's key: TEK and AUK.
pub(crate) fn collected(terminal: &mut Terminal) -> [[u8; 32]; 2] {
    let collect = collect_frame(&kms(), &random());
    let answer = collect::answer(terminal, &collect).unwrap();
    opened(&collect, &Message::read(answer.frame.bytes()))
}

/// TEK and AUK of an answer to this COLLECT.
pub(crate) fn opened(collect: &Frame, collected: &Message) -> [[u8; 32]; 2] {
    let generation = u64::from_be_bytes(collected.get(COUNTER).try_into().unwrap());
    let info = CollectInfo::new(collect.bytes(), SN, SN, generation);
    let tk = Tk::open(&AGREEMENT, &info, collected.get(tlv::CTK_PU)).unwrap();
    [*tk.tek().expose(), *tk.auk().expose()]
}

pub(crate) fn place(index: u8) -> String {
    format!("{SN}/{index:02}")
}

/// DF0C and this side's DF13 and DF14.
pub(crate) fn opening(certificate: &Certificate, side: &Side) -> Vec<u8> {
    [field(tlv::CERTIFICATE, certificate.der()), side.fields()].concat()
}

/// A message with DF16 where it belongs: before FF21 and DF23, behind DF14.
pub(crate) fn signed(kind: u8, before: &[u8], after: &[u8], letter: u8, said: &[u8]) -> Vec<u8> {
    let bare = frame(kind, &[before, after].concat());
    let over = [b"KF2", &[letter][..], said, &bare].concat();
    let signature = PEER.sign(Scheme::EcdsaP256Sha256, &over).unwrap();
    frame(kind, &[before, &field(SIGNATURE, &signature), after].concat())
}

/// TMS_CHALLENGE, with its DF15 or without.
pub(crate) fn challenge(side: &Side, mac: Option<[u8; 32]>) -> Vec<u8> {
    let fields = [
        field(tlv::SN, SN.as_bytes()),
        side.fields(),
        mac.map(|mac| field(CONFIRMATION, &mac)).unwrap_or_default(),
        field(e::VENDOR_ID, e::VENDOR.as_bytes()),
        field(e::MODEL_ID, e::MODEL.as_bytes()),
        field(e::TMS_VERSION, b"01.00"),
        field(e::S_DATA, &S_DATA),
        field(e::DWK_MODE, &[2]),
        field(e::STAGE, &[2]),
        field(e::SRC, b"00"),
    ];
    frame(e::CHALLENGE, &fields.concat())
}

/// TMS_KEY of transaction 0001, with its DF17 or without.
pub(crate) fn tms_key(receipt: Option<[u8; 32]>, tmk: &str) -> Vec<u8> {
    let fields = [
        field(tlv::SN, SN.as_bytes()),
        receipt.map(|receipt| field(RECEIPT, &receipt)).unwrap_or_default(),
        field(e::VENDOR_ID, e::VENDOR.as_bytes()),
        field(e::MODEL_ID, e::MODEL.as_bytes()),
        field(e::TMS_VERSION, b"01.00"),
        field(e::TRANSACTION, b"0001"),
        field(e::STAGE, &[4]),
        field(e::SRC, b"00"),
        field(tlv::KEY_ENTRY, &field(tlv::KEY_BLOCK, tmk.as_bytes())),
    ];
    frame(e::TMS_KEY, &fields.concat())
}

/// The check values of the terminal's slots, to see that nothing has changed.
pub(crate) fn held(terminal: &Terminal) -> Vec<(u8, String)> {
    let slots = terminal.status().slots;
    slots.into_iter().map(|held| (held.slot, held.kcv)).collect()
}
