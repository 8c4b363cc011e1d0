//! Cut lines, replayed frames, power cuts and full disks.

use flows::tms_session::SealPad as _;
use wire::ErrorCode;

use super::server::Answer;
use super::*;
use crate::area::PackageStorage as _;
use crate::area::Room;
use crate::area::tests::disk::{Disk, Survives};

#[test]
fn a_line_cut_after_every_frame_leaves_what_ran_and_goes_on() {
    let mut frames = None;
    for cut in 1_u64.. {
        let (mut terminal, tms) = terminal();
        let mut areas = Areas::in_memory().unwrap();
        offer_all(&tms, "1.0.0");
        run(&mut terminal, &mut areas, &tms).unwrap();
        offer_all(&tms, "2.0.0");
        let already = tms.heard().gets.len();
        let options = UpdateOptions { cut_after: Some(cut), ..UpdateOptions::default() };
        match update(&mut terminal, &mut areas, &mut tms.connect(SLOW), options) {
            Ok(_) => {
                frames = Some(cut);
                break;
            }
            Err(TmsError::Cut { frames }) => assert_eq!(frames, cut),
            Err(error) => panic!("{error}"),
        }
        let running = version(areas.running());
        let before = tms.heard().gets.len();
        run(&mut terminal, &mut areas, &tms).unwrap();
        assert_eq!(version(areas.running()).as_deref(), Some("2.0.0"), "cut after {cut}, {running:?} ran");
        // Every piece crossed once, but for one whose answer was cut.
        let heard = tms.heard();
        let pieces = heard.gets.len() - already;
        assert!(pieces <= 6 + 1, "cut after {cut}: {pieces} pieces, {} of them before", before - already);
        assert!(heard.reports.last().unwrap().good);
    }
    assert!(frames.unwrap() > 15, "{frames:?}");
}

#[test]
fn a_power_cut_at_every_act_of_an_update_goes_on() {
    let mut cuts = 0;
    for cut in 0.. {
        let (mut terminal, tms) = terminal();
        let disk = Disk::new();
        let mut areas = Areas::open(disk.clone()).unwrap();
        offer_all(&tms, "1.0.0");
        run(&mut terminal, &mut areas, &tms).unwrap();
        offer_all(&tms, "2.0.0");
        disk.cut_after(cut);
        let ended = run(&mut terminal, &mut areas, &tms).is_ok();
        drop(areas);
        disk.power_back(if cut % 2 == 0 { Survives::TheSafe } else { Survives::Everything });
        let mut areas = Areas::open(disk.clone()).unwrap();
        areas.start(&mut |_| Ok(())).unwrap();
        let running = version(areas.running()).unwrap();
        assert!(running == "1.0.0" || running == "2.0.0", "cut after {cut}");
        run(&mut terminal, &mut areas, &tms).unwrap();
        assert_eq!(version(areas.running()).as_deref(), Some("2.0.0"), "cut after {cut}");
        if ended {
            break;
        }
        cuts += 1;
    }
    assert!(cuts > 40, "{cuts}");
}

#[test]
fn a_full_disk_is_refused_by_name_keeps_what_came_and_goes_on() {
    let (mut terminal, tms) = terminal();
    let disk = Disk::new();
    let mut areas = Areas::open(disk.clone()).unwrap();
    offer_all(&tms, "1.0.0");
    disk.full_but_for_the_reserve_after(300);
    let updated = run(&mut terminal, &mut areas, &tms).unwrap();
    let refused: Vec<_> = updated.refused.iter().map(|(id, why)| (id.name.as_str(), why.code())).collect();
    assert_eq!(
        refused,
        [("app", "room"), ("logo", "room"), ("menu.schema.json", "room"), ("menu", "depends")]
    );
    assert_eq!(areas.installed().count(), 0);
    disk.full_after(usize::MAX);
    let had = tms.heard().gets.len();
    run(&mut terminal, &mut areas, &tms).unwrap();
    assert_eq!(version(areas.running()).as_deref(), Some("1.0.0"));
    let first = tms.heard().gets[had].0.clone();
    assert_eq!((first.name.as_str(), first.offset), ("app", 256), "it went on where it stood");
}

#[test]
fn a_package_for_which_there_is_no_room_costs_only_itself() {
    let (mut terminal, tms) = terminal();
    let disk = Disk::new();
    let mut areas = Areas::open(disk.clone()).unwrap();
    let (big, bytes) = {
        let content = vec![7; 20_000];
        (entry(&manifest("big", "1.0.0", PackageKind::DataFile, &content)), content)
    };
    let (small, content) = package("small", "1.0.0", PackageKind::DataFile);
    tms.offer(big.clone(), &bytes);
    tms.offer(small, &content);
    let off = disk.clone();
    tms.conduct().on_data = Some(Box::new(move |get, data| {
        // Somebody frees some room after a while, and not enough.
        off.full_but_for_the_reserve_after(if get.name.as_str() == "big" && get.offset > 5_000 {
            0
        } else {
            100_000
        });
        Answer::Data(data)
    }));
    let updated = run(&mut terminal, &mut areas, &tms).unwrap();
    let refused: Vec<_> = updated.refused.iter().map(|(id, why)| (id.name.as_str(), why.code())).collect();
    assert_eq!(refused, [("big", "room")]);
    assert_eq!(updated.installed.len(), 1);
    assert!(areas.part(&big.manifest).unwrap().have() > 4_000, "what came is kept");
}

#[test]
fn a_replayed_answer_ends_the_session_and_is_not_written() {
    let (mut terminal, tms) = terminal();
    let mut areas = Areas::in_memory().unwrap();
    offer_all(&tms, "1.0.0");
    tms.conduct().on_data = Some(Box::new(|get, data| match get.offset {
        256 => Answer::Replay,
        _ => Answer::Data(data),
    }));
    let error = run(&mut terminal, &mut areas, &tms).unwrap_err();
    assert!(error.to_string().starts_with("0005"), "{error}");
    let part = areas.part(&tms.conduct().plan[0].manifest).unwrap();
    assert_eq!(part.have(), 256);
    assert!(matches!(terminal.pad.tms_seal(b"more"), Err(flows::PadRefusal::NotPermitted { .. })));
    tms.conduct().on_data = None;
    run(&mut terminal, &mut areas, &tms).unwrap();
    assert_eq!(tms.heard().errors, [(ErrorCode::ServerAuthenticationFailed, true)], "the seal works no more");
}

#[test]
fn a_changed_answer_ends_the_session_and_is_not_written() {
    let (mut terminal, tms) = terminal();
    let mut areas = Areas::in_memory().unwrap();
    offer_all(&tms, "1.0.0");
    tms.conduct().on_data = Some(Box::new(|_, data| Answer::Tampered(data)));
    let error = run(&mut terminal, &mut areas, &tms).unwrap_err();
    assert!(error.to_string().starts_with("0005"), "{error}");
    assert_eq!(areas.part(&tms.conduct().plan[0].manifest).unwrap().have(), 0);
}

/// Cuts an update of everything in the middle of the application.
fn cut_in_the_middle(terminal: &mut Terminal, areas: &mut Areas, tms: &Arc<TestTms>) {
    offer_all(tms, "1.0.0");
    let options = UpdateOptions { cut_after: Some(9), ..UpdateOptions::default() };
    update(terminal, areas, &mut tms.connect(SLOW), options).unwrap_err();
    assert_eq!(areas.part(&tms.conduct().plan[0].manifest).unwrap().have(), 256);
}

#[test]
fn what_a_plan_leaves_out_for_a_while_goes_on_where_it_stood() {
    let (other, content) = package("other", "1.0.0", PackageKind::DataFile);
    for meanwhile in [vec![], vec![(other, content)]] {
        let (mut terminal, tms) = terminal();
        let mut areas = Areas::in_memory().unwrap();
        cut_in_the_middle(&mut terminal, &mut areas, &tms);
        // Its window has closed.
        tms.conduct().plan.clear();
        for (entry, content) in meanwhile {
            tms.offer(entry, &content);
        }
        run(&mut terminal, &mut areas, &tms).unwrap();
        offer_all(&tms, "1.0.0");
        let had = tms.heard().gets.len();
        run(&mut terminal, &mut areas, &tms).unwrap();
        let first = tms.heard().gets[had].0.clone();
        assert_eq!((first.name.as_str(), first.offset), ("app", 256));
    }
}

#[test]
fn what_the_tms_stops_giving_in_the_middle_goes_on_where_it_stood() {
    let (mut terminal, tms) = terminal();
    let mut areas = Areas::in_memory().unwrap();
    offer_all(&tms, "1.0.0");
    tms.conduct().on_data = Some(Box::new(|get, data| match (get.name.as_str(), get.offset) {
        ("app", 256) => Answer::Error(ErrorCode::NotPermittedNow),
        _ => Answer::Data(data),
    }));
    let updated = run(&mut terminal, &mut areas, &tms).unwrap();
    assert_eq!(updated.refused.iter().map(|(_, why)| why.code()).collect::<Vec<_>>(), ["not-given"]);
    tms.conduct().on_data = None;
    let had = tms.heard().gets.len();
    run(&mut terminal, &mut areas, &tms).unwrap();
    assert_eq!(tms.heard().gets[had].0.offset, 256);
    assert_eq!(version(areas.running()).as_deref(), Some("1.0.0"));
}

#[test]
fn what_nobody_wants_now_gives_way_to_what_is_wanted() {
    let (mut terminal, tms) = terminal();
    let disk = Disk::new();
    let mut areas = Areas::open(disk.clone()).unwrap();
    cut_in_the_middle(&mut terminal, &mut areas, &tms);
    let left_out = tms.conduct().plan[0].manifest.clone();
    tms.conduct().plan.clear();
    let (other, content) = package("other", "1.0.0", PackageKind::DataFile);
    tms.offer(other, &content);
    let off = disk.clone();
    let mut full = false;
    tms.conduct().on_data = Some(Box::new(move |_, data| {
        if !std::mem::replace(&mut full, true) {
            off.full_but_for_the_reserve_after(0);
            off.full_until_something_goes(100);
        }
        Answer::Data(data)
    }));
    // A part of 256 bytes goes, and the other package has room for its first piece; then there is nothing left to go.
    let updated = run(&mut terminal, &mut areas, &tms).unwrap();
    assert_eq!(updated.refused.iter().map(|(_, why)| why.code()).collect::<Vec<_>>(), ["room"]);
    assert_eq!(areas.part(&left_out).unwrap().have(), 0);
    assert_eq!(tms.heard().gets.last().unwrap().0.offset, 256);
}

#[test]
fn what_is_installed_or_refused_for_good_leaves_nothing_behind() {
    let (mut terminal, tms) = terminal();
    let disk = Disk::new();
    let mut areas = Areas::open(disk.clone()).unwrap();
    offer_all(&tms, "1.0.0");
    let (bad, content) = parameters("other", "1.0.0", "{");
    tms.offer(bad, &content);
    let updated = run(&mut terminal, &mut areas, &tms).unwrap();
    assert_eq!((updated.installed.len(), updated.refused.len()), (4, 1));
    assert_eq!(disk.list(Room::Incoming).unwrap(), []);
}

/// A full disk at any byte of installing is told to the TMS by name, and half an area takes no room.
#[test]
fn a_disk_that_is_full_when_it_comes_to_installing_is_told() {
    let (mut terminal, tms) = terminal();
    let disk = Disk::new();
    let mut areas = Areas::open(disk.clone()).unwrap();
    offer_all(&tms, "1.0.0");
    let content: usize = tms.conduct().content.values().map(Vec::len).sum();
    // Everything comes, and the document that the patch makes does not fit.
    disk.full_but_for_the_reserve_after(content + 5);
    let updated = run(&mut terminal, &mut areas, &tms).unwrap();
    assert_eq!(updated.refused.iter().map(|(_, why)| why.code()).collect::<Vec<_>>(), ["room"; 4]);
    assert!(!tms.heard().reports[0].good);
    assert_eq!((disk.list(Room::A).unwrap(), disk.list(Room::B).unwrap()), (vec![], vec![]));
    disk.full_after(usize::MAX);
    let had = tms.heard().gets.len();
    run(&mut terminal, &mut areas, &tms).unwrap();
    assert_eq!((tms.heard().gets.len(), version(areas.running()).as_deref()), (had, Some("1.0.0")));
}
