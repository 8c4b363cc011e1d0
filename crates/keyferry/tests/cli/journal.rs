//! The station's journal: kills and full disks lose nothing, and nothing is uploaded twice.

use std::{
    fs,
    io::Write as _,
    process::{Child, Command, Stdio},
    thread,
    time::Duration,
};

use rustix::process::{Pid, Resource, Rlimit, prlimit};
use serde_json::Value;

use crate::support::{
    estate::Estate,
    folders::{copy, edit, write_secret},
    records,
    server::Server,
    station::{collect, command, journal, make_card, other_station, with_journal},
    terminals::{Terminal, Waiting},
    tool::{keyferry, run, text},
};

const SERIALS: [&str; 3] = ["SN-1", "SN-2", "SN-3"];

/// Packs with both cards.
fn pack(estate: &Estate, config: &str) -> Command {
    let mut command = keyferry(["station", "pack", "--json", "--config"]);
    command.arg(estate.path(config));
    for secret in ["operator-pin", "administrator-pin", "station-passphrase"] {
        command.arg(format!("--{secret}-file")).arg(estate.secret(secret));
    }
    command
}

/// `collect` of waiting terminals that begins when it is told to.
fn held(estate: &Estate, waiting: &[Waiting], shell: &str) -> Child {
    let collect = command(estate, "station.toml");
    let mut held = Command::new("sh");
    held.args(["-c", shell, "sh"]).arg(collect.get_program()).args(collect.get_args());
    for terminal in waiting {
        held.args(["--terminal", &terminal.address]);
    }
    held.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap()
}

/// Lets it begin, able to write files of so many bytes.
fn release(child: &mut Child, bytes: u64) {
    let pid = Pid::from_raw(i32::try_from(child.id()).unwrap());
    let usual = rustix::process::getrlimit(Resource::Fsize);
    prlimit(pid, Resource::Fsize, Rlimit { current: Some(bytes), ..usual }).unwrap();
    child.stdin.take().unwrap().write_all(b"\n").unwrap();
}

/// What a person does after anything at all: collects again what is not there, packs, uploads. Then every terminal is
/// known with the fingerprint that it shows.
fn goes_on(estate: &Estate, server: &Server, terminals: &[Terminal], what: &str) {
    let left = pack(estate, "station.toml");
    let left = run(&mut { left });
    assert_eq!(left.code, Some(0), "{what}: {left:?}");
    let uploads = with_journal(estate, &["upload", "--json"]).json();
    for upload in uploads.as_array().unwrap() {
        assert!(upload["outcome"].get("error").is_none(), "{what}: {uploads}");
    }
    let database = estate.path("keyferry.db");
    let there: Vec<_> = terminals.iter().filter(|one| records::knows(&database, &one.sn)).collect();
    let missing: Vec<_> = terminals.iter().filter(|one| !records::knows(&database, &one.sn)).collect();
    if !missing.is_empty() {
        collect(estate, &missing, &[]).ran.good();
    }
    for terminal in there.into_iter().chain(missing) {
        let at_kms = run(&mut estate.configured(&["kms", "terminal", &terminal.sn])).good();
        let shown = terminal.fingerprint();
        assert!(at_kms.contains(&format!("fingerprint    {shown}")), "{what}: {at_kms}");
        terminal.key(&server.terminals, 0);
    }
    let journal = journal(estate);
    let overview = journal.overview();
    assert_eq!((overview.unpacked, overview.waiting), (0, 0), "{what}");
    journal.check().unwrap();
    // No TK was offered as a replacement of another: nothing was taken twice.
    assert_eq!(records::number(&database, "SELECT count(*) FROM replacements"), 0, "{what}");
}

/// The system kills a program that writes past its limit: so it dies with so many bytes of its journal written.
#[test]
fn killed_at_any_byte_of_its_journal_a_station_loses_nothing_and_uploads_nothing_twice() {
    let estate = Estate::new();
    let empty = estate.folder().join("empty");
    copy(&estate.path("station/journal"), &empty);
    // How long the journal gets, and that nothing is wrong with this way of starting it.
    let whole = {
        let estate = Estate::new();
        let server = Server::start(&estate);
        let terminals = SERIALS.map(|sn| estate.make_terminal(sn));
        collect(&estate, &terminals.each_ref(), &[]).ran.good();
        goes_on(&estate, &server, &terminals, "no kill");
        fs::metadata(estate.path("station/journal/00000001.journal")).unwrap().len()
    };
    let head = fs::metadata(empty.join("00000001.journal")).unwrap().len();
    let mut died = 0;
    const STEPS: u64 = 12;
    for step in 0..STEPS {
        let estate = Estate::new();
        let server = Server::start(&estate);
        let terminals = SERIALS.map(|sn| estate.make_terminal(sn));
        let limit = head + (whole - head) * step / STEPS + 7 * step;
        let waiting: Vec<_> = terminals.iter().map(Terminal::wait).collect();
        let mut child = held(&estate, &waiting, "read _; exec \"$@\"");
        release(&mut child, limit);
        died += u32::from(!child.wait().unwrap().success());
        drop(waiting);
        goes_on(&estate, &server, &terminals, &format!("limit {limit} of {whole}"));
        assert!(server.stop().success());
    }
    assert!(died >= 8, "only {died} died: the test shows little");
}

/// SIGKILL at moments that nobody chose.
#[test]
fn killed_again_and_again_a_station_gets_all_to_the_kms_in_the_end() {
    let estate = Estate::new();
    let server = Server::start(&estate);
    let terminals = SERIALS.map(|sn| estate.make_terminal(sn));
    for round in 0..8 {
        let waiting: Vec<_> = terminals.iter().map(Terminal::wait).collect();
        let mut child = held(&estate, &waiting, "read _; exec \"$@\"");
        child.stdin.take().unwrap().write_all(b"\n").unwrap();
        thread::sleep(Duration::from_millis(150 + round * 60));
        child.kill().unwrap();
        child.wait().unwrap();
    }
    goes_on(&estate, &server, &terminals, "eight kills");
}

/// The program lives on and says what it could not write.
#[test]
fn a_station_without_room_says_so_and_goes_on_when_there_is() {
    let estate = Estate::new();
    let server = Server::start(&estate);
    let terminals = SERIALS.map(|sn| estate.make_terminal(sn));
    let head = fs::metadata(estate.path("station/journal/00000001.journal")).unwrap().len();
    for room in [100, 700, 1500, 3000] {
        let waiting: Vec<_> = terminals.iter().map(Terminal::wait).collect();
        let mut child = held(&estate, &waiting, "trap '' XFSZ; read _; exec \"$@\"");
        release(&mut child, head + room);
        assert!(!child.wait_with_output().unwrap().status.success(), "{room} bytes were enough");
    }
    goes_on(&estate, &server, &terminals, "without room");
}

/// Collects so that the station dies after the terminal's answer is kept, and before the package is.
pub(crate) fn ends_unpacked(estate: &Estate, waiting: &[Waiting]) {
    let length = fs::metadata(estate.path("station/journal/00000001.journal")).unwrap().len();
    let mut child = held(estate, waiting, "read _; exec \"$@\"");
    release(&mut child, length + 1500);
    assert!(!child.wait().unwrap().success());
}

#[test]
fn what_was_collected_and_not_packed_is_shown_told_and_packed_by_its_people_alone() {
    let estate = Estate::new();
    let server = Server::start(&estate);
    let terminal = estate.make_terminal("SN-1");
    ends_unpacked(&estate, &[terminal.wait()]);
    let shown = with_journal(&estate, &["journal"]).good();
    assert!(shown.contains("collected and not packed") && shown.contains("SN-1"), "{shown}");
    let listed = with_journal(&estate, &["journal", "--json"]).json();
    assert_eq!(listed["unpacked"][0]["terminals"][0]["sn"], "SN-1");
    let uploaded = with_journal(&estate, &["upload"]).good();
    assert!(uploaded.contains("1 terminals were collected and are not packed yet"), "{uploaded}");
    assert!(uploaded.contains("keyferry station pack"), "{uploaded}");

    make_card(&estate, "second.pem", "Second operator", "operator");
    other_station(&estate, "second.toml", &[("cards/operator.pem", "cards/second.pem")]);
    let others = run(&mut pack(&estate, "second.toml"));
    assert_eq!(others.code, Some(1));
    let left: Value = serde_json::from_str(&others.out).unwrap();
    let why = left["left"][0]["why"].as_str().unwrap();
    assert!(why.contains("First operator") && why.contains("these two pack it"), "{why}");

    let packed = run(&mut pack(&estate, "station.toml")).json();
    assert_eq!(packed["packed"].as_array().unwrap().len(), 1);
    let taken = with_journal(&estate, &["upload", "--json"]).json();
    assert_eq!(taken[0]["outcome"]["taken"][0]["fingerprint_agrees"], true);
    let shown = with_journal(&estate, &["journal"]).good();
    assert!(shown.contains("all that was collected is packed") && shown.contains("taken"), "{shown}");
    assert!(server.stop().success());
}

#[test]
fn the_next_run_of_the_same_people_packs_what_an_earlier_one_left() {
    let estate = Estate::new();
    let _server = Server::start(&estate);
    let terminals = ["SN-1", "SN-2"].map(|sn| estate.make_terminal(sn));
    ends_unpacked(&estate, &[terminals[0].wait()]);
    let said = collect(&estate, &[&terminals[1]], &[]).ran.json();
    assert_eq!(said["packing"]["packed"].as_array().unwrap().len(), 2, "{said}");
    assert_eq!(said["uploads"].as_array().unwrap().len(), 2, "{said}");
    for sn in ["SN-1", "SN-2"] {
        assert!(records::knows(&estate.path("keyferry.db"), sn));
    }
}

#[test]
fn a_wrong_passphrase_a_journal_in_use_and_one_that_is_missing_are_refused_by_name() {
    let estate = Estate::new();
    let _server = Server::start(&estate);
    let held = journal(&estate);
    with_journal(&estate, &["upload"]).refused_with("another station process uses the journal");
    drop(held);
    write_secret(&estate.secret("station-passphrase"), "another passphrase\n");
    with_journal(&estate, &["journal"]).refused_with("wrong station passphrase");
    other_station(&estate, "none.toml", &[("station/journal", "station/none")]);
    let mut none = keyferry(["station", "journal", "--config"]);
    none.arg(estate.path("none.toml"))
        .arg("--station-passphrase-file")
        .arg(estate.secret("station-passphrase"));
    run(&mut none).refused_with("there is no journal in");
    assert!(run(none.arg("--new")).good().contains("a new journal is in"));
    run(&mut none).refused_with("there is a journal in");
}

#[test]
fn the_passphrase_is_changed_and_the_old_one_opens_nothing() {
    let estate = Estate::new();
    let new = estate.folder().join("new");
    write_secret(&new, "the new station passphrase\n");
    let change = ["journal", "--new-passphrase", "--new-passphrase-file", &text(&new)];
    assert!(with_journal(&estate, &change).good().contains("new passphrase only"));
    with_journal(&estate, &["journal"]).refused_with("wrong station passphrase");
    fs::copy(&new, estate.secret("station-passphrase")).unwrap();
    with_journal(&estate, &["journal"]).good();
}

#[test]
fn a_damaged_journal_is_refused_with_what_to_do_and_its_sound_part_goes_on() {
    let estate = Estate::new();
    let server = Server::start(&estate);
    let terminals = SERIALS.map(|sn| estate.make_terminal(sn));
    collect(&estate, &[&terminals[0]], &[]).ran.good();
    let answered = fs::metadata(estate.path("station/journal/00000001.journal")).unwrap().len();
    collect(&estate, &[&terminals[1], &terminals[2]], &["--offline"]).ran.good();
    let path = estate.path("station/journal/00000001.journal");
    let mut bytes = fs::read(&path).unwrap();
    bytes[usize::try_from(answered).unwrap() - 1] ^= 1;
    fs::write(&path, bytes).unwrap();
    let refused = with_journal(&estate, &["upload"]).refused();
    assert!(refused.contains("is damaged at record") && refused.contains("--rescue"), "{refused}");
    let rescued = with_journal(&estate, &["journal", "--rescue"]).good();
    assert!(rescued.contains("00000001.journal.damaged"), "{rescued}");
    assert!(with_journal(&estate, &["journal", "--rescue"]).good().contains("nothing was changed"));
    goes_on(&estate, &server, &terminals, "rescued");
}

#[test]
fn a_journal_whose_mark_is_gone_is_refused_and_rescued() {
    let estate = Estate::new();
    fs::remove_file(estate.path("station/journal/mark")).unwrap();
    let refused = with_journal(&estate, &["journal"]).refused();
    assert!(refused.contains("its mark") && refused.contains("--rescue"), "{refused}");
    assert!(
        with_journal(&estate, &["journal", "--rescue"]).good().contains("00000001.journal.damaged"),
        "what is sound goes on"
    );
    with_journal(&estate, &["journal"]).good();
}

#[test]
fn packages_and_terminals_are_given_up_and_old_files_forgotten() {
    let estate = Estate::new();
    let _server = Server::start(&estate);
    let terminal = estate.make_terminal("SN-1");
    collect(&estate, &[&terminal], &["--offline"]).ran.good();
    let name = journal(&estate).waiting()[0].name.to_string();
    let give_up = ["journal", "--give-up", &name[..8], "--because", "the terminal was scrapped"];
    assert!(with_journal(&estate, &give_up).good().contains("is given up"));
    with_journal(&estate, &give_up).refused_with("is neither a package that waits nor");
    assert_eq!(with_journal(&estate, &["upload", "--json"]).json(), Value::Array(vec![]));
    assert!(with_journal(&estate, &["journal", "--check"]).good().contains("in 1 files"));
    assert!(with_journal(&estate, &["journal", "--forget-before", "2020-01-01"]).good().contains("0 files"));
    with_journal(&estate, &["journal", "--forget-before", "yesterday"]).refused_with("is no day");
    assert!(with_journal(&estate, &["journal", "--forget-before", "2099-01-01"]).good().contains("1 files"));
    // All is as before for the next day.
    collect(&estate, &[&terminal], &[]).ran.good();
    edit(&estate.path("station.toml"), &[("station-1", "station-2")]);
    with_journal(&estate, &["journal", "--check"]).good();
}
