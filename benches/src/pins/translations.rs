//! PIN translations a second: through HTTPS one at a time and in batches, by the HSM over its socket, and by the HSM's
//! code in this process.

use std::{
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, anyhow, ensure};
use hsm::{
    Hsm,
    commands::{Reply, Request, TranslatePins},
};
use hsm_soft::SoftHsm;
use serde_json::{Value, json};

use super::{
    http::{Client, Connection, request},
    setting::{FORMATS, Formats, Setting},
};
use crate::{
    children::{Children, hsm_here},
    estate::Estate,
    measure::{Rate, Shares, Work, repeat},
    report::processors,
    table::{Aim, Line},
};

/// Items of a batch.
const BATCHES: [usize; 2] = [256, 1024];
/// Batches at once: one is worked on while another is on its way.
const BATCHES_AT_ONCE: usize = 4;
/// PIN blocks a second in batches that two processors are to translate.
const AIM: f64 = 10_000.0;
/// Formats of single requests.
const SINGLE: [Formats; 2] = [FORMATS[0], FORMATS[2]];

/// What was measured.
pub(crate) struct Translations {
    setting: Setting,
    client: Client,
    here: SoftHsm,
    singles: [Ways; 2],
    batches: [[Ways; 2]; 3],
    in_process: [Rate; 3],
    shares: Shares,
}

/// The same through the server and by the HSM alone.
#[derive(Default, Clone, Copy)]
struct Ways {
    https: Rate,
    socket: Rate,
}

impl Translations {
    pub(crate) async fn new(estate: &Estate, children: &Children, setting: Setting) -> Result<Translations> {
        let client = Client::new(estate, children)?;
        let measured = Translations {
            setting,
            client,
            here: hsm_here(&estate.folder)?,
            singles: Default::default(),
            batches: Default::default(),
            in_process: Default::default(),
            shares: Shares::default(),
        };
        measured.check().await?;
        Ok(measured)
    }

    /// What is translated opens at the other side.
    async fn check(&self) -> Result<()> {
        let mut connection = self.client.connect().await?;
        for formats in FORMATS {
            let body = json!({ "items": self.setting.items(formats, 0, 3) }).to_string();
            let answer = connection.send(&request("/v1/pin/translate/batch", &body)).await?;
            let answer: Value = serde_json::from_slice(answer)?;
            for result in answer["results"].as_array().context("a batch has results")? {
                let block = result["pin_block"].as_str().with_context(|| format!("no block: {result}"))?;
                let digits = (0..block.len()).step_by(2).filter_map(|at| block.get(at..at + 2));
                let block = digits.map(|two| u8::from_str_radix(two, 16)).collect::<Result<Vec<_>, _>>()?;
                self.setting.check(formats, &block)?;
            }
        }
        Ok(())
    }

    /// One turn.
    pub(crate) async fn turn(
        &mut self,
        estate: &Estate,
        children: &Children,
        concurrency: usize,
        slice: Duration,
    ) -> Result<()> {
        for (ways, formats) in self.singles.iter_mut().zip(SINGLE) {
            let mut posts = Vec::new();
            for from in 0..concurrency {
                let item = self.setting.items(formats, from, 1).pop().context("there are terminals")?;
                let request = request("/v1/pin/translate", &item.to_string());
                posts.push(Post { connection: self.client.connect().await?, request, items: 1 });
            }
            ways.https.add(repeat(posts, slice).await?);
            let calls = (0..concurrency).map(|from| Call::new(estate, &self.setting, formats, from, 1));
            ways.socket.add(repeat(calls.collect(), slice).await?);
        }
        for ((ways, in_process), formats) in self.batches.iter_mut().zip(&mut self.in_process).zip(FORMATS) {
            for (ways, items) in ways.iter_mut().zip(BATCHES) {
                let mut posts = Vec::new();
                for n in 0..BATCHES_AT_ONCE {
                    let body = json!({ "items": self.setting.items(formats, n * items, items) }).to_string();
                    let request = request("/v1/pin/translate/batch", &body);
                    posts.push(Post { connection: self.client.connect().await?, request, items });
                }
                let before = Shares::now(children);
                ways.https.add(times(repeat(posts, slice).await?, items)?);
                self.shares.add(before.since(children));
                let call = |n| Call::new(estate, &self.setting, formats, n * items, items);
                ways.socket
                    .add(times(repeat((0..BATCHES_AT_ONCE).map(call).collect(), slice).await?, items)?);
            }
            let [_, items] = BATCHES;
            let command = self.setting.command(formats, 0, items);
            in_process.add(times(in_this_process(&self.here, &command, slice)?, items)?);
        }
        Ok(())
    }

    pub(crate) fn lines(&self, concurrency: usize) -> Vec<Line> {
        let mut lines = Vec::new();
        for (ways, formats) in self.singles.iter().zip(SINGLE) {
            let what = format!("PINs {}, HTTPS, one a request", formats.text());
            let against = format!("one a command, {concurrency} at once");
            let name = format!("pins-single-{}", formats.name());
            lines.push(Line::new(name, (what, ways.https), (against, ways.socket), Aim::None));
        }
        for (ways, formats) in self.batches.iter().zip(FORMATS) {
            for (ways, items) in ways.iter().zip(BATCHES) {
                let what = format!("PINs {}, HTTPS, batches of {items}", formats.text());
                let against = format!("TranslatePins of {items} over the socket");
                let name = format!("pins-batch-{items}-{}", formats.name());
                lines.push(Line::new(name, (what, ways.https), (against, ways.socket), Aim::Rate(AIM)));
            }
        }
        for ((ways, in_process), formats) in self.batches.iter().zip(&self.in_process).zip(FORMATS) {
            let [_, Ways { socket, .. }] = ways;
            let [_, items] = BATCHES;
            let what = format!("PINs {}, HSM's socket, {items} a command", formats.text());
            let against = "the same in one process, all processors";
            let name = format!("pins-hsm-{}", formats.name());
            lines.push(Line::new(name, (what, *socket), (against, *in_process), Aim::None));
        }
        lines
    }

    pub(crate) fn notes(&self, concurrency: usize) -> Vec<String> {
        let done: u64 = self.batches.iter().flatten().map(|ways| ways.https.done).sum();
        let each = |ticks| format!("{:.1}", crate::measure::microseconds(ticks, done));
        vec![format!(
            "single requests over {concurrency} connections, batches over {BATCHES_AT_ONCE}; processor time of a PIN in \
             HTTPS batches: {} µs in the HSM, {} µs in the server, {} µs at the POSP, on {} processors, of which others \
             took {} %",
            each(self.shares.hsm),
            each(self.shares.server),
            each(self.shares.terminals),
            processors(),
            self.shares.others(),
        )]
    }
}

/// Batches as items.
fn times(rate: Rate, items: usize) -> Result<Rate> {
    Ok(Rate { done: rate.done * u64::try_from(items)?, ..rate })
}

/// A request over a connection, again and again.
struct Post {
    connection: Connection,
    request: Vec<u8>,
    items: usize,
}

impl Work for Post {
    async fn once(&mut self) -> Result<()> {
        let answer = self.connection.send(&self.request).await?;
        let good = if self.items == 1 { &b"\"pin_block\":"[..] } else { b"\"ok\":true" };
        let good = answer.windows(good.len()).filter(|window| *window == good).count();
        ensure!(good == self.items, "{good} of {} PINs were translated", self.items);
        Ok(())
    }
}

/// The HSM's command, again and again.
struct Call {
    hsm: hsm::Client,
    command: TranslatePins,
}

impl Call {
    fn new(estate: &Estate, setting: &Setting, formats: Formats, from: usize, items: usize) -> Call {
        Call { hsm: estate.hsm.clone(), command: setting.command(formats, from, items) }
    }
}

impl Work for Call {
    async fn once(&mut self) -> Result<()> {
        let outcomes = self.hsm.call(self.command.clone()).await?;
        ensure!(outcomes.iter().all(Result::is_ok), "a PIN was not translated");
        Ok(())
    }
}

/// The command by the HSM's code, with no process and no socket between: one caller for each processor.
fn in_this_process(hsm: &SoftHsm, command: &TranslatePins, time: Duration) -> Result<Rate> {
    let started = Instant::now();
    let done: Result<u64> = thread::scope(|scope| {
        let all: Vec<_> = (0..processors())
            .map(|_| {
                scope.spawn(|| {
                    let mut done = 0_u64;
                    while started.elapsed() < time {
                        let outcome = hsm.handle(Request::TranslatePins(command.clone()))?;
                        let Reply::TranslatePins(outcomes) = outcome else {
                            return Err(anyhow!("another command was answered"));
                        };
                        ensure!(outcomes.iter().all(Result::is_ok), "a PIN was not translated");
                        done += 1;
                    }
                    Ok(done)
                })
            })
            .collect();
        all.into_iter().map(|thread| thread.join().map_err(|_| anyhow!("a thread panicked"))?).sum()
    });
    Ok(Rate { done: done?, time: started.elapsed() })
}
