//! Benchmarks that print ratios: what the server does a second, beside what the machine could do at most in the same
//! run. `README.md` says how to read them. No assertion here has to do with time.

mod arguments;
mod bare;
mod children;
mod devices;
mod durable;
mod ec;
mod estate;
mod factory;
mod files;
mod keys;
mod line;
mod managed;
mod measure;
mod messages;
mod pins;
mod report;
mod rks;
mod rsa;
mod settings;
mod table;
mod terminals;
mod upload;
mod zones;

use std::process::ExitCode;

use anyhow::Result;
use serde_json::json;

use arguments::{Arguments, Part, Role};
use children::Children;
use estate::{Estate, Typed};
use managed::{BULK, Handshakes, ManagedFleet, SealedFrames, Shop};
use pins::{Setting, Translations};

/// Terminals that load sealed frames at once.
const LOADING: usize = 8;

fn main() -> ExitCode {
    let done = Arguments::parse(std::env::args().skip(1)).and_then(|role| match role {
        Role::Help => {
            print!("{}", arguments::HELP);
            Ok(())
        }
        Role::Hsm(folder) => children::serve_hsm(&folder),
        Role::Server(folder) => children::serve_kms(&folder),
        Role::Peer(sizes) => children::serve_bare(&sizes, None),
        Role::CommittingPeer(folder, sizes) => children::serve_bare(&sizes, Some(&folder)),
        Role::Bench(arguments) => bench(&arguments),
    });
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("keyferry-benches: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn bench(arguments: &Arguments) -> Result<()> {
    files::as_many_as_allowed();
    let mut parts = Vec::new();
    if arguments.has_other_than_factory() {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
        parts.extend(runtime.block_on(run(arguments))?);
    }
    if arguments.has(Part::Factory) {
        parts.push(factory::run(arguments.order, std::time::Duration::from_secs(arguments.seconds))?);
    }
    if arguments.json {
        println!("{}", table::json(&parts));
    } else {
        print!("{}", table::table(&parts));
    }
    Ok(())
}

/// What is under way, for people.
fn say(what: &str) {
    eprintln!("… {what}");
}

/// The parts, one after the other. Within each the measurements come in short turns, one after the other and again: what
/// else the machine does meanwhile falls on all of them alike.
async fn run(arguments: &Arguments) -> Result<Vec<table::Part>> {
    let folder = tempfile::tempdir()?;
    say("making keys, certificates and a database");
    let typed = Typed::enter(&children::make_hsm(folder.path())?)?;
    let mut children = Children::start_hsm(folder.path())?;
    let estate = Estate::make(folder.path(), typed).await?;
    children.start_server(folder.path())?;
    let mut parts = Vec::new();
    if arguments.has(Part::Keys) {
        parts.push(keys::run(arguments, &estate, &mut children).await?);
    }
    if arguments.has(Part::Keys02) || arguments.has(Part::Rks02) {
        parts.extend(ec::run(arguments, &estate, &mut children).await?);
    }
    if !arguments.has_managed() {
        return Ok(parts);
    }
    let shop = Shop::open(&estate).await?;
    if arguments.has(Part::Tms) || arguments.has(Part::Pins) {
        say("entering terminals with DMK and TMK");
        let fleet = ManagedFleet::register(&estate, "MT", &[BULK], arguments.terminals).await?;
        if arguments.has(Part::Tms) {
            parts.push(tms(arguments, &estate, &mut children, &fleet).await?);
        }
        if arguments.has(Part::Pins) {
            parts.push(pins(arguments, &estate, &children, &fleet).await?);
        }
    }
    if arguments.has(Part::EstateUpdate) {
        say("many terminals that update at once");
        parts.push(managed::update(&estate, &children, &shop, arguments.fleet).await?);
    }
    Ok(parts)
}

async fn tms(
    arguments: &Arguments,
    estate: &Estate,
    children: &mut Children,
    fleet: &ManagedFleet,
) -> Result<table::Part> {
    let (slice, concurrency) = (arguments.slice(), arguments.concurrency);
    let loading = LOADING.min(concurrency);
    let mut handshakes = Handshakes::new(children, fleet).await?;
    let mut frames = SealedFrames::default();
    for turn in 1..=arguments.turns {
        say(&format!(
            "turn {turn} of {}: handshakes of flow E, bare exchanges, sealed frames",
            arguments.turns
        ));
        handshakes.turn(children, fleet, concurrency, slice).await?;
        frames.turn(estate, children, fleet, loading, slice).await?;
    }
    let lines = handshakes.lines().into_iter().chain(frames.lines()).collect();
    let notes = handshakes.notes(concurrency).into_iter().chain(frames.notes(loading)).collect();
    Ok(table::Part { title: "tms", lines, notes, details: json!({}) })
}

async fn pins(
    arguments: &Arguments,
    estate: &Estate,
    children: &Children,
    fleet: &ManagedFleet,
) -> Result<table::Part> {
    say("signing terminals in");
    let setting = Setting::make(estate, children, fleet).await?;
    let mut translations = Translations::new(estate, children, setting).await?;
    let (slice, concurrency) = (arguments.slice(), arguments.concurrency);
    for turn in 1..=arguments.turns {
        say(&format!("turn {turn} of {}: PIN translations", arguments.turns));
        translations.turn(estate, children, concurrency, slice).await?;
    }
    let (lines, notes) = (translations.lines(concurrency), translations.notes(concurrency));
    Ok(table::Part { title: "pins", lines, notes, details: json!({}) })
}
