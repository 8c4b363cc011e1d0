//! The same client in suite 02: against bytes, with the messages of the sealed phase.

use std::os::unix::net::UnixStream;
use std::thread::{self, JoinHandle};

use flows::EcAes;
use flows::tms_download::messages::Plan;
use flows::tms_download::tms::Request;
use paycrypto::ec::keys::{Dmk, Tmk};
use wire::{Frame, Kcv, PackageKind, PlanEntry};

use super::*;
use crate::testing::peers::{frame, tlv, value};
use crate::testing::session_peers_ec::EcTms;
use crate::testing::slot;
use crate::{Link, PinPad, Stream};

const DMK: [u8; 32] = [0x5D; 32];

fn managed() -> Terminal {
    let (mut terminal, _) = estate().full_terminal();
    terminal.pad_mut().give_ec_dmk(Dmk::from_bytes(&DMK));
    terminal
}

fn tmk() -> Tmk {
    Tmk::from_bytes(&std::array::from_fn(|at| u8::try_from(at * 11 + 5).unwrap()))
}

/// The handshake up to TMS_PROOF.
fn proven<S: Stream>(link: &mut Link<S>) -> EcTms {
    let mut tms = EcTms::new(&DMK);
    let hello = link.receive().unwrap();
    link.send(&tms.challenge(&hello)).unwrap();
    let proof = link.receive().unwrap();
    let confirmation: [u8; 32] = value(&proof, 0xDF15).try_into().unwrap();
    assert_eq!(tms.proof(&confirmation, &[]), proof, "TMS_PROOF");
    tms
}

/// A TMS that offers one package, in one session. Gives how many questions it heard.
fn serve(mut link: Link<UnixStream>, entry: &PlanEntry, content: &[u8]) -> usize {
    let mut tms = proven(&mut link);
    let key = tms.key(None);
    link.send(&key).unwrap();
    let (mut sealer, mut opener) = tms.seal();
    let mut installed = false;
    let mut questions = 0;
    while let Ok(question) = link.receive() {
        let inner = opener.open(&value(&question, 0xDF4A)).unwrap();
        let answer = match Request::read::<EcAes>(&inner).unwrap() {
            Request::Inventory(inventory) => {
                let entries = if installed { vec![] } else { vec![entry.clone()] };
                inventory.answer(&Plan { entries, more: false }).unwrap()
            }
            Request::Get(get) => {
                let size = u64::try_from(content.len()).unwrap();
                let from = usize::try_from(get.offset).unwrap();
                let length = usize::try_from(get.length(size).unwrap()).unwrap();
                get.answer(size, content[from..from + length].to_vec()).unwrap()
            }
            Request::Report(report) => {
                installed = report.good;
                report.answer().unwrap()
            }
        };
        link.send(&frame(0x3F, &[tlv(0xDF4A, &sealer.seal(&answer).unwrap())])).unwrap();
        questions += 1;
    }
    questions
}

fn pair() -> (Link<UnixStream>, Link<UnixStream>) {
    let (near, far) = UnixStream::pair().unwrap();
    (Link::new(near), Link::new(far))
}

fn key_server(
    mut far: Link<UnixStream>,
    done: impl FnOnce(&EcTms) -> Frame + Send + 'static,
) -> JoinHandle<()> {
    thread::spawn(move || {
        let mut tms = proven(&mut far);
        let block = tms.tmk_block(&tmk(), "SN-1001/03", 1);
        let key = tms.key(Some(&block));
        far.send(&key).unwrap();
        let confirm = far.receive().unwrap();
        let receipt: [u8; 32] = value(&confirm, 0xDF17).try_into().unwrap();
        assert_eq!(tms.confirm(&receipt, 3, &tmk()), confirm, "KEY_CONFIRM");
        far.send(&done(&tms)).unwrap();
        // What a terminal that refuses says.
        let _ = far.receive();
    })
}

#[test]
fn an_update_is_fetched_installed_and_reported_in_one_session() {
    let mut terminal = managed();
    let mut areas = Areas::in_memory().unwrap();
    let (entry, content) = package("app", "1.0.0", PackageKind::Application);
    let id = entry.manifest.id.clone();
    let (near, far) = pair();
    let thread = thread::spawn(move || serve(far, &entry, &content));
    let mut links = vec![near];
    let updated =
        update(&mut terminal, &mut areas, &mut || Ok(links.pop().unwrap()), UpdateOptions::default())
            .unwrap();
    assert_eq!((updated.installed, updated.sessions), (vec![id], 1));
    assert!(updated.refused.is_empty());
    assert!(thread.join().unwrap() >= 3, "inventory, at least one piece, report");
    assert_eq!(terminal.pad().tms_suite(), wire::Suite::EC_AES);
}

#[test]
fn a_tmk_is_loaded_and_confirmed_by_receipts() {
    let mut terminal = managed();
    let (near, far) = pair();
    let thread = key_server(far, |tms| tms.done(3, &tmk()));
    let (loaded, link) = load_key(&mut terminal, near, slot(3), None).unwrap();
    assert_eq!(loaded, LoadedKey { slot: slot(3), kcv: Kcv::Aes(tmk().kcv()) });
    link.close();
    thread.join().unwrap();
    let status = terminal.pad().slots().into_iter().find(|status| status.slot == slot(3)).unwrap();
    assert!(status.done && status.kcv == Kcv::Aes(tmk().kcv()));
}

/// It holds the new key, as its KEY_CONFIRM said, but is not finished with it.
#[test]
fn a_done_without_its_receipt_is_told_and_the_key_stays_unfinished() {
    let mut terminal = managed();
    let (near, far) = pair();
    let thread = key_server(far, |_| crate::testing::peers::done());
    let error = load_key(&mut terminal, near, slot(3), None).unwrap_err();
    assert!(matches!(&error, TmsError::Session(_)), "{error}");
    thread.join().unwrap();
    let status = terminal.pad().slots().into_iter().find(|status| status.slot == slot(3)).unwrap();
    assert!(!status.done);
}
