//! The parts `keys-02` and `rks-02`: one measurement after another in short turns, suite 01's among them.

use anyhow::Result;
use serde_json::json;

use super::{
    devices,
    fleet::{Fetches, Fleet},
    operations::{self, Operation},
    terminals,
    timing::{self, Told},
};
use crate::{
    arguments::{Arguments, Part},
    bare,
    children::{Children, Peer},
    devices::Devices,
    estate::Estate,
    line::Keep,
    measure::{Rate, Shares, microseconds},
    say, table,
    table::{Aim, Line},
    terminals::Fleet as Fleet01,
};

/// Questions of each kind for the timing of answers, for each second of a measurement.
const QUESTIONS_A_SECOND: u64 = 500;
/// Strangers that ask.
const STRANGERS: usize = 64;
/// What is to be reached beside the bare exchange with its commits.
const AIM: f64 = 0.6;

/// What was measured of one flow.
#[derive(Default)]
struct Found {
    each: Rate,
    kept: Rate,
    suite_01: Rate,
    bare: Rate,
    committing: Rate,
    committing_kept: Rate,
    operations: Vec<(Operation, Rate)>,
    shares: Shares,
    shares_01: Shares,
    shares_committing: Shares,
}

/// A flow and its words.
struct Flow {
    title: &'static str,
    name: &'static str,
    letter: char,
    proof: &'static str,
    /// Bare operations; the first is what no server can save.
    operations: &'static [(Operation, &'static str)],
}

const A: Flow = Flow {
    title: "keys-02",
    name: "a",
    letter: 'A',
    proof: "TK_CHALLENGE",
    operations: &[
        (Operation::KeyAndEcdh, "key pairs made + ECDH, bare"),
        (Operation::Ecdh, "ECDH P-256, bare"),
        (Operation::Hkdf, "HKDF-SHA-256, bare"),
    ],
};

const C: Flow = Flow {
    title: "rks-02",
    name: "c",
    letter: 'C',
    proof: "RKS_TOKEN",
    operations: &[
        (Operation::KeyEcdhAndSign, "key pairs + ECDH + ECDSA signatures, bare"),
        (Operation::Sign, "ECDSA P-256 signatures, bare"),
        (Operation::Gcm, "AES-256-GCM of 16 bytes, bare"),
    ],
};

/// Suite 01's side of a flow.
enum Older {
    A(Fleet01),
    C(Devices),
}

impl Older {
    async fn download(&self, concurrency: usize, slice: std::time::Duration) -> Result<Rate> {
        match self {
            Self::A(fleet) => fleet.download(concurrency, slice, Keep::No).await,
            Self::C(devices) => devices.download(concurrency, slice, Keep::No).await,
        }
    }
}

/// The parts that are asked for.
pub(crate) async fn run(
    arguments: &Arguments,
    estate: &Estate,
    children: &mut Children,
) -> Result<Vec<table::Part>> {
    let mut parts = Vec::new();
    let address = children.terminal_port()?;
    if arguments.has(Part::Keys02) {
        say("collecting terminals of both suites");
        let older = Fleet01::collect(estate, children, arguments.concurrency).await?;
        older.first_downloads(arguments.concurrency).await?;
        let all = terminals::collect(estate, children, arguments.terminals).await?;
        let stranger = |n| terminals::Terminal::stranger(&format!("EX-{n:06}"));
        let strangers = (0..STRANGERS).map(stranger).collect::<Result<Vec<_>>>()?;
        let fleet = Fleet::new(all, address);
        parts.push(flow(arguments, estate, children, (&A, &fleet, &strangers), &Older::A(older)).await?);
    }
    if arguments.has(Part::Rks02) {
        say("entering devices of both suites");
        let older = Devices::register(estate, children, arguments.concurrency).await?;
        let fleet = Fleet::new(devices::register(estate, arguments.terminals).await?, address);
        let strangers = devices::strangers(estate, STRANGERS)?;
        parts.push(flow(arguments, estate, children, (&C, &fleet, &strangers), &Older::C(older)).await?);
    }
    Ok(parts)
}

async fn flow<T: Fetches>(
    arguments: &Arguments,
    estate: &Estate,
    children: &mut Children,
    (flow, fleet, strangers): (&Flow, &Fleet<T>, &[T]),
    older: &Older,
) -> Result<table::Part> {
    let sizes = fleet.sizes().await?;
    let peer = children.start_peer(sizes.clone())?;
    let committing = children.start_committing_peer(&estate.folder.join(flow.title), sizes)?;
    let mut found = Found::default();
    for turn in 1..=arguments.turns {
        say(&format!("turn {turn} of {}: flow {} in both suites", arguments.turns, flow.letter));
        found.turn(arguments, children, (flow, fleet, older), [&peer, &committing]).await?;
    }
    say("times of answers to known serials and to strangers");
    let questions = usize::try_from(arguments.seconds * QUESTIONS_A_SECOND)?;
    let told = timing::measure(fleet, strangers, questions).await?;
    Ok(found.part(flow, arguments, &peer, &told))
}

impl Found {
    async fn turn<T: Fetches>(
        &mut self,
        arguments: &Arguments,
        children: &Children,
        (flow, fleet, older): (&Flow, &Fleet<T>, &Older),
        [peer, committing]: [&Peer; 2],
    ) -> Result<()> {
        let (slice, concurrency) = (arguments.slice(), arguments.concurrency);
        let before = Shares::now(children);
        self.each.add(fleet.download(concurrency, slice, Keep::No).await?);
        self.shares.add(before.since(children));
        let before = Shares::now(children);
        self.committing.add(bare::exchange(committing, concurrency, slice, Keep::No).await?);
        self.shares_committing.add(before.since(children));
        let before = Shares::now(children);
        self.suite_01.add(older.download(concurrency, slice).await?);
        self.shares_01.add(before.since(children));
        self.bare.add(bare::exchange(peer, concurrency, slice, Keep::No).await?);
        self.kept.add(fleet.download(concurrency, slice, Keep::Yes).await?);
        self.committing_kept.add(bare::exchange(committing, concurrency, slice, Keep::Yes).await?);
        for (operation, _) in flow.operations {
            let rate = operations::bare(*operation, slice)?;
            match self.operations.iter_mut().find(|(found, _)| found == operation) {
                Some((_, so_far)) => so_far.add(rate),
                None => self.operations.push((*operation, rate)),
            }
        }
        Ok(())
    }

    fn part(&self, flow: &Flow, arguments: &Arguments, peer: &Peer, told: &Told) -> table::Part {
        let (letter, name) = (flow.letter, flow.name);
        let each = format!("flow {letter} in suite 02, a connection each");
        let kept = format!("flow {letter} in suite 02, connections kept");
        let line = |line: &str, what: &str, rate, against: String, limit, aim| {
            Line::new(format!("{name}-02-{line}"), (what, rate), (against, limit), aim)
        };
        let mut lines = vec![
            line(
                "committing",
                &each,
                self.each,
                "the same bytes and commits, bare".into(),
                self.committing,
                Aim::Ratio(AIM),
            ),
            line(
                "committing-kept",
                &kept,
                self.kept,
                "the same bytes and commits, bare, kept".into(),
                self.committing_kept,
                Aim::None,
            ),
            line("bare", &each, self.each, "the same bytes, bare".into(), self.bare, Aim::None),
            line(
                "suite-01",
                &each,
                self.each,
                format!("flow {letter} in suite 01"),
                self.suite_01,
                Aim::None,
            ),
        ];
        for ((at, (_, words)), (_, rate)) in flow.operations.iter().enumerate().zip(&self.operations) {
            let name = format!("operation-{at}");
            lines.push(line(&name, &each, self.each, (*words).to_owned(), *rate, Aim::None));
        }
        let note = |what: &str, shares: Shares, rate: Rate| {
            let us = |ticks| microseconds(ticks, rate.done);
            format!(
                "processor time, {what}: {:.0} µs in the server or peer, {:.0} µs in the HSM, {:.0} µs in the terminal; \
                 others took {} % of the processors",
                us(shares.server + shares.peer),
                us(shares.hsm),
                us(shares.terminals),
                shares.others(),
            )
        };
        let notes = vec![
            format!("{} at once; frames of {} bytes", arguments.concurrency, peer.sizes.text()),
            note("suite 02", self.shares, self.each),
            note("suite 01", self.shares_01, self.suite_01),
            note("bare with commits", self.shares_committing, self.committing),
            told.note(flow.proof),
        ];
        let welch = format!("{name}_02_welch_t");
        table::Part { title: flow.title, lines, notes, details: json!({ welch: told.t }) }
    }
}
