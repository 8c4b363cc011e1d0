//! Power cuts and full disks: the old key or the new one, never none.

use flows::tmk_download::{DownloadPad, PadRefusal};
use paycrypto::keys::Tmk;
use wire::{ErrorCode, Kcv};

use super::{assert_only, challenged, key_frame};
use crate::testing::{Shared, estate, slot};
use crate::{PinPad, Terminal};

#[test]
fn power_cut_after_each_step_leaves_the_old_key_or_the_new_one() {
    for cut in 0..=4 {
        let folder = tempfile::tempdir().unwrap();
        let mut terminal = Terminal::new(folder.path(), estate().new_terminal()).unwrap();
        let kms = estate().collected(&mut terminal);
        let old = kms.load(&mut terminal, slot(3), &Tmk::generate().unwrap()).unwrap();
        let tmk = Tmk::generate().unwrap();
        let new = Kcv::Tdes(tmk.kcv());

        if cut >= 3 {
            let (confirm, state, kms_state) = kms.load_to_confirm(&mut terminal, slot(3), &tmk).unwrap();
            if cut == 4 {
                let done = kms.done(kms_state, &confirm).unwrap();
                state.on_frame(terminal.pad_mut(), &done).unwrap();
            }
        } else if cut == 2 {
            challenged(&mut terminal, &kms, 3);
        } else if cut == 1 {
            DownloadPad::<flows::Tdes>::start(terminal.pad_mut(), slot(3)).unwrap();
        }
        drop(terminal);

        let mut terminal = Terminal::open(folder.path()).unwrap();
        let slots = terminal.pad().slots();
        let expected = if cut >= 3 { (new, Some(old), cut == 4) } else { (old, None, true) };
        assert_eq!((slots[0].kcv, slots[0].previous, slots[0].done), expected, "cut {cut}");
        // The KMS sends the pending key again, and then both ends have it.
        assert_eq!(kms.load(&mut terminal, slot(3), &tmk).unwrap(), new);
        assert_eq!(terminal.pad().slots()[0].previous, Some(old), "cut {cut}");
    }
}

#[test]
fn power_cut_ends_an_open_download() {
    let disk = Shared::new();
    let mut terminal = Terminal::new_in(disk.clone(), estate().new_terminal()).unwrap();
    let kms = estate().collected(&mut terminal);
    let said = challenged(&mut terminal, &kms, 3);
    let key = key_frame(&kms, &Tmk::generate().unwrap(), "SN-1001/03", &said);
    drop(terminal);
    let mut terminal = Terminal::open_from(disk).unwrap();
    assert!(matches!(
        DownloadPad::<flows::Tdes>::key(terminal.pad_mut(), &said.reply, &key),
        Err(PadRefusal::NotPermitted { .. })
    ));
}

#[test]
fn full_disk_is_told_before_anything_leaves_and_the_old_key_stays() {
    let disk = Shared::new();
    let mut terminal = Terminal::new_in(disk.clone(), estate().new_terminal()).unwrap();
    let kms = estate().collected(&mut terminal);
    let kcv = kms.load(&mut terminal, slot(3), &Tmk::generate().unwrap()).unwrap();
    let said = challenged(&mut terminal, &kms, 3);
    let key = key_frame(&kms, &Tmk::generate().unwrap(), "SN-1001/03", &said);
    disk.full_after(0);
    let refusal = DownloadPad::<flows::Tdes>::key(terminal.pad_mut(), &said.reply, &key).unwrap_err();
    assert!(matches!(refusal, PadRefusal::Failed { .. }), "{refusal}");
    assert_only(&terminal, kcv);
    // With room again everything goes on.
    disk.full_after(usize::MAX);
    kms.load(&mut terminal, slot(3), &Tmk::generate().unwrap()).unwrap();
}

#[test]
fn full_disk_while_collecting_gives_nothing_out() {
    let disk = Shared::new();
    let mut terminal = Terminal::new_in(disk.clone(), estate().new_terminal()).unwrap();
    disk.full_after(0);
    let refusal = crate::collect::answer(&mut terminal, &estate().collect()).unwrap_err();
    assert_eq!(refusal.fault.code, ErrorCode::Internal);
    assert_eq!(terminal.pad().latch(), None);
    assert!(!terminal.pad().state.has_tk());
}
