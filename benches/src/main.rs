//! Benchmarks that print ratios: what the server does a second, beside what the machine could do at most in the same
//! run. `README.md` says how to read them. No assertion here has to do with time.

mod arguments;
mod bare;
mod children;
mod devices;
mod durable;
mod estate;
mod line;
mod measure;
mod messages;
mod report;
mod rks;
mod rsa;
mod terminals;
mod upload;

use std::{process::ExitCode, sync::Arc};

use anyhow::Result;

use arguments::{Arguments, Role};
use children::Children;
use estate::Estate;
use measure::Shares;
use report::Report;

fn main() -> ExitCode {
    let done = Arguments::parse(std::env::args().skip(1)).and_then(|role| match role {
        Role::Help => {
            print!("{}", arguments::HELP);
            Ok(())
        }
        Role::Hsm(folder) => children::serve_hsm(&folder),
        Role::Server(folder) => children::serve_kms(&folder),
        Role::Peer(sizes) => children::serve_bare(sizes),
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
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let report = runtime.block_on(run(arguments))?;
    if arguments.json {
        println!("{}", report.json());
    } else {
        print!("{}", report.table());
    }
    Ok(())
}

/// The measurements come in short turns, one after the other and again: what else the machine does meanwhile falls on
/// all of them alike.
async fn run(arguments: &Arguments) -> Result<Report> {
    let folder = tempfile::tempdir()?;
    let say = |what: &str| eprintln!("… {what}");
    say("making keys, certificates and a database");
    let exchange = rks::ExchangeKey::enter(&children::make_hsm(folder.path())?)?;
    let mut children = Children::start_hsm(folder.path())?;
    let estate = Arc::new(Estate::make(folder.path(), exchange).await?);
    children.start_server(folder.path())?;

    say("collecting terminals, and their first downloads");
    let fleet = terminals::Fleet::collect(&estate, &children, arguments.terminals).await?;
    let sizes = fleet.first_downloads(arguments.concurrency).await?;
    let devices = devices::Devices::register(&estate, &children, arguments.terminals).await?;
    children.start_peer(sizes)?;

    let mut report = Report::new(arguments, sizes);
    let (slice, concurrency) = (arguments.slice(), arguments.concurrency);
    for turn in 1..=arguments.turns {
        say(&format!("turn {turn} of {}: downloads, bare exchanges, commits, RSA, flow C", arguments.turns));
        let before = Shares::now(&children);
        report.downloads.add(fleet.download(concurrency, slice, line::Keep::No).await?);
        report.shares.add(before.since(&children));
        let before = Shares::now(&children);
        report.bare.add(bare::exchange(&children, sizes, concurrency, slice, line::Keep::No).await?);
        report.shares_bare.add(before.since(&children));
        report.downloads_kept.add(fleet.download(concurrency, slice, line::Keep::Yes).await?);
        report.bare_kept.add(bare::exchange(&children, sizes, concurrency, slice, line::Keep::Yes).await?);
        report.appends.add(durable::appends(&estate, concurrency, slice).await?);
        report.pairs.add(durable::pairs(&estate, fleet.serials(), concurrency, slice).await?);
        report.commits.add(durable::single_commits(&estate, slice).await?);
        let before = Shares::now(&children);
        report.rsa.add(rsa::bare(slice)?);
        report.shares_rsa.add(before.since(&children));
        let before = Shares::now(&children);
        report.rks.add(devices.download(concurrency, slice, line::Keep::No).await?);
        report.shares_rks.add(before.since(&children));
        report.rks_kept.add(devices.download(concurrency, slice, line::Keep::Yes).await?);
        report.opened.add(rsa::through_hsm(&estate, concurrency, slice).await?);
    }
    say("uploads");
    let seconds = arguments.seconds;
    upload::measure(&estate, &children, seconds, &mut report).await?;
    Ok(report)
}
