//! Downloads of keys: flows A and C, and the uploads before them.

use anyhow::Result;

use crate::{
    arguments::Arguments, bare, children::Children, devices, durable, estate::Estate, line::Keep,
    measure::Shares, report::Report, rsa, say, table::Part, terminals, upload,
};

pub(crate) async fn run(arguments: &Arguments, estate: &Estate, children: &mut Children) -> Result<Part> {
    say("collecting terminals, and their first downloads");
    let fleet = terminals::Fleet::collect(estate, children, arguments.terminals).await?;
    let sizes = fleet.first_downloads(arguments.concurrency).await?;
    let devices = devices::Devices::register(estate, children, arguments.terminals).await?;
    let peer = children.start_peer(sizes)?;
    // From here on processes are only looked at.
    let children = &*children;

    let mut report = Report::new(arguments, &peer.sizes);
    let (slice, concurrency) = (arguments.slice(), arguments.concurrency);
    for turn in 1..=arguments.turns {
        say(&format!("turn {turn} of {}: downloads, bare exchanges, commits, RSA, flow C", arguments.turns));
        let before = Shares::now(children);
        report.downloads.add(fleet.download(concurrency, slice, Keep::No).await?);
        report.shares.add(before.since(children));
        let before = Shares::now(children);
        report.bare.add(bare::exchange(&peer, concurrency, slice, Keep::No).await?);
        report.shares_bare.add(before.since(children));
        report.downloads_kept.add(fleet.download(concurrency, slice, Keep::Yes).await?);
        report.bare_kept.add(bare::exchange(&peer, concurrency, slice, Keep::Yes).await?);
        report.appends.add(durable::appends(estate, concurrency, slice).await?);
        report.pairs.add(durable::pairs(estate, fleet.serials(), concurrency, slice).await?);
        report.commits.add(durable::single_commits(estate, slice).await?);
        let before = Shares::now(children);
        report.rsa.add(rsa::bare(slice)?);
        report.shares_rsa.add(before.since(children));
        let before = Shares::now(children);
        report.rks.add(devices.download(concurrency, slice, Keep::No).await?);
        report.shares_rks.add(before.since(children));
        report.rks_kept.add(devices.download(concurrency, slice, Keep::Yes).await?);
        report.opened.add(rsa::through_hsm(estate, concurrency, slice).await?);
    }
    say("uploads");
    upload::measure(estate, children, arguments.seconds, &mut report).await?;
    Ok(report.part())
}
