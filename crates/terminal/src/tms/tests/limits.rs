//! The session key's limit, plans without end, and a TMS without time.

use flows::tms_download::sealed::MAX_SEALED_BLOCKS;
use wire::ErrorCode;

use super::server::Answer;
use super::*;

/// 20 MiB need three session keys of 8 MiB each. The TMS's own count and the PIN pad's refuse one block too many.
#[test]
fn a_file_of_20_mib_takes_three_sessions_and_no_byte_twice() {
    let (mut terminal, tms) = terminal();
    let folder = tempfile::tempdir().unwrap();
    let mut areas = Areas::in_folder(folder.path()).unwrap();
    let content: Vec<u8> = (0..20_u32 << 20).map(|n| u8::try_from(n % 251).unwrap()).collect();
    let big = manifest("big", "1.0.0", PackageKind::DataFile, &content);
    tms.offer(entry(&big), &content);
    let updated =
        update(&mut terminal, &mut areas, &mut tms.connect(None), UpdateOptions::default()).unwrap();
    assert_eq!((updated.sessions, updated.bytes), (3, 20 << 20));
    let heard = tms.heard();
    let mut expected = 0;
    for (get, _) in &heard.gets {
        assert_eq!(get.offset, expected);
        expected += u64::from(get.wanted);
    }
    assert_eq!(heard.gets.len(), 20 << 5, "32 KiB at a time");
    for session in 1..=3 {
        let bytes = heard.gets.iter().filter(|(_, of)| *of == session).count() << 15;
        assert!(bytes as u64 / 8 <= MAX_SEALED_BLOCKS);
    }
    assert_eq!(areas.running().length(&name("big")).unwrap(), 20 << 20);
}

#[test]
fn more_is_asked_for_after_loading() {
    let (mut terminal, tms) = terminal();
    let mut areas = Areas::in_memory().unwrap();
    offer_all(&tms, "1.0.0");
    // The schema comes in the third plan, its parameters in the fourth.
    tms.conduct().entries = 1;
    let updated = run(&mut terminal, &mut areas, &tms).unwrap();
    assert_eq!((updated.installed.len(), updated.sessions), (4, 1));
    assert_eq!(version(areas.running()).as_deref(), Some("1.0.0"));
    assert_eq!(tms.heard().reports.len(), 4);
}

#[test]
fn more_without_anything_that_can_be_installed_ends() {
    let (mut terminal, tms) = terminal();
    let mut areas = Areas::in_memory().unwrap();
    let (mut bad, content) = package("bad", "1.0.0", PackageKind::DataFile);
    bad.signature.signature[0] ^= 1;
    tms.offer(bad, &content);
    tms.conduct().more = usize::MAX;
    let updated = run(&mut terminal, &mut areas, &tms).unwrap();
    assert_eq!(updated.refused.len(), 1);
    assert_eq!(tms.heard().inventories.len(), 1);
}

#[test]
fn a_session_that_the_tms_ends_early_is_renewed_at_the_same_offset() {
    let (mut terminal, tms) = terminal();
    let mut areas = Areas::in_memory().unwrap();
    offer_all(&tms, "1.0.0");
    let mut ended = false;
    tms.conduct().on_data = Some(Box::new(move |get, data| {
        if get.offset == 256 && !std::mem::replace(&mut ended, true) {
            return Answer::Error(ErrorCode::Busy);
        }
        Answer::Data(data)
    }));
    let updated = run(&mut terminal, &mut areas, &tms).unwrap();
    assert_eq!((updated.sessions, updated.installed.len()), (2, 4));
    let heard = tms.heard();
    assert_eq!(heard.gets[1].0, heard.gets[2].0);
    assert_eq!((heard.gets[1].1, heard.gets[2].1), (1, 2));
}

#[test]
fn a_tms_that_is_always_busy_is_left_and_asked_again_later() {
    let (mut terminal, tms) = terminal();
    let mut areas = Areas::in_memory().unwrap();
    offer_all(&tms, "1.0.0");
    tms.conduct().on_data = Some(Box::new(|get, data| match get.offset {
        0 => Answer::Data(data),
        _ => Answer::Error(ErrorCode::Busy),
    }));
    let error = run(&mut terminal, &mut areas, &tms).unwrap_err();
    assert!(matches!(error, TmsError::Busy), "{error}");
    assert!(tms.heard().hellos <= 3);
    tms.conduct().on_data = None;
    run(&mut terminal, &mut areas, &tms).unwrap();
    assert_eq!(version(areas.running()).as_deref(), Some("1.0.0"));
}

#[test]
fn a_status_with_many_refusals_fits_its_field() {
    let (mut terminal, tms) = terminal();
    let mut areas = Areas::in_memory().unwrap();
    for number in 0..24 {
        let (mut bad, content) = package(&format!("{number:0>60}"), "1.0.0", PackageKind::DataFile);
        bad.signature.signature[0] ^= 1;
        tms.offer(bad, &content);
    }
    let updated = run(&mut terminal, &mut areas, &tms).unwrap();
    assert_eq!(updated.refused.len(), 24);
    let heard = tms.heard();
    let status: serde_json::Value = serde_json::from_str(heard.reports[0].status.as_ref().unwrap()).unwrap();
    let named = status["refused"].as_array().unwrap().len();
    assert!(named > 10 && named < 24, "{named}");
    assert_eq!(status["more_refused"], 24 - named);
}
